/**
 * What a page walk, a slow access and a change of context cost, in nanoseconds. `now` gives milliseconds.
 */
import { OFFSET } from '../state/layout.ts';
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

export interface MmuBenchmark {
  readonly name: string;
  readonly nanoseconds: number;
}

const RAM = 64 * 1024 * 1024;
const PAGES = 4096;
const USED = PTE.A | PTE.D;
const ACCESS_ADDRESS = OFFSET.ACCESS_ADDRESS >> 2;

/** 16 MBytes from 0xffff_8000_0000_0000 on, in pages of 4 KBytes whose frames are scattered. */
function machine(ept: boolean): TestMachine {
  const made = testMachine(RAM);
  const { physical, mmu } = made;
  const tables = new LongTables(physical, 0x10_0000n, PWU | USED);
  for (let page = 0; page < PAGES; page++) {
    const frame = BigInt((page * 0x9e5 + 0x1000) % 0x3000) + 0x800n;
    tables.set(0xffff_8000_0000_0000n + BigInt(page) * 0x1000n, (frame << 12n) | PWU | USED);
  }
  enter64BitMode(made, tables.root);
  if (!ept) return made;
  const second = new LongTables(physical, 0x40_0000n, RWX | EPT.A);
  for (let frame = 0n; frame < BigInt(RAM); frame += 0x1000n)
    second.set(frame, frame | RWX | EPT.WB | EPT.A | EPT.D);
  mmu.spaces.switchTo(1, second.root | 0x5en);
  return made;
}

function measure(
  name: string,
  now: () => number,
  rounds: number,
  body: (index: number) => void,
): MmuBenchmark {
  let best = Number.POSITIVE_INFINITY;
  for (let trial = 0; trial < 60; trial++) {
    const start = now();
    for (let index = 0; index < rounds; index++) body(index);
    best = Math.min(best, now() - start);
  }
  return { name, nanoseconds: Math.round((best / rounds) * 1e7) / 10 };
}

export function benchmarkMmu(now: () => number, rounds = 40_000): readonly MmuBenchmark[] {
  const results: MmuBenchmark[] = [];
  for (const ept of [false, true]) {
    const { mmu, state } = machine(ept);
    const dimensions = ept ? '2-D' : '1-D';
    const high = 0xffff_8000 | 0;
    const walk = (mask: number) => (index: number) => {
      const lo = ((index * 0x9e37) & mask) << 12;
      if (mmu.translate(lo, high, ACCESS.READ, 0) < 0) throw new Error('the walk of the benchmark failed');
    };
    results.push(measure(`${dimensions} walk, 64 pages`, now, rounds, walk(63)));
    results.push(measure(`${dimensions} walk, ${PAGES} pages`, now, rounds, walk(PAGES - 1)));

    const slow = (write: boolean) => (index: number) => {
      state.i32[ACCESS_ADDRESS] = ((index * 0x9e37) & 63) << 12;
      state.i32[ACCESS_ADDRESS + 1] = high;
      if ((write ? mmu.writeSlow(8) : mmu.readSlow(8, false)) !== SLOW.OK)
        throw new Error('the access failed');
    };
    results.push(measure(`${dimensions} slow load`, now, rounds, slow(false)));
    results.push(measure(`${dimensions} slow store`, now, rounds, slow(true)));
    results.push(
      measure(`${dimensions} change of CPL`, now, rounds, (index) => {
        state.CPL = index & 1 ? 3 : 0;
        mmu.updateContext();
      }),
    );
    if (!ept) continue;
    const eptp = mmu.secondLevel.eptpLo;
    results.push(
      measure('VM exit and entry', now, rounds / 4, () => {
        mmu.spaces.switchTo(0, undefined);
        mmu.spaces.switchTo(1, BigInt(eptp));
      }),
    );
  }
  return results;
}
