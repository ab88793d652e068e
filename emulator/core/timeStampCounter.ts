/**
 * The time-stamp counter: the virtual clock plus IA32_TSC_ADJUST. One tick is one count.
 *
 * Intel SDM Vol. 3B, "Time-Stamp Counter", 19.17.
 */
import { TICKS_PER_SECOND } from '../base/clock.ts';
import type { Cpu } from './cpu.ts';

/** The core crystal clock, which drives TSC and APIC timer: CPUID leaf 15H reports it, with a ratio of 1. */
export const CORE_CRYSTAL_HERTZ = TICKS_PER_SECOND;

/** The tick at which a TSC that is `tsc` at the tick `now` is at or above a deadline; `now` when it is already. */
export function tickOfDeadline(now: number, tsc: bigint, deadline: bigint): number {
  return tsc >= deadline ? now : now + Number(deadline - tsc);
}

/** The TSC of the processor, before what virtualization adds. */
export function timeStampCounter(cpu: Cpu): bigint {
  return BigInt.asUintN(64, BigInt(cpu.clock.now()) + cpu.state.IA32_TSC_ADJUST);
}

/** A write to the TSC changes IA32_TSC_ADJUST by the same amount. @see SDM "IA32_TSC_ADJUST Register", 19.17.3 */
export function writeTimeStampCounter(cpu: Cpu, value: bigint): boolean {
  return writeTscAdjust(cpu, BigInt.asUintN(64, value - BigInt(cpu.clock.now())));
}

export function writeTscAdjust(cpu: Cpu, value: bigint): boolean {
  cpu.state.IA32_TSC_ADJUST = value;
  cpu.apic.tscChanged();
  return true;
}
