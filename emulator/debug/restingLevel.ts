/**
 * The level that does not run, as far as the current VMCS knows it: the guest while its hypervisor handles a VM exit,
 * the hypervisor while its guest runs.
 *
 * Intel SDM Vol. 3C, "Guest-State Area", 26.4; "Host-State Area", 26.5; "Loading Host State", 29.5.
 */
import { formatReference } from '../base/reference.ts';
import type { TranslationContext } from '../mmu/inspect.ts';
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';
import { CPU_FIELDS, OFFSET } from '../state/layout.ts';
import { AR, CS, EFER, SEGMENT_NAMES } from '../state/registers.ts';
import { type Controls, controlsView, loadControlWords } from '../vmx/controls.ts';
import { exitReasonRow } from '../vmx/exitReasons.ts';
import type { VmcsFieldKey } from '../vmx/fields.ts';
import {
  HOST_CONSTANTS,
  HOST_CS_ACCESS_RIGHTS,
  HOST_PAT_ROWS,
  HOST_ROWS,
  type TransferRow,
} from '../vmx/stateTransfer.ts';
import { SLOT } from '../vmx/vmcs.ts';
import { fieldExists, VMCS_FIELD } from '../vmx/vmcsLayout.ts';
import type { Vmx } from '../vmx/vmx.ts';
import { fieldOfPlace, type StatePlace } from './guestState.ts';
import { decodedFields } from './processorView.ts';
import { REGISTER_GROUPS } from './registerRows.ts';
import type { RegisterGroup, RestingLevel } from './target.ts';
import { describeLastExit } from './vmcsView.ts';

const HOST = 0;
const GUEST = 1;
const BASIC_REASON = 0xffff;
const ENTRY_FAILURE = 1 << 31;

const keyOf = ({ state, element }: StatePlace): string => `${state}/${element}`;

/** The fields of the host-state area; FS.base and the like, but no general register except RSP. */
const hostFields: ReadonlyMap<string, VmcsFieldKey> = new Map(
  [
    ...HOST_ROWS,
    ...HOST_PAT_ROWS,
    { field: 'HOST_CR0', state: 'CR0', words: 2 } satisfies TransferRow,
    { field: 'HOST_CR4', state: 'CR4', words: 2 } satisfies TransferRow,
    ...SEGMENT_NAMES.map((name, element) => ({
      field: `HOST_${name}_SELECTOR` as VmcsFieldKey,
      state: 'SEG_SELECTOR' as const,
      element,
    })).filter(({ field }) => field in VMCS_FIELD),
  ].map((row) => [keyOf({ state: row.state, element: row.element ?? 0 }), row.field]),
);
const widths: ReadonlyMap<string, number> = new Map(CPU_FIELDS.map(({ key, width }) => [key, width]));
const hostConstants: ReadonlyMap<number, number> = new Map(
  Array.from({ length: HOST_CONSTANTS.length / 2 }, (_, i) => [
    HOST_CONSTANTS[2 * i],
    HOST_CONSTANTS[2 * i + 1],
  ]),
);

/** What every VM exit loads there, whatever the VMCS says. */
function hostConstant({ state, element }: StatePlace): bigint | undefined {
  const words = widths.get(state) === 8 ? 2 : 1;
  const first = (OFFSET[state] >> 2) + element * words;
  const lower = hostConstants.get(first);
  if (lower === undefined) return undefined;
  return (BigInt((hostConstants.get(first + 1) ?? 0) >>> 0) << 32n) * BigInt(words - 1) + BigInt(lower >>> 0);
}

/** Guest state that a VM exit saves only with a control. */
const SAVED_BY: Partial<Record<StatePlace['state'], keyof Controls>> = {
  DR: 'saveDebugControls',
  IA32_DEBUGCTL: 'saveDebugControls',
  IA32_PAT: 'savePatOnExit',
};

interface Resting {
  readonly vmx: Vmx;
  readonly level: typeof HOST | typeof GUEST;
  readonly controls: Controls;
}

function find(vmx: Vmx | undefined): Resting | undefined {
  if (vmx === undefined || !vmx.processor.inVmxOperation || !vmx.processor.vmcs.isValid) return undefined;
  const { vmcs, inGuest } = vmx.processor;
  // A VMCS that was never entered has no guest.
  if (!inGuest && !vmcs.launched) return undefined;
  const controls = controlsView(loadControlWords((key) => vmcs.read(VMCS_FIELD[key].ordinal)));
  return { vmx, level: inGuest ? HOST : GUEST, controls };
}

