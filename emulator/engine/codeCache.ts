/**
 * Decoded code: records by host-physical page and code size. A page keeps the map from offset to record; records of
 * straight-line code follow each other. Invalidated records become REFETCH, so that whoever still points at them
 * leaves by himself; where only some lines of a page were written, they are decoded again in their places.
 */

import { assert } from '../base/errors.ts';
import type { FeatureKey } from '../core/features.ts';
import { LONGEST_INSTRUCTION } from '../core/instruction.ts';
import type { CodeBits, DecodedForm } from '../isa/decode.ts';
import { formOf } from '../isa/decode.ts';
import type { HandlerTable } from '../isa/handlers.ts';
import type { IcedInstruction } from '../isa/iced.ts';
import { IcedDecoder } from '../isa/iced.ts';
import { isSystemRecord, PSEUDO, RECORD, RECORD_FLAG, SPOILED } from '../isa/record.ts';
import { portOperation } from '../isa/system/io.ts';
import type { SystemInstruction } from '../isa/systemInstruction.ts';
import { decodeSystemInstruction, isLocked } from '../isa/systemInstruction.ts';
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';
import type { CpuState } from '../state/cpuState.ts';
import {
  GPR_ZERO,
  JUMP_CACHE,
  JUMP_CACHE_ENTRIES,
  RECORD_SIZE,
  RECORDS,
  TRANSLATED,
} from '../state/layout.ts';
import { FS } from '../state/registers.ts';
import { type Decoded, DecodedBefore } from './decodedBefore.ts';
import { CROSSING, jumpCachePlace, jumpCacheWay } from './jumpCache.ts';

const PAGE = 4096;
const PAGE_SHIFT = 12;
/** Straight-line code is decoded at most this far ahead of execution. */
const BLOCK_LIMIT = 64;
/** More addresses of earlier breakpoints are not kept. */
const MOST_STOPS = 64;
/** Code is tracked in lines of this many bytes, so that data beside it does not thrash. */
export const LINE_SHIFT = 7;
/** Two records for an instruction in two pages, two for the end of the block. */
const RESERVE = (BLOCK_LIMIT + 8) * 2 * RECORD_SIZE;

export class CodePage {
  readonly hostPage: number;
  readonly bits: CodeBits;
  /** Record by page offset, 0 where nothing is decoded. */
  readonly entries: Int32Array;
  /** Every record made for this page, pseudo ones included. */
  readonly records: number[] = [];
  /** One bit for each line that holds decoded bytes. */
  lines = 0;
  /** Pages whose last instruction reaches into this one. */
  dependents = new Set<CodePage>();
  /** Linear pages through which it was entered: breakpoints are set by linear address. */
  readonly linearPages = new Set<bigint>();

  constructor(hostPage: number, bits: CodeBits, entries: Int32Array = new Int32Array(PAGE)) {
    this.entries = entries;
    this.hostPage = hostPage;
    this.bits = bits;
  }
}

export interface CodeCacheEvents {
  /** A page has code now; stores to it must take the slow way. */
  pageHasCode(hostPage: number): void;
  pageHasNoCode(hostPage: number): void;
  /** The records of a page stand for nothing any more. */
  pageDropped(page: CodePage): void;
  /** Nor do those of some of its lines, until they are decoded again. */
  linesSpoiled(page: CodePage, lines: number): void;
  /** All records below this one are about to be used again. */
  flushed(end: number): void;
}

/** Where the jump cache is full, so many entries change their places for a new one before the last is forgotten. */
const MOST_MOVES = 8;

