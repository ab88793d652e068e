/**
 * Memory operands of x87 instructions. What gives `undefined` or `false` has left the reason in the CPU, and nothing
 * else has changed: the instruction ends with `cpu.failed`.
 */
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import {
  type AccessBytes,
  isMisaligned,
  linearAddress,
  privilegeOf,
  readExplicit,
  writeExplicit,
} from '../../core/memory.ts';

/** Pieces of an operand that is longer than one access. */
function pieces(bytes: number): { at: number; size: AccessBytes }[] {
  const all: { at: number; size: AccessBytes }[] = [];
  for (let at = 0; at < bytes; ) {
    const left = bytes - at;
    const size = left >= 8 ? 8 : left >= 4 ? 4 : 2;
    all.push({ at, size });
    at += size;
  }
  return all;
}

/**
 * Linear addresses wrap at 4 GiB outside 64-bit mode; in it, the operand has been found canonical.
 */
function address(cpu: Cpu, start: bigint, at: number): bigint {
  return BigInt.asUintN(cpu.state.in64BitMode ? 64 : 32, start + BigInt(at));
}

function locate(
  cpu: Cpu,
  instruction: Instruction,
  bytes: number,
  alignment: AccessBytes,
  write: boolean,
): bigint | undefined {
  const start = linearAddress(cpu, instruction.segment, instruction.effectiveAddress(), bytes, write);
  return start === undefined || isMisaligned(cpu, start, alignment) ? undefined : start;
}

/** Reads `bytes` bytes, an even number, as one little-endian number. */
export function readMemory(
  cpu: Cpu,
  instruction: Instruction,
  bytes: number,
  alignment: AccessBytes,
): bigint | undefined {
  const start = locate(cpu, instruction, bytes, alignment, false);
  if (start === undefined) return undefined;
  let value = 0n;
  for (const { at, size } of pieces(bytes)) {
    const piece = readExplicit(cpu, address(cpu, start, at), size);
    if (piece === undefined) return undefined;
    value |= piece << BigInt(8 * at);
  }
  return value;
}

export function writeMemory(
  cpu: Cpu,
  instruction: Instruction,
  bytes: number,
  alignment: AccessBytes,
  value: bigint,
): boolean {
  const start = locate(cpu, instruction, bytes, alignment, true);
  if (start === undefined) return false;
  const all = pieces(bytes);
  const privilege = privilegeOf(cpu.state.CPL);
  for (const { at, size } of all.length > 1 ? all : []) {
    if (cpu.mmu.probeWrite(address(cpu, start, at), size, privilege)) continue;
    cpu.raiseMemoryFault(instruction.segment);
    return false;
  }
  return all.every(({ at, size }) =>
    writeExplicit(cpu, address(cpu, start, at), size, BigInt.asUintN(8 * size, value >> BigInt(8 * at))),
  );
}

/** Bytes of the memory operand. */
export function operandBytes(instruction: Instruction): number {
  return instruction.operandBits(0) / 8;
}

/** The alignment that alignment checking demands of a data operand: 8 bytes for 80-bit ones. */
export function alignmentOf(bytes: number): AccessBytes {
  return (bytes === 10 ? 8 : bytes) as AccessBytes;
}
