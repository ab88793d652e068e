/**
 * System control port A (0x92): bit 1 is the fast A20 gate, a rising bit 0 pulls the processor's INIT pin.
 *
 * @see IBM, Personal System/2 Hardware Interface Technical Reference, "System Control Port A"
 */
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize, Device } from './device.ts';

const FAST_RESET = 0x01;
const FAST_A20 = 0x02;
const WRITABLE = FAST_RESET | FAST_A20;

export interface Port92Config {
  readonly setA20: (enabled: boolean) => void;
  readonly initialize: () => void;
}

export class Port92 implements Device {
  readonly name = 'port92';
  readonly #config: Port92Config;
  /** Firmware leaves A20 enabled. */
  #value = FAST_A20;

  constructor(config: Port92Config) {
    this.#config = config;
  }

  read(): number {
    return this.#value;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    const resets = (value & ~this.#value & FAST_RESET) !== 0;
    this.#value = value & WRITABLE;
    this.#config.setA20((value & FAST_A20) !== 0);
    if (resets) this.#config.initialize();
  }

  peek(): number {
    return this.#value;
  }

  reset(): void {
    this.#value = FAST_A20;
    this.#config.setA20(true);
  }

  save(): StateRecord {
    return { value: this.#value };
  }

  restore(state: StateRecord): void {
    this.#value = new SavedState(this.name, state).number('value');
    this.#config.setA20((this.#value & FAST_A20) !== 0);
  }
}
