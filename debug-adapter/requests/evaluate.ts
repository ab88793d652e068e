import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { SessionContext } from '../context.ts';
import { dapError } from '../errors.ts';
import { evaluate as evaluateExpression, type Value } from '../expressions/evaluate.ts';
import { formatValue, hex } from '../expressions/format.ts';
import { parseExpression } from '../expressions/parser.ts';
import { assign, othersChanged } from '../inspect/assign.ts';
import { fieldVariables } from '../inspect/registers.ts';
import { frameScope } from '../inspect/scope.ts';
import { formatMemoryReference } from '../memoryReference.ts';

interface Evaluated {
  readonly vcpu: number;
  readonly value: Value;
}

async function compute(
  context: SessionContext,
  text: string,
  frameId: number | undefined,
): Promise<Evaluated> {
  const expression = parseExpression(text);
  const { vcpu, frame } = await context.frame(frameId);
  const { program } = context.requireDebuggee();
  return {
    vcpu,
    value: await context
      .view(vcpu)
      .read((state) => evaluateExpression(expression, frameScope(state, program, frame))),
  };
}

export async function evaluate(
  context: SessionContext,
  args: P.EvaluateArguments,
): Promise<P.EvaluateResponse['body']> {
  const assignment = args.context === 'repl' ? splitAssignment(args.expression) : undefined;
  if (assignment) {
    const { value } = await setExpression(context, { ...assignment, frameId: args.frameId });
    return { result: value, variablesReference: 0 };
  }
  const { vcpu, value } = await compute(context, args.expression, args.frameId);
  const { named, place, type } = value;
  const { program } = context.requireDebuggee();
  const located = value.symbol === undefined && type.bits === 64 ? program.describe(value.value) : undefined;
  const parts = named && named.fields.length > 0 && place && place.kind !== 'memory' ? place : undefined;
  const fields = parts ? await decodedFields(context, vcpu, parts) : [];
  return {
    result:
      located === undefined || value.value < 0x1000n
        ? formatValue(value, context.numberFormat)
        : `${formatValue(value, context.numberFormat)} <${located}>`,
    type: type.name,
    variablesReference:
      fields.length === 0
        ? 0
        : context.variables.create({
            vcpu,
            frameId: args.frameId,
            list: () => fieldVariables(fields, args.expression, parts, context.numberFormat),
          }),
    ...referenceOf(value),
  };
}

/** Where the client finds the memory a value is, or points to. */
function referenceOf({ value, type, place, space, pointee }: Value): { memoryReference?: string } {
  if (place?.kind === 'memory' && pointee === undefined)
    return { memoryReference: formatMemoryReference(place.address) };
  if (space) return { memoryReference: formatMemoryReference({ ...space, address: value }) };
  return type.bits === 64 && !type.signed ? { memoryReference: hex(value) } : {};
}

async function decodedFields(
  context: SessionContext,
  vcpu: number,
  place: { kind: 'register'; name: string } | { kind: 'vmcs'; key: string },
) {
  if (place.kind === 'vmcs')
    return (await context.view(vcpu).vmcs()).find(({ key }) => key === place.key)?.fields ?? [];
  const registers = (await context.view(vcpu).registers()).flatMap((group) => group.registers);
  return registers.find(({ name }) => name === place.name)?.fields ?? [];
}

/** `left = right`, where the equals sign is no comparison. */
function splitAssignment(text: string): { expression: string; value: string } | undefined {
  const match = /^([^=!<>]+)=([^=].*)$/s.exec(text);
  return match ? { expression: match[1].trim(), value: match[2].trim() } : undefined;
}

export async function setExpression(
  context: SessionContext,
  args: P.SetExpressionArguments,
): Promise<P.SetExpressionResponse['body']> {
  const { vcpu, value: target } = await compute(context, args.expression, args.frameId);
  const { frame } = await context.frame(args.frameId);
  if (target.place === undefined || (frame.depth > 0 && target.place.kind === 'register'))
    throw dapError('notAssignable', { expression: args.expression });
  const { value } = await compute(context, args.value, args.frameId);
  await assign(context, vcpu, target.place, value.value);
  othersChanged(context);
  const { value: after } = await compute(context, args.expression, args.frameId);
  return { value: formatValue(after, context.numberFormat), type: after.type.name, ...referenceOf(after) };
}

export async function setVariable(
  context: SessionContext,
  args: P.SetVariableArguments,
): Promise<P.SetVariableResponse['body']> {
  const container = context.requireContainer(args.variablesReference);
  const find = async () => (await container.list()).find(({ name }) => name === args.name);
  const variable = await find();
  if (variable === undefined) throw dapError('unknownVariable', { name: args.name });
  if (variable.place === undefined) throw dapError('notAssignable', { expression: args.name });
  const { value } = await compute(context, args.value, container.frameId);
  await assign(context, container.vcpu, variable.place, value.value);
  othersChanged(context);
  const after = (await find()) ?? variable;
  return context.show(after, container);
}
