/** Instructions that read and write control and debug registers. */
import { SDM } from '../../base/reference.ts';
import { writeCr0, writeCr3, writeCr4, writeCr8, writeXcr } from '../../core/controlRegisters.ts';
import type { Cpu } from '../../core/cpu.ts';
import { checkGeneralDetect, debugRegisterNumber, writeDebugRegister } from '../../core/debugRegisters.ts';
import type { Instruction } from '../../core/instruction.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { CR0, CR4, RAX, RCX, RDX } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';
import { componentsInUse } from '../vector/state.ts';
import {
  inOrder,
  isMemory,
  readGpr,
  readOperand,
  requireCpl0,
  writeGpr,
  writeOperand,
  writePair,
} from './operands.ts';

const isControlRegister = (cr: number): boolean => cr === 0 || (cr >= 2 && cr <= 4) || cr === 8;

function registerBits(instruction: Instruction, operand: number): 32 | 64 {
  return instruction.operandBits(operand) === 64 ? 64 : 32;
}

/** @see SDM "MOV—Move to/from Control Registers" */
function movCr(cpu: Cpu, instruction: Instruction): Outcome {
  return instruction.registerKind(0) === 'control' ? movToCr(cpu, instruction) : movFromCr(cpu, instruction);
}

function movToCr(cpu: Cpu, instruction: Instruction): Outcome {
  const cr = instruction.register(0);
  const gpr = instruction.register(1);
  if (!isControlRegister(cr)) return cpu.raiseUd();
  const value = readGpr(cpu, gpr, registerBits(instruction, 1));
  return inOrder(
    () => requireCpl0(cpu),
    () => cpu.virtualization.intercept({ point: 'MOV_TO_CR', cr, gpr, value }, instruction),
    () => writeControlRegister(cpu, cr, value),
  );
}

function writeControlRegister(cpu: Cpu, cr: number, value: bigint): Outcome {
  switch (cr) {
    case 0:
      return writeCr0(cpu, value);
    case 2:
      cpu.state.CR2 = value;
      return OUTCOME.NEXT;
    case 3:
      return writeCr3(cpu, value);
    case 4:
      return writeCr4(cpu, value);
    default:
      return writeCr8(cpu, value);
  }
}

function movFromCr(cpu: Cpu, instruction: Instruction): Outcome {
  const cr = instruction.register(1);
  const gpr = instruction.register(0);
  if (!isControlRegister(cr)) return cpu.raiseUd();
  return inOrder(
    () => requireCpl0(cpu),
    () => cpu.virtualization.intercept({ point: 'MOV_FROM_CR', cr, gpr }, instruction),
    () => {
      writeGpr(cpu, gpr, registerBits(instruction, 0), readControlRegister(cpu, cr));
      return OUTCOME.NEXT;
    },
  );
}

function readControlRegister(cpu: Cpu, cr: number): bigint {
  const { state, virtualization } = cpu;
  switch (cr) {
    case 0:
      return virtualization.readableCr(0, state.CR0);
    case 2:
      return state.CR2;
    case 3:
      return state.CR3;
    case 4:
      return virtualization.readableCr(4, state.CR4);
    default:
      return BigInt(cpu.virtualization.readTaskPriority() ?? cpu.apic.readCr8());
  }
}

/** @see SDM "MOV—Move to/from Debug Registers"; a VM exit comes before the #DB of DR7.GD */
function movDr(cpu: Cpu, instruction: Instruction): Outcome {
  const toDr = instruction.registerKind(0) === 'debug';
  const encoded = instruction.register(toDr ? 0 : 1);
  const gpr = instruction.register(toDr ? 1 : 0);
  const bits = registerBits(instruction, toDr ? 1 : 0);
  const dr = debugRegisterNumber(cpu, encoded);
  if (dr === undefined) return cpu.failed;
  return inOrder(
    () => requireCpl0(cpu),
    () => cpu.virtualization.intercept({ point: 'MOV_DR', dr: encoded, gpr, toDr }, instruction),
    () => checkGeneralDetect(cpu),
    () => {
      if (toDr) return writeDebugRegister(cpu, dr, readGpr(cpu, gpr, bits));
      writeGpr(cpu, gpr, bits, cpu.state.debugRegister(dr));
      return OUTCOME.NEXT;
    },
  );
}