export class CodeCache {
  readonly #state: CpuState;
  readonly #physical: PhysicalMemory;
  readonly #events: CodeCacheEvents;
  readonly #view: DataView;
  readonly handlers: HandlerTable;
  readonly #offers: (feature: FeatureKey) => boolean;
  readonly #pages = new Map<number, CodePage>();
  readonly #systemInstructions: SystemInstruction[] = [];
  #next = RECORDS;
  /** Which page records belong to: first records in ascending order, each with its page. */
  readonly #firsts: number[] = [];
  readonly #owners: CodePage[] = [];
  readonly #decodedBefore: DecodedBefore;
  /** An entry of the jump cache that is on its way to another place. */
  readonly #moved = new Int32Array(4);
  /** Bytes of an instruction that is decoded again. */
  readonly #renewed = new Uint8Array(16);
  /** Entries of a page that was dropped, all 0: allocating them costs more than clearing. */
  #spareEntries: Int32Array | undefined;
  /** Linear pages that the jump cache may know addresses of. */
  readonly #rememberedPages = new Set<number>();
  /** Whether the jump cache may have code of a segment with a base. */
  #remembersBased = false;
  /** Linear addresses of the debugger's breakpoints. */
  breakpoints: ReadonlySet<bigint> = new Set();
  /** Linear addresses where the run loop has something to look at: see {@link stopBefore}. */
  #stops = new Set<bigint>();
  /** So it does before all instructions that lock memory. */
  #stopsBeforeLocked = false;
  /** Grows with every invalidation, for whoever keeps things derived from records. */
  generation = 0;

  constructor(
    state: CpuState,
    physical: PhysicalMemory,
    handlers: HandlerTable,
    offers: (feature: FeatureKey) => boolean,
    events: CodeCacheEvents,
  ) {
    this.handlers = handlers;
    this.#offers = offers;
    this.#decodedBefore = new DecodedBefore(state.memory);
    this.#state = state;
    this.#physical = physical;
    this.#events = events;
    this.#view = new DataView(state.memory.buffer);
  }

  /** The system instruction of a SYSTEM or PORT record. */
  systemInstruction(record: number): SystemInstruction {
    const instruction = this.#systemInstructions[this.#view.getInt32(record + RECORD.TARGET, true)];
    assert(instruction !== undefined, 'a record without its system instruction');
    return instruction;
  }

  page(hostPage: number, bits: CodeBits): CodePage | undefined {
    return this.#pages.get(pageKey(hostPage, bits));
  }

