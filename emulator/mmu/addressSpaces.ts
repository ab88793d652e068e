/**
 * Which translations the processor uses at the moment, as the context id in every TLB tag, and what makes cached
 * translations invalid.
 *
 * Intel SDM Vol. 3A, "Invalidation of TLBs and Paging-Structure Caches", 5.10.4; Vol. 3C, "Invalidating Cached
 * Translation Information", 30.4.3.
 */
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET } from '../state/layout.ts';
import { CR0, CR4, EFER, FLAG } from '../state/registers.ts';
import { Contexts, type Space } from './contexts.ts';
import { EPT_FEATURE, type SecondLevelWalker } from './ept.ts';
import { accessClass, modeClass, type PagingControls } from './pagingMode.ts';
import { REQUEST_SMAP, REQUEST_USER } from './rights.ts';
import type { Tlb } from './tlb.ts';
import type { TranslationAudit } from './translationAudit.ts';
import { type PageWalker, UNTRANSLATED } from './walk.ts';

/** What VM entry and VM exit set: whether guest-physical addresses are translated, and by which EPTP. */
export interface SecondLevel {
  enabled: boolean;
  eptpLo: number;
  eptpHi: number;
  /** Bits of `EPT_FEATURE`. */
  features: number;
  /** With `SUB_PAGE_WRITE`: the sub-page-permission-table pointer. */
  subPageTableLo: number;
  subPageTableHi: number;
  /** With `HLAT`: the HLAT pointer and the HLAT prefix size. */
  hlatLo: number;
  hlatHi: number;
  hlatPrefix: number;
}

/** Whoever caches code by linear address. */
export interface CodeTranslations {
  /** Translations of the addresses that share all bits from `shift` up with this one may have changed. */
  pageInvalidated(lo: number, hi: number, shift: number): void;
  /** Context ids start over: whatever is keyed by one is invalid. */
  contextsReused(): void;
}

/** What the processor's state said when translations were chosen, and what was chosen. */
interface Choice {
  cr0: number;
  cr3Lo: number;
  cr3Hi: number;
  cr4: number;
  efer: number;
  vpid: number;
  processor: number;
  enabled: boolean;
  eptpLo: number;
  eptpHi: number;
  features: number;
  space: Space;
  mode: number;
  generation: number;
}

const POINTERS = EPT_FEATURE.SUB_PAGE_WRITE | EPT_FEATURE.HLAT;

/** Tags of cached paging structures, before they are used again. */
const STRUCTURE_TAGS = 1 << 27;

/** Changes of these bits invalidate all translations of the current VPID. */
const FLUSHING_CR0 = CR0.PG;
const FLUSHING_CR4 =
  CR4.PGE | CR4.PCIDE | CR4.PAE | CR4.PSE | CR4.SMEP | CR4.SMAP | CR4.LA57 | CR4.PKE | CR4.PKS;
const FLUSHING_EFER = EFER.NXE | EFER.LMA;

const CR0_LOW = OFFSET.CR0 >> 2;
const CR3_LOW = OFFSET.CR3 >> 2;
const CR4_LOW = OFFSET.CR4 >> 2;
const EFER_LOW = OFFSET.IA32_EFER >> 2;
const RFLAGS = OFFSET.RFLAGS >> 2;
const CPL = OFFSET.CPL >> 2;
const CONTEXT = OFFSET.CONTEXT >> 2;
const CONTEXT_IDS = OFFSET.CONTEXT_IDS >> 2;
const UNUSED_ADDRESS_BITS = OFFSET.UNUSED_ADDRESS_BITS >> 2;

export class AddressSpaces {
  /** Read at each {@link update}. */
  readonly secondLevel: SecondLevel = {
    enabled: false,
    eptpLo: 0,
    eptpHi: 0,
    features: 0,
    subPageTableLo: 0,
    subPageTableHi: 0,
    hlatLo: 0,
    hlatHi: 0,
    hlatPrefix: 0,
  };
  /** The current VPID: 0 in root operation and without "enable VPID". */
  vpid = 0;
  /** The logical processor whose state is loaded: processors share the TLBs and never each other's translations. */
  processor = 0;
  codeTranslations: CodeTranslations | undefined;
  /** Somebody wants to see every change of CPL: generated code must not make any by itself. */
  privilegeIsFollowed = false;

