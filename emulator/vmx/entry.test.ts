import { describe, expect, it } from 'vitest';
import {
  AT,
  guestVmcs,
  processorInGuest,
  processorInRoot,
  type TestVmx,
} from '../../test/support/vmxProcessor.ts';
import { readMsr } from '../core/msrs.ts';
import { OUTCOME } from '../core/outcome.ts';
import { readRflags } from '../state/flags.ts';
import { OFFSET } from '../state/layout.ts';
import { ACTIVITY, BLOCKING, CS, FLAG, VMX_OPERATION } from '../state/registers.ts';
import { EXIT_REASON_NUMBER } from './exitReasons.ts';
import {
  DEBUG_ROWS,
  EFER_ROWS,
  GUEST_ROWS,
  GUEST_SELECTOR_ROWS,
  PAT_ROWS,
  type TransferRow,
} from './stateTransfer.ts';
import { realModeGuest, type TestVmcs } from './testVmcs.ts';
import { VMCS_FIELD_LIST } from './vmcsLayout.ts';

const ENTRY_FAILURE = 0x8000_0000n;
const VALID = 0x8000_0000n;

/** The bits of the processor's state that a row stands for. */
function stateOf({ state }: TestVmx, { state: key, element = 0, words }: TransferRow): bigint {
  const at = (OFFSET[key] >> 2) + element * words;
  const low = BigInt(state.u32[at]);
  return words === 1 ? low : low | (BigInt(state.u32[at + 1]) << 32n);
}

function enter(contents: TestVmcs): TestVmx {
  const test = processorInRoot(contents);
  test.vmx.enterGuest();
  return test;
}