/** @see SDM "Loading Host Control Registers, Debug Registers, MSRs", 29.5.1; "Saving Control Registers, Debug Registers, and MSRs", 29.3.1 */
function efer({ vmx, level, controls }: Resting): bigint {
  const isHost = level === HOST;
  const field = isHost ? 'HOST_IA32_EFER' : 'GUEST_IA32_EFER';
  const isLoaded = isHost ? controls.loadEferOnExit : controls.saveEferOnExit;
  const longMode = BigInt(EFER.LMA | EFER.LME);
  const isLong = isHost ? controls.hostAddressSpaceSize : controls.ia32eModeGuest;
  const others = isLoaded ? vmx.vmread(field) : vmx.processor.state.IA32_EFER;
  return (others & ~longMode) | (isLong ? longMode : 0n);
}

function stateOf(resting: Resting, place: StatePlace): bigint | undefined {
  const { vmx, level, controls } = resting;
  if (place.state === 'IA32_EFER') return efer(resting);
  if (level === HOST && place.state === 'SEG_ACCESS_RIGHTS' && place.element === CS)
    return BigInt(HOST_CS_ACCESS_RIGHTS | (controls.hostAddressSpaceSize ? AR.L : AR.DB));
  if (level === HOST) {
    const field = hostFields.get(keyOf(place));
    return field && fieldExists(VMCS_FIELD[field]) ? vmx.vmread(field) : hostConstant(place);
  }
  const savedBy = SAVED_BY[place.state];
  const field = savedBy === undefined || controls[savedBy] ? fieldOfPlace(place) : undefined;
  return field && fieldExists(VMCS_FIELD[field]) ? vmx.vmread(field) : undefined;
}

/** The level that does not run; undefined when there is none. */
export function restingLevel(vmx: Vmx | undefined): RestingLevel | undefined {
  const resting = find(vmx);
  if (resting === undefined) return undefined;
  const { level } = resting;
  const groups = REGISTER_GROUPS.map(({ key, title, rows }): RegisterGroup => {
    const registers = rows.flatMap(({ name, bits, fields, place, ref }) => {
      const value = stateOf(resting, place);
      if (value === undefined) return [];
      const common = { name, value, bits, writable: false };
      return [{ ...common, fields: decodedFields(value, fields), reference: formatReference(ref) }];
    });
    return { key, title, registers };
  });
  return {
    level,
    crossing: crossingOf(resting),
    registers: groups.filter((group) => group.registers.length > 0),
  };
}

function crossingOf({ vmx, level }: Resting): string {
  if (level === HOST) return 'Level 0: the next VM exit comes here';
  const reason = vmx.processor.vmcs.low(SLOT.VM_EXIT_REASON);
  const name = exitReasonRow(reason & BASIC_REASON)?.name ?? `exit reason ${reason & BASIC_REASON}`;
  if (reason & ENTRY_FAILURE) return `Level 1: ${name}`;
  const text = describeLastExit(vmx);
  return `Level 1: VM exit, ${text === '' || text.startsWith(name) ? text || name : `${name}, ${text}`}`;
}

function hlatOf({ vmx }: Resting): NonNullable<TranslationContext['hlat']> {
  const { vmcs } = vmx.processor;
  return {
    pointerLo: vmcs.low(SLOT.HLAT_POINTER),
    pointerHi: vmcs.low(SLOT.HLAT_POINTER + 1),
    prefix: vmcs.low(SLOT.HLAT_PREFIX_SIZE) & 0xffff,
  };
}

/** What linear addresses of the level are translated by; undefined when it is not the one that rests. */
export function restingContext(
  vmx: Vmx | undefined,
  level: number,
  physical: PhysicalMemory,
): TranslationContext | undefined {
  const resting = find(vmx);
  if (resting?.level !== level) return undefined;
  const { controls } = resting;
  const read = (state: StatePlace['state']): bigint => stateOf(resting, { state, element: 0 }) ?? 0n;
  const low = (value: bigint): number => Number(BigInt.asIntN(32, value));
  const isGuest = level === GUEST;
  const eptp = isGuest && controls.enableEpt ? resting.vmx.vmread('EPT_POINTER') : undefined;
  const cr3 = read('CR3');
  return {
    ...(isGuest && controls.enableHlat && { hlat: hlatOf(resting) }),
    cr0: low(read('CR0')),
    cr3,
    cr4: low(read('CR4')),
    efer: low(efer(resting)),
    pdptes: [0, 1, 2, 3].map((index) =>
      eptp === undefined
        ? physical.read64(Number(cr3 & 0xffff_ffe0n) + 8 * index)
        : resting.vmx.vmread(`GUEST_PDPTE${index as 0 | 1 | 2 | 3}`),
    ),
    eptp,
  };
}
