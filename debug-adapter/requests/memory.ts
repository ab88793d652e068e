import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { DebugAddress } from '../../emulator/index.ts';
import { decodeBase64, encodeBase64 } from '../base64.ts';
import type { SessionContext } from '../context.ts';
import { dapError } from '../errors.ts';
import { hex } from '../expressions/format.ts';
import { othersChanged, writeMemory as write } from '../inspect/assign.ts';
import { parseMemoryReference } from '../memoryReference.ts';

/** One answer is not larger than this. */
const MOST_BYTES = 16 * 2 ** 20;

function addressOf(reference: string, offset: number | undefined): DebugAddress {
  const address = parseMemoryReference(reference, offset ?? 0);
  if (address === undefined) throw dapError('memoryReference', { reference });
  return address;
}

/** The vCPU whose page tables translate: that of the last stop, the first one while the machine runs. */
function readingVcpu(context: SessionContext): number {
  return context.requireDebuggee().control.lastStop?.vcpu ?? 0;
}

/** Works while the machine runs too. */
export async function readMemory(
  context: SessionContext,
  args: P.ReadMemoryArguments,
): Promise<P.ReadMemoryResponse['body']> {
  const address = addressOf(args.memoryReference, args.offset);
  const count = Math.max(0, Math.min(args.count, MOST_BYTES));
  const end = (args.offset ?? 0) + count;
  context.shownMemory.set(
    args.memoryReference,
    Math.max(end, context.shownMemory.get(args.memoryReference) ?? 0),
  );
  const bytes =
    count === 0
      ? new Uint8Array(0)
      : await context.requireDebuggee().machine.readMemory(readingVcpu(context), address, count);
  return {
    address: hex(address.address),
    ...(bytes.length > 0 && { data: encodeBase64(bytes) }),
    ...(bytes.length < count && { unreadableBytes: count - bytes.length }),
  };
}

export async function writeMemory(
  context: SessionContext,
  args: P.WriteMemoryArguments,
): Promise<P.WriteMemoryResponse['body']> {
  const address = addressOf(args.memoryReference, args.offset);
  const bytes = decodeBase64(args.data);
  if (bytes === undefined) throw dapError('memoryData');
  const bytesWritten = await write(context, readingVcpu(context), address, bytes);
  if (bytesWritten < bytes.length && !args.allowPartial)
    throw dapError('memoryWrite', { reference: hex(address.address + BigInt(bytesWritten)) });
  othersChanged(context);
  return { bytesWritten };
}
