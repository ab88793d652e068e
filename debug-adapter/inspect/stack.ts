/** The stack of a vCPU: frames by unwind information, without it by the chain of frame pointers. */
import type { RegisterGroup, RestingLevel } from '../../emulator/index.ts';
import { type MachineState, restingState } from '../machine/targetScope.ts';
import type { Program } from '../program/program.ts';
import { unwindByFramePointer } from '../symbols/framePointer.ts';
import type { SourcePosition } from '../symbols/program.ts';
import { type FrameRegisters, lookupAddress, RIP, RSP, X86_64_REGISTERS } from '../symbols/registers.ts';
import type { StoppedState } from './machineView.ts';

export interface Frame {
  /** The level that the frame is of, when that is not the one that runs. */
  readonly resting: RestingLevel | undefined;
  /** Where the levels meet: no frame of code. */
  readonly isLabel?: true;
  /** Which of the frames with registers of their own: 0 is where the vCPU is. */
  readonly depth: number;
  readonly registers: FrameRegisters;
  /** Linear address of the next instruction. */
  readonly address: bigint;
  readonly name: string;
  readonly position: SourcePosition | undefined;
  /** Inlined into the next frame, with which it shares the registers. */
  readonly isInlined: boolean;
  /** Which of the frames that share the registers: 0 is the innermost. */
  readonly inline: number;
  /** Linear address to look up variables at: within the call instruction for a caller. */
  readonly lookup: bigint;
  /** The next frame with registers of its own. */
  readonly caller: () => Frame | undefined;
}

/** Deeper than this a stack is damaged or recursion has run away. */
export const DEEPEST_STACK = 512;

/** A register by name in lower case, in any group. */
export function findRegister(groups: readonly RegisterGroup[], name: string): bigint | undefined {
  for (const { registers } of groups) {
    const found = registers.find((register) => register.name.toLowerCase() === name);
    if (found) return found.value;
  }
  return undefined;
}

/** How code is run now: what RIP and the stack pointer mean. */
export interface CodeMode {
  readonly is64Bit: boolean;
  readonly wordSize: 4 | 8;
  readonly codeBase: bigint;
  readonly stackBase: bigint;
}

const EFER_LMA = 1n << 10n;
const ACCESS_RIGHTS_L = 1n << 13n;

/** @see SDM "IA-32e Mode Code Segment Descriptors", 6.2.1: the code segment's L flag selects 64-bit mode. */
export function codeMode(groups: readonly RegisterGroup[]): CodeMode {
  const efer = findRegister(groups, 'ia32_efer') ?? 0n;
  const rights = findRegister(groups, 'cs_access_rights') ?? 0n;
  const is64Bit = (efer & EFER_LMA) !== 0n && (rights & ACCESS_RIGHTS_L) !== 0n;
  if (is64Bit) return { is64Bit, wordSize: 8, codeBase: 0n, stackBase: 0n };
  const base = (name: string): bigint => findRegister(groups, name) ?? 0n;
  return { is64Bit, wordSize: 4, codeBase: base('cs_base'), stackBase: base('ss_base') };
}

/** The registers of the innermost frame. */
export function currentRegisters(groups: readonly RegisterGroup[]): FrameRegisters {
  return { values: X86_64_REGISTERS.map((name) => findRegister(groups, name)), isReturnAddress: false };
}

/** The frames of the vCPU, innermost first; behind them those of the level that does not run, after a label. */
export function walkStack(state: StoppedState, program: Program): Frame[] {
  const frames = walkLevel(state, program, undefined);
  const resting = state.restingLevel();
  if (resting === undefined) return frames;
  const others = walkLevel(restingState(state, resting), program, resting);
  const label: Frame = { ...others[0], name: resting.crossing, position: undefined, isLabel: true };
  return [...frames, label, ...others];
}

function walkLevel(state: MachineState, program: Program, resting: RestingLevel | undefined): Frame[] {
  const mode = codeMode(state.registers());
  const readMemory = (address: bigint, size: number): Uint8Array | undefined => {
    const bytes = state.readMemory(
      { space: 'linear', address: BigInt.asUintN(64, address + mode.stackBase) },
      size,
    );
    return bytes.length === size ? bytes : undefined;
  };
  const frames: Frame[] = [];
  let registers: FrameRegisters | undefined = currentRegisters(state.registers());
  // Nothing of a level that does not run is where the vCPU is, nor called it.
  const first = resting === undefined ? 0 : DEEPEST_STACK;
  for (let depth = first; registers !== undefined && depth < first + DEEPEST_STACK; depth++) {
    const caller = () => frames.find((frame) => frame.depth === depth + 1);
    frames.push(...framesAt(registers, { depth, caller, resting }, mode, program));
    const next = unwind(registers, program, mode, readMemory);
    registers = next && isPlausible(registers, next, mode, readMemory) ? next : undefined;
  }
  return frames;
}

function linearAddress(address: bigint, mode: CodeMode): bigint {
  return BigInt.asUintN(mode.is64Bit ? 64 : 32, address + mode.codeBase);
}

/** The frames of one set of registers: what is inlined there, then the function itself. */
function framesAt(
  registers: FrameRegisters,
  place: Pick<Frame, 'depth' | 'caller' | 'resting'>,
  mode: CodeMode,
  program: Program,
): Frame[] {
  const address = linearAddress(registers.values[RIP] ?? 0n, mode);
  const lookup = linearAddress(lookupAddress(registers) ?? 0n, mode);
  const common = { ...place, registers, address, lookup };
  const found = program.functionAt(lookup);
  if (found) {
    return found.frames.map(({ name, linkageName, position, isInlined }, inline) => ({
      ...common,
      inline,
      name: name ?? linkageName ?? program.describe(lookup) ?? '??',
      position,
      isInlined,
    }));
  }
  const name = program.describe(lookup) ?? `0x${address.toString(16)}`;
  return [{ ...common, name, position: program.addressToLine(lookup), isInlined: false, inline: 0 }];
}

type ReadMemory = (address: bigint, size: number) => Uint8Array | undefined;

function unwind(
  registers: FrameRegisters,
  program: Program,
  mode: CodeMode,
  readMemory: ReadMemory,
): FrameRegisters | undefined {
  for (const file of program.files) {
    const outcome = file.unwindOutcome(registers, readMemory);
    if (outcome.kind === 'caller') return outcome.frame;
    if (outcome.kind === 'outermost') return undefined;
  }
  const lookup = lookupAddress(registers);
  const symbol = lookup === undefined ? undefined : program.symbolAt(linearAddress(lookup, mode));
  return unwindByFramePointer(
    registers,
    readMemory,
    mode.wordSize,
    symbol?.isFunction ? symbol.address : undefined,
  );
}

/** A caller's frame lies above the callee's, and its code can be read. */
function isPlausible(
  callee: FrameRegisters,
  caller: FrameRegisters,
  mode: CodeMode,
  readMemory: ReadMemory,
): boolean {
  const rip = caller.values[RIP];
  const rsp = caller.values[RSP];
  if (rip === undefined || rip === 0n || rsp === undefined) return false;
  // An interrupt may have switched stacks: only a return address must be above.
  const isAbove = !caller.isReturnAddress || rsp > (callee.values[RSP] ?? 0n);
  return isAbove && readMemory(rip + mode.codeBase - mode.stackBase, 1) !== undefined;
}
