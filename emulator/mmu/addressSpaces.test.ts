import { describe, expect, it } from 'vitest';
import { CR0, CR4 } from '../state/registers.ts';
import { SLOW } from './mmu.ts';
import { PAGE_FLAG } from './physicalMemory.ts';
import {
  enter64BitMode,
  LongTables,
  PTE,
  PWU,
  setCpl,
  type TestMachine,
  testMachine,
} from './testing/machine.ts';

const RAM = 0x100_0000;

function longMode(map: (tables: LongTables) => void): TestMachine & { readonly tables: LongTables } {
  const machine = testMachine(RAM);
  const tables = new LongTables(machine.physical, 0x1000n);
  map(tables);
  enter64BitMode(machine, tables.root);
  return { ...machine, tables };
}

function read({ state, mmu }: TestMachine, address: bigint): number {
  state.ACCESS_ADDRESS = address;
  return mmu.readSlow(4, false);
}

function isCached({ state, mmu }: TestMachine, address: bigint): boolean {
  const lo = Number(BigInt.asIntN(32, address));
  const hi = Number(BigInt.asIntN(32, address >> 32n));
  return mmu.tlb.lookUpRead(lo, hi, Number(state.CONTEXT)) >= 0;
}

describe('INVLPG', () => {
  it('reaches the copies of a global page in other contexts', () => {
    const machine = longMode((tables) => tables.set(0x1000n, 0x10_0000n | PWU | PTE.G));
    read(machine, 0x1000n);
    const supervisor = machine.state.CONTEXT;
    setCpl(machine, 3);
    expect(machine.state.CONTEXT).not.toBe(supervisor);
    read(machine, 0x1000n);
    machine.mmu.invalidatePage(0x1000n);
    expect(isCached(machine, 0x1000n)).toBe(false);
    setCpl(machine, 0);
    expect(machine.state.CONTEXT).toBe(supervisor);
    expect(isCached(machine, 0x1000n)).toBe(false);
  });

  it('for any address of a 2-MByte page drops all of its fragments', () => {
    const base = 0xffff_8000_0020_0000n;
    const machine = longMode((tables) => tables.set(base, 0x20_0000n | PWU | PTE.PS, 2));
    const fragments = [base, base + 0x7_3000n, base + 0x1f_f000n];
    for (const fragment of fragments) read(machine, fragment);
    expect(fragments.map((fragment) => isCached(machine, fragment))).toEqual([true, true, true]);
    machine.mmu.invalidatePage(base + 0x10_0000n);
    expect(fragments.map((fragment) => isCached(machine, fragment))).toEqual([false, false, false]);
  });

  it('for any address of a 1-GByte page drops all of its fragments', () => {
    const base = 0x4000_0000n;
    const machine = longMode((tables) => tables.set(base, PWU | PTE.PS, 3));
    const fragments = [base, base + 0x12_3000n, base + 0xff_f000n];
    for (const fragment of fragments) expect(read(machine, fragment)).toBe(SLOW.OK);
    machine.mmu.invalidatePage(base + 0x3000_0000n);
    expect(fragments.map((fragment) => isCached(machine, fragment))).toEqual([false, false, false]);
  });

  it('for any address of a 4-MByte page drops all of its fragments', () => {
    const machine = testMachine(RAM);
    const { state, physical, mmu } = machine;
    physical.write(0x1004, 4, 0x40_0087, 0);
    state.CR0 = BigInt((CR0.PE | CR0.PG) >>> 0);
    state.CR3 = 0x1000n;
    state.CR4 = BigInt(CR4.PSE);
    mmu.updateContext();
    const fragments = [0x40_0000n, 0x5f_f000n, 0x60_0000n, 0x7f_f000n];
    for (const fragment of fragments) expect(read(machine, fragment)).toBe(SLOW.OK);
    mmu.invalidatePage(0x7f_f123n);
    expect(fragments.map((fragment) => isCached(machine, fragment))).toEqual([false, false, false, false]);
  });

  it('tells whoever caches code when instructions were fetched from the page', () => {
    const machine = longMode((tables) => {
      tables.set(0x1000n, 0x10_0000n | PWU);
      tables.set(0x2000n, 0x10_1000n | PWU);
      tables.set(0x20_0000n, 0x20_0000n | PWU | PTE.PS, 2);
    });
    const told: number[][] = [];
    machine.mmu.spaces.codeTranslations = {
      pageInvalidated: (lo, hi, shift) => told.push([lo, hi, shift]),
      contextsReused: () => undefined,
    };
    expect(machine.mmu.fetchTranslate(0x1004n)).toBe(0x10_0004);
    read(machine, 0x2000n);
    machine.mmu.invalidatePage(0x2000n);
    expect(told).toEqual([]);
    machine.mmu.invalidatePage(0x1008n);
    expect(told).toEqual([[0x1008, 0, 12]]);
    machine.mmu.fetchTranslate(0x20_0000n);
    machine.mmu.invalidatePage(0x20_5000n);
    expect(told[1]).toEqual([0x20_5000, 0, 22]);
  });
});

