/** Each rule of the sanitizer: a hypervisor that breaks it, and one that does the same as the manual wants it. */
import { describe, expect, it } from 'vitest';
import { AT, guestVmcs, processorInRoot, type TestVmx } from '../../test/support/vmxProcessor.ts';
import { writeExplicit } from '../core/memory.ts';
import { reg, testInstruction } from '../core/testing/instruction.ts';
import { BLOCKING, RAX, RCX } from '../state/registers.ts';
import { Sanitizer, type SanitizerFinding } from './sanitizer.ts';
import { SANITIZER_RULES } from './sanitizerRules.ts';
import type { TestVmcs } from './testVmcs.ts';
import { VMCS_FIELD } from './vmcsLayout.ts';

const HOST_IDT = 0x34_0000;
const HOST_GDT = 0x34_1000;
const HOST_TSS = 0x34_2000;
const GATE = (0x8en << 40n) | (0x08n << 16n);
const CODE_64 = 0x00af_9b00_0000_ffffn;

interface Watched extends TestVmx {
  readonly found: SanitizerFinding[];
}

/** In root operation, watched; the host has an IDT, a GDT and a TSS with a stack for #DF. */
function watched(contents: TestVmcs = guestVmcs()): Watched {
  const test = processorInRoot(
    contents.set({
      HOST_IDTR_BASE: BigInt(HOST_IDT),
      HOST_GDTR_BASE: BigInt(HOST_GDT),
      HOST_TR_BASE: BigInt(HOST_TSS),
      HOST_RSP: 0x20_0000n,
      HOST_RIP: 0x10_2000n,
    }),
  );
  const { physical } = test;
  for (const vector of [2, 8, 13, 14])
    physical.write64(HOST_IDT + 16 * vector, vector === 8 ? GATE | (1n << 32n) : GATE);
  physical.write64(HOST_GDT + 8, CODE_64);
  physical.write64(PD + 16, 0x20_0087n);
  physical.write64(HOST_TSS + 36, 0x21_0000n);
  const found: SanitizerFinding[] = [];
  const sanitizer = new Sanitizer();
  sanitizer.onFinding = (finding) => found.push(finding);
  sanitizer.attach(test.vmx.processor, true);
  return { ...test, found };
}

const rules = ({ found }: Watched): string[] => found.map(({ rule }) => rule);
const enter = ({ vmx }: Watched) => vmx.enterGuest();
const leave = ({ vmx }: Watched) => vmx.interceptTripleFault();
const reenter = (test: Watched): void => {
  leave(test);
  test.vmx.vmwrite('GUEST_ACTIVITY_STATE', 0n);
  enter(test);
};
const read = ({ cpu }: TestVmx, address: bigint) => cpu.mmu.readLinear(address, 8, 'supervisor');
/** A store of the program that runs; page tables and EPT structures are mapped to themselves. */
const store = ({ cpu }: TestVmx, address: number, value: bigint): boolean =>
  writeExplicit(cpu, BigInt(address), 8, value);

/** The third page of the tables: linear 4 MiB is another name of 2 MiB; as a guest-physical address it is the same. */
const PD = AT.TABLES + 0x2000;
const PAGE = 0x40_0000n;

describe('a table of rules', () => {
  it('has unique ids, and a section of the manual for each', () => {
    expect(new Set(SANITIZER_RULES.map(({ id }) => id)).size).toBe(SANITIZER_RULES.length);
    for (const { ref } of SANITIZER_RULES) expect(ref.title).not.toBe('');
  });
});

describe('a hypervisor without mistakes', () => {
  it('is told nothing', () => {
    const test = watched();
    enter(test);
    read(test, 0x1000n);
    reenter(test);
    read(test, 0x1000n);
    leave(test);
    expect(rules(test)).toEqual([]);
  });
});

