/**
 * No stale translation is used where the manual forbids it: a random program changes paging structures, invalidates,
 * switches contexts and accesses memory. A model remembers, for each cached-translation tag and page, since when values
 * may still be cached; each access has to be explained by values that were in the structures since then.
 *
 * Intel SDM Vol. 3A, "Invalidation of TLBs and Paging-Structure Caches", 4.10.4; Vol. 3C, "Invalidating Cached
 * Translation Information", 29.4.3.
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
  | { readonly kind: 'map'; readonly pcid: number; readonly page: number; readonly value: bigint }
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
    arbitrary: fc.tuple(pcid, page, rights, fc.constantFrom(...FRAMES)).map(([id, number, bits, frame]) => ({
      kind: 'map' as const,
      pcid: id,
      page: number,
      value: bits && bits | frame,
    })),
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
    if (this.values.length > 0) this.values[this.values.length - 1].until = now;
    this.values.push({ value, until: Number.POSITIVE_INFINITY });
  }

  since(time: number): bigint[] {
    return this.values.filter(({ until }) => until > time).map(({ value }) => value);
  }
}

class Program {
  readonly machine: TestMachine;
  /** Guest tables by PCID; all worlds share them: world 0 and 3 use guest-physical addresses as host-physical ones. */
  readonly tables: LongTables[];
  readonly ept: LongTables;
  readonly pages = PCIDS.map(() => LINEARS.map(() => new History()));
  readonly frames = FRAMES.map(() => new History());
  /** Since when (VPID, PCID, page) may be cached. */
  readonly valid = new Map<string, number>();
  eptValid = 0;
  now = 1;
  world = 0;
  pcid = 0;
  hits = 0;

  constructor() {
    this.machine = testMachine(RAM);
    const { physical, state } = this.machine;
    this.tables = PCIDS.map((id) => new LongTables(physical, BigInt(0x1_0000 + id * 0x1_0000)));
    this.ept = new LongTables(physical, 0x4_0000n, RWX);
    // EPT maps the guest's tables to themselves.
    for (let frame = 0x1_0000n; frame < 0x4_0000n; frame += 0x1000n)
      this.ept.set(frame, frame | RWX | EPT.WB);
    FRAMES.forEach((_, frame) => {
      this.run({ kind: 'map-ept', frame, value: HOST_FRAMES[frame] | RWX | EPT.WB });
    });
    for (const pcid of PCIDS) {
      LINEARS.forEach((_, number) => {
        this.run({ kind: 'map', pcid, page: number, value: FRAMES[number] | PWU });
      });
    }
    enter64BitMode(this.machine, this.tables[0].root);
    state.systemFlags = FLAG.FIXED | FLAG.AC;
    state.CR4 |= BigInt(CR4.PCIDE | CR4.SMAP);
    this.machine.mmu.updateContext();
  }

  run(operation: Operation): void {
    this.now++;
    const { mmu, state } = this.machine;
    switch (operation.kind) {
      case 'access':
        this.access(operation.page, operation.write);
        return;
      case 'map':
        this.tables[operation.pcid].set(LINEARS[operation.page], operation.value);
        this.pages[operation.pcid][operation.page].set(operation.value, this.now);
        return;
      case 'map-ept':
        this.ept.set(FRAMES[operation.frame], operation.value);
        this.frames[operation.frame].set(operation.value, this.now);
        return;
      case 'invlpg':
        mmu.invalidatePage(LINEARS[operation.page]);
        this.invalidate(
          (vpid, id, number) => vpid === this.vpid && id === this.pcid && number === operation.page,
        );
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

  /** As generated code does it: the TLB, then the slow path. */
  access(number: number, write: boolean): void {
    const { mmu, state } = this.machine;
    const linear = LINEARS[number];
    const lo = Number(BigInt.asIntN(32, linear));
    const hi = Number(BigInt.asIntN(32, linear >> 32n));
    const context = Number(state.CONTEXT);
    const offset = write ? mmu.tlb.lookUpWrite(lo, hi, context) : mmu.tlb.lookUpRead(lo, hi, context);
    if (offset >= 0) {
      this.hits++;
      const host = BigInt(offset - RAM_OFFSET);
      expect(this.explains(number, write, host), `${write ? 'write' : 'read'} of ${host.toString(16)}`).toBe(
        true,
      );
      return;
    }
    state.ACCESS_ADDRESS = linear;
    state.ACCESS_VALUE = 0n;
    const outcome = write ? mmu.writeSlow(8) : mmu.readSlow(8, false);
    if (outcome === SLOW.FAULT) {
      this.invalidate((vpid, id, other) => vpid === this.vpid && id === this.pcid && other === number);
      return;
    }
    // Flags that the walk set are new values of the entries.
    const value = this.tables[this.pcid].get(linear);
    const history = this.pages[this.pcid][number];
    if (history.values[history.values.length - 1].value !== value) history.set(value, this.now);
  }

  explains(number: number, write: boolean, host: bigint): boolean {
    const since = this.valid.get(`${this.vpid}/${this.pcid}/${number}`) ?? 0;
    return this.pages[this.pcid][number].since(since).some((entry) => {
      if (!this.permits(entry, write)) return false;
      const frame = entry & 0xf_f000n;
      if (!WORLDS[this.world].ept) return frame === host;
      const index = FRAMES.indexOf(frame);
      return this.frames[index]
        .since(this.eptValid)
        .some((second) => (second & 0xf_f000n) === host && (second & (write ? 2n : 1n)) !== 0n);
    });
  }

  permits(entry: bigint, write: boolean): boolean {
    const { state } = this.machine;
    if ((entry & PTE.P) === 0n || (write && (entry & PTE.D) === 0n)) return false;
    const user = (entry & PTE.U) !== 0n;
    if (state.CPL === 3) return user && (!write || (entry & PTE.W) !== 0n);
    if (user && (state.systemFlags & FLAG.AC) === 0) return false;
    return !write || (entry & PTE.W) !== 0n || (state.cr0 & CR0.WP) === 0;
  }

  invalidate(chosen: (vpid: number, pcid: number, page: number) => boolean): void {
    for (const { vpid } of WORLDS) {
      for (const id of PCIDS) {
        for (let number = 0; number < LINEARS.length; number++) {
          if (chosen(vpid, id, number)) this.valid.set(`${vpid}/${id}/${number}`, this.now);
        }
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
      { seed: 7, numRuns: 1500 },
    );
    // Caching took place at all.
    expect(hits).toBeGreaterThan(10_000);
  }, 60_000);
});
