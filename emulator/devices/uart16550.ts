/**
 * The serial port: a National Semiconductor PC16550D UART with FIFOs, wired as COM1 of a PC (OUT2 gates the interrupt,
 * a terminal that is always ready at the other end).
 *
 * DEVIATION(uart-instant-transmit): a byte written to THR has left the machine at once, so THRE and TEMT never read
 * as 0. The interrupt line still drops and rises with each byte, as edge-triggered controllers need.
 * DEVIATION(uart-instant-receive): the sender waits for room in the FIFO instead of overrunning it, and takes no time
 * for a character.
 *
 * @see National Semiconductor, PC16550D Universal Asynchronous Receiver/Transmitter with FIFOs, June 1995
 */
import type { Alarm, Clock } from '../base/clock.ts';
import { ticksForPeriods } from '../base/clock.ts';
import type { ByteSink, IrqLine } from '../base/ports.ts';
import { SavedState, savedDeadline } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize, Device } from './device.ts';

/** Register offsets; 0 and 1 are the divisor latch while LCR.DLAB is set. */
const RBR_THR = 0;
const IER = 1;
const IIR_FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCR = 7;

const IER_RECEIVED_DATA = 0x01;
const IER_THR_EMPTY = 0x02;
const IER_LINE_STATUS = 0x04;
const IER_MODEM_STATUS = 0x08;
const IER_BITS = 0x0f;

const IIR_NONE = 0x01;
const IIR_MODEM_STATUS = 0x00;
const IIR_THR_EMPTY = 0x02;
const IIR_RECEIVED_DATA = 0x04;
const IIR_LINE_STATUS = 0x06;
const IIR_TIMEOUT = 0x0c;
const IIR_FIFOS_ENABLED = 0xc0;

const FCR_ENABLE = 0x01;
const FCR_CLEAR_RECEIVER = 0x02;
const FCR_TRIGGER_SHIFT = 6;
const TRIGGER_LEVELS = [1, 4, 8, 14];

const LCR_WORD_LENGTH = 0x03;
const LCR_TWO_STOP_BITS = 0x04;
const LCR_PARITY = 0x08;
const LCR_BREAK = 0x40;
const LCR_DLAB = 0x80;

const MCR_DTR = 0x01;
const MCR_RTS = 0x02;
const MCR_OUT1 = 0x04;
const MCR_OUT2 = 0x08;
const MCR_LOOPBACK = 0x10;
const MCR_BITS = 0x1f;

const LSR_DATA_READY = 0x01;
const LSR_OVERRUN = 0x02;
const LSR_BREAK = 0x10;
const LSR_THR_EMPTY = 0x20;
const LSR_TRANSMITTER_EMPTY = 0x40;

const MSR_CTS = 0x10;
const MSR_DSR = 0x20;
const MSR_RI = 0x40;
const MSR_DCD = 0x80;
/** The terminal at the other end: clear to send, data set ready, carrier detected. */
const MSR_TERMINAL = MSR_CTS | MSR_DSR | MSR_DCD;

const FIFO_SIZE = 16;
/** The crystal of a PC's serial port, already divided by 16: the baud rate of divisor 1. */
const BASE_BAUD = 115_200;

export interface Uart16550Config {
  readonly name: string;
  readonly irq: IrqLine;
  readonly clock: Clock;
  readonly sink: ByteSink;
}

export class Uart16550 implements Device {
  readonly name: string;
  readonly #irq: IrqLine;
  readonly #clock: Clock;
  readonly #sink: ByteSink;
  /** Rings when the receiver FIFO was left alone for four character times. */
  readonly #timeout: Alarm;

  #registers = initialRegisters();
  /** The receiver FIFO; one character deep while the FIFOs are off. */
  #receiver: number[] = [];
  /** What the terminal still has to send. */
  #input: number[] = [];

