/** Last-branch records: every branch, interrupt and exception that is asked for, exactly, and the same in every tier. */
import { describe, expect, it } from 'vitest';
import { readMsr, writeMsr } from '../../emulator/core/msrs.ts';
import { CPU_FIELDS } from '../../emulator/state/layout.ts';
import { CS, RCX, SS } from '../../emulator/state/registers.ts';
import { assemble } from '../support/assemble.ts';
import type { BareProcessor } from '../support/bareProcessor.ts';
import { missing } from '../support/tools.ts';
import { CODE, describeState, prepare, TIERS } from './tiersSupport.ts';

const IA32_PERF_CAPABILITIES = 0x345;
const IA32_DEBUGCTL = 0x1d9;
const IA32_PMC0 = 0xc1;
const IA32_PERFEVTSEL0 = 0x186;
const IA32_PERF_GLOBAL_STATUS = 0x38e;
const IA32_PERF_GLOBAL_CTRL = 0x38f;
const IA32_PERF_GLOBAL_STATUS_RESET = 0x390;
const LBR = 1n;
const FREEZE_LBRS_ON_PMI = 1n << 11n;
const LBR_FRZ = 1n << 58n;

const MSR_LBR_SELECT = 0x1c8;
const MSR_LASTBRANCH_TOS = 0x1c9;
const MSR_LASTBRANCH_0_FROM_IP = 0x680;
const MSR_LASTBRANCH_0_TO_IP = 0x6c0;
const MSR_LBR_INFO_0 = 0xdc0;
const LER_FROM = 0x1dd;
const LER_TO = 0x1de;
const EN_CALLSTACK = 1n << 9n;

const IA32_LBR_CTL = 0x14ce;
const IA32_LBR_DEPTH = 0x14cf;
const IA32_LBR_0_FROM_IP = 0x1500;
const IA32_LBR_0_TO_IP = 0x1600;
const IA32_LBR_0_INFO = 0x1200;
const ALL_BRANCHES = 0x7f_0007n;

const LAST_BRANCH_FROM = 0x1db;
const LAST_BRANCH_TO = 0x1dc;

const HANDLER = 0x50_0000n;
const at = (offset: number): bigint => BigInt(CODE + offset);

function read({ cpu }: BareProcessor, msr: number): bigint {
  const value = readMsr(cpu, msr);
  if (value === undefined) throw new Error(`MSR 0x${msr.toString(16)} is not there`);
  return value;
}

function write({ cpu }: BareProcessor, values: Readonly<Record<number, bigint>>): void {
  for (const [msr, value] of Object.entries(values))
    expect(writeMsr(cpu, Number(msr), value), msr).toBe(true);
}

type Pair = readonly [from: bigint, to: bigint];

/** Skylake's records, the youngest first, as far as there are some. */
function stack(processor: BareProcessor): Pair[] {
  const top = Number(read(processor, MSR_LASTBRANCH_TOS));
  return Array.from({ length: 32 }, (_, n): Pair => {
    const slot = (top - n) & 31;
    return [read(processor, MSR_LASTBRANCH_0_FROM_IP + slot), read(processor, MSR_LASTBRANCH_0_TO_IP + slot)];
  }).filter(([from]) => from !== 0n);
}

function architectural(processor: BareProcessor): Pair[] {
  const depth = Number(read(processor, IA32_LBR_DEPTH));
  return Array.from(
    { length: depth },
    (_, n): Pair => [read(processor, IA32_LBR_0_FROM_IP + n), read(processor, IA32_LBR_0_TO_IP + n)],
  ).filter(([from]) => from !== 0n);
}

/** Every kind of near branch; offsets are those of the instructions. */
const KINDS = `
  jmp 1f            # 0
  nop
1: xor %eax, %eax   # 3
  jnz 9f            # 5, not taken
  jz 2f             # 7
  nop
2: call 3f          # 10 (0ah)
  mov $4f, %ecx     # 15 (0fh)
  jmp *%rcx         # 20 (14h)
  nop
4: mov $3f, %ecx    # 23 (17h)
  call *%rcx        # 28 (1ch)
  hlt               # 30 (1eh)
3: ret              # 31 (1fh)
9: ud2
`;
const NEAR: readonly Pair[] = [
  [at(0x1f), at(0x1e)],
  [at(0x1c), at(0x1f)],
  [at(0x14), at(0x17)],
  [at(0x1f), at(0xf)],
  [at(0xa), at(0x1f)],
  [at(7), at(0xa)],
  [at(0), at(3)],
];

