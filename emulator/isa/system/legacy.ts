/** Instructions that 64-bit mode does not have: decimal arithmetic, PUSHA and POPA, SALC. */
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { currentStack, StackFrame, StackReader } from '../../core/stack.ts';
import { arithmeticFlags, setArithmeticFlags } from '../../state/flags.ts';
import { FLAG, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP, VECTOR } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';
import { readGpr, writeGpr } from './operands.ts';

/** AL and AH, and the flags CF and AF, as numbers. */
interface Decimal {
  readonly al: number;
  readonly ah: number;
  readonly cf: boolean;
  readonly af: boolean;
}

function readDecimal(cpu: Cpu): Decimal {
  const ax = Number(readGpr(cpu, RAX, 16));
  const flags = arithmeticFlags(cpu.state);
  return { al: ax & 0xff, ah: ax >> 8, cf: (flags & FLAG.CF) !== 0, af: (flags & FLAG.AF) !== 0 };
}

/** SF, ZF and PF follow AL, also where the manual leaves them undefined; OF is undefined for all and cleared. */
function writeDecimal(cpu: Cpu, { al, ah, cf, af }: Decimal): Outcome {
  writeGpr(cpu, RAX, 16, BigInt((ah << 8) | al));
  let flags = (cf ? FLAG.CF : 0) | (af ? FLAG.AF : 0) | (al & FLAG.SF) | (al === 0 ? FLAG.ZF : 0);
  let ones = al ^ (al >> 4);
  ones ^= ones >> 2;
  if (((ones ^ (ones >> 1)) & 1) === 0) flags |= FLAG.PF;
  setArithmeticFlags(cpu.state, flags);
  return OUTCOME.NEXT;
}

/** @see SDM "AAA—ASCII Adjust After Addition", "AAS—ASCII Adjust AL After Subtraction" */
function asciiAdjust(direction: 1 | -1) {
  return (cpu: Cpu): Outcome => {
    const { al, ah, af } = readDecimal(cpu);
    const adjust = (al & 15) > 9 || af;
    const ax = (ah << 8) | al;
    const adjusted = adjust ? (ax + direction * 0x106) & 0xffff : ax;
    return writeDecimal(cpu, { al: adjusted & 15, ah: adjusted >> 8, cf: adjust, af: adjust });
  };
}

/** @see SDM "DAA—Decimal Adjust AL After Addition", "DAS—Decimal Adjust AL After Subtraction" */
function decimalAdjust(direction: 1 | -1) {
  return (cpu: Cpu): Outcome => {
    const before = readDecimal(cpu);
    const low = (before.al & 15) > 9 || before.af;
    const high = before.al > 0x99 || before.cf;
    const al = before.al + direction * ((low ? 6 : 0) + (high ? 0x60 : 0));
    // DAS keeps the borrow of its first step.
    const borrowed = direction === -1 && low && before.al < 6;
    return writeDecimal(cpu, { al: al & 0xff, ah: before.ah, cf: high || borrowed, af: low });
  };
}

/** @see SDM "AAM—ASCII Adjust AX After Multiply" */
function aam(cpu: Cpu, instruction: Instruction): Outcome {
  const base = Number(instruction.immediate & 0xffn);
  if (base === 0) return cpu.raise(VECTOR.DE);
  const { al } = readDecimal(cpu);
  return writeDecimal(cpu, { al: al % base, ah: Math.floor(al / base), cf: false, af: false });
}

/** @see SDM "AAD—ASCII Adjust AX Before Division" */
function aad(cpu: Cpu, instruction: Instruction): Outcome {
  const { al, ah } = readDecimal(cpu);
  const sum = al + ah * Number(instruction.immediate & 0xffn);
  return writeDecimal(cpu, { al: sum & 0xff, ah: 0, cf: false, af: false });
}

/** SALC, which every processor has and the manual does not list: AL is filled with CF. */
function salc(cpu: Cpu): Outcome {
  writeGpr(cpu, RAX, 8, arithmeticFlags(cpu.state) & FLAG.CF ? 0xffn : 0n);
  return OUTCOME.NEXT;
}

const IN_PUSH_ORDER = [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI];

/** SP is pushed as it was before. @see SDM "PUSHA/PUSHAD—Push All General-Purpose Registers" */
function pusha(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  const frame = new StackFrame(cpu, currentStack(state));
  const bytes = instruction.operandSize === 16 ? 2 : 4;
  for (const register of IN_PUSH_ORDER) frame.push(state.gpr(register), bytes);
  if (!frame.probe()) return cpu.failed;
  frame.write();
  state.setGpr(RSP, frame.pointer);
  return OUTCOME.NEXT;
}

/** The image of SP is read, and left out. @see SDM "POPA/POPAD—Pop All General-Purpose Registers" */
function popa(cpu: Cpu, instruction: Instruction): Outcome {
  const bits = instruction.operandSize === 16 ? 16 : 32;
  const bytes = bits === 16 ? 2 : 4;
  const stack = new StackReader(cpu);
  const values: [number, bigint][] = [];
  for (const register of IN_PUSH_ORDER.toReversed()) {
    const value = stack.pop(bytes);
    if (value === undefined) return cpu.failed;
    if (register !== RSP) values.push([register, value]);
  }
  cpu.state.setGpr(RSP, stack.pointer);
  for (const [register, value] of values) writeGpr(cpu, register, bits, value);
  return OUTCOME.NEXT;
}

const PUSHA = SDM('PUSHA/PUSHAD—Push All General-Purpose Registers', 'vol. 2B');
const POPA = SDM('POPA/POPAD—Pop All General-Purpose Registers', 'vol. 2B');

// biome-ignore format: rows are read as a table
export const LEGACY_ROWS: readonly SystemRow[] = [
  { op: 'AAA', call: asciiAdjust(1), ref: SDM('AAA—ASCII Adjust After Addition', 'vol. 2A') },
  { op: 'AAS', call: asciiAdjust(-1), ref: SDM('AAS—ASCII Adjust AL After Subtraction', 'vol. 2A') },
  { op: 'AAM', call: aam, ref: SDM('AAM—ASCII Adjust AX After Multiply', 'vol. 2A') },
  { op: 'AAD', call: aad, ref: SDM('AAD—ASCII Adjust AX Before Division', 'vol. 2A') },
  { op: 'DAA', call: decimalAdjust(1), ref: SDM('DAA—Decimal Adjust AL After Addition', 'vol. 2A') },
  { op: 'DAS', call: decimalAdjust(-1), ref: SDM('DAS—Decimal Adjust AL After Subtraction', 'vol. 2A') },
  { op: 'SALC', call: salc, ref: SDM('One-byte Opcode Map', 'A.3 of volume 2') },
  { op: 'PUSHA', call: pusha, ref: PUSHA },
  { op: 'PUSHAD', call: pusha, ref: PUSHA },
  { op: 'POPA', call: popa, ref: POPA },
  { op: 'POPAD', call: popa, ref: POPA },
];
