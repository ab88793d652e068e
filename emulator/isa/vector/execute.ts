/**
 * What vector instructions that are TypeScript functions share: the checks that come first, operands as elements, the
 * rule of bits 255:128, and SIMD floating-point exceptions.
 *
 * Intel SDM Vol. 2A, "Exceptions Type", 2.4; Vol. 1, "SIMD Floating-Point Exceptions", 11.5.
 */
import { stopsAtError } from '../../core/coprocessorError.ts';
import type { Cpu } from '../../core/cpu.ts';
import { type FeatureKey, isFeatureKey } from '../../core/features.ts';
import type { Instruction } from '../../core/instruction.ts';
import { type AccessBytes, isMisaligned, linearAddress, privilegeOf } from '../../core/memory.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { OFFSET } from '../../state/layout.ts';
import { CR0, CR4, FLAG, VECTOR } from '../../state/registers.ts';
import type { BinaryControl } from '../softfloat/binary.ts';
import type { Rounding } from '../softfloat/rounding.ts';

/** The bytes of an operand, as elements of every size. */
export class Lanes {
  readonly u8 = new Uint8Array(32);
  readonly i8 = new Int8Array(this.u8.buffer);
  readonly u16 = new Uint16Array(this.u8.buffer);
  readonly i16 = new Int16Array(this.u8.buffer);
  readonly u32 = new Uint32Array(this.u8.buffer);
  readonly i32 = new Int32Array(this.u8.buffer);
  readonly u64 = new BigUint64Array(this.u8.buffer);

  copy(from: Lanes): void {
    for (let i = 0; i < 8; i++) this.i32[i] = from.i32[i] as number;
  }

  clear(): void {
    for (let i = 0; i < 8; i++) this.i32[i] = 0;
  }
}

const SUMMARY = 0x80;
const XCR0_SSE_AVX = 6n;
const TOP = 7 << 11;
/** MXCSR bits. */
const MXCSR = { DAZ: 1 << 6, MASKS: 7, RC: 13, FTZ: 1 << 15 } as const;
const BEFORE_COMPUTING = 7;
const EXCEPTION_FLAGS = 0x3f;

type State = 'mmx' | 'sse' | 'avx';

/** The exception of an instruction whose state is not enabled. */
export function checkEnabled(cpu: Cpu, kind: State): Outcome {
  const { state } = cpu;
  const { cr0, cr4 } = state;
  if (kind === 'avx') {
    const enabled = (cr4 & CR4.OSXSAVE) !== 0 && (state.XCR0 & XCR0_SSE_AVX) === XCR0_SSE_AVX;
    if (!enabled || (cr0 & CR0.PE) === 0 || (state.systemFlags & FLAG.VM) !== 0) return cpu.raiseUd();
  } else {
    if ((cr0 & CR0.EM) !== 0) return cpu.raiseUd();
    if (kind === 'sse' && (cr4 & CR4.OSFXSR) === 0) return cpu.raiseUd();
  }
  if ((cr0 & CR0.TS) !== 0) return cpu.raise(VECTOR.NM);
  if (kind !== 'mmx' || (state.X87_STATUS & SUMMARY) === 0) return OUTCOME.NEXT;
  return stopsAtError(cpu) ? cpu.raise(VECTOR.MF) : OUTCOME.NEXT;
}

/** One execution of a vector instruction. */
export class VectorExecution {
  readonly cpu: Cpu;
  readonly instruction: Instruction;
  /** The VEX encoding, whose destination is not also a source and whose writes clear bits 255:128. */
  readonly vex: boolean;
  #control: BinaryControl | undefined;
  #flags = 0;

  constructor(cpu: Cpu, instruction: Instruction) {
    this.cpu = cpu;
    this.instruction = instruction;
    this.vex = instruction.name.startsWith('V');
  }

  /** What MXCSR says. */
  get control(): BinaryControl {
    this.#control ??= controlOf(this.cpu.state.MXCSR);
    return this.#control;
  }

  get usesMmx(): boolean {
    return uses(this.instruction, 'mmx');
  }

