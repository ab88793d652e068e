/**
 * What a loader needs of an ELF file: its class, entry point and the segments to load. Every bound is checked; a file
 * that does not hold what its headers say gives a `UserError`.
 *
 * @see Tool Interface Standard, Executable and Linking Format; System V Application Binary Interface, chapters 4 and 5
 */
import { UserError } from '../base/errors.ts';
import type { NamedBytes } from '../machine/config.ts';
import { viewOf } from './bytes.ts';

const EI_CLASS = 4;
const EI_DATA = 5;
const CLASS_32 = 1;
const CLASS_64 = 2;
const DATA_LITTLE_ENDIAN = 1;
const DATA_BIG_ENDIAN = 2;

const ET_REL = 1;
const ET_EXEC = 2;
const ET_DYN = 3;
const EM_386 = 3;
const EM_X86_64 = 62;
const PT_LOAD = 1;

/** Machines that people do mix up with ours. */
const MACHINE_NAMES: Readonly<Record<number, string>> = {
  [EM_386]: '32-bit x86',
  8: 'MIPS',
  20: 'PowerPC',
  40: 'ARM',
  [EM_X86_64]: 'x86-64',
  183: 'AArch64',
  243: 'RISC-V',
};

export interface ElfSegment {
  /** Its number in the program header table. */
  readonly index: number;
  readonly physicalAddress: number;
  readonly virtualAddress: bigint;
  /** The file's part; what `memorySize` has more is zero. */
  readonly bytes: Uint8Array;
  readonly memorySize: number;
}

export interface ElfImage {
  readonly bits: 32 | 64;
  readonly machine: 'i386' | 'x86-64';
  readonly entry: bigint;
  /** PT_LOAD segments with a memory size. */
  readonly segments: readonly ElfSegment[];
}

export function isElf(bytes: Uint8Array): boolean {
  return (
    bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46
  );
}

export function readElf({ name, bytes }: NamedBytes): ElfImage {
  const refuse = (reason: string): never => {
    throw new UserError(`${name}: ${reason}`);
  };
  const need = (end: number, what: string): void => {
    if (end <= bytes.length) return;
    refuse(
      `the ELF file is truncated: ${what} ends at byte ${end} and the file has ${bytes.length}; copy or build it again`,
    );
  };
  if (!isElf(bytes)) refuse('this is not an ELF file; name the kernel that the linker wrote');
  need(0x34, 'its header');
  if (bytes[EI_DATA] === DATA_BIG_ENDIAN) {
    refuse('the ELF file is big-endian, so it is for another processor; build it for x86-64');
  }
  if (
    bytes[EI_DATA] !== DATA_LITTLE_ENDIAN ||
    (bytes[EI_CLASS] !== CLASS_32 && bytes[EI_CLASS] !== CLASS_64)
  ) {
    refuse('the ELF header names no known class and byte order; the file is damaged, build it again');
  }
  const bits = bytes[EI_CLASS] === CLASS_64 ? 64 : 32;
  const fields = bits === 64 ? FIELDS_64 : FIELDS_32;
  need(fields.headerSize, 'its header');
  const view = viewOf(bytes);
  const machine = view.getUint16(0x12, true);
  if (machine !== EM_386 && machine !== EM_X86_64) {
    refuse(`the ELF file is for ${MACHINE_NAMES[machine] ?? `machine ${machine}`}; build it for x86-64`);
  }
  const type = view.getUint16(0x10, true);
  if (type === ET_REL) refuse('this is an object file; link it to an executable first');
  if (type !== ET_EXEC && type !== ET_DYN)
    refuse(`the ELF file of type ${type} is not an executable; link it as one`);

  const word = (offset: number): bigint =>
    bits === 64 ? view.getBigUint64(offset, true) : BigInt(view.getUint32(offset, true));
  /** A file offset or size as a number; beyond 2^53 nothing fits into the file anyway. */
  const size = (offset: number): number => Number(word(offset));

  const entry = word(0x18);
  const tableOffset = size(fields.programHeaderOffset);
  const entrySize = view.getUint16(fields.programHeaderEntrySize, true);
  const count = view.getUint16(fields.programHeaderCount, true);
  if (count > 0 && entrySize < fields.programHeaderSize) {
    refuse(
      `the ELF file's program headers of ${entrySize} bytes are too short; the file is damaged, build it again`,
    );
  }
  need(tableOffset + count * entrySize, 'the program header table');

  const segments: ElfSegment[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = tableOffset + index * entrySize;
    if (view.getUint32(at, true) !== PT_LOAD) continue;
    const offset = size(at + fields.offset);
    const fileSize = size(at + fields.fileSize);
    const memorySize = size(at + fields.memorySize);
    const physicalAddress = size(at + fields.physicalAddress);
    if (memorySize === 0) continue;
    need(offset + fileSize, `segment ${index}`);
    if (fileSize > memorySize) {
      refuse(
        `segment ${index} has more bytes in the file than in memory; the file is damaged, build it again`,
      );
    }
    if (!Number.isSafeInteger(physicalAddress + memorySize)) {
      refuse(
        `segment ${index} has the physical address 0x${physicalAddress.toString(16)}, which no memory has; set the load address (AT) in the linker script`,
      );
    }
    segments.push({
      index,
      physicalAddress,
      virtualAddress: word(at + fields.virtualAddress),
      bytes: bytes.subarray(offset, offset + fileSize),
      memorySize,
    });
  }
  if (segments.length === 0)
    refuse('the ELF file has no segment to load (PT_LOAD); link it as an executable');
  return { bits, machine: machine === EM_386 ? 'i386' : 'x86-64', entry, segments };
}

/** The physical address of a virtual one, by the segment that it lies in; `undefined` outside all of them. */
export function physicalAddressOf(image: ElfImage, virtualAddress: bigint): number | undefined {
  for (const segment of image.segments) {
    const offset = virtualAddress - segment.virtualAddress;
    if (offset >= 0n && offset < BigInt(segment.memorySize)) return segment.physicalAddress + Number(offset);
  }
  return undefined;
}

/** Offsets of the fields: ELF header, then those inside a program header. */
const FIELDS_32 = {
  headerSize: 0x34,
  programHeaderOffset: 0x1c,
  programHeaderEntrySize: 0x2a,
  programHeaderCount: 0x2c,
  programHeaderSize: 0x20,
  offset: 0x04,
  virtualAddress: 0x08,
  physicalAddress: 0x0c,
  fileSize: 0x10,
  memorySize: 0x14,
} as const;

const FIELDS_64 = {
  headerSize: 0x40,
  programHeaderOffset: 0x20,
  programHeaderEntrySize: 0x36,
  programHeaderCount: 0x38,
  programHeaderSize: 0x38,
  offset: 0x08,
  virtualAddress: 0x10,
  physicalAddress: 0x18,
  fileSize: 0x20,
  memorySize: 0x28,
} as const;
