/**
 * The debug-exit port of test machines (QEMU's isa-debug-exit): a write ends the run, with status `(value << 1) | 1`.
 */
import { floatingBus } from '../base/ports.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize, Device } from './device.ts';

export interface DebugExitConfig {
  /** Receives the value that was written. */
  readonly exit: (value: number) => void;
}

export class DebugExit implements Device {
  readonly name = 'debug-exit';
  readonly #exit: (value: number) => void;

  constructor({ exit }: DebugExitConfig) {
    this.#exit = exit;
  }

  read(_offset: number, size: AccessSize): number {
    return floatingBus(size);
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.#exit(value);
  }

  peek(_offset: number, size: AccessSize): number {
    return floatingBus(size);
  }

  reset(): void {}

  save(): StateRecord {
    return {};
  }

  restore(): void {}
}
