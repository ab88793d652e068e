/**
 * Of an instruction that is about to be executed alone: which kind of branch it is, and whether it will have been taken. For
 * last-branch records and single-stepping on branches.
 */
import type { BranchKind } from '../core/branchRecords.ts';
import { instructionPointerMask } from '../core/memory.ts';
import type { CodeBits } from '../isa/decode.ts';
import { Code, FlowControl, type IcedInstruction, Mnemonic } from '../isa/iced.ts';
import type { CpuState } from '../state/cpuState.ts';
import { readRflags } from '../state/flags.ts';
import { FLAG, RCX } from '../state/registers.ts';
import { type ReadByte, withInstructionAt } from './instructionAt.ts';

export interface Branch {
  /** Undefined: an event or a VM transition, which records itself or nothing. */
  readonly kind: BranchKind | undefined;
  /** Asked when the instruction has been executed. */
  readonly taken: () => boolean;
}

/** Decodes the instruction at RIP, whose linear address is `linear`; undefined for what is no branch. */
export function branchAt(
  state: CpuState,
  bits: CodeBits,
  linear: bigint,
  readByte: ReadByte,
): Branch | undefined {
  return withInstructionAt(bits, linear, state.RIP, readByte, (decoded) => branchIn(state, decoded));
}

function branchIn(state: CpuState, decoded: IcedInstruction): Branch | undefined {
  const { flowControl, length } = decoded;
  if (flowControl === FlowControl.Next) return undefined;
  const kind = kindOf(decoded);
  if (kind !== 'JCC') return { kind, taken: () => true };
  const next = (state.RIP + BigInt(length)) & instructionPointerMask(state);
  // Where both ways lead to the next instruction the condition tells.
  const condition = decoded.nearBranchTarget === next && isFulfilled(state, decoded);
  return { kind, taken: () => condition || state.RIP !== next };
}

function kindOf(decoded: IcedInstruction): BranchKind | undefined {
  const { flowControl, mnemonic } = decoded;
  if (flowControl === FlowControl.ConditionalBranch) return 'JCC';
  if (decoded.isJmpShortOrNear) return 'REL_JMP';
  if (decoded.isJmpNearIndirect) return 'IND_JMP';
  if (decoded.isCallNear) return 'REL_CALL';
  if (decoded.isCallNearIndirect) return 'IND_CALL';
  if (mnemonic === Mnemonic.Ret) return 'RET';
  if (flowControl === FlowControl.Interrupt || flowControl === FlowControl.Exception) return undefined;
  return VM_TRANSITIONS.has(mnemonic) ? undefined : 'OTHER';
}

const VM_TRANSITIONS: ReadonlySet<number> = new Set([
  Mnemonic.Vmlaunch,
  Mnemonic.Vmresume,
  Mnemonic.Vmcall,
  Mnemonic.Vmfunc,
  Mnemonic.Vmrun,
  Mnemonic.Vmmcall,
]);

/** Whether the condition of Jcc, JCXZ or LOOP is fulfilled. */
function isFulfilled(state: CpuState, decoded: IcedInstruction): boolean {
  const flags = readRflags(state);
  const { conditionCode, mnemonic } = decoded;
  if (conditionCode !== 0) return testCondition(conditionCode - 1, flags);
  const name = Code[decoded.code];
  const width = /RCX|^Jrcxz/.test(name) ? 64 : /ECX|^Jecxz/.test(name) ? 32 : 16;
  const count = BigInt.asUintN(width, state.gpr(RCX));
  if (name.startsWith('J')) return count === 0n;
  if (count === 1n) return false;
  if (mnemonic === Mnemonic.Loop) return true;
  return (mnemonic === Mnemonic.Loope) === ((flags & FLAG.ZF) !== 0);
}

/** @see SDM "EFLAGS Condition Codes", appendix B of volume 1 */
function testCondition(code: number, flags: number): boolean {
  const set = (mask: number): boolean => (flags & mask) !== 0;
  const less = set(FLAG.SF) !== set(FLAG.OF);
  const tests = [
    set(FLAG.OF),
    set(FLAG.CF),
    set(FLAG.ZF),
    set(FLAG.CF | FLAG.ZF),
    set(FLAG.SF),
    set(FLAG.PF),
    less,
    less || set(FLAG.ZF),
  ];
  return tests[code >> 1] !== ((code & 1) !== 0);
}
