/**
 * Translated code: what is hot is found by samples, translated in modules of bounded size, entered through TRANSLATED and
 * dropped with the page of code that it was made from.
 */
import { PSEUDO } from '../isa/record.ts';
import { RECORD_SIZE, RECORDS, TRANSLATED, TRANSLATED_SHIFT } from '../state/layout.ts';
import { Meanings } from './analysis.ts';
import { type BasicBlock, blocksOf, choose, groupsOf, RecordReader, recordOf } from './blocks.ts';
import { type CodeCache, type CodePage, lineMask } from './codeCache.ts';
import { TRANSLATION_SLOTS } from './interpreter.ts';
import { RecordSet } from './recordSet.ts';
import { regionOf } from './regions.ts';
import { type TranslatedFunction, translate } from './translator.ts';
import type { MemoryImport } from './wasm/moduleBuilder.ts';

/** Where the memory of all generated code is declared the same: a module and the memory it imports must agree. */
export const MEMORY_IMPORT: MemoryImport = { shared: false, minimumPages: 1, maximumPages: 65536 };

/** Instructions of a page that are translated, and those of one function. */
const PAGE_INSTRUCTIONS = 1500;
const FUNCTION_INSTRUCTIONS = 300;
/** Live modules together have at most so many bytes; V8 needs about ten times as much for what it makes of them. */
const MOST_BYTES = 20e6;
/** Code is hot when so many samples have found it in a page … */
const SAMPLES = 3;
/**
 * … or more, when much is translated already: less of it stays in the host's caches then, and another translation brings
 * less. With modules of so many bytes to interpret code has to have cost as much as to translate it, with twice as many twice
 * that, up to so many times. A sample stands for what so many instructions cost to translate.
 */
const CACHED_BYTES = 250e3;
const MOST_TIMES = 4;
const INSTRUCTIONS_OF_SAMPLE = 40;
/** A page whose code was dropped so often is left to the interpreter for ever longer. */
const DROPS_TO_DOUBLE = 2;
const MOST_DOUBLINGS = 20;

interface Translation {
  readonly slot: number;
  readonly page: CodePage;
  readonly entries: readonly number[];
  readonly bytes: number;
  /** One bit for each line of the page that has code of it. */
  readonly lines: number;
}

/** What is known about a page of code that samples hit. */
interface Profile {
  samples: number;
  /** Records that are translated, or that the translator refuses. */
  readonly settled: RecordSet;
  /** Records where execution was found. */
  readonly seeds: Set<number>;
  /** Records where interpretation began. */
  readonly ways: Set<number>;
  readonly translations: Set<Translation>;
  /** How often the page was translated. */
  made: number;
}

export class Translations {
  readonly #code: CodeCache;
  readonly #reader: RecordReader;
  readonly #meanings = new Meanings();
  readonly #imports: WebAssembly.Imports;
  readonly #table: WebAssembly.Table;
  /** The slots follow the interpreter's handler functions. */
  readonly #firstSlot: number;
  readonly #translated: Int32Array;
  readonly #profiles = new Map<CodePage, Profile>();
  /** How often translated code of a host page was dropped because the page was written. */
  readonly #drops = new Map<number, number>();
  /** In the order in which they were made. */
  readonly #live = new Set<Translation>();
  readonly #freeSlots = Array.from({ length: TRANSLATION_SLOTS - 1 }, (_, i) => TRANSLATION_SLOTS - 1 - i);
  #bytes = 0;
  /** Modules compiled so far. */
  count = 0;

  /** `interpreter`: exports of the interpreter's module. */
  constructor(memory: WebAssembly.Memory, code: CodeCache, interpreter: WebAssembly.Exports) {
    this.#code = code;
    this.#reader = new RecordReader(memory, code.handlers);
    this.#imports = { env: { ...interpreter, memory } };
    this.#table = interpreter.table as WebAssembly.Table;
    this.#firstSlot = this.#table.length - TRANSLATION_SLOTS;
    this.#translated = new Int32Array(memory.buffer, TRANSLATED, (TRANSLATED_END - TRANSLATED) / 4);
  }

