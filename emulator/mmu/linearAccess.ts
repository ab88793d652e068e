/**
 * Memory by linear address: what system code reads and writes, and what the slow paths of generated code do with
 * accesses that are not plain. Every page of an access is translated before anything of it happens.
 */
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET } from '../state/layout.ts';
import type { ApicAccess } from './apicAccess.ts';
import { APIC_ACCESS, type MemoryFault } from './fault.ts';
import type { MemoryAccess, Place } from './memoryAccess.ts';
import { ACCESS, type Access } from './rights.ts';
import {
  PRIVILEGE,
  PRIVILEGE_CODE,
  type Privilege,
  type PrivilegeCode,
  type Translator,
} from './translator.ts';
import { UNTRANSLATED } from './walk.ts';
import type { WatchedPages } from './watchedPages.ts';

export type AccessBytes = 1 | 2 | 4 | 8;

const EFER_LOW = OFFSET.IA32_EFER >> 2;
const LMA = 1 << 10;

export class LinearAccess {
  /** Holds what {@link read} read. */
  readonly memory: MemoryAccess;
  readonly #translator: Translator;
  readonly #watched: WatchedPages;
  readonly #words: Int32Array;
  readonly #first: Place = { host: 0, guestPhysical: 0 };
  readonly #second: Place = { host: 0, guestPhysical: 0 };

  readonly #apic: ApicAccess;
  readonly #fault: MemoryFault;

  constructor(
    state: CpuState,
    translator: Translator,
    memory: MemoryAccess,
    watched: WatchedPages,
    { apic, fault }: { readonly apic: ApicAccess; readonly fault: MemoryFault },
  ) {
    this.#apic = apic;
    this.#fault = fault;
    this.#words = state.i32;
    this.#translator = translator;
    this.memory = memory;
    this.#watched = watched;
  }

