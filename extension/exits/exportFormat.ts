/** Exits as the text of a file. */
import type { ExitRow } from '../../debug-adapter/protocol/exits.ts';

export type ExportFormat = 'csv' | 'json';

const FIELDS = [
  'number',
  'position',
  'vcpu',
  'level',
  'reason',
  'rip',
  'location',
  'source',
  'qualification',
  'guestPhysical',
  'instructionLength',
  'interruptionInformation',
  'text',
  'cost',
] as const satisfies readonly (keyof ExitRow)[];

export interface ExportText {
  readonly beginning: string;
  readonly end: string;
  /** Some rows; `isFirst` when none was written before. */
  rows(rows: readonly ExitRow[], isFirst: boolean): string;
}

export const EXPORT_TEXTS: Readonly<Record<ExportFormat, ExportText>> = {
  csv: {
    beginning: `${FIELDS.join(',')}\r\n`,
    end: '',
    rows: (rows) =>
      rows.map((row) => `${FIELDS.map((field) => csvValue(row[field])).join(',')}\r\n`).join(''),
  },
  // One exit a line, so that tools for lines can be used too.
  json: {
    beginning: '[\n',
    end: '\n]\n',
    rows: (rows, isFirst) =>
      rows.length === 0 ? '' : `${isFirst ? '' : ',\n'}${rows.map((row) => JSON.stringify(row)).join(',\n')}`,
  },
};

/**
 * Names of symbols may be anything: a spreadsheet takes a text that begins like a formula for one, unless a quote stands
 * before it.
 *
 * @see RFC 4180, "Common Format and MIME Type for Comma-Separated Values (CSV) Files", 2
 */
function csvValue(value: string | number | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'number') return value.toString();
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
