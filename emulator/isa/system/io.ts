/** Port input and output. */
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import { checkIoBreakpoints } from '../../core/debugRegisters.ts';
import type { Instruction } from '../../core/instruction.ts';
import { probeSegmented, readSegmented, writeSegmented } from '../../core/memory.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { ioPermitted } from '../../core/tss.ts';
import { iopl } from '../../core/virtualInterrupts.ts';
import { OFFSET } from '../../state/layout.ts';
import { CR0, ES, FLAG, RAX, RCX, RDI, RDX, RSI } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';
import { PORT_ACCESS } from '../record.ts';
import { readGpr, readGpr32, writeGpr, writeGpr32 } from './operands.ts';

type Size = 1 | 2 | 4;

const CPL = OFFSET.CPL >> 2;
const RDX_LOW = (OFFSET.GPR >> 2) + 2 * RDX;
const DR7 = (OFFSET.DR >> 2) + 14;
/** L0–L3 and G0–G3 of DR7. */
const ANY_BREAKPOINT = 0xff;

/**
 * Whether the program may access the ports: CPL against IOPL, then the I/O permission bit map.
 *
 * @see SDM "I/O Privilege Level", 20.5.1 of volume 1
 */
function checkPermission(cpu: Cpu, port: number, size: Size): Outcome {
  const { state } = cpu;
  if ((state.cr0 & CR0.PE) === 0) return OUTCOME.NEXT;
  if (state.CPL <= iopl(cpu) && !state.virtual8086) return OUTCOME.NEXT;
  const permitted = ioPermitted(cpu, port, size);
  if (permitted === undefined) return cpu.failed;
  return permitted ? OUTCOME.NEXT : cpu.raiseGp();
}

interface Access {
  readonly port: number;
  readonly size: Size;
  readonly input: boolean;
  readonly immediate: boolean;
  /** Linear address of the memory operand of a string instruction. */
  readonly address: bigint | undefined;
}

/** Permission, then the intercept. */
function checkAccess(cpu: Cpu, instruction: Instruction, access: Access): Outcome {
  const outcome = checkPermission(cpu, access.port, access.size);
  if (outcome !== OUTCOME.NEXT) return outcome;
  const { port, size, input, immediate, address } = access;
  const string = address !== undefined;
  const repeat = string && instruction.repeat !== 'none';
  return cpu.virtualization.intercept(
    { point: 'IO', port, size, input, string, repeat, immediate, address: address ?? 0n },
    instruction,
  );
}

/** IN and OUT: the port is an immediate byte or DX, the other operand AL, AX or EAX. */
function portAccess(cpu: Cpu, instruction: Instruction, input: boolean): Outcome {
  const portOperand = input ? 1 : 0;
  const bits = instruction.operandBits(1 - portOperand) as 8 | 16 | 32;
  const size = (bits / 8) as Size;
  const immediate = instruction.operandKind(portOperand) === 'immediate';
  const port = immediate ? Number(instruction.immediate & 0xffn) : readGpr32(cpu, RDX, 16);
  const outcome = checkAccess(cpu, instruction, { port, size, input, immediate, address: undefined });
  if (outcome !== OUTCOME.NEXT) return outcome;
  if (input) writeGpr32(cpu, RAX, bits, cpu.portIo.read(port, size));
  else cpu.portIo.write(port, size, readGpr32(cpu, RAX, bits));
  checkIoBreakpoints(cpu.state, port, size);
  return OUTCOME.NEXT_THEN_CHECK;
}

