/** Comparison of double extended-precision values. Intel SDM Vol. 1, "Comparison and Classification Instructions", 8.3.6. */
import { denormalFlag } from './arithmetic.ts';
import { classify, type Float80, isNan, scaleOf } from './float80.ts';
import { EXCEPTION } from './rounding.ts';

export type Relation = 'less' | 'equal' | 'greater' | 'unordered';

/** `quiet` comparisons are invalid for signaling NaNs and unsupported formats only, others for every NaN. */
export function compare(a: Float80, b: Float80, quiet: boolean): { relation: Relation; flags: number } {
  const kinds = [classify(a), classify(b)];
  if (kinds.includes('unsupported')) return { relation: 'unordered', flags: EXCEPTION.INVALID };
  if (kinds.some(isNan)) {
    const invalid = !quiet || kinds.includes('signaling');
    return { relation: 'unordered', flags: invalid ? EXCEPTION.INVALID : 0 };
  }
  const flags = denormalFlag(a, b);
  const order = orderOf(a) - orderOf(b) || compareMagnitudes(a, b) * orderOf(a);
  return { relation: order < 0 ? 'less' : order > 0 ? 'greater' : 'equal', flags };
}

function orderOf(value: Float80): number {
  if (value.exponent === 0 && value.significand === 0n) return 0;
  return value.sign === 0 ? 1 : -1;
}

function compareMagnitudes(a: Float80, b: Float80): number {
  const difference = scaleOf(a) - scaleOf(b);
  if (difference !== 0 && a.exponent !== 0 && b.exponent !== 0) return difference;
  const left = a.significand << BigInt(Math.max(0, Math.min(difference, 64)));
  const right = b.significand << BigInt(Math.max(0, Math.min(-difference, 64)));
  return left < right ? -1 : left > right ? 1 : 0;
}
