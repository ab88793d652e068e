/**
 * The loader for Linux's boot protocol: bzImage files, entered at their 64-bit entry point if they have one, otherwise
 * at the 32-bit one, with the "zero page" in RSI.
 *
 * @see Linux, Documentation/arch/x86/boot.rst (protocol 2.15) and zero-page.rst
 */
import { UserError } from '../base/errors.ts';
import type { NamedBytes } from '../machine/config.ts';
import { LOW_MEMORY, memoryMap } from '../machine/layout.ts';
import type { BootOptions, BootPlan } from './bootPlan.ts';
import { StructureWriter, viewOf, zeroTerminated } from './bytes.ts';
import { firmwareSegments } from './firmware.ts';
import { MemoryPlan } from './memoryPlan.ts';
import { long64Entry, protected32Entry } from './processorEntry.ts';

/** Fields of the setup header, at the same offsets in the file and in the zero page. */
const SETUP_SECTS = 0x1f1;
const SYSSIZE = 0x1f4;
const BOOT_FLAG = 0x1fe;
const HEADER_LENGTH = 0x201;
const MAGIC = 0x202;
const VERSION = 0x206;
const TYPE_OF_LOADER = 0x210;
const LOADFLAGS = 0x211;
const CODE32_START = 0x214;
const RAMDISK_IMAGE = 0x218;
const RAMDISK_SIZE = 0x21c;
const HEAP_END_PTR = 0x224;
const CMD_LINE_PTR = 0x228;
const INITRD_ADDR_MAX = 0x22c;
const RELOCATABLE_KERNEL = 0x234;
const XLOADFLAGS = 0x236;
const CMDLINE_SIZE = 0x238;
const PREF_ADDRESS = 0x258;
const INIT_SIZE = 0x260;

const BOOT_FLAG_VALUE = 0xaa55;
/** "HdrS". */
const MAGIC_VALUE = 0x5372_6448;
const LOADED_HIGH = 0x01;
const CAN_USE_HEAP = 0x80;
const XLF_KERNEL_64 = 0x01;
const LOADER_UNDEFINED = 0xff;
/** Protocol 2.02 brought the command-line pointer; nothing older was ever a bzImage worth booting. */
const OLDEST_PROTOCOL = 0x0202;
const ENTRY_64_OFFSET = 0x200;
const DEFAULT_LOAD_ADDRESS = 0x10_0000;
const SECTOR = 512;

/** Fields of the zero page outside the setup header. */
const ZERO_PAGE_SIZE = 4096;
const EXT_MEM_K = 0x002;
const VIDEO_MODE = 0x006;
const VIDEO_COLUMNS = 0x007;
const VIDEO_LINES = 0x00e;
const VIDEO_IS_VGA = 0x00f;
const VIDEO_POINTS = 0x010;
const ACPI_RSDP_ADDR = 0x070;
const ALT_MEM_K = 0x1e0;
const E820_ENTRIES = 0x1e8;
const E820_TABLE = 0x2d0;
const E820_ENTRY_SIZE = 20;
/** The setup header starts here and ends where its length byte says. */
const SETUP_HEADER = 0x1f1;
const SETUP_HEADER_MAX = 0x290;

export function isLinuxImage(bytes: Uint8Array): boolean {
  if (bytes.length < VERSION + 2) return false;
  const view = viewOf(bytes);
  return view.getUint16(BOOT_FLAG, true) === BOOT_FLAG_VALUE && view.getUint32(MAGIC, true) === MAGIC_VALUE;
}

/** What the setup header says, with the protocol's defaults for fields that an older version does not have. */
interface SetupHeader {
  readonly version: number;
  readonly bytes: Uint8Array;
  readonly kernel: Uint8Array;
  readonly loadAddress: number;
  /** Memory that the kernel needs from its load address until it reads the memory map. */
  readonly initSize: number;
  readonly has64BitEntry: boolean;
  readonly commandLineSize: number;
  readonly initrdMax: number;
}

