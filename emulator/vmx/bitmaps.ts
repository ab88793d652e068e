/**
 * The I/O bitmaps and the MSR bitmaps.
 *
 * Intel SDM Vol. 3C, "I/O-Bitmap Addresses", 26.6.4; "MSR-Bitmap Address", 26.6.9.
 */
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';

const PORTS = 0x1_0000;
/** Bitmap A is for the ports below. */
const BITMAP_B_PORTS = 0x8000;

export function isBitSet(physical: PhysicalMemory, bitmap: number, bit: number): boolean {
  return (physical.read8(bitmap + (bit >>> 3)) & (1 << (bit & 7))) !== 0;
}

/** Whether the bit of any port of the access is 1, or the access wraps around the I/O port space. */
export function ioBitmapExits(
  physical: PhysicalMemory,
  bitmapA: number,
  bitmapB: number,
  port: number,
  size: number,
): boolean {
  if (port + size > PORTS) return true;
  for (let at = port; at < port + size; at++) {
    const exits =
      at < BITMAP_B_PORTS
        ? isBitSet(physical, bitmapA, at)
        : isBitSet(physical, bitmapB, at - BITMAP_B_PORTS);
    if (exits) return true;
  }
  return false;
}

/** Byte offsets of the four parts of the page, and the MSR number that the high parts start with. */
export const MSR_BITMAP = { readLow: 0, readHigh: 1024, writeLow: 2048, writeHigh: 3072 } as const;
export const MSR_BITMAP_RANGE = 0x2000;
export const MSR_BITMAP_HIGH = 0xc000_0000;

/** The bit of an MSR in the page of bitmaps; undefined outside both ranges. */
export function msrBitmapBit(msr: number, write: boolean): number | undefined {
  if (msr < MSR_BITMAP_RANGE) return 8 * (write ? MSR_BITMAP.writeLow : MSR_BITMAP.readLow) + msr;
  const index = msr - MSR_BITMAP_HIGH;
  if (index < 0 || index >= MSR_BITMAP_RANGE) return undefined;
  return 8 * (write ? MSR_BITMAP.writeHigh : MSR_BITMAP.readHigh) + index;
}

/** Whether the bit of the MSR is 1, or it is in neither range. */
export function msrBitmapExits(
  physical: PhysicalMemory,
  bitmaps: number,
  msr: number,
  write: boolean,
): boolean {
  const bit = msrBitmapBit(msr, write);
  return bit === undefined || isBitSet(physical, bitmaps, bit);
}
