/**
 * IRET, IRETD and IRETQ.
 *
 * Intel SDM Vol. 2A, "IRET/IRETD/IRETQ—Interrupt Return".
 */
import { readRflags, writeRflags } from '../state/flags.ts';
import { BLOCKING, CS, DS, EFER, ES, FLAG, FS, GS, RSP, SS } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import { type Descriptor, loadParagraph, markAccessed } from './descriptors.ts';
import { checkReturnSegment, checkTarget, enterCode, loadReturnStack } from './farTransfers.ts';
import type { Instruction } from './instruction.ts';
import { hasParagraphSegments, inRealMode, instructionPointerMask } from './memory.ts';
import { OUTCOME, type Outcome } from './outcome.ts';
import { dropInnerSegments } from './segments.ts';
import { StackReader } from './stack.ts';
import { returnFromTask } from './taskSwitch.ts';
import { acceptedFlags, hasVirtualInterruptFlag, iopl, isRestricted } from './virtualInterrupts.ts';

const ARITHMETIC_AND_CONTROL =
  FLAG.CF | FLAG.PF | FLAG.AF | FLAG.ZF | FLAG.SF | FLAG.TF | FLAG.DF | FLAG.OF | FLAG.NT;

/** IRET in every mode. */
export function interruptReturn(cpu: Cpu, instruction: Instruction): Outcome {
  const { state, virtualization } = cpu;
  const restricted = isRestricted(cpu);
  if (restricted && (instruction.operandSize !== 16 || !hasVirtualInterruptFlag(cpu))) return cpu.raiseGp();
  // NMIs are unblocked first: an IRET that fails leaves them unblocked.
  if (state.INTERRUPTIBILITY & BLOCKING.NMI && virtualization.nmiControl() !== 'exiting') {
    state.INTERRUPTIBILITY &= ~BLOCKING.NMI;
    cpu.nmiUnblockedByIret = true;
  }
  const outcome = returnInMode(cpu, instruction);
  if (outcome !== OUTCOME.FAULT) cpu.nmiUnblockedByIret = false;
  if (outcome === OUTCOME.JUMPED) cpu.loadedResumeFlag = true;
  return outcome;
}

interface Frame {
  readonly offset: bigint;
  readonly selector: number;
  readonly flags: number;
}

function popFrame(stack: StackReader, bytes: 2 | 4 | 8): Frame | undefined {
  const offset = stack.pop(bytes);
  if (offset === undefined) return undefined;
  const cs = stack.pop(bytes);
  if (cs === undefined) return undefined;
  const flags = stack.pop(bytes);
  if (flags === undefined) return undefined;
  return { offset, selector: Number(cs & 0xffffn), flags: Number(flags & 0xffff_ffffn) };
}

function returnInMode(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  const { operandSize } = instruction;
  if (!hasParagraphSegments(state) && (state.systemFlags & FLAG.NT) !== 0)
    return returnToTask(cpu, instruction);
  const stack = new StackReader(cpu);
  const bytes = (operandSize / 8) as 2 | 4 | 8;
  const frame = popFrame(stack, bytes);
  if (!frame) return cpu.failed;
  if (hasParagraphSegments(state)) return returnToParagraph(cpu, stack, frame, operandSize);
  const toVirtual8086 =
    operandSize === 32 && (frame.flags & FLAG.VM) !== 0 && state.CPL === 0 && (state.efer & EFER.LMA) === 0;
  if (toVirtual8086) return returnToVirtual8086(cpu, stack, frame);
  return returnProtected(cpu, stack, frame, operandSize);
}

/** @see SDM "Returning From a Task", in "Task Switching", 9.3 */
function returnToTask(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  if (state.efer & EFER.LMA) return cpu.raiseGp();
  return returnFromTask(cpu, {
    kind: 'IRET',
    instruction,
    returnAddress: (state.RIP + BigInt(instruction.length)) & instructionPointerMask(state),
    flags: readRflags(state) & ~FLAG.RF,
  });
}

