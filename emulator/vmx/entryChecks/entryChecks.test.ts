import { describe, expect, it } from 'vitest';
import { CONTROL_WORDS } from '../controls.ts';
import type { VmcsFieldKey } from '../fields.ts';
import { CR0, RFLAGS } from '../registerBits.ts';
import {
  legacyHost,
  longModeGuest,
  protectedModeGuest,
  realModeGuest,
  type TestVmcs,
  virtual8086Guest,
} from '../testVmcs.ts';
import { VMCS_FIELD } from '../vmcsLayout.ts';
import { allFailures, ENTRY_CHECKS, entryFailureOf, firstFailure } from './evaluate.ts';
import { INJECT, inject, link, REVISION, VALID, VIOLATIONS } from './violations.ts';

const VALID_VMCSS = { longModeGuest, protectedModeGuest, virtual8086Guest, realModeGuest, legacyHost };
const ids = (vmcs: TestVmcs) => allFailures(vmcs.view).map(({ row }) => row.id);

describe('the rows of the entry checks', () => {
  it('have unique ids that begin with their group, texts and references', () => {
    expect(new Set(ENTRY_CHECKS.map((row) => row.id)).size).toBe(ENTRY_CHECKS.length);
    for (const { id, group, text, ref } of ENTRY_CHECKS) {
      expect(id.startsWith(`${group}.`)).toBe(true);
      expect(text).not.toBe('');
      expect(ref.title).not.toBe('');
    }
  });

  it('need fields that exist', () => {
    for (const { needs } of ENTRY_CHECKS) for (const key of needs) expect(VMCS_FIELD[key]).toBeDefined();
  });

  it('come group by group: controls, host state, guest state', () => {
    const order = ENTRY_CHECKS.map(({ group }) => ['controls', 'host', 'guest'].indexOf(group));
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  it('are each violated by some test, and no test is left over', () => {
    expect(Object.keys(VIOLATIONS)).toEqual(ENTRY_CHECKS.map((row) => row.id));
  });
});

describe('a valid VMCS', () => {
  it.each(Object.entries(VALID_VMCSS))('(%s) fails no check', (_name, build) => {
    expect(ids(build())).toEqual([]);
    expect(firstFailure(build().view)).toBeUndefined();
  });
});

describe('an entry check', () => {
  const cases = ENTRY_CHECKS.flatMap((row) =>
    (VIOLATIONS[row.id] ?? []).map((violated) => ({ row, violated, name: `${row.id}: ${row.text}` })),
  );

  it.each(cases)('$name', ({ row, violated }) => {
    const failures = allFailures(violated.by.view);
    const expected = [row.id, ...(violated.also ?? [])].sort();
    expect(failures.map((failure) => failure.row.id).sort()).toEqual(expected);
    const failure = failures.find((candidate) => candidate.row === row);
    expect(row.needs).toContain(failure?.violation.field);
    if (violated.field !== undefined) expect(failure?.violation.field).toBe(violated.field);
    expect(failure?.outcome).toEqual(entryFailureOf(row));
  });

  it.each(ENTRY_CHECKS)('$id reads no field that it does not say it needs', (row) => {
    const declared = new Set<VmcsFieldKey>([...row.needs, ...CONTROL_WORDS.map((word) => word.field)]);
    const vmcss = [
      ...Object.values(VALID_VMCSS).map((build) => build()),
      ...(VIOLATIONS[row.id] ?? []).map((v) => v.by),
    ];
    for (const vmcs of vmcss) {
      vmcs.reads.clear();
      row.check(vmcs.view);
      for (const key of vmcs.reads) expect(declared).toContain(key);
    }
  });
});

describe('a failed VM entry', () => {
  it('because of the controls is VMfailValid(7), of the host state VMfailValid(8)', () => {
    expect(firstFailure(longModeGuest().set({ CR3_TARGET_COUNT: 5n }).view)?.outcome).toEqual({
      kind: 'VMfailValid',
      error: 7,
    });
    expect(firstFailure(longModeGuest().set({ HOST_CS_SELECTOR: 0n }).view)?.outcome).toEqual({
      kind: 'VMfailValid',
      error: 8,
    });
  });

  it('because of the guest state is exit reason 33 with qualification 0', () => {
    expect(firstFailure(longModeGuest().set({ GUEST_RFLAGS: 0n }).view)?.outcome).toEqual({
      kind: 'entryFailure',
      exitReason: 33,
      qualification: 0,
    });
  });

  it('has qualification 2 for PDPTEs, 3 for an NMI blocked by STI and 4 for the link pointer', () => {
    const qualification = (id: string) => firstFailure(VIOLATIONS[id][0].by.view)?.outcome;
    expect(qualification('guest.pdptes.fields')).toMatchObject({ qualification: 2 });
    expect(qualification('guest.interruptibility.nmiSti')).toMatchObject({ qualification: 3 });
    expect(qualification('guest.linkPointer.alignment')).toMatchObject({ qualification: 4 });
  });

  it('reports the first sentence in the order controls, host, guest, while the debugger sees all', () => {
    const vmcs = longModeGuest().set({ GUEST_RFLAGS: 0n, HOST_CS_SELECTOR: 0n, CR3_TARGET_COUNT: 9n });
    expect(firstFailure(vmcs.view)?.row.id).toBe('controls.cr3TargetCount');
    expect(ids(vmcs)).toEqual(['controls.cr3TargetCount', 'host.selectors.csTr', 'guest.rflags.reserved']);
  });

  it('names the offending bits', () => {
    const failure = firstFailure(longModeGuest().change('GUEST_CR0', { clear: CR0.NE }).view);
    expect(failure?.violation).toEqual({ field: 'GUEST_CR0', offendingBits: CR0.NE });
  });
});

describe('what the checks permit', () => {
  it('any value in areas whose count is 0 and in fields whose control is 0', () => {
    const vmcs = longModeGuest().set({
      VM_EXIT_MSR_LOAD_ADDRESS: 0xffff_ffff_ffff_ffffn,
      MSR_BITMAPS: 0xffff_ffff_ffff_ffffn,
      IO_BITMAP_A: 0x123n,
    });
    expect(ids(vmcs)).toEqual([]);
  });

  it('CR0.NW and CR0.CD, which VM entry does not load', () => {
    expect(ids(longModeGuest().change('GUEST_CR0', { set: CR0.NW | CR0.CD }))).toEqual([]);
  });

  it('an unusable LDTR, SS, DS and ES, whatever their other bits say', () => {
    const vmcs = longModeGuest();
    for (const name of ['LDTR', 'SS', 'DS', 'ES'] as const)
      vmcs.set({ [`GUEST_${name}_ACCESS_RIGHTS`]: 0x1_0000n });
    expect(ids(vmcs)).toEqual([]);
  });

  it('a VMCS link pointer to an ordinary VMCS of the right revision', () => {
    expect(ids(link(longModeGuest(), 0x6000n, REVISION))).toEqual([]);
  });

  it('a hardware exception without its error code if IA32_VMX_BASIC[56] is 1', () => {
    expect(ids(inject(longModeGuest(), VALID | 0x30dn))).toEqual([]);
  });

  it('injection of interrupts, #DB and a pending MTF VM exit into HLT', () => {
    for (const event of [INJECT.nmi, INJECT.debugException, INJECT.externalInterrupt, VALID | 0x700n]) {
      const vmcs = inject(longModeGuest(), event).set({
        GUEST_ACTIVITY_STATE: 1n,
        GUEST_RFLAGS: RFLAGS.IF | 2n,
      });
      expect(ids(vmcs)).toEqual([]);
    }
  });
});
