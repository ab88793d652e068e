/**
 * Data instructions that are rare enough to be TypeScript functions.
 *
 * @see SDM "Data Transfer Instructions", 5.1.1 of volume 1
 */
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import {
  isMisaligned,
  linearAddress,
  privilegeOf,
  probeSegmented,
  readSegmented,
  stackPointerMask,
  writeSegmented,
} from '../../core/memory.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { mergePointer } from '../../core/stack.ts';
import { arithmeticFlags, setArithmeticFlags } from '../../state/flags.ts';
import { ES, FLAG, RAX, RBX, RCX, RDX, RSP, SS, VECTOR } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';
import { readGpr, writeGpr } from './operands.ts';

/** POP to memory: the address is computed with RSP already incremented, and a fault leaves RSP as it was. */
function popMemory(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  const bits = instruction.operandBits(0) as 16 | 32 | 64;
  const bytes = (bits / 8) as 2 | 4 | 8;
  const mask = stackPointerMask(state);
  const old = state.gpr(RSP);
  const value = readSegmented(cpu, SS, old & mask, bytes);
  if (value === undefined) return cpu.failed;
  state.setGpr(RSP, mergePointer(old, (old + BigInt(bytes)) & mask, mask));
  if (writeSegmented(cpu, instruction.segment, instruction.effectiveAddress(), bytes, value))
    return OUTCOME.NEXT;
  state.setGpr(RSP, old);
  return cpu.failed;
}

/** CMPXCHG8B and CMPXCHG16B. The destination is written in both cases, and must be writable before it is read. */
function compareExchangePair(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  const wide = instruction.name === 'CMPXCHG16B';
  const half = wide ? 8 : 4;
  const bits = wide ? 64 : 32;
  const offset = instruction.effectiveAddress();
  if (wide && (offset + cpuSegmentBase(cpu, instruction)) & 15n) return cpu.raise(VECTOR.GP, 0);
  const linear = linearAddress(cpu, instruction.segment, offset, half * 2, true);
  if (linear === undefined || (!wide && isMisaligned(cpu, linear, 8))) return cpu.failed;
  const upper = offset + BigInt(half);
  if (!probeSegmented(cpu, instruction.segment, offset, half)) return cpu.failed;
  if (!probeSegmented(cpu, instruction.segment, upper, half)) return cpu.failed;
  const low = readSegmented(cpu, instruction.segment, offset, half);
  const high = low === undefined ? undefined : readSegmented(cpu, instruction.segment, upper, half);
  if (low === undefined || high === undefined) return cpu.failed;
  const equal = low === readGpr(cpu, RAX, bits) && high === readGpr(cpu, RDX, bits);
  const newLow = equal ? readGpr(cpu, RBX, bits) : low;
  const newHigh = equal ? readGpr(cpu, RCX, bits) : high;
  if (!writeSegmented(cpu, instruction.segment, offset, half, newLow)) return cpu.failed;
  if (!writeSegmented(cpu, instruction.segment, upper, half, newHigh)) return cpu.failed;
  if (!equal) {
    writeGpr(cpu, RAX, bits, low);
    writeGpr(cpu, RDX, bits, high);
  }
  setArithmeticFlags(state, (arithmeticFlags(state) & ~FLAG.ZF) | (equal ? FLAG.ZF : 0));
  return OUTCOME.NEXT;
}

function cpuSegmentBase(cpu: Cpu, instruction: Instruction): bigint {
  return cpu.state.in64BitMode && instruction.segment < 4 ? 0n : cpu.state.segmentBase(instruction.segment);
}

/** MOV with a 64-bit absolute offset (the other MOVs are emitted). */
function moveAbsolute(cpu: Cpu, instruction: Instruction): Outcome {
  const toMemory = instruction.operandKind(0) === 'memory';
  const bits = instruction.operandBits(toMemory ? 1 : 0) as 8 | 16 | 32 | 64;
  const bytes = (bits / 8) as 1 | 2 | 4 | 8;
  const offset = instruction.effectiveAddress();
  if (toMemory) {
    const value = readGpr(cpu, RAX, bits);
    return writeSegmented(cpu, instruction.segment, offset, bytes, value) ? OUTCOME.NEXT : cpu.failed;
  }
  const value = readSegmented(cpu, instruction.segment, offset, bytes);
  if (value === undefined) return cpu.failed;
  writeGpr(cpu, RAX, bits, value);
  return OUTCOME.NEXT;
}

