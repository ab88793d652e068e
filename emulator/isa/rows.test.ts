/** What holds for every row and every handler of the instruction tables. */
import { describe, expect, it } from 'vitest';
import { Emitter } from './emitter.ts';
import type { HandlerSpec } from './forms.ts';
import { expandRow } from './forms.ts';
import { expandHandlers } from './handlers.ts';
import type { Block, Effect } from './ir.ts';
import { SEMANTIC_ROWS } from './rows.ts';
import { SYSTEM_ROWS } from './system/rows.ts';

const { specs: HANDLERS } = expandHandlers();

function rootOf(spec: HandlerSpec): Block {
  const emitter = new Emitter(spec);
  spec.row.emit(emitter);
  return emitter.root;
}

/** A store to the place of an earlier load cannot fault: the load was checked for writing. */
function canFault(effect: Effect): boolean {
  switch (effect.kind) {
    case 'load':
    case 'load-vector':
    case 'store-vector':
    case 'require':
    case 'raise':
    case 'system':
      return true;
    case 'store':
      return effect.after === undefined;
    default:
      return false;
  }
}

function changesState(effect: Effect): boolean {
  switch (effect.kind) {
    case 'store':
    case 'store-vector':
    case 'set-vector':
    case 'set-field':
    case 'set-register':
    case 'set-flags':
    case 'set-system-flag':
      return true;
    default:
      return false;
  }
}

/** The effects that can fault after state was changed, on any path; `changed` says whether it was before the block. */
function lateFaults(block: Block, changed: boolean): { late: string[]; changed: boolean } {
  const late: string[] = [];
  let now = changed;
  for (const effect of block.effects) {
    if (now && canFault(effect)) late.push(effect.kind);
    if (changesState(effect)) now = true;
    // Whole iterations of a repeated instruction: a fault after them is that of a later one.
    if (effect.kind !== 'if' || effect.taken.effects[0]?.kind === 'bulk') continue;
    const taken = lateFaults(effect.taken, now);
    const otherwise = effect.otherwise ? lateFaults(effect.otherwise, now) : { late: [], changed: now };
    late.push(...taken.late, ...otherwise.late);
    now = taken.changed || otherwise.changed;
  }
  return { late, changed: now };
}

const EXITS = new Set<Effect['kind']>(['jump', 'jump-to', 'jump-far', 'jump-if', 'repeat-if', 'system']);

/** Effects after one that ends the instruction on every path. */
function afterEnd(block: Block): string[] {
  const found: string[] = [];
  let ended = false;
  for (const effect of block.effects) {
    if (ended) found.push(effect.kind);
    if (effect.kind === 'if')
      found.push(...afterEnd(effect.taken), ...(effect.otherwise ? afterEnd(effect.otherwise) : []));
    if (EXITS.has(effect.kind)) ended = true;
  }
  return found;
}

/** Their second store is in the page of the first: it does not fault after that. */
const STORES_TWO_PARTS = /^FSTP\.80\.[bxp]80$/;

describe('every emitted handler', () => {
  it('changes state only after its last effect that can fault', () => {
    const wrong = HANDLERS.flatMap((spec) => {
      const { late } = lateFaults(rootOf(spec), false);
      if (STORES_TWO_PARTS.test(spec.key)) return [];
      return late.length > 0 ? [`${spec.key}: ${late.join(', ')} after a change`] : [];
    });
    expect(wrong).toEqual([]);
  });

  it('ends with where it goes on', () => {
    const wrong = HANDLERS.flatMap((spec) =>
      afterEnd(rootOf(spec)).map((kind) => `${spec.key}: ${kind} after the end`),
    );
    expect(wrong).toEqual([]);
  });

  it('says what it does with flags', () => {
    const setsFlags = (block: Block): boolean =>
      block.effects.some(
        (effect) =>
          effect.kind === 'set-flags' ||
          (effect.kind === 'if' &&
            (setsFlags(effect.taken) || (effect.otherwise !== undefined && setsFlags(effect.otherwise)))),
      );
    const wrong = HANDLERS.flatMap((spec) => {
      const emitter = new Emitter(spec);
      spec.row.emit(emitter);
      const reads = emitter.leaves.some(({ kind }) => kind === 'flags' || kind === 'condition');
      const { flags } = spec.row;
      if (setsFlags(emitter.root) && flags?.writes === undefined)
        return [`${spec.key} writes flags and does not say so`];
      return reads && flags?.reads !== true ? [`${spec.key} reads flags and does not say so`] : [];
    });
    expect(wrong).toEqual([]);
  });

  it('that writes all flags does so on every path', () => {
    const always = (block: Block): boolean =>
      block.effects.some(
        (effect) =>
          effect.kind === 'set-flags' ||
          (effect.kind === 'if' &&
            always(effect.taken) &&
            effect.otherwise !== undefined &&
            always(effect.otherwise)),
      );
    const wrong = HANDLERS.filter((spec) => spec.row.flags?.writes === 'all' && !always(rootOf(spec))).map(
      ({ key }) => key,
    );
    expect(wrong).toEqual([]);
  });

  it('has a function for what it hands over', () => {
    const handsOver = (block: Block): boolean =>
      block.effects.some(
        (effect) =>
          effect.kind === 'system' ||
          (effect.kind === 'if' &&
            (handsOver(effect.taken) || (effect.otherwise !== undefined && handsOver(effect.otherwise)))),
      );
    const systemOps = new Set(SYSTEM_ROWS.map(({ op }) => op));
    const wrong = HANDLERS.filter(
      (spec) => handsOver(rootOf(spec)) && !spec.row.call && !systemOps.has(spec.row.op),
    ).map(({ key }) => key);
    expect(wrong).toEqual([]);
  });
});

describe('the instruction tables', () => {
  it('give no two rows the same handler', () => {
    const keys = HANDLERS.map(({ key }) => key);
    expect(keys.filter((key, i) => keys.indexOf(key) !== i)).toEqual([]);
  });

  it('name every row once, with a reference', () => {
    for (const rows of [SEMANTIC_ROWS, SYSTEM_ROWS]) {
      const ops = rows.map(({ op }) => op);
      expect(ops.filter((op, i) => ops.indexOf(op) !== i)).toEqual([]);
      expect(rows.filter(({ ref }) => ref.title === '')).toEqual([]);
    }
  });

  it('name an instruction with the same forms where a feature is absent', () => {
    for (const row of SEMANTIC_ROWS) {
      if (row.without === undefined) continue;
      const instead = SEMANTIC_ROWS.find(({ op }) => op === row.without);
      const suffixes = (of: typeof row) => expandRow(of).map(({ key }) => key.slice(of.op.length));
      expect(instead && suffixes(instead)).toEqual(suffixes(row));
    }
  });
});
