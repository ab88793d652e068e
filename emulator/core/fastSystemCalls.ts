/**
 * SYSCALL, SYSRET, SYSENTER and SYSEXIT: flat segments from MSRs, no descriptor is read.
 *
 * Intel SDM Vol. 3A, "Performing Fast Calls to System Procedures", 6.8.7; Vol. 2B, the pages of the instructions.
 */
import type { CpuState } from '../state/cpuState.ts';
import { readRflags, writeRflags } from '../state/flags.ts';
import { OFFSET } from '../state/layout.ts';
import { AR, CR0, CS, EFER, FLAG, R11, RCX, RDX, RSP, SS } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import type { Instruction } from './instruction.ts';
import { inRealMode, isCanonical, isCanonicalHigh } from './memory.ts';
import { isAmd } from './model.ts';
import { OUTCOME, type Outcome } from './outcome.ts';

/** Flat, present, accessed: code that can be read, and data that can be written. */
export const FLAT_CODE = 0xb | AR.S | AR.P | AR.G;
export const FLAT_DATA = 0x3 | AR.S | AR.P | AR.G | AR.DB;

const MASK32 = 0xffff_ffffn;

// In words of 32 bits: kernels come here all the time, and a 64-bit number is an object on the heap.
const RIP_LOW = OFFSET.RIP >> 2;
const RCX_LOW = (OFFSET.GPR >> 2) + 2 * RCX;
const R11_LOW = (OFFSET.GPR >> 2) + 2 * R11;
const STAR_HIGH = (OFFSET.IA32_STAR >> 2) + 1;
const LSTAR_LOW = OFFSET.IA32_LSTAR >> 2;
const CSTAR_LOW = OFFSET.IA32_CSTAR >> 2;
const FMASK_LOW = OFFSET.IA32_FMASK >> 2;
const SELECTORS = OFFSET.SEG_SELECTOR >> 2;
const BASES = OFFSET.SEG_BASE >> 2;
const LIMITS = OFFSET.SEG_LIMIT >> 2;
const ACCESS_RIGHTS = OFFSET.SEG_ACCESS_RIGHTS >> 2;

function loadFlat({ i32 }: CpuState, segment: number, selector: number, accessRights: number): void {
  i32[SELECTORS + segment] = selector & 0xffff;
  i32[BASES + 2 * segment] = 0;
  i32[BASES + 2 * segment + 1] = 0;
  i32[LIMITS + segment] = -1;
  i32[ACCESS_RIGHTS + segment] = accessRights;
}

function copy64({ i32 }: CpuState, to: number, from: number): void {
  i32[to] = i32[from];
  i32[to + 1] = i32[from + 1];
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
  const { i32 } = state;
  const flags = readRflags(state) & ~FLAG.RF;
  const next = (i32[RIP_LOW] >>> 0) + instruction.length;
  i32[RCX_LOW] = next;
  i32[RCX_LOW + 1] = i32[RIP_LOW + 1] + (next > 0xffff_ffff ? 1 : 0);
  i32[R11_LOW] = flags;
  i32[R11_LOW + 1] = 0;
  copy64(state, RIP_LOW, state.in64BitMode ? LSTAR_LOW : CSTAR_LOW);
  const masked = flags & ~i32[FMASK_LOW];
  writeRflags(state, masked);
  // Masking TF ends single-stepping before this instruction's trap.
  if ((masked & FLAG.TF) === 0) cpu.singleStepTrap = false;
  const selector = i32[STAR_HIGH] & 0xfffc;
  enterFlat(cpu, selector, selector + 8, 0, AR.L);
  return OUTCOME.JUMPED;
}

/** RFLAGS bits that SYSRET takes from R11. */
export const SYSRET_FLAGS = 0x3c_7fd7;

/** @see SDM "SYSRET—Return From Fast System Call" */
export function sysret(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  if (!hasSyscall(cpu)) return cpu.raiseUd();
  if ((state.efer & EFER.LMA) === 0) return legacySysret(cpu);
  const long = instruction.operandSize === 64;
  const { i32 } = state;
  if (state.CPL !== 0 || (long && !isCanonicalHigh(state, i32[RCX_LOW + 1]))) return cpu.raiseGp();
  writeRflags(state, i32[R11_LOW] & SYSRET_FLAGS);
  copy64(state, RIP_LOW, RCX_LOW);
  if (!long) i32[RIP_LOW + 1] = 0;
  const selector = i32[STAR_HIGH] >>> 16;
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
