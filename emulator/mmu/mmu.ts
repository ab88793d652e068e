/**
 * The memory-management unit of the running logical processor: translation, the slow paths of generated code, memory
 * accesses of system code, and what invalidates cached translations. It never faults or exits: it leaves the reason in
 * {@link Mmu.fault} and core raises what follows.
 *
 * Intel SDM Vol. 3A, "Paging", chapter 5; Vol. 3C, "VMX Support for Address Translation", chapter 30.
 */
import type { CpuState } from '../state/cpuState.ts';
import { AddressSpaces, type SecondLevel } from './addressSpaces.ts';
import { ApicAccess, type ApicAccessPage } from './apicAccess.ts';
import { type MmioBus, NO_MMIO } from './bus.ts';
import type { Space } from './contexts.ts';
import { type DirtyPageLog, SecondLevelWalker } from './ept.ts';
import { APIC_ACCESS, MemoryFault } from './fault.ts';
import { HostEntries } from './hostEntries.ts';
import { Inspector, type WalkReport } from './inspect.ts';
import { type AccessBytes, LinearAccess } from './linearAccess.ts';
import { MemoryAccess, type MmioWindow } from './memoryAccess.ts';
import type { PhysicalMemory } from './physicalMemory.ts';
import { ACCESS, type Access } from './rights.ts';
import { type Slow, SlowPath } from './slowPath.ts';
import { Tlb } from './tlb.ts';
import { type StaleUse, TranslationAudit } from './translationAudit.ts';
import { PRIVILEGE, type Privilege, type PrivilegeCode, Translator } from './translator.ts';
import { PageWalker, UNTRANSLATED } from './walk.ts';
import { WatchedPages } from './watchedPages.ts';

export { SLOW, type Slow } from './slowPath.ts';
export { PRIVILEGE, type Privilege, type PrivilegeCode } from './translator.ts';

export interface MmuParts {
  readonly state: CpuState;
  readonly physical: PhysicalMemory;
  readonly bus?: MmioBus;
  /** MAXPHYADDR. */
  readonly physicalAddressBits?: number;
}

export class Mmu {
  readonly physical: PhysicalMemory;
  readonly fault = new MemoryFault();
  readonly tlb: Tlb;
  /** Which translations are current; VM entries and exits switch them. */
  readonly spaces: AddressSpaces;
  /** What the debugger sees of memory: no flags set, no registers disturbed. */
  readonly inspector: Inspector;
  readonly watchedPages: WatchedPages;

  readonly #apicAccess = new ApicAccess();
  readonly #entries: HostEntries;
  readonly #second: SecondLevelWalker;
  readonly #walker: PageWalker;
  readonly #translator: Translator;
  readonly #memory: MemoryAccess;
  readonly #linear: LinearAccess;
  readonly #slow: SlowPath;
  #a20 = true;
  #a20Blocked = false;

