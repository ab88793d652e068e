import { describe, expect, it } from 'vitest';
import { AT, guestVmcs, processorInRoot } from '../../test/support/vmxProcessor.ts';
import { OUTCOME } from '../core/outcome.ts';
import { BLOCKING } from '../state/registers.ts';
import { describeFailedEntry } from './describeEntryFailure.ts';
import { type BrokenRule, brokenRules, entryReportLines } from './entryReport.ts';
import { lastEntryReport, nextEntryReport } from './failedEntry.ts';
import { vmlaunchOrVmresume } from './instructions.ts';
import { CR0 } from './registerBits.ts';
import { longModeGuest, type TestVmcs } from './testVmcs.ts';
import { VMCS_FIELD } from './vmcsLayout.ts';

function rulesOf(vmcs: TestVmcs): BrokenRule[] {
  return brokenRules({ read: (ordinal) => vmcs.values[ordinal], context: vmcs.context });
}

const only = (vmcs: TestVmcs): BrokenRule => {
  const rules = rulesOf(vmcs);
  expect(rules.length).toBe(1);
  return rules[0];
};

describe('the report of an entry', () => {
  it('names section, field, value, the bits at fault by their names, and a value that would pass', () => {
    const rule = only(longModeGuest().change('HOST_CR0', { clear: CR0.NE }));
    expect(rule).toMatchObject({
      id: 'host.cr0.fixed',
      section: 'Host-state area',
      outcome: 'VMfailValid(8): VM entry with invalid host-state fields',
      reference: 'SDM 28.2.2, "Checks on Host Control Registers, MSRs, and SSP"',
    });
    const value = CR0.PE | CR0.WP | CR0.PG;
    expect(rule.field).toMatchObject({
      key: 'HOST_CR0',
      encoding: 0x6c00,
      value,
      offendingBits: CR0.NE,
      offending: ['bit 5 (Numeric error)'],
      passing: value | CR0.NE,
    });
  });

  it('says what the capability MSRs allow', () => {
    const control = only(
      longModeGuest().change('PIN_BASED_VM_EXECUTION_CONTROLS', { set: 1n << 8n, clear: 2n }),
    );
    expect(control.field?.capability).toMatch(
      /^IA32_VMX_TRUE_PINBASED_CTLS \(0x48d\) is 0x[0-9a-f]+00000016$/,
    );
    const cr4 = only(longModeGuest().change('GUEST_CR4', { set: 1n << 40n }));
    expect(cr4.field?.capability).toMatch(
      /^IA32_VMX_CR4_FIXED0 \(0x488\) is 0x2000, IA32_VMX_CR4_FIXED1 \(0x489\) is 0x/,
    );
    expect(cr4.field?.offending).toEqual(['bit 40']);
  });

  it('names every field of a sentence about several', () => {
    const rules = rulesOf(
      longModeGuest().set({ HOST_CS_SELECTOR: 0xbn, HOST_GS_SELECTOR: 4n, HOST_DS_SELECTOR: 3n }),
    );
    expect(rules.map(({ field }) => field?.key)).toEqual([
      'HOST_CS_SELECTOR',
      'HOST_DS_SELECTOR',
      'HOST_GS_SELECTOR',
    ]);
  });

  it('gives the fields that the rule looks at besides', () => {
    const rule = only(
      longModeGuest().set({ VM_ENTRY_INTERRUPTION_INFORMATION: 0x8000_00d1n, GUEST_RFLAGS: 2n }),
    );
    expect(rule.id).toBe('guest.rflags.if');
    expect(rule.others).toEqual([{ key: 'VM_ENTRY_INTERRUPTION_INFORMATION', value: 0x8000_00d1n }]);
    expect(rule.field?.passing).toBe(0x202n);
  });

  it('finds a value that breaks no other rule', () => {
    const vmcs = longModeGuest().set({ GUEST_TR_ACCESS_RIGHTS: 0x83n });
    const { passing } = only(vmcs).field as { passing: bigint };
    expect(passing).toBe(0x8bn);
    expect(rulesOf(vmcs.set({ GUEST_TR_ACCESS_RIGHTS: passing }))).toEqual([]);
  });

  it.each([
    ['VMCS_LINK_POINTER', 0n, 0xffff_ffff_ffff_ffffn],
    ['VIRTUAL_PROCESSOR_IDENTIFIER', 0n, 1n],
    ['HOST_CS_SELECTOR', 0n, 8n],
    ['GUEST_ACTIVITY_STATE', 9n, 0n],
    ['GUEST_LDTR_ACCESS_RIGHTS', 0x92n, 0x82n],
  ] as const)('proposes for %s = %d the value %d', (key, value, passing) => {
    expect(only(longModeGuest().set({ [key]: value })).field?.passing).toBe(passing);
  });

  it('can be read as text', () => {
    const vmcs = longModeGuest().change('GUEST_CS_ACCESS_RIGHTS', { set: 0x4000n });
    const rules = rulesOf(vmcs);
    const report = {
      vmcs: 0n,
      instruction: 'VMLAUNCH',
      enters: false,
      outcome: '',
      rules,
      failedAt: undefined,
    } as const;
    expect(entryReportLines(report)).toMatchInlineSnapshot(`
      [
        "1. D/B of guest CS must be 0 if "IA-32e mode guest" and CS.L are 1",
        "   GUEST_CS_ACCESS_RIGHTS (0x4816) is 0xe09b; at fault: bit 14 (Default operation size)",
        "   would pass: 0xa09b",
        "   with GUEST_RFLAGS 0x2",
        "   VM-entry failure due to invalid guest state (exit reason 33, qualification 0); SDM 28.3.1.2, "Checks on Guest Segment Registers"",
      ]
    `);
  });
});

