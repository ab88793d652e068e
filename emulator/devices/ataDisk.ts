/**
 * A hard disk behind an ATA interface: its sectors, its addresses and what IDENTIFY DEVICE says of it. The image is only
 * read: written sectors are kept beside it and belong to the state of the machine.
 *
 * @see ATA/ATAPI-6 (T13 1410D), "Sector addressing", 6.2, and "IDENTIFY DEVICE", 8.15
 */
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';

export const SECTOR_SIZE = 512;

/** The translation that disks of more than 504 MB have: 16 heads, 63 sectors, at most 16,383 cylinders. */
const HEADS = 16;
const SECTORS_PER_TRACK = 63;
const MOST_CYLINDERS = 16_383;
const MOST_LBA28 = 0x0fff_ffff;

/** A place as the registers of the interface name it. */
export interface ChsAddress {
  readonly cylinder: number;
  readonly head: number;
  /** Counted from 1. */
  readonly sector: number;
}

export class AtaDisk {
  readonly sectors: number;
  readonly #serial: string;
  readonly #image: Uint8Array;
  readonly #written = new Map<number, Uint8Array>();

  constructor(image: Uint8Array, serial: string) {
    this.#image = image;
    this.#serial = serial;
    this.sectors = Math.floor(image.length / SECTOR_SIZE);
  }

  /** A copy of a sector that exists. */
  read(lba: number): Uint8Array {
    const start = lba * SECTOR_SIZE;
    return (this.#written.get(lba) ?? this.#image.subarray(start, start + SECTOR_SIZE)).slice();
  }

  write(lba: number, bytes: Uint8Array): void {
    this.#written.set(lba, bytes.slice());
  }

  /** -1 for a place that the translation does not have. */
  lbaOf({ cylinder, head, sector }: ChsAddress): number {
    if (sector < 1 || sector > SECTORS_PER_TRACK || head >= HEADS || cylinder >= this.#cylinders) return -1;
    return (cylinder * HEADS + head) * SECTORS_PER_TRACK + sector - 1;
  }

  get #cylinders(): number {
    return Math.min(MOST_CYLINDERS, Math.floor(this.sectors / (HEADS * SECTORS_PER_TRACK)));
  }

  /** Whether INITIALIZE DEVICE PARAMETERS names the translation that the disk has. */
  hasTranslation(heads: number, sectorsPerTrack: number): boolean {
    return heads === HEADS && sectorsPerTrack === SECTORS_PER_TRACK;
  }

  identify(): Uint8Array {
    const bytes = new Uint8Array(SECTOR_SIZE);
    const view = new DataView(bytes.buffer);
    const word = (index: number, value: number): void => view.setUint16(index * 2, value, true);
    const double = (index: number, value: number): void => view.setUint32(index * 2, value, true);
    // Of the two characters of a word the first is in the high byte.
    const text = (index: number, length: number, value: string): void => {
      for (let at = 0; at < length; at++) bytes[index * 2 + (at ^ 1)] = value.padEnd(length).charCodeAt(at);
    };
    const cylinders = this.#cylinders;
    const chsSectors = cylinders * HEADS * SECTORS_PER_TRACK;
    word(0, 0x0040); // a fixed ATA device
    word(1, cylinders);
    word(3, HEADS);
    word(6, SECTORS_PER_TRACK);
    text(10, 20, this.#serial);
    text(23, 8, '1');
    text(27, 40, 'HVM DISK');
    word(47, 0x8000); // no READ MULTIPLE
    word(49, 0x0a00); // IORDY, LBA; no DMA
    word(50, 0x4000);
    word(53, 0x0003); // words 54 to 58 and 64 to 70 are valid
    word(54, cylinders);
    word(55, HEADS);
    word(56, SECTORS_PER_TRACK);
    double(57, chsSectors);
    double(60, Math.min(this.sectors, MOST_LBA28));
    word(64, 0x0003); // PIO modes 3 and 4
    word(67, 120); // ns a PIO cycle
    word(68, 120);
    word(80, 0x007e); // ATA-1 to ATA/ATAPI-6
    word(83, 0x7400); // FLUSH CACHE, FLUSH CACHE EXT, 48-bit addresses
    word(84, 0x4000);
    word(86, 0x3400); // the same, enabled
    word(87, 0x4000);
    double(100, this.sectors);
    return bytes;
  }

  save(): StateRecord {
    const written = [...this.#written].sort(([a], [b]) => a - b);
    return Object.fromEntries(written.map(([lba, bytes]) => [String(lba), bytes.slice()]));
  }

  restore(state: StateRecord): void {
    const saved = new SavedState('ata-disk', state);
    this.#written.clear();
    for (const key of Object.keys(state)) this.#written.set(Number(key), saved.bytes(key, SECTOR_SIZE));
  }
}
