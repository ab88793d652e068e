/**
 * The lists of MSRs that VM entries and VM exits load and store.
 *
 * Intel SDM Vol. 3C, "Loading MSRs", 28.4; "Saving MSRs", 29.4; "Loading MSRs", 29.6.
 *
 * DEVIATION(long-msr-lists): what an area with more entries than IA32_VMX_MISC recommends does is not predictable; here it
 * is a machine check, whatever the area holds, so that no count keeps the processor busy for hours.
 */
import { acceptsMsr, msrName, readMsr, writeMsr } from '../core/msrs.ts';
import { timeStampCounter } from '../core/timeStampCounter.ts';
import { MSR_LIST_LIMIT } from './capabilities.ts';
import type { VmxProcessor } from './processor.ts';

/*
 * An entry: 31:0 MSR index, 63:32 reserved, 127:64 data.
 */
const ENTRY_SIZE = 16;
const RESERVED_OFFSET = 4;
const DATA_OFFSET = 8;

const IA32_TIME_STAMP_COUNTER = 0x10;
const IA32_BIOS_UPDT_TRIG = 0x79;
const IA32_BIOS_SIGN_ID = 0x8b;
const IA32_SMM_MONITOR_CTL = 0x9b;
const IA32_SMBASE = 0x9e;
const IA32_FS_BASE = 0xc000_0100;
const IA32_GS_BASE = 0xc000_0101;
const APIC_BASE_EXTD = 1n << 10n;

/** MSRs that an area may not name for loading. */
export const NOT_LOADED: ReadonlySet<number> = new Set([
  IA32_FS_BASE,
  IA32_GS_BASE,
  IA32_SMM_MONITOR_CTL,
  IA32_BIOS_UPDT_TRIG,
  IA32_BIOS_SIGN_ID,
]);
const NOT_STORED: ReadonlySet<number> = new Set([IA32_SMBASE]);

function isX2apicRange({ state }: VmxProcessor, msr: number): boolean {
  return msr >>> 8 === 8 && (state.IA32_APIC_BASE & APIC_BASE_EXTD) !== 0n;
}

/** @see SDM "VM-Entry Controls for MSRs", 26.8.2; "VM-Exit Controls for MSRs", 26.7.2 */
export function isListTooLong(count: number): boolean {
  return count > MSR_LIST_LIMIT;
}

/** The first entry of an area that VM entry cannot load. */
export interface RefusedMsr {
  /** From 1. */
  readonly number: number;
  /** Where the entry lies; undefined where that is not known. */
  readonly address: number | undefined;
  readonly msr: number;
  readonly name: string | undefined;
  readonly value: bigint;
  readonly why: string;
}

/** Why an entry of an MSR-load area cannot be loaded whatever its value is. */
function whyNotLoadable(processor: VmxProcessor, msr: number, reserved: number): string | undefined {
  if (reserved !== 0) return 'bits 63:32 of the entry are not 0';
  if (NOT_LOADED.has(msr)) return 'this MSR may not be in the area';
  if (isX2apicRange(processor, msr)) return 'x2APIC registers may not be in the area in x2APIC mode';
  return undefined;
}

/**
 * The first entry that cannot be loaded, without loading anything.
 *
 * @param failed the number of the entry that is known not to load
 */
export function refusedMsr(
  processor: VmxProcessor,
  area: number,
  count: number,
  failed?: number,
): RefusedMsr | undefined {
  const { physical, cpu } = processor;
  for (let number = failed ?? 1; number <= count; number++) {
    const address = area + (number - 1) * ENTRY_SIZE;
    const msr = physical.read32(address);
    const value = physical.read64(address + DATA_OFFSET);
    const name = msrName(cpu, msr);
    const refused = failed === number || !acceptsMsr(cpu, msr, value);
    const why =
      whyNotLoadable(processor, msr, physical.read32(address + RESERVED_OFFSET)) ??
      (name === undefined
        ? 'the processor has no such MSR'
        : refused
          ? 'WRMSR refuses the value'
          : undefined);
    if (why !== undefined) return { number, address, msr, name, value, why };
  }
  return undefined;
}

/**
 * Loads the MSRs of an area in order. Gives the number (from 1) of the entry that cannot be loaded, or 0.
 *
 * @see SDM "Loading MSRs", 28.4
 */
export function loadMsrs(processor: VmxProcessor, area: number, count: number): number {
  const { physical, cpu } = processor;
  for (let number = 1; number <= count; number++) {
    const entry = area + (number - 1) * ENTRY_SIZE;
    const msr = physical.read32(entry);
    const reserved = physical.read32(entry + RESERVED_OFFSET);
    if (whyNotLoadable(processor, msr, reserved) !== undefined) return number;
    if (!writeMsr(cpu, msr, physical.read64(entry + DATA_OFFSET))) return number;
  }
  return 0;
}

/**
 * Stores MSRs into an area. Gives the number of the entry that cannot be stored, or 0.
 *
 * @see SDM "Saving MSRs", 29.4
 */
export function storeMsrs(processor: VmxProcessor, area: number, count: number): number {
  const { physical, cpu } = processor;
  for (let number = 1; number <= count; number++) {
    const entry = area + (number - 1) * ENTRY_SIZE;
    const msr = physical.read32(entry);
    const reserved = physical.read32(entry + RESERVED_OFFSET);
    if (reserved !== 0 || NOT_STORED.has(msr) || isX2apicRange(processor, msr)) return number;
    // The guest's TSC offset is not for the host.
    const value = msr === IA32_TIME_STAMP_COUNTER ? timeStampCounter(cpu) : readMsr(cpu, msr);
    if (value === undefined) return number;
    physical.write64(entry + DATA_OFFSET, value);
  }
  return 0;
}
