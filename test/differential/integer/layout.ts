/**
 * Memory of a differential test, at the same linear addresses on the host and in the emulator. Everything else is not
 * mapped.
 */
import { Random } from '../../support/random.ts';

export const PAGE = 4096;

/** Instructions under test, each among INT3 instructions. */
export const CODE = 0x10_0000;
/** INT3 alone: where branches go. */
export const LANDING = 0x1f_0000;
export const LANDING_SIZE = 0x1_0000;
export const CODE_SIZE = LANDING + LANDING_SIZE - CODE;
export const INT3 = 0xcc;

export const GS_BASE = 0x18_0000n;

export type Access = 'none' | 'read' | 'write';

const DATA = 0x20_0000;
/** Data pages from {@link DATA} on, so that an operand can lie across every pair of kinds that matters. */
const DATA_PAGES: readonly Access[] = [
  'none', 'write', 'write', 'write', 'read', 'write', 'none', 'write', 'write', 'none',
]; // biome-ignore format: pages in order

export interface Page {
  readonly address: number;
  readonly access: Access;
}

export const PAGES: readonly Page[] = DATA_PAGES.map((access, i) => ({ address: DATA + i * PAGE, access }));
export const WRITABLE: readonly number[] = PAGES.filter(({ access }) => access === 'write').map(
  (page) => page.address,
);

/** A run of equal bytes, for comparisons that go on for long; the rest of the data is random. */
export const UNIFORM = { address: DATA + PAGE, length: PAGE + PAGE / 2, byte: 0x5a } as const;

export function accessAt(address: bigint): Access {
  return PAGES[Math.floor((Number(BigInt.asUintN(64, address)) - DATA) / PAGE)]?.access ?? 'none';
}

/** The data of a page before every case. */
export function contentOf(page: Page): Uint8Array {
  const random = new Random(page.address);
  const content = new Uint8Array(PAGE);
  for (let i = 0; i < PAGE; i++) {
    const address = page.address + i;
    const uniform = address >= UNIFORM.address && address < UNIFORM.address + UNIFORM.length;
    content[i] = uniform ? UNIFORM.byte : random.below(256);
  }
  return content;
}
