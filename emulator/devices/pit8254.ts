/**
 * The interval timer: an Intel 8254 with three counters at 1.193182 MHz, and system control port B (0x61), which
 * gates counter 2 and shows its output. Offsets 0-3 are the counters and the control word, offset 4 is port B.
 *
 * A counter is never ticked: its count and output follow from the clock, and an alarm is set for the next edge of
 * counter 0's output alone.
 *
 * @see Intel, 8254 Programmable Interval Timer, order number 231164
 */
import type { Alarm, Clock } from '../base/clock.ts';
import { periodsInTicks, ticksForPeriods } from '../base/clock.ts';
import type { IrqLine } from '../base/ports.ts';
import { SavedState, savedDeadline } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize, Device } from './device.ts';
import { PitCounter } from './pitCounter.ts';

/** The PC's timer crystal: 14.31818 MHz divided by 12. */
export const PIT_HERTZ = 1_193_182;
/** The device's offset of port 0x61. */
export const PIT_PORT_B_OFFSET = 4;

const CONTROL_WORD = 3;
/** Control word bits 7:6. */
const SELECT_READ_BACK = 3;
/** Read-back command, bits active low. */
const READ_BACK_NO_COUNT = 0x20;
const READ_BACK_NO_STATUS = 0x10;

const PORT_B_GATE_2 = 0x01;
const PORT_B_SPEAKER = 0x02;
const PORT_B_ENABLE_NMI = 0x0c;
const PORT_B_REFRESH = 0x10;
const PORT_B_OUT_2 = 0x20;
const PORT_B_WRITABLE = PORT_B_GATE_2 | PORT_B_SPEAKER | PORT_B_ENABLE_NMI;
/** Memory refresh is requested every 18 periods (15.085 us); each request toggles the bit. */
const REFRESH_PERIODS = 18;

export interface Pit8254Config {
  readonly clock: Clock;
  /** Counter 0's output. */
  readonly irq: IrqLine;
}

export class Pit8254 implements Device {
  readonly name = 'pit8254';
  readonly #clock: Clock;
  readonly #irq: IrqLine;
  readonly #edge: Alarm;
  readonly #counters = [new PitCounter(true), new PitCounter(true), new PitCounter(false)];
  /** Port B bits 3:0. */
  #portB = 0;

  constructor({ clock, irq }: Pit8254Config) {
    this.#clock = clock;
    this.#irq = irq;
    this.#edge = clock.createAlarm('pit8254 counter 0', () => this.#followOutput());
  }

  read(offset: number, size: AccessSize): number {
    const value = this.peek(offset, size);
    if (offset < CONTROL_WORD) this.#counters[offset].consumeRead();
    return value;
  }

  peek(offset: number, _size: AccessSize): number {
    const now = this.#period();
    if (offset < CONTROL_WORD) return this.#counters[offset].readByte(now);
    if (offset !== PIT_PORT_B_OFFSET) return 0xff;
    const refresh = Math.floor(now / REFRESH_PERIODS) % 2 === 1 ? PORT_B_REFRESH : 0;
    return this.#portB | refresh | (this.#counters[2].output(now) ? PORT_B_OUT_2 : 0);
  }

  write(offset: number, _size: AccessSize, value: number): void {
    const now = this.#period();
    if (offset < CONTROL_WORD) {
      this.#counters[offset].writeByte(value, now);
    } else if (offset === CONTROL_WORD) {
      this.#writeControlWord(value, now);
    } else if (offset === PIT_PORT_B_OFFSET) {
      this.#portB = value & PORT_B_WRITABLE;
      this.#counters[2].setGate((value & PORT_B_GATE_2) !== 0, now);
    }
    this.#followOutput();
  }

  reset(): void {
    this.#portB = 0;
    for (const [index, counter] of this.#counters.entries()) counter.reset(index !== 2);
    this.#edge.disarm();
    this.#irq.set(false);
  }

  save(): StateRecord {
    return {
      portB: this.#portB,
      edge: savedDeadline(this.#edge),
      counters: this.#counters.map((counter) => counter.save()),
    };
  }

  restore(state: StateRecord): void {
    const saved = new SavedState(this.name, state);
    this.#portB = saved.number('portB');
    saved.alarm('edge', this.#edge);
    for (const [index, counter] of saved.records('counters', 3).entries())
      this.#counters[index].restore(counter);
  }

  #writeControlWord(value: number, now: number): void {
    const select = value >> 6;
    if (select !== SELECT_READ_BACK) {
      this.#counters[select].writeControl(value & 0x3f, now);
      return;
    }
    this.#counters.forEach((counter, index) => {
      if ((value & (2 << index)) === 0) return;
      if ((value & READ_BACK_NO_COUNT) === 0) counter.latchCount(now);
      if ((value & READ_BACK_NO_STATUS) === 0) counter.latchStatus(now);
    });
  }

  /** Drives IRQ 0 with counter 0's output and waits for its next edge. */
  #followOutput(): void {
    const now = this.#period();
    const counter = this.#counters[0];
    this.#irq.set(counter.output(now));
    const edge = counter.nextEdge(now);
    if (edge === undefined) this.#edge.disarm();
    else this.#edge.arm(ticksForPeriods(edge, PIT_HERTZ));
  }

  /** Number of CLK pulses since power-on. */
  #period(): number {
    return periodsInTicks(this.#clock.now(), PIT_HERTZ);
  }
}
