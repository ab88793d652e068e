/**
 * One IDE channel with up to two disks, in PIO: command block registers at offsets 0 to 7, the control block register
 * (device control, alternate status) at offset 8. What a disk cannot do is aborted, as the standard has it for commands
 * that are not implemented: there is no DMA, no READ MULTIPLE and no packet device. DEVIATION(ata-latency): every
 * command and sector takes the same time.
 *
 * @see ATA/ATAPI-6 (T13 1410D), "Interface register definitions and descriptions", 7; "Command descriptions", 8; "PIO
 * data-in command protocol", 9.5
 */
import type { Alarm, Clock } from '../base/clock.ts';
import type { IrqLine } from '../base/ports.ts';
import { SavedState, savedDeadline } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import { type AtaDisk, SECTOR_SIZE } from './ataDisk.ts';
import type { AccessSize, Device } from './device.ts';

/** The channel's offset of the control block register. */
export const IDE_CONTROL_OFFSET = 8;

const DATA = 0;
const ERROR_FEATURES = 1;
const SECTOR_COUNT = 2;
const LBA_LOW = 3;
const LBA_MID = 4;
const LBA_HIGH = 5;
const DEVICE = 6;
const STATUS_COMMAND = 7;

const STATUS = { ERROR: 0x01, DATA_REQUEST: 0x08, SEEK_COMPLETE: 0x10, READY: 0x40, BUSY: 0x80 } as const;
const ERROR = { ABORTED: 0x04, ID_NOT_FOUND: 0x10 } as const;
/** The code of a device that passed its diagnostics. */
const DIAGNOSTIC_PASSED = 0x01;

/** Bits 7 and 5 of the device register have no meaning any more and read as 1. */
const DEVICE_OBSOLETE = 0xa0;
const DEVICE_LBA = 0x40;
const DEVICE_SELECT = 0x10;
const DEVICE_HEAD = 0x0f;

const CONTROL_NO_INTERRUPT = 0x02;
const CONTROL_RESET = 0x04;
/** Shows the earlier contents of the registers with two. */
const CONTROL_HIGH_ORDER = 0x80;

/** From a command to its data, and from written data to the next request: 100 µs. */
const LATENCY = 100_000;

const COMMAND = {
  RECALIBRATE: 0x10,
  READ_SECTORS: 0x20,
  READ_SECTORS_NO_RETRY: 0x21,
  READ_SECTORS_EXT: 0x24,
  WRITE_SECTORS: 0x30,
  WRITE_SECTORS_NO_RETRY: 0x31,
  WRITE_SECTORS_EXT: 0x34,
  READ_VERIFY: 0x40,
  READ_VERIFY_NO_RETRY: 0x41,
  READ_VERIFY_EXT: 0x42,
  EXECUTE_DIAGNOSTIC: 0x90,
  INITIALIZE_PARAMETERS: 0x91,
  STANDBY_IMMEDIATE: 0xe0,
  IDLE_IMMEDIATE: 0xe1,
  STANDBY: 0xe2,
  IDLE: 0xe3,
  CHECK_POWER_MODE: 0xe5,
  FLUSH_CACHE: 0xe7,
  FLUSH_CACHE_EXT: 0xea,
  IDENTIFY: 0xec,
  SET_FEATURES: 0xef,
} as const;
const SET_TRANSFER_MODE = 0x03;
/** Transfer modes up to this one are PIO. */
const LAST_PIO_MODE = 0x0c;
const POWER_ACTIVE = 0xff;

/** What has to be done when the alarm rings, or with a full buffer. */
type Transfer = 'none' | 'read' | 'write' | 'identify' | 'finish';
const TRANSFERS = ['none', 'read', 'write', 'identify', 'finish'] as const;

export interface IdeChannelConfig {
  readonly name: string;
  readonly clock: Clock;
  readonly irq: IrqLine;
  /** The device 0 and the device 1. */
  readonly disks: readonly (AtaDisk | undefined)[];
}

