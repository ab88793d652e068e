/**
 * The VMCS of a guest: what the VMM wants to exit, and the guest's state at its first instruction.
 *
 * Intel SDM Vol. 3C, "Virtual Machine Control Structures", chapter 26.
 */
import type { BootEntry, BootRegister } from '../boot/bootPlan.ts';
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';
import { GPR_NAMES, RSP } from '../state/registers.ts';
import { msrBitmapBit } from '../vmx/bitmaps.ts';
import { VMCS_REVISION_IDENTIFIER } from '../vmx/capabilities.ts';
import { allowedSettings, CONTROL_WORDS, CONTROLS, type ControlKey } from '../vmx/controls.ts';
import type { VmcsFieldKey } from '../vmx/fields.ts';
import { ACCESS_RIGHTS, CR0, CR4 } from '../vmx/registerBits.ts';
import { PASSED_THROUGH_READS, PASSED_THROUGH_WRITES } from './guestMsrs.ts';
import { HOST_STATE } from './host.ts';
import type { ExitPolicy } from './policy.ts';
import type { Vcpu } from './vcpu.ts';

type Fields = Partial<Record<VmcsFieldKey, bigint>>;

/** The controls that the VMM needs, whatever the policy. */
const NEEDED: readonly ControlKey[] = [
  // Host interrupts and NMIs are the VMM's; what they mean for a guest it decides.
  'externalInterruptExiting',
  'nmiExiting',
  'virtualNmis',
  'acknowledgeInterruptOnExit',
  // Devices, and the registers of the local APIC.
  'useIoBitmaps',
  'useMsrBitmaps',
  'cr8LoadExiting',
  'cr8StoreExiting',
  'activateSecondaryControls',
  'enableEpt',
  'enableVpid',
  'unrestrictedGuest',
  // The guest has no performance-monitoring counters.
  'rdpmcExiting',
  // Instructions that the guest's processor has.
  'enableRdtscp',
  'enableInvpcid',
  'enableUserWaitAndPause',
  'enableXsavesXrstors',
  'useTscOffsetting',
  // State that guest and host have both.
  'hostAddressSpaceSize',
  'saveDebugControls',
  'loadDebugControls',
  'savePatOnExit',
  'loadPatOnExit',
  'loadPatOnEntry',
  'saveEferOnExit',
  'loadEferOnExit',
  'loadEferOnEntry',
];

/** Bits of CR0 and CR4 that VMX operation fixes at 1: the guest sees what it has written. */
export const OWNED_CR0 = CR0.NE;
export const OWNED_CR4 = CR4.VMXE;

const ALL_BITS = 0xffff_ffffn;
const NO_LINK = 0xffff_ffff_ffff_ffffn;

/** The guest/host masks. */
export function ownedBits(policy: ExitPolicy): { readonly cr0: bigint; readonly cr4: bigint } {
  return { cr0: policy.cr0 ? ALL_BITS : OWNED_CR0, cr4: policy.cr4 ? ALL_BITS : OWNED_CR4 };
}

function controlWords(keys: ReadonlySet<ControlKey>): Fields {
  const fields: Fields = {};
  for (const { key, field } of CONTROL_WORDS) {
    const { mustBe1 } = allowedSettings(key, false);
    fields[field] = CONTROLS.reduce(
      (word, control) =>
        control.word === key && keys.has(control.key) ? word | (1n << BigInt(control.bit)) : word,
      mustBe1,
    );
  }
  return fields;
}

/** The controls and the host state: what does not depend on what the guest boots. */
function controlFields(vcpu: Vcpu): Fields {
  const { policy, parts, vm } = vcpu;
  const keys = new Set<ControlKey>([...NEEDED, ...policy.controls]);
  if (policy.preemptionTicks > 0) {
    keys.add('activateVmxPreemptionTimer');
    keys.add('saveVmxPreemptionTimerValue');
  }
  const owned = ownedBits(policy);
  return {
    ...controlWords(keys),
    EXCEPTION_BITMAP: BigInt(policy.exceptionBitmap >>> 0),
    VIRTUAL_PROCESSOR_IDENTIFIER: BigInt(parts.vpid),
    EPT_POINTER: vm.ept.pointer,
    IO_BITMAP_A: BigInt(parts.ioBitmaps[0]),
    IO_BITMAP_B: BigInt(parts.ioBitmaps[1]),
    MSR_BITMAPS: BigInt(parts.msrBitmaps),
    CR0_GUEST_HOST_MASK: owned.cr0,
    CR4_GUEST_HOST_MASK: owned.cr4,
    VMX_PREEMPTION_TIMER_VALUE: preemptionTimerValue(vcpu),
    VMCS_LINK_POINTER: NO_LINK,
    ...HOST_STATE,
  };
}

/** The period of the policy in the timer's own units. */
export function preemptionTimerValue({ policy, vmx }: Vcpu): bigint {
  const { preemptionTimerRate } = vmx.processor.capabilities;
  return BigInt(Math.ceil(policy.preemptionTicks / 2 ** preemptionTimerRate));
}

