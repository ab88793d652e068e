/**
 * VM entries, in the manual's steps. VMLAUNCH and VMRESUME have made the basic checks.
 *
 * Intel SDM Vol. 3C, "VM Entries", chapter 28.
 */
import { injectEvent } from '../core/events.ts';
import { OUTCOME } from '../core/outcome.ts';
import { loadPdptes, usesPaePaging } from '../core/pdptes.ts';
import { loadPerfGlobalCtrl } from '../core/performanceMsrs.ts';
import { loadPkrs } from '../core/protectionKeys.ts';
import { timeStampCounter } from '../core/timeStampCounter.ts';
import type { GuestEvent } from '../core/virtualization.ts';
import { EPT_FEATURE } from '../mmu/ept.ts';
import { CC_FLAGS } from '../state/flags.ts';
import { OFFSET } from '../state/layout.ts';
import {
  ACTIVITY,
  AR,
  ARITHMETIC_FLAGS,
  BLOCKING,
  CR0,
  EFER,
  FLAG,
  SS,
  VMX_OPERATION,
} from '../state/registers.ts';
import { switchAddressSpace } from './addressSpace.ts';
import { CONTROL, type ControlBit } from './controls.ts';
import { ENTRY_TICKS } from './costs.ts';
import type { EntryFailure } from './entryChecks/evaluate.ts';
import { injectedEvent, isValid } from './eventInformation.ts';
import { entryFailureExit } from './exit.ts';
import { EXIT_REASON_NUMBER } from './exitReasons.ts';
import { hostOfEntry, noteFailedEntry } from './failedEntry.ts';
import { isListTooLong, loadMsrs, refusedMsr } from './msrAreas.ts';
import type { VmxProcessor } from './processor.ts';
import { load, PDPTE_ROWS, transferList } from './stateTransfer.ts';
import { SLOT } from './vmcs.ts';
import { VMCS_FIELD } from './vmcsLayout.ts';

const PDPTE_LIST = transferList(PDPTE_ROWS);
const GUEST_PERF_GLOBAL_CTRL = VMCS_FIELD.GUEST_IA32_PERF_GLOBAL_CTRL.ordinal;

/** How a VM entry ended: in the guest, with the host state loaded after a failure, or not at all. */
export type EntryResult = 'entered' | 'failed' | Extract<EntryFailure, { kind: 'VMfailValid' }>;

const CR0_LOADED = CR0.PE | CR0.MP | CR0.EM | CR0.TS | CR0.NE | CR0.WP | CR0.AM | CR0.PG;
/** Bits 12, 14 and 15 are 0 and bit 10 is 1 in DR7 whatever is loaded. */
const DR7_ZEROS = 0xd000;
const DR7_ONES = 0x400;

/** @see SDM "VM Entries", chapter 28 */
export function vmEnter(processor: VmxProcessor, launch: boolean): EntryResult {
  const { vmcs, marks, view, state } = processor;
  if (marks === undefined) throw new TypeError('VM entry without a current VMCS');
  if (marks.controlsChanged) {
    view.reload();
    marks.controlsChanged = false;
  }
  // 1. Checks on the controls, the host-state area and the guest-state area.
  const failure = marks.firstFailure(view);
  if (failure !== undefined) {
    noteFailedEntry(processor, { kind: 'check', failure }, launch);
    const { outcome } = failure;
    if (outcome.kind === 'VMfailValid') return outcome;
    processor.announceVmcsWrite();
    entryFailureExit(processor, outcome.exitReason, outcome.qualification, state.INTERRUPTIBILITY);
    return 'failed';
  }

  processor.sanitizer?.beforeEntry(processor);

  // 2. Loading guest state. Blocking by NMI is the host's again if the entry fails behind this.
  const nmiBlocking = state.INTERRUPTIBILITY & BLOCKING.NMI;
  const count = vmcs.low(SLOT.VM_ENTRY_MSR_LOAD_COUNT) >>> 0;
  const host = count === 0 ? undefined : hostOfEntry(processor);
  loadGuestState(processor);

  // 3. Loading MSRs.
  if (isListTooLong(count)) {
    noteFailedEntry(processor, { kind: 'longMsrList', count }, launch, host);
    processor.announceVmcsWrite();
    entryFailureExit(processor, EXIT_REASON_NUMBER.entryFailureMachineCheck, 0, nmiBlocking);
    return 'failed';
  }
  if (count !== 0) {
    const area = vmcs.physicalAddress(SLOT.VM_ENTRY_MSR_LOAD_ADDRESS);
    const failing = loadMsrs(processor, area, count);
    if (failing !== 0) {
      const refused = refusedMsr(processor, area, count, failing);
      if (refused !== undefined) noteFailedEntry(processor, { kind: 'msr', refused }, launch, host);
      processor.announceVmcsWrite();
      entryFailureExit(processor, EXIT_REASON_NUMBER.entryFailureMsrLoading, failing, nmiBlocking);
      return 'failed';
    }
  }

  // 4. The guest runs from here on.
  if (!vmcs.launched) {
    processor.announceVmcsWrite();
    vmcs.launched = true;
  }
  if (marks.level === 0) marks.level = processor.nestingLevel + 1;
  processor.nestingLevel = 0;
  state.VMX_OPERATION = VMX_OPERATION.NON_ROOT;
  startTimers(processor);
  state.MONITOR_ARMED = 0;
  processor.pauseLoop.first = -1;
  processor.pauseLoop.last = -1;
  processor.virtualApic.entered();
  if (processor.has(CONTROL.vmmBusLockDetection)) processor.cpu.watchBusLocks();
  processor.charge(ENTRY_TICKS);
  processor.log.addEntryCost(ENTRY_TICKS);

  // 5. Event injection.
  const information = vmcs.low(SLOT.VM_ENTRY_INTERRUPTION_INFORMATION);
  if (processor.has(CONTROL.monitorTrapFlag)) processor.monitorTrapFlag.set();
  if (isValid(information)) inject(processor, information);
  else if (state.ACTIVITY_STATE >= ACTIVITY.SHUTDOWN) state.PENDING_DEBUG = 0n;
  return 'entered';
}

