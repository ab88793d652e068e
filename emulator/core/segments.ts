/**
 * Loading segment registers, LDTR and TR, and the instructions that ask about descriptors.
 *
 * Intel SDM Vol. 2B, "MOV—Move" (segment-register loads), "LLDT", "LTR", Vol. 2A "LAR", "LSL", Vol. 2B "VERR/VERW".
 */
import { AR, EFER, LDTR, SS, TR, VECTOR } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import {
  type Descriptor,
  descriptorAddress,
  isCode,
  isConforming,
  isNull,
  loadHidden,
  loadNull,
  loadParagraph,
  markAccessed,
  markBusy,
  parseDescriptor,
  readDescriptor,
  readUpperHalf,
  SEGMENT_TYPE,
  SYSTEM_TYPE,
} from './descriptors.ts';
import { hasParagraphSegments, readImplicit } from './memory.ts';
import { OUTCOME, type Outcome } from './outcome.ts';

export const isWritableData = ({ isSystem, type }: Descriptor): boolean =>
  !isSystem && (type & (SEGMENT_TYPE.CODE | SEGMENT_TYPE.WRITABLE)) === SEGMENT_TYPE.WRITABLE;

/** The half of a segment load that can fault; `load` is the half that cannot. */
export interface CheckedSegment {
  load(): void;
}

/** Loads ES, SS, DS, FS or GS with all checks of the mode. */
export function loadSegment(cpu: Cpu, segment: number, selector: number): Outcome {
  const checked = checkSegment(cpu, segment, selector);
  if (!checked) return cpu.failed;
  checked.load();
  return OUTCOME.NEXT_THEN_CHECK;
}

/**
 * The checks of a segment load, the accessed flag included, for instructions that have more to do before they commit.
 *
 * @see SDM "MOV—Move", operation of a move to a segment register in protected mode
 */
export function checkSegment(cpu: Cpu, segment: number, selector: number): CheckedSegment | undefined {
  const { state } = cpu;
  if (hasParagraphSegments(state)) return { load: () => loadParagraph(state, segment, selector) };
  if (segment === SS) return checkStackSegment(cpu, selector, state.CPL, state.in64BitMode);
  if (isNull(selector)) return { load: () => loadNull(state, segment, selector) };
  const descriptor = readDescriptor(cpu, selector);
  if (!descriptor) return undefined;
  const { isSystem, type, dpl } = descriptor;
  const executeOnly = (type & (SEGMENT_TYPE.CODE | SEGMENT_TYPE.READABLE)) === SEGMENT_TYPE.CODE;
  const restricted = !isCode(descriptor) || !isConforming(descriptor);
  if (isSystem || executeOnly || (restricted && ((selector & 3) > dpl || state.CPL > dpl))) {
    cpu.raiseGp(selector);
    return undefined;
  }
  if (!descriptor.present) {
    cpu.raise(VECTOR.NP, cpu.errorCode(selector));
    return undefined;
  }
  if (!markAccessed(cpu, descriptor)) return undefined;
  return { load: () => loadHidden(state, segment, descriptor, selector) };
}

/** The checks of an SS load for privilege level `cpl`; a null selector is allowed in 64-bit mode below level 3. */
export function checkStackSegment(
  cpu: Cpu,
  selector: number,
  cpl: number,
  to64BitMode: boolean,
): CheckedSegment | undefined {
  const { state } = cpu;
  const rpl = selector & 3;
  if (isNull(selector)) {
    if (to64BitMode && cpl < 3 && rpl === cpl) return { load: () => loadNull(state, SS, selector, cpl) };
    cpu.raiseGp();
    return undefined;
  }
  const descriptor = readDescriptor(cpu, selector);
  if (!descriptor) return undefined;
  if (rpl !== cpl || descriptor.dpl !== cpl || !isWritableData(descriptor)) {
    cpu.raiseGp(selector);
    return undefined;
  }
  if (!descriptor.present) {
    cpu.raise(VECTOR.SS, cpu.errorCode(selector));
    return undefined;
  }
  if (!markAccessed(cpu, descriptor)) return undefined;
  return { load: () => loadHidden(state, SS, descriptor, selector) };
}

/**
 * After a return to an outer privilege level: data segments that the new level may not use become null.
 *
 * @see SDM "RET—Return From Procedure", RETURN-TO-OUTER-PRIVILEGE-LEVEL
 */
export function dropInnerSegments(cpu: Cpu, segments: readonly number[]): void {
  const { state } = cpu;
  for (const segment of segments) {
    const accessRights = state.segmentAccessRights(segment);
    if (accessRights & AR.UNUSABLE) continue;
    const dpl = (accessRights & AR.DPL) >> AR.DPL_SHIFT;
    const conformingCode = SEGMENT_TYPE.CODE | SEGMENT_TYPE.CONFORMING;
    if (dpl < state.CPL && (accessRights & conformingCode) !== conformingCode) loadNull(state, segment, 0);
  }
}

/** The 64-bit base of a system descriptor in IA-32e mode, the 32-bit one elsewhere. */
function systemBase(cpu: Cpu, descriptor: Descriptor): bigint | undefined {
  if ((cpu.state.efer & EFER.LMA) === 0) return descriptor.base;
  const upper = readUpperHalf(cpu, descriptor);
  return upper === undefined ? undefined : descriptor.base | ((upper & 0xffff_ffffn) << 32n);
}

