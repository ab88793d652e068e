/** Instructions on segment registers, descriptor tables and descriptors. */
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import { readFarPointer } from '../../core/farTransfers.ts';
import type { Instruction } from '../../core/instruction.ts';
import { isCanonical, probeSegmented, readSegmented, writeSegmented } from '../../core/memory.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import {
  accessRightsOf,
  checkSegment,
  isAccessible,
  limitOf,
  loadLdtr,
  loadSegment,
  loadTr,
} from '../../core/segments.ts';
import { currentStack, StackFrame, StackReader } from '../../core/stack.ts';
import { arithmeticFlags, setArithmeticFlags } from '../../state/flags.ts';
import { BLOCKING, CR4, CS, DS, ES, FLAG, FS, GS, LDTR, RSP, SS, TR } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';
import {
  inOrder,
  isMemory,
  readGpr,
  readOperand,
  requireCpl0,
  requireProtectedMode,
  writeGpr,
  writeOperand,
} from './operands.ts';

type Bytes = 2 | 4 | 8;

/** Loading SS holds back interrupts and debug traps until the next instruction has ended; LSS does not. */
function blockAfterSs(cpu: Cpu, segment: number, outcome: Outcome): Outcome {
  if (segment === SS && outcome === OUTCOME.NEXT_THEN_CHECK) cpu.state.INTERRUPTIBILITY |= BLOCKING.MOV_SS;
  return outcome;
}

/** @see SDM "MOV—Move", segment registers */
function movSegment(cpu: Cpu, instruction: Instruction): Outcome {
  const toSegment = instruction.registerKind(0) === 'segment';
  const segment = instruction.register(toSegment ? 0 : 1);
  if (segment > GS || (toSegment && segment === CS)) return cpu.raiseUd();
  if (toSegment) {
    const selector = readOperand(cpu, instruction, 1, 16);
    if (selector === undefined) return cpu.failed;
    return blockAfterSs(cpu, segment, loadSegment(cpu, segment, Number(selector)));
  }
  return storeSelector(cpu, instruction, cpu.state.segmentSelector(segment));
}

/** Memory takes 16 bits; a register takes the selector zero-extended to the operand size. */
function storeSelector(cpu: Cpu, instruction: Instruction, selector: number): Outcome {
  const bits = isMemory(instruction, 0) ? 16 : (instruction.operandBits(0) as 16 | 32 | 64);
  return writeOperand(cpu, instruction, 0, BigInt(selector), bits) ? OUTCOME.NEXT : cpu.failed;
}

function pushSegment(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  const frame = new StackFrame(cpu, currentStack(state));
  frame.push(BigInt(state.segmentSelector(instruction.register(0))), (instruction.operandSize / 8) as Bytes);
  if (!frame.probe()) return cpu.failed;
  frame.write();
  state.setGpr(RSP, frame.pointer);
  return OUTCOME.NEXT;
}

/** @see SDM "POP—Pop a Value From the Stack" */
function popSegment(cpu: Cpu, instruction: Instruction): Outcome {
  const segment = instruction.register(0);
  const stack = new StackReader(cpu);
  const value = stack.pop((instruction.operandSize / 8) as Bytes);
  if (value === undefined) return cpu.failed;
  const { pointer } = stack;
  const checked = checkSegment(cpu, segment, Number(value & 0xffffn));
  if (!checked) return cpu.failed;
  checked.load();
  cpu.state.setGpr(RSP, pointer);
  return blockAfterSs(cpu, segment, OUTCOME.NEXT_THEN_CHECK);
}

/** LDS, LES, LFS, LGS and LSS. @see SDM "LDS/LES/LFS/LGS/LSS—Load Far Pointer" */
function loadFarPointer(segment: number) {
  return (cpu: Cpu, instruction: Instruction): Outcome => {
    const pointer = readFarPointer(cpu, instruction);
    if (!pointer) return cpu.failed;
    const checked = checkSegment(cpu, segment, pointer.selector);
    if (!checked) return cpu.failed;
    checked.load();
    writeGpr(cpu, instruction.register(0), instruction.operandSize, pointer.offset);
    return OUTCOME.NEXT_THEN_CHECK;
  };
}

/** With CR4.UMIP, programs above CPL 0 may not look at system registers. */
function checkUmip(cpu: Cpu): Outcome {
  return cpu.state.CPL > 0 && (cpu.state.cr4 & CR4.UMIP) !== 0 ? cpu.raiseGp() : OUTCOME.NEXT;
}

