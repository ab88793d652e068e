/** Places instructions in the code pages, among INT3, and makes their cases. */
import { assemble } from '../../support/assemble.ts';
import type { Random } from '../../support/random.ts';
import type { Case } from './batch.ts';
import type { TestInstruction } from './instruction.ts';
import { CODE, CODE_SIZE, INT3, LANDING, PAGE } from './layout.ts';
import { makeState } from './states.ts';

const SLOT = 32;

export interface PlacedInstruction {
  readonly instruction: TestInstruction;
  readonly address: number;
}

/** Collects instructions until they are assembled together. */
export class Program {
  readonly #placed: PlacedInstruction[] = [];
  #next = CODE + SLOT;

  /** Every 40th or so lies across two pages. */
  add(instruction: TestInstruction, random: Random): PlacedInstruction {
    let address = this.#next;
    if (random.below(40) === 0 && PAGE - (address % PAGE) >= 3 * SLOT) {
      address = address - (address % PAGE) + PAGE - 1 - random.below(3);
      this.#next = address - (address % SLOT) + 2 * SLOT;
    } else {
      this.#next += SLOT;
    }
    if (this.#next >= LANDING) throw new Error('the code pages are full');
    const placed = { instruction, address };
    this.#placed.push(placed);
    return placed;
  }

  /** Contents of the code pages. */
  assemble(): Uint8Array {
    const lines = ['.intel_syntax noprefix', 'start:'];
    for (const [i, { instruction, address }] of this.#placed.entries()) {
      lines.push(`.org ${address - CODE}, ${INT3}`, `.code${instruction.mode}`);
      lines.push(instruction.text.replaceAll('HERE', `(next${i} - start)`), `next${i}:`);
    }
    lines.push('.code64', `.org ${CODE_SIZE}, ${INT3}`);
    return assemble(lines.join('\n'), CODE);
  }
}

export function makeCases(
  { instruction, address }: PlacedInstruction,
  count: number,
  first: number,
  random: Random,
): Case[] {
  return Array.from({ length: count }, (_, i) => makeState(instruction, address, first + i, random));
}
