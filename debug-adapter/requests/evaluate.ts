import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { SessionContext } from '../context.ts';
import { dapError } from '../errors.ts';
import type { Expression } from '../expressions/ast.ts';
import { type Bound, bind, type ProgramNames, typeOf, valueTree } from '../expressions/bind.ts';
import { ExpressionError } from '../expressions/errors.ts';
import { evaluate as evaluateExpression, type Value } from '../expressions/evaluate.ts';
import { formatValue } from '../expressions/format.ts';
import { parseExpression } from '../expressions/parser.ts';
import { splitSuffix } from '../expressions/suffix.ts';
import { assign, othersChanged } from '../inspect/assign.ts';
import { bitsOfFloat, floatOfBits } from '../inspect/floats.ts';
import { fieldVariables, type InspectedVariable } from '../inspect/registers.ts';
import { evaluateInFrame } from '../inspect/scope.ts';
import { readerOf } from '../inspect/scopes.ts';
import type { Frame } from '../inspect/stack.ts';
import { formatInteger, type Reading, showObject, type ValueFormat } from '../inspect/variables.ts';
import { formatMemoryReference } from '../memoryReference.ts';
import type { ProgramType } from '../symbols/program.ts';

interface Evaluated {
  readonly vcpu: number;
  readonly frame: Frame;
  /** A number; absent where the expression is an object that is none. */
  readonly value: Value | undefined;
  /** Where the value has a type of the program. */
  readonly shown: InspectedVariable | undefined;
}

async function compute(
  context: SessionContext,
  text: string,
  frameId: number | undefined,
): Promise<Evaluated> {
  const { vcpu, frame } = await context.frame(frameId);
  const { expression: source, format = context.numberFormat, count } = splitSuffix(text);
  const read = readerOf(context, vcpu, frame, format);
  const parsed = await read(({ names }) => parse(source, names));
  const counted = count === undefined ? undefined : await read(({ names }) => parse(count, names));
  return read((reading) => {
    let bound = bind(parsed, reading.names);
    if (counted) bound = withCount(bound, evaluateInFrame(counted, reading).value, parsed.offset);
    if (bound.kind === 'object') {
      const { object } = bound;
      const shown = showObject(reading, read, { name: '', object, expression: source.trim() });
      return { vcpu, frame, value: numberOf(reading, bound), shown };
    }
    const value = evaluateExpression(bound.tree, reading.scope);
    if (bound.kind === 'machine') return { vcpu, frame, value, shown: plain(value, format) };
    const { type, tree } = bound;
    // A computed pointer can be opened like a variable.
    const object = { type, place: { kind: 'parts' as const, parts: [{ bits: 64, offset: 0, tree }] } };
    const { place: _, ...shown } = showObject(reading, read, { name: '', object, expression: source.trim() });
    return { vcpu, frame, value, shown };
  });
}

function parse(text: string, names: ProgramNames): Expression {
  return parseExpression(text, (name) => names.type(name, 'any') !== undefined);
}

/** The number an object is, if it is one. */
function numberOf(reading: Reading, bound: Bound): Value | undefined {
  try {
    return evaluateExpression(valueTree(bound), reading.scope);
  } catch (error) {
    if (error instanceof ExpressionError) return undefined;
    throw error;
  }
}

/** A number that no type of the program describes; without a suffix it is shown as the machine's. */
function plain({ value, type }: Value, format: ValueFormat): InspectedVariable | undefined {
  if (format === 'hexadecimal' || format === 'decimal' || format === 's') return undefined;
  return { name: '', value: formatInteger(value, type.bits, type.signed, format), type: type.name };
}

