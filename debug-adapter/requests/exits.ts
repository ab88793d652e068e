/** Requests of the exits view: see protocol/exits.ts. */
import type { ExitRecord, ExitFilter as MachineFilter } from '../../emulator/index.ts';
import type { SessionContext } from '../context.ts';
import type { Debuggee } from '../debuggee.ts';
import { dapError } from '../errors.ts';
import { hex } from '../expressions/format.ts';
import { vmcsGroups } from '../inspect/vmcsRows.ts';
import type { ExitFilter, ExitPage, ExitRequests, ExitRow } from '../protocol/exits.ts';

type Args<K extends keyof ExitRequests> = ExitRequests[K][0];
type Body<K extends keyof ExitRequests> = Promise<ExitRequests[K][1]>;
type ListPart = Omit<ExitPage, 'rows' | 'start' | 'hypervisor'> & { readonly records: readonly ExitRecord[] };

const MOST_ROWS = 10_000;
const NOT_RECORDED = 'not recorded';

/** A page of the exits list; works while the machine runs. */
export async function exits(
  context: SessionContext,
  { start, count, filter }: Args<'hvm/exits'>,
): Body<'hvm/exits'> {
  if ((start !== undefined && !isCount(start)) || !isCount(count)) throw dapError('exitsRange');
  const debuggee = context.requireDebuggee();
  const shown = Math.min(count, MOST_ROWS);
  const { records, ...part } =
    filter === undefined || Object.keys(filter).length === 0
      ? await everyExit(debuggee, start, shown)
      : await matchingExits(debuggee, checked(debuggee, filter), start, shown);
  const { config } = debuggee;
  return {
    ...part,
    start: Math.max(start ?? part.end - records.length, part.first),
    hypervisor: config.mode === 'guest' ? 'built-in' : config.virtualization === 'vt-x' ? 'program' : 'none',
    rows: records.map((record) => exitRow(record, debuggee)),
  };
}

async function everyExit({ machine }: Debuggee, start: number | undefined, count: number): Promise<ListPart> {
  const [{ total, kept, records }, { exitsByReason }] = await Promise.all([
    machine.exits(start, count),
    machine.statistics(),
  ]);
  return {
    total,
    kept,
    first: kept,
    end: total,
    isComplete: true,
    searched: total,
    reasons: exitsByReason,
    records,
  };
}

/** The machine searches its records; symbols and sources are known here alone. */
async function matchingExits(
  debuggee: Debuggee,
  filter: MachineFilter,
  start: number | undefined,
  count: number,
): Promise<ListPart> {
  const { machine, exitPlaces } = debuggee;
  let isComplete = true;
  if (filter.text !== undefined) {
    const part = await machine.exitAddresses(exitPlaces.count);
    exitPlaces.add(part.addresses);
    isComplete = part.isComplete;
  }
  const { total, kept, first, end, searched, reasons, records, ...found } = await machine.findExits(
    filter,
    exitPlaces.matching(filter.text),
    start,
    count,
  );
  isComplete &&= found.isComplete;
  return { total, kept, first, end, isComplete, searched, reasons, records };
}

function checked({ exitReasons }: Debuggee, filter: ExitFilter): MachineFilter {
  const { reasons, from, to, positionFrom, positionTo, text } = filter;
  for (const value of [from, to, positionFrom, positionTo])
    if (value !== undefined && !isCount(value)) throw dapError('exitsRange');
  return {
    ...(reasons && {
      reasons: reasons.map((key) => {
        const reason = exitReasons.find((candidate) => candidate.key === key);
        if (reason === undefined) throw dapError('exitReason', { reason: String(key) });
        return reason.number;
      }),
    }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(positionFrom !== undefined && { positionFrom }),
    ...(positionTo !== undefined && { positionTo }),
    ...(text !== undefined && text !== '' && { text: String(text).toLowerCase() }),
  };
}

/** The VMCS as an exit left it. */
export async function exitVmcs(
  context: SessionContext,
  { number }: Args<'hvm/exitVmcs'>,
): Body<'hvm/exitVmcs'> {
  const { machine, program } = context.requireDebuggee();
  const fields = isCount(number) ? await machine.exitVmcs(number) : undefined;
  if (fields === undefined) throw dapError('noExit', { number });
  const groups = vmcsGroups(fields, {
    symbol: (address) => program.describe(address),
    watched: new Set(),
  });
  return {
    groups: groups.map(({ title, rows }) => ({
      title,
      rows: rows.map((row) =>
        row.stored === undefined && row.missing === undefined ? { ...row, meaning: NOT_RECORDED } : row,
      ),
    })),
  };
}

/** Where an exit came from: its source, or the disassembly around it. */
export async function exitSource(
  context: SessionContext,
  { number }: Args<'hvm/exitSource'>,
): Body<'hvm/exitSource'> {
  const { machine, program, sources } = context.requireDebuggee();
  const { records } = isCount(number) ? await machine.exits(number, 1) : { records: [] };
  const [record] = records;
  if (record === undefined || record.number !== number) throw dapError('noExit', { number });
  const position = program.addressToLine(record.rip);
  const path = position && (await sources.toClient(position.path));
  if (position && path !== undefined) return { name: fileName(position.path), path, line: position.line };
  const { source, line } = await context.generated.around(
    record.rip,
    program.symbolAt(record.rip),
    (from, count) => machine.disassemble(record.vcpu, from, count),
    (target) => program.describe(target),
  );
  return { name: source.name, sourceReference: source.reference, line };
}

function exitRow(record: ExitRecord, { exitPlaces }: Debuggee): ExitRow {
  const { number, position, vcpu, level, reasonName, text, cost, instructionLength } = record;
  return {
    number,
    position,
    vcpu,
    level,
    reason: reasonName,
    rip: hex(record.rip),
    ...exitPlaces.at(record.rip),
    qualification: hex(record.qualification),
    guestPhysical: hex(record.guestPhysical),
    instructionLength,
    interruptionInformation: hex(BigInt(record.interruptionInformation), 32),
    text,
    cost,
  };
}

function fileName(path: string): string {
  return path.split(/[\\/]/).pop() ?? path;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
