/**
 * VT-x of one logical processor, as the rest of the emulator sees it.
 *
 * Intel SDM Vol. 3C, chapters 25 to 32.
 */

import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { Instruction } from '../core/instruction.ts';
import type { Outcome } from '../core/outcome.ts';
import type {
  EventPriority,
  GuestEvent,
  InterceptPoint,
  SecondLevelFault,
  Virtualization,
  VirtualMsrWrite,
} from '../core/virtualization.ts';
import { readRflags } from '../state/flags.ts';
import { CR0, VMX_OPERATION } from '../state/registers.ts';
import { CONTROL } from './controls.ts';
import { loadGuestState, useGuestTranslation } from './entry.ts';
import { fixedBitsViolated } from './entryChecks/check.ts';
import {
  interceptEndlessDelivery,
  interceptEvent,
  interceptExternalInterrupt,
  interceptInit,
  interceptStartUp,
  interceptTripleFault,
  mayExitBetweenInstructions,
  pendingExit,
  secondLevelFault,
} from './eventExits.ts';
import { leaveStep } from './exit.ts';
import type { VmcsFieldKey } from './fields.ts';
import {
  clearVmcs,
  enterVmxOperation,
  executeVmxInstruction,
  loadVmcsPointer,
  vmlaunchOrVmresume,
  writeField,
  writeFieldPair,
} from './instructions.ts';
import { interceptInstruction } from './intercepts.ts';
import { NO_VMCS, type VmxOptions, VmxProcessor } from './processor.ts';
import { IA32_SPEC_CTRL, readSpecCtrl, writeSpecCtrl } from './speculation.ts';
import { SLOT } from './vmcs.ts';
import { VMCS_FIELD, type VmcsField } from './vmcsLayout.ts';
import { VMX_ABORT, VMX_ABORTS } from './vmInstructionErrors.ts';

const UNRESTRICTED_CR0 = BigInt.asUintN(32, BigInt(CR0.PE | CR0.PG));

export class Vmx implements Virtualization {
  readonly processor: VmxProcessor;

  constructor(options: VmxOptions) {
    this.processor = new VmxProcessor(options);
  }

  get inGuest(): boolean {
    return this.processor.inGuest;
  }

  get mayInterceptInvlpg(): boolean {
    const { processor } = this;
    return processor.inGuest && processor.has(CONTROL.invlpgExiting);
  }

  get detectsBusLocks(): boolean {
    const { processor } = this;
    return processor.inGuest && !processor.stepping && processor.has(CONTROL.vmmBusLockDetection);
  }

  expectBusLock(): void {
    if (this.detectsBusLocks) this.processor.busLocks.expect();
  }

  // Intercepts: core/virtualization.ts has what they mean.

  intercept(point: InterceptPoint, instruction: Instruction | undefined): Outcome {
    return interceptInstruction(this.processor, point, instruction);
  }

  interceptEvent(event: GuestEvent): Outcome {
    return interceptEvent(this.processor, event);
  }

  interceptExternalInterrupt(acknowledge: () => number): Outcome {
    return interceptExternalInterrupt(this.processor, acknowledge);
  }

  secondLevelFault(fault: SecondLevelFault): Outcome {
    return secondLevelFault(this.processor, fault);
  }

  interceptInit(): Outcome | undefined {
    return interceptInit(this.processor);
  }

  interceptStartUp(vector: number): Outcome {
    return interceptStartUp(this.processor, vector);
  }

  interceptTripleFault(): Outcome {
    return interceptTripleFault(this.processor);
  }

  interceptEndlessDelivery(): Outcome {
    return interceptEndlessDelivery(this.processor);
  }

  mayExitBetweenInstructions(): boolean {
    return mayExitBetweenInstructions(this.processor);
  }

  pendingExit(priority: EventPriority): Outcome {
    return pendingExit(this.processor, priority);
  }

  execute(instruction: Instruction): Outcome {
    return executeVmxInstruction(this.processor, instruction);
  }

  // What changes for the guest without a VM exit.

  /** @see SDM "Changes to Instruction Behavior in VMX Non-Root Operation", 27.3, IRET */
  nmiControl(): 'normal' | 'exiting' | 'virtual' {
    const { processor } = this;
    if (!processor.inGuest || !processor.has(CONTROL.nmiExiting)) return 'normal';
    return processor.has(CONTROL.virtualNmis) ? 'virtual' : 'exiting';
  }

