import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RAM_OFFSET } from '../state/layout.ts';
import { CR0, CR4, EFER, FLAG } from '../state/registers.ts';
import { EPT_FEATURE } from './ept.ts';
import { PRIVILEGE } from './mmu.ts';
import { ACCESS } from './rights.ts';
import { type TestMachine, testMachine } from './testing/machine.ts';
import {
  type ModelAccess,
  type ModelMemory,
  type ModelPrivilege,
  type ModelRegisters,
  type ModelResult,
  translateByTheManual,
} from './testing/pagingModel.ts';
import { UNTRANSLATED } from './walk.ts';

const PAGES = 64;
const RAM = PAGES * 4096;
/** Guest tables are in these pages of the guest, EPT structures in pages above; both may refer to each other's kind. */
const GUEST_TABLES = 6;
const FIRST_EPT_PAGE = 40;
/** Few indexes, so that few entries have to be written for most walks to get somewhere. */
const INDEXES = [0, 1, 511];

const bits = (...flags: readonly number[]): fc.Arbitrary<bigint> =>
  fc
    .tuple(...flags.map((percent) => fc.nat(99).map((roll) => roll < percent)))
    .map((set) => set.reduce((value, on, position) => (on ? value | (1n << BigInt(position)) : value), 0n));

/** P, R/W, U/S, PWT, PCD, A, D, PS, G, and three ignored bits. */
const flags = bits(98, 88, 88, 10, 10, 60, 50, 12, 10, 10, 10, 10);
const tablePage = fc.nat(GUEST_TABLES - 1);
const rare = (percent: number, value: fc.Arbitrary<bigint>): fc.Arbitrary<bigint> =>
  fc.oneof({ weight: 100 - percent, arbitrary: fc.constant(0n) }, { weight: percent, arbitrary: value });
const highBits = fc.integer({ min: 32, max: 62 }).map((position) => 1n << BigInt(position));
const lowAddressBits = fc.integer({ min: 12, max: 30 }).map((position) => 1n << BigInt(position));

const guestEntry8 = fc
  .tuple(
    flags,
    tablePage,
    rare(3, highBits),
    rare(8, fc.constant(1n << 63n)),
    rare(6, lowAddressBits),
    fc.boolean(),
  )
  .map(([low, page, high, xd, stray, aligned]) => {
    // A large page has to be aligned, or its reserved bits are set.
    const address = (low & 0x80n) !== 0n && aligned ? 0n : BigInt(page) << 12n;
    return low | address | high | xd | stray;
  });
const guestEntry4 = fc
  .tuple(
    flags,
    tablePage,
    rare(
      20,
      fc.nat(0xff).map((address) => BigInt(address) << 13n),
    ),
    fc.boolean(),
  )
  .map(([low, page, high, aligned]) => {
    const large = (low & 0x80n) !== 0n && aligned;
    return large ? low | high : low | (BigInt(page) << 12n);
  });

/** R, W, X and bit 10; memory type 6 most of the time; A and D; verification, paging-write access and sub-pages. */
const eptEntry = fc
  .tuple(
    bits(97, 90, 93, 0, 0, 0, 0, 0, 0, 0, 90),
    fc.boolean(),
    fc.boolean(),
    bits(30, 70, 0, 0, 80),
    rare(3, highBits),
    rare(3, fc.constant(0x20n)),
  )
  .map(([rights, accessed, dirty, special, high, type]) => ({
    rights,
    accessed,
    dirty,
    high: high ^ (special << 57n),
    type,
  }));
/** Of an EPT violation's qualification: guest-paging verification. */
const UNVERIFIED = 1 << 15;
const SUB_PAGE_PAGE = FIRST_EPT_PAGE + 4;

interface Scenario {
  readonly registers: ModelRegisters;
  readonly linear: bigint;
  readonly access: ModelAccess;
  readonly privilege: ModelPrivilege;
  /** Host-physical address and value of each entry. */
  readonly entries: readonly { readonly address: number; readonly value: bigint; readonly size: 4 | 8 }[];
}

