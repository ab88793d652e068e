/**
 * Rows of instructions, and their expansion into handlers. A row names operands by the manual's operand kinds; a
 * handler is one row for fixed sizes and one addressing form.
 */
import type { Reference } from '../base/reference.ts';
import type { Cpu } from '../core/cpu.ts';
import type { FeatureKey } from '../core/features.ts';
import type { Instruction } from '../core/instruction.ts';
import type { Outcome } from '../core/outcome.ts';
import type { Emitter } from './emitter.ts';
import type { Bits } from './ir.ts';

/**
 * Operand kinds of a row: `r` a general register, `m` memory, `rm` either, `i` an immediate, `c` the register CL,
 * `j` a direct near branch, `v` an XMM or YMM register, `q` an MMX register; `vm` and `qm` the register or memory; `t` a
 * register of the x87 FPU's stack.
 */
export type RowOperand = 'r' | 'm' | 'rm' | 'i' | 'c' | 'j' | 'v' | 'vm' | 'q' | 'qm' | 't';

/** Sizes of operands, vectors included. */
export type OperandBits = Bits | 80 | 128 | 256;

export interface Form {
  readonly operands: readonly RowOperand[];
  /** Operand sizes the form comes in. */
  readonly bits: readonly OperandBits[];
  /** Those of the handler for 64-bit mode where the row has one of its own; `bits` is then the rest. */
  readonly in64?: readonly Bits[];
  /** Sizes of the second operand where they differ from the first's. */
  readonly sourceBits?: readonly OperandBits[];
  /** Size of the immediate where it is not the operand size: counts and bit offsets. */
  readonly immediateBits?: Bits;
  /** Of every operand, where the rules above do not say. */
  readonly operandBits?: readonly OperandBits[];
  /** The feature of this form, where the row's others need less. */
  readonly feature?: FeatureKey;
  /** What a processor without this feature leaves to the row's function. */
  readonly onlyWith?: FeatureKey;
  /** Memory in the general form alone: what is not executed often enough for handlers of its own. */
  readonly general?: true;
}

export type StatusFlag = 'CF' | 'PF' | 'AF' | 'ZF' | 'SF' | 'OF';

/** For shifts and rotates: the flags that a masked count, not zero, leaves undefined. */
export type UndefinedByCount = (count: number, bits: Bits) => readonly StatusFlag[];

/** An instruction whose meaning is emitted into the interpreter and into translations. */
export interface SemanticRow {
  /** Mnemonic as the manual prints it; for strings and sign extensions without the size letter's ambiguity: `MOVSB`. */
  readonly op: string;
  readonly forms: readonly Form[];
  readonly emit: (e: Emitter) => void;
  /**
   * `mode`: the row comes as a handler for 64-bit mode and one for the rest.
   * `stack`: likewise; in the rest SS and the stack size apply.
   * `string`: likewise for flat 64-bit addressing against everything else.
   */
  readonly variants?: 'mode' | 'stack' | 'string';
  /** Control does not fall through to the next instruction's record. */
  readonly endsBlock?: boolean;
  /** What the arithmetic flags need and give; `partial` writes only some or only sometimes. */
  readonly flags?: {
    readonly reads?: boolean;
    readonly writes?: 'all' | 'partial';
    /** Flags that the manual leaves undefined: what is emitted for them is one processor's habit, and tests mask it. */
    readonly undefined?: readonly StatusFlag[] | UndefinedByCount;
  };
  /** A feature of CPUID without which the encoding means `without`, or is #UD. */
  readonly feature?: FeatureKey;
  readonly without?: string;
  /** The rest of the instruction, for the cases that `emit` hands over with `system()`. */
  readonly call?: (cpu: Cpu, instruction: Instruction) => Outcome;
  readonly ref: Reference;
}

/** An instruction that is a TypeScript function. */
export interface SystemRow {
  /**
   * Ticks that it takes beside the one of every instruction, where software waits with it: a loop around RDTSC, PAUSE or a
   * port then passes as much time as on a processor, with as few iterations.
   */
  readonly ticks?: number;
  readonly op: string;
  readonly call: (cpu: Cpu, instruction: Instruction) => Outcome;
  readonly feature?: string;
  readonly ref: Reference;
}

/**
 * Operand kinds of a handler. Memory comes as `b` [base + disp], `x` [base + index × scale + disp] and `p`
 * [RIP + disp], all flat with 64-bit addressing, and as `s`, the general form with segment and address size.
 */
