import { describe, expect, it } from 'vitest';
import { assemble } from '../../test/support/assemble.ts';
import { exitKeys, guestMachine, type TestGuest } from '../../test/support/guestMachine.ts';
import { hashMachine, restoreMachine, saveMachine } from '../snapshot/machineState.ts';

const ENTRY = 0x10_0000;

/** Prints RAX as 16 digits; ends the run; an IDT whose handlers print the vector and error code and end the run. */
const RUNTIME = `
  .set DEBUG_EXIT, 0xf4
  jmp start
print:                       # RAX in hexadecimal, then a line end
  push %rax; push %rbx; push %rcx; push %rdx
  mov %rax, %rbx
  mov $16, %ecx
1: rol $4, %rbx
  mov %bl, %al
  and $15, %al
  cmp $10, %al
  jb 2f
  add $39, %al
2: add $48, %al
  mov $0x3f8, %dx
  out %al, %dx
  dec %ecx
  jnz 1b
  mov $10, %al
  out %al, %dx
  pop %rdx; pop %rcx; pop %rbx; pop %rax
  ret
exit:
  mov $DEBUG_EXIT, %dx
  out %al, %dx
3: hlt
  jmp 3b
  .set vector, 0
  .rept 256
  .p2align 4
  .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
  pushq $0
  .endif
  pushq $vector
  jmp common
  .set vector, vector + 1
  .endr
  .p2align 4
stubs_end:
common:
  cmpq $0, hook(%rip)
  jne 4f
  pop %rax
  call print
  pop %rax
  call print
  jmp exit
4: jmp *hook(%rip)
hook: .quad 0
idtr: .word 0xfff
  .quad 0x200000
setup_idt:
  mov $0x200000, %edi
  lea stubs_end - 4096(%rip), %rsi
  mov $256, %ecx
5: mov %esi, %eax
  and $0xffff, %eax
  or $0x100000, %eax
  mov %eax, (%rdi)
  mov %esi, %eax
  and $0xffff0000, %eax
  or $0x8e00, %eax
  mov %eax, 4(%rdi)
  movq $0, 8(%rdi)
  add $16, %rsi
  add $16, %rdi
  dec %ecx
  jnz 5b
  lidt idtr(%rip)
  mov $0xfee00000, %ebp        # the local APIC
  ret
start:
  call setup_idt
`;

function run(
  code: string,
  exiting: readonly string[] = [],
  instructions = 3_000_000,
): TestGuest & { readonly text: string } {
  const guest = guestMachine(assemble(`${RUNTIME}\n${code}\n call print\n jmp exit`, ENTRY), ENTRY, {
    exiting,
  });
  // A guest that waits for something that never comes would wait for ever.
  guest.vmx.processor.onExit = () => {
    if (guest.vmx.processor.log.total > 5000) throw new Error('the guest does not end');
  };
  const result = guest.machine.run(instructions);
  if (result !== 'stopped') throw new Error(`the guest did not end: ${result}`);
  return { ...guest, text: String.fromCharCode(...guest.serial) };
}

const lines = ({ text }: { readonly text: string }): string[] => text.trim().split('\n');
const hex = (value: bigint | number): string => value.toString(16).padStart(16, '0');

describe('the built-in VMM', () => {
  it('runs a 64-bit guest that executes CPUID, OUT and HLT', () => {
    const program =
      'mov $0, %eax; cpuid; mov $0x3f8, %dx; mov $0x41, %al; out %al, %dx; mov $0xf4, %dx; out %al, %dx; hlt';
    const guest = guestMachine(assemble(program, ENTRY), ENTRY);
    expect(guest.machine.run(1000)).toBe('stopped');
    expect(String.fromCharCode(...guest.serial)).toBe('A');
    expect(exitKeys(guest)).toEqual(['cpuid', 'ioInstruction', 'ioInstruction']);
  });

  it('keeps the memory of the guest apart: guest-physical 0 is not host-physical 0', () => {
    const guest = run('movq $0x1234, 0x500; mov 0x500, %rax');
    expect(lines(guest)).toEqual([hex(0x1234)]);
    const host = guest.vm.hostPhysical(0x500);
    expect(host).toBe(guest.vm.memoryBase + 0x500);
    expect(guest.machine.physical.read64(host as number)).toBe(0x1234n);
    expect(guest.machine.physical.read64(0x500)).toBe(0n);
  });
});

