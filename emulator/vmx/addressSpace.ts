/** Switching translations on VM entry and VM exit without a 64-bit number on the way. */
import type { AddressSpaces } from '../mmu/addressSpaces.ts';

/**
 * After the control registers are loaded. Without VPIDs, entries and exits invalidate what is cached for VPID 0.
 *
 * @see SDM "Operations that Invalidate Cached Mappings", 30.4.3.1
 */
export function switchAddressSpace(
  spaces: AddressSpaces,
  vpid: number,
  ept: boolean,
  eptpLow: number,
  eptpHigh: number,
): void {
  if (vpid === 0 && spaces.vpid === 0) {
    spaces.switchTo(0, ept ? (BigInt(eptpHigh >>> 0) << 32n) | BigInt(eptpLow >>> 0) : undefined);
    return;
  }
  spaces.vpid = vpid;
  spaces.secondLevel.enabled = ept;
  spaces.secondLevel.eptpLo = eptpLow;
  spaces.secondLevel.eptpHi = eptpHigh;
  spaces.update();
}