  /** @see SDM "Restrictions on VMX Operation", 25.8 */
  permitsCr(cr: 0 | 4, value: bigint): boolean {
    const { processor } = this;
    if (!processor.inVmxOperation) return true;
    const { cr0Fixed0, cr0Fixed1, cr4Fixed0, cr4Fixed1 } = processor.capabilities;
    if (cr === 4) return fixedBitsViolated(value, cr4Fixed0, cr4Fixed1) === 0n;
    const free = processor.inGuest && processor.has(CONTROL.unrestrictedGuest) ? UNRESTRICTED_CR0 : 0n;
    return fixedBitsViolated(value, cr0Fixed0 & ~free, cr0Fixed1) === 0n;
  }

  /** @see SDM "Guest/Host Masks and Read Shadows for CR0 and CR4", 26.6.6 */
  readableCr(cr: 0 | 4, value: bigint): bigint {
    const { processor } = this;
    if (!processor.inGuest) return value;
    const { vmcs } = processor;
    const mask = vmcs.read(cr === 0 ? CR0_MASK : CR4_MASK);
    return (value & ~mask) | (vmcs.read(cr === 0 ? CR0_SHADOW : CR4_SHADOW) & mask);
  }

  writableCr(cr: 0 | 4, value: bigint, current: bigint): bigint {
    const { processor } = this;
    if (!processor.inGuest) return value;
    const mask = processor.vmcs.read(cr === 0 ? CR0_MASK : CR4_MASK);
    return (value & ~mask) | (current & mask);
  }

  readTaskPriority(): number | undefined {
    return this.processor.inGuest ? this.processor.virtualApic.readTaskPriority() : undefined;
  }

  writeTaskPriority(priority: number): boolean {
    return this.processor.inGuest && this.processor.virtualApic.writeTaskPriority(priority);
  }

  readVirtualMsr(msr: number): bigint | undefined {
    const { processor } = this;
    if (!processor.inGuest) return undefined;
    if (msr === IA32_SPEC_CTRL) return readSpecCtrl(processor);
    return processor.virtualApic.readMsr(msr);
  }

  writeVirtualMsr(msr: number, value: bigint): VirtualMsrWrite {
    const { processor } = this;
    if (!processor.inGuest) return 'real';
    if (msr === IA32_SPEC_CTRL) return writeSpecCtrl(processor, value);
    return processor.virtualApic.writeMsr(msr, value);
  }

  /** @see SDM "Changes to Instruction Behavior in VMX Non-Root Operation", 27.3, RDTSC */
  guestTsc(tsc: bigint): bigint {
    const { processor } = this;
    if (!processor.inGuest) return tsc;
    const isScaled = processor.has(CONTROL.useTscScaling) && processor.has(CONTROL.useTscOffsetting);
    const scaled = isScaled ? (tsc * processor.vmcs.read(TSC_MULTIPLIER)) >> 48n : tsc;
    return BigInt.asUintN(64, scaled + processor.state.TSC_OFFSET);
  }

  // What VMX instructions do, for the built-in VMM, which is no guest code.

  /** VMXON of a region at a physical address. */
  vmxon(pointer: bigint): boolean {
    enterVmxOperation(this.processor, pointer);
    return this.processor.state.VMX_OPERATION === VMX_OPERATION.ROOT;
  }

  vmclear(pointer: bigint): void {
    clearVmcs(this.processor, pointer);
  }

  vmptrld(pointer: bigint): boolean {
    loadVmcsPointer(this.processor, pointer);
    return this.processor.state.CURRENT_VMCS === pointer;
  }

  vmread(key: VmcsFieldKey): bigint {
    return this.processor.vmcs.read(VMCS_FIELD[key].ordinal);
  }

  /** Bits 31:0 of a field, unsigned. */
  vmread32(key: VmcsFieldKey): number {
    return this.processor.vmcs.low(SLOT[key]) >>> 0;
  }

  vmwrite(key: VmcsFieldKey, value: bigint): void {
    writeField(this.processor, VMCS_FIELD[key], value);
  }

  /** Both halves of a field; `high` is 0 for what has no bits 63:32. */
  vmwritePair(field: VmcsField, low: number, high: number): void {
    writeFieldPair(this.processor, field, low, high);
  }

