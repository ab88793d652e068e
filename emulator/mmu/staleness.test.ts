/**
 * No stale translation is used where the manual forbids it: a random program changes paging structures, invalidates,
 * switches contexts and accesses memory. A model remembers, for each cached-translation tag and page, since when values
 * may still be cached; each access has to be explained by values that were in the structures since then.
 *
 * Intel SDM Vol. 3A, "Invalidation of TLBs and Paging-Structure Caches", 5.10.4; Vol. 3C, "Invalidating Cached
 * Translation Information", 30.4.3.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RAM_OFFSET } from '../state/layout.ts';
import { CR0, CR4, FLAG } from '../state/registers.ts';
import { SLOW } from './mmu.ts';
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

const RAM = 0x10_0000;
const PCIDS = [0, 1, 2];
const LINEARS = [0x40_0000n, 0x40_1000n, 0xffff_8000_0000_0000n];
/** The first page of each region that a PDE translates. */
const REGIONS = [0, 2];
const regionOf = (page: number): number => (page < 2 ? 0 : 1);
const tableAddress = (pcid: number, region: number, table: number): bigint =>
  BigInt(0x1_8000 + pcid * 0x1_0000 + region * 0x2000 + table * 0x1000);
/** Guest-physical frames that linear pages are mapped to; EPT maps each to one of the host frames. */
const FRAMES = [0x8_0000n, 0x8_1000n, 0x8_2000n];
const HOST_FRAMES = [0x9_0000n, 0x9_1000n, 0x9_2000n, 0x9_3000n];
/** Root operation, a guest with EPT and a VPID, the same with another VPID, one without EPT. */
const WORLDS = [
  { vpid: 0, ept: false },
  { vpid: 1, ept: true },
  { vpid: 2, ept: true },
  { vpid: 3, ept: false },
] as const;

type Operation =
  | { readonly kind: 'access'; readonly page: number; readonly write: boolean }
  | {
      readonly kind: 'map';
      readonly pcid: number;
      readonly page: number;
      readonly table: number;
      readonly value: bigint;
    }
  | {
      readonly kind: 'switch-table';
      readonly pcid: number;
      readonly page: number;
      readonly table: number;
      readonly rights: bigint;
    }
  | { readonly kind: 'map-ept'; readonly frame: number; readonly value: bigint }
  | { readonly kind: 'invlpg'; readonly page: number }
  | { readonly kind: 'mov-cr3'; readonly pcid: number; readonly preserve: boolean }
  | { readonly kind: 'toggle-pge' }
  | { readonly kind: 'invpcid'; readonly pcid: number }
  | { readonly kind: 'invvpid'; readonly vpid: number }
  | { readonly kind: 'invept'; readonly all: boolean }
  | { readonly kind: 'world'; readonly world: number }
  | { readonly kind: 'privilege'; readonly user: boolean; readonly wp: boolean; readonly ac: boolean };

const page = fc.nat(LINEARS.length - 1);
const pcid = fc.constantFrom(...PCIDS);
/** Each region has two page tables, between which its PDE switches. */
const table = fc.nat(1);
const rights = fc.constantFrom(
  0n,
  PTE.P,
  PTE.P | PTE.W,
  PTE.P | PTE.U,
  PWU,
  PWU | PTE.A | PTE.D,
  PWU | PTE.A,
);
const eptRights = fc.constantFrom(0n, EPT.R, RWX, RWX, RWX);

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 30, arbitrary: fc.record({ kind: fc.constant('access' as const), page, write: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc
      .tuple(pcid, page, table, rights, fc.constantFrom(...FRAMES))
      .map(([id, number, which, bits, frame]) => ({
        kind: 'map' as const,
        pcid: id,
        page: number,
        table: which,
        value: bits && bits | frame,
      })),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('switch-table' as const),
      pcid,
      page,
      table,
      rights: fc.constantFrom(PWU, PTE.P | PTE.U, PTE.P | PTE.W, 0n),
    }),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.nat(FRAMES.length - 1), eptRights, fc.constantFrom(...HOST_FRAMES))
      .map(([frame, bits, host]) => ({
        kind: 'map-ept' as const,
        frame,
        value: bits && bits | EPT.WB | host,
      })),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('invlpg' as const), page }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('mov-cr3' as const), pcid, preserve: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'toggle-pge' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('invpcid' as const), pcid }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('invvpid' as const), vpid: fc.constantFrom(1, 2, 3) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('invept' as const), all: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('world' as const), world: fc.nat(WORLDS.length - 1) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('privilege' as const),
      user: fc.boolean(),
      wp: fc.boolean(),
      ac: fc.boolean(),
    }),
  },
);

