import { describe, expect, it } from 'vitest';
import type { VmcsFieldKey } from '../fields.ts';
import { longModeGuest, type TestVmcs } from '../testVmcs.ts';
import { explainVmcsDumps } from './explainDump.ts';
import { parseVmcsDumps } from './parseDump.ts';

/** The lines of dumps in public bug reports that a test is about. */
const XEN_CR3 = `
(XEN) d12v0 vmentry failure (reason 0x80000021): Invalid guest state (0)
(XEN) ************* VMCS Area **************
(XEN) *** Guest State ***
(XEN) CR0: actual=0x000000008005003b, shadow=0x0000000080050033, gh_mask=ffffffffffffffff
(XEN) CR4: actual=0x0000000000362670, shadow=0x0000000000360670, gh_mask=ffffffffffffffff
(XEN) CR3 = 0x800000001a02f080
(XEN) RSP = 0xffff880018cf7f50 (0xffff880018cf7f50)  RIP = 0xffffffff8184f058 (0xffffffff8184f058)
(XEN) RFLAGS=0x00000082 (0x00000082)  DR7 = 0x0000000000000400
(XEN) Sysenter RSP=0000000000000000 CS:RIP=0010:ffffffff81851f60
(XEN)        sel  attr  limit   base
(XEN)   CS: 0010 0a09b ffffffff 0000000000000000
(XEN)   SS: 0018 0c093 ffffffff 0000000000000000
(XEN)   FS: 0000 1c000 ffffffff 00007fdb9d9c2700
(XEN) GDTR:            0000007f ffff88001f40c000`;

const XEN_CONTROLS = `
(XEN) *** Host State ***
(XEN) EFER = 0x0000000000000000  PAT = 0x0000050100070406
(XEN) *** Control State ***
(XEN) PinBased=0000003f CPUBased=b6a0e5fa SecondaryExec=000054eb
(XEN) EntryControls=000053ff ExitControls=000fefff
(XEN) VMEntry: intr_info=0000002f errcode=00000004 ilen=00000000
(XEN)         reason=80000021 qualification=0000000000000000
(XEN) TSC Offset = 0xfffff418a22ef5c2  TSC Multiplier = 0x0000000000000000
(XEN) TPR Threshold = 0x00  PostedIntrVec = 0x00
(XEN) EPT pointer = 0x000000039495301e  EPTP index = 0x0000
(XEN) Virtual processor ID = 0x7678 VMfunc controls = 0000000000000000`;

const KVM_INTERRUPT = `
[ 7058.291757] *** Guest State ***
[ 7058.291776] RFLAGS=0x00000002 DR7 = 0x0000000000000400
[ 7058.291829] *** Control State ***
[ 7058.291838] VMEntry: intr_info=800000d1 errcode=00000000 ilen=00000000`;

const KVM_SEGMENTS = `
[  673.850218] kvm_intel: VMCS 00000000f971be22, last attempted VM-entry on CPU 3
[  673.853454] kvm_intel: *** Guest State ***
[  673.855332] kvm_intel: CR0: actual=0x0000000080010033, shadow=0x0000000080010033, gh_mask=fffffffffffefff7
[  673.863903] kvm_intel: PDPTR0 = 0x000000005e0e5001  PDPTR1 = 0x000000005e0e4001
[  673.868590] kvm_intel: RSP = 0xfffffe006000be50  RIP = 0xffffff8000042837
[  673.870921] kvm_intel: RFLAGS=0x00000002         DR7 = 0x0000000000000400
[  673.875876] kvm_intel: CS:   sel=0x0008, attr=0x0a09b, limit=0xffffffff, base=0x0000000000000000
[  673.881658] kvm_intel: SS:   sel=0x0010, attr=0x0c093, limit=0xffffffff, base=0x0000000000000000`;

const ids = (text: string): string[] =>
  explainVmcsDumps(text).flatMap(({ rules }) => rules.map(({ id }) => id));

