/**
 * One counter of the 8254. Time is the number of CLK pulses since power-on; "elapsed" is the number of pulses since
 * the counting element was loaded. A count that is written is loaded by the pulse after it.
 *
 * DEVIATION(pit-illegal-count): a count of 1 in modes 2 and 3, which the datasheet forbids, keeps OUT high.
 *
 * @see Intel, 8254 Programmable Interval Timer, "Mode Definitions" and "Operation Common to All Modes"
 */
import type { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';

const MODE_TERMINAL_COUNT = 0;
const MODE_ONE_SHOT = 1;
const MODE_RATE = 2;
const MODE_SQUARE_WAVE = 3;
const MODE_SOFTWARE_STROBE = 4;
const MODE_HARDWARE_STROBE = 5;

/** Control word bits 5:4; 0 latches the count. */
const ACCESS_LATCH = 0;
const ACCESS_LOW = 1;
const ACCESS_HIGH = 2;
const ACCESS_LOW_THEN_HIGH = 3;

const STATUS_OUTPUT = 0x80;
const STATUS_NULL_COUNT = 0x40;

function initialRegisters(gate: boolean) {
  return {
    /** Bits 5:0 of the last control word: access, mode, BCD. */
    control: 0,
    /** A control word was written; before that the counter is undefined and here stands still with OUT low. */
    programmed: false,
    gate,
    /** The count in the count register is complete. */
    hasCount: false,
    /** What was last loaded into the counting element, 1 to 65,536 (10,000 in BCD). */
    reload: 0x1_0000,
    /** The pulse by which `reload` is loaded; elapsed is counted from there. */
    origin: 0,
    /** Elapsed while GATE holds the count, -1 while it counts. */
    heldAt: -1,
    /** Modes 1 and 5: a rising GATE has triggered since the control word. */
    triggered: false,
    /** A count written to a running mode 2 or 3 (or 1, 5), to be loaded at `pendingAt`; 0 when there is none. */
    pending: 0,
    pendingAt: 0,
    /** Mode 3: `pendingAt` is the end of the half-cycle in which OUT is high. */
    pendingLowHalf: false,
    lowByte: 0,
    writeHighNext: false,
    readHighNext: false,
    /** Latched count, -1 when there is none; latched status likewise. */
    latchedCount: -1,
    latchedStatus: -1,
  };
}

export class PitCounter {
  #registers: ReturnType<typeof initialRegisters>;

  constructor(gate: boolean) {
    this.#registers = initialRegisters(gate);
  }

  reset(gate: boolean): void {
    this.#registers = initialRegisters(gate);
  }

  save(): StateRecord {
    return { ...this.#registers };
  }

  restore(saved: SavedState): void {
    saved.into(this.#registers);
  }

  /** A control word for this counter; `control` is its bits 5:0. */
  writeControl(control: number, now: number): void {
    if (control >> 4 === ACCESS_LATCH) {
      this.latchCount(now);
      return;
    }
    this.#registers = { ...initialRegisters(this.#registers.gate), control, programmed: true };
  }

  writeByte(value: number, now: number): void {
    const registers = this.#registers;
    switch (this.#access) {
      case ACCESS_LOW:
        this.#writeCount(value, now);
        break;
      case ACCESS_HIGH:
        this.#writeCount(value << 8, now);
        break;
      case ACCESS_LOW_THEN_HIGH:
        if (registers.writeHighNext) {
          this.#writeCount((value << 8) | registers.lowByte, now);
        } else {
          registers.lowByte = value;
          // In mode 0 the first byte stops the count and takes OUT low.
          if (this.#mode === MODE_TERMINAL_COUNT) registers.hasCount = false;
        }
        registers.writeHighNext = !registers.writeHighNext;
        break;
    }
  }

  /** The byte that a read gives; {@link consumeRead} then moves on. */
  readByte(now: number): number {
    const { latchedStatus, latchedCount } = this.#registers;
    if (latchedStatus >= 0) return latchedStatus;
    const count = latchedCount >= 0 ? latchedCount : this.#encodedCount(now);
    return this.#readsHighByte ? count >> 8 : count & 0xff;
  }

  consumeRead(): void {
    const registers = this.#registers;
    if (registers.latchedStatus >= 0) {
      registers.latchedStatus = -1;
      return;
    }
    const last = this.#access !== ACCESS_LOW_THEN_HIGH || registers.readHighNext;
    if (last) registers.latchedCount = -1;
    registers.readHighNext = !last;
  }

  /** Counter latch command: keeps the count for reading until it was read; a second latch before that is ignored. */
  latchCount(now: number): void {
    if (this.#registers.latchedCount < 0) this.#registers.latchedCount = this.#encodedCount(now);
  }

  latchStatus(now: number): void {
    const registers = this.#registers;
    if (registers.latchedStatus >= 0) return;
    this.#advance(now);
    const nullCount = !registers.hasCount || registers.pending !== 0 || this.#elapsed(now) < 0;
    registers.latchedStatus =
      (this.output(now) ? STATUS_OUTPUT : 0) | (nullCount ? STATUS_NULL_COUNT : 0) | registers.control;
  }

  setGate(gate: boolean, now: number): void {
    const registers = this.#registers;
    if (gate === registers.gate) return;
    this.#advance(now);
    registers.gate = gate;
    switch (this.#mode) {
      case MODE_TERMINAL_COUNT:
      case MODE_SOFTWARE_STROBE:
        if (gate) this.#resume(now);
        else this.#hold(now);
        break;
      case MODE_ONE_SHOT:
      case MODE_HARDWARE_STROBE:
        if (gate && registers.hasCount) this.#trigger(now);
        break;
      case MODE_RATE:
      case MODE_SQUARE_WAVE:
        if (!gate) this.#hold(now);
        else if (registers.hasCount) this.#load(this.#takePending(), now + 1);
        break;
    }
  }

  /** The OUT pin. */
  output(now: number): boolean {
    this.#advance(now);
    const { programmed, hasCount, reload, triggered, gate } = this.#registers;
    if (!programmed) return false;
    const mode = this.#mode;
    if (!hasCount) return mode !== MODE_TERMINAL_COUNT;
    const elapsed = this.#elapsed(now);
    switch (mode) {
      case MODE_TERMINAL_COUNT:
        return elapsed >= reload;
      case MODE_ONE_SHOT:
        return !triggered || elapsed < 0 || elapsed >= reload;
      case MODE_RATE:
        return !gate || elapsed < 0 || reload === 1 || elapsed % reload !== reload - 1;
      case MODE_SQUARE_WAVE:
        return !gate || elapsed < 0 || reload === 1 || elapsed % reload < Math.ceil(reload / 2);
      case MODE_SOFTWARE_STROBE:
        return elapsed !== reload;
      default:
        return !triggered || elapsed !== reload;
    }
  }

  /** The pulse after `now` at which OUT may next change, or `undefined` while it cannot. */
  nextEdge(now: number): number | undefined {
    this.#advance(now);
    const { hasCount, heldAt, reload, triggered, gate, origin } = this.#registers;
    if (!hasCount || heldAt >= 0) return undefined;
    const mode = this.#mode;
    if ((mode === MODE_ONE_SHOT || mode === MODE_HARDWARE_STROBE) && !triggered) return undefined;
    const elapsed = now - origin;
    if (elapsed < 0) return origin;
    switch (mode) {
      case MODE_TERMINAL_COUNT:
      case MODE_ONE_SHOT:
        return elapsed < reload ? origin + reload : undefined;
      case MODE_RATE:
      case MODE_SQUARE_WAVE: {
        if (!gate || reload === 1) return undefined;
        const half = mode === MODE_RATE ? reload - 1 : Math.ceil(reload / 2);
        const inCycle = elapsed % reload;
        return now - inCycle + (inCycle < half ? half : reload);
      }
      default:
        return elapsed < reload ? origin + reload : elapsed === reload ? origin + reload + 1 : undefined;
    }
  }

  get #access(): number {
    return this.#registers.control >> 4;
  }

  get #mode(): number {
    const mode = (this.#registers.control >> 1) & 7;
    // Bit 2 of the mode is ignored for modes 2 and 3.
    return mode >= 6 ? mode - 4 : mode;
  }

  get #modulus(): number {
    return (this.#registers.control & 1) !== 0 ? 10_000 : 0x1_0000;
  }

  get #readsHighByte(): boolean {
    return (
      this.#access === ACCESS_HIGH || (this.#access === ACCESS_LOW_THEN_HIGH && this.#registers.readHighNext)
    );
  }

  #elapsed(now: number): number {
    const { heldAt, origin } = this.#registers;
    return heldAt >= 0 ? heldAt : now - origin;
  }

  #writeCount(encoded: number, now: number): void {
    this.#advance(now);
    const registers = this.#registers;
    const binary = this.#modulus === 10_000 ? fromBcd(encoded) : encoded;
    const count = binary === 0 ? this.#modulus : binary;
    const running = registers.hasCount;
    registers.hasCount = true;
    switch (this.#mode) {
      case MODE_TERMINAL_COUNT:
      case MODE_SOFTWARE_STROBE:
        this.#load(count, now + 1);
        break;
      case MODE_ONE_SHOT:
      case MODE_HARDWARE_STROBE:
        // The next trigger loads it.
        registers.pending = count;
        registers.pendingAt = Number.MAX_SAFE_INTEGER;
        break;
      default:
        if (!running || registers.heldAt >= 0) this.#load(count, now + 1);
        else this.#loadAtEndOfCycle(count, now);
    }
  }

  /** A count written to a running mode 2 waits for the end of the cycle, in mode 3 for that of the half-cycle. */
  #loadAtEndOfCycle(count: number, now: number): void {
    const registers = this.#registers;
    registers.pending = count;
    registers.pendingAt = registers.origin;
    registers.pendingLowHalf = false;
    if (now < registers.origin) return;
    const inCycle = (now - registers.origin) % registers.reload;
    const half = Math.ceil(registers.reload / 2);
    registers.pendingLowHalf = this.#mode === MODE_SQUARE_WAVE && inCycle < half;
    registers.pendingAt = now - inCycle + (registers.pendingLowHalf ? half : registers.reload);
  }

  /** Applies what came due by `now`. */
  #advance(now: number): void {
    const { pending, pendingAt, pendingLowHalf } = this.#registers;
    if (pending === 0 || now < pendingAt) return;
    this.#load(pending, pendingLowHalf ? pendingAt - Math.ceil(pending / 2) : pendingAt);
  }

  #takePending(): number {
    const registers = this.#registers;
    const count = registers.pending !== 0 ? registers.pending : registers.reload;
    registers.pending = 0;
    return count;
  }

  #load(count: number, origin: number): void {
    const registers = this.#registers;
    registers.reload = count;
    registers.origin = origin;
    registers.pending = 0;
    const gateStops = this.#mode !== MODE_ONE_SHOT && this.#mode !== MODE_HARDWARE_STROBE;
    registers.heldAt = gateStops && !registers.gate ? 0 : -1;
  }

  #trigger(now: number): void {
    this.#load(this.#takePending(), now + 1);
    this.#registers.triggered = true;
  }

  #hold(now: number): void {
    const registers = this.#registers;
    if (registers.hasCount && registers.heldAt < 0) registers.heldAt = Math.max(0, now - registers.origin);
  }

  #resume(now: number): void {
    const registers = this.#registers;
    if (registers.heldAt < 0) return;
    registers.origin = now - registers.heldAt;
    registers.heldAt = -1;
  }

  /** The counting element as the guest reads it, in binary or BCD. */
  #encodedCount(now: number): number {
    this.#advance(now);
    const { hasCount, reload } = this.#registers;
    if (!hasCount) return 0;
    const elapsed = Math.max(0, this.#elapsed(now));
    const modulus = this.#modulus;
    const count = ((this.#countAfter(elapsed, reload) % modulus) + modulus) % modulus;
    return modulus === 10_000 ? toBcd(count) : count;
  }

  #countAfter(elapsed: number, reload: number): number {
    switch (this.#mode) {
      case MODE_RATE:
        return reload - (elapsed % reload);
      case MODE_SQUARE_WAVE: {
        // Counts by two, from an even count, in each half of the cycle.
        const inCycle = elapsed % reload;
        const half = Math.ceil(reload / 2);
        return reload - (reload % 2) - 2 * (inCycle < half ? inCycle : inCycle - half);
      }
      case MODE_ONE_SHOT:
      case MODE_HARDWARE_STROBE:
        return this.#registers.triggered ? reload - elapsed : reload;
      default:
        return reload - elapsed;
    }
  }
}

function fromBcd(value: number): number {
  return (value >> 12) * 1000 + ((value >> 8) & 15) * 100 + ((value >> 4) & 15) * 10 + (value & 15);
}

function toBcd(value: number): number {
  const digit = (place: number) => Math.floor(value / place) % 10;
  return (digit(1000) << 12) | (digit(100) << 8) | (digit(10) << 4) | digit(1);
}
