/**
 * The control flow of a region in WebAssembly's terms: blocks in the order of their addresses, and around them loops that
 * nest. A jump forwards leaves a `block`, a jump back goes to the `loop` around both. A loop that is entered otherwise
 * than at its first block has a switch there.
 */
import type { BasicBlock, RecordReader } from './blocks.ts';
import { hasDirectTarget, recordOf, repeats } from './blocks.ts';

/** A loop, or the whole region: blocks `first` to `last`. */
export interface Container {
  readonly first: number;
  last: number;
  readonly parent: Container | undefined;
  /** Blocks by number, and the loops in it. */
  readonly items: (number | Container)[];
  /** Whether it is entered elsewhere than at its first block. */
  switches: boolean;
}

export interface Region {
  readonly root: Container;
  /** By number of a block: what is directly around it. */
  readonly around: readonly Container[];
  /** Numbers of the blocks where execution may come from outside. */
  readonly entries: readonly number[];
  /**
   * By number of an entry: the most instructions that execute from there before execution comes to an entry again. Whoever
   * has them needs to look at the budget nowhere else.
   */
  readonly needed: readonly (number | undefined)[];
  /** By number of a block: the blocks that it is reached from, where it is reached from nowhere else. */
  readonly before: readonly (readonly number[])[];
}

interface Edge {
  readonly from: number;
  readonly to: number;
  readonly call: boolean;
}

/** `blocks` are in the order of their addresses; execution came to the blocks `ways`. */
export function regionOf(
  reader: RecordReader,
  blocks: readonly BasicBlock[],
  ways: readonly number[],
): Region {
  const edges = edgesOf(reader, blocks);
  const ends = loopEnds(edges);
  const { root, around } = nest(blocks.length, ends);
  const entries = entriesOf(blocks, edges, [...ways, ...ends.keys()]);
  for (const entry of entries) markSwitches(around, undefined, entry);
  for (const { from, to, call } of edges) {
    if (call && to <= from) continue;
    markSwitches(around, containerOf(around, from, to), to);
  }
  root.switches = true;
  const before: number[][] = blocks.map(() => []);
  for (const { from, to } of edges) before[to]?.push(from);
  for (const entry of entries) before[entry] = [];
  return { root, around, entries, needed: longestPaths(blocks, edges, new Set(entries)), before };
}

function longestPaths(
  blocks: readonly BasicBlock[],
  edges: readonly Edge[],
  entries: ReadonlySet<number>,
): (number | undefined)[] {
  const behind: number[] = blocks.map(() => 0);
  const paths: number[] = [];
  const backwards = [...edges].sort((a, b) => b.from - a.from);
  let edge = 0;
  for (let block = blocks.length - 1; block >= 0; block--) {
    for (; backwards[edge]?.from === block; edge++) {
      const { to } = backwards[edge] as Edge;
      if (!entries.has(to)) behind[block] = Math.max(behind[block] as number, paths[to] as number);
    }
    paths[block] = (behind[block] as number) + (blocks[block] as BasicBlock).instructions.length;
  }
  return paths.map((path, block) => (entries.has(block) ? path : undefined));
}

function edgesOf(reader: RecordReader, blocks: readonly BasicBlock[]): Edge[] {
  const numbers = new Map(blocks.map((block, i) => [recordOf(block), i]));
  const edges: Edge[] = [];
  for (const [from, { instructions, next }] of blocks.entries()) {
    const last = instructions.at(-1);
    if (last === undefined) continue;
    const add = (to: number | undefined, call: boolean) => {
      if (to !== undefined) edges.push({ from, to, call });
    };
    if (repeats(last.spec)) add(from, false);
    if (hasDirectTarget(last)) add(numbers.get(reader.resolve(last.target)), last.spec.row.op === 'CALL');
    if (last.spec.row.endsBlock !== true) add(numbers.get(reader.resolve(next)), false);
  }
  return edges;
}

/** Where the loops end, by their first block: every jump back makes one, and loops that overlap reach further. */
function loopEnds(edges: readonly Edge[]): Map<number, number> {
  const ends = new Map<number, number>();
  for (const { from, to, call } of edges) {
    if (!call && to <= from) ends.set(to, Math.max(from, ends.get(to) ?? 0));
  }
  const firsts = [...ends.keys()].sort((a, b) => a - b);
  for (let changed = true; changed; ) {
    changed = false;
    for (const [i, first] of firsts.entries()) {
      let end = ends.get(first) as number;
      for (let j = i + 1; j < firsts.length && (firsts[j] as number) <= end; j++) {
        const inner = ends.get(firsts[j] as number) as number;
        if (inner <= end) continue;
        end = inner;
        changed = true;
      }
      ends.set(first, end);
    }
  }
  return ends;
}

function nest(count: number, ends: ReadonlyMap<number, number>): Pick<Region, 'root' | 'around'> {
  const make = (first: number, last: number, parent: Container | undefined): Container => {
    return { first, last, parent, items: [], switches: false };
  };
  const root = make(0, count - 1, undefined);
  const around: Container[] = [];
  let open = root;
  for (let block = 0; block < count; block++) {
    while (open.parent && block > open.last) open = open.parent;
    const end = ends.get(block);
    if (end !== undefined) {
      const loop = make(block, end, open);
      open.items.push(loop);
      open = loop;
    }
    open.items.push(block);
    around.push(open);
  }
  return { root, around };
}

/**
 * Beginnings of loops, where calls go and return to, and blocks that are reached in no way that is known. Elsewhere the
 * interpreter goes on until it comes to one of these.
 */
function entriesOf(
  blocks: readonly BasicBlock[],
  edges: readonly Edge[],
  known: readonly number[],
): number[] {
  const entries = new Set(known);
  const reached = new Set(edges.filter(({ call }) => !call).map(({ to }) => to));
  const offsets = new Map(blocks.map(({ offset }, i) => [offset, i]));
  for (const { to, call } of edges) if (call) entries.add(to);
  for (const [i, { instructions }] of blocks.entries()) {
    if (!reached.has(i)) entries.add(i);
    const last = instructions.at(-1);
    if (last?.spec.row.op !== 'CALL') continue;
    const behind = offsets.get(last.offset + last.length);
    if (behind !== undefined) entries.add(behind);
  }
  return [...entries].sort((a, b) => a - b);
}

/** The innermost container of both blocks. */
export function containerOf(around: readonly Container[], a: number, b: number): Container {
  let container = around[a] as Container;
  while (container.parent && (b < container.first || b > container.last)) container = container.parent;
  return container;
}

/** A jump to block `to` comes into all containers around it that are inside of `outer` (undefined: into the region). */
function markSwitches(around: readonly Container[], outer: Container | undefined, to: number): void {
  let container: Container | undefined = around[to];
  while (container && container !== outer) {
    if (to !== container.first) container.switches = true;
    container = container.parent;
  }
}
