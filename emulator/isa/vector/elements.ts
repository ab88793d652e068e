/**
 * Single elements, selections by a register's bits, masked and gathered memory accesses, and the integer instructions that no
 * operation of WebAssembly is near to.
 *
 * Intel SDM Vol. 1, "SSE4.1 Instruction Set", 12.8 to 12.10; "Intel AVX2", 14.6; Vol. 2, the pages of the instructions.
 */
import { SDM } from '../../base/reference.ts';
import type { FeatureKey } from '../../core/features.ts';
import { linearAddress, privilegeOf } from '../../core/memory.ts';
import { OFFSET } from '../../state/layout.ts';
import { Lanes, type VectorBody, type VectorExecution } from './execute.ts';
import { type VectorForm, type VectorSystemRow, vectorRow } from './systemForms.ts';

const A = new Lanes();
const B = new Lanes();
const C = new Lanes();
const R = new Lanes();

type Size = 8 | 16 | 32 | 64;

const MASK32 = 0xffff_ffffn;
const MASK64 = 0xffff_ffff_ffff_ffffn;

function element(lanes: Lanes, size: Size, i: number): bigint {
  if (size === 64) return lanes.u64[i] as bigint;
  return BigInt((size === 8 ? lanes.u8[i] : size === 16 ? lanes.u16[i] : lanes.u32[i]) as number);
}

function setElement(lanes: Lanes, size: Size, i: number, value: bigint): void {
  if (size === 64) lanes.u64[i] = value;
  else if (size === 32) lanes.u32[i] = Number(BigInt.asUintN(32, value));
  else if (size === 16) lanes.u16[i] = Number(BigInt.asUintN(16, value));
  else lanes.u8[i] = Number(BigInt.asUintN(8, value));
}

function insert(size: Size): VectorBody {
  return (x) => {
    const last = x.vex ? 2 : 1;
    if (!x.read(last, B, { bytes: x.isMemory(last) ? size / 8 : 0 })) return false;
    x.read(x.vex ? 1 : 0, R);
    const places = x.usesMmx ? 64 / size : 128 / size;
    setElement(R, size, x.immediate % places, element(B, size, 0));
    x.write(0, R);
    return undefined;
  };
}

/** To a general register, zero-extended, or memory. */
function extract(size: Size): VectorBody {
  return (x) => {
    x.read(1, A);
    const places = x.usesMmx ? 64 / size : 128 / size;
    const value = element(A, size, x.immediate % places);
    if (!x.isMemory(0)) {
      x.cpu.state.setGpr(x.instruction.register(0), value);
      return undefined;
    }
    R.u64[0] = value;
    return x.write(0, R, { bytes: size / 8 }) ? undefined : false;
  };
}

/** @see SDM "INSERTPS—Insert Scalar Single Precision Floating-Point Value" */
const insertps: VectorBody = (x) => {
  const last = x.vex ? 2 : 1;
  if (!x.read(last, B, { bytes: 4 })) return false;
  x.read(x.vex ? 1 : 0, R);
  const imm = x.immediate;
  const from = x.isMemory(last) ? 0 : imm >> 6;
  R.u32[(imm >> 4) & 3] = B.u32[from] as number;
  for (let i = 0; i < 4; i++) if ((imm >> i) & 1) R.u32[i] = 0;
  x.write(0, R);
  return undefined;
};

/** Elements of the second source where the mask's have their sign bit. The mask is XMM0 in the legacy encoding. */
function blendBySign(size: Size): VectorBody {
  return (x) => {
    const [left, right] = x.vex ? [1, 2] : [0, 1];
    if (!x.read(right, B)) return false;
    x.read(left, R);
    if (x.vex) x.read(3, C);
    else x.readRegister('xmm', 0, C);
    for (let i = 0; i < (8 * x.bytes) / size; i++) {
      if (element(C, size, i) >> BigInt(size - 1)) setElement(R, size, i, element(B, size, i));
    }
    x.write(0, R);
    return undefined;
  };
}

/** @see SDM "MPSADBW—Compute Multiple Packed Sums of Absolute Difference" */
const mpsadbw: VectorBody = (x) => {
  const [left, right] = x.vex ? [1, 2] : [0, 1];
  if (!x.read(right, B)) return false;
  x.read(left, A);
  for (let lane = 0; lane < x.bytes / 16; lane++) {
    const control = x.immediate >> (3 * lane);
    const start = 16 * lane + (control & 4 ? 4 : 0);
    const block = 16 * lane + 4 * (control & 3);
    for (let i = 0; i < 8; i++) {
      let sum = 0;
      for (let j = 0; j < 4; j++)
        sum += Math.abs((A.u8[start + i + j] as number) - (B.u8[block + j] as number));
      R.u16[8 * lane + i] = sum;
    }
  }
  x.write(0, R);
  return undefined;
};

