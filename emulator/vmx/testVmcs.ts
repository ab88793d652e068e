/**
 * Valid VMCSs for tests: a 64-bit guest, a guest in real-address mode ("unrestricted guest"), a 32-bit guest with PAE
 * paging, one in virtual-8086 mode, and a 32-bit guest under a 32-bit host. A test changes what it is about.
 */
import { vmxCapabilities } from './capabilities.ts';
import { allowedSettings, CONTROLS, type ControlKey, controlWord } from './controls.ts';
import { type EntryContext, type VmcsView, vmcsView } from './entryChecks/check.ts';
import type { VmcsFieldKey } from './fields.ts';
import { ACCESS_RIGHTS, CR0, CR4, EFER, RFLAGS } from './registerBits.ts';
import { VMCS_FIELD, VMCS_FIELD_LIST } from './vmcsLayout.ts';

type Fields = Partial<Record<VmcsFieldKey, bigint>>;
/** `Partial` of the context, writable. */
type Context = { -readonly [Key in keyof EntryContext]: EntryContext[Key] };

const CURRENT_VMCS = 0x5000n;

export class TestVmcs {
  readonly values = new BigUint64Array(VMCS_FIELD_LIST.length);
  /** Physical memory in doublewords; what is not here reads as 0. */
  readonly memory = new Map<bigint, bigint>();
  /** The fields that have been read through `view`. */
  readonly reads = new Set<VmcsFieldKey>();
  readonly context: Context = {
    capabilities: vmxCapabilities(),
    physicalAddressWidth: 46,
    linearAddressWidth: 48,
    ia32eMode: true,
    inSmm: false,
    currentVmcsPointer: CURRENT_VMCS,
    eferSupported: EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE,
    debugctlSupported: 3n,
    perfGlobalCtrlSupported: 0x7_0000_00ffn,
    supportsRtm: false,
    supportsSgx: false,
    readPhysical32: (address) => this.memory.get(address) ?? 0n,
    readPhysical64: (address) =>
      (this.memory.get(address) ?? 0n) | ((this.memory.get(address + 4n) ?? 0n) << 32n),
  };
  readonly view: VmcsView = vmcsView((ordinal) => {
    this.reads.add(VMCS_FIELD_LIST[ordinal].key);
    return this.values[ordinal];
  }, this.context);

  set(fields: Fields): this {
    for (const [key, value] of Object.entries(fields)) {
      const { ordinal, mask } = VMCS_FIELD[key as VmcsFieldKey];
      this.values[ordinal] = value & mask;
    }
    this.view.reload();
    return this;
  }

  get(key: VmcsFieldKey): bigint {
    return this.values[VMCS_FIELD[key].ordinal];
  }

  /** Clears, then sets bits of one field. */
  change(key: VmcsFieldKey, bits: { readonly set?: bigint; readonly clear?: bigint }): this {
    return this.set({ [key]: (this.get(key) & ~(bits.clear ?? 0n)) | (bits.set ?? 0n) });
  }

  control(key: ControlKey, value: boolean): this {
    const row = CONTROLS.find((candidate) => candidate.key === key);
    if (row === undefined) throw new RangeError(key);
    const bit = 1n << BigInt(row.bit);
    return this.change(controlWord(row.word).field, value ? { set: bit } : { clear: bit });
  }
}

const FLAT_LIMIT = 0xffff_ffffn;
const CODE_64 = 0xa09bn;
const CODE_32 = 0xc09bn;
const DATA_32 = 0xc093n;
const BUSY_TSS = 0x8bn;
const LDT = 0x82n;
const PAT_RESET = 0x0007_0406_0007_0406n;

/** One register of the segment state, which is four fields. */
export function segment(
  name: string,
  selector: bigint,
  base: bigint,
  limit: bigint,
  accessRights: bigint,
): Fields {
  return {
    [`GUEST_${name}_SELECTOR`]: selector,
    [`GUEST_${name}_BASE`]: base,
    [`GUEST_${name}_LIMIT`]: limit,
    [`GUEST_${name}_ACCESS_RIGHTS`]: accessRights,
  };
}

function controlsOnly(...keys: readonly ControlKey[]): TestVmcs {
  const vmcs = new TestVmcs();
  vmcs.set({
    PIN_BASED_VM_EXECUTION_CONTROLS: allowedSettings('pinBased', false).mustBe1,
    PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS: allowedSettings('primaryProcessorBased', false).mustBe1,
    PRIMARY_VM_EXIT_CONTROLS: allowedSettings('primaryVmExit', false).mustBe1,
    VM_ENTRY_CONTROLS: allowedSettings('vmEntry', false).mustBe1,
  });
  for (const key of keys) vmcs.control(key, true);
  return vmcs;
}

