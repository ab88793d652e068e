/**
 * Far JMP, CALL and RET: directly, through call gates, between privilege levels.
 *
 * Intel SDM Vol. 2A, "CALL—Call Procedure" and "JMP—Jump"; Vol. 2B, "RET—Return From Procedure"; Vol. 3A,
 * "Transferring Program Control Between Code Segments", 6.8.
 */
import type { CpuState } from '../state/cpuState.ts';
import { readRflags } from '../state/flags.ts';
import { AR, CS, DS, EFER, ES, FLAG, FS, GS, RSP, SS, VECTOR } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import {
  type Descriptor,
  isCode,
  isConforming,
  isNull,
  loadHidden,
  loadParagraph,
  markAccessed,
  readDescriptor,
  readUpperHalf,
  SYSTEM_TYPE,
} from './descriptors.ts';
import type { Instruction } from './instruction.ts';
import { hasParagraphSegments, instructionPointerMask, isCanonical, readSegmented } from './memory.ts';
import { OUTCOME, type Outcome } from './outcome.ts';
import { checkStackSegment, dropInnerSegments } from './segments.ts';
import { currentStack, mergePointer, StackFrame, StackReader } from './stack.ts';
import { switchTask, taskGateSelector } from './taskSwitch.ts';
import { innerStack, innerStack64 } from './tss.ts';

const MASK32 = 0xffff_ffffn;

const inIa32eMode = (state: CpuState): boolean => (state.efer & EFER.LMA) !== 0;

/** Whether code in this segment runs in 64-bit mode. */
export function is64BitCode(state: CpuState, descriptor: Descriptor): boolean {
  return inIa32eMode(state) && (descriptor.accessRights & AR.L) !== 0;
}

/** The new RIP is inside the code segment, or canonical in 64-bit mode; otherwise #GP(0). */
export function checkTarget(cpu: Cpu, code: Descriptor, offset: bigint): boolean {
  const ok = is64BitCode(cpu.state, code) ? isCanonical(cpu.state, offset) : offset <= BigInt(code.limit);
  if (!ok) cpu.raiseGp();
  return ok;
}

/** Loads CS and RIP and lets the MMU look at mode and privilege again. */
export function enterCode(cpu: Cpu, code: Descriptor, selector: number, cpl: number, offset: bigint): void {
  const { state } = cpu;
  loadHidden(state, CS, code, (selector & 0xfffc) | cpl);
  state.CPL = cpl;
  state.RIP = offset;
  cpu.mmu.updateContext();
}

/** A code segment in IA-32e mode cannot be both 64-bit and 32-bit. */
export function hasReservedMode(state: CpuState, { accessRights }: Descriptor): boolean {
  return inIa32eMode(state) && (accessRights & (AR.L | AR.DB)) === (AR.L | AR.DB);
}

/** The checks of a code segment reached without change of privilege. */
function checkDirectCode(cpu: Cpu, code: Descriptor): boolean {
  const { state } = cpu;
  const { selector, dpl } = code;
  const allowed = isConforming(code) ? dpl <= state.CPL : (selector & 3) <= state.CPL && dpl === state.CPL;
  if (!allowed || hasReservedMode(state, code)) {
    cpu.raiseGp(selector);
    return false;
  }
  if (!code.present) {
    cpu.raise(VECTOR.NP, cpu.errorCode(selector));
    return false;
  }
  return true;
}

function truncate(offset: bigint, bits: number): bigint {
  return BigInt.asUintN(bits, offset);
}

/** Real-address and virtual-8086 mode: the target's offset must be inside the limit CS keeps. */
function checkParagraphTarget(cpu: Cpu, offset: bigint): boolean {
  if (offset <= BigInt(cpu.state.segmentLimit(CS))) return true;
  cpu.raiseGp();
  return false;
}

function enterParagraph(cpu: Cpu, selector: number, offset: bigint): Outcome {
  loadParagraph(cpu.state, CS, selector);
  cpu.state.RIP = offset;
  return OUTCOME.JUMPED;
}

/** Reads the selector's descriptor, which must not be null. */
function readTarget(cpu: Cpu, selector: number): Descriptor | undefined {
  if (!isNull(selector)) return readDescriptor(cpu, selector);
  cpu.raiseGp();
  return undefined;
}

