/**
 * Carry-less multiplication and SHA rounds.
 *
 * Intel SDM Vol. 1, "PCLMULQDQ Instruction", 12.13.4; "Intel SHA Extensions", 5.22; FIPS 180-4.
 */
import { SDM } from '../../base/reference.ts';
import { Lanes, type VectorBody } from './execute.ts';
import { type VectorSystemRow, vectorRow } from './systemForms.ts';

const A = new Lanes();
const B = new Lanes();
const C = new Lanes();
const R = new Lanes();

/** Products without carries of the quadwords that bits 0 and 4 of the immediate choose. */
const carrylessMultiply: VectorBody = (x) => {
  const [left, right] = x.vex ? [1, 2] : [0, 1];
  if (!x.read(right, B)) return false;
  x.read(left, A);
  const a = A.u64[x.immediate & 1] as bigint;
  let product = 0n;
  let shifted = B.u64[(x.immediate >> 4) & 1] as bigint;
  for (let rest = a; rest !== 0n; rest >>= 1n) {
    if (rest & 1n) product ^= shifted;
    shifted <<= 1n;
  }
  R.u64[0] = BigInt.asUintN(64, product);
  R.u64[1] = product >> 64n;
  x.write(0, R);
  return undefined;
};

const rotateLeft = (value: number, count: number): number =>
  ((value << count) | (value >>> (32 - count))) >>> 0;
const rotateRight = (value: number, count: number): number => rotateLeft(value, 32 - count);
const choose = (e: number, f: number, g: number): number => (e & f) ^ (~e & g);
const majority = (a: number, b: number, c: number): number => (a & b) ^ (a & c) ^ (b & c);
const parity = (b: number, c: number, d: number): number => b ^ c ^ d;

/** The words of an operand from the highest to the lowest, as the manual has them. */
type Words = readonly [number, number, number, number];
const words = (lanes: Lanes): Words =>
  [lanes.u32[3], lanes.u32[2], lanes.u32[1], lanes.u32[0]] as unknown as Words;

/** An instruction on the words of both operands, and of XMM0. */
function sha(
  compute: (one: Words, two: Words, zero: Words, immediate: number) => readonly number[],
): VectorBody {
  return (x) => {
    if (!x.read(1, B)) return false;
    x.read(0, A);
    x.readRegister('xmm', 0, C);
    const result = compute(words(A), words(B), words(C), x.instruction.operandCount > 2 ? x.immediate : 0);
    for (let i = 0; i < 4; i++) R.u32[3 - i] = result[i] as number;
    x.write(0, R);
    return undefined;
  };
}

const SHA1_ROUNDS = [
  { mix: choose, constant: 0x5a82_7999 },
  { mix: parity, constant: 0x6ed9_eba1 },
  { mix: majority, constant: 0x8f1b_bcdc },
  { mix: parity, constant: 0xca62_c1d6 },
] as const;

const sha1Rounds = sha((one, two, _zero, immediate) => {
  const { mix, constant } = SHA1_ROUNDS[immediate & 3] as (typeof SHA1_ROUNDS)[number];
  let [a, b, c, d] = one;
  // E is part of the first word.
  let e = 0;
  for (const word of two) {
    const next = (mix(b, c, d) + rotateLeft(a, 5) + word + e + constant) >>> 0;
    [a, b, c, d, e] = [next, a, rotateLeft(b, 30), c, d];
  }
  return [a, b, c, d];
});

const sha1Message2 = sha((one, two) => {
  const first = rotateLeft(one[0] ^ two[1], 1);
  return [
    first,
    rotateLeft(one[1] ^ two[2], 1),
    rotateLeft(one[2] ^ two[3], 1),
    rotateLeft(one[3] ^ first, 1),
  ];
});

const smallSigma0 = (w: number): number => rotateRight(w, 7) ^ rotateRight(w, 18) ^ (w >>> 3);
const smallSigma1 = (w: number): number => rotateRight(w, 17) ^ rotateRight(w, 19) ^ (w >>> 10);
const bigSigma0 = (a: number): number => rotateRight(a, 2) ^ rotateRight(a, 13) ^ rotateRight(a, 22);
const bigSigma1 = (e: number): number => rotateRight(e, 6) ^ rotateRight(e, 11) ^ rotateRight(e, 25);

const sha256Rounds = sha((one, two, zero) => {
  let [a, b, e, f] = two;
  let [c, d, g, h] = one;
  for (const key of [zero[3], zero[2]]) {
    const first = (choose(e, f, g) + bigSigma1(e) + key + h) >>> 0;
    const next = (first + majority(a, b, c) + bigSigma0(a)) >>> 0;
    [a, b, c, d, e, f, g, h] = [next, a, b, c, (first + d) >>> 0, e, f, g];
  }
  return [a, b, e, f];
});

const sha256Message1 = sha((one, two) => [
  one[0] + smallSigma0(two[3]),
  one[1] + smallSigma0(one[0]),
  one[2] + smallSigma0(one[1]),
  one[3] + smallSigma0(one[2]),
]);

const sha256Message2 = sha((one, two) => {
  const w16 = (one[3] + smallSigma1(two[1])) >>> 0;
  const w17 = (one[2] + smallSigma1(two[0])) >>> 0;
  return [one[0] + smallSigma1(w17), one[1] + smallSigma1(w16), w17, w16];
});

function shaRow(name: string, tail: string, body: VectorBody, title: string): VectorSystemRow {
  return vectorRow(name, [{ operands: `v128 vm128${tail}`, feature: 'SHA' }], body, SDM(title));
}

// biome-ignore format: rows are read as a table
export const CRYPTOGRAPHY_ROWS: readonly VectorSystemRow[] = [
  vectorRow('PCLMULQDQ', [{ operands: 'v128 vm128 i8', feature: 'PCLMULQDQ' }], carrylessMultiply, SDM('PCLMULQDQ—Carry-Less Multiplication Quadword')),
  vectorRow('VPCLMULQDQ', [{ operands: 'v128 v128 vm128 i8', feature: 'PCLMULQDQ' }], carrylessMultiply, SDM('PCLMULQDQ—Carry-Less Multiplication Quadword')),
  shaRow('SHA1RNDS4', ' i8', sha1Rounds, 'SHA1RNDS4—Perform Four Rounds of SHA1 Operation'),
  shaRow('SHA1NEXTE', '', sha((one, two) => [two[0] + rotateLeft(one[0], 30), two[1], two[2], two[3]]), 'SHA1NEXTE—Calculate SHA1 State Variable E After Four Rounds'),
  shaRow('SHA1MSG1', '', sha((one, two) => [one[2] ^ one[0], one[3] ^ one[1], two[0] ^ one[2], two[1] ^ one[3]]), 'SHA1MSG1—Perform an Intermediate Calculation for the Next Four SHA1 Message Dwords'),
  shaRow('SHA1MSG2', '', sha1Message2, 'SHA1MSG2—Perform a Final Calculation for the Next Four SHA1 Message Dwords'),
  shaRow('SHA256RNDS2', ' z', sha256Rounds, 'SHA256RNDS2—Perform Two Rounds of SHA256 Operation'),
  shaRow('SHA256MSG1', '', sha256Message1, 'SHA256MSG1—Perform an Intermediate Calculation for the Next Four SHA256 Message Dwords'),
  shaRow('SHA256MSG2', '', sha256Message2, 'SHA256MSG2—Perform a Final Calculation for the Next Four SHA256 Message Dwords'),
];
