/**
 * Hardware task switches: by far JMP and CALL, through task gates, and back by IRET.
 *
 * Intel SDM Vol. 3A, "Task Management", chapter 9: "Task Switching", 9.3, "Task Linking", 9.4, "16-Bit Task-State
 * Segment (TSS)", 9.6.
 */
import type { CpuState } from '../state/cpuState.ts';
import { writeRflags } from '../state/flags.ts';
import { CR0, CS, DS, ES, FLAG, FS, GS, LDTR, RSP, SS, TR, VECTOR } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import { endLocalBreakpoints, PENDING_DEBUG } from './debugRegisters.ts';
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
  readDescriptor,
  SEGMENT_TYPE,
  SYSTEM_TYPE,
  TSS_BUSY_FLAG,
  writeAccessByte,
} from './descriptors.ts';
import type { Instruction } from './instruction.ts';
import { type AccessBytes, readImplicit, writeImplicit } from './memory.ts';
import { OUTCOME, type Outcome } from './outcome.ts';
import { loadPdptes, usesPaePaging } from './pdptes.ts';
import { isWritableData } from './segments.ts';
import { currentStack, StackFrame } from './stack.ts';
import { readTss } from './tss.ts';

/** Who asks for the switch. */
export interface TaskSwitchSource {
  readonly kind: 'CALL' | 'IRET' | 'JMP' | 'gate';
  /** Absent for a task gate in the IDT. */
  readonly instruction: Instruction | undefined;
  /** Where the old task goes on. */
  readonly returnAddress: bigint;
  /** The RFLAGS image the old task keeps. */
  readonly flags: number;
  readonly errorCode?: number | undefined;
}

/** Where a TSS has what. @see SDM "Task-State Segment (TSS)", figure 9-2; "16-Bit TSS Format", figure 9-10 */
interface TssFormat {
  readonly bytes: 2 | 4;
  /** The limit must reach so far. */
  readonly minimumLimit: number;
  readonly instructionPointer: number;
  readonly flags: number;
  /** The first of the eight registers, in encoding order. */
  readonly registers: number;
  /** The first of the selectors, in encoding order. */
  readonly selectors: number;
  readonly segmentCount: number;
  readonly ldtr: number;
  readonly cr3: number | undefined;
  readonly trap: number | undefined;
}

const TSS32: TssFormat = {
  bytes: 4,
  minimumLimit: 0x67,
  instructionPointer: 32,
  flags: 36,
  registers: 40,
  selectors: 72,
  segmentCount: 6,
  ldtr: 96,
  cr3: 28,
  trap: 100,
};

const TSS16: TssFormat = {
  bytes: 2,
  minimumLimit: 0x2b,
  instructionPointer: 14,
  flags: 16,
  registers: 18,
  selectors: 34,
  segmentCount: 4,
  ldtr: 42,
  cr3: undefined,
  trap: undefined,
};

/** The bit that tells the types of a 32-bit TSS from those of a 16-bit one. */
const WIDE = 8;
const formatOf = (type: number): TssFormat => (type & WIDE ? TSS32 : TSS16);

const SEGMENTS = [ES, CS, SS, DS, FS, GS] as const;
const GPR_COUNT = 8;

/** What a task has in its TSS. */
interface TaskState {
  readonly cr3: bigint | undefined;
  readonly trap: boolean;
  readonly instructionPointer: bigint;
  readonly flags: number;
  readonly registers: readonly bigint[];
  readonly selectors: readonly number[];
  readonly ldtr: number;
}

/**
 * Switches to the task whose TSS `selector` names. The privilege of the TSS descriptor or of the task gate is the
 * caller's to check.
 *
 * @see SDM "Task Switching", 9.3, steps 3 to 16; "Treatment of Task Switches", 27.4.2: in VMX non-root operation there
 *   is a VM exit instead, after the checks of the new TSS descriptor
 */
