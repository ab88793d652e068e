/**
 * For each entry check VMCSs that are valid but for its sentence: for the tests, and for the page that lists what is
 * tested.
 */
import {
  architecturalCapabilities,
  DEFAULT_VMX_MODEL,
  VMCS_REVISION_IDENTIFIER,
  vmxCapabilities,
} from '../capabilities.ts';
import type { ControlKey } from '../controls.ts';
import type { VmcsFieldKey } from '../fields.ts';
import { CR0, CR4, EFER, RFLAGS } from '../registerBits.ts';
import {
  legacyHost,
  longModeGuest,
  protectedModeGuest,
  realModeGuest,
  type TestVmcs,
  virtual8086Guest,
} from '../testVmcs.ts';

const BEYOND_WIDTH = 1n << 46n;
const NOT_CANONICAL = 1n << 47n;
export const VALID = 0x8000_0000n;
export const INJECT = {
  externalInterrupt: VALID | 0x20n,
  nmi: VALID | 0x202n,
  debugException: VALID | 0x301n,
  generalProtection: VALID | 0xb0dn,
  softwareInterrupt: VALID | 0x480n,
};

export function inject(vmcs: TestVmcs, information: bigint): TestVmcs {
  return vmcs.set({ VM_ENTRY_INTERRUPTION_INFORMATION: information, VM_ENTRY_INSTRUCTION_LENGTH: 2n });
}

function strictErrorCodes(vmcs: TestVmcs): TestVmcs {
  vmcs.context.capabilities = vmxCapabilities({ ...DEFAULT_VMX_MODEL, anyErrorCode: false });
  return vmcs;
}

function eptVpid(vmcs: TestVmcs, change: Partial<TestVmcs['context']['capabilities']['eptVpid']>): TestVmcs {
  const { capabilities } = vmcs.context;
  vmcs.context.capabilities = { ...capabilities, eptVpid: { ...capabilities.eptVpid, ...change } };
  return vmcs;
}

function withCr4(vmcs: TestVmcs, bits: bigint): TestVmcs {
  const { capabilities } = vmcs.context;
  vmcs.context.capabilities = { ...capabilities, cr4Fixed1: capabilities.cr4Fixed1 | bits };
  return vmcs;
}

/** A VMCS for a processor that offers all controls, with some of them. */
function anyProcessor(vmcs: TestVmcs, ...keys: readonly ControlKey[]): TestVmcs {
  vmcs.context.capabilities = architecturalCapabilities(vmcs.context.capabilities.cr4Fixed1);
  for (const key of keys) vmcs.control(key, true);
  return vmcs;
}

const withTertiary = (key: ControlKey) => anyProcessor(longModeGuest(), 'activateTertiaryControls', key);
/** A guest with virtual interrupts. */
const virtualApic = (...keys: readonly ControlKey[]) =>
  anyProcessor(
    longModeGuest(),
    'useTprShadow',
    'virtualInterruptDelivery',
    'externalInterruptExiting',
    ...keys,
  );
const postedInterrupts = () => virtualApic('processPostedInterrupts', 'acknowledgeInterruptOnExit');
const eptpSwitching = () =>
  anyProcessor(longModeGuest(), 'enableVmFunctions').set({ VM_FUNCTION_CONTROLS: 1n });
const withoutEpt = (key: ControlKey) => [
  { by: anyProcessor(longModeGuest(), key).control('enableEpt', false) },
];
const withoutEptTertiary = (key: ControlKey) => [{ by: withTertiary(key).control('enableEpt', false) }];

/** The two violations of a page address. */
function pageAddress(build: () => TestVmcs, field: VmcsFieldKey, id: string): Record<string, Violated[]> {
  return {
    [`controls.${id}.alignment`]: [{ by: build().set({ [field]: 0x1008n }) }],
    [`controls.${id}.width`]: [{ by: build().set({ [field]: BEYOND_WIDTH }) }],
  };
}

/** The link pointer names a region with this first doubleword. */
export function link(vmcs: TestVmcs, pointer: bigint, header: bigint): TestVmcs {
  vmcs.memory.set(pointer, header);
  return vmcs.set({ VMCS_LINK_POINTER: pointer });
}

export const REVISION = BigInt(VMCS_REVISION_IDENTIFIER);

interface Violated {
  readonly by: TestVmcs;
  /** Rows that fail with it because the manual's sentences overlap there. */
  readonly also?: readonly string[];
  readonly field?: VmcsFieldKey;
}

