/**
 * The basic exit reasons: names, when the exit happens relative to the instruction, and the layouts of the exit
 * qualification and instruction information. Trace texts, the debugger's "break on VM exit" list and the
 * documentation come from the rows.
 *
 * Intel SDM Vol. 3D, Appendix C, "VMX Basic Exit Reasons"; Vol. 3C, "VM Exits".
 */
import { ISE, type Reference } from '../base/reference.ts';
import type { InstructionInformationKey, QualificationKey } from './exitLayouts.ts';
import { EXIT_REASONS_APPENDIX } from './manual.ts';

/**
 * - `faultLike`: the instruction did not complete; RIP names it.
 * - `trapLike`: the operation completed; RIP is behind it.
 * - `event`: between instructions, or in place of an event's delivery.
 * - `entryFailure`: VM entry failed after the controls and the host state were found valid.
 */
export type ExitTiming = 'faultLike' | 'trapLike' | 'event' | 'entryFailure';

export interface ExitReasonRow {
  readonly number: number;
  readonly key: string;
  /** The manual's name. */
  readonly name: string;
  readonly timing: ExitTiming;
  readonly qualification?: QualificationKey;
  readonly information?: InstructionInformationKey;
  /** Why this processor has no such exit. */
  readonly absent?: string;
  readonly ref: Reference;
}

const APPENDIX = EXIT_REASONS_APPENDIX('VMX Basic Exit Reasons', '');
const USER_MSR = ISE('User MSR Instructions');
const IMMEDIATE_MSR = ISE('Immediate Forms of RDMSR and WRMSRNS');

const NO_SMM = 'there are no SMIs and no SMM';
const NO_SGX = 'there is no SGX';
const NO_TDX = 'there is no TDX';
const NO_PASID = 'there are no ENQCMD and ENQCMDS';
const NO_MSRLIST = 'there are no RDMSRLIST and WRMSRLIST';
const LATER_MSR = 'the instruction is of later processors';

