/**
 * The reset control register (0xcf9): a rising bit 2 resets the platform with bit 1, and initializes the processor (INIT)
 * without.
 *
 * @see Intel 82371FB (PIIX), "Reset Control Register"
 */
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize, Device } from './device.ts';

const SYSTEM_RESET = 0x02;
const RESET_CPU = 0x04;
const WRITABLE = SYSTEM_RESET | RESET_CPU;

export interface ResetControlConfig {
  readonly reset: () => void;
  readonly initialize: () => void;
}

export class ResetControl implements Device {
  readonly name = 'reset-control';
  readonly #config: ResetControlConfig;
  #value = 0;

  constructor(config: ResetControlConfig) {
    this.#config = config;
  }

  read(): number {
    return this.#value;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    const resets = (value & ~this.#value & RESET_CPU) !== 0;
    this.#value = value & WRITABLE;
    if (!resets) return;
    if ((value & SYSTEM_RESET) !== 0) this.#config.reset();
    else this.#config.initialize();
  }

  peek(): number {
    return this.#value;
  }

  reset(): void {
    this.#value = 0;
  }

  save(): StateRecord {
    return { value: this.#value };
  }

  restore(state: StateRecord): void {
    this.#value = new SavedState(this.name, state).number('value');
  }
}