interface Stamped {
  readonly value: bigint;
  /** When the value was replaced; infinite for the current one. */
  until: number;
}

/** All values of an entry, with their times. */
class History {
  readonly values: Stamped[] = [];

  set(value: bigint, now: number): void {
    const last = this.values[this.values.length - 1];
    if (last?.value === value) return;
    if (last) last.until = now;
    this.values.push({ value, until: Number.POSITIVE_INFINITY });
  }

  since(time: number): bigint[] {
    return this.values.filter(({ until }) => until > time).map(({ value }) => value);
  }
}

/** Since when values of each kind of entry may explain an access. */
interface Window {
  readonly pde: number;
  readonly pte: number;
  readonly ept: number;
}

class Program {
  readonly machine: TestMachine;
  /** Guest tables by PCID; all worlds share them: without EPT guest-physical addresses are host-physical. */
  readonly tables: LongTables[];
  readonly ept: LongTables;
  readonly pdes = PCIDS.map(() => REGIONS.map(() => new History()));
  readonly ptes = PCIDS.map(() => LINEARS.map(() => [new History(), new History()]));
  readonly frames = FRAMES.map(() => new History());
  /** Since when translations of (VPID, PCID, page), and structures of (VPID, PCID), may be cached. */
  readonly pageValid = new Map<string, number>();
  readonly structuresValid = new Map<string, number>();
  eptValid = 0;
  now = 1;
  world = 0;
  pcid = 0;
  hits = 0;

  constructor() {
    this.machine = testMachine(RAM);
    const { physical, state } = this.machine;
    this.tables = PCIDS.map((id) => new LongTables(physical, BigInt(0x1_0000 + id * 0x1_0000), PWU | PTE.A));
    this.ept = new LongTables(physical, 0x4_0000n, RWX);
    // EPT maps the guest's tables to themselves.
    for (let frame = 0x1_0000n; frame < 0x4_0000n; frame += 0x1000n)
      this.ept.set(frame, frame | RWX | EPT.WB);
    FRAMES.forEach((_, frame) => {
      this.run({ kind: 'map-ept', frame, value: HOST_FRAMES[frame] | RWX | EPT.WB });
    });
    for (const pcid of PCIDS) {
      REGIONS.forEach((page) => {
        this.run({ kind: 'switch-table', pcid, page, table: 0, rights: PWU });
      });
      LINEARS.forEach((_, page) => {
        for (const table of [0, 1]) this.run({ kind: 'map', pcid, page, table, value: FRAMES[page] | PWU });
      });
    }
    enter64BitMode(this.machine, this.tables[0].root);
    state.systemFlags = FLAG.FIXED | FLAG.AC;
    state.CR4 |= BigInt(CR4.PCIDE | CR4.SMAP);
    this.machine.mmu.updateContext();
  }