const KVM_MSRS = `
kvm_intel: *** Guest State ***
kvm_intel: RFLAGS=0x00000202         DR7 = 0x0000000000000400
kvm_intel: MSR guest autoload:
kvm_intel:    0: msr=0x00000600 value=0x0000000000000000
kvm_intel:    1: msr=0xc0000100 value=0x0000000000000001
kvm_intel: *** Host State ***
kvm_intel: MSR host autoload:
kvm_intel:    1: msr=0x00000174 value=0x0000000000000000
kvm_intel: *** Control State ***
kvm_intel:         reason=80000022 qualification=0000000000000002`;

describe('a dump of a processor with shadow stacks', () => {
  it('has their state of guest and host, and the shadow of IA32_SPEC_CTRL', () => {
    const line = (first: number): string =>
      `S_CET = 0x${first}, SSP = 0x${first + 1}, SSP TABLE = 0x${first + 2}`;
    const [{ fields }] = parseVmcsDumps(
      `*** Guest State ***\n${line(1)}\n*** Host State ***\n${line(5)}\n*** Control State ***\nSPEC_CTRL mask = 0x8  shadow = 0x9`,
    );
    expect(Object.fromEntries(fields)).toEqual({
      GUEST_IA32_S_CET: 1n,
      GUEST_SSP: 2n,
      GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR: 3n,
      HOST_IA32_S_CET: 5n,
      HOST_SSP: 6n,
      HOST_IA32_INTERRUPT_SSP_TABLE_ADDR: 7n,
      SPEC_CTRL_MASK: 8n,
      SPEC_CTRL_SHADOW: 9n,
    });
  });
});

describe('a dump with the VM-entry MSR-load area', () => {
  it('names the MSR that could not be loaded', () => {
    const [{ rules }] = explainVmcsDumps(KVM_MSRS);
    expect(rules.map(({ id }) => id)).toEqual(['msrLoad']);
    expect(rules[0].text).toContain(
      'entry 2 names MSR 0xc0000100 (IA32_FS_BASE) with the value 0x1: this MSR may not be in the area',
    );
    expect(rules[0].outcome).toContain('exit reason 34, qualification 2');
  });

  it.each([
    [
      'another entry is refused',
      'qualification=0000000000000002',
      'qualification=0000000000000001',
      'MSR 0x600',
    ],
    ['the entry is not shown', 'qualification=0000000000000002', 'qualification=0000000000000003', undefined],
    ['the entry failed otherwise', 'reason=80000022', 'reason=80000021', undefined],
  ])('%s', (_what, from, to, named) => {
    const [{ rules }] = explainVmcsDumps(KVM_MSRS.replace(from, to));
    if (named === undefined) expect(rules).toEqual([]);
    else expect(rules[0].text).toContain(named);
  });
});

describe('a dump of a public bug report', () => {
  it('of Xen: guest CR3 has bit 63, which MOV to CR3 takes and the VMCS does not', () => {
    const [explanation] = explainVmcsDumps(XEN_CR3);
    expect(explanation.hypervisor).toBe('Xen');
    expect(explanation.rules.map(({ id }) => id)).toEqual(['guest.cr3.reserved']);
    expect(explanation.rules[0].field).toMatchObject({
      value: 0x8000_0000_1a02_f080n,
      offending: ['bit 63'],
      passing: 0x1a02_f080n,
    });
  });

  it('of Linux KVM: an external interrupt is injected while RFLAGS.IF is 0', () => {
    const [explanation] = explainVmcsDumps(KVM_INTERRUPT);
    expect(explanation.rules.map(({ id }) => id)).toEqual(['guest.rflags.if']);
    expect(explanation.rules[0].others).toEqual([
      { key: 'VM_ENTRY_INTERRUPTION_INFORMATION', value: 0x8000_00d1n },
    ]);
  });

  it('of Xen without guest state: says what the processor said, and that the controls are fine', () => {
    const [explanation] = explainVmcsDumps(XEN_CONTROLS);
    expect(explanation.said).toBe(
      'VM-entry failure due to invalid guest state (exit reason 33, qualification 0x0)',
    );
    expect(explanation.rules).toEqual([]);
    expect(explanation.undecided.map(({ id }) => id)).toContain('guest.cr3.reserved');
  });

  it('of Linux KVM with segments: selectors, access rights, limits and bases are read', () => {
    const [{ hypervisor, fields }] = parseVmcsDumps(KVM_SEGMENTS);
    expect(hypervisor).toBe('Linux KVM');
    expect(fields.get('GUEST_CS_ACCESS_RIGHTS')).toBe(0xa09bn);
    expect(fields.get('GUEST_SS_SELECTOR')).toBe(0x10n);
    expect(fields.get('GUEST_SS_LIMIT')).toBe(0xffff_ffffn);
    expect(fields.get('GUEST_PDPTE1')).toBe(0x5e0e_4001n);
    expect(fields.get('CR0_GUEST_HOST_MASK')).toBe(0xffff_ffff_fffe_fff7n);
    expect(fields.get('GUEST_RIP')).toBe(0xffff_ff80_0004_2837n);
    expect(ids(KVM_SEGMENTS)).toEqual([]);
  });
});