export class IdeChannel implements Device {
  readonly name: string;
  readonly #clock: Clock;
  readonly #irq: IrqLine;
  readonly #disks: readonly (AtaDisk | undefined)[];
  readonly #alarm: Alarm;
  #registers = initialRegisters();
  /** Registers with two contents: what was written last, and before. */
  readonly #block = new Uint8Array(8);
  readonly #before = new Uint8Array(8);
  #buffer: Uint8Array = new Uint8Array(SECTOR_SIZE);
  #transfer: Transfer = 'none';

  constructor({ name, clock, irq, disks }: IdeChannelConfig) {
    this.name = name;
    this.#clock = clock;
    this.#irq = irq;
    this.#disks = disks;
    this.#alarm = clock.createAlarm(`${name} done`, () => this.#ring());
    this.#signature();
  }

  read(offset: number, size: AccessSize): number {
    if (offset === DATA && size > 1) return this.#readData(size);
    const value = this.peek(offset, size);
    if (offset <= STATUS_COMMAND && offset + size > STATUS_COMMAND) {
      this.#registers.interrupt = false;
      this.#driveIrq();
    }
    return value;
  }

  peek(offset: number, size: AccessSize): number {
    if (offset === DATA && size > 1) return this.#dataAt(this.#registers.position, size);
    let value = 0;
    for (let byte = 0; byte < size; byte++) value |= this.#register(offset + byte) << (8 * byte);
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset === DATA && size > 1) {
      this.#writeData(size, value);
      return;
    }
    for (let byte = 0; byte < size; byte++) this.#writeRegister(offset + byte, (value >>> (8 * byte)) & 0xff);
  }

  reset(): void {
    this.#registers = initialRegisters();
    this.#before.fill(0);
    this.#transfer = 'none';
    this.#alarm.disarm();
    this.#signature();
    this.#driveIrq();
  }

  save(): StateRecord {
    return {
      ...this.#registers,
      block: this.#block.slice(),
      before: this.#before.slice(),
      buffer: this.#buffer.slice(),
      transfer: this.#transfer,
      done: savedDeadline(this.#alarm),
      disks: this.#disks.map((disk) => disk?.save() ?? {}),
    };
  }

  restore(state: StateRecord): void {
    const saved = new SavedState(this.name, state);
    saved.into(this.#registers);
    this.#block.set(saved.bytes('block', this.#block.length));
    this.#before.set(saved.bytes('before', this.#before.length));
    this.#buffer = saved.bytes('buffer', SECTOR_SIZE);
    this.#transfer = saved.oneOf('transfer', TRANSFERS);
    saved.alarm('done', this.#alarm);
    saved.records('disks', this.#disks.length);
    const disks = state.disks as readonly StateRecord[];
    for (const [index, disk] of this.#disks.entries()) disk?.restore(disks[index]);
  }

  get #selected(): 0 | 1 {
    return this.#block[DEVICE] & DEVICE_SELECT ? 1 : 0;
  }

  /** The disk that executes the last command; another may be selected since. */
  get #active(): AtaDisk | undefined {
    return this.#disks[this.#registers.active];
  }

  /** Registers, one byte each; where no device is selected that exists, the lines are pulled down. */
  #register(offset: number): number {
    if (this.#disks[this.#selected] === undefined && offset !== DEVICE) return 0;
    switch (offset) {
      case ERROR_FEATURES:
        return this.#registers.error;
      case STATUS_COMMAND:
      case IDE_CONTROL_OFFSET:
        return this.#registers.status;
      case DEVICE:
        return this.#block[DEVICE] | DEVICE_OBSOLETE;
      case SECTOR_COUNT:
      case LBA_LOW:
      case LBA_MID:
      case LBA_HIGH:
        return (this.#registers.control & CONTROL_HIGH_ORDER ? this.#before : this.#block)[offset];
      default:
        return 0;
    }
  }

  #writeRegister(offset: number, value: number): void {
    const registers = this.#registers;
    if (offset === IDE_CONTROL_OFFSET) {
      this.#control(value);
      return;
    }
    // A busy channel takes nothing; what a host writes to the data port in bytes is lost.
    if (registers.status & STATUS.BUSY || offset === DATA) return;
    registers.control &= ~CONTROL_HIGH_ORDER;
    if (offset === STATUS_COMMAND) {
      this.#command(value);
      return;
    }
    this.#before[offset] = this.#block[offset];
    this.#block[offset] = value;
  }

  /** A software reset begins with SRST set and ends when it is cleared. */
  #control(value: number): void {
    const registers = this.#registers;
    const wasReset = (registers.control & CONTROL_RESET) !== 0;
    registers.control = value;
    if (value & CONTROL_RESET) {
      this.#alarm.disarm();
      this.#transfer = 'none';
      registers.interrupt = false;
      registers.status = STATUS.BUSY;
    } else if (wasReset) {
      this.#signature();
      registers.status = STATUS.READY | STATUS.SEEK_COMPLETE;
    }
    this.#driveIrq();
  }

  /** What tells a disk from a packet device, after a reset. */
  #signature(): void {
    this.#block.fill(0);
    this.#block[SECTOR_COUNT] = 1;
    this.#block[LBA_LOW] = 1;
    this.#registers.error = DIAGNOSTIC_PASSED;
  }

  #command(command: number): void {
    const registers = this.#registers;
    if (command === COMMAND.EXECUTE_DIAGNOSTIC && this.#disks.some((each) => each !== undefined)) {
      this.#signature();
      this.#begin('finish');
      return;
    }
    const disk = this.#disks[this.#selected];
    if (disk === undefined) return;
    registers.active = this.#selected;
    registers.error = 0;
    switch (command) {
      case COMMAND.IDENTIFY:
        this.#begin('identify');
        return;
      case COMMAND.READ_SECTORS:
      case COMMAND.READ_SECTORS_NO_RETRY:
        this.#access(disk, 'read', false);
        return;
      case COMMAND.READ_SECTORS_EXT:
        this.#access(disk, 'read', true);
        return;
      case COMMAND.WRITE_SECTORS:
      case COMMAND.WRITE_SECTORS_NO_RETRY:
        this.#access(disk, 'write', false);
        return;
      case COMMAND.WRITE_SECTORS_EXT:
        this.#access(disk, 'write', true);
        return;
      case COMMAND.READ_VERIFY:
      case COMMAND.READ_VERIFY_NO_RETRY:
        this.#access(disk, 'finish', false);
        return;
      case COMMAND.READ_VERIFY_EXT:
        this.#access(disk, 'finish', true);
        return;
      case COMMAND.CHECK_POWER_MODE:
        this.#block[SECTOR_COUNT] = POWER_ACTIVE;
        break;
      case COMMAND.SET_FEATURES: {
        const isPio = this.#block[SECTOR_COUNT] <= LAST_PIO_MODE;
        if (this.#block[ERROR_FEATURES] !== SET_TRANSFER_MODE || !isPio) registers.error = ERROR.ABORTED;
        break;
      }
      case COMMAND.INITIALIZE_PARAMETERS:
        if (!disk.hasTranslation((this.#block[DEVICE] & DEVICE_HEAD) + 1, this.#block[SECTOR_COUNT]))
          registers.error = ERROR.ABORTED;
        break;
      case COMMAND.RECALIBRATE:
      case COMMAND.STANDBY_IMMEDIATE:
      case COMMAND.IDLE_IMMEDIATE:
      case COMMAND.STANDBY:
      case COMMAND.IDLE:
      case COMMAND.FLUSH_CACHE:
      case COMMAND.FLUSH_CACHE_EXT:
        break;
      default:
        registers.error = ERROR.ABORTED;
    }
    this.#begin('finish');
  }

  /** The host waits until the alarm rings. */
  #begin(transfer: Transfer): void {
    this.#transfer = transfer;
    this.#registers.status = STATUS.BUSY;
    this.#registers.interrupt = false;
    this.#driveIrq();
    this.#alarm.arm(this.#clock.now() + LATENCY);
  }

  /** A command with an address and a number of sectors; `extended`: both have 16 more bits. */
  #access(disk: AtaDisk, transfer: 'read' | 'write' | 'finish', extended: boolean): void {
    const registers = this.#registers;
    registers.lba = this.#address(disk, extended);
    registers.left = this.#sectorCount(extended);
    if (registers.lba < 0 || registers.lba + registers.left > disk.sectors) {
      registers.error = ERROR.ID_NOT_FOUND;
      this.#begin('finish');
    } else if (transfer === 'write') {
      // The first request for data comes at once and without an interrupt.
      this.#transfer = 'write';
      this.#requestData();
    } else this.#begin(transfer);
  }

  #sectorCount(extended: boolean): number {
    const count = this.#block[SECTOR_COUNT] | (extended ? this.#before[SECTOR_COUNT] << 8 : 0);
    return count || (extended ? 0x1_0000 : 0x100);
  }

  #address(disk: AtaDisk, extended: boolean): number {
    const block = this.#block;
    const before = this.#before;
    const low = block[LBA_LOW] | (block[LBA_MID] << 8) | (block[LBA_HIGH] << 16);
    if (extended) {
      const high = before[LBA_LOW] | (before[LBA_MID] << 8) | (before[LBA_HIGH] << 16);
      return high * 0x100_0000 + low;
    }
    const head = block[DEVICE] & DEVICE_HEAD;
    if (block[DEVICE] & DEVICE_LBA) return head * 0x100_0000 + low;
    return disk.lbaOf({ cylinder: low >> 8, head, sector: block[LBA_LOW] });
  }

  #ring(): void {
    const disk = this.#active;
    const registers = this.#registers;
    switch (this.#transfer) {
      case 'identify':
        this.#buffer = disk?.identify() ?? new Uint8Array(SECTOR_SIZE);
        registers.left = 1;
        this.#requestData();
        break;
      case 'read':
        this.#buffer = disk?.read(registers.lba) ?? new Uint8Array(SECTOR_SIZE);
        this.#requestData();
        break;
      case 'write':
        if (registers.left > 0) this.#requestData();
        else this.#finish();
        break;
      default:
        this.#finish();
    }
    this.#interrupt();
  }

  #requestData(): void {
    this.#registers.position = 0;
    this.#registers.status = STATUS.READY | STATUS.SEEK_COMPLETE | STATUS.DATA_REQUEST;
  }

  #finish(): void {
    const { error } = this.#registers;
    const failed = error !== 0 && error !== DIAGNOSTIC_PASSED;
    this.#transfer = 'none';
    this.#registers.status = STATUS.READY | STATUS.SEEK_COMPLETE | (failed ? STATUS.ERROR : 0);
  }

  #interrupt(): void {
    this.#registers.interrupt = true;
    this.#driveIrq();
  }

  #driveIrq(): void {
    const { interrupt, control } = this.#registers;
    this.#irq.set(interrupt && (control & CONTROL_NO_INTERRUPT) === 0);
  }

  #dataAt(position: number, size: AccessSize): number {
    if ((this.#registers.status & STATUS.DATA_REQUEST) === 0) return 0;
    let value = 0;
    for (let byte = 0; byte < size; byte++) value |= (this.#buffer[position + byte] ?? 0) << (8 * byte);
    return value >>> 0;
  }

  #readData(size: AccessSize): number {
    const registers = this.#registers;
    const value = this.#dataAt(registers.position, size);
    if ((registers.status & STATUS.DATA_REQUEST) === 0 || this.#transfer === 'write') return value;
    registers.position += size;
    if (registers.position < SECTOR_SIZE) return value;
    registers.lba++;
    registers.left--;
    if (registers.left <= 0 || this.#transfer === 'identify') this.#finish();
    else this.#begin('read');
    return value;
  }

  #writeData(size: AccessSize, value: number): void {
    const registers = this.#registers;
    if ((registers.status & STATUS.DATA_REQUEST) === 0 || this.#transfer !== 'write') return;
    for (let byte = 0; byte < size; byte++)
      this.#buffer[registers.position + byte] = (value >>> (8 * byte)) & 0xff;
    registers.position += size;
    if (registers.position < SECTOR_SIZE) return;
    this.#active?.write(registers.lba, this.#buffer);
    registers.lba++;
    registers.left--;
    this.#begin('write');
  }
}

function initialRegisters() {
  return {
    status: STATUS.READY | STATUS.SEEK_COMPLETE,
    error: DIAGNOSTIC_PASSED as number,
    control: 0,
    /** The device that executes the last command. */
    active: 0,
    /** INTRQ, before nIEN. */
    interrupt: false,
    /** The next sector of a transfer, and how many are left. */
    lba: 0,
    left: 0,
    /** In the buffer. */
    position: 0,
  };
}
