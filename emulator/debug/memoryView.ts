/** Memory by address space, as the debugger reads and writes it. Reading has no effect on anything. */
import { UserError } from '../base/errors.ts';
import type { TranslationContext } from '../mmu/inspect.ts';
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
  /** What another level's addresses are translated by; undefined when nothing is known of it. */
  readonly contextOf: (level: number) => TranslationContext | undefined;
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
    switch (space) {
      case 'linear':
        return inspector.peekLinear(address, count, this.#contextOf(from));
      case 'guest-physical':
        if (address >= LARGEST_PHYSICAL) return NOTHING;
        return inspector.peekGuestPhysical(Number(address), count, this.#contextOf(from));
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
  hostAddress(of: DebugAddress): number | undefined {
    const { space, address } = of;
    const { inspector } = this.#parts.mmu;
    if (space === 'linear') return inspector.translate(address, this.#contextOf(of));
    if (address >= LARGEST_PHYSICAL) return undefined;
    if (space === 'guest-physical')
      return inspector.translateGuestPhysical(Number(address), this.#contextOf(of));
    return space === 'host-physical' ? Number(address) : undefined;
  }

  #contextOf({ level }: DebugAddress): TranslationContext {
    const { level: running, contextOf, processor } = this.#parts;
    if (level === undefined || level === running()) return processor.translationContext();
    const context = contextOf(level);
    if (context === undefined)
      throw new UserError(
        `Nothing is known of level ${level} now: memory can be reached as level ${running()} sees it.`,
      );
    return context;
  }
}

function bytesOf(value: bigint | undefined, count: number): Uint8Array {
  if (value === undefined) return NOTHING;
  return Uint8Array.from({ length: Math.min(count, 8) }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}