  get immediate(): number {
    return Number(this.instruction.immediate & 0xffn);
  }

  /** Bytes of the first operand. */
  get bytes(): number {
    return this.instruction.operandBits(0) / 8;
  }

  isMemory(n: number): boolean {
    return this.instruction.operandKind(n) === 'memory';
  }

  /**
   * Reads operand `n` whole, or `bytes` bytes of memory. 16 bytes of memory in a legacy encoding have to be aligned. False
   * when it failed: the instruction ends with `cpu.failed`.
   */
  read(n: number, into: Lanes, { bytes = 0, unaligned = false } = {}): boolean {
    const { cpu, instruction } = this;
    const { state } = cpu;
    if (instruction.operandKind(n) !== 'memory') {
      this.readRegister(instruction.registerKind(n), instruction.register(n), into);
      return true;
    }
    const size = bytes || instruction.operandBits(n) / 8;
    const linear = this.#linear(size, false, unaligned);
    if (linear === undefined) return false;
    into.u8.fill(0, size);
    if (cpu.mmu.readBytes(linear, into.u8.subarray(0, size), privilegeOf(state.CPL))) return true;
    cpu.raiseMemoryFault(instruction.segment);
    return false;
  }

  readRegister(kind: string, register: number, into: Lanes): void {
    const { state } = this.cpu;
    const words = state.i32;
    const size = kind === 'ymm' ? 8 : kind === 'xmm' ? 4 : 2;
    const first =
      kind === 'mmx'
        ? (OFFSET.X87_SIGNIFICAND >> 2) + 2 * register
        : kind === 'general'
          ? (OFFSET.GPR >> 2) + 2 * register
          : (OFFSET.YMM >> 2) + 8 * register;
    // Few words: a loop is faster than typed arrays' methods.
    for (let i = 0; i < 8; i++) into.i32[i] = i < size ? (words[first + i] as number) : 0;
  }

  /** Writes a register operand whole by the rule of the encoding, or `bytes` bytes of memory. False: see `read`. */
  write(n: number, from: Lanes, { bytes = 0, unaligned = false } = {}): boolean {
    const { cpu, instruction } = this;
    if (instruction.operandKind(n) !== 'memory') {
      this.writeRegister(instruction.registerKind(n), instruction.register(n), from);
      return true;
    }
    const size = bytes || instruction.operandBits(n) / 8;
    const linear = this.#linear(size, true, unaligned);
    if (linear === undefined) return false;
    if (cpu.mmu.writeBytes(linear, from.u8.subarray(0, size), privilegeOf(cpu.state.CPL))) return true;
    cpu.raiseMemoryFault(instruction.segment);
    return false;
  }

  /** Whether {@link write} will succeed; false: the exception is in the CPU. */
  probe(n: number, bytes: number): boolean {
    const { cpu, instruction } = this;
    if (!this.isMemory(n)) return true;
    const linear = this.#linear(bytes, true, false);
    if (linear === undefined) return false;
    if (cpu.mmu.probeWrite(linear, bytes, privilegeOf(cpu.state.CPL))) return true;
    cpu.raiseMemoryFault(instruction.segment);
    return false;
  }

  writeRegister(kind: string, register: number, from: Lanes): void {
    const { state } = this.cpu;
    if (kind === 'mmx') {
      state.u64[(OFFSET.X87_SIGNIFICAND >> 3) + register] = from.u64[0] as bigint;
      state.u32[(OFFSET.X87_EXPONENT >> 2) + register] = 0xffff;
      return;
    }
    const words = state.i32;
    const first = (OFFSET.YMM >> 2) + 8 * register;
    const size = kind === 'ymm' ? 8 : 4;
    for (let i = 0; i < size; i++) words[first + i] = from.i32[i] as number;
    if (this.vex) for (let i = size; i < 8; i++) words[first + i] = 0;
  }

