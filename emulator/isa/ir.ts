/**
 * What an instruction's semantics function builds: pure values and an ordered list of effects. The engine lowers it to
 * WebAssembly, once for the interpreter (operands read from the decoded record) and once for the translator (operands
 * constant, registers in locals). Nothing here knows either.
 *
 * Rules that the lowering relies on:
 * - values are pure: they may be computed late, never twice with different results (state that they read is captured
 *   before the first effect that changes it);
 * - every effect that can fault comes before the first effect that changes architectural state.
 */
import type { SimdOperation } from './vector/simd.ts';

export type Bits = 8 | 16 | 32 | 64;
export type ValueType = 'i32' | 'i64' | 'v128';
/** A register file of vectors: XMM and YMM registers, or MMX registers. */
export type VectorFile = 'ymm' | 'mmx';
/** What has to be enabled for an instruction: else it is #UD, #NM or #MF. */
export type VectorState = 'mmx' | 'sse' | 'avx';

/** Condition codes as encoded in Jcc, SETcc, CMOVcc. @see SDM "EFLAGS Condition Codes", appendix B of volume 1 */
export const CONDITIONS = [
  'O',
  'NO',
  'B',
  'AE',
  'E',
  'NE',
  'BE',
  'A',
  'S',
  'NS',
  'P',
  'NP',
  'L',
  'GE',
  'LE',
  'G',
] as const;

/** i64 operations that take two i64 and give one. */
export type Arithmetic64 =
  | 'i64_add'
  | 'i64_sub'
  | 'i64_mul'
  | 'i64_and'
  | 'i64_or'
  | 'i64_xor'
  | 'i64_shl'
  | 'i64_shr_u'
  | 'i64_shr_s'
  | 'i64_div_u'
  | 'i64_div_s'
  | 'i64_rem_u'
  | 'i64_rem_s'
  | 'i64_rotl'
  /** Of the low 32 bits; the rest of the result is zero. */
  | 'i32_rotl';
/** i64 comparisons: two i64 give an i32 that is 0 or 1. */
export type Compare64 = 'i64_eq' | 'i64_ne' | 'i64_lt_u' | 'i64_lt_s' | 'i64_ge_u' | 'i64_gt_u' | 'i64_le_u';
/** Operations on truth values. */
export type Logic32 = 'i32_and' | 'i32_or' | 'i32_xor' | 'i32_eq';
export type Unary =
  | 'i64_clz'
  | 'i64_ctz'
  | 'i64_popcnt'
  | 'i64_eqz'
  | 'i32_eqz'
  | 'i64_extend_i32_u'
  | 'i32_wrap_i64'
  | 'i64_extend8_s'
  | 'i64_extend16_s'
  | 'i64_extend32_s';

/** State that a value may read and an effect may change. `registers` in a write means: any of them. */
export type Cell =
  | 'flags'
  | 'system-flags'
  | `register-${number}`
  | 'registers'
  | `variable-${number}`
  | `vectors-${number}`
  | 'mmx';

/** Functions of the core module that semantics may call: pure, on 64-bit values. */
export type CoreFunction =
  | 'multiplyHighUnsigned'
  | 'multiplyHighSigned'
  | 'depositBits'
  | 'extractBits'
  | 'crc32';

/** Formats of memory operands of x87 instructions; the last ones are integers that are truncated whatever the rounding control. */
export const NARROW_KIND = {
  FLOAT32: 0,
  FLOAT64: 1,
  INTEGER16: 2,
  INTEGER32: 3,
  INTEGER64: 4,
  TRUNCATED16: 5,
  TRUNCATED32: 6,
  TRUNCATED64: 7,
  FLOAT80: 8,
} as const;

/** Functions of the core module that do the usual of an x87 instruction (engine/x87Functions.ts), or give 0. */
export type X87Function =
  | 'x87Push'
  | 'x87PushNarrow'
  | 'x87PushRegister'
  | 'x87Exchange'
  | 'x87Copy'
  | 'x87ChangeSign'
  | 'x87Move'
  | 'x87RoundToInteger'
  | `x87${'Add' | 'Subtract' | 'Multiply' | 'Divide' | 'Compare'}${'' | 'Narrow'}`
  | 'x87Convert'
  | 'x87Stored';

interface ValueBase {
  readonly type: ValueType;
  /** Bits from this position on are known to be zero (64 when nothing is known). */
  readonly width: number;
  /** Block in which it was made. */
  readonly block: Block;
  /** Place in the order in which values and effects were made: a value that reads state reads it as it was there. */
  readonly order: number;
  /** How often it is referenced, and the number of the last effect that does; filled by {@link countUses}. */
  uses: number;
  last: number;
  /** Lowering: the local that holds it (-1: none yet). */
  local: number;
}

