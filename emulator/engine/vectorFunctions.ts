/** What vector instructions call: the check that their state is enabled, and accesses that missed the TLB. */
import type { Cpu } from '../core/cpu.ts';
import type { VectorState } from '../isa/ir.ts';
import { SLOW, type Slow } from '../mmu/mmu.ts';
import { OFFSET } from '../state/layout.ts';
import { CR0, CR4, FLAG, VECTOR } from '../state/registers.ts';
import { pushField32 } from './stateFields.ts';
import type { FunctionBuilder } from './wasm/functionBuilder.ts';

const XCR0_SSE_AVX = 6;
/** The exception summary of the x87 status word. */
const SUMMARY = 0x80;

/** A field of the CPU state must have this value under the mask, or instructions raise the exception. */
interface Requirement {
  readonly field: number;
  readonly mask: number;
  readonly value: number;
  readonly vector: number;
}

const set = (field: number, mask: number): Requirement => ({ field, mask, value: mask, vector: VECTOR.UD });
const clear = (field: number, mask: number, vector: number = VECTOR.UD): Requirement => ({
  field,
  mask,
  value: 0,
  vector,
});
const NOT_SWITCHED = clear(OFFSET.CR0, CR0.TS, VECTOR.NM);

/**
 * In the order in which they are looked at.
 *
 * @see SDM "Enabling Intel SSE Extensions", tables 2-18 to 2-21 of volume 2; "Effects of MMX Instructions on x87 State"
 */
const REQUIREMENTS: Readonly<Record<VectorState, readonly Requirement[]>> = {
  mmx: [clear(OFFSET.CR0, CR0.EM), NOT_SWITCHED, clear(OFFSET.X87_STATUS, SUMMARY, VECTOR.MF)],
  sse: [clear(OFFSET.CR0, CR0.EM), set(OFFSET.CR4, CR4.OSFXSR), NOT_SWITCHED],
  avx: [
    set(OFFSET.CR4, CR4.OSXSAVE),
    set(OFFSET.XCR0, XCR0_SSE_AVX),
    set(OFFSET.CR0, CR0.PE),
    clear(OFFSET.RFLAGS, FLAG.VM),
    NOT_SWITCHED,
  ],
};

/** () -> vector of the exception that an instruction on this state is now, or 0. */
export function writeVectorFault(fn: FunctionBuilder, state: VectorState): void {
  const { code } = fn;
  for (const { field, mask, value, vector } of REQUIREMENTS[state]) {
    pushField32(fn, field);
    code.i32Const(mask).op('i32_and').i32Const(value).op('i32_ne');
    fn.if();
    code.i32Const(vector).op('return');
    fn.end();
  }
  code.i32Const(0);
}

/** Pushes a number that is not 0 where an instruction on this state raises an exception: in a translation a call costs more. */
export function pushVectorFault(fn: FunctionBuilder, state: VectorState): void {
  const { code } = fn;
  const byField = new Map<number, { mask: number; value: number }>();
  for (const { field, mask, value } of REQUIREMENTS[state]) {
    const others = byField.get(field) ?? { mask: 0, value: 0 };
    byField.set(field, { mask: others.mask | mask, value: others.value | value });
  }
  let first = true;
  for (const [field, { mask, value }] of byField) {
    pushField32(fn, field);
    code.i32Const(mask).op('i32_and');
    if (value !== 0) code.i32Const(value).op('i32_xor');
    if (!first) code.op('i32_or');
    first = false;
  }
}

/**
 * Accesses of 16 and 32 bytes through ACCESS_VECTOR, by the slow path's eight. Alignment checking is about operands of up to
 * 8 bytes.
 *
 * @see SDM "Exceptions Type 4", 2.4.4 of volume 2
 */
export class VectorAccess {
  readonly #cpu: Cpu;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
  }

  load(bytes: number): Slow {
    const { state, mmu } = this.#cpu;
    return this.#each(bytes, (at) => {
      const outcome = mmu.readSlow(8, false, 1);
      state.u64[(OFFSET.ACCESS_VECTOR + at) >> 3] = state.ACCESS_VALUE;
      return outcome;
    });
  }

  /** Nothing is written unless all bytes can be. */
  store(bytes: number): Slow {
    const { state, mmu } = this.#cpu;
    const first = state.ACCESS_ADDRESS;
    const inPage = 0x1000 - Number(first & 0xfffn);
    if (inPage < bytes) {
      if (mmu.probeSlow(inPage, true) === SLOW.FAULT) return SLOW.FAULT;
      state.ACCESS_ADDRESS = this.#address(first, inPage);
      if (mmu.probeSlow(bytes - inPage, true) === SLOW.FAULT) return SLOW.FAULT;
      state.ACCESS_ADDRESS = first;
    }
    return this.#each(bytes, (at) => {
      state.ACCESS_VALUE = state.u64[(OFFSET.ACCESS_VECTOR + at) >> 3] as bigint;
      return mmu.writeSlow(8, 1);
    });
  }

  #each(bytes: number, access: (at: number) => Slow): Slow {
    const { state } = this.#cpu;
    const first = state.ACCESS_ADDRESS;
    let result: Slow = SLOW.OK;
    for (let at = 0; at < bytes; at += 8) {
      state.ACCESS_ADDRESS = this.#address(first, at);
      const outcome = access(at);
      if (outcome === SLOW.FAULT) return outcome;
      if (outcome === SLOW.OK_CUT) result = outcome;
    }
    return result;
  }

  #address(first: bigint, at: number): bigint {
    return BigInt.asUintN(this.#cpu.state.in64BitMode ? 64 : 32, first + BigInt(at));
  }
}
