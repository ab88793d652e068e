/**
 * The PCI host bridge: configuration mechanism 1 at ports 0xcf8 (offset 0, a double word) and 0xcfc (offset 4), and
 * the functions on bus 0. Function 0:0.0 is the bridge itself; where there is no function all bits read as 1.
 *
 * Byte accesses inside the address port do not belong to PCI: 0xcf9 is the reset control register, which is given to
 * the bridge as a device of its own.
 *
 * @see PCI Local Bus Specification 3.0, "Configuration Space" (3.2.2.3.2, 6.1)
 */
import { floatingBus } from '../base/ports.ts';
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize, Device } from './device.ts';

const ADDRESS = 0;
const DATA = 4;
/** The device's offset of port 0xcf9. */
const RESET_CONTROL = 1;

const ADDRESS_ENABLE = 0x8000_0000;
const ADDRESS_BITS = 0x80ff_fffc;

/** What a PCI function answers in its 256 bytes of configuration space; `offset` is aligned to `size`. */
export interface PciFunction {
  readConfiguration(offset: number, size: AccessSize): number;
  writeConfiguration(offset: number, size: AccessSize, value: number): void;
  reset(): void;
  save(): StateRecord;
  restore(state: StateRecord): void;
}

export interface PciHostConfig {
  /** Functions on bus 0 by device × 8 + function. */
  readonly functions: ReadonlyMap<number, PciFunction>;
  /** The register at port 0xcf9. */
  readonly resetControl: Device;
}

export class PciHost implements Device {
  readonly name = 'pci-host';
  readonly #config: PciHostConfig;
  #address = 0;

  constructor(config: PciHostConfig) {
    this.#config = config;
  }

  read(offset: number, size: AccessSize): number {
    return this.peek(offset, size);
  }

  peek(offset: number, size: AccessSize): number {
    if (offset >= DATA) return this.#readData(offset - DATA, size);
    if (offset === ADDRESS && size === 4) return this.#address;
    if (offset === RESET_CONTROL && size === 1) return this.#config.resetControl.peek(0, 1);
    return floatingBus(size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset >= DATA) this.#writeData(offset - DATA, size, value);
    else if (offset === ADDRESS && size === 4) this.#address = (value & ADDRESS_BITS) >>> 0;
    else if (offset === RESET_CONTROL && size === 1) this.#config.resetControl.write(0, 1, value);
  }

  reset(): void {
    this.#address = 0;
    for (const pciFunction of this.#config.functions.values()) pciFunction.reset();
  }

  save(): StateRecord {
    const functions = [...this.#config.functions].map(([number, each]) => [String(number), each.save()]);
    return { address: this.#address, functions: Object.fromEntries(functions) };
  }

  restore(state: StateRecord): void {
    const saved = new SavedState(this.name, state);
    this.#address = saved.number('address');
    const functions = saved.record('functions');
    for (const [number, each] of this.#config.functions) each.restore(functions.rawRecord(String(number)));
  }

  #readData(offset: number, size: AccessSize): number {
    const register = (this.#address & 0xfc) + offset;
    return this.#selected()?.readConfiguration(register, size) ?? floatingBus(size);
  }

  #writeData(offset: number, size: AccessSize, value: number): void {
    this.#selected()?.writeConfiguration((this.#address & 0xfc) + offset, size, value);
  }

  /** The function that the address names; there is only bus 0. */
  #selected(): PciFunction | undefined {
    if ((this.#address & ADDRESS_ENABLE) === 0) return undefined;
    const bus = (this.#address >>> 16) & 0xff;
    return bus === 0 ? this.#config.functions.get((this.#address >>> 8) & 0xff) : undefined;
  }
}