export function switchTask(cpu: Cpu, selector: number, source: TaskSwitchSource): Outcome {
  const { state } = cpu;
  // 1. The new TSS descriptor.
  const descriptor = readTssDescriptor(cpu, selector, source.kind);
  if (!descriptor) return cpu.failed;
  const outcome = cpu.virtualization.intercept(
    { point: 'TASK_SWITCH', selector, source: source.kind },
    source.instruction,
  );
  if (outcome !== OUTCOME.NEXT) return outcome;
  // 2. Everything that the switch reads and writes is there.
  const old = state.segmentSelector(TR);
  const oldFormat = formatOf(state.segmentAccessRights(TR));
  const leaves = source.kind === 'JMP' || source.kind === 'IRET';
  const nests = source.kind === 'CALL' || source.kind === 'gate';
  if (state.segmentLimit(TR) < oldFormat.minimumLimit) return cpu.raise(VECTOR.TS, cpu.errorCode(old));
  const oldDescriptor = leaves ? readDescriptor(cpu, old) : undefined;
  if (leaves && !oldDescriptor) return cpu.failed;
  if (!probe(cpu, oldFormat, descriptor, nests, oldDescriptor)) return cpu.failed;
  // 3. The old task: its busy flag and its state.
  if (oldDescriptor) writeAccessByte(cpu, oldDescriptor, oldDescriptor.accessRights & ~TSS_BUSY_FLAG);
  saveTask(cpu, oldFormat, source);
  // 4. The new task: link, busy flag, TR.
  const { base } = descriptor;
  if (nests) writeImplicit(cpu, base, 2, BigInt(old));
  if (source.kind !== 'IRET') markBusy(cpu, descriptor);
  loadHidden(state, TR, descriptor, selector);
  state.setSegmentAccessRights(TR, descriptor.accessRights | TSS_BUSY_FLAG);
  state.CR0 |= BigInt(CR0.TS);
  // 5. The new task's state. From here on exceptions are the new task's.
  const task = readTask(cpu, base, formatOf(descriptor.type));
  enterTask(cpu, task, nests);
  if (task.trap) state.PENDING_DEBUG |= PENDING_DEBUG.BT;
  const entered = loadCr3(cpu, task) && loadSegments(cpu, task) && pushErrorCode(cpu, source, descriptor);
  cpu.mmu.updateContext();
  return entered ? OUTCOME.JUMPED : cpu.failed;
}

/** @see SDM "Task Switching", 9.3, table 9-1: #TS for IRET where the others have #GP */
function readTssDescriptor(
  cpu: Cpu,
  selector: number,
  source: TaskSwitchSource['kind'],
): Descriptor | undefined {
  const returns = source === 'IRET';
  const vector = returns ? VECTOR.TS : VECTOR.GP;
  const fail = (kind: number): undefined => {
    cpu.raise(kind, cpu.errorCode(selector));
    return undefined;
  };
  if (isNull(selector) || selector & 4) return fail(vector);
  const descriptor = readDescriptor(cpu, selector, vector);
  if (!descriptor) return undefined;
  const wanted = returns ? SYSTEM_TYPE.TSS16_BUSY : SYSTEM_TYPE.TSS16_AVAILABLE;
  if (!descriptor.isSystem || (descriptor.type & ~WIDE) !== wanted) return fail(vector);
  if (!descriptor.present) return fail(VECTOR.NP);
  if (descriptor.limit < formatOf(descriptor.type).minimumLimit) return fail(VECTOR.TS);
  return descriptor;
}

/** Whether the old TSS can be written, the new one read, and both descriptors changed; otherwise the fault is recorded. */
function probe(
  cpu: Cpu,
  oldFormat: TssFormat,
  descriptor: Descriptor,
  nests: boolean,
  oldDescriptor: Descriptor | undefined,
): boolean {
  const { mmu, state } = cpu;
  const oldBase = state.segmentBase(TR);
  const { minimumLimit } = formatOf(descriptor.type);
  const ok =
    mmu.probeWrite(oldBase, oldFormat.minimumLimit + 1, 'implicit-supervisor') &&
    mmu.probeRead(descriptor.base, minimumLimit + 1, 'implicit-supervisor') &&
    (!nests || mmu.probeWrite(descriptor.base, 2, 'implicit-supervisor')) &&
    mmu.probeWrite(descriptor.address, 8, 'implicit-supervisor') &&
    (!oldDescriptor || mmu.probeWrite(oldDescriptor.address, 8, 'implicit-supervisor'));
  if (!ok) cpu.raiseMemoryFault();
  return ok;
}

