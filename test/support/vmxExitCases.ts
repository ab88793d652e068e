/**
 * What causes each VM exit, and what the exit reports besides its reason: one row for each basic exit reason that this
 * processor has. Fields that are not named have to be 0.
 */
import { checkEvents } from '../../emulator/core/eventCheck.ts';
import { signalInit, signalStartUp } from '../../emulator/core/initialization.ts';
import { writeExplicit } from '../../emulator/core/memory.ts';
import {
  mem,
  reg,
  type TestInstructionOptions,
  type TestOperand,
  testInstruction,
} from '../../emulator/core/testing/instruction.ts';
import type { InterceptPoint } from '../../emulator/core/virtualization.ts';
import { RAX, RCX } from '../../emulator/state/registers.ts';
import type { ControlKey } from '../../emulator/vmx/controls.ts';
import type { ExitReasonKey } from '../../emulator/vmx/exitReasons.ts';
import type { VmcsFieldKey } from '../../emulator/vmx/fields.ts';
import { AT, type TestVmx } from './vmxProcessor.ts';

/** Host-physical addresses of what a row needs. */
const PAGE = 0x34_0000;
const ACCESS_PAGE = 0x34_1000;
const SUB_PAGE_TABLE = 0x34_4000;

export interface ExitCase {
  readonly reason: ExitReasonKey;
  /** The control without whose setting the cause is no exit; absent for what always exits. */
  readonly control?: ControlKey;
  /** The setting that makes it exit is 0. */
  readonly inverted?: boolean;
  readonly with?: readonly ControlKey[];
  readonly set?: Partial<Record<VmcsFieldKey, bigint>>;
  /** Prepares memory, before VM entry. */
  readonly before?: (test: TestVmx) => void;
  readonly cause: (test: TestVmx) => unknown;
  /** Bits of the exit reason above the basic one. */
  readonly reasonBits?: bigint;
  readonly qualification?: bigint;
  readonly information?: bigint;
  readonly length?: bigint;
  readonly interruption?: bigint;
}

const events = ({ cpu }: TestVmx) => checkEvents(cpu);

/** An instruction of three bytes at its intercept point. */
function at(
  point: InterceptPoint | InterceptPoint['point'],
  operands: readonly TestOperand[] = [],
  options: TestInstructionOptions = {},
): Pick<ExitCase, 'cause' | 'length'> {
  const where = (typeof point === 'string' ? { point } : point) as InterceptPoint;
  return {
    cause: ({ vmx }) =>
      vmx.intercept(where, testInstruction(where.point, operands, { length: 3, ...options })),
    length: 3n,
  };
}

/** [1000H]: no base, no index, 64-bit addresses, DS. */
const MEMORY = (1n << 22n) | (1n << 27n) | (2n << 7n) | (3n << 15n);
const MEMORY_OPERAND = mem(0x1000n);
const REGISTER_2 = (register: bigint): bigint => register << 28n;

const memoryOperand = (point: InterceptPoint['point'], options: InterceptPoint | undefined = undefined) => ({
  ...at(options ?? point, [MEMORY_OPERAND]),
  qualification: 0x1000n,
  information: MEMORY,
});
const invalidation = (point: InterceptPoint['point']) => ({
  ...at(point, [reg(9), MEMORY_OPERAND]),
  qualification: 0x1000n,
  information: MEMORY | REGISTER_2(9n),
});

const OUT: InterceptPoint = {
  point: 'IO',
  port: 0x3f8,
  size: 1,
  input: false,
  string: false,
  repeat: false,
  immediate: false,
  address: 0n,
};

const VIRTUAL_APIC = { VIRTUAL_APIC_ADDRESS: BigInt(PAGE), APIC_ACCESS_ADDRESS: BigInt(ACCESS_PAGE) };
const writeApic = (offset: number, value: bigint) => (test: TestVmx) => {
  writeExplicit(test.cpu, BigInt(ACCESS_PAGE + offset), 4, value);
  events(test);
};
/** An access that the translation refuses. */
const write =
  (address: number) =>
  ({ cpu }: TestVmx) =>
    writeExplicit(cpu, BigInt(address), 4, 1n);
