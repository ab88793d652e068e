/**
 * The ACPI tables of the board: RSDP, RSDT, XSDT, FADT, FACS, MADT and a DSDT. There is no HPET.
 *
 * @see ACPI 6.5, "ACPI Software Programming Model", 5.2
 */
import {
  IOAPIC_ID,
  IRQ,
  MAX_MEMORY,
  MMIO,
  PORTS,
  RESET_CONTROL_PORT,
  SLEEP_TYPE_S5,
  TIMER_IOAPIC_INPUT,
} from '../machine/layout.ts';
import * as aml from './aml.ts';
import { concatenate, StructureWriter } from './bytes.ts';

const OEM_ID = 'HVMDBG';
const OEM_TABLE_ID = 'HVMBOARD';
const CREATOR_ID = 'HVMD';
const TABLE_HEADER_SIZE = 36;
const TABLE_ALIGN = 16;

const RSDP_SIZE = 36;
const FADT_SIZE = 268;
const FACS_SIZE = 64;

/** FADT IA-PC boot architecture flags: legacy devices and an 8042 are there. */
const BOOT_ARCH_LEGACY_DEVICES = 0x01;
const BOOT_ARCH_8042 = 0x02;
/** FADT fixed feature flags. */
const FLAG_WBINVD = 1 << 0;
const FLAG_C1_SUPPORTED = 1 << 2;
const FLAG_NO_SLEEP_BUTTON = 1 << 5;
const FLAG_NO_FIXED_RTC = 1 << 6;
const FLAG_RESET_REGISTER = 1 << 10;
/** C2 and C3 with a latency above 100 and 1000 microseconds are not there. */
const NO_C2_LATENCY = 0xfff;
const NO_C3_LATENCY = 0xfff;
const RESET_VALUE = 0x06;
const CMOS_CENTURY = 0x32;

const ADDRESS_SPACE_IO = 1;
const PM1_CONTROL_OFFSET = 4;
const PM_TIMER_OFFSET = 8;

const MADT_DUAL_8259 = 1;
const MADT_LOCAL_APIC = 0;
const MADT_IO_APIC = 1;
const MADT_SOURCE_OVERRIDE = 2;
const MADT_LOCAL_NMI = 4;
/** Active high, level-triggered. */
const LEVEL_ACTIVE_HIGH = 0x0d;

export interface AcpiTables {
  /** To be placed at the base that was asked for. */
  readonly bytes: Uint8Array;
  readonly rsdpAddress: number;
}

/** All tables of a machine with `cpus` processors, for physical address `base` (aligned to 16). */
export function acpiTables(base: number, cpus: number): AcpiTables {
  const parts: Uint8Array[] = [];
  let next = base;
  const put = (bytes: Uint8Array): number => {
    const address = next;
    const padded = Math.ceil(bytes.length / TABLE_ALIGN) * TABLE_ALIGN;
    parts.push(bytes, new Uint8Array(padded - bytes.length));
    next += padded;
    return address;
  };
  // FACS first: it must be aligned to 64.
  const facsAddress = put(facs());
  const dsdtAddress = put(table('DSDT', 2, dsdtBody()));
  const tables = [put(fadt(facsAddress, dsdtAddress)), put(table('APIC', 3, madtBody(cpus)))];
  const rsdtAddress = put(table('RSDT', 1, rootBody(tables, 4)));
  const xsdtAddress = put(table('XSDT', 1, rootBody(tables, 8)));
  const rsdpAddress = put(rsdp(rsdtAddress, xsdtAddress));
  return { bytes: concatenate(parts), rsdpAddress };
}

function rsdp(rsdtAddress: number, xsdtAddress: number): Uint8Array {
  const { bytes } = new StructureWriter(RSDP_SIZE)
    .text(0, 'RSD PTR ')
    .text(9, OEM_ID)
    .u8(15, 2)
    .u32(16, rsdtAddress)
    .u32(20, RSDP_SIZE)
    .u64(24, xsdtAddress);
  // The first checksum covers the structure of ACPI 1.0, the second all of it.
  bytes[8] = checksum(bytes.subarray(0, 20));
  bytes[32] = checksum(bytes);
  return bytes;
}

function table(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const { bytes } = new StructureWriter(TABLE_HEADER_SIZE + body.length)
    .text(0, signature)
    .u32(4, TABLE_HEADER_SIZE + body.length)
    .u8(8, revision)
    .text(10, OEM_ID)
    .text(16, OEM_TABLE_ID)
    .u32(24, 1)
    .text(28, CREATOR_ID)
    .u32(32, 1)
    .copy(TABLE_HEADER_SIZE, body);
  bytes[9] = checksum(bytes);
  return bytes;
}

function rootBody(tables: readonly number[], entrySize: 4 | 8): Uint8Array {
  const body = new StructureWriter(tables.length * entrySize);
  for (const [index, address] of tables.entries()) body.u32(index * entrySize, address);
  return body.bytes;
}

function facs(): Uint8Array {
  return new StructureWriter(FACS_SIZE).text(0, 'FACS').u32(4, FACS_SIZE).u8(32, 2).bytes;
}

