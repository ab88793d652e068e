import { describe, expect, it } from 'vitest';
import {
  AT,
  guestVmcs,
  processorInGuest,
  processorInRoot,
  type TestVmx,
} from '../../test/support/vmxProcessor.ts';
import { writeCr8 } from '../core/controlRegisters.ts';
import { checkEvents } from '../core/eventCheck.ts';
import { deliverEvent } from '../core/events.ts';
import { readExplicit, writeExplicit } from '../core/memory.ts';
import { OUTCOME } from '../core/outcome.ts';
import { PAGE_FLAG } from '../mmu/physicalMemory.ts';
import { ACTIVITY, FLAG, VMX_OPERATION } from '../state/registers.ts';
import type { ControlKey } from './controls.ts';
import { EXIT_REASON_NUMBER } from './exitReasons.ts';
import type { TestVmcs } from './testVmcs.ts';

/** Host-physical pages. */
const PAGE = 0x34_0000;
const ACCESS_PAGE = 0x34_1000;
const DESCRIPTOR = 0x34_2000;

const TPR = 0x80;
const PPR = 0xa0;
const EOI = 0xb0;
const ICR = 0x300;

function contents(...controls: readonly ControlKey[]): TestVmcs {
  return controls
    .reduce((vmcs, key) => vmcs.control(key, true), guestVmcs())
    .set({
      VIRTUAL_APIC_ADDRESS: BigInt(PAGE),
      APIC_ACCESS_ADDRESS: BigInt(ACCESS_PAGE),
      POSTED_INTERRUPT_DESCRIPTOR_ADDRESS: BigInt(DESCRIPTOR),
      POSTED_INTERRUPT_NOTIFICATION_VECTOR: 0xf2n,
    });
}

const DELIVERY = ['useTprShadow', 'virtualInterruptDelivery', 'externalInterruptExiting'] as const;

function guest(...controls: readonly ControlKey[]): TestVmx {
  const test = processorInGuest(contents(...controls));
  idt(test);
  return test;
}

/** Every gate leads to GUEST_CODE + 16 times its vector. */
function idt({ physical }: TestVmx): void {
  for (let vector = 0; vector < 256; vector++) {
    const target = AT.GUEST_CODE + 16 * vector;
    physical.write64(
      AT.GUEST_IDT + 16 * vector,
      BigInt(target & 0xffff) | (0x8n << 16n) | (0x8e00n << 32n) | (BigInt(target >> 16) << 48n),
    );
  }
  physical.write64(AT.GUEST_GDT + 8, 0x00af_9b00_0000_ffffn);
}

const register = ({ physical }: TestVmx, offset: number): number => physical.read32(PAGE + offset);
const access = (test: TestVmx, offset: number, value: number): boolean =>
  writeExplicit(test.cpu, BigInt(ACCESS_PAGE + offset), 4, BigInt(value));
const inGuest = ({ state }: TestVmx): boolean => state.VMX_OPERATION === VMX_OPERATION.NON_ROOT;

function expectExit(test: TestVmx, reason: keyof typeof EXIT_REASON_NUMBER, qualification = 0n): void {
  expect(inGuest(test)).toBe(false);
  expect(Number(test.field('VM_EXIT_REASON'))).toBe(EXIT_REASON_NUMBER[reason]);
  expect(test.field('EXIT_QUALIFICATION')).toBe(qualification);
}

/** The vector whose handler the guest is at. */
const handling = ({ state }: TestVmx): number => (Number(state.RIP) - AT.GUEST_CODE) / 16;

describe('"use TPR shadow"', () => {
  it('makes CR8 bits 7:4 of VTPR', () => {
    const test = guest('useTprShadow');
    expect(writeCr8(test.cpu, 5n)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(register(test, TPR)).toBe(0x50);
    expect(test.vmx.readTaskPriority()).toBe(5);
  });

  it('leaves CR8 to the local APIC without it, and in root operation', () => {
    expect(guest().vmx.readTaskPriority()).toBeUndefined();
    expect(processorInRoot(contents('useTprShadow')).vmx.writeTaskPriority(3)).toBe(false);
  });

  it('exits behind the instruction that brings VTPR below the threshold', () => {
    const test = processorInRoot(contents('useTprShadow').set({ TPR_THRESHOLD: 4n }));
    test.physical.write(PAGE + TPR, 4, 0x70, 0);
    test.vmx.enterGuest();
    writeCr8(test.cpu, 4n);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
    writeCr8(test.cpu, 3n);
    expect(inGuest(test)).toBe(true);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.VM_EXIT);
    expectExit(test, 'tprBelowThreshold');
  });

  it('does not exit so in the wait-for-SIPI state', () => {
    const waiting = contents('useTprShadow', 'virtualizeApicAccesses');
    const test = processorInGuest(waiting.set({ TPR_THRESHOLD: 2n, GUEST_ACTIVITY_STATE: 3n }));
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
  });

  it('exits right after a VM entry below the threshold when APIC accesses are virtualized', () => {
    const test = guest('useTprShadow', 'virtualizeApicAccesses');
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
    const below = processorInGuest(
      contents('useTprShadow', 'virtualizeApicAccesses').set({ TPR_THRESHOLD: 2n }),
    );
    expect(checkEvents(below.cpu)).toBe(OUTCOME.VM_EXIT);
    expectExit(below, 'tprBelowThreshold');
  });
});

