/**
 * Guest and host state on its way between the VMCS and the processor, as lists of word offsets that are made once from
 * rows. What has conditions or is computed is in entry.ts and exit.ts.
 *
 * Intel SDM Vol. 3C, "Guest-State Area", 26.4; "Host-State Area", 26.5; "Loading Guest State", 28.3.2; "Saving Guest
 * State", 29.3; "Loading Host State", 29.5.
 */
import { CC_FLAGS } from '../state/flags.ts';
import { type CpuFieldKey, OFFSET } from '../state/layout.ts';
import { ACTIVITY, AR, CS, FLAG, LDTR, RSP, SEGMENT_NAMES, TR } from '../state/registers.ts';
import { CONTROL, CONTROL_SLOTS, type ControlBit } from './controls.ts';
import type { VmcsFieldKey } from './fields.ts';
import { SLOT } from './vmcs.ts';

/** A VMCS field and the state that it stands for. `element` chooses among several; `words` are of 32 bits. */
export interface TransferRow {
  readonly field: VmcsFieldKey;
  readonly state: CpuFieldKey;
  readonly element?: number;
  readonly words: 1 | 2;
}

function segmentRows(part: 'BASE' | 'LIMIT' | 'ACCESS_RIGHTS' | 'SELECTOR'): TransferRow[] {
  return SEGMENT_NAMES.map((name, element) => ({
    field: `GUEST_${name}_${part}` as VmcsFieldKey,
    state: `SEG_${part}` as CpuFieldKey,
    element,
    words: part === 'BASE' ? 2 : 1,
  }));
}

/** Fields of 16 bits: their slots hold nothing else, whatever was stored there directly. */
export const GUEST_SELECTOR_ROWS: readonly TransferRow[] = segmentRows('SELECTOR');

/** Guest state that moves in both directions as it is. */
// biome-ignore format: rows are read as a table
export const GUEST_ROWS: readonly TransferRow[] = [
  { field: 'GUEST_CR3', state: 'CR3', words: 2 },
  { field: 'GUEST_CR4', state: 'CR4', words: 2 },
  ...segmentRows('BASE'),
  ...segmentRows('LIMIT'),
  ...segmentRows('ACCESS_RIGHTS'),
  { field: 'GUEST_GDTR_BASE', state: 'GDTR_BASE', words: 2 },
  { field: 'GUEST_IDTR_BASE', state: 'IDTR_BASE', words: 2 },
  { field: 'GUEST_GDTR_LIMIT', state: 'GDTR_LIMIT', words: 1 },
  { field: 'GUEST_IDTR_LIMIT', state: 'IDTR_LIMIT', words: 1 },
  { field: 'GUEST_RIP', state: 'RIP', words: 2 },
  { field: 'GUEST_RSP', state: 'GPR', element: RSP, words: 2 },
  { field: 'GUEST_IA32_SYSENTER_CS', state: 'IA32_SYSENTER_CS', words: 1 },
  { field: 'GUEST_IA32_SYSENTER_ESP', state: 'IA32_SYSENTER_ESP', words: 2 },
  { field: 'GUEST_IA32_SYSENTER_EIP', state: 'IA32_SYSENTER_EIP', words: 2 },
  { field: 'GUEST_ACTIVITY_STATE', state: 'ACTIVITY_STATE', words: 1 },
  { field: 'GUEST_INTERRUPTIBILITY_STATE', state: 'INTERRUPTIBILITY', words: 1 },
  { field: 'GUEST_PENDING_DEBUG_EXCEPTIONS', state: 'PENDING_DEBUG', words: 2 },
];

/** Guest state that VM exits save as it is and VM entries load with conditions. */
export const SAVED_ROWS: readonly TransferRow[] = [
  { field: 'GUEST_CR0', state: 'CR0', words: 1 },
  // No control says so: the processor has "load PKRS" and "load guest IA32_LBR_CTL".
  { field: 'GUEST_IA32_PKRS', state: 'IA32_PKRS', words: 2 },
  { field: 'GUEST_IA32_LBR_CTL', state: 'IA32_LBR_CTL', words: 2 },
];

/** With "save debug controls", "save IA32_PAT", "save IA32_EFER"; and what the entry controls load. */
export const DEBUG_ROWS: readonly TransferRow[] = [
  { field: 'GUEST_DR7', state: 'DR', element: 7, words: 2 },
  { field: 'GUEST_IA32_DEBUGCTL', state: 'IA32_DEBUGCTL', words: 2 },
];
export const PAT_ROWS: readonly TransferRow[] = [{ field: 'GUEST_IA32_PAT', state: 'IA32_PAT', words: 2 }];
export const EFER_ROWS: readonly TransferRow[] = [{ field: 'GUEST_IA32_EFER', state: 'IA32_EFER', words: 2 }];
/** With "save IA32_PERF_GLOBAL_CTL"; loading it changes what counts. */
export const PERF_GLOBAL_CTRL_ROWS: readonly TransferRow[] = [
  { field: 'GUEST_IA32_PERF_GLOBAL_CTRL', state: 'IA32_PERF_GLOBAL_CTRL', words: 2 },
];
/** With "enable EPT", for a guest that uses PAE paging. */
export const PDPTE_ROWS: readonly TransferRow[] = [0, 1, 2, 3].map((element) => ({
  field: `GUEST_PDPTE${element}` as VmcsFieldKey,
  state: 'PDPTE',
  element,
  words: 2,
}));

