/**
 * Sub-page write permissions: whether 128 bytes of a page may be written that EPT forbids to write as a whole, by the
 * sub-page-permission table.
 *
 * Intel SDM Vol. 3C, "Sub-Page Write Permissions", 30.3.4.
 */
import type { HostEntries } from './hostEntries.ts';

export const SUB_PAGE_PERMISSION = { FORBIDDEN: 0, WRITABLE: 1, MISS: 2, MISCONFIGURED: 3 } as const;

const { FORBIDDEN, WRITABLE, MISS, MISCONFIGURED } = SUB_PAGE_PERMISSION;

const VALID = 1;
const RESERVED_LO = 0xffe;
const RESERVED_HI = 0xfff0_0000;
/** Of half an entry of a last-level table: only even bits say something. */
const RESERVED_VECTOR = 0xaaaa_aaaa | 0;
const SUB_PAGE_SHIFT = 7;

/** For `bytes` bytes from a guest-physical address on, as far as its page goes. `reservedHi`: beyond MAXPHYADDR. */
export function subPagePermission(
  entries: HostEntries,
  rootLo: number,
  rootHi: number,
  lo: number,
  hi: number,
  bytes: number,
  reservedHi: number,
): number {
  let tableLo = rootLo;
  let tableHi = rootHi;
  for (let level = 4; level > 1; level--) {
    const index = level === 4 ? hi >>> 7 : level === 3 ? (lo >>> 30) | (hi << 2) : lo >>> 21;
    const eLo = entries.read(tableLo | ((index & 511) << 3), tableHi);
    const eHi = entries.high;
    if ((eLo & VALID) === 0) return MISS;
    if ((eLo & RESERVED_LO) !== 0 || (eHi & (reservedHi | RESERVED_HI)) !== 0) return MISCONFIGURED;
    tableLo = eLo & ~0xfff;
    tableHi = eHi & 0xf_ffff;
  }
  const vectorLo = entries.read(tableLo | (((lo >>> 12) & 511) << 3), tableHi);
  const vectorHi = entries.high;
  if (((vectorLo | vectorHi) & RESERVED_VECTOR) !== 0) return MISCONFIGURED;
  const first = (lo & 0xfff) >>> SUB_PAGE_SHIFT;
  const last = Math.min(0xfff, (lo & 0xfff) + bytes - 1) >>> SUB_PAGE_SHIFT;
  for (let part = first; part <= last; part++) {
    const half = part < 16 ? vectorLo : vectorHi;
    if (((half >>> (2 * (part & 15))) & 1) === 0) return FORBIDDEN;
  }
  return WRITABLE;
}
