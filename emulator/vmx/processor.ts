/**
 * What the parts of VT-x share for one logical processor: the current VMCS, the controls in force, the way out to the
 * rest of the machine.
 *
 * Intel SDM Vol. 3C, "Introduction to Virtual Machine Extensions", chapter 25.
 */
import type { Alarm } from '../base/clock.ts';
import { debugctlBits, writableDebugctl } from '../core/branchRecords.ts';
import type { Cpu } from '../core/cpu.ts';
import type { GuestEvent } from '../core/virtualization.ts';
import { EPT_FEATURE } from '../mmu/ept.ts';
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET } from '../state/layout.ts';
import { EFER, VMX_OPERATION } from '../state/registers.ts';
import { BusLockDetection } from './busLockDetection.ts';
import type { VmxCapabilities } from './capabilities.ts';
import { CONTROL_SLOTS, type ControlBit, type ControlWords } from './controls.ts';
import { type EntryContext, type VmcsView, vmcsView } from './entryChecks/check.ts';
import { type VmcsMarks, VmcsRegions } from './entryMarks.ts';
import { ExitLog } from './exitLog.ts';
import type { FailedEntry } from './failedEntry.ts';
import { capabilitiesOf } from './model.ts';
import { MonitorTrapFlag } from './monitorTrapFlag.ts';
import { PageModificationLog } from './pageModificationLog.ts';
import type { Sanitizer } from './sanitizer.ts';
import type { StateTransfers } from './stateTransfer.ts';
import { VirtualApic } from './virtualApic.ts';
import { CurrentVmcs } from './vmcs.ts';
import type { VmxAbortKey } from './vmInstructionErrors.ts';

/** The current-VMCS pointer when there is none. */
export const NO_VMCS = 0xffff_ffff_ffff_ffffn;

export interface VmxOptions {
  readonly cpu: Cpu;
  readonly physical: PhysicalMemory;
  readonly transfers: StateTransfers;
  readonly capabilities?: VmxCapabilities;
  /** Lets virtual time pass: the cost of an exit or entry. */
  readonly charge?: (ticks: number) => void;
  /** Instructions retired since power-on, for the exit log. */
  readonly position?: () => number;
  /** Number of exits that the log keeps. */
  readonly exitLogCapacity?: number;
}

export class VmxProcessor {
  readonly cpu: Cpu;
  readonly state: CpuState;
  readonly physical: PhysicalMemory;
  readonly transfers: StateTransfers;
  readonly capabilities: VmxCapabilities;
  readonly vmcs: CurrentVmcs;
  readonly regions: VmcsRegions;
  /** The current VMCS for the entry checks. */
  readonly view: VmcsView;
  readonly log: ExitLog;
  readonly charge: (ticks: number) => void;
  readonly position: () => number;
  /** The controls that govern the guest; all 0 outside VMX non-root operation. In the CPU state. */
  readonly controls: ControlWords;
  /** Forces an event check at the tick at which the VMX-preemption timer reaches 0. */
  readonly preemptionAlarm: Alarm;
  readonly monitorTrapFlag: MonitorTrapFlag;
  readonly busLocks: BusLockDetection;
  readonly pageModificationLog: PageModificationLog;
  readonly virtualApic: VirtualApic;

  /** While the VMLAUNCH or VMRESUME of a guest is being handled: the level of that guest, else 0. */
  nestingLevel = 0;
  /** Marks of the current VMCS. */
  marks: VmcsMarks | undefined = undefined;
  /** The event that VM entry is injecting. */
  injected: GuestEvent | undefined = undefined;
  /** The VMM runs one instruction of the guest: I/O instructions are not intercepted, nothing pends. */
  stepping = false;
  /** The last VM entry that failed, as it was then. */
  failedEntry: FailedEntry | undefined = undefined;
  /** Called when a VM entry has failed, before anything follows from it. */
  onEntryFailure: (failed: FailedEntry) => void = () => undefined;
  /** Field ordinals by encoding, see instructions.ts. */
  ordinals: Int16Array | undefined = undefined;
  /** A VMX abort has shut the processor down. */
  aborted: VmxAbortKey | undefined = undefined;
  /** Ticks of the first and the last PAUSE of a loop at CPL 0 since VM entry; -1 before the first. */
  readonly pauseLoop = { first: -1, last: -1 };
  /** A shadow VMCS while the guest reads or writes it. */
  readonly shadow: CurrentVmcs;
  /** Called after each VM exit was recorded and the host state is loaded, with the basic exit reason. */
  onExit: (basicReason: number) => void = () => undefined;
  /** Who looks for mistakes of the hypervisor. */
  sanitizer: Sanitizer | undefined = undefined;
  /** Called when another VMCS, or none, has become current. */
  onSelect: () => void = () => undefined;

