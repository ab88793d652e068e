/** The instruction at an address, decoded from memory: for whoever needs more of it than its record tells. */
import { LONGEST_INSTRUCTION } from '../core/instruction.ts';
import type { CodeBits } from '../isa/decode.ts';
import { DecoderError, IcedDecoder, type IcedInstruction } from '../isa/iced.ts';

/** A byte of code, or -1 where nothing can be fetched. */
export type ReadByte = (linear: bigint) => number;

/** Decodes the instruction at `linear` for `use`, as if it was at `ip`. */
export function withInstructionAt<T>(
  bits: CodeBits,
  linear: bigint,
  ip: bigint,
  readByte: ReadByte,
  use: (instruction: IcedInstruction) => T,
): T {
  const decoder = new IcedDecoder(bits, instructionBytes(bits, linear, readByte), 0);
  decoder.ip = ip;
  const decoded = decoder.decode();
  const result = use(decoded);
  decoded.free();
  decoder.free();
  return result;
}

function instructionBytes(bits: CodeBits, linear: bigint, readByte: ReadByte): Uint8Array {
  const bytes: number[] = [];
  const inPage = Math.min(LONGEST_INSTRUCTION, 0x1000 - Number(linear & 0xfffn));
  for (let i = 0; i < LONGEST_INSTRUCTION; i++) {
    // What follows in the next page is looked at only when the instruction goes on there.
    if (i === inPage && isWhole(bits, bytes)) break;
    const byte = readByte(linear + BigInt(i));
    if (byte < 0) break;
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** Whether the bytes are an instruction, or none whatever follows. */
function isWhole(bits: CodeBits, bytes: readonly number[]): boolean {
  const decoder = new IcedDecoder(bits, Uint8Array.from(bytes), 0);
  decoder.decode().free();
  const whole = decoder.lastError !== DecoderError.NoMoreBytes;
  decoder.free();
  return whole;
}