/** The EPT entry of the guest's second 2 MiB, where its page tables are. */
const eptEntry = (entry: bigint) => (test: TestVmx) => {
  test.physical.write64(AT.EPT + 0x2008, entry);
  test.cpu.mmu.spaces.flushEverything();
};

// biome-ignore format: rows are read as a table
export const EXIT_CASES: readonly ExitCase[] = [
  { reason: 'exceptionOrNmi', control: 'nmiExiting', cause: (test) => { test.state.NMI_PENDING = 1; events(test); }, interruption: 0x8000_0202n },
  { reason: 'externalInterrupt', control: 'externalInterruptExiting', with: ['acknowledgeInterruptOnExit'], set: { GUEST_RFLAGS: 0x202n },
    cause: (test) => { test.interrupts.push(0x41); events(test); }, interruption: 0x8000_0041n },
  { reason: 'tripleFault', cause: ({ vmx }) => vmx.interceptTripleFault() },
  { reason: 'initSignal', cause: (test) => { signalInit(test.cpu); events(test); } },
  { reason: 'startUpIpi', set: { GUEST_ACTIVITY_STATE: 3n }, cause: (test) => { signalStartUp(test.cpu, 0x42); events(test); }, qualification: 0x42n },
  { reason: 'interruptWindow', control: 'interruptWindowExiting', set: { GUEST_RFLAGS: 0x202n }, cause: events },
  { reason: 'nmiWindow', control: 'nmiWindowExiting', with: ['nmiExiting', 'virtualNmis'], cause: events },
  { reason: 'taskSwitch', ...at({ point: 'TASK_SWITCH', selector: 0x28, source: 'CALL' }), qualification: 0x28n },
  { reason: 'taskSwitch', ...at({ point: 'TASK_SWITCH', selector: 0x30, source: 'IRET' }), qualification: 0x4000_0030n },

  { reason: 'cpuid', ...at('CPUID') },
  { reason: 'hlt', control: 'hltExiting', ...at('HLT') },
  { reason: 'invd', ...at('INVD') },
  { reason: 'invlpg', control: 'invlpgExiting', ...at({ point: 'INVLPG', address: 0xffff_8000_0000_5000n }), qualification: 0xffff_8000_0000_5000n },
  { reason: 'rdpmc', control: 'rdpmcExiting', ...at('RDPMC') },
  { reason: 'rdtsc', control: 'rdtscExiting', ...at('RDTSC') },
  { reason: 'rdtscp', control: 'rdtscExiting', with: ['enableRdtscp'], ...at('RDTSCP') },
  { reason: 'vmcall', ...at('VMCALL') },
  { reason: 'vmclear', ...memoryOperand('VMCLEAR') },
  { reason: 'vmlaunch', ...at('VMLAUNCH') },
  { reason: 'vmptrld', ...memoryOperand('VMPTRLD') },
  { reason: 'vmptrst', ...memoryOperand('VMPTRST') },
  { reason: 'vmread', ...at('VMREAD', [MEMORY_OPERAND, reg(2)]), qualification: 0x1000n, information: MEMORY | REGISTER_2(2n) },
  { reason: 'vmread', ...at('VMREAD', [reg(1), reg(2)]), information: (1n << 3n) | (1n << 10n) | REGISTER_2(2n) },
  { reason: 'vmresume', ...at('VMRESUME') },
  { reason: 'vmwrite', ...at('VMWRITE', [reg(2), MEMORY_OPERAND]), qualification: 0x1000n, information: MEMORY | REGISTER_2(2n) },
  { reason: 'vmxoff', ...at('VMXOFF') },
  { reason: 'vmxon', ...memoryOperand('VMXON') },
  { reason: 'controlRegisterAccess', control: 'cr3LoadExiting', ...at({ point: 'MOV_TO_CR', cr: 3, gpr: 5, value: 0x7000n }), qualification: 0x503n },
  { reason: 'controlRegisterAccess', control: 'cr3StoreExiting', ...at({ point: 'MOV_FROM_CR', cr: 3, gpr: 6 }), qualification: 0x613n },
  { reason: 'controlRegisterAccess', control: 'cr8LoadExiting', ...at({ point: 'MOV_TO_CR', cr: 8, gpr: 7, value: 1n }), qualification: 0x708n },
  { reason: 'controlRegisterAccess', control: 'cr8StoreExiting', ...at({ point: 'MOV_FROM_CR', cr: 8, gpr: 8 }), qualification: 0x818n },
  { reason: 'movDr', control: 'movDrExiting', ...at({ point: 'MOV_DR', dr: 6, gpr: 9, toDr: false }), qualification: 0x916n },
  { reason: 'ioInstruction', control: 'unconditionalIoExiting', ...at(OUT), qualification: 0x03f8_0000n },
  { reason: 'ioInstruction', control: 'useIoBitmaps', before: ({ physical }) => physical.write(AT.IO_BITMAP_A + (0x3f8 >> 3), 1, 1, 0), ...at(OUT), qualification: 0x03f8_0000n },
  { reason: 'rdmsr', control: 'useMsrBitmaps', inverted: true, ...at({ point: 'RDMSR', msr: 0x10 }) },
  { reason: 'wrmsr', control: 'useMsrBitmaps', inverted: true, ...at({ point: 'WRMSR', msr: 0x10 }) },
  { reason: 'entryFailureInvalidGuestState', set: { VMCS_LINK_POINTER: 0x123n }, cause: () => undefined, qualification: 4n },
  { reason: 'entryFailureMsrLoading', set: { VM_ENTRY_MSR_LOAD_COUNT: 2n, VM_ENTRY_MSR_LOAD_ADDRESS: BigInt(PAGE) },
    before: ({ physical }) => { physical.write64(PAGE, 0xc000_0103n); physical.write64(PAGE + 16, 0xc000_0100n); }, cause: () => undefined, qualification: 2n },
  { reason: 'entryFailureMachineCheck', set: { VM_ENTRY_MSR_LOAD_COUNT: 513n, VM_ENTRY_MSR_LOAD_ADDRESS: BigInt(PAGE) }, cause: () => undefined },
  { reason: 'instructionTimeout', control: 'instructionTimeout', set: { INSTRUCTION_TIMEOUT_CONTROL: 1000n }, cause: ({ vmx }) => vmx.interceptEndlessDelivery() },
  { reason: 'mwait', control: 'mwaitExiting', ...at({ point: 'MWAIT', armed: false }) },
  { reason: 'mwait', control: 'mwaitExiting', ...at({ point: 'MWAIT', armed: true }), qualification: 1n },
  { reason: 'monitorTrapFlag', control: 'monitorTrapFlag', cause: (test) => { events(test); test.retired.count++; events(test); } },
  { reason: 'monitor', control: 'monitorExiting', ...at('MONITOR') },
  { reason: 'pause', control: 'pauseExiting', ...at('PAUSE') },
  { reason: 'tprBelowThreshold', control: 'useTprShadow', set: { VIRTUAL_APIC_ADDRESS: BigInt(PAGE), TPR_THRESHOLD: 5n }, before: ({ physical }) => physical.write(PAGE + 0x80, 1, 0x60, 0),
    cause: (test) => { test.vmx.writeTaskPriority(4); events(test); } },
  { reason: 'apicAccess', control: 'virtualizeApicAccesses', with: ['useTprShadow'], set: VIRTUAL_APIC, cause: writeApic(0x350, 1n), qualification: 0x1350n },
  { reason: 'virtualizedEoi', control: 'virtualInterruptDelivery', with: ['useTprShadow', 'externalInterruptExiting', 'virtualizeX2apicMode'],
    set: { ...VIRTUAL_APIC, EOI_EXIT_BITMAP_1: 2n, GUEST_INTERRUPT_STATUS: 0x4100n }, cause: (test) => { test.vmx.writeVirtualMsr(0x80b, 0n); events(test); }, qualification: 0x41n },
  { reason: 'gdtrIdtrAccess', control: 'descriptorTableExiting', ...memoryOperand('LIDT'), information: MEMORY | (1n << 11n) | REGISTER_2(3n) },
  { reason: 'ldtrTrAccess', control: 'descriptorTableExiting', ...memoryOperand('LTR'), information: MEMORY | REGISTER_2(3n) },
  { reason: 'eptViolation', control: 'enableEpt', before: ({ physical }) => physical.write64(AT.TABLES + 0x1008, 0x4000_0087n), cause: write(0x4000_0000), qualification: 0x782n },
  { reason: 'eptMisconfiguration', control: 'enableEpt', before: eptEntry(0x20_0002n), cause: write(0x20_0000) },
  { reason: 'invept', ...invalidation('INVEPT') },
  { reason: 'vmxPreemptionTimerExpired', control: 'activateVmxPreemptionTimer', set: { VMX_PREEMPTION_TIMER_VALUE: 1n }, cause: (test) => { test.clock.advance(64); events(test); } },
  { reason: 'invvpid', ...invalidation('INVVPID') },
  { reason: 'wbinvd', control: 'wbinvdExiting', ...at('WBINVD') },
  { reason: 'xsetbv', ...at('XSETBV') },
  { reason: 'apicWrite', control: 'apicRegisterVirtualization', with: ['useTprShadow', 'virtualizeApicAccesses'], set: VIRTUAL_APIC, cause: writeApic(0x350, 1n), qualification: 0x350n },
  { reason: 'rdrand', control: 'rdrandExiting', ...at('RDRAND', [reg(7, 32)]), information: (7n << 3n) | (1n << 11n) },
  { reason: 'invpcid', control: 'invlpgExiting', with: ['enableInvpcid'], ...invalidation('INVPCID') },
  { reason: 'vmfunc', with: ['enableVmFunctions'], set: { VM_FUNCTION_CONTROLS: 1n, EPTP_LIST_ADDRESS: BigInt(PAGE) }, length: 3n,
    cause: ({ state, vmx }) => { state.setGpr(RAX, 0n); state.setGpr(RCX, 512n); vmx.execute(testInstruction('VMFUNC', [], { length: 3 })); } },
  { reason: 'rdseed', control: 'rdseedExiting', ...at('RDSEED', [reg(6, 64)]), information: (6n << 3n) | (2n << 11n) },
  { reason: 'pageModificationLogFull', control: 'enablePml', set: { PML_ADDRESS: BigInt(PAGE), PML_INDEX: 0xffffn, EPT_POINTER: BigInt(AT.EPT) | 0x5en }, cause: write(0x20_0000) },
  { reason: 'xsaves', with: ['enableXsavesXrstors'], set: { XSS_EXITING_BITMAP: 0x100n }, ...memoryOperand('XSAVES', { point: 'XSAVES', components: 0x100n }) },
  { reason: 'xrstors', with: ['enableXsavesXrstors'], set: { XSS_EXITING_BITMAP: 0x100n }, ...memoryOperand('XRSTORS', { point: 'XRSTORS', components: 0x100n }) },
  { reason: 'sppRelatedEvent', control: 'subPageWritePermissions', set: { SUB_PAGE_PERMISSION_TABLE_POINTER: BigInt(SUB_PAGE_TABLE) },
    before: (test) => { test.physical.write64(AT.EPT + 0x2000, BigInt(AT.EPT + 0x3000) | 7n); test.physical.write64(AT.EPT + 0x3028, 0x5035n | (1n << 61n)); },
    cause: write(0x5000), qualification: 1n << 11n },
  { reason: 'busLock', control: 'vmmBusLockDetection', cause: (test) => { test.vmx.expectBusLock(); test.retired.count++; events(test); }, reasonBits: 1n << 26n },
  { reason: 'umwait', control: 'rdtscExiting', with: ['enableUserWaitAndPause'], ...at('UMWAIT', [reg(3, 32)]), information: (3n << 3n) | (1n << 11n) },
  { reason: 'tpause', control: 'rdtscExiting', with: ['enableUserWaitAndPause'], ...at('TPAUSE', [reg(3, 32)]), information: (3n << 3n) | (1n << 11n) },
];