const SOFTWARE_EVENTS: ReadonlySet<GuestEvent['kind']> = new Set([
  'software-interrupt',
  'software-exception',
]);

/**
 * An injected event takes the place of pending debug exceptions, but for a software event behind MOV SS.
 *
 * @see SDM "Delivery of Pending Debug Exceptions after VM Entry", 28.7.3
 */
function dropPendingDebug({ state }: VmxProcessor, { kind }: GuestEvent): void {
  const keeps = SOFTWARE_EVENTS.has(kind) && (state.INTERRUPTIBILITY & BLOCKING.MOV_SS) !== 0;
  if (!keeps) state.PENDING_DEBUG = 0n;
}

/**
 * Loads everything of the guest but MSR areas, without any check: for VM entry, and for the VMM to complete one
 * instruction of the guest.
 *
 * @see SDM "Loading Guest State", 28.3.2
 */
export function loadGuestState(processor: VmxProcessor): void {
  const { state, vmcs } = processor;
  const words = state.i32;
  const { word } = vmcs;

  // Controls, control registers, debug registers, MSRs.
  processor.transfers.loadGuest(4 * word);
  const cr0 = (vmcs.low(SLOT.GUEST_CR0) & CR0_LOADED) | (words[OFFSET.CR0 >> 2] & ~CR0_LOADED) | CR0.ET;
  words[OFFSET.CR0 >> 2] = cr0;
  if (processor.has(CONTROL.loadDebugControls)) {
    const dr7 = (OFFSET.DR >> 2) + 14;
    words[dr7] = (words[dr7] & ~DR7_ZEROS) | DR7_ONES;
    words[OFFSET.IA32_DEBUGCTL >> 2] &= processor.debugctlKept;
  }
  if (processor.has(CONTROL.loadPerfGlobalCtrlOnEntry))
    loadPerfGlobalCtrl(processor.cpu, vmcs.read(GUEST_PERF_GLOBAL_CTRL));
  if (processor.has(CONTROL.loadLbrCtlOnEntry))
    words[OFFSET.IA32_LBR_CTL >> 2] = vmcs.low(SLOT.GUEST_IA32_LBR_CTL);
  if (!processor.has(CONTROL.loadEferOnEntry)) {
    const efer = OFFSET.IA32_EFER >> 2;
    const longMode = processor.has(CONTROL.ia32eModeGuest);
    words[efer] = longMode ? words[efer] | EFER.LMA : words[efer] & ~EFER.LMA;
    if (cr0 & CR0.PG) words[efer] = longMode ? words[efer] | EFER.LME : words[efer] & ~EFER.LME;
  }
  if (processor.has(CONTROL.loadPkrsOnEntry)) loadPkrs(processor.cpu, vmcs.low(SLOT.GUEST_IA32_PKRS));
  words[OFFSET.CPL >> 2] = (words[(OFFSET.SEG_ACCESS_RIGHTS >> 2) + SS] & AR.DPL) >> AR.DPL_SHIFT;

  // RFLAGS
  const flags = vmcs.low(SLOT.GUEST_RFLAGS);
  words[OFFSET.RFLAGS >> 2] = (flags & ~ARITHMETIC_FLAGS) | FLAG.FIXED;
  words[OFFSET.CC_OP >> 2] = CC_FLAGS | (64 << 4);
  words[OFFSET.CC_B >> 2] = flags & ARITHMETIC_FLAGS;
  words[(OFFSET.CC_B >> 2) + 1] = 0;

  // VM-execution controls that others look at.
  words[OFFSET.VMX_EXCEPTION_BITMAP >> 2] = vmcs.low(SLOT.EXCEPTION_BITMAP);
  const offsets = processor.has(CONTROL.useTscOffsetting);
  words[OFFSET.TSC_OFFSET >> 2] = offsets ? vmcs.low(SLOT.TSC_OFFSET) : 0;
  words[(OFFSET.TSC_OFFSET >> 2) + 1] = offsets ? vmcs.low(SLOT.TSC_OFFSET + 1) : 0;

  // Translation; then the PDPTEs, which are read through it.
  const ept = processor.has(CONTROL.enableEpt);
  const usesPdptes = (cr0 & CR0.PG) !== 0 && usesPaePaging(cr0, state.cr4, state.efer);
  if (usesPdptes && ept) load(PDPTE_LIST, words, word);
  useGuestTranslation(processor);
  if (usesPdptes && !ept) loadPdptes(processor.cpu, state.CR3);
}