/** The offset of the base in a pseudo-descriptor, wrapped to the address size. */
function baseOffset(instruction: Instruction): bigint {
  return BigInt.asUintN(instruction.addressSize, instruction.effectiveAddress() + 2n);
}

/** @see SDM "LGDT/LIDT—Load Global/Interrupt Descriptor Table Register" */
function loadTable(table: 'GDTR' | 'IDTR') {
  return (cpu: Cpu, instruction: Instruction): Outcome => {
    const { state } = cpu;
    return inOrder(
      () => requireCpl0(cpu),
      () => cpu.virtualization.intercept({ point: table === 'GDTR' ? 'LGDT' : 'LIDT' }, instruction),
      () => {
        const long = state.in64BitMode;
        const limit = readSegmented(cpu, instruction.segment, instruction.effectiveAddress(), 2);
        if (limit === undefined) return cpu.failed;
        let base = readSegmented(cpu, instruction.segment, baseOffset(instruction), long ? 8 : 4);
        if (base === undefined) return cpu.failed;
        if (long && !isCanonical(state, base)) return cpu.raiseGp();
        if (!long && instruction.operandSize === 16) base &= 0xff_ffffn;
        state[`${table}_BASE`] = base;
        state[`${table}_LIMIT`] = Number(limit);
        return OUTCOME.NEXT;
      },
    );
  };
}

/** @see SDM "SGDT—Store Global Descriptor Table Register"; "SIDT" */
function storeTable(table: 'GDTR' | 'IDTR') {
  return (cpu: Cpu, instruction: Instruction): Outcome => {
    const { state } = cpu;
    return inOrder(
      () => checkUmip(cpu),
      () => cpu.virtualization.intercept({ point: table === 'GDTR' ? 'SGDT' : 'SIDT' }, instruction),
      () => {
        const { segment } = instruction;
        const bytes = state.in64BitMode ? 8 : 4;
        const address = instruction.effectiveAddress();
        if (!probeSegmented(cpu, segment, address, 2)) return cpu.failed;
        if (!writeSegmented(cpu, segment, baseOffset(instruction), bytes, state[`${table}_BASE`]))
          return cpu.failed;
        const written = writeSegmented(cpu, segment, address, 2, BigInt(state[`${table}_LIMIT`]));
        return written ? OUTCOME.NEXT : cpu.failed;
      },
    );
  };
}

/** @see SDM "SLDT—Store Local Descriptor Table Register"; "STR—Store Task Register" */
function storeSystemSegment(segment: number, point: 'SLDT' | 'STR') {
  return (cpu: Cpu, instruction: Instruction): Outcome =>
    inOrder(
      () => requireProtectedMode(cpu),
      () => checkUmip(cpu),
      () => cpu.virtualization.intercept({ point }, instruction),
      () => storeSelector(cpu, instruction, cpu.state.segmentSelector(segment)),
    );
}

/** @see SDM "LLDT—Load Local Descriptor Table Register"; "LTR—Load Task Register" */
function loadSystemSegment(point: 'LLDT' | 'LTR') {
  return (cpu: Cpu, instruction: Instruction): Outcome =>
    inOrder(
      () => requireProtectedMode(cpu),
      () => requireCpl0(cpu),
      () => cpu.virtualization.intercept({ point }, instruction),
      () => {
        const selector = readOperand(cpu, instruction, 0, 16);
        if (selector === undefined) return cpu.failed;
        return point === 'LLDT' ? loadLdtr(cpu, Number(selector)) : loadTr(cpu, Number(selector));
      },
    );
}

function setZf(cpu: Cpu, value: boolean): void {
  const flags = arithmeticFlags(cpu.state);
  setArithmeticFlags(cpu.state, value ? flags | FLAG.ZF : flags & ~FLAG.ZF);
}

/** LAR and LSL: ZF says whether the selector could be looked at. */
function loadFromDescriptor(look: (cpu: Cpu, selector: number) => number | null | undefined) {
  return (cpu: Cpu, instruction: Instruction): Outcome => {
    if (requireProtectedMode(cpu) !== OUTCOME.NEXT) return cpu.failed;
    const selector = readOperand(cpu, instruction, 1, 16);
    if (selector === undefined) return cpu.failed;
    const value = look(cpu, Number(selector));
    if (value === undefined) return cpu.failed;
    if (value !== null) writeGpr(cpu, instruction.register(0), instruction.operandSize, BigInt(value));
    setZf(cpu, value !== null);
    return OUTCOME.NEXT;
  };
}

