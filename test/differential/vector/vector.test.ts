/**
 * Vector instructions against the host's processor: the same seeded states in both tiers. Registers, MXCSR, the x87 state of
 * MMX instructions, flags, memory and exceptions must agree.
 */

import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../support/random.ts';
import { missing } from '../../support/tools.ts';
import { CASES } from '../caseCount.ts';
import type { Case, Result } from '../integer/batch.ts';
import { differences } from '../integer/compare.ts';
import { EmulatedProcessor } from '../integer/emulated.ts';
import { contentOf, PAGES } from '../integer/layout.ts';
import { hostProcessor, runNatively } from '../integer/native.ts';
import { PLACE } from '../integer/vectors.ts';
import type { PlacedVector } from './cases.ts';
import { linearOf, makeVectorCase, VectorProgram } from './cases.ts';
import type { VectorForm } from './forms.ts';
import { vectorForms } from './forms.ts';

/** Instructions of a row: at least one of each form. */
const INSTRUCTIONS = 12;
/** Rows in one program: the code pages hold so many. */
const ROWS = 200;
const REPORTED = 3;

/** What /proc/cpuinfo calls features. */
const HOST_FLAGS: Readonly<Record<string, string>> = {
  MMX: 'mmx', SSE: 'sse', SSE2: 'sse2', SSE3: 'pni', SSSE3: 'ssse3', SSE4_1: 'sse4_1', SSE4_2: 'sse4_2', AVX: 'avx', AVX2: 'avx2',
  AESNI: 'aes', PCLMULQDQ: 'pclmulqdq', SHA: 'sha_ni', F16C: 'f16c', FMA: 'fma', FXSR: 'fxsr', XSAVE: 'xsave', XSAVEOPT: 'xsaveopt', XSAVEC: 'xsavec', SSE4A: 'sse4a',
}; // biome-ignore format: names in pairs

function hostHas({ feature, op }: VectorForm): boolean {
  const flag = HOST_FLAGS[feature];
  if (flag === undefined) throw new Error(`${op}: what does /proc/cpuinfo call ${feature}?`);
  return hostProcessor().flags.has(flag);
}

interface VectorCase {
  readonly placed: PlacedVector;
  readonly state: Case;
  readonly native: Result;
}

/** The manual leaves their bits to the processor, within an error. */
const APPROXIMATE = /^V?(RCP|RSQRT)[PS]S$/;
const RELATIVE_ERROR = 1.5 * 2 ** -12;

/** The host's result with our elements where they are as near as the manual demands of both. */
function approximated(found: Result, native: Result): Result {
  const vectors = Uint8Array.from(native.vectors as Uint8Array);
  const [mine, theirs] = [new DataView((found.vectors as Uint8Array).buffer), new DataView(vectors.buffer)];
  for (let at = 0; at < 512; at += 4) {
    const [a, b] = [mine.getFloat32(at, true), theirs.getFloat32(at, true)];
    if (Math.abs(a - b) <= 2 * RELATIVE_ERROR * Math.abs(b))
      theirs.setUint32(at, mine.getUint32(at, true), true);
  }
  return { ...native, vectors };
}

/** Images of the state. Where in the operand a fault lies is the processor's choice, and so is MXCSR_MASK. */
const STATE = /SAVE|RSTOR/;
const MXCSR_MASK = 28n;
const PAGE_FAULT = 14;

function withOurMask(found: Result, native: Result, { memory }: PlacedVector): Result {
  const bytes = (changes: Result['changes']) =>
    new Map(
      changes.flatMap(({ address, bytes: run }) => [...run].map((byte, i) => [address + BigInt(i), byte])),
    );
  const [ours, theirs] = [bytes(found.changes), bytes(native.changes)];
  const start = memory === undefined ? 0n : linearOf(found.gpr, memory);
  const own = new Set(Array.from({ length: 4 }, (_, i) => start + MXCSR_MASK + BigInt(i)));
  const content = new Map(PAGES.map((page) => [page.address, contentOf(page)]));
  const before = (address: bigint) => content.get(Number(address & ~0xfffn))?.[Number(address & 0xfffn)];
  const differs = [...ours.keys(), ...theirs.keys()].some(
    (address) =>
      !own.has(address) &&
      (ours.get(address) ?? before(address)) !== (theirs.get(address) ?? before(address)),
  );
  const faults = found.vector === PAGE_FAULT && native.vector === PAGE_FAULT;
  const errorCode = faults ? found.errorCode : native.errorCode;
  return { ...native, cr2: found.cr2, errorCode, changes: differs ? native.changes : found.changes };
}

const FLAGS_WRITTEN = 0x8d5;