describe('"virtualize APIC accesses"', () => {
  it('exits for every access without a TPR shadow, with the offset and the kind of access', () => {
    const reads = guest('virtualizeApicAccesses');
    expect(readExplicit(reads.cpu, BigInt(ACCESS_PAGE + TPR), 4)).toBeUndefined();
    expect(reads.cpu.failed).toBe(OUTCOME.VM_EXIT);
    expectExit(reads, 'apicAccess', BigInt(TPR));
    const writes = guest('virtualizeApicAccesses');
    expect(access(writes, 0x310, 1)).toBe(false);
    expectExit(writes, 'apicAccess', 0x1310n);
    const fetches = guest('virtualizeApicAccesses');
    expect(fetches.cpu.mmu.fetchTranslate(BigInt(ACCESS_PAGE))).toBe(-2);
    fetches.cpu.raiseMemoryFault();
    expectExit(fetches, 'apicAccess', 0x2000n);
  });

  describe('whose page has paging structures of the guest', () => {
    const paging = (ept: boolean): TestVmx => {
      const vmcs = contents('virtualizeApicAccesses').set({ GUEST_CR3: BigInt(ACCESS_PAGE) });
      const test = processorInGuest(vmcs.control('enableEpt', ept).control('unrestrictedGuest', ept));
      test.physical.write64(ACCESS_PAGE, BigInt(AT.TABLES + 0x1000) | 7n);
      return test;
    };

    it('exits for an access to them by guest-physical address', () => {
      const test = paging(true);
      expect(readExplicit(test.cpu, 0x5000n, 4)).toBeUndefined();
      expectExit(test, 'apicAccess', 0xf000n);
    });

    it('tells the delivery of an event', () => {
      const test = paging(true);
      deliverEvent(test.cpu, {
        kind: 'external',
        vector: 0x41,
        errorCode: undefined,
        qualification: 0n,
        instructionLength: 0,
      });
      expectExit(test, 'apicAccess', 0xa000n);
      expect(test.field('IDT_VECTORING_INFORMATION')).toBe(0x8000_0041n);
    });

    it('reads them without EPT', () => {
      expect(readExplicit(paging(false).cpu, 0x5000n, 4)).toBe(0n);
    });
  });

  it('reads and writes VTPR with a TPR shadow', () => {
    const test = guest('virtualizeApicAccesses', 'useTprShadow');
    expect(access(test, TPR, 0x1ff30)).toBe(true);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
    expect(register(test, TPR)).toBe(0x30);
    expect(readExplicit(test.cpu, BigInt(ACCESS_PAGE + TPR), 4)).toBe(0x30n);
    expect(test.physical.read32(ACCESS_PAGE + TPR)).toBe(0);
  });

  it.each([
    ['another register', 0xf0, 4],
    ['8 bytes', TPR, 8],
    ['bytes beyond the register', TPR + 2, 4],
  ] as const)('exits for %s', (_what, offset, bytes) => {
    const test = guest('virtualizeApicAccesses', 'useTprShadow');
    expect(readExplicit(test.cpu, BigInt(ACCESS_PAGE + offset), bytes)).toBeUndefined();
    expectExit(test, 'apicAccess', BigInt(offset));
  });

  it('is over with the VM exit', () => {
    const test = guest('virtualizeApicAccesses');
    access(test, 0, 1);
    expect(writeExplicit(test.cpu, BigInt(ACCESS_PAGE), 4, 7n)).toBe(true);
    expect(test.physical.read32(ACCESS_PAGE)).toBe(7);
  });
});

describe('"APIC-register virtualization"', () => {
  const registers = () => guest('virtualizeApicAccesses', 'useTprShadow', 'apicRegisterVirtualization');

  it('reads registers from the virtual-APIC page', () => {
    const test = registers();
    test.physical.write(PAGE + 0x20, 4, 0x0700_0000, 0);
    expect(readExplicit(test.cpu, BigInt(ACCESS_PAGE + 0x20), 4)).toBe(0x0700_0000n);
    expect(readExplicit(test.cpu, BigInt(ACCESS_PAGE + PPR), 4)).toBeUndefined();
  });

  it('writes them there and exits behind the instruction', () => {
    const test = registers();
    expect(access(test, 0xf0, 0x1ff)).toBe(true);
    expect(inGuest(test)).toBe(true);
    expect(register(test, 0xf0)).toBe(0x1ff);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.VM_EXIT);
    expectExit(test, 'apicWrite', 0xf0n);
  });

  it('keeps bits 31:24 of the high half of the interrupt command, without an exit', () => {
    const test = registers();
    access(test, 0x310, 0x1234_5678);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
    expect(register(test, 0x310)).toBe(0x1200_0000);
  });
});

