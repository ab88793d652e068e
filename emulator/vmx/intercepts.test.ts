import { describe, expect, it } from 'vitest';
import {
  AT,
  guestVmcs,
  processorInGuest,
  processorInRoot,
  type TestVmx,
} from '../../test/support/vmxProcessor.ts';
import { OUTCOME } from '../core/outcome.ts';
import { mem, reg, type TestOperand, testInstruction } from '../core/testing/instruction.ts';
import type { InterceptPoint } from '../core/virtualization.ts';
import { BLOCKING, VECTOR } from '../state/registers.ts';
import type { ControlKey } from './controls.ts';
import { EXIT_REASON_NUMBER, type ExitReasonKey } from './exitReasons.ts';
import type { TestVmcs } from './testVmcs.ts';

function intercept(test: TestVmx, point: InterceptPoint, operands: readonly TestOperand[] = [], length = 3) {
  return test.vmx.intercept(point, testInstruction(point.point, operands, { length }));
}

function reasonOf({ field }: TestVmx): number {
  return Number(field('VM_EXIT_REASON'));
}

const always: readonly [InterceptPoint['point'], ExitReasonKey][] = [
  ['CPUID', 'cpuid'],
  ['GETSEC', 'getsec'],
  ['INVD', 'invd'],
  ['XSETBV', 'xsetbv'],
  ['VMCALL', 'vmcall'],
  ['VMCLEAR', 'vmclear'],
  ['VMLAUNCH', 'vmlaunch'],
  ['VMPTRLD', 'vmptrld'],
  ['VMPTRST', 'vmptrst'],
  ['VMREAD', 'vmread'],
  ['VMRESUME', 'vmresume'],
  ['VMWRITE', 'vmwrite'],
  ['VMXOFF', 'vmxoff'],
  ['VMXON', 'vmxon'],
  ['INVEPT', 'invept'],
  ['INVVPID', 'invvpid'],
];

describe('instructions that cause VM exits unconditionally', () => {
  it.each(always)('%s', (point, reason) => {
    const test = processorInGuest();
    const outcome = intercept(test, { point } as InterceptPoint, [reg(1), reg(2)], 4);
    expect(outcome).toBe(OUTCOME.VM_EXIT);
    expect(reasonOf(test)).toBe(EXIT_REASON_NUMBER[reason]);
    expect(test.field('VM_EXIT_INSTRUCTION_LENGTH')).toBe(4n);
  });

  it('do not exit in VMX root operation', () => {
    expect(intercept(processorInRoot(), { point: 'CPUID' })).toBe(OUTCOME.NEXT);
  });

  it('save RF of RFLAGS as 0', () => {
    const test = processorInGuest(guestVmcs().set({ GUEST_RFLAGS: 0x1_0002n }));
    intercept(test, { point: 'CPUID' });
    expect(test.field('GUEST_RFLAGS')).toBe(2n);
  });

  it('save blocking by STI as it was before the instruction', () => {
    const test = processorInGuest(
      guestVmcs().set({ GUEST_RFLAGS: 0x202n, GUEST_INTERRUPTIBILITY_STATE: 1n }),
    );
    intercept(test, { point: 'CPUID' });
    expect(test.field('GUEST_INTERRUPTIBILITY_STATE')).toBe(BigInt(BLOCKING.STI));
  });
});

const conditional: readonly [InterceptPoint['point'], ControlKey, ExitReasonKey][] = [
  ['HLT', 'hltExiting', 'hlt'],
  ['WBINVD', 'wbinvdExiting', 'wbinvd'],
  ['RDTSC', 'rdtscExiting', 'rdtsc'],
  ['RDPMC', 'rdpmcExiting', 'rdpmc'],
  ['MWAIT', 'mwaitExiting', 'mwait'],
  ['MONITOR', 'monitorExiting', 'monitor'],
  ['PAUSE', 'pauseExiting', 'pause'],
  ['RDRAND', 'rdrandExiting', 'rdrand'],
  ['RDSEED', 'rdseedExiting', 'rdseed'],
  ['SGDT', 'descriptorTableExiting', 'gdtrIdtrAccess'],
  ['LIDT', 'descriptorTableExiting', 'gdtrIdtrAccess'],
  ['SLDT', 'descriptorTableExiting', 'ldtrTrAccess'],
  ['LTR', 'descriptorTableExiting', 'ldtrTrAccess'],
];

