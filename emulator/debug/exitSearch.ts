/**
 * Finding VM exits among those that are kept: by reason, range and text. What was looked at once is not looked at
 * again while the same search goes on, and one call does not take longer than a debugger may be kept waiting: a search
 * that is not complete goes on with the next call.
 *
 * A text is looked for in what the exit says of itself. Symbols and sources are not known here: the caller is told every
 * address that exits came from and says which of them match.
 */
import {
  COUNTED_REASONS,
  EXIT_RECORD,
  type ExitLog,
  exitCounts,
  mix,
  TEXT_KEY_WORDS,
  textKey,
} from '../vmx/exitLog.ts';
import type { ExitFilter, ExitSearchResult } from './target.ts';

/** Milliseconds that one call may search. */
const LONGEST_CALL = 40;
/** Exits between two looks at the clock. */
const STRIDE = 8192;
/** Texts that are told apart; more are looked at anew. */
const MOST_TEXTS = 1 << 16;
const MATCHES = 1;
const DIFFERS = 2;

export class ExitSearch {
  readonly log: ExitLog;
  readonly #now: () => number;
  readonly #addresses: AddressTable;
  /** Exits before this one have their addresses in the table. */
  #addressed = 0;
  #current: Scan | undefined;

  constructor(log: ExitLog, now: () => number) {
    this.log = log;
    this.#now = now;
    this.#addresses = new AddressTable();
  }

