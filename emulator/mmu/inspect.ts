/**
 * Memory and paging structures as a debugger looks at them: translations from what the structures say now, past every
 * cache, without setting a flag, disturbing a register or filling a TLB.
 *
 * Intel SDM Vol. 3A, "Paging", chapter 5; Vol. 3C, "The Extended Page Table Mechanism (EPT)", 30.3.
 */
import type { CpuState } from '../state/cpuState.ts';
import type { SecondLevel } from './addressSpaces.ts';
import type { CycleSize, MmioBus } from './bus.ts';
import { EPT_FEATURE, SecondLevelWalker } from './ept.ts';
import { EPT_ACCESS, EPT_TRANSLATED, MemoryFault, PAGE_FAULT } from './fault.ts';
import { HostEntries } from './hostEntries.ts';
import { PAGING } from './pagingMode.ts';
import type { PhysicalMemory } from './physicalMemory.ts';
import { ACCESS } from './rights.ts';
import { PageWalker, UNTRANSLATED } from './walk.ts';

/** The registers that a translation depends on: those of the running program, or of one that waits in a VMCS. */
export interface TranslationContext {
  readonly cr0: number;
  readonly cr3: bigint;
  readonly cr4: number;
  readonly efer: number;
  readonly pdptes: readonly bigint[];
  /** The EPT pointer, when guest-physical addresses are translated. */
  readonly eptp: bigint | undefined;
  /** Where translations of addresses with `prefix` highest bits of 1 begin instead of at CR3. */
  readonly hlat?: { readonly pointerLo: number; readonly pointerHi: number; readonly prefix: number };
}

/** One entry of a paging structure on the path of a translation. */
export interface WalkEntry {
  /** The manual's name: PML5E, PML4E, PDPTE, PDE, PTE; with EPT in front in the second dimension. */
  readonly name: string;
  /** Where the entry is; guest-physical. Equal to `host` without EPT and for EPT entries. Undefined for a register. */
  readonly address: number | undefined;
  readonly host: number | undefined;
  readonly value: bigint;
  /** The entries that translated `address`. */
  readonly secondLevel: readonly WalkEntry[];
}

export interface WalkReport {
  readonly linear: bigint;
  readonly mode: 'none' | '32-bit' | 'PAE' | '4-level' | '5-level';
  readonly entries: readonly WalkEntry[];
  /** The second dimension of the final address. */
  readonly secondLevel: readonly WalkEntry[];
  /** Size of the page in bytes, when there is a translation. */
  readonly pageSize: number | undefined;
  readonly guestPhysical: number | undefined;
  readonly host: number | undefined;
  /** Why there is no translation. */
  readonly failure: string | undefined;
}

const MODE_NAMES = ['none', '32-bit', 'PAE', '4-level', '5-level'] as const;
const LEVEL_NAMES = ['', 'PTE', 'PDE', 'PDPTE', 'PML4E', 'PML5E'];
const TWO_32 = 0x1_0000_0000;

export class Inspector {
  readonly #state: CpuState;
  readonly #physical: PhysicalMemory;
  readonly #bus: MmioBus;
  readonly #current: SecondLevel;
  readonly #fault = new MemoryFault();
  readonly #entries: HostEntries;
  readonly #second: SecondLevelWalker;
  readonly #walker: PageWalker;
  readonly #pdptes = new Int32Array(8);