/** Addresses are translated as the current VMCS and the controls in force say, from now on. */
export function useGuestTranslation(processor: VmxProcessor): void {
  const { vmcs, cpu } = processor;
  const ept = processor.has(CONTROL.enableEpt);
  const vpid = processor.has(CONTROL.enableVpid) ? vmcs.low(SLOT.VIRTUAL_PROCESSOR_IDENTIFIER) & 0xffff : 0;
  setTranslationFeatures(processor);
  switchAddressSpace(
    cpu.mmu.spaces,
    vpid,
    ept,
    ept ? vmcs.low(SLOT.EPT_POINTER) : 0,
    ept ? vmcs.low(SLOT.EPT_POINTER + 1) : 0,
  );
  cpu.mmu.pageModificationLog = processor.has(CONTROL.enablePml) ? processor.pageModificationLog : undefined;
}

/** Controls that change what EPT entries mean, and where translations begin. */
const TRANSLATION_FEATURES: readonly { readonly control: ControlBit; readonly feature: number }[] = [
  { control: CONTROL.modeBasedExecuteControl, feature: EPT_FEATURE.MODE_BASED_EXECUTE },
  { control: CONTROL.subPageWritePermissions, feature: EPT_FEATURE.SUB_PAGE_WRITE },
  { control: CONTROL.eptPagingWriteControl, feature: EPT_FEATURE.PAGING_WRITE },
  { control: CONTROL.guestPagingVerification, feature: EPT_FEATURE.VERIFY_GUEST_PAGING },
  { control: CONTROL.enableHlat, feature: EPT_FEATURE.HLAT },
];

function setTranslationFeatures(processor: VmxProcessor): void {
  const { cpu, vmcs } = processor;
  const { secondLevel } = cpu.mmu.spaces;
  let features = processor.eptWithout;
  for (let i = 0; i < TRANSLATION_FEATURES.length; i++) {
    const { control, feature } = TRANSLATION_FEATURES[i];
    if (processor.has(control)) features |= feature;
  }
  secondLevel.features = features;
  if ((features & EPT_FEATURE.SUB_PAGE_WRITE) !== 0) {
    secondLevel.subPageTableLo = vmcs.low(SLOT.SUB_PAGE_PERMISSION_TABLE_POINTER);
    secondLevel.subPageTableHi = vmcs.low(SLOT.SUB_PAGE_PERMISSION_TABLE_POINTER + 1);
  }
  if ((features & EPT_FEATURE.HLAT) !== 0) {
    secondLevel.hlatLo = vmcs.low(SLOT.HLAT_POINTER);
    secondLevel.hlatHi = vmcs.low(SLOT.HLAT_POINTER + 1);
    secondLevel.hlatPrefix = vmcs.low(SLOT.HLAT_PREFIX_SIZE) & 0xffff;
  }
}

/** @see SDM "VMX-Preemption Timer", 27.5.1 */
function startTimers({ state, vmcs, cpu, capabilities, controls, preemptionAlarm }: VmxProcessor): void {
  const { slot, mask } = CONTROL.activateVmxPreemptionTimer;
  if ((controls[slot] & mask) === 0) return;
  const period = 2 ** capabilities.preemptionTimerRate;
  const phase = Number(timeStampCounter(cpu) & BigInt(period - 1));
  const value = vmcs.low(SLOT.VMX_PREEMPTION_TIMER_VALUE) >>> 0;
  const deadline = cpu.clock.now() - phase + value * period;
  state.VMX_PREEMPTION_ARMED = 1;
  state.f64[OFFSET.VMX_PREEMPTION_DEADLINE >> 3] = deadline;
  preemptionAlarm.arm(Math.max(deadline, cpu.clock.now()));
}

/** @see SDM "Event Injection", 28.6 */
function inject(processor: VmxProcessor, information: number): void {
  const { vmcs, cpu } = processor;
  const event = injectedEvent(
    information,
    vmcs.low(SLOT.VM_ENTRY_EXCEPTION_ERROR_CODE) & 0xffff,
    vmcs.low(SLOT.VM_ENTRY_INSTRUCTION_LENGTH),
  );
  if (event === undefined) {
    processor.monitorTrapFlag.pend();
    return;
  }
  dropPendingDebug(processor, event);
  processor.injected = event;
  const outcome = injectEvent(cpu, event);
  processor.injected = undefined;
  // The MTF VM exit pends before the first instruction of the handler.
  if (outcome !== OUTCOME.VM_EXIT) processor.monitorTrapFlag.eventDelivered();
}