/** LLDT after its privilege checks. @see SDM "LLDT—Load Local Descriptor Table Register" */
export function loadLdtr(cpu: Cpu, selector: number): Outcome {
  const { state } = cpu;
  if (isNull(selector)) {
    loadNull(state, LDTR, selector);
    return OUTCOME.NEXT;
  }
  if (selector & 4) return cpu.raiseGp(selector);
  const descriptor = readDescriptor(cpu, selector);
  if (!descriptor) return cpu.failed;
  if (!descriptor.isSystem || descriptor.type !== SYSTEM_TYPE.LDT) return cpu.raiseGp(selector);
  if (!descriptor.present) return cpu.raise(VECTOR.NP, cpu.errorCode(selector));
  const base = systemBase(cpu, descriptor);
  if (base === undefined) return cpu.failed;
  loadHidden(state, LDTR, descriptor, selector, base);
  return OUTCOME.NEXT;
}

/** LTR after its privilege checks. @see SDM "LTR—Load Task Register" */
export function loadTr(cpu: Cpu, selector: number): Outcome {
  const { state } = cpu;
  if (isNull(selector)) return cpu.raiseGp();
  if (selector & 4) return cpu.raiseGp(selector);
  const descriptor = readDescriptor(cpu, selector);
  if (!descriptor) return cpu.failed;
  const ia32e = (state.efer & EFER.LMA) !== 0;
  const available =
    descriptor.type === SYSTEM_TYPE.TSS_AVAILABLE ||
    (!ia32e && descriptor.type === SYSTEM_TYPE.TSS16_AVAILABLE);
  if (!descriptor.isSystem || !available) return cpu.raiseGp(selector);
  if (!descriptor.present) return cpu.raise(VECTOR.NP, cpu.errorCode(selector));
  const base = systemBase(cpu, descriptor);
  if (base === undefined || !markBusy(cpu, descriptor)) return cpu.failed;
  loadHidden(state, TR, descriptor, selector, base);
  const busy = SYSTEM_TYPE.TSS_BUSY & ~SYSTEM_TYPE.TSS_AVAILABLE;
  state.setSegmentAccessRights(TR, descriptor.accessRights | busy);
  return OUTCOME.NEXT;
}

/**
 * The descriptor that LAR, LSL, VERR and VERW look at; null when the selector names none, undefined when reading it
 * faulted.
 */
function lookUp(cpu: Cpu, selector: number): Descriptor | null | undefined {
  if (isNull(selector)) return null;
  const address = descriptorAddress(cpu.state, selector);
  if (address === undefined) return null;
  const raw = readImplicit(cpu, address, 8);
  return raw === undefined ? undefined : parseDescriptor(raw, selector, address);
}

/** Whether the descriptor's privilege lets CPL and RPL see it. Conforming code is visible to everybody. */
function isVisible(cpu: Cpu, descriptor: Descriptor): boolean {
  if (isCode(descriptor) && isConforming(descriptor)) return true;
  return descriptor.dpl >= cpu.state.CPL && descriptor.dpl >= (descriptor.selector & 3);
}

// biome-ignore format: a set of types
const LAR_TYPES: ReadonlySet<number> = new Set([
  SYSTEM_TYPE.TSS16_AVAILABLE, SYSTEM_TYPE.LDT, SYSTEM_TYPE.TSS16_BUSY, SYSTEM_TYPE.CALL_GATE16, SYSTEM_TYPE.TASK_GATE,
  SYSTEM_TYPE.TSS_AVAILABLE, SYSTEM_TYPE.TSS_BUSY, SYSTEM_TYPE.CALL_GATE,
]);
// biome-ignore format: a set of types
const LAR_TYPES_IA32E: ReadonlySet<number> = new Set([
  SYSTEM_TYPE.LDT, SYSTEM_TYPE.TSS_AVAILABLE, SYSTEM_TYPE.TSS_BUSY, SYSTEM_TYPE.CALL_GATE,
]);
const GATE_TYPES: ReadonlySet<number> = new Set([
  SYSTEM_TYPE.CALL_GATE16,
  SYSTEM_TYPE.TASK_GATE,
  SYSTEM_TYPE.CALL_GATE,
]);

/** What LAR loads, null when ZF is to be cleared. @see SDM "LAR—Load Access Rights Byte" */
export function accessRightsOf(cpu: Cpu, selector: number): number | null | undefined {
  const descriptor = lookUp(cpu, selector);
  if (!descriptor) return descriptor;
  const types = cpu.state.efer & EFER.LMA ? LAR_TYPES_IA32E : LAR_TYPES;
  if (descriptor.isSystem && !types.has(descriptor.type)) return null;
  return isVisible(cpu, descriptor) ? Number(descriptor.raw >> 32n) & 0x00ff_ff00 : null;
}

/** What LSL loads, null when ZF is to be cleared. @see SDM "LSL—Load Segment Limit" */
export function limitOf(cpu: Cpu, selector: number): number | null | undefined {
  const descriptor = lookUp(cpu, selector);
  if (!descriptor) return descriptor;
  const types = cpu.state.efer & EFER.LMA ? LAR_TYPES_IA32E : LAR_TYPES;
  const { type } = descriptor;
  if (descriptor.isSystem && (!types.has(type) || GATE_TYPES.has(type))) return null;
  return isVisible(cpu, descriptor) ? descriptor.limit : null;
}

/** What VERR and VERW put into ZF; undefined when reading the descriptor faulted. @see SDM "VERR/VERW" */
export function isAccessible(cpu: Cpu, selector: number, write: boolean): boolean | undefined {
  const descriptor = lookUp(cpu, selector);
  if (descriptor === undefined) return undefined;
  if (descriptor === null || descriptor.isSystem || !isVisible(cpu, descriptor)) return false;
  if (write) return isWritableData(descriptor);
  return !isCode(descriptor) || (descriptor.type & SEGMENT_TYPE.READABLE) !== 0;
}
