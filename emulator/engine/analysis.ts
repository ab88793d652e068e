/** What the translator finds out of instructions before it lowers them, from what their semantics functions built. */
import { Emitter } from '../isa/emitter.ts';
import type { HandlerSpec } from '../isa/forms.ts';
import type { Block, Effect, Value, X87Function } from '../isa/ir.ts';
import { operandsOf, partsOf } from '../isa/ir.ts';
import type { BasicBlock, TranslatedInstruction } from './blocks.ts';

export const REGISTERS = 16;

/** What an instruction means, and what follows from that without its operands. */
export interface Meaning {
  readonly emitter: Emitter;
  readonly flags: FlagUse;
  /** Registers that it reads or writes whatever its operands are. */
  readonly registers: readonly number[];
  /** Those of them that it writes, and the operands that it writes when they are registers. */
  readonly writtenRegisters: readonly number[];
  readonly writtenOperands: readonly number[];
  readonly x87: readonly X87Function[];
}

/** Meanings are asked for again and again: by handler, and by the immediate of those that have one. */
export class Meanings {
  readonly #known = new Map<HandlerSpec, Meaning>();
  readonly #withImmediate = new Map<HandlerSpec, Map<bigint, Meaning>>();
  #size = 0;

  of({ spec, immediate }: TranslatedInstruction): Meaning {
    if (!spec.operands.includes('i')) {
      let meaning = this.#known.get(spec);
      if (meaning === undefined) {
        meaning = meaningOf(spec, undefined);
        this.#known.set(spec, meaning);
      }
      return meaning;
    }
    let byImmediate = this.#withImmediate.get(spec);
    if (byImmediate === undefined) {
      byImmediate = new Map();
      this.#withImmediate.set(spec, byImmediate);
    }
    let meaning = byImmediate.get(immediate);
    if (meaning === undefined) {
      if (this.#size++ > MOST_MEANINGS) this.#forget();
      meaning = meaningOf(spec, immediate);
      byImmediate.set(immediate, meaning);
    }
    return meaning;
  }

  #forget(): void {
    for (const byImmediate of this.#withImmediate.values()) byImmediate.clear();
    this.#size = 0;
  }
}

/** Of instructions with an immediate; one takes one or two KiB. */
const MOST_MEANINGS = 4000;

function meaningOf(spec: HandlerSpec, immediate: bigint | undefined): Meaning {
  const emitter = new Emitter(spec, immediate);
  spec.row.emit(emitter);
  const registers = new Set<number>();
  const writtenRegisters = new Set<number>();
  const writtenOperands = new Set<number>();
  const x87 = new Set<X87Function>();
  const visit = ({ effects }: Block) => {
    for (const effect of effects) {
      if (effect.kind === 'x87') x87.add(effect.callee);
      if (effect.kind === 'set-register') {
        if (effect.operand < 0) writtenRegisters.add(effect.register);
        else writtenOperands.add(effect.operand);
      }
      if (effect.kind !== 'if') continue;
      visit(effect.taken);
      if (effect.otherwise) visit(effect.otherwise);
    }
  };
  visit(emitter.root);
  for (const leaf of emitter.leaves)
    if (leaf.kind === 'register' && leaf.operand < 0) registers.add(leaf.register);
  for (const register of writtenRegisters) registers.add(register);
  return {
    emitter,
    flags: flagUseOf(emitter),
    registers: [...registers],
    writtenRegisters: [...writtenRegisters],
    writtenOperands: [...writtenOperands],
    x87: [...x87],
  };
}

/** Numbers of the registers that the instructions use, which are loaded, and of those that they write, which are stored. */
export function registersOf(
  blocks: readonly BasicBlock[],
  meanings: readonly (readonly Meaning[])[],
): { readonly used: readonly number[]; readonly written: readonly number[] } {
  const used = new Set<number>();
  const written = new Set<number>();
  for (const [i, { instructions }] of blocks.entries()) {
    for (const [j, { registers, base, index }] of instructions.entries()) {
      const meaning = (meanings[i] as readonly Meaning[])[j] as Meaning;
      for (const { number } of registers) used.add(number);
      used.add(base).add(index);
      for (const register of meaning.registers) used.add(register);
      for (const register of meaning.writtenRegisters) written.add(register);
      for (const operand of meaning.writtenOperands) {
        const number = registers[operand]?.number ?? REGISTERS;
        used.add(number);
        written.add(number);
      }
    }
  }
  const real = (numbers: ReadonlySet<number>) => [...numbers].filter((number) => number < REGISTERS);
  return { used: real(used), written: real(written) };
}

/** How an instruction uses the flags, and whether it may leave before anything of it has happened. */
interface FlagUse {
  readonly leaves: boolean;
  /** It needs them for something else than the flags that it leaves behind. */
  readonly reads: boolean;
  /** The flags that it leaves behind depend on those before. */
  readonly keeps: boolean;
  readonly sets: boolean;
}

/** Whether nobody sees the flags that each instruction sets: all are set again before a read or a way out. */
export function deadFlags(meanings: readonly Meaning[]): boolean[] {
  const dead: boolean[] = [];
  let live = true;
  for (let i = meanings.length - 1; i >= 0; i--) {
    const { leaves, reads, keeps, sets } = (meanings[i] as Meaning).flags;
    dead[i] = !live;
    live = leaves || reads || (live && (!sets || keeps));
  }
  return dead;
}

function flagUseOf({ root }: Emitter): FlagUse {
  let leaves = false;
  let reads = false;
  let keeps = false;
  let sets = false;
  const visit = ({ effects, depth }: Block) => {
    for (const effect of effects) {
      if (LEAVING.has(effect.kind)) leaves = true;
      const readsFlags = operandsOf(effect).some(dependsOnFlags);
      if (effect.kind === 'set-flags') {
        keeps ||= readsFlags;
        sets ||= depth === 0;
      } else reads ||= readsFlags;
      if (effect.kind !== 'if') continue;
      visit(effect.taken);
      if (effect.otherwise) visit(effect.otherwise);
    }
  };
  visit(root);
  return { leaves, reads, keeps, sets };
}

const LEAVING: ReadonlySet<Effect['kind']> = new Set([
  'load',
  'store',
  'load-vector',
  'store-vector',
  'require',
  'raise',
  'jump',
  'jump-if',
  'jump-to',
  'jump-far',
  'repeat-if',
  'system',
]);

function isFlags({ kind }: Value): boolean {
  return kind === 'flags' || kind === 'condition';
}

function dependsOnFlags(value: Value): boolean {
  const seen = new Set<Value>();
  const visit = (part: Value): boolean => {
    if (isFlags(part)) return true;
    if (seen.has(part)) return false;
    seen.add(part);
    return partsOf(part).some(visit);
  };
  // Most are immediates and registers.
  return partsOf(value).length > 0 ? visit(value) : isFlags(value);
}