/** @see SDM "JMP—Jump", far jumps */
export function farJump(cpu: Cpu, instruction: Instruction, selector: number, target: bigint): Outcome {
  const { state } = cpu;
  const offset = truncate(target, instruction.operandSize);
  if (hasParagraphSegments(state)) {
    return checkParagraphTarget(cpu, offset) ? enterParagraph(cpu, selector, offset) : cpu.failed;
  }
  const descriptor = readTarget(cpu, selector);
  if (!descriptor) return cpu.failed;
  if (isCode(descriptor)) {
    if (!checkDirectCode(cpu, descriptor) || !checkTarget(cpu, descriptor, offset)) return cpu.failed;
    if (!markAccessed(cpu, descriptor)) return cpu.failed;
    enterCode(cpu, descriptor, selector, state.CPL, offset);
    return OUTCOME.JUMPED;
  }
  const gate = readCallGate(cpu, instruction, descriptor, 'JMP');
  if (typeof gate === 'number') return gate;
  const { code } = gate;
  const allowed = isConforming(code) ? code.dpl <= state.CPL : code.dpl === state.CPL;
  if (!allowed) return cpu.raiseGp(code.selector);
  if (!checkGateTarget(cpu, gate) || !markAccessed(cpu, code)) return cpu.failed;
  enterCode(cpu, code, code.selector, state.CPL, gate.offset);
  return OUTCOME.JUMPED;
}

/** @see SDM "CALL—Call Procedure", far calls */
export function farCall(cpu: Cpu, instruction: Instruction, selector: number, target: bigint): Outcome {
  const { state } = cpu;
  const { operandSize } = instruction;
  const offset = truncate(target, operandSize);
  const next = (state.RIP + BigInt(instruction.length)) & instructionPointerMask(state);
  const bytes = (operandSize / 8) as 2 | 4 | 8;
  if (hasParagraphSegments(state)) {
    const frame = new StackFrame(cpu, currentStack(state));
    frame.push(BigInt(state.segmentSelector(CS)), bytes);
    frame.push(next, bytes);
    if (!frame.probe() || !checkParagraphTarget(cpu, offset)) return cpu.failed;
    frame.write();
    state.setGpr(RSP, frame.pointer);
    return enterParagraph(cpu, selector, offset);
  }
  const descriptor = readTarget(cpu, selector);
  if (!descriptor) return cpu.failed;
  if (isCode(descriptor)) {
    if (!checkDirectCode(cpu, descriptor)) return cpu.failed;
    return callSamePrivilege(cpu, descriptor, offset, next, bytes);
  }
  const gate = readCallGate(cpu, instruction, descriptor, 'CALL');
  if (typeof gate === 'number') return gate;
  const { code } = gate;
  if (code.dpl > state.CPL) return cpu.raiseGp(code.selector);
  if (!code.present) return cpu.raise(VECTOR.NP, cpu.errorCode(code.selector));
  if (isConforming(code) || code.dpl === state.CPL) {
    return callSamePrivilege(cpu, code, gate.offset, next, gate.bytes);
  }
  return callInner(cpu, gate, next);
}

function callSamePrivilege(
  cpu: Cpu,
  code: Descriptor,
  offset: bigint,
  next: bigint,
  bytes: 2 | 4 | 8,
): Outcome {
  const { state } = cpu;
  const frame = new StackFrame(cpu, currentStack(state));
  frame.push(BigInt(state.segmentSelector(CS)), bytes);
  frame.push(next, bytes);
  if (!frame.probe() || !checkTarget(cpu, code, offset) || !markAccessed(cpu, code)) return cpu.failed;
  frame.write();
  state.setGpr(RSP, frame.pointer);
  enterCode(cpu, code, code.selector, state.CPL, offset);
  return OUTCOME.JUMPED;
}

interface CallGate {
  readonly code: Descriptor;
  readonly offset: bigint;
  readonly bytes: 2 | 4 | 8;
  readonly parameters: number;
}

