/**
 * Whether a file looks like something to boot, by its beginning. It decides what is offered in lists, no more: the
 * adapter reads the whole file and says what is wrong with it.
 *
 * @see System V Application Binary Interface, chapters 4 and 5
 * @see Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"
 */

export type ImageKind = 'elf' | 'bzImage';

/** So much of a file is looked at: headers of ELF and of Linux stand in the first page. */
export const BEGINNING_LENGTH = 4096;

const ELF_MAGIC = 0x464c_457f;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const EXECUTABLE = 2;
const SHARED_OBJECT = 3;
const EM_386 = 3;
const EM_X86_64 = 62;
const PT_INTERP = 3;

/** Fields of the ELF header and of a program header's table, by class. */
const ELF_32 = { tableOffset: 0x1c, entrySize: 0x2a, count: 0x2c } as const;
const ELF_64 = { tableOffset: 0x20, entrySize: 0x36, count: 0x38 } as const;

const BOOT_FLAG = { offset: 0x1fe, value: 0xaa55 } as const;
const LINUX_MAGIC = { offset: 0x202, value: 0x5372_6448 } as const;

export function imageKind(beginning: Uint8Array): ImageKind | undefined {
  const view = new DataView(beginning.buffer, beginning.byteOffset, beginning.byteLength);
  if (isBootableElf(view)) return 'elf';
  if (
    view.byteLength >= LINUX_MAGIC.offset + 4 &&
    view.getUint16(BOOT_FLAG.offset, true) === BOOT_FLAG.value &&
    view.getUint32(LINUX_MAGIC.offset, true) === LINUX_MAGIC.value
  )
    return 'bzImage';
  return undefined;
}

function isBootableElf(view: DataView): boolean {
  if (view.byteLength < 0x40 || view.getUint32(0, true) !== ELF_MAGIC) return false;
  if (view.getUint8(5) !== LITTLE_ENDIAN) return false;
  const type = view.getUint16(0x10, true);
  const machine = view.getUint16(0x12, true);
  if (type !== EXECUTABLE && type !== SHARED_OBJECT) return false;
  if (machine !== EM_386 && machine !== EM_X86_64) return false;
  return !hasInterpreter(view);
}

/** A program that asks for a dynamic linker is one of an operating system. */
function hasInterpreter(view: DataView): boolean {
  const is64 = view.getUint8(4) === CLASS_64;
  const fields = is64 ? ELF_64 : ELF_32;
  const table = is64
    ? Number(view.getBigUint64(fields.tableOffset, true))
    : view.getUint32(fields.tableOffset, true);
  const size = view.getUint16(fields.entrySize, true);
  const count = view.getUint16(fields.count, true);
  for (let index = 0; index < count; index++) {
    const at = table + index * size;
    if (at + 4 > view.byteLength) break;
    if (view.getUint32(at, true) === PT_INTERP) return true;
  }
  return false;
}
