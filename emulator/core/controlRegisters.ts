/**
 * Control registers, IA32_EFER and XCR0: which values they take, and what changing them does to mode and paging. The
 * MMU sees what changed and invalidates translations. Privilege checks and intercepts are in isa/system.
 *
 * Intel SDM Vol. 3A, "Control Registers", 2.5; Vol. 2B, "MOV—Move to/from Control Registers"; "Initializing IA-32e
 * Mode", 10.8.5.
 */
import type { CpuState } from '../state/cpuState.ts';
import { AR, CR0, CR4, CS, EFER, TR } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import type { FeatureKey } from './features.ts';
import { OUTCOME, type Outcome } from './outcome.ts';
import { loadPdptes, usesPaePaging } from './pdptes.ts';

const CR0_DEFINED =
  CR0.PE | CR0.MP | CR0.EM | CR0.TS | CR0.ET | CR0.NE | CR0.WP | CR0.AM | CR0.NW | CR0.CD | CR0.PG;

/** CR4 bits and the feature that makes each writable; the others are reserved. */
const CR4_FEATURES: readonly (readonly [bit: number, feature: FeatureKey])[] = [
  [CR4.VME, 'VME'],
  [CR4.PVI, 'VME'],
  [CR4.TSD, 'TSC'],
  [CR4.DE, 'DE'],
  [CR4.PSE, 'PSE'],
  [CR4.PAE, 'PAE'],
  [CR4.MCE, 'MCE'],
  [CR4.PGE, 'PGE'],
  [CR4.PCE, 'MSR'],
  [CR4.OSFXSR, 'FXSR'],
  [CR4.OSXMMEXCPT, 'SSE'],
  [CR4.UMIP, 'UMIP'],
  [CR4.LA57, 'LA57'],
  [CR4.VMXE, 'VMX'],
  [CR4.SMXE, 'SMX'],
  [CR4.FSGSBASE, 'FSGSBASE'],
  [CR4.PCIDE, 'PCID'],
  [CR4.OSXSAVE, 'XSAVE'],
  [CR4.SMEP, 'SMEP'],
  [CR4.SMAP, 'SMAP'],
  [CR4.PKE, 'PKU'],
  [CR4.CET, 'CET_SS'],
  [CR4.CET, 'CET_IBT'],
  [CR4.PKS, 'PKS'],
];

/** The CR4 bits that the processor implements: the others are #GP(0), and 0 in IA32_VMX_CR4_FIXED1. */
export function supportedCr4(has: (feature: FeatureKey) => boolean): bigint {
  return BigInt(CR4_FEATURES.reduce((bits, [bit, feature]) => (has(feature) ? bits | bit : bits), 0));
}

const paging = (cr0: number): boolean => (cr0 & CR0.PG) !== 0;

const low = (value: bigint): number => Number(BigInt.asIntN(32, value));

/** CR0 bits whose change reloads the PDPTEs under PAE paging, and those of CR4. @see SDM "PDPTE Registers", 5.4.1 */
const CR0_RELOADS_PDPTES = CR0.CD | CR0.NW | CR0.PG;
const CR4_RELOADS_PDPTES = CR4.PAE | CR4.PGE | CR4.PSE | CR4.SMEP;

/** MOV to CR0, LMSW and CLTS. `value` is what the program wants: bits owned by a hypervisor keep their value. */
export function writeCr0(cpu: Cpu, value: bigint): Outcome {
  const { state, virtualization } = cpu;
  // 1. What will really be written; undefined bits of the low half are dropped, ET is 1.
  if (value >> 32n) return cpu.raiseGp();
  const wanted = BigInt((low(value) & CR0_DEFINED) | CR0.ET);
  const next = virtualization.writableCr(0, BigInt.asUintN(32, wanted), state.CR0);
  const from = state.cr0;
  const to = low(next);
  // 2. General protection.
  if (!isCr0Valid(state, from, to) || !virtualization.permitsCr(0, next)) return cpu.raiseGp();
  const enables = paging(to) && !paging(from);
  const disables = !paging(to) && paging(from);
  const efer =
    enables && state.efer & EFER.LME ? state.efer | EFER.LMA : disables ? state.efer & ~EFER.LMA : state.efer;
  if (usesPaePaging(to, state.cr4, efer) && (from ^ to) & CR0_RELOADS_PDPTES) {
    const outcome = loadPdptes(cpu, state.CR3);
    if (outcome !== OUTCOME.NEXT) return outcome;
  }
  // 3. Commit.
  state.CR0 = next;
  if (efer !== state.efer) state.IA32_EFER = BigInt(efer);
  cpu.mmu.updateContext();
  return OUTCOME.NEXT_THEN_CHECK;
}

