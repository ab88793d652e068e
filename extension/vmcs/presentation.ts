/**
 * How a node of the VMCS view looks and sounds. What has changed has a sign and words, not only a colour; what is not
 * in use is grey and says which control it needs.
 */
import type { NumberFormat } from '../../debug-adapter/protocol/custom.ts';
import type { FieldNode, PartNode, ReportNode, RuleNode, VmcsNode } from './model.ts';

/** Stands before what has changed since the last stop. */
const CHANGED = 'Δ';

export interface Presentation {
  readonly label: string;
  readonly description: string;
  /** Name of a codicon. */
  readonly icon: string;
  readonly iconColor?: string;
  /** What a screen reader says. */
  readonly spoken: string;
  /** Words that menus look for. */
  readonly context: string;
  readonly isGrey: boolean;
  readonly isExpanded: boolean;
  /** Key of the field that the node leads to. */
  readonly leadsTo?: string;
}

/** `also` says in words what signs and colours show. */
type Drawn = Omit<Presentation, 'spoken'> & { readonly also?: readonly string[] };

const PLAIN = { icon: 'blank', context: '', isGrey: false, isExpanded: false };
const CHANGED_COLOR = 'gitDecoration.modifiedResourceForeground';
const BREAKPOINT_COLOR = 'debugIcon.breakpointForeground';

/** What is to be read in a row is in its spoken name too, word for word: whoever speaks to a machine says what he sees. */
export function present(node: VmcsNode, format: NumberFormat = 'hexadecimal'): Presentation {
  const { also = [], ...drawn } = draw(node, numeralsOf(format));
  const { label, description } = drawn;
  return { ...drawn, spoken: [description === '' ? label : `${label} ${description}`, ...also].join(', ') };
}

/** How a number is written that the adapter gives in hexadecimal. */
type Numerals = (value: string) => string;

function numeralsOf(format: NumberFormat): Numerals {
  return format === 'decimal' ? (value) => BigInt(value).toString() : (value) => value;
}

function draw(node: VmcsNode, numerals: Numerals): Drawn {
  switch (node.kind) {
    case 'report':
      return presentReport(node);
    case 'rule':
      return presentRule(node, numerals);
    case 'breakpoints':
      return {
        ...PLAIN,
        label: 'Stops when changed',
        description: countOf(node.children.length, 'field'),
        icon: 'debug-breakpoint-data',
        iconColor: BREAKPOINT_COLOR,
        context: 'breakpoints',
        isExpanded: true,
      };
    case 'breakpoint':
      return {
        ...PLAIN,
        label: node.title,
        description: `when the stored value changes${node.condition === undefined ? '' : ` and ${node.condition}`}`,
        also: ['the machine stops there'],
        context: 'watched',
      };
    case 'group':
      return {
        ...PLAIN,
        label: node.title,
        description: node.changes === 0 ? '' : `${CHANGED} ${node.changes} changed`,
        icon: 'symbol-structure',
        context: 'group',
        isExpanded: node.isFiltered,
      };
    case 'value': {
      const what = node.which === 'Stored' ? 'what VMREAD gives' : 'what the processor holds';
      return {
        ...PLAIN,
        label: node.which,
        description: `${numerals(node.value)} (${what})`,
        context: 'copyable',
      };
    }
    case 'part':
      return presentPart(node, numerals);
    case 'field':
      return presentField(node, numerals);
  }
}

function presentReport({ report }: ReportNode): Drawn {
  const { failedAt, instruction, outcome, rules } = report;
  const label = failedAt ? 'Last failed VM entry' : `${instruction} would fail`;
  const where = failedAt && `${instruction} at ${failedAt.location ?? failedAt.rip}`;
  const count = rules.length < 2 ? undefined : `${rules.length} rules are broken`;
  const description = [outcome, count, where].filter((text) => text !== undefined).join(' · ');
  return {
    ...PLAIN,
    label,
    description,
    icon: failedAt ? 'error' : 'warning',
    iconColor: failedAt ? 'list.errorForeground' : 'list.warningForeground',
    context: 'report copyable',
  };
}

function presentRule({ rule }: RuleNode, numerals: Numerals): Drawn {
  const { text, field } = rule;
  const value = field && `${field.title} is ${numerals(field.value)}`;
  return {
    ...PLAIN,
    label: text,
    description: value ?? '',
    icon: 'circle-small-filled',
    context: 'rule copyable',
    ...(field && { leadsTo: field.key }),
  };
}

function presentPart({ part, was, isEditable }: PartNode, numerals: Numerals): Drawn {
  const { name, meaning, width } = part;
  const value = numerals(plainNumber(part.value));
  const isNamed = meaning !== part.value && meaning !== plainNumber(part.value);
  const shown = isNamed ? `${value} (${meaning})` : value;
  const before = was === undefined ? '' : numerals(plainNumber(was));
  return {
    ...PLAIN,
    label: name,
    description: was === undefined ? shown : `${CHANGED} ${shown} · was ${before}`,
    icon: width > 1 ? 'symbol-numeric' : part.value === '0x0' ? 'circle-outline' : 'circle-filled',
    ...(was !== undefined && { iconColor: CHANGED_COLOR }),
    ...(was !== undefined && { also: ['changed'] }),
    context: isEditable ? 'copyable editable' : 'copyable',
  };
}

