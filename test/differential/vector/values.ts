/** Values on which vector instructions change their mind: edges of every element size, and every class of float. */
import type { Random } from '../../support/random.ts';
import { edge } from '../integer/values.ts';

const FORMATS = {
  16: { exponent: 5, fraction: 10 },
  32: { exponent: 8, fraction: 23 },
  64: { exponent: 11, fraction: 52 },
} as const;

/** A fraction with runs of ones and zeros: carries, ties and sticky bits. */
function fraction(random: Random, bits: number): bigint {
  const mask = (1n << BigInt(bits)) - 1n;
  switch (random.below(7)) {
    case 0:
      return 0n;
    case 1:
      return mask;
    case 2:
      return (mask << BigInt(random.below(bits))) & mask;
    case 3:
      return 1n << BigInt(random.below(bits));
    case 4:
      return random.u64() & mask & (mask << BigInt(random.below(bits)));
    case 5:
      return BigInt(random.below(8)) & mask;
    default:
      return random.u64() & mask;
  }
}

export function float(random: Random, size: 16 | 32 | 64): bigint {
  const { exponent: exponentBits, fraction: fractionBits } = FORMATS[size];
  const last = (1 << exponentBits) - 1;
  const bias = last >> 1;
  const sign = BigInt(random.below(2)) << BigInt(size - 1);
  const make = (exponent: number, value: bigint) => sign | (BigInt(exponent) << BigInt(fractionBits)) | value;
  const some = fraction(random, fractionBits);
  switch (random.below(20)) {
    case 0:
      return make(0, 0n);
    case 1:
      return make(last, 0n);
    case 2:
      return make(last, some);
    case 3:
    case 4:
      return make(0, some);
    case 5:
      return make(1 + random.below(3), some);
    case 6:
      return make(last - 1 - random.below(3), some);
    case 7:
      return make(
        bias + 60 - Math.min(random.below(70), 60 + bias - 1) > last ? bias : bias + random.below(8),
        some,
      );
    case 8:
      return make(Math.min(last - 1, bias + random.pick([15, 30, 31, 32, 51, 52, 53, 62, 63, 64])), some);
    case 9:
      return make(random.below(last), some);
    case 10:
      return make(Math.max(1, (bias >> 1) + random.below(4)), some);
    case 11:
      return make(Math.max(1, bias + (bias >> 1) + random.below(4)), some);
    default:
      return make(bias - 4 + random.below(9), some);
  }
}

export type ElementKind = 'integer' | 'float';

/** `count` bytes of elements of one kind and size. */
export function vector(random: Random, count: number, kind: ElementKind): Uint8Array {
  const bytes = new Uint8Array(count);
  const view = new DataView(bytes.buffer);
  const size =
    kind === 'float' ? random.pick([32, 64, 32, 64, 16] as const) : random.pick([8, 16, 32, 64] as const);
  const same = random.below(6) === 0;
  let value = 0n;
  for (let at = 0; at < count; at += size / 8) {
    if (at === 0 || !same) value = kind === 'float' ? float(random, size as 32) : edge(random, size);
    if (size === 8) view.setUint8(at, Number(value));
    else if (size === 16) view.setUint16(at, Number(value), true);
    else if (size === 32) view.setUint32(at, Number(value), true);
    else view.setBigUint64(at, value, true);
  }
  return bytes;
}

const MASKED = 0x1f80;

/** Mostly masked, in every rounding mode, with and without DAZ, FTZ and sticky flags. */
export function mxcsr(random: Random): number {
  const rounding = random.below(4) << 13;
  const flags = random.pick([0, 0, 0x20, 0x3f, random.below(64)]);
  const zeros = random.pick([0, 0, 0, 0x40, 0x8000, 0x8040]);
  const masks = random.below(4) === 0 ? random.below(64) << 7 : MASKED;
  // What the fast ways are for: everything masked, to nearest, inexact before.
  return random.below(4) === 0 ? MASKED | 0x20 : rounding | flags | zeros | masks;
}
