/** What a control of the current VMCS does to the guest, besides making an instruction exit. */
import { describe, expect, it } from 'vitest';
import {
  AT,
  guestVmcs,
  processorInGuest,
  processorInRoot,
  type TestVmx,
} from '../../test/support/vmxProcessor.ts';
import { writeExplicit } from '../core/memory.ts';
import { OUTCOME, type Outcome } from '../core/outcome.ts';
import { reg, testInstruction } from '../core/testing/instruction.ts';
import { PAGE_FLAG } from '../mmu/physicalMemory.ts';
import { readRflags } from '../state/flags.ts';
import { FLAG, RAX, RCX, VECTOR, VMX_OPERATION } from '../state/registers.ts';
import { VMCS_REVISION_IDENTIFIER } from './capabilities.ts';
import type { ControlKey } from './controls.ts';
import { EXIT_REASON_NUMBER } from './exitReasons.ts';
import type { TestVmcs } from './testVmcs.ts';
import { VMCS_FIELD } from './vmcsLayout.ts';

function guest(...controls: readonly ControlKey[]): TestVmcs {
  return controls.reduce((vmcs, key) => vmcs.control(key, true), guestVmcs());
}

const reasonOf = ({ field }: TestVmx): number => Number(field('VM_EXIT_REASON'));
const inGuest = ({ state }: TestVmx): boolean => state.VMX_OPERATION === VMX_OPERATION.NON_ROOT;

function expectExit(test: TestVmx, reason: keyof typeof EXIT_REASON_NUMBER, qualification?: bigint): void {
  expect(inGuest(test)).toBe(false);
  expect(reasonOf(test)).toBe(EXIT_REASON_NUMBER[reason]);
  if (qualification !== undefined) expect(test.field('EXIT_QUALIFICATION')).toBe(qualification);
}

const write = ({ cpu }: TestVmx, address: number, value = 1n): boolean =>
  writeExplicit(cpu, BigInt(address), 4, value);
const read = ({ cpu }: TestVmx, address: number, bytes: 4 | 8 = 4) =>
  cpu.mmu.readLinear(BigInt(address), bytes, 'supervisor');

describe('"use TSC scaling"', () => {
  const half = 1n << 47n;

  it('multiplies the TSC before the offset is added', () => {
    const test = processorInGuest(
      guest('useTscOffsetting', 'useTscScaling').set({ TSC_OFFSET: 7n, TSC_MULTIPLIER: half }),
    );
    expect(test.vmx.guestTsc(1000n)).toBe(507n);
    expect(test.vmx.guestTsc((1n << 64n) - 2n)).toBe((1n << 63n) + 6n);
  });

  it('does nothing without "use TSC offsetting", and nothing for the host', () => {
    expect(processorInGuest(guest('useTscScaling').set({ TSC_MULTIPLIER: half })).vmx.guestTsc(1000n)).toBe(
      1000n,
    );
    const root = processorInRoot(guest('useTscOffsetting', 'useTscScaling').set({ TSC_MULTIPLIER: half }));
    expect(root.vmx.guestTsc(1000n)).toBe(1000n);
  });
});

describe('"load PKRS"', () => {
  const WRITES_DISABLED = 1n << 3n;
  const both = () => guest('loadPkrsOnEntry', 'loadPkrsOnExit').set({ HOST_IA32_PKRS: 0x30n });

  it('loads the guest’s on entry and the host’s on exit, which saves the guest’s', () => {
    const test = processorInGuest(both().set({ GUEST_IA32_PKRS: 0xcn }));
    expect(test.state.IA32_PKRS).toBe(0xcn);
    test.state.IA32_PKRS = 0xffff_ff44n;
    test.vmx.interceptTripleFault();
    expect(test.state.IA32_PKRS).toBe(0x30n);
    expect(test.field('GUEST_IA32_PKRS')).toBe(0xffff_ff44n);
  });

  it('without it the register stays as it is', () => {
    const test = processorInRoot(guest().set({ GUEST_IA32_PKRS: 0xcn, HOST_IA32_PKRS: 0x30n }));
    test.state.IA32_PKRS = 5n;
    test.vmx.enterGuest();
    test.vmx.interceptTripleFault();
    expect(test.state.IA32_PKRS).toBe(5n);
  });

  it('decides what the guest may do with its pages from the entry on', () => {
    const test = processorInRoot(both().change('GUEST_CR4', { set: 1n << 24n }));
    // Linear 1 GiB: a supervisor-mode page with key 1.
    test.physical.write64(AT.TABLES + 0x1000 + 8, 0x83n | (1n << 59n));
    for (const rights of [0n, WRITES_DISABLED, 0n]) {
      test.vmx.vmwrite('GUEST_IA32_PKRS', rights);
      test.vmx.enterGuest();
      expect([rights, write(test, 0x4000_0000)]).toEqual([rights, rights === 0n]);
      test.vmx.interceptTripleFault();
      test.vmx.vmwrite('GUEST_ACTIVITY_STATE', 0n);
    }
  });
});

