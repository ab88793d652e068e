/**
 * What every device of the board is: registers at offsets, a reset, and a state that can be saved and restored. Where
 * the registers lie and which interrupt line is which is `machine/layout.ts`' business.
 */
import type { StateRecord } from '../base/stateValue.ts';

export type AccessSize = 1 | 2 | 4;

export interface Device {
  /** A short name for messages and the device list, e.g. `uart16550`. */
  readonly name: string;
  /** Reads the register at `offset` bytes from the start of the device's range; side effects included. */
  read(offset: number, size: AccessSize): number;
  /** Writes `value` (unsigned, `size` bytes) to the register at `offset`. */
  write(offset: number, size: AccessSize, value: number): void;
  /** What {@link read} would give, without its side effects: for the debugger. */
  peek(offset: number, size: AccessSize): number;
  /** The state after power-on or a platform reset. */
  reset(): void;
  /** Everything that {@link restore} needs, as a keyed record. */
  save(): StateRecord;
  /** Takes over a state that {@link save} gave; throws a `UserError` when it does not fit. */
  restore(state: StateRecord): void;
}
