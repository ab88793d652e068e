/**
 * VM exits, in the manual's steps: record why, save the guest, store MSRs, load the host, load MSRs.
 *
 * Intel SDM Vol. 3C, "VM Exits", chapter 29.
 */
import { pushedFlags } from '../core/events.ts';
import { OUTCOME, type Outcome } from '../core/outcome.ts';
import { arePdptesValid, usesPaePaging } from '../core/pdptes.ts';
import { loadPerfGlobalCtrl } from '../core/performanceMsrs.ts';
import { loadPkrs } from '../core/protectionKeys.ts';
import { timeStampCounter } from '../core/timeStampCounter.ts';
import { readRflags } from '../state/flags.ts';
import { OFFSET } from '../state/layout.ts';
import { ACTIVITY, AR, BLOCKING, CR0, CR4, CS, EFER, FLAG, VMX_OPERATION } from '../state/registers.ts';
import { switchAddressSpace } from './addressSpace.ts';
import { CONTROL } from './controls.ts';
import { exitTicks } from './costs.ts';
import { interruptionInformation } from './eventInformation.ts';
import { EXIT_REASON_NUMBER } from './exitReasons.ts';
import { isListTooLong, loadMsrs, storeMsrs } from './msrAreas.ts';
import type { VmxProcessor } from './processor.ts';
import { EXIT_REASON } from './registerBits.ts';
import { HOST_CS_ACCESS_RIGHTS, PDPTE_ROWS, save, transferList } from './stateTransfer.ts';
import { SLOT } from './vmcs.ts';
import { VMCS_FIELD, VMCS_HEADER } from './vmcsLayout.ts';
import { VMX_ABORT, type VmxAbortKey } from './vmInstructionErrors.ts';

/** What besides the reason an exit reports. What is absent is recorded as 0. */
export interface ExitInformation {
  readonly qualification?: number | bigint;
  readonly instructionLength?: number;
  readonly instructionInformation?: number;
  readonly interruptionInformation?: number;
  readonly interruptionErrorCode?: number;
  readonly guestLinear?: bigint | undefined;
  readonly guestPhysical?: number;
  /** The RFLAGS image to save; RFLAGS as it is when absent. */
  readonly flags?: number;
}

const NOTHING: ExitInformation = Object.freeze({});

const ENTRY_FAILURE = 1 << 31;
const AFTER_BUS_LOCK = Number(EXIT_REASON.BUS_LOCK);
const VALID_MASK = 0x7fff_ffff;
const TWO_32 = 0x1_0000_0000;

const HOST_PERF_GLOBAL_CTRL = VMCS_FIELD.HOST_IA32_PERF_GLOBAL_CTRL.ordinal;
const PDPTE_LIST = transferList(PDPTE_ROWS);

/** The VM exit of an instruction or event of the guest. */
export function vmExit(
  processor: VmxProcessor,
  reason: number,
  information: ExitInformation = NOTHING,
): Outcome {
  prepareIndirectExit(processor);
  processor.announceVmcsWrite();
  // 1. Recording VM-exit information and updating VM-entry control fields.
  recordInformation(processor, reason, information);
  // 2. Saving guest state.
  saveGuestState(processor, information.flags ?? readRflags(processor.state));
  const nmiBlocking = nmiBlockingAfter(processor, reason, information);
  savePendingDebugExceptions(processor, reason, information);
  logExit(processor, reason);
  // 3. Saving MSRs.
  const { vmcs } = processor;
  const stored = vmcs.low(SLOT.VM_EXIT_MSR_STORE_COUNT) >>> 0;
  if (isListTooLong(stored)) {
    abort(processor, 'machineCheckDuringVmExit');
    return OUTCOME.VM_EXIT;
  }
  if (
    stored !== 0 &&
    storeMsrs(processor, vmcs.physicalAddress(SLOT.VM_EXIT_MSR_STORE_ADDRESS), stored) !== 0
  ) {
    abort(processor, 'savingGuestMsrs');
    return OUTCOME.VM_EXIT;
  }
  // 4. to 6.
  if (leaveGuest(processor, nmiBlocking)) {
    processor.sanitizer?.afterExit(processor);
    processor.onExit(reason);
  }
  return OUTCOME.VM_EXIT;
}

/**
 * A VM entry that failed while or after guest state was loaded: of the exit information only reason and qualification
 * are written, and nothing of the guest is saved.
 *
 * @param nmiBlocking blocking by NMI as it was before the entry
 * @see SDM "VM-Entry Failures During or After Loading Guest State", 28.8
 */