describe('"PAUSE-loop exiting"', () => {
  const pause = (test: TestVmx, ticks: number): Outcome => {
    test.clock.advance(ticks);
    return test.vmx.intercept({ point: 'PAUSE' }, testInstruction('PAUSE'));
  };
  const loop = () => processorInGuest(guest('pauseLoopExiting').set({ PLE_GAP: 50n, PLE_WINDOW: 120n }));

  it('exits at the first PAUSE more than PLE_Window after the first of the loop', () => {
    const test = loop();
    expect([pause(test, 10), pause(test, 40), pause(test, 40), pause(test, 40)]).toEqual([0, 0, 0, 0]);
    expect(pause(test, 1)).toBe(OUTCOME.VM_EXIT);
    expectExit(test, 'pause');
  });

  it('starts over after more than PLE_Gap, and with each VM entry', () => {
    const test = loop();
    for (let i = 0; i < 20; i++) expect(pause(test, 51)).toBe(OUTCOME.NEXT);
    pause(test, 40);
    pause(test, 40);
    test.vmx.intercept({ point: 'CPUID' }, testInstruction('CPUID'));
    test.vmx.enterGuest();
    expect(pause(test, 45)).toBe(OUTCOME.NEXT);
    expect(pause(test, 45)).toBe(OUTCOME.NEXT);
  });

  it('is not for CPL above 0', () => {
    const test = loop();
    test.state.CPL = 3;
    for (let i = 0; i < 20; i++) expect(pause(test, 40)).toBe(OUTCOME.NEXT);
  });
});

describe('"enable PML"', () => {
  const LOG = 0x34_0000;
  const logging = (index: bigint): TestVmx => {
    const contents = guest('enablePml').set({ PML_ADDRESS: BigInt(LOG), PML_INDEX: index });
    const test = processorInGuest(contents.change('EPT_POINTER', { set: 0x40n }));
    // The page tables of the guest are dirty already.
    return test;
  };

  it('logs the guest-physical address of a page whose dirty flag becomes 1, once', () => {
    const test = logging(511n);
    expect(write(test, 0x12_3456)).toBe(true);
    const after = Number(test.field('PML_INDEX'));
    const logged = Array.from({ length: 511 - after }, (_, i) => test.physical.read64(LOG + 8 * (511 - i)));
    expect(logged).toContain(0x12_3000n);
    write(test, 0x12_3456);
    expect(Number(test.field('PML_INDEX'))).toBe(after);
  });

  it('announces that it writes to the VMCS, for whoever watches the page', () => {
    const test = logging(511n);
    let announced = 0;
    test.physical.onWrite(PAGE_FLAG.WATCHED, () => announced++);
    test.physical.setPageFlag(AT.VMCS / 4096, PAGE_FLAG.WATCHED);
    write(test, 0x12_3456);
    expect(announced).toBeGreaterThan(0);
  });

  it('exits when the index is not in the log; the access does not take place', () => {
    const test = logging(0xffffn);
    expect(write(test, 0x12_3456, 5n)).toBe(false);
    expectExit(test, 'pageModificationLogFull', 0n);
    expect(test.physical.read32(0x12_3456)).toBe(0);
  });
});

