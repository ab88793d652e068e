/**
 * Accesses to host-physical addresses where no memory answers: memory-mapped registers, behind an injected bus, and
 * the floating bus.
 *
 * A bus takes aligned cycles of 1, 2 and 4 bytes. A wider or misaligned access is split into the largest aligned
 * cycles, lowest address first; 8 aligned bytes are two cycles of 4.
 */
import { floatingBus } from '../base/ports.ts';

export type CycleSize = 1 | 2 | 4;

/** What can answer bus cycles: the board's memory decoder, or a window that the VMM opens. */
export interface CycleTarget {
  read(address: number, size: CycleSize): number;
  write(address: number, size: CycleSize, value: number): void;
}

/** Memory-mapped registers of the board. Where nobody answers, reads give all ones and writes are dropped. */
export interface MmioBus extends CycleTarget {
  /** What {@link read} would give, without side effects. */
  peek(address: number, size: CycleSize): number;
}

/** A board without memory-mapped registers. */
export const NO_MMIO: MmioBus = {
  read: (_address, size) => floatingBus(size),
  write: () => undefined,
  peek: (_address, size) => floatingBus(size),
};

/** The two halves of a value of up to 8 bytes, as signed or unsigned 32-bit numbers. */
export interface Pair {
  lo: number;
  hi: number;
}

function cycleSize(address: number, left: number): CycleSize {
  if (left >= 4 && address % 4 === 0) return 4;
  return left >= 2 && address % 2 === 0 ? 2 : 1;
}

function gather(
  address: number,
  size: number,
  into: Pair,
  cycle: (at: number, size: CycleSize) => number,
): void {
  into.lo = 0;
  into.hi = 0;
  for (let done = 0; done < size; ) {
    const bytes = cycleSize(address + done, size - done);
    const value = cycle(address + done, bytes);
    if (done < 4) {
      into.lo |= value << (8 * done);
      // A cycle that straddles bit 32 of a misaligned access.
      if (done + bytes > 4) into.hi |= value >>> (8 * (4 - done));
    } else {
      into.hi |= value << (8 * (done - 4));
    }
    done += bytes;
  }
}

/** Reads `size` bytes (1 to 8) with as many cycles as it takes. */
export function readCycles(target: CycleTarget, address: number, size: number, into: Pair): void {
  gather(address, size, into, (at, bytes) => target.read(at, bytes));
}

/** Writes `size` bytes (1 to 8) with as many cycles as it takes. */
export function writeCycles(
  target: CycleTarget,
  address: number,
  size: number,
  lo: number,
  hi: number,
): void {
  for (let done = 0; done < size; ) {
    const bytes = cycleSize(address + done, size - done);
    const low = done < 4 ? lo >>> (8 * done) : hi >>> (8 * (done - 4));
    const value = done > 0 && done < 4 ? low | (hi << (32 - 8 * done)) : low;
    target.write(address + done, bytes, bytes === 4 ? value >>> 0 : value & ((1 << (8 * bytes)) - 1));
    done += bytes;
  }
}
