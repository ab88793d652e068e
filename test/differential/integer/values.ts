/** Values on which integer instructions change their mind. */
import type { Random } from '../../support/random.ts';

const MASKS = { 8: 0xffn, 16: 0xffffn, 32: 0xffff_ffffn, 64: 0xffff_ffff_ffff_ffffn } as const;
type Bits = keyof typeof MASKS;

export function maskOf(bits: Bits): bigint {
  return MASKS[bits];
}

/** A value of that size: around zero, around a sign bit, around a size's end, a single bit, or random. */
export function edge(random: Random, bits: Bits): bigint {
  const width = random.pick([8, 16, 32, 64] as const);
  const near = BigInt(random.below(3) - 1);
  let value: bigint;
  switch (random.below(6)) {
    case 0:
      value = near;
      break;
    case 1:
      value = (1n << BigInt(Math.min(width, bits) - 1)) + near;
      break;
    case 2:
      value = (1n << BigInt(Math.min(width, bits))) + near;
      break;
    case 3:
      value = 1n << BigInt(random.below(bits));
      break;
    case 4:
      value = BigInt(random.below(256) - 128);
      break;
    default:
      value = random.u64();
  }
  return value & MASKS[bits];
}

/** A shift or rotate count, or a bit position. */
export function count(random: Random, bits: Bits): number {
  return random.pick([
    random.below(256),
    random.below(bits),
    random.below(2),
    bits - 1,
    bits,
    bits + 1,
    random.pick([7, 8, 9, 15, 16, 17, 18, 31, 32, 33, 34, 63, 64, 65, 127, 128, 255]),
  ]);
}
