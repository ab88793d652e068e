/** Reads what a boot plan puts into physical memory. */
import type { BootPlan } from '../../emulator/boot/bootPlan.ts';

export class BootMemory {
  readonly #plan: Pick<BootPlan, 'segments'>;

  constructor(plan: Pick<BootPlan, 'segments'>) {
    this.#plan = plan;
  }

  bytes(address: number, length: number): Uint8Array {
    const result = new Uint8Array(length);
    for (let index = 0; index < length; index += 1) result[index] = this.u8(address + index);
    return result;
  }

  u8(address: number): number {
    const segment = this.#plan.segments.find(
      ({ address: base, length }) => address >= base && address < base + length,
    );
    return segment?.bytes[address - segment.address] ?? 0;
  }

  u16(address: number): number {
    return this.u8(address) | (this.u8(address + 1) << 8);
  }

  u32(address: number): number {
    return (this.u16(address) | (this.u16(address + 2) << 16)) >>> 0;
  }

  u64(address: number): bigint {
    return BigInt(this.u32(address)) | (BigInt(this.u32(address + 4)) << 32n);
  }

  string(address: number): string {
    let text = '';
    for (let at = address; this.u8(at) !== 0; at += 1) text += String.fromCharCode(this.u8(at));
    return text;
  }
}
