/**
 * Control of the FPU and its state in memory. Intel SDM Vol. 1, "x87 FPU Control Instructions", 8.3.11; "Saving the x87
 * FPU's State", 8.1.10.
 */
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import { hasParagraphSegments } from '../../core/memory.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { RAX } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';
import { writeGpr } from '../system/operands.ts';
import { pack80, unpack80 } from './data.ts';
import { nonWaiting, wait, waiting, waitingControl } from './execute.ts';
import { STATUS, TAG, tagOf, type X87 } from './fpu.ts';
import { operandBytes, readMemory, writeMemory } from './memory.ts';

/**
 * The environment's image as seven 16- or 32-bit items: control, status, tag, and the pointers in the format of the
 * mode. Bits 31:16 of 32-bit items that have no meaning are stored as ones.
 *
 * @see SDM figures 8-9 to 8-12 of volume 1
 */
function environmentImage(cpu: Cpu, wide: boolean): bigint {
  const { state } = cpu;
  const deprecated = cpu.has('FPU_CS_DS_DEPRECATED');
  const codeSelector = deprecated ? 0 : state.X87_INSTRUCTION_SELECTOR;
  const dataSelector = deprecated ? 0 : state.X87_DATA_SELECTOR;
  const instruction = Number(BigInt.asUintN(32, state.X87_INSTRUCTION_POINTER));
  const data = Number(BigInt.asUintN(32, state.X87_DATA_POINTER));
  const opcode = state.X87_OPCODE;
  const words = [state.X87_CONTROL, state.X87_STATUS, state.X87_TAG];
  let pointers: number[];
  if (!hasParagraphSegments(state)) {
    pointers = wide
      ? [instruction, codeSelector | (opcode << 16), data, dataSelector | HIGH_ONES]
      : [instruction, codeSelector, data, dataSelector];
  } else {
    const linearInstruction = instruction + state.X87_INSTRUCTION_SELECTOR * 16;
    const linearData = data + state.X87_DATA_SELECTOR * 16;
    pointers = wide
      ? [
          (linearInstruction & 0xffff) | HIGH_ONES,
          ((linearInstruction >>> 16) << 12) | opcode,
          (linearData & 0xffff) | HIGH_ONES,
          (linearData >>> 16) << 12,
        ]
      : [
          linearInstruction,
          ((linearInstruction >>> 4) & 0xf000) | opcode,
          linearData,
          (linearData >>> 4) & 0xf000,
        ];
  }
  const items = [...words.map((word) => (wide ? word | HIGH_ONES : word)), ...pointers];
  const bits = wide ? 32 : 16;
  return items.reduce(
    (image, item, i) => image | (BigInt.asUintN(bits, BigInt(item)) << BigInt(bits * i)),
    0n,
  );
}

const HIGH_ONES = 0xffff_0000 | 0;

function loadEnvironment(fpu: X87, cpu: Cpu, image: bigint, wide: boolean): void {
  const { state } = cpu;
  const bits = wide ? 32 : 16;
  const item = (i: number) => Number(BigInt.asUintN(bits, image >> BigInt(bits * i)));
  state.X87_STATUS = item(1) & 0xffff;
  fpu.loadControl(item(0) & 0xffff);
  setTags(fpu, item(2));
  const [instruction, code, data, dataHigh] = [item(3), item(4), item(5), item(6)] as const;
  if (!hasParagraphSegments(state)) {
    state.X87_INSTRUCTION_POINTER = BigInt(instruction);
    state.X87_INSTRUCTION_SELECTOR = code & 0xffff;
    if (wide) state.X87_OPCODE = (code >>> 16) & 0x7ff;
    state.X87_DATA_POINTER = BigInt(data);
    state.X87_DATA_SELECTOR = dataHigh & 0xffff;
    return;
  }
  const high = wide ? 0xffff : 0xf;
  state.X87_INSTRUCTION_POINTER = BigInt(instruction & 0xffff) | (BigInt((code >>> 12) & high) << 16n);
  state.X87_DATA_POINTER = BigInt(data & 0xffff) | (BigInt((dataHigh >>> 12) & high) << 16n);
  state.X87_OPCODE = code & 0x7ff;
  state.X87_INSTRUCTION_SELECTOR = 0;
  state.X87_DATA_SELECTOR = 0;
}

