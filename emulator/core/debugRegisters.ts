/**
 * Debug registers: what MOV DR may do and what a debug exception leaves in them.
 *
 * Intel SDM Vol. 3B, "Debug Registers", 19.2.
 */
import type { CpuState } from '../state/cpuState.ts';
import { CR4, VECTOR } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import { OUTCOME, type Outcome } from './outcome.ts';

/** @see SDM "Debug Status Register (DR6)", 19.2.3 */
export const DR6 = {
  B: 0xfn,
  BLD: 1n << 11n,
  BD: 1n << 13n,
  BS: 1n << 14n,
  BT: 1n << 15n,
  RTM: 1n << 16n,
} as const;
/** Bits that always read as 1; RTM and BLD are among them because they are 1 when the feature has nothing to say. */
const DR6_ONES = 0xffff_0ff0n;
const DR6_WRITABLE = DR6.B | DR6.BD | DR6.BS | DR6.BT;

/** @see SDM "Debug Control Register (DR7)", 19.2.4 */
export const DR7 = { GD: 1n << 13n } as const;
const DR7_ONES = 0x400n;
const DR7_LOCAL = 0x155n;
const DR7_WRITABLE = 0xffff_23ffn;

/** Bits of PENDING_DEBUG. @see SDM "Guest Non-Register State", 26.4.2, table 26-4 */
export const PENDING_DEBUG = {
  B: DR6.B,
  ENABLED_BREAKPOINT: 1n << 12n,
  BS: DR6.BS,
  /** Not in a VMCS, whose guests do not switch tasks. */
  BT: DR6.BT,
  RTM: DR6.RTM,
} as const;

export const DEBUGCTL = {
  LBR: 1n << 0n,
  BTF: 1n << 1n,
  FREEZE_LBRS_ON_PMI: 1n << 11n,
  FREEZE_PERFMON_ON_PMI: 1n << 12n,
} as const;

/** IA32_LBR_CTL besides the kinds of branches. @see SDM "IA32_LBR_CTL", table 20-1 */
export const LBR_CTL = { LBREN: 1 << 0, OS: 1 << 1, USR: 1 << 2, CALL_STACK: 1 << 3 } as const;

/** What a breakpoint register watches: the R/W field of DR7. */
export const BREAKPOINT = { EXECUTE: 0, WRITE: 1, IO: 2, ACCESS: 3 } as const;
export type BreakpointKind = (typeof BREAKPOINT)[keyof typeof BREAKPOINT];

/** Bytes watched, by the LEN field. */
const LENGTHS = [1, 2, 8, 4] as const;

/**
 * Which of DR0–DR3 are enabled, watch this kind of access and match one of its bytes, as bits B3:0 of DR6.
 *
 * @see SDM "Breakpoint Field Recognition", 19.2.5
 */
export function matchingBreakpoints(
  state: CpuState,
  kind: BreakpointKind,
  address: bigint,
  size: number,
): bigint {
  const dr7 = Number(state.debugRegister(7));
  let matches = 0n;
  for (let n = 0; n < 4; n++) {
    if ((dr7 & (3 << (2 * n))) === 0 || ((dr7 >>> (16 + 4 * n)) & 3) !== kind) continue;
    const length = BigInt(LENGTHS[(dr7 >>> (18 + 4 * n)) & 3]);
    const start = state.debugRegister(n) & ~(length - 1n);
    if (address < start + length && start < address + BigInt(size)) matches |= 1n << BigInt(n);
  }
  return matches;
}

/** Makes the breakpoints that an instruction has hit pend: a trap after it. */
export function pendBreakpoints(state: CpuState, matches: bigint): void {
  if (matches !== 0n) state.PENDING_DEBUG |= matches | PENDING_DEBUG.ENABLED_BREAKPOINT;
}

/** An I/O breakpoint needs CR4.DE. */
export function checkIoBreakpoints(state: CpuState, port: number, size: number): void {
  if ((state.cr4 & CR4.DE) === 0 || (state.debugRegister(7) & 0xffn) === 0n) return;
  pendBreakpoints(state, matchingBreakpoints(state, BREAKPOINT.IO, BigInt(port), size));
}

/**
 * A #DB is about to be delivered: its conditions go to DR6, DR7.GD and the branch-trace flags are cleared, so that no
 * branch is recorded any more.
 * `conditions` has the bits of DR6, with RTM inverted as in a VM exit's qualification.
 *
 * @see SDM "Debug Exception (#DB)—Interrupt Vector 1", 19.3.1
 */
export function recordDebugException(state: CpuState, conditions: bigint): void {
  const kept = state.debugRegister(6) & ~DR6.B;
  state.setDebugRegister(6, kept | DR6.RTM | (conditions & DR6_WRITABLE));
  state.setDebugRegister(7, state.debugRegister(7) & ~DR7.GD);
  state.IA32_DEBUGCTL &= ~(DEBUGCTL.LBR | DEBUGCTL.BTF);
  state.IA32_LBR_CTL &= ~BigInt(LBR_CTL.LBREN);
}

/**
 * The register that DR4 and DR5 stand for, or undefined after #UD.
 *
 * @see SDM "Debug Registers DR4 and DR5", 19.2.2
 */
export function debugRegisterNumber(cpu: Cpu, register: number): number | undefined {
  if (register < 4 || register === 6 || register === 7) return register;
  if (register > 7 || (cpu.state.cr4 & CR4.DE) !== 0) {
    cpu.raiseUd();
    return undefined;
  }
  return register + 2;
}

/**
 * A task switch ends the local breakpoints.
 *
 * @see SDM "Debug Control Register (DR7)", 19.2.4
 */
export function endLocalBreakpoints(state: CpuState): void {
  state.setDebugRegister(7, state.debugRegister(7) & ~DR7_LOCAL);
}

/** With DR7.GD set, an access is a debug exception (a fault). */
export function checkGeneralDetect(cpu: Cpu): Outcome {
  if ((cpu.state.debugRegister(7) & DR7.GD) === 0n) return OUTCOME.NEXT;
  return cpu.raise(VECTOR.DB, undefined, DR6.BD);
}

/** MOV to DR0–DR3, DR6 or DR7, after the checks of privilege, DR4/DR5 and DR7.GD. */
export function writeDebugRegister(cpu: Cpu, register: number, value: bigint): Outcome {
  const { state } = cpu;
  if (register < 4) {
    state.setDebugRegister(register, value);
    return OUTCOME.NEXT_THEN_CHECK;
  }
  if (value >> 32n) return cpu.raiseGp();
  if (register === 6) state.setDebugRegister(6, (value & DR6_WRITABLE) | DR6_ONES);
  else state.setDebugRegister(7, (value & DR7_WRITABLE) | DR7_ONES);
  return OUTCOME.NEXT_THEN_CHECK;
}
