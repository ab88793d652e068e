/** Our x87 FPU on one case, and outcomes as text that can be compared and read. */
import { OUTCOME, type Outcome } from '../../emulator/core/outcome.ts';
import { longProcessor, type TestProcessor } from '../../emulator/core/testing/processor.ts';
import { IcedDecoder } from '../../emulator/isa/iced.ts';
import { decodeSystemInstruction, type SystemInstruction } from '../../emulator/isa/systemInstruction.ts';
import { X87_ROWS } from '../../emulator/isa/x87/rows.ts';
import { readRflags, writeRflags } from '../../emulator/state/flags.ts';
import { RAM_OFFSET } from '../../emulator/state/layout.ts';
import { CR0, RAX, RDI } from '../../emulator/state/registers.ts';
import { assemble } from '../support/assemble.ts';
import type { X87Form } from './x87Forms.ts';
import { MEMORY_BYTES, STATE_BYTES, type X87Case, type X87Outcome } from './x87Native.ts';

const ROWS = new Map(X87_ROWS.map((row) => [row.op, row]));
const STATE_AT = 0x9000n;
const MEMORY_AT = 0xa000n;

export class X87Model {
  readonly #machine: TestProcessor = longProcessor();
  readonly #instructions: readonly SystemInstruction[];

  constructor(texts: readonly string[]) {
    const { state } = this.#machine;
    state.CR0 |= BigInt(CR0.NE);
    const program = [...texts, 'frstor [rdi]', 'fnsave [rdi]'];
    const bytes = assemble(`.intel_syntax noprefix\n${program.join('\n')}`, 0);
    const decoder = new IcedDecoder(64, bytes, 0);
    this.#instructions = program.map(() => decodeSystemInstruction(state, decoder.decode(), 64));
  }

  #execute(instruction: SystemInstruction): void {
    const row = ROWS.get(instruction.name);
    if (!row) throw new Error(`no row for ${instruction.name}`);
    const outcome: Outcome = row.call(this.#machine.cpu, instruction);
    if (outcome !== OUTCOME.NEXT) throw new Error(`${instruction.name} ended with outcome ${outcome}`);
  }

  run({ form, flags, state: image, memory }: X87Case): X87Outcome {
    const { state } = this.#machine;
    const [restore, save] = this.#instructions.slice(-2) as [SystemInstruction, SystemInstruction];
    const at = (address: bigint) => RAM_OFFSET + Number(address);
    state.u8.set(image, at(STATE_AT));
    state.u8.set(memory, at(MEMORY_AT));
    state.setGpr(RAX, MEMORY_AT);
    state.setGpr(RDI, STATE_AT);
    this.#execute(restore);
    writeRflags(state, flags);
    this.#execute(this.#instructions[form] as SystemInstruction);
    this.#execute(save);
    return {
      ax: Number(state.gpr(RAX) & 0xffffn),
      flags: readRflags(state),
      state: state.u8.slice(at(STATE_AT), at(STATE_AT) + STATE_BYTES),
      memory: state.u8.slice(at(MEMORY_AT), at(MEMORY_AT) + MEMORY_BYTES),
    };
  }
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).reverse().toString('hex');

/** The state as text, without the pointers, which tell one program from the other. */
export function describeState(state: Uint8Array, undefinedStatus = 0): Record<string, string> {
  const view = new DataView(state.buffer, state.byteOffset);
  const word = (at: number, mask = 0xffff) => (view.getUint16(at, true) & mask).toString(16);
  const registers = Array.from({ length: 8 }, (_, i) => hex(state.subarray(28 + 10 * i, 38 + 10 * i)));
  return {
    control: word(0),
    status: word(4, ~undefinedStatus),
    tags: word(8),
    registers: registers.join(' '),
  };
}

/** Pointers in a stored environment or state. */
function withoutPointers(memory: Uint8Array, text: string): Uint8Array {
  const [from, to] = text.startsWith('data16') ? [6, 14] : [12, 28];
  return /fnstenv|fnsave/.test(text) ? memory.slice().fill(0, from, to) : memory;
}

const INVALID = 1;
const CONDITION_CODES = 0x4500;
const STATUS_FLAGS = 0x8d5;

/**
 * The manual says that a comparison with an unmasked invalid operation does not set its result; AMD's processors set
 * it to "unordered".
 */
function leavesResult(state: Uint8Array, form: X87Form): boolean {
  const [control, status] = [state[0] as number, state[4] as number];
  return form.compares === true && (status & ~control & INVALID) !== 0;
}

export function describeOutcome(outcome: X87Outcome, form: X87Form): Record<string, string> {
  const { text, undefinedStatus = 0 } = form;
  const noResult = leavesResult(outcome.state, form);
  return {
    ...describeState(outcome.state, undefinedStatus | (noResult ? CONDITION_CODES : 0)),
    flags: noResult ? '' : (outcome.flags & STATUS_FLAGS).toString(16),
    memory: hex(withoutPointers(outcome.memory, text)),
    ax: text === 'fnstsw ax' ? outcome.ax.toString(16) : '',
  };
}
