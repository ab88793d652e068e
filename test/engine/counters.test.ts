/** Performance-monitoring counters: what they count is exact, and the same in every tier. */
import { describe, expect, it } from 'vitest';
import { readMsr, writeMsr } from '../../emulator/core/msrs.ts';
import { CPU_FIELDS } from '../../emulator/state/layout.ts';
import { RCX, RDI } from '../../emulator/state/registers.ts';
import { assemble } from '../support/assemble.ts';
import type { BareProcessor } from '../support/bareProcessor.ts';
import { missing } from '../support/tools.ts';
import { CODE, prepare, TIERS } from './tiersSupport.ts';

const IA32_PMC0 = 0xc1;
const IA32_PERFEVTSEL0 = 0x186;
const IA32_FIXED_CTR0 = 0x309;
const IA32_A_PMC0 = 0x4c1;
const IA32_DEBUGCTL = 0x1d9;
const IA32_FIXED_CTR_CTRL = 0x38d;
const IA32_PERF_GLOBAL_STATUS = 0x38e;
const IA32_PERF_GLOBAL_CTRL = 0x38f;
const IA32_PERF_GLOBAL_STATUS_RESET = 0x390;

const USR = 1n << 16n;
const OS = 1n << 17n;
const INT = 1n << 20n;
const EN = 1n << 22n;
const INV = 1n << 23n;
const INSTRUCTIONS = 0xc0n;
const CYCLES = 0x3cn;
const CTR_FRZ = 1n << 59n;

/** As Machine does: alarms ring when they are due. */
function run({ engine, clock }: BareProcessor, instructions: number): void {
  const end = engine.retired + instructions;
  while (engine.retired < end) {
    clock.ringDue();
    if (engine.run(end - engine.retired) === 'inactive') break;
  }
  clock.ringDue();
}

function write({ cpu }: BareProcessor, values: Readonly<Record<number, bigint>>): void {
  for (const [msr, value] of Object.entries(values))
    expect(writeMsr(cpu, Number(msr), value), msr).toBe(true);
}