describe('CPUID of a guest', () => {
  it('hides performance monitoring', () => {
    const guest = run(`
      mov $0xa, %eax; cpuid
      call print
      mov $1, %eax; cpuid
      mov %ecx, %eax
      and $0x8000, %eax
      call print
      mov $0x1a0, %ecx; rdmsr
      and $0x80, %eax`);
    expect(lines(guest)).toEqual([hex(0), hex(0), hex(0)]);
    expect(lines(run('xor %ecx, %ecx; rdpmc'))).toEqual([hex(13), hex(0)]);
  });

  it('shows a hypervisor and hides VMX', () => {
    const guest = run(`
      mov $1, %eax; cpuid
      mov %ecx, %eax
      and $0x80000020, %eax
      call print
      mov $0x40000000, %eax; cpuid
      shl $32, %rcx
      mov %ebx, %eax
      or %rcx, %rax`);
    expect(lines(guest)).toEqual([hex(0x8000_0000), hex(0x67756265444d_5648n)]);
  });
});

describe('devices of a guest', () => {
  it('answer at memory-mapped registers', () => {
    const guest = run(`
      movl $0x07410742, 0xb8000
      mov 0xb8000, %eax
      call print
      mov 0xfee00030, %eax
      call print
      mov $0xfec00000, %ebx
      movl $1, (%rbx)
      mov 0x10(%rbx), %eax`);
    expect(lines(guest)).toEqual([hex(0x0741_0742), hex(0x0005_0014), hex(0x0017_0020)]);
    expect(exitKeys(guest).filter((key) => key === 'eptViolation')).toHaveLength(5);
  });

  it('see every element of a string instruction', () => {
    const guest = run(`
      cld
      mov $0x300000, %edi; mov $0x0741, %ax; mov $100, %ecx; rep stosw
      mov $0x300000, %esi; mov $0xb8000, %edi; mov $100, %ecx; rep movsw
      mov 0xb80c6, %ax
      movzwl %ax, %eax
      call print
      mov %rcx, %rax`);
    expect(lines(guest)).toEqual([hex(0x741), hex(0)]);
    // One exit for the whole instruction.
    expect(exitKeys(guest).filter((key) => key === 'eptViolation')).toHaveLength(2);
  });

  it('take string output', () => {
    const guest = run(`
      lea message(%rip), %rsi
      mov $6, %ecx
      mov $0x3f8, %dx
      cld
      rep outsb
      mov %rcx, %rax
      jmp 9f
      message: .ascii "hello\\n"
      9:`);
    expect(guest.text).toBe(`hello\n${hex(0)}\n`);
  });

  it('read as all ones where there is nothing, and ignore writes', () => {
    const guest = run(
      'mov $0xd0000000, %ebx; movl $5, (%rbx); mov (%rbx), %eax; call print; mov $0x1234, %dx; in %dx, %eax',
    );
    expect(lines(guest)).toEqual([hex(0xffff_ffff), hex(0xffff_ffff)]);
  });

  it('interrupt the guest through the 8259s', () => {
    const guest = run(`
      lea tick(%rip), %rax
      mov %rax, hook(%rip)
      mov $0x11, %al; out %al, $0x20; mov $0x20, %al; out %al, $0x21
      mov $4, %al; out %al, $0x21; mov $1, %al; out %al, $0x21
      mov $0xfe, %al; out %al, $0x21
      mov $0x34, %al; out %al, $0x43; mov $0, %al; out %al, $0x40; mov $0x10, %al; out %al, $0x40
      sti
    6: hlt
      cmpl $5, count(%rip)
      jb 6b
      cli
      mov count(%rip), %eax
      jmp 7f
    tick:
      add $16, %rsp
      push %rax
      incl count(%rip)
      mov $0x20, %al; out %al, $0x20
      pop %rax
      iretq
    count: .long 0
    7:`);
    expect(lines(guest)).toEqual([hex(5)]);
  });

  it('interrupt the guest through its local APIC', () => {
    const guest = run(`
      lea tick(%rip), %rax
      mov %rax, hook(%rip)
      mov $0xff, %al; out %al, $0x21
      movl $0x1ff, 0x0f0(%rbp)
      movl $0xb, 0x3e0(%rbp)
      movl $0x20040, 0x320(%rbp)
      movl $20000, 0x380(%rbp)
      sti
    6: hlt
      cmpl $3, count(%rip)
      jb 6b
      cli
      mov count(%rip), %eax
      jmp 7f
    tick:
      add $16, %rsp
      incl count(%rip)
      movl $0, 0x0b0(%rbp)
      iretq
    count: .long 0
    7:`);
    expect(lines(guest)).toEqual([hex(3)]);
  });

  it('wait for the interrupt window when the guest has interrupts disabled', () => {
    const guest = run(`
      lea tick(%rip), %rax
      mov %rax, hook(%rip)
      movl $0x1ff, 0x0f0(%rbp)
      movl $0x4041, 0x300(%rbp)      # a fixed interrupt to itself
      xor %eax, %eax
      mov %eax, count(%rip)
      mov count(%rip), %eax
      call print
      sti
      nop
      mov count(%rip), %eax
      cli
      jmp 7f
    tick:
      add $16, %rsp
      incl count(%rip)
      movl $0, 0x0b0(%rbp)
      iretq
    count: .long 9
    7:`);
    // Physical destination 0 is the processor itself.
    expect(lines(guest)).toEqual([hex(0), hex(1)]);
    expect(exitKeys(guest)).toContain('interruptWindow');
  });
});