  constructor(parts: {
    readonly state: CpuState;
    readonly physical: PhysicalMemory;
    readonly bus: MmioBus;
    readonly physicalAddressBits: number;
    readonly secondLevel: SecondLevel;
  }) {
    const { state, physical, bus, physicalAddressBits } = parts;
    this.#state = state;
    this.#physical = physical;
    this.#bus = bus;
    this.#current = parts.secondLevel;
    this.#entries = new HostEntries(state, physical, bus, true);
    this.#second = new SecondLevelWalker(this.#entries, physicalAddressBits, true);
    this.#walker = new PageWalker(state, {
      fault: this.#fault,
      entries: this.#entries,
      second: this.#second,
      physicalAddressBits,
      passive: true,
      pdptes: this.#pdptes,
    });
  }

  set a20(high: boolean) {
    this.#entries.a20 = high;
  }

  /** The registers of the running program. */
  currentContext(): TranslationContext {
    const state = this.#state;
    const { enabled, eptpLo, eptpHi, features, hlatLo, hlatHi, hlatPrefix } = this.#current;
    const usesHlat = enabled && (features & EPT_FEATURE.HLAT) !== 0;
    return {
      ...(usesHlat && { hlat: { pointerLo: hlatLo, pointerHi: hlatHi, prefix: hlatPrefix } }),
      cr0: state.cr0,
      cr3: state.CR3,
      cr4: state.cr4,
      efer: state.efer,
      pdptes: [0, 1, 2, 3].map((index) => state.pdpte(index)),
      eptp: enabled ? (BigInt(eptpHi >>> 0) << 32n) | BigInt(eptpLo >>> 0) : undefined,
    };
  }

  /** The host-physical address, or undefined. Rights do not matter: a debugger may look everywhere. */
  translate(linear: bigint, context = this.currentContext()): number | undefined {
    this.#configure(context);
    const host = this.#walk(linear);
    return host >= 0 ? host : undefined;
  }

  translateGuestPhysical(address: number, context = this.currentContext()): number | undefined {
    this.#configure(context);
    return this.#translateSecond(address);
  }

  /** Bytes from `linear` on, stopping at the first that is not mapped. */
  peekLinear(linear: bigint, count: number, context = this.currentContext()): Uint8Array {
    this.#configure(context);
    return this.#gather(linear, count, (at) => {
      const host = this.#walk(at);
      return host >= 0 ? host : undefined;
    });
  }

  peekGuestPhysical(address: number, count: number, context = this.currentContext()): Uint8Array {
    this.#configure(context);
    return this.#gather(BigInt(address), count, (at) => this.#translateSecond(Number(at)));
  }

  /** Bytes where nothing answers are 0xff. */
  peekPhysical(address: number, count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    this.#peek(address, bytes);
    return bytes;
  }

  /** Each entry on the path of a translation, in both dimensions. */
  walkReport(linear: bigint, context = this.currentContext()): WalkReport {
    this.#configure(context);
    const walker = this.#walker;
    const host = this.#walk(linear);
    const { mode } = walker;
    const fault = this.#fault;
    const inSecondLevel = host === UNTRANSLATED.SECOND_LEVEL_FAULT;
    const complete = host >= 0 || (inSecondLevel && (fault.qualification & EPT_TRANSLATED) !== 0);
    const entries: WalkEntry[] = mode === PAGING.PAE ? [this.#pdpteRegister(linear)] : [];
    if (host !== UNTRANSLATED.NON_CANONICAL) {
      for (let level = walker.top; level >= Math.max(walker.level, 1); level--)
        entries.push(this.#guestEntry(level));
    }
    const { guestPhysical } = complete ? walker : fault;
    return {
      linear,
      mode: MODE_NAMES[mode],
      entries,
      secondLevel: complete || inSecondLevel ? this.#secondLevelPath(guestPhysical) : [],
      pageSize: complete ? 2 ** walker.pageShift : undefined,
      guestPhysical: complete ? guestPhysical : undefined,
      host: host >= 0 ? host : undefined,
      failure: host >= 0 ? undefined : this.#failure(host),
    };
  }

  #configure(context: TranslationContext): void {
    const { cr3, eptp } = context;
    context.pdptes.forEach((value, index) => {
      this.#pdptes[2 * index] = Number(BigInt.asIntN(32, value));
      this.#pdptes[2 * index + 1] = Number(BigInt.asIntN(32, value >> 32n));
    });
    this.#second.configure(
      eptp !== undefined,
      Number(BigInt.asIntN(32, eptp ?? 0n)),
      Number(BigInt.asIntN(32, (eptp ?? 0n) >> 32n)),
      0,
    );
    this.#walker.configure(context, Number(BigInt.asIntN(32, cr3)), Number(BigInt.asIntN(32, cr3 >> 32n)));
    const { hlat } = context;
    this.#walker.configureHlat(
      hlat !== undefined,
      hlat?.pointerLo ?? 0,
      hlat?.pointerHi ?? 0,
      hlat?.prefix ?? 0,
    );
  }

  #walk(linear: bigint): number {
    const lo = Number(BigInt.asIntN(32, linear));
    const hi = Number(BigInt.asIntN(32, linear >> 32n));
    return this.#walker.walk(lo, hi, ACCESS.READ);
  }

  #translateSecond(address: number): number | undefined {
    const second = this.#second;
    if (!second.enabled) return address;
    if (!second.translate(address | 0, Math.floor(address / TWO_32), EPT_ACCESS.READ)) return undefined;
    return second.hostHi * TWO_32 + (second.hostLo >>> 0) + (address % 4096);
  }

  #gather(start: bigint, count: number, translate: (at: bigint) => number | undefined): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let done = 0; done < count; ) {
      const at = BigInt.asUintN(64, start + BigInt(done));
      const length = Math.min(count - done, 4096 - Number(at & 0xfffn));
      const host = translate(at);
      if (host === undefined) return bytes.subarray(0, done);
      this.#peek(host, bytes.subarray(done, done + length));
      done += length;
    }
    return bytes;
  }

  #peek(address: number, into: Uint8Array): void {
    for (let done = 0; done < into.length; ) {
      const at = address + done;
      const page = Math.min(into.length - done, 4096 - (at % 4096));
      if (this.#physical.isRam(at, page)) {
        this.#physical.copyOut(at, into.subarray(done, done + page));
        done += page;
        continue;
      }
      // Registers are looked at as they are usually laid out, 4 bytes at a time.
      const size: CycleSize = at % 4 === 0 && into.length - done >= 4 ? 4 : 1;
      const value = this.#bus.peek(at, size);
      for (let byte = 0; byte < size; byte++) into[done + byte] = value >>> (8 * byte);
      done += size;
    }
  }

  #pdpteRegister(linear: bigint): WalkEntry {
    const index = Number((linear >> 30n) & 3n);
    return {
      name: 'PDPTE',
      address: undefined,
      host: undefined,
      value: pair(this.#pdptes[2 * index], this.#pdptes[2 * index + 1]),
      secondLevel: [],
    };
  }

  #guestEntry(level: number): WalkEntry {
    const walker = this.#walker;
    const address = physical(walker.entryGuestLo[level], walker.entryGuestHi[level]);
    return {
      name: LEVEL_NAMES[level],
      address,
      host: physical(walker.entryHostLo[level], walker.entryHostHi[level]),
      value: pair(walker.entryLo[level], walker.entryHi[level]),
      secondLevel: this.#secondLevelPath(address),
    };
  }

  #secondLevelPath(address: number): WalkEntry[] {
    const second = this.#second;
    if (!second.enabled) return [];
    this.#translateSecond(address);
    const path: WalkEntry[] = [];
    for (let level = second.top; level >= second.level; level--) {
      const host = physical(second.entryHostLo[level], second.entryHostHi[level]);
      const value = pair(second.entryLo[level], second.entryHi[level]);
      path.push({ name: `EPT ${LEVEL_NAMES[level]}`, address: host, host, value, secondLevel: [] });
    }
    return path;
  }

  #failure(code: number): string {
    const fault = this.#fault;
    if (code === UNTRANSLATED.NON_CANONICAL) return 'the address is not canonical';
    if (code === UNTRANSLATED.SECOND_LEVEL_FAULT) {
      const kind = fault.misconfiguration ? 'misconfiguration' : 'violation';
      return `EPT ${kind} at guest-physical 0x${fault.guestPhysical.toString(16)}`;
    }
    return fault.errorCode & PAGE_FAULT.RESERVED ? 'a reserved bit is set' : 'not present';
  }
}

function pair(lo: number, hi: number): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}

function physical(lo: number, hi: number): number {
  return hi * TWO_32 + (lo >>> 0);
}
