/** Registers and VMCS fields as variables of the protocol. */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { DecodedField, RegisterValue, VmcsFieldValue } from '../../emulator/index.ts';
import type { VariableList } from '../context.ts';
import type { Place } from '../expressions/evaluate.ts';
import { formatWhole, hex } from '../expressions/format.ts';
import { formatMemoryReference } from '../memoryReference.ts';
import type { NumberFormat } from '../protocol/custom.ts';

/** A variable as the client will see it, with what it can be opened to and where it is assigned. */
export interface InspectedVariable {
  readonly name: string;
  readonly value: string;
  readonly type?: string;
  readonly evaluateName?: string;
  readonly memoryReference?: string;
  readonly place?: Place;
  readonly hint?: P.VariablePresentationHint;
  readonly children?: VariableList;
  /** How many elements `children` has, by number. */
  readonly indexed?: number;
  /** Bytes of a floating-point number, which is assigned as one. */
  readonly floatSize?: 4 | 8;
}

const READ_ONLY: P.VariablePresentationHint = { attributes: ['readOnly'] };

/** `[PE NE PG]`: the one-bit parts that are set. */
export function setFlags(fields: readonly DecodedField[]): string {
  const flags = fields.filter(({ width }) => width === 1);
  if (flags.length < 2) return '';
  return ` [${flags
    .filter(({ value }) => value !== 0n)
    .map(({ key }) => key)
    .join(' ')}]`;
}

type PartialPlace =
  | { readonly kind: 'register'; readonly name: string }
  | { readonly kind: 'vmcs'; readonly key: string };

/** The parts of a value, assignable when `place` is given. */
export function fieldVariables(
  fields: readonly DecodedField[],
  expression: string,
  place: PartialPlace | undefined,
  format: NumberFormat,
): InspectedVariable[] {
  return fields.map(({ key, name, bit, width, value, meaning }) => {
    const number = width > 4 && format === 'hexadecimal' ? hex(value) : value.toString();
    const isNamed = meaning !== hex(value) && meaning !== value.toString();
    return {
      name: key,
      value: isNamed ? `${number} (${meaning})` : number,
      type: width === 1 ? `bit ${bit}: ${name}` : `bits ${bit + width - 1}:${bit}: ${name}`,
      evaluateName: `${expression}.${key.toLowerCase()}`,
      ...(place ? { place: { ...place, shift: bit, bits: width } } : { hint: READ_ONLY }),
    };
  });
}

export function registerVariable(
  register: RegisterValue,
  group: string,
  symbol: (address: bigint) => string | undefined,
  format: NumberFormat,
  level?: number,
): InspectedVariable {
  const { name, value, bits, writable, fields, reference } = register;
  const expression = group === 'msr' ? `msr.${name.toLowerCase()}` : `$${name.toLowerCase()}`;
  const located = group === 'general' && value > 0xfffn ? symbol(value) : undefined;
  return {
    name,
    value: `${formatWhole(value, bits, format)}${setFlags(fields)}${located === undefined ? '' : ` <${located}>`}`,
    type: reference === '' ? `${bits} bits` : reference,
    evaluateName: expression,
    ...(group === 'general' &&
      bits === 64 && { memoryReference: formatMemoryReference({ space: 'linear', level, address: value }) }),
    ...(writable ? { place: { kind: 'register', name, shift: 0, bits } } : { hint: READ_ONLY }),
    ...(fields.length > 0 && {
      children: () =>
        fieldVariables(fields, expression, writable ? { kind: 'register', name } : undefined, format),
    }),
  };
}

/** One VMCS field: what is stored and, where it differs, what the processor holds. */
export function vmcsVariable(field: VmcsFieldValue, format: NumberFormat): InspectedVariable {
  const { key, title, stored, live, missing, bits, fields, reference } = field;
  const current = live ?? stored;
  if (current === undefined) {
    const why = missing === undefined ? 'does not exist' : `does not exist: needs "${missing}"`;
    return { name: title, value: why, type: reference, hint: READ_ONLY };
  }
  const expression = `vmcs.${key.toLowerCase()}`;
  const differs = stored !== undefined && live !== undefined && stored !== live;
  const shown = formatWhole(stored ?? current, bits, format);
  return {
    name: title,
    value: differs ? `${shown}, live ${formatWhole(live, bits, format)}` : `${shown}${setFlags(fields)}`,
    type: reference,
    evaluateName: expression,
    place: { kind: 'vmcs', key, shift: 0, bits },
    children: () => [
      ...(stored === undefined
        ? []
        : [
            {
              name: 'Stored',
              value: formatWhole(stored, bits, format),
              type: 'what VMREAD gives',
              hint: READ_ONLY,
            },
          ]),
      ...(live === undefined
        ? []
        : [
            {
              name: 'Live',
              value: formatWhole(live, bits, format),
              type: 'what the processor holds',
              evaluateName: expression,
              place: { kind: 'vmcs' as const, key, shift: 0, bits },
            },
          ]),
      ...fieldVariables(fields, expression, { kind: 'vmcs', key }, format),
    ],
  };
}

/** The fields by group, in the order of the table. */
export function groupVmcsFields(fields: readonly VmcsFieldValue[]): Map<string, VmcsFieldValue[]> {
  const groups = new Map<string, VmcsFieldValue[]>();
  for (const field of fields) {
    const group = groups.get(field.group);
    if (group) group.push(field);
    else groups.set(field.group, [field]);
  }
  return groups;
}
