import { describe, expect, it } from 'vitest';
import { AT, guestVmcs, processorInGuest, type TestVmx } from '../../test/support/vmxProcessor.ts';
import { readMsr, writeMsr } from '../core/msrs.ts';
import { setArithmeticFlags } from '../state/flags.ts';
import { OFFSET } from '../state/layout.ts';
import {
  ACTIVITY,
  AR,
  BLOCKING,
  CS,
  DS,
  ES,
  FLAG,
  FS,
  GS,
  LDTR,
  SS,
  TR,
  VMX_OPERATION,
} from '../state/registers.ts';
import { vmExit } from './exit.ts';
import { EXIT_REASON_NUMBER } from './exitReasons.ts';
import {
  DEBUG_ROWS,
  EFER_ROWS,
  GUEST_ROWS,
  GUEST_SELECTOR_ROWS,
  HOST_ROWS,
  PAT_ROWS,
  type TransferRow,
} from './stateTransfer.ts';
import type { TestVmcs } from './testVmcs.ts';
import { VMCS_HEADER } from './vmcsLayout.ts';
import { VMX_ABORT, type VmxAbortKey } from './vmInstructionErrors.ts';

const CPUID = EXIT_REASON_NUMBER.cpuid;

function word({ element = 0, state, words }: TransferRow): number {
  return (OFFSET[state] >> 2) + element * words;
}

function exit(test: TestVmx, reason: number = CPUID): TestVmx {
  vmExit(test.vmx.processor, reason);
  return test;
}

describe('saving guest state', () => {
  const rows = [...GUEST_SELECTOR_ROWS, ...GUEST_ROWS, ...DEBUG_ROWS, ...PAT_ROWS, ...EFER_ROWS];

  it.each(rows.map((row) => [row.field, row] as const))('stores %s', (field, row) => {
    const test = processorInGuest();
    const { state } = test;
    // A value that nothing else has; state that decides about the host's mode keeps it.
    const mask = row.state === 'IA32_EFER' ? 0x800 : row.state === 'CR4' ? 0x80 : 0x5a;
    const at = word(row);
    state.u32[at] ^= mask;
    const low = state.u32[at];
    exit(test);
    const cleared = field === 'GUEST_PENDING_DEBUG_EXCEPTIONS';
    expect(Number(test.field(field) & 0xffff_ffffn)).toBe(cleared ? 0 : low);
  });

  it('stores CR0', () => {
    const test = processorInGuest();
    test.state.CR0 |= 8n;
    exit(test);
    expect(test.field('GUEST_CR0') & 8n).toBe(8n);
  });

  it('stores RFLAGS with the lazy arithmetic flags', () => {
    const test = processorInGuest();
    setArithmeticFlags(test.state, FLAG.CF | FLAG.ZF);
    exit(test);
    expect(test.field('GUEST_RFLAGS')).toBe(BigInt(FLAG.CF | FLAG.ZF | FLAG.FIXED));
  });

  it('stores DR7, IA32_DEBUGCTL, IA32_PAT and IA32_EFER only with their controls', () => {
    const contents = guestVmcs()
      .control('saveDebugControls', false)
      .control('savePatOnExit', false)
      .control('saveEferOnExit', false);
    const test = processorInGuest(contents);
    test.state.setDebugRegister(7, 0x4ffn);
    test.state.IA32_PAT = 0n;
    test.state.IA32_EFER &= ~1n;
    exit(test);
    for (const field of ['GUEST_DR7', 'GUEST_IA32_PAT', 'GUEST_IA32_EFER'] as const) {
      expect(test.field(field)).toBe(contents.get(field));
    }
  });

  it('stores the PDPTEs of a guest with PAE paging under EPT', () => {
    const test = processorInGuest();
    test.state.IA32_EFER &= ~0x400n;
    test.state.setPdpte(2, 0x7001n);
    exit(test);
    expect(test.field('GUEST_PDPTE2')).toBe(0x7001n);
  });

  it('makes "IA-32e mode guest" follow IA32_EFER.LMA', () => {
    const test = processorInGuest();
    test.state.IA32_EFER &= ~0x500n;
    exit(test);
    expect(test.field('VM_ENTRY_CONTROLS') & 0x200n).toBe(0n);
  });

  it.each([
    ['clears the pending debug exceptions', CPUID, 0, 0n],
    ['keeps them with blocking by MOV SS', CPUID, BLOCKING.MOV_SS, 0x4000n],
    ['keeps them for a monitor trap flag', EXIT_REASON_NUMBER.monitorTrapFlag, 0, 0x4000n],
  ])('%s', (_what, reason, blocking, expected) => {
    const test = processorInGuest();
    test.state.PENDING_DEBUG = 0x4000n;
    test.state.INTERRUPTIBILITY = blocking;
    exit(test, reason);
    expect(test.field('GUEST_PENDING_DEBUG_EXCEPTIONS')).toBe(expected);
  });

  it('stores what is left of the VMX-preemption timer', () => {
    const contents = guestVmcs()
      .control('activateVmxPreemptionTimer', true)
      .control('saveVmxPreemptionTimerValue', true)
      .set({ VMX_PREEMPTION_TIMER_VALUE: 100n });
    const test = processorInGuest(contents);
    test.clock.advance(32 * 30 + 5);
    exit(test);
    expect(test.field('VMX_PREEMPTION_TIMER_VALUE')).toBe(70n);
  });

  it('stores 0 when the VMX-preemption timer has expired', () => {
    const contents = guestVmcs()
      .control('activateVmxPreemptionTimer', true)
      .control('saveVmxPreemptionTimerValue', true)
      .set({ VMX_PREEMPTION_TIMER_VALUE: 1n });
    const test = processorInGuest(contents);
    test.clock.advance(1000);
    exit(test);
    expect(test.field('VMX_PREEMPTION_TIMER_VALUE')).toBe(0n);
  });
});