/** @see SDM "PHMINPOSUW—Packed Horizontal Word Minimum" */
const phminposuw: VectorBody = (x) => {
  if (!x.read(1, A)) return false;
  let place = 0;
  for (let i = 1; i < 8; i++) if ((A.u16[i] as number) < (A.u16[place] as number)) place = i;
  R.u8.fill(0);
  R.u16[0] = A.u16[place] as number;
  R.u16[1] = place;
  x.write(0, R);
  return undefined;
};

/** Shifts by a count of its own for each element. */
function variableShift(size: 32 | 64, shift: (value: bigint, count: number) => bigint): VectorBody {
  return (x) => {
    if (!x.read(2, B)) return false;
    x.read(1, A);
    for (let i = 0; i < (8 * x.bytes) / size; i++) {
      const count = element(B, size, i);
      const limited = count > BigInt(size - 1) ? size : Number(count);
      setElement(R, size, i, shift(element(A, size, i), limited));
    }
    x.write(0, R);
    return undefined;
  };
}

/** Doublewords in the order that the first source says. */
const permuteDoublewords: VectorBody = (x) => {
  if (!x.read(2, B)) return false;
  x.read(1, A);
  for (let i = 0; i < 8; i++) R.u32[i] = B.u32[(A.u32[i] as number) & 7] as number;
  x.write(0, R);
  return undefined;
};

/** VPERMILPS with a register, and VPERMILPD with a register or an immediate. */
function permuteInLane(size: 32 | 64): VectorBody {
  const perLane = 128 / size;
  return (x) => {
    const byImmediate = x.instruction.operandKind(2) === 'immediate';
    if (!x.read(byImmediate ? 1 : 2, B)) return false;
    if (!byImmediate) x.read(1, A);
    const values = byImmediate ? B : A;
    for (let i = 0; i < (8 * x.bytes) / size; i++) {
      const own = Number(element(B, size, i) & 3n);
      const control = byImmediate ? (x.immediate >> i) & 1 : size === 64 ? own >> 1 : own;
      setElement(R, size, i, element(values, size, i - (i % perLane) + control));
    }
    x.write(0, R);
    return undefined;
  };
}

/** A linear address of the memory operand, moved by so many bytes. */
function addressOf(x: VectorExecution, offset: bigint, bytes: number, write: boolean): bigint | undefined {
  const { cpu, instruction } = x;
  // The offset of the operand is cut to the address size, those of its elements are not.
  const mask = cpu.state.in64BitMode ? MASK64 : MASK32;
  return linearAddress(cpu, instruction.segment, offset & mask, bytes, write);
}

/** Whether all elements that the mask C chooses can be accessed; each is checked before the first is. */
function accessChosen(x: VectorExecution, size: Size, count: number, write: boolean): boolean {
  const { cpu, instruction } = x;
  const base = instruction.effectiveAddress();
  const privilege = privilegeOf(cpu.state.CPL);
  const bytes = size / 8;
  const places: { at: bigint; i: number }[] = [];
  for (let i = 0; i < count; i++) {
    if (!isChosen(C, size, i)) continue;
    const at = addressOf(x, base + BigInt(i * bytes), bytes, write);
    if (at === undefined) return false;
    places.push({ at, i });
  }
  for (const { at } of write ? places : []) {
    if (cpu.mmu.probeWrite(at, bytes, privilege)) continue;
    cpu.raiseMemoryFault(instruction.segment);
    return false;
  }
  for (const { at, i } of places) {
    const part = R.u8.subarray(i * bytes, (i + 1) * bytes);
    const done = write ? cpu.mmu.writeBytes(at, part, privilege) : cpu.mmu.readBytes(at, part, privilege);
    if (done) continue;
    cpu.raiseMemoryFault(instruction.segment);
    return false;
  }
  return true;
}

const isChosen = (mask: Lanes, size: Size, i: number): boolean =>
  element(mask, size, i) >> BigInt(size - 1) === 1n;

/** VMASKMOVPS and the like: elements that are not chosen are zero, or not stored, and do not fault. */
function maskedMove(size: 32 | 64): VectorBody {
  return (x) => {
    const store = x.isMemory(0);
    x.read(1, C);
    const count = (8 * (x.instruction.operandBits(1) / 8)) / size;
    if (store) {
      x.read(2, R);
      return accessChosen(x, size, count, true) ? undefined : false;
    }
    R.u8.fill(0);
    if (!accessChosen(x, size, count, false)) return false;
    x.write(0, R);
    return undefined;
  };
}

