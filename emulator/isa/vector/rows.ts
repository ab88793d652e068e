/** Vector instructions that are TypeScript functions. */
import type { SystemRow } from '../forms.ts';

export interface VectorSystemRow extends SystemRow {
  readonly forms: readonly { readonly operands: string; readonly feature: string }[];
}

export const VECTOR_SYSTEM_ROWS: readonly VectorSystemRow[] = [];
