/** Random x87 states and operands that favour the corners: every class of value, exponents that meet, ties. */
import type { Random } from '../support/random.ts';
import type { X87Form } from './x87Forms.ts';
import { MEMORY_BYTES, STATE_BYTES, type X87Case } from './x87Native.ts';

const INTEGER_BIT = 1n << 63n;

/** A significand with runs of ones and zeros: rounding carries, ties and sticky bits. */
function significand(random: Random, bits: number): bigint {
  const mask = (1n << BigInt(bits)) - 1n;
  switch (random.below(6)) {
    case 0:
      return 0n;
    case 1:
      return mask;
    case 2:
      return random.u64() & mask;
    case 3:
      return (mask << BigInt(random.below(bits))) & mask;
    case 4:
      return (1n << BigInt(random.below(bits))) & mask;
    default:
      return (random.u64() & mask & (mask << BigInt(random.below(bits)))) | BigInt(random.below(2));
  }
}

function float80(random: Random): bigint {
  const sign = BigInt(random.below(2)) << 79n;
  const fraction = significand(random, 63);
  const make = (exponent: number, value: bigint) => sign | (BigInt(exponent) << 64n) | value;
  switch (random.below(16)) {
    case 0:
      return make(0, 0n);
    case 1:
      return make(0x7fff, INTEGER_BIT);
    case 2:
      return make(0x7fff, INTEGER_BIT | fraction);
    case 3:
      return make(0, fraction);
    case 4:
      return make(0, INTEGER_BIT | fraction);
    case 5:
      return make(random.below(0x8000), fraction);
    case 6:
      return make(1 + random.below(80), INTEGER_BIT | fraction);
    case 7:
      return make(0x7ffe - random.below(80), INTEGER_BIT | fraction);
    case 8:
      return make(random.below(0x8000), INTEGER_BIT | fraction);
    case 9:
      // Around the limits of single and double precision.
      return make(
        16383 + random.pick([-1074, -1022, -149, -126, 127, 1023]) + random.below(5) - 2,
        INTEGER_BIT | fraction,
      );
    case 10:
      return make(16383 + random.below(66), INTEGER_BIT | fraction);
    default:
      return make(16383 - 8 + random.below(24), INTEGER_BIT | fraction);
  }
}

function narrow(random: Random, exponentBits: number, fractionBits: number): bigint {
  const sign = BigInt(random.below(2)) << BigInt(exponentBits + fractionBits);
  const fraction = significand(random, fractionBits);
  const maximum = 2 ** exponentBits - 1;
  const bias = maximum >> 1;
  const exponent = random.pick([
    0,
    0,
    1,
    maximum,
    maximum - 1,
    bias,
    bias + random.below(8),
    bias - random.below(8),
    random.below(maximum),
  ]);
  return sign | (BigInt(exponent) << BigInt(fractionBits)) | fraction;
}

function bcd(random: Random): bigint {
  let value = BigInt(random.below(2)) << 79n;
  const digits = random.below(19);
  for (let i = 0; i < digits; i++) value |= BigInt(random.below(10)) << BigInt(4 * i);
  return value;
}

function put(bytes: Uint8Array, at: number, size: number, value: bigint): void {
  for (let i = 0; i < size; i++) bytes[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
}

function controlWord(random: Random): number {
  const masks = random.below(2) === 0 ? 0x3f : random.below(64);
  return (
    masks | 0x40 | (random.pick([0, 2, 3, 3, 1]) << 8) | (random.below(4) << 10) | (random.below(2) << 12)
  );
}

/** A state as FRSTOR loads it; no exception is pending. `wide` has 32-bit items. */
function fpuState(random: Random, control: number, wide: boolean): Uint8Array {
  const bytes = new Uint8Array(STATE_BYTES);
  const unit = wide ? 4 : 2;
  let tags = 0;
  for (let i = 0; i < 8; i++) tags |= (random.below(6) === 0 ? 3 : random.below(3)) << (2 * i);
  if (random.below(2) === 0) tags |= 3 << (2 * random.below(8));
  const top = random.below(8);
  // A place to push to, more often than not.
  if (random.below(4) !== 0) tags |= 3 << (2 * ((top + 7) & 7));
  const flags = random.below(3) === 0 ? random.below(128) & (control | 0x40) : 0;
  const status = flags | (top << 11) | (random.below(8) << 8) | (random.below(2) << 14);
  [control, status, tags].forEach((word, i) => {
    put(bytes, i * unit, 2, BigInt(word));
  });
  for (let i = 0; i < 8; i++) put(bytes, 7 * unit + 10 * i, 10, float80(random));
  // Operands of similar size, or equal ones.
  if (random.below(8) === 0) bytes.copyWithin(7 * unit + 10, 7 * unit, 7 * unit + 10);
  return bytes;
}

/** The smallest integer of 16, 32 and 64 bits. */
const SMALLEST = 0x8000_0000_8000_8000n;

function memory(random: Random, form: X87Form): Uint8Array {
  const bytes = new Uint8Array(MEMORY_BYTES);
  for (let i = 0; i < 16; i++) bytes[i] = random.below(256);
  switch (form.memory) {
    case 'float32':
      put(bytes, 0, 4, narrow(random, 8, 23));
      break;
    case 'float64':
      put(bytes, 0, 8, narrow(random, 11, 52));
      break;
    case 'float80':
      put(bytes, 0, 10, float80(random));
      break;
    case 'int16':
    case 'int32':
    case 'int64':
      put(
        bytes,
        0,
        8,
        random.pick([random.u64(), SMALLEST, BigInt.asUintN(64, BigInt(random.below(5) - 2))]),
      );
      break;
    case 'bcd':
      put(bytes, 0, 10, bcd(random));
      break;
    case 'control':
      put(bytes, 0, 2, BigInt(controlWord(random)));
      break;
    case 'state':
      bytes.set(fpuState(random, controlWord(random), !form.text.startsWith('data16')));
      break;
  }
  return bytes;
}

const CF_PF_ZF = [0, 1, 4, 0x40, 0x41, 0x45, 0x8d5];

export function x87Case(random: Random, forms: readonly X87Form[], form: number): X87Case {
  return {
    form,
    flags: 0x202 | random.pick(CF_PF_ZF),
    state: fpuState(random, controlWord(random), true),
    memory: memory(random, forms[form] as X87Form),
  };
}

/** A state whose ST(0) and ST(1) suit the instruction, more often than not. */
export function transcendentalCase(random: Random, text: string, form: number): X87Case {
  const state = fpuState(random, controlWord(random), true);
  const sign = () => BigInt(random.below(2)) << 79n;
  const around = (exponent: number, spread: number): bigint =>
    sign() |
    (BigInt(exponent - random.below(spread)) << 64n) |
    INTEGER_BIT |
    (random.below(3) === 0 ? significand(random, 63) : random.u64() & (INTEGER_BIT - 1n));
  const first = (): bigint => {
    switch (text) {
      case 'f2xm1':
        return around(16382, 80);
      case 'fyl2xp1':
        // Up to 1 − √2/2.
        return around(16380, 80);
      case 'fyl2x':
        return around(16383 + 3, random.below(2) === 0 ? 6 : 16000) & ((1n << 79n) - 1n);
      case 'fpatan':
        return around(16383 + 20, 40);
      default:
        return around(16383 + (random.below(4) === 0 ? 64 : 3), 70);
    }
  };
  if (random.below(8) !== 0) put(state, 28, 10, first());
  if (random.below(4) !== 0) put(state, 38, 10, around(16383 + 20, 40));
  return { form, flags: 0x202, state, memory: new Uint8Array(MEMORY_BYTES) };
}