describe('the report of the last entry that failed', () => {
  it('is there only after a failure', () => {
    expect(lastEntryReport(processorInRoot().vmx.processor)).toBeUndefined();
  });

  it('keeps what the fields held, whatever becomes of them', () => {
    const { vmx, state } = processorInRoot(guestVmcs().set({ HOST_TR_SELECTOR: 0n }));
    state.RIP = 0x1234n;
    vmx.enterGuest();
    vmx.vmwrite('HOST_TR_SELECTOR', 0x18n);
    const report = lastEntryReport(vmx.processor);
    expect(report).toMatchObject({
      vmcs: BigInt(AT.VMCS),
      instruction: 'VMLAUNCH',
      enters: false,
      outcome: 'VMfailValid(8): VM entry with invalid host-state fields',
      failedAt: { rip: 0x1234n },
      rules: [{ id: 'host.selectors.csTr', field: { key: 'HOST_TR_SELECTOR', value: 0n } }],
    });
    expect(nextEntryReport(vmx.processor).enters).toBe(true);
    expect(describeFailedEntry(vmx.processor).description).toBe(
      'VMLAUNCH at RIP 0x1234 failed: VMfailValid(8): VM entry with invalid host-state fields: The host selectors of CS and TR must not be 0000H: HOST_TR_SELECTOR is 0x0',
    );
  });

  it.each([
    ['basic.entryEventsBlockedByMovSs', 26, true],
    ['basic.vmresumeNonLaunchedVmcs', 5, false],
  ] as const)('knows the basic checks: %s', (id, error, launch) => {
    const { vmx, state } = processorInRoot();
    if (launch) state.INTERRUPTIBILITY = BLOCKING.MOV_SS;
    expect(vmlaunchOrVmresume(vmx.processor, launch)).toBe(OUTCOME.NEXT);
    const report = lastEntryReport(vmx.processor);
    expect(report?.rules.map((rule) => rule.id)).toEqual([id]);
    expect(report?.outcome).toContain(`VMfailValid(${error})`);
    expect(vmx.vmread32('VM_INSTRUCTION_ERROR')).toBe(error);
  });

  it('knows that there is no current VMCS', () => {
    const { vmx } = processorInRoot();
    vmx.vmclear(BigInt(AT.VMCS));
    vmlaunchOrVmresume(vmx.processor, true);
    expect(lastEntryReport(vmx.processor)).toMatchObject({
      vmcs: undefined,
      outcome: 'VMfailInvalid: there is no current VMCS',
    });
    expect(nextEntryReport(vmx.processor)).toMatchObject({ enters: false, rules: [{ id: 'basic.noVmcs' }] });
  });
});

