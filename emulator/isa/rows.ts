/** All instructions whose meaning is emitted, and their handlers in a fixed order. */
import type { HandlerSpec, SemanticRow } from './forms.ts';
import { expandRow } from './forms.ts';
import { ARITHMETIC_ROWS } from './semantics/arithmetic.ts';
import { BIT_MANIPULATION_ROWS } from './semantics/bitManipulation.ts';
import { BIT_ROWS } from './semantics/bits.ts';
import { CONTROL_ROWS } from './semantics/control.ts';
import { FLAG_ROWS } from './semantics/flagControl.ts';
import { MOVE_ROWS } from './semantics/moves.ts';
import { MULTIPLY_ROWS } from './semantics/multiply.ts';
import { SHIFT_ROWS } from './semantics/shifts.ts';
import { STRING_ROWS } from './semantics/strings.ts';
import { SYSTEM_CALL_ROWS } from './semantics/systemCalls.ts';
import { AES_ROWS } from './vector/aes.ts';
import { FAST_ROWS } from './vector/fastConvert.ts';
import { VECTOR_INTEGER_ROWS } from './vector/integer.ts';
import { VECTOR_MOVE_ROWS } from './vector/moves.ts';
import { VECTOR_SHUFFLE_ROWS } from './vector/shuffles.ts';
import { FAST_X87_ROWS } from './x87/fast.ts';

export const SEMANTIC_ROWS: readonly SemanticRow[] = [
  ...ARITHMETIC_ROWS,
  ...MOVE_ROWS,
  ...SHIFT_ROWS,
  ...MULTIPLY_ROWS,
  ...BIT_ROWS,
  ...BIT_MANIPULATION_ROWS,
  ...CONTROL_ROWS,
  ...SYSTEM_CALL_ROWS,
  ...STRING_ROWS,
  ...FLAG_ROWS,
  ...VECTOR_MOVE_ROWS,
  ...VECTOR_INTEGER_ROWS,
  ...VECTOR_SHUFFLE_ROWS,
  ...FAST_ROWS,
  ...AES_ROWS,
  ...FAST_X87_ROWS,
];

/**
 * Handlers that stand in the interpreter's one big switch; all others are functions behind a table. A switch slows
 * down as it grows, so this is what compiled 64-bit code executes most: see docs/architecture.md.
 */
const HOT = [
  /^(ADD|SUB|CMP|AND|OR|XOR)\.(32|64)\.(r\d+,r\d+|r\d+,[bxp]\d+|r\d+,i\d+)$/,
  /^(ADD|SUB|CMP|AND|OR|XOR)\.(32|64)\.([bxp])\d+,[ri]\d+$/,
  /^(CMP|TEST|AND|OR|XOR|SUB|ADD)\.8\.r8,[ri]8$/,
  /^(CMP|TEST)\.8\.[bx]8,[ri]8$/,
  /^(TEST)\.(32|64)\.r\d+,[ri]\d+$/,
  /^MOV\.(32|64)\.(r\d+,[rbxpi]\d+|[bxp]\d+,[ri]\d+)$/,
  /^MOV\.8\.(r8,[rbxi]8|[bx]8,[ri]8)$/,
  /^(MOVZX|MOVSX)\.(32|64)\.r\d+,[rbx](8|16)$/,
  /^MOVSXD\.64\.r64,[rbx]32$/,
  /^LEA\.(32|64)\.r\d+,[bxp]\d+$/,
  /^(SHL|SHR|SAR|ROL|ROR)\.(32|64)\.r\d+,[ic]8$/,
  /^(INC|DEC|NEG|NOT)\.(32|64)\.r\d+$/,
  /^(INC|DEC)\.(32|64)\.b\d+$/,
  /^IMUL\.(32|64)\.r\d+,[rb]\d+(,i\d+)?$/,
  /^(MUL|DIV|IDIV)\.(32|64)\.r\d+$/,
  /^J[A-Z]+\.64\.j64$/,
  /^(JMP|CALL)\.64\.[jrbx]64(:flat)?$/,
  /^(RET|LEAVE)\.64\.:flat$/,
  /^(PUSH|POP)\.64\.[ri]64:flat$/,
  /^PUSH\.64\.b64:flat$/,
  /^CMOV[A-Z]+\.(32|64)\.r\d+,r\d+$/,
  /^SET[A-Z]+\.8\.r8$/,
  /^(CDQE|CQO|CDQ)\./,
  /^NOP\./,
  /^(REP )?(MOVS|STOS)[BWDQ]\.\d+\.:flat$/,
];

/** One expression, made once: every start of the machine asks it thousands of times. */
const isHot = new RegExp(HOT.map(({ source }) => source).join('|'));
const [hot, others] = partition(SEMANTIC_ROWS.flatMap(expandRow));

/** Every handler: the hot ones first. The index here plus the pseudo handlers is the number in a record. */
export const HANDLERS: readonly HandlerSpec[] = [...hot, ...others];
export const HOT_HANDLER_COUNT = hot.length;

function partition(specs: readonly HandlerSpec[]): [HandlerSpec[], HandlerSpec[]] {
  const parts: [HandlerSpec[], HandlerSpec[]] = [[], []];
  for (const spec of specs) parts[isHot.test(spec.key) ? 0 : 1].push(spec);
  return parts;
}
