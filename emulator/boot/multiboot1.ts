/**
 * The Multiboot loader: ELF32 and ELF64 files and flat binaries with address fields, entered in 32-bit protected mode
 * with the boot information in EBX.
 *
 * @see Multiboot Specification, version 0.6.96
 */
import { UserError } from '../base/errors.ts';
import type { NamedBytes } from '../machine/config.ts';
import { LOW_MEMORY, memoryMap } from '../machine/layout.ts';
import type { BootOptions, BootPlan } from './bootPlan.ts';
import { concatenate, StructureWriter, viewOf, zeroTerminated } from './bytes.ts';
import { isElf, physicalAddressOf, readElf } from './elfImage.ts';
import { firmwareSegments } from './firmware.ts';
import { MemoryPlan } from './memoryPlan.ts';
import { protected32Entry } from './processorEntry.ts';

const HEADER_MAGIC = 0x1bad_b002;
/** EAX at the entry. */
const BOOT_MAGIC = 0x2bad_b002;
/** The header lies in the first 8192 bytes, aligned to 4. */
const SEARCH_LENGTH = 8192;

const HEADER_ADDRESS_FIELDS = 0x0001_0000;
/** Requirements that a loader must refuse when it does not know them; known are 0 to 2. */
const HEADER_UNKNOWN_REQUIREMENTS = 0x0000_fff8;

const INFO_MEMORY = 0x0001;
const INFO_COMMAND_LINE = 0x0004;
const INFO_MODULES = 0x0008;
const INFO_MEMORY_MAP = 0x0040;
const INFO_LOADER_NAME = 0x0200;
const INFO_FRAMEBUFFER = 0x1000;
const INFO_SIZE = 116;
const MAP_ENTRY_SIZE = 24;
const MODULE_ENTRY_SIZE = 16;

const FRAMEBUFFER_EGA_TEXT = 2;
const TEXT_BUFFER = 0xb_8000;
const TEXT_COLUMNS = 80;
const TEXT_ROWS = 25;

/** The name has no "GRUB" in it: kernels then know that the command line begins with the image's name. */
const LOADER_NAME = 'HVM Debugger';

export interface MultibootHeader {
  readonly offset: number;
  readonly flags: number;
}

/** Looks for a Multiboot header; `undefined` when there is none. */
export function findMultibootHeader(bytes: Uint8Array): MultibootHeader | undefined {
  const view = viewOf(bytes);
  const end = Math.min(bytes.length, SEARCH_LENGTH) - 12;
  for (let offset = 0; offset <= end; offset += 4) {
    if (view.getUint32(offset, true) !== HEADER_MAGIC) continue;
    const flags = view.getUint32(offset + 4, true);
    const sum = (HEADER_MAGIC + flags + view.getUint32(offset + 8, true)) >>> 0;
    if (sum === 0) return { offset, flags };
  }
  return undefined;
}

export function planMultiboot1(image: NamedBytes, header: MultibootHeader, options: BootOptions): BootPlan {
  const unknown = header.flags & HEADER_UNKNOWN_REQUIREMENTS;
  if (unknown !== 0) {
    throw new UserError(
      `${image.name}: its Multiboot header requires feature bits 0x${unknown.toString(16)}, which no specification names; clear them in the header's flags`,
    );
  }
  const plan = new MemoryPlan(image.name, options.memoryBytes);
  plan.addFirmware(firmwareSegments(options.memoryBytes, options.cpus).segments);
  const entry =
    (header.flags & HEADER_ADDRESS_FIELDS) !== 0
      ? loadByAddressFields(plan, image, header)
      : loadElf(plan, image);
  const information = placeMultibootInformation(plan, image, options);
  return {
    loader: 'multiboot1',
    entry: protected32Entry(plan, entry, { RAX: BigInt(BOOT_MAGIC), RBX: BigInt(information) }),
    segments: plan.segments,
  };
}

function loadElf(plan: MemoryPlan, image: NamedBytes): number {
  if (!isElf(image.bytes)) {
    throw new UserError(
      `${image.name}: its Multiboot header is in a file that is not ELF and has no address fields; set flag bit 16 and the fields, or link it as ELF`,
    );
  }
  const elf = readElf(image);
  for (const { index, physicalAddress, bytes, memorySize } of elf.segments) {
    plan.claim(`segment ${index}`, physicalAddress, bytes, memorySize);
  }
  const entry = physicalAddressOf(elf, elf.entry) ?? Number(elf.entry);
  if (entry > 0xffff_ffff) {
    throw new UserError(
      `${image.name}: its entry point 0x${elf.entry.toString(16)} is in no segment below 4 GiB, where a Multiboot kernel starts in 32-bit mode; let ENTRY name the 32-bit start code`,
    );
  }
  return entry;
}

