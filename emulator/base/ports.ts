/**
 * The narrow interfaces through which devices reach the rest of the machine. A device never sees the CPU or the
 * machine.
 */

/** One interrupt line into an interrupt controller. */
export interface IrqLine {
  /** Drives the line; setting the level it already has does nothing. */
  set(level: boolean): void;
}

/** Guest-physical memory as DMA sees it. */
export interface GuestMemory {
  /** Copies `into.length` bytes from guest-physical `address`. Bytes outside RAM read as 0xff. */
  read(address: number, into: Uint8Array): void;
  /** Writes to guest-physical `address`; bytes outside RAM are dropped. */
  write(address: number, bytes: Uint8Array): void;
}

/** Where a device's output leaves the machine (a terminal, a file, a log). Muted while a run is re-executed. */
export interface ByteSink {
  write(byte: number): void;
}

/** The value of an access to an address where nothing answers: all ones. */
export function floatingBus(size: 1 | 2 | 4): number {
  return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
}
