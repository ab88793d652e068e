/**
 * "VMM bus-lock detection": an instruction of the guest that asserts a bus lock is followed by a VM exit. The lock is not
 * prevented; an instruction that does not complete has asserted none.
 *
 * Intel SDM Vol. 3C, "Other Causes of VM Exits", 27.2, bus locks; "Basic VM-Exit Information", 29.2.1, bit 26.
 */
const NONE = -1;

export class BusLockDetection {
  readonly #position: () => number;
  /** Retired instructions when the one that asserts the lock has completed. */
  #behind = NONE;

  constructor(position: () => number) {
    this.#position = position;
  }

  /** The next instruction asserts a bus lock if it completes. */
  expect(): void {
    this.#behind = this.#position() + 1;
  }

  /** A lock is expected or was asserted. */
  get isSet(): boolean {
    return this.#behind !== NONE;
  }

  /** A lock was asserted since VM entry. */
  get isAsserted(): boolean {
    return this.#behind !== NONE && this.#position() >= this.#behind;
  }

  /** Asked at each instruction boundary in the guest. */
  pends(): boolean {
    if (this.isAsserted) return true;
    // The instruction faulted.
    this.#behind = NONE;
    return false;
  }

  /** VM exit, or power-on. */
  clear(): void {
    this.#behind = NONE;
  }

  save(): number {
    return this.#behind;
  }

  restore(behind: number): void {
    this.#behind = behind;
  }
}
