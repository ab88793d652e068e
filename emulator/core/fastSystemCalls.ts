/**
 * SYSCALL, SYSRET, SYSENTER and SYSEXIT: flat segments from MSRs, no descriptor is read.
 *
 * Intel SDM Vol. 3A, "Performing Fast Calls to System Procedures", 6.8.7; Vol. 2B, the pages of the instructions.
 */
import type { CpuState } from '../state/cpuState.ts';
import { readRflags, writeRflags } from '../state/flags.ts';
import { AR, CR0, CS, EFER, FLAG, R11, RCX, RDX, RSP, SS } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import type { Instruction } from './instruction.ts';
import { inRealMode, isCanonical } from './memory.ts';
import { isAmd } from './model.ts';
import { OUTCOME, type Outcome } from './outcome.ts';

/** Flat, present, accessed: code that can be read, and data that can be written. */
const FLAT_CODE = 0xb | AR.S | AR.P | AR.G;
const FLAT_DATA = 0x3 | AR.S | AR.P | AR.G | AR.DB;

const MASK32 = 0xffff_ffffn;

function loadFlat(state: CpuState, segment: number, selector: number, accessRights: number): void {
  state.setSegmentSelector(segment, selector & 0xffff);
  state.setSegmentBase(segment, 0n);
  state.setSegmentLimit(segment, 0xffff_ffff);
  state.setSegmentAccessRights(segment, accessRights);
}

/** Loads CS and SS for a privilege level; `mode` is AR.L or AR.DB for 64-bit and 32-bit code. */
function enterFlat(cpu: Cpu, cs: number, ss: number, cpl: number, mode: number): void {
  const { state } = cpu;
  const dpl = cpl << AR.DPL_SHIFT;
  loadFlat(state, CS, cs, FLAT_CODE | dpl | mode);
  loadFlat(state, SS, ss, FLAT_DATA | dpl);
  state.CPL = cpl;
  cpu.mmu.updateContext();
}

/** Intel's processors have SYSCALL and SYSRET in 64-bit mode, AMD's in every protected mode. */
function hasSyscall(cpu: Cpu): boolean {
  const { state } = cpu;
  if ((state.efer & EFER.SCE) === 0) return false;
  return state.in64BitMode || (isAmd(cpu.model) && !inRealMode(state));
}

/** AMD's processors have SYSENTER and SYSEXIT outside of long mode. */
function hasSysenter(cpu: Cpu): boolean {
  return !isAmd(cpu.model) || (cpu.state.efer & EFER.LMA) === 0;
}

/** In legacy mode: RIP from STAR, and no mask. @see APM "SYSCALL", vol. 3 */
function legacySyscall(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  state.setGpr(RCX, (state.RIP + BigInt(instruction.length)) & MASK32);
  state.RIP = state.IA32_STAR & MASK32;
  state.systemFlags &= ~(FLAG.VM | FLAG.IF | FLAG.RF);
  const selector = Number((state.IA32_STAR >> 32n) & 0xfffcn);
  enterFlat(cpu, selector, selector + 8, 0, AR.DB);
  return OUTCOME.JUMPED;
}

/** @see SDM "SYSCALL—Fast System Call" */
export function syscall(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  if (!hasSyscall(cpu)) return cpu.raiseUd();
  if ((state.efer & EFER.LMA) === 0) return legacySyscall(cpu, instruction);
  const flags = readRflags(state) & ~FLAG.RF;
  state.setGpr(RCX, state.RIP + BigInt(instruction.length));
  state.setGpr(R11, BigInt(flags));
  state.RIP = state.in64BitMode ? state.IA32_LSTAR : state.IA32_CSTAR;
  const masked = flags & ~Number(state.IA32_FMASK & 0xffff_ffffn);
  writeRflags(state, masked);
  // Masking TF ends single-stepping before this instruction's trap.
  if ((masked & FLAG.TF) === 0) cpu.singleStepTrap = false;
  const selector = Number((state.IA32_STAR >> 32n) & 0xfffcn);
  enterFlat(cpu, selector, selector + 8, 0, AR.L);
  return OUTCOME.JUMPED;
}

const SYSRET_FLAGS = 0x3c_7fd7;

/** @see SDM "SYSRET—Return From Fast System Call" */
export function sysret(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  if (!hasSyscall(cpu)) return cpu.raiseUd();
  if ((state.efer & EFER.LMA) === 0) return legacySysret(cpu);
  const long = instruction.operandSize === 64;
  const target = state.gpr(RCX);
  if (state.CPL !== 0 || (long && !isCanonical(state, target))) return cpu.raiseGp();
  writeRflags(state, Number(state.gpr(R11) & BigInt(SYSRET_FLAGS)));
  state.RIP = long ? target : target & 0xffff_ffffn;
  const selector = Number(state.IA32_STAR >> 48n);
  enterFlat(cpu, (long ? selector + 16 : selector) | 3, (selector + 8) | 3, 3, long ? AR.L : AR.DB);
  return OUTCOME.JUMPED;
}

/** @see APM "SYSRET", vol. 3, in legacy mode */
function legacySysret(cpu: Cpu): Outcome {
  const { state } = cpu;
  if (state.CPL !== 0) return cpu.raiseGp();
  state.RIP = state.gpr(RCX) & MASK32;
  state.systemFlags |= FLAG.IF;
  const selector = Number(state.IA32_STAR >> 48n);
  enterFlat(cpu, selector | 3, (selector + 8) | 3, 3, AR.DB);
  return OUTCOME.JUMPED;
}

/** @see SDM "SYSENTER—Fast System Call" */
export function sysenter(cpu: Cpu): Outcome {
  const { state } = cpu;
  if (!hasSysenter(cpu)) return cpu.raiseUd();
  const selector = Number(state.IA32_SYSENTER_CS & 0xfffcn);
  if ((state.cr0 & CR0.PE) === 0 || selector === 0) return cpu.raiseGp();
  const long = (state.efer & EFER.LMA) !== 0;
  state.systemFlags &= ~(FLAG.VM | FLAG.IF | FLAG.RF);
  state.setGpr(RSP, long ? state.IA32_SYSENTER_ESP : state.IA32_SYSENTER_ESP & 0xffff_ffffn);
  state.RIP = long ? state.IA32_SYSENTER_EIP : state.IA32_SYSENTER_EIP & 0xffff_ffffn;
  enterFlat(cpu, selector, selector + 8, 0, long ? AR.L : AR.DB);
  return OUTCOME.JUMPED;
}

/** @see SDM "SYSEXIT—Fast Return from Fast System Call" */
export function sysexit(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  if (!hasSysenter(cpu)) return cpu.raiseUd();
  const selector = Number(state.IA32_SYSENTER_CS & 0xfffcn);
  if ((state.cr0 & CR0.PE) === 0 || selector === 0 || state.CPL !== 0) return cpu.raiseGp();
  const long = instruction.operandSize === 64;
  const rip = state.gpr(RDX);
  const rsp = state.gpr(RCX);
  if (long && !(isCanonical(state, rip) && isCanonical(state, rsp))) return cpu.raiseGp();
  state.RIP = long ? rip : rip & 0xffff_ffffn;
  state.setGpr(RSP, long ? rsp : rsp & 0xffff_ffffn);
  const cs = selector + (long ? 32 : 16);
  enterFlat(cpu, cs | 3, (cs + 8) | 3, 3, long ? AR.L : AR.DB);
  return OUTCOME.JUMPED;
}
