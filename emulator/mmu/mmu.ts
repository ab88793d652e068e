/**
 * The memory-management unit of the running logical processor: translation, the slow paths of generated code, memory
 * accesses of system code, and what invalidates cached translations. It never faults or exits: it leaves the reason in
 * {@link Mmu.fault} and core raises what follows.
 *
 * Intel SDM Vol. 3A, "Paging", chapter 4; Vol. 3C, "VMX Support for Address Translation", chapter 29.
 */
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET } from '../state/layout.ts';
import { AR, CR4, CS, FLAG } from '../state/registers.ts';
import { AddressSpaces, type SecondLevel } from './addressSpaces.ts';
import { type MmioBus, NO_MMIO } from './bus.ts';
import { SecondLevelWalker } from './ept.ts';
import { MemoryFault } from './fault.ts';
import { HostEntries } from './hostEntries.ts';
import { Inspector, type WalkReport } from './inspect.ts';
import { MemoryAccess, type MmioWindow, type Place } from './memoryAccess.ts';
import { PAGE_ABSENT, PAGE_SLOW_WRITE, type PhysicalMemory } from './physicalMemory.ts';
import { ACCESS, type Access, REQUEST_SMAP, REQUEST_USER } from './rights.ts';
import { Tlb } from './tlb.ts';
import { PageWalker, UNTRANSLATED } from './walk.ts';

/** How a slow path of generated code ended. */
export const SLOW = {
  OK: 0,
  /** The access failed; the reason is in {@link Mmu.fault}. Nothing was written. */
  FAULT: 1,
  /** Done, but generated code has to be left after this instruction. */
  OK_CUT: 2,
} as const;
export type Slow = (typeof SLOW)[keyof typeof SLOW];

/**
 * On whose behalf memory is accessed. `current` follows the CPL. An implicit supervisor access (descriptor tables, the
 * TSS) is one at every CPL, and RFLAGS.AC does not lift SMAP for it.
 *
 * @see SDM "Access Rights", 4.6
 */
export const PRIVILEGE = { CURRENT: 0, USER: 1, SUPERVISOR: 2, IMPLICIT_SUPERVISOR: 3 } as const;
export type PrivilegeCode = (typeof PRIVILEGE)[keyof typeof PRIVILEGE];
export type Privilege = 'current' | 'user' | 'supervisor' | 'implicit-supervisor';

const PRIVILEGE_CODE: Record<Privilege, PrivilegeCode> = {
  current: PRIVILEGE.CURRENT,
  user: PRIVILEGE.USER,
  supervisor: PRIVILEGE.SUPERVISOR,
  'implicit-supervisor': PRIVILEGE.IMPLICIT_SUPERVISOR,
};

export interface MmuParts {
  readonly state: CpuState;
  readonly physical: PhysicalMemory;
  readonly bus?: MmioBus;
  /** MAXPHYADDR. */
  readonly physicalAddressBits?: number;
}

const ADDRESS = OFFSET.ACCESS_ADDRESS >> 2;
const VALUE = OFFSET.ACCESS_VALUE >> 2;
const CONTEXT = OFFSET.CONTEXT >> 2;
const CR4_LOW = OFFSET.CR4 >> 2;
const RFLAGS = OFFSET.RFLAGS >> 2;
const CS_ACCESS_RIGHTS = (OFFSET.SEG_ACCESS_RIGHTS >> 2) + CS;
const EFER_LOW = OFFSET.IA32_EFER >> 2;
const LMA = 1 << 10;

export class Mmu {
  readonly physical: PhysicalMemory;
  readonly fault = new MemoryFault();
  readonly tlb: Tlb;
  /** Which translations are current; VM entries and exits switch them. */
  readonly spaces: AddressSpaces;
  /** What the debugger sees of memory: no flags set, no registers disturbed. */
  readonly inspector: Inspector;

  readonly #words: Int32Array;
  readonly #entries: HostEntries;
  readonly #walker: PageWalker;
  readonly #access: MemoryAccess;
  readonly #first: Place = { host: 0, guestPhysical: 0 };
  readonly #second: Place = { host: 0, guestPhysical: 0 };
  #cut = false;

  constructor(parts: MmuParts) {
    const { state, physical, bus = NO_MMIO, physicalAddressBits = 46 } = parts;
    this.physical = physical;
    this.#words = state.i32;
    this.tlb = new Tlb(state);
    this.#entries = new HostEntries(state, physical, bus, false);
    const second = new SecondLevelWalker(this.#entries, physicalAddressBits);
    this.#walker = new PageWalker(state, {
      fault: this.fault,
      entries: this.#entries,
      second,
      physicalAddressBits,
    });
    this.#access = new MemoryAccess(state, physical, bus);
    this.spaces = new AddressSpaces(state, this.tlb, this.#walker, second);
    this.inspector = new Inspector({
      state,
      physical,
      bus,
      physicalAddressBits,
      secondLevel: this.spaces.secondLevel,
    });
    physical.retireWriteEntries = (page) => {
      if (page === undefined) this.tlb.dropWriteEntries();
      else this.tlb.dropWriteEntriesOfPage(page);
    };
    this.updateContext();
  }