  #linear(size: number, write: boolean, unaligned: boolean): bigint | undefined {
    const { cpu, instruction } = this;
    const linear = linearAddress(cpu, instruction.segment, instruction.effectiveAddress(), size, write);
    if (linear === undefined) return undefined;
    if (size === 16 && !this.vex && !unaligned && (linear & 15n) !== 0n) {
      cpu.raiseGp();
      return undefined;
    }
    return size <= 8 && isMisaligned(cpu, linear, size as AccessBytes) ? undefined : linear;
  }

  /** Collects the exceptions of one element. */
  note(flags: number): void {
    this.#flags |= flags;
  }

  /**
   * Records the exceptions of all elements. NEXT when the result is to be written; else #XM, with no exceptions recorded that
   * follow from results when one that follows from operands is not masked.
   */
  finishFlags(): Outcome {
    const { state } = this.cpu;
    let flags = this.#flags;
    if (flags === 0) return OUTCOME.NEXT;
    const unmasked = flags & ~this.control.masks;
    if ((unmasked & BEFORE_COMPUTING) !== 0) flags &= BEFORE_COMPUTING;
    state.MXCSR |= flags;
    if (unmasked === 0) return OUTCOME.NEXT;
    return (state.cr4 & CR4.OSXMMEXCPT) === 0 ? this.cpu.raiseUd() : this.cpu.raise(VECTOR.XM);
  }

  /** What MMX instructions do to the x87 state. */
  enterMmx(): void {
    this.cpu.state.X87_TAG = 0;
    this.cpu.state.X87_STATUS &= ~TOP;
  }
}

const controls = new Map<number, BinaryControl>();

/** One object for each rounding mode, masks, DAZ and FTZ that programs use. */
function controlOf(mxcsr: number): BinaryControl {
  const key = mxcsr & ~EXCEPTION_FLAGS;
  let control = controls.get(key);
  if (control === undefined) {
    control = {
      rounding: ((mxcsr >> MXCSR.RC) & 3) as Rounding,
      masks: (mxcsr >> MXCSR.MASKS) & 0x3f,
      denormalsAreZeros: (mxcsr & MXCSR.DAZ) !== 0,
      flushToZero: (mxcsr & MXCSR.FTZ) !== 0,
    };
    controls.set(key, control);
  }
  return control;
}

/** An instruction's work. Gives the outcome where it is not `NEXT`, `false` when an access failed. */
export type VectorBody = (x: VectorExecution) => Outcome | false | undefined;

/** What a form needs, for 128 bits and less, and for 256. */
export interface Needs {
  readonly feature: FeatureKey;
  readonly wide?: FeatureKey;
}

/** The function of a row: checks, then the body. */
export function vectorCall(body: VectorBody, needs?: Needs): (cpu: Cpu, instruction: Instruction) => Outcome {
  return (cpu, instruction) => {
    const kind = stateOf(instruction);
    const feature = needs && (uses(instruction, 'ymm') ? (needs.wide ?? needs.feature) : needs.feature);
    if (feature !== undefined && isFeatureKey(feature) && !cpu.has(feature)) return cpu.raiseUd();
    // Conversions between MMX and XMM registers need both.
    const both = kind === 'mmx' && uses(instruction, 'xmm') ? checkEnabled(cpu, 'sse') : OUTCOME.NEXT;
    if (both !== OUTCOME.NEXT) return both;
    const enabled = checkEnabled(cpu, kind);
    if (enabled !== OUTCOME.NEXT) return enabled;
    const x = new VectorExecution(cpu, instruction);
    const outcome = body(x);
    if (outcome === false) return cpu.failed;
    if (outcome !== undefined && outcome !== OUTCOME.NEXT) return outcome;
    if (kind === 'mmx') x.enterMmx();
    return OUTCOME.NEXT;
  };
}

function stateOf(instruction: Instruction): State {
  if (instruction.name.startsWith('V')) return 'avx';
  return uses(instruction, 'mmx') ? 'mmx' : 'sse';
}

function uses(instruction: Instruction, kind: 'xmm' | 'ymm' | 'mmx'): boolean {
  for (let n = 0; n < instruction.operandCount; n++) {
    if (instruction.operandKind(n) === 'register' && instruction.registerKind(n) === kind) return true;
  }
  return false;
}