  /** The bits of IA32_DEBUGCTL that loading it may set, of the lower 32. */
  readonly debugctlKept: number;
  /** Bits of EPT_FEATURE for what EPT of this processor cannot do. */
  readonly eptWithout: number;

  constructor(options: VmxOptions) {
    const { cpu, physical } = options;
    this.cpu = cpu;
    this.state = cpu.state;
    this.physical = physical;
    this.transfers = options.transfers;
    this.capabilities = options.capabilities ?? capabilitiesOf(cpu.model);
    this.vmcs = new CurrentVmcs(cpu.state, physical);
    this.shadow = new CurrentVmcs(cpu.state, physical);
    this.pageModificationLog = new PageModificationLog(this.vmcs, physical, () => this.announceVmcsWrite());
    this.regions = new VmcsRegions(physical);
    this.view = vmcsView(
      (ordinal) => (this.vmcs.isValid ? this.vmcs.read(ordinal) : 0n),
      this.#entryContext(),
      new Int32Array(cpu.state.memory.buffer, OFFSET.VMCS_CONTROLS, CONTROL_SLOTS),
    );
    this.log = new ExitLog(cpu.state, options.exitLogCapacity);
    this.charge = options.charge ?? (() => undefined);
    this.position = options.position ?? (() => 0);
    this.controls = new Int32Array(cpu.state.memory.buffer, OFFSET.VMX_CONTROLS, CONTROL_SLOTS);
    this.debugctlKept = Number(BigInt.asIntN(32, writableDebugctl(cpu)));
    const { executeOnly, page2M, page1G } = this.capabilities.eptVpid;
    this.eptWithout =
      (executeOnly ? 0 : EPT_FEATURE.NO_EXECUTE_ONLY) |
      (page2M ? 0 : EPT_FEATURE.NO_PAGE_2M) |
      (page1G ? 0 : EPT_FEATURE.NO_PAGE_1G);
    this.monitorTrapFlag = new MonitorTrapFlag(cpu.clock, this.position);
    this.busLocks = new BusLockDetection(this.position);
    this.virtualApic = new VirtualApic(this);
    this.preemptionAlarm = cpu.clock.createAlarm('VMX-preemption timer', () => undefined);
  }

  get inVmxOperation(): boolean {
    return this.state.VMX_OPERATION !== VMX_OPERATION.NONE;
  }

  get inGuest(): boolean {
    return this.state.VMX_OPERATION === VMX_OPERATION.NON_ROOT;
  }

  /** Whether a control of the guest that runs is 1. */
  has({ slot, mask }: ControlBit): boolean {
    return (this.controls[slot] & mask) !== 0;
  }

  /** Makes a VMCS current. The region lies in RAM. */
  select(address: number): void {
    this.vmcs.select(address);
    this.state.CURRENT_VMCS = BigInt(address);
    this.marks = this.regions.selected(address);
    this.marks.controlsChanged = true;
    this.sanitizer?.activated(this, address);
    this.onSelect();
  }

  deselect(): void {
    this.vmcs.deselect();
    this.state.CURRENT_VMCS = NO_VMCS;
    this.marks = undefined;
    this.onSelect();
  }

  /** The processor is about to write the current VMCS. */
  announceVmcsWrite(): void {
    this.regions.announceOwnWrite(this.vmcs.address);
  }

  /** The preemption timer's deadline is in the CPU state; the alarm is not. */
  resumeAfterRestore(): void {
    const { state, preemptionAlarm, cpu } = this;
    if (state.VMX_PREEMPTION_ARMED === 0) preemptionAlarm.disarm();
    else preemptionAlarm.arm(Math.max(state.f64[OFFSET.VMX_PREEMPTION_DEADLINE >> 3], cpu.clock.now()));
  }

  #entryContext(): EntryContext {
    const { cpu, state, physical, capabilities } = this;
    return {
      capabilities,
      physicalAddressWidth: cpu.model.physicalAddressBits,
      linearAddressWidth: this.cpu.has('LA57') ? 57 : 48,
      get ia32eMode() {
        return (state.efer & EFER.LMA) !== 0;
      },
      inSmm: false,
      get currentVmcsPointer() {
        return state.CURRENT_VMCS;
      },
      eferSupported: eferSupported(cpu),
      debugctlSupported: debugctlBits(cpu),
      perfGlobalCtrlSupported: cpu.performance.enableBits,
      supportsRtm: cpu.has('RTM'),
      supportsSgx: cpu.has('SGX'),
      readPhysical32: (address) => BigInt(physical.read32(Number(address))),
      readPhysical64: (address) => physical.read64(Number(address)),
    };
  }
}

function eferSupported(cpu: Cpu): bigint {
  let bits = EFER.LME | EFER.LMA;
  if (cpu.has('SYSCALL')) bits |= EFER.SCE;
  if (cpu.has('XD')) bits |= EFER.NXE;
  return BigInt(bits);
}
