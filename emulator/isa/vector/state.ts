/**
 * MXCSR, the clearing of vector state, and its images in memory: FXSAVE, XSAVE in its forms, and their restores.
 *
 * Intel SDM Vol. 1, "FXSAVE and FXRSTOR Instructions", 10.5; "Managing State Using the XSAVE Feature Set", chapter 13.
 */
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import { linearAddress, privilegeOf } from '../../core/memory.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { writePkru } from '../../core/protectionKeys.ts';
import type { CpuState } from '../../state/cpuState.ts';
import { OFFSET } from '../../state/layout.ts';
import { CR0, CR4, RAX, RDX, VECTOR } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';
import { float80, type Sign } from '../softfloat/float80.ts';
import { STATUS, TAG, tagOf, X87 } from '../x87/fpu.ts';
import { checkEnabled, Lanes, type VectorBody } from './execute.ts';
import { type VectorSystemRow, vectorRow } from './systemForms.ts';

/** Bits of MXCSR that can be written. */
const MXCSR_MASK = 0xffff;
const MXCSR_INITIAL = 0x1f80;

const CONTROL_INITIAL = 0x37f;
const ALL_EMPTY = 0xffff;

/** State components. @see SDM "XSAVE-Supported Features and State-Component Bitmaps", 13.1 of volume 1 */
const X87_STATE = 1;
const SSE_STATE = 2;
const AVX_STATE = 4;
const PKRU_STATE = 1 << 9;

/** Places in the FXSAVE image and the XSAVE area. */
const AT = {
  MXCSR: 24,
  ST: 32,
  XMM: 160,
  RESERVED: 416,
  XSTATE_BV: 512,
  XCOMP_BV: 520,
  END_OF_HEADER: 576,
  YMM_HIGH: 576,
  /** In the standard format; the compacted one has it behind what is there before it. */
  PKRU: 2688,
} as const;
const YMM_HIGH_BYTES = 256;
const PKRU_BYTES = 8;
const FXSAVE_BYTES = 512;
const FXSAVE_ALIGNMENT = 16n;
const XSAVE_ALIGNMENT = 64n;
const COMPACTED = 1n << 63n;

const A = new Lanes();

const loadMxcsr: VectorBody = (x) => {
  if (!x.read(0, A, { bytes: 4 })) return false;
  const value = A.u32[0] as number;
  if ((value & ~MXCSR_MASK) !== 0) return x.cpu.raiseGp();
  x.cpu.state.MXCSR = value;
  return undefined;
};

const storeMxcsr: VectorBody = (x) => {
  A.u32[0] = x.cpu.state.MXCSR;
  return x.write(0, A, { bytes: 4 }) ? undefined : false;
};

/** @see SDM "EMMS—Empty MMX Technology State" */
function emms(cpu: Cpu): Outcome {
  const enabled = checkEnabled(cpu, 'mmx');
  if (enabled !== OUTCOME.NEXT) return enabled;
  cpu.state.X87_TAG = ALL_EMPTY;
  cpu.state.X87_STATUS &= ~STATUS.TOP;
  return OUTCOME.NEXT;
}

/** XMM and YMM registers that the mode can name. */
const registersOf = (state: CpuState): number => (state.in64BitMode ? 16 : 8);

