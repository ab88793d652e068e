/** IN and OUT: what a device sees and raises, and when, is the same in every tier, and by the short way as by the long. */
import { describe, expect, it } from 'vitest';
import { assemble } from '../support/assemble.ts';
import { bareProcessor } from '../support/bareProcessor.ts';
import { missing } from '../support/tools.ts';
import { CODE, prepare, TIERS, type Tier } from './tiersSupport.ts';

const IDT = 0x40_0000;
const HANDLER = 0x51_0000;
const VECTOR = 0x20;
const IF = 0x200;
const INTERRUPT_PORT = 0x70;
const ALARM_PORT = 0x71;
const ATTENTION_PORT = 0x72;

/** Every size and form; between the accesses something that is translated. */
const PROGRAM = `
  mov $60, %ecx
1:
  mov $0x3f8, %edx
  mov %ecx, %eax
  out %al, (%dx)
  inc %edx
  out %ax, (%dx)
  out %eax, $0x61
  in (%dx), %al
  add %rax, %rbx
  in $0x60, %ax
  xor %rax, %rbx
  mov $-1, %rax
  in (%dx), %eax
  add %rax, %rbx
  mov %ecx, %eax
  and $7, %eax
  jnz 2f
  out %al, $${INTERRUPT_PORT}
2:
  cmp $1, %eax
  jne 3f
  out %al, $${ALARM_PORT}
3:
  cmp $2, %eax
  jne 4f
  out %al, $${ATTENTION_PORT}
4:
  dec %ecx
  jnz 1b
  hlt`;

interface Access {
  readonly position: number;
  readonly tick: number;
  readonly what: string;
}

/** `long`: an enabled breakpoint, which no access meets, sends all of them the long way. */
function runProgram(tier: Tier, long: boolean, budget: number): { log: Access[]; state: string } {
  const processor = prepare(assemble(PROGRAM, CODE), 1, tier);
  const { state, physical, cpu, engine, clock } = processor;
  const log: Access[] = [];
  const note = (what: string) => log.push({ position: engine.position(), tick: clock.now(), what });
  let requested = false;
  engine.time = clock.time;
  const alarm = clock.createAlarm('of the device', () => note('alarm'));
  Object.assign(cpu.interruptController, {
    hasInterrupt: () => requested,
    acknowledge: () => {
      requested = false;
      note('acknowledged');
      return VECTOR;
    },
  });
  cpu.portIo = {
    read: (port, size) => {
      note(`in ${port} ${size}`);
      return (clock.now() * 0x9e37_79b1) >>> (32 - 8 * size);
    },
    write: (port, size, value) => {
      note(`out ${port} ${size} ${value}`);
      if (port === INTERRUPT_PORT) requested = true;
      if (port === ALARM_PORT) alarm.arm(clock.now() + 3 * value + 700);
      if (port === ATTENTION_PORT) engine.requestAttention();
    },
  };
  // The handler counts in R15 and returns.
  physical.copyIn(HANDLER, assemble('inc %r15\niretq', HANDLER));
  const gate = BigInt(HANDLER & 0xffff) | (0x10n << 16n) | (0x8en << 40n) | (BigInt(HANDLER >> 16) << 48n);
  physical.write64(IDT + VECTOR * 16, gate);
  physical.write64(IDT + VECTOR * 16 + 8, 0n);
  state.IDTR_LIMIT = 0x20f;
  physical.write64(0x6018, 0x00cf_9300_0000_ffffn);
  state.GDTR_LIMIT = 0x1f;
  state.systemFlags |= IF;
  if (long) state.setDebugRegister(7, 0x401n);
  for (let runs = 0; runs < 10_000; runs++) {
    clock.ringDue();
    const end = engine.run(budget);
    if (end === 'attention') note(end);
    if (end === 'inactive') break;
  }
  const registers = Array.from({ length: 16 }, (_, r) => state.gpr(r).toString(16));
  return { log, state: `${registers.join(' ')} at ${state.RIP.toString(16)}, ${engine.retired}` };
}

describe.skipIf(missing('as', 'ld'))('a device behind a port', () => {
  const expected = runProgram('interpreted', true, 100_000);

  it('sees positions and times, and is heard at the next instruction', () => {
    const at = (what: string) => expected.log.findIndex((entry) => entry.what.startsWith(what));
    const [request, acknowledged] = [at(`out ${INTERRUPT_PORT} `), at('acknowledged')];
    expect(acknowledged).toBe(request + 1);
    expect(expected.log[acknowledged].position).toBe(expected.log[request].position + 1);
    expect(expected.log[acknowledged].tick).toBe(expected.log[request].tick + 501);
    expect(expected.log.filter(({ what }) => what === 'alarm').length).toBeGreaterThan(5);
    expect(expected.log.filter(({ what }) => what === 'attention').length).toBeGreaterThan(5);
  });

  for (const tier of TIERS) {
    for (const budget of [100_000, 13, 1]) {
      it(`sees the same whatever executes the access: ${tier}, ${budget} instructions at a time`, () => {
        expect(runProgram(tier, false, budget)).toEqual(expected);
      });
    }
  }

  it('is not reached by a program without the permission', () => {
    const processor = bareProcessor();
    const { state, physical, engine, ports } = processor;
    physical.copyIn(CODE, assemble('out %al, $0x80\nhlt', CODE));
    state.RIP = BigInt(CODE);
    state.CPL = 3;
    // A TSS without an I/O permission bit map.
    state.setSegmentLimit(7, 0x10);
    processor.cpu.mmu.updateContext();
    engine.run(1);
    expect(ports).toEqual([]);
  });
});