export function entryFailureExit(
  processor: VmxProcessor,
  reason: number,
  qualification: number,
  nmiBlocking: number,
): void {
  const { vmcs } = processor;
  vmcs.setLow(SLOT.VM_EXIT_REASON, reason | ENTRY_FAILURE);
  vmcs.setPair(SLOT.EXIT_QUALIFICATION, qualification, 0);
  logExit(processor, reason);
  if (leaveGuest(processor, nmiBlocking)) processor.onExit(reason);
}

/** The VMM has completed an instruction of the guest: guest state is saved and host state loaded, nothing recorded. */
export function leaveStep(processor: VmxProcessor, flags: number): void {
  saveGuestState(processor, flags);
  leaveGuest(processor, processor.state.INTERRUPTIBILITY & BLOCKING.NMI);
}

/** Ticks are charged, and the exit is recorded while the guest's general registers are loaded. */
function logExit(processor: VmxProcessor, reason: number): void {
  const { vmcs, marks, log, transfers } = processor;
  const cost = exitTicks(reason);
  const level = marks?.level || 1;
  transfers.recordExit(4 * vmcs.word);
  log.add(processor.position(), level, cost);
  processor.charge(cost);
  const entersNested = reason === EXIT_REASON_NUMBER.vmlaunch || reason === EXIT_REASON_NUMBER.vmresume;
  processor.nestingLevel = entersNested ? level : 0;
}

/**
 * An event that causes a VM exit indirectly, while it is delivered, has woken the processor before; a nonmaskable
 * interrupt has blocked others.
 *
 * @see SDM "Architectural State Before a VM Exit", 29.1
 */
function prepareIndirectExit({ cpu, state }: VmxProcessor): void {
  const event = cpu.deliveringEvent;
  if (event === undefined) return;
  state.ACTIVITY_STATE = ACTIVITY.ACTIVE;
  if (event.kind === 'nmi') state.INTERRUPTIBILITY |= BLOCKING.NMI;
}

/** @see SDM "Recording VM-Exit Information and Updating VM-Entry Control Fields", 29.2 */
function recordInformation(processor: VmxProcessor, reason: number, information: ExitInformation): void {
  const { vmcs, cpu, state } = processor;
  vmcs.setLow(SLOT.VM_EXIT_REASON, processor.busLocks.isAsserted ? reason | AFTER_BUS_LOCK : reason);
  setNatural(processor, SLOT.EXIT_QUALIFICATION, information.qualification ?? 0);
  setNatural(processor, SLOT.GUEST_LINEAR_ADDRESS, information.guestLinear ?? 0);
  const guestPhysical = information.guestPhysical ?? 0;
  vmcs.setPair(SLOT.GUEST_PHYSICAL_ADDRESS, guestPhysical | 0, Math.floor(guestPhysical / TWO_32));
  vmcs.setLow(SLOT.VM_EXIT_INTERRUPTION_INFORMATION, information.interruptionInformation ?? 0);
  vmcs.setLow(SLOT.VM_EXIT_INTERRUPTION_ERROR_CODE, information.interruptionErrorCode ?? 0);
  vmcs.setLow(SLOT.VM_EXIT_INSTRUCTION_INFORMATION, information.instructionInformation ?? 0);

  const delivering = cpu.deliveringEvent;
  vmcs.setLow(
    SLOT.IDT_VECTORING_INFORMATION,
    delivering === undefined ? 0 : interruptionInformation(delivering),
  );
  vmcs.setLow(SLOT.IDT_VECTORING_ERROR_CODE, delivering?.errorCode ?? 0);
  vmcs.setLow(
    SLOT.VM_EXIT_INSTRUCTION_LENGTH,
    information.instructionLength ?? delivering?.instructionLength ?? 0,
  );

  const injection = vmcs.low(SLOT.VM_ENTRY_INTERRUPTION_INFORMATION);
  vmcs.setLow(SLOT.VM_ENTRY_INTERRUPTION_INFORMATION, injection & VALID_MASK);
  // "IA-32e mode guest" follows IA32_EFER.LMA.
  const entryControls = vmcs.low(SLOT.VM_ENTRY_CONTROLS);
  const { mask } = CONTROL.ia32eModeGuest;
  const next = state.efer & EFER.LMA ? entryControls | mask : entryControls & ~mask;
  if (next !== entryControls) {
    vmcs.setLow(SLOT.VM_ENTRY_CONTROLS, next);
    processor.marks?.everythingChanged();
  }
}