  /** Finds uses of stale translations; nobody unless it is asked for. */
  audit: TranslationAudit<Space> | undefined;

  readonly #words: Int32Array;
  readonly #tlb: Tlb;
  readonly #walker: PageWalker;
  readonly #second: SecondLevelWalker;
  readonly #contexts: Contexts;
  /** What is in force, and what was at last without and with a second level: VM exits and VM entries go to and fro. */
  #choice: Choice;
  readonly #choices: [Choice, Choice];
  /** The tables beside EPT that translations were made with. */
  readonly #tables = new Int32Array(5);
  #stale = true;
  #structureEpoch = 0;
  #nextStructureTag = 1;
  /** Pages that instructions were fetched from, by bits 27:12 of the linear address. */
  readonly #fetched = new Uint8Array(0x1_0000);

  constructor(state: CpuState, tlb: Tlb, walker: PageWalker, second: SecondLevelWalker) {
    this.#words = state.i32;
    this.#tlb = tlb;
    this.#walker = walker;
    this.#second = second;
    this.#contexts = new Contexts(() => {
      tlb.flushAll();
      this.codeTranslations?.contextsReused();
    });
    const space = this.#contexts.space(0, 0, 0, 0);
    this.#choices = [noChoice(space), noChoice(space)];
    this.#choice = this.#choices[0];
    walker.configureFirst = () => this.#configureWalkers();
  }

  /**
   * Makes CONTEXT agree with the processor's state; called after any change of CR0, CR3, CR4, IA32_EFER, CPL,
   * RFLAGS.AC, VPID or EPTP. Does the invalidations that a MOV to CR0 or CR4 implies, and that of a MOV to CR3 with
   * another address. A MOV to CR3 with the same address looks like nothing: it needs {@link flushCurrent}.
   */
  update(): void {
    const words = this.#words;
    const cr4 = words[CR4_LOW];
    const cr0 = words[CR0_LOW];
    if (this.#stale || !this.#fits(this.#choice)) this.#choose();
    words[UNUSED_ADDRESS_BITS] = (cr4 & CR4.LA57) === 0 ? 16 : 7;
    const { space } = this.#choice;
    const mode = this.#choice.mode << 4;
    const writeProtect = (cr0 & CR0.WP) !== 0;
    const smep = (cr4 & CR4.SMEP) !== 0;
    const number =
      mode | accessClass(words[CPL] === 3, this.alignmentChecked, writeProtect, smep, this.#preventsAccess);
    const { ids } = space;
    const id = ids[number];
    words[CONTEXT] = id !== 0 ? id : this.#contexts.allocate(space, number);
    words[CONTEXT + 1] = 0;
    const followed = this.privilegeIsFollowed;
    const smap = (cr4 & CR4.SMAP) !== 0;
    words[CONTEXT_IDS] = followed ? 0 : ids[mode | accessClass(false, false, writeProtect, smep, smap)];
    words[CONTEXT_IDS + 1] = followed ? 0 : ids[mode | accessClass(true, false, writeProtect, smep, smap)];
    this.#tagStructures();
  }

  /** The current privilege as part of a request to the page walk. */
  get request(): number {
    return (this.#words[CPL] === 3 ? REQUEST_USER : 0) | (this.#preventsAccess ? REQUEST_SMAP : 0);
  }

  /**
   * Alignment is checked: at CPL 3 with CR0.AM and RFLAGS.AC. Nothing is cached for this class of accesses, so that all
   * of them take the slow way.
   */
  get alignmentChecked(): boolean {
    const words = this.#words;
    return words[CPL] === 3 && (words[CR0_LOW] & CR0.AM) !== 0 && (words[RFLAGS] & FLAG.AC) !== 0;
  }

  /** SMAP applies to the accesses of a supervisor. */
  get #preventsAccess(): boolean {
    return (this.#words[CR4_LOW] & CR4.SMAP) !== 0 && (this.#words[RFLAGS] & FLAG.AC) === 0;
  }

  /**
   * VM entry (the guest's VPID and EPTP, 0 and undefined without) and VM exit (0 and undefined), after the control
   * registers are loaded. Without VPIDs both invalidate everything of VPID 0.
   *
   * @see SDM "Operations that Invalidate Cached Mappings", 30.4.3.1
   */
  switchTo(vpid: number, eptp: bigint | undefined): void {
    if (vpid === 0 && this.vpid === 0) this.#invalidate((space) => space.vpid === 0 && this.#isOwn(space));
    this.vpid = vpid;
    this.secondLevel.enabled = eptp !== undefined;
    this.secondLevel.eptpLo = Number(BigInt.asIntN(32, eptp ?? 0n));
    this.secondLevel.eptpHi = Number(BigInt.asIntN(32, (eptp ?? 0n) >> 32n));
    this.update();
  }

  // Invalidation. More than the manual asks for may go, never less.

  /**
   * INVLPG, and INVPCID and INVVPID for one address: the page goes from every context. Gives whether code may have been
   * fetched from it.
   */
  invalidatePage(lo: number, hi: number, vpid = this.vpid): boolean {
    // Cached paging structures go whatever the address.
    this.#structureEpoch++;
    this.#tagStructures();
    const hasCode = this.#drop(lo, hi);
    if (this.audit !== undefined) this.#auditInvalidation(this.audit, pageOf(lo, hi), vpid);
    return hasCode;
  }

  #auditInvalidation(audit: TranslationAudit<Space>, page: number, vpid: number): void {
    audit.forgetAddress((space) => space.vpid === vpid && this.#isOwn(space), page);
  }

  #drop(lo: number, hi: number): boolean {
    const shift = this.#tlb.dropPage(lo, hi);
    if (shift === 12 && this.#fetched[(lo >>> 12) & 0xffff] === 0) return false;
    this.codeTranslations?.pageInvalidated(lo, hi, shift);
    return true;
  }

  /** The current PCID of the current VPID. */
  flushCurrent(): void {
    const current = this.#choice.space;
    this.#invalidate((space) => space === current);
    this.update();
  }

  /** One PCID of the current VPID, as single-context INVPCID and a MOV to CR3 of another PCID do. */
  flushPcid(pcid: number): void {
    const { vpid } = this;
    this.#retire((space) => space.vpid === vpid && space.pcid === pcid);
  }

  /** All PCIDs of a VPID: INVVPID, and with the current VPID the all-context forms of INVPCID. */
  flushVpid(vpid: number): void {
    this.#retire((space) => space.vpid === vpid);
  }

  /** All-context INVVPID: every VPID but 0. */
  flushVpids(): void {
    this.#retire((space) => space.vpid !== 0);
  }

  /** INVEPT: single-context, or all-context without `eptp`. */
  invalidateEpt(eptp?: bigint): void {
    const roots = this.#contexts.invalidateEpt(eptp);
    this.audit?.forgetRoots((ept) => roots.has(ept));
    this.#stale = true;
    this.update();
  }

  /** Every translation of a linear address: what protection keys permit has changed. */
  flushLinear(): void {
    this.#retire(() => true);
  }

  /** Everything of every processor, guest-physical mappings included. */
  flushEverything(): void {
    this.#invalidate(() => true);
    this.invalidateEpt();
  }

  /** Whatever is cached is looked up anew, which is no invalidation of what a processor would have cached. */
  forgetCached(): void {
    this.#retireIds(() => true);
    this.#contexts.invalidateEpt();
    this.#structureEpoch++;
    this.#stale = true;
    this.update();
  }

  /** A walk has ended, for whoever audits: at a host-physical address or with a failure. */
  auditWalk(audit: TranslationAudit<Space>, lo: number, hi: number, request: number, host: number): void {
    const walker = this.#walker;
    const tag = this.#choice.space;
    const linearPage = pageOf(lo, hi);
    const asked = (request & 15) | ((this.#words[CR0_LOW] & CR0.WP) !== 0 ? 16 : 0);
    if (host >= 0) {
      const guestPage = Math.floor(walker.guestPhysical / 4096);
      const hostPage = Math.floor(host / 4096);
      audit.translated({ tag, linearPage, request: asked, guestPage, hostPage, shift: walker.pageShift });
    } else if (host === UNTRANSLATED.PAGE_FAULT) audit.pageFault(tag, linearPage, asked);
    else if (
      host === UNTRANSLATED.SECOND_LEVEL_FAULT &&
      (this.#choice.features & EPT_FEATURE.SUB_PAGE_WRITE) === 0
    ) {
      const { kind, guestPhysical, qualification } = walker.fault.secondLevel;
      // A misconfigured entry gave every access once.
      if (kind === 'violation' || kind === 'misconfiguration')
        audit.eptFault(tag, linearPage, Math.floor(guestPhysical / 4096), qualification);
    }
  }

  /**
   * A translation failed: what is cached for the address is forgotten.
   *
   * @see SDM "Page-Fault Exceptions" in "Operations that Invalidate TLBs and Paging-Structure Caches", 5.10.4.1
   */
  failed(code: number, lo: number, hi: number): void {
    if (code === UNTRANSLATED.NON_CANONICAL) return;
    this.#walker.structures.forget(lo, hi);
    this.#drop(lo, hi);
  }

  /** Instructions are fetched from a page of `1 << shift` bytes. */
  noteFetch(lo: number, hi: number, shift: number): void {
    this.#fetched[(lo >>> 12) & 0xffff] = 1;
    if (shift !== 12) this.#tlb.noteLargePage(lo, hi, shift);
  }

  /** Gives the walker the tag of the current space and mode, a new one after an invalidation. */
  #tagStructures(): void {
    const { space, mode } = this.#choice;
    const { structures } = this.#walker;
    if (this.#nextStructureTag === STRUCTURE_TAGS) {
      structures.clear();
      this.#nextStructureTag = 1;
      this.#structureEpoch++;
    }
    if (space.structureTag === 0 || space.structureEpoch !== this.#structureEpoch) {
      space.structureTag = this.#nextStructureTag++;
      space.structureEpoch = this.#structureEpoch;
    }
    structures.tag = (space.structureTag << 4) | mode;
  }

  #isOwn(space: Space): boolean {
    return space.processor === this.processor;
  }

  #retire(chosen: (space: Space) => boolean): void {
    this.#invalidate((space) => this.#isOwn(space) && chosen(space));
    this.update();
  }

  /** Until the next {@link update} nothing is known of the ids at the other privilege level. */
  #retireIds(chosen: (space: Space) => boolean): void {
    this.#words[CONTEXT_IDS] = 0;
    this.#words[CONTEXT_IDS + 1] = 0;
    this.#contexts.retire(chosen);
  }

  #invalidate(chosen: (space: Space) => boolean): void {
    this.#retireIds(chosen);
    this.audit?.forgetSpaces(chosen);
  }

  /** Whether the processor's state is still what a choice was made from. */
  #fits(choice: Choice): boolean {
    const words = this.#words;
    const { secondLevel } = this;
    return (
      words[CR3_LOW] === choice.cr3Lo &&
      words[CR3_LOW + 1] === choice.cr3Hi &&
      words[CR0_LOW] === choice.cr0 &&
      words[CR4_LOW] === choice.cr4 &&
      words[EFER_LOW] === choice.efer &&
      this.vpid === choice.vpid &&
      this.processor === choice.processor &&
      secondLevel.enabled === choice.enabled &&
      secondLevel.eptpLo === choice.eptpLo &&
      secondLevel.eptpHi === choice.eptpHi &&
      secondLevel.features === choice.features &&
      ((secondLevel.features & POINTERS) === 0 || !this.#tablesChanged())
    );
  }

  #choose(): void {
    const next = this.#choices[this.secondLevel.enabled ? 1 : 0];
    this.#walker.isConfigured = false;
    // The other one is as it was left: nothing is invalidated.
    if (this.#stale || next === this.#choice || !this.#fits(next)) this.#chooseAnew(next);
    this.#choice = next;
  }

  /** Fills `next` from the state, and invalidates what the difference to the choice in force invalidates. */
  #chooseAnew(next: Choice): void {
    const words = this.#words;
    const { secondLevel, vpid, processor } = this;
    const last = this.#choice;
    const controls = { cr0: words[CR0_LOW], cr4: words[CR4_LOW], efer: words[EFER_LOW] };
    const cr3Lo = words[CR3_LOW];
    const cr3Hi = words[CR3_LOW + 1];
    const sameRoot =
      secondLevel.enabled === last.enabled &&
      (!secondLevel.enabled ||
        (secondLevel.eptpLo === last.eptpLo &&
          secondLevel.eptpHi === last.eptpHi &&
          secondLevel.features === last.features));
    if (sameRoot && vpid === last.vpid && processor === last.processor && flushes(controls, last)) {
      this.#invalidate((space) => space.vpid === vpid && this.#isOwn(space));
    }

    let ept = 0;
    let generation = 0;
    if (secondLevel.enabled) {
      const root = this.#contexts.eptRoot(secondLevel.eptpLo, secondLevel.eptpHi, secondLevel.features);
      ept = root.index;
      generation = root.generation;
      if (this.#tablesChanged()) {
        this.#rememberTables();
        this.#retireIds((space) => space.ept === ept);
      }
    }
    const pcid = (controls.cr4 & CR4.PCIDE) !== 0 && (controls.efer & EFER.LMA) !== 0 ? cr3Lo & 0xfff : 0;
    const space = this.#contexts.space(processor, vpid, ept, pcid);
    const moved = ((cr3Lo ^ last.cr3Lo) & ~0xfff) !== 0 || cr3Hi !== last.cr3Hi;
    if (space === last.space && moved) this.#invalidate((other) => other === space);

    next.cr0 = controls.cr0;
    next.cr3Lo = cr3Lo;
    next.cr3Hi = cr3Hi;
    next.cr4 = controls.cr4;
    next.efer = controls.efer;
    next.vpid = vpid;
    next.processor = processor;
    next.enabled = secondLevel.enabled;
    next.eptpLo = secondLevel.eptpLo;
    next.eptpHi = secondLevel.eptpHi;
    next.features = secondLevel.features;
    next.space = space;
    next.mode = modeClass(controls);
    next.generation = generation;
    // What INVEPT made stale is not to be found again.
    if (this.#stale) this.#choices[next.enabled ? 0 : 1].processor = NOBODY;
    this.#stale = false;
  }

  /** Asked for by the next walk: many VM exits are over before there is one. */
  #configureWalkers(): void {
    const { enabled, eptpLo, eptpHi, generation, features, cr0, cr4, efer, cr3Lo, cr3Hi } = this.#choice;
    const { secondLevel } = this;
    this.#second.configure(enabled, eptpLo, eptpHi, generation, features);
    this.#second.setSubPageTable(secondLevel.subPageTableLo, secondLevel.subPageTableHi);
    this.#walker.configure({ cr0, cr4, efer }, cr3Lo, cr3Hi);
    const hlat = enabled && (features & EPT_FEATURE.HLAT) !== 0;
    this.#walker.configureHlat(hlat, secondLevel.hlatLo, secondLevel.hlatHi, secondLevel.hlatPrefix);
  }

  #tablesChanged(): boolean {
    const { subPageTableLo, subPageTableHi, hlatLo, hlatHi, hlatPrefix } = this.secondLevel;
    const tables = this.#tables;
    return (
      tables[0] !== subPageTableLo ||
      tables[1] !== subPageTableHi ||
      tables[2] !== hlatLo ||
      tables[3] !== hlatHi ||
      tables[4] !== hlatPrefix
    );
  }

  #rememberTables(): void {
    const { subPageTableLo, subPageTableHi, hlatLo, hlatHi, hlatPrefix } = this.secondLevel;
    this.#tables.set([subPageTableLo, subPageTableHi, hlatLo, hlatHi, hlatPrefix]);
  }
}

/** No processor has this number. */
const NOBODY = -1;

function noChoice(space: Space): Choice {
  return {
    cr0: 0,
    cr3Lo: 0,
    cr3Hi: 0,
    cr4: 0,
    efer: 0,
    vpid: 0,
    processor: NOBODY,
    enabled: false,
    eptpLo: 0,
    eptpHi: 0,
    features: 0,
    space,
    mode: 0,
    generation: 0,
  };
}

/** Whether going from a choice to these registers invalidates all translations of the VPID. */
function flushes({ cr0, cr4, efer }: PagingControls, last: Choice): boolean {
  return (
    ((cr0 ^ last.cr0) & FLUSHING_CR0) !== 0 ||
    ((cr4 ^ last.cr4) & FLUSHING_CR4) !== 0 ||
    ((efer ^ last.efer) & FLUSHING_EFER) !== 0
  );
}

/** Number of the 4-KByte page of a linear address. */
function pageOf(lo: number, hi: number): number {
  return (hi >>> 0) * 0x10_0000 + (lo >>> 12);
}
