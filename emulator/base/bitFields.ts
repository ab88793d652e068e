/**
 * Bit fields as rows: one description of the bits of a register, a VMCS field or an exit qualification, from which
 * the constants used in code, the panel's decoded lines and the hover texts are derived.
 */

export interface BitFieldRow {
  /** The lowest bit. */
  readonly bit: number;
  /** Number of bits, 1 when absent. */
  readonly width?: number;
  readonly key: string;
  /** The manual's name. */
  readonly name: string;
  /** What the values mean, where the manual gives them names. */
  readonly values?: Readonly<Record<number, string>>;
  /** The field says something only while one of these bits of the value is set. */
  readonly enabledBy?: bigint;
}

export interface DecodedBitField {
  readonly key: string;
  readonly name: string;
  readonly value: bigint;
  /** The manual's word for the value, or the value itself as text. */
  readonly meaning: string;
  /** False where the value's other bits say that the field is not in use. */
  readonly inUse: boolean;
}

/** The keys of a row list, for types derived from rows. */
export type BitFieldKey<Rows extends readonly BitFieldRow[]> = Rows[number]['key'];

export function bitFieldMask({ bit, width = 1 }: BitFieldRow): bigint {
  return ((1n << BigInt(width)) - 1n) << BigInt(bit);
}

export function extractBitField(value: bigint, { bit, width = 1 }: BitFieldRow): bigint {
  return (value >> BigInt(bit)) & ((1n << BigInt(width)) - 1n);
}

/** Masks by key, so that code names a bit as the table does: `const CR0 = bitFieldMasks(CR0_BITS); CR0.PG`. */
export function bitFieldMasks<const Rows extends readonly BitFieldRow[]>(
  rows: Rows,
): Readonly<Record<BitFieldKey<Rows>, bigint>> {
  const masks = Object.fromEntries(rows.map((row) => [row.key, bitFieldMask(row)]));
  return Object.freeze(masks) as Readonly<Record<BitFieldKey<Rows>, bigint>>;
}

/** Every bit some row names. */
export function definedBits(rows: readonly BitFieldRow[]): bigint {
  return rows.reduce((bits, row) => bits | bitFieldMask(row), 0n);
}

function meaningOf(value: bigint, row: BitFieldRow): string {
  const named = row.values?.[Number(value)];
  if (named !== undefined) return named;
  return (row.width ?? 1) <= 4 ? value.toString() : `0x${value.toString(16)}`;
}

/** One line for each row, in the order of the rows. */
export function decodeBitFields(value: bigint, rows: readonly BitFieldRow[]): DecodedBitField[] {
  return rows.map((row) => {
    const field = extractBitField(value, row);
    const inUse = row.enabledBy === undefined || (value & row.enabledBy) !== 0n;
    return { key: row.key, name: row.name, value: field, meaning: meaningOf(field, row), inUse };
  });
}