  /** Linear addresses have 64 bits, unless the processor is outside of IA-32e mode. */
  get wide(): boolean {
    return (this.#words[EFER_LOW] & LMA) !== 0;
  }

  /**
   * Reads `size` bytes into `memory.lo` and `memory.hi`. `access` is a write when the place must be writable as well.
   *
   * @param wide whether the address after 0xffffffff is 0x100000000
   */
  read(
    lo: number,
    hi: number,
    size: number,
    access: Access,
    privilege: PrivilegeCode,
    wide: boolean,
  ): boolean {
    if (!this.#locateAll(lo, hi, size, access, privilege, wide)) return false;
    const before = 4096 - (lo & 0xfff);
    if (before >= size) this.memory.read(this.#first, size);
    else this.memory.readSplit(this.#first, before, this.#second, size);
    if (this.#watched.count !== 0) this.#note(lo, hi, size, false, privilege);
    return true;
  }

  write(
    lo: number,
    hi: number,
    size: number,
    valueLo: number,
    valueHi: number,
    privilege: PrivilegeCode,
    wide: boolean,
  ): boolean {
    if (!this.#locateAll(lo, hi, size, ACCESS.WRITE, privilege, wide)) return false;
    const before = 4096 - (lo & 0xfff);
    if (before >= size) this.memory.write(this.#first, size, valueLo, valueHi);
    else this.memory.writeSplit(this.#first, before, this.#second, size, valueLo, valueHi);
    if (this.#watched.count !== 0) this.#note(lo, hi, size, true, privilege);
    return true;
  }

  readLinear(linear: bigint, bytes: AccessBytes, privilege: Privilege): bigint | undefined {
    if (!this.read(low(linear), high(linear), bytes, ACCESS.READ, PRIVILEGE_CODE[privilege], this.wide)) {
      return undefined;
    }
    const value = BigInt(this.memory.lo >>> 0);
    return bytes === 8 ? value | (BigInt(this.memory.hi >>> 0) << 32n) : value;
  }

  writeLinear(linear: bigint, bytes: AccessBytes, value: bigint, privilege: Privilege): boolean {
    const code = PRIVILEGE_CODE[privilege];
    return this.write(low(linear), high(linear), bytes, low(value), high(value), code, this.wide);
  }

  probe(linear: bigint, length: number, access: Access, privilege: Privilege): boolean {
    const end = linear + BigInt(length);
    const bits = this.wide ? 64 : 32;
    for (let at = linear; at < end; at = (at | 0xfffn) + 1n) {
      const address = BigInt.asUintN(bits, at);
      const size = Number(end - at < 8n ? end - at : 8n);
      if (!this.#locate(this.#first, low(address), high(address), size, access, PRIVILEGE_CODE[privilege]))
        return false;
    }
    return true;
  }

  probePage(lo: number, hi: number, access: Access, privilege: PrivilegeCode): boolean {
    return this.#locateBytes(this.#first, lo, hi, 4, access, privilege);
  }

  readBytes(linear: bigint, into: Uint8Array, privilege: Privilege): boolean {
    if (!this.probe(linear, into.length, ACCESS.READ, privilege)) return false;
    for (let done = 0; done < into.length; ) {
      const at = BigInt.asUintN(64, linear + BigInt(done));
      const size = pieceSize(at, into.length - done);
      const value = this.readLinear(at, size, privilege);
      if (value === undefined) return false;
      for (let byte = 0; byte < size; byte++) into[done + byte] = Number((value >> BigInt(8 * byte)) & 0xffn);
      done += size;
    }
    return true;
  }

  writeBytes(linear: bigint, bytes: Uint8Array, privilege: Privilege): boolean {
    if (!this.probe(linear, bytes.length, ACCESS.WRITE, privilege)) return false;
    for (let done = 0; done < bytes.length; ) {
      const at = BigInt.asUintN(64, linear + BigInt(done));
      const size = pieceSize(at, bytes.length - done);
      let value = 0n;
      for (let byte = size - 1; byte >= 0; byte--) value = (value << 8n) | BigInt(bytes[done + byte]);
      if (!this.writeLinear(at, size, value, privilege)) return false;
      done += size;
    }
    return true;
  }

  #note(lo: number, hi: number, size: number, write: boolean, privilege: PrivilegeCode): void {
    if (privilege !== PRIVILEGE.IMPLICIT_SUPERVISOR) this.#watched.note(lo, hi, size, write);
  }

  /** Finds the places of both pages of an access, if it has two. That all bytes are canonical is checked first. */
  #locateAll(
    lo: number,
    hi: number,
    size: number,
    access: Access,
    privilege: PrivilegeCode,
    wide: boolean,
  ): boolean {
    const before = 4096 - (lo & 0xfff);
    if (before >= size) return this.#locate(this.#first, lo, hi, size, access, privilege);
    const nextLo = (lo + before) | 0;
    const nextHi = nextHigh(lo, hi, before, wide);
    if (!this.#translator.walker.requireCanonical(nextLo, nextHi)) return false;
    if (!this.#locate(this.#first, lo, hi, before, access, privilege)) return false;
    return this.#locate(this.#second, nextLo, nextHi, size - before, access, privilege);
  }

  #locate(
    place: Place,
    lo: number,
    hi: number,
    size: number,
    access: Access,
    privilege: PrivilegeCode,
  ): boolean {
    this.#translator.walker.accessBytes = size;
    return this.#locateBytes(place, lo, hi, size, access, privilege);
  }

  #locateBytes(
    place: Place,
    lo: number,
    hi: number,
    size: number,
    access: Access,
    privilege: PrivilegeCode,
  ): boolean {
    place.host = this.#translator.translate(lo, hi, access, privilege);
    if (place.host >= 0) return !this.#apic.has(place.host) || this.#redirect(place, size, access);
    place.guestPhysical = this.#translator.walker.guestPhysical;
    return place.host === UNTRANSLATED.WINDOW;
  }

  /** An access to the APIC-access page. */
  #redirect(place: Place, size: number, access: Access): boolean {
    const write = access === ACCESS.WRITE;
    const host = this.#apic.page?.redirect(place.host % 4096, size, write);
    if (host === undefined) {
      this.#fault.apicAccess(place.host, write ? APIC_ACCESS.WRITE : APIC_ACCESS.READ);
      return false;
    }
    place.host = host;
    return true;
  }
}

/** High half of the address `distance` bytes after (lo, hi). */
export function nextHigh(lo: number, hi: number, distance: number, wide: boolean): number {
  if (!wide) return 0;
  return (lo >>> 0) + distance > 0xffff_ffff ? (hi + 1) | 0 : hi;
}

const low = (value: bigint): number => Number(BigInt.asIntN(32, value));
const high = (value: bigint): number => Number(BigInt.asIntN(32, value >> 32n));

/** The largest aligned piece of at most 8 bytes. */
function pieceSize(address: bigint, left: number): AccessBytes {
  const offset = Number(address & 7n);
  if (left >= 8 && offset === 0) return 8;
  if (left >= 4 && offset % 4 === 0) return 4;
  return left >= 2 && offset % 2 === 0 ? 2 : 1;
}
