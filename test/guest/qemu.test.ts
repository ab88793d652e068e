/**
 * The same programs in QEMU with TCG: it agrees with the manual, sentence by sentence, or is listed here with what it
 * does instead.
 */
import { execFileSync, spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { missing } from '../support/tools.ts';
import { PROGRAM_NAMES, programBuilder, sentencesOf } from './buildProgram.ts';

/** What QEMU (7.2) does otherwise than the manual: the sentence's program, its beginning, and what QEMU does. */
const QEMU_DIFFERS: readonly (readonly [program: string, sentence: string, instead: string])[] = [
  ['concurrent', '7.8.3: MOV to SS that hits a data breakpoint', 'traps when the program goes on'],
  ['concurrent', 'then INT3: likewise', 'traps when the program goes on'],
  ['concurrent', 'then SYSCALL: #DB at its target', 'traps an instruction later'],
  ['concurrent', '7.15: contributory after contributory', '#GP instead of #SS for the stack'],
  ['concurrent', '7.15: #BP, #DB, #NM and #AC are benign', 'does not know EXT'],
  ['concurrent', '7.15: INT n is benign', 'the error code has twice the vector in 64-bit mode'],
  ['concurrent', '7.13: an interrupt through a gate', 'the error code has twice the vector in 64-bit mode'],
  ['concurrent', '#AC needs AM, AC and CPL 3', 'does not check alignment'],
  ['concurrent', '#AC: vectors of 16 bytes', 'does not check alignment'],
  ['concurrent', '#AC: pushes, pops', 'does not check alignment'],
  ['concurrent', '#AC: the base alone counts', 'does not check alignment'],
  ['concurrent', 'SGDT at CPL 3 stores a word', 'does not check alignment'],
  ['concurrent', 'the stack of the handler is not checked', 'does not check alignment'],
  ['deadline', 'CPUID.01H:ECX[24] offers', 'does not have the TSC deadline'],
  ['debug', '19.3.1.4: a repeated string instruction traps', 'saves RF as 0'],
  ['delivery', '7.12.1.2: INT n at CPL 3 needs a gate', 'the error code has twice the vector in 64-bit mode'],
  ['delivery', '7.11: a gate that is not present', 'the error code has twice the vector in 64-bit mode'],
  ['delivery', '7.14.1: a vector beyond the limit', 'the error code has twice the vector in 64-bit mode'],
  ['delivery', '7.13: EXT is set', 'does not know EXT'],
  ['delivery', '7.15: #UD is benign', 'does not know EXT'],
  ['delivery', 'IRETQ: a return address that is not canonical', 'faults at the target'],
  ['gates', 'an offset beyond the limit of the segment', 'checks no limits'],
  ['gates', 'CALL through a gate to a conforming segment', 'saves an RPL of 0'],
  ['gates', 'parameters beyond the outer stack', 'checks no limits'],
  ['gates', 'the new stack: not present is #SS', '#TS, and checks no limits'],
  ['gates', 'the new stack: a TSS that does not reach so far', 'wants four bytes for a selector'],
  ['gates', 'the new stack is looked at before', 'checks no limits'],
  ['gates', 'RET outwards: SS null is #GP(0)', '#NP for a stack that is not present'],
  ['interrupts', '7.8.3: MOV to SS holds interrupts', 'takes the interrupt one instruction early'],
  ['interrupts', '7.8 of volume 1: REP STOS', 'ends the instruction, or saves RF as 0'],
  ['interrupts', 'REP MOVS likewise', 'ends the instruction, or saves RF as 0'],
  ['interrupts', 'REPE CMPS likewise', 'ends the instruction, or saves RF as 0'],
  ['interrupts', 'REPNE SCAS likewise', 'ends the instruction, or saves RF as 0'],
  ['interrupts', 'REP OUTS likewise', 'ends the instruction, or saves RF as 0'],
  ['keys', 'without CR4.PKE keys are ignored', 'keeps translations when PKE changes'],
  ['keys', 'IA32_PKRS has 32 bits', 'keeps translations when PKS changes'],
  ['levels', 'an entry of the PML5 table that has PS', 'the error code lacks P'],
  ['levels', 'MSRs take 57-bit addresses', 'checks no addresses in MSRs'],
  ['longgates', 'an offset that is not canonical', 'faults at the target'],
  ['modes', '10.8.5: back in IA-32e mode, LME cannot change', 'lets LME change'],
  ['modes', 'real mode: a word at offset 0xffff', 'checks no limits'],
  ['paging', '5.7: XD is a reserved bit', 'the error code lacks P'],
  ['paging', '5.7: a reserved bit of an entry', 'the error code lacks P'],
  ['paging', '5.5.4: bits above the implemented linear address', '#GP instead of #SS for the stack'],
  ['priorities', 'LOCK with an instruction that cannot be locked', 'accesses memory first'],
  ['priorities', '#UD of a control register that there is not', 'checks the privilege first'],
  ['priorities', 'an address that is not canonical is #GP(0)', '#GP instead of #SS for the stack'],
  ['segments', '6.3: the limit is the last byte', 'checks no limits'],
  ['segments', '3.4.5: with G the limit counts pages', 'checks no limits'],
  ['segments', '6.3: an expand-down segment', 'checks no limits'],
  ['segments', '6.4: a read-only segment is not written', 'checks no types'],
  ['segments', '3.4.2: a null selector loads', 'checks no null selectors'],
  ['segments', '6.3: a stack access beyond the limit', 'checks no limits'],
  ['tasks', '9.3: a data segment that cannot be loaded', 'saves another EIP'],
  ['tasks', '9.3: the T flag raises #DB', 'does not know the T flag'],
  ['virtual8086', '6.3: beyond 64 KiB is #GP(0)', 'checks no limits'],
  ['virtual8086', '6.3: a push onto offset 0xffff', 'checks no limits'],
  ['virtual8086', 'a far jump and indirect near jumps', 'checks no limits'],
  ['virtual8086', 'IRETD to an offset beyond 0xffff', 'enters, and wraps'],
  ['virtual8086', 'IRETD pops double words', 'checks no limits'],
  ['virtual8086', "22.3.1: the handler's segment must have DPL 0", 'looks for a stack of DPL 1 first'],
  ['virtual8086', '#DE, with RF in the image', 'saves RF as 0'],
  ['virtual8086', '#AC: CPL is 3', 'does not check alignment'],
  ['vme', 'CPUID.01H:EDX[1] offers', 'does not have VME'],
  ['x2apic', 'CPUID.01H:ECX[21] offers', 'does not have x2APIC'],
  ['xapic', '12.4.7.1: after reset', 'keeps what its firmware has set'],
  ['xapic', '12.5.1: while SVR has disabled the APIC', 'clears the mask bit'],
  ['xapic', '12.5.3: a vector below 16', 'shows errors otherwise'],
];

/** Sentences before which QEMU leaves the path of the program, so that what follows says nothing. */
const QEMU_ENDS_BEFORE: ReadonlyMap<string, string> = new Map([
  // FERR# is an assertion that fails.
  ['coprocessor', '8.7.2: with CR0.NE = 0'],
  // No performance-monitoring counters.
  ['counters', '21.2.2: fixed counter 0'],
  ['deadline', 'in another mode IA32_TSC_DEADLINE reads 0'],
  ['debug', '19.4.3: with BTF branches'],
  ['gates', 'a 16-bit gate has an offset of 16 bits'],
  ['priorities', 'a push just above the hole'],
  ['segments', 'execution does not run over the limit of CS'],
  // Shuts down.
  ['tasks', 'table 9-1: SS: null'],
  // IRETD at CPL 3 enters virtual-8086 mode.
  ['virtual8086', 'IRETD at CPL 3 ignores VM'],
  // Has neither CR4.VME nor CR4.PVI.
  ['vme', '22.3: with CR4.VME and IOPL below 3'],
  ['x2apic', '12.12.1.2: in xAPIC mode the MSRs'],
]);

/** Time is counted in instructions, so that a run is the same every time. */
// biome-ignore format: an option and its value
const OPTIONS = [
  '-accel', 'tcg', '-icount', 'shift=3,sleep=off', '-cpu', 'max', '-m', '64', '-display', 'none', '-serial', 'none', '-monitor', 'none',
  '-debugcon', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4', '-no-reboot',
];
/** A busy machine takes its time. */
const SECONDS = 40;

/** The first `wanted` results of a program, which need not end by itself. */
function resultsOf(image: string, wanted: number): Promise<string[]> {
  const qemu = spawn('qemu-system-x86_64', [...OPTIONS, '-kernel', image], {
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: SECONDS * 1000,
    killSignal: 'SIGKILL',
  });
  let text = '';
  const results = () => text.split('\n').filter((line) => /^(ok|FAILED) /.test(line));
  qemu.stdout.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
    if (text.endsWith('\n') && results().length >= wanted) qemu.kill('SIGKILL');
  });
  return new Promise((resolve, reject) => {
    qemu.on('error', reject);
    qemu.on('close', () => resolve(results().slice(0, wanted)));
  });
}

