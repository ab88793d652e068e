import { describe, expect, it } from 'vitest';
import type { VmcsGroup, VmcsRow } from '../../debug-adapter/protocol/vmcs.ts';
import { problemWith } from './editing.ts';
import { messageFor } from './messages.ts';
import {
  buildTree,
  childrenOf,
  type EntryReport,
  type FieldNode,
  type GroupNode,
  placesOf,
  recordedFields,
  type TreeOptions,
  type VmcsNode,
} from './model.ts';
import { hoverOf, present } from './presentation.ts';

function row(key: string, fields: Partial<VmcsRow> = {}): VmcsRow {
  return {
    key,
    title: `Title of ${key}`,
    encoding: '0x681e',
    bits: 64,
    stored: '0x1000',
    parts: [],
    reference: 'SDM "Guest Register State", 26.4.1',
    ...fields,
  };
}

const RIP = row('GUEST_RIP', {
  title: 'Guest RIP',
  stored: '0x100002',
  live: '0x100004',
  meaning: '_start+0x4',
  previous: { stored: '0x100002', live: '0x100002' },
});
const CR0 = row('GUEST_CR0', {
  title: 'Guest CR0',
  encoding: '0x6800',
  stored: '0x80000011',
  meaning: 'PE, ET, PG',
  previous: { stored: '0x11' },
  parts: [
    { name: 'PE: Protection enable', value: '0x1', meaning: '1', bit: 0, width: 1 },
    { name: 'PG: Paging', value: '0x1', meaning: '1', bit: 31, width: 1 },
  ],
});
const { stored: _, ...ABSENT } = row('TSC_MULTIPLIER', {
  title: 'TSC multiplier',
  missing: 'Use TSC scaling',
});
const UNUSED = row('VMX_PREEMPTION_TIMER_VALUE', {
  title: 'VMX-preemption timer value',
  stored: '0x0',
  unused: 'Activate VMX-preemption timer',
});
const REASON = row('VM_EXIT_REASON', { title: 'Exit reason', stored: '0xa', meaning: 'CPUID' });

const GROUPS: VmcsGroup[] = [
  { title: 'Guest register state', rows: [RIP, CR0] },
  { title: 'Controls', rows: [ABSENT, UNUSED] },
  { title: 'VM-exit information', rows: [REASON] },
];

function build(options: Partial<TreeOptions> = {}) {
  return buildTree(GROUPS, {
    reports: [],
    filter: '',
    hideAbsent: false,
    breakpoints: new Map(),
    isEditable: true,
    ...options,
  });
}

const keys = (roots: readonly VmcsNode[]): string[] =>
  roots.flatMap((node) => (node.kind === 'group' ? node.children.map((field) => field.row.key) : []));

function field(key: string, options: Partial<TreeOptions> = {}): FieldNode {
  const groups = build(options).roots.filter((node): node is GroupNode => node.kind === 'group');
  return groups.flatMap(({ children }) => children).find((node) => node.row.key === key) as FieldNode;
}

