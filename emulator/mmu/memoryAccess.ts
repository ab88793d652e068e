/**
 * Reads and writes of up to 8 bytes at translated places: RAM through the write gate, memory-mapped registers through
 * the bus, the VMM's window through the VMM.
 */
import type { CpuState } from '../state/cpuState.ts';
import { type CycleTarget, type MmioBus, readCycles, writeCycles } from './bus.ts';
import type { PhysicalMemory } from './physicalMemory.ts';
import { UNTRANSLATED } from './walk.ts';

/** Where the VMM completes a guest's access to a device: addresses are guest-physical. */
export interface MmioWindow extends CycleTarget {
  readonly start: number;
  readonly end: number;
}

/** What a translation gave: an address, or {@link UNTRANSLATED.WINDOW} with a guest-physical address. */
export interface Place {
  host: number;
  guestPhysical: number;
}

export class MemoryAccess {
  /** The value read. */
  lo = 0;
  hi = 0;
  window: MmioWindow | undefined;
  /** Set by each access that reached no RAM; the caller clears it. */
  touchedDevice = false;

  readonly #physical: PhysicalMemory;
  readonly #bus: MmioBus;
  readonly #u8: Uint8Array;
  readonly #view: DataView;
  readonly #bytes = new Uint8Array(8);
  readonly #bytesView = new DataView(this.#bytes.buffer);

  constructor(state: CpuState, physical: PhysicalMemory, bus: MmioBus) {
    this.#physical = physical;
    this.#bus = bus;
    this.#u8 = state.u8;
    this.#view = new DataView(state.u8.buffer);
  }

  /** Reads `size` bytes (1 to 8) that lie in one page. */
  read(place: Place, size: number): void {
    const { host } = place;
    if (host >= 0 && this.#physical.isRam(host, size)) {
      this.#readRam(this.#physical.offset(host), size);
      return;
    }
    this.touchedDevice = true;
    readCycles(this.#target(place), host >= 0 ? host : place.guestPhysical, size, this);
  }

  /** Writes `size` bytes (1 to 8) that lie in one page. */
  write(place: Place, size: number, lo: number, hi: number): void {
    const { host } = place;
    if (host >= 0 && this.#physical.isRam(host, size)) {
      if ((size & (size - 1)) === 0) this.#physical.write(host, size, lo, hi);
      else this.#physical.copyIn(host, this.#toBytes(size, lo, hi));
      return;
    }
    this.touchedDevice = true;
    writeCycles(this.#target(place), host >= 0 ? host : place.guestPhysical, size, lo, hi);
  }

  /** Reads `size` bytes of which the first `before` are at one place and the others at another. */
  readSplit(first: Place, before: number, second: Place, size: number): void {
    this.read(first, before);
    const { lo, hi } = this;
    this.read(second, size - before);
    const bits = 8 * before;
    // Both parts have zeros above their size; shift counts of 32 would be 0.
    if (bits < 32) {
      this.hi = hi | (this.hi << bits) | (this.lo >>> (32 - bits));
      this.lo = lo | (this.lo << bits);
    } else {
      this.hi = hi | (this.lo << (bits - 32));
      this.lo = lo;
    }
  }

  writeSplit(first: Place, before: number, second: Place, size: number, lo: number, hi: number): void {
    this.write(first, before, lo, hi);
    const bits = 8 * before;
    const restLo = bits < 32 ? (lo >>> bits) | (hi << (32 - bits)) : hi >>> (bits - 32);
    this.write(second, size - before, restLo, bits < 32 ? hi >>> bits : 0);
  }

  #target({ host }: Place): CycleTarget {
    return host === UNTRANSLATED.WINDOW && this.window ? this.window : this.#bus;
  }

  #readRam(offset: number, size: number): void {
    const view = this.#view;
    this.hi = 0;
    switch (size) {
      case 1:
        this.lo = this.#u8[offset];
        return;
      case 2:
        this.lo = view.getUint16(offset, true);
        return;
      case 4:
        this.lo = view.getUint32(offset, true);
        return;
      case 8:
        this.lo = view.getUint32(offset, true);
        this.hi = view.getUint32(offset + 4, true);
        return;
    }
    this.#bytes.fill(0);
    for (let byte = 0; byte < size; byte++) this.#bytes[byte] = this.#u8[offset + byte];
    this.lo = this.#bytesView.getUint32(0, true);
    this.hi = this.#bytesView.getUint32(4, true);
  }

  #toBytes(size: number, lo: number, hi: number): Uint8Array {
    this.#bytesView.setUint32(0, lo, true);
    this.#bytesView.setUint32(4, hi, true);
    return this.#bytes.subarray(0, size);
  }
}
