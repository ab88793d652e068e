/**
 * String instructions. One execution of a handler is one iteration: a tick, and a point where interrupts are taken.
 *
 * @see SDM "String Operations", 7.3.9 of volume 1
 */
import { SDM } from '../../base/reference.ts';
import { ES, FLAG, RAX, RCX, RDI, RSI } from '../../state/registers.ts';
import type { Emitter } from '../emitter.ts';
import type { SemanticRow } from '../forms.ts';
import type { Bits, Value } from '../ir.ts';
import { setCounter } from './control.ts';

type Repeat = 'none' | 'REP' | 'REPE' | 'REPNE';
const ZERO = 4;

interface Step {
  /** The register cut to the address size. */
  readonly at: Value;
  advance(): void;
}

/** RSI or RDI, and its move by one element in the direction that DF says. */
function pointer(e: Emitter, register: number): Step {
  const all = e.register(register, 64);
  const at = e.and(all, e.addressMask());
  const bytes = e.bits / 8;
  const down = e.isNotZero(e.and(e.systemFlags(), e.constant(FLAG.DF)));
  const next = e.and(e.add(at, e.select(down, e.constant(-bytes), e.constant(bytes))), e.addressMask());
  return { at, advance: () => setCounter(e, register, all, next) };
}

/** `body` is one iteration; with a repeat prefix RCX counts, and a compare may end it early. */
function repeated(repeat: Repeat, body: (e: Emitter) => void) {
  return (e: Emitter): void => {
    if (repeat === 'none') {
      body(e);
      return;
    }
    const all = e.register(RCX, 64);
    const count = e.and(all, e.addressMask());
    const left = e.and(e.sub(count, e.constant(1)), e.addressMask());
    e.if(e.isNotZero(count), () => {
      body(e);
      setCounter(e, RCX, all, left);
      let again = e.isNotZero(left);
      if (repeat !== 'REP')
        again = e.logic('i32_and', again, e.condition(repeat === 'REPE' ? ZERO : ZERO + 1));
      e.repeatIf(again);
    });
  };
}

function movs(e: Emitter): void {
  const source = pointer(e, RSI);
  const destination = pointer(e, RDI);
  const value = e.load(e.inSegment('operand', source.at), e.bits);
  e.store(e.inSegment(ES, destination.at), e.bits, value);
  source.advance();
  destination.advance();
}

function stos(e: Emitter): void {
  const destination = pointer(e, RDI);
  e.store(e.inSegment(ES, destination.at), e.bits, e.register(RAX));
  destination.advance();
}

function lods(e: Emitter): void {
  const source = pointer(e, RSI);
  const value = e.load(e.inSegment('operand', source.at), e.bits);
  e.setRegister(RAX, value);
  source.advance();
}

function scas(e: Emitter): void {
  const destination = pointer(e, RDI);
  const value = e.load(e.inSegment(ES, destination.at), e.bits);
  e.flagsOfSub(e.register(RAX), value);
  destination.advance();
}

function cmps(e: Emitter): void {
  const source = pointer(e, RSI);
  const destination = pointer(e, RDI);
  const a = e.load(e.inSegment('operand', source.at), e.bits);
  const b = e.load(e.inSegment(ES, destination.at), e.bits);
  e.flagsOfSub(a, b);
  source.advance();
  destination.advance();
}

const SIZES: readonly (readonly [string, Bits])[] = [
  ['B', 8],
  ['W', 16],
  ['D', 32],
  ['Q', 64],
];

function rows(name: string, title: string, body: (e: Emitter) => void, compares: boolean): SemanticRow[] {
  const repeats: readonly Repeat[] = compares ? ['none', 'REPE', 'REPNE'] : ['none', 'REP'];
  return SIZES.flatMap(([letter, bits]) =>
    repeats.map(
      (repeat): SemanticRow => ({
        op: repeat === 'none' ? `${name}${letter}` : `${repeat} ${name}${letter}`,
        forms: [{ operands: [], bits: [bits] }],
        emit: repeated(repeat, body),
        variants: 'string',
        ...(compares
          ? { flags: { reads: repeat !== 'none', writes: repeat === 'none' ? 'all' : 'partial' } as const }
          : {}),
        ref: SDM(title, 'vol. 2'),
      }),
    ),
  );
}

export const STRING_ROWS: readonly SemanticRow[] = [
  ...rows('MOVS', 'MOVS/MOVSB/MOVSW/MOVSD/MOVSQ—Move Data From String to String', movs, false),
  ...rows('STOS', 'STOS/STOSB/STOSW/STOSD/STOSQ—Store String', stos, false),
  ...rows('LODS', 'LODS/LODSB/LODSW/LODSD/LODSQ—Load String', lods, false),
  ...rows('SCAS', 'SCAS/SCASB/SCASW/SCASD—Scan String', scas, true),
  ...rows('CMPS', 'CMPS/CMPSB/CMPSW/CMPSD/CMPSQ—Compare String Operands', cmps, true),
];
