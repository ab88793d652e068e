/**
 * The task-state segment as a source of stacks for inner privilege levels and of I/O permissions. Task switches are in
 * taskSwitch.ts.
 *
 * Intel SDM Vol. 3A, "Task-State Segment (TSS)", 9.2.1, and "Task State Segment in 64-bit Mode", 9.7; Vol. 1, "I/O
 * Permission Bit Map", 20.5.2.
 */
import type { CpuState } from '../state/cpuState.ts';
import { AR, EFER, SS, TR, VECTOR } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import {
  type Descriptor,
  isNull,
  loadHidden,
  loadNull,
  markAccessed,
  readDescriptor,
  SEGMENT_TYPE,
  SYSTEM_TYPE,
} from './descriptors.ts';
import { readImplicit } from './memory.ts';
import type { StackOptions } from './stack.ts';

const MASK32 = 0xffff_ffffn;
const MASK64 = 0xffff_ffff_ffff_ffffn;
const RSP0_OFFSET = 4;
const IST1_OFFSET = 36;
const IO_MAP_BASE_OFFSET = 102;

/** A stack of an inner privilege level, with the checks on its segment passed. */
export interface InnerStack {
  readonly options: StackOptions;
  /** Writes the accessed flag of the stack segment; false when that faulted. */
  markAccessed(): boolean;
  /** Loads SS. RSP is the caller's. */
  loadSs(): void;
}

/** Whether the TSS reaches so far; otherwise #TS is recorded. */
function tssHolds(cpu: Cpu, offset: number, bytes: number): boolean {
  const { state } = cpu;
  if (offset + bytes - 1 <= state.segmentLimit(TR)) return true;
  cpu.raise(VECTOR.TS, cpu.errorCode(state.segmentSelector(TR)));
  return false;
}

/** A field of the current TSS; #TS when its limit is too small. */
export function readTss(cpu: Cpu, offset: number, bytes: 2 | 4 | 8): bigint | undefined {
  if (!tssHolds(cpu, offset, bytes)) return undefined;
  const { state } = cpu;
  const address = state.segmentBase(TR) + BigInt(offset);
  return readImplicit(cpu, BigInt.asUintN(state.efer & EFER.LMA ? 64 : 32, address), bytes);
}

/**
 * The stack for privilege level `cpl` from the TSS, in protected mode outside IA-32e mode.
 *
 * @see SDM "INT n/INTO/INT3/INT1—Call to Interrupt Procedure", INTER-PRIVILEGE-LEVEL-INTERRUPT
 */
export function innerStack(cpu: Cpu, cpl: number): InnerStack | undefined {
  const { state } = cpu;
  const tss32 = isTss32(state);
  const offset = tss32 ? RSP0_OFFSET + 8 * cpl : 2 + 4 * cpl;
  const size = tss32 ? 4 : 2;
  // The whole entry lies inside the limit, or nothing of it is used.
  if (!tssHolds(cpu, offset, size + 2)) return undefined;
  const pointer = readTss(cpu, offset, size);
  if (pointer === undefined) return undefined;
  const ss = readTss(cpu, offset + size, 2);
  if (ss === undefined) return undefined;
  const descriptor = checkStackSelector(cpu, Number(ss), cpl);
  if (!descriptor) return undefined;
  const { accessRights, limit, base } = descriptor;
  return {
    options: {
      long: false,
      base,
      limit,
      accessRights,
      pointer,
      mask: accessRights & AR.DB ? MASK32 : 0xffffn,
      cpl,
      faultSelector: Number(ss),
    },
    markAccessed: () => markAccessed(cpu, descriptor),
    loadSs: () => loadHidden(state, SS, descriptor, Number(ss)),
  };
}

/** The checks on a stack-segment selector from a TSS: faults are #TS, or #SS when it is not present. */
function checkStackSelector(cpu: Cpu, selector: number, cpl: number): Descriptor | undefined {
  if (isNull(selector)) {
    cpu.raise(VECTOR.TS, cpu.errorCode(0));
    return undefined;
  }
  const descriptor = readDescriptor(cpu, selector, VECTOR.TS);
  if (!descriptor) return undefined;
  const writableData =
    !descriptor.isSystem &&
    (descriptor.type & (SEGMENT_TYPE.CODE | SEGMENT_TYPE.WRITABLE)) === SEGMENT_TYPE.WRITABLE;
  if ((selector & 3) !== cpl || descriptor.dpl !== cpl || !writableData) {
    cpu.raise(VECTOR.TS, cpu.errorCode(selector));
    return undefined;
  }
  if (!descriptor.present) {
    cpu.raise(VECTOR.SS, cpu.errorCode(selector));
    return undefined;
  }
  return descriptor;
}

/**
 * The stack for privilege level `cpl`, or the one of an IST entry (1 to 7), in IA-32e mode. SS becomes null when the
 * privilege level changes.
 *
 * @see SDM "Stack Switching in IA-32e Mode", 7.14.4; "Interrupt Stack Table", 7.14.5
 */
export function innerStack64(cpu: Cpu, cpl: number, ist: number, align: boolean): InnerStack | undefined {
  const { state } = cpu;
  const pointer = readTss(cpu, ist === 0 ? RSP0_OFFSET + 8 * cpl : IST1_OFFSET + 8 * (ist - 1), 8);
  if (pointer === undefined) return undefined;
  return {
    options: longStack(align ? pointer & ~0xfn : pointer, cpl),
    markAccessed: () => true,
    loadSs: () => loadNull(state, SS, cpl, cpl),
  };
}

/** A 64-bit stack at `pointer`. */
export function longStack(pointer: bigint, cpl: number): StackOptions {
  return {
    long: true,
    base: 0n,
    limit: 0xffff_ffff,
    accessRights: 0,
    pointer,
    mask: MASK64,
    cpl,
    faultSelector: 0,
  };
}

/** Where the I/O permission bit map begins in the current TSS; undefined when reading that faulted. */
export function ioMapBase(cpu: Cpu): number | undefined {
  const mapBase = readTss(cpu, IO_MAP_BASE_OFFSET, 2);
  return mapBase === undefined ? undefined : Number(mapBase);
}

/**
 * Whether the I/O permission bit map of the current TSS allows an access; undefined when reading it faulted.
 *
 * @see SDM "I/O Permission Bit Map", 20.5.2 of volume 1
 */
export function ioPermitted(cpu: Cpu, port: number, size: number): boolean | undefined {
  const { state } = cpu;
  const accessRights = state.segmentAccessRights(TR);
  const limit = state.segmentLimit(TR);
  if (accessRights & AR.UNUSABLE || !isTss32(state) || limit < IO_MAP_BASE_OFFSET + 1) return false;
  const mapBase = ioMapBase(cpu);
  if (mapBase === undefined) return undefined;
  // Two bytes are always read, so that an access never has to look across more than its own bits.
  const offset = mapBase + (port >> 3);
  if (offset + 1 > limit) return false;
  const bits = readTss(cpu, offset, 2);
  if (bits === undefined) return undefined;
  const wanted = ((1 << size) - 1) << (port & 7);
  return (Number(bits) & wanted) === 0;
}

/** A 32-bit TSS, or the 64-bit one of IA-32e mode. */
function isTss32(state: CpuState): boolean {
  return (state.segmentAccessRights(TR) & AR.TYPE & ~2) === SYSTEM_TYPE.TSS_AVAILABLE;
}
