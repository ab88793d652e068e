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
const FEW = 8;

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

/** Repeated, what many iterations upwards do at once: a copy, or a fill with RAX. */
type AtOnce = 'copy' | 'fill';

/** All iterations but the last, as far as they can be done at once. For a few it does not pay. */
function severalTimes(e: Emitter, atOnce: AtOnce): void {
  const count = e.register(RCX, 64);
  const up = e.isZero(e.and(e.systemFlags(), e.constant(FLAG.DF)));
  e.if(e.logic('i32_and', up, e.compare('i64_gt_u', count, e.constant(FEW))), () => {
    const [source, destination] = [e.register(RSI, 64), e.register(RDI, 64)];
    const from = atOnce === 'copy' ? { source } : { value: e.register(RAX) };
    const done = e.bulk(e.sub(count, e.constant(1)), destination, from);
    const bytes = e.shl(done, Math.log2(e.bits / 8));
    if (atOnce === 'copy') e.setRegister(RSI, e.add(source, bytes), 64);
    e.setRegister(RDI, e.add(destination, bytes), 64);
    e.setRegister(RCX, e.sub(count, done), 64);
  });
}

/** `body` is one iteration; with a repeat prefix RCX counts, and a compare may end it early. */
function repeated(repeat: Repeat, body: (e: Emitter) => void, atOnce: AtOnce | undefined) {
  return (e: Emitter): void => {
    if (repeat === 'none') {
      body(e);
      return;
    }
    e.if(e.isNotZero(e.and(e.register(RCX, 64), e.addressMask())), () => {
      if (e.spec.flat && atOnce !== undefined) severalTimes(e, atOnce);
      const all = e.register(RCX, 64);
      const left = e.and(e.sub(e.and(all, e.addressMask()), e.constant(1)), e.addressMask());
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

function rows(
  name: string,
  title: string,
  body: (e: Emitter) => void,
  compares: boolean,
  atOnce?: AtOnce,
): SemanticRow[] {
  const repeats: readonly Repeat[] = compares ? ['none', 'REPE', 'REPNE'] : ['none', 'REP'];
  return SIZES.flatMap(([letter, bits]) =>
    repeats.map(
      (repeat): SemanticRow => ({
        op: repeat === 'none' ? `${name}${letter}` : `${repeat} ${name}${letter}`,
        forms: [{ operands: [], bits: [bits] }],
        emit: repeated(repeat, body, atOnce),
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
  ...rows('MOVS', 'MOVS/MOVSB/MOVSW/MOVSD/MOVSQ—Move Data From String to String', movs, false, 'copy'),
  ...rows('STOS', 'STOS/STOSB/STOSW/STOSD/STOSQ—Store String', stos, false, 'fill'),
  ...rows('LODS', 'LODS/LODSB/LODSW/LODSD/LODSQ—Load String', lods, false),
  ...rows('SCAS', 'SCAS/SCASB/SCASW/SCASD—Scan String', scas, true),
  ...rows('CMPS', 'CMPS/CMPSB/CMPSW/CMPSD/CMPSQ—Compare String Operands', cmps, true),
];