/** A part of an image: where it goes, and its bytes. */
interface Part {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** The address of an image, aligned, or undefined with the exception in the CPU. */
function locate(
  cpu: Cpu,
  instruction: Instruction,
  bytes: number,
  alignment: bigint,
  write: boolean,
): bigint | undefined {
  const linear = linearAddress(cpu, instruction.segment, instruction.effectiveAddress(), bytes, write);
  if (linear === undefined) return undefined;
  if ((linear & (alignment - 1n)) === 0n) return linear;
  cpu.raiseGp();
  return undefined;
}

const at = (cpu: Cpu, linear: bigint, offset: number): bigint =>
  BigInt.asUintN(cpu.state.in64BitMode ? 64 : 32, linear + BigInt(offset));

/** Writes all parts or none. */
function store(cpu: Cpu, instruction: Instruction, linear: bigint, parts: readonly Part[]): Outcome {
  const privilege = privilegeOf(cpu.state.CPL);
  for (const part of parts) {
    if (cpu.mmu.probeWrite(at(cpu, linear, part.at), part.bytes.length, privilege)) continue;
    return cpu.raiseMemoryFault(instruction.segment);
  }
  for (const part of parts) {
    if (!cpu.mmu.writeBytes(at(cpu, linear, part.at), part.bytes, privilege))
      return cpu.raiseMemoryFault(instruction.segment);
  }
  return OUTCOME.NEXT;
}

function load(
  cpu: Cpu,
  instruction: Instruction,
  linear: bigint,
  offset: number,
  length: number,
): Uint8Array | undefined {
  const bytes = new Uint8Array(length);
  if (cpu.mmu.readBytes(at(cpu, linear, offset), bytes, privilegeOf(cpu.state.CPL))) return bytes;
  cpu.raiseMemoryFault(instruction.segment);
  return undefined;
}

// Images of components

/** The x87 state: bytes 0 to 23 and the ST registers, in order from the top. */
function x87Parts(cpu: Cpu, instruction: Instruction): Part[] {
  const { state } = cpu;
  const head = new Uint8Array(AT.MXCSR);
  const view = new DataView(head.buffer);
  view.setUint16(0, state.X87_CONTROL, true);
  view.setUint16(2, state.X87_STATUS, true);
  view.setUint8(4, abridgedTags(state.X87_TAG));
  view.setUint16(6, state.X87_OPCODE, true);
  const deprecated = cpu.has('FPU_CS_DS_DEPRECATED');
  const pointer = (place: number, offset: bigint, selector: number) => {
    if (hasWidePointers(instruction)) {
      view.setBigUint64(place, offset, true);
      return;
    }
    view.setUint32(place, Number(offset & 0xffff_ffffn), true);
    view.setUint16(place + 4, deprecated ? 0 : selector, true);
  };
  pointer(8, state.X87_INSTRUCTION_POINTER, state.X87_INSTRUCTION_SELECTOR);
  pointer(16, state.X87_DATA_POINTER, state.X87_DATA_SELECTOR);
  const registers = new Uint8Array(8 * 16);
  const fields = new DataView(registers.buffer);
  const fpu = new X87(cpu, instruction);
  for (let i = 0; i < 8; i++) {
    const { sign, exponent, significand } = fpu.read(i);
    fields.setBigUint64(16 * i, significand, true);
    fields.setUint16(16 * i + 8, (sign << 15) | exponent, true);
  }
  return [
    { at: 0, bytes: head },
    { at: AT.ST, bytes: registers },
  ];
}

/** One bit for each register, set when it is not empty. */
function abridgedTags(tags: number): number {
  let abridged = 0;
  for (let i = 0; i < 8; i++) if (((tags >> (2 * i)) & 3) !== TAG.EMPTY) abridged |= 1 << i;
  return abridged;
}

/** REX.W: pointers of 64 bits without selectors. */
const hasWidePointers = (instruction: Instruction): boolean => instruction.name.endsWith('64');

function restoreX87(cpu: Cpu, instruction: Instruction, area: Uint8Array): void {
  const { state } = cpu;
  const view = new DataView(area.buffer, area.byteOffset);
  const fpu = new X87(cpu, instruction);
  state.X87_STATUS = view.getUint16(2, true);
  fpu.loadControl(view.getUint16(0, true));
  state.X87_OPCODE = view.getUint16(6, true) & 0x7ff;
  const wide = hasWidePointers(instruction);
  const offset = (place: number) =>
    wide ? view.getBigUint64(place, true) : BigInt(view.getUint32(place, true));
  const selector = (place: number) => (wide ? 0 : view.getUint16(place + 4, true));
  state.X87_INSTRUCTION_POINTER = offset(8);
  state.X87_INSTRUCTION_SELECTOR = selector(8);
  state.X87_DATA_POINTER = offset(16);
  state.X87_DATA_SELECTOR = selector(16);
  for (let i = 0; i < 8; i++) {
    const place = AT.ST + 16 * i;
    const high = view.getUint16(place + 8, true);
    fpu.writeContent(i, float80((high >> 15) as Sign, high & 0x7fff, view.getBigUint64(place, true)));
  }
  const abridged = view.getUint8(4);
  for (let i = 0; i < 8; i++) {
    const physical = (fpu.top + i) & 7;
    fpu.setTag(i, (abridged >> physical) & 1 ? tagOf(fpu.read(i)) : TAG.EMPTY);
  }
}

function initializeX87(cpu: Cpu, instruction: Instruction): void {
  const fpu = new X87(cpu, instruction);
  fpu.initialize();
  for (let i = 0; i < 8; i++) fpu.writeContent(i, float80(0, 0, 0n));
}

function mxcsrPart(state: CpuState): Part {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, state.MXCSR, true);
  view.setUint32(4, MXCSR_MASK, true);
  return { at: AT.MXCSR, bytes };
}

