/** All instructions whose meaning is emitted. */
import type { SemanticRow } from './forms.ts';
import { ARITHMETIC_ROWS } from './semantics/arithmetic.ts';
import { BIT_MANIPULATION_ROWS } from './semantics/bitManipulation.ts';
import { BIT_ROWS } from './semantics/bits.ts';
import { CONTROL_ROWS } from './semantics/control.ts';
import { FLAG_ROWS } from './semantics/flagControl.ts';
import { MOVE_ROWS } from './semantics/moves.ts';
import { MULTIPLY_ROWS } from './semantics/multiply.ts';
import { SHIFT_ROWS } from './semantics/shifts.ts';
import { STRING_ROWS } from './semantics/strings.ts';
import { SYSTEM_CALL_ROWS } from './semantics/systemCalls.ts';
import { AES_ROWS } from './vector/aes.ts';
import { FAST_ROWS } from './vector/fastConvert.ts';
import { VECTOR_INTEGER_ROWS } from './vector/integer.ts';
import { VECTOR_MOVE_ROWS } from './vector/moves.ts';
import { VECTOR_SHUFFLE_ROWS } from './vector/shuffles.ts';
import { FAST_X87_ROWS } from './x87/fast.ts';

export const SEMANTIC_ROWS: readonly SemanticRow[] = [
  ...ARITHMETIC_ROWS,
  ...MOVE_ROWS,
  ...SHIFT_ROWS,
  ...MULTIPLY_ROWS,
  ...BIT_ROWS,
  ...BIT_MANIPULATION_ROWS,
  ...CONTROL_ROWS,
  ...SYSTEM_CALL_ROWS,
  ...STRING_ROWS,
  ...FLAG_ROWS,
  ...VECTOR_MOVE_ROWS,
  ...VECTOR_INTEGER_ROWS,
  ...VECTOR_SHUFFLE_ROWS,
  ...FAST_ROWS,
  ...AES_ROWS,
  ...FAST_X87_ROWS,
];
