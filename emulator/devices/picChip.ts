/**
 * One 8259A. It knows nothing of vectors' meaning or of the other chip, only which of its inputs has a slave.
 *
 * @see Intel, 8259A Programmable Interrupt Controller, "Programming the 8259A"
 */
import type { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';

/** A write to address 0 with this bit is ICW1, with OCW3_SELECT OCW3, otherwise OCW2. */
const ICW1_SELECT = 0x10;
const ICW1_NEEDS_ICW4 = 0x01;
const ICW1_SINGLE = 0x02;
const ICW1_LEVEL = 0x08;
const ICW4_AUTO_EOI = 0x02;
const ICW4_SPECIAL_FULLY_NESTED = 0x10;
const OCW3_SELECT = 0x08;
const OCW3_READ_ISR = 0x01;
const OCW3_READ_REGISTER = 0x02;
const OCW3_POLL = 0x04;
const OCW3_SPECIAL_MASK = 0x20;
const OCW3_SET_SPECIAL_MASK = 0x40;

/** OCW2 bits 7:5. */
const ROTATE_IN_AUTO_EOI_CLEAR = 0;
const NON_SPECIFIC_EOI = 1;
const SPECIFIC_EOI = 3;
const ROTATE_IN_AUTO_EOI_SET = 4;
const ROTATE_ON_NON_SPECIFIC_EOI = 5;
const SET_PRIORITY = 6;
const ROTATE_ON_SPECIFIC_EOI = 7;

/** The input that an acknowledge without a request reports. */
const SPURIOUS_INPUT = 7;

function initialRegisters() {
  return {
    /** Levels of the inputs. */
    inputs: 0,
    irr: 0,
    isr: 0,
    imr: 0,
    vectorBase: 0,
    /** The initialization command word expected next; 0 when the chip is initialized, 1 before it ever was. */
    expectedIcw: 1,
    needsIcw4: false,
    single: false,
    /** ICW1's LTIM: all inputs are level-triggered. */
    allLevel: false,
    autoEoi: false,
    specialFullyNested: false,
    specialMask: false,
    rotateInAutoEoi: false,
    readIsr: false,
    poll: false,
    /** The input of the lowest priority. */
    lowest: 7,
    /** ELCR: which inputs are level-triggered. */
    elcr: 0,
  };
}

export class PicChip {
  readonly #slaveInputs: number;
  #registers = initialRegisters();

  /** `slaveInputs`: a bit for every input that a slave drives. */
  constructor(slaveInputs: number) {
    this.#slaveInputs = slaveInputs;
  }

  get levelTriggered(): number {
    return this.#registers.elcr;
  }

  set levelTriggered(inputs: number) {
    this.#registers.elcr = inputs;
    this.#latchLevels();
  }

  isHigh(input: number): boolean {
    return (this.#registers.inputs & (1 << input)) !== 0;
  }

  setInput(input: number, level: boolean): void {
    const registers = this.#registers;
    const bit = 1 << input;
    const before = this.isHigh(input);
    registers.inputs = level ? registers.inputs | bit : registers.inputs & ~bit;
    if (this.#isLevel(bit)) this.#latchLevels();
    else if (level && !before) registers.irr |= bit;
    // An edge request must stay high until it is acknowledged.
    else if (!level) registers.irr &= ~bit;
  }

  /** The INT output. */
  get requesting(): boolean {
    return this.#pending() >= 0;
  }

  /** An interrupt-acknowledge sequence: the input that is now in service, or the spurious one. */
  acknowledge(): number {
    const registers = this.#registers;
    const input = this.#pending();
    if (input < 0) return SPURIOUS_INPUT;
    const bit = 1 << input;
    if (!this.#isLevel(bit)) registers.irr &= ~bit;
    if (registers.autoEoi) {
      if (registers.rotateInAutoEoi) registers.lowest = input;
    } else {
      registers.isr |= bit;
    }
    return input;
  }

  vector(input: number): number {
    return this.#registers.vectorBase | input;
  }

  read(address: number): number {
    if (!this.#registers.poll) return this.peek(address);
    // A poll reads as an acknowledge.
    this.#registers.poll = false;
    const requesting = this.requesting;
    return (requesting ? 0x80 : 0) | this.acknowledge();
  }

  peek(address: number): number {
    const { poll, imr, irr, isr, readIsr } = this.#registers;
    if (poll) {
      const input = this.#pending();
      return input >= 0 ? 0x80 | input : SPURIOUS_INPUT;
    }
    if (address === 1) return imr;
    return readIsr ? isr : irr;
  }

  write(address: number, value: number): void {
    if (address === 1) this.#writeData(value);
    else if ((value & ICW1_SELECT) !== 0) this.#initialize(value);
    else if ((value & OCW3_SELECT) !== 0) this.#operationControl3(value);
    else this.#operationControl2(value);
  }

  reset(): void {
    const { inputs } = this.#registers;
    this.#registers = { ...initialRegisters(), inputs };
  }

  save(): StateRecord {
    return { ...this.#registers };
  }

  restore(saved: SavedState): void {
    saved.into(this.#registers);
  }

  #isLevel(bit: number): boolean {
    return this.#registers.allLevel || (this.#registers.elcr & bit) !== 0;
  }

  /** IRR of level-triggered inputs follows the input. */
  #latchLevels(): void {
    const registers = this.#registers;
    const level = registers.allLevel ? 0xff : registers.elcr;
    registers.irr = (registers.irr & ~level) | (registers.inputs & level);
  }

  /** ICW1 starts the initialization sequence. */
  #initialize(value: number): void {
    const { inputs, elcr } = this.#registers;
    this.#registers = {
      ...initialRegisters(),
      inputs,
      elcr,
      expectedIcw: 2,
      needsIcw4: (value & ICW1_NEEDS_ICW4) !== 0,
      single: (value & ICW1_SINGLE) !== 0,
      allLevel: (value & ICW1_LEVEL) !== 0,
    };
    this.#latchLevels();
  }

  #writeData(value: number): void {
    const registers = this.#registers;
    switch (registers.expectedIcw) {
      case 2:
        registers.vectorBase = value & 0xf8;
        registers.expectedIcw = registers.single ? (registers.needsIcw4 ? 4 : 0) : 3;
        break;
      case 3:
        // The wiring is what it is; ICW3 only tells the chip about it.
        registers.expectedIcw = registers.needsIcw4 ? 4 : 0;
        break;
      case 4:
        registers.autoEoi = (value & ICW4_AUTO_EOI) !== 0;
        registers.specialFullyNested = (value & ICW4_SPECIAL_FULLY_NESTED) !== 0;
        registers.expectedIcw = 0;
        break;
      default:
        registers.imr = value;
    }
  }

  #operationControl2(value: number): void {
    const registers = this.#registers;
    const input = value & 7;
    switch (value >> 5) {
      case ROTATE_IN_AUTO_EOI_CLEAR:
        registers.rotateInAutoEoi = false;
        break;
      case ROTATE_IN_AUTO_EOI_SET:
        registers.rotateInAutoEoi = true;
        break;
      case NON_SPECIFIC_EOI:
        this.#endHighest();
        break;
      case ROTATE_ON_NON_SPECIFIC_EOI: {
        const ended = this.#endHighest();
        if (ended >= 0) registers.lowest = ended;
        break;
      }
      case SPECIFIC_EOI:
        registers.isr &= ~(1 << input);
        break;
      case ROTATE_ON_SPECIFIC_EOI:
        registers.isr &= ~(1 << input);
        registers.lowest = input;
        break;
      case SET_PRIORITY:
        registers.lowest = input;
        break;
    }
  }

  #operationControl3(value: number): void {
    const registers = this.#registers;
    if ((value & OCW3_SET_SPECIAL_MASK) !== 0) registers.specialMask = (value & OCW3_SPECIAL_MASK) !== 0;
    if ((value & OCW3_POLL) !== 0) registers.poll = true;
    else if ((value & OCW3_READ_REGISTER) !== 0) registers.readIsr = (value & OCW3_READ_ISR) !== 0;
  }

  /** Ends the interrupt of the highest priority in service; in special mask mode masked ones do not count. */
  #endHighest(): number {
    const registers = this.#registers;
    const input = this.#highest(registers.specialMask ? registers.isr & ~registers.imr : registers.isr);
    if (input >= 0) registers.isr &= ~(1 << input);
    return input;
  }

  /** The input whose request goes to the processor, -1 for none. */
  #pending(): number {
    const { irr, isr, imr, specialMask, specialFullyNested, expectedIcw } = this.#registers;
    if (expectedIcw !== 0) return -1;
    const input = this.#highest(irr & ~imr);
    if (input < 0) return -1;
    // What is in service blocks requests of its own and lower priority; in special mask mode not if it is masked.
    let blocking = specialMask ? isr & ~imr : isr;
    // In special fully nested mode a slave in service does not block its further requests.
    if (specialFullyNested) blocking &= ~(this.#slaveInputs & (1 << input));
    const inService = this.#highest(blocking);
    return inService < 0 || this.#rank(input) < this.#rank(inService) ? input : -1;
  }

  #highest(inputs: number): number {
    for (let rank = 0; rank < 8; rank += 1) {
      const input = (this.#registers.lowest + 1 + rank) & 7;
      if ((inputs & (1 << input)) !== 0) return input;
    }
    return -1;
  }

  /** 0 for the input of the highest priority. */
  #rank(input: number): number {
    return (input - this.#registers.lowest - 1) & 7;
  }
}
