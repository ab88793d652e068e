/**
 * RAM and ROM between 0xC0000 and 0xFFFFF, as the host bridge's attributes show them. After a reset reads see what is behind
 * the PCI bus: at 0xE0000 the last 128 KiB of the firmware, below it no expansion ROM. What is not shown is kept aside:
 * changing an area exchanges its bytes, so that reading them costs nothing.
 *
 * @see Intel 82441FX (PMC) datasheet, "PAM—Programmable Attribute Map Registers", 3.2.14
 */
import { Unimplemented } from '../base/errors.ts';
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { ShadowAreas, ShadowAttributes } from '../devices/pciHostBridge.ts';
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';

const START = 0xc_0000;
const END = 0x10_0000;
/** The firmware is seen from here on. */
const ROM_START = 0xe_0000;

const SMALL_AREA = 0x4000;
const AREAS = Array.from({ length: 13 }, (_, index) => {
  const start = START + index * SMALL_AREA;
  return { start, length: index === 12 ? END - start : SMALL_AREA };
});

export class ShadowRam implements ShadowAreas {
  readonly #physical: PhysicalMemory;
  readonly #rom: Uint8Array;
  readonly #attributes = AREAS.map(() => ({ read: false, write: false }));
  /** RAM behind the areas that show the ROM. */
  readonly #hidden = AREAS.map(({ length }) => new Uint8Array(length));

  constructor(physical: PhysicalMemory, rom: Uint8Array) {
    this.#physical = physical;
    this.#rom = rom;
    for (const [area, { start, length }] of AREAS.entries()) {
      physical.load(start, this.#romAt(area));
      physical.setReadOnly(start, length, true);
    }
  }

  set(area: number, { read, write }: ShadowAttributes): void {
    if (write && !read)
      throw new Unimplemented(
        'writes to RAM behind a ROM that is read (Intel 82441FX datasheet, "PAM—Programmable Attribute Map Registers": WE without RE)',
      );
    const physical = this.#physical;
    const { start, length } = AREAS[area];
    const attributes = this.#attributes[area];
    if (read && !attributes.read) physical.load(start, this.#hidden[area]);
    if (!read && attributes.read) {
      physical.copyOut(start, this.#hidden[area]);
      physical.load(start, this.#romAt(area));
    }
    if (write !== attributes.write) physical.setReadOnly(start, length, !write);
    attributes.read = read;
    attributes.write = write;
  }

  save(): StateRecord {
    const areas = AREAS.map((_, area) => {
      const attributes = this.#attributes[area];
      return { ...attributes, hidden: attributes.read ? new Uint8Array() : this.#hidden[area].slice() };
    });
    return { areas };
  }

  /** What the areas show is in the memory, which is restored before. */
  restore(state: StateRecord): void {
    const saved = new SavedState('shadow-ram', state).records('areas', AREAS.length);
    for (const [area, { start, length }] of AREAS.entries()) {
      const attributes = this.#attributes[area];
      saved[area].into(attributes);
      if (!attributes.read) this.#hidden[area].set(saved[area].bytes('hidden', length));
      this.#physical.setReadOnly(start, length, !attributes.write);
    }
  }

  #romAt(area: number): Uint8Array {
    const { start, length } = AREAS[area];
    const bytes = new Uint8Array(length).fill(0xff);
    const rom = this.#rom.subarray(-(END - ROM_START));
    const from = start - (END - rom.length);
    if (from >= 0) bytes.set(rom.subarray(from, from + length));
    return bytes;
  }
}
