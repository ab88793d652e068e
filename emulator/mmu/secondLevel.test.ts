import { describe, expect, it } from 'vitest';
import { CR0, FLAG } from '../state/registers.ts';
import type { MmioWindow } from './memoryAccess.ts';
import { SLOW } from './mmu.ts';
import { ACCESS } from './rights.ts';
import {
  EPT,
  enter64BitMode,
  LongTables,
  PTE,
  PWU,
  RWX,
  type TestMachine,
  testMachine,
} from './testing/machine.ts';
import { UNTRANSLATED } from './walk.ts';

const RAM = 0x40_0000;
/** The guest's memory is at this host-physical address. */
const GUEST = 0x20_0000n;
const LINEAR = 0x1000n;

interface Guest extends TestMachine {
  readonly tables: LongTables;
  readonly ept: LongTables;
}

/** A guest in 64-bit mode whose first 64 pages are mapped, with its tables from guest-physical 0x1000 on. */
function guest(options: { flags?: boolean; leaf?: bigint } = {}): Guest {
  const machine = testMachine(RAM);
  const { physical, mmu } = machine;
  const ept = new LongTables(physical, 0x10_0000n, RWX);
  for (let page = 0n; page < 64n; page++) ept.set(page << 12n, (GUEST + (page << 12n)) | RWX | EPT.WB);
  const tables = new LongTables(physical, 0x1000n, PWU, GUEST);
  tables.set(LINEAR, 0x2_0000n | PWU);
  enter64BitMode(machine, tables.root);
  mmu.spaces.switchTo(1, ept.root | 0x1en | (options.flags ? 0x40n : 0n));
  return { ...machine, tables, ept };
}

function fail(
  machine: Guest,
  access: 0 | 1 | 2,
): { kind: string; guestPhysical: number; qualification: number } {
  expect(machine.mmu.translate(Number(LINEAR) + 8, 0, access, 0)).toBe(UNTRANSLATED.SECOND_LEVEL_FAULT);
  const { linear, ...fault } = machine.mmu.fault.secondLevel;
  expect(linear).toBe(fault.kind === 'violation' ? LINEAR + 8n : 0n);
  return fault;
}

describe('an EPT violation', () => {
  it('of the final address sets bit 8 of the qualification and the bits of the access', () => {
    const machine = guest();
    machine.ept.set(0x2_0000n, 0n);
    expect(fail(machine, ACCESS.READ)).toMatchObject({
      kind: 'violation',
      guestPhysical: 0x2_0008,
      qualification: 0x781,
    });
    expect(fail(machine, ACCESS.WRITE).qualification).toBe(0x782);
    expect(fail(machine, ACCESS.EXECUTE).qualification).toBe(0x784);
  });

  it('tells what the entries permit in bits 5:3', () => {
    const machine = guest();
    machine.ept.set(0x2_0000n, (GUEST + 0x2_0000n) | EPT.R | EPT.X | EPT.WB);
    expect(fail(machine, ACCESS.WRITE).qualification).toBe(0x782 | 0x28);
    expect(machine.mmu.translate(0x1008, 0, ACCESS.READ, 0)).toBe(Number(GUEST) + 0x2_0008);
  });

  it('of a paging-structure entry clears bit 8 and is a read', () => {
    const machine = guest();
    const pte = machine.tables.entryAddress(LINEAR);
    machine.ept.set(pte & ~0xfffn, 0n);
    expect(fail(machine, ACCESS.WRITE)).toMatchObject({
      kind: 'violation',
      guestPhysical: Number(pte),
      qualification: 0x81,
    });
  });

  it('of a paging-structure entry is a read and a write with accessed and dirty flags for EPT', () => {
    const machine = guest({ flags: true });
    const pte = machine.tables.entryAddress(LINEAR);
    machine.ept.set(pte & ~0xfffn, (GUEST + (pte & ~0xfffn)) | EPT.R | EPT.WB);
    expect(fail(machine, ACCESS.READ).qualification).toBe(0x83 | 0x08);
  });

  it('keeps the guest from getting accessed flags that EPT does not let be written', () => {
    const machine = guest();
    const pte = machine.tables.entryAddress(LINEAR);
    machine.ept.set(pte & ~0xfffn, (GUEST + (pte & ~0xfffn)) | EPT.R | EPT.WB);
    expect(fail(machine, ACCESS.READ)).toMatchObject({
      kind: 'violation',
      guestPhysical: Number(pte),
      qualification: 0x83 | 0x08,
    });
    for (const level of [4, 3, 2, 1]) expect(machine.tables.get(LINEAR, level) & PTE.A).toBe(0n);
  });

  it('keeps it from a dirty flag where the upper levels are cached, too', () => {
    const machine = guest();
    const { mmu, tables, ept } = machine;
    const read = () => expect(mmu.translate(Number(LINEAR) + 8, 0, ACCESS.READ, 0)).toBeGreaterThan(0);
    // The first sets the accessed flags, the second is cached.
    read();
    read();
    expect(mmu.translate(Number(LINEAR) + 8, 0, ACCESS.WRITE, 0)).toBeGreaterThan(0);
    expect(tables.get(LINEAR, 1) & PTE.D).toBe(PTE.D);

    tables.set(LINEAR, 0x2_0000n | PWU | PTE.A);
    const pte = tables.entryAddress(LINEAR);
    ept.set(pte & ~0xfffn, (GUEST + (pte & ~0xfffn)) | EPT.R | EPT.WB);
    mmu.spaces.invalidateEpt();
    read();
    expect(fail(machine, ACCESS.WRITE)).toMatchObject({
      kind: 'violation',
      guestPhysical: Number(pte),
      qualification: 0x83 | 0x08,
    });
    expect(tables.get(LINEAR, 1) & PTE.D).toBe(0n);
  });

  it('while loading the PDPTEs has no linear address, and the load is a read', () => {
    const machine = guest({ flags: true });
    machine.ept.set(0x3000n, (GUEST + 0x3000n) | EPT.R | EPT.WB);
    machine.physical.write64(Number(GUEST) + 0x3028, 0x1234_5001n);
    expect(machine.mmu.readPdptes(0x3020n)).toEqual([0n, 0x1234_5001n, 0n, 0n]);
    machine.ept.set(0x3000n, 0n);
    machine.mmu.spaces.invalidateEpt();
    expect(machine.mmu.readPdptes(0x3020n)).toBeUndefined();
    expect(machine.mmu.fault.secondLevel).toMatchObject({
      kind: 'violation',
      guestPhysical: 0x3020,
      qualification: 1,
      linear: 0n,
    });
  });
});