describe.skipIf(missing('as', 'ld'))('a performance-monitoring counter', () => {
  for (const tier of TIERS) {
    const start = (code: string) => {
      const processor = prepare(assemble(code, CODE), 1, tier);
      const { engine, clock } = processor;
      engine.time = clock.time;
      return processor;
    };

    it(`counts instructions retired, a repeated one once: ${tier}`, () => {
      const processor = start('mov $100, %ecx\nrep stosb\nxor %ecx, %ecx\nrep stosb\nnop\nhlt');
      processor.state.setGpr(RDI, 0x20_0000n);
      write(processor, { [IA32_FIXED_CTR_CTRL]: 0x333n, [IA32_PERF_GLOBAL_CTRL]: 0x7_0000_0000n });
      run(processor, 200);
      const counts = [0, 1, 2].map((n) => readMsr(processor.cpu, IA32_FIXED_CTR0 + n));
      // MOV, REP STOSB, XOR, REP STOSB, NOP, HLT; 99 iterations more are cycles alone.
      expect(counts).toEqual([6n, 105n, 105n]);
    });

    it(`counts cycles without a retired instruction by INV and CMASK: ${tier}`, () => {
      const processor = start('mov $100, %ecx\nrep stosb\ncpuid\nhlt');
      processor.state.setGpr(RDI, 0x20_0000n);
      const select = (n: number, event: bigint) => ({ [IA32_PERFEVTSEL0 + n]: event | OS | USR | EN });
      write(processor, select(0, INSTRUCTIONS | INV | (1n << 24n)));
      write(processor, select(1, INSTRUCTIONS | INV | (16n << 24n)));
      write(processor, select(2, INSTRUCTIONS | (2n << 24n)));
      // An event of the model and not of the architecture: it does not occur.
      write(processor, select(3, 0x0151n));
      run(processor, 200);
      // CPUID's own 100 cycles among them.
      const counts = [0, 1, 2, 3].map((n) => readMsr(processor.cpu, IA32_PMC0 + n));
      expect(counts).toEqual([199n, 203n, 0n, 0n]);
    });

    it(`does not count while the processor is halted: ${tier}`, () => {
      const processor = start('nop\nhlt');
      write(processor, { [IA32_PERFEVTSEL0]: CYCLES | OS | EN });
      run(processor, 10);
      processor.clock.skipTo(1_000_000);
      expect(readMsr(processor.cpu, IA32_PMC0)).toBe(2n);
    });

    it(`counts at CPL 0, at CPL 3, or at both: ${tier}`, () => {
      const processor = start('mov %rcx, %rcx\nmov $9, %ecx\n1: loop 1b\nnop\nhlt');
      const select = (n: number, rings: bigint) => ({ [IA32_PERFEVTSEL0 + n]: INSTRUCTIONS | rings | EN });
      write(processor, { ...select(0, OS), ...select(1, USR), ...select(2, OS | USR), ...select(3, 0n) });
      run(processor, 3);
      // As a return to CPL 3 would.
      processor.state.CPL = 3;
      run(processor, 4);
      processor.state.CPL = 0;
      run(processor, 2);
      const counts = [0, 1, 2, 3].map((n) => readMsr(processor.cpu, IA32_PMC0 + n));
      expect(counts).toEqual([5n, 4n, 9n, 0n]);
    });

    it(`counts by what SYSCALL and SYSRET make of CPL: ${tier}`, () => {
      const processor = start(`
        jmp 1f
        inc %ebx
        cmp $2, %ebx
        je 3f
        sysretq
        1: mov $2f, %ecx
        xor %r11d, %r11d
        xor %ebx, %ebx
        sysretq
        2: nop
        nop
        syscall
        nop
        syscall
        3: hlt`);
      const { state } = processor;
      state.IA32_EFER |= 1n;
      state.IA32_STAR = 0x10_0010n << 32n;
      state.IA32_LSTAR = BigInt(CODE + 2);
      const select = (n: number, rings: bigint) => ({
        [IA32_PERFEVTSEL0 + n]: INSTRUCTIONS | rings | INT | EN,
      });
      write(processor, { ...select(0, OS), ...select(1, USR), [IA32_A_PMC0 + 1]: 2n ** 48n - 2n });
      run(processor, 100);
      expect(readMsr(processor.cpu, IA32_PMC0)).toBe(13n);
      expect(readMsr(processor.cpu, IA32_PMC0 + 1)).toBe(3n);
      // After the second instruction at CPL 3.
      expect(processor.counterInterrupts).toEqual([7]);
    });

    it(`goes on where a state was saved: ${tier}`, () => {
      const code = '1: dec %rcx\njnz 1b\nhlt';
      const processor = start(code);
      write(processor, {
        [IA32_PERFEVTSEL0]: INSTRUCTIONS | OS | INT | EN,
        [IA32_PMC0]: -500n & 0xffff_ffffn,
      });
      run(processor, 100);
      const other = start(code);
      const fields = CPU_FIELDS.filter(({ kind }) => kind === 'arch');
      for (const { offset, width, count } of fields)
        other.state.u8.set(processor.state.u8.subarray(offset, offset + width * count), offset);
      other.engine.retired = processor.engine.retired;
      other.clock.restore(processor.clock.save());
      other.cpu.performance.restored();
      run(other, 1000);
      expect(other.counterInterrupts).toEqual([500]);
      expect(readMsr(other.cpu, IA32_PMC0)).toBe(600n);
    });

    it(`overflows with its status bit and an interrupt, to the tick: ${tier}`, () => {
      const processor = start('1: dec %rcx\njnz 1b\nhlt');
      processor.state.setGpr(RCX, 1_000_000n);
      write(processor, {
        [IA32_A_PMC0]: 2n ** 48n - 12_345n,
        [IA32_PERFEVTSEL0]: INSTRUCTIONS | OS | INT | EN,
        [IA32_FIXED_CTR_CTRL]: 0xb0n,
        [IA32_FIXED_CTR0 + 1]: 2n ** 48n - 20_000n,
        [IA32_PERF_GLOBAL_CTRL]: 0x2_0000_0001n,
      });
      run(processor, 15_000);
      expect(processor.counterInterrupts).toEqual([12_345]);
      expect(readMsr(processor.cpu, IA32_PERF_GLOBAL_STATUS)).toBe(1n);
      expect(readMsr(processor.cpu, IA32_PMC0)).toBe(2_655n);
      run(processor, 15_000);
      expect(processor.counterInterrupts).toEqual([12_345, 20_000]);
      expect(readMsr(processor.cpu, IA32_PERF_GLOBAL_STATUS)).toBe(0x2_0000_0001n);
      write(processor, { [IA32_PERF_GLOBAL_STATUS_RESET]: 1n });
      expect(readMsr(processor.cpu, IA32_PERF_GLOBAL_STATUS)).toBe(0x2_0000_0000n);
    });

    it(`comes to its limit when a repeated instruction has delayed it: ${tier}`, () => {
      const processor = start('rep stosb\n1: dec %rax\njnz 1b\nhlt');
      processor.state.setGpr(RCX, 1_000n);
      processor.state.setGpr(RDI, 0x20_0000n);
      write(processor, {
        [IA32_PERFEVTSEL0]: INSTRUCTIONS | OS | INT | EN,
        [IA32_PMC0]: -100n & 0xffff_ffffn,
      });
      run(processor, 5_000);
      expect(processor.counterInterrupts).toEqual([1_099]);
    });

    it(`freezes on its interrupt until the status is reset: ${tier}`, () => {
      const processor = start('1: dec %rcx\njnz 1b\nhlt');
      write(processor, {
        [IA32_DEBUGCTL]: 1n << 12n,
        [IA32_PERFEVTSEL0]: INSTRUCTIONS | OS | INT | EN,
        [IA32_PMC0]: -100n & 0xffff_ffffn,
      });
      run(processor, 500);
      expect(readMsr(processor.cpu, IA32_PERF_GLOBAL_STATUS)).toBe(CTR_FRZ | 1n);
      expect(readMsr(processor.cpu, IA32_PMC0)).toBe(0n);
      write(processor, { [IA32_PERF_GLOBAL_STATUS_RESET]: CTR_FRZ });
      run(processor, 30);
      expect(readMsr(processor.cpu, IA32_PMC0)).toBe(30n);
    });
  }
});
