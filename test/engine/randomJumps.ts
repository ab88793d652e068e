/**
 * Random 64-bit programs that are all control flow, as assembly text: loops that overlap, jumps into them, calls and
 * returns over several pages, jumps through tables, stores beside and into code.
 */
import type { Random } from '../support/random.ts';

const SCRATCH = ['rax', 'rcx', 'rdx', 'r8', 'r9', 'r10'];
const CONDITIONS = ['b', 'ae', 'e', 'ne', 'be', 'a', 's', 'ns', 'p', 'l', 'ge', 'le', 'g'];

export interface JumpProgramOptions {
  readonly functions: number;
  /** Blocks of each function. */
  readonly blocks: number;
  /** Blocks that are executed until the program ends. */
  readonly fuel: number;
  /** Probability (1 in n) that a block changes an instruction of the program; 0: never. */
  readonly modifyOneIn: number;
}

/** The text of a program that ends with HLT when R15 has counted down. RBX points at data. */
export function randomJumps(random: Random, options: JumpProgramOptions): string {
  const { functions, blocks, fuel, modifyOneIn } = options;
  const lines = ['.intel_syntax noprefix', `mov r15, ${fuel}`, 'mov rbp, rsp', 'jmp f0_0'];
  const tables: string[] = [];
  const places: string[] = [];
  const compute = () => {
    const a = random.pick(SCRATCH);
    const b = random.pick(SCRATCH);
    const place = `[rbx+${8 * random.below(32)}]`;
    return random.pick([
      `add ${a}, ${b}`,
      `sub ${a}, ${b}`,
      `xor ${a}, ${random.below(1000)}`,
      `cmp ${a}, ${b}`,
      `imul ${a}, ${b}, 77`,
      `mov ${a}, ${place}`,
      `add ${place}, ${a}`,
      `adc ${a}, ${b}`,
      `shr ${a}, ${random.below(5)}`,
      `test ${a}, ${b}`,
    ]);
  };
  for (let f = 0; f < functions; f++) {
    // Functions lie apart, some of them across a page boundary.
    lines.push(`.skip ${random.pick([0, 5, 100, 900, 3000])}, 0x90`);
    const label = (block: number) => `f${f}_${block}`;
    const target = () => label(random.below(blocks));
    for (let block = 0; block < blocks; block++) {
      lines.push(`${label(block)}:`, 'dec r15', 'js end');
      for (let n = random.below(4); n > 0; n--) lines.push(compute());
      if (modifyOneIn > 0 && random.below(8) === 0) {
        places.push(`m${places.length}`);
        lines.push(`${places.at(-1)}: mov r11d, ${random.below(100)}`, 'add rax, r11');
      }
      if (modifyOneIn > 0 && places.length > 0 && random.below(modifyOneIn) === 0)
        lines.push(`mov byte ptr [rip+${random.pick(places)}+2], al`);
      // What lies behind code in its page is data too.
      if (random.below(6) === 0) lines.push(`add qword ptr [rip+data+${8 * random.below(4)}], rdx`);
      switch (random.below(8)) {
        case 0:
          lines.push(`jmp ${target()}`);
          break;
        case 1:
        case 2:
          if (f + 1 < functions) lines.push(`call f${f + 1 + random.below(functions - f - 1)}_0`);
          break;
        case 3: {
          const table = `t${tables.length}`;
          tables.push(`${table}: .quad ${Array.from({ length: 4 }, target).join(', ')}`);
          lines.push('mov r11, rax', 'and r11, 3', `jmp [${table}+r11*8]`);
          break;
        }
        case 4:
          lines.push(f === 0 ? 'nop' : 'ret');
          break;
        case 5:
          lines.push(`lea r11, [rip+${target()}]`, 'jmp r11');
          break;
        default:
          lines.push(`test ${random.pick(SCRATCH)}, ${1 << random.below(3)}`);
      }
      if (random.below(3)) lines.push(`j${random.pick(CONDITIONS)} ${target()}`);
    }
    lines.push(f === 0 ? 'jmp f0_0' : 'ret');
  }
  lines.push('end: mov rsp, rbp', 'hlt', '.balign 8', 'data: .quad 1, 2, 3, 4', ...tables, '');
  return lines.join('\n');
}