describe('an EPT misconfiguration', () => {
  it('is found before a violation that a higher entry would cause', () => {
    const machine = guest();
    // The guest's flags are set, so that its tables need no write.
    machine.mmu.translate(Number(LINEAR), 0, ACCESS.WRITE, 0);
    machine.mmu.spaces.invalidateEpt();
    machine.ept.set(0x2_0000n, (GUEST + 0x2_0000n) | EPT.W | EPT.WB);
    const level2 = machine.ept.get(0x2_0000n, 2);
    machine.ept.set(0x2_0000n, level2 & ~EPT.W, 2);
    expect(fail(machine, ACCESS.WRITE)).toMatchObject({
      kind: 'misconfiguration',
      guestPhysical: 0x2_0008,
      qualification: 0,
    });
  });
});

describe('accessed and dirty flags for EPT', () => {
  it('are set on the way: dirty for pages of guest paging structures and for writes', () => {
    const machine = guest({ flags: true });
    machine.mmu.translate(Number(LINEAR), 0, ACCESS.READ, 0);
    const { ept, tables } = machine;
    expect(ept.get(0x2_0000n) & (EPT.A | EPT.D)).toBe(EPT.A);
    expect(ept.get(tables.entryAddress(LINEAR)) & (EPT.A | EPT.D)).toBe(EPT.A | EPT.D);
    expect(ept.get(0x2_0000n, 4) & EPT.A).toBe(EPT.A);
    machine.mmu.translate(Number(LINEAR), 0, ACCESS.WRITE, 0);
    expect(ept.get(0x2_0000n) & (EPT.A | EPT.D)).toBe(EPT.A | EPT.D);
  });

  it('are not touched without bit 6 of the EPTP', () => {
    const machine = guest();
    machine.mmu.translate(Number(LINEAR), 0, ACCESS.WRITE, 0);
    expect(machine.ept.get(0x2_0000n) & (EPT.A | EPT.D)).toBe(0n);
  });
});

describe('a guest without paging', () => {
  it('uses its linear addresses as guest-physical ones', () => {
    const machine = guest();
    machine.state.CR0 = BigInt(CR0.PE);
    machine.state.IA32_EFER = 0n;
    machine.mmu.updateContext();
    expect(machine.mmu.translate(0x5123, 0, ACCESS.WRITE, 0)).toBe(Number(GUEST) + 0x5123);
    machine.ept.set(0x6000n, 0n);
    expect(machine.mmu.translate(0x6000, 0, ACCESS.READ, 0)).toBe(UNTRANSLATED.SECOND_LEVEL_FAULT);
    expect(machine.mmu.fault.secondLevel.qualification).toBe(0x781);
  });
});

