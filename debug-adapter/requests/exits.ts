/** Requests of the exits view: see protocol/exits.ts. */
import type { ExitRecord } from '../../emulator/index.ts';
import type { SessionContext } from '../context.ts';
import { dapError } from '../errors.ts';
import { hex } from '../expressions/format.ts';
import type { ExitRequests, ExitRow } from '../protocol/exits.ts';

type Args<K extends keyof ExitRequests> = ExitRequests[K][0];
type Body<K extends keyof ExitRequests> = Promise<ExitRequests[K][1]>;

const MOST_ROWS = 10_000;

/** A page of the exits list; works while the machine runs. */
export async function exits(context: SessionContext, { start, count }: Args<'hvm/exits'>): Body<'hvm/exits'> {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(count) || start < 0 || count < 0)
    throw dapError('exitsRange');
  const { machine, program } = context.requireDebuggee();
  const { total, records } = await machine.exits(start, Math.min(count, MOST_ROWS));
  return { total, rows: records.map((record) => exitRow(record, program.describe(record.rip))) };
}

function exitRow(record: ExitRecord, location: string | undefined): ExitRow {
  const { number, position, vcpu, level, reasonName, text, cost, instructionLength } = record;
  return {
    number,
    position,
    vcpu,
    level,
    reason: reasonName,
    rip: hex(record.rip),
    ...(location !== undefined && { location }),
    qualification: hex(record.qualification),
    guestPhysical: hex(record.guestPhysical),
    instructionLength,
    interruptionInformation: hex(BigInt(record.interruptionInformation), 32),
    text,
    cost,
  };
}