/** One iteration of INS or OUTS. */
function stringAccess(cpu: Cpu, instruction: Instruction, size: Size, input: boolean): Outcome {
  const { state } = cpu;
  const { addressSize, segment: overridable } = instruction;
  const repeated = instruction.repeat !== 'none';
  const count = readGpr(cpu, RCX, addressSize);
  if (repeated && count === 0n) return OUTCOME.NEXT;
  const index = input ? RDI : RSI;
  const segment = input ? ES : overridable;
  const offset = readGpr(cpu, index, addressSize);
  const port = Number(readGpr(cpu, RDX, 16));
  // 1. Permission and intercept. The exit reports the linear address whether or not it can be accessed.
  const flat = state.in64BitMode && segment < 4;
  const address = BigInt.asUintN(
    state.in64BitMode ? 64 : 32,
    offset + (flat ? 0n : state.segmentBase(segment)),
  );
  const outcome = checkAccess(cpu, instruction, { port, size, input, immediate: false, address });
  if (outcome !== OUTCOME.NEXT) return outcome;
  // 2. The memory access is known to succeed before the port sees anything.
  if (input) {
    if (!probeSegmented(cpu, segment, offset, size)) return cpu.failed;
    if (!writeSegmented(cpu, segment, offset, size, BigInt(cpu.portIo.read(port, size) >>> 0)))
      return cpu.failed;
  } else {
    const value = readSegmented(cpu, segment, offset, size);
    if (value === undefined) return cpu.failed;
    cpu.portIo.write(port, size, Number(value));
  }
  checkIoBreakpoints(state, port, size);
  // 3. Step.
  const step = BigInt(state.systemFlags & FLAG.DF ? -size : size);
  writeGpr(cpu, index, addressSize, offset + step);
  if (!repeated) return OUTCOME.NEXT_THEN_CHECK;
  writeGpr(cpu, RCX, addressSize, count - 1n);
  return count === 1n ? OUTCOME.NEXT_THEN_CHECK : OUTCOME.REPEAT;
}

const INS = SDM('INS/INSB/INSW/INSD—Input From Port to String');
const OUTS = SDM('OUTS/OUTSB/OUTSW/OUTSD—Output String to Port');

/** A port on the other side of a bus answers in about half a microsecond. */
export const PORT_TICKS = 500;

/** What a record has of IN or OUT: a PORT_ACCESS and the port, -1 for DX; undefined for other instructions. */
export function portOperation(instruction: Instruction): { access: number; port: number } | undefined {
  const input = instruction.name === 'IN';
  if (!input && instruction.name !== 'OUT') return undefined;
  const portOperand = input ? 1 : 0;
  const size = instruction.operandBits(1 - portOperand) / 8;
  const immediate = instruction.operandKind(portOperand) === 'immediate';
  return {
    access: input ? size | PORT_ACCESS.INPUT : size,
    port: immediate ? Number(instruction.immediate & 0xffn) : -1,
  };
}

/**
 * Does what IN or OUT does where nothing but the device decides what happens: no permission is looked for, nobody
 * intercepts the access, no breakpoint waits for it. False: nothing happened.
 */
export function accessPort(cpu: Cpu, access: number, knownPort: number): boolean {
  const { i32 } = cpu.state;
  if (i32[CPL] !== 0 || (i32[DR7] & ANY_BREAKPOINT) !== 0 || cpu.virtualization.inGuest) return false;
  const port = knownPort < 0 ? i32[RDX_LOW] & 0xffff : knownPort;
  const size = (access & PORT_ACCESS.SIZE) as Size;
  const bits = (8 * size) as 8 | 16 | 32;
  if ((access & PORT_ACCESS.INPUT) !== 0) writeGpr32(cpu, RAX, bits, cpu.portIo.read(port, size));
  else cpu.portIo.write(port, size, readGpr32(cpu, RAX, bits));
  return true;
}

// biome-ignore format: rows are read as a table
export const IO_ROWS: readonly SystemRow[] = [
  { op: 'IN', ticks: PORT_TICKS, call: (cpu, instruction) => portAccess(cpu, instruction, true), ref: SDM('IN—Input From Port') },
  { op: 'OUT', ticks: PORT_TICKS, call: (cpu, instruction) => portAccess(cpu, instruction, false), ref: SDM('OUT—Output to Port') },
  { op: 'INSB', ticks: PORT_TICKS, call: (cpu, instruction) => stringAccess(cpu, instruction, 1, true), ref: INS },
  { op: 'INSW', ticks: PORT_TICKS, call: (cpu, instruction) => stringAccess(cpu, instruction, 2, true), ref: INS },
  { op: 'INSD', ticks: PORT_TICKS, call: (cpu, instruction) => stringAccess(cpu, instruction, 4, true), ref: INS },
  { op: 'OUTSB', ticks: PORT_TICKS, call: (cpu, instruction) => stringAccess(cpu, instruction, 1, false), ref: OUTS },
  { op: 'OUTSW', ticks: PORT_TICKS, call: (cpu, instruction) => stringAccess(cpu, instruction, 2, false), ref: OUTS },
  { op: 'OUTSD', ticks: PORT_TICKS, call: (cpu, instruction) => stringAccess(cpu, instruction, 4, false), ref: OUTS },
];
