/** Vector state between a case's bytes and the emulator: see batch.ts for their order. */
import type { CpuState } from '../../../emulator/state/cpuState.ts';
import { OFFSET } from '../../../emulator/state/layout.ts';
import { VECTOR_BYTES } from './batch.ts';

const YMM_BYTES = 16 * 32;
export const PLACE = {
  MXCSR: YMM_BYTES,
  CONTROL: YMM_BYTES + 8,
  STATUS: YMM_BYTES + 16,
  TAG: YMM_BYTES + 24,
  ST: YMM_BYTES + 32,
} as const;
const EMPTY = 3;

/** ST registers count from TOP, the abridged tags from register 0. */
export function loadVectors(state: CpuState, vectors: Uint8Array): void {
  const view = new DataView(vectors.buffer, vectors.byteOffset);
  state.u8.set(vectors.subarray(0, YMM_BYTES), OFFSET.YMM);
  state.MXCSR = view.getUint32(PLACE.MXCSR, true);
  state.X87_CONTROL = view.getUint16(PLACE.CONTROL, true);
  state.X87_STATUS = view.getUint16(PLACE.STATUS, true);
  const top = (state.X87_STATUS >> 11) & 7;
  let tags = 0;
  for (let i = 0; i < 8; i++) {
    const register = (top + i) & 7;
    const significand = view.getBigUint64(PLACE.ST + 16 * i, true);
    const exponent = view.getUint16(PLACE.ST + 16 * i + 8, true);
    state.u64[(OFFSET.X87_SIGNIFICAND >> 3) + register] = significand;
    state.u32[(OFFSET.X87_EXPONENT >> 2) + register] = exponent;
    const valid = (view.getUint8(PLACE.TAG) >> register) & 1;
    tags |= (valid ? fullTag(exponent & 0x7fff, significand) : EMPTY) << (2 * register);
  }
  state.X87_TAG = tags;
}

function fullTag(exponent: number, significand: bigint): number {
  if (exponent === 0 && significand === 0n) return 1;
  return exponent !== 0 && exponent !== 0x7fff && significand >> 63n === 1n ? 0 : 2;
}

export function storedVectors(state: CpuState): Uint8Array {
  const vectors = new Uint8Array(VECTOR_BYTES);
  const view = new DataView(vectors.buffer);
  vectors.set(state.u8.subarray(OFFSET.YMM, OFFSET.YMM + YMM_BYTES));
  view.setUint32(PLACE.MXCSR, state.MXCSR, true);
  view.setUint16(PLACE.CONTROL, state.X87_CONTROL, true);
  view.setUint16(PLACE.STATUS, state.X87_STATUS, true);
  const top = (state.X87_STATUS >> 11) & 7;
  let valid = 0;
  for (let i = 0; i < 8; i++) {
    const register = (top + i) & 7;
    view.setBigUint64(PLACE.ST + 16 * i, state.u64[(OFFSET.X87_SIGNIFICAND >> 3) + register] as bigint, true);
    view.setUint16(PLACE.ST + 16 * i + 8, state.u32[(OFFSET.X87_EXPONENT >> 2) + register] as number, true);
    if (((state.X87_TAG >> (2 * register)) & 3) !== EMPTY) valid |= 1 << register;
  }
  view.setUint8(PLACE.TAG, valid);
  return vectors;
}