/** Reads and checks a call gate and the code segment it names; a number is the outcome of a failure. */
function readCallGate(
  cpu: Cpu,
  instruction: Instruction,
  gate: Descriptor,
  source: 'CALL' | 'JMP',
): CallGate | Outcome {
  const { state } = cpu;
  const { selector, type, dpl, raw } = gate;
  const ia32e = inIa32eMode(state);
  const isGate = type === SYSTEM_TYPE.CALL_GATE || (!ia32e && type === SYSTEM_TYPE.CALL_GATE16);
  const isTask =
    !ia32e &&
    [SYSTEM_TYPE.TASK_GATE, SYSTEM_TYPE.TSS_AVAILABLE, SYSTEM_TYPE.TSS16_AVAILABLE].some((t) => t === type);
  if (!gate.isSystem || !(isGate || isTask)) return cpu.raiseGp(selector);
  if (dpl < state.CPL || (selector & 3) > dpl) return cpu.raiseGp(selector);
  if (!gate.present) return cpu.raise(VECTOR.NP, cpu.errorCode(selector));
  if (isTask) return switchToTask(cpu, instruction, gate, source);
  const upper = ia32e ? readUpperHalf(cpu, gate) : 0n;
  if (upper === undefined) return cpu.failed;
  const codeSelector = Number((raw >> 16n) & 0xffffn);
  const code = readTarget(cpu, codeSelector);
  if (!code) return cpu.failed;
  const wrongMode = ia32e && (code.accessRights & (AR.L | AR.DB)) !== AR.L;
  if (!isCode(code) || wrongMode) return cpu.raiseGp(codeSelector);
  const wide = type === SYSTEM_TYPE.CALL_GATE;
  const offset = (raw & 0xffffn) | (wide ? (raw >> 32n) & 0xffff_0000n : 0n) | ((upper & MASK32) << 32n);
  return {
    code,
    offset,
    bytes: ia32e ? 8 : wide ? 4 : 2,
    parameters: ia32e ? 0 : Number((raw >> 32n) & 0x1fn),
  };
}

function checkGateTarget(cpu: Cpu, { code, offset }: CallGate): boolean {
  if (code.present) return checkTarget(cpu, code, offset);
  cpu.raise(VECTOR.NP, cpu.errorCode(code.selector));
  return false;
}

/** @see SDM "CALL—Call Procedure", MORE-PRIVILEGE */
function callInner(cpu: Cpu, gate: CallGate, next: bigint): Outcome {
  const { state } = cpu;
  const { code, bytes, parameters } = gate;
  const cpl = code.dpl;
  // 1. The inner stack, from the TSS.
  const inner = inIa32eMode(state) ? innerStack64(cpu, cpl, 0, false) : innerStack(cpu, cpl);
  if (!inner) return cpu.failed;
  // 2. The parameters, from the outer stack; the last pushed is on top.
  const outer = new StackReader(cpu);
  const values: bigint[] = [];
  for (let i = 0; i < parameters; i++) {
    const value = outer.pop(bytes);
    if (value === undefined) return cpu.failed;
    values.push(value);
  }
  // 3. The frame on the inner stack.
  const frame = new StackFrame(cpu, inner.options);
  frame.push(BigInt(state.segmentSelector(SS)), bytes);
  frame.push(state.gpr(RSP), bytes);
  for (const value of values.reverse()) frame.push(value, bytes);
  frame.push(BigInt(state.segmentSelector(CS)), bytes);
  frame.push(next, bytes);
  if (!frame.probe() || !checkTarget(cpu, code, gate.offset)) return cpu.failed;
  if (!markAccessed(cpu, code) || !inner.markAccessed()) return cpu.failed;
  frame.write();
  // 4. Commit.
  inner.loadSs();
  state.setGpr(RSP, frame.pointer);
  enterCode(cpu, code, code.selector, cpl, gate.offset);
  return OUTCOME.JUMPED;
}

function switchToTask(cpu: Cpu, instruction: Instruction, gate: Descriptor, kind: 'CALL' | 'JMP'): Outcome {
  const { state } = cpu;
  const selector = gate.type === SYSTEM_TYPE.TASK_GATE ? taskGateSelector(gate.raw) : gate.selector;
  return switchTask(cpu, selector, {
    kind,
    instruction,
    returnAddress: (state.RIP + BigInt(instruction.length)) & instructionPointerMask(state),
    flags: readRflags(state) & ~FLAG.RF,
  });
}

/**
 * The checks of the code segment a far RET or an IRET returns to: #GP with the selector, or #NP.
 *
 * @see SDM "RET—Return From Procedure"
 */
