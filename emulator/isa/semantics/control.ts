/**
 * Near control transfer and the stack.
 *
 * @see SDM "Control Transfer Instructions", 5.1.7 of volume 1
 */
import { SDM } from '../../base/reference.ts';
import { OFFSET } from '../../state/layout.ts';
import { CS, RBP, RCX, RSP, SS, VECTOR } from '../../state/registers.ts';
import type { Emitter } from '../emitter.ts';
import type { Form, SemanticRow } from '../forms.ts';
import type { Bits, Value } from '../ir.ts';
import { CONDITIONS } from '../ir.ts';

/** Operand sizes outside 64-bit mode, of stack instructions in it, and of near branches in it. */
const LEGACY = [16, 32] as const;
const STACK_64 = [16, 64] as const;
const NEAR_64 = [64] as const;
const ZERO = 4;

/** RSP, ESP or SP moved by a number of bytes, cut to the stack pointer's size. */
function moved(e: Emitter, from: Value, by: number | Value): Value {
  return e.and(e.add(from, typeof by === 'number' ? e.constant(by) : by), e.stackMask());
}

function stackPointer(e: Emitter): Value {
  return e.and(e.register(RSP, 64), e.stackMask());
}

/** A 16-bit stack pointer leaves the rest of RSP alone. */
function setStackPointer(e: Emitter, pointer: Value): void {
  const kept = e.and(e.register(RSP, 64), e.xor(e.stackMask(), e.constant(-1n)));
  e.setRegister(RSP, e.or(kept, pointer), 64);
}

function push(e: Emitter, value: Value, bits: Bits): void {
  const pointer = moved(e, stackPointer(e), -bits / 8);
  e.store(e.inSegment(SS, pointer), bits, value);
  setStackPointer(e, pointer);
}

/** The value on top of the stack, and the stack pointer after it. */
function top(e: Emitter, bits: Bits): { value: Value; pointer: Value } {
  const pointer = stackPointer(e);
  return { value: e.load(e.inSegment(SS, pointer), bits), pointer: moved(e, pointer, bits / 8) };
}

/** POP to memory computes its address with RSP already incremented; only a base of RSP shows it. */
function pop(e: Emitter): void {
  const { value, pointer } = top(e, e.bits);
  if (e.isMemory(0)) {
    e.system();
    return;
  }
  setStackPointer(e, pointer);
  e.write(0, value);
}

/** The address with its unused bits as copies of the one below: itself when it is canonical. */
export function canonical(e: Emitter, address: Value): Value {
  const unused = e.field(OFFSET.UNUSED_ADDRESS_BITS, 64);
  return e.sar(e.shl(address, unused), unused);
}

function isBeyondLimit(e: Emitter, target: Value): Value {
  return e.compare('i64_gt_u', target, e.field(OFFSET.SEG_LIMIT + 4 * CS, 32));
}

/** #GP(0) for a target that is not canonical or, outside 64-bit mode, beyond the limit of CS. */
function checkTarget(e: Emitter, target: Value): void {
  if (e.bits < 64) {
    e.raiseIf(isBeyondLimit(e, target), VECTOR.GP);
    return;
  }
  e.raiseIf(e.compare('i64_ne', canonical(e, target), target), VECTOR.GP);
}

/**
 * The same for a direct branch, if it is taken. Only outside 64-bit mode: there a target that is not canonical is found when
 * it is fetched, as processors do.
 */
function checkDirectTarget(e: Emitter, taken?: Value): void {
  if (e.bits === 64) return;
  const beyond = isBeyondLimit(e, e.directTarget());
  e.raiseIf(taken === undefined ? beyond : e.logic('i32_and', taken, beyond), VECTOR.GP);
}

function jumpIf(e: Emitter, condition: Value): void {
  checkDirectTarget(e, condition);
  e.jumpIf(condition);
}

function call(e: Emitter): void {
  if (e.spec.operands[0] === 'j') {
    checkDirectTarget(e);
    push(e, e.nextRip(), e.bits);
    e.jump();
  } else {
    const target = e.read(0);
    checkTarget(e, target);
    push(e, e.nextRip(), e.bits);
    e.jumpTo(target);
  }
}

function ret(e: Emitter): void {
  const { value, pointer } = top(e, e.bits);
  checkTarget(e, value);
  setStackPointer(e, e.spec.operands.length === 0 ? pointer : moved(e, pointer, e.read(0)));
  e.jumpTo(value);
}

function jmp(e: Emitter): void {
  if (e.spec.operands[0] === 'j') {
    checkDirectTarget(e);
    e.jump();
    return;
  }
  const target = e.read(0);
  checkTarget(e, target);
  e.jumpTo(target);
}

function leave(e: Emitter): void {
  const frame = e.and(e.register(RBP, 64), e.stackMask());
  const saved = e.load(e.inSegment(SS, frame), e.bits);
  setStackPointer(e, moved(e, frame, e.bits / 8));
  e.setRegister(RBP, saved);
}

