/**
 * The PIIX3 south bridge as configuration software sees it: a bridge to the ISA bus, where the board's devices are, and
 * an IDE function whose two channels are at their legacy ports and have no bus-master DMA.
 *
 * DEVIATION(piix3-decode): the IDE channels answer whatever the function's command register and IDETIM say, and
 * the routing of PCI interrupts is kept without effect: nothing here has one.
 *
 * @see Intel 82371FB (PIIX) and 82371SB (PIIX3) PCI ISA IDE Xcelerator datasheet, "Register Description", 2
 */
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize } from './device.ts';
import { PCI_HEADER, PciConfiguration, type PciRegister } from './pciConfiguration.ts';
import type { PciFunction } from './pciHost.ts';

const VENDOR: PciRegister = { offset: PCI_HEADER.VENDOR, size: 2, value: 0x8086 };

const ISA_BRIDGE: readonly PciRegister[] = [
  VENDOR,
  { offset: PCI_HEADER.DEVICE, size: 2, value: 0x7000 },
  { offset: PCI_HEADER.COMMAND, size: 2, value: 0x0007 },
  { offset: PCI_HEADER.STATUS, size: 2, value: 0x0200 },
  // Bridge, ISA.
  { offset: PCI_HEADER.CLASS_CODE, size: 3, value: 0x06_01_00 },
  // Other functions follow.
  { offset: PCI_HEADER.HEADER_TYPE, size: 1, value: 0x80 },
  // PIRQRC[A:D]: not routed.
  { offset: 0x60, size: 4, value: 0x8080_8080, writable: 0x8f8f_8f8f },
];

const IDE: readonly PciRegister[] = [
  VENDOR,
  { offset: PCI_HEADER.DEVICE, size: 2, value: 0x7010 },
  { offset: PCI_HEADER.COMMAND, size: 2, value: 0x0000, writable: 0x0001 },
  { offset: PCI_HEADER.STATUS, size: 2, value: 0x0280 },
  // Mass storage, IDE; both channels in compatibility mode, no bus master.
  { offset: PCI_HEADER.CLASS_CODE, size: 3, value: 0x01_01_00 },
  // IDETIM of both channels.
  { offset: 0x40, size: 4, value: 0, writable: 0xf3ff_f3ff },
];

class ConfigurationOnly implements PciFunction {
  readonly #configuration: PciConfiguration;

  constructor(name: string, registers: readonly PciRegister[]) {
    this.#configuration = new PciConfiguration(name, registers);
  }

  readConfiguration(offset: number, size: AccessSize): number {
    return this.#configuration.read(offset, size);
  }

  writeConfiguration(offset: number, size: AccessSize, value: number): void {
    this.#configuration.write(offset, size, value);
  }

  reset(): void {
    this.#configuration.reset();
  }

  save(): StateRecord {
    return this.#configuration.save();
  }

  restore(state: StateRecord): void {
    this.#configuration.restore(state);
  }
}

/** Function 0. */
export function piix3IsaBridge(): PciFunction {
  return new ConfigurationOnly('piix3-isa', ISA_BRIDGE);
}

/** Function 1. */
export function piix3Ide(): PciFunction {
  return new ConfigurationOnly('piix3-ide', IDE);
}
