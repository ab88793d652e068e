/** The instructions that are compared with the host's processor: every emitted row, and system rows of user programs. */
import type { SemanticRow, StatusFlag, UndefinedByCount } from '../../../emulator/isa/forms.ts';
import { expandRow } from '../../../emulator/isa/forms.ts';
import { SEMANTIC_ROWS } from '../../../emulator/isa/rows.ts';
import { SYSTEM_CALL_ROWS } from '../../../emulator/isa/semantics/systemCalls.ts';
import { X87_ROWS } from '../../../emulator/isa/x87/rows.ts';
import type { Random } from '../../support/random.ts';
import type { Mode, Shape } from './instruction.ts';
import { existsIn, MODES, shapeOf } from './instruction.ts';

const X87_OPS = new Set(X87_ROWS.map(({ op }) => op));
/** On the host they lead to its kernel. */
const SYSTEM_CALL_OPS = new Set(SYSTEM_CALL_ROWS.map(({ op }) => op));

export interface TestedRow {
  readonly op: string;
  readonly feature: string | undefined;
  readonly undefined: readonly StatusFlag[] | UndefinedByCount;
  /** What one processor may have changed before a fault, and another not. */
  readonly partial: Partial;
  readonly forms: readonly { readonly shape: Shape; readonly mode: Mode }[];
}

/** Rows with vectors and those of the x87 FPU have suites of their own. */
function isInteger(row: SemanticRow): boolean {
  if (row.op.startsWith('VZERO') || X87_OPS.has(row.op) || SYSTEM_CALL_OPS.has(row.op)) return false;
  return row.forms.every(({ operands }) => !operands.some((kind) => /[vq]/.test(kind)));
}

function emittedRows(): TestedRow[] {
  return SEMANTIC_ROWS.filter(isInteger).map((row) => ({
    op: row.op,
    feature: row.feature,
    undefined: row.flags?.undefined ?? [],
    partial: 'nothing',
    forms: expandRow(row)
      .map(shapeOf)
      .flatMap((shape) => MODES.filter((mode) => existsIn(shape, mode)).map((mode) => ({ shape, mode }))),
  }));
}

export type Partial = 'nothing' | 'memory' | 'registers';

interface SystemRow {
  readonly op: string;
  readonly feature?: string;
  readonly bits?: Shape['bits'];
  readonly modes?: readonly Mode[];
  readonly undefined?: readonly StatusFlag[];
  readonly partial?: Partial;
  /** Texts to choose from, or none: a memory operand follows the mnemonic. */
  readonly texts?: readonly string[] | ((random: Random) => string);
}

const ABSOLUTE = (random: Random) => `ds:[${0x20_0000 + random.below(0x9000)}]`;

// biome-ignore format: rows are read as a table
const SYSTEM: readonly SystemRow[] = [
  { op: 'CMPXCHG8B', feature: 'CX8', bits: 64 },
  { op: 'CMPXCHG16B', feature: 'CMPXCHG16B', bits: 64, modes: [64] },
  { op: 'CLFLUSH', feature: 'CLFSH', bits: 8 },
  { op: 'ENTER', bits: 64, partial: 'memory', texts: (random) => `${random.pick(['', '', '.byte 0x66; '])}enter ${random.pick([0, 8, 100, 5000, 65535])}, ${random.pick([0, 1, 2, 3, 31, 32, 33])}` },
  { op: 'MOVABS', bits: 64, modes: [64], texts: (random) => `movabs ${random.pick(['al', 'ax', 'eax', 'rax'])}, ${ABSOLUTE(random)}` },
  { op: 'MOVABS', bits: 64, modes: [64], texts: (random) => `movabs ${ABSOLUTE(random)}, ${random.pick(['al', 'ax', 'eax', 'rax'])}` },
  { op: 'PUSHF', bits: 64, texts: ['pushf', '.byte 0x66; pushf'] },
  { op: 'POPF', bits: 64, texts: ['popf', '.byte 0x66; popf'] },
  { op: 'MOV SREG', bits: 16, texts: ['mov eax, ss', 'mov cx, ss', 'mov esi, cs', 'mov dx, cs'] },
  { op: 'AAA', modes: [32], texts: ['aaa'], undefined: ['OF', 'SF', 'ZF', 'PF'] },
  { op: 'AAS', modes: [32], texts: ['aas'], undefined: ['OF', 'SF', 'ZF', 'PF'] },
  { op: 'AAM', modes: [32], texts: (random) => `.byte 0xd4, ${random.pick([0, 1, 10, 10, 16, 255, random.below(256)])}`, undefined: ['OF', 'AF', 'CF'] },
  { op: 'AAD', modes: [32], texts: (random) => `.byte 0xd5, ${random.pick([0, 1, 10, 10, 16, 255, random.below(256)])}`, undefined: ['OF', 'AF', 'CF'] },
  { op: 'DAA', modes: [32], texts: ['daa'], undefined: ['OF'] },
  { op: 'DAS', modes: [32], texts: ['das'], undefined: ['OF'] },
  { op: 'SALC', modes: [32], texts: ['.byte 0xd6'] },
  { op: 'PUSHA', modes: [32], texts: ['pusha', '.byte 0x66; pusha'], partial: 'memory' },
  { op: 'POPA', modes: [32], texts: ['popa', '.byte 0x66; popa'], partial: 'registers' },
  { op: 'BOUND', modes: [32], bits: 32, texts: ['bound eax, [ebx]', 'bound cx, [esi+4]', 'bound edx, [edi*4]'] },
  { op: 'INTO', modes: [32], texts: ['into'] },
  { op: '#UD', modes: [64], texts: [
    'ud2', 'lock; .byte 0x01, 0xc8', 'lock; .byte 0x39, 0x03', 'lock; .byte 0x8b, 0x03', 'lock; .byte 0x0f, 0xa3, 0x03', 'lock; nop', 'lock; .byte 0x85, 0x03',
    '.byte 0x06', '.byte 0x27', '.byte 0x37', '.byte 0x60', '.byte 0x62, 0, 0', '.byte 0x82, 0xc0, 1', '.byte 0x9a', '.byte 0xce', '.byte 0xd6', '.byte 0xea',
    '.byte 0x0f, 0xff, 0xc0', '.byte 0x0f, 0x04', '.byte 0xc6, 0xc8, 0', '.byte 0xff, 0xf8', '.byte 0x8d, 0xc0', '.byte 0x0f, 0xc7, 0xc8',
  ] },
];

function systemRows(): TestedRow[] {
  return SYSTEM.map(
    ({
      op,
      feature,
      bits = 64,
      modes = MODES,
      undefined: undefinedFlags = [],
      partial = 'nothing',
      texts,
    }) => {
      const plain = { key: op, op, bits, operandBits: [bits], variant: undefined, modes };
      const shapesOf = (mode: Mode): Shape[] => {
        if (Array.isArray(texts)) return texts.map((text) => ({ ...plain, operands: [], text: () => text }));
        if (typeof texts === 'function') return [{ ...plain, operands: [], text: texts }];
        const operands: readonly Shape['operands'][] = mode === 64 ? [['b'], ['x'], ['p'], ['s']] : [['s']];
        return operands.map((kinds) => ({ ...plain, operands: kinds }));
      };
      const forms = modes.flatMap((mode) => shapesOf(mode).map((shape) => ({ shape, mode })));
      return { op, feature, undefined: undefinedFlags, partial, forms };
    },
  );
}

export function testedRows(): TestedRow[] {
  return [...emittedRows(), ...systemRows()];
}