describe('MSRs of a guest', () => {
  it('about the local APIC and the TSC are its own', () => {
    const guest = run(`
      mov $0x1b, %ecx; rdmsr; call print
      mov $0x10, %ecx; mov $0x1000, %edx; xor %eax, %eax; wrmsr
      rdtsc
      mov %edx, %eax; call print
      mov $0x3b, %ecx; rdmsr
      mov %edx, %eax`);
    expect(lines(guest)).toEqual([hex(0xfee0_0900), hex(0x1000), hex(0xfff)]);
    expect(guest.machine.state.IA32_TSC_ADJUST).toBe(0n);
  });

  it('of the x2APIC reach its local APIC', () => {
    const guest = run(`
      mov $0x1b, %ecx; rdmsr; or $0x400, %eax; wrmsr
      mov $0x803, %ecx; rdmsr`);
    expect(lines(guest)).toEqual([hex(0x0005_0014)]);
  });

  it.each([
    ['a VMX capability', 0x480],
    ['IA32_FEATURE_CONTROL', 0x3a],
    ['a performance-monitoring counter', 0xc1],
    ['IA32_PERF_GLOBAL_CTRL', 0x38f],
    ['one that does not exist', 0x1234],
  ])('%s is #GP(0)', (_what, msr) => {
    expect(lines(run(`mov $${msr}, %ecx; rdmsr`))).toEqual([hex(13), hex(0)]);
  });

  it('that guest and processor share do not exit', () => {
    const guest = run('mov $0xc0000102, %ecx; mov $0x77, %eax; xor %edx, %edx; wrmsr; xor %eax, %eax; rdmsr');
    expect(lines(guest)).toEqual([hex(0x77)]);
    expect(exitKeys(guest)).not.toContain('rdmsr');
    expect(exitKeys(guest)).not.toContain('wrmsr');
  });
});

describe('control registers of a guest', () => {
  it('read as the guest wrote them, whatever VMX operation fixes', () => {
    const guest = run(`
      mov %cr0, %rax; call print
      or $0x20, %rax; mov %rax, %cr0
      mov %cr0, %rax; call print
      mov %cr4, %rax; call print
      mov %cr0, %rax
      and $~0x20, %rax; mov %rax, %cr0
      mov %cr0, %rax`);
    expect(lines(guest)).toEqual([hex(0x8000_0011), hex(0x8000_0031), hex(0x20), hex(0x8000_0011)]);
    expect(exitKeys(guest).filter((key) => key === 'controlRegisterAccess')).toHaveLength(2);
  });

  it('CR4.VMXE is reserved: #GP(0)', () => {
    expect(lines(run('mov %cr4, %rax; or $0x2000, %rax; mov %rax, %cr4'))).toEqual([hex(13), hex(0)]);
  });

  it('CR8 is the task priority of its local APIC', () => {
    const guest = run('mov $5, %rax; mov %rax, %cr8; mov 0xfee00080, %eax; call print; mov %cr8, %rax');
    expect(lines(guest)).toEqual([hex(0x50), hex(5)]);
  });

  it('keep their meaning when the policy watches every write', () => {
    const guest = run(
      `mov %cr0, %rax; or $0x10020, %rax; mov %rax, %cr0; mov %cr0, %rax; call print
       mov %cr4, %rax; or $0x80, %rax; mov %rax, %cr4; mov %cr4, %rax; call print
       clts
       mov $8, %eax; or $0x31, %eax; lmsw %ax; mov %cr0, %rax; call print
       clts; mov %cr0, %rax`,
      ['cr0', 'cr4'],
    );
    expect(lines(guest)).toEqual([hex(0x8001_0031), hex(0xa0), hex(0x8001_0039), hex(0x8001_0031)]);
    expect(exitKeys(guest).filter((key) => key === 'controlRegisterAccess').length).toBeGreaterThanOrEqual(4);
  });
});

