import { describe, expect, it } from 'vitest';
import { DebugBench } from '../../test/support/debugBench.ts';
import { VMCS_REVISION_IDENTIFIER } from '../vmx/capabilities.ts';
import type { VmcsFieldKey } from '../vmx/fields.ts';
import { VMCS_FIELD } from '../vmx/vmcsLayout.ts';
import type { VmcsFieldValue } from './target.ts';

const GUEST = { mode: 'guest' } as const;
const BARE_METAL = { mode: 'bare-metal' } as const;
const hex = (value: bigint): string => `0x${value.toString(16)}`;

const vmwrite = (key: VmcsFieldKey, value: number): string =>
  `mov $${VMCS_FIELD[key].encoding}, %ecx; mov $${value}, %eax; vmwrite %rax, %rcx`;

/** VMX operation with a current VMCS, and then `rest`. */
function hypervisor(rest: string): string {
  return `
    mov %cr4, %rax; or $0x2000, %rax; mov %rax, %cr4
    mov %cr0, %rax; or $0x20, %rax; mov %rax, %cr0
    movl $${VMCS_REVISION_IDENTIFIER}, 0x200000
    movl $${VMCS_REVISION_IDENTIFIER}, 0x201000
    movl $${VMCS_REVISION_IDENTIFIER}, 0x202000
    vmxon vmxon_pointer(%rip)
    vmclear first(%rip)
    vmclear second(%rip)
    vmptrld first(%rip)
    ready: ${rest}
    end: jmp end
    .p2align 3
    vmxon_pointer: .quad 0x200000
    first: .quad 0x201000
    second: .quad 0x202000`;
}

function field(bench: DebugBench, key: VmcsFieldKey): VmcsFieldValue {
  return bench.target.vmcs(0).find((candidate) => candidate.key === key) as VmcsFieldValue;
}