/** As many elements as were asked for, from where a pointer points or an array begins. */
function withCount(bound: Bound, count: bigint, offset: number): Bound {
  const type = typeOf(bound);
  const element =
    type?.kind === 'pointer' ? type.target() : type?.kind === 'array' ? type.element() : undefined;
  if (element?.size === undefined)
    throw new ExpressionError('a number of elements needs a pointer or an array before it', offset);
  if (count < 1n || count > 0x7fff_ffffn)
    throw new ExpressionError(`${count} is no number of elements`, offset);
  const name = `${element.name} [${count}]`;
  const array: ProgramType = {
    kind: 'array',
    name,
    size: element.size * Number(count),
    element: () => element,
    count: Number(count),
    stride: undefined,
  };
  return {
    kind: 'object',
    object: { type: array, place: { kind: 'memory', address: valueTree(bound, offset) } },
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
  const { vcpu, frame, value, shown } = await compute(context, args.expression, args.frameId);
  const container = { vcpu, frameId: args.frameId };
  if (shown) return resultOf(context, shown, container);
  const { named, place, type } = value as Value;
  const parts = named && named.fields.length > 0 && place && place.kind !== 'memory' ? place : undefined;
  const fields = parts ? await decodedFields(context, vcpu, frame, parts) : [];
  return {
    result: textOf(context, value as Value),
    type: type.name,
    variablesReference:
      fields.length === 0
        ? 0
        : context.variables.create({
            ...container,
            list: () =>
              fieldVariables(
                fields,
                args.expression,
                frame.resting ? undefined : parts,
                context.numberFormat,
              ),
          }),
    ...referenceOf(value as Value, frame),
  };
}

/** A variable as the answer to an expression. */
function resultOf(
  context: SessionContext,
  { value, type, memoryReference, hint, children, indexed }: InspectedVariable,
  container: { readonly vcpu: number; readonly frameId: number | undefined },
): P.EvaluateResponse['body'] {
  return {
    result: value,
    ...(type !== undefined && { type }),
    ...(memoryReference !== undefined && { memoryReference }),
    ...(hint && { presentationHint: hint }),
    ...context.openable({ children, indexed }, container),
  };
}

/** A number of the machine, with the symbol it is an address of. */
function textOf(context: SessionContext, value: Value): string {
  const { program } = context.requireDebuggee();
  const located =
    value.symbol === undefined && value.type.bits === 64 ? program.describe(value.value) : undefined;
  const text = formatValue(value, context.numberFormat);
  return located === undefined || value.value < 0x1000n ? text : `${text} <${located}>`;
}

/** Where the client finds the memory a value is, or points to. */
function referenceOf(
  { value, type, place, space, pointee }: Value,
  { resting }: Frame,
): { memoryReference?: string } {
  if (place?.kind === 'memory' && pointee === undefined)
    return { memoryReference: formatMemoryReference(place.address) };
  if (space) return { memoryReference: formatMemoryReference({ ...space, address: value }) };
  if (type.bits !== 64 || type.signed) return {};
  return {
    memoryReference: formatMemoryReference({ space: 'linear', level: resting?.level, address: value }),
  };
}

async function decodedFields(
  context: SessionContext,
  vcpu: number,
  { resting }: Frame,
  place: { kind: 'register'; name: string } | { kind: 'vmcs'; key: string },
) {
  if (place.kind === 'vmcs')
    return (await context.view(vcpu).vmcs()).find(({ key }) => key === place.key)?.fields ?? [];
  const groups = resting?.registers ?? (await context.view(vcpu).registers());
  const registers = groups.flatMap((group) => group.registers);
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
  const { vcpu, frame, value, shown } = await compute(context, args.expression, args.frameId);
  const place = shown ? shown.place : value?.place;
  if (place === undefined || (frame.depth > 0 && place.kind === 'register'))
    throw dapError('notAssignable', { expression: args.expression });
  await assign(context, vcpu, place, await assigned(context, args.value, args.frameId, shown?.floatSize));
  othersChanged(context);
  const after = await compute(context, args.expression, args.frameId);
  if (after.shown) {
    const { result, ...rest } = resultOf(context, after.shown, { vcpu, frameId: args.frameId });
    return { value: result, ...rest };
  }
  const number = after.value as Value;
  return {
    value: formatValue(number, context.numberFormat),
    type: number.type.name,
    ...referenceOf(number, frame),
  };
}

export async function setVariable(
  context: SessionContext,
  args: P.SetVariableArguments,
): Promise<P.SetVariableResponse['body']> {
  const container = context.requireContainer(args.variablesReference);
  const index = container.isIndexed ? /^\[(\d+)\]$/.exec(args.name) : null;
  const range = index ? { start: Number(index[1]), count: 1 } : undefined;
  const find = async () => (await container.list(range)).find(({ name }) => name === args.name);
  const variable = await find();
  if (variable === undefined) throw dapError('unknownVariable', { name: args.name });
  if (variable.place === undefined) throw dapError('notAssignable', { expression: args.name });
  const value = await assigned(context, args.value, container.frameId, variable.floatSize);
  await assign(context, container.vcpu, variable.place, value);
  othersChanged(context);
  const after = (await find()) ?? variable;
  return context.show(after, container);
}

/** The bits that a text stands for: an expression, or the digits of a floating-point number. */
async function assigned(
  context: SessionContext,
  text: string,
  frameId: number | undefined,
  floatSize: 4 | 8 | undefined,
): Promise<bigint> {
  if (floatSize !== undefined && /^[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/i.test(text.trim()))
    return bitsOfFloat(Number(text), floatSize);
  const { value } = await compute(context, text, frameId);
  if (value === undefined) throw dapError('assignment', { reason: `"${text}" is no number.` });
  if (floatSize === undefined) return value.value;
  const number = value.type.isFloat
    ? floatOfBits(value.value, value.type.bits === 32 ? 4 : 8)
    : Number(value.value);
  return bitsOfFloat(number, floatSize);
}
