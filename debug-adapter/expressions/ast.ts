/**
 * The syntax tree of a debugger expression. It is plain data: a condition travels to the machine's thread as a tree
 * in which the names of symbols are already replaced by what they mean.
 *
 *     rax + 0x10        $rax             vmcs.guest_rip      msr.ia32_efer      rflags.zf
 *     [rsp + 8]:8       *(u32*)buffer    [gpa:cr3]:8         (i16)ax < 0        cr0.pg && cpl == 3
 */
import type { TypeNamespace } from '../symbols/program.ts';
import type { ScalarType } from './values.ts';

/** Address spaces an expression can name: `gpa:0x1000`. */
export const SPACE_PREFIXES = {
  va: 'linear',
  gpa: 'guest-physical',
  hpa: 'host-physical',
  io: 'io',
  msr: 'msr',
} as const;

export type SpaceName = keyof typeof SPACE_PREFIXES;
export type ExpressionSpace = (typeof SPACE_PREFIXES)[SpaceName];

export type UnaryOperator = '+' | '-' | '~' | '!' | '*' | '&';

export type BinaryOperator =
  | '||'
  | '&&'
  | '|'
  | '^'
  | '&'
  | '=='
  | '!='
  | '<'
  | '<='
  | '>'
  | '>='
  | '<<'
  | '>>'
  | '+'
  | '-'
  | '*'
  | '/'
  | '%';

/** A type as written in a cast: a scalar, and how many `*` follow it. */
export interface TypeName {
  readonly scalar: ScalarType;
  readonly pointers: number;
}

/** `struct foo *` (namespace `record`), `enum e`, `foo_t *` (namespace `any`). */
export interface ProgramTypeName {
  readonly name: string;
  readonly namespace: TypeNamespace;
  readonly pointers: number;
}

/** Where the node begins in the text, for messages. */
interface At {
  readonly offset: number;
}

export type Expression =
  | ({ readonly kind: 'number'; readonly value: bigint } & At)
  /** `$rax` (`register` set) or a bare name. */
  | ({ readonly kind: 'name'; readonly name: string; readonly register: boolean } & At)
  /** What a symbol's name became: the address of something whose type is not known. */
  | ({ readonly kind: 'symbol'; readonly name: string; readonly address: bigint } & At)
  | ({ readonly kind: 'member'; readonly object: Expression; readonly member: string } & At)
  | ({ readonly kind: 'index'; readonly object: Expression; readonly index: Expression } & At)
  | ({ readonly kind: 'unary'; readonly operator: UnaryOperator; readonly operand: Expression } & At)
  | ({
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
    } & At)
  | ({
      readonly kind: 'conditional';
      readonly test: Expression;
      readonly whenTrue: Expression;
      readonly whenFalse: Expression;
    } & At)
  | ({ readonly kind: 'cast'; readonly type: TypeName; readonly operand: Expression } & At)
  /** A cast to a type of the program, which only {@link bind} knows. */
  | ({ readonly kind: 'programCast'; readonly operand: Expression } & ProgramTypeName & At)
  | ({
      readonly kind: 'sizeof';
      /** One of these: a value, a type of ours, a type of the program. */
      readonly operand?: Expression;
      readonly scalar?: TypeName;
      readonly type?: ProgramTypeName;
    } & At)
  /** Bits of a value, read as a type: a bit-field, or a variable in a register. */
  | ({
      readonly kind: 'bits';
      readonly operand: Expression;
      readonly shift: number;
      readonly bits: number;
      readonly type: ScalarType;
    } & At)
  /** `[address]:size` */
  | ({ readonly kind: 'memory'; readonly address: Expression; readonly size: number } & At)
  /** `gpa:address`, `L1.va:address` */
  | ({
      readonly kind: 'space';
      readonly space: ExpressionSpace;
      readonly level: number | undefined;
      readonly operand: Expression;
    } & At);

/** Names before a `.` that mean the machine's own: `vmcs.guest_rip`, `msr.ia32_efer`, whatever the program calls so. */
export function isFamily(name: string): name is 'vmcs' | 'msr' {
  return name === 'vmcs' || name === 'msr';
}