export function checkReturnSegment(cpu: Cpu, selector: number): Descriptor | undefined {
  const { state } = cpu;
  const code = readTarget(cpu, selector);
  if (!code) return undefined;
  const rpl = selector & 3;
  const allowed =
    isCode(code) && rpl >= state.CPL && (isConforming(code) ? code.dpl <= rpl : code.dpl === rpl);
  if (!allowed || hasReservedMode(state, code)) {
    cpu.raiseGp(selector);
    return undefined;
  }
  if (!code.present) {
    cpu.raise(VECTOR.NP, cpu.errorCode(selector));
    return undefined;
  }
  return code;
}

/** Where a return goes to, after its code segment was checked. */
interface ReturnTarget {
  readonly code: Descriptor;
  readonly offset: bigint;
  readonly cpl: number;
}

/**
 * Pops RSP and SS and loads them, as the last step of a return that can fault. False when it did: nothing has changed.
 *
 * @param release bytes of parameters to release from the stack returned to
 */
export function loadReturnStack(
  cpu: Cpu,
  stack: StackReader,
  { code, offset, cpl }: ReturnTarget,
  bytes: 2 | 4 | 8,
  release: number,
): boolean {
  const { state } = cpu;
  const rsp = stack.pop(bytes);
  if (rsp === undefined) return false;
  const ss = stack.pop(bytes);
  if (ss === undefined) return false;
  const stackSegment = checkStackSegment(cpu, Number(ss & 0xffffn), cpl, is64BitCode(state, code));
  if (!stackSegment || !checkTarget(cpu, code, offset) || !markAccessed(cpu, code)) return false;
  stackSegment.load();
  state.setGpr(RSP, returnStackPointer(state, code, rsp + BigInt(release)));
  return true;
}

/** The stack pointer as a return to `code` sees it; SS has been loaded: its B flag says how much of the value counts. */
function returnStackPointer(state: CpuState, code: Descriptor, pointer: bigint): bigint {
  if (is64BitCode(state, code)) return pointer;
  return state.segmentAccessRights(SS) & AR.DB
    ? pointer & MASK32
    : mergePointer(state.gpr(RSP), pointer, 0xffffn);
}

/** Far RET; `release` is the number of parameter bytes. @see SDM "RET—Return From Procedure" */
export function farReturn(cpu: Cpu, operandSize: 16 | 32 | 64, release: number): Outcome {
  const { state } = cpu;
  const bytes = (operandSize / 8) as 2 | 4 | 8;
  const stack = new StackReader(cpu);
  const offset = stack.pop(bytes);
  if (offset === undefined) return cpu.failed;
  const cs = stack.pop(bytes);
  if (cs === undefined) return cpu.failed;
  const selector = Number(cs & 0xffffn);
  stack.skip(release);
  if (hasParagraphSegments(state)) {
    if (!checkParagraphTarget(cpu, offset)) return cpu.failed;
    state.setGpr(RSP, stack.pointer);
    return enterParagraph(cpu, selector, offset);
  }
  const code = checkReturnSegment(cpu, selector);
  if (!code) return cpu.failed;
  const cpl = selector & 3;
  if (cpl === state.CPL) {
    if (!checkTarget(cpu, code, offset) || !markAccessed(cpu, code)) return cpu.failed;
    state.setGpr(RSP, stack.pointer);
    enterCode(cpu, code, selector, cpl, offset);
    return OUTCOME.JUMPED;
  }
  if (!loadReturnStack(cpu, stack, { code, offset, cpl }, bytes, release)) return cpu.failed;
  enterCode(cpu, code, selector, cpl, offset);
  dropInnerSegments(cpu, [ES, FS, GS, DS]);
  return OUTCOME.JUMPED;
}

/** The far pointer of an indirect far JMP or CALL; undefined when reading it faulted. */
export function readFarPointer(
  cpu: Cpu,
  instruction: Instruction,
): { selector: number; offset: bigint } | undefined {
  const bytes = (instruction.operandSize / 8) as 2 | 4 | 8;
  const address = instruction.effectiveAddress();
  const offset = readSegmented(cpu, instruction.segment, address, bytes);
  if (offset === undefined) return undefined;
  const selectorAddress = BigInt.asUintN(instruction.addressSize, address + BigInt(bytes));
  const selector = readSegmented(cpu, instruction.segment, selectorAddress, 2);
  return selector === undefined ? undefined : { selector: Number(selector), offset };
}
