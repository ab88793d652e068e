/** Which loader takes a file, and why none does. */
import { UserError } from '../base/errors.ts';
import type { NamedBytes } from '../machine/config.ts';
import { MAX_MEMORY, MIN_MEMORY } from '../machine/layout.ts';
import type { BootOptions, BootPlan } from './bootPlan.ts';
import { viewOf } from './bytes.ts';
import { type ElfImage, isElf, readElf } from './elfImage.ts';
import { planFlat64 } from './flat64.ts';
import { isLinuxImage, planLinux } from './linux.ts';
import { megabytes } from './memoryPlan.ts';
import { findMultibootHeader, type MultibootHeader, planMultiboot1 } from './multiboot1.ts';

/** Files that are no kernel image, by their first bytes; the sentence says what to do. */
const OTHER_FILES: readonly {
  readonly magic: readonly number[];
  readonly offset: number;
  readonly reason: string;
}[] = [
  { offset: 0, magic: [0x1f, 0x8b], reason: 'the file is compressed with gzip; unpack it first (gunzip)' },
  {
    offset: 0,
    magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a],
    reason: 'the file is compressed with xz; unpack it first (unxz)',
  },
  {
    offset: 0,
    magic: [0x28, 0xb5, 0x2f, 0xfd],
    reason: 'the file is compressed with zstd; unpack it first (unzstd)',
  },
  {
    offset: 0,
    magic: [0x42, 0x5a, 0x68],
    reason: 'the file is compressed with bzip2; unpack it first (bunzip2)',
  },
  {
    offset: 0,
    magic: [0x4d, 0x5a],
    reason: 'this is an EFI or Windows executable; build the kernel as ELF or bzImage',
  },
  {
    offset: 0,
    magic: [0xcf, 0xfa, 0xed, 0xfe],
    reason: 'this is a Mach-O file; build the kernel as ELF (x86_64-elf)',
  },
  { offset: 0, magic: [0x7f, 0x48, 0x56, 0x4d], reason: 'this is a snapshot, not a kernel image' },
  {
    offset: 0x8001,
    magic: [0x43, 0x44, 0x30, 0x30, 0x31],
    reason: 'this is a CD image; name the kernel inside it',
  },
  {
    offset: 510,
    magic: [0x55, 0xaa],
    reason:
      'this is a boot sector or disk image; name the kernel file itself, or a BIOS that boots the disk (bios, mode bare-metal)',
  },
];

const MULTIBOOT2_MAGIC = 0xe852_50d6;
const MULTIBOOT2_SEARCH_LENGTH = 32_768;

/** A loader with what finding it has already read. */
type Detected =
  | { readonly loader: 'linux' }
  | { readonly loader: 'multiboot1'; readonly header: MultibootHeader }
  | { readonly loader: 'flat64'; readonly elf: ElfImage };

/** Plans the boot of `image`; throws a `UserError` that says what is wrong with it and what to do. */
export function planBoot(image: NamedBytes, options: BootOptions): BootPlan {
  const { memoryBytes } = options;
  if (memoryBytes < MIN_MEMORY || memoryBytes > MAX_MEMORY) {
    throw new UserError(
      `the machine cannot have ${megabytes(memoryBytes)} of memory; set 'memory' to between ${megabytes(MIN_MEMORY)} and ${megabytes(MAX_MEMORY)}`,
    );
  }
  const detected = detect(image);
  switch (detected.loader) {
    case 'linux':
      return planLinux(image, options);
    case 'multiboot1':
      return planMultiboot1(image, detected.header, options);
    case 'flat64':
      return planFlat64(image, detected.elf, options);
  }
}

function detect(image: NamedBytes): Detected {
  const { name, bytes } = image;
  if (bytes.length === 0) throw new UserError(`${name}: the file is empty; build the image again`);
  if (isLinuxImage(bytes)) return { loader: 'linux' };
  const header = findMultibootHeader(bytes);
  if (header !== undefined) return { loader: 'multiboot1', header };
  if (!isElf(bytes)) {
    const other = OTHER_FILES.find(({ offset, magic }) =>
      magic.every((byte, index) => bytes[offset + index] === byte),
    );
    throw new UserError(
      `${name}: ${other?.reason ?? 'this is not a kernel image (ELF or bzImage); name the file that the linker wrote'}`,
    );
  }
  const elf = readElf(image);
  if (hasMultiboot2Header(bytes)) {
    throw new UserError(
      `${name}: the kernel has a Multiboot 2 header alone, which is not supported yet; add a Multiboot 1 header`,
    );
  }
  if (elf.bits === 32 || elf.machine === 'i386') {
    throw new UserError(
      `${name}: this is 32-bit code without a Multiboot header, so nothing says how to enter it; add a Multiboot header in its first 8 KiB or build it for x86-64`,
    );
  }
  return { loader: 'flat64', elf };
}

function hasMultiboot2Header(bytes: Uint8Array): boolean {
  const view = viewOf(bytes);
  const end = Math.min(bytes.length, MULTIBOOT2_SEARCH_LENGTH) - 16;
  for (let offset = 0; offset <= end; offset += 8) {
    if (view.getUint32(offset, true) === MULTIBOOT2_MAGIC) return true;
  }
  return false;
}
