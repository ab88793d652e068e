/** What the translator finds out of instructions before it lowers them, from what their semantics functions built. */
import { Emitter } from '../isa/emitter.ts';
import type { Block, Effect, Value } from '../isa/ir.ts';
import { operandsOf, partsOf } from '../isa/ir.ts';
import type { BasicBlock, TranslatedInstruction } from './blocks.ts';

export const REGISTERS = 16;

/** The emitters of a block's instructions, written to. */
export function emittersOf(block: BasicBlock): Emitter[] {
  return block.instructions.map(({ spec, immediate }) => {
    const emitter = new Emitter(spec, immediate);
    spec.row.emit(emitter);
    return emitter;
  });
}

/** Numbers of the registers that the instructions use, which are loaded, and of those that they write, which are stored. */
export function registersOf(
  blocks: readonly BasicBlock[],
  emitters: readonly (readonly Emitter[])[],
): { readonly used: readonly number[]; readonly written: readonly number[] } {
  const used = new Set<number>();
  const written = new Set<number>();
  const visit = ({ effects }: Block, registers: TranslatedInstruction['registers']) => {
    for (const effect of effects) {
      if (effect.kind === 'set-register')
        written.add(effect.operand < 0 ? effect.register : (registers[effect.operand]?.number ?? REGISTERS));
      if (effect.kind !== 'if') continue;
      visit(effect.taken, registers);
      if (effect.otherwise) visit(effect.otherwise, registers);
    }
  };
  for (const [i, { instructions }] of blocks.entries()) {
    for (const [j, { registers, base, index }] of instructions.entries()) {
      for (const number of [...registers.map((register) => register.number), base, index]) used.add(number);
      const { root, leaves } = (emitters[i] as readonly Emitter[])[j] as Emitter;
      for (const leaf of leaves) if (leaf.kind === 'register' && leaf.operand < 0) used.add(leaf.register);
      visit(root, registers);
    }
  }
  for (const number of written) used.add(number);
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
export function deadFlags(emitters: readonly Emitter[]): boolean[] {
  const dead: boolean[] = [];
  let live = true;
  for (let i = emitters.length - 1; i >= 0; i--) {
    const { leaves, reads, keeps, sets } = flagUseOf(emitters[i] as Emitter);
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
