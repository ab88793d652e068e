/**
 * The VMCS that is current, as the processor reads and writes it in host-physical memory. Fields are named by their
 * ordinal; hot code uses the offsets of their slots in 32-bit words.
 *
 * Intel SDM Vol. 3C, "Virtual Machine Control Structures", 26.2 and 26.11.
 */
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';
import type { CpuState } from '../state/cpuState.ts';
import type { VmcsFieldKey } from './fields.ts';
import { HIGH_ACCESS, VMCS_FIELD_LIST, VMCS_HEADER, type VmcsField } from './vmcsLayout.ts';

/** Offset of each field's slot from the start of the region, in 32-bit words: `SLOT.GUEST_RIP`. */
export const SLOT = Object.freeze(
  Object.fromEntries(VMCS_FIELD_LIST.map(({ key, offset }) => [key, offset >> 2])),
) as Readonly<Record<VmcsFieldKey, number>>;

const LAUNCH_STATE = VMCS_HEADER.launchState >> 2;
const FIRST_FIELD = VMCS_HEADER.size >> 3;
const MASKS = VMCS_FIELD_LIST.map(({ mask }) => mask);
const HIGH_SHIFT = 32n;
const LOW_HALF = 0xffff_ffffn;

export class CurrentVmcs {
  /** Host-physical address of the region; meaningless while {@link isValid} is false. */
  address = 0;
  isValid = false;
  /** Index of the region's first word in the machine's memory. */
  word = 0;

  readonly #physical: PhysicalMemory;
  readonly #i32: Int32Array;
  readonly #u64: BigUint64Array;

  constructor(state: CpuState, physical: PhysicalMemory) {
    this.#physical = physical;
    this.#i32 = state.i32;
    this.#u64 = state.u64;
  }

  select(address: number): void {
    this.address = address;
    this.word = this.#physical.offset(address) >> 2;
    this.isValid = true;
  }

  deselect(): void {
    this.isValid = false;
  }

  /** Bit 31 of the first doubleword. */
  get isShadow(): boolean {
    return this.#i32[this.word] < 0;
  }

  get launched(): boolean {
    return this.#i32[this.word + LAUNCH_STATE] !== 0;
  }

  set launched(launched: boolean) {
    this.#i32[this.word + LAUNCH_STATE] = launched ? 1 : 0;
  }

  /** A field by its ordinal in `VMCS_FIELD_LIST`. */
  read(ordinal: number): bigint {
    return this.#u64[(this.word >> 1) + FIRST_FIELD + ordinal] & MASKS[ordinal];
  }

  write(ordinal: number, value: bigint): void {
    this.#u64[(this.word >> 1) + FIRST_FIELD + ordinal] = value & MASKS[ordinal];
  }

  /** Bits 31:0 of a field, as a signed number. */
  low(slot: number): number {
    return this.#i32[this.word + slot];
  }

  setLow(slot: number, value: number): void {
    this.#i32[this.word + slot] = value;
  }

  /** Both halves of a field; `high` is 0 for what fits 32 bits. */
  setPair(slot: number, low: number, high: number): void {
    const at = this.word + slot;
    this.#i32[at] = low;
    this.#i32[at + 1] = high;
  }

  /** A host-physical address that passed the checks of VM entry: exact as a number. */
  physicalAddress(slot: number): number {
    const at = this.word + slot;
    return (this.#i32[at + 1] >>> 0) * 0x1_0000_0000 + (this.#i32[at] >>> 0);
  }
}

/** What VMREAD gives for a field and the access type in its encoding. */
export function readAccess(vmcs: CurrentVmcs, { ordinal }: VmcsField, encoding: number): bigint {
  const value = vmcs.read(ordinal);
  return encoding & HIGH_ACCESS ? value >> HIGH_SHIFT : value;
}

/** What VMWRITE does; a source that is narrower than the field clears the bits above it. */
export function writeAccess(
  vmcs: CurrentVmcs,
  { ordinal }: VmcsField,
  encoding: number,
  value: bigint,
): void {
  const next =
    encoding & HIGH_ACCESS ? (vmcs.read(ordinal) & LOW_HALF) | ((value & LOW_HALF) << HIGH_SHIFT) : value;
  vmcs.write(ordinal, next);
}
