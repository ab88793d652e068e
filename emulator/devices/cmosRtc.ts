/**
 * The real-time clock and CMOS memory: a Motorola MC146818 with 128 bytes, at ports 0x70 (index) and 0x71 (data). The
 * date follows from the start time of the run and the virtual clock; nothing ticks unless an interrupt is enabled.
 *
 * DEVIATION(rtc-calendar): the day of the week follows from the date and the format bits of register B change only how
 * a running date is shown; on the chip both are whatever was written. An update takes no time.
 *
 * @see Motorola, MC146818A Real-Time Clock Plus RAM; the meaning of the bytes above 0x0d is the PC BIOS'
 */
import type { Alarm, Clock } from '../base/clock.ts';
import { periodsInTicks, TICKS_PER_SECOND, ticksForPeriods } from '../base/clock.ts';
import type { IrqLine } from '../base/ports.ts';
import { SavedState, savedDeadline } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import { alarmMatches, fieldsOfSeconds, fromBcd, secondsOfFields, toBcd } from './calendar.ts';
import type { AccessSize, Device } from './device.ts';

const INDEX = 0;
const DATA = 1;
/** Port 0x70 bit 7 masks NMI; the index is the rest. */
const INDEX_BITS = 0x7f;

const SECONDS = 0x00;
const SECONDS_ALARM = 0x01;
const MINUTES = 0x02;
const MINUTES_ALARM = 0x03;
const HOURS = 0x04;
const HOURS_ALARM = 0x05;
const DAY_OF_WEEK = 0x06;
const DAY_OF_MONTH = 0x07;
const MONTH = 0x08;
const YEAR = 0x09;
const REGISTER_A = 0x0a;
const REGISTER_B = 0x0b;
const REGISTER_C = 0x0c;
const REGISTER_D = 0x0d;
const CENTURY = 0x32;

const A_UPDATE_IN_PROGRESS = 0x80;
const A_DIVIDER = 0x70;
const A_DIVIDER_32768 = 0x20;
const A_RATE = 0x0f;
const B_SET = 0x80;
const B_BINARY = 0x04;
const B_24_HOURS = 0x02;
/** PIE, AIE, UIE in register B; PF, AF, UF in register C. */
const PERIODIC = 0x40;
const ALARM = 0x20;
const UPDATE = 0x10;
const SOURCES = PERIODIC | ALARM | UPDATE;
const C_INTERRUPT = 0x80;
const D_VALID = 0x80;
const HOURS_PM = 0x80;

/** UIP is set this long before the update. */
const UPDATE_WARNING_TICKS = 244_000;
const CRYSTAL_HERTZ = 32_768;
const CMOS_SIZE = 128;

/** CMOS bytes that describe memory, as a PC's BIOS writes them. */
const BASE_MEMORY_KB = 640;
const CMOS_BASE_MEMORY = 0x15;
const CMOS_EXTENDED_MEMORY = [0x17, 0x30];
const CMOS_MEMORY_ABOVE_16M = 0x34;
const CMOS_MEMORY_ABOVE_4G = 0x5b;
const CMOS_EQUIPMENT = 0x14;
/** Coprocessor present, 80x25 colour display, no diskette. */
const EQUIPMENT = 0x22;

export interface CmosRtcConfig {
  readonly clock: Clock;
  readonly irq: IrqLine;
  /** Seconds since 1970-01-01T00:00:00Z that the clock shows at tick 0. */
  readonly startTime: number;
  readonly memoryBytes: number;
}

export class CmosRtc implements Device {
  readonly name = 'cmos-rtc';
  readonly #clock: Clock;
  readonly #irq: IrqLine;
  readonly #periodic: Alarm;
  readonly #second: Alarm;
  /** Plain memory, alarm bytes included; the date bytes count only while the clock is stopped. */
  readonly #cmos: Uint8Array;
  #registers: ReturnType<typeof initialRegisters>;

