/** All vector instructions that are TypeScript functions. */
import { CONVERT_ROWS } from './convert.ts';
import { CRYPTOGRAPHY_ROWS } from './cryptography.ts';
import { ELEMENT_ROWS } from './elements.ts';
import { HAS_FAST_WAY } from './fastConvert.ts';
import { FLOAT_ROWS } from './float.ts';
import { FMA_ROWS } from './fusedMultiplyAdd.ts';
import { SSE4A_ROWS } from './sse4a.ts';
import { MXCSR_ROWS } from './state.ts';
import { VECTOR_STRING_ROWS } from './strings.ts';
import type { VectorSystemRow } from './systemForms.ts';

export const VECTOR_SYSTEM_ROWS: readonly VectorSystemRow[] = [
  ...[...FLOAT_ROWS, ...CONVERT_ROWS].filter(({ op }) => !HAS_FAST_WAY.has(op)),
  ...FMA_ROWS,
  ...ELEMENT_ROWS,
  ...VECTOR_STRING_ROWS,
  ...CRYPTOGRAPHY_ROWS,
  ...SSE4A_ROWS,
  ...MXCSR_ROWS,
];