  /** The page that a record was made for; undefined when it was dropped since. */
  pageOf(record: number): CodePage | undefined {
    let low = 0;
    let high = this.#firsts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#firsts[middle] as number) <= record) low = middle;
      else high = middle;
    }
    const page = this.#owners[low];
    return page && this.#pages.get(pageKey(page.hostPage, page.bits)) === page ? page : undefined;
  }

  /** The record for the instruction at a host-physical address, decoded if need be. */
  recordAt(host: number, linear: bigint, bits: CodeBits): number {
    if (this.#next + RESERVE > TRANSLATED) this.flush();
    const hostPage = Math.floor(host / PAGE);
    const linearPage = linear >> 12n;
    const page = this.#pageWith(hostPage, bits, linearPage);
    const offset = host % PAGE;
    const entry = page.entries[offset];
    if (entry === 0) return this.#decodeBlock(page, offset);
    if (this.#view.getUint16(entry, true) !== PSEUDO.REFETCH || this.#renew(page, offset, entry))
      return entry;
    this.#drop(page);
    return this.#decodeBlock(this.#pageWith(hostPage, bits, linearPage), offset);
  }

  #pageWith(hostPage: number, bits: CodeBits, linearPage: bigint): CodePage {
    let page = this.#pages.get(pageKey(hostPage, bits));
    if (page !== undefined && !page.linearPages.has(linearPage) && this.#hasBreakpointIn(linearPage)) {
      this.#drop(page);
      page = undefined;
    }
    page ??= this.#newPage(hostPage, bits, this.#spareEntries);
    page.linearPages.add(linearPage);
    return page;
  }

  #newPage(hostPage: number, bits: CodeBits, entries?: Int32Array): CodePage {
    if (entries !== undefined) this.#spareEntries = undefined;
    const page = new CodePage(hostPage, bits, entries);
    this.#pages.set(pageKey(hostPage, bits), page);
    return page;
  }

  /** Enters a record into the jump cache under the state's current code context; `base` is that of the code segment. */
  remember(rip: bigint, record: number, base: bigint): void {
    if (base !== 0n) this.#remembersBased = true;
    this.#remember(rip, record, this.#state.CODE_CONTEXT);
  }

  /**
   * The instruction behind a CROSS record at `rip` may be executed as it is as long as the second page stays where it is:
   * the cache has that for the address a page further, which is forgotten with it.
   */
  rememberCrossing(rip: bigint, cross: number): void {
    this.#remember(
      BigInt.asUintN(64, rip + 0x1000n),
      cross + RECORD_SIZE,
      this.#state.CODE_CONTEXT | CROSSING,
    );
  }

  #remember(rip: bigint, record: number, context: number): void {
    const low = Number(BigInt.asIntN(32, rip));
    const high = Number(BigInt.asIntN(32, rip >> 32n));
    this.#rememberedPages.add(pageNumber(low, high));
    const { i32 } = this.#state;
    const moved = this.#moved;
    moved[0] = low;
    moved[1] = high;
    moved[2] = record;
    moved[3] = context;
    const at = (place: number) => (JUMP_CACHE + place) >> 2;
    const stands = (place: number) => i32[at(place)] === low && i32[at(place) + 1] === high;
    const isFree = (place: number) => i32[at(place) + 3] === -1;
    let place = jumpCachePlace(low);
    const other = place ^ jumpCacheWay(low);
    if (!stands(place) && (stands(other) || (!isFree(place) && isFree(other)))) place = other;
    // What stood there goes to its other place, and so on.
    for (let moves = 0; moves < MOST_MOVES; moves++) {
      const ends = stands(place) || isFree(place);
      for (let i = 0; i < 4; i++) {
        const before = i32[at(place) + i];
        i32[at(place) + i] = moved[i] as number;
        moved[i] = before;
      }
      if (ends) return;
      place ^= jumpCacheWay(moved[0] as number);
    }
  }

  /** Points a direct branch at its target, so that it is not looked up again. `link` is the LINK record. */
  resolveLink(link: number, target: number): void {
    const branch = this.#view.getInt32(link + RECORD.TARGET, true);
    this.#view.setInt32(branch + RECORD.TARGET, target, true);
    if (branch === link) this.#view.setUint16(link + RECORD.HANDLER, PSEUDO.GOTO, true);
  }

  /**
   * The instruction behind a CROSS record reaches into another page, whose host page is `secondPage`. Decodes it from
   * both pages unless that was done for this very page.
   */
  completeCrossing(cross: number, secondPage: number, hostPage: number, bits: CodeBits): void {
    if (this.#view.getBigInt64(cross + RECORD.IMMEDIATE, true) === BigInt(secondPage)) return;
    const page = this.#pages.get(pageKey(hostPage, bits));
    assert(page !== undefined, 'a CROSS record of a page without code');
    const offset = this.#view.getInt32(cross + RECORD.OFFSET, true);
    const bytes = new Uint8Array(16);
    const first = PAGE - offset;
    this.#physical.copyOut(hostPage * PAGE + offset, bytes.subarray(0, Math.min(first, 16)));
    this.#physical.copyOut(secondPage * PAGE, bytes.subarray(first));
    const decoder = new IcedDecoder(bits, bytes, 0);
    decoder.ip = BigInt(offset);
    const instruction = decoder.decode();
    const record = cross + RECORD_SIZE;
    const { branch, flags } = this.#write(page, record, instruction, offset);
    this.#writeGotoPage(page, record + RECORD_SIZE, offset + Math.max(instruction.length, 1), 0);
    if (branch !== undefined) {
      this.#writeGotoPage(page, record + 2 * RECORD_SIZE, branch, flags);
      this.#view.setInt32(record + RECORD.TARGET, record + 2 * RECORD_SIZE, true);
    }
    instruction.free();
    decoder.free();
    // Decoded before with another second page: what was made of the record is no longer true.
    if (this.#view.getBigInt64(cross + RECORD.IMMEDIATE, true) !== -1n) {
      this.generation++;
      this.forgetJumps();
    }
    this.#view.setBigInt64(cross + RECORD.IMMEDIATE, BigInt(secondPage), true);
    const second = this.#pages.get(pageKey(secondPage, bits)) ?? this.#newPage(secondPage, bits);
    this.#addLines(second, 1);
    second.dependents.add(page);
  }

  /** Bytes of a host page were written: drops the code decoded from the lines concerned. */
  invalidate(host: number, length: number): void {
    const hostPage = Math.floor(host / PAGE);
    const offset = host % PAGE;
    const written = lineMask(offset, offset + length);
    for (const bits of [16, 32, 64] as const) {
      const key = pageKey(hostPage, bits);
      const page = this.#pages.get(key);
      if (page === undefined || (page.lines & written) === 0) continue;
      this.#decodedBefore.watch(key);
      if (!this.#spoil(page, written)) this.#drop(page);
    }
  }

  /**
   * Generated code stops before these instructions as well, so that the run loop can look whether a breakpoint of the
   * program is enabled or the code segment ends. Earlier ones stay: VM entries and exits enable and disable the same
   * ones over and over.
   */
  stopBefore(addresses: readonly bigint[]): void {
    if (this.#stops.size > MOST_STOPS) this.#stops.clear();
    for (const address of addresses) {
      if (this.#stops.has(address)) continue;
      this.#stops.add(address);
      this.invalidateLinearPage(address >> 12n);
    }
  }

  /** Generated code stops before all instructions that lock memory as well, from now on. */
  stopBeforeLocked(): void {
    if (this.#stopsBeforeLocked) return;
    this.#stopsBeforeLocked = true;
    this.#decodedBefore.forget();
    for (const page of [...this.#pages.values()]) this.#drop(page);
  }

  /** Drops the code of every page that a breakpoint set or removed may be in. */
  invalidateLinearPage(linearPage: bigint): void {
    for (const page of [...this.#pages.values()]) {
      if (page.linearPages.has(linearPage)) this.#drop(page);
    }
  }

  /**
   * Translations of the addresses that share all bits from `shift` (12 to 30) up with this one went: drops what the jump
   * cache knows of them, in every context.
   */
  forgetPage(low: number, high: number, shift: number): void {
    const { i32 } = this.#state;
    // The cache has RIP, the page is linear.
    if (this.#remembersBased) {
      this.forgetJumps();
      return;
    }
    if (shift === PAGE_SHIFT && !this.#rememberedPages.delete(pageNumber(low, high))) return;
    for (let at = JUMP_CACHE >> 2; at < (JUMP_CACHE >> 2) + JUMP_CACHE_ENTRIES * 4; at += 4) {
      if ((i32[at] ^ low) >>> shift === 0 && i32[at + 1] === (high | 0)) i32[at + 3] = -1;
    }
  }

  /** Forgets everything. Never while generated code is running. */
  flush(): void {
    for (const page of this.#pages.values()) this.#events.pageHasNoCode(page.hostPage);
    this.#pages.clear();
    this.#decodedBefore.forget();
    this.#systemInstructions.length = 0;
    this.#firsts.length = 0;
    this.#owners.length = 0;
    this.#events.flushed(this.#next);
    this.#next = RECORDS;
    this.generation++;
    this.forgetJumps();
  }

  /** Empties the jump cache. */
  forgetJumps(): void {
    this.#rememberedPages.clear();
    this.#remembersBased = false;
    new Uint8Array(this.#state.memory.buffer, JUMP_CACHE, JUMP_CACHE_ENTRIES * 16).fill(0xff);
  }

  #drop(page: CodePage): void {
    if (this.#pages.get(pageKey(page.hostPage, page.bits)) !== page) return;
    this.#pages.delete(pageKey(page.hostPage, page.bits));
    this.generation++;
    this.#events.pageDropped(page);
    for (const record of page.records) this.#view.setUint16(record + RECORD.HANDLER, PSEUDO.REFETCH, true);
    this.#spareEntries = page.entries.fill(0);
    for (const dependent of page.dependents) this.#drop(dependent);
    this.#announceNoCode(page.hostPage);
  }

  #announceNoCode(hostPage: number): void {
    for (const bits of [16, 32, 64] as const) {
      const lines = this.#pages.get(pageKey(hostPage, bits))?.lines ?? 0;
      if (lines !== 0) return;
    }
    this.#events.pageHasNoCode(hostPage);
  }

  #addLines(page: CodePage, lines: number): void {
    if (page.lines === 0) this.#events.pageHasCode(page.hostPage);
    page.lines |= lines;
  }

  /** Lines of a page were written. False: its code is of a kind that must go as a whole. */
  #spoil(page: CodePage, written: number): boolean {
    const spoiled: number[] = [];
    for (let line = 0; line < PAGE >> LINE_SHIFT; line++) {
      if ((page.lines & written & (1 << line)) === 0) continue;
      const start = line << LINE_SHIFT;
      const end = start + (1 << LINE_SHIFT);
      for (let offset = Math.max(0, start - LONGEST_INSTRUCTION + 1); offset < end; offset++) {
        const record = page.entries[offset];
        if (record === 0) continue;
        const handler = this.#view.getUint16(record, true);
        if (handler === PSEUDO.BREAK || handler === PSEUDO.CROSS) return false;
        if (handler === PSEUDO.REFETCH) continue;
        if (offset + Math.max(this.#view.getUint8(record + RECORD.LENGTH), 1) > start) spoiled.push(record);
      }
    }
    this.generation++;
    if (written & 1) {
      const { dependents } = page;
      page.dependents = new Set();
      for (const dependent of dependents) this.#drop(dependent);
    }
    // It may have reached into itself.
    if (this.#pages.get(pageKey(page.hostPage, page.bits)) !== page) return true;
    for (const record of spoiled) {
      const handler = this.#view.getUint16(record, true);
      const row = this.handlers.spec(handler)?.row;
      const again = row === undefined ? SPOILED.NO : row.endsBlock === true ? SPOILED.ENDS : SPOILED.GOES_ON;
      this.#view.setUint16(record + RECORD.HANDLER, PSEUDO.REFETCH, true);
      this.#view.setUint8(record + RECORD.SPOILED, again);
    }
    page.lines &= ~written;
    this.#events.linesSpoiled(page, written);
    this.#announceNoCode(page.hostPage);
    return true;
  }

  /**
   * Decodes spoiled instructions again in their places, where all that leads to them finds them. False: they are others
   * than can stand there.
   */
  #renew(page: CodePage, start: number, first: number): boolean {
    const key = pageKey(page.hostPage, page.bits);
    const branches: { record: number; target: number; flags: number }[] = [];
    const bytes = this.#renewed;
    let record = first;
    let offset = start;
    for (let count = 0; count < BLOCK_LIMIT && offset < PAGE; count++) {
      if (this.#view.getUint16(record, true) !== PSEUDO.REFETCH) break;
      const spoiled = this.#view.getUint8(record + RECORD.SPOILED);
      const length = this.#view.getUint8(record + RECORD.LENGTH);
      if (spoiled === SPOILED.NO || offset + length > PAGE) return false;
      bytes.fill(0);
      this.#physical.copyOut(page.hostPage * PAGE + offset, bytes.subarray(0, Math.min(16, PAGE - offset)));
      const result = this.#decodeAgain(page, key, record, offset, length, bytes);
      if (result === undefined || result.ends !== (spoiled === SPOILED.ENDS)) return false;
      if (result.branch !== undefined) branches.push({ record, target: result.branch, flags: result.flags });
      this.#addLines(page, lineMask(offset, offset + length));
      if (result.ends) break;
      offset += length;
      record += RECORD_SIZE;
    }
    for (const branch of branches) this.#aimBranch(page, branch.record, branch.target, branch.flags);
    return true;
  }

  /** Writes the record of an instruction that has as many bytes as the one before; undefined if it is not such a one. */
  #decodeAgain(
    page: CodePage,
    key: number,
    record: number,
    offset: number,
    length: number,
    bytes: Uint8Array,
  ): Pick<Decoded, 'ends' | 'branch' | 'flags'> | undefined {
    const before = this.#decodedBefore.find(key, offset, bytes, 0);
    if (before !== undefined) {
      if (before.bytes.length !== length) return undefined;
      this.#decodedBefore.copy(before, record);
      return before;
    }
    const decoder = new IcedDecoder(page.bits, bytes, 0);
    decoder.ip = BigInt(offset);
    const instruction = decoder.decode();
    const fits =
      decoder.lastError === 0 &&
      instruction.length === length &&
      !(this.#stopsBeforeLocked && isLocked(instruction));
    const result = fits ? this.#write(page, record, instruction, offset) : undefined;
    instruction.free();
    decoder.free();
    if (result === undefined || isSystemRecord(this.#view.getUint16(record, true))) return undefined;
    this.#decodedBefore.remember(key, offset, bytes.subarray(0, length), record, result);
    return result;
  }

  #hasBreakpointIn(linearPage: bigint): boolean {
    const inPage = (address: bigint) => address >> 12n === linearPage;
    return [...this.breakpoints].some(inPage) || [...this.#stops].some(inPage);
  }

  #breakpointOffsets(page: CodePage): ReadonlySet<number> {
    const offsets = new Set<number>();
    for (const address of [...this.breakpoints, ...this.#stops]) {
      if (page.linearPages.has(address >> 12n)) offsets.add(Number(address & 0xfffn));
    }
    return offsets;
  }

  #allocate(page: CodePage): number {
    const record = this.#next;
    this.#next += RECORD_SIZE;
    page.records.push(record);
    if (this.#owners.at(-1) !== page) {
      this.#firsts.push(record);
      this.#owners.push(page);
    }
    return record;
  }

  #decodeBlock(page: CodePage, start: number): number {
    const bytes = new Uint8Array(PAGE - start);
    this.#physical.copyOut(page.hostPage * PAGE + start, bytes);
    const key = pageKey(page.hostPage, page.bits);
    const watched = this.#decodedBefore.isWatched(key);
    let decoder: InstanceType<typeof IcedDecoder> | undefined;
    const breakpoints = this.#breakpointOffsets(page);
    const entry = this.#next;
    const branches: { record: number; target: number; flags: number }[] = [];
    let offset = start;
    let open = true;
    for (let count = 0; open; count++) {
      const known = page.entries[offset];
      if (offset >= PAGE || known || count === BLOCK_LIMIT) break;
      const before = watched ? this.#decodedBefore.find(key, offset, bytes, offset - start) : undefined;
      if (before !== undefined) {
        page.entries[offset] = this.#next;
        if (breakpoints.has(offset)) this.#writePseudo(page, this.#allocate(page), PSEUDO.BREAK, offset);
        const record = this.#allocate(page);
        this.#decodedBefore.copy(before, record);
        this.#addLines(page, lineMask(offset, offset + before.bytes.length));
        if (before.branch !== undefined)
          branches.push({ record, target: before.branch, flags: before.flags });
        offset += before.bytes.length;
        open = !before.ends;
        continue;
      }
      decoder ??= new IcedDecoder(page.bits, bytes, 0);
      decoder.position = offset - start;
      decoder.ip = BigInt(offset);
      const instruction = decoder.decode();
      // What the decoder cannot finish here may be whole with the next page's bytes.
      const crosses = decoder.lastError === 2;
      // So may this be a locked instruction.
      const isStop = this.#stopsBeforeLocked && (crosses || isLocked(instruction));
      page.entries[offset] = this.#next;
      if (isStop || breakpoints.has(offset))
        this.#writePseudo(page, this.#allocate(page), PSEUDO.BREAK, offset);
      if (crosses) {
        const cross = this.#allocate(page);
        this.#writePseudo(page, cross, PSEUDO.CROSS, offset);
        this.#view.setBigInt64(cross + RECORD.IMMEDIATE, -1n, true);
        // The instruction, what follows it, and where it branches to.
        for (let i = 0; i < 3; i++) this.#allocate(page);
        this.#addLines(page, lineMask(offset, PAGE));
        instruction.free();
        open = false;
        break;
      }
      const record = this.#allocate(page);
      const result = this.#write(page, record, instruction, offset);
      const length = Math.max(instruction.length, 1);
      if (watched && !isStop && !isSystemRecord(this.#view.getUint16(record + RECORD.HANDLER, true))) {
        const at = offset - start;
        this.#decodedBefore.remember(key, offset, bytes.subarray(at, at + length), record, result);
      }
      this.#addLines(page, lineMask(offset, offset + length));
      instruction.free();
      if (result.branch !== undefined) branches.push({ record, target: result.branch, flags: result.flags });
      offset += length;
      open = !result.ends;
    }
    decoder?.free();
    if (open) this.#continueAt(page, offset);
    for (const branch of branches) this.#aimBranch(page, branch.record, branch.target, branch.flags);
    return entry;
  }

  /** After the last record of a block that falls through. */
  #continueAt(page: CodePage, offset: number): void {
    const record = this.#allocate(page);
    if (offset >= PAGE) {
      this.#writeGotoPage(page, record, offset, 0);
      return;
    }
    const known = page.entries[offset];
    if (known) {
      this.#writePseudo(page, record, PSEUDO.GOTO, offset);
      this.#view.setInt32(record + RECORD.TARGET, known, true);
    } else if (page.bits === 64) {
      // A link that becomes a GOTO itself.
      this.#writePseudo(page, record, PSEUDO.LINK, offset);
      this.#view.setInt32(record + RECORD.TARGET, record, true);
    } else this.#writeGotoPage(page, record, offset, 0);
  }

  #aimBranch(page: CodePage, branch: number, target: number, flags: number): void {
    let to: number;
    if (target >= 0 && target < PAGE) {
      to = page.entries[target] as number;
      if (to === 0) {
        to = this.#allocate(page);
        this.#writePseudo(page, to, PSEUDO.LINK, target);
        this.#view.setInt32(to + RECORD.TARGET, branch, true);
      }
    } else {
      to = this.#allocate(page);
      this.#writeGotoPage(page, to, target, flags);
    }
    this.#view.setInt32(branch + RECORD.TARGET, to, true);
  }

  #writeGotoPage(page: CodePage, record: number, target: number, flags: number): void {
    this.#writePseudo(page, record, PSEUDO.GOTO_PAGE, target);
    this.#view.setUint8(record + RECORD.FLAGS, flags | (page.bits === 64 ? 0 : RECORD_FLAG.LEGACY));
    this.#view.setBigInt64(record + RECORD.IMMEDIATE, BigInt(target), true);
  }

  #writePseudo(page: CodePage, record: number, handler: number, offset: number): void {
    this.#clear(record);
    this.#view.setUint16(record + RECORD.HANDLER, handler, true);
    this.#view.setInt32(record + RECORD.OFFSET, offset, true);
    this.#view.setUint8(record + RECORD.FLAGS, page.bits === 64 ? 0 : RECORD_FLAG.LEGACY);
  }

  /** Writes the record of one decoded instruction. */
  #write(
    page: CodePage,
    record: number,
    instruction: IcedInstruction,
    offset: number,
  ): { ends: boolean; branch: number | undefined; flags: number } {
    const form = instruction.isInvalid ? undefined : formOf(instruction, page.bits);
    const handler =
      form &&
      (this.handlers.number(form.key, this.#offers) ?? this.handlers.number(form.generalKey, this.#offers));
    const view = this.#view;
    this.#clear(record);
    view.setInt32(record + RECORD.OFFSET, offset, true);
    view.setUint8(record + RECORD.LENGTH, instruction.length);
    if (form === undefined || handler === undefined) {
      const system = decodeSystemInstruction(this.#state, instruction, page.bits);
      const port = portOperation(system);
      view.setUint16(record + RECORD.HANDLER, port ? PSEUDO.PORT : PSEUDO.SYSTEM, true);
      if (port) {
        view.setUint8(record + RECORD.REGISTER0, port.access);
        view.setInt32(record + RECORD.IMMEDIATE, port.port, true);
      }
      view.setInt32(record + RECORD.TARGET, this.#systemInstructions.push(system) - 1, true);
      return { ends: false, branch: undefined, flags: 0 };
    }
    view.setUint16(record + RECORD.HANDLER, handler, true);
    const flags = this.#writeOperands(record, form, page.bits);
    return { ends: this.handlers.spec(handler)?.row.endsBlock === true, branch: form.branchTarget, flags };
  }

  #writeOperands(record: number, form: DecodedForm, bits: CodeBits): number {
    const view = this.#view;
    const { registers, memory } = form;
    view.setUint8(record + RECORD.REGISTER0, registers[0] ?? 0);
    view.setUint8(record + RECORD.REGISTER1, registers[1] ?? 0);
    view.setUint8(record + RECORD.REGISTER2, registers[2] ?? 0);
    view.setBigUint64(record + RECORD.IMMEDIATE, form.immediate, true);
    let flags = bits === 64 ? 0 : RECORD_FLAG.LEGACY;
    if (form.branch16) flags |= RECORD_FLAG.BRANCH_16;
    const addressBits = memory?.addressBits ?? form.addressBits;
    if (addressBits === 16) flags |= RECORD_FLAG.ADDRESS_16;
    if (addressBits === 32) flags |= RECORD_FLAG.ADDRESS_32;
    if (bits === 64 && form.segment >= FS) flags |= RECORD_FLAG.SEGMENT_BASE;
    view.setUint8(record + RECORD.SEGMENT, form.segment);
    if (memory !== undefined) {
      if (memory.ripRelative) flags |= RECORD_FLAG.RIP_RELATIVE;
      view.setUint8(record + RECORD.BASE, (memory.base < 0 ? GPR_ZERO : memory.base) * 8);
      view.setUint8(record + RECORD.INDEX, (memory.index < 0 ? GPR_ZERO : memory.index) * 8);
      view.setUint8(record + RECORD.SCALE, Math.log2(memory.scale));
      view.setInt32(record + RECORD.DISPLACEMENT, Number(BigInt.asIntN(32, memory.displacement)), true);
    }
    view.setUint8(record + RECORD.FLAGS, flags);
    return flags & RECORD_FLAG.BRANCH_16;
  }

  #clear(record: number): void {
    for (let at = record; at < record + RECORD_SIZE; at += 8) this.#view.setBigUint64(at, 0n, true);
  }
}

/** The number of the linear page of an address in two halves. */
function pageNumber(low: number, high: number): number {
  return (low >>> PAGE_SHIFT) + (high >>> 0) * 2 ** (32 - PAGE_SHIFT);
}

function pageKey(hostPage: number, bits: CodeBits): number {
  return hostPage * 4 + bits / 32;
}

/** Bits of the lines that [start, end) of a page touches. */
export function lineMask(start: number, end: number): number {
  let mask = 0;
  const last = Math.min(end, PAGE) - 1;
  for (let line = start >> LINE_SHIFT; line <= last >> LINE_SHIFT; line++) mask |= 1 << line;
  return mask;
}
