/**
 * Code segments outside of 64-bit mode, as the code cache tells them apart, and where their limits stop straight-line code.
 */
import { LONGEST_INSTRUCTION } from '../core/instruction.ts';
import type { CodeBits } from '../isa/decode.ts';
import { codeSizeInContext } from '../isa/decode.ts';
import type { CpuState } from '../state/cpuState.ts';
import { CS } from '../state/registers.ts';

/** The limit of a flat segment. */
const FLAT = 0xffff_ffff;
const MOST_SEGMENTS = 0x1_0000;

export class CodeSegments {
  readonly #state: CpuState;
  readonly #exhausted: () => void;
  /** Ids by base and limit. */
  readonly #ids = new Map<string, number>();

  /** `exhausted` forgets all that is known by an id. */
  constructor(state: CpuState, exhausted: () => void) {
    this.#state = state;
    this.#exhausted = exhausted;
  }

  /** What besides RIP decides which code runs: translation context, code size, code segment. */
  context(bits: CodeBits, base: bigint): number {
    const translation = Number(this.#state.CONTEXT & 0xfffn) | codeSizeInContext(bits);
    if (bits === 64) return translation;
    const limit = this.#state.segmentLimit(CS);
    const segment = `${base} ${limit}`;
    let id = this.#ids.get(segment);
    if (id === undefined) {
      if (this.#ids.size >= MOST_SEGMENTS) {
        this.#ids.clear();
        this.#exhausted();
      }
      // 0 is for flat segments, as for 64-bit code.
      id = base === 0n && limit === FLAT ? 0 : this.#ids.size + 1;
      this.#ids.set(segment, id);
    }
    return (translation | (id << 14)) >>> 0;
  }

  /**
   * Straight-line code does not look at the limit of CS: in the pages where the limit lies it stops before every
   * instruction that may reach over it. Gives the addresses of these, none where the limit is not near `linear`.
   */
  stops(linear: bigint, base: bigint): readonly bigint[] {
    const limit = this.#state.segmentLimit(CS);
    if (limit === FLAT) return [];
    const beyond = BigInt.asUintN(32, base + BigInt(limit) + 1n);
    const page = linear >> 12n;
    if (beyond >> 12n !== page && (beyond - BigInt(LONGEST_INSTRUCTION)) >> 12n !== page) return [];
    return Array.from({ length: LONGEST_INSTRUCTION + 1 }, (_, i) => beyond - BigInt(i));
  }
}