// biome-ignore format: rows are read as a table
export const HOST_ROWS: readonly TransferRow[] = [
  { field: 'HOST_CR3', state: 'CR3', words: 2 },
  { field: 'HOST_FS_BASE', state: 'SEG_BASE', element: 4, words: 2 },
  { field: 'HOST_GS_BASE', state: 'SEG_BASE', element: 5, words: 2 },
  { field: 'HOST_TR_BASE', state: 'SEG_BASE', element: TR, words: 2 },
  { field: 'HOST_GDTR_BASE', state: 'GDTR_BASE', words: 2 },
  { field: 'HOST_IDTR_BASE', state: 'IDTR_BASE', words: 2 },
  { field: 'HOST_RIP', state: 'RIP', words: 2 },
  { field: 'HOST_RSP', state: 'GPR', element: RSP, words: 2 },
  { field: 'HOST_IA32_SYSENTER_CS', state: 'IA32_SYSENTER_CS', words: 1 },
  { field: 'HOST_IA32_SYSENTER_ESP', state: 'IA32_SYSENTER_ESP', words: 2 },
  { field: 'HOST_IA32_SYSENTER_EIP', state: 'IA32_SYSENTER_EIP', words: 2 },
];
export const HOST_PAT_ROWS: readonly TransferRow[] = [
  { field: 'HOST_IA32_PAT', state: 'IA32_PAT', words: 2 },
];
export const HOST_EFER_ROWS: readonly TransferRow[] = [
  { field: 'HOST_IA32_EFER', state: 'IA32_EFER', words: 2 },
];

/** ES, CS, SS, DS, FS and GS; there is no field for LDTR, and TR never is unusable. */
export const HOST_SELECTORS: readonly { readonly slot: number; readonly segment: number }[] = [
  { slot: SLOT.HOST_ES_SELECTOR, segment: 0 },
  { slot: SLOT.HOST_CS_SELECTOR, segment: CS },
  { slot: SLOT.HOST_SS_SELECTOR, segment: 2 },
  { slot: SLOT.HOST_DS_SELECTOR, segment: 3 },
  { slot: SLOT.HOST_FS_SELECTOR, segment: 4 },
  { slot: SLOT.HOST_GS_SELECTOR, segment: 5 },
  { slot: SLOT.HOST_TR_SELECTOR, segment: TR },
];

/** Pairs of word offsets: in the machine's memory, and from the start of the VMCS region. */
export type TransferList = Int32Array;

function wordOf(key: CpuFieldKey, element: number, words: number): number {
  // Elements of one word are those of the fields that are 4 bytes wide.
  return (OFFSET[key] >> 2) + element * words;
}

export function transferList(rows: readonly TransferRow[]): TransferList {
  return Int32Array.from(
    rows.flatMap(({ field, state, element = 0, words }) =>
      Array.from({ length: words }, (_, word) => [
        wordOf(state, element, words) + word,
        SLOT[field] + word,
      ]).flat(),
    ),
  );
}

/** A transfer that a control asks for. */
export interface ConditionalTransfer {
  readonly control: ControlBit;
  readonly list: TransferList;
}

const withControl = (control: ControlBit, rows: readonly TransferRow[]): ConditionalTransfer => ({
  control,
  list: transferList(rows),
});

/** By the controls in force. */
export const SAVED_WITH: readonly ConditionalTransfer[] = [
  withControl(CONTROL.saveDebugControls, DEBUG_ROWS),
  withControl(CONTROL.savePatOnExit, PAT_ROWS),
  withControl(CONTROL.saveEferOnExit, EFER_ROWS),
  withControl(CONTROL.savePerfGlobalCtrlOnExit, PERF_GLOBAL_CTRL_ROWS),
];
export const LOADED_WITH: readonly ConditionalTransfer[] = [
  withControl(CONTROL.loadDebugControls, DEBUG_ROWS),
  withControl(CONTROL.loadPatOnEntry, PAT_ROWS),
  withControl(CONTROL.loadEferOnEntry, EFER_ROWS),
];
/** By the primary VM-exit controls of the VMCS: none is in force after a VM entry that failed. */
export const HOST_LOADED_WITH: readonly ConditionalTransfer[] = [
  withControl(CONTROL.loadPatOnExit, HOST_PAT_ROWS),
  withControl(CONTROL.loadEferOnExit, HOST_EFER_ROWS),
];

/** VMCS to processor. */
export function load(list: TransferList, words: Int32Array, vmcs: number): void {
  for (let i = 0; i < list.length; i += 2) words[list[i]] = words[vmcs + list[i + 1]];
}

/** Processor to VMCS. */
export function save(list: TransferList, words: Int32Array, vmcs: number): void {
  for (let i = 0; i < list.length; i += 2) words[vmcs + list[i + 1]] = words[list[i]];
}

