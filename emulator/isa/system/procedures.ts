/** ENTER and BOUND: too rare for generated code. */
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import { linearAddress, readSegmented } from '../../core/memory.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { currentStack, mergePointer, StackFrame } from '../../core/stack.ts';
import { RBP, RSP, SS, VECTOR } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';
import { readGpr, writeGpr } from './operands.ts';

type Bytes = 2 | 4 | 8;

/** ENTER imm16, imm8. @see SDM "ENTER—Make Stack Frame for Procedure Parameters" */
function enter(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  const { operandSize } = instruction;
  const bytes = (operandSize / 8) as Bytes;
  const allocated = instruction.immediate & 0xffffn;
  const level = instruction.farSelector % 32;
  const stack = currentStack(state);
  const frame = new StackFrame(cpu, stack);
  const pushed: bigint[] = [];
  const push = (value: bigint) => {
    frame.push(value, bytes);
    pushed.push(value);
  };
  // 1. Save the caller's frame pointer: its place is the new frame.
  const top = frame.pointer & stack.mask;
  push(state.gpr(RBP));
  const framePointer = frame.pointer;
  if (!frame.probe()) return cpu.failed;
  // 2. Copy the display of the enclosing frames. Each push is possible before the next pointer is read.
  let enclosing = state.gpr(RBP) & stack.mask;
  for (let i = 1; i < level; i++) {
    enclosing = (enclosing - BigInt(bytes)) & stack.mask;
    const pointer = readSegmented(cpu, SS, enclosing, bytes);
    if (pointer === undefined) return cpu.failed;
    push(overlaid(pointer, (top - enclosing) & stack.mask, pushed, bytes));
    if (!frame.probe()) return cpu.failed;
  }
  if (level > 0) push(framePointer);
  if (!frame.probe()) return cpu.failed;
  // 3. A write at the new top of the stack must be possible.
  const allocatedTop = (frame.pointer - allocated) & stack.mask;
  const last = linearAddress(cpu, SS, allocatedTop, bytes, true);
  if (last === undefined) return cpu.failed;
  if (!cpu.mmu.probeWrite(last, bytes, 'current')) return cpu.raiseMemoryFault();
  // 4. Commit.
  frame.write();
  writeGpr(cpu, RBP, operandSize, framePointer);
  state.setGpr(RSP, mergePointer(state.gpr(RSP), allocatedTop, stack.mask));
  return OUTCOME.NEXT;
}

/**
 * What is read `below` bytes under the old top of the stack, where the values pushed so far may lie already: they are
 * written only when nothing can fault any more.
 */
function overlaid(value: bigint, below: bigint, pushed: readonly bigint[], bytes: Bytes): bigint {
  let result = value;
  for (let i = 0; i < bytes; i++) {
    // The byte is the `distance`th under the old top; values follow each other downwards.
    const distance = below - BigInt(i);
    if (distance <= 0n || distance > BigInt(pushed.length * bytes)) continue;
    const from = Number(distance - 1n);
    const byte = (pushed[Math.floor(from / bytes)] as bigint) >> BigInt(8 * (bytes - 1 - (from % bytes)));
    const place = BigInt(8 * i);
    result = (result & ~(0xffn << place)) | ((byte & 0xffn) << place);
  }
  return result;
}

/** @see SDM "BOUND—Check Array Index Against Bounds" */
function bound(cpu: Cpu, instruction: Instruction): Outcome {
  if (cpu.state.in64BitMode) return cpu.raiseUd();
  const bits = instruction.operandSize;
  const bytes = (bits / 8) as 2 | 4;
  const offset = instruction.effectiveAddress();
  const lower = readSegmented(cpu, instruction.segment, offset, bytes);
  if (lower === undefined) return cpu.failed;
  const upper = readSegmented(cpu, instruction.segment, offset + BigInt(bytes), bytes);
  if (upper === undefined) return cpu.failed;
  const index = BigInt.asIntN(bits, readGpr(cpu, instruction.register(0), bits));
  const inside = index >= BigInt.asIntN(bits, lower) && index <= BigInt.asIntN(bits, upper);
  return inside ? OUTCOME.NEXT : cpu.raise(VECTOR.BR);
}

export const PROCEDURE_ROWS: readonly SystemRow[] = [
  { op: 'ENTER', call: enter, ref: SDM('ENTER—Make Stack Frame for Procedure Parameters') },
  { op: 'BOUND', call: bound, ref: SDM('BOUND—Check Array Index Against Bounds') },
];