describe('a page fault', () => {
  it('forgets what is cached for its address', () => {
    const machine = longMode((tables) => tables.set(0x1000n, 0x10_0000n | PTE.P));
    read(machine, 0x1000n);
    machine.tables.set(0x1000n, 0n);
    machine.state.ACCESS_ADDRESS = 0x1000n;
    expect(machine.mmu.writeSlow(4)).toBe(SLOW.FAULT);
    expect(isCached(machine, 0x1000n)).toBe(false);
  });

  it('is not raised for rights that only a cached page directory lacks', () => {
    const machine = longMode((tables) => tables.set(0x1000n, 0x10_0000n | PWU | PTE.A | PTE.D));
    machine.tables.set(0x2000n, 0x10_1000n | PWU | PTE.A | PTE.D);
    const pde = machine.tables.get(0x1000n, 2);
    machine.tables.set(0x1000n, pde & ~PTE.W, 2);
    read(machine, 0x1000n);
    read(machine, 0x1000n);
    machine.tables.set(0x1000n, pde, 2);
    machine.state.ACCESS_ADDRESS = 0x2000n;
    expect(machine.mmu.writeSlow(4)).toBe(SLOW.OK);
  });
});

describe('context ids', () => {
  it('start over with empty TLBs when they run out', () => {
    const machine = longMode((tables) => tables.set(0x1000n, 0x10_0000n | PWU));
    let reused = 0;
    machine.mmu.spaces.codeTranslations = {
      pageInvalidated: () => undefined,
      contextsReused: () => reused++,
    };
    const seen = new Set<bigint>();
    for (let flush = 0; flush < 9000; flush++) {
      machine.mmu.flushCurrent();
      expect(isCached(machine, 0x1000n)).toBe(false);
      read(machine, 0x1000n);
      seen.add(machine.state.CONTEXT);
    }
    expect(seen.size).toBe(4094);
    expect(seen.has(0n)).toBe(false);
    expect(reused).toBe(2);
  });

  it('differ between logical processors, and each keeps its own translations', () => {
    const machine = longMode((tables) => tables.set(0x1000n, 0x10_0000n | PWU));
    const { mmu } = machine;
    read(machine, 0x1000n);
    mmu.spaces.processor = 1;
    mmu.updateContext();
    expect(isCached(machine, 0x1000n)).toBe(false);
    mmu.flushCurrent();
    mmu.spaces.processor = 0;
    mmu.updateContext();
    expect(isCached(machine, 0x1000n)).toBe(true);
  });
});

describe('a page with a mark', () => {
  it('loses its write entries in every alias and gets none until the mark is gone', () => {
    const aliases = [0x1000n, 0x5000n, 0xffff_8000_0000_3000n];
    const machine = longMode((tables) => {
      for (const alias of aliases) tables.set(alias, 0x10_0000n | PWU);
      tables.set(0x2000n, 0x10_1000n | PWU);
    });
    const { state, mmu, physical } = machine;
    const isWritable = (address: bigint) => {
      const lo = Number(BigInt.asIntN(32, address));
      const hi = Number(BigInt.asIntN(32, address >> 32n));
      return mmu.tlb.lookUpWrite(lo, hi, Number(state.CONTEXT)) >= 0;
    };
    const write = (address: bigint) => {
      state.ACCESS_ADDRESS = address;
      return mmu.writeSlow(4);
    };
    for (const address of [...aliases, 0x2000n]) write(address);
    physical.setPageFlag(0x100, PAGE_FLAG.CODE);
    expect(aliases.map(isWritable)).toEqual([false, false, false]);
    expect(isWritable(0x2000n)).toBe(true);
    physical.setFlagEverywhere(PAGE_FLAG.SNAPSHOT);
    expect(isWritable(0x2000n)).toBe(false);
    physical.clearPageFlag(0x100, PAGE_FLAG.CODE);
    expect(write(0x1000n)).toBe(SLOW.OK);
    expect(isWritable(0x1000n)).toBe(false);
  });

  it('notices accessed and dirty flags that the page walk sets in it', () => {
    const machine = longMode((tables) => tables.set(0x1000n, 0x10_0000n | PWU));
    const { state, mmu, physical, tables } = machine;
    const written: number[] = [];
    physical.onWrite(PAGE_FLAG.CODE, (hpa) => {
      written.push(hpa);
      mmu.requestCut();
    });
    const pte = Number(tables.entryAddress(0x1000n));
    physical.setPageFlag(pte >>> 12, PAGE_FLAG.CODE);
    state.ACCESS_ADDRESS = 0x1000n;
    expect(mmu.writeSlow(4)).toBe(SLOW.OK_CUT);
    expect(written).toEqual([pte]);
    expect(mmu.writeSlow(4)).toBe(SLOW.OK);
  });
});