/** The flags after an IRET with this operand size at this privilege level. */
function returnedFlags(cpu: Cpu, image: number, operandSize: number, cpl: number): number {
  let changed = ARITHMETIC_AND_CONTROL;
  if (operandSize !== 16) changed |= FLAG.RF | FLAG.AC | FLAG.ID;
  if (cpl <= iopl(cpu)) changed |= FLAG.IF;
  if (cpl === 0) {
    changed |= FLAG.IOPL;
    if (operandSize !== 16) changed |= FLAG.VIF | FLAG.VIP;
  }
  return (readRflags(cpu.state) & ~changed) | (image & changed);
}

function returnToParagraph(cpu: Cpu, stack: StackReader, frame: Frame, operandSize: number): Outcome {
  const { state } = cpu;
  if (frame.offset > BigInt(state.segmentLimit(CS))) return cpu.raiseGp();
  const flags = readRflags(state);
  const restricted = isRestricted(cpu);
  const accepted = restricted ? acceptedFlags(flags, frame.flags) : flags;
  if (accepted === undefined) return cpu.raiseGp();
  state.setGpr(RSP, stack.pointer);
  loadParagraph(state, CS, frame.selector);
  state.RIP = frame.offset;
  if (restricted) {
    writeRflags(state, accepted);
    return OUTCOME.JUMPED;
  }
  let changed = ARITHMETIC_AND_CONTROL | FLAG.IF;
  if (operandSize !== 16) changed |= FLAG.RF | FLAG.AC | FLAG.ID;
  if (inRealMode(state)) changed |= FLAG.IOPL;
  writeRflags(state, (flags & ~changed) | (frame.flags & changed));
  return OUTCOME.JUMPED;
}

/** @see SDM "IRET/IRETD/IRETQ", RETURN-TO-VIRTUAL-8086-MODE */
function returnToVirtual8086(cpu: Cpu, stack: StackReader, frame: Frame): Outcome {
  const { state } = cpu;
  const values: bigint[] = [];
  for (let i = 0; i < 6; i++) {
    const value = stack.pop(4);
    if (value === undefined) return cpu.failed;
    values.push(value);
  }
  if ((frame.offset & 0xffff_ffffn) > 0xffffn) return cpu.raiseGp();
  const [esp, ...selectors] = values;
  writeRflags(state, frame.flags);
  loadParagraph(state, CS, frame.selector);
  for (const [i, segment] of [SS, ES, DS, FS, GS].entries()) {
    loadParagraph(state, segment, Number((selectors[i] as bigint) & 0xffffn));
  }
  state.setGpr(RSP, esp as bigint);
  state.RIP = frame.offset;
  state.CPL = 3;
  cpu.mmu.updateContext();
  return OUTCOME.JUMPED;
}

/** @see SDM "IRET/IRETD/IRETQ", PROTECTED-MODE-RETURN and IA-32e-MODE */
function returnProtected(cpu: Cpu, stack: StackReader, frame: Frame, operandSize: 16 | 32 | 64): Outcome {
  const { state } = cpu;
  const bytes = (operandSize / 8) as 2 | 4 | 8;
  const { selector, offset } = frame;
  const code = checkReturnSegment(cpu, selector);
  if (!code) return cpu.failed;
  const oldCpl = state.CPL;
  const cpl = selector & 3;
  const flags = returnedFlags(cpu, frame.flags, operandSize, oldCpl);
  // In 64-bit mode SS:RSP is popped whether or not the privilege level changes.
  if (cpl === oldCpl && !state.in64BitMode) {
    if (!checkTarget(cpu, code, offset) || !markAccessed(cpu, code)) return cpu.failed;
    state.setGpr(RSP, stack.pointer);
    return finish(cpu, code, frame, cpl, flags);
  }
  if (!loadReturnStack(cpu, stack, { code, offset, cpl }, bytes, 0)) return cpu.failed;
  finish(cpu, code, frame, cpl, flags);
  if (cpl > oldCpl) dropInnerSegments(cpu, [ES, FS, GS, DS]);
  return OUTCOME.JUMPED;
}

function finish(cpu: Cpu, code: Descriptor, frame: Frame, cpl: number, flags: number): Outcome {
  writeRflags(cpu.state, flags);
  enterCode(cpu, code, frame.selector, cpl, frame.offset);
  return OUTCOME.JUMPED;
}