function linearOf(paging: ModelRegisters['paging'], picks: readonly number[], offset: number): bigint {
  if (paging === 'none') return BigInt(picks[0]) * 0x1000n + BigInt(offset);
  if (paging === '32-bit') {
    const index = (pick: number) => BigInt(pick === 511 ? 1023 : pick);
    return (index(picks[0]) << 22n) | (index(picks[1]) << 12n) | BigInt(offset);
  }
  if (paging === 'PAE') {
    return (
      (BigInt(picks[2] & 3) << 30n) | (BigInt(picks[0]) << 21n) | (BigInt(picks[1]) << 12n) | BigInt(offset)
    );
  }
  const levels = paging === '5-level' ? 5 : 4;
  let address = BigInt(offset);
  for (let level = 0; level < levels; level++) address |= BigInt(picks[level]) << BigInt(12 + 9 * level);
  const width = 12 + 9 * levels;
  return BigInt.asUintN(64, BigInt.asIntN(width, address));
}

function eptStructures(
  list: readonly { rights: bigint; accessed: boolean; dirty: boolean; high: bigint; type: bigint }[],
  readOnly: boolean,
) {
  const entries: { address: number; value: bigint; size: 8 }[] = [];
  const page = (index: number) => (FIRST_EPT_PAGE + index) * 4096;
  let next = 0;
  const put = (table: number, index: number, address: bigint, extra: bigint, large: boolean) => {
    const { rights, accessed, dirty, high, type } = list[next++ % list.length];
    const leaf = large || extra !== 0n;
    let value = rights | address | high | (accessed ? 0x100n : 0n) | (leaf && dirty ? 0x200n : 0n);
    if (leaf) value |= 0x30n ^ type;
    else value |= type;
    if (large) value |= 0x80n;
    entries.push({ address: table + 8 * index, value, size: 8 });
  };
  put(page(0), 0, BigInt(page(1)), 0n, false);
  // Small pages or, now and then, a large one.
  const large = list.length % 5;
  put(page(1), 0, large === 1 ? 0n : BigInt(page(2)), 0n, large === 1);
  put(page(2), 0, large === 2 ? 0n : BigInt(page(3)), 0n, large === 2);
  for (let guest = 0; guest < FIRST_EPT_PAGE; guest++)
    put(page(3), guest, BigInt(guest * 4096), 1n << 11n, false);
  // Pages that may be written in parts, if at all.
  if (readOnly) for (const entry of entries.slice(3)) entry.value &= ~2n;
  return { root: BigInt(page(0)), entries };
}

/** Four levels of tables, of which `damage` is in one entry; `vector` is that of every page of the guest. */
function subPageStructures({ vector, damaged, damage }: { vector: bigint; damaged: number; damage: bigint }) {
  const page = (index: number) => (SUB_PAGE_PAGE + index) * 4096;
  const tables = [0, 1, 2].map((index) => ({
    address: page(index),
    value: (BigInt(page(index + 1)) | 1n) ^ (index === damaged ? damage : 0n),
    size: 8 as const,
  }));
  const vectors = Array.from({ length: FIRST_EPT_PAGE }, (_, guest) => ({
    address: page(3) + 8 * guest,
    value: vector ^ (damaged === 3 ? damage : 0n),
    size: 8 as const,
  }));
  return { root: BigInt(page(0)), entries: [...tables, ...vectors] };
}