function presentField(node: FieldNode, numerals: Numerals): Drawn {
  const { row, was, isChanged, watched } = node;
  const absent = absence(node);
  const value = valueText(node, numerals);
  const needs = row.missing === undefined ? absent : `needs "${row.missing}"`;
  const before = was ?? row.previous?.stored;
  const change =
    isChanged && before !== undefined
      ? `${was === undefined ? 'stored was' : 'was'} ${numerals(before)}`
      : undefined;
  const parts = [value, needs, change].filter((text) => text !== undefined);
  const also = [
    row.missing === undefined ? undefined : 'the processor does not have it',
    isChanged ? 'changed' : undefined,
    watched && 'the machine stops when it changes',
  ].filter((text) => text !== undefined);
  return {
    ...PLAIN,
    label: row.title,
    description: `${isChanged ? `${CHANGED} ` : ''}${parts.join(' · ')}`,
    ...iconOf(node),
    also,
    context: contextOf(node),
    isGrey: absent !== undefined,
  };
}

function valueText({ row, value }: FieldNode, numerals: Numerals): string | undefined {
  if (value === undefined) return row.meaning;
  const meaning = row.meaning === undefined ? '' : ` (${row.meaning})`;
  const stored = row.stored === undefined ? '' : ` · stored ${numerals(row.stored)}`;
  return row.live === undefined
    ? `${numerals(value)}${meaning}`
    : `live ${numerals(value)}${meaning}${stored}`;
}

/** Why a field has no value or one that does not matter. */
function absence({ row }: FieldNode): string | undefined {
  if (row.missing !== undefined) return `the processor does not have it: needs "${row.missing}"`;
  return row.unused === undefined ? undefined : `not in use: "${row.unused}" is 0`;
}

function iconOf({ watched, isChanged, row }: FieldNode): { icon: string; iconColor?: string } {
  if (watched) return { icon: 'debug-breakpoint-data', iconColor: BREAKPOINT_COLOR };
  if (isChanged) return { icon: 'diff-modified', iconColor: CHANGED_COLOR };
  if (row.missing !== undefined || row.unused !== undefined)
    return { icon: 'circle-slash', iconColor: 'hvm.absentForeground' };
  return { icon: 'blank' };
}

function contextOf({ row, isEditable, watched }: FieldNode): string {
  const words = ['field'];
  if (row.missing === undefined) words.push('copyable');
  if (isEditable) words.push('editable');
  if (watched === 'here') words.push('watched');
  else if (watched === undefined && row.missing === undefined) words.push('watchable');
  return words.join(' ');
}

/** Small numbers in decimal: bits and short fields. */
function plainNumber(value: string): string {
  const number = BigInt(value);
  return number < 10n ? number.toString() : value;
}

function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** Lines of the hover over a node: what, and its text. */
export interface Hover {
  readonly title: string;
  readonly lines: readonly (readonly [what: string, text: string])[];
}

export function hoverOf(node: VmcsNode): Hover | undefined {
  switch (node.kind) {
    case 'field':
      return fieldHover(node);
    case 'rule':
      return ruleHover(node);
    case 'part': {
      const { bit, width, name, meaning, value } = node.part;
      const bits = width === 1 ? `bit ${bit}` : `bits ${bit + width - 1}:${bit}`;
      return {
        title: name,
        lines: [
          ['Of', `${node.field.title}, ${bits}`],
          ['Value', meaning === value ? value : `${value} (${meaning})`],
          ...(node.was === undefined ? [] : ([['Before', node.was]] as const)),
          ['Manual', node.field.reference],
        ],
      };
    }
    default:
      return undefined;
  }
}

function ruleHover({ rule }: RuleNode): Hover {
  const { text, field, section, outcome, others, reference } = rule;
  const lines: (readonly [string, string])[] = [['Part of the VMCS', section]];
  if (field) {
    const { value, offending, offendingBits, allowed, capability, passing, writtenAt, writtenIn } = field;
    lines.push([field.title, value]);
    if (offendingBits !== undefined) lines.push(['Bits at fault', [offendingBits, ...offending].join(', ')]);
    if (allowed !== undefined) lines.push(['Allowed', allowed]);
    if (capability !== undefined) lines.push(['The processor', capability]);
    if (passing !== undefined) lines.push(['Would pass', passing]);
    if (writtenAt !== undefined) lines.push(['Written by the VMWRITE at', writtenIn ?? writtenAt]);
  }
  for (const { key, value } of others) lines.push([key, value]);
  lines.push(['The processor answers', outcome], ['Manual', reference]);
  return { title: text, lines };
}

function fieldHover(node: FieldNode): Hover {
  const { row, isChanged } = node;
  const lines: (readonly [string, string])[] = [['Encoding', `${row.encoding}, ${row.bits} bits`]];
  if (row.stored !== undefined) lines.push(['Stored', both(row.stored)]);
  if (row.live !== undefined) lines.push(['Live', both(row.live)]);
  if (row.meaning !== undefined) lines.push(['Meaning', row.meaning]);
  const absent = absence(node);
  if (absent !== undefined) lines.push(['Existence', absent]);
  if (isChanged && row.previous) {
    const { stored, live } = row.previous;
    lines.push(['Before', live === undefined ? stored : `stored ${stored}, live ${live}`]);
  }
  if (node.watched) lines.push(['Breakpoint', 'the machine stops when the stored value changes']);
  lines.push(['Manual', row.reference]);
  return { title: row.title, lines };
}

function both(value: string): string {
  const number = BigInt(value);
  return number < 10n ? value : `${value} (${number})`;
}
