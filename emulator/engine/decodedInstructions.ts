/**
 * Instructions as TypeScript functions see them, of records that do not keep them: decoded again, and kept as long as the
 * code is.
 */
import type { CodeBits } from '../isa/decode.ts';
import { PSEUDO } from '../isa/record.ts';
import { decodeSystemInstruction, type SystemInstruction } from '../isa/systemInstruction.ts';
import type { CpuState } from '../state/cpuState.ts';
import type { CodeCache } from './codeCache.ts';
import { type ReadByte, withInstructionAt } from './instructionAt.ts';

export class DecodedInstructions {
  readonly #state: CpuState;
  readonly #code: CodeCache;
  readonly #readByte: ReadByte;
  readonly #decoded = new Map<number, SystemInstruction>();
  #generation = 0;

  constructor(state: CpuState, code: CodeCache, readByte: ReadByte) {
    this.#state = state;
    this.#code = code;
    this.#readByte = readByte;
  }

  /** The instruction of `record`, which lies at `linear`; the record may be a CROSS record. */
  of(record: number, linear: bigint, bits: CodeBits): SystemInstruction {
    const handler = this.#state.u16[record >> 1] as number;
    // What lies in the second page may be another one the next time.
    if (handler === PSEUDO.CROSS) return this.#decode(linear, bits);
    if (this.#generation !== this.#code.generation) {
      this.#decoded.clear();
      this.#generation = this.#code.generation;
    }
    let instruction = this.#decoded.get(record);
    if (instruction === undefined) {
      instruction = this.#decode(linear, bits);
      this.#decoded.set(record, instruction);
    }
    return instruction;
  }

  #decode(linear: bigint, bits: CodeBits): SystemInstruction {
    return withInstructionAt(bits, linear, linear & 0xfffn, this.#readByte, (decoded) =>
      decodeSystemInstruction(this.#state, decoded, bits),
    );
  }
}