describe('VMLAUNCH and VMRESUME', () => {
  it('load every field of the guest-state area that the processor has as it is', () => {
    const contents = guestVmcs().set({
      GUEST_IA32_SYSENTER_CS: 0x1234n,
      GUEST_IA32_SYSENTER_ESP: 0xffff_8000_0000_1111n,
      GUEST_IA32_SYSENTER_EIP: 0xffff_8000_0000_2222n,
      GUEST_FS_BASE: 0x7fff_0000_3333n,
      GUEST_GS_BASE: 0xffff_8000_0000_4444n,
      GUEST_LDTR_BASE: 0x5000n,
      GUEST_TR_BASE: 0x6000n,
      GUEST_GDTR_LIMIT: 0x77n,
      GUEST_IDTR_LIMIT: 0xfffn,
      GUEST_IA32_PAT: 0x0606_0606_0606_0606n,
      GUEST_IA32_DEBUGCTL: 0n,
      GUEST_DR7: 0x2401n,
      GUEST_RSP: 0x9abc_def0n,
    });
    const test = processorInGuest(contents);
    for (const row of [...GUEST_SELECTOR_ROWS, ...GUEST_ROWS, ...DEBUG_ROWS, ...PAT_ROWS, ...EFER_ROWS]) {
      expect([row.field, stateOf(test, row)]).toEqual([row.field, contents.get(row.field)]);
    }
    expect(test.state.CR0).toBe(contents.get('GUEST_CR0'));
  });

  it('do not modify CD, NW and ET of CR0', () => {
    const test = processorInRoot(guestVmcs().change('GUEST_CR0', { clear: 0x10n }));
    test.state.CR0 |= 0x4000_0000n;
    test.vmx.enterGuest();
    expect(test.state.CR0 & 0x6000_0010n).toBe(0x4000_0010n);
  });

  it('load RFLAGS with the arithmetic flags, and CPL from DPL of SS', () => {
    const user = guestVmcs()
      .change('GUEST_SS_ACCESS_RIGHTS', { set: 0x60n })
      .change('GUEST_CS_ACCESS_RIGHTS', { set: 0x60n })
      .set({ GUEST_CS_SELECTOR: 0x0bn, GUEST_SS_SELECTOR: 0x13n, GUEST_RFLAGS: 0x2d7n });
    const { state } = processorInGuest(user);
    expect(readRflags(state)).toBe(0x2d7);
    expect(state.CPL).toBe(3);
  });

  it('force bit 10 of DR7 to 1 and bits 12, 14 and 15 to 0', () => {
    const { state } = processorInGuest(guestVmcs().set({ GUEST_DR7: 0xd001n }));
    expect(state.debugRegister(7)).toBe(0x401n);
  });

  it('keep DR7 and IA32_DEBUGCTL without "load debug controls"', () => {
    const test = processorInRoot(guestVmcs().control('loadDebugControls', false).set({ GUEST_DR7: 0x401n }));
    test.state.setDebugRegister(7, 0x402n);
    test.vmx.enterGuest();
    expect(test.state.debugRegister(7)).toBe(0x402n);
  });

  it('leave IA32_DEBUGCTL.LBR clear where last-branch records are architectural', () => {
    const { state } = processorInGuest(guestVmcs().set({ GUEST_IA32_DEBUGCTL: 3n }));
    expect(state.IA32_DEBUGCTL).toBe(2n);
  });

  it('take LMA and LME from "IA-32e mode guest" without "load IA32_EFER"', () => {
    const long = processorInGuest(guestVmcs().control('loadEferOnEntry', false));
    expect(long.state.IA32_EFER & 0x500n).toBe(0x500n);
    const real = realModeGuest().control('loadEferOnEntry', false);
    const test = processorInGuest(onOwnTables(real));
    // CR0.PG is 0: LME stays as the host had it.
    expect(test.state.IA32_EFER & 0x500n).toBe(0x100n);
  });

  it('load the PDPTEs from the guest-state area with EPT and PAE paging', () => {
    const pae = onOwnTables(realModeGuest()).set({
      GUEST_CR0: 0x8000_0031n,
      GUEST_CR4: 0x2020n,
      GUEST_PDPTE1: 0x4001n,
      GUEST_PDPTE3: 0x5001n,
    });
    const { state } = processorInGuest(pae);
    expect([0, 1, 2, 3].map((index) => state.pdpte(index))).toEqual([0n, 0x4001n, 0n, 0x5001n]);
  });

  it('apply the TSC offset only with "use TSC offsetting"', () => {
    const offset = guestVmcs().set({ TSC_OFFSET: 1000n });
    expect(processorInGuest(offset).vmx.guestTsc(5n)).toBe(5n);
    expect(processorInGuest(offset.control('useTscOffsetting', true)).vmx.guestTsc(5n)).toBe(1005n);
  });

  it('set the launch state to launched and leave it so', () => {
    const { vmx } = processorInGuest();
    expect(vmx.processor.vmcs.launched).toBe(true);
  });

  it('switch the space of translations to the guest’s VPID and EPT', () => {
    const { cpu } = processorInGuest();
    expect(cpu.mmu.spaces.vpid).toBe(1);
    expect(cpu.mmu.secondLevel.enabled).toBe(true);
  });

  it('charge the cost of a VM entry', () => {
    expect(processorInGuest().charged.ticks).toBeGreaterThan(0);
  });
});

/** Real-mode and PAE guests on the EPT of the test processor. */
function onOwnTables(vmcs: TestVmcs): TestVmcs {
  const own = guestVmcs();
  vmcs.context.capabilities = own.context.capabilities;
  return vmcs.set({
    HOST_CR3: own.get('HOST_CR3'),
    EPT_POINTER: own.get('EPT_POINTER'),
    GUEST_IDTR_BASE: 0n,
    GUEST_GDTR_BASE: own.get('GUEST_GDTR_BASE'),
  });
}