describe('recording VM-exit information', () => {
  it('clears the valid bit of the VM-entry interruption information', () => {
    const test = processorInGuest();
    test.vmx.vmwrite('VM_ENTRY_INTERRUPTION_INFORMATION', 0x8000_0b0en);
    exit(test);
    expect(test.field('VM_ENTRY_INTERRUPTION_INFORMATION')).toBe(0xb0en);
  });

  it('marks interruption and IDT-vectoring information as not valid', () => {
    const test = exit(processorInGuest());
    expect(test.field('VM_EXIT_INTERRUPTION_INFORMATION')).toBe(0n);
    expect(test.field('IDT_VECTORING_INFORMATION')).toBe(0n);
  });

  it('gives the event that was being delivered, which has woken the processor', () => {
    const test = processorInGuest();
    test.state.ACTIVITY_STATE = 1;
    test.cpu.deliveringEvent = {
      kind: 'software-interrupt',
      vector: 0x80,
      errorCode: undefined,
      qualification: 0n,
      instructionLength: 2,
    };
    exit(test, EXIT_REASON_NUMBER.eptMisconfiguration);
    expect(test.field('IDT_VECTORING_INFORMATION')).toBe(0x8000_0480n);
    expect(test.field('VM_EXIT_INSTRUCTION_LENGTH')).toBe(2n);
    expect(test.field('GUEST_ACTIVITY_STATE')).toBe(0n);
  });

  it('blocks NMIs in the guest when the delivery of one led to the exit', () => {
    const test = processorInGuest();
    test.cpu.deliveringEvent = {
      kind: 'nmi',
      vector: 2,
      errorCode: undefined,
      qualification: 0n,
      instructionLength: 0,
    };
    exit(test, EXIT_REASON_NUMBER.eptMisconfiguration);
    expect(test.field('GUEST_INTERRUPTIBILITY_STATE')).toBe(8n);
  });

  it('charges the cost and logs the exit with the cost of the entry after it', () => {
    const test = exit(processorInGuest());
    const before = test.charged.ticks;
    test.vmx.enterGuest();
    const { log } = test.vmx.processor;
    expect(log.record(0).cost).toBeGreaterThan(0);
    expect(log.record(0).cost).toBe(test.charged.ticks - before + (before - 300));
  });
});

