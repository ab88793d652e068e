/** Rows of vector instructions that are TypeScript functions, and the forms in which they come. */
import type { Reference } from '../../base/reference.ts';
import type { FeatureKey } from '../../core/features.ts';
import type { SystemRow } from '../forms.ts';
import type { Needs, VectorBody } from './execute.ts';
import { vectorCall } from './execute.ts';

/**
 * Operands of a form, in the order of Intel syntax: `v128` an XMM register, `v256` a YMM register, `q64` an MMX register,
 * `r32` a general register, `m64` memory, `vm64` a vector register or so many bits of memory, `rm32` likewise, `r32m8` a
 * register of another size, `i8` an immediate, `z` the implicit XMM0.
 */
export interface VectorForm {
  readonly operands: string;
  readonly feature: FeatureKey;
}

export interface VectorSystemRow extends SystemRow {
  readonly forms: readonly VectorForm[];
}

export function vectorRow(
  op: string,
  forms: readonly VectorForm[],
  body: VectorBody,
  ref: Reference,
): VectorSystemRow {
  const narrow = forms.find(({ operands }) => !operands.includes('v256'))?.feature;
  const wide = forms.find(({ operands }) => operands.includes('v256'))?.feature;
  const feature = (narrow ?? wide) as FeatureKey;
  const needs: Needs = wide ? { feature, wide } : { feature };
  return { op, forms, call: vectorCall(body, needs), feature, ref };
}
