/** The WebAssembly functions of x87 arithmetic against the soft float. */
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../test/support/random.ts';
import { add, type BinaryOperation, divide, multiply, subtract } from '../isa/softfloat/arithmetic.ts';
import {
  BIAS,
  classify,
  type Float80,
  float80,
  INTEGER_BIT,
  type Sign,
  zero,
} from '../isa/softfloat/float80.ts';
import type { FloatControl, Rounding } from '../isa/softfloat/rounding.ts';
import { EXCEPTION } from '../isa/softfloat/rounding.ts';
import { STATUS, tagOf } from '../isa/x87/fpu.ts';
import { CpuState } from '../state/cpuState.ts';
import { OFFSET, RAM_OFFSET } from '../state/layout.ts';
import { HOST_IMPORTS } from './coreFunctions.ts';
import { generateInterpreter } from './interpreter.ts';
import { MEMORY_IMPORT } from './translations.ts';

const ALL_MASKED = 0x3f;
const PRECISIONS = { 24: 0, 53: 2, 64: 3 } as const;

type Function87 = (first: bigint, second: bigint, to: bigint, pops: bigint, rip: bigint) => bigint;

const memory = new WebAssembly.Memory({ initial: Math.ceil(RAM_OFFSET / 65536), maximum: 65536 });
const state = new CpuState(memory);
let functions: Record<string, Function87>;

/** Runs of ones and zeros: carries, ties, cancellation. */
function significand(random: Random): bigint {
  const ones = (1n << 64n) - 1n;
  const at = BigInt(random.below(64));
  const low = BigInt(random.below(3));
  const shapes = [random.u64(), ones << at, 1n << at, (ones >> at) + low, random.u64() & (ones << at)];
  return BigInt.asUintN(64, INTEGER_BIT | random.pick(shapes));
}

function operand(random: Random): Float80 {
  const sign = random.below(2) as Sign;
  if (random.below(12) === 0) return zero(sign);
  const spread = random.pick([1, 3, 70, 140, 0x7ff0]);
  const exponent = spread === 0x7ff0 ? 1 + random.below(0x7ffe) : BIAS + random.below(spread);
  return float80(sign, exponent, significand(random));
}

function put(register: number, value: Float80): void {
  state.u32[(OFFSET.X87_EXPONENT >> 2) + register] = (value.sign << 15) | value.exponent;
  state.u64[(OFFSET.X87_SIGNIFICAND >> 3) + register] = value.significand;
  state.X87_TAG = (state.X87_TAG & ~(3 << (2 * register))) | (tagOf(value) << (2 * register));
}

/** What the function makes of the operands; undefined where it hands over. */
function compute(name: string, a: Float80, b: Float80, control: FloatControl): object | undefined {
  state.X87_CONTROL = control.masks | (PRECISIONS[control.precision] << 8) | (control.rounding << 10);
  state.X87_STATUS = STATUS.C1;
  state.X87_TAG = 0xffff;
  put(0, a);
  put(1, b);
  if ((functions[name] as Function87)(0n, 8n, 0n, 0n, 0n) === 0n) return undefined;
  const top = state.u32[OFFSET.X87_EXPONENT >> 2] as number;
  const value = float80((top >> 15) as Sign, top & 0x7fff, state.u64[OFFSET.X87_SIGNIFICAND >> 3] as bigint);
  const flags = state.X87_STATUS & ALL_MASKED;
  return { value, flags, roundedUp: (state.X87_STATUS & STATUS.C1) !== 0, tag: state.X87_TAG & 3 };
}

describe('arithmetic in WebAssembly', () => {
  beforeAll(() => {
    const module = new WebAssembly.Module(generateInterpreter(MEMORY_IMPORT));
    const host = Object.fromEntries(Object.keys(HOST_IMPORTS).map((name) => [name, () => 0]));
    const { exports } = new WebAssembly.Instance(module, { env: { ...host, memory } });
    functions = exports as unknown as typeof functions;
  });

  const operations: readonly (readonly [string, BinaryOperation])[] = [
    ['x87Add', add],
    ['x87Subtract', subtract],
    ['x87Multiply', multiply],
    ['x87Divide', divide],
  ];

  it.each(operations)('%s gives the soft float’s result, flags and C1, or nothing', (name, operation) => {
    const random = new Random(80);
    let done = 0;
    for (let i = 0; i < 20_000; i++) {
      const control: FloatControl = {
        precision: random.pick([64, 64, 53, 24] as const),
        rounding: (random.below(2) === 0 ? 0 : random.below(4)) as Rounding,
        masks: ALL_MASKED,
      };
      const [a, b] = [operand(random), operand(random)];
      const result = compute(name, a, b, control);
      if (result === undefined) continue;
      done++;
      const wanted = operation(a, b, control);
      expect({ a, b, control, ...result }).toEqual({ a, b, control, ...wanted, tag: tagOf(wanted.value) });
      expect(wanted.flags & ~EXCEPTION.PRECISION).toBe(0);
      expect(['normal', 'zero']).toContain(classify(wanted.value));
    }
    expect(done).toBeGreaterThan(15_000);
  });

  it('hands over what is not masked, not there or not plain', () => {
    const one = float80(0, BIAS, INTEGER_BIT);
    const control: FloatControl = { precision: 64, rounding: 0, masks: ALL_MASKED };
    expect(compute('x87Add', one, one, control)).toBeDefined();
    expect(
      compute('x87Add', one, one, { ...control, masks: ALL_MASKED & ~EXCEPTION.PRECISION }),
    ).toBeUndefined();
    expect(compute('x87Divide', one, zero(0), control)).toBeUndefined();
    for (const exponent of [0, 0x7fff]) {
      expect(compute('x87Add', one, float80(0, exponent, INTEGER_BIT), control)).toBeUndefined();
    }
    expect(compute('x87Add', one, float80(0, BIAS, 1n), control)).toBeUndefined();
    const largest = float80(0, 0x7ffe, INTEGER_BIT);
    expect(compute('x87Multiply', largest, largest, control)).toBeUndefined();
    const least = float80(0, 1, INTEGER_BIT);
    expect(compute('x87Multiply', least, least, control)).toBeUndefined();
  });
});
