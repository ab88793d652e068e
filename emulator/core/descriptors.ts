/**
 * Segment descriptors, system descriptors and gates in the GDT, LDT and IDT.
 *
 * Intel SDM Vol. 3A, "Segment Descriptors", 3.4.5, "System Descriptor Types", 3.5, and "Call Gates", 6.8.3.
 */
import type { CpuState } from '../state/cpuState.ts';
import { AR, EFER, LDTR, VECTOR } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import { readImplicit, writeImplicit } from './memory.ts';

/** @see SDM "Code- and Data-Segment Descriptor Types", table 3-1 */
export const SEGMENT_TYPE = {
  ACCESSED: 1,
  WRITABLE: 2,
  READABLE: 2,
  EXPAND_DOWN: 4,
  CONFORMING: 4,
  CODE: 8,
} as const;

/** @see SDM "System-Segment and Gate-Descriptor Types", table 3-2; in IA-32e mode only 2, 9, 11, 12, 14 and 15 exist */
export const SYSTEM_TYPE = {
  TSS16_AVAILABLE: 1,
  LDT: 2,
  TSS16_BUSY: 3,
  CALL_GATE16: 4,
  TASK_GATE: 5,
  INTERRUPT_GATE16: 6,
  TRAP_GATE16: 7,
  TSS_AVAILABLE: 9,
  TSS_BUSY: 11,
  CALL_GATE: 12,
  INTERRUPT_GATE: 14,
  TRAP_GATE: 15,
} as const;

/** The byte of a descriptor that has type, S, DPL and P. */
const ACCESS_BYTE = 5n;
/** Set in a TSS type when the task is busy. */
export const TSS_BUSY_FLAG = 2;

export interface Descriptor {
  readonly selector: number;
  /** Linear address of the descriptor. */
  readonly address: bigint;
  /** The first eight bytes. */
  readonly raw: bigint;
  /** Access rights in the format of SEG_ACCESS_RIGHTS. */
  readonly accessRights: number;
  readonly type: number;
  readonly dpl: number;
  readonly isSystem: boolean;
  readonly present: boolean;
  readonly base: bigint;
  /** In bytes, granularity applied. */
  readonly limit: number;
}

export const isCode = (descriptor: Descriptor): boolean =>
  !descriptor.isSystem && (descriptor.type & SEGMENT_TYPE.CODE) !== 0;

export const isConforming = (descriptor: Descriptor): boolean =>
  (descriptor.type & SEGMENT_TYPE.CONFORMING) !== 0;

export const isNull = (selector: number): boolean => (selector & 0xfffc) === 0;

export function parseDescriptor(raw: bigint, selector = 0, address = 0n): Descriptor {
  const low = Number(raw & 0xffff_ffffn);
  const high = Number(raw >> 32n);
  const accessRights = (high >>> 8) & 0xf0ff;
  const limit = (high & 0xf_0000) | (low & 0xffff);
  const base = ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000)) >>> 0;
  return {
    selector,
    address,
    raw,
    accessRights,
    type: accessRights & AR.TYPE,
    dpl: (accessRights & AR.DPL) >> AR.DPL_SHIFT,
    isSystem: (accessRights & AR.S) === 0,
    present: (accessRights & AR.P) !== 0,
    base: BigInt(base),
    limit: accessRights & AR.G ? ((limit << 12) | 0xfff) >>> 0 : limit,
  };
}

const inIa32eMode = (state: CpuState): boolean => (state.efer & EFER.LMA) !== 0;

/** The linear address of a selector's descriptor, or undefined when the table does not hold `bytes` bytes there. */
export function descriptorAddress(state: CpuState, selector: number, bytes: 8 | 16 = 8): bigint | undefined {
  const local = (selector & 4) !== 0;
  if (local && (state.segmentAccessRights(LDTR) & AR.UNUSABLE) !== 0) return undefined;
  const limit = local ? state.segmentLimit(LDTR) : state.GDTR_LIMIT;
  const offset = selector & 0xfff8;
  if (offset + bytes - 1 > limit) return undefined;
  const address = (local ? state.segmentBase(LDTR) : state.GDTR_BASE) + BigInt(offset);
  return BigInt.asUintN(inIa32eMode(state) ? 64 : 32, address);
}

