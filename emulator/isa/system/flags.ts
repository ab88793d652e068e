/** Instructions on RFLAGS whose effect depends on privilege. */
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import { inRealMode } from '../../core/memory.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { currentStack, StackFrame, StackReader } from '../../core/stack.ts';
import {
  acceptedFlags,
  hasVirtualInterruptFlag,
  iopl,
  isRestricted,
  shownFlags,
} from '../../core/virtualInterrupts.ts';
import { readRflags, writeRflags } from '../../state/flags.ts';
import { ARITHMETIC_FLAGS, BLOCKING, FLAG, RSP } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';

type Bytes = 2 | 4 | 8;

/** Real-address mode and programs at or inside IOPL may change IF. */
function mayChangeIf(cpu: Cpu): boolean {
  return inRealMode(cpu.state) || cpu.state.CPL <= iopl(cpu);
}

/** @see SDM "CLI—Clear Interrupt Flag", table 3-7 */
function cli(cpu: Cpu): Outcome {
  if (mayChangeIf(cpu)) cpu.state.systemFlags &= ~FLAG.IF;
  else if (hasVirtualInterruptFlag(cpu)) cpu.state.systemFlags &= ~FLAG.VIF;
  else return cpu.raiseGp();
  return OUTCOME.NEXT_THEN_CHECK;
}

/** @see SDM "STI—Set Interrupt Flag": maskable interrupts stay inhibited until the next instruction has ended */
function sti(cpu: Cpu): Outcome {
  const { state } = cpu;
  if (!mayChangeIf(cpu)) {
    // An interrupt that pends wants to be told.
    if (!hasVirtualInterruptFlag(cpu) || (state.systemFlags & FLAG.VIP) !== 0) return cpu.raiseGp();
    state.systemFlags |= FLAG.VIF;
    return OUTCOME.NEXT_THEN_CHECK;
  }
  if ((state.systemFlags & FLAG.IF) === 0) state.INTERRUPTIBILITY |= BLOCKING.STI;
  state.systemFlags |= FLAG.IF;
  return OUTCOME.NEXT_THEN_CHECK;
}

/** With CR4.VME, PUSHF and POPF of 16 bits work in virtual-8086 mode whatever IOPL is. */
function showsVirtualFlag(cpu: Cpu, instruction: Instruction): boolean {
  return instruction.operandSize === 16 && hasVirtualInterruptFlag(cpu);
}

/** @see SDM "PUSHF/PUSHFD/PUSHFQ—Push EFLAGS Register Onto the Stack": VM and RF are pushed as 0 */
function pushf(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  const restricted = isRestricted(cpu);
  if (restricted && !showsVirtualFlag(cpu, instruction)) return cpu.raiseGp();
  const flags = readRflags(state) & ~(FLAG.VM | FLAG.RF);
  const frame = new StackFrame(cpu, currentStack(state));
  frame.push(BigInt(restricted ? shownFlags(flags) : flags), (instruction.operandSize / 8) as Bytes);
  if (!frame.probe()) return cpu.failed;
  frame.write();
  state.setGpr(RSP, frame.pointer);
  return OUTCOME.NEXT;
}

/** @see SDM "POPF/POPFD/POPFQ—Pop Stack Into EFLAGS Register", table 4-16 */
function popf(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  const restricted = isRestricted(cpu);
  if (restricted && !showsVirtualFlag(cpu, instruction)) return cpu.raiseGp();
  const stack = new StackReader(cpu);
  const value = stack.pop((instruction.operandSize / 8) as Bytes);
  if (value === undefined) return cpu.failed;
  if (restricted) {
    const accepted = acceptedFlags(readRflags(state), Number(value));
    if (accepted === undefined) return cpu.raiseGp();
    writeRflags(state, accepted & ~FLAG.RF);
    state.setGpr(RSP, stack.pointer);
    return OUTCOME.NEXT_THEN_CHECK;
  }
  let changed = ARITHMETIC_FLAGS | FLAG.TF | FLAG.DF | FLAG.NT;
  if (instruction.operandSize !== 16) changed |= FLAG.AC | FLAG.ID;
  if (mayChangeIf(cpu)) changed |= FLAG.IF;
  if (state.CPL === 0) changed |= FLAG.IOPL;
  const image = Number(value & 0xffff_ffffn);
  const flags = (readRflags(state) & ~changed) | (image & changed);
  writeRflags(state, flags & ~FLAG.RF);
  state.setGpr(RSP, stack.pointer);
  cpu.mmu.updateContext();
  return OUTCOME.NEXT_THEN_CHECK;
}

const PUSHF = SDM('PUSHF/PUSHFD/PUSHFQ—Push EFLAGS Register Onto the Stack');
const POPF = SDM('POPF/POPFD/POPFQ—Pop Stack Into EFLAGS Register');

// biome-ignore format: rows are read as a table
export const PRIVILEGED_FLAG_ROWS: readonly SystemRow[] = [
  { op: 'CLI', call: cli, ref: SDM('CLI—Clear Interrupt Flag') },
  { op: 'STI', call: sti, ref: SDM('STI—Set Interrupt Flag') },
  { op: 'PUSHF', call: pushf, ref: PUSHF },
  { op: 'PUSHFD', call: pushf, ref: PUSHF },
  { op: 'PUSHFQ', call: pushf, ref: PUSHF },
  { op: 'POPF', call: popf, ref: POPF },
  { op: 'POPFD', call: popf, ref: POPF },
  { op: 'POPFQ', call: popf, ref: POPF },
];
