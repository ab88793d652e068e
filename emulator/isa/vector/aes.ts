/**
 * AES rounds. The S-box is looked up by sixteen swizzles, one for each row of sixteen entries, so that no table in memory is
 * needed and all bytes are done at once.
 *
 * Intel SDM Vol. 1, "Intel AES New Instructions", 12.13; FIPS 197.
 */
import { SDM } from '../../base/reference.ts';
import type { Emitter } from '../emitter.ts';
import type { SemanticRow } from '../forms.ts';
import type { Value } from '../ir.ts';
import { begin, bytes, i32, isVex, repeated, result, source } from './forms.ts';
import { formOf } from './moves.ts';

/** Times x in GF(2^8) with the polynomial 11BH. */
const double = (value: number): number => ((value << 1) ^ (value & 0x80 ? 0x11b : 0)) & 0xff;

function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = a;
  for (let rest = b; rest !== 0; rest >>= 1) {
    if (rest & 1) product ^= shifted;
    shifted = double(shifted);
  }
  return product;
}

/** The S-box: the inverse in the field, then an affine transformation. */
const SUBSTITUTE = new Uint8Array(256);
const INVERSE = new Uint8Array(256);
for (let value = 0; value < 256; value++) {
  let inverse = 0;
  for (let candidate = 1; value !== 0 && inverse === 0; candidate++)
    if (multiply(value, candidate) === 1) inverse = candidate;
  let substituted = 0x63;
  for (let shift = 0; shift < 5; shift++)
    substituted ^= ((inverse << shift) | (inverse >> (8 - shift))) & 0xff;
  SUBSTITUTE[value] = substituted;
  INVERSE[substituted] = value;
}

const xor = (e: Emitter, ...values: readonly Value[]): Value =>
  values.reduce((a, b) => e.simd('v128_xor', [a, b]));

const permute = (e: Emitter, value: Value, order: readonly number[]): Value =>
  e.simd('i8x16_shuffle', [value, value], order);

/** An index beyond the row of 16 gives zero, so every byte comes from one row alone. */
function lookUp(e: Emitter, value: Value, box: Uint8Array): Value {
  let indexes = value;
  let found: Value | undefined;
  for (let row = 0; row < 16; row++) {
    const entries = bytes(e, ...box.subarray(16 * row, 16 * row + 16));
    const part = e.simd('i8x16_swizzle', [entries, indexes]);
    found = found ? e.simd('v128_or', [found, part]) : part;
    indexes = e.simd('i8x16_sub', [indexes, repeated(e, 16)]);
  }
  return found as Value;
}

/** Every byte times x. */
function doubled(e: Emitter, value: Value): Value {
  const carries = e.simd('i8x16_gt_s', [repeated(e, 0), value]);
  const reduced = e.simd('v128_and', [carries, repeated(e, 0x1b)]);
  return xor(e, e.simd('i8x16_add', [value, value]), reduced);
}

/** Column `c`, row `r` is byte 4c + r. */
const within = (step: number): number[] => Array.from({ length: 16 }, (_, i) => (i & ~3) | ((i + step) & 3));
/** Row r moves by r columns. */
const ROWS_LEFT = Array.from({ length: 16 }, (_, i) => (i + 4 * (i % 4)) % 16);
const ROWS_RIGHT = Array.from({ length: 16 }, (_, i) => (i + 12 * (i % 4)) % 16);

/** 2, 3, 1, 1 times the bytes of a column from the own one on. */
function mixColumns(e: Emitter, value: Value): Value {
  const twice = doubled(e, value);
  const thrice = xor(e, twice, value);
  return xor(
    e,
    twice,
    permute(e, thrice, within(1)),
    permute(e, value, within(2)),
    permute(e, value, within(3)),
  );
}

/** 14, 11, 13, 9 times: MixColumns after adding 4 times the sum of every other byte. */
function inverseMixColumns(e: Emitter, value: Value): Value {
  const pairs = xor(e, value, permute(e, value, within(2)));
  return mixColumns(e, xor(e, value, doubled(e, doubled(e, pairs))));
}

function round(
  order: readonly number[],
  box: Uint8Array,
  mix: ((e: Emitter, value: Value) => Value) | undefined,
) {
  return (e: Emitter): void => {
    begin(e);
    const [left, right] = isVex(e) ? [1, 2] : [0, 1];
    const [key] = source(e, right);
    const substituted = lookUp(e, permute(e, e.vector(left), order), box);
    result(e, xor(e, mix ? mix(e, substituted) : substituted, key));
  };
}

const unary =
  (compute: (e: Emitter, value: Value) => Value) =>
  (e: Emitter): void => {
    begin(e);
    const [value] = source(e, 1);
    result(e, compute(e, value));
  };

/** @see SDM "AESKEYGENASSIST—AES Round Key Generation Assist" */
function keyAssist(e: Emitter, value: Value): Value {
  const substituted = lookUp(e, value, SUBSTITUTE);
  const words = permute(e, substituted, [4, 5, 6, 7, 5, 6, 7, 4, 12, 13, 14, 15, 13, 14, 15, 12]);
  const constant = e.simd('i32x4_splat', [i32(e, e.read(2))]);
  const places = bytes(e, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff);
  return xor(e, words, e.simd('v128_and', [constant, places]));
}

function rows(
  op: string,
  legacy: string,
  vex: string,
  emit: (e: Emitter) => void,
  title: string,
): SemanticRow[] {
  return [
    { op, forms: [formOf(legacy, 'AESNI')], emit, feature: 'AESNI', ref: SDM(title) },
    { op: `V${op}`, forms: [formOf(vex, 'AESNI')], emit, feature: 'AESNI', ref: SDM(title) },
  ];
}

const TWO = ['v128 vm128', 'v128 v128 vm128'] as const;
const ONE = ['v128 vm128', 'v128 vm128'] as const;
const ASSIST = ['v128 vm128 i8', 'v128 vm128 i8'] as const;

// biome-ignore format: rows are read as a table
export const AES_ROWS: readonly SemanticRow[] = [
  ...rows('AESENC', ...TWO, round(ROWS_LEFT, SUBSTITUTE, mixColumns), 'AESENC—Perform One Round of an AES Encryption Flow'),
  ...rows('AESENCLAST', ...TWO, round(ROWS_LEFT, SUBSTITUTE, undefined), 'AESENCLAST—Perform Last Round of an AES Encryption Flow'),
  ...rows('AESDEC', ...TWO, round(ROWS_RIGHT, INVERSE, inverseMixColumns), 'AESDEC—Perform One Round of an AES Decryption Flow'),
  ...rows('AESDECLAST', ...TWO, round(ROWS_RIGHT, INVERSE, undefined), 'AESDECLAST—Perform Last Round of an AES Decryption Flow'),
  ...rows('AESIMC', ...ONE, unary(inverseMixColumns), 'AESIMC—Perform the AES InvMixColumn Transformation'),
  ...rows('AESKEYGENASSIST', ...ASSIST, unary(keyAssist), 'AESKEYGENASSIST—AES Round Key Generation Assist'),
];
