/** A guest whose hypervisor asks for it leaves behind each instruction that asserts a bus lock, in all tiers. */
import { describe, expect, it } from 'vitest';
import { hashMachine } from '../../emulator/snapshot/machineState.ts';
import { EXIT_REASON_NUMBER } from '../../emulator/vmx/exitReasons.ts';
import { assemble } from '../support/assemble.ts';
import { guestMachine, type TestGuest } from '../support/guestMachine.ts';
import { missing } from '../support/tools.ts';
import { TIERS, type Tier } from './tiersSupport.ts';

const ENTRY = 0x10_0000;
const ITERATIONS = 40;
const ENGINES = {
  interpreted: {},
  translated: { forceTranslation: true },
  auto: { sampleEvery: 7 },
} as const;

const SECONDARY = 'SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS';
const BUS_LOCK_DETECTION = 1n << 30n;
const CPUID = EXIT_REASON_NUMBER.cpuid;

/** The code in a loop; RBX is the address of a cache line, a multiple of 4096. */
const program = (code: string): string => `
  mov $0x300000, %ebx
  mov $0x305000, %esp
  mov $${ITERATIONS}, %esi
again:
  ${code}
  dec %esi
  jnz again
  mov $0xf4, %dx
  out %al, %dx
  .balign 64
  .skip 61
line: .quad 0
`;

function run(
  code: string,
  tier: Tier,
  exiting: readonly string[],
  begin: (guest: TestGuest) => void = () => undefined,
): TestGuest {
  const guest = guestMachine(assemble(program(code), ENTRY), ENTRY, { exiting, tier: ENGINES[tier] });
  begin(guest);
  expect(guest.machine.run(100_000)).toBe('stopped');
  expect(guest.stops).toEqual([]);
  return guest;
}

const busLocks = ({ vmx: { processor } }: TestGuest) =>
  processor.log.records(0, processor.log.total).filter(({ reasonKey }) => reasonKey === 'busLock');
const hash = ({ machine, vmx, vmm }: TestGuest): string => hashMachine(machine, { vmx, vmm });

// biome-ignore format: rows are read as a table
const CASES: readonly (readonly [code: string, asserts: boolean])[] = [
  ['lock incl 61(%rbx)', true],
  ['lock incl 60(%rbx)', false],
  ['incl 61(%rbx)', false],
  ['lock addw $1, 63(%rbx)', true],
  ['lock xadd %al, 63(%rbx)', false],
  ['lock incl line(%rip)', true],
  ['lock negl 61(%ebx)', true],
  ['xchg %eax, 61(%rbx)', true],
  ['xchg %eax, 59(%rbx)', false],
  ['xchg %rax, %rdx', false],
  ['lock cmpxchg8b 57(%rbx)', true],
  ['lock cmpxchg8b 3(%rbx)', false],
  ['cmpxchg8b 57(%rbx)', false],
  ['lock cmpxchg16b 48(%rbx)', false],
  ['mov $-448, %r8d; lock btsl %r8d, 56(%rbx)', false],
  ['mov $-440, %r8d; lock btsl %r8d, 118(%rbx)', true],
  ['mov $448, %r8d; lock btsq %r8, 5(%rbx)', true],
  ['mov $448, %r8d; lock btsl %r8d, 4(%rbx)', false],
];

describe.skipIf(missing('as', 'ld'))('with "VMM bus-lock detection"', () => {
  it.each(CASES)('%s asserts a bus lock: %s', (code, asserts) => {
    const guests = TIERS.map((tier) => run(code, tier, ['bus-lock']));
    for (const guest of guests) expect(busLocks(guest)).toHaveLength(asserts ? ITERATIONS : 0);
    expect(new Set(guests.map(hash)).size).toBe(1);
  });

  it.each(TIERS)('the exit comes behind the instruction, which has done its work: %s', (tier) => {
    const guest = run('behind: lock incl 61(%rbx); nop', tier, ['bus-lock']);
    // Three MOVs of five bytes, LOCK INC of four.
    expect(new Set(busLocks(guest).map(({ rip }) => rip))).toEqual(new Set([BigInt(ENTRY + 15 + 4)]));
    expect(busLocks(guest)[0]).toMatchObject({ qualification: 0n, instructionLength: 0, text: 'Bus lock' });
    expect(guest.machine.physical.read32(guest.vm.memoryBase + 0x30_003d)).toBe(ITERATIONS);
  });

  it.each(TIERS)('an instruction in two pages exits as well: %s', (tier) => {
    const code = 'jmp far; .balign 4096; .skip 4093; far: lock incl 61(%rbx)';
    expect(busLocks(run(code, tier, ['bus-lock']))).toHaveLength(ITERATIONS);
  });

  it.each(TIERS)('so does one that the program has just written: %s', (tier) => {
    // LOCK (F0) and a segment override (3E) in turn.
    const code = 'xorb $0xce, changed(%rip); jmp changed; changed: lock incl 61(%rbx)';
    expect(busLocks(run(code, tier, ['bus-lock']))).toHaveLength(ITERATIONS / 2);
  });

  it('counts from the VM entry on that sets it, whatever has been decoded and translated by then', () => {
    const asksAfter = ITERATIONS / 2;
    const guests = TIERS.map((tier) =>
      run('lock incl 61(%rbx); xor %eax, %eax; push %rbx; cpuid; pop %rbx', tier, [], ({ vmx }) => {
        const controls = vmx.vmread(SECONDARY);
        let exits = 0;
        vmx.processor.onExit = (reason) => {
          if (reason !== CPUID || ++exits !== asksAfter) return;
          vmx.vmwrite(SECONDARY, controls | BUS_LOCK_DETECTION);
        };
      }),
    );
    for (const guest of guests) expect(busLocks(guest)).toHaveLength(ITERATIONS - asksAfter);
    expect(new Set(guests.map(hash)).size).toBe(1);
  });

  it.each(TIERS)('without it nothing exits, and the guest does the same: %s', (tier) => {
    const code = 'lock incl 61(%rbx); xchg %eax, 125(%rbx)';
    const without = run(code, tier, []);
    expect(busLocks(without)).toEqual([]);
    const watched = run(code, tier, ['bus-lock']);
    expect(busLocks(watched)).toHaveLength(2 * ITERATIONS);
    expect(watched.machine.engine.retired).toBe(without.machine.engine.retired);
  });
});