/** Bits 127:0 (half 0) or 255:128 of the registers that the mode can name. */
function vectorPart(state: CpuState, half: 0 | 1): Part {
  const count = registersOf(state);
  const bytes = new Uint8Array(16 * count);
  for (let r = 0; r < count; r++) {
    const place = OFFSET.YMM + 32 * r + 16 * half;
    bytes.set(state.u8.subarray(place, place + 16), 16 * r);
  }
  return { at: half === 0 ? AT.XMM : AT.YMM_HIGH, bytes };
}

function restoreVectors(state: CpuState, half: 0 | 1, bytes: Uint8Array | undefined): void {
  for (let r = 0; r < registersOf(state); r++) {
    const place = OFFSET.YMM + 32 * r + 16 * half;
    if (bytes) state.u8.set(bytes.subarray(16 * r, 16 * (r + 1)), place);
    else state.u8.fill(0, place, place + 16);
  }
}

function isUnavailable(cpu: Cpu): boolean {
  return (cpu.state.cr0 & (CR0.EM | CR0.TS)) !== 0;
}

/** @see SDM "FXSAVE—Save x87 FPU, MMX Technology, and SSE State" */
function fxsave(cpu: Cpu, instruction: Instruction): Outcome {
  if (isUnavailable(cpu)) return cpu.raise(VECTOR.NM);
  const linear = locate(cpu, instruction, FXSAVE_BYTES, FXSAVE_ALIGNMENT, true);
  if (linear === undefined) return cpu.failed;
  // Also the bytes that it leaves to software.
  if (!cpu.mmu.probeWrite(linear, FXSAVE_BYTES, privilegeOf(cpu.state.CPL)))
    return cpu.raiseMemoryFault(instruction.segment);
  const parts = x87Parts(cpu, instruction);
  if ((cpu.state.cr4 & CR4.OSFXSR) !== 0) parts.push(mxcsrPart(cpu.state), vectorPart(cpu.state, 0));
  return store(cpu, instruction, linear, parts);
}

/** @see SDM "FXRSTOR—Restore x87 FPU, MMX, XMM, and MXCSR State" */
function fxrstor(cpu: Cpu, instruction: Instruction): Outcome {
  if (isUnavailable(cpu)) return cpu.raise(VECTOR.NM);
  const linear = locate(cpu, instruction, FXSAVE_BYTES, FXSAVE_ALIGNMENT, false);
  if (linear === undefined) return cpu.failed;
  const image = load(cpu, instruction, linear, 0, FXSAVE_BYTES);
  if (image === undefined) return cpu.failed;
  const mxcsr = new DataView(image.buffer).getUint32(AT.MXCSR, true);
  const withSse = (cpu.state.cr4 & CR4.OSFXSR) !== 0;
  if (withSse && (mxcsr & ~MXCSR_MASK) !== 0) return cpu.raiseGp();
  restoreX87(cpu, instruction, image);
  if (!withSse) return OUTCOME.NEXT;
  cpu.state.MXCSR = mxcsr;
  restoreVectors(cpu.state, 0, image.subarray(AT.XMM));
  return OUTCOME.NEXT;
}