/** The dynamic fields of the current TSS: the LDT selector and CR3 are not among them. */
function saveTask(cpu: Cpu, format: TssFormat, source: TaskSwitchSource): void {
  const { state } = cpu;
  const base = state.segmentBase(TR);
  const store = (offset: number, value: bigint, bytes: AccessBytes = format.bytes): void => {
    writeImplicit(cpu, (base + BigInt(offset)) & 0xffff_ffffn, bytes, BigInt.asUintN(8 * bytes, value));
  };
  const flags = source.kind === 'IRET' ? source.flags & ~FLAG.NT : source.flags;
  store(format.instructionPointer, source.returnAddress);
  store(format.flags, BigInt(flags));
  for (let n = 0; n < GPR_COUNT; n++) store(format.registers + n * format.bytes, state.gpr(n));
  for (let n = 0; n < format.segmentCount; n++) {
    store(format.selectors + n * format.bytes, BigInt(state.segmentSelector(SEGMENTS[n])), 2);
  }
}

/** All of it has been found readable. */
function readTask(cpu: Cpu, base: bigint, format: TssFormat): TaskState {
  const load = (offset: number, bytes: AccessBytes = format.bytes): bigint =>
    readImplicit(cpu, (base + BigInt(offset)) & 0xffff_ffffn, bytes) as bigint;
  return {
    cr3: format.cr3 === undefined ? undefined : load(format.cr3),
    trap: format.trap !== undefined && (load(format.trap, 2) & 1n) !== 0n,
    instructionPointer: load(format.instructionPointer),
    flags: Number(load(format.flags)),
    registers: Array.from({ length: GPR_COUNT }, (_, n) => load(format.registers + n * format.bytes)),
    selectors: SEGMENTS.map((_, n) =>
      n < format.segmentCount ? Number(load(format.selectors + n * format.bytes, 2)) : 0,
    ),
    ldtr: Number(load(format.ldtr, 2)),
  };
}

/** What cannot fail: registers, flags, and the selectors, whose segments are not there yet. */
function enterTask(cpu: Cpu, task: TaskState, nested: boolean): void {
  const { state } = cpu;
  state.RIP = task.instructionPointer;
  writeRflags(state, nested ? task.flags | FLAG.NT : task.flags);
  for (const [n, value] of task.registers.entries()) state.setGpr(n, value);
  const virtual8086 = state.virtual8086;
  state.CPL = virtual8086 ? 3 : task.selectors[CS] & 3;
  for (const segment of SEGMENTS) {
    if (virtual8086) loadParagraph(state, segment, task.selectors[segment]);
    else loadNull(state, segment, task.selectors[segment], segment === SS ? state.CPL : 0);
  }
  loadNull(state, LDTR, task.ldtr);
  endLocalBreakpoints(state);
  // RF is what the TSS had, as after IRET; TF traps from the new task's first instruction on.
  cpu.loadedResumeFlag = true;
  cpu.singleStepTrap = false;
}

/** CR3 is loaded when paging is on. */
function loadCr3(cpu: Cpu, { cr3 }: TaskState): boolean {
  const { state } = cpu;
  if (cr3 === undefined || (state.cr0 & CR0.PG) === 0) return true;
  if (usesPaePaging(state.cr0, state.cr4, state.efer) && loadPdptes(cpu, cr3) !== OUTCOME.NEXT) return false;
  state.CR3 = cr3;
  cpu.mmu.updateContext();
  cpu.mmu.flushCurrent();
  return true;
}

/** @see SDM "Task Switching", 9.3, table 9-1, from the LDT selector on */
function loadSegments(cpu: Cpu, task: TaskState): boolean {
  const { state } = cpu;
  if (!loadLdt(cpu, task.ldtr)) return false;
  if (!state.virtual8086) {
    const [es, cs, ss, ds, fs, gs] = task.selectors;
    if (!loadCode(cpu, cs) || !loadStack(cpu, ss)) return false;
    for (const [segment, selector] of [
      [ES, es],
      [DS, ds],
      [FS, fs],
      [GS, gs],
    ] as const) {
      if (!loadData(cpu, segment, selector)) return false;
    }
  }
  cpu.mmu.updateContext();
  if (task.instructionPointer <= BigInt(state.segmentLimit(CS))) return true;
  cpu.raiseGp();
  return false;
}

