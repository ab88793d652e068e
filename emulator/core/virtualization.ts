/**
 * The one interface through which vendor-neutral code meets VT-x and AMD-V. Generic code names an intercept point at
 * its place among the fault checks and never asks whether it runs in a guest.
 *
 * @see SDM "VMX Non-Root Operation", chapter 26; APM vol. 2 "Intercept Operation", 15.7
 */
import type { Instruction } from './instruction.ts';
import type { Outcome } from './outcome.ts';

/** Where execution may leave the guest, with what the exit reports. */
export type InterceptPoint =
  | {
      readonly point:
        | 'CPUID'
        | 'HLT'
        | 'INVD'
        | 'WBINVD'
        | 'RDTSC'
        | 'RDTSCP'
        | 'RDPID'
        | 'RDPMC'
        | 'RSM'
        | 'MONITOR'
        | 'PAUSE'
        | 'XSETBV'
        | 'VMCALL'
        | 'RDRAND'
        | 'RDSEED'
        | 'GETSEC'
        | 'INVPCID'
        | 'CLTS'
        | 'UMWAIT'
        | 'TPAUSE'
        | 'VMXON'
        | 'VMXOFF'
        | 'VMCLEAR'
        | 'VMPTRLD'
        | 'VMPTRST'
        | 'VMREAD'
        | 'VMWRITE'
        | 'VMLAUNCH'
        | 'VMRESUME'
        | 'INVEPT'
        | 'INVVPID'
        | 'VMFUNC'
        | 'SGDT'
        | 'SIDT'
        | 'LGDT'
        | 'LIDT'
        | 'SLDT'
        | 'STR'
        | 'LLDT'
        | 'LTR';
    }
  /** `armed`: address-range monitoring is. */
  | { readonly point: 'MWAIT'; readonly armed: boolean }
  | { readonly point: 'INVLPG'; readonly address: bigint }
  /** `gpr` is the register operand's number. For writes `value` is the source, already of the right width. */
  | { readonly point: 'MOV_FROM_CR'; readonly cr: number; readonly gpr: number }
  | { readonly point: 'MOV_TO_CR'; readonly cr: number; readonly gpr: number; readonly value: bigint }
  | { readonly point: 'LMSW'; readonly source: number; readonly address: bigint | undefined }
  | { readonly point: 'MOV_DR'; readonly dr: number; readonly gpr: number; readonly toDr: boolean }
  | {
      readonly point: 'IO';
      readonly port: number;
      readonly size: 1 | 2 | 4;
      readonly input: boolean;
      readonly string: boolean;
      readonly repeat: boolean;
      readonly immediate: boolean;
      /** Linear address of the memory operand of a string instruction. */
      readonly address: bigint;
    }
  | { readonly point: 'RDMSR' | 'WRMSR'; readonly msr: number }
  /** `components` are those that EDX:EAX asks for and IA32_XSS enables. */
  | { readonly point: 'XSAVES' | 'XRSTORS'; readonly components: bigint }
  | {
      readonly point: 'TASK_SWITCH';
      readonly selector: number;
      readonly source: 'CALL' | 'IRET' | 'JMP' | 'gate';
    };

/** An exception, interrupt or software interrupt on its way to the IDT. */
export interface GuestEvent {
  readonly kind:
    | 'external'
    | 'nmi'
    | 'hardware-exception'
    | 'software-interrupt'
    | 'privileged-software-exception'
    | 'software-exception';
  readonly vector: number;
  /** Present when the event pushes an error code. */
  readonly errorCode: number | undefined;
  /** #PF: the linear address; #DB: the bits for DR6; 0 otherwise. */
  readonly qualification: bigint;
  /** Length of the instruction, for software events; 0 otherwise. */
  readonly instructionLength: number;
}

/** A second-level (EPT or nested) translation that failed. */
export interface SecondLevelFault {
  /**
   * `apic-access`: the access is to the APIC-access page. `log-full`: a flag of EPT would have to be set, and the
   * page-modification log has no room. `sub-page`: the sub-page-permission table does not say whether the write may be.
   */
  readonly kind: 'violation' | 'misconfiguration' | 'log-full' | 'apic-access' | 'sub-page';
  readonly guestPhysical: number;
  /** EPT-violation qualification bits 8:0 and 12; see SDM "Exit Qualification for EPT Violations", table 28-7. */
  readonly qualification: number;
  /** Linear address, when bit 7 of the qualification says that there is one. */
  readonly linear: bigint;
  /** Bit 63 of the EPT entry that refused the access: no virtualization exception. */
  readonly suppressVe: boolean;
}