const scenario: fc.Arbitrary<Scenario> = fc
  .record({
    paging: fc.constantFrom(
      'none' as const,
      '32-bit' as const,
      'PAE' as const,
      '4-level' as const,
      '5-level' as const,
    ),
    picks: fc.array(fc.constantFrom(...INDEXES), { minLength: 5, maxLength: 5 }),
    offset: fc.nat(0xfff),
    stray: rare(3, fc.constant(1n << 56n)),
    root: tablePage,
    pdptes: fc.array(fc.tuple(tablePage, rare(90, fc.constant(1n))), { minLength: 4, maxLength: 4 }),
    controls: fc.record({
      wp: fc.boolean(),
      pse: fc.boolean(),
      smep: fc.boolean(),
      smap: fc.boolean(),
      nxe: fc.boolean(),
      ac: fc.boolean(),
    }),
    maxphyaddr: fc.constantFrom(36, 39, 40, 46, 52),
    access: fc.constantFrom('read' as const, 'write' as const, 'fetch' as const),
    privilege: fc.constantFrom('user' as const, 'supervisor' as const, 'implicit-supervisor' as const),
    entries8: fc.array(guestEntry8, { minLength: GUEST_TABLES * 3, maxLength: GUEST_TABLES * 3 }),
    entries4: fc.array(guestEntry4, { minLength: GUEST_TABLES * 3, maxLength: GUEST_TABLES * 3 }),
    ept: fc.option(
      fc.record({
        list: fc.array(eptEntry, { minLength: 1, maxLength: 47 }),
        flags: fc.boolean(),
        readOnly: fc.nat(3).map((roll) => roll === 0),
        modeBased: fc.boolean(),
        pagingWrite: fc.boolean(),
        verification: fc.boolean(),
        executeOnly: fc.nat(9).map((roll) => roll > 0),
        pages2M: fc.nat(3).map((roll) => roll > 0),
        pages1G: fc.nat(3).map((roll) => roll > 0),
        subPages: fc.option(
          fc.record({
            vector: fc.bigInt(0n, 0xffff_ffff_ffff_ffffn).map((value) => value & 0x5555_5555_5555_5555n),
            damaged: fc.nat(5),
            damage: fc.nat(63).map((position) => 1n << BigInt(position)),
          }),
          { freq: 2 },
        ),
      }),
      { freq: 2 },
    ),
  })
  .map((input) => {
    const { paging } = input;
    const entries: { address: number; value: bigint; size: 4 | 8 }[] = [];
    for (let table = 0; table < GUEST_TABLES; table++) {
      INDEXES.forEach((index, position) => {
        const which = table * 3 + position;
        if (paging === '32-bit') {
          const address = table * 4096 + 4 * (index === 511 ? 1023 : index);
          entries.push({ address, value: input.entries4[which], size: 4 });
        } else entries.push({ address: table * 4096 + 8 * index, value: input.entries8[which], size: 8 });
      });
    }
    let ept: ModelRegisters['ept'];
    if (input.ept) {
      const structures = eptStructures(input.ept.list, input.ept.readOnly);
      entries.push(...structures.entries);
      const subPages = input.ept.subPages && subPageStructures(input.ept.subPages);
      if (subPages) entries.push(...subPages.entries);
      ept = { ...input.ept, root: structures.root, subPages: subPages?.root };
    }
    return {
      registers: {
        paging,
        cr3: BigInt(input.root) << 12n,
        pdptes: input.pdptes.map(([page, present]) => (BigInt(page) << 12n) | present),
        ...input.controls,
        nxe: input.controls.nxe && paging !== 'none' && paging !== '32-bit',
        maxphyaddr: input.maxphyaddr,
        ept,
      },
      linear: linearOf(paging, input.picks, input.offset) ^ (paging === '4-level' ? input.stray : 0n),
      access: input.access,
      privilege: input.privilege,
      entries,
    };
  });

function load(machine: TestMachine, { registers, privilege }: Scenario): void {
  const { state, mmu } = machine;
  const { paging } = registers;
  const paged = paging !== 'none';
  state.CR0 = BigInt((CR0.PE | (paged ? CR0.PG : 0) | (registers.wp ? CR0.WP : 0)) >>> 0);
  state.CR3 = registers.cr3;
  state.CR4 = BigInt(
    (registers.pse ? CR4.PSE : 0) |
      (registers.smep ? CR4.SMEP : 0) |
      (registers.smap ? CR4.SMAP : 0) |
      (paged && paging !== '32-bit' ? CR4.PAE : 0) |
      (paging === '5-level' ? CR4.LA57 : 0),
  );
  const long = paging === '4-level' || paging === '5-level';
  state.IA32_EFER = BigInt((long ? EFER.LMA | EFER.LME : 0) | (registers.nxe ? EFER.NXE : 0));
  state.systemFlags = FLAG.FIXED | (registers.ac ? FLAG.AC : 0);
  state.CPL = privilege === 'user' ? 3 : 0;
  registers.pdptes.forEach((pdpte, index) => {
    state.setPdpte(index, pdpte);
  });
  const { ept } = registers;
  const { secondLevel } = mmu.spaces;
  secondLevel.features = ept
    ? (ept.modeBased ? EPT_FEATURE.MODE_BASED_EXECUTE : 0) |
      (ept.pagingWrite ? EPT_FEATURE.PAGING_WRITE : 0) |
      (ept.verification ? EPT_FEATURE.VERIFY_GUEST_PAGING : 0) |
      (ept.subPages === undefined ? 0 : EPT_FEATURE.SUB_PAGE_WRITE) |
      (ept.executeOnly ? 0 : EPT_FEATURE.NO_EXECUTE_ONLY) |
      (ept.pages2M ? 0 : EPT_FEATURE.NO_PAGE_2M) |
      (ept.pages1G ? 0 : EPT_FEATURE.NO_PAGE_1G)
    : 0;
  secondLevel.subPageTableLo = Number(ept?.subPages ?? 0n);
  mmu.spaces.switchTo(0, ept && ept.root | 0x1en | (ept.flags ? 0x40n : 0n));
}

