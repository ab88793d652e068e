/**
 * The two address decoders of the board: I/O ports and memory-mapped registers. A decoder finds the device that
 * answers an address, splits accesses that a device cannot take in one cycle, and gives the floating bus where nobody
 * answers.
 */
import { EmulatorBug } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { floatingBus } from '../base/ports.ts';
import type { AccessSize, Device } from './device.ts';

/** Two devices claim the same address, or a range leaves the address space: the board's parts list is wrong. */
export class BusRangeError extends EmulatorBug {
  readonly base: number;
  readonly length: number;

  constructor(message: string, base: number, length: number) {
    super(message);
    this.base = base;
    this.length = length;
  }
}

export interface RangeOptions {
  /**
   * The widest access the device takes; a wider one is split into consecutive cycles of that size, lowest address
   * first, as an 8-bit device on the ISA bus sees them. Default 4.
   */
  readonly widest?: AccessSize;
  /** The device's offset of the range's first address, for devices that sit at several places. Default 0. */
  readonly offset?: number;
}

export interface BusRange {
  readonly base: number;
  readonly length: number;
  readonly name: string;
  readonly device: Device;
  readonly widest: AccessSize;
  readonly offset: number;
}

/** How an address space finds its range; the only difference between ports and memory. */
interface Decoder {
  readonly limit: number;
  find(address: number): BusRange | undefined;
  insert(range: BusRange): void;
}

const PORT_COUNT = 0x1_0000;

class PortDecoder implements Decoder {
  readonly limit = PORT_COUNT;
  /** The first stands for nobody. */
  readonly #ranges: (BusRange | undefined)[] = [undefined];
  /** For each port the index of its range. */
  readonly #index = new Uint16Array(PORT_COUNT);

  find(address: number): BusRange | undefined {
    return this.#ranges[this.#index[address]];
  }

  insert(range: BusRange): void {
    this.#index.fill(this.#ranges.length, range.base, range.base + range.length);
    this.#ranges.push(range);
  }
}

class MemoryDecoder implements Decoder {
  readonly limit = 2 ** 52;
  /** Sorted by base. */
  readonly #ranges: BusRange[] = [];

  find(address: number): BusRange | undefined {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const range = this.#ranges[middle];
      if (address < range.base) high = middle;
      else if (address >= range.base + range.length) low = middle + 1;
      else return range;
    }
    return undefined;
  }

  insert(range: BusRange): void {
    const after = this.#ranges.findIndex((other) => other.base > range.base);
    this.#ranges.splice(after < 0 ? this.#ranges.length : after, 0, range);
  }
}

export class Bus {
  readonly #decoder: Decoder;
  readonly #space: string;
  readonly #unanswered: Logger | undefined;
  readonly #ranges: BusRange[] = [];

  private constructor(space: string, decoder: Decoder, unanswered: Logger | undefined) {
    this.#space = space;
    this.#decoder = decoder;
    this.#unanswered = unanswered;
  }

  /** The 65,536 I/O ports. Accesses that nobody answers are reported to `unanswered`, if given. */
  static ports(unanswered?: Logger): Bus {
    return new Bus('I/O port', new PortDecoder(), unanswered);
  }

  /** Memory-mapped registers. */
  static memory(unanswered?: Logger): Bus {
    return new Bus('memory address', new MemoryDecoder(), unanswered);
  }

  /** Every range, by address. */
  get ranges(): readonly BusRange[] {
    return this.#ranges.toSorted((a, b) => a.base - b.base);
  }

  /** Lets `device` answer `length` addresses from `base`. Throws {@link BusRangeError} when somebody already does. */
  register(base: number, length: number, device: Device, name: string, options: RangeOptions = {}): void {
    const what = `${this.#space} range ${hex(base)}+${length} of ${name}`;
    if (!Number.isSafeInteger(base) || base < 0 || length < 1 || base + length > this.#decoder.limit) {
      throw new BusRangeError(`${what} leaves the address space`, base, length);
    }
    const other = this.#ranges.find(
      (range) => base < range.base + range.length && range.base < base + length,
    );
    if (other !== undefined) {
      throw new BusRangeError(
        `${what} overlaps ${hex(other.base)}+${other.length} of ${other.name}`,
        base,
        length,
      );
    }
    const { widest = 4, offset = 0 } = options;
    const range: BusRange = { base, length, name, device, widest, offset };
    this.#ranges.push(range);
    this.#decoder.insert(range);
  }

  /** Who answers `address`. */
  find(address: number): BusRange | undefined {
    return this.#decoder.find(address);
  }

  read(address: number, size: AccessSize): number {
    const range = this.#decoder.find(address);
    if (range === undefined || size > range.widest || !contains(range, address, size)) {
      return this.#readSplit(address, size, range, false);
    }
    return range.device.read(address - range.base + range.offset, size) >>> 0;
  }

  write(address: number, size: AccessSize, value: number): void {
    const range = this.#decoder.find(address);
    if (range === undefined || size > range.widest || !contains(range, address, size)) {
      this.#writeSplit(address, size, value, range);
      return;
    }
    range.device.write(address - range.base + range.offset, size, value >>> 0);
  }

  /** What {@link read} would give, without side effects. */
  peek(address: number, size: AccessSize): number {
    const range = this.#decoder.find(address);
    if (range === undefined || size > range.widest || !contains(range, address, size)) {
      return this.#readSplit(address, size, range, true);
    }
    return range.device.peek(address - range.base + range.offset, size) >>> 0;
  }

  /** An 8-byte access, as two of 4 bytes, low half first. */
  read8(address: number): bigint {
    const low = BigInt(this.read(address, 4));
    return low | (BigInt(this.read(address + 4, 4)) << 32n);
  }

  write8(address: number, value: bigint): void {
    this.write(address, 4, Number(value & 0xffff_ffffn));
    this.write(address + 4, 4, Number((value >> 32n) & 0xffff_ffffn));
  }

  #readSplit(address: number, size: AccessSize, range: BusRange | undefined, peek: boolean): number {
    const step = this.#step(address, size, range);
    if (step === size) {
      if (!peek)
        this.#unanswered?.debug(`read of ${size} bytes from ${this.#space} ${hex(address)}: nobody answers`);
      return floatingBus(size);
    }
    let value = 0;
    for (let byte = 0; byte < size; byte += step) {
      const at = this.#wrap(address + byte);
      value |= (peek ? this.peek(at, step) : this.read(at, step)) << (8 * byte);
    }
    return value >>> 0;
  }

  #writeSplit(address: number, size: AccessSize, value: number, range: BusRange | undefined): void {
    const step = this.#step(address, size, range);
    if (step === size) {
      this.#unanswered?.debug(
        `write of ${hex(value)} (${size} bytes) to ${this.#space} ${hex(address)}: nobody answers`,
      );
      return;
    }
    for (let byte = 0; byte < size; byte += step) {
      this.write(this.#wrap(address + byte), step, (value >>> (8 * byte)) & floatingBus(step));
    }
  }

  /** The size of the cycles an access is done in; `size` itself when nobody answers any byte of it. */
  #step(address: number, size: AccessSize, range: BusRange | undefined): AccessSize {
    if (range !== undefined && contains(range, address, size)) return range.widest;
    for (let byte = 0; byte < size; byte += 1) {
      if (this.#decoder.find(this.#wrap(address + byte)) !== undefined) return 1;
    }
    return size;
  }

  #wrap(address: number): number {
    return address % this.#decoder.limit;
  }
}

function contains(range: BusRange, address: number, size: number): boolean {
  return address + size <= range.base + range.length;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