describe('instructions that cause VM exits conditionally', () => {
  it.each(conditional)('%s with "%s"', (point, control, reason) => {
    const operands = [mem(0x1000n)];
    const free = processorInGuest(guestVmcs().control(control, false));
    expect(intercept(free, { point } as InterceptPoint, operands)).toBe(OUTCOME.NEXT);
    const test = processorInGuest(guestVmcs().control(control, true));
    expect(intercept(test, { point } as InterceptPoint, operands)).toBe(OUTCOME.VM_EXIT);
    expect(reasonOf(test)).toBe(EXIT_REASON_NUMBER[reason]);
  });

  it.each([
    ['RDTSCP', 'enableRdtscp', 'rdtscExiting', 'rdtscp'],
    ['INVPCID', 'enableInvpcid', 'invlpgExiting', 'invpcid'],
  ] as const)('%s is #UD without "%s", and exits with "%s"', (point, enable, exiting, reason) => {
    const off = processorInGuest(guestVmcs().control(exiting, true));
    expect(intercept(off, { point }, [reg(1), mem(0x1000n)])).toBe(OUTCOME.FAULT);
    expect(off.cpu.fault.vector).toBe(VECTOR.UD);
    const on = guestVmcs().control(enable, true);
    expect(intercept(processorInGuest(on), { point }, [reg(1), mem(0x1000n)])).toBe(OUTCOME.NEXT);
    const test = processorInGuest(on.control(exiting, true));
    expect(intercept(test, { point }, [reg(1), mem(0x1000n)])).toBe(OUTCOME.VM_EXIT);
    expect(reasonOf(test)).toBe(EXIT_REASON_NUMBER[reason]);
  });

  it.each(['UMWAIT', 'TPAUSE'] as const)('%s is #UD without "enable user wait and pause"', (point) => {
    const off = processorInGuest(guestVmcs());
    expect(intercept(off, { point }, [reg(1)])).toBe(OUTCOME.FAULT);
    expect(off.cpu.fault.vector).toBe(VECTOR.UD);
    const on = guestVmcs().control('enableUserWaitAndPause', true);
    expect(intercept(processorInGuest(on), { point }, [reg(1)])).toBe(OUTCOME.NEXT);
    const test = processorInGuest(on.control('rdtscExiting', true));
    expect(intercept(test, { point }, [reg(1)])).toBe(OUTCOME.VM_EXIT);
    expect(reasonOf(test)).toBe(EXIT_REASON_NUMBER[point === 'UMWAIT' ? 'umwait' : 'tpause']);
  });

  it.each(['XSAVES', 'XRSTORS'] as const)(
    '%s is #UD without "enable XSAVES/XRSTORS", and exits for components of the XSS-exiting bitmap',
    (point) => {
      const off = processorInGuest(guestVmcs());
      expect(intercept(off, { point, components: 0n }, [mem(0x1000n)])).toBe(OUTCOME.FAULT);
      expect(off.cpu.fault.vector).toBe(VECTOR.UD);
      const on = guestVmcs().control('enableXsavesXrstors', true).set({ XSS_EXITING_BITMAP: 0x100n });
      const test = processorInGuest(on);
      expect(intercept(test, { point, components: 0x800n }, [mem(0x1000n)])).toBe(OUTCOME.NEXT);
      expect(intercept(test, { point, components: 0x900n }, [mem(0x1000n)])).toBe(OUTCOME.VM_EXIT);
      expect(reasonOf(test)).toBe(EXIT_REASON_NUMBER[point === 'XSAVES' ? 'xsaves' : 'xrstors']);
    },
  );

  it('UMWAIT, TPAUSE and VMFUNC are #UD without their controls', () => {
    for (const point of ['UMWAIT', 'TPAUSE', 'VMFUNC'] as const) {
      expect(intercept(processorInGuest(), { point }, [reg(1)])).toBe(OUTCOME.FAULT);
    }
  });

  it('INVLPG reports the linear address', () => {
    const test = processorInGuest(guestVmcs().control('invlpgExiting', true));
    intercept(test, { point: 'INVLPG', address: 0xffff_8000_1234_5000n });
    expect(test.field('EXIT_QUALIFICATION')).toBe(0xffff_8000_1234_5000n);
  });

  it('a task switch reports selector and source', () => {
    const test = processorInGuest();
    intercept(test, { point: 'TASK_SWITCH', selector: 0x28, source: 'JMP' });
    expect(reasonOf(test)).toBe(9);
    expect(test.field('EXIT_QUALIFICATION')).toBe(0x8000_0028n);
  });

  it('a task gate in the IDT has the length of the software interrupt', () => {
    const test = processorInGuest();
    test.cpu.deliveringEvent = {
      kind: 'software-interrupt',
      vector: 9,
      errorCode: undefined,
      qualification: 0n,
      instructionLength: 2,
    };
    test.vmx.intercept({ point: 'TASK_SWITCH', selector: 0x28, source: 'gate' }, undefined);
    expect(test.field('EXIT_QUALIFICATION')).toBe(0xc000_0028n);
    expect(test.field('VM_EXIT_INSTRUCTION_LENGTH')).toBe(2n);
  });
});

