import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { SessionContext } from '../context.ts';
import { hex } from '../expressions/format.ts';
import type { Frame } from '../inspect/stack.ts';

export async function stackTrace(
  context: SessionContext,
  args: P.StackTraceArguments,
): Promise<P.StackTraceResponse['body']> {
  const vcpu = context.vcpuOf(args.threadId);
  context.requireStop();
  const stack = await context.stack(vcpu);
  const start = args.startFrame ?? 0;
  const end = args.levels ? start + args.levels : stack.length;
  const stackFrames: P.StackFrame[] = [];
  for (let index = start; index < Math.min(end, stack.length); index++)
    stackFrames.push(await frameOf(context, vcpu, index, stack[index]));
  return { stackFrames, totalFrames: stack.length };
}

async function frameOf(
  context: SessionContext,
  vcpu: number,
  index: number,
  frame: Frame,
): Promise<P.StackFrame> {
  if (frame.isLabel) {
    const id = context.frameHandles.create({ vcpu, index });
    return { id, name: frame.name, line: 0, column: 0, presentationHint: 'label' };
  }
  const { firstLine, firstColumn } = context.client;
  const common = {
    id: context.frameHandles.create({ vcpu, index }),
    name: frame.name,
    // The client reads code at it, which is the running level's.
    ...(frame.resting === undefined && { instructionPointerReference: hex(frame.address) }),
  };
  const { position } = frame;
  const path = position && (await context.requireDebuggee().sources.toClient(position.path));
  if (position && path !== undefined) {
    const source = { name: position.path.split(/[\\/]/).pop(), path };
    const column = position.column > 0 ? position.column - 1 + firstColumn : firstColumn - 1;
    return { ...common, source, line: position.line - 1 + firstLine, column: Math.max(column, 0) };
  }
  // The client looks for the first frame with a source: the top frame must have one.
  if (index > 0) return { ...common, line: 0, column: 0, presentationHint: 'subtle' };
  const { source, line } = await generatedSource(context, vcpu, frame.address);
  return { ...common, source, line: line - 1 + firstLine, column: firstColumn };
}

async function generatedSource(
  context: SessionContext,
  vcpu: number,
  address: bigint,
): Promise<{ source: P.Source; line: number }> {
  const { machine, program } = context.requireDebuggee();
  const { source, line } = await context.generated.around(
    address,
    program.symbolAt(address),
    (from, count) => machine.disassemble(vcpu, from, count),
    (target) => program.describe(target),
  );
  return { source: { name: source.name, sourceReference: source.reference, origin: 'disassembly' }, line };
}