function setNatural({ vmcs }: VmxProcessor, slot: number, value: number | bigint): void {
  if (typeof value === 'number') vmcs.setPair(slot, value, 0);
  else vmcs.setPair(slot, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
}

/** @see SDM "Saving Guest State", 29.3 */
export function saveGuestState(processor: VmxProcessor, flags: number): void {
  const { state, vmcs } = processor;
  const words = state.i32;
  const { word } = vmcs;
  processor.transfers.saveGuest(4 * word);
  vmcs.setPair(SLOT.GUEST_RFLAGS, flags, 0);
  if (processor.has(CONTROL.enableEpt) && usesPaePaging(state.cr0, state.cr4, state.efer))
    save(PDPTE_LIST, words, word);
  if (state.VMX_PREEMPTION_ARMED !== 0 && processor.has(CONTROL.saveVmxPreemptionTimerValue)) {
    vmcs.setLow(SLOT.VMX_PREEMPTION_TIMER_VALUE, preemptionTimerValue(processor));
  }
}

/** What is left of the VMX-preemption timer. */
function preemptionTimerValue({ cpu, state, capabilities }: VmxProcessor): number {
  const period = 2 ** capabilities.preemptionTimerRate;
  const phase = Number(timeStampCounter(cpu) & BigInt(period - 1));
  const left = state.f64[OFFSET.VMX_PREEMPTION_DEADLINE >> 3] - (cpu.clock.now() - phase);
  return Math.max(0, Math.ceil(left / period));
}

const KEEPS_PENDING_DEBUG: ReadonlySet<number> = new Set([
  EXIT_REASON_NUMBER.initSignal,
  EXIT_REASON_NUMBER.ioSmi,
  EXIT_REASON_NUMBER.otherSmi,
  EXIT_REASON_NUMBER.monitorTrapFlag,
  EXIT_REASON_NUMBER.tprBelowThreshold,
  EXIT_REASON_NUMBER.virtualizedEoi,
  EXIT_REASON_NUMBER.apicWrite,
  EXIT_REASON_NUMBER.busLock,
]);

/** An exception with vector 1, hardware or privileged software. */
const VECTOR_AND_VALID = 0x8000_00ff | 0;
const DEBUG_EXCEPTION = 0x8000_0001 | 0;

/** @see SDM "Saving Non-Register State", 29.3.4, the pending debug exceptions field */
function savePendingDebugExceptions(
  { vmcs }: VmxProcessor,
  reason: number,
  information: ExitInformation,
): void {
  if (vmcs.low(SLOT.GUEST_PENDING_DEBUG_EXCEPTIONS) === 0 || KEEPS_PENDING_DEBUG.has(reason)) return;
  const isDebugException =
    reason === EXIT_REASON_NUMBER.exceptionOrNmi &&
    ((information.interruptionInformation ?? 0) & VECTOR_AND_VALID) === DEBUG_EXCEPTION;
  const blocked = (vmcs.low(SLOT.GUEST_INTERRUPTIBILITY_STATE) & BLOCKING.MOV_SS) !== 0;
  if (!blocked || isDebugException) vmcs.setPair(SLOT.GUEST_PENDING_DEBUG_EXCEPTIONS, 0, 0);
}

const NMI_INFORMATION = 0x8000_0202 | 0;
const INFORMATION_MASK = 0x8000_07ff | 0;

/**
 * Blocking by NMI after the exit: an NMI that caused it directly blocks others. With "virtual NMIs" the guest's bit is
 * about virtual NMIs, and no NMI was blocked.
 *
 * @see SDM "Updating Non-Register State", 29.5.5
 */
function nmiBlockingAfter(processor: VmxProcessor, reason: number, information: ExitInformation): number {
  const isNmi =
    reason === EXIT_REASON_NUMBER.exceptionOrNmi &&
    ((information.interruptionInformation ?? 0) & INFORMATION_MASK) === NMI_INFORMATION;
  if (isNmi) return BLOCKING.NMI;
  return processor.has(CONTROL.virtualNmis) ? 0 : processor.state.INTERRUPTIBILITY & BLOCKING.NMI;
}

const CR0_LOADED = CR0.PE | CR0.MP | CR0.EM | CR0.TS | CR0.NE | CR0.WP | CR0.AM | CR0.PG;

/** Host state and MSRs, then VMX root operation. False after a VMX abort. */
function leaveGuest(processor: VmxProcessor, nmiBlocking: number): boolean {
  const { state, vmcs, cpu } = processor;
  const words = state.i32;
  const { word } = vmcs;
  const exitControls = vmcs.low(SLOT.PRIMARY_VM_EXIT_CONTROLS);
  const host64 = (exitControls & CONTROL.hostAddressSpaceSize.mask) !== 0;
  if (!host64 && (state.efer & EFER.LMA) !== 0) return abort(processor, 'ia32eModeTo32BitHost');

  // 4. Loading host state.
  processor.transfers.loadHost(4 * word);
  words[OFFSET.CR0 >> 2] = (vmcs.low(SLOT.HOST_CR0) & CR0_LOADED) | (words[OFFSET.CR0 >> 2] & ~CR0_LOADED);
  const cr4 = vmcs.low(SLOT.HOST_CR4);
  words[OFFSET.CR4 >> 2] = host64 ? cr4 | CR4.PAE : cr4 & ~CR4.PCIDE;
  words[(OFFSET.CR4 >> 2) + 1] = 0;
  if (exitControls & CONTROL.loadPerfGlobalCtrlOnExit.mask)
    loadPerfGlobalCtrl(cpu, vmcs.read(HOST_PERF_GLOBAL_CTRL));
  if (exitControls & CONTROL.clearLbrCtlOnExit.mask) words[OFFSET.IA32_LBR_CTL >> 2] = 0;
  if ((exitControls & CONTROL.loadEferOnExit.mask) === 0) {
    const efer = words[OFFSET.IA32_EFER >> 2];
    words[OFFSET.IA32_EFER >> 2] = host64 ? efer | EFER.LMA | EFER.LME : efer & ~(EFER.LMA | EFER.LME);
  }
  if (exitControls & CONTROL.loadPkrsOnExit.mask) loadPkrs(cpu, vmcs.low(SLOT.HOST_IA32_PKRS));
  words[(OFFSET.SEG_ACCESS_RIGHTS >> 2) + CS] = HOST_CS_ACCESS_RIGHTS | (host64 ? AR.L : AR.DB);
  state.INTERRUPTIBILITY = nmiBlocking & BLOCKING.NMI;
  state.VMX_OPERATION = VMX_OPERATION.ROOT;
  state.MONITOR_ARMED = 0;
  processor.monitorTrapFlag.clear();
  processor.busLocks.clear();
  if (processor.preemptionAlarm.deadline !== Number.POSITIVE_INFINITY) processor.preemptionAlarm.disarm();
  cpu.mmu.pageModificationLog = undefined;
  processor.virtualApic.left();
  if (!host64 && !loadHostPdptes(processor)) return abort(processor, 'hostPdptes');
  cpu.mmu.spaces.secondLevel.features = 0;
  switchAddressSpace(cpu.mmu.spaces, 0, false, 0, 0);

  // 5. Loading MSRs.
  const loaded = vmcs.low(SLOT.VM_EXIT_MSR_LOAD_COUNT) >>> 0;
  if (isListTooLong(loaded)) return abort(processor, 'machineCheckDuringVmExit');
  if (
    loaded !== 0 &&
    loadMsrs(processor, vmcs.physicalAddress(SLOT.VM_EXIT_MSR_LOAD_ADDRESS), loaded) !== 0
  ) {
    return abort(processor, 'loadingHostMsrs');
  }
  return true;
}

/** @see SDM "Checking and Loading Host Page-Directory-Pointer-Table Entries", 29.5.4 */
function loadHostPdptes({ state, physical, cpu }: VmxProcessor): boolean {
  if (!usesPaePaging(state.cr0, state.cr4, state.efer)) return true;
  const table = Number(state.CR3 & 0xffff_ffe0n);
  const pdptes = [0, 1, 2, 3].map((index) => physical.read64(table + 8 * index));
  if (!arePdptesValid(pdptes, cpu.model.physicalAddressBits)) return false;
  for (const [index, pdpte] of pdptes.entries()) state.setPdpte(index, pdpte);
  return true;
}

/**
 * The processor cannot go on in either state: it leaves a number in the VMCS region and shuts down, and nothing but
 * RESET brings it back.
 *
 * @see SDM "VMX Aborts", 29.7
 */
function abort(processor: VmxProcessor, key: VmxAbortKey): false {
  const { state, vmcs, physical, preemptionAlarm } = processor;
  physical.write(vmcs.address + VMCS_HEADER.abortIndicator, 4, VMX_ABORT[key], 0);
  processor.aborted = key;
  processor.monitorTrapFlag.clear();
  processor.busLocks.clear();
  processor.virtualApic.left();
  processor.controls.fill(0);
  preemptionAlarm.disarm();
  state.VMX_PREEMPTION_ARMED = 0;
  state.VMX_OPERATION = VMX_OPERATION.ROOT;
  state.ACTIVITY_STATE = ACTIVITY.SHUTDOWN;
  state.INTERRUPTIBILITY = BLOCKING.NMI;
  return false;
}

/**
 * The RFLAGS image of an exit that a fault-like event of the second level of translation or an APIC access causes.
 *
 * @see SDM "Saving RIP, RSP, RFLAGS, and SSP", 29.3.3
 */
export function flagsOfFaultingAccess({ cpu, state, injected }: VmxProcessor): number {
  const event = cpu.deliveringEvent;
  const flags = readRflags(state);
  if (event === undefined) return flags | FLAG.RF;
  return event === injected ? flags : pushedFlags(cpu, event);
}