/** LOOP and JrCXZ count in CX, ECX or RCX by the address size. */
function counted(kind: 'LOOP' | 'LOOPE' | 'LOOPNE' | 'JCXZ') {
  return (e: Emitter): void => {
    const mask = e.addressMask();
    const all = e.register(RCX, 64);
    const count = e.and(all, mask);
    if (kind === 'JCXZ') {
      jumpIf(e, e.isZero(count));
      return;
    }
    const left = e.and(e.sub(count, e.constant(1)), mask);
    let again = e.isNotZero(left);
    if (kind !== 'LOOP') again = e.logic('i32_and', again, e.condition(kind === 'LOOPE' ? ZERO : ZERO + 1));
    checkDirectTarget(e, again);
    setCounter(e, RCX, all, left);
    e.jumpIf(again);
  };
}

/** Writes a register used by address size: 16 bits keep the rest, 32 bits clear it. */
export function setCounter(e: Emitter, register: number, old: Value, value: Value): void {
  if (e.spec.flat) {
    e.setRegister(register, value, 64);
    return;
  }
  const is16 = e.compare('i64_eq', e.addressMask(), e.constant(0xffff));
  const kept = e.select(is16, e.and(old, e.constant(~0xffffn)), e.constant(0));
  e.setRegister(register, e.or(kept, value), 64);
}

const NEAR: readonly Form[] = [
  { operands: ['j'], bits: LEGACY, in64: NEAR_64 },
  { operands: ['rm'], bits: LEGACY, in64: NEAR_64 },
];
const DIRECT: readonly Form[] = [{ operands: ['j'], bits: [16, 32, 64] }];
/** With an address size other than 64 bits, and so outside the flat variant, 64-bit mode has these too. */
const COUNTED: readonly Form[] = [{ operands: ['j'], bits: [16, 32, 64], in64: NEAR_64 }];

const conditionalJumps = CONDITIONS.map(
  (name, condition): SemanticRow => ({
    op: `J${name}`,
    forms: DIRECT,
    emit: (e) => jumpIf(e, e.condition(condition)),
    flags: { reads: true },
    ref: SDM('Jcc—Jump if Condition Is Met', 'vol. 2A'),
  }),
);

export const CONTROL_ROWS: readonly SemanticRow[] = [
  ...conditionalJumps,
  { op: 'JMP', forms: NEAR, emit: jmp, variants: 'mode', endsBlock: true, ref: SDM('JMP—Jump', 'vol. 2A') },
  {
    op: 'CALL',
    forms: NEAR,
    emit: call,
    variants: 'stack',
    endsBlock: true,
    ref: SDM('CALL—Call Procedure', 'vol. 2A'),
  },
  {
    op: 'RET',
    forms: [
      { operands: [], bits: LEGACY, in64: NEAR_64 },
      { operands: ['i'], bits: LEGACY, in64: NEAR_64 },
    ],
    emit: ret,
    variants: 'stack',
    endsBlock: true,
    ref: SDM('RET—Return From Procedure', 'vol. 2B'),
  },
  {
    op: 'PUSH',
    forms: [
      { operands: ['rm'], bits: LEGACY, in64: STACK_64 },
      { operands: ['i'], bits: LEGACY, in64: STACK_64 },
    ],
    emit: (e) => push(e, e.read(0), e.bits),
    variants: 'stack',
    ref: SDM('PUSH—Push Word, Doubleword, or Quadword Onto the Stack', 'vol. 2B'),
  },
  {
    op: 'POP',
    forms: [{ operands: ['rm'], bits: LEGACY, in64: STACK_64 }],
    emit: pop,
    variants: 'stack',
    ref: SDM('POP—Pop a Value From the Stack', 'vol. 2B'),
  },
  {
    op: 'LEAVE',
    forms: [{ operands: [], bits: LEGACY, in64: STACK_64 }],
    emit: leave,
    variants: 'stack',
    ref: SDM('LEAVE—High Level Procedure Exit', 'vol. 2A'),
  },
  {
    op: 'LOOP',
    forms: COUNTED,
    emit: counted('LOOP'),
    variants: 'string',
    ref: SDM('LOOP/LOOPcc—Loop According to ECX Counter', 'vol. 2A'),
  },
  {
    op: 'LOOPE',
    forms: COUNTED,
    emit: counted('LOOPE'),
    variants: 'string',
    flags: { reads: true },
    ref: SDM('LOOP/LOOPcc—Loop According to ECX Counter', 'vol. 2A'),
  },
  {
    op: 'LOOPNE',
    forms: COUNTED,
    emit: counted('LOOPNE'),
    variants: 'string',
    flags: { reads: true },
    ref: SDM('LOOP/LOOPcc—Loop According to ECX Counter', 'vol. 2A'),
  },
  {
    op: 'JCXZ',
    forms: COUNTED,
    emit: counted('JCXZ'),
    variants: 'string',
    ref: SDM('Jcc—Jump if Condition Is Met', 'vol. 2A'),
  },
];