describe('the MSR-load area in the report', () => {
  const AREA = 0x34_0000;
  const withMsrs = (...entries: readonly (readonly [number, bigint])[]) => {
    const test = processorInRoot(
      guestVmcs().set({
        VM_ENTRY_MSR_LOAD_ADDRESS: BigInt(AREA),
        VM_ENTRY_MSR_LOAD_COUNT: BigInt(entries.length),
      }),
    );
    for (const [index, [msr, value]] of entries.entries()) {
      test.physical.write64(AREA + 16 * index, BigInt(msr));
      test.physical.write64(AREA + 16 * index + 8, value);
    }
    return test.vmx;
  };

  it.each([
    [0xc000_0100, 0n, 'this MSR may not be in the area'],
    [0x174, 1n << 32n, 'WRMSR refuses the value'],
    [0x1234_5678, 0n, 'the processor has no such MSR'],
  ])('names entry, MSR 0x%x and why it is refused', (msr, value, why) => {
    const vmx = withMsrs([0x174, 0n], [msr, value]);
    const { RIP } = vmx.processor.state;
    const next = nextEntryReport(vmx.processor);
    expect(next.rules.map(({ id }) => id)).toEqual(['msrLoad']);
    expect(next.rules[0].text).toContain('entry 2');
    expect(next.rules[0].text).toContain(why);
    vmx.enterGuest();
    const last = lastEntryReport(vmx.processor);
    expect(last?.rules[0].text).toContain(why);
    expect(last?.outcome).toBe(next.outcome);
    expect(last?.failedAt?.rip).toBe(RIP);
    expect(vmx.vmread32('VM_EXIT_REASON')).toBe(0x8000_0022);
    expect(vmx.vmread('EXIT_QUALIFICATION')).toBe(2n);
  });
});

describe('an MSR-load area with more entries than IA32_VMX_MISC recommends', () => {
  it('is in the report before and after the entry, which fails at once', () => {
    const { vmx } = processorInRoot(
      guestVmcs().set({ VM_ENTRY_MSR_LOAD_ADDRESS: 0x5000n, VM_ENTRY_MSR_LOAD_COUNT: 0xffff_ffffn }),
    );
    const next = nextEntryReport(vmx.processor);
    expect(next).toMatchObject({ enters: false, rules: [{ id: 'msrLoad.count' }] });
    expect(next.rules[0].field).toMatchObject({ value: 0xffff_ffffn, allowed: 'at most 512' });
    vmx.enterGuest();
    expect(lastEntryReport(vmx.processor)?.outcome).toBe(next.outcome);
    expect(next.outcome).toContain('exit reason 41, qualification 0');
  });
});

describe('the VMWRITE that wrote a field last', () => {
  it('is in the report', () => {
    const { vmx } = processorInRoot(guestVmcs().change('HOST_CR0', { clear: CR0.NE }));
    vmx.processor.marks?.written(VMCS_FIELD.HOST_CR0.ordinal, 0x4321, 0);
    const report = nextEntryReport(vmx.processor);
    expect(report.rules[0].field?.writtenAt).toBe(0x4321n);
    expect(entryReportLines(report, () => 'vmx.c:12').join('\n')).toContain(
      'written last by the VMWRITE at 0x4321 (vmx.c:12)',
    );
  });
});