describe('a VM entry that fails', () => {
  it('in the checks on controls is VMfailValid(7) and changes nothing else', () => {
    const test = processorInRoot(guestVmcs().set({ CR3_TARGET_COUNT: 5n }));
    const { RIP } = test.state;
    expect(test.vmx.enterGuest()).toBe(OUTCOME.NEXT);
    expect(test.field('VM_INSTRUCTION_ERROR')).toBe(7n);
    expect(readRflags(test.state)).toBe(FLAG.ZF | FLAG.FIXED);
    expect(test.state.RIP).toBe(RIP);
    expect(test.state.VMX_OPERATION).toBe(VMX_OPERATION.ROOT);
  });

  it('in the checks on the host-state area is VMfailValid(8)', () => {
    const test = enter(guestVmcs().set({ HOST_TR_SELECTOR: 0n }));
    expect(test.field('VM_INSTRUCTION_ERROR')).toBe(8n);
  });

  it('in the checks on the guest-state area is a VM exit with reason 33 and bit 31', () => {
    const test = enter(guestVmcs().set({ GUEST_RFLAGS: 0n }));
    expect(test.field('VM_EXIT_REASON')).toBe(ENTRY_FAILURE | 33n);
    expect(test.field('EXIT_QUALIFICATION')).toBe(0n);
    expect(test.state.RIP).toBe(test.field('HOST_RIP'));
    expect(test.vmx.processor.failedEntry?.problem).toMatchObject({
      failure: { row: { id: 'guest.rflags.reserved' } },
    });
  });

  it('leaves launch state, guest state and VM-entry interruption information as they are', () => {
    const contents = guestVmcs().set({
      GUEST_RFLAGS: 0n,
      VM_ENTRY_INTERRUPTION_INFORMATION: VALID | 0x306n,
      GUEST_RSP: 0x1234n,
    });
    const test = enter(contents);
    expect(test.vmx.processor.vmcs.launched).toBe(false);
    expect(test.field('GUEST_RSP')).toBe(0x1234n);
    expect(test.field('VM_ENTRY_INTERRUPTION_INFORMATION')).toBe(VALID | 0x306n);
  });

  it('because of the VMCS link pointer has qualification 4', () => {
    const test = enter(guestVmcs().set({ VMCS_LINK_POINTER: 0x1001n }));
    expect(test.field('EXIT_QUALIFICATION')).toBe(4n);
  });

  it('in loading MSRs has reason 34 and the number of the entry, and the host state is loaded', () => {
    const contents = guestVmcs().set({ VM_ENTRY_MSR_LOAD_COUNT: 2n, VM_ENTRY_MSR_LOAD_ADDRESS: 0x5000n });
    const test = processorInRoot(contents);
    test.physical.write64(0x5000, 0xc000_0102n);
    test.physical.write64(0x5008, 0x1111n);
    test.physical.write64(0x5010, 0xc000_0100n);
    test.vmx.enterGuest();
    expect(test.field('VM_EXIT_REASON')).toBe(ENTRY_FAILURE | 34n);
    expect(test.field('EXIT_QUALIFICATION')).toBe(2n);
    expect(test.state.IA32_KERNEL_GS_BASE).toBe(0x1111n);
    expect(test.state.RIP).toBe(test.field('HOST_RIP'));
  });

  it.each([
    ['MSR loading', 1n, EXIT_REASON_NUMBER.entryFailureMsrLoading],
    ['too long a list of MSRs', 513n, EXIT_REASON_NUMBER.entryFailureMachineCheck],
  ])(
    'in %s leaves blocking by NMI as it was before the entry, whatever the guest’s is',
    (_what, count, reason) => {
      for (const [host, guest] of [
        [0, BLOCKING.NMI],
        [BLOCKING.NMI, 0],
      ]) {
        const test = processorInRoot(
          guestVmcs().set({
            VM_ENTRY_MSR_LOAD_COUNT: count,
            VM_ENTRY_MSR_LOAD_ADDRESS: 0x5000n,
            GUEST_INTERRUPTIBILITY_STATE: BigInt(guest),
          }),
        );
        test.physical.write64(0x5000, 0xc000_0100n);
        test.state.INTERRUPTIBILITY = host;
        test.vmx.enterGuest();
        expect(test.field('VM_EXIT_REASON')).toBe(ENTRY_FAILURE | BigInt(reason));
        expect(test.state.INTERRUPTIBILITY).toBe(host);
      }
    },
  );

  it('because of the guest state leaves blocking by NMI alone, and ends blocking by STI', () => {
    for (const blocking of [BLOCKING.NMI, 0]) {
      const test = processorInRoot(guestVmcs().set({ GUEST_RFLAGS: 0n, GUEST_INTERRUPTIBILITY_STATE: 8n }));
      test.state.INTERRUPTIBILITY = blocking | BLOCKING.STI;
      test.vmx.enterGuest();
      expect(test.field('VM_EXIT_REASON')).toBe(ENTRY_FAILURE | 33n);
      expect(test.state.INTERRUPTIBILITY).toBe(blocking);
    }
  });

  it('writes reason and qualification alone: no guest state, no other information, no stored MSR', () => {
    const contents = guestVmcs().set({
      VM_ENTRY_MSR_LOAD_COUNT: 1n,
      VM_ENTRY_MSR_LOAD_ADDRESS: 0x5000n,
      VM_EXIT_MSR_STORE_COUNT: 1n,
      VM_EXIT_MSR_STORE_ADDRESS: 0x6000n,
      VM_ENTRY_INTERRUPTION_INFORMATION: VALID | 0x20n,
      GUEST_RFLAGS: 0x202n,
      GUEST_ACTIVITY_STATE: 1n,
    });
    const test = processorInRoot(contents);
    test.physical.write64(0x5000, 0xc000_0100n);
    test.physical.write64(0x6000, 0xc000_0102n);
    test.physical.write64(0x6008, 0x5a5an);
    const before = VMCS_FIELD_LIST.map(({ ordinal }) => test.vmx.processor.vmcs.read(ordinal));
    test.vmx.enterGuest();
    const changed = VMCS_FIELD_LIST.filter(
      ({ ordinal }) => test.vmx.processor.vmcs.read(ordinal) !== before[ordinal],
    );
    expect(changed.map(({ key }) => key)).toEqual(['VM_EXIT_REASON', 'EXIT_QUALIFICATION']);
    expect(test.physical.read64(0x6008)).toBe(0x5a5an);
    expect(test.state.ACTIVITY_STATE).toBe(ACTIVITY.ACTIVE);
    expect(test.vmx.processor.vmcs.launched).toBe(false);
  });

  it('can be tried again: what was wrong is checked again after VMWRITE', () => {
    const test = enter(guestVmcs().set({ GUEST_RFLAGS: 0n }));
    expect(test.vmx.processor.inGuest).toBe(false);
    test.vmx.vmwrite('GUEST_RFLAGS', 2n);
    test.vmx.enterGuest();
    expect(test.vmx.processor.inGuest).toBe(true);
  });
});

