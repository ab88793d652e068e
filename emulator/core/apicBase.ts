/**
 * IA32_APIC_BASE: where the local APIC is and in which mode.
 *
 * Intel SDM Vol. 3A, "Local APIC Status and Location", 12.4.4, and "x2APIC State Transitions", 12.12.5.
 */
import type { Cpu } from './cpu.ts';

export const APIC_BASE = { BSP: 1n << 8n, EXTD: 1n << 10n, EN: 1n << 11n } as const;

const MODE = APIC_BASE.EN | APIC_BASE.EXTD;

/** WRMSR to IA32_APIC_BASE; false is #GP(0). */
export function writeApicBase(cpu: Cpu, value: bigint): boolean {
  const { state } = cpu;
  const address = ((1n << BigInt(cpu.model.physicalAddressBits)) - 1n) & ~0xfffn;
  const extended = cpu.has('X2APIC') ? APIC_BASE.EXTD : 0n;
  if (value & ~(address | APIC_BASE.BSP | APIC_BASE.EN | extended)) return false;
  if (!isModeTransition(state.IA32_APIC_BASE & MODE, value & MODE)) return false;
  state.IA32_APIC_BASE = value;
  cpu.apic.baseChanged(value);
  return true;
}

/** Disabled to xAPIC and back, xAPIC to x2APIC, x2APIC to disabled. */
function isModeTransition(from: bigint, to: bigint): boolean {
  if (to === APIC_BASE.EXTD) return false;
  if (from === MODE) return to !== APIC_BASE.EN;
  if (from === 0n) return to !== MODE;
  return true;
}