describe('the tree of the VMCS view', () => {
  it('has a group for each of the adapter’s, with the number of changes', () => {
    const { roots, shown, total } = build();
    expect(roots.map((node) => present(node).label)).toEqual([
      'Guest register state',
      'Controls',
      'VM-exit information',
    ]);
    expect(present(roots[0]).description).toBe('Δ 2 changed');
    expect([shown, total]).toEqual([5, 5]);
  });

  it('keeps ids when values change, so that what is open stays open', () => {
    const idsOf = (roots: readonly VmcsNode[]): string[] => [...placesOf(roots).keys()];
    const other = buildTree([{ title: 'Guest register state', rows: [{ ...CR0, stored: '0x1' }] }], {
      reports: [],
      filter: '',
      hideAbsent: false,
      breakpoints: new Map(),
      isEditable: true,
    });
    expect(idsOf(build().roots)).toEqual(expect.arrayContaining(idsOf(other.roots)));
    const ids = idsOf(build().roots);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('leaves out what is absent when it is told to, and groups that are empty then', () => {
    expect(keys(build({ hideAbsent: true }).roots)).toEqual(['GUEST_RIP', 'GUEST_CR0', 'VM_EXIT_REASON']);
    expect(build({ hideAbsent: true }).roots.length).toBe(2);
  });

  it.each([
    ['rip', ['GUEST_RIP']],
    ['guest CR', ['GUEST_CR0']],
    ['0x6800', ['GUEST_CR0']],
    ['tsc scaling', ['TSC_MULTIPLIER']],
    ['paging', ['GUEST_CR0']],
    ['aging', []],
    ['uest_cr', ['GUEST_CR0']],
    ['cpuid', ['VM_EXIT_REASON']],
    ['@changed', ['GUEST_RIP', 'GUEST_CR0']],
    ['@changed cr0', ['GUEST_CR0']],
    ['no such thing', []],
  ])('the filter %j finds %j', (filter, found) => {
    expect(keys(build({ filter }).roots)).toEqual(found);
  });

  it('opens the groups while a filter is on', () => {
    const [group] = build({ filter: 'rip' }).roots;
    expect(present(group).isExpanded).toBe(true);
    expect(group.id).not.toBe(build().roots[0].id);
  });

  it('says what a breakpoint waits for besides', () => {
    const breakpoints = new Map([['GUEST_RIP', { title: 'Guest RIP', condition: '$rax == 1' }]]);
    const [first] = build({ breakpoints }).roots;
    expect(childrenOf(first).map((node) => present(node).description)).toEqual([
      'when the stored value changes and $rax == 1',
    ]);
  });

  it('lists the breakpoints first, and finds their fields by @watched', () => {
    const breakpoints = new Map([['GUEST_RIP', { title: 'Guest RIP' }]]);
    const [first] = build({ breakpoints }).roots;
    expect(present(first)).toMatchObject({ label: 'Stops when changed', description: '1 field' });
    expect(keys(build({ breakpoints, filter: '@watched' }).roots)).toEqual(['GUEST_RIP']);
  });
});

describe('a field', () => {
  it('shows stored and live where they differ, and what it was', () => {
    expect(present(field('GUEST_RIP')).description).toBe(
      'Δ live 0x100004 (_start+0x4) · stored 0x100002 · was 0x100002',
    );
    expect(field('GUEST_RIP').children.map((child) => present(child).label)).toEqual(['Stored', 'Live']);
  });

  it('shows numbers in decimal where the user wants that', () => {
    expect(present(field('GUEST_RIP'), 'decimal').description).toBe(
      'Δ live 1048580 (_start+0x4) · stored 1048578 · was 1048578',
    );
    expect(present(field('GUEST_CR0'), 'decimal').description).toBe('Δ 2147483665 (PE, ET, PG) · was 17');
    expect(field('GUEST_RIP').children.map((child) => present(child, 'decimal').description)).toEqual([
      '1048578 (what VMREAD gives)',
      '1048580 (what the processor holds)',
    ]);
  });

  it('says in words what signs and colours show', () => {
    const breakpoints = new Map([['GUEST_RIP', { title: 'Guest RIP' }]]);
    expect(present(field('GUEST_RIP', { breakpoints })).spoken).toBe(
      'Guest RIP Δ live 0x100004 (_start+0x4) · stored 0x100002 · was 0x100002, changed, the machine stops when it changes',
    );
    expect(present(field('VMX_PREEMPTION_TIMER_VALUE')).spoken).toContain(
      'not in use: "Activate VMX-preemption timer" is 0',
    );
  });

  it('tells a stored value that changed under an equal live one', () => {
    const changed = { ...REASON, live: '0x5', previous: { stored: '0x1', live: '0x5' } };
    const [group] = buildTree([{ title: 'G', rows: [changed] }], {
      reports: [],
      filter: '',
      hideAbsent: false,
      breakpoints: new Map(),
      isEditable: true,
    }).roots as GroupNode[];
    expect(present(group.children[0]).description).toContain('stored was 0x1');
  });

  it('marks the bits that have changed', () => {
    const [enable, paging] = field('GUEST_CR0').children;
    expect(present(enable).description).toBe('1');
    expect(present(paging)).toMatchObject({ description: 'Δ 1 · was 0', icon: 'circle-filled' });
    expect(present(paging).spoken).toBe('PG: Paging Δ 1 · was 0, changed');
  });

  it('is grey with its control when it is absent', () => {
    expect(present(field('TSC_MULTIPLIER'))).toMatchObject({
      description: 'needs "Use TSC scaling"',
      spoken: 'TSC multiplier needs "Use TSC scaling", the processor does not have it',
      isGrey: true,
      icon: 'circle-slash',
      context: 'field',
    });
    expect(present(field('VMX_PREEMPTION_TIMER_VALUE')).description).toBe(
      '0x0 · not in use: "Activate VMX-preemption timer" is 0',
    );
  });

  it('offers what can be done with it', () => {
    const breakpoints = new Map([['GUEST_RIP', { title: 'Guest RIP' }]]);
    expect(present(field('VM_EXIT_REASON')).context).toBe('field copyable editable watchable');
    expect(present(field('GUEST_RIP', { breakpoints })).context).toBe('field copyable editable watched');
    expect(present(field('VM_EXIT_REASON', { isEditable: false })).context).toBe('field copyable watchable');
    const [group] = buildTree([{ title: 'G', rows: [{ ...REASON, watched: true }] }], {
      reports: [],
      filter: '',
      hideAbsent: false,
      breakpoints: new Map(),
      isEditable: true,
    }).roots as GroupNode[];
    expect(present(group.children[0])).toMatchObject({
      context: 'field copyable editable',
      icon: 'debug-breakpoint-data',
    });
  });

  it('has its encoding, its values and the manual in the hover', () => {
    expect(hoverOf(field('GUEST_RIP'))).toEqual({
      title: 'Guest RIP',
      lines: [
        ['Encoding', '0x681e, 64 bits'],
        ['Stored', '0x100002 (1048578)'],
        ['Live', '0x100004 (1048580)'],
        ['Meaning', '_start+0x4'],
        ['Before', 'stored 0x100002, live 0x100002'],
        ['Manual', 'SDM "Guest Register State", 26.4.1'],
      ],
    });
    expect(hoverOf(field('GUEST_CR0').children[1])?.lines).toContainEqual(['Of', 'Guest CR0, bit 31']);
    expect(hoverOf(build().roots[0])).toBeUndefined();
  });
});

describe('a VM entry that fails', () => {
  const report: EntryReport = {
    instruction: 'VMLAUNCH',
    enters: false,
    outcome: 'VMfailValid(7)',
    rules: [
      {
        id: 'controls.pin.reserved',
        section: 'Controls',
        text: 'Reserved bits must be set properly',
        reference: 'SDM 28.2.1.1',
        outcome: 'VMfailValid(7)',
        field: {
          key: 'GUEST_CR0',
          title: 'Guest CR0',
          encoding: '0x6800',
          value: '0x0',
          offendingBits: '0x16',
          offending: ['bit 1'],
          passing: '0x16',
          writtenAt: '0x1000',
          writtenIn: 'setup vmx.c:12',
        },
        others: [{ key: 'HOST_CR0', value: '0x1' }],
      },
    ],
    text: 'the report',
  };

  it('stands before everything, with each broken rule and the field to go to', () => {
    const [node] = build({ reports: [report] }).roots;
    expect(present(node)).toMatchObject({ label: 'VMLAUNCH would fail', description: 'VMfailValid(7)' });
    const [rule] = childrenOf(node);
    expect(present(rule)).toMatchObject({
      label: 'Reserved bits must be set properly',
      description: 'Guest CR0 is 0x0',
      leadsTo: 'GUEST_CR0',
    });
    expect(hoverOf(rule)?.lines).toEqual([
      ['Part of the VMCS', 'Controls'],
      ['Guest CR0', '0x0'],
      ['Bits at fault', '0x16, bit 1'],
      ['Would pass', '0x16'],
      ['Written by the VMWRITE at', 'setup vmx.c:12'],
      ['HOST_CR0', '0x1'],
      ['The processor answers', 'VMfailValid(7)'],
      ['Manual', 'SDM 28.2.1.1'],
    ]);
  });

  it('that was made says where', () => {
    const failedAt = { rip: '0x2000', position: 9, location: 'main+0x4 vmx.c:30' };
    const [node] = build({ reports: [{ ...report, failedAt }] }).roots;
    expect(present(node)).toMatchObject({
      label: 'Last failed VM entry',
      description: 'VMfailValid(7) · VMLAUNCH at main+0x4 vmx.c:30',
    });
  });
});

describe('the fields of a VM exit', () => {
  it('are those that were recorded, compared with the exit before', () => {
    const { stored: _recorded, ...notRecorded } = CR0;
    const before = [{ title: 'G', rows: [{ ...REASON, stored: '0x1' }, RIP] }];
    const after = [{ title: 'G', rows: [REASON, { ...RIP, previous: { stored: '0x9' } }, notRecorded] }];
    const [{ rows }] = recordedFields(after, before);
    expect(rows.map(({ key, previous }) => [key, previous])).toEqual([
      ['VM_EXIT_REASON', { stored: '0x1' }],
      ['GUEST_RIP', undefined],
    ]);
  });
});

describe('what stands above the fields', () => {
  it('is nothing when they are all there', () => {
    expect(messageFor({ kind: 'shown', shown: 5, total: 5, filter: '' })).toBeUndefined();
  });

  it('says at which exit they were recorded', () => {
    expect(messageFor({ kind: 'shown', shown: 5, total: 5, filter: '', exit: 17 })).toContain('VM exit 17');
  });

  it('counts what a filter has found', () => {
    expect(messageFor({ kind: 'shown', shown: 1, total: 5, filter: 'rip' })).toBe(
      '1 of 5 fields match "rip".',
    );
    expect(messageFor({ kind: 'shown', shown: 0, total: 5, filter: 'x' })).toBe('No field matches "x".');
  });

  it('says why there are none, and what to do', () => {
    expect(messageFor({ kind: 'noSession' })).toContain('Start debugging');
    expect(messageFor({ kind: 'running', hasFields: false })).toContain('Pause');
    expect(messageFor({ kind: 'running', hasFields: true })).toContain('last stop');
    expect(messageFor({ kind: 'noVmx' })).toContain('no VT-x');
    expect(messageFor({ kind: 'noCurrentVmcs' })).toContain('VMPTRLD');
    expect(messageFor({ kind: 'failed', reason: 'gone' })).toContain('gone');
  });
});

describe('what is typed for a value', () => {
  it.each([
    ['', 64, 'Type a number'],
    ['0x10000', 16, '0x10000 does not fit 16 bits.'],
    ['2', 1, '2 does not fit 1 bit.'],
    ['-0x8001', 16, 'does not fit'],
  ])('%j is refused for %i bits', (text, bits, problem) => {
    expect(problemWith(text, bits)).toContain(problem);
  });

  it.each([
    ['0xffff', 16],
    ['-1', 16],
    ['0b1', 1],
    ['1_000', 16],
    ['rip + 2', 64],
    ['_start', 64],
  ])('%j can be tried for %i bits', (text, bits) => {
    expect(problemWith(text, bits)).toBeUndefined();
  });
});