  constructor(parts: MmuParts) {
    const { state, physical, bus = NO_MMIO, physicalAddressBits = 46 } = parts;
    this.physical = physical;
    const tlb = new Tlb(state);
    const entries = new HostEntries(state, physical, bus, false);
    const second = new SecondLevelWalker(entries, physicalAddressBits);
    const walker = new PageWalker(state, { fault: this.fault, entries, second, physicalAddressBits });
    const spaces = new AddressSpaces(state, tlb, walker, second);
    this.tlb = tlb;
    this.spaces = spaces;
    this.#entries = entries;
    this.#second = second;
    this.#walker = walker;
    this.#translator = new Translator(state, spaces, walker);
    this.#memory = new MemoryAccess(state, physical, bus);
    const watched = new WatchedPages(tlb);
    this.watchedPages = watched;
    this.#linear = new LinearAccess(state, this.#translator, this.#memory, watched, {
      apic: this.#apicAccess,
      fault: this.fault,
    });
    this.#slow = new SlowPath(state, {
      physical,
      fault: this.fault,
      spaces,
      walker,
      tlb,
      watched,
      linear: this.#linear,
      apic: this.#apicAccess,
    });
    this.inspector = new Inspector({
      state,
      physical,
      bus,
      physicalAddressBits,
      secondLevel: spaces.secondLevel,
    });
    physical.retireWriteEntries = (page, slot) => tlb.dropWriteEntriesOfPage(page, slot);
    physical.retireAllWriteEntries = () => tlb.dropWriteEntries();
    this.updateContext();
  }

  /** Guest-physical addresses that the VMM answers itself where EPT has no translation. */
  set mmioWindow(window: MmioWindow | undefined) {
    this.#memory.window = window;
    this.#walker.window = window;
  }

  get mmioWindow(): MmioWindow | undefined {
    return this.#memory.window;
  }

  /** The A20 line. Low: bit 20 of every physical address is 0. */
  set a20(high: boolean) {
    this.#a20 = high;
    this.#applyA20();
  }

  /** Whether bit 20 of physical addresses is what software says. */
  get a20(): boolean {
    return this.#a20;
  }

  /** VMX operation: the A20 line is high whatever its gates say. */
  set a20Blocked(blocked: boolean) {
    this.#a20Blocked = blocked;
    if (!this.#a20) this.#applyA20();
  }

  #applyA20(): void {
    const high = this.#a20 || this.#a20Blocked;
    this.#entries.a20 = high;
    this.inspector.a20 = high;
    this.spaces.flushEverything();
  }

  /** Who wants to know of pages whose dirty flag for EPT is set; set by VM entry. */
  set pageModificationLog(log: DirtyPageLog | undefined) {
    this.#second.log = log;
  }

  /** The host-physical page whose accesses VT-x virtualizes; none without an address. Set by VM entry and VM exit. */
  setApicAccess(address: number | undefined, page: ApicAccessPage): void {
    this.#apicAccess.set(address, page);
    this.#walker.apicPage = address === undefined ? -1 : Math.floor(address / 4096) | 0;
  }

  /** Set by VM entry and VM exit, see {@link AddressSpaces.switchTo}. */
  get secondLevel(): SecondLevel {
    return this.spaces.secondLevel;
  }

  /** Leaves generated code after the instruction whose access is under way; for listeners of the write gate. */
  requestCut(): void {
    this.#slow.cut = true;
  }

  /** Whether somebody asked since the last time: accesses of system code have nobody else to tell. */
  takeCut(): boolean {
    const { cut } = this.#slow;
    this.#slow.cut = false;
    return cut;
  }

  /** From now on uses of stale translations are found. */
  startAudit(parts: { readonly inRoot: () => boolean; readonly found: (use: StaleUse) => void }): void {
    const { spaces } = this;
    const audit = new TranslationAudit<Space>(this.physical, {
      inRoot: parts.inRoot,
      setsFlags: () => this.#entries.setsFlags,
      found: parts.found,
      changed: () => {
        spaces.forgetCached();
        this.requestCut();
      },
    });
    this.#entries.onRead = (page) => audit.tableRead(page);
    spaces.forgetCached();
    spaces.audit = audit;
  }

  /** See {@link AddressSpaces.update}. */
  updateContext(): void {
    this.spaces.update();
  }

  /** INVLPG: gives whether code may have been fetched from the page. @see SDM "Operations that Invalidate TLBs and Paging-Structure Caches", 5.10.4.1 */
  invalidatePage(linear: bigint, vpid = this.spaces.vpid): boolean {
    return this.spaces.invalidatePage(low(linear), high(linear), vpid);
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
    return this.#translator.translate(lo, hi, access, privilege);
  }

  /** Where instructions at a linear address are fetched from; -1, -2 or -3 with the reason in the fault. */
  fetchTranslate(linear: bigint): number {
    return this.fetchTranslatePair(low(linear), high(linear));
  }

  fetchTranslatePair(lo: number, hi: number): number {
    const host = this.#translator.translate(lo, hi, ACCESS.EXECUTE, PRIVILEGE.CURRENT);
    // Instructions are not fetched from the VMM's window.
    if (host === UNTRANSLATED.WINDOW) return this.#walker.refuseWindow(lo, hi);
    if (host < 0) return host;
    if (this.#apicAccess.has(host)) return this.fault.apicAccess(host, APIC_ACCESS.FETCH);
    this.spaces.noteFetch(lo, hi, this.#walker.pageShift);
    return host;
  }

  /**
   * The four PDPTEs that a MOV to CR3 (or to CR0 or CR4) loads under PAE paging, unchecked. Undefined: an EPT violation
   * or misconfiguration, without a linear address. The loads are reads also when EPT has accessed and dirty flags.
   *
   * @see SDM "PDPTE Registers", 5.4.1
   */
  readPdptes(cr3: bigint): bigint[] | undefined {
    const table = Number(cr3 & 0xffff_ffe0n);
    const host = this.#walker.walkGuestPhysical(table | 0, 0);
    if (host < 0) return undefined;
    return [0, 8, 16, 24].map((offset) => {
      this.#memory.read({ host: host + offset, guestPhysical: table + offset }, 8);
      return (BigInt(this.#memory.hi >>> 0) << 32n) | BigInt(this.#memory.lo >>> 0);
    });
  }

  // Slow paths of generated code

  /**
   * Reads `size` bytes at ACCESS_ADDRESS into ACCESS_VALUE. `writeIntent`: the place must be writable as well. Where
   * alignment is checked, the address must be a multiple of `alignment`.
   */
  readSlow(size: number, writeIntent: boolean, alignment = size): Slow {
    return this.#slow.read(size, writeIntent, alignment);
  }

  /** Writes `size` bytes of ACCESS_VALUE at ACCESS_ADDRESS. */
  writeSlow(size: number, alignment = size): Slow {
    return this.#slow.write(size, alignment);
  }

  /** Finds out whether `size` bytes (at most a page) at ACCESS_ADDRESS can be accessed, and caches the translation. */
  probeSlow(size: number, write: boolean): Slow {
    return this.#slow.probe(size, write);
  }

  // Accesses of system code. `undefined` or false: the reason is in the fault and nothing was written.

  readLinear(linear: bigint, bytes: AccessBytes, privilege: Privilege): bigint | undefined {
    return this.#linear.readLinear(linear, bytes, privilege);
  }

  writeLinear(linear: bigint, bytes: AccessBytes, value: bigint, privilege: Privilege): boolean {
    return this.#linear.writeLinear(linear, bytes, value, privilege);
  }

  /** Whether `length` bytes can be written. */
  probeWrite(linear: bigint, length: number, privilege: Privilege): boolean {
    return this.#linear.probe(linear, length, ACCESS.WRITE, privilege);
  }

  probeRead(linear: bigint, length: number, privilege: Privilege): boolean {
    return this.#linear.probe(linear, length, ACCESS.READ, privilege);
  }

  /** Reads `into.length` bytes, after all of them were found readable. */
  readBytes(linear: bigint, into: Uint8Array, privilege: Privilege): boolean {
    return this.#linear.readBytes(linear, into, privilege);
  }

  /** Writes all bytes or, when one cannot be written, none. */
  writeBytes(linear: bigint, bytes: Uint8Array, privilege: Privilege): boolean {
    return this.#linear.writeBytes(linear, bytes, privilege);
  }

  // The debugger's view

  /** Bytes from `linear` on, stopping at the first that is not mapped. */
  peekLinear(linear: bigint, count: number): Uint8Array {
    return this.inspector.peekLinear(linear, count);
  }

  peekPhysical(address: number, count: number): Uint8Array {
    return this.inspector.peekPhysical(address, count);
  }

  /** Each entry on the path of a translation, in both dimensions. */
  walkReport(linear: bigint): WalkReport {
    return this.inspector.walkReport(linear);
  }
}

const low = (value: bigint): number => Number(BigInt.asIntN(32, value));
const high = (value: bigint): number => Number(BigInt.asIntN(32, value >> 32n));
