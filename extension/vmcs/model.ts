/** The nodes of the VMCS view, made from the rows that the adapter gives. */
import type { EntryReportBody, EntryReportRule } from '../../debug-adapter/protocol/entryReport.ts';
import type { DecodedPart, VmcsGroup, VmcsRow } from '../../debug-adapter/protocol/vmcs.ts';
import type { FieldBreakpoint } from './fieldBreakpoints.ts';
import { matchesFilter } from './filter.ts';

export interface GroupNode {
  readonly kind: 'group';
  readonly id: string;
  readonly title: string;
  readonly changes: number;
  readonly isFiltered: boolean;
  readonly children: readonly FieldNode[];
}

export type EntryReport = NonNullable<EntryReportBody['report']>;

/** Why a VM entry has failed, or would fail. */
export interface ReportNode {
  readonly kind: 'report';
  readonly id: string;
  readonly report: EntryReport;
  readonly children: readonly RuleNode[];
}

export interface RuleNode {
  readonly kind: 'rule';
  readonly id: string;
  readonly rule: EntryReportRule;
}

/** The fields whose change stops the machine. */
export interface BreakpointsNode {
  readonly kind: 'breakpoints';
  readonly id: string;
  readonly children: readonly BreakpointNode[];
}

export interface BreakpointNode {
  readonly kind: 'breakpoint';
  readonly id: string;
  readonly key: string;
  readonly title: string;
  readonly condition: string | undefined;
}

export interface FieldNode {
  readonly kind: 'field';
  readonly id: string;
  readonly row: VmcsRow;
  /** The value that counts now: live where there is one. */
  readonly value: string | undefined;
  /** What `value` was at the last stop, when it has changed. */
  readonly was: string | undefined;
  readonly isChanged: boolean;
  /** `here`: set in this view; `elsewhere`: a data breakpoint of VS Code. */
  readonly watched: 'here' | 'elsewhere' | undefined;
  readonly isEditable: boolean;
  readonly children: readonly (ValueNode | PartNode)[];
}

export interface ValueNode {
  readonly kind: 'value';
  readonly id: string;
  readonly field: VmcsRow;
  readonly which: 'Stored' | 'Live';
  readonly value: string;
}

export interface PartNode {
  readonly kind: 'part';
  readonly id: string;
  readonly field: VmcsRow;
  readonly part: DecodedPart;
  /** What it was at the last stop, when it has changed. */
  readonly was: string | undefined;
  readonly isEditable: boolean;
}

export type VmcsNode =
  | GroupNode
  | FieldNode
  | ValueNode
  | PartNode
  | BreakpointsNode
  | BreakpointNode
  | ReportNode
  | RuleNode;

export interface TreeOptions {
  /** Entries that failed or would fail; they stand first. */
  readonly reports: readonly EntryReport[];
  readonly filter: string;
  /** Leaves out what the processor does not have or does not look at. */
  readonly hideAbsent: boolean;
  /** The breakpoints of this view, by the field's key. */
  readonly breakpoints: ReadonlyMap<string, FieldBreakpoint>;
  /** False for what was recorded in the past. */
  readonly isEditable: boolean;
}

export interface VmcsTree {
  readonly roots: readonly VmcsNode[];
  /** Fields that are shown, and that there are. */
  readonly shown: number;
  readonly total: number;
}

export function buildTree(groups: readonly VmcsGroup[], options: TreeOptions): VmcsTree {
  const total = groups.reduce((sum, { rows }) => sum + rows.length, 0);
  const shown = groups
    .map((group) => groupNode(group, options))
    .filter(({ children }) => children.length > 0);
  return {
    roots: [...options.reports.map(reportNode), ...breakpointsNode(options), ...shown],
    shown: shown.reduce((sum, { children }) => sum + children.length, 0),
    total,
  };
}

function reportNode(report: EntryReport): ReportNode {
  const id = report.failedAt ? 'failed entry' : 'next entry';
  return {
    kind: 'report',
    id,
    report,
    children: report.rules.map((rule, index) => ({ kind: 'rule', id: `${id} ${index} ${rule.id}`, rule })),
  };
}

