/**
 * QEMU's firmware configuration device, through which firmware learns about the board: items by number, some of them files
 * with a name. A write of two bytes to the first port selects an item, reads of the second give it byte by byte;
 * behind its end, and where there is no item, zeros. Its DMA interface is not there, as the feature item says.
 *
 * @see QEMU documentation, "QEMU Firmware Configuration (fw_cfg) Device"
 */
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize, Device } from './device.ts';

const SIGNATURE = 0x0000;
const FEATURES = 0x0001;
const RAM_SIZE = 0x0003;
const PROCESSORS = 0x0005;
const MOST_PROCESSORS = 0x000f;
const FILE_DIRECTORY = 0x0019;
const FIRST_FILE = 0x0020;

/** The traditional interface, and no DMA. */
const TRADITIONAL = 1;
const NAME_LENGTH = 56;
const ENTRY_SIZE = 8 + NAME_LENGTH;

export interface FwCfgConfig {
  readonly memoryBytes: number;
  readonly cpus: number;
  /** Files by name, in the order of the directory. */
  readonly files: Readonly<Record<string, Uint8Array>>;
}

export class FwCfg implements Device {
  readonly name = 'fw-cfg';
  readonly #items: ReadonlyMap<number, Uint8Array>;
  #registers = initialRegisters();

  constructor({ memoryBytes, cpus, files }: FwCfgConfig) {
    const names = Object.keys(files);
    this.#items = new Map([
      [SIGNATURE, new TextEncoder().encode('QEMU')],
      [FEATURES, littleEndian(TRADITIONAL, 4)],
      [RAM_SIZE, littleEndian(memoryBytes, 8)],
      [PROCESSORS, littleEndian(cpus, 2)],
      [MOST_PROCESSORS, littleEndian(cpus, 2)],
      [FILE_DIRECTORY, directory(files)],
      ...names.map((name, index) => [FIRST_FILE + index, files[name]] as const),
    ]);
  }

  read(): number {
    const byte = this.peek();
    this.#registers.offset++;
    return byte;
  }

  peek(): number {
    const { item, offset } = this.#registers;
    return this.#items.get(item)?.[offset] ?? 0;
  }

  write(_offset: number, size: AccessSize, value: number): void {
    // A write of one byte is one to the data, which is read-only.
    if (size === 2) this.#registers = { item: value, offset: 0 };
  }

  reset(): void {
    this.#registers = initialRegisters();
  }

  save(): StateRecord {
    return { ...this.#registers };
  }

  restore(state: StateRecord): void {
    new SavedState(this.name, state).into(this.#registers);
  }
}

function initialRegisters() {
  return { item: SIGNATURE as number, offset: 0 };
}

export function littleEndian(value: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, byte) => Math.floor(value / 256 ** byte) % 256);
}

/** Number of files; for each its size, item, two reserved bytes and name. Big-endian, unlike the rest. */
function directory(files: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const names = Object.keys(files);
  const bytes = new Uint8Array(4 + names.length * ENTRY_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, names.length);
  for (const [index, name] of names.entries()) {
    const at = 4 + index * ENTRY_SIZE;
    view.setUint32(at, files[name].length);
    view.setUint16(at + 4, FIRST_FILE + index);
    bytes.set(new TextEncoder().encode(name).subarray(0, NAME_LENGTH - 1), at + 8);
  }
  return bytes;
}