function fail(cpu: Cpu, vector: number, selector: number): boolean {
  cpu.raise(vector, cpu.errorCode(selector));
  return false;
}

function loadLdt(cpu: Cpu, selector: number): boolean {
  if (isNull(selector)) return true;
  if (selector & 4) return fail(cpu, VECTOR.TS, selector);
  const descriptor = readDescriptor(cpu, selector, VECTOR.TS);
  if (!descriptor) return false;
  const isLdt = descriptor.isSystem && descriptor.type === SYSTEM_TYPE.LDT;
  if (!isLdt || !descriptor.present) return fail(cpu, VECTOR.TS, selector);
  loadHidden(cpu.state, LDTR, descriptor, selector);
  return true;
}

/** The descriptor of a selector that must not be null. */
function readSegment(cpu: Cpu, selector: number): Descriptor | undefined {
  if (isNull(selector) || descriptorAddress(cpu.state, selector) === undefined) {
    fail(cpu, VECTOR.TS, selector);
    return undefined;
  }
  return readDescriptor(cpu, selector, VECTOR.TS);
}

function takeSegment(state: CpuState, cpu: Cpu, segment: number, descriptor: Descriptor): boolean {
  if (!markAccessed(cpu, descriptor)) return false;
  loadHidden(state, segment, descriptor, descriptor.selector);
  return true;
}

function loadCode(cpu: Cpu, selector: number): boolean {
  const code = readSegment(cpu, selector);
  if (!code) return false;
  const rpl = selector & 3;
  const allowed = isCode(code) && (isConforming(code) ? code.dpl <= rpl : code.dpl === rpl);
  if (!allowed) return fail(cpu, VECTOR.TS, selector);
  if (!code.present) return fail(cpu, VECTOR.NP, selector);
  return takeSegment(cpu.state, cpu, CS, code);
}

function loadStack(cpu: Cpu, selector: number): boolean {
  const stack = readSegment(cpu, selector);
  if (!stack) return false;
  const { CPL } = cpu.state;
  if (!isWritableData(stack)) return fail(cpu, VECTOR.TS, selector);
  if (!stack.present) return fail(cpu, VECTOR.SS, selector);
  if (stack.dpl !== CPL || (selector & 3) !== CPL) return fail(cpu, VECTOR.TS, selector);
  return takeSegment(cpu.state, cpu, SS, stack);
}

function loadData(cpu: Cpu, segment: number, selector: number): boolean {
  if (isNull(selector)) return true;
  const data = readSegment(cpu, selector);
  if (!data) return false;
  const executeOnly = (data.type & (SEGMENT_TYPE.CODE | SEGMENT_TYPE.READABLE)) === SEGMENT_TYPE.CODE;
  if (data.isSystem || executeOnly) return fail(cpu, VECTOR.TS, selector);
  const restricted = !isCode(data) || !isConforming(data);
  const privilege = Math.max(cpu.state.CPL, selector & 3);
  if (restricted && data.dpl < privilege) return fail(cpu, VECTOR.TS, selector);
  if (!data.present) return fail(cpu, VECTOR.NP, selector);
  return takeSegment(cpu.state, cpu, segment, data);
}

/** The error code of an exception goes to the stack of the new task, as wide as its TSS. */
function pushErrorCode(cpu: Cpu, { errorCode }: TaskSwitchSource, { type }: Descriptor): boolean {
  if (errorCode === undefined) return true;
  const frame = new StackFrame(cpu, currentStack(cpu.state));
  frame.push(BigInt(errorCode), formatOf(type).bytes);
  if (!frame.probe()) return false;
  frame.write();
  cpu.state.setGpr(RSP, frame.pointer);
  return true;
}

/**
 * IRET with RFLAGS.NT: back to the task that the current TSS links to.
 *
 * @see SDM "Task Linking", 9.4
 */
export function returnFromTask(cpu: Cpu, source: TaskSwitchSource): Outcome {
  const link = readTss(cpu, 0, 2);
  return link === undefined ? cpu.failed : switchTask(cpu, Number(link), source);
}

/** The TSS that a task gate names. */
export function taskGateSelector(gate: bigint): number {
  return Number((gate >> 16n) & 0xffffn);
}