describe.skipIf(missing('gcc', 'as', 'ld'))(
  'a vector instruction does what the host’s processor does',
  () => {
    const all = [...vectorForms()].filter(
      ([op]) => !process.env.HVM_ROWS || new RegExp(process.env.HVM_ROWS).test(op),
    );
    const rows = all.filter(([, forms]) => forms.every(hostHas));
    const groups = Array.from({ length: Math.ceil(rows.length / ROWS) }, (_, i) =>
      rows.slice(i * ROWS, (i + 1) * ROWS),
    );

    describe.each(groups.map((group, i) => ({ group, first: group[0]?.[0], i })))(
      'from $first',
      ({ group, i: seed }) => {
        const cases = new Map<string, VectorCase[]>();
        let tiers: { name: string; processor: EmulatedProcessor }[];

        beforeAll(() => {
          const random = new Random(0x5e + seed);
          const program = new VectorProgram(random);
          const made: { op: string; placed: PlacedVector; state: Case }[] = [];
          for (const [op, forms] of group) {
            const count = Math.max(forms.length, Math.min(INSTRUCTIONS, CASES));
            const each = Math.max(2, Math.ceil(CASES / count));
            for (let i = 0; i < count; i++) {
              const placed = program.add(forms[i % forms.length] as VectorForm);
              for (let n = 0; n < each; n++) made.push({ op, placed, state: makeVectorCase(placed, random) });
            }
          }
          const code = program.assemble();
          const results = runNatively(
            code,
            made.map(({ state }) => state),
          );
          made.forEach(({ op, placed, state }, i) => {
            const list = cases.get(op) ?? [];
            list.push({ placed, state, native: results[i] as Result });
            cases.set(op, list);
          });
          tiers = [
            { name: 'interpreted', processor: new EmulatedProcessor(code, false) },
            { name: 'translated', processor: new EmulatedProcessor(code, true) },
          ];
        });

        it.each(group.map(([op]) => ({ op })))('$op', ({ op }) => {
          const reports: string[] = [];
          let failed = 0;
          const own = cases.get(op) as VectorCase[];
          for (const { placed, state, native } of own) {
            for (const { name, processor } of tiers) {
              const found = processor.run(state);
              const wanted = APPROXIMATE.test(op) ? approximated(found, native) : native;
              const lines = compare(found, STATE.test(op) ? withOurMask(found, wanted, placed) : wanted);
              if (lines.length === 0) continue;
              if (failed++ < REPORTED)
                reports.push(describeVectorCase(placed.text, state), `${name}:`, ...lines, '');
            }
          }
          if (failed > 0) expect.fail(`${failed} runs of ${own.length} cases differ\n${reports.join('\n')}`);
        });
      },
    );

    const lacking = all.filter(([, forms]) => !forms.every(hostHas)).map(([op]) => op);
    it(`and the host has every row${lacking.length > 0 ? ` but ${lacking.join(', ')}` : ''}`, () => {
      expect(rows.length + lacking.length).toBe(all.length);
    });
  },
);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).reverse().toString('hex');

function compare(found: Result, native: Result): string[] {
  const lines = differences(found, native, 0, 'nothing');
  const [mine, theirs] = [found.vectors as Uint8Array, native.vectors as Uint8Array];
  if (Buffer.compare(mine, theirs) === 0) return lines;
  const part = (name: string, at: number, length: number) => {
    const [a, b] = [hex(mine.subarray(at, at + length)), hex(theirs.subarray(at, at + length))];
    if (a !== b) lines.push(`${name} ${a}, the host has ${b}`);
  };
  for (let r = 0; r < 16; r++) part(`YMM${r}`, 32 * r, 32);
  part('MXCSR', PLACE.MXCSR, 4);
  part('x87 status', PLACE.STATUS, 2);
  part('x87 tags', PLACE.TAG, 1);
  for (let r = 0; r < 8; r++) part(`ST${r}`, PLACE.ST + 16 * r, 10);
  return lines;
}

/** The state and the instruction, as assembly text that can be run again. */
function describeVectorCase(text: string, { rip, gpr, pokes, vectors, rflags }: Case): string {
  const state = vectors as Uint8Array;
  const registers = [...new Set([...text.matchAll(/[xy]mm(\d+)/g)].map((match) => Number(match[1])))];
  const memory = pokes.map(({ address, bytes }) => `[0x${address.toString(16)}] = ${hex(bytes)}`);
  return [
    `.intel_syntax noprefix; .org 0x${rip.toString(16)} # RFLAGS 0x${(rflags & FLAGS_WRITTEN).toString(16)}`,
    `# MXCSR 0x${hex(state.subarray(PLACE.MXCSR, PLACE.MXCSR + 4))}; ${memory.join(', ')}`,
    ...registers.map((r) => `# YMM${r} = 0x${hex(state.subarray(32 * r, 32 * r + 32))}`),
    ...[...text.matchAll(/mm([0-7])\b/g)]
      .filter((match) => !/[xy]mm/.test(text.slice((match.index ?? 0) - 1, (match.index ?? 0) + 2)))
      .map((match) => `# MM${match[1]} at ST of TOP ${((state[PLACE.STATUS + 1] as number) >> 3) & 7}`),
    gpr.map((value, r) => `mov ${GENERAL[r]}, 0x${value.toString(16)}`).join('; '),
    text,
  ].join('\n');
}

const GENERAL = [
  'rax',
  'rcx',
  'rdx',
  'rbx',
  'rsp',
  'rbp',
  'rsi',
  'rdi',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
];