describe('exits that the policy asks for', () => {
  // biome-ignore format: rows are read as a table
  it.each([
    ['rdtsc', 'rdtsc', 'rdtsc; xor %eax, %eax', 0],
    ['rdtscp', 'rdtscp', 'rdtscp; xor %eax, %eax', 0],
    ['pause', 'pause', 'mov $7, %eax; pause', 7],
    ['wbinvd', 'wbinvd', 'mov $8, %eax; wbinvd', 8],
    ['invlpg', 'invlpg', 'mov $9, %eax; invlpg 0x300000', 9],
    ['dr', 'movDr', 'mov $0x1234, %rax; mov %rax, %dr0; xor %eax, %eax; mov %dr0, %rax', 0x1234],
    ['cr3', 'controlRegisterAccess', 'mov %cr3, %rax; mov %rax, %cr3; mov %cr3, %rax', 0x1000],
    ['descriptor-tables', 'gdtrIdtrAccess', 'sidt 0x300000; movzwl 0x300000, %eax', 0xfff],
    ['bus-lock', 'busLock', 'movq $7, 0x30003d; lock incl 0x30003d; mov 0x30003d, %eax', 8],
    ['msr:0xc0000102', 'wrmsr', 'mov $0xc0000102, %ecx; mov $3, %eax; xor %edx, %edx; wrmsr; rdmsr', 3],
    ['msr:0x10', 'rdmsr', 'mov $0x10, %ecx; rdmsr; xor %eax, %eax', 0],
  ] as const)('%s', (policy, key, code, rax) => {
    const without = run(code);
    expect(exitKeys(without)).not.toContain(key);
    const guest = run(code, [policy]);
    expect(exitKeys(guest)).toContain(key);
    expect(lines(guest)).toEqual(lines(without));
    expect(lines(guest)).toEqual([hex(rax)]);
  });

  it('hlt: the guest is halted all the same', () => {
    const program = `
      lea tick(%rip), %rax
      mov %rax, hook(%rip)
      movl $0x1ff, 0x0f0(%rbp)
      movl $0x40, 0x320(%rbp)
      movl $20000, 0x380(%rbp)
      sti
      hlt
      cli
      mov $0x55, %eax
      jmp 7f
    tick:
      add $16, %rsp
      movl $0, 0x0b0(%rbp)
      iretq
    7:`;
    const guest = run(program, ['hlt']);
    expect(lines(guest)).toEqual([hex(0x55)]);
    expect(exitKeys(guest)).toContain('hlt');
  });

  it('exceptions: they reach the guest with error code and CR2', () => {
    const guest = run('mov 0x300000000000, %rax', ['exceptions:#PF']);
    expect(lines(guest)).toEqual([hex(14), hex(0)]);
    expect(guest.machine.state.CR2).toBe(0x3000_0000_0000n);
    expect(exitKeys(guest)).toContain('exceptionOrNmi');
    expect(lines(run('ud2', ['exceptions']))).toEqual([hex(6), hex(0)]);
    expect(lines(run('int3', ['exceptions:#BP']))).toEqual([hex(3), hex(0)]);
  });

  it('come one inside the other when completing an instruction leads to another exit', () => {
    const guest = run('mov $0xb8000, %esi; mov $0x300000000000, %rdi; movsl', ['exceptions:#PF']);
    expect(lines(guest)).toEqual([hex(14), hex(2)]);
    const keys = exitKeys(guest);
    const violation = keys.indexOf('eptViolation');
    expect(keys[violation + 1]).toBe('exceptionOrNmi');
  });

  it('preemption-timer: as often as asked', () => {
    const guest = run('mov $100000, %ecx; 1: dec %ecx; jnz 1b; mov %rcx, %rax', ['preemption-timer:10000']);
    const count = exitKeys(guest).filter((key) => key === 'vmxPreemptionTimerExpired').length;
    expect(count).toBeGreaterThanOrEqual(18);
    expect(count).toBeLessThanOrEqual(22);
  });
});