/** Present, execute/read, accessed; present, read/write, accessed, 32 bits; present, busy 32-bit or 64-bit TSS. */
export const HOST_CS_ACCESS_RIGHTS = AR.P | AR.G | AR.S | 0xb;
export const HOST_DATA_ACCESS_RIGHTS = AR.P | AR.G | AR.DB | AR.S | 3;
export const HOST_TR_ACCESS_RIGHTS = AR.P | 0xb;
const FLAT_LIMIT = -1;
const TSS_LIMIT = 0x67;
const TABLE_LIMIT = 0xffff;
const DR7_INITIAL = 0x400;

const segmentWord = (key: 'SEG_LIMIT' | 'SEG_SELECTOR', segment: number): number =>
  (OFFSET[key] >> 2) + segment;
const baseWord = (segment: number): number => (OFFSET.SEG_BASE >> 2) + 2 * segment;

/**
 * State that every VM exit loads with the same values: pairs of a word offset and a value.
 *
 * @see SDM "Loading Host State", 29.5
 */
export const HOST_CONSTANTS: Int32Array = Int32Array.from(
  [
    // "Loading Host Segment and Descriptor-Table Registers": the bases of CS, SS, DS and ES are 0.
    ...[0, 1, 2, 3].flatMap((segment) => [
      [baseWord(segment), 0],
      [baseWord(segment) + 1, 0],
    ]),
    ...[0, 1, 2, 3, 4, 5].map((segment) => [segmentWord('SEG_LIMIT', segment), FLAT_LIMIT]),
    [segmentWord('SEG_LIMIT', TR), TSS_LIMIT],
    [(OFFSET.SEG_ACCESS_RIGHTS >> 2) + TR, HOST_TR_ACCESS_RIGHTS],
    [segmentWord('SEG_SELECTOR', LDTR), 0],
    [(OFFSET.SEG_ACCESS_RIGHTS >> 2) + LDTR, AR.UNUSABLE],
    [OFFSET.GDTR_LIMIT >> 2, TABLE_LIMIT],
    [OFFSET.IDTR_LIMIT >> 2, TABLE_LIMIT],
    [OFFSET.CPL >> 2, 0],
    // "Loading Host Control Registers, Debug Registers, MSRs"
    [(OFFSET.DR >> 2) + 14, DR7_INITIAL],
    [(OFFSET.DR >> 2) + 15, 0],
    [OFFSET.IA32_DEBUGCTL >> 2, 0],
    [(OFFSET.IA32_DEBUGCTL >> 2) + 1, 0],
    // "Loading Host RIP, RSP, RFLAGS, and SSP": bit 1 alone.
    [OFFSET.RFLAGS >> 2, FLAG.FIXED],
    [OFFSET.CC_OP >> 2, CC_FLAGS | (64 << 4)],
    [OFFSET.CC_A >> 2, 0],
    [(OFFSET.CC_A >> 2) + 1, 0],
    [OFFSET.CC_B >> 2, 0],
    [(OFFSET.CC_B >> 2) + 1, 0],
    // "Updating Non-Register State"
    [OFFSET.ACTIVITY_STATE >> 2, ACTIVITY.ACTIVE],
    [OFFSET.PENDING_DEBUG >> 2, 0],
    [(OFFSET.PENDING_DEBUG >> 2) + 1, 0],
    // The guest's controls are in force no longer.
    ...Array.from({ length: CONTROL_SLOTS }, (_, word) => [(OFFSET.VMX_CONTROLS >> 2) + word, 0]),
    [OFFSET.VMX_EXCEPTION_BITMAP >> 2, 0],
    [OFFSET.VMX_PREEMPTION_ARMED >> 2, 0],
    [OFFSET.TSC_OFFSET >> 2, 0],
    [(OFFSET.TSC_OFFSET >> 2) + 1, 0],
  ].flat(),
);

/** The lists that every VM entry and VM exit goes through; the processor's words are those of all its guests. */
export const GUEST_LIST = transferList(GUEST_ROWS);
export const GUEST_SELECTOR_LIST = transferList(GUEST_SELECTOR_ROWS);
export const SAVED_LIST = transferList(SAVED_ROWS);
export const HOST_LIST = transferList(HOST_ROWS);

/** The same lists as code; each function takes the address of the VMCS region in the machine's memory. */
export interface StateTransfers {
  /** VMCS to processor: {@link GUEST_LIST}, the selectors and {@link LOADED_WITH}, after VMCS_CONTROLS is in force. */
  loadGuest(vmcs: number): void;
  /** Processor to VMCS: {@link GUEST_LIST}, the selectors, {@link SAVED_LIST} and {@link SAVED_WITH}. */
  saveGuest(vmcs: number): void;
  /** {@link HOST_LIST}, {@link HOST_LOADED_WITH}, {@link HOST_SELECTORS} and {@link HOST_CONSTANTS}. */
  loadHost(vmcs: number): void;
  /** What the exit log keeps, to EXIT_RECORD. */
  recordExit(vmcs: number): void;
}
