/**
 * A PS/2 keyboard at the other end of the keyboard controller's wire: takes command bytes, sends answers and scan
 * codes of set 2.
 *
 * @see IBM, Personal System/2 Hardware Interface Technical Reference, "Keyboard (101- and 102-Key)"
 */
import type { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';

const SET_LEDS = 0xed;
const ECHO = 0xee;
const SCAN_CODE_SET = 0xf0;
const IDENTIFY = 0xf2;
const SET_RATE = 0xf3;
const ENABLE = 0xf4;
const DISABLE = 0xf5;
const SET_DEFAULTS = 0xf6;
const RESEND = 0xfe;
const RESET = 0xff;

const ACKNOWLEDGE = 0xfa;
const SELF_TEST_PASSED = 0xaa;
const IDENTITY = [0xab, 0x83];
const DEFAULT_SET = 2;

/** What the keyboard holds when nobody reads; more is dropped. */
const BUFFER_SIZE = 16;

function initialRegisters() {
  return { scanning: true, awaiting: 0, lastSent: 0, scanCodeSet: DEFAULT_SET };
}

export class Ps2Keyboard {
  #registers = initialRegisters();
  #answers: number[] = [];
  #keys: number[] = [];

  /** Keys went down or up: scan codes of set 2. A disabled keyboard ignores them. */
  press(scanCodes: Uint8Array): void {
    if (!this.#registers.scanning) return;
    const room = BUFFER_SIZE - this.#keys.length;
    if (scanCodes.length <= room) this.#keys.push(...scanCodes);
  }

  /** A byte from the controller. */
  receive(byte: number): void {
    const registers = this.#registers;
    const { awaiting } = registers;
    registers.awaiting = 0;
    // A command in place of an argument is taken as a command.
    if (awaiting !== 0 && byte < SET_LEDS) {
      this.#argument(awaiting, byte);
      return;
    }
    switch (byte) {
      case ECHO:
        this.#answers.push(ECHO);
        return;
      case RESEND:
        this.#answers.push(registers.lastSent);
        return;
      case RESET:
        this.reset();
        this.#answers.push(ACKNOWLEDGE, SELF_TEST_PASSED);
        return;
      case IDENTIFY:
        this.#answers.push(ACKNOWLEDGE, ...IDENTITY);
        return;
      case SET_LEDS:
      case SCAN_CODE_SET:
      case SET_RATE:
        registers.awaiting = byte;
        break;
      case ENABLE:
        registers.scanning = true;
        break;
      case DISABLE:
        this.#registers = { ...initialRegisters(), scanning: false };
        break;
      case SET_DEFAULTS:
        this.#registers = initialRegisters();
        break;
      default:
        this.#answers.push(RESEND);
        return;
    }
    this.#answers.push(ACKNOWLEDGE);
  }

  /** The next byte on the wire, if there is one. */
  take(): number | undefined {
    const byte = this.#answers.length > 0 ? this.#answers.shift() : this.#keys.shift();
    if (byte !== undefined) this.#registers.lastSent = byte;
    return byte;
  }

  reset(): void {
    this.#registers = initialRegisters();
    this.#answers = [];
    this.#keys = [];
  }

  save(): StateRecord {
    return {
      ...this.#registers,
      answers: Uint8Array.from(this.#answers),
      keys: Uint8Array.from(this.#keys),
    };
  }

  restore(saved: SavedState): void {
    saved.into(this.#registers);
    this.#answers = [...saved.bytes('answers')];
    this.#keys = [...saved.bytes('keys')];
  }

  #argument(command: number, value: number): void {
    if (command !== SCAN_CODE_SET) {
      this.#answers.push(ACKNOWLEDGE);
    } else if (value === 0) {
      this.#answers.push(ACKNOWLEDGE, this.#registers.scanCodeSet);
    } else if (value === DEFAULT_SET) {
      this.#answers.push(ACKNOWLEDGE);
    } else {
      // Sets 1 and 3 are not there: the controller translates to set 1.
      this.#answers.push(RESEND);
    }
  }
}
