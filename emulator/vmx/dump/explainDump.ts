/**
 * Explains the VMCS of another machine by its dump: what the processor said, and every rule of VM entry that the values
 * break. Of the processor nothing is known, so that it is taken to offer everything the manual names; a rule about
 * something the dump does not show is left undecided.
 *
 * Intel SDM Vol. 3C, "VM Entries", chapter 28.
 */
import { definedBits } from '../../base/bitFields.ts';
import { MSRS } from '../../core/msrs.ts';
import { architecturalCapabilities } from '../capabilities.ts';
import { CONTROL_WORDS, type ControlField, namedSettings } from '../controls.ts';
import { type EntryCheckRow, type EntryContext, vmcsView } from '../entryChecks/check.ts';
import { ENTRY_CHECKS } from '../entryChecks/evaluate.ts';
import { type BrokenRule, brokenRules } from '../entryReport.ts';
import { EXIT_REASON_NUMBER, exitReasonRow } from '../exitReasons.ts';
import { msrRule } from '../failedEntry.ts';
import type { VmcsFieldKey } from '../fields.ts';
import { NOT_LOADED } from '../msrAreas.ts';
import { CR4, CR4_BITS, EFER } from '../registerBits.ts';
import { VMCS_FIELD_LIST } from '../vmcsLayout.ts';
import { type DumpedMsr, parseVmcsDumps, type VmcsDump } from './parseDump.ts';

export interface DumpExplanation {
  readonly hypervisor: string | undefined;
  /** How many fields the dump shows. */
  readonly fields: number;
  /** What the processor said, as far as the dump has it. */
  readonly said: string | undefined;
  readonly rules: readonly BrokenRule[];
  /** Rules that need something the dump does not show. */
  readonly undecided: readonly {
    readonly id: string;
    readonly text: string;
    readonly missing: readonly string[];
  }[];
}

/** The largest there is: a smaller one refuses more. */
const PHYSICAL_ADDRESS_WIDTH = 52;
/** LBR, BTF, BLD, and the trace and freeze bits. */
const DEBUGCTL_DEFINED = 0xffc7n;

/** Every dump in a text, in order. */
export function explainVmcsDumps(text: string): DumpExplanation[] {
  return parseVmcsDumps(text).map(explain);
}

function explain({ hypervisor, fields, entryMsrs }: VmcsDump): DumpExplanation {
  const context = contextOf(fields);
  const decided: EntryCheckRow[] = [];
  const undecided: DumpExplanation['undecided'][number][] = [];
  for (const row of ENTRY_CHECKS) {
    const missing = row.needs.filter((key) => !fields.has(key));
    if (row.alsoReads === 'memory') missing.push('memory' as VmcsFieldKey);
    if (missing.length === 0) decided.push(row);
    else if (mayBeBroken(row, fields, context)) undecided.push({ id: row.id, text: row.text, missing });
  }
  // Where a control word is not shown, a rule is broken if it is with all controls 0 and with all 1.
  const with0 = brokenRules(
    { read: reader(fields, (word) => namedSettings(word).mustBe1), context },
    decided,
  );
  const broken1 = vmcsView(
    reader(fields, (word) => namedSettings(word).mayBe1),
    context,
  );
  const rules = with0.filter(({ id }) => decided.find((row) => row.id === id)?.check(broken1) !== undefined);
  const refused = refusedMsr(fields, entryMsrs);
  return {
    hypervisor,
    fields: fields.size,
    said: whatWasSaid(fields),
    rules: refused === undefined ? rules : [...rules, refused],
    undecided,
  };
}

/** The MSR that could not be loaded: the qualification counts from 1. */
function refusedMsr(fields: VmcsDump['fields'], msrs: readonly DumpedMsr[]): BrokenRule | undefined {
  if (fields.get('VM_EXIT_REASON') !== (ENTRY_FAILURE | BigInt(EXIT_REASON_NUMBER.entryFailureMsrLoading)))
    return undefined;
  const number = Number(fields.get('EXIT_QUALIFICATION') ?? 0n);
  const entry = msrs[number - 1];
  if (entry === undefined) return undefined;
  const { msr, value } = entry;
  return msrRule({
    number,
    address: undefined,
    msr,
    name: MSRS.find(({ address }) => address === msr)?.name,
    value,
    why: NOT_LOADED.has(msr)
      ? 'this MSR may not be in the area'
      : 'the processor has no such MSR, or WRMSR refuses the value',
  });
}

/** Whether what is missing matters: most rules hold whatever a field is while some control is 0. */
function mayBeBroken(row: EntryCheckRow, fields: VmcsDump['fields'], context: EntryContext): boolean {
  if (row.alsoReads === 'memory') return row.needs.some((key) => fields.has(key));
  const words = [
    (word: WordKey) => namedSettings(word).mustBe1,
    (word: WordKey) => namedSettings(word).mayBe1,
  ];
  return words.some((unknownWord) =>
    [0n, ~0n].some((other) => {
      const read = reader(fields, unknownWord, other);
      return row.check(vmcsView(read, context)) !== undefined;
    }),
  );
}

type WordKey = (typeof CONTROL_WORDS)[number]['key'];

const WORD_OF_FIELD: ReadonlyMap<string, WordKey> = new Map(
  CONTROL_WORDS.map(({ key, field }) => [field as ControlField, key]),
);

function reader(
  fields: VmcsDump['fields'],
  unknownWord: (word: WordKey) => bigint,
  unknownField = 0n,
): (ordinal: number) => bigint {
  return (ordinal) => {
    const { key, mask } = VMCS_FIELD_LIST[ordinal];
    const known = fields.get(key);
    if (known !== undefined) return known;
    const word = WORD_OF_FIELD.get(key);
    return word === undefined ? unknownField & mask : unknownWord(word);
  };
}

const HOST_ADDRESS_SPACE_SIZE = 1n << 9n;

function contextOf(fields: VmcsDump['fields']): EntryContext {
  const cr4 = (fields.get('GUEST_CR4') ?? 0n) | (fields.get('HOST_CR4') ?? 0n);
  const exitControls = fields.get('PRIMARY_VM_EXIT_CONTROLS');
  return {
    capabilities: architecturalCapabilities(definedBits(CR4_BITS)),
    physicalAddressWidth: PHYSICAL_ADDRESS_WIDTH,
    linearAddressWidth: (cr4 & CR4.LA57) === 0n ? 48 : 57,
    // The dumping kernel is the host.
    ia32eMode: exitControls === undefined || (exitControls & HOST_ADDRESS_SPACE_SIZE) !== 0n,
    inSmm: false,
    currentVmcsPointer: 0n,
    eferSupported: EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE,
    debugctlSupported: DEBUGCTL_DEFINED,
    // How many counters there are is not known.
    perfGlobalCtrlSupported: 0xffff_ffff_ffff_ffffn,
    supportsRtm: true,
    supportsSgx: true,
    readPhysical32: () => 0n,
    readPhysical64: () => 0n,
  };
}

const ENTRY_FAILURE = 1n << 31n;

function whatWasSaid(fields: VmcsDump['fields']): string | undefined {
  const reason = fields.get('VM_EXIT_REASON');
  if (reason === undefined) return undefined;
  const qualification = fields.get('EXIT_QUALIFICATION') ?? 0n;
  const number = Number(reason & 0xffffn);
  const name = exitReasonRow(number)?.name ?? `exit reason ${number}`;
  const numbers = `exit reason ${number}, qualification 0x${qualification.toString(16)}`;
  return (reason & ENTRY_FAILURE) === 0n ? `VM exit: ${name} (${numbers})` : `${name} (${numbers})`;
}
