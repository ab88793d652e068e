/**
 * One line of text for a VM exit, for traces and the stack's "VM exit" label, from the exit-reason rows and their
 * layouts: `I/O instruction: OUT 0x3f8, 1 byte`.
 *
 * Intel SDM Vol. 3C, "VM Exits", "Recording VM-Exit Information and Updating VM-Entry Control Fields".
 */
import { type DecodedBitField, decodeBitFields } from '../base/bitFields.ts';
import { INSTRUCTION_INFORMATION, QUALIFICATION } from './exitLayouts.ts';
import { EXIT_REASON_NUMBER, type ExitReasonKey, exitReasonRow } from './exitReasons.ts';
import { EVENT_TYPE, EXCEPTION_NAMES, EXIT_INTERRUPTION_BITS, EXIT_REASON } from './registerBits.ts';

/** What else the VMCS says of the exit; whatever is absent is left out of the text. */
export interface ExitDetails {
  readonly qualification?: bigint;
  readonly instructionInformation?: bigint;
  readonly interruptionInformation?: bigint;
  readonly interruptionErrorCode?: bigint;
  readonly guestLinearAddress?: bigint;
  readonly guestPhysicalAddress?: bigint;
  /** RCX at the time of RDMSR and WRMSR, RAX and RCX at the time of CPUID, when the caller has them. */
  readonly rax?: bigint;
  readonly rcx?: bigint;
}

type Fields = Readonly<Record<string, DecodedBitField>>;

