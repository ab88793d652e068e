/** VMCS fields as the rows of the VMCS view. */
import type { DecodedField, VmcsFieldValue } from '../../emulator/index.ts';
import { hex } from '../expressions/format.ts';
import type { DecodedPart, VmcsGroup, VmcsRow } from '../protocol/vmcs.ts';
import { groupVmcsFields } from './registers.ts';

export interface RowContext {
  /** The symbol at an address, with the offset. */
  readonly symbol: (address: bigint) => string | undefined;
  /** Fields whose change stops the machine. */
  readonly watched: ReadonlySet<string>;
}

export function vmcsGroups(fields: readonly VmcsFieldValue[], context: RowContext): VmcsGroup[] {
  return [...groupVmcsFields(fields)].map(([title, group]) => ({
    title,
    rows: group.map((field) => vmcsRow(field, context)),
  }));
}

function vmcsRow(field: VmcsFieldValue, context: RowContext): VmcsRow {
  const { key, title, encoding, bits, stored, live, missing, unused, previous, fields, reference } = field;
  const meaning = meaningOf(field, context);
  return {
    key,
    title,
    encoding: hex(BigInt(encoding), 32),
    bits,
    ...(stored !== undefined && { stored: hex(stored) }),
    ...(live !== undefined && live !== stored && { live: hex(live) }),
    ...(meaning !== '' && { meaning }),
    ...(missing !== undefined && { missing }),
    ...(unused !== undefined && { unused }),
    ...(previous && {
      previous: {
        stored: hex(previous.stored),
        ...(previous.live !== previous.stored && { live: hex(previous.live) }),
      },
    }),
    ...(context.watched.has(key) && { watched: true }),
    parts: fields.map(decodedPart),
    reference,
  };
}

function decodedPart({ key, name, value, meaning, bit, width }: DecodedField): DecodedPart {
  return { name: labelOf(key, name), value: hex(value), meaning, bit, width };
}

/** `PE: Protection enable`; controls have no short names, and their keys are ours. */
function labelOf(key: string, name: string): string {
  return isShortName(key) ? `${key}: ${name}` : name;
}

const isShortName = (key: string): boolean => key === key.toUpperCase();

/** Fields that hold linear addresses, where a symbol says what is there. */
const LINEAR_ADDRESS = /(?:_RIP|_RSP|_EIP|_ESP|_BASE|_LINEAR_ADDRESS)$/;

function meaningOf({ key, meaning, live, stored, fields }: VmcsFieldValue, { symbol }: RowContext): string {
  const value = live ?? stored;
  if (value === undefined) return '';
  if (meaning !== undefined) return meaning;
  if (LINEAR_ADDRESS.test(key) && value !== 0n) return symbol(value) ?? '';
  const words: string[] = [];
  for (const part of fields) {
    const { width, value: bits, meaning: word } = part;
    if (!part.inUse) continue;
    if (width > 1) {
      if (word !== bits.toString() && word !== hex(bits)) words.push(word);
    } else if (bits !== 0n) words.push(isShortName(part.key) ? part.key : part.name);
  }
  return words.join(', ');
}
