/** All instructions of the x87 FPU. */
import type { SystemRow } from '../forms.ts';
import { X87_ARITHMETIC_ROWS } from './arithmetic.ts';
import { X87_COMPARE_ROWS } from './compare.ts';
import { X87_CONTROL_ROWS } from './control.ts';
import { X87_DATA_ROWS } from './data.ts';
import { X87_TRANSCENDENTAL_ROWS } from './transcendental.ts';

export const X87_ROWS: readonly SystemRow[] = [
  ...X87_CONTROL_ROWS,
  ...X87_DATA_ROWS,
  ...X87_ARITHMETIC_ROWS,
  ...X87_TRANSCENDENTAL_ROWS,
  ...X87_COMPARE_ROWS,
];