describe('a breakpoint on a field of the VMCS', () => {
  it('stops at the VM exit that changes it, and again when the built-in hypervisor does', async () => {
    const bench = new DebugBench('nop\nleaf: cpuid\nafter: nop\njmp .', GUEST);
    await bench.run({ instructions: 1 });
    const before = field(bench, 'GUEST_RIP').stored ?? 0n;
    bench.target.setDataBreakpoints([{ id: 3, vmcsField: 'GUEST_RIP' }]);
    expect(await bench.run()).toMatchObject({
      reason: 'data-breakpoint',
      breakpoints: [3],
      description: `Guest RIP changed from ${hex(before)} to ${hex(bench.at('leaf'))} (VM exit: CPUID: leaf 0x0, subleaf 0x0)`,
    });
    expect(bench.rip).toBe(bench.at('leaf'));
    expect(await bench.run()).toMatchObject({
      reason: 'data-breakpoint',
      description: `Guest RIP changed from ${hex(bench.at('leaf'))} to ${hex(bench.at('after'))} (by the built-in hypervisor)`,
    });
    // Behind the instruction: the guest is entered and has executed nothing.
    expect(bench.rip).toBe(bench.at('after'));
    expect(field(bench, 'GUEST_RIP')).toMatchObject({ stored: bench.at('after'), live: bench.at('after') });
  });

  it('passes over exits that leave the field as it was', async () => {
    const bench = new DebugBench(
      'mov $5, %esi\n1: xor %eax, %eax\ncpuid\ndec %esi\njnz 1b\nmov %cr3, %rax\nor $8, %rax\nmov %rax, %cr3\nlast: cpuid\njmp .',
      GUEST,
    );
    bench.target.setDataBreakpoints([{ id: 1, vmcsField: 'GUEST_CR3' }]);
    expect((await bench.run()).description).toMatch(/^Guest CR3 changed from 0x(\w+)000 to 0x\1(?:008) /);
    expect(bench.target.statistics().exits).toBeGreaterThan(5);
  });

  it('names each of several fields that one exit changes', async () => {
    const bench = new DebugBench('nop\nmov $0x80, %edx\nout %al, %dx\njmp .', GUEST);
    await bench.run({ instructions: 1 });
    bench.target.setDataBreakpoints([
      { id: 1, vmcsField: 'GUEST_RIP' },
      { id: 2, vmcsField: 'EXIT_QUALIFICATION' },
    ]);
    const stop = await bench.run();
    expect(stop.breakpoints).toEqual([1, 2]);
    expect(stop.description).toContain(', and 1 more');
    expect(stop.details.length).toBe(2);
  });

  it('stops behind the VMWRITE of a hypervisor, with its name and address', async () => {
    const bench = new DebugBench(
      hypervisor(
        `${vmwrite('TSC_OFFSET', 0)}; ${vmwrite('GUEST_RSP', 7)}
         nop; mov $${VMCS_FIELD.TSC_OFFSET.encoding}, %ecx; mov $9, %eax; write: vmwrite %rax, %rcx
         written: nop`,
      ),
      BARE_METAL,
    );
    await bench.run({ until: { rip: bench.at('ready'), minimumRsp: 0n } });
    bench.target.setDataBreakpoints([{ id: 1, vmcsField: 'TSC_OFFSET' }]);
    expect(await bench.run()).toMatchObject({
      reason: 'data-breakpoint',
      description: `TSC offset changed from 0x0 to 0x9 (by VMWRITE at ${hex(bench.at('write'))})`,
    });
    expect(bench.rip).toBe(bench.at('written'));
  });

  it('follows the current VMCS: another one is not a change', async () => {
    const bench = new DebugBench(
      hypervisor(
        `${vmwrite('TSC_OFFSET', 5)}; there: vmptrld second(%rip)
         ${vmwrite('TSC_OFFSET', 0)}; ${vmwrite('TSC_OFFSET', 6)}; vmptrld first(%rip); vmxoff`,
      ),
      BARE_METAL,
    );
    await bench.run({ until: { rip: bench.at('there'), minimumRsp: 0n } });
    bench.target.setDataBreakpoints([{ id: 1, vmcsField: 'TSC_OFFSET' }]);
    expect((await bench.run()).description).toContain('changed from 0x0 to 0x6 ');
    expect(await bench.run({ instructions: 100 })).toMatchObject({ reason: 'step' });
    expect(bench.target.currentVmcs(0)).toEqual({
      hasVmx: true,
      pointer: undefined,
      launched: false,
      inGuest: false,
    });
  });

  it('sees plain stores to the region', async () => {
    const { offset } = VMCS_FIELD.TSC_OFFSET;
    const bench = new DebugBench(hypervisor(`movl $4, ${0x20_1000 + offset}; stored: nop`), BARE_METAL);
    await bench.run({ until: { rip: bench.at('ready'), minimumRsp: 0n } });
    bench.target.setDataBreakpoints([{ id: 1, vmcsField: 'TSC_OFFSET' }]);
    expect(await bench.run()).toMatchObject({ reason: 'data-breakpoint' });
    expect(bench.rip).toBe(bench.at('stored'));
  });

  it('does not stop for what the user has changed', async () => {
    const bench = new DebugBench('1: nop\njmp 1b', GUEST);
    await bench.run({ instructions: 1 });
    bench.target.setDataBreakpoints([{ id: 1, vmcsField: 'TSC_OFFSET' }]);
    bench.target.setVmcsField(0, 'TSC_OFFSET', 77n);
    expect((await bench.run({ instructions: 10 })).reason).toBe('step');
  });

  it('ends a step of the user where it hits, and stays after a reset', async () => {
    const bench = new DebugBench('nop\nstart: cpuid\nend: jmp .', GUEST);
    await bench.run({ instructions: 1 });
    bench.target.setDataBreakpoints([{ id: 1, vmcsField: 'GUEST_RIP' }]);
    expect((await bench.step('start', 'end', true)).reason).toBe('data-breakpoint');
    bench.target.reset();
    expect((await bench.run()).reason).toBe('data-breakpoint');
    bench.target.setDataBreakpoints([]);
    expect((await bench.run({ instructions: 10 })).reason).toBe('step');
  });

  it('is asked for whether it stops', async () => {
    const asked: number[][] = [];
    const bench = new DebugBench('nop\ncpuid\n1: nop\njmp 1b', GUEST, {
      stopsAt: (reached) => {
        asked.push([...reached]);
        return [];
      },
    });
    bench.target.setDataBreakpoints([{ id: 4, vmcsField: 'GUEST_RIP' }]);
    expect((await bench.run({ instructions: 20 })).reason).toBe('step');
    expect(asked).toEqual([[4], [4]]);
  });
});