describe('accesses to control registers', () => {
  const masked = guestVmcs().set({
    CR0_GUEST_HOST_MASK: 0x2bn,
    CR0_READ_SHADOW: 0x21n,
    CR4_GUEST_HOST_MASK: 0x2000n,
    CR4_READ_SHADOW: 0n,
  });

  // biome-ignore format: rows are read as a table
  it.each([
    ['MOV to CR0 with the shadow’s values in masked bits', { point: 'MOV_TO_CR', cr: 0, gpr: 3, value: 0x8005_0035n }, undefined],
    ['MOV to CR0 that changes a masked bit', { point: 'MOV_TO_CR', cr: 0, gpr: 3, value: 0x8005_003dn }, 0x300n],
    ['MOV to CR4 with the shadow’s value', { point: 'MOV_TO_CR', cr: 4, gpr: 0, value: 0x6a0n }, undefined],
    ['MOV to CR4 that sets a masked bit', { point: 'MOV_TO_CR', cr: 4, gpr: 9, value: 0x26a0n }, 0x904n],
    ['MOV from CR0', { point: 'MOV_FROM_CR', cr: 0, gpr: 1 }, undefined],
    ['MOV to CR2', { point: 'MOV_TO_CR', cr: 2, gpr: 1, value: 1n }, undefined],
    ['CLTS with TS masked and 0 in the shadow', { point: 'CLTS' }, undefined],
    ['LMSW that clears PE', { point: 'LMSW', source: 0x0, address: undefined }, undefined],
    ['LMSW that sets TS', { point: 'LMSW', source: 0x9, address: undefined }, 0x0009_0030n],
    ['LMSW from memory that changes MP', { point: 'LMSW', source: 0x3, address: 0x1234n }, 0x0003_0070n],
  ] as const)('%s', (_what, point, qualification) => {
    const test = processorInGuest(masked);
    expect(intercept(test, point)).toBe(qualification === undefined ? OUTCOME.NEXT : OUTCOME.VM_EXIT);
    if (qualification === undefined) return;
    expect(reasonOf(test)).toBe(28);
    expect(test.field('EXIT_QUALIFICATION')).toBe(qualification);
  });

  it('CLTS exits with TS masked and 1 in the shadow', () => {
    const test = processorInGuest(guestVmcs().set({ CR0_GUEST_HOST_MASK: 8n, CR0_READ_SHADOW: 8n }));
    expect(intercept(test, { point: 'CLTS' })).toBe(OUTCOME.VM_EXIT);
    expect(test.field('EXIT_QUALIFICATION')).toBe(0x20n);
  });

  it('LMSW exits when it would set PE and the shadow has 0', () => {
    const test = processorInGuest(guestVmcs().set({ CR0_GUEST_HOST_MASK: 1n, CR0_READ_SHADOW: 0n }));
    expect(intercept(test, { point: 'LMSW', source: 1, address: undefined })).toBe(OUTCOME.VM_EXIT);
  });

  it('LMSW reports the linear address of a memory operand', () => {
    const test = processorInGuest(masked);
    intercept(test, { point: 'LMSW', source: 8, address: 0x1234n });
    expect(test.field('GUEST_LINEAR_ADDRESS')).toBe(0x1234n);
  });

  it('readable bits come from the shadow where the mask is 1', () => {
    const { vmx } = processorInGuest(masked);
    expect(vmx.readableCr(0, 0x8001_003bn)).toBe(0x8001_0031n);
    expect(vmx.readableCr(4, 0x2020n)).toBe(0x20n);
  });

  it('masked bits keep their value when CR0 or CR4 is written', () => {
    const { vmx } = processorInGuest(masked);
    expect(vmx.writableCr(0, 0x8001_0035n, 0x8001_0033n)).toBe(0x8001_0037n);
    expect(vmx.writableCr(4, 0x20n, 0x2020n)).toBe(0x2020n);
  });

  it('outside the guest masks mean nothing', () => {
    const { vmx } = processorInRoot(masked);
    expect(vmx.readableCr(0, 5n)).toBe(5n);
    expect(vmx.writableCr(4, 5n, 6n)).toBe(5n);
  });

  it('MOV to CR3 exits unless the value is a CR3-target value below the count', () => {
    const targets = guestVmcs().control('cr3LoadExiting', true).set({
      CR3_TARGET_COUNT: 2n,
      CR3_TARGET_VALUE_0: 0x1000n,
      CR3_TARGET_VALUE_1: 0x1_0000_2000n,
      CR3_TARGET_VALUE_2: 0x3000n,
    });
    const move = (value: bigint) =>
      intercept(processorInGuest(targets), { point: 'MOV_TO_CR', cr: 3, gpr: 0, value });
    expect(move(0x1000n)).toBe(OUTCOME.NEXT);
    expect(move(0x1_0000_2000n)).toBe(OUTCOME.NEXT);
    expect(move(0x2000n)).toBe(OUTCOME.VM_EXIT);
    expect(move(0x3000n)).toBe(OUTCOME.VM_EXIT);
  });

  it.each([
    ['cr3StoreExiting', { point: 'MOV_FROM_CR', cr: 3, gpr: 2 }, 0x213n],
    ['cr8LoadExiting', { point: 'MOV_TO_CR', cr: 8, gpr: 2, value: 1n }, 0x208n],
    ['cr8StoreExiting', { point: 'MOV_FROM_CR', cr: 8, gpr: 15 }, 0xf18n],
  ] as const)('"%s"', (control, point, qualification) => {
    expect(intercept(processorInGuest(), point)).toBe(OUTCOME.NEXT);
    const test = processorInGuest(guestVmcs().control(control, true));
    expect(intercept(test, point)).toBe(OUTCOME.VM_EXIT);
    expect(test.field('EXIT_QUALIFICATION')).toBe(qualification);
  });

  it('MOV DR reports register, direction and general register', () => {
    const test = processorInGuest(guestVmcs().control('movDrExiting', true));
    intercept(test, { point: 'MOV_DR', dr: 7, gpr: 10, toDr: false });
    expect(reasonOf(test)).toBe(29);
    expect(test.field('EXIT_QUALIFICATION')).toBe(0xa17n);
  });
});

