/**
 * What an entry check is: one row for one sentence of the manual, which looks at a VMCS and says which field breaks
 * it. VM entry runs the rows in the manual's order and stops at the first; the debugger evaluates all of them.
 *
 * Intel SDM Vol. 3C, "VM Entries", "Checks on VMX Controls and Host-State Area" and "Checking and Loading Guest
 * State".
 */
import type { Reference } from '../../base/reference.ts';
import type { VmxCapabilities } from '../capabilities.ts';
import {
  CONTROLS,
  type ControlField,
  type ControlKey,
  type Controls,
  type ControlWords,
  controlsView,
  loadControlWords,
} from '../controls.ts';
import type { VmcsFieldKey } from '../fields.ts';
import { CR0, CR4, RFLAGS } from '../registerBits.ts';
import { VMCS_FIELD, VMCS_FIELD_LIST } from '../vmcsLayout.ts';

/** What the checks need of the processor besides the VMCS. */
export interface EntryContext {
  readonly capabilities: VmxCapabilities;
  /** MAXPHYADDR. */
  readonly physicalAddressWidth: number;
  /** 48, or 57 on a processor with 5-level paging. */
  readonly linearAddressWidth: number;
  /** IA32_EFER.LMA at the time of VM entry. */
  readonly ia32eMode: boolean;
  readonly inSmm: boolean;
  readonly currentVmcsPointer: bigint;
  /** The bits of IA32_EFER, IA32_DEBUGCTL and IA32_PERF_GLOBAL_CTRL that are not reserved. */
  readonly eferSupported: bigint;
  readonly debugctlSupported: bigint;
  readonly perfGlobalCtrlSupported: bigint;
  readonly supportsRtm: boolean;
  readonly supportsSgx: boolean;
  readPhysical32(address: bigint): bigint;
  readPhysical64(address: bigint): bigint;
}

/** A VMCS as the checks see it: one property for each field, the effective controls, the processor. */
export type VmcsView = { readonly [Key in VmcsFieldKey]: bigint } & {
  readonly controls: Controls;
  readonly context: EntryContext;
  /** Takes the control words from the VMCS again. */
  reload(): void;
};

/** A field of the VMCS by its ordinal in `VMCS_FIELD_LIST`. */
export type ReadVmcsField = (ordinal: number) => bigint;

class View {
  readonly context: EntryContext;
  readonly controls: Controls;
  readonly read: ReadVmcsField;

  constructor(read: ReadVmcsField, context: EntryContext, words?: ControlWords) {
    this.read = read;
    this.context = context;
    this.controls = controlsView(loadControlWords((field) => this.controlWord(field), words));
  }

  reload(): void {
    loadControlWords((field) => this.controlWord(field), this.controls.words);
  }

  private controlWord(field: ControlField): bigint {
    return this.read(VMCS_FIELD[field].ordinal);
  }
}

for (const { key, ordinal } of VMCS_FIELD_LIST) {
  Object.defineProperty(View.prototype, key, {
    get(this: View): bigint {
      return this.read(ordinal);
    },
  });
}

/** `words` is where the effective controls are kept, if somebody else reads them there. */
export function vmcsView(read: ReadVmcsField, context: EntryContext, words?: ControlWords): VmcsView {
  return new View(read, context, words) as unknown as VmcsView;
}

/** What is wrong, for the panel. */
export interface Violation {
  readonly field: VmcsFieldKey;
  /** The bits that are at fault, where some are. */
  readonly offendingBits?: bigint;
  /** What the field may hold, where that says more. */
  readonly allowed?: string;
}

export type EntryCheckGroup = 'controls' | 'host' | 'guest';

export interface EntryCheckRow {
  readonly id: string;
  readonly group: EntryCheckGroup;
  /** The fields the check reads. The control words are always needed besides. */
  readonly needs: readonly VmcsFieldKey[];
  /** One of them of which only bits 63:32 count: a handler that moves RIP on does not make the check run again. */
  readonly upperHalfOf?: VmcsFieldKey;
  readonly text: string;
  readonly ref: Reference;
  /**
   * The check reads what may change although the VMCS does not: memory, or whether the processor is in IA-32e mode. It
   * has to run again at every VM entry, or at those where the mode is another.
   */
  readonly alsoReads?: 'memory' | 'processorState';
  /** For rows that read memory: whether they do, by the controls and by fields that VM exits do not save. */
  readonly applies?: (vmcs: VmcsView) => boolean;
  /** The capability MSR that says what this processor allows. */
  readonly capability?: string;
  /** The exit qualification of the entry failure, 0 when absent; only rows of the group `guest` have one. */
  readonly qualification?: 0 | 2 | 3 | 4;
  /** Nothing when the sentence holds. */
  check(vmcs: VmcsView): Violation | undefined;
}