describe('"virtual-interrupt delivery"', () => {
  const request = (vector: number, ...controls: readonly ControlKey[]): TestVmx => {
    const test = processorInRoot(
      contents(...DELIVERY, ...controls).set({
        GUEST_INTERRUPT_STATUS: BigInt(vector),
        GUEST_RFLAGS: 0x202n,
      }),
    );
    idt(test);
    test.physical.write(PAGE + 0x200 + 16 * (vector >> 5), 4, 1 << (vector & 31), 0);
    test.vmx.enterGuest();
    return test;
  };

  it('announces that the status changes, for whoever watches the VMCS', () => {
    const test = request(0x51);
    const announced: number[] = [];
    test.physical.onWrite(PAGE_FLAG.WATCHED, (address) => announced.push(address));
    test.physical.setPageFlag(AT.VMCS / 4096, PAGE_FLAG.WATCHED);
    checkEvents(test.cpu);
    expect(announced).toContain(AT.VMCS);
  });

  it('delivers the requested interrupt through the guest’s IDT', () => {
    const test = request(0x51);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.JUMPED);
    expect(handling(test)).toBe(0x51);
    expect(test.field('GUEST_INTERRUPT_STATUS')).toBe(0x5100n);
    expect(register(test, PPR)).toBe(0x50);
    expect(register(test, 0x100 + 16 * 2)).toBe(1 << 17);
    expect(register(test, 0x200 + 16 * 2)).toBe(0);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
  });

  it.each([
    ['RFLAGS.IF is 0', (test: TestVmx) => (test.state.systemFlags &= ~FLAG.IF)],
    ['STI blocks', (test: TestVmx) => (test.state.INTERRUPTIBILITY = 1)],
    ['VPPR is as high', (test: TestVmx) => test.physical.write(PAGE + PPR, 4, 0x50, 0)],
  ])('waits while %s', (_what, change) => {
    const test = request(0x51);
    change(test);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
  });

  it('waits while "interrupt-window exiting" is 1, which exits instead', () => {
    const test = request(0x51, 'interruptWindowExiting');
    expect(checkEvents(test.cpu)).toBe(OUTCOME.VM_EXIT);
    expectExit(test, 'interruptWindow');
  });

  it('wakes a halted guest', () => {
    const test = request(0x51);
    test.state.ACTIVITY_STATE = ACTIVITY.HLT;
    expect(checkEvents(test.cpu)).toBe(OUTCOME.JUMPED);
    expect(test.state.ACTIVITY_STATE).toBe(ACTIVITY.ACTIVE);
  });

  it('waits for a lower VTPR', () => {
    const test = request(0x51);
    writeCr8(test.cpu, 5n);
    expect(register(test, PPR)).toBe(0x50);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
    writeCr8(test.cpu, 4n);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.JUMPED);
  });

  it('ends an interrupt by EOI without an exit, and delivers the next', () => {
    const test = request(0x51, 'virtualizeApicAccesses');
    checkEvents(test.cpu);
    test.state.systemFlags |= FLAG.IF;
    access(test, ICR, 0x4_4041);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
    expect(test.field('GUEST_INTERRUPT_STATUS')).toBe(0x5141n);
    access(test, EOI, 0);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.JUMPED);
    expect(handling(test)).toBe(0x41);
    expect(test.field('GUEST_INTERRUPT_STATUS')).toBe(0x4100n);
  });

  it('exits behind an EOI of a vector in the EOI-exit bitmap', () => {
    const test = request(0x51, 'virtualizeApicAccesses');
    checkEvents(test.cpu);
    test.vmx.vmwrite('EOI_EXIT_BITMAP_1', 1n << 17n);
    access(test, EOI, 0);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.VM_EXIT);
    expectExit(test, 'virtualizedEoi', 0x51n);
  });

  it('leaves an interrupt command that is no self-IPI to the hypervisor', () => {
    const test = request(0x20, 'virtualizeApicAccesses');
    test.state.systemFlags &= ~FLAG.IF;
    access(test, ICR, 0x0000_4041);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.VM_EXIT);
    expectExit(test, 'apicWrite', 0x300n);
  });
});