/** CLFLUSH, CLFLUSHOPT and CLWB: caches are not modelled; the byte is read for its faults. */
function flushLine(cpu: Cpu, instruction: Instruction): Outcome {
  const value = readSegmented(cpu, instruction.segment, instruction.effectiveAddress(), 1);
  return value === undefined ? cpu.failed : OUTCOME.NEXT;
}

/** @see SDM "MOVDIRI—Move Doubleword as Direct Store" */
function directStore(cpu: Cpu, instruction: Instruction): Outcome {
  const bits = instruction.operandBits(1) as 32 | 64;
  const value = readGpr(cpu, instruction.register(1), bits);
  const written = writeSegmented(
    cpu,
    instruction.segment,
    instruction.effectiveAddress(),
    bits === 64 ? 8 : 4,
    value,
  );
  return written ? OUTCOME.NEXT : cpu.failed;
}

const DIRECT_STORE_BYTES = 64;

/** The destination is in ES, whatever the source's segment, and aligned. @see SDM "MOVDIR64B" */
function directStore64Bytes(cpu: Cpu, instruction: Instruction): Outcome {
  const { mmu, state } = cpu;
  const privilege = privilegeOf(state.CPL);
  const offset = readGpr(cpu, instruction.register(0), instruction.addressSize);
  const to = linearAddress(cpu, ES, offset, DIRECT_STORE_BYTES, true);
  if (to === undefined) return cpu.failed;
  if (to % BigInt(DIRECT_STORE_BYTES) !== 0n) return cpu.raiseGp();
  const source = instruction.effectiveAddress();
  const from = linearAddress(cpu, instruction.segment, source, DIRECT_STORE_BYTES, false);
  if (from === undefined) return cpu.failed;
  const bytes = new Uint8Array(DIRECT_STORE_BYTES);
  if (!mmu.readBytes(from, bytes, privilege)) return cpu.raiseMemoryFault(instruction.segment);
  return mmu.writeBytes(to, bytes, privilege) ? OUTCOME.NEXT : cpu.raiseMemoryFault(ES);
}

export const MEMORY_ROWS: readonly SystemRow[] = [
  { op: 'POP', call: popMemory, ref: SDM('POP—Pop a Value From the Stack', 'vol. 2B') },
  {
    op: 'CMPXCHG8B',
    call: compareExchangePair,
    ref: SDM('CMPXCHG8B/CMPXCHG16B—Compare and Exchange Bytes', 'vol. 2A'),
  },
  {
    op: 'CMPXCHG16B',
    call: compareExchangePair,
    feature: 'CMPXCHG16B',
    ref: SDM('CMPXCHG8B/CMPXCHG16B—Compare and Exchange Bytes', 'vol. 2A'),
  },
  { op: 'MOV', call: moveAbsolute, ref: SDM('MOV—Move', 'vol. 2B') },
  { op: 'CLFLUSH', call: flushLine, ref: SDM('CLFLUSH—Flush Cache Line', 'vol. 2A') },
  {
    op: 'CLFLUSHOPT',
    call: flushLine,
    feature: 'CLFLUSHOPT',
    ref: SDM('CLFLUSHOPT—Flush Cache Line Optimized', 'vol. 2A'),
  },
  { op: 'CLWB', call: flushLine, feature: 'CLWB', ref: SDM('CLWB—Cache Line Write Back', 'vol. 2A') },
  {
    op: 'MOVDIRI',
    call: directStore,
    feature: 'MOVDIRI',
    ref: SDM('MOVDIRI—Move Doubleword as Direct Store', 'vol. 2B'),
  },
  {
    op: 'MOVDIR64B',
    call: directStore64Bytes,
    feature: 'MOVDIR64B',
    ref: SDM('MOVDIR64B—Move 64 Bytes as Direct Store', 'vol. 2B'),
  },
];