/** Reads the descriptor of a selector; beyond the table's limit is a fault that names the selector. */
export function readDescriptor(
  cpu: Cpu,
  selector: number,
  vector: number = VECTOR.GP,
): Descriptor | undefined {
  const address = descriptorAddress(cpu.state, selector);
  if (address === undefined) {
    cpu.raise(vector, cpu.errorCode(selector));
    return undefined;
  }
  const raw = readImplicit(cpu, address, 8);
  return raw === undefined ? undefined : parseDescriptor(raw, selector, address);
}

/**
 * The second half of a 16-byte system descriptor or call gate in IA-32e mode: bits 31:0 are bits 63:32 of the base
 * (offset). Bits 44:40, where a descriptor has its type, must be zero.
 *
 * @see SDM "Segment Descriptor Tables in IA-32e Mode", 3.5.2
 */
export function readUpperHalf(cpu: Cpu, descriptor: Descriptor): bigint | undefined {
  const address = descriptorAddress(cpu.state, descriptor.selector, 16);
  if (address === undefined) {
    cpu.raiseGp(descriptor.selector);
    return undefined;
  }
  const upper = readImplicit(cpu, BigInt.asUintN(64, address + 8n), 8);
  if (upper !== undefined && (upper >> 40n) & 0x1fn) {
    cpu.raiseGp(descriptor.selector);
    return undefined;
  }
  return upper;
}

/** Sets the accessed flag of a code or data segment in memory. False when the write failed. */
export function markAccessed(cpu: Cpu, descriptor: Descriptor): boolean {
  if (descriptor.type & SEGMENT_TYPE.ACCESSED) return true;
  return writeAccessByte(cpu, descriptor, descriptor.accessRights | SEGMENT_TYPE.ACCESSED);
}

/** Sets the busy flag of a TSS in memory. */
export function markBusy(cpu: Cpu, descriptor: Descriptor): boolean {
  return writeAccessByte(cpu, descriptor, descriptor.accessRights | TSS_BUSY_FLAG);
}

/** Writes the byte that has type, S, DPL and P. */
export function writeAccessByte(cpu: Cpu, { address }: Descriptor, accessRights: number): boolean {
  return writeImplicit(cpu, address + ACCESS_BYTE, 1, BigInt(accessRights & 0xff));
}

/** Takes a descriptor into the hidden part of a segment register. */
export function loadHidden(
  state: CpuState,
  segment: number,
  descriptor: Descriptor,
  selector: number,
  base = descriptor.base,
): void {
  state.setSegmentSelector(segment, selector);
  state.setSegmentBase(segment, base);
  state.setSegmentLimit(segment, descriptor.limit);
  const accessed = descriptor.isSystem ? 0 : SEGMENT_TYPE.ACCESSED;
  state.setSegmentAccessRights(segment, descriptor.accessRights | accessed);
}

/** Loads a null selector: the segment is unusable. SS keeps the CPL in its DPL. */
export function loadNull(state: CpuState, segment: number, selector: number, dpl = 0): void {
  state.setSegmentSelector(segment, selector);
  state.setSegmentBase(segment, 0n);
  state.setSegmentLimit(segment, 0);
  state.setSegmentAccessRights(segment, AR.UNUSABLE | (dpl << AR.DPL_SHIFT));
}

/** Present, writable, accessed data at DPL 0, and the same at DPL 3. */
const REAL_MODE_RIGHTS = 0x93;
const VIRTUAL_8086_RIGHTS = 0xf3;

/**
 * Loads in real-address mode (limit and granularity stay, as in big real mode) and in virtual-8086 mode.
 *
 * @see SDM "Real-Address Mode Operation", 22.1.1; "Segments in virtual-8086 mode", 22.2
 */
export function loadParagraph(state: CpuState, segment: number, selector: number): void {
  state.setSegmentSelector(segment, selector);
  state.setSegmentBase(segment, BigInt(selector) << 4n);
  if (state.virtual8086) {
    state.setSegmentLimit(segment, 0xffff);
    state.setSegmentAccessRights(segment, VIRTUAL_8086_RIGHTS);
  } else {
    const kept = state.segmentAccessRights(segment) & (AR.DB | AR.G);
    state.setSegmentAccessRights(segment, kept | REAL_MODE_RIGHTS);
  }
}