  run(operation: Operation): void {
    this.now++;
    const { mmu, state, physical } = this.machine;
    switch (operation.kind) {
      case 'access':
        this.access(operation.page, operation.write);
        return;
      case 'map': {
        const { pcid, page, table, value } = operation;
        physical.write64(this.pteAddress(pcid, page, table), value);
        this.ptes[pcid][page][table].set(value, this.now);
        return;
      }
      case 'switch-table': {
        const { pcid, page, table, rights } = operation;
        const value = rights && rights | tableAddress(pcid, regionOf(page), table);
        this.tables[pcid].set(LINEARS[page], value, 2);
        this.pdes[pcid][regionOf(page)].set(value, this.now);
        return;
      }
      case 'map-ept':
        this.ept.set(FRAMES[operation.frame], operation.value);
        this.frames[operation.frame].set(operation.value, this.now);
        return;
      case 'invlpg':
        mmu.invalidatePage(LINEARS[operation.page]);
        this.pageValid.set(`${this.vpid}/${this.pcid}/${operation.page}`, this.now);
        // Paging-structure caches go whatever the address.
        this.structuresValid.set(`${this.vpid}/${this.pcid}`, this.now);
        return;
      case 'mov-cr3':
        this.pcid = operation.pcid;
        state.CR3 = this.tables[this.pcid].root | BigInt(this.pcid);
        mmu.updateContext();
        if (operation.preserve) return;
        mmu.flushCurrent();
        this.invalidate((vpid, id) => vpid === this.vpid && id === this.pcid);
        return;
      case 'toggle-pge':
        state.CR4 ^= BigInt(CR4.PGE);
        mmu.updateContext();
        this.invalidate((vpid) => vpid === this.vpid);
        return;
      case 'invpcid':
        mmu.spaces.flushPcid(operation.pcid);
        this.invalidate((vpid, id) => vpid === this.vpid && id === operation.pcid);
        return;
      case 'invvpid':
        mmu.spaces.flushVpid(operation.vpid);
        this.invalidate((vpid) => vpid === operation.vpid);
        return;
      case 'invept':
        mmu.spaces.invalidateEpt(operation.all ? undefined : this.eptp);
        this.eptValid = this.now;
        // Combined mappings go as well.
        this.invalidate((vpid) => WORLDS.some((world) => world.vpid === vpid && world.ept));
        return;
      case 'world': {
        this.world = operation.world;
        const { vpid, ept } = WORLDS[this.world];
        mmu.spaces.switchTo(vpid, ept ? this.eptp : undefined);
        return;
      }
      case 'privilege':
        state.CPL = operation.user ? 3 : 0;
        state.CR0 = BigInt((CR0.PE | CR0.PG | (operation.wp ? CR0.WP : 0)) >>> 0);
        state.systemFlags = FLAG.FIXED | (operation.ac ? FLAG.AC : 0);
        mmu.updateContext();
    }
  }

  get vpid(): number {
    return WORLDS[this.world].vpid;
  }

  get eptp(): bigint {
    return this.ept.root | 0x1en;
  }

  pteAddress(pcid: number, page: number, table: number): number {
    return Number(tableAddress(pcid, regionOf(page), table) + ((LINEARS[page] >> 12n) & 511n) * 8n);
  }

  /** As generated code does it: the TLB, then the slow path. */
  access(page: number, write: boolean): void {
    const { mmu, state } = this.machine;
    const { vpid, pcid } = this;
    const what = `${write ? 'write' : 'read'} of page ${page}`;
    const cached = this.cachedHost(page, write);
    if (cached !== undefined) {
      this.hits++;
      const since = this.pageValid.get(`${vpid}/${pcid}/${page}`) ?? 0;
      const explained = this.hosts(page, write, { pde: since, pte: since, ept: this.eptValid }, PTE.D);
      expect(explained, `${what} by the TLB`).toContain(cached);
      return;
    }
    state.ACCESS_ADDRESS = LINEARS[page];
    state.ACCESS_VALUE = 0n;
    const outcome = write ? mmu.writeSlow(8) : mmu.readSlow(8, false);
    const { now } = this;
    if (outcome === SLOW.FAULT) {
      expect(this.hosts(page, write, { pde: now, pte: now, ept: now }, 0n), `${what} that failed`).toEqual(
        [],
      );
      this.pageValid.set(`${vpid}/${pcid}/${page}`, now);
      return;
    }
    const pde = this.structuresValid.get(`${vpid}/${pcid}`) ?? 0;
    const explained = this.hosts(page, write, { pde, pte: now, ept: this.eptValid }, 0n);
    expect(explained, `${what} by a walk`).toContain(this.cachedHost(page, write));
    // Flags that the walk set are new values of the entries.
    this.pdes[pcid][regionOf(page)].set(this.tables[pcid].get(LINEARS[page], 2), now);
    for (const table of [0, 1]) {
      this.ptes[pcid][page][table].set(this.machine.physical.read64(this.pteAddress(pcid, page, table)), now);
    }
  }