describe('the window of the VMM', () => {
  function withWindow(): Guest & { readonly cycles: string[] } {
    const machine = guest();
    const cycles: string[] = [];
    const window: MmioWindow = {
      start: 0xfee0_0000,
      end: 0xfee0_1000,
      read: (address, size) => {
        cycles.push(`read ${address.toString(16)}/${size}`);
        return 0x55;
      },
      write: (address, size, value) =>
        cycles.push(`write ${address.toString(16)}/${size}=${value.toString(16)}`),
    };
    machine.tables.set(LINEAR, 0xfee0_0000n | PWU);
    machine.tables.set(LINEAR + 0x1000n, 0x2_0000n | PWU);
    machine.mmu.mmioWindow = window;
    return { ...machine, cycles };
  }

  it('answers accesses where EPT has no translation', () => {
    const machine = withWindow();
    const { state, mmu } = machine;
    state.ACCESS_ADDRESS = LINEAR + 0x20n;
    expect(mmu.readSlow(4, false)).toBe(SLOW.OK_CUT);
    expect(state.ACCESS_VALUE).toBe(0x55n);
    state.ACCESS_VALUE = 0x1_0000_0002n;
    expect(mmu.writeSlow(8)).toBe(SLOW.OK_CUT);
    expect(machine.cycles).toEqual(['read fee00020/4', 'write fee00020/4=2', 'write fee00024/4=1']);
    expect(machine.tables.get(LINEAR) & (PTE.A | PTE.D)).toBe(PTE.A | PTE.D);
  });

  it('takes its part of an access that reaches into RAM', () => {
    const machine = withWindow();
    machine.state.ACCESS_ADDRESS = LINEAR + 0xffen;
    machine.state.ACCESS_VALUE = 0x4433_2211n;
    expect(machine.mmu.writeSlow(4)).toBe(SLOW.OK_CUT);
    expect(machine.cycles).toEqual(['write fee00ffe/2=2211']);
    expect(machine.physical.read16(Number(GUEST) + 0x2_0000)).toBe(0x4433);
  });

  it('does not give instructions', () => {
    const machine = withWindow();
    expect(machine.mmu.fetchTranslate(LINEAR)).toBe(UNTRANSLATED.SECOND_LEVEL_FAULT);
    expect(machine.mmu.fault.secondLevel.qualification).toBe(0x784);
    expect(machine.mmu.fault.secondLevel.guestPhysical).toBe(0xfee0_0000);
  });

  it('is closed when the VMM takes it away', () => {
    const machine = withWindow();
    machine.mmu.mmioWindow = undefined;
    machine.state.ACCESS_ADDRESS = LINEAR;
    expect(machine.mmu.readSlow(4, false)).toBe(SLOW.FAULT);
  });
});

describe('what the debugger sees', () => {
  it('is memory through both dimensions, without setting a flag', () => {
    const machine = guest({ flags: true });
    machine.physical.copyIn(Number(GUEST) + 0x2_0ffe, Uint8Array.of(1, 2));
    const before = machine.tables.get(LINEAR);
    expect([...machine.mmu.peekLinear(LINEAR + 0xffen, 8)]).toEqual([1, 2]);
    expect([...machine.mmu.inspector.peekGuestPhysical(0x2_0ffe, 2)]).toEqual([1, 2]);
    expect(machine.mmu.peekLinear(0x9_0000_0000n, 8)).toHaveLength(0);
    expect(machine.tables.get(LINEAR)).toBe(before);
    expect(machine.ept.get(0x2_0000n) & EPT.A).toBe(0n);
    expect(machine.mmu.fault.kind).toBe('none');
  });

  it('ignores rights', () => {
    const machine = guest();
    machine.ept.set(0x2_0000n, (GUEST + 0x2_0000n) | EPT.X | EPT.WB);
    machine.state.systemFlags = FLAG.FIXED;
    expect(machine.mmu.peekLinear(LINEAR, 4)).toHaveLength(4);
  });

  it('is every entry on the path of a translation', () => {
    const machine = guest();
    const report = machine.mmu.walkReport(LINEAR + 5n);
    expect(report).toMatchObject({
      mode: '4-level',
      pageSize: 4096,
      guestPhysical: 0x2_0005,
      host: Number(GUEST) + 0x2_0005,
      failure: undefined,
    });
    expect(report.entries.map((entry) => entry.name)).toEqual(['PML4E', 'PDPTE', 'PDE', 'PTE']);
    const pte = report.entries[3];
    expect(pte.address).toBe(Number(machine.tables.entryAddress(LINEAR)));
    expect(pte.host).toBe(Number(GUEST) + (pte.address ?? 0));
    expect(pte.value).toBe(0x2_0000n | PWU);
    expect(pte.secondLevel.map((entry) => entry.name)).toEqual([
      'EPT PML4E',
      'EPT PDPTE',
      'EPT PDE',
      'EPT PTE',
    ]);
    expect(report.secondLevel.at(-1)?.value).toBe((GUEST + 0x2_0000n) | RWX | EPT.WB);
  });

  it('ends where the translation ends', () => {
    const machine = guest();
    const absent = machine.mmu.walkReport(LINEAR + 0x3000n);
    expect(absent).toMatchObject({ failure: 'not present', host: undefined, guestPhysical: undefined });
    expect(absent.entries).toHaveLength(4);
    machine.ept.set(machine.tables.entryAddress(LINEAR), 0n);
    const cut = machine.mmu.walkReport(LINEAR);
    expect(cut.failure).toMatch(/^EPT violation at guest-physical 0x/);
    expect(cut.entries.map((entry) => entry.name)).toEqual(['PML4E', 'PDPTE', 'PDE']);
    expect(cut.secondLevel.at(-1)?.value).toBe(0n);
    expect(machine.mmu.walkReport(1n << 47n)).toMatchObject({
      failure: 'the address is not canonical',
      entries: [],
    });
  });
});