/** For each row, VMCSs that are valid but for its sentence. */
// biome-ignore format: rows are read as a table
export const VIOLATIONS: Readonly<Record<string, readonly Violated[]>> = {
  'controls.pinBased.reserved': [
    { by: longModeGuest().change('PIN_BASED_VM_EXECUTION_CONTROLS', { clear: 2n }) },
    { by: longModeGuest().change('PIN_BASED_VM_EXECUTION_CONTROLS', { set: 0x100n }) },
  ],
  'controls.primaryProcessorBased.reserved': [
    { by: longModeGuest().change('PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS', { set: 1n << 18n }) },
  ],
  'controls.secondaryProcessorBased.reserved': [{ by: longModeGuest().control('concealVmxFromPt', true) }],
  'controls.tertiaryProcessorBased.reserved': [
    { by: anyProcessor(longModeGuest(), 'activateTertiaryControls').set({ TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS: 1n << 40n }) },
  ],
  'controls.cr3TargetCount': [{ by: longModeGuest().set({ CR3_TARGET_COUNT: 5n }) }],
  'controls.ioBitmaps.alignment': [
    { by: longModeGuest().control('useIoBitmaps', true).set({ IO_BITMAP_A: 0x1001n }), field: 'IO_BITMAP_A' },
    { by: longModeGuest().control('useIoBitmaps', true).set({ IO_BITMAP_B: 0x1800n }), field: 'IO_BITMAP_B' },
  ],
  'controls.ioBitmaps.width': [{ by: longModeGuest().control('useIoBitmaps', true).set({ IO_BITMAP_B: BEYOND_WIDTH }) }],
  'controls.msrBitmaps.alignment': [{ by: longModeGuest().control('useMsrBitmaps', true).set({ MSR_BITMAPS: 8n }) }],
  'controls.msrBitmaps.width': [{ by: longModeGuest().control('useMsrBitmaps', true).set({ MSR_BITMAPS: BEYOND_WIDTH }) }],
  ...pageAddress(() => anyProcessor(longModeGuest(), 'useTprShadow'), 'VIRTUAL_APIC_ADDRESS', 'virtualApic'),
  'controls.tprThreshold.reserved': [{ by: anyProcessor(longModeGuest(), 'useTprShadow').set({ TPR_THRESHOLD: 0x10n }) }],
  'controls.tprThreshold.vtpr': [
    {
      by: (() => {
        const vmcs = anyProcessor(longModeGuest(), 'useTprShadow').set({ TPR_THRESHOLD: 3n, VIRTUAL_APIC_ADDRESS: 0x7000n });
        vmcs.memory.set(0x7080n, 0x2fn);
        return vmcs;
      })(),
    },
  ],
  'controls.virtualNmis': [{ by: longModeGuest().control('virtualNmis', true) }],
  'controls.nmiWindowExiting': [{ by: longModeGuest().control('nmiWindowExiting', true) }],
  ...pageAddress(() => anyProcessor(longModeGuest(), 'virtualizeApicAccesses'), 'APIC_ACCESS_ADDRESS', 'apicAccess'),
  'controls.tprShadow.required': [
    { by: anyProcessor(longModeGuest(), 'virtualizeX2apicMode') },
    { by: anyProcessor(longModeGuest(), 'apicRegisterVirtualization') },
    { by: anyProcessor(longModeGuest(), 'virtualInterruptDelivery', 'externalInterruptExiting') },
    { by: withTertiary('ipiVirtualization') },
  ],
  'controls.x2apicMode.apicAccesses': [
    { by: anyProcessor(longModeGuest(), 'useTprShadow', 'virtualizeX2apicMode', 'virtualizeApicAccesses') },
  ],
  'controls.virtualInterruptDelivery.externalInterruptExiting': [
    { by: virtualApic().control('externalInterruptExiting', false) },
  ],
  'controls.postedInterrupts.virtualInterruptDelivery': [
    { by: postedInterrupts().control('virtualInterruptDelivery', false) },
  ],
  'controls.postedInterrupts.acknowledge': [{ by: postedInterrupts().control('acknowledgeInterruptOnExit', false) }],
  'controls.postedInterrupts.vector': [{ by: postedInterrupts().set({ POSTED_INTERRUPT_NOTIFICATION_VECTOR: 0x100n }) }],
  'controls.postedInterrupts.alignment': [{ by: postedInterrupts().set({ POSTED_INTERRUPT_DESCRIPTOR_ADDRESS: 0x1020n }) }],
  'controls.postedInterrupts.width': [{ by: postedInterrupts().set({ POSTED_INTERRUPT_DESCRIPTOR_ADDRESS: BEYOND_WIDTH }) }],
  'controls.pidPointerTable.alignment': [
    { by: withTertiary('ipiVirtualization').control('useTprShadow', true).set({ PID_POINTER_TABLE_ADDRESS: 0x1004n }) },
  ],
  'controls.pidPointerTable.width': [
    {
      by: withTertiary('ipiVirtualization')
        .control('useTprShadow', true)
        .set({ PID_POINTER_TABLE_ADDRESS: BEYOND_WIDTH - 8n, LAST_PID_POINTER_INDEX: 1n }),
    },
  ],
  'controls.vpid': [{ by: longModeGuest().set({ VIRTUAL_PROCESSOR_IDENTIFIER: 0n }) }],
  'controls.eptp.memoryType': [{ by: longModeGuest().change('EPT_POINTER', { clear: 7n, set: 1n }) }],
  'controls.eptp.walkLength': [{ by: longModeGuest().change('EPT_POINTER', { clear: 0x38n, set: 0x28n }) }],
  'controls.eptp.accessedDirty': [
    { by: eptVpid(longModeGuest(), { accessedDirty: false }).change('EPT_POINTER', { set: 0x40n }) },
  ],
  'controls.eptp.supervisorShadowStack': [{ by: longModeGuest().change('EPT_POINTER', { set: 0x80n }) }],
  'controls.eptp.reserved': [
    { by: longModeGuest().change('EPT_POINTER', { set: 0x100n }) },
    { by: longModeGuest().change('EPT_POINTER', { set: BEYOND_WIDTH }) },
  ],
  'controls.enablePml.ept': withoutEpt('enablePml'),
  ...pageAddress(() => anyProcessor(longModeGuest(), 'enablePml'), 'PML_ADDRESS', 'pml'),
  'controls.unrestrictedGuest.ept': withoutEpt('unrestrictedGuest'),
  'controls.modeBasedExecuteControl.ept': withoutEpt('modeBasedExecuteControl'),
  'controls.subPageWritePermissions.ept': withoutEpt('subPageWritePermissions'),
  ...pageAddress(() => anyProcessor(longModeGuest(), 'subPageWritePermissions'), 'SUB_PAGE_PERMISSION_TABLE_POINTER', 'subPage'),
  'controls.vmFunctions.reserved': [{ by: eptpSwitching().set({ VM_FUNCTION_CONTROLS: 2n }) }],
  'controls.eptpSwitching.ept': [{ by: eptpSwitching().control('enableEpt', false) }],
  ...pageAddress(eptpSwitching, 'EPTP_LIST_ADDRESS', 'eptpList'),
  ...pageAddress(() => anyProcessor(longModeGuest(), 'vmcsShadowing'), 'VMREAD_BITMAP_ADDRESS', 'vmreadBitmap'),
  ...pageAddress(() => anyProcessor(longModeGuest(), 'vmcsShadowing'), 'VMWRITE_BITMAP_ADDRESS', 'vmwriteBitmap'),
  ...pageAddress(
    () => anyProcessor(longModeGuest(), 'eptViolationVe'),
    'VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS',
    'virtualizationException',
  ),
  'controls.ptUsesGuestPhysicalAddresses.ept': withoutEpt('ptUsesGuestPhysicalAddresses'),
  'controls.tscMultiplier': [{ by: anyProcessor(longModeGuest(), 'useTscScaling') }],
  'controls.enableHlat.ept': withoutEptTertiary('enableHlat'),
  'controls.hlatPointer.reserved': [
    { by: withTertiary('enableHlat').set({ HLAT_POINTER: 0x1001n }) },
    { by: withTertiary('enableHlat').set({ HLAT_POINTER: BEYOND_WIDTH }) },
  ],
  'controls.eptPagingWriteControl.ept': withoutEptTertiary('eptPagingWriteControl'),
  'controls.guestPagingVerification.ept': withoutEptTertiary('guestPagingVerification'),
  'controls.primaryVmExit.reserved': [{ by: longModeGuest().control('loadCetStateOnExit', true) }],
  'controls.secondaryVmExit.reserved': [
    { by: anyProcessor(longModeGuest(), 'activateSecondaryVmExitControls').set({ SECONDARY_VM_EXIT_CONTROLS: 1n << 20n }) },
  ],
  'controls.savePreemptionTimer': [{ by: longModeGuest().control('saveVmxPreemptionTimerValue', true) }],
  'controls.exitMsrStore.alignment': [{ by: longModeGuest().set({ VM_EXIT_MSR_STORE_COUNT: 1n, VM_EXIT_MSR_STORE_ADDRESS: 0x1008n }) }],
  'controls.exitMsrStore.width': [
    {
      by: longModeGuest().set({ VM_EXIT_MSR_STORE_COUNT: 1n, VM_EXIT_MSR_STORE_ADDRESS: BEYOND_WIDTH }),
      also: ['controls.exitMsrStore.lastByte'],
    },
  ],
  'controls.exitMsrStore.lastByte': [
    { by: longModeGuest().set({ VM_EXIT_MSR_STORE_COUNT: 2n, VM_EXIT_MSR_STORE_ADDRESS: BEYOND_WIDTH - 16n }) },
  ],
  'controls.exitMsrLoad.alignment': [{ by: longModeGuest().set({ VM_EXIT_MSR_LOAD_COUNT: 1n, VM_EXIT_MSR_LOAD_ADDRESS: 0x1001n }) }],
  'controls.exitMsrLoad.width': [
    {
      by: longModeGuest().set({ VM_EXIT_MSR_LOAD_COUNT: 1n, VM_EXIT_MSR_LOAD_ADDRESS: BEYOND_WIDTH }),
      also: ['controls.exitMsrLoad.lastByte'],
    },
  ],
  'controls.exitMsrLoad.lastByte': [
    { by: longModeGuest().set({ VM_EXIT_MSR_LOAD_COUNT: 2n, VM_EXIT_MSR_LOAD_ADDRESS: BEYOND_WIDTH - 16n }) },
  ],
  'controls.vmEntry.reserved': [{ by: longModeGuest().control('loadUinvOnEntry', true) }],
  'controls.smm.outside': [
    { by: anyProcessor(longModeGuest(), 'entryToSmm') },
    { by: anyProcessor(longModeGuest(), 'deactivateDualMonitorTreatment') },
  ],
  'controls.smm.both': [
    {
      by: (() => {
        const vmcs = anyProcessor(longModeGuest(), 'entryToSmm', 'deactivateDualMonitorTreatment');
        vmcs.context.inSmm = true;
        return vmcs;
      })(),
    },
  ],
  'controls.injection.type': [{ by: inject(longModeGuest(), VALID | 0x100n) }],
  'controls.injection.vector.nmi': [{ by: inject(longModeGuest(), VALID | 0x203n) }],
  'controls.injection.vector.hardwareException': [{ by: inject(longModeGuest(), VALID | 0x320n) }],
  'controls.injection.vector.otherEvent': [{ by: inject(longModeGuest(), VALID | 0x701n) }],
  'controls.injection.errorCode.required': [{ by: inject(strictErrorCodes(longModeGuest()), VALID | 0x30dn) }],
  'controls.injection.errorCode.forbidden': [
    { by: inject(longModeGuest(), VALID | 0xc80n) },
    { by: inject(realModeGuest(), INJECT.generalProtection) },
    { by: inject(strictErrorCodes(longModeGuest()), VALID | 0xb06n) },
  ],
  'controls.injection.reserved': [{ by: inject(longModeGuest(), INJECT.debugException | 0x1000n) }],
  'controls.injection.errorCode.reserved': [
    { by: inject(longModeGuest(), INJECT.generalProtection).set({ VM_ENTRY_EXCEPTION_ERROR_CODE: 0x1_0000n }) },
  ],
  'controls.injection.instructionLength': [
    { by: inject(longModeGuest(), INJECT.softwareInterrupt).set({ VM_ENTRY_INSTRUCTION_LENGTH: 16n }) },
  ],
  'controls.entryMsrLoad.alignment': [{ by: longModeGuest().set({ VM_ENTRY_MSR_LOAD_COUNT: 1n, VM_ENTRY_MSR_LOAD_ADDRESS: 4n }) }],
  'controls.entryMsrLoad.width': [
    {
      by: longModeGuest().set({ VM_ENTRY_MSR_LOAD_COUNT: 1n, VM_ENTRY_MSR_LOAD_ADDRESS: BEYOND_WIDTH }),
      also: ['controls.entryMsrLoad.lastByte'],
    },
  ],
  'controls.entryMsrLoad.lastByte': [
    { by: longModeGuest().set({ VM_ENTRY_MSR_LOAD_COUNT: 2n, VM_ENTRY_MSR_LOAD_ADDRESS: BEYOND_WIDTH - 16n }) },
  ],

  'host.cr0.fixed': [
    { by: longModeGuest().change('HOST_CR0', { clear: CR0.NE }) },
    { by: longModeGuest().change('HOST_CR0', { set: 1n << 32n }) },
  ],
  'host.cr4.fixed': [
    { by: longModeGuest().change('HOST_CR4', { clear: CR4.VMXE }) },
    { by: longModeGuest().change('HOST_CR4', { set: 1n << 40n }) },
  ],
  'host.cr4.cet': [
    { by: withCr4(longModeGuest(), CR4.CET).change('HOST_CR4', { set: CR4.CET }).change('HOST_CR0', { clear: CR0.WP }) },
  ],
  'host.cr3.reserved': [{ by: longModeGuest().change('HOST_CR3', { set: BEYOND_WIDTH }) }],
  'host.sysenter.canonical': [{ by: longModeGuest().set({ HOST_IA32_SYSENTER_EIP: NOT_CANONICAL }) }],
  'host.perfGlobalCtrl': [
    { by: longModeGuest().control('loadPerfGlobalCtrlOnExit', true).set({ HOST_IA32_PERF_GLOBAL_CTRL: 0x100n }) },
  ],
  'host.pat': [{ by: longModeGuest().set({ HOST_IA32_PAT: 2n }) }, { by: longModeGuest().set({ HOST_IA32_PAT: 8n << 56n }) }],
  'host.efer.reserved': [{ by: longModeGuest().change('HOST_IA32_EFER', { set: 2n }) }],
  'host.efer.addressSpaceSize': [
    { by: longModeGuest().change('HOST_IA32_EFER', { clear: EFER.LMA }) },
    { by: legacyHost().change('HOST_IA32_EFER', { set: EFER.LME }) },
  ],
  'host.cet.canonical': [
    { by: anyProcessor(longModeGuest(), 'loadCetStateOnExit').set({ HOST_IA32_INTERRUPT_SSP_TABLE_ADDR: NOT_CANONICAL }) },
  ],
  'host.cet.reserved': [
    { by: anyProcessor(longModeGuest(), 'loadCetStateOnExit').set({ HOST_IA32_S_CET: 0x40n }) },
    { by: anyProcessor(longModeGuest(), 'loadCetStateOnExit').set({ HOST_IA32_S_CET: 0xc00n }) },
  ],
  'host.ssp': [{ by: anyProcessor(longModeGuest(), 'loadCetStateOnExit').set({ HOST_SSP: 2n }) }],
  'host.pkrs': [{ by: anyProcessor(longModeGuest(), 'loadPkrsOnExit').set({ HOST_IA32_PKRS: 1n << 32n }) }],
  'host.selectors.rplTi': [
    { by: longModeGuest().set({ HOST_CS_SELECTOR: 0x0bn }), field: 'HOST_CS_SELECTOR' },
    { by: longModeGuest().set({ HOST_GS_SELECTOR: 0x1cn }), field: 'HOST_GS_SELECTOR' },
  ],
  'host.selectors.csTr': [
    { by: longModeGuest().set({ HOST_CS_SELECTOR: 0n }), field: 'HOST_CS_SELECTOR' },
    { by: longModeGuest().set({ HOST_TR_SELECTOR: 0n }), field: 'HOST_TR_SELECTOR' },
  ],
  'host.selectors.ss': [{ by: legacyHost().set({ HOST_SS_SELECTOR: 0n }) }],
  'host.bases.canonical': [{ by: longModeGuest().set({ HOST_GDTR_BASE: NOT_CANONICAL }) }],
  'host.addressSpace.legacyProcessor.guest': [
    {
      by: legacyHost().control('ia32eModeGuest', true).change('GUEST_IA32_EFER', { set: EFER.LMA | EFER.LME }),
      also: ['host.addressSpace.legacyHost.guest'],
    },
  ],
  'host.addressSpace.legacyProcessor.host': [
    { by: legacyHost().control('hostAddressSpaceSize', true).change('HOST_IA32_EFER', { set: EFER.LMA | EFER.LME }) },
  ],
  'host.addressSpace.ia32eProcessor.host': [
    { by: protectedModeGuest().control('hostAddressSpaceSize', false).set({ HOST_IA32_EFER: 0n, HOST_RIP: 0x1000n }) },
  ],
  'host.addressSpace.legacyHost.guest': [
    {
      by: legacyHost().control('ia32eModeGuest', true).change('GUEST_IA32_EFER', { set: EFER.LMA | EFER.LME }),
      also: ['host.addressSpace.legacyProcessor.guest'],
    },
  ],
  'host.addressSpace.legacyHost.pcide': [{ by: legacyHost().change('HOST_CR4', { set: CR4.PCIDE }) }],
  'host.addressSpace.legacyHost.rip': [{ by: legacyHost().set({ HOST_RIP: 1n << 32n }) }],
  'host.addressSpace.ia32eHost.pae': [{ by: longModeGuest().change('HOST_CR4', { clear: CR4.PAE }) }],
  'host.addressSpace.ia32eHost.rip': [{ by: longModeGuest().set({ HOST_RIP: NOT_CANONICAL }) }],

  'guest.cr0.fixed': [
    { by: longModeGuest().change('GUEST_CR0', { clear: CR0.NE }) },
    { by: realModeGuest().change('GUEST_CR0', { set: 1n << 33n }) },
    { by: protectedModeGuest().change('GUEST_CR0', { clear: CR0.PG }) },
  ],
  'guest.cr0.pagingNeedsProtection': [{ by: realModeGuest().change('GUEST_CR0', { set: CR0.PG }) }],
  'guest.cr4.fixed': [{ by: longModeGuest().change('GUEST_CR4', { clear: CR4.VMXE }) }],
  'guest.cr4.cet': [
    { by: withCr4(longModeGuest(), CR4.CET).change('GUEST_CR4', { set: CR4.CET }).change('GUEST_CR0', { clear: CR0.WP }) },
  ],
  'guest.debugctl.reserved': [{ by: longModeGuest().set({ GUEST_IA32_DEBUGCTL: 0x8000n }) }],
  'guest.ia32eMode.paging': [
    { by: longModeGuest().change('GUEST_CR4', { clear: CR4.PAE }), field: 'GUEST_CR4' },
    { by: longModeGuest().control('unrestrictedGuest', true).change('GUEST_CR0', { clear: CR0.PG }), field: 'GUEST_CR0' },
  ],
  'guest.cr4.pcide': [{ by: protectedModeGuest().change('GUEST_CR4', { set: CR4.PCIDE }) }],
  'guest.cr3.reserved': [{ by: longModeGuest().change('GUEST_CR3', { set: 1n << 63n }) }],
  'guest.dr7.reserved': [{ by: longModeGuest().change('GUEST_DR7', { set: 1n << 32n }) }],
  'guest.sysenter.canonical': [{ by: longModeGuest().set({ GUEST_IA32_SYSENTER_ESP: NOT_CANONICAL }) }],
  'guest.perfGlobalCtrl': [
    { by: longModeGuest().control('loadPerfGlobalCtrlOnEntry', true).set({ GUEST_IA32_PERF_GLOBAL_CTRL: 1n << 35n }) },
  ],
  'guest.lbrCtl': [
    { by: longModeGuest().control('loadLbrCtlOnEntry', true).set({ GUEST_IA32_LBR_CTL: 0x10n }) },
    { by: longModeGuest().control('loadLbrCtlOnEntry', true).set({ GUEST_IA32_LBR_CTL: 0x80_0000n }) },
  ],
  'guest.pat': [{ by: longModeGuest().set({ GUEST_IA32_PAT: 0x0300n }) }],
  'guest.efer.reserved': [{ by: longModeGuest().change('GUEST_IA32_EFER', { set: 1n << 12n }) }],
  'guest.efer.lma': [
    { by: longModeGuest().change('GUEST_IA32_EFER', { clear: EFER.LMA | EFER.LME }) },
    { by: realModeGuest().change('GUEST_IA32_EFER', { set: EFER.LMA | EFER.LME }) },
  ],
  'guest.efer.lme': [{ by: protectedModeGuest().change('GUEST_IA32_EFER', { set: EFER.LME }) }],
  'guest.bndcfgs.reserved': [{ by: anyProcessor(longModeGuest(), 'loadBndcfgsOnEntry').set({ GUEST_IA32_BNDCFGS: 4n }) }],
  'guest.bndcfgs.canonical': [
    { by: anyProcessor(longModeGuest(), 'loadBndcfgsOnEntry').set({ GUEST_IA32_BNDCFGS: NOT_CANONICAL }) },
  ],
  'guest.uinv': [{ by: anyProcessor(longModeGuest(), 'loadUinvOnEntry').set({ GUEST_UINV: 0x100n }) }],
  'guest.cet.canonical': [
    { by: anyProcessor(longModeGuest(), 'loadCetStateOnEntry').set({ GUEST_IA32_S_CET: NOT_CANONICAL }) },
  ],
  'guest.cet.reserved': [{ by: anyProcessor(longModeGuest(), 'loadCetStateOnEntry').set({ GUEST_IA32_S_CET: 0x200n }) }],
  'guest.pkrs': [{ by: anyProcessor(longModeGuest(), 'loadPkrsOnEntry').set({ GUEST_IA32_PKRS: 1n << 63n }) }],

  'guest.tr.selector.ti': [{ by: longModeGuest().set({ GUEST_TR_SELECTOR: 0x1cn }) }],
  'guest.ldtr.selector.ti': [{ by: longModeGuest().set({ GUEST_LDTR_SELECTOR: 0x2cn }) }],
  'guest.ss.selector.rpl': [{ by: longModeGuest().set({ GUEST_CS_SELECTOR: 0x0bn }) }],
  'guest.virtual8086.base': [{ by: virtual8086Guest().set({ GUEST_ES_BASE: 0x1010n }), field: 'GUEST_ES_BASE' }],
  'guest.base.canonical': [
    { by: longModeGuest().set({ GUEST_TR_BASE: NOT_CANONICAL }), field: 'GUEST_TR_BASE' },
    { by: longModeGuest().set({ GUEST_GS_BASE: NOT_CANONICAL }), field: 'GUEST_GS_BASE' },
  ],
  'guest.ldtr.base.canonical': [{ by: longModeGuest().set({ GUEST_LDTR_BASE: NOT_CANONICAL }) }],
  'guest.cs.base.upperHalf': [{ by: longModeGuest().set({ GUEST_CS_BASE: 1n << 32n }) }],
  'guest.data.base.upperHalf': [{ by: longModeGuest().set({ GUEST_DS_BASE: 1n << 32n }), field: 'GUEST_DS_BASE' }],
  'guest.virtual8086.limit': [{ by: virtual8086Guest().set({ GUEST_GS_LIMIT: 0xfffffn }) }],
  'guest.virtual8086.accessRights': [{ by: virtual8086Guest().set({ GUEST_SS_ACCESS_RIGHTS: 0x93n }) }],
  'guest.cs.type': [
    { by: longModeGuest().set({ GUEST_CS_ACCESS_RIGHTS: 0xa09an }) },
    { by: protectedModeGuest().set({ GUEST_CS_ACCESS_RIGHTS: 0xc093n }) },
    { by: realModeGuest().set({ GUEST_CS_ACCESS_RIGHTS: 0x91n }) },
  ],
  'guest.ss.type': [{ by: longModeGuest().set({ GUEST_SS_ACCESS_RIGHTS: 0xc091n }) }],
  'guest.data.type.accessed': [{ by: longModeGuest().set({ GUEST_DS_ACCESS_RIGHTS: 0xc092n }) }],
  'guest.data.type.readable': [{ by: longModeGuest().set({ GUEST_ES_ACCESS_RIGHTS: 0xc099n }) }],
  'guest.segment.s': [
    { by: longModeGuest().set({ GUEST_CS_ACCESS_RIGHTS: 0xa08bn }) },
    { by: longModeGuest().set({ GUEST_DS_ACCESS_RIGHTS: 0xc083n }) },
  ],
  'guest.cs.dpl.data': [{ by: realModeGuest().set({ GUEST_CS_ACCESS_RIGHTS: 0xb3n }) }],
  'guest.cs.dpl.nonConforming': [{ by: longModeGuest().set({ GUEST_CS_ACCESS_RIGHTS: 0xa0fbn }) }],
  'guest.cs.dpl.conforming': [{ by: longModeGuest().set({ GUEST_CS_ACCESS_RIGHTS: 0xa0ffn }) }],
  'guest.ss.dpl.rpl': [
    { by: longModeGuest().set({ GUEST_SS_ACCESS_RIGHTS: 0xc0f3n, GUEST_CS_ACCESS_RIGHTS: 0xa0fbn }) },
  ],
  'guest.ss.dpl.realMode': [
    { by: realModeGuest().set({ GUEST_SS_ACCESS_RIGHTS: 0xf3n, GUEST_CS_ACCESS_RIGHTS: 0xfbn }) },
    { by: realModeGuest().change('GUEST_CR0', { set: CR0.PE }).set({ GUEST_SS_ACCESS_RIGHTS: 0xf3n, GUEST_CS_ACCESS_RIGHTS: 0x93n }) },
  ],
  'guest.data.dpl': [{ by: longModeGuest().set({ GUEST_DS_SELECTOR: 0x13n }) }],
  'guest.segment.present': [{ by: longModeGuest().set({ GUEST_ES_ACCESS_RIGHTS: 0xc013n }) }],
  'guest.segment.reserved11to8': [{ by: longModeGuest().change('GUEST_CS_ACCESS_RIGHTS', { set: 0x100n }) }],
  'guest.cs.db': [{ by: longModeGuest().change('GUEST_CS_ACCESS_RIGHTS', { set: 0x4000n }) }],
  'guest.segment.granularity.byte': [{ by: longModeGuest().set({ GUEST_DS_LIMIT: 0xffff_f000n }) }],
  'guest.segment.granularity.page': [{ by: longModeGuest().change('GUEST_CS_ACCESS_RIGHTS', { clear: 0x8000n }) }],
  'guest.segment.reserved31to17': [{ by: longModeGuest().change('GUEST_SS_ACCESS_RIGHTS', { set: 0x2_0000n }) }],
  'guest.tr.type.legacy': [{ by: protectedModeGuest().set({ GUEST_TR_ACCESS_RIGHTS: 0x89n }) }],
  'guest.tr.type.ia32eMode': [{ by: longModeGuest().set({ GUEST_TR_ACCESS_RIGHTS: 0x83n }) }],
  'guest.tr.s': [{ by: longModeGuest().change('GUEST_TR_ACCESS_RIGHTS', { set: 0x10n }) }],
  'guest.tr.present': [{ by: longModeGuest().change('GUEST_TR_ACCESS_RIGHTS', { clear: 0x80n }) }],
  'guest.tr.reserved11to8': [{ by: longModeGuest().change('GUEST_TR_ACCESS_RIGHTS', { set: 0x800n }) }],
  'guest.tr.granularity.byte': [{ by: longModeGuest().change('GUEST_TR_ACCESS_RIGHTS', { set: 0x8000n }) }],
  'guest.tr.granularity.page': [{ by: longModeGuest().set({ GUEST_TR_LIMIT: 0x0010_0fffn }) }],
  'guest.tr.reserved31to17': [{ by: longModeGuest().change('GUEST_TR_ACCESS_RIGHTS', { set: 0x8000_0000n }) }],
  'guest.tr.usable': [{ by: longModeGuest().change('GUEST_TR_ACCESS_RIGHTS', { set: 0x1_0000n }) }],
  'guest.ldtr.type': [{ by: longModeGuest().change('GUEST_LDTR_ACCESS_RIGHTS', { set: 1n }) }],
  'guest.ldtr.s': [{ by: longModeGuest().change('GUEST_LDTR_ACCESS_RIGHTS', { set: 0x10n }) }],
  'guest.ldtr.present': [{ by: longModeGuest().change('GUEST_LDTR_ACCESS_RIGHTS', { clear: 0x80n }) }],
  'guest.ldtr.reserved11to8': [{ by: longModeGuest().change('GUEST_LDTR_ACCESS_RIGHTS', { set: 0x400n }) }],
  'guest.ldtr.granularity.byte': [{ by: longModeGuest().set({ GUEST_LDTR_LIMIT: 0x27n }).change('GUEST_LDTR_ACCESS_RIGHTS', { set: 0x8000n }) }],
  'guest.ldtr.granularity.page': [{ by: longModeGuest().set({ GUEST_LDTR_LIMIT: 0x0010_0fffn }) }],
  'guest.ldtr.reserved31to17': [{ by: longModeGuest().change('GUEST_LDTR_ACCESS_RIGHTS', { set: 0x4_0000n }) }],

  'guest.descriptorTables.base': [{ by: longModeGuest().set({ GUEST_IDTR_BASE: NOT_CANONICAL }), field: 'GUEST_IDTR_BASE' }],
  'guest.descriptorTables.limit': [{ by: longModeGuest().set({ GUEST_GDTR_LIMIT: 0x1_0000n }) }],
  'guest.rip.upperHalf': [{ by: protectedModeGuest().set({ GUEST_RIP: 1n << 32n }) }],
  'guest.rip.linearWidth': [{ by: longModeGuest().set({ GUEST_RIP: 1n << 48n }) }],
  'guest.rflags.reserved': [
    { by: longModeGuest().change('GUEST_RFLAGS', { clear: 2n }) },
    { by: longModeGuest().change('GUEST_RFLAGS', { set: 8n }) },
  ],
  'guest.rflags.vm': [
    {
      by: virtual8086Guest().control('ia32eModeGuest', true).change('GUEST_IA32_EFER', { set: EFER.LMA | EFER.LME }),
    },
  ],
  'guest.rflags.if': [{ by: inject(longModeGuest(), INJECT.externalInterrupt) }],
  'guest.ssp.reserved': [{ by: anyProcessor(longModeGuest(), 'loadCetStateOnEntry').set({ GUEST_SSP: 1n }) }],
  'guest.ssp.canonical': [{ by: anyProcessor(longModeGuest(), 'loadCetStateOnEntry').set({ GUEST_SSP: NOT_CANONICAL }) }],

  'guest.activity.supported': [{ by: longModeGuest().set({ GUEST_ACTIVITY_STATE: 4n }) }],
  'guest.activity.hltDpl': [
    {
      by: longModeGuest().set({
        GUEST_ACTIVITY_STATE: 1n,
        GUEST_CS_SELECTOR: 0x0bn,
        GUEST_CS_ACCESS_RIGHTS: 0xa0fbn,
        GUEST_SS_SELECTOR: 0x13n,
        GUEST_SS_ACCESS_RIGHTS: 0xc0f3n,
      }),
    },
  ],
  'guest.activity.blocking': [{ by: longModeGuest().set({ GUEST_ACTIVITY_STATE: 1n, GUEST_INTERRUPTIBILITY_STATE: 2n }) }],
  'guest.activity.injection': [
    { by: inject(longModeGuest(), INJECT.generalProtection).set({ GUEST_ACTIVITY_STATE: 1n }) },
    { by: inject(longModeGuest(), INJECT.debugException).set({ GUEST_ACTIVITY_STATE: 2n }) },
    { by: inject(longModeGuest(), INJECT.nmi).set({ GUEST_ACTIVITY_STATE: 3n }) },
  ],
  'guest.interruptibility.reserved': [{ by: longModeGuest().set({ GUEST_INTERRUPTIBILITY_STATE: 0x20n }) }],
  'guest.interruptibility.stiAndMovSs': [
    { by: longModeGuest().set({ GUEST_INTERRUPTIBILITY_STATE: 3n, GUEST_RFLAGS: RFLAGS.IF | 2n }) },
  ],
  'guest.interruptibility.stiWithoutIf': [{ by: longModeGuest().set({ GUEST_INTERRUPTIBILITY_STATE: 1n }) }],
  'guest.interruptibility.externalInterrupt': [
    { by: inject(longModeGuest(), INJECT.externalInterrupt).set({ GUEST_INTERRUPTIBILITY_STATE: 1n, GUEST_RFLAGS: RFLAGS.IF | 2n }) },
    { by: inject(longModeGuest(), INJECT.externalInterrupt).set({ GUEST_INTERRUPTIBILITY_STATE: 2n, GUEST_RFLAGS: RFLAGS.IF | 2n }) },
  ],
  'guest.interruptibility.nmiMovSs': [{ by: inject(longModeGuest(), INJECT.nmi).set({ GUEST_INTERRUPTIBILITY_STATE: 2n }) }],
  'guest.interruptibility.nmiSti': [
    { by: inject(longModeGuest(), INJECT.nmi).set({ GUEST_INTERRUPTIBILITY_STATE: 1n, GUEST_RFLAGS: RFLAGS.IF | 2n }) },
  ],
  'guest.interruptibility.smi': [{ by: longModeGuest().set({ GUEST_INTERRUPTIBILITY_STATE: 4n }) }],
  'guest.interruptibility.virtualNmi': [
    {
      by: inject(longModeGuest(), INJECT.nmi)
        .control('nmiExiting', true)
        .control('virtualNmis', true)
        .set({ GUEST_INTERRUPTIBILITY_STATE: 8n }),
    },
  ],
  'guest.interruptibility.enclave': [{ by: longModeGuest().set({ GUEST_INTERRUPTIBILITY_STATE: 0x10n }) }],
  'guest.pendingDebug.reserved': [
    { by: longModeGuest().set({ GUEST_PENDING_DEBUG_EXCEPTIONS: 0x10n }) },
    { by: longModeGuest().set({ GUEST_PENDING_DEBUG_EXCEPTIONS: 0x2000n }) },
  ],
  'guest.pendingDebug.bsRequired': [
    { by: longModeGuest().set({ GUEST_RFLAGS: RFLAGS.TF | 2n, GUEST_INTERRUPTIBILITY_STATE: 2n }) },
    { by: longModeGuest().set({ GUEST_RFLAGS: RFLAGS.TF | 2n, GUEST_ACTIVITY_STATE: 1n }) },
  ],
  'guest.pendingDebug.bsForbidden': [
    { by: longModeGuest().set({ GUEST_PENDING_DEBUG_EXCEPTIONS: 0x4000n, GUEST_INTERRUPTIBILITY_STATE: 2n }) },
    {
      by: longModeGuest().set({
        GUEST_RFLAGS: RFLAGS.TF | 2n,
        GUEST_IA32_DEBUGCTL: 2n,
        GUEST_PENDING_DEBUG_EXCEPTIONS: 0x4000n,
        GUEST_INTERRUPTIBILITY_STATE: 2n,
      }),
    },
  ],
  'guest.pendingDebug.rtm': [{ by: longModeGuest().set({ GUEST_PENDING_DEBUG_EXCEPTIONS: 0x1_1000n }) }],
  'guest.linkPointer.alignment': [{ by: longModeGuest().set({ VMCS_LINK_POINTER: 0x6001n }) }],
  'guest.linkPointer.width': [{ by: longModeGuest().set({ VMCS_LINK_POINTER: BEYOND_WIDTH }) }],
  'guest.linkPointer.revision': [{ by: link(longModeGuest(), 0x6000n, REVISION + 1n) }],
  'guest.linkPointer.shadow': [{ by: link(longModeGuest(), 0x6000n, REVISION | 0x8000_0000n) }],
  'guest.linkPointer.current': [{ by: link(longModeGuest(), 0x5000n, REVISION) }],
  'guest.pdptes.memory': [
    {
      by: (() => {
        const vmcs = protectedModeGuest().control('enableEpt', false);
        vmcs.memory.set(0x2008n, 3n);
        return vmcs;
      })(),
    },
  ],
  'guest.pdptes.fields': [
    { by: protectedModeGuest().set({ GUEST_PDPTE2: 0x21n }), field: 'GUEST_PDPTE2' },
    { by: protectedModeGuest().set({ GUEST_PDPTE0: BEYOND_WIDTH | 1n }), field: 'GUEST_PDPTE0' },
  ],
};
