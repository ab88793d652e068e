/**
 * The VMX instructions.
 *
 * Intel SDM Vol. 3C, "VMX Instruction Reference", chapter 32.
 */
import { EmulatorBug, Unimplemented } from '../base/errors.ts';
import type { Instruction } from '../core/instruction.ts';
import { inRealMode, readSegmented, writeSegmented } from '../core/memory.ts';
import { OUTCOME, type Outcome } from '../core/outcome.ts';
import { PAGE_ROM } from '../mmu/physicalMemory.ts';
import { setArithmeticFlags } from '../state/flags.ts';
import { OFFSET } from '../state/layout.ts';
import { AR, BLOCKING, CR4, CS, EFER, FLAG, RAX, RCX, VMX_OPERATION } from '../state/registers.ts';
import { switchAddressSpace } from './addressSpace.ts';
import { isBitSet } from './bitmaps.ts';
import { CONTROL } from './controls.ts';
import { vmEnter } from './entry.ts';
import { fixedBitsViolated } from './entryChecks/check.ts';
import { noteFailedEntry } from './failedEntry.ts';
import { interceptInstruction } from './intercepts.ts';
import { invept, invvpid, isEptpValid } from './invalidate.ts';
import { NO_VMCS, type VmxProcessor } from './processor.ts';
import { readAccess, SLOT, writeAccess } from './vmcs.ts';
import {
  fieldByEncoding,
  fieldExists,
  fieldIsWritable,
  HIGH_ACCESS,
  SHADOW_VMCS_INDICATOR,
  VMCS_FIELD,
  VMCS_FIELD_LIST,
  VMCS_HEADER,
  type VmcsField,
} from './vmcsLayout.ts';
import { VM_INSTRUCTION_ERROR, type VmInstructionErrorKey } from './vmInstructionErrors.ts';

/**
 * How a VMX instruction tells its success.
 *
 * @see SDM "Conventions", 32.2
 */
export function vmSucceed({ state }: VmxProcessor): Outcome {
  setArithmeticFlags(state, 0);
  return OUTCOME.NEXT;
}

export function vmFailInvalid({ state }: VmxProcessor): Outcome {
  setArithmeticFlags(state, FLAG.CF);
  return OUTCOME.NEXT;
}

function vmFailValid(processor: VmxProcessor, error: number, vmcs = processor.vmcs): Outcome {
  setArithmeticFlags(processor.state, FLAG.ZF);
  processor.regions.announceOwnWrite(vmcs.address);
  vmcs.setLow(SLOT.VM_INSTRUCTION_ERROR, error);
  return OUTCOME.NEXT;
}

/** VMfailValid with a current VMCS, VMfailInvalid without. */
export function vmFail(processor: VmxProcessor, key: VmInstructionErrorKey, vmcs = processor.vmcs): Outcome {
  if (!vmcs.isValid) return vmFailInvalid(processor);
  return vmFailValid(processor, VM_INSTRUCTION_ERROR[key], vmcs);
}

// Operands

const REVISION_MASK = 0x7fff_ffff;

/** The physical address in a 64-bit memory operand; undefined after a fault. */
function readPointer({ cpu }: VmxProcessor, instruction: Instruction): bigint | undefined {
  return readSegmented(cpu, instruction.segment, instruction.effectiveAddress(), 8);
}

/** Whether a pointer may name a region: 4-KByte aligned and inside the physical address space. */
function isRegionAddress({ cpu }: VmxProcessor, pointer: bigint): boolean {
  return (pointer & 0xfffn) === 0n && pointer >> BigInt(cpu.model.physicalAddressBits) === 0n;
}

const usesWideOperands = ({ state }: VmxProcessor): boolean => state.in64BitMode;

/** A general register as an operand of VMREAD, VMWRITE, INVEPT or INVVPID: 64 bits in 64-bit mode, else 32. */
function readRegister(processor: VmxProcessor, register: number): bigint {
  const value = processor.state.gpr(register);
  return usesWideOperands(processor) ? value : value & 0xffff_ffffn;
}

// The instructions. Each function runs in root operation (VMXON: also outside VMX operation), with CPL 0.

