/**
 * The keyboard controller: an Intel 8042 with a keyboard (scan code set 2, translated to set 1 as the command byte
 * says) and no mouse. Offset 0 is the data port (0x60), offset 4 the command and status port (0x64).
 *
 * DEVIATION(i8042-instant): commands and bytes take no time, so the input buffer is never full.
 *
 * @see IBM, Personal System/2 Hardware Interface Technical Reference, "Keyboard/Auxiliary Device Controller" and
 * "Keyboard (101- and 102-Key)"
 */
import type { IrqLine } from '../base/ports.ts';
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize, Device } from './device.ts';
import { Ps2Keyboard } from './ps2Keyboard.ts';
import { translateToSet1 } from './scanCodes.ts';

/** The device's offset of the command and status port. */
export const I8042_COMMAND_OFFSET = 4;
const DATA = 0;

const STATUS_OUTPUT_FULL = 0x01;
const STATUS_SYSTEM = 0x04;
const STATUS_COMMAND = 0x08;
const STATUS_NOT_INHIBITED = 0x10;

const CONFIGURATION = 0x00;
const CONFIGURATION_KEYBOARD_IRQ = 0x01;
const CONFIGURATION_SYSTEM = 0x04;
const CONFIGURATION_KEYBOARD_OFF = 0x10;
const CONFIGURATION_TRANSLATE = 0x40;

const READ_MEMORY = 0x20;
const WRITE_MEMORY = 0x60;
const MEMORY_SIZE = 0x20;
const SELF_TEST = 0xaa;
const SELF_TEST_PASSED = 0x55;
const INTERFACE_TEST = 0xab;
const INTERFACE_TEST_PASSED = 0x00;
const KEYBOARD_DISABLE = 0xad;
const KEYBOARD_ENABLE = 0xae;
const READ_INPUT_PORT = 0xc0;
const INPUT_PORT = 0x80;
const READ_OUTPUT_PORT = 0xd0;
const WRITE_OUTPUT_PORT = 0xd1;
const WRITE_OUTPUT_BUFFER = 0xd2;
const PULSE_OUTPUT = 0xf0;

const OUTPUT_NOT_RESET = 0x01;
const OUTPUT_A20 = 0x02;
const OUTPUT_KEYBOARD_IRQ = 0x10;
const OUTPUT_KEYBOARD_LINES = 0xc0;

export interface I8042Config {
  readonly keyboardIrq: IrqLine;
  readonly setA20: (enabled: boolean) => void;
  /** The output port's reset line was pulled: the chipset makes INIT of it. */
  readonly initialize: () => void;
}

export class I8042 implements Device {
  readonly name = 'i8042';
  readonly #config: I8042Config;
  readonly #keyboard = new Ps2Keyboard();
  /** Internal memory; byte 0 is the configuration ("command byte"). */
  readonly #memory = new Uint8Array(MEMORY_SIZE);
  /** Bytes of the controller's own answers; they come before the keyboard's. */
  #answers: number[] = [];
  #registers = initialRegisters();

  constructor(config: I8042Config) {
    this.#config = config;
    this.#memory[CONFIGURATION] = initialConfiguration();
  }

  /** Scan codes of set 2, as the keyboard sends them. */
  sendKeys(scanCodes: Uint8Array): void {
    this.#keyboard.press(scanCodes);
    this.#refill();
  }

  read(offset: number, size: AccessSize): number {
    const value = this.peek(offset, size);
    if (offset === DATA) {
      this.#registers.full = false;
      this.#refill();
    }
    return value;
  }