/** The checks of every instruction of the XSAVE feature set. */
function checkXsave(cpu: Cpu): Outcome {
  if ((cpu.state.cr4 & CR4.OSXSAVE) === 0) return cpu.raiseUd();
  return (cpu.state.cr0 & CR0.TS) === 0 ? OUTCOME.NEXT : cpu.raise(VECTOR.NM);
}

/** EDX:EAX. */
const instructionMask = ({ state }: Cpu): bigint => (state.gpr(RDX) << 32n) | (state.gpr(RAX) & 0xffff_ffffn);

/** The components that EDX:EAX asks for and XCR0 enables. */
const requested = (cpu: Cpu): number => Number(instructionMask(cpu) & cpu.state.XCR0);

/** Components that are not in their initial configuration. @see SDM "Processor Tracking of XSAVE-Managed State", 13.6 */
export function componentsInUse(cpu: Cpu, instruction: Instruction): number {
  const { state } = cpu;
  const isZero = ({ bytes }: Part) => bytes.every((byte) => byte === 0);
  const [head, registers] = x87Parts(cpu, instruction) as [Part, Part];
  const x87 =
    state.X87_CONTROL !== CONTROL_INITIAL ||
    state.X87_TAG !== ALL_EMPTY ||
    !isZero({ at: 0, bytes: head.bytes.subarray(2) }) ||
    !isZero(registers);
  const sse = state.MXCSR !== MXCSR_INITIAL || !isZero(vectorPart(state, 0));
  const avx = !isZero(vectorPart(state, 1));
  return (
    (x87 ? X87_STATE : 0) |
    (sse ? SSE_STATE : 0) |
    (avx ? AVX_STATE : 0) |
    (state.PKRU === 0 ? 0 : PKRU_STATE)
  );
}

/** Where PKRU lies, by the components of a compacted image. */
function pkruOffset(components: number, compacted: boolean): number {
  if (!compacted) return AT.PKRU;
  return AT.YMM_HIGH + ((components & AVX_STATE) === 0 ? 0 : YMM_HIGH_BYTES);
}

function sizeOf(components: number, compacted: boolean): number {
  if ((components & PKRU_STATE) !== 0) return pkruOffset(components, compacted) + PKRU_BYTES;
  return (components & AVX_STATE) === 0 ? AT.END_OF_HEADER : AT.YMM_HIGH + YMM_HIGH_BYTES;
}

function numberPart(place: number, value: bigint): Part {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return { at: place, bytes };
}

/** XSAVES and XRSTORS are for the operating system. No supervisor component exists: IA32_XSS is 0. */
function checkSupervisor(cpu: Cpu, instruction: Instruction, point: 'XSAVES' | 'XRSTORS'): Outcome {
  const enabled = checkXsave(cpu);
  if (enabled !== OUTCOME.NEXT) return enabled;
  if (cpu.state.CPL !== 0) return cpu.raiseGp();
  const components = instructionMask(cpu) & cpu.state.IA32_XSS;
  return cpu.virtualization.intercept({ point, components }, instruction);
}