describe('"EPT-violation #VE"', () => {
  const AREA = 0x34_1000;
  /** Guest-physical 2 MiB to 4 MiB is not mapped. */
  const unmapped = (entry: bigint, ...controls: readonly ControlKey[]): TestVmx => {
    const test = processorInGuest(
      guest('eptViolationVe', ...controls).set({
        VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS: BigInt(AREA),
        EPTP_INDEX: 3n,
      }),
    );
    test.physical.write64(AT.EPT + 0x1000 + 8, entry);
    test.cpu.mmu.spaces.flushEverything();
    return test;
  };
  /** Linear 1 GiB is guest-physical 1 GiB, which EPT does not map. */
  const touch = (test: TestVmx): boolean => {
    test.physical.write64(AT.TABLES + 0x1000 + 8, 0x4000_0087n);
    return write(test, 0x4000_0000);
  };

  it('makes a convertible violation #VE, and writes the information area', () => {
    const test = unmapped(0n);
    expect(touch(test)).toBe(false);
    expect(inGuest(test)).toBe(true);
    expect(test.cpu.fault.vector).toBe(VECTOR.VE);
    expect(test.physical.read32(AREA)).toBe(48);
    expect(test.physical.read32(AREA + 4)).toBe(0xffff_ffff);
    expect(test.physical.read64(AREA + 8)).toBe(0x782n);
    expect(test.physical.read64(AREA + 16)).toBe(0x4000_0000n);
    expect(test.physical.read64(AREA + 24)).toBe(0x4000_0000n);
    expect(test.physical.read32(AREA + 32) & 0xffff).toBe(3);
  });

  it('does not where bit 63 of the EPT entry is 1', () => {
    const test = unmapped(1n << 63n);
    touch(test);
    expectExit(test, 'eptViolation');
  });

  it('does not while the area is busy', () => {
    const test = unmapped(0n);
    test.physical.write(AREA + 4, 4, 0xffff_ffff, 0);
    touch(test);
    expectExit(test, 'eptViolation');
  });
});