const LONG_MODE_HOST: Fields = {
  HOST_CR0: CR0.PE | CR0.NE | CR0.WP | CR0.PG,
  HOST_CR3: 0x1000n,
  HOST_CR4: CR4.PAE | CR4.VMXE,
  HOST_IA32_PAT: PAT_RESET,
  HOST_IA32_EFER: EFER.LME | EFER.LMA | EFER.NXE,
  HOST_CS_SELECTOR: 0x08n,
  HOST_SS_SELECTOR: 0x10n,
  HOST_DS_SELECTOR: 0x10n,
  HOST_ES_SELECTOR: 0x10n,
  HOST_TR_SELECTOR: 0x18n,
  HOST_GDTR_BASE: 0xffff_8000_0000_1000n,
  HOST_IDTR_BASE: 0xffff_8000_0000_2000n,
  HOST_TR_BASE: 0xffff_8000_0000_3000n,
  HOST_RSP: 0xffff_8000_0001_0000n,
  HOST_RIP: 0xffff_8000_0010_0000n,
};

const GUEST_COMMON: Fields = {
  VMCS_LINK_POINTER: 0xffff_ffff_ffff_ffffn,
  GUEST_CR0: CR0.PE | CR0.ET | CR0.NE | CR0.WP | CR0.PG,
  GUEST_CR3: 0x2000n,
  GUEST_CR4: CR4.PAE | CR4.VMXE,
  GUEST_DR7: 0x400n,
  GUEST_IA32_PAT: PAT_RESET,
  GUEST_RFLAGS: 2n,
  GUEST_RIP: 0x10_0000n,
  GUEST_RSP: 0x20_0000n,
  GUEST_GDTR_LIMIT: 0xffffn,
  GUEST_IDTR_LIMIT: 0xffffn,
  EPT_POINTER: 0x1_0000n | (3n << 3n) | 6n,
  VIRTUAL_PROCESSOR_IDENTIFIER: 1n,
};

function flatSegments(code: bigint): Fields {
  return {
    ...segment('CS', 0x08n, 0n, FLAT_LIMIT, code),
    ...segment('SS', 0x10n, 0n, FLAT_LIMIT, DATA_32),
    ...segment('DS', 0x10n, 0n, FLAT_LIMIT, DATA_32),
    ...segment('ES', 0x10n, 0n, FLAT_LIMIT, DATA_32),
    ...segment('FS', 0n, 0n, 0n, ACCESS_RIGHTS.UNUSABLE),
    ...segment('GS', 0n, 0n, 0n, ACCESS_RIGHTS.UNUSABLE),
    ...segment('TR', 0x18n, 0n, 0x67n, BUSY_TSS),
    ...segment('LDTR', 0x28n, 0n, 0xffffn, LDT),
  };
}

/** A 64-bit guest with EPT under a 64-bit host; loads and saves IA32_PAT and IA32_EFER. */
export function longModeGuest(): TestVmcs {
  return controlsOnly(
    'activateSecondaryControls',
    'enableEpt',
    'enableVpid',
    'saveDebugControls',
    'hostAddressSpaceSize',
    'loadPatOnExit',
    'loadEferOnExit',
    'loadDebugControls',
    'ia32eModeGuest',
    'loadPatOnEntry',
    'loadEferOnEntry',
  ).set({
    ...LONG_MODE_HOST,
    ...GUEST_COMMON,
    ...flatSegments(CODE_64),
    GUEST_IA32_EFER: EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE,
  });
}

/** A 32-bit guest with PAE paging and EPT, without "unrestricted guest", under a 64-bit host. */
export function protectedModeGuest(): TestVmcs {
  return longModeGuest()
    .control('ia32eModeGuest', false)
    .set({ ...flatSegments(CODE_32), GUEST_IA32_EFER: 0n });
}

/** The same in virtual-8086 mode. */
export function virtual8086Guest(): TestVmcs {
  const vmcs = protectedModeGuest().set({ GUEST_RFLAGS: RFLAGS.VM | 2n });
  for (const name of ['CS', 'SS', 'DS', 'ES', 'FS', 'GS'])
    vmcs.set(segment(name, 0x100n, 0x1000n, 0xffffn, 0xf3n));
  return vmcs;
}

/** A guest in real-address mode, as after reset, with "unrestricted guest". */
export function realModeGuest(): TestVmcs {
  const vmcs = protectedModeGuest()
    .control('unrestrictedGuest', true)
    .set({
      GUEST_CR0: CR0.ET | CR0.NE,
      GUEST_CR4: CR4.VMXE,
      GUEST_RIP: 0x7c00n,
      ...segment('CS', 0n, 0n, 0xffffn, 0x9bn),
      ...segment('TR', 0n, 0n, 0xffffn, BUSY_TSS),
      ...segment('LDTR', 0n, 0n, 0xffffn, LDT),
    });
  for (const name of ['SS', 'DS', 'ES', 'FS', 'GS']) vmcs.set(segment(name, 0n, 0n, 0xffffn, 0x93n));
  return vmcs;
}

/** A 32-bit guest under a 32-bit host. */
export function legacyHost(): TestVmcs {
  const vmcs = protectedModeGuest().control('hostAddressSpaceSize', false).set({
    HOST_IA32_EFER: 0n,
    HOST_RIP: 0x10_0000n,
    HOST_RSP: 0x2_0000n,
    HOST_GDTR_BASE: 0x1000n,
    HOST_IDTR_BASE: 0x2000n,
    HOST_TR_BASE: 0x3000n,
  });
  vmcs.context.ia32eMode = false;
  return vmcs;
}