/** MASKMOVDQU and MASKMOVQ: bytes of the first operand to where RDI points, in DS unless a prefix says otherwise. */
const maskMoveBytes: VectorBody = (x) => {
  const { cpu, instruction } = x;
  const bytes = x.usesMmx ? 8 : 16;
  x.read(1, R);
  x.read(2, C);
  if (x.usesMmx) x.enterMmx();
  // Faults are those of the whole operand, whatever the mask: the manual lets processors choose.
  const first = addressOf(x, instruction.effectiveAddress(), bytes, true);
  if (first === undefined) return false;
  if (!cpu.mmu.probeWrite(first, bytes, privilegeOf(cpu.state.CPL))) {
    cpu.raiseMemoryFault(instruction.segment);
    return false;
  }
  return accessChosen(x, 8, bytes, true) ? undefined : false;
};

/**
 * Elements from addresses of their own. An element that was read has its mask cleared, so that a fault can go on later.
 *
 * @see SDM "VGATHERDPS/VGATHERQPS—Gather Packed Single Precision Floating-Point Values"
 */
function gather(size: 32 | 64, indexSize: 32 | 64): VectorBody {
  return (x) => {
    const { cpu, instruction } = x;
    const { state } = cpu;
    const destination = instruction.register(0);
    const mask = instruction.register(2);
    const index = instruction.vectorIndex as { number: number; bits: number };
    if (destination === mask || destination === index.number || mask === index.number) return cpu.raiseUd();
    x.read(0, R);
    x.read(2, C);
    const wide = instruction.operandBits(0) === 256 || index.bits === 256;
    const place = OFFSET.YMM + 32 * index.number;
    A.u8.set(state.u8.subarray(place, place + 32));
    const lanes = (wide ? 256 : 128) / Math.max(size, indexSize);
    const kind = instruction.registerKind(0);
    const base = instruction.effectiveAddress();
    const scale = BigInt(instruction.memoryScale);
    for (let i = 0; i < lanes; i++) {
      if (!isChosen(C, size, i)) {
        setElement(C, size, i, 0n);
        continue;
      }
      const own = BigInt.asIntN(indexSize, element(A, indexSize, i));
      const offset = BigInt.asUintN(instruction.addressSize, base + own * scale);
      const at = addressOf(x, offset, size / 8, false);
      const part = R.u8.subarray((i * size) / 8, ((i + 1) * size) / 8);
      if (at !== undefined && cpu.mmu.readBytes(at, part, privilegeOf(state.CPL))) {
        setElement(C, size, i, 0n);
        continue;
      }
      if (at !== undefined) cpu.raiseMemoryFault(instruction.segment);
      // Bits 255:128 of XMM registers stay until the instruction is complete.
      const bytes = instruction.operandBits(0) / 8;
      state.u8.set(R.u8.subarray(0, bytes), OFFSET.YMM + 32 * destination);
      state.u8.set(C.u8.subarray(0, bytes), OFFSET.YMM + 32 * mask);
      return false;
    }
    R.u8.fill(0, lanes * (size / 8));
    C.u8.fill(0);
    x.writeRegister(kind, destination, R);
    x.writeRegister(kind, mask, C);
    return undefined;
  };
}

const AVX = (operands: string): VectorForm => ({ operands, feature: 'AVX' });
const AVX2 = (operands: string): VectorForm => ({ operands, feature: 'AVX2' });
const of = (feature: FeatureKey, ...operands: readonly string[]): VectorForm[] =>
  operands.map((text) => ({ operands: text, feature }));

const PINSR = SDM('PINSRB/PINSRD/PINSRQ—Insert Byte/Dword/Qword');
const PINSRW = SDM('PINSRW—Insert Word');
const PEXTR = SDM('PEXTRB/PEXTRD/PEXTRQ—Extract Byte/Dword/Qword');
const PEXTRW = SDM('PEXTRW—Extract Word');
const EXTRACTPS = SDM('EXTRACTPS—Extract Packed Floating-Point Values');
const INSERTPS = SDM('INSERTPS—Insert Scalar Single Precision Floating-Point Value');
const PBLENDVB = SDM('PBLENDVB—Variable Blend Packed Bytes');
const BLENDVPS = SDM('BLENDVPS—Variable Blend Packed Single Precision Floating-Point Values');
const BLENDVPD = SDM('BLENDVPD—Variable Blend Packed Double Precision Floating-Point Values');
const MPSADBW = SDM('MPSADBW—Compute Multiple Packed Sums of Absolute Difference');
const PHMINPOSUW = SDM('PHMINPOSUW—Packed Horizontal Word Minimum');
const MASKMOV = SDM('VMASKMOV—Conditional SIMD Packed Loads and Stores');
const PMASKMOV = SDM('VPMASKMOV—Conditional SIMD Integer Packed Loads and Stores');
const GATHER = SDM('VGATHERDPS/VGATHERQPS—Gather Packed Single Precision Floating-Point Values');
const MASKED_FORMS = (form: typeof AVX) => [
  form('v128 v128 m128'), form('v256 v256 m256'), form('m128 v128 v128'), form('m256 v256 v256'),
]; // biome-ignore format: short
const BOTH = (form: typeof AVX) => [form('v128 v128 vm128'), form('v256 v256 vm256')];