/** @see SDM "VMXON—Enter VMX Operation" */
function vmxon(processor: VmxProcessor, instruction: Instruction): Outcome {
  const { cpu } = processor;
  if (processor.inVmxOperation) return vmFail(processor, 'vmxonInVmxRootOperation');
  if (!mayEnterVmxOperation(processor)) return cpu.raiseGp();
  const pointer = readPointer(processor, instruction);
  if (pointer === undefined) return cpu.failed;
  return enterVmxOperation(processor, pointer);
}

const FEATURE_CONTROL_LOCKED_VMX = 0b101n;

/** @see SDM "Restrictions on VMX Operation", 25.8; "Enabling and Entering VMX Operation", 25.7 */
function mayEnterVmxOperation({ state, capabilities, cpu }: VmxProcessor): boolean {
  // A20M mode.
  if (!cpu.mmu.a20) return false;
  const { cr0Fixed0, cr0Fixed1, cr4Fixed0, cr4Fixed1 } = capabilities;
  if (fixedBitsViolated(state.CR0, cr0Fixed0, cr0Fixed1) !== 0n) return false;
  if (fixedBitsViolated(state.CR4, cr4Fixed0, cr4Fixed1) !== 0n) return false;
  return (state.IA32_FEATURE_CONTROL & FEATURE_CONTROL_LOCKED_VMX) === FEATURE_CONTROL_LOCKED_VMX;
}

export function enterVmxOperation(processor: VmxProcessor, pointer: bigint): Outcome {
  const { state, physical, capabilities } = processor;
  if (!isRegionAddress(processor, pointer)) return vmFailInvalid(processor);
  // Bit 31 has to be 0 as well.
  if (physical.read32(Number(pointer)) !== capabilities.revisionIdentifier) return vmFailInvalid(processor);
  state.VMXON_POINTER = pointer;
  processor.deselect();
  state.VMX_OPERATION = VMX_OPERATION.ROOT;
  processor.cpu.mmu.a20Blocked = true;
  return vmSucceed(processor);
}

/** @see SDM "VMXOFF—Leave VMX Operation" */
function vmxoff(processor: VmxProcessor): Outcome {
  processor.deselect();
  processor.state.VMX_OPERATION = VMX_OPERATION.NONE;
  processor.state.VMXON_POINTER = NO_VMCS;
  processor.cpu.mmu.a20Blocked = false;
  vmSucceed(processor);
  // INIT is not blocked any more.
  return OUTCOME.NEXT_THEN_CHECK;
}

function vmclear(processor: VmxProcessor, instruction: Instruction): Outcome {
  const pointer = readPointer(processor, instruction);
  return pointer === undefined ? processor.cpu.failed : clearVmcs(processor, pointer);
}

/** @see SDM "VMCLEAR—Clear Virtual-Machine Control Structure" */
export function clearVmcs(processor: VmxProcessor, pointer: bigint): Outcome {
  const { state, physical, vmcs, regions } = processor;
  if (!isRegionAddress(processor, pointer)) return vmFail(processor, 'vmclearInvalidAddress');
  if (pointer === state.VMXON_POINTER) return vmFail(processor, 'vmclearVmxonPointer');
  const address = Number(pointer);
  regions.cleared(address);
  processor.sanitizer?.cleared(processor, address);
  physical.write(address + VMCS_HEADER.launchState, 4, 0, 0);
  if (vmcs.isValid && vmcs.address === address) processor.deselect();
  return vmSucceed(processor);
}

function vmptrld(processor: VmxProcessor, instruction: Instruction): Outcome {
  const pointer = readPointer(processor, instruction);
  return pointer === undefined ? processor.cpu.failed : loadVmcsPointer(processor, pointer);
}

/** Bit of the secondary processor-based controls. */
const VMCS_SHADOWING = 1n << 14n;