  /** What generated code finds in the TLB. */
  cachedHost(page: number, write: boolean): bigint | undefined {
    const { mmu, state } = this.machine;
    const lo = Number(BigInt.asIntN(32, LINEARS[page]));
    const hi = Number(BigInt.asIntN(32, LINEARS[page] >> 32n));
    const context = Number(state.CONTEXT);
    const offset = write ? mmu.tlb.lookUpWrite(lo, hi, context) : mmu.tlb.lookUpRead(lo, hi, context);
    return offset < 0 ? undefined : BigInt(offset - RAM_OFFSET);
  }

  /** The host frames that an access may reach with values of the window. `dirty`: the flag that a write needs. */
  hosts(page: number, write: boolean, window: Window, dirty: bigint): bigint[] {
    const found: bigint[] = [];
    for (const pde of this.pdes[this.pcid][regionOf(page)].since(window.pde)) {
      if ((pde & PTE.P) === 0n) continue;
      const table = (pde & 0xf_f000n) === tableAddress(this.pcid, regionOf(page), 0) ? 0 : 1;
      for (const pte of this.ptes[this.pcid][page][table].since(window.pte)) {
        if (write && (pte & dirty) !== dirty) continue;
        if (this.permits(pte, pde & pte, write))
          found.push(...this.hostFrames(pte & 0xf_f000n, write, window.ept));
      }
    }
    return found;
  }

  hostFrames(frame: bigint, write: boolean, since: number): bigint[] {
    if (!WORLDS[this.world].ept) return [frame];
    const entries = this.frames[FRAMES.indexOf(frame)].since(since);
    return entries.filter((entry) => (entry & (write ? 2n : 1n)) !== 0n).map((entry) => entry & 0xf_f000n);
  }

  permits(pte: bigint, rights: bigint, write: boolean): boolean {
    const { state } = this.machine;
    if ((pte & PTE.P) === 0n) return false;
    const user = (rights & PTE.U) !== 0n;
    const writable = (rights & PTE.W) !== 0n;
    if (state.CPL === 3) return user && (!write || writable);
    if (user && (state.systemFlags & FLAG.AC) === 0) return false;
    return !write || writable || (state.cr0 & CR0.WP) === 0;
  }

  invalidate(chosen: (vpid: number, pcid: number) => boolean): void {
    for (const { vpid } of WORLDS) {
      for (const id of PCIDS) {
        if (!chosen(vpid, id)) continue;
        this.structuresValid.set(`${vpid}/${id}`, this.now);
        LINEARS.forEach((_, page) => {
          this.pageValid.set(`${vpid}/${id}/${page}`, this.now);
        });
      }
    }
  }
}

describe('cached translations', () => {
  it('are never used after an operation that invalidates them', () => {
    let hits = 0;
    fc.assert(
      fc.property(fc.array(operation, { minLength: 20, maxLength: 150, size: 'max' }), (operations) => {
        const program = new Program();
        for (const step of operations) program.run(step);
        hits += program.hits;
      }),
      { seed: 7, numRuns: 1200 },
    );
    // Caching took place at all.
    expect(hits).toBeGreaterThan(10_000);
  }, 60_000);
});
