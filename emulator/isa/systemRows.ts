/** The instruction that a TypeScript function executes, by name and by what the processor offers. */

import { SDM } from '../base/reference.ts';
import type { Cpu } from '../core/cpu.ts';
import { isFeatureKey } from '../core/features.ts';
import type { Instruction } from '../core/instruction.ts';
import { LONGEST_INSTRUCTION } from '../core/instruction.ts';
import type { SystemRow } from './forms.ts';
import { SEMANTIC_ROWS } from './rows.ts';
import { SYSTEM_ROWS } from './system/rows.ts';

const INVALID: SystemRow = {
  op: 'INVALID',
  call: (cpu) => cpu.raiseUd(),
  ref: SDM('Interrupt 6—Invalid Opcode Exception (#UD)'),
};

/**
 * The decoder stops after this many bytes: what is not complete then is too long. DEVIATION(invalid-of-15-bytes): what
 * is complete and undefined cannot be told from it.
 */

const TOO_LONG: SystemRow = {
  op: 'TOO LONG',
  call: (cpu) => cpu.raiseGp(),
  ref: SDM('Interrupt 13—General Protection Exception (#GP)'),
};

/** Emitted rows that a processor may lack: what is not decoded to a handler then is #UD. */
const FEATURES = new Map(SEMANTIC_ROWS.flatMap(({ op, feature }) => (feature ? [[op, feature]] : [])));
/** Rows of which single forms may be lacking. */
const PARTIAL = new Set(
  SEMANTIC_ROWS.filter(({ forms }) => forms.some(({ feature }) => feature)).map(({ op }) => op),
);

const BY_NAME = new Map([INVALID, ...SYSTEM_ROWS].map((row) => [row.op, row]));

/** The row that executes an instruction: #UD's when the processor does not offer it, undefined when it is missing. */
export function findSystemRow(cpu: Cpu, instruction: Instruction): SystemRow | undefined {
  const row = BY_NAME.get(instruction.name);
  if (row?.feature !== undefined && isFeatureKey(row.feature) && !cpu.has(row.feature)) return INVALID;
  const feature = FEATURES.get(instruction.name);
  if (row === undefined && feature !== undefined && !cpu.has(feature)) return INVALID;
  if (row === undefined && PARTIAL.has(instruction.name)) return INVALID;
  if (row === INVALID && instruction.length === LONGEST_INSTRUCTION) return TOO_LONG;
  return row;
}