/** @see SDM "VERR/VERW—Verify a Segment for Reading or Writing" */
function verify(write: boolean) {
  return (cpu: Cpu, instruction: Instruction): Outcome => {
    if (requireProtectedMode(cpu) !== OUTCOME.NEXT) return cpu.failed;
    const selector = readOperand(cpu, instruction, 0, 16);
    if (selector === undefined) return cpu.failed;
    const accessible = isAccessible(cpu, Number(selector), write);
    if (accessible === undefined) return cpu.failed;
    setZf(cpu, accessible);
    return OUTCOME.NEXT;
  };
}

/** ARPL raises the RPL of its first operand to that of the second. @see SDM "ARPL—Adjust RPL Field of Segment Selector" */
function arpl(cpu: Cpu, instruction: Instruction): Outcome {
  if (requireProtectedMode(cpu) !== OUTCOME.NEXT) return cpu.failed;
  const selector = readOperand(cpu, instruction, 0, 16);
  if (selector === undefined) return cpu.failed;
  const rpl = readGpr(cpu, instruction.register(1), 16) & 3n;
  const raised = (selector & 3n) < rpl;
  if (raised && !writeOperand(cpu, instruction, 0, (selector & ~3n) | rpl, 16)) return cpu.failed;
  setZf(cpu, raised);
  return OUTCOME.NEXT;
}

const LOAD_FAR = SDM('LDS/LES/LFS/LGS/LSS—Load Far Pointer');
const LOAD_TABLE = SDM('LGDT/LIDT—Load Global/Interrupt Descriptor Table Register');
const VERIFY = SDM('VERR/VERW—Verify a Segment for Reading or Writing');

// biome-ignore format: rows are read as a table
export const SEGMENT_ROWS: readonly SystemRow[] = [
  { op: 'MOV SREG', call: movSegment, ref: SDM('MOV—Move') },
  { op: 'PUSH SREG', call: pushSegment, ref: SDM('PUSH—Push Word, Doubleword, or Quadword Onto the Stack') },
  { op: 'POP SREG', call: popSegment, ref: SDM('POP—Pop a Value From the Stack') },
  { op: 'LDS', call: loadFarPointer(DS), ref: LOAD_FAR },
  { op: 'LES', call: loadFarPointer(ES), ref: LOAD_FAR },
  { op: 'LFS', call: loadFarPointer(FS), ref: LOAD_FAR },
  { op: 'LGS', call: loadFarPointer(GS), ref: LOAD_FAR },
  { op: 'LSS', call: loadFarPointer(SS), ref: LOAD_FAR },
  { op: 'LGDT', call: loadTable('GDTR'), ref: LOAD_TABLE },
  { op: 'LIDT', call: loadTable('IDTR'), ref: LOAD_TABLE },
  { op: 'SGDT', call: storeTable('GDTR'), ref: SDM('SGDT—Store Global Descriptor Table Register') },
  { op: 'SIDT', call: storeTable('IDTR'), ref: SDM('SIDT—Store Interrupt Descriptor Table Register') },
  { op: 'LLDT', call: loadSystemSegment('LLDT'), ref: SDM('LLDT—Load Local Descriptor Table Register') },
  { op: 'SLDT', call: storeSystemSegment(LDTR, 'SLDT'), ref: SDM('SLDT—Store Local Descriptor Table Register') },
  { op: 'LTR', call: loadSystemSegment('LTR'), ref: SDM('LTR—Load Task Register') },
  { op: 'STR', call: storeSystemSegment(TR, 'STR'), ref: SDM('STR—Store Task Register') },
  { op: 'LAR', call: loadFromDescriptor(accessRightsOf), ref: SDM('LAR—Load Access Rights Byte') },
  { op: 'LSL', call: loadFromDescriptor(limitOf), ref: SDM('LSL—Load Segment Limit') },
  { op: 'VERR', call: verify(false), ref: VERIFY },
  { op: 'VERW', call: verify(true), ref: VERIFY },
  { op: 'ARPL', call: arpl, ref: SDM('ARPL—Adjust RPL Field of Segment Selector') },
];