describe('"enable VM functions"', () => {
  const LIST = 0x34_2000;
  const OTHER_EPT = 0x34_8000;
  const functions = (...controls: readonly ControlKey[]): TestVmx => {
    const test = processorInGuest(
      guest('enableVmFunctions', ...controls).set({
        VM_FUNCTION_CONTROLS: 1n,
        EPTP_LIST_ADDRESS: BigInt(LIST),
      }),
    );
    test.physical.write64(LIST + 8, BigInt(OTHER_EPT) | 0x1en);
    test.physical.write64(OTHER_EPT, test.physical.read64(AT.EPT));
    return test;
  };
  const vmfunc = (test: TestVmx, leaf: bigint, index: bigint): Outcome => {
    test.state.setGpr(RAX, leaf);
    test.state.setGpr(RCX, index);
    return test.vmx.execute(testInstruction('VMFUNC', [], { length: 3 }));
  };

  it('switches the EPT pointer to an entry of the list, at any CPL', () => {
    const test = functions();
    test.state.CPL = 3;
    expect(vmfunc(test, 0n, 1n)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(test.field('EPT_POINTER')).toBe(BigInt(OTHER_EPT) | 0x1en);
    expect(test.cpu.mmu.secondLevel.eptpLo).toBe(OTHER_EPT | 0x1e);
    expect(test.field('EPTP_INDEX')).toBe(0n);
  });

  it('notes the index for virtualization exceptions', () => {
    const test = functions('eptViolationVe');
    vmfunc(test, 0n, 1n);
    expect(test.field('EPTP_INDEX')).toBe(1n);
  });

  it.each([
    ['another leaf', 1n, 1n],
    ['leaf 63', 63n, 1n],
    ['an index above 511', 0n, 512n],
    ['an entry that VM entry would refuse', 0n, 2n],
  ])('%s exits', (_what, leaf, index) => {
    const test = functions();
    expect(vmfunc(test, leaf, index)).toBe(OUTCOME.VM_EXIT);
    expectExit(test, 'vmfunc');
    expect(test.field('VM_EXIT_INSTRUCTION_LENGTH')).toBe(3n);
  });

  it.each([64n, 0xffff_ffffn])('leaf %d is #UD: only leaves up to 63 can be enabled', (leaf) => {
    const test = functions();
    expect(vmfunc(test, leaf, 1n)).toBe(OUTCOME.FAULT);
    expect(test.cpu.fault.vector).toBe(VECTOR.UD);
  });

  it('looks at EAX alone', () => {
    expect(vmfunc(functions(), 1n << 32n, 1n)).toBe(OUTCOME.NEXT_THEN_CHECK);
  });

  it('is what VMFUNC needs: without it, and in root operation, VMFUNC is #UD', () => {
    for (const test of [processorInGuest(), processorInRoot()]) {
      expect(vmfunc(test, 0n, 1n)).toBe(OUTCOME.FAULT);
      expect(test.cpu.fault.vector).toBe(VECTOR.UD);
    }
  });
});

describe('"VMCS shadowing"', () => {
  const READ_BITMAP = 0x34_3000;
  const WRITE_BITMAP = 0x34_4000;
  const { encoding, offset } = VMCS_FIELD.GUEST_RIP;
  const shadowing = (link = BigInt(AT.OTHER_VMCS)): TestVmx => {
    const contents = guest('vmcsShadowing').set({
      VMREAD_BITMAP_ADDRESS: BigInt(READ_BITMAP),
      VMWRITE_BITMAP_ADDRESS: BigInt(WRITE_BITMAP),
      VMCS_LINK_POINTER: link,
    });
    const test = processorInRoot(contents);
    test.physical.write(AT.OTHER_VMCS, 4, VMCS_REVISION_IDENTIFIER | 0x8000_0000, 0);
    test.vmx.enterGuest();
    expect(inGuest(test)).toBe(true);
    return test;
  };
  const access = (test: TestVmx, name: 'VMREAD' | 'VMWRITE', field: bigint, value = 0n): Outcome => {
    const [target, source] = name === 'VMREAD' ? [RAX, RCX] : [RCX, RAX];
    test.state.setGpr(RCX, field);
    test.state.setGpr(RAX, value);
    return test.vmx.execute(testInstruction(name, [reg(target), reg(source)], { length: 3 }));
  };
  const flags = ({ state }: TestVmx): number => readRflags(state) & ~FLAG.FIXED;

  it('lets VMREAD and VMWRITE of the guest reach the shadow VMCS', () => {
    const test = shadowing();
    expect(access(test, 'VMWRITE', BigInt(encoding), 0x1234n)).toBe(OUTCOME.NEXT);
    expect(flags(test)).toBe(0);
    expect(test.physical.read64(AT.OTHER_VMCS + offset)).toBe(0x1234n);
    expect(access(test, 'VMREAD', BigInt(encoding))).toBe(OUTCOME.NEXT);
    expect(test.state.gpr(RAX)).toBe(0x1234n);
    expect(test.field('GUEST_RIP')).toBe(BigInt(AT.GUEST_CODE));
  });

  it.each([
    ['VMREAD', READ_BITMAP, 'vmread'],
    ['VMWRITE', WRITE_BITMAP, 'vmwrite'],
  ] as const)('%s exits where the bit of the field is 1', (name, bitmap, reason) => {
    const test = shadowing();
    test.physical.write(bitmap + (encoding >> 3), 1, 1 << (encoding & 7), 0);
    expect(access(test, name, BigInt(encoding))).toBe(OUTCOME.VM_EXIT);
    expectExit(test, reason);
  });

  it('exits for an encoding with a bit above 14', () => {
    expect(access(shadowing(), 'VMREAD', 0x8000n)).toBe(OUTCOME.VM_EXIT);
  });

  it('is VMfailValid(12) in the shadow VMCS for a field that does not exist', () => {
    const test = shadowing();
    expect(access(test, 'VMREAD', 0x0ffen)).toBe(OUTCOME.NEXT);
    expect(flags(test)).toBe(FLAG.ZF);
    expect(test.physical.read32(AT.OTHER_VMCS + VMCS_FIELD.VM_INSTRUCTION_ERROR.offset)).toBe(12);
  });

  it('is VMfailInvalid without a link pointer, and #GP(0) at CPL 3', () => {
    const test = shadowing(0xffff_ffff_ffff_ffffn);
    access(test, 'VMREAD', BigInt(encoding));
    expect(flags(test)).toBe(FLAG.CF);
    test.state.CPL = 3;
    expect(access(test, 'VMREAD', BigInt(encoding))).toBe(OUTCOME.FAULT);
    expect(test.cpu.fault.vector).toBe(VECTOR.GP);
  });
});

describe('"mode-based execute control for EPT"', () => {
  /** Linear 1 GiB is guest-physical 0, with the guest's U/S bit as wanted. */
  const fetching = (user: boolean, eptBits: bigint, ...controls: readonly ControlKey[]): TestVmx => {
    const test = processorInGuest(guest('modeBasedExecuteControl', ...controls));
    test.physical.write64(AT.TABLES + 0x1000 + 8, user ? 0x87n : 0x83n);
    for (const at of [AT.EPT, AT.EPT + 0x1000])
      test.physical.write64(at, test.physical.read64(at) | (1n << 10n));
    // The first 2 MiB: readable, writable, and these bits.
    test.physical.write64(AT.EPT + 0x2000, 0xb3n | eptBits);
    if (user) test.state.CPL = 3;
    test.cpu.mmu.spaces.flushEverything();
    return test;
  };
  const fetch = (test: TestVmx): number => test.cpu.mmu.fetchTranslate(0x4000_1000n);
  const SUPERVISOR = 1n << 2n;
  const USER = 1n << 10n;

  it.each([
    [false, SUPERVISOR],
    [true, USER],
  ])('a fetch from a user-mode address: %s, needs bit 0x%s of the entry', (user, bit) => {
    expect(fetch(fetching(user, bit))).toBe(0x1000);
    const test = fetching(user, bit === USER ? SUPERVISOR : USER);
    expect(fetch(test)).toBeLessThan(0);
    test.cpu.raiseMemoryFault();
    expectExit(test, 'eptViolation');
    // An instruction fetch; what the entry permits is in bits 6:3.
    expect(test.field('EXIT_QUALIFICATION') & 0x7fn).toBe(
      4n | (3n << 3n) | (bit === USER ? 1n << 5n : 1n << 6n),
    );
  });

  it('without it bit 2 is for all fetches, and bit 10 for none', () => {
    const test = fetching(true, SUPERVISOR);
    test.vmx.interceptTripleFault();
    test.vmx.vmwrite(
      'SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS',
      test.field('SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS') & ~(1n << 22n),
    );
    test.vmx.vmwrite('GUEST_ACTIVITY_STATE', 0n);
    test.vmx.enterGuest();
    expect(fetch(test)).toBe(0x1000);
  });
});

describe('an EPT pointer with a page-walk length of 5', () => {
  it('has one level more', () => {
    const contents = guest().set({ EPT_POINTER: BigInt(AT.EPT + 0x8000) | (4n << 3n) | 6n });
    const test = processorInRoot(contents);
    test.physical.write64(AT.EPT + 0x8000, BigInt(AT.EPT) | 7n);
    test.vmx.enterGuest();
    expect(inGuest(test)).toBe(true);
    expect(write(test, 0x12_3000, 9n)).toBe(true);
    expect(test.physical.read32(0x12_3000)).toBe(9);
    expect(test.cpu.mmu.walkReport(0x12_3000n).host).toBe(0x12_3000);
  });
});

describe('a control that changes what VM entry loads', () => {
  it('"activate secondary controls": without it the secondary controls count as 0', () => {
    const contents = guest().control('activateSecondaryControls', false);
    const test = processorInGuest(contents);
    expect(test.cpu.mmu.secondLevel.enabled).toBe(false);
    expect(test.cpu.mmu.spaces.vpid).toBe(0);
  });

  it.each([
    [true, 5],
    [false, 0],
  ])('"enable VPID" %s: the VPID is %d', (enabled, vpid) => {
    const contents = guest().control('enableVpid', enabled).set({ VIRTUAL_PROCESSOR_IDENTIFIER: 5n });
    expect(processorInGuest(contents).cpu.mmu.spaces.vpid).toBe(vpid);
  });

  it.each([true, false])('"load IA32_PERF_GLOBAL_CTRL" %s', (loads) => {
    const contents = guest()
      .control('loadPerfGlobalCtrlOnEntry', loads)
      .set({ GUEST_IA32_PERF_GLOBAL_CTRL: 0x1_0000_0002n });
    expect(processorInGuest(contents).state.IA32_PERF_GLOBAL_CTRL === 0x1_0000_0002n).toBe(loads);
  });

  it.each([true, false])('"load IA32_PAT" %s', (loads) => {
    const contents = guest().control('loadPatOnEntry', loads).set({ GUEST_IA32_PAT: 0x0606n });
    expect(processorInGuest(contents).state.IA32_PAT === 0x0606n).toBe(loads);
  });
});

describe('reading the guest’s memory', () => {
  it('is not disturbed by controls that are 0', () => {
    expect(read(processorInGuest(), 0x12_3000, 8)).toBe(0n);
  });
});