function byKey(decoded: readonly DecodedBitField[]): Fields {
  return Object.fromEntries(decoded.map((field) => [field.key, field]));
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;
const u32 = (value: bigint): string => hex(value & 0xffff_ffffn);

/** "#PF, error code 0x2, address 0x1000", "NMI", "software interrupt 0x80". */
function describeEvent(details: ExitDetails): string {
  const info = details.interruptionInformation;
  if (info === undefined) return '';
  const { VECTOR, TYPE, ERROR_CODE, VALID } = byKey(decodeBitFields(info, EXIT_INTERRUPTION_BITS));
  if (VALID.value === 0n) return '';
  const isException =
    TYPE.value === EVENT_TYPE.hardwareException ||
    TYPE.value === EVENT_TYPE.softwareException ||
    TYPE.value === EVENT_TYPE.privilegedSoftwareException;
  const parts: string[] = [];
  if (isException) parts.push(EXCEPTION_NAMES[Number(VECTOR.value)] ?? `vector ${VECTOR.value}`);
  else if (TYPE.value === EVENT_TYPE.nmi) parts.push('NMI');
  else parts.push(`vector ${hex(VECTOR.value)}`);
  if (ERROR_CODE.value === 1n && details.interruptionErrorCode !== undefined) {
    parts.push(`error code ${hex(details.interruptionErrorCode)}`);
  }
  if (isException && VECTOR.value === 14n && details.qualification !== undefined) {
    parts.push(`address ${hex(details.qualification)}`);
  }
  return parts.join(', ');
}

function describeCrAccess(q: Fields): string {
  switch (q.ACCESS.meaning) {
    case 'MOV to CR':
      return `MOV CR${q.REGISTER.value}, ${q.OPERAND.meaning}`;
    case 'MOV from CR':
      return `MOV ${q.OPERAND.meaning}, CR${q.REGISTER.value}`;
    case 'LMSW':
      return `LMSW ${hex(q.LMSW_SOURCE.value)}`;
    default:
      return q.ACCESS.meaning;
  }
}

function describeIo(q: Fields): string {
  const mnemonic = q.STRING.value === 0n ? q.IN.meaning : q.IN.value === 1n ? 'INS' : 'OUTS';
  return `${q.REP.value === 1n ? 'REP ' : ''}${mnemonic} ${hex(q.PORT.value)}, ${q.SIZE.meaning}`;
}

function describeEptViolation(q: Fields, details: ExitDetails): string {
  const accesses: string[] = [];
  if (q.READ.value === 1n) accesses.push('data read');
  if (q.WRITE.value === 1n) accesses.push('data write');
  if (q.FETCH.value === 1n) accesses.push('instruction fetch');
  const where = details.guestPhysicalAddress === undefined ? '' : ` at ${hex(details.guestPhysicalAddress)}`;
  const linear =
    q.LINEAR_VALID.value === 1n && details.guestLinearAddress !== undefined
      ? ` (linear ${hex(details.guestLinearAddress)}${q.TRANSLATED.value === 0n ? ', page walk' : ''})`
      : '';
  return `${accesses.join(' and ')}${where}${linear}`;
}

function describeInstruction(details: ExitDetails, layout: 'gdtrIdtr' | 'ldtrTr'): string {
  const info = details.instructionInformation;
  if (info === undefined) return '';
  return byKey(decodeBitFields(info, INSTRUCTION_INFORMATION[layout].bits)).INSTRUCTION.meaning;
}

type Describe = (qualification: Fields, details: ExitDetails) => string;

const atGuestPhysical: Describe = (_q, { guestPhysicalAddress }) =>
  guestPhysicalAddress === undefined ? '' : `at ${hex(guestPhysicalAddress)}`;
const msrNumber: Describe = (_q, { rcx }) => (rcx === undefined ? '' : u32(rcx));

/** What follows the colon, for the reasons that have more to say than their name. */
const DESCRIPTIONS: Readonly<Partial<Record<ExitReasonKey, Describe>>> = {
  exceptionOrNmi: (_q, details) => describeEvent(details),
  externalInterrupt: (_q, details) => describeEvent(details),
  startUpIpi: (q) => `vector ${hex(q.VECTOR.value)}`,
  taskSwitch: (q) => `${q.SOURCE.meaning} to ${hex(q.SELECTOR.value)}`,
  cpuid: (_q, { rax, rcx }) =>
    rax === undefined ? '' : `leaf ${u32(rax)}${rcx === undefined ? '' : `, subleaf ${u32(rcx)}`}`,
  invlpg: (q) => hex(q.ADDRESS.value),
  controlRegisterAccess: describeCrAccess,
  movDr: (q) =>
    q.DIRECTION.value === 0n
      ? `MOV DR${q.REGISTER.value}, ${q.OPERAND.meaning}`
      : `MOV ${q.OPERAND.meaning}, DR${q.REGISTER.value}`,
  ioInstruction: describeIo,
  rdmsr: msrNumber,
  wrmsr: msrNumber,
  entryFailureInvalidGuestState: (q) => q.CAUSE.meaning,
  entryFailureMsrLoading: (q) => `entry ${q.ENTRY.value}`,
  mwait: (q) => `monitor ${q.ARMED.meaning}`,
  apicAccess: (q) => `${q.ACCESS.meaning} at offset ${hex(q.OFFSET.value)}`,
  virtualizedEoi: (q) => `vector ${hex(q.VECTOR.value)}`,
  gdtrIdtrAccess: (_q, details) => describeInstruction(details, 'gdtrIdtr'),
  ldtrTrAccess: (_q, details) => describeInstruction(details, 'ldtrTr'),
  eptViolation: describeEptViolation,
  eptMisconfiguration: atGuestPhysical,
  apicWrite: (q) => `offset ${hex(q.OFFSET.value)}`,
};

const REGISTER_USERS: ReadonlySet<number> = new Set(
  (['cpuid', 'rdmsr', 'wrmsr'] as const).map((key) => EXIT_REASON_NUMBER[key]),
);

/** Whether the text of an exit with a basic reason names what is in RAX or RCX. */
export function usesRegisters(reason: number): boolean {
  return REGISTER_USERS.has(reason);
}

const { BASIC } = EXIT_REASON;

/**
 * The exit as text.
 *
 * @param exitReason the exit-reason field, of which bits 15:0 are the basic reason
 */
export function describeExit(exitReason: number, details: ExitDetails = {}): string {
  const basic = exitReason & Number(BASIC);
  const row = exitReasonRow(basic);
  if (row === undefined) return `Exit reason ${basic}`;
  const layout = row.qualification;
  const describe = DESCRIPTIONS[row.key];
  if (describe === undefined) return row.name;
  if (layout !== undefined && details.qualification === undefined) return row.name;
  const fields =
    layout === undefined
      ? {}
      : byKey(decodeBitFields(details.qualification ?? 0n, QUALIFICATION[layout].bits));
  const more = describe(fields, details);
  return more === '' ? row.name : `${row.name}: ${more}`;
}
