/** The report on a VM entry: see protocol/entryReport.ts. */
import { type BrokenRule, type EntryReport, entryReportLines } from '../../emulator/index.ts';
import type { SessionContext } from '../context.ts';
import { hex } from '../expressions/format.ts';
import type { Program } from '../program/program.ts';
import type { EntryReportRequests, EntryReportRule } from '../protocol/entryReport.ts';

type Args = EntryReportRequests['hvm/entryReport'][0];
type Body = EntryReportRequests['hvm/entryReport'][1];

export async function entryReport(
  context: SessionContext,
  { threadId, which = 'current' }: Args,
): Promise<Body> {
  const vcpu = context.vcpuOf(threadId);
  context.requireStop();
  const { machine, program } = context.requireDebuggee();
  const report = await machine.entryReport(vcpu, which === 'lastFailure' ? which : 'current');
  return report === undefined ? {} : { report: describe(report, program) };
}

function describe(report: EntryReport, program: Program): NonNullable<Body['report']> {
  const { vmcs, instruction, enters, outcome, rules, failedAt } = report;
  const location = failedAt && placeOf(program, failedAt.rip);
  return {
    ...(vmcs !== undefined && { vmcs: hex(vmcs) }),
    instruction,
    enters,
    outcome,
    rules: rules.map((rule) => describeRule(rule, program)),
    ...(failedAt && {
      failedAt: {
        rip: hex(failedAt.rip),
        position: failedAt.position,
        ...(location !== undefined && { location }),
      },
    }),
    text: reportText(report, program),
  };
}

/** The report as lines, with the places of VMWRITEs in the source. */
export function reportText(report: EntryReport, program: Program): string {
  return entryReportLines(report, (address) => placeOf(program, address)).join('\n');
}

function describeRule({ field, others, ...rule }: BrokenRule, program: Program): EntryReportRule {
  const { id, section, text, reference, outcome } = rule;
  const writtenIn = field?.writtenAt === undefined ? undefined : placeOf(program, field.writtenAt);
  return {
    id,
    section,
    text,
    reference,
    outcome,
    ...(field && {
      field: {
        key: field.key,
        title: field.title,
        encoding: hex(BigInt(field.encoding)),
        value: hex(field.value),
        ...(field.offendingBits !== undefined && { offendingBits: hex(field.offendingBits) }),
        offending: field.offending,
        ...(field.allowed !== undefined && { allowed: field.allowed }),
        ...(field.capability !== undefined && { capability: field.capability }),
        ...(field.passing !== undefined && { passing: hex(field.passing) }),
        ...(field.writtenAt !== undefined && { writtenAt: hex(field.writtenAt) }),
        ...(writtenIn !== undefined && { writtenIn }),
      },
    }),
    others: others.map(({ key, value }) => ({ key, value: hex(value) })),
  };
}

/** `setup_guest+0x12 vmx.c:120`, as much of it as is known: the line of the function itself, not of what is inlined. */
function placeOf(program: Program, address: bigint): string | undefined {
  const line = program.functionAt(address)?.frames.at(-1)?.position ?? program.addressToLine(address);
  const file = line?.path.split(/[\\/]/).at(-1);
  const parts = [program.describe(address), line && `${file}:${line.line}`].filter(
    (part) => part !== undefined,
  );
  return parts.length === 0 ? undefined : parts.join(' ');
}