describe('bits that VMX operation fixes in CR0 and CR4', () => {
  it('may not change in root operation', () => {
    const { vmx } = processorInRoot();
    expect(vmx.permitsCr(0, 0x8000_0031n)).toBe(true);
    expect(vmx.permitsCr(0, 0x31n)).toBe(false);
    expect(vmx.permitsCr(0, 0x8000_0011n)).toBe(false);
    expect(vmx.permitsCr(4, 0x20n)).toBe(false);
    expect(vmx.permitsCr(4, 0x2020n)).toBe(true);
  });

  it('leave PE and PG of CR0 free in an unrestricted guest', () => {
    const { vmx } = processorInGuest();
    expect(vmx.permitsCr(0, 0x30n)).toBe(true);
    expect(vmx.permitsCr(0, 0x10n)).toBe(false);
    const restricted = processorInGuest(guestVmcs().control('unrestrictedGuest', false));
    expect(restricted.vmx.permitsCr(0, 0x31n)).toBe(false);
  });
});

describe('I/O instructions', () => {
  const out = {
    point: 'IO',
    port: 0x3f8,
    size: 1,
    input: false,
    string: false,
    repeat: false,
    immediate: false,
    address: 0n,
  } as const;

  it('do not exit without either control and always exit with "unconditional I/O exiting"', () => {
    expect(intercept(processorInGuest(), out)).toBe(OUTCOME.NEXT);
    const test = processorInGuest(guestVmcs().control('unconditionalIoExiting', true));
    expect(intercept(test, out)).toBe(OUTCOME.VM_EXIT);
    expect(reasonOf(test)).toBe(30);
    expect(test.field('EXIT_QUALIFICATION')).toBe(0x03f8_0000n);
  });

  const bitmaps = (): TestVmx => {
    const test = processorInGuest(
      guestVmcs().control('useIoBitmaps', true).control('unconditionalIoExiting', true),
    );
    test.physical.write(AT.IO_BITMAP_A + (0x61 >> 3), 1, 1 << (0x61 & 7), 0);
    test.physical.write(AT.IO_BITMAP_B + (0x4cf9 >> 3), 1, 1 << (0x4cf9 & 7), 0);
    return test;
  };

  // biome-ignore format: rows are read as a table
  it.each([
    ['no port of the access has its bit set', 0x60, 1, false],
    ['the last port of the access has its bit set', 0x60, 2, true],
    ['a port of bitmap B has its bit set', 0xccf8, 4, true],
    ['bitmap B has the bit of another port set', 0xccfa, 1, false],
    ['the access wraps around the I/O port space', 0xffff, 2, true],
  ] as const)('with I/O bitmaps, %s', (_what, port, size, exits) => {
    expect(intercept(bitmaps(), { ...out, port, size })).toBe(exits ? OUTCOME.VM_EXIT : OUTCOME.NEXT);
  });

  it('string forms report linear address, address size and the segment of OUTS', () => {
    const test = processorInGuest(guestVmcs().control('unconditionalIoExiting', true));
    const outs = { ...out, size: 4, string: true, repeat: true, address: 0x8000n } as const;
    test.vmx.intercept(
      outs,
      testInstruction('OUTSD', [mem(0x8000n, 32, 4)], { addressSize: 32, repeat: 'rep' }),
    );
    expect(test.field('EXIT_QUALIFICATION')).toBe(0x03f8_0033n);
    expect(test.field('GUEST_LINEAR_ADDRESS')).toBe(0x8000n);
    expect(test.field('VM_EXIT_INSTRUCTION_INFORMATION')).toBe((1n << 7n) | (4n << 15n));
  });

  it('IN from an immediate port', () => {
    const test = processorInGuest(guestVmcs().control('unconditionalIoExiting', true));
    intercept(test, { ...out, port: 0x71, size: 2, input: true, immediate: true });
    expect(test.field('EXIT_QUALIFICATION')).toBe(0x0071_0049n);
  });
});

