/**
 * Memory as system instructions see it: accesses through a segment with the checks of the mode, and the implicit
 * supervisor accesses to descriptor tables and task-state segments.
 *
 * A helper that gives `undefined` or `false` has left the reason in the CPU; the caller returns `cpu.failed`.
 *
 * Intel SDM Vol. 3A, "Limit Checking", 6.3, and "Type Checking", 6.4; Vol. 1, "Canonical Addressing", 3.3.7.1.
 */
import type { CpuState } from '../state/cpuState.ts';
import { AR, CR0, CR4, CS, FLAG, FS, SS, VECTOR } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';

export type AccessBytes = 1 | 2 | 4 | 8;

const MASK32 = 0xffff_ffffn;
const CODE = 8;
const WRITABLE_OR_READABLE = 2;
const EXPAND_DOWN = 4;

/** Real-address mode: neither protection nor virtual-8086 mode. */
export function inRealMode(state: CpuState): boolean {
  return (state.cr0 & CR0.PE) === 0;
}

/** Real-address or virtual-8086 mode: a selector is a paragraph number. */
export function hasParagraphSegments(state: CpuState): boolean {
  return (state.cr0 & CR0.PE) === 0 || state.virtual8086;
}

/** Whether `address` is canonical: bits above the implemented linear address all equal its highest bit. */
export function isCanonical(state: CpuState, address: bigint): boolean {
  const bits = (state.cr4 & CR4.LA57) !== 0 ? 57 : 48;
  return BigInt.asUintN(64, BigInt.asIntN(bits, address)) === address;
}

/** The same by the high 32 bits of the address. */
export function isCanonicalHigh(state: CpuState, high: number): boolean {
  const sign = high >> ((state.cr4 & CR4.LA57) !== 0 ? 24 : 15);
  return sign === 0 || sign === -1;
}

/**
 * The same by what the processor can do, whatever paging is in use: for values that registers keep.
 *
 * @see SDM "Canonical Addressing", 3.3.7.1 of volume 1
 */
export function isCanonicalForRegister(cpu: Cpu, address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(cpu.has('LA57') ? 57 : 48, address)) === address;
}

/**
 * Whether `offset` and the bytes after it lie inside a segment with this limit and these access rights.
 *
 * @see SDM "Limit Checking", 6.3
 */
export function withinLimit(limit: number, accessRights: number, offset: number, size: number): boolean {
  const last = offset + size - 1;
  const expandDown = (accessRights & (CODE | EXPAND_DOWN | AR.S)) === (EXPAND_DOWN | AR.S);
  if (!expandDown) return last <= limit;
  return offset > limit && last <= (accessRights & AR.DB ? 0xffff_ffff : 0xffff);
}

/**
 * The linear address of `size` bytes at `offset` in a segment, after the limit, type and canonical checks.
 *
 * @see SDM "Limit Checking", 6.3; "Type Checking", 6.4
 */
export function linearAddress(
  cpu: Cpu,
  segment: number,
  offset: bigint,
  size: number,
  write: boolean,
): bigint | undefined {
  const { state } = cpu;
  if (state.in64BitMode) {
    const base = segment >= FS ? state.segmentBase(segment) : 0n;
    const address = BigInt.asUintN(64, base + offset);
    const last = BigInt.asUintN(64, address + BigInt(size - 1));
    if (isCanonical(state, address) && isCanonical(state, last)) return address;
    cpu.raiseSegmentFault(segment);
    return undefined;
  }
  const accessRights = state.segmentAccessRights(segment);
  if (!hasParagraphSegments(state)) {
    const code = (accessRights & CODE) !== 0;
    const allowed = write
      ? !code && (accessRights & WRITABLE_OR_READABLE) !== 0
      : !code || (accessRights & WRITABLE_OR_READABLE) !== 0;
    if ((accessRights & AR.UNUSABLE) !== 0 || !allowed) {
      cpu.raiseSegmentFault(segment);
      return undefined;
    }
  }
  if (!withinLimit(state.segmentLimit(segment), accessRights, Number(offset & MASK32), size)) {
    cpu.raiseSegmentFault(segment);
    return undefined;
  }
  return (state.segmentBase(segment) + offset) & MASK32;
}