export function planLinux(image: NamedBytes, options: BootOptions): BootPlan {
  const header = readSetupHeader(image);
  if (options.modules.length > 0) {
    throw new UserError(
      `${image.name}: a Linux kernel takes no modules from the boot loader; use 'initrd' for its initial file system`,
    );
  }
  const plan = new MemoryPlan(image.name, options.memoryBytes);
  const firmware = firmwareSegments(options.memoryBytes, options.cpus);
  plan.addFirmware(firmware.segments);
  plan.claim('kernel', header.loadAddress, header.kernel, Math.max(header.initSize, header.kernel.length));

  const zeroPage = zeroPageWriter(options.memoryBytes, firmware.rsdpAddress);
  copySetupHeader(zeroPage, header);
  placeCommandLine(plan, zeroPage, image, header, options.append);
  placeInitrd(plan, zeroPage, header, options.initrd);
  const zeroPageAddress = plan.place('zero page', zeroPage.bytes, { align: 4096 });

  const registers = { RSI: BigInt(zeroPageAddress) };
  return {
    loader: 'linux',
    entry: header.has64BitEntry
      ? long64Entry(plan, BigInt(header.loadAddress + ENTRY_64_OFFSET), registers)
      : protected32Entry(plan, header.loadAddress, registers),
    segments: plan.segments,
  };
}

/** A zero page without a setup header: screen, memory map and ACPI tables. */
export function zeroPageWriter(memoryBytes: number, rsdpAddress: number): StructureWriter {
  const page = new StructureWriter(ZERO_PAGE_SIZE);
  const extendedKilobytes = Math.floor((memoryBytes - LOW_MEMORY.end) / 1024);
  page
    .u16(EXT_MEM_K, Math.min(extendedKilobytes, 0xffff))
    .u32(ALT_MEM_K, extendedKilobytes)
    .u8(VIDEO_MODE, 3)
    .u8(VIDEO_COLUMNS, 80)
    .u8(VIDEO_LINES, 25)
    .u8(VIDEO_IS_VGA, 1)
    .u16(VIDEO_POINTS, 16)
    .u64(ACPI_RSDP_ADDR, rsdpAddress);
  const map = memoryMap(memoryBytes);
  page.u8(E820_ENTRIES, map.length);
  for (const [index, { base, length, kind }] of map.entries()) {
    const at = E820_TABLE + index * E820_ENTRY_SIZE;
    page
      .u64(at, base)
      .u64(at + 8, length)
      .u32(at + 16, kind === 'usable' ? 1 : 2);
  }
  return page;
}

/** Places the command line and enters it into the zero page. */
export function enterCommandLine(plan: MemoryPlan, zeroPage: StructureWriter, commandLine: string): void {
  zeroPage.u32(CMD_LINE_PTR, plan.place('command line', zeroTerminated(commandLine)));
}

/** Places the initial file system as high as `max` allows and enters it into the zero page. */
export function enterInitrd(
  plan: MemoryPlan,
  zeroPage: StructureWriter,
  { name, bytes }: NamedBytes,
  max: number,
): void {
  const address = plan.place(`initrd ${name}`, bytes, {
    align: 4096,
    from: LOW_MEMORY.end,
    to: max + 1,
    high: true,
  });
  zeroPage.u32(RAMDISK_IMAGE, address).u32(RAMDISK_SIZE, bytes.length);
}

