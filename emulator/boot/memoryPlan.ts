/**
 * Who gets which piece of physical memory while an image is loaded. Addresses that the image demands are claimed
 * first; what the loader adds is then fitted into the gaps.
 */
import { UserError } from '../base/errors.ts';
import { LOW_MEMORY } from '../machine/layout.ts';
import type { BootSegment } from './bootPlan.ts';

/** What a loader leaves alone, with the words for a message. */
const FIRMWARE_AREAS = [
  {
    name: 'interrupt vectors and BIOS data',
    base: 0,
    end: LOW_MEMORY.biosData.base + LOW_MEMORY.biosData.length,
  },
  { name: 'extended BIOS data, adapters and BIOS', base: LOW_MEMORY.ebda.base, end: LOW_MEMORY.end },
];

export interface Placement {
  readonly align?: number;
  /** Not below this address. */
  readonly from?: number;
  /** Ends at or below this address. */
  readonly to?: number;
  /** Take the highest place instead of the lowest. */
  readonly high?: boolean;
}

export class MemoryPlan {
  readonly #image: string;
  readonly #memoryBytes: number;
  readonly #segments: BootSegment[] = [];

  /** `image` is the name that messages give. */
  constructor(image: string, memoryBytes: number) {
    this.#image = image;
    this.#memoryBytes = memoryBytes;
  }

  /** In order of address. */
  get segments(): readonly BootSegment[] {
    return this.#segments.toSorted((a, b) => a.address - b.address);
  }

  /** The end of what is placed above 1 MiB so far. */
  get highestEnd(): number {
    return this.#segments.reduce<number>(
      (end, { address, length }) => Math.max(end, address + length),
      LOW_MEMORY.end,
    );
  }

  /** Bytes that the firmware put into its own areas. */
  addFirmware(segments: readonly BootSegment[]): void {
    this.#segments.push(...segments);
  }

  /** A segment whose address the image decides. */
  claim(name: string, address: number, bytes: Uint8Array, length: number): void {
    if (length === 0) return;
    const end = address + length;
    const what = `${this.#image}: ${name} at ${range(address, length)}`;
    if (end > this.#memoryBytes) {
      throw new UserError(
        `${what} does not fit into ${megabytes(this.#memoryBytes)} of memory; give the machine more memory or link the image lower`,
      );
    }
    const area = FIRMWARE_AREAS.find((firmware) => address < firmware.end && firmware.base < end);
    if (area !== undefined) {
      throw new UserError(
        `${what} overlaps the firmware's ${area.name} (${range(area.base, area.end - area.base)}); link the image at 1 MiB (0x100000) or above`,
      );
    }
    const other = this.#overlapping(address, end);
    if (other !== undefined) {
      throw new UserError(
        `${what} overlaps ${other.name} (${range(other.address, other.length)}); give the segments different physical addresses`,
      );
    }
    this.#segments.push({ name, address, length, bytes });
  }

  /** Finds room for something that the loader adds, and gives its address. */
  place(name: string, bytes: Uint8Array, placement: Placement = {}, length: number = bytes.length): number {
    const address = this.reserve(name, length, placement);
    this.#segments[this.#segments.length - 1] = { name, address, length, bytes };
    return address;
  }

  /** The same for something whose bytes depend on its address; they follow with {@link fill}. */
  reserve(name: string, length: number, placement: Placement = {}): number {
    const address = this.#find(length, placement);
    if (address === undefined) {
      throw new UserError(
        `${this.#image}: no room for ${name} (${length} bytes) in ${megabytes(this.#memoryBytes)} of memory; give the machine more memory`,
      );
    }
    this.#segments.push({ name, address, length, bytes: new Uint8Array(0) });
    return address;
  }

  fill(address: number, bytes: Uint8Array): void {
    const index = this.#segments.findIndex((segment) => segment.address === address);
    this.#segments[index] = { ...this.#segments[index], bytes };
  }

  #find(
    length: number,
    { align = 16, from = LOW_MEMORY.loaderBase, to, high = false }: Placement,
  ): number | undefined {
    const end = Math.min(to ?? this.#memoryBytes, this.#memoryBytes);
    const taken = [
      ...FIRMWARE_AREAS,
      ...this.#segments.map(({ address, length: size }) => ({ base: address, end: address + size })),
    ].toSorted((a, b) => a.base - b.base);
    let found: number | undefined;
    let start = from;
    for (const next of [...taken, { base: end, end }]) {
      const gapEnd = Math.min(next.base, end);
      const lowest = alignUp(start, align);
      if (lowest + length <= gapEnd) {
        if (!high) return lowest;
        found = alignDown(gapEnd - length, align);
      }
      start = Math.max(start, next.end);
    }
    return found;
  }

  #overlapping(address: number, end: number): BootSegment | undefined {
    return this.#segments.find(
      (segment) => address < segment.address + segment.length && segment.address < end,
    );
  }
}

export function alignUp(value: number, align: number): number {
  return Math.ceil(value / align) * align;
}

function alignDown(value: number, align: number): number {
  return Math.floor(value / align) * align;
}

function range(base: number, length: number): string {
  return `0x${base.toString(16)}-0x${(base + length - 1).toString(16)}`;
}

export function megabytes(bytes: number): string {
  return `${Math.floor(bytes / 0x10_0000)} MiB`;
}
