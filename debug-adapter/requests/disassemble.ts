import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { DisassembledLine } from '../../emulator/index.ts';
import type { SessionContext } from '../context.ts';
import { dapError } from '../errors.ts';
import { hex } from '../expressions/format.ts';
import { instructionsBefore } from '../inspect/disassembly.ts';
import { parseMemoryReference } from '../memoryReference.ts';

const MOST_INSTRUCTIONS = 10_000;

/** Exactly as many instructions as were asked for: what cannot be read is there as an invalid one. */
export async function disassemble(
  context: SessionContext,
  args: P.DisassembleArguments,
): Promise<P.DisassembleResponse['body']> {
  const { machine, program, control } = context.requireDebuggee();
  const reference = parseMemoryReference(args.memoryReference, args.offset ?? 0);
  if (reference === undefined || reference.space !== 'linear')
    throw dapError('memoryReference', { reference: args.memoryReference });
  const vcpu = control.lastStop?.vcpu ?? 0;
  const decode = (address: bigint, count: number) => machine.disassemble(vcpu, address, count);
  const count = Math.min(args.instructionCount, MOST_INSTRUCTIONS);
  const offset = Math.max(-MOST_INSTRUCTIONS, Math.min(args.instructionOffset ?? 0, MOST_INSTRUCTIONS));
  const { address } = reference;

  const wantedBefore = Math.max(0, -offset);
  const symbol = program.symbolAt(address);
  const before =
    wantedBefore === 0
      ? []
      : await instructionsBefore(address, wantedBefore, { functionStart: symbol?.address }, decode);
  const padding = invalidLines(before[0]?.address ?? address, wantedBefore - before.length, -1n);
  const from = [...padding.reverse(), ...before];
  const forward = Math.max(0, count + offset);
  const after = forward === 0 ? [] : await decode(address, forward);
  const last = after[after.length - 1];
  const next = last === undefined ? address : last.address + BigInt(last.bytes.length || 1);
  const lines = [...from, ...after, ...invalidLines(next - 1n, forward - after.length, 1n)];
  const skipped = Math.max(0, offset);
  return {
    instructions: await present(
      context,
      lines.slice(skipped, skipped + count),
      args.resolveSymbols !== false,
    ),
  };
}

/** Rows for addresses where nothing can be read, beginning next to `address`. */
function invalidLines(address: bigint, count: number, step: bigint): DisassembledLine[] {
  return Array.from({ length: Math.max(0, count) }, (_, i) => ({
    address: BigInt.asUintN(64, address + step * BigInt(i + 1)),
    bytes: new Uint8Array(0),
    text: '??',
    target: undefined,
    valid: false,
  }));
}

async function present(
  context: SessionContext,
  lines: readonly DisassembledLine[],
  resolveSymbols: boolean,
): Promise<P.DisassembledInstruction[]> {
  const { program, sources } = context.requireDebuggee();
  const { firstLine } = context.client;
  const instructions: P.DisassembledInstruction[] = [];
  let lastPath: string | undefined;
  for (const { address, bytes, text, target, valid } of lines) {
    const common = { address: hex(address), instruction: text };
    if (!valid) {
      instructions.push({ ...common, instruction: '??', presentationHint: 'invalid' });
      continue;
    }
    const symbol = program.symbolAt(address);
    const targetName = resolveSymbols && target !== undefined ? program.describe(target) : undefined;
    const line = program.addressToLine(address);
    const path = line && line.start === address ? await sources.toClient(line.path) : undefined;
    instructions.push({
      ...common,
      instruction: targetName === undefined ? text : `${text}  ; ${targetName}`,
      instructionBytes: [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
      ...(symbol?.offset === 0 && { symbol: symbol.name }),
      ...(line && path !== undefined && { line: line.line - 1 + firstLine }),
      // A location stands until another one is named.
      ...(path !== undefined && path !== lastPath && { location: { name: path.split(/[\\/]/).pop(), path } }),
    });
    if (path !== undefined) lastPath = path;
  }
  return instructions;
}