/** Of a loaded tag word only "empty" counts; the other tags follow from what the registers hold. */
function setTags(fpu: X87, word: number): void {
  for (let i = 0; i < 8; i++) {
    const tag = (word >> (2 * ((fpu.top + i) & 7))) & 3;
    fpu.setTag(i, tag === TAG.EMPTY ? TAG.EMPTY : tagOf(fpu.read(i)));
  }
}

/** 14 and 94 bytes with a 16-bit operand size, 28 and 108 else. */
function isWide(bytes: number): boolean {
  return bytes === 28 || bytes === 108;
}

const alignmentFor = (bytes: number) => (isWide(bytes) ? 4 : 2);

/** FNSTENV masks all exceptions after it has stored the environment. */
function storeEnvironment(fpu: X87, instruction: Instruction, cpu: Cpu): Outcome | undefined {
  const bytes = operandBytes(instruction);
  if (!writeMemory(cpu, instruction, bytes, alignmentFor(bytes), environmentImage(cpu, isWide(bytes))))
    return cpu.failed;
  cpu.state.X87_CONTROL |= STATUS.EXCEPTIONS;
  fpu.updateSummary();
  return undefined;
}

function loadEnvironmentFromMemory(fpu: X87, instruction: Instruction, cpu: Cpu): Outcome | undefined {
  const bytes = operandBytes(instruction);
  const image = readMemory(cpu, instruction, bytes, alignmentFor(bytes));
  if (image === undefined) return cpu.failed;
  return void loadEnvironment(fpu, cpu, image, isWide(bytes));
}

const REGISTER_BYTES = 10;

/** The environment, then ST(0) to ST(7). */
function save(fpu: X87, instruction: Instruction, cpu: Cpu): Outcome | undefined {
  const bytes = operandBytes(instruction);
  const start = bytes - 8 * REGISTER_BYTES;
  let image = environmentImage(cpu, isWide(bytes));
  for (let i = 0; i < 8; i++) image |= pack80(fpu.read(i)) << BigInt(8 * (start + i * REGISTER_BYTES));
  if (!writeMemory(cpu, instruction, bytes, alignmentFor(bytes), image)) return cpu.failed;
  return void fpu.initialize();
}

function restore(fpu: X87, instruction: Instruction, cpu: Cpu): Outcome | undefined {
  const bytes = operandBytes(instruction);
  const start = bytes - 8 * REGISTER_BYTES;
  const image = readMemory(cpu, instruction, bytes, alignmentFor(bytes));
  if (image === undefined) return cpu.failed;
  const environment = BigInt.asUintN(8 * start, image);
  loadEnvironment(fpu, cpu, environment, isWide(bytes));
  for (let i = 0; i < 8; i++) {
    fpu.writeContent(i, unpack80(BigInt.asUintN(80, image >> BigInt(8 * (start + i * REGISTER_BYTES)))));
  }
  return void setTags(fpu, cpu.state.X87_TAG);
}

function storeControl(_fpu: X87, instruction: Instruction, cpu: Cpu): Outcome | undefined {
  return writeMemory(cpu, instruction, 2, 2, BigInt(cpu.state.X87_CONTROL)) ? undefined : cpu.failed;
}

function loadControl(fpu: X87, instruction: Instruction, cpu: Cpu): Outcome | undefined {
  const word = readMemory(cpu, instruction, 2, 2);
  if (word === undefined) return cpu.failed;
  return void fpu.loadControl(Number(word));
}

