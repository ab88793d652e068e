/**
 * What firmware leaves in memory for a system that it boots: interrupt vectors and services of a BIOS, the BIOS data
 * areas and the ACPI tables.
 */
import { LOW_MEMORY, PORTS } from '../machine/layout.ts';
import { acpiTables } from './acpi.ts';
import { biosServices, EQUIPMENT_WORD } from './biosServices.ts';
import type { BootSegment } from './bootPlan.ts';
import { StructureWriter } from './bytes.ts';

/** Offsets in the BIOS data area. */
const COM1_PORT = 0x00;
const EBDA_SEGMENT = 0x0e;
const EQUIPMENT = 0x10;
const BASE_MEMORY_KB = 0x13;
const VIDEO_MODE = 0x49;
const VIDEO_COLUMNS = 0x4a;
const VIDEO_PAGE_SIZE = 0x4c;
const CRTC_PORT = 0x63;
const VIDEO_LAST_ROW = 0x84;
const CHARACTER_HEIGHT = 0x85;

export interface Firmware {
  readonly segments: readonly BootSegment[];
  /** Physical address of the ACPI root system description pointer. */
  readonly rsdpAddress: number;
}

export function firmwareSegments(memoryBytes: number, cpus: number): Firmware {
  const { biosData, ebda, bios } = LOW_MEMORY;
  const data = new StructureWriter(biosData.length)
    .u16(COM1_PORT, PORTS.com1.base)
    .u16(EBDA_SEGMENT, ebda.base >> 4)
    .u16(EQUIPMENT, EQUIPMENT_WORD)
    .u16(BASE_MEMORY_KB, ebda.base / 1024)
    .u8(VIDEO_MODE, 3)
    .u16(VIDEO_COLUMNS, 80)
    .u16(VIDEO_PAGE_SIZE, 0x1000)
    .u16(CRTC_PORT, 0x3d4)
    .u8(VIDEO_LAST_ROW, 24)
    .u16(CHARACTER_HEIGHT, 16);
  // Its first byte is its size in kilobytes.
  const extendedData = new StructureWriter(ebda.length).u8(0, ebda.length / 1024);
  const tables = acpiTables(bios.base, cpus);
  const services = biosServices(memoryBytes);
  return {
    segments: [
      segment('interrupt vectors', 0, services.vectors),
      segment('BIOS data area', biosData.base, data.bytes),
      segment('extended BIOS data area', ebda.base, extendedData.bytes),
      segment('ACPI tables', bios.base, tables.bytes),
      segment('BIOS', bios.base + bios.length - services.rom.length, services.rom),
    ],
    rsdpAddress: tables.rsdpAddress,
  };
}

function segment(name: string, address: number, bytes: Uint8Array): BootSegment {
  return { name, address, length: bytes.length, bytes };
}