/** A whole dump in KVM's layout. */
function kvmDump(vmcs: TestVmcs): string {
  const at = (key: VmcsFieldKey, digits = 16): string => vmcs.get(key).toString(16).padStart(digits, '0');
  const segment = (name: string): string => {
    const part = (what: string, digits: number) => at(`GUEST_${name}_${what}` as VmcsFieldKey, digits);
    return `${name}:   sel=0x${part('SELECTOR', 4)}, attr=0x${part('ACCESS_RIGHTS', 5)}, limit=0x${part('LIMIT', 8)}, base=0x${part('BASE', 16)}`;
  };
  return [
    '*** Guest State ***',
    `CR0: actual=0x${at('GUEST_CR0')}, shadow=0x${at('CR0_READ_SHADOW')}, gh_mask=${at('CR0_GUEST_HOST_MASK')}`,
    `CR4: actual=0x${at('GUEST_CR4')}, shadow=0x${at('CR4_READ_SHADOW')}, gh_mask=${at('CR4_GUEST_HOST_MASK')}`,
    `CR3 = 0x${at('GUEST_CR3')}`,
    `RSP = 0x${at('GUEST_RSP')}  RIP = 0x${at('GUEST_RIP')}`,
    `RFLAGS=0x${at('GUEST_RFLAGS', 8)}         DR7 = 0x${at('GUEST_DR7')}`,
    `Sysenter RSP=${at('GUEST_IA32_SYSENTER_ESP')} CS:RIP=${at('GUEST_IA32_SYSENTER_CS', 4)}:${at('GUEST_IA32_SYSENTER_EIP')}`,
    ...['CS', 'DS', 'SS', 'ES', 'FS', 'GS'].map(segment),
    `GDTR:                           limit=0x${at('GUEST_GDTR_LIMIT', 8)}, base=0x${at('GUEST_GDTR_BASE')}`,
    segment('LDTR'),
    `IDTR:                           limit=0x${at('GUEST_IDTR_LIMIT', 8)}, base=0x${at('GUEST_IDTR_BASE')}`,
    segment('TR'),
    `EFER= 0x${at('GUEST_IA32_EFER')}`,
    `PAT = 0x${at('GUEST_IA32_PAT')}`,
    `DebugCtl = 0x${at('GUEST_IA32_DEBUGCTL')}  DebugExceptions = 0x${at('GUEST_PENDING_DEBUG_EXCEPTIONS')}`,
    `Interruptibility = ${at('GUEST_INTERRUPTIBILITY_STATE', 8)}  ActivityState = ${at('GUEST_ACTIVITY_STATE', 8)}`,
    '*** Host State ***',
    `RIP = 0x${at('HOST_RIP')}  RSP = 0x${at('HOST_RSP')}`,
    `CS=${at('HOST_CS_SELECTOR', 4)} SS=${at('HOST_SS_SELECTOR', 4)} DS=${at('HOST_DS_SELECTOR', 4)} ES=${at('HOST_ES_SELECTOR', 4)} FS=${at('HOST_FS_SELECTOR', 4)} GS=${at('HOST_GS_SELECTOR', 4)} TR=${at('HOST_TR_SELECTOR', 4)}`,
    `FSBase=${at('HOST_FS_BASE')} GSBase=${at('HOST_GS_BASE')} TRBase=${at('HOST_TR_BASE')}`,
    `GDTBase=${at('HOST_GDTR_BASE')} IDTBase=${at('HOST_IDTR_BASE')}`,
    `CR0=${at('HOST_CR0')} CR3=${at('HOST_CR3')} CR4=${at('HOST_CR4')}`,
    `Sysenter RSP=${at('HOST_IA32_SYSENTER_ESP')} CS:RIP=${at('HOST_IA32_SYSENTER_CS', 4)}:${at('HOST_IA32_SYSENTER_EIP')}`,
    `EFER= 0x${at('HOST_IA32_EFER')}`,
    `PAT = 0x${at('HOST_IA32_PAT')}`,
    '*** Control State ***',
    `CPUBased=0x${at('PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS', 8)} SecondaryExec=0x${at('SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS', 8)} TertiaryExec=0x${at('TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS')}`,
    `PinBased=0x${at('PIN_BASED_VM_EXECUTION_CONTROLS', 8)} EntryControls=0x${at('VM_ENTRY_CONTROLS', 8)} ExitControls=0x${at('PRIMARY_VM_EXIT_CONTROLS', 8)}`,
    `ExceptionBitmap=${at('EXCEPTION_BITMAP', 8)} PFECmask=${at('PAGE_FAULT_ERROR_CODE_MASK', 8)} PFECmatch=${at('PAGE_FAULT_ERROR_CODE_MATCH', 8)}`,
    `VMEntry: intr_info=${at('VM_ENTRY_INTERRUPTION_INFORMATION', 8)} errcode=${at('VM_ENTRY_EXCEPTION_ERROR_CODE', 8)} ilen=${at('VM_ENTRY_INSTRUCTION_LENGTH', 8)}`,
    'VMExit: intr_info=00000000 errcode=00000000 ilen=00000003',
    '        reason=00000030 qualification=0000000000000184',
    `EPT pointer = 0x${at('EPT_POINTER')}`,
    `Virtual processor ID = 0x${at('VIRTUAL_PROCESSOR_IDENTIFIER', 4)}`,
  ].join('\n');
}