describe('the MSR-load area of a VM entry', () => {
  it('is loaded in order', () => {
    const contents = guestVmcs().set({ VM_ENTRY_MSR_LOAD_COUNT: 2n, VM_ENTRY_MSR_LOAD_ADDRESS: 0x5000n });
    const test = processorInRoot(contents);
    for (const [index, value] of [7n, 9n].entries()) {
      test.physical.write64(0x5000 + 16 * index, 0xc000_0103n);
      test.physical.write64(0x5008 + 16 * index, value);
    }
    test.vmx.enterGuest();
    expect(test.state.IA32_TSC_AUX).toBe(9n);
  });

  // biome-ignore format: rows are read as a table
  it.each([
    ['names IA32_FS_BASE', 0xc000_0100n, 0n],
    ['names IA32_GS_BASE', 0xc000_0101n, 0n],
    ['names IA32_SMM_MONITOR_CTL', 0x9bn, 0n],
    ['names IA32_BIOS_SIGN_ID', 0x8bn, 0n],
    ['sets reserved bits 63:32', 0xc000_0103n | (1n << 32n), 0n],
    ['has a value that WRMSR refuses', 0xc000_0102n, 1n << 56n],
    ['names an MSR that does not exist', 0x1234_5678n, 0n],
  ])('fails on an entry that %s', (_what, index, value) => {
    const test = processorInRoot(guestVmcs().set({ VM_ENTRY_MSR_LOAD_COUNT: 1n, VM_ENTRY_MSR_LOAD_ADDRESS: 0x5000n }));
    test.physical.write64(0x5000, index);
    test.physical.write64(0x5008, value);
    test.vmx.enterGuest();
    expect(test.field('VM_EXIT_REASON')).toBe(ENTRY_FAILURE | BigInt(EXIT_REASON_NUMBER.entryFailureMsrLoading));
  });
});