  constructor({ name, irq, clock, sink }: Uart16550Config) {
    this.name = name;
    this.#irq = irq;
    this.#clock = clock;
    this.#sink = sink;
    this.#timeout = clock.createAlarm(`${name} character timeout`, () => {
      this.#registers.timedOut = true;
      this.#updateIrq();
    });
  }

  /** Characters from the terminal; they reach the guest as the receiver has room. */
  receive(bytes: Uint8Array): void {
    for (const byte of bytes) this.#input.push(byte);
    this.#fillReceiver();
  }

  read(offset: number, size: AccessSize): number {
    const registers = this.#registers;
    const value = this.peek(offset, size);
    switch (offset) {
      case RBR_THR:
        if (!this.#latchAccess) this.#takeCharacter();
        break;
      case IIR_FCR:
        if ((value & 0x0f) === IIR_THR_EMPTY) registers.thrEmptyPending = false;
        break;
      case LSR:
        registers.lineErrors = 0;
        break;
      case MSR:
        registers.modemChanges = 0;
        break;
      default:
        return value;
    }
    this.#updateIrq();
    return value;
  }

  peek(offset: number, _size: AccessSize): number {
    const registers = this.#registers;
    switch (offset) {
      case RBR_THR:
        return this.#latchAccess ? registers.divisor & 0xff : (this.#receiver[0] ?? 0);
      case IER:
        return this.#latchAccess ? registers.divisor >> 8 : registers.ier;
      case IIR_FCR:
        return this.#identification() | (registers.fifosEnabled ? IIR_FIFOS_ENABLED : 0);
      case LCR:
        return registers.lcr;
      case MCR:
        return registers.mcr;
      case LSR:
        return this.#lineStatus();
      case MSR:
        return this.#modemLines() | registers.modemChanges;
      case SCR:
        return registers.scratch;
    }
    return 0xff;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    const registers = this.#registers;
    switch (offset) {
      case RBR_THR:
        if (this.#latchAccess) registers.divisor = (registers.divisor & 0xff00) | value;
        else this.#transmit(value);
        break;
      case IER:
        if (this.#latchAccess) registers.divisor = (registers.divisor & 0x00ff) | (value << 8);
        else this.#writeInterruptEnable(value);
        break;
      case IIR_FCR:
        this.#writeFifoControl(value);
        break;
      case LCR:
        this.#writeLineControl(value);
        break;
      case MCR:
        this.#writeModemControl(value);
        break;
      case LSR:
      case MSR:
        return;
      case SCR:
        registers.scratch = value;
        return;
    }
    this.#updateIrq();
  }

  reset(): void {
    this.#registers = initialRegisters();
    this.#receiver = [];
    this.#timeout.disarm();
    this.#updateIrq();
    this.#fillReceiver();
  }

  save(): StateRecord {
    return {
      ...this.#registers,
      receiver: Uint8Array.from(this.#receiver),
      input: Uint8Array.from(this.#input),
      timeout: savedDeadline(this.#timeout),
    };
  }

  restore(state: StateRecord): void {
    const saved = new SavedState(this.name, state);
    saved.into(this.#registers);
    this.#receiver = [...saved.bytes('receiver')];
    this.#input = [...saved.bytes('input')];
    saved.alarm('timeout', this.#timeout);
  }

  get #latchAccess(): boolean {
    return (this.#registers.lcr & LCR_DLAB) !== 0;
  }

  get #loopback(): boolean {
    return (this.#registers.mcr & MCR_LOOPBACK) !== 0;
  }

  #transmit(byte: number): void {
    // The register was full for a moment: an edge-triggered controller must see the line drop.
    this.#registers.thrEmptyPending = false;
    this.#updateIrq();
    if (this.#loopback) this.#shiftIn(byte);
    else this.#sink.write(byte);
    this.#registers.thrEmptyPending = true;
  }

  #writeInterruptEnable(value: number): void {
    const registers = this.#registers;
    const enabled = value & ~registers.ier;
    registers.ier = value & IER_BITS;
    // Enabling the THRE interrupt while THR is empty, which it always is, requests one at once.
    if ((enabled & IER_THR_EMPTY) !== 0) registers.thrEmptyPending = true;
  }

  #writeFifoControl(value: number): void {
    const registers = this.#registers;
    const enable = (value & FCR_ENABLE) !== 0;
    if (enable !== registers.fifosEnabled || (enable && (value & FCR_CLEAR_RECEIVER) !== 0))
      this.#clearReceiver();
    registers.fifosEnabled = enable;
    if (enable) registers.triggerLevel = TRIGGER_LEVELS[value >> FCR_TRIGGER_SHIFT];
    this.#fillReceiver();
  }

  #writeLineControl(value: number): void {
    const registers = this.#registers;
    const breakStarts = (value & ~registers.lcr & LCR_BREAK) !== 0;
    registers.lcr = value;
    if (breakStarts && this.#loopback) {
      this.#shiftIn(0);
      registers.lineErrors |= LSR_BREAK;
    }
  }

  #writeModemControl(value: number): void {
    const registers = this.#registers;
    const before = this.#modemLines();
    registers.mcr = value & MCR_BITS;
    const after = this.#modemLines();
    const changed = (before ^ after) & (MSR_CTS | MSR_DSR | MSR_DCD);
    const ringEnded = before & ~after & MSR_RI;
    registers.modemChanges |= (changed | ringEnded) >> 4;
    this.#fillReceiver();
  }

  /** A character arrives at the receiver; one too many overruns it. */
  #shiftIn(byte: number): void {
    const registers = this.#registers;
    if (this.#receiver.length < this.#capacity) this.#receiver.push(byte);
    else {
      registers.lineErrors |= LSR_OVERRUN;
      // Without FIFOs the receiver buffer is overwritten; with them the FIFO keeps what it has.
      if (!registers.fifosEnabled) this.#receiver[0] = byte;
    }
    this.#restartTimeout();
  }

  #takeCharacter(): void {
    this.#receiver.shift();
    this.#registers.timedOut = false;
    this.#restartTimeout();
    this.#fillReceiver();
  }

  #clearReceiver(): void {
    this.#receiver = [];
    this.#registers.timedOut = false;
    this.#timeout.disarm();
  }

  #fillReceiver(): void {
    if (this.#loopback || this.#input.length === 0) return;
    const room = this.#capacity - this.#receiver.length;
    if (room > 0) {
      this.#receiver.push(...this.#input.splice(0, room));
      this.#restartTimeout();
    }
    this.#updateIrq();
  }

  get #capacity(): number {
    return this.#registers.fifosEnabled ? FIFO_SIZE : 1;
  }

  #restartTimeout(): void {
    const { fifosEnabled, lcr, divisor } = this.#registers;
    if (!fifosEnabled || this.#receiver.length === 0) {
      this.#timeout.disarm();
      return;
    }
    const stopBits = (lcr & LCR_TWO_STOP_BITS) !== 0 ? 2 : 1;
    const parityBits = (lcr & LCR_PARITY) !== 0 ? 1 : 0;
    const bitsPerCharacter = 1 + 5 + (lcr & LCR_WORD_LENGTH) + parityBits + stopBits;
    const periods = 4 * bitsPerCharacter * (divisor === 0 ? 0x1_0000 : divisor);
    this.#timeout.arm(this.#clock.now() + ticksForPeriods(periods, BASE_BAUD));
  }

  #lineStatus(): number {
    const dataReady = this.#receiver.length > 0 ? LSR_DATA_READY : 0;
    return dataReady | this.#registers.lineErrors | LSR_THR_EMPTY | LSR_TRANSMITTER_EMPTY;
  }

  #modemLines(): number {
    if (!this.#loopback) return MSR_TERMINAL;
    const { mcr } = this.#registers;
    return (
      ((mcr & MCR_RTS) !== 0 ? MSR_CTS : 0) |
      ((mcr & MCR_DTR) !== 0 ? MSR_DSR : 0) |
      ((mcr & MCR_OUT1) !== 0 ? MSR_RI : 0) |
      ((mcr & MCR_OUT2) !== 0 ? MSR_DCD : 0)
    );
  }

  /** The pending interrupt of the highest priority, as IIR bits 3:0 show it. */
  #identification(): number {
    const { ier, lineErrors, fifosEnabled, triggerLevel, timedOut, thrEmptyPending, modemChanges } =
      this.#registers;
    if ((ier & IER_LINE_STATUS) !== 0 && lineErrors !== 0) return IIR_LINE_STATUS;
    if ((ier & IER_RECEIVED_DATA) !== 0) {
      if (this.#receiver.length >= (fifosEnabled ? triggerLevel : 1)) return IIR_RECEIVED_DATA;
      if (timedOut && this.#receiver.length > 0) return IIR_TIMEOUT;
    }
    if ((ier & IER_THR_EMPTY) !== 0 && thrEmptyPending) return IIR_THR_EMPTY;
    if ((ier & IER_MODEM_STATUS) !== 0 && modemChanges !== 0) return IIR_MODEM_STATUS;
    return IIR_NONE;
  }

  #updateIrq(): void {
    // A PC connects INTR through a buffer that OUT2 enables; in loopback OUT2 is disconnected from its pin.
    const gate = (this.#registers.mcr & (MCR_OUT2 | MCR_LOOPBACK)) === MCR_OUT2;
    this.#irq.set(gate && this.#identification() !== IIR_NONE);
  }
}

/** The registers after a master reset (the scratch and divisor registers, which it leaves alone, start at 0). */
function initialRegisters() {
  return {
    ier: 0,
    lcr: 0,
    mcr: 0,
    scratch: 0,
    divisor: 0,
    fifosEnabled: false,
    triggerLevel: TRIGGER_LEVELS[0],
    /** LSR bits 4:1. */
    lineErrors: 0,
    /** MSR bits 3:0. */
    modemChanges: 0,
    thrEmptyPending: false,
    timedOut: false,
  };
}