  peek(offset: number, _size: AccessSize): number {
    const { output, full, lastWasCommand } = this.#registers;
    if (offset === DATA) return output;
    return (
      STATUS_NOT_INHIBITED |
      (full ? STATUS_OUTPUT_FULL : 0) |
      ((this.#memory[CONFIGURATION] & CONFIGURATION_SYSTEM) !== 0 ? STATUS_SYSTEM : 0) |
      (lastWasCommand ? STATUS_COMMAND : 0)
    );
  }

  write(offset: number, _size: AccessSize, value: number): void {
    const registers = this.#registers;
    registers.lastWasCommand = offset !== DATA;
    if (offset !== DATA) {
      registers.awaiting = 0;
      this.#command(value);
    } else if (registers.awaiting !== 0) {
      const command = registers.awaiting;
      registers.awaiting = 0;
      this.#commandData(command, value);
    } else {
      // A byte for the keyboard, which it enables again.
      this.#memory[CONFIGURATION] &= ~CONFIGURATION_KEYBOARD_OFF;
      this.#keyboard.receive(value);
    }
    this.#refill();
  }

  reset(): void {
    this.#registers = initialRegisters();
    this.#memory.fill(0);
    this.#memory[CONFIGURATION] = initialConfiguration();
    this.#answers = [];
    this.#keyboard.reset();
    this.#config.keyboardIrq.set(false);
    this.#config.setA20(true);
  }

  save(): StateRecord {
    return {
      ...this.#registers,
      memory: this.#memory.slice(),
      answers: Uint8Array.from(this.#answers),
      keyboard: this.#keyboard.save(),
    };
  }

  restore(state: StateRecord): void {
    const saved = new SavedState(this.name, state);
    saved.into(this.#registers);
    this.#memory.set(saved.bytes('memory', MEMORY_SIZE));
    this.#answers = [...saved.bytes('answers')];
    this.#keyboard.restore(saved.record('keyboard'));
    this.#config.setA20(this.#registers.a20);
  }

  #command(value: number): void {
    if (value >= READ_MEMORY && value < READ_MEMORY + MEMORY_SIZE) {
      this.#answers.push(this.#memory[value - READ_MEMORY]);
      return;
    }
    if (value >= WRITE_MEMORY && value < WRITE_MEMORY + MEMORY_SIZE) {
      this.#registers.awaiting = value;
      return;
    }
    if (value >= PULSE_OUTPUT) {
      // Bits that are 0 pull their line; only reset is connected to one.
      if ((value & OUTPUT_NOT_RESET) === 0) this.#config.initialize();
      return;
    }
    switch (value) {
      case SELF_TEST:
        this.#memory[CONFIGURATION] |= CONFIGURATION_SYSTEM;
        this.#answers.push(SELF_TEST_PASSED);
        break;
      case INTERFACE_TEST:
        this.#answers.push(INTERFACE_TEST_PASSED);
        break;
      case KEYBOARD_DISABLE:
        this.#memory[CONFIGURATION] |= CONFIGURATION_KEYBOARD_OFF;
        break;
      case KEYBOARD_ENABLE:
        this.#memory[CONFIGURATION] &= ~CONFIGURATION_KEYBOARD_OFF;
        break;
      case READ_INPUT_PORT:
        this.#answers.push(INPUT_PORT);
        break;
      case READ_OUTPUT_PORT:
        this.#answers.push(this.#outputPort());
        break;
      case WRITE_OUTPUT_PORT:
      case WRITE_OUTPUT_BUFFER:
        this.#registers.awaiting = value;
        break;
      // A controller without a mouse port knows no other commands.
    }
  }

  #commandData(command: number, value: number): void {
    switch (command) {
      case WRITE_OUTPUT_PORT:
        this.#registers.a20 = (value & OUTPUT_A20) !== 0;
        this.#config.setA20(this.#registers.a20);
        if ((value & OUTPUT_NOT_RESET) === 0) this.#config.initialize();
        break;
      case WRITE_OUTPUT_BUFFER:
        this.#answers.push(value);
        break;
      default:
        this.#memory[command - WRITE_MEMORY] = value;
    }
  }

  #outputPort(): number {
    const { a20, full } = this.#registers;
    return (
      OUTPUT_KEYBOARD_LINES | OUTPUT_NOT_RESET | (a20 ? OUTPUT_A20 : 0) | (full ? OUTPUT_KEYBOARD_IRQ : 0)
    );
  }

  /** Moves the next byte into the output buffer, if that is empty, and drives the interrupt. */
  #refill(): void {
    const registers = this.#registers;
    // The line drops with the byte that was read, so that the next one gives an edge.
    this.#driveIrq();
    if (registers.full) return;
    const answer = this.#answers.shift();
    if (answer !== undefined) {
      registers.output = answer;
      registers.full = true;
    } else if ((this.#memory[CONFIGURATION] & CONFIGURATION_KEYBOARD_OFF) === 0) {
      this.#takeFromKeyboard();
    }
    this.#driveIrq();
  }

  #takeFromKeyboard(): void {
    const registers = this.#registers;
    const translates = (this.#memory[CONFIGURATION] & CONFIGURATION_TRANSLATE) !== 0;
    for (let code = this.#keyboard.take(); code !== undefined; code = this.#keyboard.take()) {
      if (translates && code === 0xf0) {
        // The break prefix of set 2 becomes bit 7 of the code after it.
        registers.breakPrefix = true;
        continue;
      }
      registers.output = translates ? translateToSet1(code) | (registers.breakPrefix ? 0x80 : 0) : code;
      registers.breakPrefix = false;
      registers.full = true;
      return;
    }
  }

  #driveIrq(): void {
    const enabled = (this.#memory[CONFIGURATION] & CONFIGURATION_KEYBOARD_IRQ) !== 0;
    this.#config.keyboardIrq.set(enabled && this.#registers.full);
  }
}

/** What firmware leaves: keyboard interrupt on, translation on, system flag set. */
function initialConfiguration(): number {
  return CONFIGURATION_KEYBOARD_IRQ | CONFIGURATION_SYSTEM | CONFIGURATION_TRANSLATE;
}

function initialRegisters() {
  return {
    output: 0,
    full: false,
    lastWasCommand: false,
    /** The command whose data byte is expected at the data port, 0 for none. */
    awaiting: 0,
    a20: true,
    breakPrefix: false,
  };
}