function readSetupHeader({ name, bytes }: NamedBytes): SetupHeader {
  const refuse = (reason: string): never => {
    throw new UserError(`${name}: ${reason}`);
  };
  const view = viewOf(bytes);
  const version = view.getUint16(VERSION, true);
  if (version < OLDEST_PROTOCOL) {
    refuse(`the kernel speaks boot protocol ${protocol(version)}; use one with 2.02 or later (Linux 2.4)`);
  }
  const headerEnd = MAGIC + bytes[HEADER_LENGTH];
  if (headerEnd > bytes.length || headerEnd < HEAP_END_PTR || headerEnd > SETUP_HEADER_MAX) {
    refuse('the setup header of the kernel is damaged; copy or build it again');
  }
  if ((bytes[LOADFLAGS] & LOADED_HIGH) === 0) refuse('this is a zImage; build a bzImage');
  const setupSectors = bytes[SETUP_SECTS] === 0 ? 4 : bytes[SETUP_SECTS];
  const start = (setupSectors + 1) * SECTOR;
  // The size is in paragraphs of 16 bytes, the last one need not be full.
  const size = view.getUint32(SYSSIZE, true) * 16;
  if (start >= bytes.length || start + size >= bytes.length + 16) {
    refuse(
      `the kernel is truncated: it ends at byte ${start + size} and the file has ${bytes.length}; copy or build it again`,
    );
  }
  const u32 = (offset: number, since: number, otherwise: number) =>
    version >= since && headerEnd >= offset + 4 ? view.getUint32(offset, true) : otherwise;
  const relocatable = version >= 0x0205 && headerEnd > RELOCATABLE_KERNEL && bytes[RELOCATABLE_KERNEL] !== 0;
  const has64BitEntry = version >= 0x020c && (view.getUint16(XLOADFLAGS, true) & XLF_KERNEL_64) !== 0;
  const preferred = u32(PREF_ADDRESS, 0x020a, DEFAULT_LOAD_ADDRESS);
  const preferredHigh = u32(PREF_ADDRESS + 4, 0x020a, 0);
  if (preferredHigh !== 0)
    refuse('the kernel prefers a load address above 4 GiB; rebuild it with a lower one');
  return {
    version,
    bytes: bytes.subarray(SETUP_HEADER, headerEnd),
    kernel: bytes.subarray(start, Math.min(start + size, bytes.length)),
    loadAddress: relocatable ? preferred : u32(CODE32_START, OLDEST_PROTOCOL, DEFAULT_LOAD_ADDRESS),
    initSize: u32(INIT_SIZE, 0x020a, 0),
    has64BitEntry,
    commandLineSize: u32(CMDLINE_SIZE, 0x0206, 255),
    initrdMax: u32(INITRD_ADDR_MAX, 0x0203, 0x37ff_ffff),
  };
}

function copySetupHeader(zeroPage: StructureWriter, { bytes, loadAddress }: SetupHeader): void {
  zeroPage
    .copy(SETUP_HEADER, bytes)
    .u8(TYPE_OF_LOADER, LOADER_UNDEFINED)
    .u32(CODE32_START, loadAddress)
    // There is no real-mode code to use the heap.
    .u8(LOADFLAGS, zeroPage.bytes[LOADFLAGS] & ~CAN_USE_HEAP);
}

function placeCommandLine(
  plan: MemoryPlan,
  zeroPage: StructureWriter,
  { name }: NamedBytes,
  { commandLineSize }: SetupHeader,
  append: string,
): void {
  const { length } = zeroTerminated(append);
  if (length - 1 > commandLineSize) {
    throw new UserError(
      `${name}: the command line has ${length - 1} bytes and the kernel takes ${commandLineSize}; shorten 'append'`,
    );
  }
  enterCommandLine(plan, zeroPage, append);
}

function placeInitrd(
  plan: MemoryPlan,
  zeroPage: StructureWriter,
  { initrdMax }: SetupHeader,
  initrd: NamedBytes | undefined,
): void {
  zeroPage.u32(RAMDISK_IMAGE, 0).u32(RAMDISK_SIZE, 0);
  if (initrd !== undefined && initrd.bytes.length > 0) enterInitrd(plan, zeroPage, initrd, initrdMax);
}

function protocol(version: number): string {
  return `${version >> 8}.${(version & 0xff).toString().padStart(2, '0')}`;
}
