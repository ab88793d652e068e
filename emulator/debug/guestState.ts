/**
 * The processor state that has a field in the guest-state area. While the built-in VMM holds the processor at a VM
 * exit, the debugged program's state is in these fields; while the program runs, the fields' live values are the
 * processor's.
 *
 * Intel SDM Vol. 3C, "Guest-State Area", 26.4.
 */

import type { CpuState } from '../state/cpuState.ts';
import { readRflags } from '../state/flags.ts';
import { CPU_FIELDS, type CpuFieldKey, OFFSET } from '../state/layout.ts';
import type { VmcsFieldKey } from '../vmx/fields.ts';
import {
  DEBUG_ROWS,
  EFER_ROWS,
  GUEST_ROWS,
  GUEST_SELECTOR_ROWS,
  PAT_ROWS,
  PDPTE_ROWS,
  type TransferRow,
} from '../vmx/stateTransfer.ts';

/** State of one name: an element of a field of the CPU state. */
export interface StatePlace {
  readonly state: CpuFieldKey;
  readonly element: number;
  /** Elements of a vector register, the lowest first; 1 unless said. */
  readonly count?: number;
}

/** CR0 and RFLAGS move between the VMCS and the processor by rules of their own, but have a field each too. */
const OTHER_ROWS: readonly TransferRow[] = [
  { field: 'GUEST_CR0', state: 'CR0', words: 2 },
  { field: 'GUEST_RFLAGS', state: 'RFLAGS', words: 2 },
];

const ROWS: readonly TransferRow[] = [
  ...GUEST_SELECTOR_ROWS,
  ...GUEST_ROWS,
  ...DEBUG_ROWS,
  ...PAT_ROWS,
  ...EFER_ROWS,
  ...PDPTE_ROWS,
  ...OTHER_ROWS,
];

const placeByField: ReadonlyMap<string, StatePlace> = new Map(
  ROWS.map(({ field, state, element = 0 }) => [field, { state, element }]),
);
const fieldByPlace: ReadonlyMap<string, VmcsFieldKey> = new Map(
  ROWS.map(({ field, state, element = 0 }) => [`${state}/${element}`, field]),
);
const widths: ReadonlyMap<string, number> = new Map(CPU_FIELDS.map(({ key, width }) => [key, width]));

/** Where the processor keeps what a guest-state field stands for. */
export function placeOfField(field: VmcsFieldKey): StatePlace | undefined {
  return placeByField.get(field);
}

/** The guest-state field of some state. */
export function fieldOfPlace({ state, element }: StatePlace): VmcsFieldKey | undefined {
  return fieldByPlace.get(`${state}/${element}`);
}

/** The processor's value; RFLAGS with its arithmetic flags. */
export function readPlace(cpuState: CpuState, { state, element, count = 1 }: StatePlace): bigint {
  if (state === 'RFLAGS') return BigInt(readRflags(cpuState));
  if (count > 1) {
    const upper = readPlace(cpuState, { state, element: element + 1, count: count - 1 });
    return (upper << 64n) | readPlace(cpuState, { state, element });
  }
  if (widths.get(state) === 8) return cpuState.u64[(OFFSET[state] >> 3) + element];
  return BigInt(cpuState.u32[(OFFSET[state] >> 2) + element]);
}

/** Sets the processor's value as it is: no check, and nothing follows from it. */
export function writePlace(
  cpuState: CpuState,
  { state, element, count = 1 }: StatePlace,
  value: bigint,
): void {
  if (count > 1) writePlace(cpuState, { state, element: element + 1, count: count - 1 }, value >> 64n);
  if (widths.get(state) === 8) cpuState.u64[(OFFSET[state] >> 3) + element] = BigInt.asUintN(64, value);
  else cpuState.u32[(OFFSET[state] >> 2) + element] = Number(BigInt.asUintN(32, value));
}