export type Value = ValueBase &
  (
    | { readonly kind: 'constant'; readonly value: bigint }
    | {
        readonly kind: 'binary';
        readonly op: Arithmetic64 | Compare64 | Logic32;
        readonly a: Value;
        readonly b: Value;
      }
    | { readonly kind: 'unary'; readonly op: Unary; readonly a: Value }
    | { readonly kind: 'select'; readonly condition: Value; readonly a: Value; readonly b: Value }
    | { readonly kind: 'call'; readonly callee: CoreFunction; readonly args: readonly Value[] }
    /** A register operand (`operand` ≥ 0, number from the record) or a fixed register. */
    | {
        readonly kind: 'register';
        readonly operand: number;
        readonly register: number;
        readonly bits: Bits;
        readonly high: boolean;
      }
    /** An immediate of the instruction, sign-extended, masked to `width`. */
    | { readonly kind: 'immediate'; readonly bits: Bits }
    /** Offset of the memory operand, not truncated (64-bit addressing) or per record (general form). */
    | { readonly kind: 'address'; readonly operand: number }
    /** 8 times the number of a stack register operand of the x87 FPU. */
    | { readonly kind: 'stack-register'; readonly operand: number }
    /** RIP of this instruction. */
    | { readonly kind: 'rip' }
    /** RIP of the next instruction. */
    | { readonly kind: 'next-rip' }
    /** Ones where the address size has bits: from the record in the general form. */
    | { readonly kind: 'address-mask' }
    /** Ones where the stack pointer's size has bits. */
    | { readonly kind: 'stack-mask' }
    /** Whether a condition code holds. */
    | { readonly kind: 'condition'; readonly condition: number }
    /** The six arithmetic flags at their RFLAGS positions. */
    | { readonly kind: 'flags' }
    | { readonly kind: 'system-flags' }
    /** No emitted effect changes it. */
    | { readonly kind: 'cr0' }
    | { readonly kind: 'variable'; readonly variable: number }
    /** A field of the CPU state that no emitted effect changes after it was read. */
    | { readonly kind: 'field'; readonly offset: number; readonly bits: 32 | 64 }
    /** An operation on vectors, with its lane numbers or constant bytes. */
    | {
        readonly kind: 'simd';
        readonly op: SimdOperation;
        readonly args: readonly Value[];
        readonly bytes: readonly number[];
      }
    /** Bits 127:0 (half 0) or 255:128 of a vector register operand; an MMX register with zeros above. */
    | {
        readonly kind: 'vector-register';
        readonly operand: number;
        readonly file: VectorFile;
        readonly half: 0 | 1;
      }
    /** Result of an effect (a load, a checked address): always in a local. */
    | { readonly kind: 'result' }
  );

/** Which memory an access means. */
export type Where =
  /** A linear address in 64-bit mode or already checked. */
  | { readonly kind: 'linear'; readonly address: Value }
  /** Memory operand `operand` of the instruction, by its form. */
  | { readonly kind: 'operand'; readonly operand: number }
  /** Offset in a fixed segment, checked (legacy modes) or with the segment's base (64-bit mode). */
  | { readonly kind: 'segment'; readonly segment: number | 'operand'; readonly offset: Value };

export type FlagKind = 'sub' | 'add' | 'result' | 'flags';

export type Effect =
  | {
      readonly kind: 'load';
      readonly into: Value;
      readonly where: Where;
      readonly bits: Bits;
      readonly forWrite: Access | undefined;
    }
  | {
      readonly kind: 'store';
      readonly where: Where;
      readonly bits: Bits;
      readonly value: Value;
      readonly after: Access | undefined;
    }
  | {
      readonly kind: 'set-register';
      readonly operand: number;
      readonly register: number;
      readonly bits: Bits;
      readonly high: boolean;
      readonly value: Value;
    }
  | {
      readonly kind: 'set-flags';
      readonly flags: FlagKind;
      readonly bits: Bits;
      readonly a: Value;
      readonly b: Value;
    }
  /** 16 or 32 bytes; `aligned`: #GP(0) unless the address is a multiple of the size. */
  | {
      readonly kind: 'load-vector';
      readonly low: Value;
      readonly high: Value | undefined;
      readonly where: Where;
      readonly aligned: boolean;
    }
  | {
      readonly kind: 'store-vector';
      readonly low: Value;
      readonly high: Value | undefined;
      readonly where: Where;
      readonly aligned: boolean;
    }
  | {
      readonly kind: 'set-vector';
      readonly operand: number;
      readonly file: VectorFile;
      readonly half: 0 | 1;
      readonly value: Value;
    }
  | { readonly kind: 'set-field'; readonly offset: number; readonly bits: 32 | 64; readonly value: Value }
  /** Leaves with an exception unless instructions on this state are enabled. */
  | { readonly kind: 'require'; readonly state: VectorState }
  /** The usual of an x87 instruction; 0 into `into`: nothing has changed. */
  | {
      readonly kind: 'x87';
      readonly into: Value;
      readonly callee: X87Function;
      readonly args: readonly Value[];
    }
  | { readonly kind: 'set-system-flag'; readonly mask: number; readonly value: boolean }
  | { readonly kind: 'set-variable'; readonly variable: number; readonly value: Value }
  | {
      readonly kind: 'if';
      readonly condition: Value;
      readonly taken: Block;
      readonly otherwise: Block | undefined;
    }
  /** Leaves with an exception of that vector when the condition holds; a fault: nothing may have changed before. */
  | { readonly kind: 'raise'; readonly condition: Value; readonly vector: number }
  /** Ends the instruction: go on at the direct branch target, or at a computed RIP (`far`: in another context), or again. */
  | { readonly kind: 'jump' }
  | { readonly kind: 'jump-if'; readonly condition: Value }
  | { readonly kind: 'jump-to'; readonly rip: Value }
  | { readonly kind: 'jump-far'; readonly rip: Value }
  | { readonly kind: 'repeat-if'; readonly condition: Value }
  /**
   * Many iterations of a repeated string instruction at once, each an instruction of the budget, inside one page each that the
   * TLB knows: from `source`, or all `value`. `into`: how many were done, 0 where it is not as simple as that.
   */
  | {
      readonly kind: 'bulk';
      readonly into: Value;
      readonly bits: Bits;
      /** At most so many. */
      readonly count: Value;
      readonly destination: Value;
      readonly source: Value | undefined;
      readonly value: Value | undefined;
    }
  /** Ends the instruction: let the row's TypeScript function do all of it. */
  | { readonly kind: 'system' };