/** Alignment checking applies at CPL 3 with CR0.AM and RFLAGS.AC. Records #AC when it finds fault. */
export function isMisaligned(cpu: Cpu, address: bigint, bytes: AccessBytes, cpl = cpu.state.CPL): boolean {
  const { state } = cpu;
  if (cpl !== 3 || (state.cr0 & CR0.AM) === 0 || (state.systemFlags & FLAG.AC) === 0) return false;
  if ((address & BigInt(bytes - 1)) === 0n) return false;
  cpu.raise(VECTOR.AC, cpu.errorCode(0));
  return true;
}

export function readSegmented(
  cpu: Cpu,
  segment: number,
  offset: bigint,
  bytes: AccessBytes,
): bigint | undefined {
  const address = linearAddress(cpu, segment, offset, bytes, false);
  if (address === undefined || isMisaligned(cpu, address, bytes)) return undefined;
  return readExplicit(cpu, address, bytes);
}

export function writeSegmented(
  cpu: Cpu,
  segment: number,
  offset: bigint,
  bytes: AccessBytes,
  value: bigint,
): boolean {
  const address = linearAddress(cpu, segment, offset, bytes, true);
  if (address === undefined || isMisaligned(cpu, address, bytes)) return false;
  return writeExplicit(cpu, address, bytes, value);
}

/** Whether a write through a segment would succeed; otherwise the fault is recorded. */
export function probeSegmented(cpu: Cpu, segment: number, offset: bigint, bytes: AccessBytes): boolean {
  const address = linearAddress(cpu, segment, offset, bytes, true);
  if (address === undefined || isMisaligned(cpu, address, bytes)) return false;
  if (cpu.mmu.probeWrite(address, bytes, privilegeOf(cpu.state.CPL))) return true;
  cpu.raiseMemoryFault();
  return false;
}

/** Reads at a linear address with the privilege of the CPL. */
export function readExplicit(cpu: Cpu, address: bigint, bytes: AccessBytes): bigint | undefined {
  const value = cpu.mmu.readLinear(address, bytes, privilegeOf(cpu.state.CPL));
  if (value === undefined) cpu.raiseMemoryFault();
  return value;
}

export function writeExplicit(cpu: Cpu, address: bigint, bytes: AccessBytes, value: bigint): boolean {
  if (cpu.mmu.writeLinear(address, bytes, value, privilegeOf(cpu.state.CPL))) return true;
  cpu.raiseMemoryFault();
  return false;
}

/**
 * Reads a descriptor table or a task-state segment: an implicit supervisor-mode access, whatever the CPL.
 *
 * @see SDM "Access Rights", 5.6
 */
export function readImplicit(cpu: Cpu, address: bigint, bytes: AccessBytes): bigint | undefined {
  const value = cpu.mmu.readLinear(address, bytes, 'implicit-supervisor');
  if (value === undefined) cpu.raiseMemoryFault();
  return value;
}

export function writeImplicit(cpu: Cpu, address: bigint, bytes: AccessBytes, value: bigint): boolean {
  if (cpu.mmu.writeLinear(address, bytes, value, 'implicit-supervisor')) return true;
  cpu.raiseMemoryFault();
  return false;
}

/** The privilege of an explicit access at this CPL. */
export function privilegeOf(cpl: number): 'user' | 'supervisor' {
  return cpl === 3 ? 'user' : 'supervisor';
}

/** The mask of the stack pointer: 64-bit mode, or the B flag of the stack segment. */
export function stackPointerMask(state: CpuState, in64BitMode = state.in64BitMode): bigint {
  if (in64BitMode) return 0xffff_ffff_ffff_ffffn;
  return state.segmentAccessRights(SS) & AR.DB ? MASK32 : 0xffffn;
}

/** The mask of the instruction pointer in the current code segment. */
export function instructionPointerMask(state: CpuState): bigint {
  if (state.in64BitMode) return 0xffff_ffff_ffff_ffffn;
  return state.segmentAccessRights(CS) & AR.DB ? MASK32 : 0xffffn;
}