/** PE, MP, EM and TS are what LMSW can write; it cannot clear PE. */
const MACHINE_STATUS = BigInt(CR0.PE | CR0.MP | CR0.EM | CR0.TS);
const PE = BigInt(CR0.PE);

/** @see SDM "LMSW—Load Machine Status Word" */
function lmsw(cpu: Cpu, instruction: Instruction): Outcome {
  if (cpu.state.CPL !== 0) return cpu.raiseGp();
  const operand = readOperand(cpu, instruction, 0, 16);
  if (operand === undefined) return cpu.failed;
  const address = isMemory(instruction, 0) ? operandAddress(cpu, instruction) : undefined;
  const outcome = cpu.virtualization.intercept(
    { point: 'LMSW', source: Number(operand), address },
    instruction,
  );
  if (outcome !== OUTCOME.NEXT) return outcome;
  const current = cpu.state.CR0;
  return writeCr0(cpu, (current & ~MACHINE_STATUS) | (operand & MACHINE_STATUS) | (current & PE));
}

/** The linear address of a memory operand, for what an exit reports. */
function operandAddress(cpu: Cpu, instruction: Instruction): bigint {
  const { state } = cpu;
  const flat = state.in64BitMode && instruction.segment < 4;
  const base = flat ? 0n : state.segmentBase(instruction.segment);
  return BigInt.asUintN(state.in64BitMode ? 64 : 32, base + instruction.effectiveAddress());
}

/** @see SDM "SMSW—Store Machine Status Word" */
function smsw(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  if (state.CPL > 0 && (state.cr4 & CR4.UMIP) !== 0) return cpu.raiseGp();
  const value = cpu.virtualization.readableCr(0, state.CR0);
  const bits = isMemory(instruction, 0) ? 16 : instruction.operandSize;
  return writeOperand(cpu, instruction, 0, value, bits) ? OUTCOME.NEXT : cpu.failed;
}

/** @see SDM "CLTS—Clear Task-Switched Flag in CR0" */
function clts(cpu: Cpu, instruction: Instruction): Outcome {
  return inOrder(
    () => requireCpl0(cpu),
    () => cpu.virtualization.intercept({ point: 'CLTS' }, instruction),
    () => writeCr0(cpu, cpu.state.CR0 & ~BigInt(CR0.TS)),
  );
}

/** @see SDM "XGETBV—Get Value of Extended Control Register" */
function xgetbv(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  if ((state.cr4 & CR4.OSXSAVE) === 0) return cpu.raiseUd();
  const register = readGpr(cpu, RCX, 32);
  if (register > 1n || (register === 1n && !cpu.has('XGETBV_ECX_1'))) return cpu.raiseGp();
  const value = register === 0n ? state.XCR0 : state.XCR0 & BigInt(componentsInUse(cpu, instruction));
  writePair(cpu, RDX, RAX, value);
  return OUTCOME.NEXT;
}

/** @see SDM "XSETBV—Set Extended Control Register" */
function xsetbv(cpu: Cpu, instruction: Instruction): Outcome {
  if ((cpu.state.cr4 & CR4.OSXSAVE) === 0) return cpu.raiseUd();
  const value = (readGpr(cpu, RDX, 32) << 32n) | readGpr(cpu, RAX, 32);
  return inOrder(
    () => requireCpl0(cpu),
    () => cpu.virtualization.intercept({ point: 'XSETBV' }, instruction),
    () => writeXcr(cpu, Number(readGpr(cpu, RCX, 32)), value),
  );
}

const MOV_CR = SDM('MOV—Move to/from Control Registers');
const MOV_DR = SDM('MOV—Move to/from Debug Registers');

// biome-ignore format: rows are read as a table
export const CONTROL_REGISTER_ROWS: readonly SystemRow[] = [
  { op: 'MOV CR', call: movCr, ref: MOV_CR },
  { op: 'MOV DR', call: movDr, ref: MOV_DR },
  { op: 'LMSW', call: lmsw, ref: SDM('LMSW—Load Machine Status Word') },
  { op: 'SMSW', call: smsw, ref: SDM('SMSW—Store Machine Status Word') },
  { op: 'CLTS', call: clts, ref: SDM('CLTS—Clear Task-Switched Flag in CR0') },
  { op: 'XGETBV', call: xgetbv, feature: 'XSAVE', ref: SDM('XGETBV—Get Value of Extended Control Register') },
  { op: 'XSETBV', call: xsetbv, feature: 'XSAVE', ref: SDM('XSETBV—Set Extended Control Register') },
];