function fadt(facsAddress: number, dsdtAddress: number): Uint8Array {
  const eventBlock = PORTS.acpiPm.base;
  const controlBlock = eventBlock + PM1_CONTROL_OFFSET;
  const timerBlock = eventBlock + PM_TIMER_OFFSET;
  // Offsets as the specification counts them, from the start of the table.
  const fields = new StructureWriter(FADT_SIZE)
    .u32(36, facsAddress)
    .u32(40, dsdtAddress)
    .u16(46, IRQ.sci)
    // No SMI command port: the machine is always in ACPI mode.
    .u32(48, 0)
    .u32(56, eventBlock)
    .u32(64, controlBlock)
    .u32(76, timerBlock)
    .u8(88, 4)
    .u8(89, 2)
    .u8(91, 4)
    .u16(96, NO_C2_LATENCY)
    .u16(98, NO_C3_LATENCY)
    .u8(108, CMOS_CENTURY)
    .u16(109, BOOT_ARCH_LEGACY_DEVICES | BOOT_ARCH_8042)
    .u32(
      112,
      FLAG_WBINVD | FLAG_C1_SUPPORTED | FLAG_NO_SLEEP_BUTTON | FLAG_NO_FIXED_RTC | FLAG_RESET_REGISTER,
    )
    .copy(116, ioRegister(RESET_CONTROL_PORT, 8, 1))
    .u8(128, RESET_VALUE)
    .u64(140, dsdtAddress)
    .copy(148, ioRegister(eventBlock, 32, 2))
    .copy(172, ioRegister(controlBlock, 16, 2))
    .copy(208, ioRegister(timerBlock, 32, 3));
  return table('FACP', 5, fields.bytes.subarray(TABLE_HEADER_SIZE));
}

/** A generic address structure in I/O space; `access` is log2 of the access size in bytes plus 1. */
function ioRegister(port: number, bits: number, access: number): Uint8Array {
  return new StructureWriter(12).u8(0, ADDRESS_SPACE_IO).u8(1, bits).u8(3, access).u64(4, port).bytes;
}

function madtBody(cpus: number): Uint8Array {
  const header = new StructureWriter(8).u32(0, MMIO.localApic.base).u32(4, MADT_DUAL_8259).bytes;
  const localApics = Array.from(
    { length: cpus },
    (_, id) => new StructureWriter(8).u8(0, MADT_LOCAL_APIC).u8(1, 8).u8(2, id).u8(3, id).u32(4, 1).bytes,
  );
  const ioApic = new StructureWriter(12)
    .u8(0, MADT_IO_APIC)
    .u8(1, 12)
    .u8(2, IOAPIC_ID)
    .u32(4, MMIO.ioApic.base).bytes;
  const localNmi = new StructureWriter(6).u8(0, MADT_LOCAL_NMI).u8(1, 6).u8(2, 0xff).u8(5, 1).bytes;
  return concatenate([
    header,
    ...localApics,
    ioApic,
    sourceOverride(IRQ.timer, TIMER_IOAPIC_INPUT, 0),
    sourceOverride(IRQ.sci, IRQ.sci, LEVEL_ACTIVE_HIGH),
    localNmi,
  ]);
}

function sourceOverride(source: number, input: number, flags: number): Uint8Array {
  return new StructureWriter(10)
    .u8(0, MADT_SOURCE_OVERRIDE)
    .u8(1, 10)
    .u8(3, source)
    .u32(4, input)
    .u16(8, flags).bytes;
}

function dsdtBody(): Uint8Array {
  const { com1, cmos, keyboardData, keyboardCommand, pciAddress } = PORTS;
  return concatenate([
    aml.name(
      '_S5_',
      aml.packageOf(aml.integer(SLEEP_TYPE_S5), aml.integer(SLEEP_TYPE_S5), aml.integer(0), aml.integer(0)),
    ),
    aml.scope(
      '_SB_',
      aml.device(
        'PCI0',
        aml.name('_HID', aml.eisaId('PNP0A03')),
        aml.name('_UID', aml.integer(0)),
        aml.name(
          '_CRS',
          aml.resources(
            aml.busNumbers(0, 0xff),
            aml.ioPorts(pciAddress.base, 8),
            aml.bridgeIo(0x0d00, 0xffff),
            aml.bridgeMemory(MAX_MEMORY, MMIO.ioApic.base - 1),
          ),
        ),
      ),
      legacyDevice('COM1', 'PNP0501', [aml.ioPorts(com1.base, com1.length), aml.irq(IRQ.com1)]),
      legacyDevice('RTC_', 'PNP0B00', [aml.ioPorts(cmos.base, cmos.length), aml.irq(IRQ.rtc)]),
      legacyDevice('PS2K', 'PNP0303', [
        aml.ioPorts(keyboardData.base, 1),
        aml.ioPorts(keyboardCommand.base, 1),
        aml.irq(IRQ.keyboard),
      ]),
    ),
  ]);
}

function legacyDevice(segment: string, id: string, descriptors: readonly Uint8Array[]): Uint8Array {
  return aml.device(
    segment,
    aml.name('_HID', aml.eisaId(id)),
    aml.name('_UID', aml.integer(1)),
    aml.name('_CRS', aml.resources(...descriptors)),
  );
}

/** The byte that makes the sum of `bytes` a multiple of 256. */
function checksum(bytes: Uint8Array): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}
