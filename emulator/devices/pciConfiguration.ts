/**
 * The 256 bytes of configuration space of a PCI function: what reset leaves, and which bits of it can be written.
 *
 * @see PCI Local Bus Specification 3.0, "Configuration Space Organization", 6.1
 */
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize } from './device.ts';

const SIZE = 256;

/** Offsets of the header that every function has. */
export const PCI_HEADER = {
  VENDOR: 0x00,
  DEVICE: 0x02,
  COMMAND: 0x04,
  STATUS: 0x06,
  REVISION: 0x08,
  /** Programming interface, subclass, class. */
  CLASS_CODE: 0x09,
  HEADER_TYPE: 0x0e,
  SUBSYSTEM_VENDOR: 0x2c,
  SUBSYSTEM: 0x2e,
} as const;

export interface PciRegister {
  readonly offset: number;
  readonly size: 1 | 2 | 3 | 4;
  /** The value after a reset. */
  readonly value: number;
  /** Bits that a write changes. */
  readonly writable?: number;
}

export class PciConfiguration {
  readonly #name: string;
  readonly #initial = new Uint8Array(SIZE);
  readonly #writable = new Uint8Array(SIZE);
  readonly #bytes: Uint8Array;

  constructor(name: string, registers: readonly PciRegister[]) {
    this.#name = name;
    for (const { offset, size, value, writable = 0 } of registers) {
      for (let byte = 0; byte < size; byte++) {
        this.#initial[offset + byte] = value >>> (8 * byte);
        this.#writable[offset + byte] = writable >>> (8 * byte);
      }
    }
    this.#bytes = this.#initial.slice();
  }

  byte(offset: number): number {
    return this.#bytes[offset];
  }

  read(offset: number, size: AccessSize): number {
    let value = 0;
    for (let byte = 0; byte < size; byte++) value |= this.#bytes[offset + byte] << (8 * byte);
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    for (let byte = 0; byte < size; byte++) {
      const writable = this.#writable[offset + byte];
      const kept = this.#bytes[offset + byte] & ~writable;
      this.#bytes[offset + byte] = kept | ((value >>> (8 * byte)) & writable);
    }
  }

  reset(): void {
    this.#bytes.set(this.#initial);
  }

  save(): StateRecord {
    return { bytes: this.#bytes.slice() };
  }

  restore(state: StateRecord): void {
    this.#bytes.set(new SavedState(this.#name, state).bytes('bytes', SIZE));
  }
}