function breakpointsNode({ breakpoints }: TreeOptions): BreakpointsNode[] {
  if (breakpoints.size === 0) return [];
  const children = [...breakpoints].map(
    ([key, { title, condition }]): BreakpointNode => ({
      kind: 'breakpoint',
      id: `breakpoint ${key}`,
      key,
      title,
      condition,
    }),
  );
  return [{ kind: 'breakpoints', id: 'breakpoints', children }];
}

function groupNode({ title, rows }: VmcsGroup, options: TreeOptions): GroupNode {
  const isFiltered = options.filter.trim() !== '';
  const children = rows
    .map((row) => fieldNode(row, options))
    .filter((field) => !(options.hideAbsent && isAbsent(field.row)) && matchesFilter(field, options.filter));
  return {
    kind: 'group',
    // Another id opens the groups while a filter is on and leaves them as they were without it.
    id: `group ${title}${isFiltered ? ' filtered' : ''}`,
    title,
    changes: children.filter(({ isChanged }) => isChanged).length,
    isFiltered,
    children,
  };
}

export function isAbsent({ missing, unused }: VmcsRow): boolean {
  return missing !== undefined || unused !== undefined;
}

function fieldNode(row: VmcsRow, { breakpoints, isEditable }: TreeOptions): FieldNode {
  const { key, stored, live, previous, parts } = row;
  const value = live ?? stored;
  const before = previous?.live ?? previous?.stored;
  const mayEdit = isEditable && value !== undefined;
  const values: ValueNode[] =
    stored === undefined || live === undefined
      ? []
      : [
          { kind: 'value', id: `stored ${key}`, field: row, which: 'Stored', value: stored },
          { kind: 'value', id: `live ${key}`, field: row, which: 'Live', value: live },
        ];
  return {
    kind: 'field',
    id: `field ${key}`,
    row,
    value,
    was: before === value ? undefined : before,
    isChanged: previous !== undefined,
    watched: breakpoints.has(key) ? 'here' : row.watched ? 'elsewhere' : undefined,
    isEditable: mayEdit,
    children: [
      ...values,
      ...parts.map((part): PartNode => {
        const was = before === undefined ? undefined : bitsOf(before, part);
        return {
          kind: 'part',
          id: `part ${key} ${part.bit}`,
          field: row,
          part,
          was: was === part.value ? undefined : was,
          isEditable: mayEdit,
        };
      }),
    ],
  };
}

function bitsOf(value: string, { bit, width }: DecodedPart): string {
  return `0x${((BigInt(value) >> BigInt(bit)) & ((1n << BigInt(width)) - 1n)).toString(16)}`;
}

/** What was recorded at a VM exit, with what it was at the one before. */
export function recordedFields(groups: readonly VmcsGroup[], before: readonly VmcsGroup[]): VmcsGroup[] {
  const recorded = groups.map(({ title, rows }) => ({
    title,
    rows: rows.filter(({ stored }) => stored !== undefined),
  }));
  return comparedWith(recorded, before);
}

function comparedWith(groups: readonly VmcsGroup[], before: readonly VmcsGroup[]): VmcsGroup[] {
  const earlier = new Map(before.flatMap(({ rows }) => rows.map((row) => [row.key, row] as const)));
  return groups.map(({ title, rows }) => ({
    title,
    rows: rows.map((row) => {
      const { previous: _, ...now } = row;
      const was = earlier.get(row.key);
      if (was?.stored === undefined || (was.stored === row.stored && was.live === row.live)) return now;
      return { ...now, previous: { stored: was.stored, ...(was.live !== undefined && { live: was.live }) } };
    }),
  }));
}

/** Every node with the one it is under, by id. */
export function placesOf(
  roots: readonly VmcsNode[],
): ReadonlyMap<string, { readonly node: VmcsNode; readonly parent: VmcsNode | undefined }> {
  const places = new Map<string, { node: VmcsNode; parent: VmcsNode | undefined }>();
  const visit = (node: VmcsNode, parent: VmcsNode | undefined): void => {
    places.set(node.id, { node, parent });
    for (const child of childrenOf(node)) visit(child, node);
  };
  for (const root of roots) visit(root, undefined);
  return places;
}

export function childrenOf(node: VmcsNode): readonly VmcsNode[] {
  return 'children' in node ? node.children : [];
}