describe('event injection', () => {
  const HANDLER = 0x20_0000;

  function injecting(information: bigint, change: (vmcs: TestVmcs) => TestVmcs = (vmcs) => vmcs): TestVmx {
    const vector = Number(information & 0xffn);
    const contents = guestVmcs().set({
      VM_ENTRY_INTERRUPTION_INFORMATION: VALID | information,
      GUEST_GDTR_LIMIT: 0x3fn,
      GUEST_IDTR_LIMIT: 0xfffn,
      GUEST_RFLAGS: 0x202n,
    });
    const test = processorInRoot(change(contents));
    const { physical } = test;
    physical.write64(AT.GUEST_GDT + 8, 0x00af_9b00_0000_ffffn);
    const offset = BigInt(HANDLER);
    physical.write64(
      AT.GUEST_IDT + 16 * vector,
      (offset & 0xffffn) | (0x08n << 16n) | (0x8en << 40n) | ((offset >> 16n) << 48n),
    );
    test.vmx.enterGuest();
    return test;
  }

  const stack = ({ physical, state }: TestVmx, quadword: number): bigint =>
    physical.read64(Number(state.gpr(4)) + 8 * quadword);

  it('delivers an external interrupt through the IDT with GUEST_RIP as the return address', () => {
    const test = injecting(0x30n);
    expect(test.state.RIP).toBe(BigInt(HANDLER));
    expect(stack(test, 0)).toBe(BigInt(AT.GUEST_CODE));
    expect(test.state.systemFlags & FLAG.IF).toBe(0);
    expect(test.state.segmentSelector(CS)).toBe(8);
  });

  it('pushes the error code of a hardware exception', () => {
    const test = injecting(0xb0dn, (vmcs) => vmcs.set({ VM_ENTRY_EXCEPTION_ERROR_CODE: 0x18n }));
    expect(stack(test, 0)).toBe(0x18n);
    expect(stack(test, 1)).toBe(BigInt(AT.GUEST_CODE));
  });

  it('of a page fault leaves CR2 alone', () => {
    const test = injecting(0xb0en);
    expect(test.state.CR2).toBe(0n);
  });

  it('of a software interrupt returns behind the instruction', () => {
    const test = injecting(0x480n, (vmcs) => vmcs.set({ VM_ENTRY_INSTRUCTION_LENGTH: 2n }));
    expect(stack(test, 0)).toBe(BigInt(AT.GUEST_CODE + 2));
  });

  it('of an NMI blocks NMIs', () => {
    const test = injecting(0x202n);
    expect(test.state.INTERRUPTIBILITY & BLOCKING.NMI).toBe(BLOCKING.NMI);
  });

  it('is not intercepted by the exception bitmap', () => {
    const test = injecting(0xb0dn, (vmcs) => vmcs.set({ EXCEPTION_BITMAP: 0xffff_ffffn }));
    expect(test.vmx.processor.inGuest).toBe(true);
  });

  it('of a "pending MTF VM exit" makes one pend without the control', () => {
    const test = injecting(0x700n);
    expect(test.vmx.pendingExit('above-debug-traps')).toBe(OUTCOME.VM_EXIT);
    expect(test.field('VM_EXIT_REASON')).toBe(37n);
  });

  it('makes the MTF VM exit pend before the first instruction of the handler', () => {
    const test = injecting(0x30n, (vmcs) => vmcs.control('monitorTrapFlag', true));
    expect(test.vmx.pendingExit('above-debug-traps')).toBe(OUTCOME.VM_EXIT);
    expect(test.field('GUEST_RIP')).toBe(BigInt(HANDLER));
  });

  it('is recorded as a branch from RIP to the handler where the guest records them', () => {
    const { state, cpu } = injecting(0x30n, (vmcs) =>
      vmcs.control('loadLbrCtlOnEntry', true).set({ GUEST_IA32_LBR_CTL: 0x7f_0007n }),
    );
    expect(state.RIP).toBe(BigInt(HANDLER));
    expect(readMsr(cpu, 0x1500)).toBe(BigInt(AT.GUEST_CODE));
    expect(readMsr(cpu, 0x1600)).toBe(BigInt(HANDLER));
    expect(readMsr(cpu, 0x1501)).toBe(0n);
  });

  it('whose delivery faults exits with the injected event as IDT-vectoring information', () => {
    const test = injecting(0x30n, (vmcs) =>
      vmcs.set({ EXCEPTION_BITMAP: 1n << 13n, GUEST_IDTR_LIMIT: 0xffn }),
    );
    expect(test.vmx.processor.inGuest).toBe(false);
    expect(test.field('VM_EXIT_REASON')).toBe(0n);
    expect(test.field('VM_EXIT_INTERRUPTION_INFORMATION')).toBe(VALID | 0xb0dn);
    // Vector 30H in the IDT, with EXT.
    expect(test.field('VM_EXIT_INTERRUPTION_ERROR_CODE')).toBe(0x183n);
    expect(test.field('IDT_VECTORING_INFORMATION')).toBe(VALID | 0x30n);
    expect(test.field('VM_ENTRY_INTERRUPTION_INFORMATION')).toBe(0x30n);
  });

  describe('with pending debug exceptions', () => {
    const TRAP = 0x4000n;
    const pending = (information: bigint, blocking = 0n) =>
      injecting(information, (vmcs) =>
        vmcs.set({
          GUEST_PENDING_DEBUG_EXCEPTIONS: TRAP,
          GUEST_RFLAGS: 0x302n,
          VM_ENTRY_INSTRUCTION_LENGTH: 2n,
          GUEST_INTERRUPTIBILITY_STATE: blocking,
        }),
      ).state.PENDING_DEBUG;

    it.each([
      ['an external interrupt', 0x30n],
      ['an NMI', 0x202n],
      ['a hardware exception', 0xb0dn],
      ['a software interrupt', 0x480n],
      ['a privileged software exception', 0x501n],
    ])('%s takes their place', (_what, information) => {
      expect(pending(information)).toBe(0n);
    });

    it('a software event behind MOV SS does not, and a privileged one does', () => {
      const MOV_SS = BigInt(BLOCKING.MOV_SS);
      expect(pending(0x480n, MOV_SS)).toBe(TRAP);
      expect(pending(0x603n, MOV_SS)).toBe(TRAP);
      expect(pending(0x501n, MOV_SS)).toBe(0n);
    });

    it('there are none in the states shutdown and wait-for-SIPI, and there are in HLT', () => {
      const left = [1n, 2n, 3n].map((activity) => {
        const contents = guestVmcs().set({
          GUEST_PENDING_DEBUG_EXCEPTIONS: TRAP,
          GUEST_RFLAGS: 0x102n,
          GUEST_ACTIVITY_STATE: activity,
        });
        return processorInGuest(contents).state.PENDING_DEBUG;
      });
      expect(left).toEqual([TRAP, 0n, 0n]);
    });
  });

  it('into a halted guest wakes it', () => {
    const test = injecting(0x30n, (vmcs) => vmcs.set({ GUEST_ACTIVITY_STATE: 1n }));
    expect(test.state.ACTIVITY_STATE).toBe(0);
  });
});
