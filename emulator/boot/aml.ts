/**
 * The few constructs of the ACPI Machine Language that the DSDT of this board needs, as functions that give bytes.
 *
 * @see ACPI 6.5, "ACPI Machine Language (AML) Specification", 20.2; "Resource Data Types for ACPI", 6.4
 */
import { ascii, concatenate, StructureWriter } from './bytes.ts';

type Aml = Uint8Array;

const ZERO_OP = 0x00;
const ONE_OP = 0x01;
const NAME_OP = 0x08;
const BYTE_PREFIX = 0x0a;
const WORD_PREFIX = 0x0b;
const DWORD_PREFIX = 0x0c;
const SCOPE_OP = 0x10;
const BUFFER_OP = 0x11;
const PACKAGE_OP = 0x12;
const EXT_PREFIX = 0x5b;
const DEVICE_OP = 0x82;

const IO_DESCRIPTOR = 0x47;
const IRQ_DESCRIPTOR = 0x22;
const END_TAG = 0x79;
const DWORD_ADDRESS_DESCRIPTOR = 0x87;
const WORD_ADDRESS_DESCRIPTOR = 0x88;

export function integer(value: number): Aml {
  if (value === 0) return Uint8Array.of(ZERO_OP);
  if (value === 1) return Uint8Array.of(ONE_OP);
  if (value <= 0xff) return Uint8Array.of(BYTE_PREFIX, value);
  if (value <= 0xffff)
    return concatenate([Uint8Array.of(WORD_PREFIX), new StructureWriter(2).u16(0, value).bytes]);
  return concatenate([Uint8Array.of(DWORD_PREFIX), new StructureWriter(4).u32(0, value).bytes]);
}

/** A compressed EISA identifier such as `PNP0501`. */
export function eisaId(id: string): Aml {
  const letter = (index: number) => id.charCodeAt(index) - 0x40;
  const vendor = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  const product = Number.parseInt(id.slice(3), 16);
  return Uint8Array.of(DWORD_PREFIX, vendor >> 8, vendor & 0xff, product >> 8, product & 0xff);
}

/** `Name (name, value)`. */
export function name(segment: string, value: Aml): Aml {
  return concatenate([Uint8Array.of(NAME_OP), ascii(segment), value]);
}

/** `Scope (path) { … }`. */
export function scope(path: string, ...contents: readonly Aml[]): Aml {
  return concatenate([Uint8Array.of(SCOPE_OP), withLength([ascii(path), ...contents])]);
}

/** `Device (name) { … }`. */
export function device(segment: string, ...contents: readonly Aml[]): Aml {
  return concatenate([Uint8Array.of(EXT_PREFIX, DEVICE_OP), withLength([ascii(segment), ...contents])]);
}

/** `Package () { … }`. */
export function packageOf(...elements: readonly Aml[]): Aml {
  return concatenate([Uint8Array.of(PACKAGE_OP), withLength([Uint8Array.of(elements.length), ...elements])]);
}

/** `ResourceTemplate () { … }`. */
export function resources(...descriptors: readonly Aml[]): Aml {
  // A checksum of 0 means that there is none.
  const template = concatenate([...descriptors, Uint8Array.of(END_TAG, 0)]);
  return concatenate([Uint8Array.of(BUFFER_OP), withLength([integer(template.length), template])]);
}

/** `IO (Decode16, base, base, 1, length)`. */
export function ioPorts(base: number, length: number): Aml {
  return new StructureWriter(8).u8(0, IO_DESCRIPTOR).u8(1, 1).u16(2, base).u16(4, base).u8(6, 1).u8(7, length)
    .bytes;
}

/** `IRQNoFlags () {irq}`. */
export function irq(line: number): Aml {
  return new StructureWriter(3).u8(0, IRQ_DESCRIPTOR).u16(1, 1 << line).bytes;
}

/** `WordBusNumber`, fixed, of a bridge that produces it. */
export function busNumbers(first: number, last: number): Aml {
  return wordAddress(2, 0, first, last);
}

/** `WordIO` of a bridge, positively decoded. */
export function bridgeIo(first: number, last: number): Aml {
  // ISA and non-ISA ranges.
  return wordAddress(1, 3, first, last);
}

/** `DWordMemory` of a bridge, not cached, writable. */
export function bridgeMemory(first: number, last: number): Aml {
  return new StructureWriter(26)
    .u8(0, DWORD_ADDRESS_DESCRIPTOR)
    .u16(1, 23)
    .u8(3, 0)
    .u8(4, FIXED_RANGE)
    .u8(5, 1)
    .u32(6, 0)
    .u32(10, first)
    .u32(14, last)
    .u32(18, 0)
    .u32(22, last - first + 1).bytes;
}

/** Minimum and maximum address are fixed, the bridge produces the range. */
const FIXED_RANGE = 0x0c;

function wordAddress(type: number, typeFlags: number, first: number, last: number): Aml {
  return new StructureWriter(16)
    .u8(0, WORD_ADDRESS_DESCRIPTOR)
    .u16(1, 13)
    .u8(3, type)
    .u8(4, FIXED_RANGE)
    .u8(5, typeFlags)
    .u16(6, 0)
    .u16(8, first)
    .u16(10, last)
    .u16(12, 0)
    .u16(14, last - first + 1).bytes;
}

/** PkgLength, which counts itself, before the parts. */
function withLength(parts: readonly Aml[]): Aml {
  const contents = concatenate(parts);
  if (contents.length + 1 <= 0x3f) return concatenate([Uint8Array.of(contents.length + 1), contents]);
  // Two bytes: the low nibble with the number of bytes that follow, then eight bits.
  const length = contents.length + 2;
  return concatenate([Uint8Array.of(0x40 | (length & 0x0f), length >> 4), contents]);
}