/** @see SDM "VMPTRLD—Load Pointer to Virtual-Machine Control Structure" */
export function loadVmcsPointer(processor: VmxProcessor, pointer: bigint): Outcome {
  const { state, physical, capabilities } = processor;
  if (!isRegionAddress(processor, pointer)) return vmFail(processor, 'vmptrldInvalidAddress');
  if (pointer === state.VMXON_POINTER) return vmFail(processor, 'vmptrldVmxonPointer');
  const address = Number(pointer);
  const revision = physical.read32(address);
  const isShadow = (revision & SHADOW_VMCS_INDICATOR) !== 0;
  const mayBeShadow = (capabilities.allowed.secondaryProcessorBased.mayBe1 & VMCS_SHADOWING) !== 0n;
  if ((revision & REVISION_MASK) !== capabilities.revisionIdentifier || (isShadow && !mayBeShadow)) {
    return vmFail(processor, 'vmptrldIncorrectRevision');
  }
  if (!physical.isRam(address, 4096) || (physical.pageFlags[address / 4096] & PAGE_ROM) !== 0) {
    throw new Unimplemented(`a VMCS outside of RAM, at 0x${address.toString(16)}`);
  }
  processor.select(address);
  return vmSucceed(processor);
}

/** @see SDM "VMPTRST—Store Pointer to Virtual-Machine Control Structure" */
function vmptrst(processor: VmxProcessor, instruction: Instruction): Outcome {
  const { cpu, state } = processor;
  const address = instruction.effectiveAddress();
  if (!writeSegmented(cpu, instruction.segment, address, 8, state.CURRENT_VMCS)) return cpu.failed;
  return vmSucceed(processor);
}

/** The field that an encoding names, if the processor has it; the high half only of 64-bit fields. */
function supportedField({ capabilities }: VmxProcessor, encoding: bigint): VmcsField | undefined {
  if (encoding >> 32n !== 0n) return undefined;
  const field = fieldByEncoding(Number(encoding));
  return field !== undefined && fieldExists(field, capabilities.offered) ? field : undefined;
}

/** @see SDM "VMREAD—Read Field from Virtual-Machine Control Structure" */
const RIP_WORD = OFFSET.RIP >> 2;
const GPR_WORD = OFFSET.GPR >> 2;

const NO_FIELD = -1;

const ENCODINGS = 0x8000;

/** By encoding: the ordinal of a field that the processor has, if this encoding names all of it; else -1. */
function ordinalsOf(processor: VmxProcessor): Int16Array {
  processor.ordinals ??= Int16Array.from({ length: ENCODINGS }, (_, encoding) => {
    const field = supportedField(processor, BigInt(encoding));
    return field === undefined || (encoding & HIGH_ACCESS) !== 0 ? NO_FIELD : field.ordinal;
  });
  return processor.ordinals;
}

/**
 * VMREAD to a register and VMWRITE from one, of a field as a whole, in 64-bit mode: most of them, without a 64-bit number
 * on the way. False: nothing was done.
 */
function accessInRegisters(processor: VmxProcessor, instruction: Instruction, write: boolean): boolean {
  const { vmcs, state, marks, regions } = processor;
  if (!vmcs.isValid || marks === undefined || !state.in64BitMode) return false;
  const other = write ? 1 : 0;
  if (instruction.operandKind(other) !== 'register') return false;
  const words = state.i32;
  const source = GPR_WORD + 2 * instruction.register(1 - other);
  const encoding = words[source];
  if (words[source + 1] !== 0 || encoding < 0 || encoding >= ENCODINGS) return false;
  const ordinal = ordinalsOf(processor)[encoding];
  if (ordinal === NO_FIELD) return false;
  const field = VMCS_FIELD_LIST[ordinal];
  const slot = field.offset >> 2;
  const register = GPR_WORD + 2 * instruction.register(other);
  const low = vmcs.low(slot);
  const high = vmcs.low(slot + 1);
  const isWide = field.width === 64 || field.width === 'natural';
  const mask = field.width === 16 ? 0xffff : -1;
  if (!write) {
    words[register] = low & mask;
    words[register + 1] = isWide ? high : 0;
    return true;
  }
  if (!fieldIsWritable(field, processor.capabilities.vmwriteToAnyField)) return false;
  const newLow = words[register] & mask;
  const newHigh = isWide ? words[register + 1] : 0;
  regions.announceOwnWrite(vmcs.address);
  vmcs.setPair(slot, newLow, newHigh);
  const changedLow = low ^ newLow;
  const changedHigh = high ^ newHigh;
  if ((changedLow | changedHigh) !== 0) marks.fieldChanged(ordinal, changedLow, changedHigh);
  marks.written(ordinal, words[RIP_WORD], words[RIP_WORD + 1]);
  return true;
}