/** XSAVE writes all that is asked for; XSAVEOPT, XSAVEC and XSAVES leave out what is in its initial configuration. */
function xsave(optimized: boolean, compacted: boolean, supervisor = false) {
  return (cpu: Cpu, instruction: Instruction): Outcome => {
    const enabled = supervisor ? checkSupervisor(cpu, instruction, 'XSAVES') : checkXsave(cpu);
    if (enabled !== OUTCOME.NEXT) return enabled;
    const { state } = cpu;
    const asked = requested(cpu);
    const linear = locate(cpu, instruction, sizeOf(asked, compacted), XSAVE_ALIGNMENT, true);
    if (linear === undefined) return cpu.failed;
    const used = componentsInUse(cpu, instruction);
    const written = optimized || compacted ? asked & used : asked;
    const parts: Part[] = [];
    if ((written & X87_STATE) !== 0) parts.push(...x87Parts(cpu, instruction));
    const mxcsr = compacted ? written & SSE_STATE : asked & (SSE_STATE | AVX_STATE);
    if (mxcsr !== 0) parts.push(mxcsrPart(state));
    if ((written & SSE_STATE) !== 0) parts.push(vectorPart(state, 0));
    if ((written & AVX_STATE) !== 0) parts.push(vectorPart(state, 1));
    if ((written & PKRU_STATE) !== 0)
      parts.push(numberPart(pkruOffset(asked, compacted), BigInt(state.PKRU >>> 0)));
    if (compacted) {
      parts.push(numberPart(AT.XSTATE_BV, BigInt(asked & used)));
      parts.push(numberPart(AT.XCOMP_BV, BigInt(asked) | COMPACTED));
      return store(cpu, instruction, linear, parts);
    }
    // The header is read and written: its fault is that of a write.
    if (!cpu.mmu.probeWrite(at(cpu, linear, AT.XSTATE_BV), 8, privilegeOf(state.CPL)))
      return cpu.raiseMemoryFault(instruction.segment);
    const old = load(cpu, instruction, linear, AT.XSTATE_BV, 8);
    if (old === undefined) return cpu.failed;
    const kept = new DataView(old.buffer).getBigUint64(0, true) & ~BigInt(asked);
    parts.push(numberPart(AT.XSTATE_BV, kept | BigInt(asked & used)));
    return store(cpu, instruction, linear, parts);
  };
}

/** @see SDM "XRSTORS—Restore Processor Extended States Supervisor" */
function xrstors(cpu: Cpu, instruction: Instruction): Outcome {
  const enabled = checkSupervisor(cpu, instruction, 'XRSTORS');
  return enabled === OUTCOME.NEXT ? restore(cpu, instruction, true) : enabled;
}

function xrstor(cpu: Cpu, instruction: Instruction): Outcome {
  const enabled = checkXsave(cpu);
  return enabled === OUTCOME.NEXT ? restore(cpu, instruction, false) : enabled;
}

/** @see SDM "XRSTOR—Restore Processor Extended States"; "Operation of XRSTOR", 13.8 of volume 1 */
function restore(cpu: Cpu, instruction: Instruction, mustBeCompacted: boolean): Outcome {
  const { state } = cpu;
  const asked = requested(cpu);
  const linear = locate(cpu, instruction, AT.END_OF_HEADER, XSAVE_ALIGNMENT, false);
  if (linear === undefined) return cpu.failed;
  const area = load(cpu, instruction, linear, 0, AT.END_OF_HEADER);
  if (area === undefined) return cpu.failed;
  const view = new DataView(area.buffer);
  const present = view.getBigUint64(AT.XSTATE_BV, true);
  const format = view.getBigUint64(AT.XCOMP_BV, true);
  const compacted = (format & COMPACTED) !== 0n;
  if (compacted ? !cpu.has('XSAVEC') : mustBeCompacted) return cpu.raiseGp();
  if (locate(cpu, instruction, sizeOf(asked, compacted), 1n, false) === undefined) return cpu.failed;
  const held = format & ~COMPACTED;
  const reserved = area.subarray(AT.XCOMP_BV + 8, compacted ? AT.END_OF_HEADER : AT.XCOMP_BV + 16);
  const bad = compacted
    ? (present & ~held) !== 0n || (held & ~state.XCR0) !== 0n
    : format !== 0n || (present & ~state.XCR0) !== 0n;
  if (bad || reserved.some((byte) => byte !== 0)) return cpu.raiseGp();
  const available = asked & Number(present);
  const mxcsr = view.getUint32(AT.MXCSR, true);
  const loadsMxcsr = compacted ? available & SSE_STATE : asked & (SSE_STATE | AVX_STATE);
  if (loadsMxcsr !== 0 && (mxcsr & ~MXCSR_MASK) !== 0) return cpu.raiseGp();
  let high: Uint8Array | undefined;
  if ((available & AVX_STATE) !== 0) {
    high = load(cpu, instruction, linear, AT.YMM_HIGH, 16 * registersOf(state));
    if (high === undefined) return cpu.failed;
  }
  let keys = 0;
  if ((available & PKRU_STATE) !== 0) {
    const bytes = load(cpu, instruction, linear, pkruOffset(Number(held), compacted), 4);
    if (bytes === undefined) return cpu.failed;
    keys = new DataView(bytes.buffer).getUint32(0, true);
  }
  if ((available & X87_STATE) !== 0) restoreX87(cpu, instruction, area);
  else if ((asked & X87_STATE) !== 0) initializeX87(cpu, instruction);
  if (loadsMxcsr !== 0) state.MXCSR = mxcsr;
  else if ((asked & SSE_STATE) !== 0) state.MXCSR = MXCSR_INITIAL;
  if ((asked & SSE_STATE) !== 0)
    restoreVectors(state, 0, (available & SSE_STATE) !== 0 ? area.subarray(AT.XMM) : undefined);
  if ((asked & AVX_STATE) !== 0) restoreVectors(state, 1, high);
  if ((asked & PKRU_STATE) === 0) return OUTCOME.NEXT;
  writePkru(cpu, keys);
  return OUTCOME.NEXT_THEN_CHECK;
}

