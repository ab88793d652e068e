/**
 * Numbers of the ELF format that the reader uses.
 *
 * @see System V Application Binary Interface, gABI 4.1, chapter 4 "Object Files"
 * @see System V ABI, AMD64 Architecture Processor Supplement, chapter 4 "Object Files"
 */

export const ELFCLASS32 = 1;
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;

export const ET_EXEC = 2;
export const ET_DYN = 3;

export const EM_386 = 3;
export const EM_X86_64 = 62;

/** Values of header fields whose number does not fit: section 0 has the real one. */
export const PN_XNUM = 0xffff;
export const SHN_XINDEX = 0xffff;

export const SHN_UNDEF = 0;
export const SHN_ABS = 0xfff1;
export const SHN_COMMON = 0xfff2;

export const SHT_SYMTAB = 2;
export const SHT_NOTE = 7;
export const SHT_NOBITS = 8;
export const SHT_DYNSYM = 11;
export const SHT_SYMTAB_SHNDX = 18;

export const SHF_ALLOC = 0x2;
export const SHF_TLS = 0x400;
export const SHF_COMPRESSED = 0x800;

export const ELFCOMPRESS_ZLIB = 1;

export const STT_NOTYPE = 0;
export const STT_OBJECT = 1;
export const STT_FUNC = 2;
export const STT_SECTION = 3;
export const STT_FILE = 4;
export const STT_TLS = 6;
export const STT_GNU_IFUNC = 10;

export const STB_GLOBAL = 1;
export const STB_WEAK = 2;
export const STB_GNU_UNIQUE = 10;

export const NT_GNU_BUILD_ID = 3;
