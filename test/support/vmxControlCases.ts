/**
 * What the controls do that no row of vmxExitCases.ts shows: the same guest with the control 1 and 0, and what differs.
 * Both tables together have every control that the processor offers.
 */
import { checkEvents } from '../../emulator/core/eventCheck.ts';
import { readExplicit, writeExplicit } from '../../emulator/core/memory.ts';
import { OUTCOME } from '../../emulator/core/outcome.ts';
import { mem, reg, testInstruction } from '../../emulator/core/testing/instruction.ts';
import { BLOCKING, CS, RAX, RCX } from '../../emulator/state/registers.ts';
import { VMCS_REVISION_IDENTIFIER } from '../../emulator/vmx/capabilities.ts';
import type { ControlKey } from '../../emulator/vmx/controls.ts';
import type { VmcsFieldKey } from '../../emulator/vmx/fields.ts';
import { legacyHost, type TestVmcs } from '../../emulator/vmx/testVmcs.ts';
import { VMCS_FIELD } from '../../emulator/vmx/vmcsLayout.ts';
import { EXIT_CASES } from './vmxExitCases.ts';
import { AT, type TestVmx } from './vmxProcessor.ts';

const PAGE = 0x34_0000;
const EPT_TABLE = AT.EPT + 0x3000;
/** A guest-physical page in which nothing else lies. */
const GUEST_TABLES = 0x10_0000;

export interface ControlCase {
  readonly control: ControlKey;
  readonly what: string;
  readonly with?: readonly ControlKey[];
  readonly set?: Partial<Record<VmcsFieldKey, bigint>>;
  /** Changes the VMCS where more than the control has to differ. */
  readonly change?: (vmcs: TestVmcs, on: boolean) => TestVmcs;
  /** Prepares the processor and memory, before VM entry. */
  readonly before?: (test: TestVmx, on: boolean) => void;
  /** Looks at the guest after VM entry. */
  readonly observe: (test: TestVmx) => unknown;
  readonly on: unknown;
  readonly off: unknown;
}

const inGuest = ({ vmx }: TestVmx): boolean => vmx.processor.inGuest;
const read = ({ cpu }: TestVmx, address: bigint) => readExplicit(cpu, address, 8);

/** Whether the guest is left when an external interrupt or an NMI comes. */
const interrupted = (vector: number) => (test: TestVmx) => {
  test.interrupts.push(vector);
  checkEvents(test.cpu);
  return inGuest(test);
};
const exit = (test: TestVmx): TestVmx => {
  test.vmx.interceptTripleFault();
  return test;
};
/** An instruction that is undefined without its control. */
const executes =
  (point: 'RDTSCP' | 'INVPCID' | 'TPAUSE') =>
  ({ vmx }: TestVmx) =>
    vmx.intercept({ point }, testInstruction(point, [reg(1, 32), mem(0x1000n)])) === OUTCOME.NEXT;

function pauses(test: TestVmx): boolean {
  for (let i = 0; i < 10 && inGuest(test); i++) {
    test.clock.advance(40);
    test.vmx.intercept({ point: 'PAUSE' }, testInstruction('PAUSE'));
  }
  return inGuest(test);
}

/** EPT maps the first 2 MiB in pages of 4 KiB; one of them has these bits. */
function smallPages({ physical }: TestVmx, page: number, bits: bigint): void {
  for (let index = 0; index < 512; index++)
    physical.write64(EPT_TABLE + 8 * index, BigInt(index * 4096) | (6n << 3n) | 7n);
  physical.write64(EPT_TABLE + 8 * (page >> 12), BigInt(page) | (6n << 3n) | bits);
  physical.write64(AT.EPT + 0x2000, BigInt(EPT_TABLE) | 7n);
}

/** The guest's page tables in {@link GUEST_TABLES}, with or without accessed flags. */
function guestTables({ physical }: TestVmx, accessed: bigint): void {
  physical.write64(GUEST_TABLES, BigInt(GUEST_TABLES + 0x1000) | 3n | accessed);
  physical.write64(GUEST_TABLES + 0x1000, 0x83n | accessed);
}

function hlatTables({ physical }: TestVmx): void {
  physical.write64(PAGE, BigInt(PAGE + 0x1000) | 7n);
  physical.write64(PAGE + 0x1000, BigInt(PAGE + 0x2000) | 7n);
  physical.write64(PAGE + 0x2000, 0x20_0087n);
  physical.write64(0x20_1000, 0x77n);
  physical.write64(0x1000, 0x11n);
}

/** Linear 1 GiB leads to this entry of the guest's page tables. */
const gigabyte =
  (entry: bigint) =>
  ({ physical }: TestVmx) =>
    physical.write64(AT.TABLES + 0x1008, entry);