function vmread(processor: VmxProcessor, instruction: Instruction, vmcs = processor.vmcs): Outcome {
  const { cpu, state } = processor;
  if (!vmcs.isValid) return vmFailInvalid(processor);
  const encoding = readRegister(processor, instruction.register(1));
  const field = supportedField(processor, encoding);
  if (field === undefined) {
    processor.sanitizer?.noSuchField(processor, encoding, 'VMREAD');
    return vmFail(processor, 'unsupportedVmcsComponent', vmcs);
  }
  const value = readAccess(vmcs, field, Number(encoding) & HIGH_ACCESS);
  const wide = usesWideOperands(processor);
  const result = wide ? value : value & 0xffff_ffffn;
  if (instruction.operandKind(0) === 'register') state.setGpr(instruction.register(0), result);
  else if (!writeSegmented(cpu, instruction.segment, instruction.effectiveAddress(), wide ? 8 : 4, result)) {
    return cpu.failed;
  }
  return vmSucceed(processor);
}

/** @see SDM "VMWRITE—Write Field to Virtual-Machine Control Structure" */
function vmwrite(processor: VmxProcessor, instruction: Instruction, vmcs = processor.vmcs): Outcome {
  const { cpu, capabilities } = processor;
  if (!vmcs.isValid) return vmFailInvalid(processor);
  const value =
    instruction.operandKind(1) === 'register'
      ? readRegister(processor, instruction.register(1))
      : readSegmented(
          cpu,
          instruction.segment,
          instruction.effectiveAddress(),
          usesWideOperands(processor) ? 8 : 4,
        );
  if (value === undefined) return cpu.failed;
  const encoding = readRegister(processor, instruction.register(0));
  const field = supportedField(processor, encoding);
  if (field === undefined) {
    processor.sanitizer?.noSuchField(processor, encoding, 'VMWRITE');
    return vmFail(processor, 'unsupportedVmcsComponent', vmcs);
  }
  if (!fieldIsWritable(field, capabilities.vmwriteToAnyField))
    return vmFail(processor, 'vmwriteReadOnlyComponent', vmcs);
  if (vmcs !== processor.vmcs) {
    processor.regions.announceOwnWrite(vmcs.address);
    writeAccess(vmcs, field, Number(encoding) & HIGH_ACCESS, value);
    return vmSucceed(processor);
  }
  writeField(processor, field, value, Number(encoding) & HIGH_ACCESS);
  processor.marks?.written(field.ordinal, processor.state.i32[RIP_WORD], processor.state.i32[RIP_WORD + 1]);
  return vmSucceed(processor);
}

/** Writes a field of the current VMCS; the checks that read it have to run again if it changes. */
export function writeField(processor: VmxProcessor, field: VmcsField, value: bigint, access = 0): void {
  const { vmcs, marks } = processor;
  const slot = SLOT[field.key];
  const low = vmcs.low(slot);
  const high = vmcs.low(slot + 1);
  processor.announceVmcsWrite();
  writeAccess(vmcs, field, access, value);
  const changedLow = low ^ vmcs.low(slot);
  const changedHigh = high ^ vmcs.low(slot + 1);
  if ((changedLow | changedHigh) !== 0) marks?.fieldChanged(field.ordinal, changedLow, changedHigh);
}

/** The same for both halves of a value that fits the field. */
export function writeFieldPair(
  processor: VmxProcessor,
  field: VmcsField,
  newLow: number,
  newHigh: number,
): void {
  const { vmcs, marks } = processor;
  const slot = field.offset >> 2;
  const changedLow = vmcs.low(slot) ^ newLow;
  const changedHigh = vmcs.low(slot + 1) ^ newHigh;
  processor.announceVmcsWrite();
  vmcs.setPair(slot, newLow, newHigh);
  if ((changedLow | changedHigh) !== 0) marks?.fieldChanged(field.ordinal, changedLow, changedHigh);
}