/** Links a read-modify-write's store to its load: the translation was checked for writing then. */
export interface Access {
  /** Locals of the memory offset that the load found and of the linear address; owned by the lowering. */
  offset: number;
  linear: number;
}

export interface Block {
  readonly depth: number;
  readonly effects: Effect[];
  /** Places of the effects in the order of {@link ValueBase.order}; an `if` stands before what is in its branches. */
  readonly orders: number[];
}

/** The values that an effect refers to directly. */
export function operandsOf(effect: Effect): readonly Value[] {
  switch (effect.kind) {
    case 'load':
      return valuesOf(effect.where);
    case 'store':
      return effect.after ? [effect.value] : [...valuesOf(effect.where), effect.value];
    case 'load-vector':
      return valuesOf(effect.where);
    case 'store-vector':
      return [...valuesOf(effect.where), effect.low, ...(effect.high ? [effect.high] : [])];
    case 'set-register':
    case 'set-variable':
    case 'set-vector':
    case 'set-field':
      return [effect.value];
    case 'set-flags':
      return [effect.a, effect.b];
    case 'if':
    case 'raise':
    case 'jump-if':
    case 'repeat-if':
      return [effect.condition];
    case 'bulk':
      return [effect.count, effect.destination, effect.source, effect.value].filter((v) => v !== undefined);
    case 'jump-to':
    case 'jump-far':
      return [effect.rip];
    case 'x87':
      return effect.args;
    default:
      return [];
  }
}

function valuesOf(where: Where): readonly Value[] {
  return where.kind === 'linear' ? [where.address] : where.kind === 'segment' ? [where.offset] : [];
}

/** The values that a value is computed from. */
export function partsOf(value: Value): readonly Value[] {
  switch (value.kind) {
    case 'binary':
      return [value.a, value.b];
    case 'unary':
      return [value.a];
    case 'select':
      return [value.a, value.b, value.condition];
    case 'call':
    case 'simd':
      return value.args;
    default:
      return [];
  }
}

/**
 * Counts references to every value reachable from the block's effects, and notes for each the last effect that needs
 * it. A value that is needed twice is computed at its first need, so its parts count there alone. Effects are numbered
 * in order, nested ones included; gives the next number.
 */
export function countUses(block: Block, first = 0): number {
  let number = first;
  for (const effect of block.effects) {
    for (const value of operandsOf(effect)) countValue(value, number);
    number++;
    if (effect.kind === 'if') {
      number = countUses(effect.taken, number);
      if (effect.otherwise) number = countUses(effect.otherwise, number);
    }
  }
  return number;
}

function countValue(value: Value, effect: number): void {
  value.last = effect;
  if (value.uses++ > 0) return;
  for (const part of partsOf(value)) countValue(part, effect);
}

/** The cell a leaf value reads, if its meaning can change during the instruction. */
export function cellOf(value: Value): Cell | undefined {
  switch (value.kind) {
    case 'register':
      return value.operand >= 0 ? 'registers' : `register-${value.register}`;
    case 'address':
      return 'registers';
    case 'condition':
    case 'flags':
      return 'flags';
    case 'system-flags':
      return 'system-flags';
    case 'variable':
      return `variable-${value.variable}`;
    case 'vector-register':
      return value.file === 'mmx' ? 'mmx' : `vectors-${value.half}`;
    default:
      return undefined;
  }
}
