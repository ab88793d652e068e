/** All instructions that are TypeScript functions, by name. */
import { SDM } from '../base/reference.ts';
import type { Cpu } from '../core/cpu.ts';
import { isFeatureKey } from '../core/features.ts';
import type { Instruction } from '../core/instruction.ts';
import type { SystemRow } from './forms.ts';
import { CONTROL_REGISTER_ROWS } from './system/controlRegisters.ts';
import { PRIVILEGED_FLAG_ROWS } from './system/flags.ts';
import { IO_ROWS } from './system/io.ts';
import { MEMORY_ROWS } from './system/memory.ts';
import { PROCESSOR_ROWS } from './system/processor.ts';
import { SEGMENT_ROWS } from './system/segments.ts';
import { TRANSFER_ROWS } from './system/transfers.ts';

const INVALID: SystemRow = {
  op: 'INVALID',
  call: (cpu) => cpu.raiseUd(),
  ref: SDM('Interrupt 6—Invalid Opcode Exception (#UD)'),
};

export const SYSTEM_ROWS: readonly SystemRow[] = [
  INVALID,
  ...CONTROL_REGISTER_ROWS,
  ...PRIVILEGED_FLAG_ROWS,
  ...IO_ROWS,
  ...MEMORY_ROWS,
  ...PROCESSOR_ROWS,
  ...SEGMENT_ROWS,
  ...TRANSFER_ROWS,
];

const BY_NAME = new Map(SYSTEM_ROWS.map((row) => [row.op, row]));

/** The row that executes an instruction: #UD's when the processor does not offer it, undefined when it is missing. */
export function findSystemRow(cpu: Cpu, instruction: Instruction): SystemRow | undefined {
  const row = BY_NAME.get(instruction.name);
  if (row?.feature !== undefined && isFeatureKey(row.feature) && !cpu.has(row.feature)) return INVALID;
  return row;
}
