/**
 * "IPI virtualization": interprocessor interrupts of the guest become requests in the posted-interrupt descriptor of the
 * virtual processor that they are for, without a VM exit.
 *
 * Intel SDM Vol. 3C, "IPI Virtualization", 31.1.6.
 */
import type { VmxProcessor } from './processor.ts';
import { SLOT } from './vmcs.ts';

/** Of an interrupt-command register: reserved bits 31:20, 17:16 and 13. */
const RESERVED = 0xfff3_2000;
/** Shorthand, level-triggered, delivery status, logical destination, delivery mode: all 0 for what can be virtualized. */
const NOT_VIRTUALIZED = 0x000c_9f00;

/** Bits of a PID-pointer-table entry that are no address, beside those beyond the physical-address width. */
const VALID = 1n;
const ENTRY_RESERVED = 0x3en;
const ADDRESS = ~0x3fn;

/** Bytes 32 to 39 of a posted-interrupt descriptor. */
const NOTIFICATION = 32;
const OUTSTANDING = 1 << 0;
const SUPPRESS = 1 << 1;

const APIC_BASE_X2APIC = 1n << 10n;

export function hasReservedBits(command: number): boolean {
  return (command & RESERVED) !== 0;
}

/** Whether the processor handles the command itself: fixed, edge-triggered, to one physical destination, vector from 16. */
export function isVirtualizedIpi(command: number): boolean {
  return (command & (RESERVED | NOT_VIRTUALIZED)) === 0 && (command & 0xf0) !== 0;
}

/** Posts the interrupt for a virtual APIC ID. False: the hypervisor has to, there is no descriptor. */
export function postIpi(processor: VmxProcessor, vector: number, apicId: number): boolean {
  const { vmcs, physical, cpu, state } = processor;
  if (apicId > (vmcs.low(SLOT.LAST_PID_POINTER_INDEX) & 0xffff)) return false;
  const table = vmcs.physicalAddress(SLOT.PID_POINTER_TABLE_ADDRESS);
  const entry = physical.read64(table + 8 * apicId);
  const isUsable = (entry & (VALID | ENTRY_RESERVED)) === VALID;
  if (!isUsable || entry >> BigInt(cpu.model.physicalAddressBits) !== 0n) return false;

  const descriptor = Number(entry & ADDRESS);
  const request = descriptor + 4 * (vector >> 5);
  physical.write(request, 4, physical.read32(request) | (1 << (vector & 31)), 0);
  const notification = physical.read32(descriptor + NOTIFICATION);
  if ((notification & (OUTSTANDING | SUPPRESS)) !== 0) return true;
  physical.write(descriptor + NOTIFICATION, 4, notification | OUTSTANDING, 0);
  const destination = physical.read32(descriptor + NOTIFICATION + 4) >>> 0;
  const isX2apic = (state.IA32_APIC_BASE & APIC_BASE_X2APIC) !== 0n;
  cpu.apic.sendFixed((notification >> 16) & 0xff, isX2apic ? destination : (destination >> 8) & 0xff);
  return true;
}