// biome-ignore format: rows are read as a table
export const ELEMENT_ROWS: readonly VectorSystemRow[] = [
  vectorRow('PINSRW', [...of('SSE', 'q64 r32m16 i8'), ...of('SSE2', 'v128 r32m16 i8')], insert(16), PINSRW),
  vectorRow('VPINSRW', [AVX('v128 v128 r32m16 i8')], insert(16), PINSRW),
  vectorRow('PINSRB', of('SSE4_1', 'v128 r32m8 i8'), insert(8), PINSR),
  vectorRow('VPINSRB', [AVX('v128 v128 r32m8 i8')], insert(8), PINSR),
  vectorRow('PINSRD', of('SSE4_1', 'v128 rm32 i8'), insert(32), PINSR),
  vectorRow('VPINSRD', [AVX('v128 v128 rm32 i8')], insert(32), PINSR),
  vectorRow('PINSRQ', of('SSE4_1', 'v128 rm64 i8'), insert(64), PINSR),
  vectorRow('VPINSRQ', [AVX('v128 v128 rm64 i8')], insert(64), PINSR),
  vectorRow('PEXTRW', [...of('SSE', 'r32 q64 i8'), ...of('SSE2', 'r32 v128 i8'), ...of('SSE4_1', 'm16 v128 i8')], extract(16), PEXTRW),
  vectorRow('VPEXTRW', [AVX('r32m16 v128 i8')], extract(16), PEXTRW),
  vectorRow('PEXTRB', of('SSE4_1', 'r32m8 v128 i8'), extract(8), PEXTR),
  vectorRow('VPEXTRB', [AVX('r32m8 v128 i8')], extract(8), PEXTR),
  vectorRow('PEXTRD', of('SSE4_1', 'rm32 v128 i8'), extract(32), PEXTR),
  vectorRow('VPEXTRD', [AVX('rm32 v128 i8')], extract(32), PEXTR),
  vectorRow('PEXTRQ', of('SSE4_1', 'rm64 v128 i8'), extract(64), PEXTR),
  vectorRow('VPEXTRQ', [AVX('rm64 v128 i8')], extract(64), PEXTR),
  vectorRow('EXTRACTPS', of('SSE4_1', 'rm32 v128 i8'), extract(32), EXTRACTPS),
  vectorRow('VEXTRACTPS', [AVX('rm32 v128 i8')], extract(32), EXTRACTPS),
  vectorRow('INSERTPS', of('SSE4_1', 'v128 vm32 i8'), insertps, INSERTPS),
  vectorRow('VINSERTPS', [AVX('v128 v128 vm32 i8')], insertps, INSERTPS),
  vectorRow('PBLENDVB', of('SSE4_1', 'v128 vm128 z'), blendBySign(8), PBLENDVB),
  vectorRow('VPBLENDVB', [AVX('v128 v128 vm128 v128'), AVX2('v256 v256 vm256 v256')], blendBySign(8), PBLENDVB),
  vectorRow('BLENDVPS', of('SSE4_1', 'v128 vm128 z'), blendBySign(32), BLENDVPS),
  vectorRow('VBLENDVPS', [AVX('v128 v128 vm128 v128'), AVX('v256 v256 vm256 v256')], blendBySign(32), BLENDVPS),
  vectorRow('BLENDVPD', of('SSE4_1', 'v128 vm128 z'), blendBySign(64), BLENDVPD),
  vectorRow('VBLENDVPD', [AVX('v128 v128 vm128 v128'), AVX('v256 v256 vm256 v256')], blendBySign(64), BLENDVPD),
  vectorRow('MPSADBW', of('SSE4_1', 'v128 vm128 i8'), mpsadbw, MPSADBW),
  vectorRow('VMPSADBW', [AVX('v128 v128 vm128 i8'), AVX2('v256 v256 vm256 i8')], mpsadbw, MPSADBW),
  vectorRow('PHMINPOSUW', of('SSE4_1', 'v128 vm128'), phminposuw, PHMINPOSUW),
  vectorRow('VPHMINPOSUW', [AVX('v128 vm128')], phminposuw, PHMINPOSUW),
  vectorRow('VPSLLVD', BOTH(AVX2), variableShift(32, (value, count) => value << BigInt(count)), SDM('VPSLLVW/VPSLLVD/VPSLLVQ—Variable Bit Shift Left Logical')),
  vectorRow('VPSLLVQ', BOTH(AVX2), variableShift(64, (value, count) => BigInt.asUintN(64, value << BigInt(count))), SDM('VPSLLVW/VPSLLVD/VPSLLVQ—Variable Bit Shift Left Logical')),
  vectorRow('VPSRLVD', BOTH(AVX2), variableShift(32, (value, count) => value >> BigInt(count)), SDM('VPSRLVW/VPSRLVD/VPSRLVQ—Variable Bit Shift Right Logical')),
  vectorRow('VPSRLVQ', BOTH(AVX2), variableShift(64, (value, count) => value >> BigInt(count)), SDM('VPSRLVW/VPSRLVD/VPSRLVQ—Variable Bit Shift Right Logical')),
  vectorRow('VPSRAVD', BOTH(AVX2), variableShift(32, (value, count) => BigInt.asIntN(32, value) >> BigInt(count)), SDM('VPSRAVW/VPSRAVD/VPSRAVQ—Variable Bit Shift Right Arithmetic')),
  vectorRow('VPERMD', [AVX2('v256 v256 vm256')], permuteDoublewords, SDM('VPERMD/VPERMW—Permute Packed Doubleword/Word Elements')),
  vectorRow('VPERMPS', [AVX2('v256 v256 vm256')], permuteDoublewords, SDM('VPERMPS—Permute Single Precision Floating-Point Elements')),
  vectorRow('VPERMILPS', BOTH(AVX), permuteInLane(32), SDM('VPERMILPS—Permute In-Lane of Quadruples of Single Precision Floating-Point Values')),
  vectorRow('VPERMILPD', [...BOTH(AVX), AVX('v128 vm128 i8'), AVX('v256 vm256 i8')], permuteInLane(64), SDM('VPERMILPD—Permute In-Lane of Pairs of Double Precision Floating-Point Values')),
  vectorRow('VMASKMOVPS', MASKED_FORMS(AVX), maskedMove(32), MASKMOV),
  vectorRow('VMASKMOVPD', MASKED_FORMS(AVX), maskedMove(64), MASKMOV),
  vectorRow('VPMASKMOVD', MASKED_FORMS(AVX2), maskedMove(32), PMASKMOV),
  vectorRow('VPMASKMOVQ', MASKED_FORMS(AVX2), maskedMove(64), PMASKMOV),
  vectorRow('MASKMOVQ', of('SSE', 'q64 q64'), maskMoveBytes, SDM('MASKMOVQ—Store Selected Bytes of Quadword')),
  vectorRow('MASKMOVDQU', of('SSE2', 'v128 v128'), maskMoveBytes, SDM('MASKMOVDQU—Store Selected Bytes of Double Quadword')),
  vectorRow('VMASKMOVDQU', [AVX('v128 v128')], maskMoveBytes, SDM('MASKMOVDQU—Store Selected Bytes of Double Quadword')),
  vectorRow('VGATHERDPS', [AVX2('v128 m32 v128'), AVX2('v256 m32 v256')], gather(32, 32), GATHER),
  vectorRow('VGATHERQPS', [AVX2('v128 m32 v128')], gather(32, 64), GATHER),
  vectorRow('VGATHERDPD', [AVX2('v128 m64 v128'), AVX2('v256 m64 v256')], gather(64, 32), GATHER),
  vectorRow('VGATHERQPD', [AVX2('v128 m64 v128'), AVX2('v256 m64 v256')], gather(64, 64), GATHER),
  vectorRow('VPGATHERDD', [AVX2('v128 m32 v128'), AVX2('v256 m32 v256')], gather(32, 32), GATHER),
  vectorRow('VPGATHERQD', [AVX2('v128 m32 v128')], gather(32, 64), GATHER),
  vectorRow('VPGATHERDQ', [AVX2('v128 m64 v128'), AVX2('v256 m64 v256')], gather(64, 32), GATHER),
  vectorRow('VPGATHERQQ', [AVX2('v128 m64 v128'), AVX2('v256 m64 v256')], gather(64, 64), GATHER),
];