describe('RDMSR and WRMSR', () => {
  it('always exit without MSR bitmaps', () => {
    const test = processorInGuest();
    expect(intercept(test, { point: 'RDMSR', msr: 0x10 })).toBe(OUTCOME.VM_EXIT);
    expect(reasonOf(test)).toBe(31);
  });

  const bitmaps = (): TestVmx => {
    const test = processorInGuest(guestVmcs().control('useMsrBitmaps', true));
    const set = (part: number, msr: number): void =>
      test.physical.write(AT.MSR_BITMAPS + part + (msr >> 3), 1, 1 << (msr & 7), 0);
    set(0, 0x1b);
    set(1024, 0x80);
    set(2048, 0x10);
    set(3072, 0x82);
    return test;
  };

  // biome-ignore format: rows are read as a table
  it.each([
    ['RDMSR', 0x1b, true], ['WRMSR', 0x1b, false],
    ['RDMSR', 0xc000_0080, true], ['WRMSR', 0xc000_0080, false],
    ['RDMSR', 0x10, false], ['WRMSR', 0x10, true],
    ['RDMSR', 0xc000_0082, false], ['WRMSR', 0xc000_0082, true],
    ['RDMSR', 0x2000, true], ['WRMSR', 0xbfff_ffff, true], ['RDMSR', 0xc000_2000, true], ['RDMSR', 0x1fff, false],
  ] as const)('%s of %i', (point, msr, exits) => {
    expect(intercept(bitmaps(), { point, msr })).toBe(exits ? OUTCOME.VM_EXIT : OUTCOME.NEXT);
  });
});

