/**
 * A stack frame that is pushed as a whole or not at all: event delivery, far CALLs and ENTER push several items, and
 * nothing may be written before the last of them is known to succeed.
 *
 * Intel SDM Vol. 1, "Stacks", 6.2.
 */
import { EmulatorBug } from '../base/errors.ts';
import type { CpuState } from '../state/cpuState.ts';
import { RSP, SS, VECTOR } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import {
  isCanonical,
  isMisaligned,
  privilegeOf,
  readSegmented,
  stackPointerMask,
  withinLimit,
} from './memory.ts';

export interface StackOptions {
  /** Offsets are 64-bit and checked for being canonical only. */
  readonly long: boolean;
  readonly base: bigint;
  readonly limit: number;
  readonly accessRights: number;
  /** RSP before the first push. */
  readonly pointer: bigint;
  /** Which bits of RSP take part: 16, 32 or 64. */
  readonly mask: bigint;
  /** The CPL with which the items are written. */
  readonly cpl: number;
  /** The selector a stack fault names: of the new stack after a change of privilege, else 0. */
  readonly faultSelector: number;
}

interface Item {
  readonly address: bigint;
  readonly bytes: 2 | 4 | 8;
  readonly value: bigint;
}

const MASK32 = 0xffff_ffffn;

/** The current stack. */
export function currentStack(state: CpuState): StackOptions {
  return {
    long: state.in64BitMode,
    base: state.segmentBase(SS),
    limit: state.segmentLimit(SS),
    accessRights: state.segmentAccessRights(SS),
    pointer: state.gpr(RSP),
    mask: stackPointerMask(state),
    cpl: state.CPL,
    faultSelector: 0,
  };
}

export class StackFrame {
  readonly #cpu: Cpu;
  readonly #stack: StackOptions;
  readonly #items: Item[] = [];
  #offset: bigint;
  #fits = true;

  constructor(cpu: Cpu, stack: StackOptions) {
    this.#cpu = cpu;
    this.#stack = stack;
    this.#offset = stack.pointer & stack.mask;
  }

  /** Adds an item below the earlier ones. */
  push(value: bigint, bytes: 2 | 4 | 8): void {
    const { mask } = this.#stack;
    this.#offset = (this.#offset - BigInt(bytes)) & mask;
    const address = this.#address(this.#offset, bytes);
    if (address === undefined) this.#fits = false;
    else this.#items.push({ address, bytes, value: BigInt.asUintN(bytes * 8, value) });
  }

  /** Whether every item can be written; otherwise the fault is recorded. Changes nothing. */
  probe(): boolean {
    if (!this.#fits) {
      this.#cpu.raise(VECTOR.SS, this.#cpu.errorCode(this.#stack.faultSelector));
      return false;
    }
    for (const { address, bytes } of this.#items) {
      if (isMisaligned(this.#cpu, address, bytes, this.#stack.cpl)) return false;
      if (this.#cpu.mmu.probeWrite(address, bytes, privilegeOf(this.#stack.cpl))) continue;
      this.#cpu.raiseMemoryFault();
      return false;
    }
    return true;
  }

  /** Writes the items. {@link probe} has succeeded. */
  write(): void {
    for (const { address, bytes, value } of this.#items) {
      if (!this.#cpu.mmu.writeLinear(address, bytes, value, privilegeOf(this.#stack.cpl))) {
        throw new EmulatorBug('a probed stack write failed');
      }
    }
  }

  /** RSP after the pushes. */
  get pointer(): bigint {
    return mergePointer(this.#stack.pointer, this.#offset, this.#stack.mask);
  }

  #address(offset: bigint, bytes: number): bigint | undefined {
    const { long, base, limit, accessRights } = this.#stack;
    if (!long) {
      if (!withinLimit(limit, accessRights, Number(offset), bytes)) return undefined;
      return (base + offset) & MASK32;
    }
    const last = BigInt.asUintN(64, offset + BigInt(bytes - 1));
    return isCanonical(this.#cpu.state, offset) && isCanonical(this.#cpu.state, last) ? offset : undefined;
  }
}

/** Reads items from the top of the current stack without moving the stack pointer. */
export class StackReader {
  readonly #cpu: Cpu;
  readonly #mask: bigint;
  #offset: bigint;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
    this.#mask = stackPointerMask(cpu.state);
    this.#offset = cpu.state.gpr(RSP) & this.#mask;
  }

  /** The next item; undefined when the access failed. */
  pop(bytes: 2 | 4 | 8): bigint | undefined {
    const value = readSegmented(this.#cpu, SS, this.#offset, bytes);
    this.#offset = (this.#offset + BigInt(bytes)) & this.#mask;
    return value;
  }

  /** Leaves out `bytes` bytes. */
  skip(bytes: number): void {
    this.#offset = (this.#offset + BigInt(bytes)) & this.#mask;
  }

  /** RSP after the items read. */
  get pointer(): bigint {
    return mergePointer(this.#cpu.state.gpr(RSP), this.#offset, this.#mask);
  }
}

/** Replaces the bits of a stack pointer that `mask` names; a 32-bit write clears the upper half. */
export function mergePointer(old: bigint, offset: bigint, mask: bigint): bigint {
  if (mask === MASK32) return offset & MASK32;
  return (old & ~mask & 0xffff_ffff_ffff_ffffn) | (offset & mask);
}
