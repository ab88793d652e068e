/**
 * The pair of Intel 8259A interrupt controllers of a PC and their edge/level registers. Offsets 0-1 are the master
 * (ports 0x20-0x21), 2-3 the slave (0xa0-0xa1, on the master's input 2), 4-5 ELCR1 and ELCR2 (0x4d0-0x4d1).
 *
 * @see Intel, 8259A Programmable Interrupt Controller, order number 231468; ELCR: Intel 82371FB (PIIX), "Interrupt
 * Controller Registers"
 */
import type { IrqLine } from '../base/ports.ts';
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize, Device } from './device.ts';
import { PicChip } from './picChip.ts';

/** The device's offsets of the slave's ports and of the edge/level registers. */
export const PIC_SLAVE_OFFSET = 2;
export const PIC_ELCR_OFFSET = 4;

const ELCR1 = PIC_ELCR_OFFSET;
const ELCR2 = PIC_ELCR_OFFSET + 1;
/** IRQ 0, 1, 2, 8 and 13 are always edge-triggered. */
const ELCR1_BITS = 0xf8;
const ELCR2_BITS = 0xde;
/** The slave sits on the master's input 2. */
const CASCADE_INPUT = 2;

export interface Pic8259Config {
  /** The pair's INTR output to the processor. */
  readonly interruptRequest: IrqLine;
}

export class Pic8259Pair implements Device {
  readonly name = 'pic8259';
  readonly #interruptRequest: IrqLine;
  readonly #master: PicChip;
  readonly #slave: PicChip;

  constructor({ interruptRequest }: Pic8259Config) {
    this.#interruptRequest = interruptRequest;
    this.#master = new PicChip(1 << CASCADE_INPUT);
    this.#slave = new PicChip(0);
  }

  /** Input `irq`, 0 to 15; 2 is the cascade and cannot be driven. */
  line(irq: number): IrqLine {
    const [chip, input] = irq < 8 ? [this.#master, irq] : [this.#slave, irq - 8];
    return {
      set: (level) => {
        // Devices tell their level after every access.
        if (chip.isHigh(input) === level) return;
        chip.setInput(input, level);
        this.#propagate();
      },
    };
  }

  /** Whether INTR is asserted. */
  get requesting(): boolean {
    return this.#master.requesting;
  }

  /** The processor's interrupt-acknowledge cycles: the vector, the spurious one when the request has gone. */
  acknowledge(): number {
    const input = this.#master.acknowledge();
    let vector: number;
    if (input === CASCADE_INPUT) {
      const slaveInput = this.#slave.acknowledge();
      vector = this.#slave.vector(slaveInput);
    } else {
      vector = this.#master.vector(input);
    }
    this.#propagate();
    return vector;
  }

  /** What a PC's firmware leaves: vectors 0x08 and 0x70, timer, keyboard and cascade unmasked. */
  initializeAsFirmware(): void {
    for (const [offset, base, wiring, mask] of [
      [0, 0x08, 1 << CASCADE_INPUT, 0xf8],
      [PIC_SLAVE_OFFSET, 0x70, CASCADE_INPUT, 0xff],
    ]) {
      this.write(offset, 1, 0x11);
      for (const word of [base, wiring, 0x01, mask]) this.write(offset + 1, 1, word);
    }
  }

  read(offset: number, _size: AccessSize): number {
    if (offset >= PIC_ELCR_OFFSET) return this.peek(offset, 1);
    const value = this.#chip(offset).read(offset & 1);
    this.#propagate();
    return value;
  }

  peek(offset: number, _size: AccessSize): number {
    if (offset === ELCR1) return this.#master.levelTriggered;
    if (offset === ELCR2) return this.#slave.levelTriggered;
    return this.#chip(offset).peek(offset & 1);
  }

  write(offset: number, _size: AccessSize, value: number): void {
    if (offset === ELCR1) this.#master.levelTriggered = value & ELCR1_BITS;
    else if (offset === ELCR2) this.#slave.levelTriggered = value & ELCR2_BITS;
    else this.#chip(offset).write(offset & 1, value);
    this.#propagate();
  }

  reset(): void {
    this.#master.reset();
    this.#slave.reset();
    this.#propagate();
  }

  save(): StateRecord {
    return { master: this.#master.save(), slave: this.#slave.save() };
  }

  restore(state: StateRecord): void {
    const saved = new SavedState(this.name, state);
    this.#master.restore(saved.record('master'));
    this.#slave.restore(saved.record('slave'));
  }

  #chip(offset: number): PicChip {
    return offset < PIC_SLAVE_OFFSET ? this.#master : this.#slave;
  }

  #propagate(): void {
    this.#master.setInput(CASCADE_INPUT, this.#slave.requesting);
    this.#interruptRequest.set(this.#master.requesting);
  }
}