const FLAT_LIMIT = 0xffff_ffffn;
const CODE_32 = 0xc09bn;
const CODE_64 = 0xa09bn;
const DATA = 0xc093n;
const BUSY_TSS = 0x8bn;
const TSS_LIMIT = 0x67n;
const TABLE_LIMIT = 0xffffn;
const REAL_MODE_LIMIT = 0x3ffn;
const DR7_RESET = 0x400n;
const PAT_RESET = 0x0007_0406_0007_0406n;
const RFLAGS_RESET = 2n;

function segmentFields(name: string, selector: number, limit: bigint, accessRights: bigint): Fields {
  return {
    [`GUEST_${name}_SELECTOR`]: BigInt(selector),
    [`GUEST_${name}_BASE`]: 0n,
    [`GUEST_${name}_LIMIT`]: limit,
    [`GUEST_${name}_ACCESS_RIGHTS`]: accessRights,
  };
}

/** The guest-state area for the first instruction of what a loader planned. */
function guestFields(entry: BootEntry): Fields {
  const { codeSelector, dataSelector } = entry;
  const longMode = entry.mode === 'long64';
  const cr0 = BigInt(entry.cr0 >>> 0);
  const cr4 = BigInt(entry.cr4 >>> 0);
  return {
    GUEST_CR0: cr0 | OWNED_CR0,
    GUEST_CR4: cr4 | OWNED_CR4,
    CR0_READ_SHADOW: cr0,
    CR4_READ_SHADOW: cr4,
    GUEST_CR3: BigInt(entry.cr3),
    GUEST_IA32_EFER: BigInt(entry.efer),
    GUEST_IA32_PAT: PAT_RESET,
    GUEST_DR7: DR7_RESET,
    GUEST_RFLAGS: RFLAGS_RESET,
    GUEST_RIP: entry.rip,
    GUEST_RSP: entry.gpr.RSP ?? 0n,
    ...segmentFields('CS', codeSelector, FLAT_LIMIT, longMode ? CODE_64 : CODE_32),
    ...Object.assign(
      {},
      ...['SS', 'DS', 'ES', 'FS', 'GS'].map((name) => segmentFields(name, dataSelector, FLAT_LIMIT, DATA)),
    ),
    ...segmentFields('TR', 0, TSS_LIMIT, BUSY_TSS),
    ...segmentFields('LDTR', 0, TABLE_LIMIT, ACCESS_RIGHTS.UNUSABLE),
    GUEST_GDTR_BASE: BigInt(entry.gdt.base),
    GUEST_GDTR_LIMIT: BigInt(entry.gdt.limit),
    GUEST_IDTR_BASE: 0n,
    GUEST_IDTR_LIMIT: REAL_MODE_LIMIT,
  };
}

const LONG_MODE_GUEST = 1n << 9n;

/** Every port exits: the devices are the VMM's. MSRs exit but for those that guest and processor may share. */
function writeBitmaps(vcpu: Vcpu, physical: PhysicalMemory): void {
  const { ioBitmaps, msrBitmaps } = vcpu.parts;
  const ones = new Uint8Array(4096).fill(0xff);
  for (const bitmap of ioBitmaps) physical.copyIn(bitmap, ones);
  const msrs = ones.slice();
  const exits = (msr: number): boolean =>
    vcpu.policy.msrs.some(({ first, last }) => msr >= first && msr <= last);
  const pass = (list: readonly number[], write: boolean): void => {
    for (const msr of list) {
      const bit = msrBitmapBit(msr, write);
      if (bit !== undefined && !exits(msr)) msrs[bit >> 3] &= ~(1 << (bit & 7));
    }
  };
  pass(PASSED_THROUGH_READS, false);
  pass(PASSED_THROUGH_WRITES, true);
  physical.copyIn(msrBitmaps, msrs);
}

/** Makes the guest's VMCS current and fills it, and loads the registers that are not in it. */
export function setUpGuest(vcpu: Vcpu, physical: PhysicalMemory, entry: BootEntry): void {
  const { vmx, state, parts } = vcpu;
  writeBitmaps(vcpu, physical);
  physical.copyIn(parts.vmcs, new Uint8Array(4096));
  physical.write(parts.vmcs, 4, VMCS_REVISION_IDENTIFIER, 0);
  vmx.vmclear(BigInt(parts.vmcs));
  vmx.vmptrld(BigInt(parts.vmcs));
  const fields = { ...controlFields(vcpu), ...guestFields(entry) };
  if (entry.mode === 'long64') fields.VM_ENTRY_CONTROLS = (fields.VM_ENTRY_CONTROLS ?? 0n) | LONG_MODE_GUEST;
  for (const [key, value] of Object.entries(fields)) vmx.vmwrite(key as VmcsFieldKey, value);
  for (const [register, name] of GPR_NAMES.entries()) {
    if (register !== RSP) state.setGpr(register, entry.gpr[name as BootRegister] ?? 0n);
  }
}
