/** Memory by address space, as the debugger reads and writes it. Reading has no effect on anything. */
import { UserError } from '../base/errors.ts';
import type { Mmu } from '../mmu/mmu.ts';
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';
import type { ProcessorView } from './processorView.ts';
import type { DebugAddress } from './target.ts';

export interface MemoryViewParts {
  readonly mmu: Mmu;
  readonly physical: PhysicalMemory;
  readonly processor: ProcessorView;
  /** Level of the program that runs. */
  readonly level: () => number;
  /** Reads a VMCS field by its encoding. */
  readonly vmcsField: (encoding: number) => bigint | undefined;
}

const PAGE = 4096;
const LARGEST_PHYSICAL = 2n ** 52n;
const NOTHING = new Uint8Array(0);

export class MemoryView {
  readonly #parts: MemoryViewParts;

  constructor(parts: MemoryViewParts) {
    this.#parts = parts;
  }

  /** Bytes from the address on, stopping at the first that is not there. */
  read(from: DebugAddress, count: number): Uint8Array {
    const { mmu, processor } = this.#parts;
    const { inspector } = mmu;
    const { space, address } = from;
    this.#checkLevel(from);
    switch (space) {
      case 'linear':
        return inspector.peekLinear(address, count, processor.translationContext());
      case 'guest-physical':
        if (address >= LARGEST_PHYSICAL) return NOTHING;
        return inspector.peekGuestPhysical(Number(address), count, processor.translationContext());
      case 'host-physical':
        return address >= LARGEST_PHYSICAL ? NOTHING : inspector.peekPhysical(Number(address), count);
      case 'msr':
        return bytesOf(processor.msr(Number(address)), count);
      case 'vmcs':
        return bytesOf(this.#parts.vmcsField(Number(address)), count);
      case 'io':
        // Reading a port is an event for the device behind it.
        return NOTHING;
    }
  }

  /** Number of bytes written, stopping at the first that is not RAM. */
  write(to: DebugAddress, bytes: Uint8Array): number {
    const { physical } = this.#parts;
    this.#checkLevel(to);
    let done = 0;
    while (done < bytes.length) {
      const address = BigInt.asUintN(64, to.address + BigInt(done));
      const host = this.hostAddress({ ...to, address });
      const length = Math.min(bytes.length - done, PAGE - Number(address % BigInt(PAGE)));
      if (host === undefined || !physical.isRam(host, length)) break;
      physical.copyIn(host, bytes.subarray(done, done + length));
      done += length;
    }
    return done;
  }

  /** Where an address of memory is in the machine's RAM or registers. */
  hostAddress({ space, address }: DebugAddress): number | undefined {
    const { mmu, processor } = this.#parts;
    const { inspector } = mmu;
    if (space === 'linear') return inspector.translate(address, processor.translationContext());
    if (address >= LARGEST_PHYSICAL) return undefined;
    if (space === 'guest-physical')
      return inspector.translateGuestPhysical(Number(address), processor.translationContext());
    return space === 'host-physical' ? Number(address) : undefined;
  }

  /** Only the level that runs has registers to translate with. */
  #checkLevel({ level, space }: DebugAddress): void {
    if (level === undefined || space === 'host-physical' || level === this.#parts.level()) return;
    throw new UserError(
      `Level ${level} is not running: memory can be reached as level ${this.#parts.level()} sees it.`,
    );
  }
}

function bytesOf(value: bigint | undefined, count: number): Uint8Array {
  if (value === undefined) return NOTHING;
  return Uint8Array.from({ length: Math.min(count, 8) }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}