  /** Addresses that exits came from, in the order of their first, from number `known` on; and whether these are all. */
  addresses(known: number): { addresses: BigUint64Array; isComplete: boolean } {
    const { log } = this;
    const end = this.#now() + LONGEST_CALL;
    let number = Math.max(this.#addressed, log.first);
    while (number < log.total) {
      const { words, index, count } = log.span(number, STRIDE);
      this.#addresses.addAll(words, index, count);
      number += count;
      if (this.#now() >= end) break;
    }
    this.#addressed = number;
    return { addresses: this.#addresses.from(known), isComplete: number === log.total };
  }

  /**
   * A part of the exits that match: from match `start` on, or the last. `matching` are the addresses whose symbol or source matches the text, of those that
   * {@link addresses} has given.
   */
  find(
    filter: ExitFilter,
    matching: BigUint64Array,
    start: number | undefined,
    count: number,
  ): ExitSearchResult {
    const key = JSON.stringify(filter);
    if (this.#current?.key !== key) this.#current = new Scan(this.log, key, filter);
    const scan = this.#current;
    const isAddressMatching = filter.text === undefined ? undefined : this.#addresses.flags(matching);
    const limit = filter.text === undefined ? this.log.total : this.#addressed;
    const end = this.#now() + LONGEST_CALL;
    while (!scan.goOn(limit, this.#addresses, isAddressMatching) && this.#now() < end);
    return scan.result(start, count);
  }
}

/** One search, as far as it has come. */
class Scan {
  readonly key: string;
  readonly #log: ExitLog;
  readonly #reasons: Uint8Array | undefined;
  readonly #last: number;
  readonly #text: string | undefined;
  readonly #texts = new TextTable();
  readonly #positionTo: number;
  /** Numbers of the exits that match. */
  #found = new Float64Array(1024);
  /** What `#found` holds, and how many matches were dropped from its beginning. */
  #length = 0;
  #dropped = 0;
  #next: number;
  /** Of exits that match but for the reason. */
  readonly #counts = new Float64Array(COUNTED_REASONS);
  readonly #costs = new Float64Array(COUNTED_REASONS);

  constructor(log: ExitLog, key: string, filter: ExitFilter) {
    const { reasons, from = 0, to, positionFrom, positionTo, text } = filter;
    this.key = key;
    this.#log = log;
    this.#reasons = reasons && flagsOf(reasons);
    this.#text = text?.toLowerCase();
    this.#last = to ?? Number.POSITIVE_INFINITY;
    this.#positionTo = positionTo ?? Number.POSITIVE_INFINITY;
    const first = Math.max(from, log.first);
    this.#next = positionFrom === undefined ? first : Math.max(first, firstAt(log, positionFrom));
  }

  /** Looks at some more exits before `limit`; true when there are none. */
  goOn(limit: number, addresses: AddressTable, isAddressMatching: Uint8Array | undefined): boolean {
    const log = this.#log;
    const end = Math.min(limit, this.#last + 1);
    const number = Math.max(this.#next, log.first);
    if (number >= end) return true;
    const { words, positions, costs, index, count } = log.span(number, Math.min(STRIDE, end - number));
    for (let i = 0; i < count; i++) {
      if (positions[index + i] > this.#positionTo) {
        this.#next = end;
        return true;
      }
      const at = (index + i) * EXIT_RECORD.words;
      if (isAddressMatching && !this.#matchesText(number + i, words, at, addresses, isAddressMatching))
        continue;
      const reason = words[at + EXIT_RECORD.reason] & (COUNTED_REASONS - 1);
      this.#counts[reason]++;
      this.#costs[reason] += costs[index + i];
      if (this.#reasons === undefined || this.#reasons[reason] !== 0) this.#push(number + i);
    }
    this.#next = number + count;
    return this.#next >= end;
  }

  result(wanted: number | undefined, count: number): ExitSearchResult {
    this.#drop();
    const numbers = this.#found.subarray(0, this.#length);
    const first = this.#dropped;
    const start = wanted ?? Math.max(first, first + numbers.length - count);
    const from = Math.max(0, start - first);
    return {
      total: this.#log.total,
      kept: this.#log.first,
      first,
      end: first + numbers.length,
      isComplete: this.#next >= Math.min(this.#log.total, this.#last + 1),
      searched: Math.min(this.#next, this.#log.total),
      reasons: exitCounts(this.#counts, this.#costs),
      numbers: numbers.slice(from, Math.max(from, start - first + count)),
    };
  }

  #matchesText(
    number: number,
    words: Int32Array,
    at: number,
    addresses: AddressTable,
    isAddressMatching: Uint8Array,
  ): boolean {
    const rip = at + EXIT_RECORD.rip;
    if (isAddressMatching[addresses.indexOf(words[rip], words[rip + 1])] !== 0) return true;
    const known = this.#texts.find(words, at);
    return (
      known ??
      this.#texts.add(
        this.#log
          .record(number)
          .text.toLowerCase()
          .includes(this.#text ?? ''),
      )
    );
  }

  #push(number: number): void {
    if (this.#length === this.#found.length) {
      this.#drop();
      if (this.#length > this.#found.length / 2) {
        const larger = new Float64Array(this.#found.length * 2);
        larger.set(this.#found);
        this.#found = larger;
      }
    }
    this.#found[this.#length++] = number;
  }

  /** Forgets matches that the log no longer keeps. */
  #drop(): void {
    const { first } = this.#log;
    if (this.#length === 0 || this.#found[0] >= first) return;
    const gone = lowerBound(this.#length, (index) => this.#found[index] >= first);
    this.#found.copyWithin(0, gone, this.#length);
    this.#length -= gone;
    this.#dropped += gone;
  }
}

/** The first exit at a position or behind. */
function firstAt(log: ExitLog, position: number): number {
  return (
    log.first + lowerBound(log.total - log.first, (index) => log.positionOf(log.first + index) >= position)
  );
}

/** The first index from 0 on at which something holds that goes on holding; `length` when there is none. */
function lowerBound(length: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function flagsOf(reasons: readonly number[]): Uint8Array {
  const flags = new Uint8Array(COUNTED_REASONS);
  for (const reason of reasons) flags[reason & (COUNTED_REASONS - 1)] = 1;
  return flags;
}

/** Addresses, each once, numbered in the order they came. */
class AddressTable {
  /** Pairs of 32-bit words. */
  #words = new Int32Array(2 * 1024);
  #length = 0;
  /** Index + 1; 0 is free. */
  #slots = new Int32Array(4096);
  #last = -1;

  /** The addresses of records that lie together. */
  addAll(words: Int32Array, index: number, count: number): void {
    for (let i = index; i < index + count; i++) {
      const at = i * EXIT_RECORD.words + EXIT_RECORD.rip;
      this.#add(words[at], words[at + 1]);
    }
  }

  #add(low: number, high: number): void {
    if (this.indexOf(low, high) >= 0) return;
    if (2 * this.#length === this.#words.length) this.#grow();
    this.#words[2 * this.#length] = low;
    this.#words[2 * this.#length + 1] = high;
    this.#length++;
    this.#enter(this.#length - 1);
  }

  /** Number of an address, or -1. */
  indexOf(low: number, high: number): number {
    const last = this.#last;
    const words = this.#words;
    if (last >= 0 && words[2 * last] === low && words[2 * last + 1] === high) return last;
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let at = mix(mix(0, low), high) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const index = slots[at] - 1;
      if (words[2 * index] === low && words[2 * index + 1] === high) {
        this.#last = index;
        return index;
      }
    }
    return -1;
  }

  from(start: number): BigUint64Array {
    const addresses = new BigUint64Array(Math.max(0, this.#length - start));
    for (let i = 0; i < addresses.length; i++) {
      const at = 2 * (start + i);
      addresses[i] = (BigInt(this.#words[at + 1] >>> 0) << 32n) | BigInt(this.#words[at] >>> 0);
    }
    return addresses;
  }

  /** For every address whether it is among `some`. */
  flags(some: BigUint64Array): Uint8Array {
    const flags = new Uint8Array(this.#length);
    for (const address of some) {
      const index = this.indexOf(
        Number(BigInt.asIntN(32, address)),
        Number(BigInt.asIntN(32, address >> 32n)),
      );
      if (index >= 0) flags[index] = 1;
    }
    return flags;
  }

  #enter(index: number): void {
    const mask = this.#slots.length - 1;
    let at = mix(mix(0, this.#words[2 * index]), this.#words[2 * index + 1]) & mask;
    while (this.#slots[at] !== 0) at = (at + 1) & mask;
    this.#slots[at] = index + 1;
  }

  #grow(): void {
    const larger = new Int32Array(2 * this.#words.length);
    larger.set(this.#words);
    this.#words = larger;
    this.#slots = new Int32Array(2 * this.#words.length);
    for (let index = 0; index < this.#length; index++) this.#enter(index);
  }
}

/** Whether a text matches, computed once for exits that say the same. */
class TextTable {
  /** Keys and their hashes; a key has words of its own, because exits do not stay. */
  #keys = new Int32Array(TEXT_KEY_WORDS << 10);
  #hashes = new Int32Array(1 << 10);
  /** 0 is free. */
  #results = new Uint8Array(1 << 10);
  #used = 0;
  /** What was looked for last, and where it belongs. */
  readonly #key = new Int32Array(TEXT_KEY_WORDS);
  #hash = 0;
  #place = 0;

  /** Whether the text of the record at word `at` matches; undefined when that has not been found out yet. */
  find(words: Int32Array, at: number): boolean | undefined {
    const hash = textKey(words, at, this.#key);
    const results = this.#results;
    const mask = results.length - 1;
    let place = hash & mask;
    for (; results[place] !== 0; place = (place + 1) & mask)
      if (this.#hashes[place] === hash && this.#isAt(place)) return results[place] === MATCHES;
    this.#hash = hash;
    this.#place = place;
    return undefined;
  }

  /** Remembers the result for the text that was looked for last. */
  add(result: boolean): boolean {
    this.#keys.set(this.#key, this.#place * TEXT_KEY_WORDS);
    this.#hashes[this.#place] = this.#hash;
    this.#results[this.#place] = result ? MATCHES : DIFFERS;
    this.#used++;
    if (2 * this.#used > this.#results.length) this.#grow();
    return result;
  }

  #isAt(place: number): boolean {
    const keys = this.#keys;
    const key = this.#key;
    const at = place * TEXT_KEY_WORDS;
    for (let i = 0; i < TEXT_KEY_WORDS; i++) if (keys[at + i] !== key[i]) return false;
    return true;
  }

  #grow(): void {
    const before = { keys: this.#keys, hashes: this.#hashes, results: this.#results };
    const isFull = before.results.length >= MOST_TEXTS;
    const size = isFull ? before.results.length : 2 * before.results.length;
    this.#keys = new Int32Array(TEXT_KEY_WORDS * size);
    this.#hashes = new Int32Array(size);
    this.#results = new Uint8Array(size);
    this.#used = 0;
    if (isFull) return;
    for (const [index, result] of before.results.entries()) {
      if (result === 0) continue;
      let place = before.hashes[index] & (size - 1);
      while (this.#results[place] !== 0) place = (place + 1) & (size - 1);
      const at = index * TEXT_KEY_WORDS;
      this.#keys.set(before.keys.subarray(at, at + TEXT_KEY_WORDS), place * TEXT_KEY_WORDS);
      this.#hashes[place] = before.hashes[index];
      this.#results[place] = result;
      this.#used++;
    }
  }
}
