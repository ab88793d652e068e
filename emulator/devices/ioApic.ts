/**
 * The I/O APIC: an Intel 82093AA with 24 inputs and the EOI register of later versions. Offsets are those of its page.
 *
 * DEVIATION(ioapic-immediate-delivery): a message is accepted at once, so delivery status never reads as 1.
 *
 * @see Intel, 82093AA I/O Advanced Programmable Interrupt Controller, order number 290566; the EOI register: Intel
 * 5 Series Chipset datasheet, "EOIR"
 */
import type { IrqLine } from '../base/ports.ts';
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize, Device } from './device.ts';

const IOREGSEL = 0x00;
const IOWIN = 0x10;
const EOIR = 0x40;

/** Indirect registers. */
const IOAPICID = 0x00;
const IOAPICVER = 0x01;
const IOAPICARB = 0x02;
const IOREDTBL = 0x10;

/** Version 20H has the EOI register. */
const VERSION = 0x20;

/** Low word of a redirection entry. */
const VECTOR = 0x00ff;
const DELIVERY_MODE = 0x0700;
const LOGICAL_DESTINATION = 0x0800;
const ACTIVE_LOW = 0x2000;
const REMOTE_IRR = 0x4000;
const LEVEL = 0x8000;
const MASKED = 0x1_0000;
const LOW_WRITABLE = VECTOR | DELIVERY_MODE | LOGICAL_DESTINATION | ACTIVE_LOW | LEVEL | MASKED;
/** High word: the destination. */
const HIGH_WRITABLE = 0xff00_0000;

/** A physical destination that means every processor, in the entry's eight bits and in a message. */
const ENTRY_BROADCAST = 0xff;
const BROADCAST = 0xffff_ffff;

const FIXED = 0;
const LOWEST_PRIORITY = 1;

/** An interrupt message for the local APICs. */
export interface IoApicMessage {
  /** An APIC ID (all ones means every processor) or a logical destination of eight bits. */
  readonly destination: number;
  readonly destinationMode: 'physical' | 'logical';
  /** Bits 10:8 of the entry. */
  readonly deliveryMode: number;
  readonly vector: number;
  readonly trigger: 'edge' | 'level';
}

export interface IoApicConfig {
  readonly id: number;
  readonly inputs: number;
  readonly deliver: (message: IoApicMessage) => void;
}

export class IoApic implements Device {
  readonly name = 'ioapic';
  readonly #config: IoApicConfig;
  #select = 0;
  #id: number;
  /** Low and high words of the redirection entries. */
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;
  /** Whether each input is asserted. */
  readonly #active: boolean[];

  constructor(config: IoApicConfig) {
    this.#config = config;
    this.#id = config.id;
    this.#low = new Uint32Array(config.inputs).fill(MASKED);
    this.#high = new Uint32Array(config.inputs);
    this.#active = new Array<boolean>(config.inputs).fill(false);
  }

  /**
   * Input `input`. `true` is the asserted state of the board's interrupt line: an entry with active-low polarity is
   * how a system describes a line that the board inverts, and does not change what "asserted" means.
   */
  line(input: number): IrqLine {
    return {
      set: (level) => {
        if (this.#active[input] === level) return;
        this.#active[input] = level;
        this.#follow(input);
      },
    };
  }

  /** A local APIC ended a level-triggered interrupt; an input that is still active requests again. */
  endOfInterrupt(vector: number): void {
    for (const [input, low] of this.#low.entries()) {
      if ((low & REMOTE_IRR) === 0 || (low & VECTOR) !== vector) continue;
      this.#low[input] &= ~REMOTE_IRR;
      this.#requestLevel(input);
    }
  }

  read(offset: number, size: AccessSize): number {
    return this.peek(offset, size);
  }

  peek(offset: number, _size: AccessSize): number {
    switch (offset) {
      case IOREGSEL:
        return this.#select;
      case IOWIN:
        return this.#readRegister();
    }
    return 0;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    switch (offset) {
      case IOREGSEL:
        this.#select = value & 0xff;
        break;
      case IOWIN:
        this.#writeRegister(value);
        break;
      case EOIR:
        this.endOfInterrupt(value & 0xff);
        break;
    }
  }

  reset(): void {
    this.#select = 0;
    this.#id = this.#config.id;
    this.#low.fill(MASKED);
    this.#high.fill(0);
  }

  save(): StateRecord {
    return {
      select: this.#select,
      id: this.#id,
      low: [...this.#low],
      high: [...this.#high],
      active: this.#active.map(Number),
    };
  }

  restore(state: StateRecord): void {
    const saved = new SavedState(this.name, state);
    const { inputs } = this.#config;
    this.#select = saved.number('select');
    this.#id = saved.number('id');
    this.#low.set(saved.numbers('low', inputs));
    this.#high.set(saved.numbers('high', inputs));
    for (const [input, active] of saved.numbers('active', inputs).entries())
      this.#active[input] = active !== 0;
  }

  #readRegister(): number {
    switch (this.#select) {
      case IOAPICID:
      case IOAPICARB:
        return (this.#id << 24) >>> 0;
      case IOAPICVER:
        return VERSION | ((this.#config.inputs - 1) << 16);
    }
    const input = (this.#select - IOREDTBL) >> 1;
    if (this.#select < IOREDTBL || input >= this.#config.inputs) return 0;
    return (this.#select & 1) === 0 ? this.#low[input] : this.#high[input];
  }

  #writeRegister(value: number): void {
    if (this.#select === IOAPICID) this.#id = (value >>> 24) & 15;
    const input = (this.#select - IOREDTBL) >> 1;
    if (this.#select < IOREDTBL || input >= this.#config.inputs) return;
    if ((this.#select & 1) !== 0) {
      this.#high[input] = value & HIGH_WRITABLE;
      return;
    }
    // Remote IRR is kept; it belongs to level-triggered entries alone.
    const kept = (value & LEVEL) !== 0 ? this.#low[input] & REMOTE_IRR : 0;
    this.#low[input] = (value & LOW_WRITABLE) | kept;
    this.#requestLevel(input);
  }

  /** The input's level changed. An edge on a masked input is lost. */
  #follow(input: number): void {
    const low = this.#low[input];
    if ((low & LEVEL) !== 0) this.#requestLevel(input);
    else if (this.#active[input] && (low & MASKED) === 0) this.#send(input, 'edge');
  }

  /** A level-triggered input requests while it is active, unless its last request has not been ended. */
  #requestLevel(input: number): void {
    const low = this.#low[input];
    if ((low & LEVEL) === 0 || (low & (MASKED | REMOTE_IRR)) !== 0 || !this.#active[input]) return;
    const mode = (low & DELIVERY_MODE) >> 8;
    // Only fixed and lowest-priority messages are ended by an EOI.
    if (mode === FIXED || mode === LOWEST_PRIORITY) this.#low[input] |= REMOTE_IRR;
    this.#send(input, 'level');
  }

  #send(input: number, trigger: 'edge' | 'level'): void {
    const low = this.#low[input];
    const logical = (low & LOGICAL_DESTINATION) !== 0;
    const destination = this.#high[input] >>> 24;
    this.#config.deliver({
      destination: !logical && destination === ENTRY_BROADCAST ? BROADCAST : destination,
      destinationMode: logical ? 'logical' : 'physical',
      deliveryMode: (low & DELIVERY_MODE) >> 8,
      vector: low & VECTOR,
      trigger,
    });
  }
}