describe('a whole dump', () => {
  it('of a valid VMCS breaks no rule, and names the exit', () => {
    const [explanation] = explainVmcsDumps(kvmDump(longModeGuest()));
    expect(explanation.rules).toEqual([]);
    expect(explanation.said).toBe('VM exit: EPT violation (exit reason 48, qualification 0x184)');
    expect(explanation.undecided.length).toBeLessThan(20);
  });

  it.each([
    ['host.selectors.rplTi', { HOST_SS_SELECTOR: 0x13n }],
    ['host.efer.addressSpaceSize', { HOST_IA32_EFER: 1n }],
    ['guest.tr.type.ia32eMode', { GUEST_TR_ACCESS_RIGHTS: 0x89n }],
    ['guest.activity.hltDpl', undefined],
    ['guest.interruptibility.stiWithoutIf', { GUEST_INTERRUPTIBILITY_STATE: 1n }],
    ['controls.vpid', { VIRTUAL_PROCESSOR_IDENTIFIER: 0n }],
    ['controls.eptp.memoryType', { EPT_POINTER: 0x1001bn }],
  ] as const)('explains %s', (id, fields) => {
    const vmcs = longModeGuest().set(
      fields ?? {
        GUEST_ACTIVITY_STATE: 1n,
        GUEST_CS_SELECTOR: 0x0bn,
        GUEST_CS_ACCESS_RIGHTS: 0xa0fbn,
        GUEST_SS_SELECTOR: 0x13n,
        GUEST_SS_ACCESS_RIGHTS: 0xc0f3n,
      },
    );
    expect(ids(kvmDump(vmcs))).toEqual([id]);
  });

  it('may be one of several in a log, after other lines and prefixes', () => {
    const log = ['kernel: hello', KVM_INTERRUPT, 'other text CR3 = 0x1', XEN_CR3].join('\n');
    expect(explainVmcsDumps(log).map(({ rules }) => rules.length)).toEqual([1, 1]);
  });

  it.each(['', 'nothing of the kind', '*** Guest State ***\nno field', '\0'.repeat(100)])(
    'is not there in %j',
    (text) => {
      expect(explainVmcsDumps(text)).toEqual([]);
    },
  );
});