/** @see SDM "MOV—Move to/from Control Registers", Protected Mode Exceptions and 64-Bit Mode Exceptions */
function isCr0Valid(state: CpuState, from: number, to: number): boolean {
  if ((to & (CR0.CD | CR0.NW)) === CR0.NW) return false;
  if (paging(to) && (to & CR0.PE) === 0) return false;
  if ((to & CR0.WP) === 0 && (state.cr4 & CR4.CET) !== 0) return false;
  const longCode = (state.segmentAccessRights(CS) & AR.L) !== 0;
  if (paging(to) && !paging(from) && (state.efer & EFER.LME) !== 0) {
    // Activating IA-32e mode.
    if ((state.cr4 & CR4.PAE) === 0 || longCode) return false;
    const tss16 =
      (state.segmentAccessRights(TR) & (AR.UNUSABLE | 8)) === 0 && (state.segmentAccessRights(TR) & 1) !== 0;
    if (tss16) return false;
  }
  if (!paging(to) && paging(from)) {
    if ((state.efer & EFER.LMA) !== 0 && longCode) return false;
    if ((state.cr4 & CR4.PCIDE) !== 0) return false;
  }
  return true;
}

const PCID_MASK = 0xfffn;
const NO_FLUSH = 1n << 63n;

/** MOV to CR3. */
export function writeCr3(cpu: Cpu, value: bigint): Outcome {
  const { state } = cpu;
  const pcide = (state.cr4 & CR4.PCIDE) !== 0;
  const next = pcide ? value & ~NO_FLUSH : value;
  if (next >> BigInt(cpu.model.physicalAddressBits)) return cpu.raiseGp();
  if (usesPaePaging(state.cr0, state.cr4, state.efer)) {
    const outcome = loadPdptes(cpu, next);
    if (outcome !== OUTCOME.NEXT) return outcome;
  }
  state.CR3 = next;
  cpu.mmu.updateContext();
  // Bit 63 keeps what the TLB has for the new PCID.
  if (!pcide || (value & NO_FLUSH) === 0n) cpu.mmu.flushCurrent();
  return OUTCOME.NEXT_THEN_CHECK;
}

/** MOV to CR4. */
export function writeCr4(cpu: Cpu, value: bigint): Outcome {
  const { state, virtualization } = cpu;
  const next = virtualization.writableCr(4, value, state.CR4);
  if (next & ~supportedCr4((feature) => cpu.has(feature))) return cpu.raiseGp();
  const from = state.cr4;
  const to = low(next);
  if (!isCr4Valid(state, from, to) || !virtualization.permitsCr(4, next)) return cpu.raiseGp();
  const changed = from ^ to;
  if (usesPaePaging(state.cr0, to, state.efer) && changed & CR4_RELOADS_PDPTES) {
    const outcome = loadPdptes(cpu, state.CR3);
    if (outcome !== OUTCOME.NEXT) return outcome;
  }
  state.CR4 = next;
  cpu.mmu.updateContext();
  return OUTCOME.NEXT_THEN_CHECK;
}

function isCr4Valid(state: CpuState, from: number, to: number): boolean {
  const longMode = (state.efer & EFER.LMA) !== 0;
  if (longMode && ((to & CR4.PAE) === 0 || ((from ^ to) & CR4.LA57) !== 0)) return false;
  if ((to & CR4.CET) !== 0 && (state.cr0 & CR0.WP) === 0) return false;
  const setsPcide = (to & CR4.PCIDE) !== 0 && (from & CR4.PCIDE) === 0;
  return !setsPcide || (longMode && (state.CR3 & PCID_MASK) === 0n);
}

/** MOV to CR8. */
export function writeCr8(cpu: Cpu, value: bigint): Outcome {
  if (value >> 4n) return cpu.raiseGp();
  const priority = Number(value);
  if (!cpu.virtualization.writeTaskPriority(priority)) cpu.apic.writeCr8(priority);
  return OUTCOME.NEXT_THEN_CHECK;
}

/**
 * WRMSR to IA32_EFER; false is #GP(0). LMA is read-only.
 *
 * @see SDM "Extended Feature Enable Register", 2.2.1
 */
export function writeEfer(cpu: Cpu, value: bigint): boolean {
  const { state } = cpu;
  let allowed = EFER.LME | EFER.LMA;
  if (cpu.has('SYSCALL')) allowed |= EFER.SCE;
  if (cpu.has('XD')) allowed |= EFER.NXE;
  if (cpu.has('SVM')) allowed |= EFER.SVME;
  if (value & ~BigInt(allowed)) return false;
  const next = (low(value) & ~EFER.LMA) | (state.efer & EFER.LMA);
  const changed = next ^ state.efer;
  if (changed & EFER.LME && paging(state.cr0)) return false;
  state.IA32_EFER = BigInt(next);
  cpu.mmu.updateContext();
  return true;
}

const XCR0_X87 = 1n;
const XCR0_SSE = 1n << 1n;
const XCR0_AVX = 1n << 2n;
const XCR0_PKRU = 1n << 9n;

/** XSETBV after its checks of mode and privilege. @see SDM "XSETBV—Set Extended Control Register" */
export function writeXcr(cpu: Cpu, register: number, value: bigint): Outcome {
  const supported =
    XCR0_X87 |
    (cpu.has('SSE') ? XCR0_SSE : 0n) |
    (cpu.has('AVX') ? XCR0_AVX : 0n) |
    (cpu.has('PKU') ? XCR0_PKRU : 0n);
  const withoutSse = (value & XCR0_AVX) !== 0n && (value & XCR0_SSE) === 0n;
  if (register !== 0 || value & ~supported || (value & XCR0_X87) === 0n || withoutSse) return cpu.raiseGp();
  cpu.state.XCR0 = value;
  return OUTCOME.NEXT_THEN_CHECK;
}