export type HandlerOperand = 'r' | 'h' | 'b' | 'x' | 'p' | 's' | 'i' | 'c' | 'j' | 'v' | 'q' | 't';

export interface HandlerSpec {
  readonly key: string;
  readonly row: SemanticRow;
  readonly bits: OperandBits;
  readonly operands: readonly HandlerOperand[];
  readonly operandBits: readonly OperandBits[];
  readonly feature: FeatureKey | undefined;
  readonly onlyWith: FeatureKey | undefined;
  /** 64-bit mode (stack rows), flat 64-bit addressing (string rows). */
  readonly flat: boolean;
}

/** Key of a handler: `ADD.32.r32,b32`, `PUSH.64.r64:flat`. */
export function handlerKey(
  op: string,
  bits: OperandBits,
  operands: readonly HandlerOperand[],
  operandBits: readonly OperandBits[],
  variant: 'flat' | 'legacy' | undefined,
): string {
  let key = `${op}.${bits}.`;
  for (let i = 0; i < operands.length; i++) key += `${i > 0 ? ',' : ''}${operands[i]}${operandBits[i]}`;
  return variant === undefined ? key : `${key}:${variant}`;
}

const MEMORY_FORMS: readonly HandlerOperand[] = ['b', 'x', 'p', 's'];

/** All handlers of a row, in a fixed order. */
export function expandRow(row: SemanticRow): HandlerSpec[] {
  const specs = new Map<string, HandlerSpec>();
  const variants = row.variants === undefined ? [undefined] : (['flat', 'legacy'] as const);
  for (const form of row.forms) {
    for (const variant of variants) {
      for (const bits of (variant === 'flat' && form.in64) || form.bits) {
        for (const source of form.sourceBits ?? [bits]) addSpecs(specs, row, form, bits, source, variant);
      }
    }
  }
  return [...specs.values()];
}

function addSpecs(
  specs: Map<string, HandlerSpec>,
  row: SemanticRow,
  form: Form,
  bits: OperandBits,
  source: OperandBits,
  variant: 'flat' | 'legacy' | undefined,
): void {
  const nominalBits = form.operands.map((kind, i): OperandBits => {
    if (form.operandBits) return form.operandBits[i] as OperandBits;
    if (kind === 'c') return 8;
    if (kind === 'i') return form.immediateBits ?? bits;
    return i === 0 ? bits : source;
  });
  // Legacy modes have the general memory operand alone.
  const outside64 = variant === 'legacy' && row.variants !== 'string';
  for (const operands of expandOperands(form.operands, nominalBits)) {
    if (form.general && operands.some((kind) => kind === 'b' || kind === 'x' || kind === 'p')) continue;
    // 64-bit operands need a REX prefix, and beside one there is no AH, CH, DH or BH.
    if (operands.includes('h') && nominalBits.includes(64)) continue;
    if (outside64 && operands.some((kind) => kind === 'b' || kind === 'x' || kind === 'p')) continue;
    // Only memory is narrower than a vector register.
    const operandBits = nominalBits.map((size, i) =>
      operands[i] === 'v' && size < 128 ? 128 : operands[i] === 'q' ? 64 : operands[i] === 't' ? 80 : size,
    );
    const key = handlerKey(row.op, bits, operands, operandBits, variant);
    const feature = form.feature ?? row.feature;
    specs.set(key, {
      key,
      row,
      bits,
      operands,
      operandBits,
      feature,
      onlyWith: form.onlyWith,
      flat: variant === 'flat',
    });
  }
}

function expandOperands(kinds: readonly RowOperand[], bits: readonly OperandBits[]): HandlerOperand[][] {
  let all: HandlerOperand[][] = [[]];
  kinds.forEach((kind, i) => {
    const choices = choicesFor(kind, bits[i] as OperandBits);
    all = all.flatMap((head) => choices.map((choice) => [...head, choice]));
  });
  return all;
}

function choicesFor(kind: RowOperand, bits: OperandBits): readonly HandlerOperand[] {
  // A high-byte register matters to the translator alone, the interpreter sees a byte offset; it is its own form all
  // the same, so that both are generated from one list.
  const registers: readonly HandlerOperand[] = bits === 8 ? ['r', 'h'] : ['r'];
  switch (kind) {
    case 'r':
      return registers;
    case 'm':
      return MEMORY_FORMS;
    case 'rm':
      return [...registers, ...MEMORY_FORMS];
    case 'vm':
      return ['v', ...MEMORY_FORMS];
    case 'qm':
      return ['q', ...MEMORY_FORMS];
    default:
      return [kind];
  }
}