/** A violation when `bits` are not all 0. */
export function mustBeZero(field: VmcsFieldKey, bits: bigint): Violation | undefined {
  return bits === 0n ? undefined : { field, offendingBits: bits };
}

/** A violation when the sentence does not hold. */
export function mustHold(holds: boolean, field: VmcsFieldKey, allowed: string): Violation | undefined {
  return holds ? undefined : { field, allowed };
}

/** The bits of a value that a fixed-bits pair does not allow. */
export function fixedBitsViolated(value: bigint, fixed0: bigint, fixed1: bigint): bigint {
  return (fixed0 & ~value) | (value & ~fixed1);
}

export function beyondPhysicalWidth(address: bigint, { physicalAddressWidth }: EntryContext): bigint {
  const width = BigInt(physicalAddressWidth);
  return (address >> width) << width;
}

/** Whether bits 63 to `linearAddressWidth` - 1 are all equal. */
export function isCanonical(address: bigint, { linearAddressWidth }: EntryContext): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(linearAddressWidth, address)) === address;
}

export function canonical(vmcs: VmcsView, field: VmcsFieldKey): Violation | undefined {
  return mustHold(isCanonical(vmcs[field], vmcs.context), field, 'a canonical address');
}

/** The first violation among several fields that one sentence is about. */
export function first<Item>(
  items: readonly Item[],
  check: (item: Item) => Violation | undefined,
): Violation | undefined {
  for (const item of items) {
    const violation = check(item);
    if (violation !== undefined) return violation;
  }
  return undefined;
}

/** The two sentences about the address of a page that a control makes the processor use. */
export function pageAddress(
  id: string,
  title: string,
  field: VmcsFieldKey,
  control: ControlKey,
  ref: Reference,
): readonly EntryCheckRow[] {
  const row = CONTROLS.find(({ key }) => key === control) as (typeof CONTROLS)[number];
  const condition = `if "${row.name}" is 1`;
  const group = 'controls';
  return [
    {
      id: `controls.${id}.alignment`,
      group,
      needs: [field],
      text: `Bits 11:0 of the ${title} must be 0 ${condition}`,
      ref,
      check: (v) => (v.controls[control] ? mustBeZero(field, v[field] & 0xfffn) : undefined),
    },
    {
      id: `controls.${id}.width`,
      group,
      needs: [field],
      text: `The ${title} must not set bits beyond the physical-address width ${condition}`,
      ref,
      check: (v) =>
        v.controls[control] ? mustBeZero(field, beyondPhysicalWidth(v[field], v.context)) : undefined,
    },
  ];
}

/** Bits 31 and 10:8 and 7:0 of the VM-entry interruption-information field. */
export function isInjecting(vmcs: VmcsView): boolean {
  return ((vmcs.VM_ENTRY_INTERRUPTION_INFORMATION >> 31n) & 1n) === 1n;
}

export function injectionType(vmcs: VmcsView): bigint {
  return (vmcs.VM_ENTRY_INTERRUPTION_INFORMATION >> 8n) & 7n;
}

export function injectionVector(vmcs: VmcsView): bigint {
  return vmcs.VM_ENTRY_INTERRUPTION_INFORMATION & 0xffn;
}

/** Whether the guest starts in virtual-8086 mode. */
export function isVirtual8086(vmcs: VmcsView): boolean {
  return (vmcs.GUEST_RFLAGS & RFLAGS.VM) !== 0n;
}

/** Whether the guest uses PAE paging. */
export function usesPaePaging(vmcs: VmcsView): boolean {
  return (
    (vmcs.GUEST_CR0 & CR0.PG) !== 0n && (vmcs.GUEST_CR4 & CR4.PAE) !== 0n && !vmcs.controls.ia32eModeGuest
  );
}

/** Each byte of IA32_PAT must be UC, WC, WT, WP, WB or UC-. */
export function patViolation(field: VmcsFieldKey, value: bigint): Violation | undefined {
  let offendingBits = 0n;
  for (let shift = 0n; shift < 64n; shift += 8n) {
    const entry = (value >> shift) & 0xffn;
    if (entry > 7n || entry === 2n || entry === 3n) offendingBits |= 0xffn << shift;
  }
  return mustBeZero(field, offendingBits);
}

/** The bits of IA32_S_CET that no value may have: 9:6, and 11 together with 10. */
export function sCetReserved(value: bigint): bigint {
  const both = 3n << 10n;
  return (value & 0x3c0n) | ((value & both) === both ? both : 0n);
}
