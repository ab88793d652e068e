import { describe, expect, it } from 'vitest';
import { DebugBench } from '../../test/support/debugBench.ts';
import type { MachineConfig } from '../machine/config.ts';
import { VMCS_REVISION_IDENTIFIER } from '../vmx/capabilities.ts';

const MODES = [{ mode: 'bare-metal' }, { mode: 'guest' }] as const;

describe.each(MODES)('a machine in mode $mode', (mode) => {
  it('stops after a number of instructions', async () => {
    const bench = new DebugBench('xor %eax, %eax\n1: inc %eax\njmp 1b', mode);
    expect(await bench.run({ instructions: 1 })).toMatchObject({ reason: 'step', position: 1, vcpu: 0 });
    expect(await bench.run({ instructions: 100_001 })).toMatchObject({ reason: 'step', position: 100_002 });
    expect(bench.register('RAX')).toBe(50_001n);
  });

  it('stops at a limit, at once when it is reached already', async () => {
    const bench = new DebugBench('jmp .', mode);
    expect(await bench.run({ limit: 777_777 })).toMatchObject({ reason: 'limit', position: 777_777 });
    expect(await bench.run({ limit: 10 })).toMatchObject({ reason: 'limit', position: 777_777 });
  });

  it('stops before a breakpoint, and goes on from it', async () => {
    const bench = new DebugBench('mov $3, %ecx\nagain: dec %ecx\njnz again\nhlt', mode);
    bench.target.setBreakpoints([
      { id: 7, address: bench.at('again') },
      { id: 8, address: bench.at('again') },
    ]);
    const counts: bigint[] = [];
    for (let i = 0; i < 3; i++) {
      expect(await bench.run()).toMatchObject({ reason: 'breakpoint', breakpoints: [7, 8] });
      counts.push(bench.register('RCX'));
    }
    expect(counts).toEqual([3n, 2n, 1n]);
  });

  it('asks which breakpoints stop', async () => {
    const asked: number[][] = [];
    const bench: DebugBench = new DebugBench('mov $5, %ecx\nagain: dec %ecx\njnz again\nhlt', mode, {
      stopsAt: (reached) => {
        asked.push([...reached]);
        return bench.register('RCX') === 2n ? reached : [];
      },
    });
    bench.target.setBreakpoints([{ id: 1, address: bench.at('again') }]);
    expect(await bench.run()).toMatchObject({ reason: 'breakpoint', breakpoints: [1] });
    expect(asked.length).toBe(4);
  });

  it('steps over a call, and into it', async () => {
    const bench = new DebugBench('start: call routine\nafter: nop\nroutine: push %rbx\npop %rbx\nret', mode);
    await bench.step('start', 'after', true);
    expect(bench.rip).toBe(bench.at('after'));
    bench.target.reset();
    await bench.step('start', 'after', false);
    expect(bench.rip).toBe(bench.at('routine'));
  });

  it('stepping over a recursive call ends in the frame that was left', async () => {
    const bench = new DebugBench(
      'mov $4, %ecx\ncall routine\nend: hlt\nroutine: dec %ecx\njz 1f\ninner: call routine\nbehind: nop\n1: ret',
      mode,
    );
    await bench.run({ until: { rip: bench.at('inner'), minimumRsp: 0n } });
    const rsp = bench.register('RSP');
    await bench.step('inner', 'behind', true);
    expect([bench.rip, bench.register('RSP')]).toEqual([bench.at('behind'), rsp]);
  });

  it('until waits for the stack to be high enough', async () => {
    const bench = new DebugBench(
      'mov $4, %ecx\ncall routine\nend: hlt\nroutine: dec %ecx\njz 1f\ncall routine\n1: ret',
      mode,
    );
    await bench.run({ until: { rip: bench.at('routine'), minimumRsp: 0n } });
    const rsp = bench.register('RSP');
    await bench.run({ until: { rip: bench.at('end'), minimumRsp: rsp + 8n } });
    expect(bench.rip).toBe(bench.at('end'));
  });

  it('a repeated instruction is one step over, and many into', async () => {
    const bench = new DebugBench('lea 0x200000, %rdi\nmov $100, %ecx\ncopy: rep stosb\nend: nop', mode);
    await bench.run({ until: { rip: bench.at('copy'), minimumRsp: 0n } });
    await bench.run({
      range: { ranges: [[bench.at('copy'), bench.at('end')]], over: false },
      instructions: 1,
    });
    expect(bench.register('RCX')).toBe(99n);
    await bench.step('copy', 'end', true);
    expect([bench.rip, bench.register('RCX')]).toEqual([bench.at('end'), 0n]);
  });

  it('a jump to itself is one step', async () => {
    const bench = new DebugBench('self: jmp self\nend: nop', mode);
    await bench.run({
      range: { ranges: [[bench.at('self'), bench.at('end')]], over: false },
      instructions: 1,
    });
    expect(bench.rip).toBe(bench.at('self'));
  });

  it('is paused between two batches, and from inside its output', async () => {
    const bench = new DebugBench('1: jmp 1b', mode);
    const stop = bench.run();
    setTimeout(() => bench.target.pause(), 20);
    expect(await stop).toMatchObject({ reason: 'pause' });
    const writing: DebugBench = new DebugBench('mov $0x3f8, %edx\n1: inc %al\nout %al, %dx\njmp 1b', mode, {
      serialOutput: (bytes) => {
        if (bytes[0] === 100) writing.target.pause();
      },
    });
    const paused = await writing.run();
    expect([paused.reason, writing.register('RAX') & 0xffn]).toEqual(['pause', 100n]);
  });

  it('writes and reads memory, also code that is about to run', async () => {
    const bench = new DebugBench('start: nop\nnop\nend: hlt', mode);
    await bench.run({ instructions: 1 });
    expect(
      bench.target.writeMemory(0, { space: 'linear', address: bench.rip }, Uint8Array.of(0x48, 0xff, 0xc3)),
    ).toBe(3);
    bench.target.setRegister(0, 'RBX', 41n);
    await bench.run({ instructions: 1 });
    expect(bench.register('RBX')).toBe(42n);
    expect([...bench.target.readMemory(0, { space: 'guest-physical', address: 0x10_0001n }, 3)]).toEqual([
      0x48, 0xff, 0xc3,
    ]);
  });

  it('starts again from power-on after a reset, with its breakpoints', async () => {
    const bench = new DebugBench('mov $1, %ecx\nthere: inc %ecx\nhlt', mode);
    bench.target.setBreakpoints([{ id: 1, address: bench.at('there') }]);
    await bench.run();
    const first = bench.target.statistics().instructions;
    bench.target.reset();
    expect(bench.target.statistics().instructions).toBe(0);
    expect(await bench.run()).toMatchObject({ reason: 'breakpoint', position: first });
  });

  it('ends with what the program said, and cannot go on', async () => {
    const bench = new DebugBench('mov $5, %al\nout %al, $0xf4\nhlt', mode);
    expect(await bench.run()).toMatchObject({ reason: 'debug-exit', exitValue: 5 });
    expect(() => bench.target.run({})).toThrow('The machine has ended');
  });

  it('ends with a triple fault', async () => {
    const bench = new DebugBench('lidt zero(%rip)\nud2\nzero: .quad 0, 0', mode);
    const stop = await bench.run();
    expect(stop.reason).toBe('triple-fault');
    expect(stop.description).toMatch(/^triple fault.* at RIP 0x10000\w/);
  });

  it('waits for input when it is idle, and wakes', async () => {
    const bench = new DebugBench('cli\n1: hlt\njmp 1b', mode);
    const stop = bench.run();
    await new Promise((done) => setTimeout(done, 20));
    expect(bench.target.isRunning()).toBe(true);
    bench.target.serialInput(Uint8Array.of(65));
    bench.target.pause();
    expect((await stop).reason).toBe('pause');
  });

  it('stays responsive when a guest makes no progress', async () => {
    // A timer that is due again before its interrupt has been delivered.
    const bench = new DebugBench(
      'mov $0xfee00380, %esi\nmovl $0xb, 0x60(%rsi)\nmovl $0x20040, -0x60(%rsi)\nmovl $1, (%rsi)\nsti\n1: jmp 1b',
      mode,
    );
    const stop = bench.run();
    setTimeout(() => bench.target.pause(), 30);
    expect(['pause', 'triple-fault']).toContain((await stop).reason);
  });

  it('gives the same run whatever the batches are', async () => {
    const source =
      'mov $200000, %ecx\nmov $0x3f8, %edx\n1: imul $31, %rbx, %rbx\nadd %rcx, %rbx\ntest $0xfff, %ecx\njnz 2f\nmov %bl, %al\nout %al, %dx\n2: dec %ecx\njnz 1b\nout %al, $0xf4';
    const results = [];
    for (const now of [
      () => 0,
      () => performance.now(),
      (
        (time) => () =>
          (time += 5)
      )(0),
    ]) {
      const bench = new DebugBench(source, mode, { now });
      const { position, exitValue } = await bench.run();
      results.push({
        position,
        exitValue,
        output: bench.output.join(),
        ticks: bench.target.statistics().ticks,
      });
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });
});

describe('registers', () => {
  const bench = () => new DebugBench('hlt');

  it('come in groups, decoded, with the manual', () => {
    const groups = bench().target.registers(0);
    const keys = ['general', 'control', 'segments', 'debug', 'vector', 'msr', 'lapic'];
    expect(groups.map(({ key }) => key)).toEqual(keys);
    const cr0 = groups[1].registers.find(({ name }) => name === 'CR0');
    expect(cr0?.fields.find(({ key }) => key === 'PG')).toMatchObject({
      bit: 31,
      width: 1,
      value: 1n,
      name: 'Paging',
    });
    for (const { registers } of groups) {
      for (const { name, reference } of registers) expect(reference, name).toMatch(/^(SDM|APM) /);
      expect(new Set(registers.map(({ name }) => name)).size).toBe(registers.length);
    }
  });

  it('are written as an instruction would write them', () => {
    const { target } = bench();
    expect(target.setRegister(0, 'CR4', 0x2020n)).toBe(true);
    expect(target.register(0, 'CR4')).toBe(0x2020n);
    expect(() => target.setRegister(0, 'CR4', 0n)).toThrow('does not take 0x0 for CR4');
    expect(() => target.setRegister(0, 'CR3', 1n << 60n)).toThrow('#GP(0)');
    expect(target.setRegister(0, 'IA32_LSTAR', 0x1234n)).toBe(true);
    expect(target.registers(0)[5].registers.find(({ name }) => name === 'IA32_LSTAR')?.value).toBe(0x1234n);
    expect(() => target.setRegister(0, 'IA32_LSTAR', 1n << 63n)).toThrow('IA32_LSTAR');
    expect(target.setRegister(0, 'RFLAGS', 0x246n)).toBe(true);
    expect(target.register(0, 'RFLAGS')).toBe(0x246n);
    expect(target.setRegister(0, 'YMM3', (1n << 255n) | 5n)).toBe(true);
    expect(target.setRegister(0, 'XMM3', (1n << 127n) | 7n)).toBe(true);
    expect(target.register(0, 'YMM3')).toBe((1n << 255n) | (1n << 127n) | 7n);
    expect(() => target.setRegister(0, 'MXCSR', 0x1_0000n)).toThrow('MXCSR');
    expect(target.setRegister(0, 'CPL', 3n)).toBe(false);
    expect(target.setRegister(0, 'NOTHING', 3n)).toBe(false);
  });
});

describe('disassembly', () => {
  it('names the target of a branch and of a RIP-relative operand', () => {
    const bench = new DebugBench(
      'start: jmp end\nlea start(%rip), %rax\nmov %rax, 0x1234(%rbx,%rcx,4)\nend: .byte 0x06',
    );
    const lines = bench.target.disassemble(0, bench.at('start'), 4);
    expect(lines.map(({ text, target, valid }) => ({ text, target, valid }))).toEqual([
      { text: 'jmp short 0x100011', target: 0x10_0011n, valid: true },
      { text: 'lea rax, [0x100000]', target: 0x10_0000n, valid: true },
      { text: 'mov [rbx+rcx*4+0x1234], rax', target: undefined, valid: true },
      { text: '', target: undefined, valid: false },
    ]);
  });
});

describe('stepping while interrupts come', () => {
  // A periodic local-APIC timer whose handler counts in RBX.
  const SOURCE = `
lidt register(%rip)
mov $0xfee000f0, %esi
movl $0x1ff, (%rsi)
mov $0xfee003e0, %esi
movl $0xb, (%rsi)
mov $0xfee00320, %esi
movl $0x20040, (%rsi)
mov $0xfee00380, %esi
movl $PERIOD, (%rsi)
xor %ebx, %ebx
sti
loop: inc %rcx
jmp loop
end: nop
handler: inc %rbx
mov $0xfee000b0, %esi
movl $0, (%rsi)
iretq
register: .word 0x40f
.quad table
.balign 16
table: .fill 64, 16, 0
.word 0x200, 0x10, 0x8e00, 0x10
.quad 0
.fill 0, 16, 0
`;
  // The gate of vector 0x40 is written by the test: handler's address is not known to the assembler's .word.
  function withGate(mode: MachineConfig['mode'], period: number): DebugBench {
    const bench = new DebugBench(SOURCE.replace('PERIOD', String(period)), { mode });
    const handler = bench.at('handler');
    const gate = new Uint8Array(16);
    const view = new DataView(gate.buffer);
    view.setUint16(0, Number(handler & 0xffffn), true);
    view.setUint16(
      2,
      Number(bench.target.registers(0)[2].registers.find(({ name }) => name === 'CS')?.value ?? 0n),
      true,
    );
    view.setUint16(4, 0x8e00, true);
    view.setUint16(6, Number(handler >> 16n), true);
    bench.target.writeMemory(0, { space: 'linear', address: bench.at('table') + 0x40n * 16n }, gate);
    return bench;
  }

  // In a guest the handler's own exits take thousands of ticks.
  it.each([
    ['bare-metal', 5, 600],
    ['guest', 8000, 40_000],
  ] as const)('in mode %s steps run handlers through', async (mode, period, steps) => {
    const bench = withGate(mode, period);
    await bench.run({ until: { rip: bench.at('loop'), minimumRsp: 0n } });
    const range = { ranges: [[bench.at('loop'), bench.at('end')]], over: true } as const;
    expect((await bench.run({ range, instructions: steps })).reason).toBe('step');
    expect([bench.rip, bench.register('RCX')]).toEqual([bench.at('loop'), BigInt(steps / 2)]);
    expect(bench.register('RBX')).toBeGreaterThan(2n);
  });

  it('a single step ends in the program, whenever the interrupt comes', async () => {
    const bench = withGate('bare-metal', 5);
    await bench.run({ until: { rip: bench.at('loop'), minimumRsp: 0n } });
    for (let i = 0; i < 600; i++) {
      const from = bench.rip;
      const range = { ranges: [[from, from + (i % 2 === 0 ? 3n : 2n)]], over: i % 3 === 0 } as const;
      expect((await bench.run({ range, instructions: 1 })).reason).toBe('step');
      expect(bench.rip).toBe(bench.at('loop') + (i % 2 === 0 ? 3n : 0n));
    }
    expect(bench.register('RBX')).toBeGreaterThan(2n);
  });
});

describe('INIT by the chipset', () => {
  const FAST_RESET = 'mov $3, %al; out %al, $0x92';
  const IN_ROOT = `
    mov %cr4, %rax; or $0x2000, %rax; mov %rax, %cr4
    mov %cr0, %rax; or $0x20, %rax; mov %rax, %cr0
    movl $${VMCS_REVISION_IDENTIFIER}, 0x200000
    movq $0x200000, 0x201000
    vmxon 0x201000`;
  const bareMetal = (code: string) => new DebugBench(`${code}; mov $7, %ebx; jmp .`, { mode: 'bare-metal' });

  it('ends the run as a reset does', async () => {
    expect(await bareMetal(FAST_RESET).run({ limit: 1000 })).toMatchObject({ reason: 'powered-off' });
  });

  it('is blocked in VMX root operation', async () => {
    const bench = bareMetal(`${IN_ROOT}; ${FAST_RESET}`);
    expect(await bench.run({ limit: 1000 })).toMatchObject({ reason: 'limit' });
    expect(bench.register('RBX')).toBe(7n);
  });
});