/** The header says itself what is to be loaded where (the "a.out kludge"). */
function loadByAddressFields(plan: MemoryPlan, { name, bytes }: NamedBytes, header: MultibootHeader): number {
  if (header.offset + 32 > bytes.length) {
    throw new UserError(`${name}: the file ends inside its Multiboot header; copy or build it again`);
  }
  const view = viewOf(bytes);
  const [headerAddress, loadAddress, loadEnd, bssEnd, entry] = [12, 16, 20, 24, 28].map((field) =>
    view.getUint32(header.offset + field, true),
  );
  const start = header.offset - (headerAddress - loadAddress);
  const length = loadEnd === 0 ? bytes.length - start : loadEnd - loadAddress;
  if (headerAddress < loadAddress || start < 0 || length < 0 || start + length > bytes.length) {
    throw new UserError(
      `${name}: the address fields of its Multiboot header (header_addr 0x${headerAddress.toString(16)}, load_addr 0x${loadAddress.toString(16)}, load_end_addr 0x${loadEnd.toString(16)}) do not fit the file; correct them or build it again`,
    );
  }
  if (bssEnd !== 0 && bssEnd < loadAddress + length) {
    throw new UserError(
      `${name}: bss_end_addr in its Multiboot header lies before load_end_addr; correct it`,
    );
  }
  const memorySize = bssEnd === 0 ? length : bssEnd - loadAddress;
  plan.claim('image', loadAddress, bytes.subarray(start, start + length), memorySize);
  return entry;
}

/** Places modules, command lines, memory map and the information structure, and gives its address. */
export function placeMultibootInformation(plan: MemoryPlan, image: NamedBytes, options: BootOptions): number {
  const map = encodeMemoryMap(options.memoryBytes);
  const mapAddress = plan.place('Multiboot memory map', map);
  const commandLine = plan.place('command line', zeroTerminated(withName(image.name, options.append)));
  const loaderName = plan.place('boot loader name', zeroTerminated(LOADER_NAME));
  const information = new StructureWriter(INFO_SIZE);
  let flags = INFO_MEMORY | INFO_COMMAND_LINE | INFO_MEMORY_MAP | INFO_LOADER_NAME | INFO_FRAMEBUFFER;
  if (options.modules.length > 0) {
    flags |= INFO_MODULES;
    information.u32(20, options.modules.length).u32(24, placeModules(plan, options.modules));
  }
  information
    .u32(0, flags)
    .u32(4, Math.floor(LOW_MEMORY.ebda.base / 1024))
    .u32(8, Math.floor((options.memoryBytes - LOW_MEMORY.end) / 1024))
    .u32(16, commandLine)
    .u32(44, map.length)
    .u32(48, mapAddress)
    .u32(64, loaderName)
    .u64(88, TEXT_BUFFER)
    .u32(96, TEXT_COLUMNS * 2)
    .u32(100, TEXT_COLUMNS)
    .u32(104, TEXT_ROWS)
    .u8(108, 16)
    .u8(109, FRAMEBUFFER_EGA_TEXT);
  return plan.place('Multiboot information', information.bytes);
}

function placeModules(plan: MemoryPlan, modules: BootOptions['modules']): number {
  const list = new StructureWriter(modules.length * MODULE_ENTRY_SIZE);
  for (const [index, module] of modules.entries()) {
    // An empty module still gets a page of its own, so that its address is one.
    const length = Math.max(1, module.bytes.length);
    const start = plan.place(
      `module ${module.name}`,
      module.bytes,
      { align: 4096, from: plan.highestEnd },
      length,
    );
    const text = plan.place(
      `command line of module ${module.name}`,
      zeroTerminated(withName(module.name, module.commandLine)),
    );
    const at = index * MODULE_ENTRY_SIZE;
    list
      .u32(at, start)
      .u32(at + 4, start + module.bytes.length)
      .u32(at + 8, text);
  }
  return plan.place('Multiboot module list', list.bytes);
}

function encodeMemoryMap(memoryBytes: number): Uint8Array {
  const entries = memoryMap(memoryBytes).map(
    ({ base, length, kind }) =>
      new StructureWriter(MAP_ENTRY_SIZE)
        // The size field does not count itself.
        .u32(0, MAP_ENTRY_SIZE - 4)
        .u64(4, base)
        .u64(12, length)
        .u32(20, kind === 'usable' ? 1 : 2).bytes,
  );
  return concatenate(entries);
}

/** The image's name as the first word, as boot loaders other than GRUB 2 give it. */
function withName(name: string, commandLine: string): string {
  const word = (name.split(/[\\/]/).at(-1) ?? name).replaceAll(/\s/g, '_');
  return commandLine === '' ? word : `${word} ${commandLine}`;
}