describe('a snapshot of a guest', () => {
  it('goes on as the guest itself does', () => {
    const program = `${RUNTIME}
      lea tick(%rip), %rax
      mov %rax, hook(%rip)
      movl $0x1ff, 0xf0(%rbp)
      movl $0x20040, 0x320(%rbp)
      movl $3000, 0x380(%rbp)
      sti
    6: rdtsc
      add %eax, %ebx
      mov %ebx, 0xb8000
      jmp 6b
    tick:
      add $16, %rsp
      push %rax
      mov count(%rip), %eax
      inc %eax
      mov %eax, count(%rip)
      call print
      movl $0, 0xb0(%rbp)
      pop %rax
      iretq
    count: .long 0`;
    const first = guestMachine(assemble(program, ENTRY), ENTRY);
    const components = { vmx: first.vmx, vmm: first.vmm };
    first.machine.run(20_000);
    const snapshot = saveMachine(first.machine, components);
    first.serial.length = 0;
    first.machine.run(60_000);
    const second = guestMachine(assemble(program, ENTRY), ENTRY);
    restoreMachine(second.machine, { vmx: second.vmx, vmm: second.vmm }, snapshot);
    second.serial.length = 0;
    second.machine.run(60_000);
    expect(first.serial.length).toBeGreaterThan(100);
    expect(second.serial).toEqual(first.serial);
    expect(hashMachine(second.machine, { vmx: second.vmx, vmm: second.vmm })).toBe(
      hashMachine(first.machine, components),
    );
  });
});

describe('what the VMM cannot go on with', () => {
  function stopOf(code: string): TestGuest['stops'][number] | undefined {
    const guest = guestMachine(assemble(code, ENTRY), ENTRY);
    guest.machine.run(10_000);
    return guest.stops[0];
  }

  it('is a triple fault, with the registers that explain it', () => {
    expect(stopOf('lidt zero(%rip); int3; zero: .word 0; .quad 0')).toMatchObject({
      reason: 'triple-fault',
      description: expect.stringContaining('RIP 0x100007'),
      details: [expect.stringContaining('IDTR base 0x0, limit 0x0'), expect.stringContaining('CR3 0x1000')],
    });
  });

  it('is a hypervisor: it says which mode to use', () => {
    expect(stopOf('vmlaunch')).toMatchObject({
      reason: 'unimplemented',
      description: expect.stringMatching(/VMLAUNCH at RIP 0x100000.*use mode "bare-metal"/),
    });
  });

  it('is code where there is no memory', () => {
    expect(stopOf('mov $0xd0000000, %eax; jmp *%rax')).toMatchObject({
      reason: 'unimplemented',
      description: expect.stringMatching(
        /executes code at guest-physical 0xd0000000, where there is no memory/,
      ),
    });
  });

  it('is a VM entry that fails, with every rule that is broken', () => {
    const guest = guestMachine(assemble('1: cpuid; jmp 1b', ENTRY), ENTRY);
    guest.machine.run(10);
    const { vmx } = guest;
    vmx.processor.onExit = () => {
      vmx.vmwrite('GUEST_RFLAGS', 0n);
      vmx.vmwrite('GUEST_TR_ACCESS_RIGHTS', 0x80n);
    };
    guest.machine.run(guest.machine.engine.retired + 100);
    expect(guest.stops[0]).toMatchObject({
      reason: 'entry-failure',
      description: expect.stringContaining('VM-entry failure due to invalid guest state'),
    });
    expect(
      guest.stops[0].details.some((line) => line.includes('GUEST_RFLAGS (0x6820) is 0x0; at fault: bit 1')),
    ).toBe(true);
    expect(
      guest.stops[0].details.some((line) => line.includes('GUEST_TR_ACCESS_RIGHTS (0x4822) is 0x80')),
    ).toBe(true);
  });

  it('is a VM entry that does not even begin', () => {
    const guest = guestMachine(assemble('1: cpuid; jmp 1b', ENTRY), ENTRY);
    const { vmx } = guest;
    vmx.processor.onExit = () => vmx.vmwrite('HOST_TR_SELECTOR', 0n);
    guest.machine.run(100);
    expect(guest.stops[0]).toMatchObject({
      reason: 'entry-failure',
      description: expect.stringContaining('VM entry with invalid host-state fields'),
    });
  });
});
