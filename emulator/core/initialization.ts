/**
 * INIT and start-up IPIs: the signals by which processors are brought into a known state and begin to run.
 *
 * Intel SDM Vol. 3A, "Multiple-Processor Initialization", 10.4; "Initialization Overview", 11.1.
 */

import { ACTIVITY, CS } from '../state/registers.ts';
import { resetByInit } from '../state/reset.ts';
import { APIC_BASE } from './apicBase.ts';
import type { Cpu } from './cpu.ts';

const STARTED_UP = 0x100;

/** INIT has arrived at the processor; it is taken, or blocked, at an instruction boundary. */
export function signalInit({ state, mmu }: Cpu): void {
  state.INIT_PENDING = 1;
  mmu.requestCut();
}

/** A start-up IPI is for a processor that waits for one; it is discarded in every other state. */
export function signalStartUp({ state }: Cpu, vector: number): void {
  if (state.ACTIVITY_STATE === ACTIVITY.WAIT_FOR_SIPI) state.STARTUP_PENDING = STARTED_UP | vector;
}

/**
 * The bootstrap processor goes to the reset vector, any other waits for a start-up IPI.
 *
 * @see SDM "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT", table 11-1; "Local APIC State After
 * an INIT Reset ("Wait-for-SIPI" State)", 12.4.7.3
 */
export function initializeProcessor(cpu: Cpu): void {
  const { state, apic, mmu } = cpu;
  resetByInit(state);
  cpu.insideRepeat = false;
  apic.reset();
  mmu.spaces.flushEverything();
  mmu.updateContext();
  if ((state.IA32_APIC_BASE & APIC_BASE.BSP) === 0n) state.ACTIVITY_STATE = ACTIVITY.WAIT_FOR_SIPI;
}

/** @see SDM "MP Initialization Protocol Algorithm for MP Systems", 10.4.3: the AP begins at 000VV000H */
export function startUpProcessor({ state }: Cpu, vector: number): void {
  state.setSegmentSelector(CS, vector << 8);
  state.setSegmentBase(CS, BigInt(vector) << 12n);
  state.RIP = 0n;
  state.ACTIVITY_STATE = ACTIVITY.ACTIVE;
}
