/**
 * Checks on the guest-state area, in the manual's order. A violation is a VM-entry failure, exit reason 33.
 *
 * Intel SDM Vol. 3C, "VM Entries", "Checks on the Guest State Area".
 */
import type { EntryCheckRow } from './check.ts';
import { GUEST_NON_REGISTER_CHECKS } from './guestNonRegisterState.ts';
import {
  GUEST_CONTROL_REGISTER_CHECKS,
  GUEST_DESCRIPTOR_TABLE_CHECKS,
  GUEST_RIP_RFLAGS_CHECKS,
} from './guestRegisters.ts';
import { GUEST_SEGMENT_CHECKS } from './guestSegments.ts';

export const GUEST_CHECKS: readonly EntryCheckRow[] = [
  ...GUEST_CONTROL_REGISTER_CHECKS,
  ...GUEST_SEGMENT_CHECKS,
  ...GUEST_DESCRIPTOR_TABLE_CHECKS,
  ...GUEST_RIP_RFLAGS_CHECKS,
  ...GUEST_NON_REGISTER_CHECKS,
];