describe.skipIf(missing('as', 'ld'))('last-branch records', () => {
  for (const tier of TIERS) {
    const start = (code: string, model: string): BareProcessor =>
      prepare(assemble(code, CODE), 1, tier, undefined, model);

    it(`are a stack on a Skylake server: ${tier}`, () => {
      const processor = start(KINDS, 'skylake-server');
      expect(read(processor, IA32_PERF_CAPABILITIES) & 0x3fn).toBe(5n);
      write(processor, { [IA32_DEBUGCTL]: LBR });
      processor.engine.run(100);
      expect(stack(processor)).toEqual(NEAR);
      expect(read(processor, MSR_LASTBRANCH_TOS)).toBe(7n);
      // JMP is the first instruction, the branch of the second record the third after it.
      const info = [1, 2].map((slot) => read(processor, MSR_LBR_INFO_0 + slot));
      expect(info).toEqual([1n, 3n]);
    });

    it(`leave out what MSR_LBR_SELECT names: ${tier}`, () => {
      const kinds: readonly [bit: number, from: readonly number[]][] = [
        [2, [7]],
        [3, [0xa]],
        [4, [0x1c]],
        [5, [0x1f, 0x1f]],
        [6, [0x14]],
        [7, [0]],
      ];
      for (const [bit, from] of kinds) {
        const processor = start(KINDS, 'skylake-server');
        write(processor, { [IA32_DEBUGCTL]: LBR, [MSR_LBR_SELECT]: 1n << BigInt(bit) });
        processor.engine.run(100);
        const left = from.map((offset) => at(offset));
        expect(stack(processor)).toEqual(NEAR.filter(([source]) => !left.includes(source)));
      }
      const supervisor = start(KINDS, 'skylake-server');
      write(supervisor, { [IA32_DEBUGCTL]: LBR, [MSR_LBR_SELECT]: 1n });
      supervisor.engine.run(100);
      expect(stack(supervisor)).toEqual([]);
    });

    it(`are a stack of calls when they are asked to be: ${tier}`, () => {
      const code = 'call 1f\nnop\n1: call 2f\nhlt\n2: call 3f\nret\n3: ret';
      const processor = start(code, 'skylake-server');
      // Calls and returns alone.
      write(processor, { [IA32_DEBUGCTL]: LBR, [MSR_LBR_SELECT]: EN_CALLSTACK | 0x1c4n });
      processor.engine.run(3);
      expect(stack(processor)).toEqual([
        [at(12), at(18)],
        [at(6), at(12)],
        [at(0), at(6)],
      ]);
      processor.engine.run(10);
      expect(stack(processor)).toEqual([[at(0), at(6)]]);
    });

    it(`have exceptions and software interrupts, and the branch before them: ${tier}`, () => {
      const processor = start('jmp 1f\nnop\n1: nop\nud2', 'skylake-server');
      write(processor, { [IA32_DEBUGCTL]: LBR });
      processor.engine.run(100);
      expect(stack(processor)).toEqual([
        [at(4), HANDLER],
        [at(0), at(3)],
      ]);
      expect([read(processor, LER_FROM), read(processor, LER_TO)]).toEqual([at(0), at(3)]);
      const software = start('jmp 1f\nnop\n1: int $3', 'skylake-server');
      write(software, { [IA32_DEBUGCTL]: LBR });
      software.engine.run(100);
      expect(stack(software)).toEqual([
        [at(3), HANDLER],
        [at(0), at(3)],
      ]);
    });

    it(`end with a debug exception, which is not recorded: ${tier}`, () => {
      const processor = start('jmp 1f\nnop\n1: pushf\norl $0x100, (%rsp)\npopf\nnop\nhlt', 'skylake-server');
      write(processor, { [IA32_DEBUGCTL]: LBR });
      processor.engine.run(100);
      expect(processor.state.RIP).toBe(HANDLER + 1n);
      expect(stack(processor)).toEqual([[at(0), at(3)]]);
      expect(read(processor, IA32_DEBUGCTL)).toBe(0n);
    });

    it(`have a conditional branch to the next instruction when it is taken: ${tier}`, () => {
      const code =
        'xor %eax, %eax\njz 1f\n1: jnz 2f\n2: mov $1, %ecx\nloop 3f\n3: jrcxz 4f\n4: loop 5f\n5: hlt';
      const processor = start(code, 'skylake-server');
      write(processor, { [IA32_DEBUGCTL]: LBR });
      processor.engine.run(100);
      expect(stack(processor)).toEqual([
        [at(15), at(17)],
        [at(13), at(15)],
        [at(2), at(4)],
      ]);
    });

    it(`begin with the instruction that follows the WRMSR: ${tier}`, () => {
      const code = `
        jmp 1f
      1: mov $0x1d9, %ecx
        mov $1, %eax
        xor %edx, %edx
        wrmsr
        jmp 2f
      2: xor %eax, %eax
        wrmsr
        jmp 3f
      3: hlt`;
      const processor = start(code, 'skylake-server');
      processor.engine.run(100);
      expect(stack(processor)).toEqual([[at(16), at(18)]]);
    });

    it(`freeze on a performance-monitoring interrupt: ${tier}`, () => {
      const processor = start('1: dec %rcx\njnz 1b\nhlt', 'skylake-server');
      const { engine, clock } = processor;
      engine.time = clock.time;
      processor.state.setGpr(RCX, 1000n);
      write(processor, {
        [IA32_DEBUGCTL]: LBR | FREEZE_LBRS_ON_PMI,
        [IA32_PERFEVTSEL0]: 0x53_00c0n,
        [IA32_PMC0]: -10n & 0xffff_ffffn,
        [IA32_PERF_GLOBAL_CTRL]: 1n,
      });
      while (engine.retired < 30) {
        clock.ringDue();
        engine.run(30 - engine.retired);
      }
      expect(read(processor, IA32_PERF_GLOBAL_STATUS)).toBe(LBR_FRZ | 1n);
      expect(stack(processor)).toHaveLength(5);
      write(processor, { [IA32_PERF_GLOBAL_STATUS_RESET]: LBR_FRZ });
      engine.run(10);
      expect(stack(processor)).toHaveLength(10);
    });

    it(`are architectural on Sapphire Rapids: ${tier}`, () => {
      const processor = start(KINDS, 'sapphire-rapids');
      expect(read(processor, IA32_PERF_CAPABILITIES) & 0x3fn).toBe(0x3fn);
      write(processor, { [IA32_LBR_CTL]: ALL_BRANCHES });
      processor.engine.run(100);
      expect(architectural(processor)).toEqual(NEAR);
      const types = NEAR.map((_, n) => Number((read(processor, IA32_LBR_0_INFO + n) >> 56n) & 0xfn));
      expect(types).toEqual([5, 3, 1, 5, 4, 0, 2]);
      expect(read(processor, IA32_LBR_0_INFO + 5) & 0x1000_0000_0000_ffffn).toBe((1n << 60n) | 3n);
    });

    it(`have the kinds that IA32_LBR_CTL asks for: ${tier}`, () => {
      const kinds: readonly [bit: number, from: readonly number[]][] = [
        [16, [7]],
        [17, [0]],
        [18, [0x14]],
        [19, [0xa]],
        [20, [0x1c]],
        [21, [0x1f, 0x1f]],
        [22, []],
      ];
      for (const [bit, from] of kinds) {
        const processor = start(KINDS, 'sapphire-rapids');
        write(processor, { [IA32_LBR_CTL]: 3n | (1n << BigInt(bit)) });
        processor.engine.run(100);
        expect(architectural(processor).map(([source]) => source)).toEqual(from.map((offset) => at(offset)));
      }
    });

    it(`hide where a branch began at a privilege level that is not recorded: ${tier}`, () => {
      const code = `
        push $0
        push $0x30f000
        push $2
        push $0x23
        push $1f
        iretq
      1: jmp 2f
      2: hlt`;
      const processor = start(code, 'sapphire-rapids');
      const { physical, state } = processor;
      physical.write64(0x6000 + 0x18, 0x00cf_f300_0000_ffffn);
      physical.write64(0x6000 + 0x20, 0x00af_fb00_0000_ffffn);
      state.GDTR_LIMIT = 0x27;
      // SS is DPL 3 data.
      physical.copyIn(CODE + 1, new Uint8Array([0x1b]));
      write(processor, { [IA32_LBR_CTL]: 0x7f_0005n });
      processor.engine.run(7);
      const [jump, iret] = architectural(processor);
      expect(iret?.[0]).toBe(0xffff_ffff_ffff_ffffn);
      expect(iret?.[1]).toBe(jump?.[0]);
    });

    it(`have SYSCALL and SYSRET, and select by the privilege level where they end: ${tier}`, () => {
      const code = 'syscall\n1: jmp 1b\n.org 0x20\nsysretq';
      for (const [select, wanted] of [
        [0n, ['jmp', 'sysret', 'syscall']],
        [1n, ['jmp', 'sysret']],
        [2n, ['syscall']],
      ] as const) {
        const processor = start(code, 'skylake-server');
        const { state, physical, engine } = processor;
        for (let table = 0x1000; table < 0x4000; table += 0x1000)
          physical.write64(table, physical.read64(table) | 4n);
        state.IA32_EFER |= 1n;
        state.IA32_STAR = (0x10n << 32n) | (0x20n << 48n);
        state.IA32_LSTAR = at(0x20);
        state.CPL = 3;
        state.setSegmentAccessRights(CS, 0xa0fb);
        state.setSegmentAccessRights(SS, 0xc0f3);
        processor.cpu.mmu.updateContext();
        write(processor, { [IA32_DEBUGCTL]: LBR, [MSR_LBR_SELECT]: select });
        engine.run(3);
        const records: Readonly<Record<(typeof wanted)[number], Pair>> = {
          jmp: [at(2), at(2)],
          sysret: [at(0x20), at(2)],
          syscall: [at(0), at(0x20)],
        };
        expect(stack(processor)).toEqual(wanted.map((name) => records[name]));
      }
    });

    it(`have an interrupt after the branch before it, and the IRET: ${tier}`, () => {
      const processor = start('jmp 1f\n1: nop\nhlt', 'skylake-server');
      // The handler of #UD's vector and of all others: IRETQ.
      processor.physical.copyIn(Number(HANDLER), new Uint8Array([0x48, 0xcf]));
      const { state, engine, physical } = processor;
      physical.write64(0x6000 + 0x18, 0x00cf_9300_0000_ffffn);
      state.GDTR_LIMIT = 0x1f;
      write(processor, { [IA32_DEBUGCTL]: LBR });
      engine.run(1);
      state.NMI_PENDING = 1;
      engine.run(1);
      expect(stack(processor)).toEqual([
        [HANDLER, at(2)],
        [at(2), HANDLER],
        [at(0), at(2)],
      ]);
      expect([read(processor, LER_FROM), read(processor, LER_TO)]).toEqual([at(0), at(2)]);
    });

    it(`are as many as IA32_LBR_DEPTH says, the youngest first: ${tier}`, () => {
      const processor = start('1: dec %rcx\njnz 1b\nhlt', 'sapphire-rapids');
      processor.state.setGpr(RCX, 100n);
      write(processor, { [IA32_LBR_DEPTH]: 8n, [IA32_LBR_CTL]: ALL_BRANCHES });
      processor.engine.run(60);
      expect(architectural(processor)).toHaveLength(8);
      expect(readMsr(processor.cpu, IA32_LBR_0_FROM_IP + 8)).toBeUndefined();
      expect(writeMsr(processor.cpu, IA32_LBR_DEPTH, 12n)).toBe(false);
      write(processor, { [IA32_LBR_DEPTH]: 16n });
      expect(architectural(processor)).toEqual([]);
    });

    it(`are one on Zen 3, and one before the last exception: ${tier}`, () => {
      const processor = start('jmp 1f\nnop\n1: nop\nud2', 'zen3-server');
      write(processor, { [IA32_DEBUGCTL]: LBR });
      processor.engine.run(100);
      expect([read(processor, LAST_BRANCH_FROM), read(processor, LAST_BRANCH_TO)]).toEqual([at(4), HANDLER]);
      expect([read(processor, LER_FROM), read(processor, LER_TO)]).toEqual([at(0), at(3)]);
      expect(writeMsr(processor.cpu, LAST_BRANCH_FROM, 0n)).toBe(false);
    });
  }

  it('leave everything else as it is without them', () => {
    const recorded = new Set(
      CPU_FIELDS.filter(({ key }) => /^(LBR_|LAST_|IA32_DEBUGCTL|IA32_LBR)/.test(key)).map(({ key }) => key),
    );
    const states = [0n, LBR].map((debugctl) => {
      const processor = prepare(assemble(KINDS, CODE), 1, 'auto', undefined, 'skylake-server');
      write(processor, { [IA32_DEBUGCTL]: debugctl });
      processor.engine.run(100);
      return describeState(processor).filter((line) => !recorded.has(line.split(' ')[0] as never));
    });
    expect(states[1]).toEqual(states[0]);
  });
});

describe('IA32_DEBUGCTL.LBR', () => {
  it('reads as 0 where records are architectural', () => {
    const processor = prepare(new Uint8Array([0xf4]), 1, 'interpreted');
    write(processor, { [IA32_DEBUGCTL]: 3n });
    expect(read(processor, IA32_DEBUGCTL)).toBe(2n);
    expect(readMsr(processor.cpu, MSR_LBR_SELECT)).toBeUndefined();
  });
});