  /** VMLAUNCH or VMRESUME, whichever the launch state asks for: `JUMPED`, or `NEXT` after VMfail. */
  enterGuest(): Outcome {
    return vmlaunchOrVmresume(this.processor, !this.processor.vmcs.launched);
  }

  /**
   * Makes the guest's state current so that one of its instructions can be completed, without a VM entry being made.
   * What the instruction accesses is the caller's business; its faults are delivered to the guest.
   */
  beginStep(): void {
    const { processor } = this;
    if (processor.marks?.controlsChanged) {
      processor.view.reload();
    }
    loadGuestState(processor);
    processor.state.VMX_OPERATION = VMX_OPERATION.NON_ROOT;
    processor.stepping = true;
  }

  /** The instruction is complete: the guest's state goes back to the VMCS. Not after an outcome of `VM_EXIT`. */
  endStep(): void {
    const { processor } = this;
    if (processor.inGuest) processor.announceVmcsWrite();
    processor.stepping = false;
    if (!processor.inGuest) return;
    leaveStep(processor, readRflags(processor.state));
  }

  // Snapshots

  save(): StateRecord {
    const { nestingLevel, monitorTrapFlag, regions, pauseLoop, aborted } = this.processor;
    return {
      nestingLevel,
      monitorTrapFlag: monitorTrapFlag.save(),
      busLock: this.processor.busLocks.save(),
      levels: regions.saveLevels(),
      firstPause: pauseLoop.first,
      lastPause: pauseLoop.last,
      virtualApic: this.processor.virtualApic.save(),
      abort: aborted === undefined ? 0 : VMX_ABORT[aborted],
    };
  }

  /** After the CPU state and memory are back. */
  restore(record: StateRecord): void {
    const { processor } = this;
    const saved = new SavedState('vmx', record);
    processor.monitorTrapFlag.restore(saved.rawRecord('monitorTrapFlag'));
    processor.busLocks.restore(saved.number('busLock'));
    if (this.detectsBusLocks) processor.cpu.watchBusLocks();
    processor.nestingLevel = saved.number('nestingLevel');
    processor.pauseLoop.first = saved.number('firstPause');
    processor.pauseLoop.last = saved.number('lastPause');
    const abort = saved.number('abort');
    processor.aborted = VMX_ABORTS.find(({ indicator }) => indicator === abort)?.key;
    processor.regions.restoreLevels(saved.numbers('levels'));
    const { state, vmcs } = processor;
    if (state.VMX_OPERATION === VMX_OPERATION.NONE || state.CURRENT_VMCS === NO_VMCS) {
      vmcs.deselect();
      processor.marks = undefined;
    } else processor.select(Number(state.CURRENT_VMCS));
    processor.cpu.mmu.a20Blocked = processor.inVmxOperation;
    // Outside the guest all controls are 0.
    useGuestTranslation(processor);
    processor.resumeAfterRestore();
    processor.virtualApic.restore(saved.numbers('virtualApic', 3));
  }

  /** Power-on. */
  reset(): void {
    const { processor } = this;
    processor.state.VMX_OPERATION = VMX_OPERATION.NONE;
    processor.state.VMXON_POINTER = NO_VMCS;
    processor.deselect();
    processor.monitorTrapFlag.clear();
    processor.busLocks.clear();
    processor.nestingLevel = 0;
    processor.stepping = false;
    processor.aborted = undefined;
    processor.controls.fill(0);
    processor.regions.forget();
    processor.virtualApic.left();
    processor.cpu.mmu.a20Blocked = false;
    processor.cpu.mmu.pageModificationLog = undefined;
    processor.log.reset();
    processor.resumeAfterRestore();
  }
}

const CR0_MASK = VMCS_FIELD.CR0_GUEST_HOST_MASK.ordinal;
const CR4_MASK = VMCS_FIELD.CR4_GUEST_HOST_MASK.ordinal;
const CR0_SHADOW = VMCS_FIELD.CR0_READ_SHADOW.ordinal;
const CR4_SHADOW = VMCS_FIELD.CR4_READ_SHADOW.ordinal;
const TSC_MULTIPLIER = VMCS_FIELD.TSC_MULTIPLIER.ordinal;