/** Where among the concurrent events of an instruction boundary virtualization is asked for a VM exit of its own. */
export type EventPriority =
  /** Above INIT and start-up IPIs: bus locks. Asked only when one of these is signalled. */
  | 'above-signals'
  /** Above debug traps: bus locks, MTF, TPR below threshold. */
  | 'above-debug-traps'
  /** Below debug traps, above NMIs: the VMX-preemption timer, then the NMI window. */
  | 'above-nmi'
  /** Below NMIs, above external interrupts: the interrupt window, virtual-interrupt delivery. */
  | 'above-external-interrupts';

/** A write to an MSR of the guest's virtual APIC: done there, refused with #GP(0), or one of the processor's own. */
export type VirtualMsrWrite = 'done' | 'refused' | 'real';

export interface Virtualization {
  /** Whether the processor executes a guest: then anything may be intercepted. */
  readonly inGuest: boolean;
  /** Whether INVLPG has to ask {@link intercept}. */
  readonly mayInterceptInvlpg: boolean;
  /** Whether {@link expectBusLock} has to be told. */
  readonly detectsBusLocks: boolean;
  /**
   * `OUTCOME.NEXT` when the point is not intercepted, `OUTCOME.VM_EXIT` after a VM exit, or a fault. Only a task gate in
   * the IDT has no instruction.
   */
  intercept(point: InterceptPoint, instruction: Instruction | undefined): Outcome;
  /** The same for an event about to be delivered, before anything of it is visible. */
  interceptEvent(event: GuestEvent): Outcome;
  /**
   * An external interrupt is pending and not blocked by STI or MOV SS. RFLAGS.IF may be 0: it does not hold back an
   * exit. `acknowledge` gives the vector and takes it from the APIC.
   */
  interceptExternalInterrupt(acknowledge: () => number): Outcome;
  /** The second-level translation failed; `duringDelivery` is the event being delivered, if any. */
  secondLevelFault(fault: SecondLevelFault): Outcome;
  /**
   * An INIT signal is pending. `NEXT`: the processor does what INIT does; `VM_EXIT`: it was a VM exit instead; undefined:
   * INIT is blocked and stays pending.
   */
  interceptInit(): Outcome | undefined;
  /** A start-up IPI for a processor that waits for one; `NEXT`: it begins to run. */
  interceptStartUp(vector: number): Outcome;
  /** A third fault, where an unvirtualized processor shuts down. `NEXT` means: shut down. */
  interceptTripleFault(): Outcome;
  /** The delivery of an event never comes to an end: `cpu.deliveringEvent`. `NEXT`: the processor is stuck. */
  interceptEndlessDelivery(): Outcome;
  /** The instruction at RIP asserts a bus lock if it completes. */
  expectBusLock(): void;
  /** Whether {@link pendingExit} can have anything but `NEXT` at this event check, at any level of priority. */
  mayExitBetweenInstructions(): boolean;
  /**
   * Asked at an event check, once for each level of priority: a VM exit that pends at that level.
   *
   * @see SDM "Prioritization of Concurrent Events", 7.9; "Monitor Trap Flag", "VMX-Preemption Timer"
   */
  pendingExit(priority: EventPriority): Outcome;
  /**
   * What an NMI means now. `normal`: it is delivered, IRET ends its blocking. `exiting`: it leaves the guest, IRET does
   * not touch the blocking. `virtual`: it leaves the guest and is never blocked; the blocking bit and IRET are about
   * virtual NMIs.
   *
   * @see SDM "Changes to Instruction Behavior in VMX Non-Root Operation", 27.3, IRET
   */
  nmiControl(): 'normal' | 'exiting' | 'virtual';
  /**
   * Whether CR0 or CR4 may take this value (the one really written): VMX operation fixes bits, and a MOV to CR or LMSW
   * that would change them is #GP(0).
   *
   * @see SDM "Restrictions on VMX Operation", 25.8
   */
  permitsCr(cr: 0 | 4, value: bigint): boolean;
  /** What MOV from CR0 or CR4 (SMSW) shows: guest/host mask and read shadow applied. */
  readableCr(cr: 0 | 4, value: bigint): bigint;
  /** The value that MOV to CR0 or CR4 really writes, after the intercept let it pass: masked bits keep `current`. */
  writableCr(cr: 0 | 4, value: bigint, current: bigint): bigint;
  /** CR8 of a virtual APIC; undefined: the local APIC's. */
  readTaskPriority(): number | undefined;
  /** MOV to CR8; false: it is the local APIC's. */
  writeTaskPriority(priority: number): boolean;
  /** RDMSR of a virtual APIC after the intercepts; undefined: the processor's own. */
  readVirtualMsr(msr: number): bigint | undefined;
  writeVirtualMsr(msr: number, value: bigint): VirtualMsrWrite;
  /** The TSC as the running program sees it. */
  guestTsc(tsc: bigint): bigint;
  /** Executes a VMX or SVM instruction outside the guest (and VMCALL, VMFUNC inside). */
  execute(instruction: Instruction): Outcome;
}