// biome-ignore format: rows are read as a table
export const EXIT_REASONS = [
  { number: 0, key: 'exceptionOrNmi', name: 'Exception or non-maskable interrupt (NMI)', timing: 'event', ref: APPENDIX },
  { number: 1, key: 'externalInterrupt', name: 'External interrupt', timing: 'event', ref: APPENDIX },
  { number: 2, key: 'tripleFault', name: 'Triple fault', timing: 'event', ref: APPENDIX },
  { number: 3, key: 'initSignal', name: 'INIT signal', timing: 'event', ref: APPENDIX },
  { number: 4, key: 'startUpIpi', name: 'Start-up IPI (SIPI)', timing: 'event', qualification: 'startUpIpi', ref: APPENDIX },
  { number: 5, key: 'ioSmi', name: 'I/O system-management interrupt (SMI)', timing: 'event', absent: NO_SMM, ref: APPENDIX },
  { number: 6, key: 'otherSmi', name: 'Other SMI', timing: 'event', absent: NO_SMM, ref: APPENDIX },
  { number: 7, key: 'interruptWindow', name: 'Interrupt window', timing: 'event', ref: APPENDIX },
  { number: 8, key: 'nmiWindow', name: 'NMI window', timing: 'event', ref: APPENDIX },
  { number: 9, key: 'taskSwitch', name: 'Task switch', timing: 'faultLike', qualification: 'taskSwitch', ref: APPENDIX },
  { number: 10, key: 'cpuid', name: 'CPUID', timing: 'faultLike', ref: APPENDIX },
  { number: 11, key: 'getsec', name: 'GETSEC', timing: 'faultLike', absent: 'there is no SMX', ref: APPENDIX },
  { number: 12, key: 'hlt', name: 'HLT', timing: 'faultLike', ref: APPENDIX },
  { number: 13, key: 'invd', name: 'INVD', timing: 'faultLike', ref: APPENDIX },
  { number: 14, key: 'invlpg', name: 'INVLPG', timing: 'faultLike', qualification: 'linearAddress', ref: APPENDIX },
  { number: 15, key: 'rdpmc', name: 'RDPMC', timing: 'faultLike', ref: APPENDIX },
  { number: 16, key: 'rdtsc', name: 'RDTSC', timing: 'faultLike', ref: APPENDIX },
  { number: 17, key: 'rsm', name: 'RSM', timing: 'faultLike', absent: NO_SMM, ref: APPENDIX },
  { number: 18, key: 'vmcall', name: 'VMCALL', timing: 'faultLike', ref: APPENDIX },
  { number: 19, key: 'vmclear', name: 'VMCLEAR', timing: 'faultLike', qualification: 'displacement', information: 'memoryOperand', ref: APPENDIX },
  { number: 20, key: 'vmlaunch', name: 'VMLAUNCH', timing: 'faultLike', ref: APPENDIX },
  { number: 21, key: 'vmptrld', name: 'VMPTRLD', timing: 'faultLike', qualification: 'displacement', information: 'memoryOperand', ref: APPENDIX },
  { number: 22, key: 'vmptrst', name: 'VMPTRST', timing: 'faultLike', qualification: 'displacement', information: 'memoryOperand', ref: APPENDIX },
  { number: 23, key: 'vmread', name: 'VMREAD', timing: 'faultLike', qualification: 'displacement', information: 'vmreadVmwrite', ref: APPENDIX },
  { number: 24, key: 'vmresume', name: 'VMRESUME', timing: 'faultLike', ref: APPENDIX },
  { number: 25, key: 'vmwrite', name: 'VMWRITE', timing: 'faultLike', qualification: 'displacement', information: 'vmreadVmwrite', ref: APPENDIX },
  { number: 26, key: 'vmxoff', name: 'VMXOFF', timing: 'faultLike', ref: APPENDIX },
  { number: 27, key: 'vmxon', name: 'VMXON', timing: 'faultLike', qualification: 'displacement', information: 'memoryOperand', ref: APPENDIX },
  { number: 28, key: 'controlRegisterAccess', name: 'Control-register accesses', timing: 'faultLike', qualification: 'crAccess', ref: APPENDIX },
  { number: 29, key: 'movDr', name: 'MOV DR', timing: 'faultLike', qualification: 'movDr', ref: APPENDIX },
  { number: 30, key: 'ioInstruction', name: 'I/O instruction', timing: 'faultLike', qualification: 'io', information: 'insOuts', ref: APPENDIX },
  { number: 31, key: 'rdmsr', name: 'RDMSR', timing: 'faultLike', ref: APPENDIX },
  { number: 32, key: 'wrmsr', name: 'WRMSR', timing: 'faultLike', ref: APPENDIX },
  { number: 33, key: 'entryFailureInvalidGuestState', name: 'VM-entry failure due to invalid guest state', timing: 'entryFailure', qualification: 'entryFailureGuestState', ref: APPENDIX },
  { number: 34, key: 'entryFailureMsrLoading', name: 'VM-entry failure due to MSR loading', timing: 'entryFailure', qualification: 'entryFailureMsrLoading', ref: APPENDIX },
  { number: 36, key: 'mwait', name: 'MWAIT', timing: 'faultLike', qualification: 'mwait', ref: APPENDIX },
  { number: 37, key: 'monitorTrapFlag', name: 'Monitor trap flag', timing: 'event', ref: APPENDIX },
  { number: 39, key: 'monitor', name: 'MONITOR', timing: 'faultLike', ref: APPENDIX },
  { number: 40, key: 'pause', name: 'PAUSE', timing: 'faultLike', ref: APPENDIX },
  { number: 41, key: 'entryFailureMachineCheck', name: 'VM-entry failure due to machine-check event', timing: 'entryFailure', ref: APPENDIX },
  { number: 43, key: 'tprBelowThreshold', name: 'TPR below threshold', timing: 'trapLike', ref: APPENDIX },
  { number: 44, key: 'apicAccess', name: 'APIC access', timing: 'faultLike', qualification: 'apicAccess', ref: APPENDIX },
  { number: 45, key: 'virtualizedEoi', name: 'Virtualized EOI', timing: 'trapLike', qualification: 'virtualizedEoi', ref: APPENDIX },
  { number: 46, key: 'gdtrIdtrAccess', name: 'Access to GDTR or IDTR', timing: 'faultLike', qualification: 'displacement', information: 'gdtrIdtr', ref: APPENDIX },
  { number: 47, key: 'ldtrTrAccess', name: 'Access to LDTR or TR', timing: 'faultLike', qualification: 'displacement', information: 'ldtrTr', ref: APPENDIX },
  { number: 48, key: 'eptViolation', name: 'EPT violation', timing: 'faultLike', qualification: 'eptViolation', ref: APPENDIX },
  { number: 49, key: 'eptMisconfiguration', name: 'EPT misconfiguration', timing: 'faultLike', ref: APPENDIX },
  { number: 50, key: 'invept', name: 'INVEPT', timing: 'faultLike', qualification: 'displacement', information: 'invalidate', ref: APPENDIX },
  { number: 51, key: 'rdtscp', name: 'RDTSCP', timing: 'faultLike', ref: APPENDIX },
  { number: 52, key: 'vmxPreemptionTimerExpired', name: 'VMX-preemption timer expired', timing: 'event', ref: APPENDIX },
  { number: 53, key: 'invvpid', name: 'INVVPID', timing: 'faultLike', qualification: 'displacement', information: 'invalidate', ref: APPENDIX },
  { number: 54, key: 'wbinvd', name: 'WBINVD or WBNOINVD', timing: 'faultLike', ref: APPENDIX },
  { number: 55, key: 'xsetbv', name: 'XSETBV', timing: 'faultLike', ref: APPENDIX },
  { number: 56, key: 'apicWrite', name: 'APIC write', timing: 'trapLike', qualification: 'apicWrite', ref: APPENDIX },
  { number: 57, key: 'rdrand', name: 'RDRAND', timing: 'faultLike', information: 'randomNumber', ref: APPENDIX },
  { number: 58, key: 'invpcid', name: 'INVPCID', timing: 'faultLike', qualification: 'displacement', information: 'invalidate', ref: APPENDIX },
  { number: 59, key: 'vmfunc', name: 'VMFUNC', timing: 'faultLike', ref: APPENDIX },
  { number: 60, key: 'encls', name: 'ENCLS', timing: 'faultLike', absent: NO_SGX, ref: APPENDIX },
  { number: 61, key: 'rdseed', name: 'RDSEED', timing: 'faultLike', information: 'randomNumber', ref: APPENDIX },
  { number: 62, key: 'pageModificationLogFull', name: 'Page-modification log full', timing: 'faultLike', qualification: 'pageModificationLogFull', ref: APPENDIX },
  { number: 63, key: 'xsaves', name: 'XSAVES', timing: 'faultLike', qualification: 'displacement', information: 'memoryOperand', ref: APPENDIX },
  { number: 64, key: 'xrstors', name: 'XRSTORS', timing: 'faultLike', qualification: 'displacement', information: 'memoryOperand', ref: APPENDIX },
  { number: 65, key: 'pconfig', name: 'PCONFIG', timing: 'faultLike', absent: 'there is no PCONFIG', ref: APPENDIX },
  { number: 66, key: 'sppRelatedEvent', name: 'SPP-related event', timing: 'faultLike', qualification: 'sppRelated', ref: APPENDIX },
  { number: 67, key: 'umwait', name: 'UMWAIT', timing: 'faultLike', information: 'randomNumber', ref: APPENDIX },
  { number: 68, key: 'tpause', name: 'TPAUSE', timing: 'faultLike', information: 'randomNumber', ref: APPENDIX },
  { number: 69, key: 'loadiwkey', name: 'LOADIWKEY', timing: 'faultLike', information: 'loadiwkey', absent: 'there is no Key Locker', ref: APPENDIX },
  { number: 70, key: 'enclv', name: 'ENCLV', timing: 'faultLike', absent: NO_SGX, ref: APPENDIX },
  { number: 72, key: 'enqcmdPasidTranslation', name: 'ENQCMD PASID translation failure', timing: 'faultLike', absent: NO_PASID, ref: APPENDIX },
  { number: 73, key: 'enqcmdsPasidTranslation', name: 'ENQCMDS PASID translation failure', timing: 'faultLike', absent: NO_PASID, ref: APPENDIX },
  { number: 74, key: 'busLock', name: 'Bus lock', timing: 'trapLike', ref: APPENDIX },
  { number: 75, key: 'instructionTimeout', name: 'Instruction timeout', timing: 'event', qualification: 'instructionTimeout', ref: APPENDIX },
  { number: 76, key: 'seamcall', name: 'SEAMCALL', timing: 'faultLike', absent: NO_TDX, ref: APPENDIX },
  { number: 77, key: 'tdcall', name: 'TDCALL', timing: 'faultLike', absent: NO_TDX, ref: APPENDIX },
  { number: 78, key: 'rdmsrlist', name: 'RDMSRLIST', timing: 'faultLike', absent: NO_MSRLIST, ref: APPENDIX },
  { number: 79, key: 'wrmsrlist', name: 'WRMSRLIST', timing: 'faultLike', absent: NO_MSRLIST, ref: APPENDIX },
  { number: 80, key: 'urdmsr', name: 'URDMSR', timing: 'faultLike', absent: LATER_MSR, ref: USER_MSR },
  { number: 81, key: 'uwrmsr', name: 'UWRMSR', timing: 'faultLike', absent: LATER_MSR, ref: USER_MSR },
  { number: 84, key: 'rdmsrImmediate', name: 'RDMSR (immediate)', timing: 'faultLike', absent: LATER_MSR, ref: IMMEDIATE_MSR },
  { number: 85, key: 'wrmsrnsImmediate', name: 'WRMSRNS (immediate)', timing: 'faultLike', absent: LATER_MSR, ref: IMMEDIATE_MSR },
] as const satisfies readonly ExitReasonRow[];

export type ExitReasonKey = (typeof EXIT_REASONS)[number]['key'];

/** Numbers by key: `EXIT_REASON_NUMBER.eptViolation`. */
export const EXIT_REASON_NUMBER = Object.freeze(
  Object.fromEntries(EXIT_REASONS.map((row) => [row.key, row.number])),
) as Readonly<Record<ExitReasonKey, number>>;

const rowByNumber: ReadonlyMap<number, ExitReasonRow & { readonly key: ExitReasonKey }> = new Map(
  EXIT_REASONS.map((row) => [row.number, row]),
);

/** The row of a basic exit reason, bits 15:0 of the exit-reason field. */
export function exitReasonRow(basicReason: number) {
  return rowByNumber.get(basicReason);
}