  /** Guest-physical addresses that the VMM answers itself where EPT has no translation. */
  set mmioWindow(window: MmioWindow | undefined) {
    this.#access.window = window;
    this.#walker.window = window;
  }

  get mmioWindow(): MmioWindow | undefined {
    return this.#access.window;
  }

  /** The A20 line. Low: bit 20 of every physical address is 0. */
  set a20(high: boolean) {
    this.#entries.a20 = high;
    this.inspector.a20 = high;
    this.spaces.flushEverything();
  }

  /** Set by VM entry and VM exit, through {@link AddressSpaces.switchTo}. */
  get secondLevel(): SecondLevel {
    return this.spaces.secondLevel;
  }

  /** Leaves generated code after the instruction whose access is under way; for listeners of the write gate. */
  requestCut(): void {
    this.#cut = true;
  }

  /** Whether somebody asked since the last time: accesses of system code have nobody else to tell. */
  takeCut(): boolean {
    const cut = this.#cut;
    this.#cut = false;
    return cut;
  }

  /** See {@link AddressSpaces.update}. */
  updateContext(): void {
    this.spaces.update();
  }

  /** INVLPG. @see SDM "Operations that Invalidate TLBs and Paging-Structure Caches", 4.10.4.1 */
  invalidatePage(linear: bigint): void {
    this.spaces.invalidatePage(Number(BigInt.asIntN(32, linear)), Number(BigInt.asIntN(32, linear >> 32n)));
  }

  /** MOV to CR3, unless bit 63 of its source preserves the translations. */
  flushCurrent(): void {
    this.spaces.flushCurrent();
  }

  // Translation

  /**
   * Translates for an access and sets accessed and dirty flags, but fills nothing. Gives the host-physical address or
   * a code of {@link UNTRANSLATED}.
   */
  translate(lo: number, hi: number, access: Access, privilege: PrivilegeCode): number {
    const request = privilege === PRIVILEGE.CURRENT ? this.spaces.request : this.#request(privilege);
    const host = this.#walker.walk(lo, hi, request | access);
    if (host < 0 && host !== UNTRANSLATED.WINDOW) this.spaces.failed(host, lo, hi);
    return host;
  }

  /** Where instructions at a linear address are fetched from; -1, -2 or -3 with the reason in the fault. */
  fetchTranslate(linear: bigint): number {
    return this.fetchTranslatePair(
      Number(BigInt.asIntN(32, linear)),
      Number(BigInt.asIntN(32, linear >> 32n)),
    );
  }

