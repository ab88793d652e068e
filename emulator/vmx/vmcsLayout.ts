/**
 * What follows from the field rows: encodings, the look-up VMREAD and VMWRITE need, and where each field lies in the
 * VMCS region.
 *
 * Intel SDM Vol. 3C, "Virtual Machine Control Structures"; Vol. 3D, Appendix B, "Field Encoding in VMCS".
 */
import { SUPPORTED_CONTROLS } from './controls.ts';
import { ALWAYS, VMCS_FIELDS, type VmcsFieldArea, type VmcsFieldKey, type VmcsFieldRow } from './fields.ts';

/*
 *  31              15  14 13  12  11 10  9           1   0
 * +------------------+-------+---+------+-------------+------+
 * |        0         | width | 0 | type |    index    | high |
 * +------------------+-------+---+------+-------------+------+
 */
const WIDTH_CODE = { 16: 0, 64: 1, 32: 2, natural: 3 } as const;
const AREA_CODE: Readonly<Record<VmcsFieldArea, number>> = { control: 0, readOnly: 1, guest: 2, host: 3 };
const WIDTH_SHIFT = 13;
const AREA_SHIFT = 10;
const INDEX_SHIFT = 1;

/** Access type "high": bits 63:32 of a 64-bit field. */
export const HIGH_ACCESS = 1;

/** @see SDM B, "Structure of VMCS Component Encoding" */
export function encodingOf({ width, area, index }: Pick<VmcsFieldRow, 'width' | 'area' | 'index'>): number {
  return (WIDTH_CODE[width] << WIDTH_SHIFT) | (AREA_CODE[area] << AREA_SHIFT) | (index << INDEX_SHIFT);
}

/** Size of the VMCS region; IA32_VMX_BASIC reports it. */
export const VMCS_REGION_SIZE = 4096;

/**
 * The region's header. The first two are architectural; the rest is the implementation's choice, as is the order of
 * the fields behind it.
 *
 * @see SDM 26.2, "Format of the VMCS Region"
 */
export const VMCS_HEADER = {
  /** Bits 30:0 revision identifier, bit 31 shadow-VMCS indicator. */
  revisionIdentifier: 0,
  abortIndicator: 4,
  /** 0 clear, 1 launched. */
  launchState: 8,
  size: 16,
} as const;

export const SHADOW_VMCS_INDICATOR = 0x8000_0000;

const SLOT_SIZE = 8;

export interface VmcsField extends VmcsFieldRow {
  readonly key: VmcsFieldKey;
  /** Position in `VMCS_FIELD_LIST`. */
  readonly ordinal: number;
  readonly encoding: number;
  /** Byte offset in the VMCS region; every field has a slot of 8 bytes. */
  readonly offset: number;
  /** The bits a value of this width can have; natural width is 64 bits here. */
  readonly mask: bigint;
}

function maskOf(width: VmcsFieldRow['width']): bigint {
  return width === 'natural' ? 0xffff_ffff_ffff_ffffn : (1n << BigInt(width)) - 1n;
}

/** All fields with what is computed from their rows, in the order of the rows. */
export const VMCS_FIELD_LIST: readonly VmcsField[] = VMCS_FIELDS.map((row, ordinal) =>
  Object.freeze({
    ...row,
    ordinal,
    encoding: encodingOf(row),
    offset: VMCS_HEADER.size + ordinal * SLOT_SIZE,
    mask: maskOf(row.width),
  }),
);

/** The fields by key: `VMCS_FIELD.GUEST_CR0.encoding`. */
export const VMCS_FIELD = Object.freeze(
  Object.fromEntries(VMCS_FIELD_LIST.map((field) => [field.key, field])),
) as Readonly<Record<VmcsFieldKey, VmcsField>>;

const NO_FIELD = -1;
const ordinalByEncoding = (() => {
  const highest = Math.max(...VMCS_FIELD_LIST.map((field) => field.encoding));
  const ordinals = new Int16Array(highest + 2).fill(NO_FIELD);
  for (const { encoding, width, ordinal } of VMCS_FIELD_LIST) {
    ordinals[encoding] = ordinal;
    if (width === 64) ordinals[encoding | HIGH_ACCESS] = ordinal;
  }
  return ordinals;
})();

/**
 * The field an encoding names, also when it names the high half of one (`encoding & HIGH_ACCESS`). Whether the CPU
 * model has the field is another question: `fieldExists`.
 */
export function fieldByEncoding(encoding: number): VmcsField | undefined {
  const ordinal = encoding < ordinalByEncoding.length ? ordinalByEncoding[encoding] : NO_FIELD;
  return ordinal === NO_FIELD || ordinal === undefined ? undefined : VMCS_FIELD_LIST[ordinal];
}

/** Whether the CPU model has the field: some control that brings it into existence is supported. */
export function fieldExists(
  { exists }: VmcsFieldRow,
  offered: ReadonlySet<string> = SUPPORTED_CONTROLS,
): boolean {
  return exists === ALWAYS || exists.some((control) => offered.has(control));
}

/**
 * Whether VMWRITE may write the field.
 *
 * @param vmwriteToAnyField bit 29 of IA32_VMX_MISC
 */
export function fieldIsWritable({ area }: VmcsFieldRow, vmwriteToAnyField: boolean): boolean {
  return area !== 'readOnly' || vmwriteToAnyField;
}

/** The highest index among the fields of the CPU model, as IA32_VMX_VMCS_ENUM reports it. */
export function highestFieldIndex(offered: ReadonlySet<string> = SUPPORTED_CONTROLS): number {
  return Math.max(
    ...VMCS_FIELD_LIST.filter((field) => fieldExists(field, offered)).map((field) => field.index),
  );
}
