/**
 * Removes from a guest's serial output what a terminal would act upon outside its own screen: OSC (title, clipboard,
 * links, shell integration), DCS, SOS, PM and APC strings. Cursor movement and colours (CSI) stay. Works on a stream:
 * a sequence may be split over any number of calls.
 *
 * ECMA-48, "Control functions", 8.3.
 */

const ESC = 0x1b;
const BEL = 0x07;
const LF = 0x0a;
const CAN = 0x18;
const SUB = 0x1a;
const STRING_TERMINATOR = 0x5c; // ESC \
/** The second byte of `ESC P`, `ESC X`, `ESC ]`, `ESC ^`, `ESC _`. */
const STRING_STARTS: ReadonlySet<number> = new Set([0x50, 0x58, 0x5d, 0x5e, 0x5f]);
/** C1 controls as UTF-8 has them: C2 90 (DCS), C2 98 (SOS), C2 9D (OSC), C2 9E (PM), C2 9F (APC); C2 9C ends a string. */
const C1_LEAD = 0xc2;
const C1_STARTS: ReadonlySet<number> = new Set([0x90, 0x98, 0x9d, 0x9e, 0x9f]);
const C1_TERMINATOR = 0x9c;

type State = 'text' | 'escape' | 'lead' | 'string' | 'string-escape' | 'string-lead';

export class SequenceStripper {
  #state: State = 'text';

  /** The bytes that may reach a terminal. */
  strip(bytes: Uint8Array): Uint8Array {
    const kept = new Uint8Array(bytes.length + 1);
    let length = 0;
    for (const byte of bytes) {
      switch (this.#state) {
        case 'text':
          if (!this.#holds(byte)) kept[length++] = byte;
          break;
        case 'escape':
        case 'lead': {
          const held = this.#state === 'escape' ? ESC : C1_LEAD;
          this.#state = 'text';
          if ((held === ESC ? STRING_STARTS : C1_STARTS).has(byte)) {
            this.#state = 'string';
            break;
          }
          kept[length++] = held;
          if (!this.#holds(byte)) kept[length++] = byte;
          break;
        }
        case 'string':
          this.#state = stateInString(byte);
          if (byte === LF) kept[length++] = byte;
          break;
        case 'string-escape':
          // ESC \ is the proper end; any other escape cancels the string and stands for itself.
          this.#state = STRING_STARTS.has(byte) ? 'string' : 'text';
          if (this.#state === 'text' && byte !== STRING_TERMINATOR) {
            kept[length++] = ESC;
            if (!this.#holds(byte)) kept[length++] = byte;
          }
          break;
        case 'string-lead':
          this.#state = byte === C1_TERMINATOR ? 'text' : stateInString(byte);
          if (byte === LF) kept[length++] = byte;
          break;
      }
    }
    return kept.subarray(0, length);
  }

  /** Keeps a byte back that may begin a string. */
  #holds(byte: number): boolean {
    if (byte === ESC) this.#state = 'escape';
    else if (byte === C1_LEAD) this.#state = 'lead';
    return this.#state !== 'text';
  }
}

/** No terminal string spans lines: a line feed ends one that was begun by accident, so that output is not lost. */
function stateInString(byte: number): State {
  if (byte === BEL || byte === CAN || byte === SUB || byte === LF) return 'text';
  if (byte === ESC) return 'string-escape';
  return byte === C1_LEAD ? 'string-lead' : 'string';
}