function modelMemory(bytes: Uint8Array): ModelMemory {
  const view = new DataView(bytes.buffer);
  const read = (address: bigint, size: 4 | 8): bigint => {
    if (address + BigInt(size) > BigInt(bytes.length))
      return size === 8 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
    return size === 8
      ? view.getBigUint64(Number(address), true)
      : BigInt(view.getUint32(Number(address), true));
  };
  return {
    read,
    or: (address, flags, size) => {
      if (address + BigInt(size) > BigInt(bytes.length)) return;
      if (size === 8) view.setBigUint64(Number(address), read(address, 8) | flags, true);
      else view.setUint32(Number(address), Number(read(address, 4) | flags), true);
    },
  };
}

const ACCESS_CODE = { read: ACCESS.READ, write: ACCESS.WRITE, fetch: ACCESS.EXECUTE };
const PRIVILEGE_CODE = {
  user: PRIVILEGE.USER,
  supervisor: PRIVILEGE.SUPERVISOR,
  'implicit-supervisor': PRIVILEGE.IMPLICIT_SUPERVISOR,
};

function translate(machine: TestMachine, { linear, access, privilege }: Scenario): ModelResult {
  const { mmu } = machine;
  const lo = Number(BigInt.asIntN(32, linear));
  const hi = Number(BigInt.asIntN(32, linear >> 32n));
  const host = mmu.translate(lo, hi, ACCESS_CODE[access], PRIVILEGE_CODE[privilege]);
  const { fault } = mmu;
  if (host >= 0) {
    const report = mmu.walkReport(linear);
    const guestPhysical = BigInt(report.guestPhysical ?? -1);
    return { kind: 'address', host: BigInt(host), guestPhysical, pageSize: BigInt(report.pageSize ?? 0) };
  }
  if (host === UNTRANSLATED.NON_CANONICAL) return { kind: 'non-canonical' };
  if (host === UNTRANSLATED.PAGE_FAULT) return { kind: 'page', errorCode: fault.errorCode };
  const { kind, guestPhysical, qualification } = fault.secondLevel;
  if (kind !== 'violation' && kind !== 'misconfiguration' && kind !== 'sub-page') throw new Error(kind);
  return { kind, guestPhysical: BigInt(guestPhysical), qualification };
}

describe('the page walk', () => {
  it('agrees with the manual in every paging mode, in one and two dimensions', () => {
    const outcomes = new Map<string, number>();
    fc.assert(
      fc.property(scenario, (input) => {
        const machine = testMachine(RAM, undefined, { physicalAddressBits: input.registers.maxphyaddr });
        for (const { address, value, size } of input.entries) {
          machine.physical.write(address, size, Number(value & 0xffff_ffffn), Number(value >> 32n));
        }
        load(machine, input);
        const ram = machine.state.u8.subarray(RAM_OFFSET, RAM_OFFSET + RAM);
        const model = ram.slice();
        const memory = modelMemory(model);
        const expected = translateByTheManual(
          memory,
          input.registers,
          input.linear,
          input.access,
          input.privilege,
        );
        const actual = translate(machine, input);
        expect(actual).toEqual(expected);
        expect(Buffer.compare(ram, model), 'memory after the walk').toBe(0);
        const key = `${input.registers.paging}${input.registers.ept ? '+EPT' : ''} ${expected.kind}`;
        outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
        if (expected.kind === 'sub-page') outcomes.set('sub-page', (outcomes.get('sub-page') ?? 0) + 1);
        if (expected.kind === 'violation' && (expected.qualification & UNVERIFIED) !== 0)
          outcomes.set('unverified', (outcomes.get('unverified') ?? 0) + 1);
      }),
      { seed: 20260101, numRuns: 20_000 },
    );
    // Every mode got somewhere and failed in every way that it can.
    for (const paging of ['32-bit', 'PAE', '4-level', '5-level']) {
      for (const ept of ['', '+EPT']) {
        for (const kind of ['address', 'page'])
          expect(outcomes.get(`${paging}${ept} ${kind}`)).toBeGreaterThan(100);
      }
      for (const kind of ['violation', 'misconfiguration']) {
        expect(outcomes.get(`${paging}+EPT ${kind}`)).toBeGreaterThan(50);
      }
    }
    expect(outcomes.get('sub-page')).toBeGreaterThan(5);
    expect(outcomes.get('unverified')).toBeGreaterThan(50);
  }, 120_000);
});