/** @see SDM "VMLAUNCH/VMRESUME—Launch/Resume Virtual Machine" */
export function vmlaunchOrVmresume(processor: VmxProcessor, launch: boolean): Outcome {
  const { vmcs, state } = processor;
  if (!vmcs.isValid || vmcs.isShadow) {
    noteFailedEntry(processor, { kind: vmcs.isValid ? 'shadowVmcs' : 'noVmcs' }, launch);
    return vmFailInvalid(processor);
  }
  const refuse = (error: VmInstructionErrorKey): Outcome => {
    noteFailedEntry(processor, { kind: 'basic', error }, launch);
    return vmFail(processor, error);
  };
  if (state.INTERRUPTIBILITY & BLOCKING.MOV_SS) return refuse('entryEventsBlockedByMovSs');
  if (launch && vmcs.launched) return refuse('vmlaunchNonClearVmcs');
  if (!launch && !vmcs.launched) return refuse('vmresumeNonLaunchedVmcs');
  const result = vmEnter(processor, launch);
  return typeof result === 'string' ? OUTCOME.JUMPED : vmFailValid(processor, result.error);
}

/** @see SDM "VMCALL—Call to VM Monitor"; there is no dual-monitor treatment of SMIs */
function vmcall(processor: VmxProcessor): Outcome {
  return vmFail(processor, 'vmcallInVmxRootOperation');
}

type VmxInstruction =
  | 'VMXON'
  | 'VMXOFF'
  | 'VMCLEAR'
  | 'VMPTRLD'
  | 'VMPTRST'
  | 'VMREAD'
  | 'VMWRITE'
  | 'VMLAUNCH'
  | 'VMRESUME'
  | 'VMCALL'
  | 'INVEPT'
  | 'INVVPID';

type Execute = (processor: VmxProcessor, instruction: Instruction) => Outcome;

const INSTRUCTIONS: Readonly<Record<VmxInstruction, Execute>> = {
  VMXON: vmxon,
  VMXOFF: vmxoff,
  VMCLEAR: vmclear,
  VMPTRLD: vmptrld,
  VMPTRST: vmptrst,
  VMREAD: (processor, instruction) =>
    accessInRegisters(processor, instruction, false) ? vmSucceed(processor) : vmread(processor, instruction),
  VMWRITE: (processor, instruction) =>
    accessInRegisters(processor, instruction, true) ? vmSucceed(processor) : vmwrite(processor, instruction),
  VMLAUNCH: (processor) => vmlaunchOrVmresume(processor, true),
  VMRESUME: (processor) => vmlaunchOrVmresume(processor, false),
  VMCALL: vmcall,
  INVEPT: (processor, instruction) =>
    invept(processor, instruction, readRegister(processor, instruction.register(0))),
  INVVPID: (processor, instruction) =>
    invvpid(processor, instruction, readRegister(processor, instruction.register(0))),
};

/**
 * A VMX instruction, in any mode. All of them share the order of their first checks: #UD by mode, the VM exit of a
 * guest, #GP(0) by privilege. VMCALL exits before the check of the mode.
 *
 * @see SDM "VMX Instructions", 32.3
 */
export function executeVmxInstruction(processor: VmxProcessor, instruction: Instruction): Outcome {
  const { cpu, state } = processor;
  const { name } = instruction;
  if (name === 'VMFUNC') return vmfunc(processor, instruction);
  if (!(name in INSTRUCTIONS)) throw new EmulatorBug(`${name} is no VMX instruction`);
  const vmx = name as VmxInstruction;
  const mayStart = vmx === 'VMXON' ? (state.cr4 & CR4.VMXE) !== 0 : processor.inVmxOperation;
  if (!mayStart || !isOffered(processor, vmx)) return cpu.raiseUd();
  if (processor.inGuest && vmx === 'VMCALL')
    return interceptInstruction(processor, { point: vmx }, instruction);
  if (inRealMode(state) || state.virtual8086 || inCompatibilityMode(processor)) return cpu.raiseUd();
  if (processor.inGuest) {
    if (!reachesShadow(processor, vmx, instruction))
      return interceptInstruction(processor, { point: vmx }, instruction);
    if (state.CPL > 0) return cpu.raiseGp();
    return executeOnShadow(processor, vmx, instruction);
  }
  if (state.CPL > 0) return cpu.raiseGp();
  return INSTRUCTIONS[vmx](processor, instruction);
}