const FXSAVE = SDM('FXSAVE—Save x87 FPU, MMX Technology, and SSE State');
const FXRSTOR = SDM('FXRSTOR—Restore x87 FPU, MMX, XMM, and MXCSR State');

/** Under both operand sizes: with REX.W the pointers of the x87 state have 64 bits. */
function both(op: string, call: SystemRow['call'], feature: string, ref: SystemRow['ref']): SystemRow[] {
  return [op, `${op}64`].map((name) => ({ op: name, call, feature, ref }));
}

// biome-ignore format: rows are read as a table
export const VECTOR_STATE_ROWS: readonly SystemRow[] = [
  { op: 'EMMS', call: emms, feature: 'MMX', ref: SDM('EMMS—Empty MMX Technology State') },
  ...both('FXSAVE', fxsave, 'FXSR', FXSAVE),
  ...both('FXRSTOR', fxrstor, 'FXSR', FXRSTOR),
  ...both('XSAVE', xsave(false, false), 'XSAVE', SDM('XSAVE—Save Processor Extended States')),
  ...both('XSAVEOPT', xsave(true, false), 'XSAVEOPT', SDM('XSAVEOPT—Save Processor Extended States Optimized')),
  ...both('XSAVEC', xsave(false, true), 'XSAVEC', SDM('XSAVEC—Save Processor Extended States With Compaction')),
  ...both('XRSTOR', xrstor, 'XSAVE', SDM('XRSTOR—Restore Processor Extended States')),
  ...both('XSAVES', xsave(true, true, true), 'XSAVES', SDM('XSAVES—Save Processor Extended States Supervisor')),
  ...both('XRSTORS', xrstors, 'XSAVES', SDM('XRSTORS—Restore Processor Extended States Supervisor')),
];

const LDMXCSR = SDM('LDMXCSR—Load MXCSR Register');
const STMXCSR = SDM('STMXCSR—Store MXCSR Register State');

// biome-ignore format: rows are read as a table
export const MXCSR_ROWS: readonly VectorSystemRow[] = [
  vectorRow('LDMXCSR', [{ operands: 'm32', feature: 'SSE' }], loadMxcsr, LDMXCSR),
  vectorRow('VLDMXCSR', [{ operands: 'm32', feature: 'AVX' }], loadMxcsr, LDMXCSR),
  vectorRow('STMXCSR', [{ operands: 'm32', feature: 'SSE' }], storeMxcsr, STMXCSR),
  vectorRow('VSTMXCSR', [{ operands: 'm32', feature: 'AVX' }], storeMxcsr, STMXCSR),
];
