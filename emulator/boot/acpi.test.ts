import { describe, expect, it } from 'vitest';
import { acpiTables } from './acpi.ts';
import { viewOf } from './bytes.ts';

const BASE = 0xe_0000;
const CPUS = 3;
const { bytes, rsdpAddress } = acpiTables(BASE, CPUS);
const view = viewOf(bytes);

const at = (address: number) => address - BASE;
const u32 = (address: number) => view.getUint32(at(address), true);
const u64 = (address: number) => Number(view.getBigUint64(at(address), true));
const text = (address: number, length: number) =>
  String.fromCharCode(...bytes.subarray(at(address), at(address) + length));
const sum = (address: number, length: number) =>
  bytes.subarray(at(address), at(address) + length).reduce((total, byte) => total + byte, 0) & 0xff;

const xsdt = u64(rsdpAddress + 24);
const entries = Array.from({ length: (u32(xsdt + 4) - 36) / 8 }, (_, index) => u64(xsdt + 36 + index * 8));
const table = (signature: string) => entries.find((address) => text(address, 4) === signature) as number;

describe('ACPI tables', () => {
  it('the RSDP is aligned to 16, carries its signature and both checksums', () => {
    expect(rsdpAddress % 16).toBe(0);
    expect(text(rsdpAddress, 8)).toBe('RSD PTR ');
    expect([sum(rsdpAddress, 20), sum(rsdpAddress, 36)]).toEqual([0, 0]);
  });

  it('RSDT and XSDT list the same tables, every one with a valid checksum', () => {
    const rsdt = u32(rsdpAddress + 16);
    expect(text(rsdt, 4)).toBe('RSDT');
    expect(text(xsdt, 4)).toBe('XSDT');
    const short = Array.from({ length: (u32(rsdt + 4) - 36) / 4 }, (_, index) => u32(rsdt + 36 + index * 4));
    expect(short).toEqual(entries);
    const dsdt = u32(table('FACP') + 40);
    for (const address of [rsdt, xsdt, dsdt, ...entries]) expect(sum(address, u32(address + 4))).toBe(0);
  });

  it('the FADT names the PM timer, PM1a and the reset register', () => {
    const fadt = table('FACP');
    expect([u32(fadt + 56), u32(fadt + 64), u32(fadt + 76)]).toEqual([0x600, 0x604, 0x608]);
    expect([u64(fadt + 120), bytes[at(fadt + 128)]]).toEqual([0xcf9, 6]);
    expect(text(u32(fadt + 40), 4)).toBe('DSDT');
    expect(text(u32(fadt + 36), 4)).toBe('FACS');
    expect(u32(fadt + 36) % 64).toBe(0);
  });

  it('the FADT names no SMI command port: ACPI is on, and there is no system-management mode', () => {
    const fadt = table('FACP');
    expect(u32(fadt + 48)).toBe(0);
    expect([52, 53, 54, 55].map((offset) => bytes[at(fadt + offset)])).toEqual([0, 0, 0, 0]);
  });

  it('the MADT has every processor, the I/O APIC and the overrides of IRQ 0 and 9', () => {
    const madt = table('APIC');
    const found: string[] = [];
    for (let entry = madt + 44; entry < madt + u32(madt + 4); entry += bytes[at(entry) + 1]) {
      const [type] = bytes.subarray(at(entry));
      if (type === 0) found.push(`local APIC ${bytes[at(entry) + 3]}`);
      if (type === 1) found.push(`I/O APIC at ${u32(entry + 4).toString(16)}`);
      if (type === 2) found.push(`IRQ ${bytes[at(entry) + 3]} at input ${u32(entry + 4)}`);
      if (type === 4) found.push(`NMI at LINT${bytes[at(entry) + 5]}`);
    }
    expect(found).toEqual([
      'local APIC 0',
      'local APIC 1',
      'local APIC 2',
      'I/O APIC at fec00000',
      'IRQ 0 at input 2',
      'IRQ 9 at input 9',
      'NMI at LINT1',
    ]);
  });

  it('the DSDT says with which sleep type the machine is switched off', () => {
    const dsdt = u32(table('FACP') + 40);
    const aml = bytes.subarray(at(dsdt) + 36, at(dsdt) + 36 + 14);
    // Name (_S5_, Package (4) {5, 5, 0, 0})
    expect([...aml]).toEqual([
      0x08, 0x5f, 0x53, 0x35, 0x5f, 0x12, 0x08, 0x04, 0x0a, 0x05, 0x0a, 0x05, 0x00, 0x00,
    ]);
  });
});
