/** What CPUID answered before: programs ask for few leaves again and again. */
import type { Cpu } from '../../core/cpu.ts';
import { type CpuidResult, cpuid } from '../../core/cpuid.ts';

interface Answer {
  readonly leaf: number;
  readonly subleaf: number;
  readonly result: CpuidResult;
}

/** Whatever else programs leave in ECX must not fill the memory. */
const PLACES = 64;

/** Answers of one processor. Those that depend on its state are kept without it and completed each time. */
export class CpuidAnswers {
  readonly #cpu: Cpu;
  readonly #known: (Answer | undefined)[] = new Array(PLACES).fill(undefined);

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
  }

  answer(leaf: number, subleaf: number): CpuidResult {
    const place = (leaf ^ (leaf >>> 27) ^ (subleaf << 3)) & (PLACES - 1);
    let found = this.#known[place];
    if (found?.leaf !== leaf || found.subleaf !== subleaf) {
      found = { leaf, subleaf, result: cpuid(this.#cpu, leaf, subleaf) };
      this.#known[place] = found;
    }
    return found.result;
  }
}
