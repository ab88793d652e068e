/**
 * The loader for ELF64 files without a boot header: 64-bit code from the first instruction on. What a program gets:
 *
 * - long mode, interrupts off, the first 4 GiB mapped to themselves with 2 MiB pages;
 * - RSP at the top of a stack of 64 KiB, with a zero return address on it, so that the entry may be a C function;
 * - RDI: physical address of a Multiboot information structure (memory map, command line, modules);
 * - RSI: physical address of a Linux zero page (memory map, command line, initrd, ACPI tables), as an uncompressed
 *   Linux kernel wants it.
 */
import { UserError } from '../base/errors.ts';
import type { NamedBytes } from '../machine/config.ts';
import type { BootOptions, BootPlan } from './bootPlan.ts';
import { type ElfImage, physicalAddressOf } from './elfImage.ts';
import { firmwareSegments } from './firmware.ts';
import { enterCommandLine, enterInitrd, zeroPageWriter } from './linux.ts';
import { MemoryPlan } from './memoryPlan.ts';
import { placeMultibootInformation } from './multiboot1.ts';
import { long64Entry } from './processorEntry.ts';

const STACK_SIZE = 0x1_0000;
const IDENTITY_LIMIT = 0x1_0000_0000n;
const INITRD_MAX = 0x7fff_ffff;

export function planFlat64(image: NamedBytes, elf: ElfImage, options: BootOptions): BootPlan {
  const plan = new MemoryPlan(image.name, options.memoryBytes);
  const firmware = firmwareSegments(options.memoryBytes, options.cpus);
  plan.addFirmware(firmware.segments);
  for (const { index, physicalAddress, bytes, memorySize } of elf.segments) {
    plan.claim(`segment ${index}`, physicalAddress, bytes, memorySize);
  }
  const zeroPage = zeroPageWriter(options.memoryBytes, firmware.rsdpAddress);
  enterCommandLine(plan, zeroPage, options.append);
  if (options.initrd !== undefined && options.initrd.bytes.length > 0) {
    enterInitrd(plan, zeroPage, options.initrd, INITRD_MAX);
  }
  const stack = plan.place('stack', new Uint8Array(0), { align: 4096 }, STACK_SIZE);
  const registers = {
    RSP: BigInt(stack + STACK_SIZE - 8),
    RDI: BigInt(placeMultibootInformation(plan, image, options)),
    RSI: BigInt(plan.place('zero page', zeroPage.bytes, { align: 4096 })),
  };
  return {
    loader: 'flat64',
    entry: long64Entry(plan, entryPoint(image, elf), registers),
    segments: plan.segments,
  };
}

/** The entry point must be valid in the identity mapping: a physical address, or one that a segment translates. */
function entryPoint({ name }: NamedBytes, elf: ElfImage): bigint {
  const physical = BigInt(physicalAddressOf(elf, elf.entry) ?? elf.entry);
  const insideSegment = elf.segments.some(
    (segment) =>
      physical >= BigInt(segment.physicalAddress) &&
      physical < BigInt(segment.physicalAddress + segment.memorySize),
  );
  if (!insideSegment || physical >= IDENTITY_LIMIT) {
    throw new UserError(
      `${name}: its entry point 0x${elf.entry.toString(16)} lies in none of its segments; let ENTRY in the linker script name the start code`,
    );
  }
  return physical;
}
