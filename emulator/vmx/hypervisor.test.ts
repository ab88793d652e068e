import { describe, expect, it } from 'vitest';
import { assemble } from '../../test/support/assemble.ts';
import { bareMetalMachine } from '../../test/support/guestMachine.ts';
import { guestVmcs } from '../../test/support/vmxProcessor.ts';
import { VMCS_REVISION_IDENTIFIER } from './capabilities.ts';
import type { VmcsFieldKey } from './fields.ts';
import type { TestVmcs } from './testVmcs.ts';
import { fieldExists, VMCS_FIELD, VMCS_FIELD_LIST } from './vmcsLayout.ts';

const ENTRY = 0x10_0000;
const VMXON = 0x20_0000;
const VMCS = 0x20_1000;
const EPT = 0x21_0000;
/** Where the program of the machine has its page tables. */
const TABLES = 0x1000;

const vmread = (key: VmcsFieldKey): string => `mov $${VMCS_FIELD[key].encoding}, %ecx; vmread %rcx, %rax`;
const vmwrite = (key: VmcsFieldKey): string => `mov $${VMCS_FIELD[key].encoding}, %ecx; vmwrite %rax, %rcx`;

/**
 * A hypervisor that starts a guest and, on each VM exit, writes the basic reason to port 80H, moves RIP behind the
 * instruction and resumes, until the guest executes HLT.
 */
function hypervisor(guest: string, contents: TestVmcs, onExit = ''): string {
  const writes = VMCS_FIELD_LIST.filter((field) => fieldExists(field) && field.area !== 'readOnly')
    .filter(({ key }) => contents.get(key) !== 0n && !['HOST_RIP', 'GUEST_RIP'].includes(key))
    .map(({ key }) => `movabs $${contents.get(key)}, %rax; ${vmwrite(key)}; jbe fail`);
  return `
    mov %cr4, %rax; or $0x2000, %rax; mov %rax, %cr4
    mov %cr0, %rax; or $0x20, %rax; mov %rax, %cr0
    movl $${VMCS_REVISION_IDENTIFIER}, ${VMXON}
    movl $${VMCS_REVISION_IDENTIFIER}, ${VMCS}
    # EPT: the first 8 MiB to themselves.
    movq $${EPT + 0x1007}, ${EPT}
    movq $${EPT + 0x2007}, ${EPT + 0x1000}
    movq $0xb7, ${EPT + 0x2000}
    movq $0x2000b7, ${EPT + 0x2008}
    movq $0x4000b7, ${EPT + 0x2010}
    movq $0x6000b7, ${EPT + 0x2018}
    vmxon vmxon_pointer(%rip); jbe fail
    vmclear vmcs_pointer(%rip); jbe fail
    vmptrld vmcs_pointer(%rip); jbe fail
    ${writes.join('\n')}
    lea exits(%rip), %rax; ${vmwrite('HOST_RIP')}
    lea guest(%rip), %rax; ${vmwrite('GUEST_RIP')}
    mov $0x11, %ebx
    vmlaunch
  fail:
    pushf; pop %rax
    and $0x41, %eax
    or $0x80, %eax
    out %al, $0x80
    ${vmread('VM_INSTRUCTION_ERROR')}
    out %al, $0x80
    mov $0xf4, %dx; out %al, %dx
  exits:
    mov %rax, %r8; mov %rcx, %r9
    ${vmread('VM_EXIT_REASON')}
    out %al, $0x80
    cmp $12, %al
    je done
    ${onExit}
    ${vmread('VM_EXIT_INSTRUCTION_LENGTH')}
    mov %rax, %r10
    ${vmread('GUEST_RIP')}
    add %r10, %rax
    ${vmwrite('GUEST_RIP')}
    mov %r8, %rax; mov %r9, %rcx
    vmresume
    jmp fail
  done:
    vmxoff
    mov %bl, %al
    mov $0xf4, %dx; out %al, %dx
  .p2align 3
  vmxon_pointer: .quad ${VMXON}
  vmcs_pointer: .quad ${VMCS}
  guest:
    ${guest}
    hlt`;
}