describe('loading host state', () => {
  it.each(HOST_ROWS.map((row) => [row.field, row] as const))('loads %s', (field, row) => {
    const contents = guestVmcs().set({
      HOST_FS_BASE: 0x1111_0000n,
      HOST_GS_BASE: 0x2222_0000n,
      HOST_IA32_SYSENTER_CS: 0x33n,
      HOST_IA32_SYSENTER_ESP: 0x4444n,
      HOST_IA32_SYSENTER_EIP: 0x5555n,
    });
    const test = exit(processorInGuest(contents));
    const { state } = test;
    const at = word(row);
    const high = row.words === 2 ? BigInt(state.u32[at + 1]) << 32n : 0n;
    expect(BigInt(state.u32[at]) | high).toBe(contents.get(field));
  });

  it('makes flat segments: 64-bit code, 32-bit data, a busy TSS, no LDT', () => {
    const contents = guestVmcs().set({ HOST_DS_SELECTOR: 0n, HOST_FS_SELECTOR: 0x20n });
    const { state } = exit(processorInGuest(contents));
    expect(state.segmentAccessRights(CS)).toBe(0xa09b);
    for (const segment of [SS, ES, FS]) expect(state.segmentAccessRights(segment)).toBe(0xc093);
    for (const segment of [DS, GS, LDTR]) expect(state.segmentAccessRights(segment)).toBe(AR.UNUSABLE);
    expect(state.segmentAccessRights(TR)).toBe(0x8b);
    expect(state.segmentLimit(TR)).toBe(0x67);
    expect(state.segmentLimit(CS)).toBe(0xffff_ffff);
    for (const segment of [CS, SS, DS, ES]) expect(state.segmentBase(segment)).toBe(0n);
    expect([state.GDTR_LIMIT, state.IDTR_LIMIT]).toEqual([0xffff, 0xffff]);
    expect(state.CPL).toBe(0);
  });

  it('does not modify CD and NW of CR0', () => {
    const test = processorInGuest();
    test.state.CR0 |= 0x4000_0000n;
    exit(test);
    expect(test.state.CR0).toBe((test.field('HOST_CR0') & ~0x6000_0000n) | 0x4000_0010n);
  });

  it('sets CR4.PAE for a 64-bit host', () => {
    const test = exit(processorInGuest());
    expect(test.state.CR4).toBe(test.field('HOST_CR4') | 0x20n);
  });

  it('sets DR7 to 400H, IA32_DEBUGCTL to 0 and RFLAGS to 2', () => {
    const test = processorInGuest(guestVmcs().set({ GUEST_DR7: 0x455n, GUEST_RFLAGS: 0x246n }));
    const { state } = exit(test);
    expect(state.debugRegister(7)).toBe(0x400n);
    expect(state.IA32_DEBUGCTL).toBe(0n);
    expect(state.systemFlags).toBe(2);
  });

  it.each([true, false])('loads IA32_PERF_GLOBAL_CTRL with its control: %s', (loads) => {
    const test = processorInGuest(
      guestVmcs().control('loadPerfGlobalCtrlOnExit', loads).set({ HOST_IA32_PERF_GLOBAL_CTRL: 0x81n }),
    );
    test.state.IA32_PERF_GLOBAL_CTRL = 3n;
    expect(exit(test).state.IA32_PERF_GLOBAL_CTRL).toBe(loads ? 0x81n : 3n);
  });

  it.each([true, false])('"save IA32_PERF_GLOBAL_CTL" %s', (saves) => {
    const test = processorInGuest(guestVmcs().control('savePerfGlobalCtrlOnExit', saves));
    test.state.IA32_PERF_GLOBAL_CTRL = 3n;
    expect(exit(test).field('GUEST_IA32_PERF_GLOBAL_CTRL')).toBe(saves ? 3n : 0n);
  });

  it('ends what a counter of the guest counts where host state is loaded', () => {
    const test = processorInGuest(
      guestVmcs()
        .control('loadPerfGlobalCtrlOnEntry', true)
        .control('loadPerfGlobalCtrlOnExit', true)
        .set({ GUEST_IA32_PERF_GLOBAL_CTRL: 0x2_0000_0000n }),
    );
    const { cpu, clock } = test;
    writeMsr(cpu, 0x38d, 0x30n);
    clock.advance(100);
    exit(test);
    clock.advance(1000);
    expect(readMsr(cpu, 0x30a)).toBe(100n);
  });

  it('loads IA32_PAT and IA32_EFER with their controls; else only LMA and LME', () => {
    const loads = exit(processorInGuest(guestVmcs().set({ HOST_IA32_PAT: 0x06n })));
    expect(loads.state.IA32_PAT).toBe(6n);
    expect(loads.state.IA32_EFER).toBe(loads.field('HOST_IA32_EFER'));
    const keeps = processorInGuest(
      guestVmcs().control('loadEferOnExit', false).control('loadPatOnExit', false),
    );
    keeps.state.IA32_EFER = 1n;
    exit(keeps);
    expect(keeps.state.IA32_EFER).toBe(0x501n);
  });

  it('ends blocking by STI and MOV SS, activity and pending debug exceptions', () => {
    const test = processorInGuest();
    test.state.INTERRUPTIBILITY = BLOCKING.STI;
    test.state.ACTIVITY_STATE = 1;
    test.state.PENDING_DEBUG = 0x4000n;
    const { state } = exit(test);
    expect([state.INTERRUPTIBILITY, state.ACTIVITY_STATE, state.PENDING_DEBUG]).toEqual([0, 0, 0n]);
  });

  it('keeps blocking by NMI, which with "virtual NMIs" was only virtual', () => {
    const physical = processorInGuest();
    physical.state.INTERRUPTIBILITY = BLOCKING.NMI;
    expect(exit(physical).state.INTERRUPTIBILITY).toBe(BLOCKING.NMI);
    const virtual = processorInGuest(guestVmcs().control('nmiExiting', true).control('virtualNmis', true));
    virtual.state.INTERRUPTIBILITY = BLOCKING.NMI;
    expect(exit(virtual).state.INTERRUPTIBILITY).toBe(0);
  });

  it('turns off the guest’s controls and translations', () => {
    const contents = guestVmcs().control('hltExiting', true).set({ EXCEPTION_BITMAP: 0xffn, TSC_OFFSET: 5n });
    const { state, vmx, cpu } = exit(processorInGuest(contents));
    expect(state.VMX_OPERATION).toBe(VMX_OPERATION.ROOT);
    expect(vmx.processor.controls.every((value) => value === 0)).toBe(true);
    expect(state.VMX_EXCEPTION_BITMAP).toBe(0);
    expect(cpu.mmu.secondLevel.enabled).toBe(false);
    expect(cpu.mmu.spaces.vpid).toBe(0);
  });

  it('to a 32-bit host from IA-32e mode is VMX abort 6: the processor shuts down', () => {
    const test = processorInGuest();
    test.vmx.vmwrite('PRIMARY_VM_EXIT_CONTROLS', test.field('PRIMARY_VM_EXIT_CONTROLS') & ~0x200n);
    exit(test);
    expectAbort(test, 'ia32eModeTo32BitHost');
  });
});

