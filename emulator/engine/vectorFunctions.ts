/** What vector instructions call: the check that their state is enabled, and accesses that missed the TLB. */
import type { Cpu } from '../core/cpu.ts';
import type { VectorState } from '../isa/ir.ts';
import { SLOW, type Slow } from '../mmu/mmu.ts';
import { OFFSET } from '../state/layout.ts';
import { CR0, CR4, FLAG, VECTOR } from '../state/registers.ts';
import { pushField32 } from './lowering.ts';
import type { FunctionBuilder } from './wasm/functionBuilder.ts';

const XCR0_SSE_AVX = 6;
/** The exception summary of the x87 status word. */
const SUMMARY = 0x80;

/**
 * () -> vector of the exception that an instruction on this state is now, or 0.
 *
 * @see SDM "Enabling Intel SSE Extensions", tables 2-18 to 2-21 of volume 2; "Effects of MMX Instructions on x87 State"
 */
export function writeVectorFault(fn: FunctionBuilder, state: VectorState): void {
  const { code } = fn;
  const raiseUnless = (field: number, mask: number, value: number, vector: number) => {
    pushField32(fn, field);
    code.i32Const(mask).op('i32_and').i32Const(value).op('i32_ne');
    fn.if();
    code.i32Const(vector).op('return');
    fn.end();
  };
  if (state === 'avx') {
    raiseUnless(OFFSET.CR4, CR4.OSXSAVE, CR4.OSXSAVE, VECTOR.UD);
    raiseUnless(OFFSET.XCR0, XCR0_SSE_AVX, XCR0_SSE_AVX, VECTOR.UD);
    raiseUnless(OFFSET.CR0, CR0.PE, CR0.PE, VECTOR.UD);
    raiseUnless(OFFSET.RFLAGS, FLAG.VM, 0, VECTOR.UD);
  } else {
    raiseUnless(OFFSET.CR0, CR0.EM, 0, VECTOR.UD);
    if (state === 'sse') raiseUnless(OFFSET.CR4, CR4.OSFXSR, CR4.OSFXSR, VECTOR.UD);
  }
  raiseUnless(OFFSET.CR0, CR0.TS, 0, VECTOR.NM);
  if (state === 'mmx') raiseUnless(OFFSET.X87_STATUS, SUMMARY, 0, VECTOR.MF);
  code.i32Const(0);
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