/** @see SDM "VPID and EPT Capabilities", A.10 */
function isOffered({ capabilities }: VmxProcessor, vmx: VmxInstruction): boolean {
  const { invept, invvpid } = capabilities.eptVpid;
  return vmx === 'INVEPT' ? invept : vmx === 'INVVPID' ? invvpid : true;
}

const EPTP_SWITCHING = 0;
const EPTP_LIST_ENTRIES = 512;

const VM_FUNCTION_LEAVES = 64;

/** @see SDM "VMFUNC—Invoke VM function"; "General Operation of the VMFUNC Instruction", 27.5.6.2 */
function vmfunc(processor: VmxProcessor, instruction: Instruction): Outcome {
  const { cpu, state, vmcs, physical } = processor;
  const leaf = Number(state.gpr(RAX) & 0xffff_ffffn);
  if (!processor.inGuest || leaf >= VM_FUNCTION_LEAVES) return cpu.raiseUd();
  const exits = (): Outcome => interceptInstruction(processor, { point: 'VMFUNC' }, instruction);
  const enabled = vmcs.read(VMCS_FIELD.VM_FUNCTION_CONTROLS.ordinal);
  const isEnabled = processor.has(CONTROL.enableVmFunctions) && ((enabled >> BigInt(leaf)) & 1n) === 1n;
  if (!isEnabled || leaf !== EPTP_SWITCHING) return exits();
  const index = Number(state.gpr(RCX) & 0xffff_ffffn);
  if (index >= EPTP_LIST_ENTRIES) return exits();
  const eptp = physical.read64(vmcs.physicalAddress(SLOT.EPTP_LIST_ADDRESS) + 8 * index);
  if (!isEptpValid(processor, eptp)) return exits();
  writeField(processor, VMCS_FIELD.EPT_POINTER, eptp);
  if (processor.has(CONTROL.eptViolationVe)) writeField(processor, VMCS_FIELD.EPTP_INDEX, BigInt(index));
  const { spaces } = cpu.mmu;
  switchAddressSpace(spaces, spaces.vpid, true, vmcs.low(SLOT.EPT_POINTER), vmcs.low(SLOT.EPT_POINTER + 1));
  return OUTCOME.NEXT_THEN_CHECK;
}

/** Bits 14:0 of an encoding choose a bit of the VMREAD and VMWRITE bitmaps. */
const BITMAP_BITS = 0x7fffn;

/** Whether VMREAD or VMWRITE of the guest goes to its shadow VMCS. @see SDM "VMCS Shadowing", 26.10 */
function reachesShadow(processor: VmxProcessor, vmx: VmxInstruction, instruction: Instruction): boolean {
  if (vmx !== 'VMREAD' && vmx !== 'VMWRITE') return false;
  if (!processor.has(CONTROL.vmcsShadowing)) return false;
  const encoding = readRegister(processor, instruction.register(vmx === 'VMREAD' ? 1 : 0));
  if ((encoding & ~BITMAP_BITS) !== 0n) return false;
  const slot = vmx === 'VMREAD' ? SLOT.VMREAD_BITMAP_ADDRESS : SLOT.VMWRITE_BITMAP_ADDRESS;
  return !isBitSet(processor.physical, processor.vmcs.physicalAddress(slot), Number(encoding));
}

function executeOnShadow(processor: VmxProcessor, vmx: VmxInstruction, instruction: Instruction): Outcome {
  const { shadow, vmcs } = processor;
  const link = vmcs.read(VMCS_FIELD.VMCS_LINK_POINTER.ordinal);
  if (link === NO_VMCS) return vmFailInvalid(processor);
  shadow.select(Number(link));
  return vmx === 'VMREAD' ? vmread(processor, instruction, shadow) : vmwrite(processor, instruction, shadow);
}

function inCompatibilityMode({ state }: VmxProcessor): boolean {
  return (state.efer & EFER.LMA) !== 0 && (state.segmentAccessRights(CS) & AR.L) === 0;
}