  get live(): number {
    return this.#live.size;
  }

  /**
   * Execution was found at this record (0: somewhere in translated code), or interpretation begins there often: after a
   * few samples translates the page's hot code. Gives whether there is something to translate.
   */
  sample(record: number, begins: boolean): boolean {
    if (record === 0) return false;
    const page = this.#code.pageOf(record);
    if (page?.bits !== 64) return false;
    const profile = this.#profile(page);
    const at = this.#reader.resolve(record);
    const settled = profile.settled.has(at);
    // Translated, and interpreted all the same: there is no way in.
    if (settled && !(begins && !profile.ways.has(at))) return false;
    (begins ? profile.ways : profile.seeds).add(at);
    // What is interpreted there is sampled besides.
    if (begins && !settled) return true;
    const doublings = Math.min(
      MOST_DOUBLINGS,
      profile.made + Math.floor((this.#drops.get(page.hostPage) ?? 0) / DROPS_TO_DOUBLE),
    );
    const cost = page.records.length / INSTRUCTIONS_OF_SAMPLE;
    const samples = Math.max(SAMPLES, cost * Math.min(this.#bytes / CACHED_BYTES, MOST_TIMES));
    if (++profile.samples < samples * 2 ** doublings) return true;
    profile.samples = 0;
    // What was translated of the page before is translated again, together with what is new.
    const blocks = blocksOf(this.#reader, page);
    this.#translate(page, profile, [...profile.seeds, ...profile.ways], blocks, blocks);
    return true;
  }

  /** Translates the surroundings of a record that is to be executed, unless that was done. */
  translateAt(record: number): void {
    const at = this.#reader.resolve(record);
    const page = this.#code.pageOf(at);
    if (page?.bits !== 64) return;
    const profile = this.#profile(page);
    if (profile.settled.has(at)) return;
    const fresh = blocksOf(this.#reader, page).filter((block) => !profile.settled.has(recordOf(block)));
    profile.seeds.add(at);
    this.#translate(page, profile, [at], fresh, []);
  }

  /** The code of a page is no more. */
  drop(page: CodePage): void {
    const profile = this.#profiles.get(page);
    if (profile === undefined) return;
    this.#profiles.delete(page);
    if (profile.translations.size > 0) this.#countDrop(page);
    for (const translation of profile.translations) this.#remove(translation);
  }

  /** The code in some lines of a page was written: what is made of other lines stays. */
  spoil(page: CodePage, lines: number): void {
    const profile = this.#profiles.get(page);
    if (profile === undefined) return;
    let removed = 0;
    for (const translation of profile.translations) {
      if ((translation.lines & lines) === 0) continue;
      removed |= translation.lines;
      this.#remove(translation);
    }
    if (removed !== 0) this.#countDrop(page);
    profile.settled.removeLines(removed | lines);
  }

  #countDrop({ hostPage }: CodePage): void {
    this.#drops.set(hostPage, (this.#drops.get(hostPage) ?? 0) + 1);
  }

  flush(end: number): void {
    for (const translation of this.#live) this.#remove(translation);
    this.#profiles.clear();
    this.#translated.fill(0, 0, (end - RECORDS) / RECORD_SIZE);
  }

  #profile(page: CodePage): Profile {
    let profile = this.#profiles.get(page);
    if (profile === undefined) {
      profile = {
        samples: 0,
        settled: new RecordSet(this.#reader),
        seeds: new Set(),
        ways: new Set(),
        translations: new Set(),
        made: 0,
      };
      this.#profiles.set(page, profile);
    }
    return profile;
  }

  /** Translates those of the blocks that are reachable from the records `seeds`, and as many others as a module takes. */
  #translate(
    page: CodePage,
    profile: Profile,
    seeds: readonly number[],
    blocks: readonly BasicBlock[],
    others: readonly BasicBlock[],
  ): void {
    const containing = new Map(
      blocks.flatMap((block) => block.instructions.map(({ record }) => [record, block] as const)),
    );
    for (const seed of seeds) {
      const handler = this.#reader.handler(seed);
      if (!containing.has(seed) && handler !== PSEUDO.LINK && handler !== PSEUDO.REFETCH)
        profile.settled.add(seed);
    }
    const first = seeds.flatMap((seed) => containing.get(seed) ?? []);
    if (first.length === 0) return;
    const chosen = choose(this.#reader, first, blocks, others, PAGE_INSTRUCTIONS);
    for (const translation of profile.translations)
      if (translation.entries.some((record) => containing.has(record))) this.#remove(translation);
    for (const { instructions } of chosen) {
      for (const { record } of instructions) profile.settled.add(record);
    }
    const ways = new Set([...profile.ways].map((way) => containing.get(way)));
    const groups = groupsOf(this.#reader, chosen, FUNCTION_INSTRUCTIONS);
    this.#compile(
      page,
      profile,
      groups.map((group) => {
        const entered = [...group.keys()].filter((number) => ways.has(group[number]));
        return { blocks: group, region: regionOf(this.#reader, group, entered), slot: this.#freeSlot() };
      }),
    );
    profile.made++;
  }

  #freeSlot(): number {
    while (this.#freeSlots.length === 0 || this.#bytes > MOST_BYTES) this.#evict();
    return this.#freeSlots.pop() as number;
  }

  /** V8 takes longer for a module than for a function: what is made at once is one. */
  #compile(page: CodePage, profile: Profile, functions: readonly TranslatedFunction[]): void {
    // To make room may have forgotten it.
    this.#profiles.set(page, profile);
    const { module, sizes } = translate(this.#reader, this.#meanings, functions, MEMORY_IMPORT);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module), this.#imports);
    for (const [i, { slot, region, blocks }] of functions.entries()) {
      this.#table.set(this.#firstSlot + slot, instance.exports[`run${i}`] as () => number);
      const entries = region.entries.map((block) => recordOf(blocks[block] as BasicBlock));
      for (const [j, record] of entries.entries())
        this.#translated[(record - RECORDS) / RECORD_SIZE] =
          (slot << TRANSLATED_SHIFT) | (region.entries[j] as number);
      const bytes = sizes[i] as number;
      const translation: Translation = { slot, page, entries, bytes, lines: linesOf(blocks) };
      profile.translations.add(translation);
      this.#live.add(translation);
      this.#bytes += bytes;
      this.count++;
    }
  }

  /** Gives up the oldest module. Its code may become hot again. */
  #evict(): void {
    const [oldest] = this.#live;
    if (oldest === undefined) return;
    this.#remove(oldest);
    // Forgetting the whole profile makes the page's other modules duplicates: they go as well.
    const profile = this.#profiles.get(oldest.page);
    this.#profiles.delete(oldest.page);
    for (const translation of profile?.translations ?? []) this.#remove(translation);
  }

  #remove(translation: Translation): void {
    if (!this.#live.delete(translation)) return;
    this.#profiles.get(translation.page)?.translations.delete(translation);
    for (const record of translation.entries) this.#translated[(record - RECORDS) / RECORD_SIZE] = 0;
    this.#table.set(this.#firstSlot + translation.slot, null);
    this.#freeSlots.push(translation.slot);
    this.#bytes -= translation.bytes;
  }
}

function linesOf(blocks: readonly BasicBlock[]): number {
  let lines = 0;
  for (const { instructions } of blocks)
    for (const { offset, length } of instructions) lines |= lineMask(offset, offset + length);
  return lines;
}

const TRANSLATED_END = TRANSLATED + ((TRANSLATED - RECORDS) / RECORD_SIZE) * 4;