  constructor({ clock, irq, startTime, memoryBytes }: CmosRtcConfig) {
    this.#clock = clock;
    this.#irq = irq;
    this.#cmos = cmosOfPc(memoryBytes);
    this.#registers = initialRegisters(startTime);
    this.#periodic = clock.createAlarm('cmos-rtc periodic', () => this.#update());
    this.#second = clock.createAlarm('cmos-rtc second', () => this.#update());
  }

  read(offset: number, size: AccessSize): number {
    const value = this.peek(offset, size);
    if (offset === DATA && this.#registers.index === REGISTER_C) {
      this.#registers.flags = 0;
      this.#update();
    }
    return value;
  }

  peek(offset: number, _size: AccessSize): number {
    // The index register cannot be read.
    if (offset === INDEX) return 0xff;
    const { index, a, b } = this.#registers;
    this.#collectFlags();
    switch (index) {
      case REGISTER_A:
        return a | (this.#updateInProgress() ? A_UPDATE_IN_PROGRESS : 0);
      case REGISTER_B:
        return b;
      case REGISTER_C:
        return this.#registers.flags | (this.#interrupting ? C_INTERRUPT : 0);
      case REGISTER_D:
        return D_VALID;
    }
    if (isDateByte(index) && this.#running)
      return this.#encodeDateByte(index, fieldsOfSeconds(this.#seconds()));
    return this.#cmos[index];
  }

  write(offset: number, _size: AccessSize, value: number): void {
    const registers = this.#registers;
    if (offset === INDEX) {
      registers.index = value & INDEX_BITS;
      return;
    }
    this.#collectFlags();
    switch (registers.index) {
      case REGISTER_A:
        this.#control(() => {
          registers.a = value & ~A_UPDATE_IN_PROGRESS;
        });
        registers.periodsSeen = this.#periods();
        break;
      case REGISTER_B:
        this.#control(() => {
          // SET clears UIE.
          registers.b = (value & B_SET) !== 0 ? value & ~UPDATE : value;
        });
        break;
      case REGISTER_C:
      case REGISTER_D:
        break;
      default:
        this.#writeMemory(registers.index, value);
    }
    this.#update();
  }

  /** A platform reset: the battery keeps the time and the memory. */
  reset(): void {
    this.#collectFlags();
    const registers = this.#registers;
    registers.b &= ~SOURCES;
    registers.flags = 0;
    registers.index = 0;
    this.#update();
  }

  save(): StateRecord {
    return {
      ...this.#registers,
      cmos: this.#cmos.slice(),
      periodic: savedDeadline(this.#periodic),
      second: savedDeadline(this.#second),
    };
  }

  restore(state: StateRecord): void {
    const saved = new SavedState(this.name, state);
    saved.into(this.#registers);
    this.#cmos.set(saved.bytes('cmos', CMOS_SIZE));
    saved.alarm('periodic', this.#periodic);
    saved.alarm('second', this.#second);
  }

  /** Whether the date advances: not stopped by SET, divider on the 32,768 Hz crystal. */
  get #running(): boolean {
    const { a, b } = this.#registers;
    return (b & B_SET) === 0 && (a & A_DIVIDER) === A_DIVIDER_32768;
  }

  get #interrupting(): boolean {
    return (this.#registers.flags & this.#registers.b & SOURCES) !== 0;
  }

  /** The date as seconds since 1970, at this tick. */
  #seconds(): number {
    const { epoch, epochTick } = this.#registers;
    return epoch + (this.#running ? Math.floor((this.#clock.now() - epochTick) / TICKS_PER_SECOND) : 0);
  }

  #updateInProgress(): boolean {
    if (!this.#running) return false;
    const inSecond = (this.#clock.now() - this.#registers.epochTick) % TICKS_PER_SECOND;
    return inSecond >= TICKS_PER_SECOND - UPDATE_WARNING_TICKS;
  }

  #writeMemory(index: number, value: number): void {
    const setsRunningDate = isDateByte(index) && this.#running;
    if (setsRunningDate) {
      this.#rebase();
      this.#storeDate();
    }
    this.#cmos[index] = value;
    if (setsRunningDate) this.#loadDate();
  }

  /** Applies a change of register A or B, which may stop or start the date. */
  #control(change: () => void): void {
    const registers = this.#registers;
    const wasRunning = this.#running;
    const dividerRan = (registers.a & A_DIVIDER) === A_DIVIDER_32768;
    this.#rebase();
    change();
    if (wasRunning && !this.#running) this.#storeDate();
    if (wasRunning || !this.#running) return;
    this.#loadDate();
    // A divider that leaves its reset makes the first update half a second later.
    if (!dividerRan) registers.epochTick = this.#clock.now() - TICKS_PER_SECOND / 2;
  }

  /** Moves `epochTick` to the last second boundary; the date goes along unless it is stopped. */
  #rebase(): void {
    const registers = this.#registers;
    const elapsed = this.#clock.now() - registers.epochTick;
    registers.epoch = this.#seconds();
    registers.epochTick += elapsed - (elapsed % TICKS_PER_SECOND);
  }

  #storeDate(): void {
    const fields = fieldsOfSeconds(this.#registers.epoch);
    for (const index of DATE_BYTES) this.#cmos[index] = this.#encodeDateByte(index, fields);
  }

  #loadDate(): void {
    this.#registers.epoch = secondsOfFields({
      second: this.#decode(this.#cmos[SECONDS]),
      minute: this.#decode(this.#cmos[MINUTES]),
      hour: this.#decodeHour(this.#cmos[HOURS]),
      day: this.#decode(this.#cmos[DAY_OF_MONTH]),
      month: this.#decode(this.#cmos[MONTH]),
      year: fromBcd(this.#cmos[CENTURY]) * 100 + this.#decode(this.#cmos[YEAR]),
    });
    this.#registers.secondsSeen = this.#registers.epoch;
  }

  #encodeDateByte(index: number, fields: ReturnType<typeof fieldsOfSeconds>): number {
    switch (index) {
      case SECONDS:
        return this.#encode(fields.second);
      case MINUTES:
        return this.#encode(fields.minute);
      case HOURS:
        return this.#encodeHour(fields.hour);
      case DAY_OF_WEEK:
        return this.#encode(fields.weekday);
      case DAY_OF_MONTH:
        return this.#encode(fields.day);
      case MONTH:
        return this.#encode(fields.month);
      case YEAR:
        return this.#encode(fields.year % 100);
      default:
        // The century is BIOS memory, BCD whatever register B says.
        return toBcd(Math.floor(fields.year / 100));
    }
  }

  #encode(value: number): number {
    return (this.#registers.b & B_BINARY) !== 0 ? value : toBcd(value);
  }

  #decode(value: number): number {
    return (this.#registers.b & B_BINARY) !== 0 ? value : fromBcd(value);
  }

  #encodeHour(hour: number): number {
    if ((this.#registers.b & B_24_HOURS) !== 0) return this.#encode(hour);
    return this.#encode(hour % 12 === 0 ? 12 : hour % 12) | (hour >= 12 ? HOURS_PM : 0);
  }

  #decodeHour(value: number): number {
    if ((this.#registers.b & B_24_HOURS) !== 0) return this.#decode(value);
    const hour = this.#decode(value & ~HOURS_PM) % 12;
    return (value & HOURS_PM) !== 0 ? hour + 12 : hour;
  }

  /** The periodic interrupt's frequency, 0 when it is off. */
  #periodicHertz(): number {
    const { a } = this.#registers;
    const rate = a & A_RATE;
    if (rate === 0 || (a & A_DIVIDER) !== A_DIVIDER_32768) return 0;
    // Rates 1 and 2 repeat 8 and 9.
    return CRYSTAL_HERTZ >> ((rate < 3 ? rate + 7 : rate) - 1);
  }

  #periods(): number {
    const hertz = this.#periodicHertz();
    return hertz === 0 ? 0 : periodsInTicks(this.#clock.now(), hertz);
  }

  /** Sets PF, UF and AF for what has passed since they were last looked at. */
  #collectFlags(): void {
    const registers = this.#registers;
    const periods = this.#periods();
    if (periods !== registers.periodsSeen) registers.flags |= PERIODIC;
    registers.periodsSeen = periods;
    const seconds = this.#seconds();
    if (seconds !== registers.secondsSeen) {
      registers.flags |= UPDATE;
      // The alarm can match once a second at most, and no earlier than a day apart for a given time of day.
      const first = Math.max(registers.secondsSeen + 1, seconds - 86_400);
      for (let second = first; second <= seconds; second += 1) {
        if (!this.#alarmAt(second)) continue;
        registers.flags |= ALARM;
        break;
      }
    }
    registers.secondsSeen = seconds;
  }

  #alarmAt(seconds: number): boolean {
    const fields = fieldsOfSeconds(seconds);
    return (
      alarmMatches(this.#cmos[SECONDS_ALARM], this.#encode(fields.second)) &&
      alarmMatches(this.#cmos[MINUTES_ALARM], this.#encode(fields.minute)) &&
      alarmMatches(this.#cmos[HOURS_ALARM], this.#encodeHour(fields.hour))
    );
  }

  #update(): void {
    this.#collectFlags();
    this.#irq.set(this.#interrupting);
    const { b, flags, epochTick } = this.#registers;
    const wants = b & ~flags;
    const hertz = this.#periodicHertz();
    if ((wants & PERIODIC) !== 0 && hertz !== 0)
      this.#periodic.arm(ticksForPeriods(this.#periods() + 1, hertz));
    else this.#periodic.disarm();
    if ((wants & (UPDATE | ALARM)) !== 0 && this.#running) {
      const elapsed = this.#clock.now() - epochTick;
      this.#second.arm(epochTick + elapsed - (elapsed % TICKS_PER_SECOND) + TICKS_PER_SECOND);
    } else {
      this.#second.disarm();
    }
  }
}

const DATE_BYTES = [SECONDS, MINUTES, HOURS, DAY_OF_WEEK, DAY_OF_MONTH, MONTH, YEAR, CENTURY];

function isDateByte(index: number): boolean {
  return DATE_BYTES.includes(index);
}

function initialRegisters(startTime: number) {
  return {
    index: 0,
    a: A_DIVIDER_32768 | 6,
    b: B_24_HOURS,
    /** PF, AF, UF. */
    flags: 0,
    /** The date at `epochTick`; one second passes with each whole second after it. */
    epoch: startTime,
    epochTick: 0,
    /** Up to where the flags have been collected. */
    secondsSeen: startTime,
    periodsSeen: 0,
  };
}

function cmosOfPc(memoryBytes: number): Uint8Array {
  const cmos = new Uint8Array(CMOS_SIZE);
  const store = (index: number, value: number, bytes = 2) => {
    for (let byte = 0; byte < bytes; byte += 1) cmos[index + byte] = Math.floor(value / 256 ** byte) & 0xff;
  };
  cmos[CMOS_EQUIPMENT] = EQUIPMENT;
  store(CMOS_BASE_MEMORY, BASE_MEMORY_KB);
  const aboveOneMegabyte = Math.max(0, memoryBytes - 0x10_0000);
  for (const index of CMOS_EXTENDED_MEMORY)
    store(index, Math.min(0xffff, Math.floor(aboveOneMegabyte / 1024)));
  const below4G = Math.min(memoryBytes, 2 ** 32);
  store(CMOS_MEMORY_ABOVE_16M, Math.min(0xffff, Math.floor(Math.max(0, below4G - 0x100_0000) / 0x1_0000)));
  store(CMOS_MEMORY_ABOVE_4G, Math.floor(Math.max(0, memoryBytes - 2 ** 32) / 0x1_0000), 3);
  return cmos;
}
