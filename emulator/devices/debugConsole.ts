/**
 * The debug console port of Bochs and QEMU: every byte written is output; it reads as its own port number, 0xe9, by
 * which a guest finds it.
 */
import type { ByteSink } from '../base/ports.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize, Device } from './device.ts';

const SIGNATURE = 0xe9;

export interface DebugConsoleConfig {
  readonly sink: ByteSink;
}

export class DebugConsole implements Device {
  readonly name = 'debug-console';
  readonly #sink: ByteSink;

  constructor({ sink }: DebugConsoleConfig) {
    this.#sink = sink;
  }

  read(): number {
    return SIGNATURE;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.#sink.write(value & 0xff);
  }

  peek(): number {
    return SIGNATURE;
  }

  reset(): void {}

  save(): StateRecord {
    return {};
  }

  restore(): void {}
}
