/** All instructions that are TypeScript functions. */
import type { SystemRow } from '../forms.ts';
import { VECTOR_SYSTEM_ROWS } from '../vector/rows.ts';
import { VECTOR_STATE_ROWS } from '../vector/state.ts';
import { X87_ROWS } from '../x87/rows.ts';
import { ADDRESS_SPACE_ROWS } from './addressSpace.ts';
import { CONTROL_REGISTER_ROWS } from './controlRegisters.ts';
import { PRIVILEGED_FLAG_ROWS } from './flags.ts';
import { IO_ROWS } from './io.ts';
import { LEGACY_ROWS } from './legacy.ts';
import { MEMORY_ROWS } from './memory.ts';
import { PROCEDURE_ROWS } from './procedures.ts';
import { PROCESSOR_ROWS } from './processor.ts';
import { RANDOM_ROWS } from './random.ts';
import { SEGMENT_ROWS } from './segments.ts';
import { TRANSFER_ROWS } from './transfers.ts';
import { VIRTUALIZATION_ROWS } from './virtualization.ts';
import { WAITING_ROWS } from './waiting.ts';

export const SYSTEM_ROWS: readonly SystemRow[] = [
  ...PROCESSOR_ROWS,
  ...RANDOM_ROWS,
  ...WAITING_ROWS,
  ...CONTROL_REGISTER_ROWS,
  ...IO_ROWS,
  ...TRANSFER_ROWS,
  ...SEGMENT_ROWS,
  ...PRIVILEGED_FLAG_ROWS,
  ...ADDRESS_SPACE_ROWS,
  ...MEMORY_ROWS,
  ...LEGACY_ROWS,
  ...PROCEDURE_ROWS,
  ...VIRTUALIZATION_ROWS,
  ...X87_ROWS,
  ...VECTOR_SYSTEM_ROWS,
  ...VECTOR_STATE_ROWS,
];