describe('the VM-exit instruction information', () => {
  const exiting = (): TestVmcs => guestVmcs().control('descriptorTableExiting', true);

  it('of LGDT has the memory operand, the operand size and the instruction', () => {
    const test = processorInGuest(exiting());
    const instruction = {
      ...testInstruction('LGDT', [mem(0n, 64, 5)], { addressSize: 64, operandSize: 32 }),
      memoryBase: 12,
      memoryIndex: 3,
      memoryScale: 4 as const,
      memoryDisplacement: -16n,
    };
    test.vmx.intercept({ point: 'LGDT' }, instruction);
    expect(test.field('VM_EXIT_INSTRUCTION_INFORMATION')).toBe(
      2n | (2n << 7n) | (1n << 11n) | (5n << 15n) | (3n << 18n) | (12n << 23n) | (2n << 28n),
    );
    expect(test.field('EXIT_QUALIFICATION')).toBe(0xffff_ffff_ffff_fff0n);
  });

  it('of STR to a register has no memory operand', () => {
    const test = processorInGuest(exiting());
    intercept(test, { point: 'STR' }, [reg(11)]);
    expect(test.field('VM_EXIT_INSTRUCTION_INFORMATION')).toBe((11n << 3n) | (1n << 10n) | (1n << 28n));
    expect(test.field('EXIT_QUALIFICATION')).toBe(0n);
  });

  it('of VMREAD and VMWRITE names the register with the encoding as the second', () => {
    const read = processorInGuest();
    intercept(read, { point: 'VMREAD' }, [reg(1), reg(2)]);
    expect(read.field('VM_EXIT_INSTRUCTION_INFORMATION')).toBe((1n << 3n) | (1n << 10n) | (2n << 28n));
    const write = processorInGuest();
    intercept(write, { point: 'VMWRITE' }, [reg(9), mem(0x40n)]);
    const invalid = (1n << 22n) | (1n << 27n);
    expect(write.field('VM_EXIT_INSTRUCTION_INFORMATION')).toBe(
      invalid | (2n << 7n) | (3n << 15n) | (9n << 28n),
    );
    expect(write.field('EXIT_QUALIFICATION')).toBe(0x40n);
  });

  it('of RDRAND has the destination register and its size', () => {
    const test = processorInGuest(guestVmcs().control('rdrandExiting', true));
    intercept(test, { point: 'RDRAND' }, [reg(7, 32)]);
    expect(test.field('VM_EXIT_INSTRUCTION_INFORMATION')).toBe((7n << 3n) | (1n << 11n));
  });
});