describe.skipIf(missing('gcc', 'as', 'ld', 'objcopy', 'qemu-system-x86_64'))(
  'QEMU agrees with the manual',
  () => {
    const build = programBuilder();

    it.each(PROGRAM_NAMES)(
      'about %s',
      async (name) => {
        const image = build(name);
        // QEMU loads 32-bit Multiboot programs alone.
        execFileSync('objcopy', ['-O', 'elf32-i386', image, `${image}.32`]);
        const end = QEMU_ENDS_BEFORE.get(name);
        const sentences = sentencesOf(name);
        const last = end === undefined ? sentences.length : sentences.findIndex((s) => s.startsWith(end));
        expect(await resultsOf(`${image}.32`, last)).toEqual(
          sentences.slice(0, last).map((sentence) => {
            const differs = QEMU_DIFFERS.some(
              ([program, text]) => program === name && sentence.startsWith(text),
            );
            return `${differs ? 'FAILED' : 'ok'} ${sentence}`;
          }),
        );
      },
      (SECONDS + 10) * 1000,
    );

    it('and every difference is about a sentence that is tested', () => {
      for (const [program, text] of QEMU_DIFFERS) {
        expect(sentencesOf(program).filter((sentence) => sentence.startsWith(text))).toHaveLength(1);
      }
    });
  },
);