describe('stale.invlpg', () => {
  const changed = (): Watched => {
    const test = watched();
    read(test, PAGE);
    store(test, PD + 16, 0x87n);
    return test;
  };

  it('is the use of an address whose page was changed', () => {
    const test = changed();
    read(test, PAGE);
    expect(rules(test)).toEqual(['stale.invlpg']);
    expect(test.found[0].description).toContain('linear 0x400000 may still be cached as 0x200000');
    expect(test.found[0].description).toContain('lead to 0x0');
    expect(test.found[0].details[1]).toContain('Invalidation of TLBs');
  });

  it('is the use of an address whose page is gone', () => {
    const test = watched();
    read(test, PAGE);
    store(test, PD + 16, 0n);
    read(test, PAGE);
    expect(rules(test)).toEqual(['stale.invlpg']);
    expect(test.found[0].description).toContain('no longer permit it');
  });

  it.each([
    ['INVLPG', (test: Watched) => test.cpu.mmu.invalidatePage(PAGE)],
    ['INVLPG of another address in the page', (test: Watched) => test.cpu.mmu.invalidatePage(PAGE + 0x5000n)],
    ['MOV to CR3', (test: Watched) => test.cpu.mmu.flushCurrent()],
    [
      'a VM entry and a VM exit without VPIDs',
      (test: Watched) => {
        test.vmx.vmwrite(
          'SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS',
          test.field('SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS') & ~(1n << 5n),
        );
        enter(test);
        leave(test);
      },
    ],
  ])('is nothing after %s', (_what, invalidate) => {
    const test = changed();
    invalidate(test);
    read(test, PAGE);
    expect(rules(test)).toEqual([]);
  });

  it('is nothing for a page that was absent, and for one that was never used', () => {
    const test = watched();
    expect(read(test, 0x60_0000n)).toBeUndefined();
    store(test, PD + 24, 0x87n);
    expect(read(test, 0x60_0000n)).toBe(0n);
    store(test, PD + 16, 0x87n);
    read(test, PAGE);
    expect(rules(test)).toEqual([]);
  });

  it('is nothing for more rights, and for less that are not used', () => {
    const test = watched();
    read(test, PAGE);
    store(test, PD + 16, 0x20_0081n);
    read(test, PAGE);
    store(test, PD + 16, 0x20_0087n);
    store(test, Number(PAGE), 1n);
    expect(rules(test)).toEqual([]);
    store(test, PD + 16, 0x20_0081n);
    store(test, Number(PAGE), 1n);
    expect(rules(test)).toEqual(['stale.invlpg']);
  });

  it('is a mistake of a guest as well', () => {
    const test = watched();
    enter(test);
    read(test, PAGE);
    store(test, PD + 16, 0x87n);
    read(test, PAGE);
    expect(rules(test)).toEqual(['stale.invlpg']);
  });
});

describe('stale.invvpid', () => {
  const changedByHost = (): Watched => {
    const test = watched(guestVmcs().set({ VIRTUAL_PROCESSOR_IDENTIFIER: 3n }));
    enter(test);
    read(test, PAGE);
    leave(test);
    test.vmx.vmwrite('GUEST_ACTIVITY_STATE', 0n);
    test.physical.write64(PD + 16, 0x87n);
    return test;
  };

  it('is the use of a guest’s address whose page the host has changed', () => {
    const test = changedByHost();
    enter(test);
    read(test, PAGE);
    expect(rules(test)).toEqual(['stale.invvpid']);
  });

  it.each([
    ['INVVPID of its VPID', (test: Watched) => test.cpu.mmu.spaces.flushVpid(3), []],
    ['INVVPID of the address', (test: Watched) => test.cpu.mmu.invalidatePage(PAGE, 3), []],
    ['INVVPID of another VPID', (test: Watched) => test.cpu.mmu.spaces.flushVpid(4), ['stale.invvpid']],
  ] as const)('after %s', (_what, invalidate, expected) => {
    const test = changedByHost();
    invalidate(test);
    enter(test);
    read(test, PAGE);
    expect(rules(test)).toEqual(expected);
  });
});

describe('stale.invept', () => {
  const EPT_PD = AT.EPT + 0x2000;
  const remapped = (entry: bigint): Watched => {
    const test = watched();
    test.physical.write64(PD + 16, 0x40_0087n);
    test.physical.write64(EPT_PD + 16, 0x20_00b7n);
    enter(test);
    read(test, PAGE);
    leave(test);
    test.vmx.vmwrite('GUEST_ACTIVITY_STATE', 0n);
    store(test, EPT_PD + 16, entry);
    return test;
  };

  it('is the use of a guest-physical address whose EPT entry was changed', () => {
    const test = remapped(0xb7n);
    enter(test);
    read(test, PAGE);
    expect(rules(test)).toEqual(['stale.invept']);
    expect(test.found[0].description).toContain('guest-physical 0x400000');
  });

  it('is an EPT violation that a processor may not have noticed', () => {
    const test = remapped(0n);
    enter(test);
    read(test, PAGE);
    expect(rules(test)).toEqual(['stale.invept']);
  });

  it('is not lifted by INVVPID, but by INVEPT', () => {
    const test = remapped(0xb7n);
    test.cpu.mmu.spaces.flushVpids();
    enter(test);
    read(test, PAGE);
    expect(rules(test)).toEqual(['stale.invept']);
    const other = remapped(0xb7n);
    other.cpu.mmu.spaces.invalidateEpt(other.field('EPT_POINTER'));
    enter(other);
    read(other, PAGE);
    expect(rules(other)).toEqual([]);
  });
});

describe('vmcs.touched', () => {
  it('is a store to an active VMCS', () => {
    const test = watched();
    store(test, AT.VMCS + 0x100, 1n);
    expect(rules(test)).toEqual(['vmcs.touched']);
    expect(test.found[0].description).toContain('offset 0x100');
  });

  it('is nothing after VMCLEAR, and nothing by VMWRITE, VM entry and VM exit', () => {
    const test = watched();
    test.vmx.vmwrite('GUEST_RIP', 0x10_0000n);
    enter(test);
    leave(test);
    test.vmx.vmclear(BigInt(AT.VMCS));
    store(test, AT.VMCS + 0x100, 1n);
    expect(rules(test)).toEqual([]);
  });
});