  fetchTranslatePair(lo: number, hi: number): number {
    const host = this.translate(lo, hi, ACCESS.EXECUTE, PRIVILEGE.CURRENT);
    // Instructions are not fetched from the VMM's window.
    if (host === UNTRANSLATED.WINDOW) return this.#walker.refuseWindow(lo, hi);
    if (host >= 0) this.spaces.noteFetch(lo, this.#walker.pageShift);
    return host;
  }

  // Slow paths of generated code

  /** Reads `size` bytes at ACCESS_ADDRESS into ACCESS_VALUE. `writeIntent`: the place must be writable as well. */
  readSlow(size: number, writeIntent: boolean): Slow {
    const words = this.#words;
    const lo = words[ADDRESS];
    const hi = words[ADDRESS + 1];
    const access = writeIntent ? ACCESS.WRITE : ACCESS.READ;
    const before = 4096 - (lo & 0xfff);
    if (before < size) {
      if (!this.#locateSplit(lo, hi, before, access, PRIVILEGE.CURRENT, this.#in64BitMode()))
        return SLOW.FAULT;
      this.#access.readSplit(this.#first, before, this.#second, size);
    } else {
      const place = this.#first;
      if (!this.#locate(place, lo, hi, access, PRIVILEGE.CURRENT)) return SLOW.FAULT;
      this.#fill(lo, hi, access);
      this.#access.read(place, size);
    }
    words[VALUE] = this.#access.lo;
    words[VALUE + 1] = this.#access.hi;
    return this.#done();
  }

  /** Writes `size` bytes of ACCESS_VALUE at ACCESS_ADDRESS. */
  writeSlow(size: number): Slow {
    const words = this.#words;
    const lo = words[ADDRESS];
    const hi = words[ADDRESS + 1];
    const before = 4096 - (lo & 0xfff);
    if (before < size) {
      if (!this.#locateSplit(lo, hi, before, ACCESS.WRITE, PRIVILEGE.CURRENT, this.#in64BitMode()))
        return SLOW.FAULT;
      this.#access.writeSplit(this.#first, before, this.#second, size, words[VALUE], words[VALUE + 1]);
    } else {
      const place = this.#first;
      if (!this.#locate(place, lo, hi, ACCESS.WRITE, PRIVILEGE.CURRENT)) return SLOW.FAULT;
      this.#access.write(place, size, words[VALUE], words[VALUE + 1]);
      this.#fill(lo, hi, ACCESS.WRITE);
    }
    return this.#done();
  }

  /** Finds out whether `size` bytes (at most a page) at ACCESS_ADDRESS can be accessed, and caches the translation. */
  probeSlow(size: number, write: boolean): Slow {
    const lo = this.#words[ADDRESS];
    const hi = this.#words[ADDRESS + 1];
    const access = write ? ACCESS.WRITE : ACCESS.READ;
    const before = 4096 - (lo & 0xfff);
    if (!this.#locate(this.#first, lo, hi, access, PRIVILEGE.CURRENT)) return SLOW.FAULT;
    this.#fill(lo, hi, access);
    if (before >= size) return SLOW.OK;
    const nextHi = this.#nextHigh(lo, hi, before, this.#in64BitMode());
    if (!this.#locate(this.#first, lo + before, nextHi, access, PRIVILEGE.CURRENT)) return SLOW.FAULT;
    this.#fill(lo + before, nextHi, access);
    return SLOW.OK;
  }

  // Accesses of system code. `undefined` or false: the reason is in the fault and nothing was written.

  readLinear(linear: bigint, bytes: 1 | 2 | 4 | 8, privilege: Privilege): bigint | undefined {
    const access = this.#access;
    if (!this.#read(linear, bytes, PRIVILEGE_CODE[privilege])) return undefined;
    const low = BigInt(access.lo >>> 0);
    return bytes === 8 ? low | (BigInt(access.hi >>> 0) << 32n) : low;
  }

  writeLinear(linear: bigint, bytes: 1 | 2 | 4 | 8, value: bigint, privilege: Privilege): boolean {
    const lo = Number(BigInt.asIntN(32, linear));
    const hi = Number(BigInt.asIntN(32, linear >> 32n));
    const valueLo = Number(BigInt.asIntN(32, value));
    const valueHi = Number(BigInt.asIntN(32, value >> 32n));
    const code = PRIVILEGE_CODE[privilege];
    const before = 4096 - (lo & 0xfff);
    if (before < bytes) {
      if (!this.#locateSplit(lo, hi, before, ACCESS.WRITE, code, this.#longMode())) return false;
      this.#access.writeSplit(this.#first, before, this.#second, bytes, valueLo, valueHi);
    } else {
      if (!this.#locate(this.#first, lo, hi, ACCESS.WRITE, code)) return false;
      this.#access.write(this.#first, bytes, valueLo, valueHi);
    }
    return true;
  }

  /** Whether `length` bytes can be written. */
  probeWrite(linear: bigint, length: number, privilege: Privilege): boolean {
    return this.#probe(linear, length, ACCESS.WRITE, privilege);
  }

  probeRead(linear: bigint, length: number, privilege: Privilege): boolean {
    return this.#probe(linear, length, ACCESS.READ, privilege);
  }

  /** Reads `into.length` bytes, after all of them were found readable. */
  readBytes(linear: bigint, into: Uint8Array, privilege: Privilege): boolean {
    if (!this.#probe(linear, into.length, ACCESS.READ, privilege)) return false;
    for (let done = 0; done < into.length; ) {
      const at = BigInt.asUintN(64, linear + BigInt(done));
      const size = pieceSize(at, into.length - done);
      if (!this.#read(at, size, PRIVILEGE_CODE[privilege])) return false;
      const { lo, hi } = this.#access;
      for (let byte = 0; byte < size; byte++)
        into[done + byte] = byte < 4 ? lo >>> (8 * byte) : hi >>> (8 * (byte - 4));
      done += size;
    }
    return true;
  }

  /** Writes all bytes or, when one cannot be written, none. */
  writeBytes(linear: bigint, bytes: Uint8Array, privilege: Privilege): boolean {
    if (!this.#probe(linear, bytes.length, ACCESS.WRITE, privilege)) return false;
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

  // The debugger's view

  /** Bytes from `linear` on, stopping at the first that is not mapped. */
  peekLinear(linear: bigint, count: number): Uint8Array {
    return this.inspector.peekLinear(linear, count);
  }

  peekGuestPhysical(address: number, count: number): Uint8Array {
    return this.inspector.peekGuestPhysical(address, count);
  }

  peekPhysical(address: number, count: number): Uint8Array {
    return this.inspector.peekPhysical(address, count);
  }

  /** Each entry on the path of a translation, in both dimensions. */
  walkReport(linear: bigint): WalkReport {
    return this.inspector.walkReport(linear);
  }

  // Inside

  #request(privilege: PrivilegeCode): number {
    if (privilege === PRIVILEGE.USER) return REQUEST_USER;
    const words = this.#words;
    const lifted = privilege === PRIVILEGE.SUPERVISOR && (words[RFLAGS] & FLAG.AC) !== 0;
    return (words[CR4_LOW] & CR4.SMAP) !== 0 && !lifted ? REQUEST_SMAP : 0;
  }

  #in64BitMode(): boolean {
    return (this.#words[EFER_LOW] & LMA) !== 0 && (this.#words[CS_ACCESS_RIGHTS] & AR.L) !== 0;
  }

  #longMode(): boolean {
    return (this.#words[EFER_LOW] & LMA) !== 0;
  }

  /** High half of the address `before` bytes after (lo, hi). Linear addresses of 32 bits wrap. */
  #nextHigh(lo: number, hi: number, before: number, wide: boolean): number {
    if (!wide) return 0;
    return (lo >>> 0) + before > 0xffff_ffff ? (hi + 1) | 0 : hi;
  }

  #locate(place: Place, lo: number, hi: number, access: Access, privilege: PrivilegeCode): boolean {
    place.host = this.translate(lo, hi, access, privilege);
    place.guestPhysical = this.#walker.guestPhysical;
    return place.host >= 0 || place.host === UNTRANSLATED.WINDOW;
  }

  /** Both pages of an access that leaves a page after `before` bytes, before anything of it happens. */
  #locateSplit(
    lo: number,
    hi: number,
    before: number,
    access: Access,
    privilege: PrivilegeCode,
    wide: boolean,
  ): boolean {
    if (!this.#locate(this.#first, lo, hi, access, privilege)) return false;
    return this.#locate(
      this.#second,
      (lo + before) | 0,
      this.#nextHigh(lo, hi, before, wide),
      access,
      privilege,
    );
  }

  #read(linear: bigint, bytes: number, privilege: PrivilegeCode): boolean {
    const lo = Number(BigInt.asIntN(32, linear));
    const hi = Number(BigInt.asIntN(32, linear >> 32n));
    const before = 4096 - (lo & 0xfff);
    if (before < bytes) {
      if (!this.#locateSplit(lo, hi, before, ACCESS.READ, privilege, this.#longMode())) return false;
      this.#access.readSplit(this.#first, before, this.#second, bytes);
    } else {
      if (!this.#locate(this.#first, lo, hi, ACCESS.READ, privilege)) return false;
      this.#access.read(this.#first, bytes);
    }
    return true;
  }

  #probe(linear: bigint, length: number, access: Access, privilege: Privilege): boolean {
    const end = linear + BigInt(length);
    const wrap = this.#longMode() ? 64 : 32;
    for (let at = linear; at < end; at = (at | 0xfffn) + 1n) {
      const address = BigInt.asUintN(wrap, at);
      const lo = Number(BigInt.asIntN(32, address));
      const hi = Number(BigInt.asIntN(32, address >> 32n));
      if (!this.#locate(this.#first, lo, hi, access, PRIVILEGE_CODE[privilege])) return false;
    }
    return true;
  }

  /** Caches the translation that `#first` has. Write entries need an unmarked page of RAM and a dirty flag set. */
  #fill(lo: number, hi: number, access: Access): void {
    const { host } = this.#first;
    const { physical, tlb } = this;
    if (host < 0 || host >= physical.ramBytes) return;
    const page = host >>> 12;
    const flags = physical.pageFlags[page];
    if ((flags & PAGE_ABSENT) !== 0) return;
    const { pageShift, writeNow } = this.#walker;
    const context = this.#words[CONTEXT];
    if (pageShift !== 12) tlb.noteLargePage(lo, pageShift);
    tlb.fillRead(lo, hi, context, page);
    if ((access === ACCESS.WRITE || writeNow) && (flags & PAGE_SLOW_WRITE) === 0) {
      physical.noteWriteEntry(page);
      tlb.fillWrite(lo, hi, context, page);
    }
  }

  /** A device may have changed what is pending, a listener may want to be heard. */
  #done(): Slow {
    if (!this.#cut && !this.#access.touchedDevice) return SLOW.OK;
    this.#cut = false;
    this.#access.touchedDevice = false;
    return SLOW.OK_CUT;
  }
}

/** The largest aligned piece of at most 8 bytes. */
function pieceSize(address: bigint, left: number): 1 | 2 | 4 | 8 {
  const low = Number(address & 7n);
  if (left >= 8 && low === 0) return 8;
  if (left >= 4 && low % 4 === 0) return 4;
  return left >= 2 && low % 2 === 0 ? 2 : 1;
}
