/**
 * A 128-bit digest of saved state, for comparing runs. Not cryptographic: nobody forges states here.
 *
 * Records are digested by sorted key, so that the order in which a component names its parts does not matter.
 */
import type { StateValue } from '../base/stateValue.ts';

const LANES = 4;
const SEEDS = [0x9e37_79b9, 0x85eb_ca6b, 0xc2b2_ae35, 0x27d4_eb2f] as const;

export class Digest {
  readonly #lanes = Int32Array.from(SEEDS);
  readonly #text = new TextEncoder();
  #next = 0;

  word(value: number): void {
    const lanes = this.#lanes;
    const lane = this.#next;
    let mixed = Math.imul((lanes[lane] as number) ^ value, 0x0100_0193);
    mixed ^= mixed >>> 15;
    lanes[lane] = mixed;
    // Neighbours see each other, so that swapped words are noticed.
    const other = (lane + 1) % LANES;
    lanes[other] = ((lanes[other] as number) + mixed) | 0;
    this.#next = other;
  }

  bytes(bytes: Uint8Array): void {
    this.word(bytes.length);
    const whole = bytes.length & ~3;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < whole; at += 4) this.word(view.getInt32(at, true));
    for (let at = whole; at < bytes.length; at++) this.word(bytes[at] as number);
  }

  value(value: StateValue): void {
    if (value === null) this.word(1);
    else if (typeof value === 'boolean') this.word(value ? 3 : 2);
    else if (typeof value === 'number') this.#typed(4, String(value));
    else if (typeof value === 'bigint') this.#typed(5, value.toString(16));
    else if (typeof value === 'string') this.#typed(6, value);
    else if (value instanceof Uint8Array) {
      this.word(7);
      this.bytes(value);
    } else if (Array.isArray(value)) {
      this.word(8);
      this.word(value.length);
      for (const item of value as readonly StateValue[]) this.value(item);
    } else {
      this.word(9);
      const record = value as { readonly [key: string]: StateValue };
      for (const key of Object.keys(record).sort()) {
        this.#typed(6, key);
        this.value(record[key] as StateValue);
      }
    }
  }

  /** 32 hexadecimal digits. */
  toString(): string {
    const final = new Int32Array(this.#lanes);
    for (let round = 0; round < 8; round++) {
      for (let lane = 0; lane < LANES; lane++) {
        const mixed = Math.imul(
          (final[lane] as number) ^ ((final[(lane + 3) % LANES] as number) >>> 13),
          0x85eb_ca6b,
        );
        final[lane] = mixed ^ (mixed >>> 16);
      }
    }
    return [...final].map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('');
  }

  #typed(tag: number, text: string): void {
    this.word(tag);
    this.bytes(this.#text.encode(text));
  }
}