describe('vmcs.twoProcessors', () => {
  it('is VMPTRLD of a VMCS that is active on another processor', () => {
    const sanitizer = new Sanitizer();
    const found: string[] = [];
    sanitizer.onFinding = ({ description }) => found.push(description);
    const first = watched().vmx.processor;
    const second = { ...first, cpu: { apic: { id: 1 } }, state: first.state, position: () => 0 };
    sanitizer.activated(first, 0x5000);
    sanitizer.activated(first, 0x5000);
    sanitizer.cleared(first, 0x5000);
    sanitizer.activated(second as unknown as typeof first, 0x5000);
    expect(found).toEqual([]);
    sanitizer.activated(first, 0x5000);
    expect(found).toEqual([expect.stringContaining('active on processor 1')]);
  });
});

describe('vmcs.noSuchField', () => {
  it.each(['VMREAD', 'VMWRITE'] as const)('is %s of a field that the processor does not have', (name) => {
    const test = watched();
    const encoding = BigInt(VMCS_FIELD.GUEST_SSP.encoding);
    const access = (field: bigint): void => {
      test.state.setGpr(RCX, field);
      const operands = name === 'VMREAD' ? [reg(RAX), reg(RCX)] : [reg(RCX), reg(RAX)];
      test.vmx.execute(testInstruction(name, operands, { length: 3 }));
    };
    access(BigInt(VMCS_FIELD.GUEST_RIP.encoding));
    expect(rules(test)).toEqual([]);
    access(encoding);
    access(encoding);
    expect(rules(test)).toEqual(['vmcs.noSuchField']);
    expect(test.found[0].description).toContain(
      `${name} of the field with encoding 0x${encoding.toString(16)}`,
    );
  });
});

describe('vmcs.longMsrList', () => {
  it('is told for the areas of VM exits, when the guest is entered', () => {
    const test = watched(
      guestVmcs().set({ VM_EXIT_MSR_STORE_COUNT: 513n, VM_EXIT_MSR_LOAD_COUNT: 0xffff_ffffn }),
    );
    enter(test);
    expect(rules(test)).toEqual(['vmcs.longMsrList']);
    expect(test.found[0].description).toContain('VM_EXIT_MSR_STORE_COUNT is 513');
  });

  it('is not told for 512', () => {
    const test = watched(guestVmcs().set({ VM_EXIT_MSR_STORE_COUNT: 512n, VM_EXIT_MSR_LOAD_COUNT: 512n }));
    enter(test);
    expect(rules(test)).toEqual([]);
  });
});

describe('host.rsp', () => {
  it('is a HOST_RSP that is no multiple of 8', () => {
    const test = watched();
    test.vmx.vmwrite('HOST_RSP', 0x20_0004n);
    enter(test);
    expect(rules(test)).toEqual(['host.rsp']);
  });
});

describe('host.idt', () => {
  it.each([
    ['is not mapped', (test: Watched) => test.vmx.vmwrite('HOST_IDTR_BASE', 0x7f_0000_0000n)],
    ['is no gate', (test: Watched) => test.physical.write64(HOST_IDT + 16 * 13, 0x92n << 40n)],
    ['is not present', (test: Watched) => test.physical.write64(HOST_IDT + 16 * 14, GATE & ~(1n << 47n))],
    ['a code segment that is present', (test: Watched) => test.physical.write64(HOST_GDT + 8, 0n)],
  ])('is an IDT whose entry %s', (text, damage) => {
    const test = watched();
    damage(test);
    enter(test);
    leave(test);
    expect(rules(test)).toEqual(['host.idt']);
    expect(test.found[0].description).toContain(text);
    reenter(test);
    expect(test.found).toHaveLength(1);
  });
});

describe('host.tss', () => {
  it.each([
    ['the TSS, for #DF, is not mapped', (test: Watched) => test.vmx.vmwrite('HOST_TR_BASE', 0x7f_0000_0000n)],
    [
      'that the TSS has for #DF is not mapped',
      (test: Watched) => test.physical.write64(HOST_TSS + 36, 0x7f_0000_0000n),
    ],
  ])('is a TSS without the stack that a gate names: %s', (text, damage) => {
    const test = watched();
    damage(test);
    enter(test);
    leave(test);
    expect(rules(test)).toEqual(['host.tss']);
    expect(test.found[0].description).toContain(text);
  });
});

describe('nmi.blockedForEver', () => {
  const blocked = BigInt(BLOCKING.NMI);

  it('is a guest that is entered with NMIs blocked and whose IRET does not end that', () => {
    const test = watched(
      guestVmcs().control('nmiExiting', true).set({ GUEST_INTERRUPTIBILITY_STATE: blocked }),
    );
    enter(test);
    expect(rules(test)).toEqual(['nmi.blockedForEver']);
  });

  it.each([[[]], [['nmiExiting', 'virtualNmis']]] as const)('is nothing with %j', (controls) => {
    const contents = guestVmcs().set({ GUEST_INTERRUPTIBILITY_STATE: blocked });
    for (const key of controls) contents.control(key, true);
    const test = watched(contents);
    enter(test);
    expect(rules(test)).toEqual([]);
  });
});
