/**
 * The host bridge at 0:0.0: an Intel 82441FX, which every system knows. Of its own registers it has the seven that say
 * what answers between 0xC0000 and 0xFFFFF, RAM or the ROM behind the PCI bus: firmware copies itself into RAM there
 * and then forbids writes. They exist where the board has such a ROM.
 *
 * @see PCI Local Bus Specification 3.0, "Configuration Space Organization", 6.1; Intel 82441FX (PMC) datasheet,
 * "PAM—Programmable Attribute Map Registers", 3.2.14
 */
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize } from './device.ts';
import { PCI_HEADER, PciConfiguration, type PciRegister } from './pciConfiguration.ts';
import type { PciFunction } from './pciHost.ts';

/** The subsystem is the one by which SeaBIOS knows a virtual machine with the interfaces of QEMU (fw_cfg). */
const REGISTERS: readonly PciRegister[] = [
  { offset: PCI_HEADER.VENDOR, size: 2, value: 0x8086 },
  { offset: PCI_HEADER.DEVICE, size: 2, value: 0x1237 },
  // Memory and I/O enabled, bus master.
  { offset: PCI_HEADER.COMMAND, size: 2, value: 0x0007 },
  { offset: PCI_HEADER.REVISION, size: 1, value: 0x02 },
  // Bridge, host.
  { offset: PCI_HEADER.CLASS_CODE, size: 3, value: 0x06_00_00 },
  { offset: PCI_HEADER.SUBSYSTEM_VENDOR, size: 2, value: 0x1af4 },
  { offset: PCI_HEADER.SUBSYSTEM, size: 2, value: 0x1100 },
];

const PAM0 = 0x59;
const PAM_COUNT = 7;
const PAM_BITS = 0x33;
const READ_ENABLE = 1;
const WRITE_ENABLE = 2;

/** Reads and writes of an area go to RAM; otherwise reads see the ROM and writes are lost. */
export interface ShadowAttributes {
  readonly read: boolean;
  readonly write: boolean;
}

/** The areas between 0xC0000 and 0xFFFFF: twelve of 16 KiB from its beginning, then one of 64 KiB. */
export interface ShadowAreas {
  set(area: number, attributes: ShadowAttributes): void;
  save(): StateRecord;
  /** Memory is restored before, and with it what the areas show. */
  restore(state: StateRecord): void;
}

/** The last area, whose bits are in the first register. */
const BIOS_AREA = 12;

export class PciHostBridge implements PciFunction {
  readonly #configuration: PciConfiguration;
  readonly #shadow: ShadowAreas | undefined;

  constructor(shadow?: ShadowAreas) {
    this.#shadow = shadow;
    const writable = shadow ? PAM_BITS : 0;
    const pam = Array.from(
      { length: PAM_COUNT },
      (_, index): PciRegister => ({
        offset: PAM0 + index,
        size: 1,
        value: 0,
        // The low half of the first one has no meaning.
        writable: index === 0 ? writable & 0xf0 : writable,
      }),
    );
    this.#configuration = new PciConfiguration('pci-host-bridge', [...REGISTERS, ...pam]);
  }

  readConfiguration(offset: number, size: AccessSize): number {
    return this.#configuration.read(offset, size);
  }

  writeConfiguration(offset: number, size: AccessSize, value: number): void {
    this.#configuration.write(offset, size, value);
    if (offset + size > PAM0 && offset < PAM0 + PAM_COUNT) this.#apply();
  }

  reset(): void {
    this.#configuration.reset();
    this.#apply();
  }

  save(): StateRecord {
    return { ...this.#configuration.save(), shadow: this.#shadow?.save() ?? {} };
  }

  restore(state: StateRecord): void {
    this.#configuration.restore(state);
    this.#shadow?.restore(new SavedState('pci-host-bridge', state).rawRecord('shadow'));
  }

  #apply(): void {
    for (let area = 0; area <= BIOS_AREA; area++) {
      const bits =
        area === BIOS_AREA
          ? this.#configuration.byte(PAM0) >> 4
          : this.#configuration.byte(PAM0 + 1 + (area >> 1)) >> (area & 1 ? 4 : 0);
      this.#shadow?.set(area, { read: (bits & READ_ENABLE) !== 0, write: (bits & WRITE_ENABLE) !== 0 });
    }
  }
}