function contents(): TestVmcs {
  return guestVmcs()
    .control('hltExiting', true)
    .set({
      HOST_CR3: BigInt(TABLES),
      GUEST_CR3: BigInt(TABLES),
      EPT_POINTER: BigInt(EPT) | 0x1en,
      HOST_RSP: 0x8_0000n,
      GUEST_RSP: 0x9_0000n,
      HOST_CS_SELECTOR: 0x10n,
      HOST_SS_SELECTOR: 0x18n,
      HOST_DS_SELECTOR: 0x18n,
      HOST_ES_SELECTOR: 0x18n,
      HOST_TR_SELECTOR: 0x20n,
    });
}

/** What the hypervisor wrote to port 80H, and the value that it ended with. */
function run(guest: string, vmcs = contents(), onExit = '') {
  const machine = bareMetalMachine(assemble(hypervisor(guest, vmcs, onExit), ENTRY), ENTRY);
  expect(machine.machine.run(200_000)).toBe('stopped');
  return machine;
}

describe('a hypervisor on the bare metal', () => {
  it('starts a guest and handles its exits', () => {
    const { codes, exitValue } = run('cpuid; mov $0x42, %bl; wbinvd; cpuid; mov $0x43, %bl');
    expect(codes).toEqual([10, 10, 12]);
    expect(exitValue()).toBe(0x43);
  });

  it('sees a VM entry that fails the checks on controls as VMfailValid', () => {
    const { codes } = run('', contents().set({ CR3_TARGET_COUNT: 5n }));
    expect(codes).toEqual([0x80 | 0x40, 7]);
  });

  it('sees a VM entry that fails the checks on the guest as an exit with reason 33', () => {
    const { codes } = run('', contents().set({ GUEST_RFLAGS: 0n }));
    // Resuming fails: the launch state is still clear.
    expect(codes).toEqual([33, 0x80 | 0x40, 5]);
  });

  it('sees each instruction of the guest with the monitor trap flag', () => {
    const { codes } = run('nop; nop; cpuid; nop', contents().control('monitorTrapFlag', true));
    // Before the exit of CPUID no MTF exit is due for it, and after VMRESUME one follows the next instruction.
    expect(codes).toEqual([37, 37, 10, 37, 12]);
  });

  it('sees the accesses of the guest that EPT does not permit', () => {
    const stopsThere = 'cmp $48, %al; je done';
    const read = run('mov 0x900000, %eax', contents(), stopsThere);
    expect(read.codes).toEqual([48]);
    const text = ({ vmx }: typeof read): string => vmx.processor.log.record(0).text;
    expect(text(read)).toBe('EPT violation: data read at 0x900000 (linear 0x900000)');
    const write = run('movl $1, 0x900000', contents(), stopsThere);
    expect(text(write)).toBe('EPT violation: data write at 0x900000 (linear 0x900000)');
  });

  it('sees an INIT that the guest sends to itself by the local APIC, and goes on after it', () => {
    const icr = 'mov $0xfee00000, %edi; movl $0, 0x310(%rdi); movl $0x4500, 0x300(%rdi)';
    const mapsApic = contents().control('enableEpt', false).control('unrestrictedGuest', false);
    expect(run(`${icr}; cpuid; mov $0x44, %bl`, mapsApic).codes).toEqual([3, 10, 12]);
  });

  it('gets the INIT that it has sent to itself when its guest runs', () => {
    const { codes } = run(
      'cpuid',
      contents(),
      'cmp $3, %al; je 1f; mov $0xfee00000, %edi; movl $0, 0x310(%rdi); movl $0x4500, 0x300(%rdi); 1:',
    );
    expect(codes).toEqual([10, 3, 12]);
  });

  it('is charged for exits and entries in virtual time', () => {
    const { machine, vmx } = run('cpuid');
    const { cost } = vmx.processor.log.record(0);
    expect(cost).toBeGreaterThan(500);
    expect(machine.clock.now()).toBeGreaterThan(machine.engine.retired + cost);
  });
});