describe('"virtualize x2APIC mode"', () => {
  it('makes MSR 808H VTPR, and refuses bits 63:8', () => {
    const test = guest('useTprShadow', 'virtualizeX2apicMode');
    expect(test.vmx.writeVirtualMsr(0x808, 0x60n)).toBe('done');
    expect(register(test, TPR)).toBe(0x60);
    expect(test.vmx.readVirtualMsr(0x808)).toBe(0x60n);
    expect(test.vmx.writeVirtualMsr(0x808, 0x100n)).toBe('refused');
    expect(test.vmx.readVirtualMsr(0x802)).toBeUndefined();
    expect(test.vmx.writeVirtualMsr(0x80b, 0n)).toBe('real');
    expect(test.vmx.readVirtualMsr(0x10)).toBeUndefined();
  });

  it('reads all of 800H to 8FFH from the page with "APIC-register virtualization"', () => {
    const test = guest('useTprShadow', 'virtualizeX2apicMode', 'apicRegisterVirtualization');
    test.physical.write64(PAGE + 0x20, 0x1_0000_0007n);
    expect(test.vmx.readVirtualMsr(0x802)).toBe(0x1_0000_0007n);
  });

  it('takes EOI and self-IPI with "virtual-interrupt delivery"', () => {
    const test = guest(...DELIVERY, 'virtualizeX2apicMode');
    expect(test.vmx.writeVirtualMsr(0x83f, 0x41n)).toBe('done');
    expect(register(test, 0x3f0)).toBe(0x41);
    expect(test.field('GUEST_INTERRUPT_STATUS')).toBe(0x41n);
    expect(test.vmx.writeVirtualMsr(0x80b, 1n)).toBe('refused');
    expect(test.vmx.writeVirtualMsr(0x80b, 0n)).toBe('done');
    expect(test.vmx.writeVirtualMsr(0x83f, 0x0fn)).toBe('done');
    expect(checkEvents(test.cpu)).toBe(OUTCOME.VM_EXIT);
    expectExit(test, 'apicWrite', 0x3f0n);
  });
});

describe('"process posted interrupts"', () => {
  const posting = () => {
    const test = processorInGuest(
      contents(...DELIVERY, 'processPostedInterrupts', 'acknowledgeInterruptOnExit').set({
        GUEST_RFLAGS: 0x202n,
      }),
    );
    idt(test);
    return test;
  };

  it('takes the posted requests at the notification vector, without an exit', () => {
    const test = posting();
    test.physical.write(DESCRIPTOR + 4 * 2, 4, 1 << 17, 0);
    test.physical.write(DESCRIPTOR + 32, 4, 1, 0);
    test.interrupts.push(0xf2);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.JUMPED);
    expect(inGuest(test)).toBe(true);
    expect(test.eois.count).toBe(1);
    expect(test.physical.read32(DESCRIPTOR + 32)).toBe(0);
    expect(test.physical.read32(DESCRIPTOR + 8)).toBe(0);
    expect(handling(test)).toBe(0x51);
  });

  it('takes them although RFLAGS.IF is 0, and lets a halted guest sleep on', () => {
    const test = posting();
    test.state.systemFlags &= ~FLAG.IF;
    test.state.ACTIVITY_STATE = ACTIVITY.HLT;
    test.physical.write(DESCRIPTOR + 8, 4, 1 << 17, 0);
    test.interrupts.push(0xf2);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.JUMPED);
    expect(test.field('GUEST_INTERRUPT_STATUS')).toBe(0x51n);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
    expect(test.state.ACTIVITY_STATE).toBe(ACTIVITY.HLT);
  });

  it('between iterations of a string instruction pushes RF as 1 with the interrupt', () => {
    const test = posting();
    test.physical.write(DESCRIPTOR + 8, 4, 1 << 17, 0);
    test.interrupts.push(0xf2);
    test.cpu.insideRepeat = true;
    checkEvents(test.cpu);
    const frame = Number(test.state.gpr(4));
    expect(test.physical.read64(frame + 16) & BigInt(FLAG.RF)).toBe(BigInt(FLAG.RF));
  });

  it('exits at any other vector, acknowledged', () => {
    const test = posting();
    test.interrupts.push(0x30);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.VM_EXIT);
    expectExit(test, 'externalInterrupt');
    expect(test.field('VM_EXIT_INTERRUPTION_INFORMATION')).toBe(0x8000_0030n);
  });
});

describe('a snapshot', () => {
  it('keeps what is due behind the instruction', () => {
    const test = guest('virtualizeApicAccesses', 'useTprShadow', 'apicRegisterVirtualization');
    access(test, 0xf0, 1);
    const saved = test.vmx.save();
    test.vmx.processor.virtualApic.takeTrap();
    test.vmx.restore(saved);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.VM_EXIT);
    expectExit(test, 'apicWrite', 0xf0n);
  });
});