const PAT = 0x0606_0606_0606_0606n;
const PAT_RESET = 0x0007_0406_0007_0406n;

// biome-ignore format: rows are read as a table
const EFFECTS: readonly ControlCase[] = [
  { control: 'virtualNmis', what: 'an NMI leaves the guest although the blocking bit is 1', with: ['nmiExiting'], set: { GUEST_INTERRUPTIBILITY_STATE: BigInt(BLOCKING.NMI) },
    observe: (test) => { test.state.NMI_PENDING = 1; checkEvents(test.cpu); return inGuest(test); }, on: false, off: true },
  { control: 'processPostedInterrupts', what: 'the notification vector does not leave the guest', with: ['useTprShadow', 'virtualInterruptDelivery', 'externalInterruptExiting', 'acknowledgeInterruptOnExit'],
    set: { VIRTUAL_APIC_ADDRESS: BigInt(PAGE), POSTED_INTERRUPT_DESCRIPTOR_ADDRESS: BigInt(PAGE + 0x1000), POSTED_INTERRUPT_NOTIFICATION_VECTOR: 0xf2n }, observe: interrupted(0xf2), on: true, off: false },
  { control: 'useTscOffsetting', what: 'the offset is added to the TSC', set: { TSC_OFFSET: 1000n }, observe: ({ vmx }) => vmx.guestTsc(5n), on: 1005n, off: 5n },
  { control: 'useTscScaling', what: 'the TSC is multiplied', with: ['useTscOffsetting'], set: { TSC_MULTIPLIER: 1n << 47n }, observe: ({ vmx }) => vmx.guestTsc(1000n), on: 500n, off: 1000n },
  { control: 'activateSecondaryControls', what: 'EPT is in use', observe: ({ cpu }) => cpu.mmu.secondLevel.enabled, on: true, off: false },
  { control: 'activateTertiaryControls', what: 'IA32_SPEC_CTRL is virtualized', with: ['virtualizeSpecCtrl'], set: { SPEC_CTRL_SHADOW: 4n }, observe: ({ vmx }) => vmx.readVirtualMsr(0x48), on: 4n, off: undefined },
  { control: 'enableRdtscp', what: 'RDTSCP is no #UD', observe: executes('RDTSCP'), on: true, off: false },
  { control: 'enableInvpcid', what: 'INVPCID is no #UD', observe: executes('INVPCID'), on: true, off: false },
  { control: 'enableUserWaitAndPause', what: 'TPAUSE is no #UD', observe: executes('TPAUSE'), on: true, off: false },
  { control: 'enableXsavesXrstors', what: 'XSAVES is no #UD', observe: ({ vmx }) => vmx.intercept({ point: 'XSAVES', components: 0n }, testInstruction('XSAVES', [mem(0x1000n)])), on: OUTCOME.NEXT, off: OUTCOME.FAULT },
  { control: 'enableVmFunctions', what: 'VMFUNC is no #UD', set: { VM_FUNCTION_CONTROLS: 1n, EPTP_LIST_ADDRESS: BigInt(PAGE) },
    observe: ({ state, vmx }) => { state.setGpr(RAX, 0n); state.setGpr(RCX, 512n); return vmx.execute(testInstruction('VMFUNC')); }, on: OUTCOME.VM_EXIT, off: OUTCOME.FAULT },
  { control: 'virtualizeX2apicMode', what: 'RDMSR of the TPR reads the virtual-APIC page', with: ['useTprShadow'], set: { VIRTUAL_APIC_ADDRESS: BigInt(PAGE) },
    before: ({ physical }) => physical.write(PAGE + 0x80, 1, 0x50, 0), observe: ({ vmx }) => vmx.readVirtualMsr(0x808), on: 0x50n, off: undefined },
  { control: 'enableVpid', what: 'translations have the VPID', set: { VIRTUAL_PROCESSOR_IDENTIFIER: 9n }, observe: ({ cpu }) => cpu.mmu.spaces.vpid, on: 9, off: 0 },
  { control: 'unrestrictedGuest', what: 'the guest may clear PE and PG of CR0', observe: ({ vmx }) => vmx.permitsCr(0, 0x30n), on: true, off: false },
  { control: 'pauseLoopExiting', what: 'a loop of PAUSE leaves the guest', set: { PLE_GAP: 50n, PLE_WINDOW: 120n }, observe: pauses, on: false, off: true },
  { control: 'vmcsShadowing', what: 'VMREAD of the guest reads the shadow VMCS', set: { VMREAD_BITMAP_ADDRESS: BigInt(PAGE), VMWRITE_BITMAP_ADDRESS: BigInt(PAGE), VMCS_LINK_POINTER: BigInt(AT.OTHER_VMCS) },
    before: ({ physical }, on) => physical.write(AT.OTHER_VMCS, 4, VMCS_REVISION_IDENTIFIER | (on ? 1 << 31 : 0), 0),
    observe: ({ state, vmx }) => { state.setGpr(RCX, BigInt(VMCS_FIELD.GUEST_RIP.encoding)); return vmx.execute(testInstruction('VMREAD', [reg(RAX), reg(RCX)])); }, on: OUTCOME.NEXT, off: OUTCOME.VM_EXIT },
  { control: 'eptViolationVe', what: 'an EPT violation is #VE', set: { VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS: BigInt(PAGE) }, before: gigabyte(0x4000_0087n),
    observe: (test) => { writeExplicit(test.cpu, 0x4000_0000n, 4, 1n); return [inGuest(test), test.cpu.fault.vector === 20]; }, on: [true, true], off: [false, false] },
  { control: 'modeBasedExecuteControl', what: 'code of user-mode pages needs bit 10 of the EPT entry', before: (test) => { gigabyte(0x87n)(test); test.physical.write64(AT.EPT, test.physical.read64(AT.EPT) | (1n << 10n)); },
    observe: ({ cpu, state }) => { state.CPL = 3; return cpu.mmu.fetchTranslate(0x4000_1000n) >= 0; }, on: false, off: true },
  { control: 'enableHlat', what: 'addresses are translated by the HLAT structures', with: ['activateTertiaryControls'], set: { HLAT_POINTER: BigInt(PAGE), HLAT_PREFIX_SIZE: 0n }, before: hlatTables,
    observe: (test) => read(test, 0x1000n), on: 0x77n, off: 0x11n },
  { control: 'eptPagingWriteControl', what: 'guest paging sets accessed flags in a page with bit 58', with: ['activateTertiaryControls'], set: { GUEST_CR3: BigInt(GUEST_TABLES) },
    before: (test) => { guestTables(test, 0n); smallPages(test, GUEST_TABLES, 1n | (1n << 58n)); }, observe: (test) => read(test, 0x5000n), on: 0n, off: undefined },
  { control: 'guestPagingVerification', what: 'a page with bit 57 is not for tables in a page without bit 58', with: ['activateTertiaryControls'], set: { GUEST_CR3: BigInt(GUEST_TABLES) },
    before: (test) => { guestTables(test, 0x20n); smallPages(test, 0x5000, 7n | (1n << 57n)); }, observe: (test) => read(test, 0x5000n), on: undefined, off: 0n },
  { control: 'ipiVirtualization', what: 'WRMSR of the interrupt-command register is not real', with: ['activateTertiaryControls', 'useTprShadow', 'virtualizeX2apicMode'],
    set: { VIRTUAL_APIC_ADDRESS: BigInt(PAGE), PID_POINTER_TABLE_ADDRESS: BigInt(PAGE + 0x1000) }, observe: ({ vmx }) => vmx.writeVirtualMsr(0x830, 0x41n), on: 'done', off: 'real' },
  { control: 'virtualizeSpecCtrl', what: 'RDMSR of IA32_SPEC_CTRL reads the shadow', with: ['activateTertiaryControls'], set: { SPEC_CTRL_SHADOW: 4n }, observe: ({ vmx }) => vmx.readVirtualMsr(0x48), on: 4n, off: undefined },

  { control: 'saveDebugControls', what: 'DR7 is saved', observe: (test) => { test.state.setDebugRegister(7, 0x4ffn); return exit(test).field('GUEST_DR7'); }, on: 0x4ffn, off: 0x400n },
  { control: 'hostAddressSpaceSize', what: 'the host is in 64-bit mode', change: (vmcs, on) => (on ? vmcs : legacyHost().set({ HOST_CR4: 0x2000n, EPT_POINTER: BigInt(AT.EPT) | 0x1en })),
    before: ({ state }, on) => { if (!on) state.IA32_EFER = 0n; }, observe: (test) => exit(test).state.segmentAccessRights(CS) & 0x6000, on: 0x2000, off: 0x4000 },
  { control: 'acknowledgeInterruptOnExit', what: 'the exit has the vector', with: ['externalInterruptExiting'], observe: (test) => { interrupted(0x41)(test); return [test.field('VM_EXIT_INTERRUPTION_INFORMATION'), test.interrupts.length]; }, on: [0x8000_0041n, 0], off: [0n, 1] },
  { control: 'loadPerfGlobalCtrlOnExit', what: 'the host’s IA32_PERF_GLOBAL_CTRL is loaded', set: { HOST_IA32_PERF_GLOBAL_CTRL: 0x81n }, observe: (test) => exit(test).state.IA32_PERF_GLOBAL_CTRL, on: 0x81n, off: 0xffn },
  { control: 'savePerfGlobalCtrlOnExit', what: 'IA32_PERF_GLOBAL_CTRL is saved', observe: (test) => exit(test).field('GUEST_IA32_PERF_GLOBAL_CTRL'), on: 0xffn, off: 0n },
  { control: 'clearLbrCtlOnExit', what: 'IA32_LBR_CTL is cleared after it is saved', observe: (test) => { test.state.IA32_LBR_CTL = 0x7fn << 16n; exit(test); return [test.state.IA32_LBR_CTL, test.field('GUEST_IA32_LBR_CTL')]; }, on: [0n, 0x7fn << 16n], off: [0x7fn << 16n, 0x7fn << 16n] },
  { control: 'savePatOnExit', what: 'IA32_PAT is saved', observe: (test) => { test.state.IA32_PAT = PAT; return exit(test).field('GUEST_IA32_PAT'); }, on: PAT, off: PAT_RESET },
  { control: 'loadPatOnExit', what: 'the host’s IA32_PAT is loaded', set: { HOST_IA32_PAT: PAT }, observe: (test) => exit(test).state.IA32_PAT, on: PAT, off: PAT_RESET },
  { control: 'saveEferOnExit', what: 'IA32_EFER is saved', observe: (test) => { test.state.IA32_EFER &= ~1n; return exit(test).field('GUEST_IA32_EFER') & 1n; }, on: 0n, off: 1n },
  { control: 'loadEferOnExit', what: 'the host’s IA32_EFER is loaded', set: { HOST_IA32_EFER: 0x500n }, observe: (test) => exit(test).state.IA32_EFER, on: 0x500n, off: 0xd01n },
  { control: 'saveVmxPreemptionTimerValue', what: 'what is left of the timer is saved', with: ['activateVmxPreemptionTimer'], set: { VMX_PREEMPTION_TIMER_VALUE: 100n },
    observe: (test) => { test.clock.advance(32 * 30); return exit(test).field('VMX_PREEMPTION_TIMER_VALUE'); }, on: 70n, off: 100n },
  { control: 'loadPkrsOnExit', what: 'the host’s IA32_PKRS is loaded', set: { HOST_IA32_PKRS: 0x30n }, observe: (test) => { test.state.IA32_PKRS = 5n; return exit(test).state.IA32_PKRS; }, on: 0x30n, off: 5n },

  { control: 'loadDebugControls', what: 'DR7 is loaded', set: { GUEST_DR7: 0x2401n }, observe: ({ state }) => state.debugRegister(7), on: 0x2401n, off: 0x400n },
  { control: 'ia32eModeGuest', what: 'the guest is in 64-bit mode', change: (vmcs, on) => (on ? vmcs : vmcs.set({ GUEST_CS_ACCESS_RIGHTS: 0xc09bn, GUEST_IA32_EFER: 0n })), observe: ({ state }) => state.in64BitMode, on: true, off: false },
  { control: 'loadPerfGlobalCtrlOnEntry', what: 'the guest’s IA32_PERF_GLOBAL_CTRL is loaded', set: { GUEST_IA32_PERF_GLOBAL_CTRL: 0x1_0000_0002n }, observe: ({ state }) => state.IA32_PERF_GLOBAL_CTRL, on: 0x1_0000_0002n, off: 0xffn },
  { control: 'loadLbrCtlOnEntry', what: 'the guest’s IA32_LBR_CTL is loaded', set: { GUEST_IA32_LBR_CTL: 6n }, observe: ({ state }) => state.IA32_LBR_CTL, on: 6n, off: 0n },
  { control: 'loadPatOnEntry', what: 'the guest’s IA32_PAT is loaded', set: { GUEST_IA32_PAT: PAT }, observe: ({ state }) => state.IA32_PAT, on: PAT, off: PAT_RESET },
  { control: 'loadEferOnEntry', what: 'the guest’s IA32_EFER is loaded', observe: ({ state }) => state.IA32_EFER, on: 0xd01n, off: 0xd00n },
  { control: 'loadPkrsOnEntry', what: 'the guest’s IA32_PKRS is loaded', set: { GUEST_IA32_PKRS: 0xcn }, observe: ({ state }) => state.IA32_PKRS, on: 0xcn, off: 0n },
];

/** Controls whose effect is that a VM exit comes, or does not. */
const exits = EXIT_CASES.flatMap(({ control, reason, inverted }) =>
  control === undefined ? [] : [{ control, what: `VM exit ${reason}${inverted ? ' with 0' : ''}` }],
);

export const CONTROL_EFFECTS: readonly ControlCase[] = EFFECTS;
/** Every case that shows a control's effect. */
export const CONTROL_CASES: readonly Pick<ControlCase, 'control' | 'what'>[] = [...exits, ...EFFECTS];
