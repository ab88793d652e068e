/** Random 64-bit programs as assembly text, for comparing the interpreter with translations. */
import type { Random } from '../support/random.ts';

type Size = 8 | 16 | 32 | 64;
const SIZES: readonly Size[] = [8, 16, 32, 64];
const WIDE: readonly Size[] = [16, 32, 64];

/** What can stand beside AH, CH and DH: nothing that needs a REX prefix. */
const LEGACY_BYTES = ['al', 'cl', 'dl', 'ah', 'ch', 'dh'];

/** Registers that programs compute with; RBX, RSI, RDI and RSP point at data, R14 indexes, R15 counts the loop. */
const REGISTERS: Record<Size, readonly string[]> = {
  8: ['al', 'cl', 'dl', 'r8b', 'r9b', 'r10b', 'r11b', 'bpl'],
  16: ['ax', 'cx', 'dx', 'bp', 'r8w', 'r9w', 'r10w', 'r11w'],
  32: ['eax', 'ecx', 'edx', 'ebp', 'r8d', 'r9d', 'r10d', 'r11d'],
  64: ['rax', 'rcx', 'rdx', 'rbp', 'r8', 'r9', 'r10', 'r11'],
};
const MEMORY_SIZES: Record<Size, string> = { 8: 'byte', 16: 'word', 32: 'dword', 64: 'qword' };
const CONDITIONS = ['o', 'no', 'b', 'ae', 'e', 'ne', 'be', 'a', 's', 'ns', 'p', 'np', 'l', 'ge', 'le', 'g'];

export interface ProgramOptions {
  /** Instructions in the loop's body, about. */
  readonly length: number;
  /** How often the loop runs. */
  readonly iterations: number;
  /** Probability (1 in n) that a memory operand goes through RSI, which the caller may point at an unmapped page. */
  readonly strayOneIn: number;
}

/** The text of a program that ends with HLT. Deterministic in the random source. */
export function randomProgram(random: Random, options: ProgramOptions): string {
  const lines = ['.intel_syntax noprefix', `mov r15d, ${options.iterations}`, 'top:'];
  const register = (size: Size) => random.pick(REGISTERS[size]);
  const memory = (size: Size) => {
    const base = random.below(options.strayOneIn) === 0 ? 'rsi' : random.pick(['rbx', 'rbx', 'rdi']);
    const index = random.below(3) === 0 ? `+r14*${1 << random.below(4)}` : '';
    return `${MEMORY_SIZES[size]} ptr [${base}${index}+${random.below(600)}]`;
  };
  const either = (size: Size) => (random.below(2) === 0 ? register(size) : memory(size));
  const immediate = (size: Size) =>
    random.below(2) === 0
      ? `${random.below(256) - 128}`
      : `${size === 64 ? random.below(2 ** 31) : random.below(2 ** Math.min(size, 31))}`;
  const highBytes = (op: string) => {
    const place = `byte ptr [rbx+${random.below(600)}]`;
    const a = random.pick(LEGACY_BYTES);
    const b = random.pick(LEGACY_BYTES);
    return `${op} ${random.pick([`${a}, ${b}`, `${place}, ${b}`, `${a}, ${place}`, `${a}, ${random.below(128)}`])}`;
  };
  const binary = (op: string) => {
    if (random.below(6) === 0) return highBytes(op);
    const size = random.pick(SIZES);
    switch (random.below(3)) {
      case 0:
        return `${op} ${either(size)}, ${register(size)}`;
      case 1:
        return `${op} ${register(size)}, ${memory(size)}`;
      default:
        return `${op} ${either(size)}, ${immediate(size)}`;
    }
  };
  const makers: (() => string)[] = [
    () => binary(random.pick(['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp', 'mov'])),
    () => binary(random.pick(['add', 'adc', 'sub', 'sbb', 'cmp', 'mov'])),
    () => `test ${either(32)}, ${register(32)}`,
    () => `${random.pick(['inc', 'dec', 'neg', 'not'])} ${either(random.pick(SIZES))}`,
    () => `${random.pick(['mul', 'imul'])} ${either(random.pick(SIZES))}`,
    () => {
      const size = random.pick(WIDE);
      return `imul ${register(size)}, ${either(size)}${random.below(2) ? `, ${random.below(256) - 128}` : ''}`;
    },
    // A divisor of at least 1 and a dividend that cannot overflow most of the time.
    () => `mov edx, 0\nor cl, 1\n${random.pick(['div', 'idiv'])} ${random.pick(['ecx', 'rcx'])}`,
    () => `cdq\nor ecx, 1\nidiv ecx`,
    () =>
      `${random.pick(['rol', 'ror', 'rcl', 'rcr', 'shl', 'shr', 'sar'])} ${either(random.pick(SIZES))}, ${random.pick(['cl', '1', `${random.below(70)}`])}`,
    () => {
      const size = random.pick(WIDE);
      return `${random.pick(['shld', 'shrd'])} ${either(size)}, ${register(size)}, ${random.pick(['cl', `${random.below(16)}`])}`;
    },
    () => {
      const size = random.pick(WIDE);
      return `${random.pick(['bt', 'bts', 'btr', 'btc'])} ${either(size)}, ${random.below(64)}`;
    },
    () => `${random.pick(['bsf', 'bsr'])} ${register(64)}, ${either(64)}`,
    () =>
      `${random.pick(['movzx', 'movsx'])} ${register(32)}, ${random.pick([either(16), memory(8), register(8)])}`,
    () => `movsxd ${register(64)}, ${either(32)}`,
    () =>
      `lea ${register(64)}, [${register(64)}+${register(64)}*${1 << random.below(4)}+${random.below(1000)}]`,
    () => `lea ${register(32)}, [rip+${random.below(1000)}]`,
    () => `${random.pick(['xchg', 'xadd', 'cmpxchg'])} ${either(64)}, ${register(64)}`,
    () => `lock xadd ${memory(32)}, ${register(32)}`,
    () => `cmov${random.pick(CONDITIONS)} ${register(64)}, ${either(64)}`,
    () => `set${random.pick(CONDITIONS)} ${random.pick([register(8), memory(8)])}`,
    () => `bswap ${register(random.pick([32, 64]))}`,
    () =>
      random.pick(['cbw', 'cwde', 'cdqe', 'cwd', 'cdq', 'cqo', 'clc', 'stc', 'cmc', 'lahf', 'sahf', 'nop']),
    () => `push ${register(64)}\npop ${register(64)}`,
    () => `push ${random.below(1000)}\npop ${register(64)}`,
    () => `call 1f\njmp 2f\n1: ret\n2:`,
    // Strings move RDI, which comes back at the top of the loop.
    () => random.pick(['stosb', 'stosd', 'stosq', 'scasb', 'cld', 'std\nstosw\ncld']),
    () => `mov ecx, ${random.below(20)}\nrep ${random.pick(['stosb', 'stosq'])}`,
    () => `mov ecx, ${random.below(20)}\nrepne scasb`,
    () => `j${random.pick(CONDITIONS)} 1f\n${binary('add')}\n1:`,
  ];
  lines.push('push rdi');
  for (let i = 0; i < options.length; i++) lines.push(random.pick(makers)());
  lines.push('pop rdi', 'dec r15', 'jnz top', 'hlt', '');
  return lines.join('\n');
}