it('an exit to a host whose PDPTEs have reserved bits set is VMX abort 2', () => {
  const test = processorInGuest();
  const { vmx, state } = test;
  state.IA32_EFER = 0n;
  vmx.vmwrite('PRIMARY_VM_EXIT_CONTROLS', test.field('PRIMARY_VM_EXIT_CONTROLS') & ~0x200n);
  vmx.vmwrite('HOST_IA32_EFER', 0n);
  vmx.vmwrite('HOST_CR4', 0x2020n);
  // The PML4E that lies there has U/S and R/W set.
  exit(test);
  expectAbort(test, 'hostPdptes');
});

/** The number in the VMCS region; shut down, outside of the guest, and deaf to NMIs. */
function expectAbort({ physical, state, vmx }: TestVmx, key: VmxAbortKey): void {
  const indicator = VMX_ABORT[key];
  expect(physical.read32(AT.VMCS + VMCS_HEADER.abortIndicator)).toBe(indicator);
  expect(state.ACTIVITY_STATE).toBe(ACTIVITY.SHUTDOWN);
  expect(state.VMX_OPERATION).toBe(VMX_OPERATION.ROOT);
  expect(state.INTERRUPTIBILITY).toBe(BLOCKING.NMI);
  expect(vmx.processor.aborted).toBe(key);
}

