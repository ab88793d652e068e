/** The forms of vector instructions that are compared with the host's, from the emulator's rows. */
import { expandRow } from '../../../emulator/isa/forms.ts';
import { SEMANTIC_ROWS } from '../../../emulator/isa/rows.ts';
import { VECTOR_SYSTEM_ROWS } from '../../../emulator/isa/vector/rows.ts';

/** An operand by kind and size in bits. `implicit` XMM0 is written and not encoded. */
export interface VectorOperand {
  readonly kind: 'vector' | 'mmx' | 'general' | 'immediate' | 'memory' | 'xmm0';
  readonly bits: number;
  /** How a memory operand is written. */
  readonly addressing?: 'b' | 'x' | 'p' | 's';
}

export interface VectorForm {
  readonly op: string;
  readonly operands: readonly VectorOperand[];
  readonly feature: string;
}

const KINDS: Readonly<Record<string, VectorOperand['kind']>> = {
  v: 'vector', q: 'mmx', r: 'general', i: 'immediate', z: 'xmm0',
}; // biome-ignore format: in pairs

function operandOf(kind: string, bits: number): VectorOperand {
  const plain = KINDS[kind];
  if (plain !== undefined) return { kind: plain, bits };
  return { kind: 'memory', bits, addressing: kind as 'b' };
}

/** Instructions on the whole state: 512 bytes, or as many as AVX state needs. */
const STATE_FORMS = [
  ['EMMS', 'MMX', ''],
  ['FXSAVE', 'FXSR', 'm4096'],
  ['FXSAVE64', 'FXSR', 'm4096'],
  ['FXRSTOR', 'FXSR', 'm4096'],
  ['FXRSTOR64', 'FXSR', 'm4096'],
  ['XSAVE', 'XSAVE', 'm6656'],
  ['XSAVE64', 'XSAVE', 'm6656'],
  ['XSAVEOPT', 'XSAVEOPT', 'm6656'],
  ['XSAVEOPT64', 'XSAVEOPT', 'm6656'],
  ['XSAVEC', 'XSAVEC', 'm6656'],
  ['XSAVEC64', 'XSAVEC', 'm6656'],
  ['XRSTOR', 'XSAVE', 'm6656'],
  ['XRSTOR64', 'XSAVE', 'm6656'],
] as const;

/** Forms by mnemonic; those of rows that are emitted first. */
export function vectorForms(): Map<string, VectorForm[]> {
  const forms = new Map<string, VectorForm[]>();
  const add = (form: VectorForm) => {
    const known = forms.get(form.op);
    if (known) known.push(form);
    else forms.set(form.op, [form]);
  };
  for (const row of SEMANTIC_ROWS) {
    for (const { operands, operandBits, feature, flat } of expandRow(row)) {
      const clears = row.op.startsWith('VZERO');
      if (clears && !flat) continue;
      if (!clears && (!operands.some((kind) => kind === 'v' || kind === 'q') || operands.includes('h')))
        continue;
      add({
        op: row.op,
        operands: operands.map((kind, i) => operandOf(kind, operandBits[i] as number)),
        feature: feature ?? '',
      });
    }
  }
  for (const [op, feature, operands] of STATE_FORMS) {
    for (const choice of expand(operands)) add({ op, operands: choice, feature });
  }
  for (const { op, forms: texts } of VECTOR_SYSTEM_ROWS) {
    for (const { operands, feature } of texts) {
      for (const choice of expand(operands)) add({ op, operands: choice, feature });
    }
  }
  return forms;
}

/** `v128 vm64 i8`: `vm`, `rm`, `qm` are a register or memory; `rm8` and the like of a wider register too: `r32m8`. */
function expand(text: string): VectorOperand[][] {
  let all: VectorOperand[][] = [[]];
  for (const part of text.split(' ').filter((one) => one.length > 0)) {
    const match = /^([vqriz])?(\d+)?(?:(m)(\d+))?$/.exec(part) ?? /^([vqr])(m)(\d+)$/.exec(part);
    if (!match) throw new Error(`"${part}" is no operand`);
    const choices: VectorOperand[] = [];
    const both = /^([vqr])m(\d+)$/.exec(part);
    const mixed = /^([vqr])(\d+)m(\d+)$/.exec(part);
    if (both || mixed) {
      const kind = (both ?? mixed)?.[1] as string;
      const memory = Number(both ? both[2] : mixed?.[3]);
      const register = both ? (kind === 'v' ? Math.max(128, memory) : memory) : Number(mixed?.[2]);
      choices.push(operandOf(kind, register), operandOf('b', memory), operandOf('x', memory));
    } else if (part.startsWith('m')) {
      choices.push(operandOf('b', Number(part.slice(1))), operandOf('s', Number(part.slice(1))));
    } else {
      choices.push(operandOf(part[0] as string, Number(part.slice(1) || 128)));
    }
    all = all.flatMap((head) => choices.map((choice) => [...head, choice]));
  }
  return all;
}