function storeStatus(_fpu: X87, instruction: Instruction, cpu: Cpu): Outcome | undefined {
  const status = BigInt(cpu.state.X87_STATUS);
  if (instruction.operandKind(0) === 'register') return void writeGpr(cpu, RAX, 16, status);
  return writeMemory(cpu, instruction, 2, 2, status) ? undefined : cpu.failed;
}

const nothing = () => undefined;

/** FINCSTP and FDECSTP do not look at tags. */
function rotate(step: 1 | -1) {
  return (fpu: X87): undefined => {
    fpu.clearC1();
    fpu.top += step;
  };
}

function free(pops: boolean) {
  return (fpu: X87, instruction: Instruction): undefined => {
    fpu.clearC1();
    fpu.setTag(instruction.register(0), TAG.EMPTY);
    if (pops) fpu.top++;
  };
}

const OBSOLETE = SDM('Obsolete Instructions', 'vol. 3B');

// biome-ignore format: rows are read as a table
export const X87_CONTROL_ROWS: readonly SystemRow[] = [
  { op: 'WAIT', call: wait, feature: 'FPU', ref: SDM('WAIT/FWAIT—Wait') },
  { op: 'FNINIT', call: nonWaiting((fpu) => void fpu.initialize()), feature: 'FPU', ref: SDM('FINIT/FNINIT—Initialize Floating-Point Unit') },
  { op: 'FNCLEX', call: nonWaiting((fpu) => void fpu.setStatus(STATUS.EXCEPTIONS | STATUS.STACK_FAULT | STATUS.SUMMARY | STATUS.BUSY, 0)), feature: 'FPU', ref: SDM('FCLEX/FNCLEX—Clear Exceptions') },
  { op: 'FNSTCW', call: nonWaiting(storeControl), feature: 'FPU', ref: SDM('FSTCW/FNSTCW—Store x87 FPU Control Word') },
  { op: 'FLDCW', call: waitingControl(loadControl), feature: 'FPU', ref: SDM('FLDCW—Load x87 FPU Control Word') },
  { op: 'FNSTSW', call: nonWaiting(storeStatus), feature: 'FPU', ref: SDM('FSTSW/FNSTSW—Store x87 FPU Status Word') },
  { op: 'FNSTENV', call: nonWaiting(storeEnvironment), feature: 'FPU', ref: SDM('FSTENV/FNSTENV—Store x87 FPU Environment') },
  { op: 'FLDENV', call: waitingControl(loadEnvironmentFromMemory), feature: 'FPU', ref: SDM('FLDENV—Load x87 FPU Environment') },
  { op: 'FNSAVE', call: nonWaiting(save), feature: 'FPU', ref: SDM('FSAVE/FNSAVE—Store x87 FPU State') },
  { op: 'FRSTOR', call: waitingControl(restore), feature: 'FPU', ref: SDM('FRSTOR—Restore x87 FPU State') },
  // These become the last instruction too.
  { op: 'FNOP', call: waiting(nothing), feature: 'FPU', ref: SDM('FNOP—No Operation') },
  { op: 'FFREE', call: waiting(free(false)), feature: 'FPU', ref: SDM('FFREE—Free Floating-Point Register') },
  // DF C0+i, not documented.
  { op: 'FFREEP', call: waiting(free(true)), feature: 'FPU', ref: SDM('FFREE—Free Floating-Point Register') },
  { op: 'FINCSTP', call: waiting(rotate(1)), feature: 'FPU', ref: SDM('FINCSTP—Increment Stack-Top Pointer') },
  { op: 'FDECSTP', call: waiting(rotate(-1)), feature: 'FPU', ref: SDM('FDECSTP—Decrement Stack-Top Pointer') },
  // Of the 8087 and the 287: integer NOPs since.
  { op: 'FNENI', call: () => OUTCOME.NEXT, ref: OBSOLETE },
  { op: 'FNDISI', call: () => OUTCOME.NEXT, ref: OBSOLETE },
  { op: 'FNSETPM', call: () => OUTCOME.NEXT, ref: OBSOLETE },
];