describe('a breakpoint on memory', () => {
  const PROGRAM = `
    mov $3, %ecx
    1: mov %ecx, near(%rip)
    movq $0x55, value(%rip)
    written: dec %ecx
    jnz 1b
    movb $1, value+7(%rip)
    high: jmp .
    .p2align 3
    value: .quad 0
    near: .quad 0`;

  it.each([BARE_METAL, GUEST])('in mode $mode stops behind the store that changes it', async (mode) => {
    const bench = new DebugBench(PROGRAM, mode);
    const address = { space: 'linear', address: bench.at('value') } as const;
    bench.target.setDataBreakpoints([{ id: 1, address, size: 8, name: 'value' }]);
    expect(await bench.run()).toMatchObject({
      reason: 'data-breakpoint',
      description: 'value changed from 0x0 to 0x55',
    });
    expect([bench.rip, bench.register('RCX')]).toEqual([bench.at('written'), 3n]);
    expect((await bench.run()).description).toBe('value changed from 0x55 to 0x100000000000055');
    expect(bench.rip).toBe(bench.at('high'));
  });
});

describe('what the VMCS was at the last stop', () => {
  it('is told for fields that are different now, through a step of several runs', async () => {
    const bench = new DebugBench('nop\nstart: cpuid\nend: nop\nnop\njmp .', GUEST);
    await bench.run({ instructions: 1 });
    const before = field(bench, 'GUEST_RIP');
    await bench.run({ instructions: 1 });
    await bench.run({ instructions: 1, continues: true });
    const now = field(bench, 'GUEST_RIP');
    expect(now.previous).toEqual({ stored: before.stored, live: before.live });
    expect(field(bench, 'GUEST_CS_SELECTOR').previous).toBeUndefined();
    await bench.run({ instructions: 0 });
    expect(field(bench, 'VM_EXIT_REASON').previous).toBeUndefined();
  });
});

describe('a field that the processor does not look at', () => {
  it('names the control that is 0', () => {
    const bench = new DebugBench('jmp .', GUEST);
    expect(field(bench, 'GUEST_IA32_FRED_CONFIG')).toMatchObject({
      stored: undefined,
      missing: 'Load IA32_FRED or Save IA32_FRED',
    });
    expect(field(bench, 'EPT_POINTER')).toMatchObject({ unused: undefined, missing: undefined });
    expect(field(bench, 'VMX_PREEMPTION_TIMER_VALUE')).toMatchObject({
      stored: 0n,
      unused: 'Activate VMX-preemption timer',
    });
  });
});

describe('the exit information', () => {
  it('is decoded as the exit reason says', async () => {
    const bench = new DebugBench('nop\nmov $0x80, %edx\nout %al, %dx\njmp .', GUEST);
    bench.target.setExitBreakpoints([{ id: 1, reasons: ['ioInstruction'] }]);
    await bench.run();
    expect(field(bench, 'VM_EXIT_REASON').meaning).toBe('I/O instruction');
    const port = field(bench, 'EXIT_QUALIFICATION').fields.find(({ key }) => key === 'PORT');
    expect(port?.value).toBe(0x80n);
    expect(field(bench, 'EXIT_QUALIFICATION').meaning).toBe('I/O instruction: OUT 0x80, 1 byte');
    expect(field(bench, 'VM_EXIT_INSTRUCTION_INFORMATION').fields).toEqual([]);
    expect(field(bench, 'IDT_VECTORING_INFORMATION').meaning).toBe('not valid');
  });
});