describe('the MSR areas of a VM exit', () => {
  const areas = (vmcs: TestVmcs): TestVmcs =>
    vmcs.set({
      VM_EXIT_MSR_STORE_COUNT: 2n,
      VM_EXIT_MSR_STORE_ADDRESS: 0x5000n,
      VM_EXIT_MSR_LOAD_COUNT: 1n,
      VM_EXIT_MSR_LOAD_ADDRESS: 0x6000n,
    });

  it('store the guest’s values, then load the host’s', () => {
    const test = processorInGuest(areas(guestVmcs()));
    const { physical, state } = test;
    physical.write64(0x5000, 0xc000_0102n);
    physical.write64(0x5010, 0x10n);
    physical.write64(0x6000, 0xc000_0102n);
    physical.write64(0x6008, 0x2222n);
    state.IA32_KERNEL_GS_BASE = 0x1111n;
    state.TSC_OFFSET = 1000n;
    test.clock.advance(77);
    exit(test);
    expect(physical.read64(0x5008)).toBe(0x1111n);
    // The TSC without the guest's offset.
    expect(physical.read64(0x5018)).toBe(77n);
    expect(state.IA32_KERNEL_GS_BASE).toBe(0x2222n);
  });

  it.each([
    ['stored is VMX abort 1', 0x5000, 'savingGuestMsrs'],
    ['loaded is VMX abort 4', 0x6000, 'loadingHostMsrs'],
  ] as const)('with an entry that cannot be %s', (_what, at, key) => {
    const test = processorInGuest(areas(guestVmcs()));
    const { physical } = test;
    for (const entry of [0x5000, 0x5010, 0x6000]) physical.write64(entry, 0xc000_0102n);
    physical.write64(at, 0x1234_5678n);
    exit(test);
    expectAbort(test, key);
  });
});

describe('an MSR area of a VM exit with more entries than IA32_VMX_MISC recommends', () => {
  const inGuest = (field: 'VM_EXIT_MSR_STORE_COUNT' | 'VM_EXIT_MSR_LOAD_COUNT', count: bigint): TestVmx => {
    const test = processorInGuest(
      guestVmcs().set({
        [field]: count,
        VM_EXIT_MSR_STORE_ADDRESS: 0x5000n,
        VM_EXIT_MSR_LOAD_ADDRESS: 0x5000n,
      }),
    );
    for (let entry = 0; entry < 512; entry++) test.physical.write64(0x5000 + 16 * entry, 0xc000_0102n);
    return test;
  };

  it.each(['VM_EXIT_MSR_STORE_COUNT', 'VM_EXIT_MSR_LOAD_COUNT'] as const)(
    'is VMX abort 5 at once, by %s',
    (field) => {
      expectAbort(exit(inGuest(field, 513n)), 'machineCheckDuringVmExit');
      expectAbort(exit(inGuest(field, 0xffff_ffffn)), 'machineCheckDuringVmExit');
      expect(exit(inGuest(field, 512n)).vmx.processor.aborted).toBeUndefined();
    },
  );
});

describe('the level of a guest', () => {
  it('is 1 when the program in root operation started it', () => {
    const test = exit(processorInGuest());
    expect(test.vmx.processor.log.record(0).level).toBe(1);
  });

  it('is one more when its VMCS was first entered while a VMLAUNCH of the guest was handled', () => {
    const test = exit(processorInGuest(), EXIT_REASON_NUMBER.vmlaunch);
    const { vmx, physical } = test;
    const other = 0x30_2000;
    for (let at = 0; at < 4096; at += 8) physical.write64(other + at, physical.read64(0x30_1000 + at));
    vmx.vmclear(BigInt(other));
    vmx.vmptrld(BigInt(other));
    vmx.enterGuest();
    exit(test);
    expect(vmx.processor.log.record(1).level).toBe(2);
  });
});
