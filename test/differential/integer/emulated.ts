/** Runs cases on our processor, in the interpreter or with forced translation: CPL 3, and the layout's memory alone. */
import { FEATURES } from '../../../emulator/core/features.ts';
import { writeRflags } from '../../../emulator/state/flags.ts';
import { CPU_FIELDS, RAM_OFFSET } from '../../../emulator/state/layout.ts';
import { ACTIVITY, CR4, CS, FLAG, GS, RSP, SS, TR } from '../../../emulator/state/registers.ts';
import type { BareProcessor } from '../../support/bareProcessor.ts';
import { bareProcessor } from '../../support/bareProcessor.ts';
import type { Case, Poke, Result } from './batch.ts';
import { FLAGS } from './batch.ts';
import { CODE, CODE_SIZE, contentOf, GS_BASE, PAGE, PAGES } from './layout.ts';
import { loadVectors, storedVectors } from './vectors.ts';

/** Physical addresses. The program's pages lie at their linear addresses; the rest is mapped at {@link SYSTEM} alone. */
const PML4 = 0x1000;
const LOW_TABLES = [0x1_0000, 0x1_1000] as const;
const SYSTEM_PDPT = 0x1_2000;
const SYSTEM_DIRECTORY = 0x1_3000;
const DIRECTORY = 0x3000;
const IDT = 0x40_0000;
const GDT = 0x40_1000;
const TSS = 0x40_2000;
const HANDLERS = 0x40_3000;
const STACK = 0x40_8000;
/** Linear address of physical 0, for the supervisor. */
const SYSTEM = 0xffff_8000_0000_0000n;
const PRESENT = 1n;
const WRITABLE = 2n;
const USER = 4n;
const LARGE = 0x80n;
const NO_EXECUTE = 1n << 63n;
const HLT = 0xf4;
/** Vectors that push an error code. */
const WITH_ERROR_CODE = new Set([8, 10, 11, 12, 13, 14, 17, 21]);
const PAGE_FAULT = 14;

const ARCHITECTURAL = CPU_FIELDS.filter(({ kind }) => kind === 'arch');
const STATE_START = Math.min(...ARCHITECTURAL.map(({ offset }) => offset));
const STATE_END = Math.max(...ARCHITECTURAL.map(({ offset, width, count }) => offset + width * count));

export class EmulatedProcessor {
  readonly processor: BareProcessor;
  readonly #initial: Uint8Array;
  readonly #pages = PAGES.filter(({ access }) => access === 'write').map((page) => ({
    address: page.address,
    content: contentOf(page),
  }));

  constructor(code: Uint8Array, forceTranslation: boolean) {
    this.processor = bareProcessor({ forceTranslation, features: new Set(FEATURES.map(({ key }) => key)) });
    this.#map(code);
    this.#prepareSystem();
    this.#initial = this.processor.state.u8.slice(STATE_START, STATE_END);
  }

  /** Regions translated so far. */
  get translations(): number {
    return this.processor.engine.translations;
  }

  run({ mode, rip, rflags, gpr, pokes, vectors }: Case): Result {
    const { state, physical, cpu, engine } = this.processor;
    state.u8.set(this.#initial, STATE_START);
    state.setSegmentSelector(CS, mode === 64 ? 0x33 : 0x23);
    state.setSegmentAccessRights(CS, mode === 64 ? 0xa0fb : 0xc0fb);
    for (let r = 0; r < 16; r++) state.setGpr(r, gpr[r] as bigint);
    writeRflags(state, rflags | FLAG.IF);
    if (vectors) loadVectors(state, vectors);
    state.RIP = rip;
    cpu.mmu.updateContext();
    for (const { address, bytes } of pokes) physical.copyIn(Number(address), bytes);
    for (let activations = 0; engine.run(100_000) !== 'inactive'; activations++) {
      if (activations === 10) throw new Error('the instruction does not end');
    }
    return vectors ? { ...this.#result(), vectors: storedVectors(state) } : this.#result();
  }

  #result(): Result {
    const { state, physical } = this.processor;
    const vector = (Number(state.RIP & 0xffffn) - 1 - (HANDLERS & 0xffff)) / 16;
    const withCode = WITH_ERROR_CODE.has(vector);
    const frame = Number(state.gpr(RSP) - SYSTEM);
    const at = (index: number) => physical.read64(frame + 8 * (index + (withCode ? 1 : 0)));
    const flags = Number(at(2) & 0xffff_ffffn);
    const gpr = Array.from({ length: 16 }, (_, r) => (r === RSP ? at(3) : state.gpr(r)));
    return {
      vector,
      errorCode: withCode ? physical.read64(frame) : 0n,
      cr2: vector === PAGE_FAULT ? state.CR2 : 0n,
      rip: at(0),
      rflags: flags & FLAGS,
      gpr,
      changes: this.#changes(),
    };
  }

  /** Finds what differs from the initial content, as native.c does, and puts it back. */
  #changes(): Poke[] {
    const { state, physical } = this.processor;
    const changes: Poke[] = [];
    for (const { address, content } of this.#pages) {
      const now = state.u8.subarray(RAM_OFFSET + address, RAM_OFFSET + address + PAGE);
      if (Buffer.compare(now, content) === 0) continue;
      for (let i = 0; i < PAGE; i++) {
        if (now[i] === content[i]) continue;
        let end = i + 1;
        for (let j = end; j < PAGE && j < end + 8; j++) if (now[j] !== content[j]) end = j + 1;
        changes.push({ address: BigInt(address + i), bytes: now.slice(i, end) });
        physical.copyIn(address + i, content.subarray(i, end));
        i = end;
      }
    }
    return changes;
  }

  #map(code: Uint8Array): void {
    const { physical } = this.processor;
    for (let i = 0; i < 512; i++) physical.write64(DIRECTORY + 8 * i, 0n);
    LOW_TABLES.forEach((table, i) => {
      physical.write64(DIRECTORY + 8 * i, BigInt(table) | PRESENT | WRITABLE | USER);
    });
    const map = (address: number, flags: bigint) => {
      const table = LOW_TABLES[address >> 21] as number;
      physical.write64(table + 8 * ((address >> 12) & 511), BigInt(address) | PRESENT | USER | flags);
    };
    for (let address = CODE; address < CODE + CODE_SIZE; address += PAGE) map(address, 0n);
    physical.copyIn(CODE, code);
    for (const page of PAGES) {
      if (page.access === 'none') continue;
      map(page.address, NO_EXECUTE | (page.access === 'write' ? WRITABLE : 0n));
      physical.copyIn(page.address, contentOf(page));
    }
    physical.write64(PML4 + 8 * 256, BigInt(SYSTEM_PDPT) | PRESENT | WRITABLE);
    physical.write64(SYSTEM_PDPT, BigInt(SYSTEM_DIRECTORY) | PRESENT | WRITABLE);
    for (let i = 0; i < 8; i++)
      physical.write64(SYSTEM_DIRECTORY + 8 * i, BigInt(i * 0x20_0000) | PRESENT | WRITABLE | LARGE);
  }

  /** An interrupt gate for every exception, to a HLT of its own; INT3 and INTO may come from CPL 3. */
  #prepareSystem(): void {
    const { state, physical } = this.processor;
    for (let vector = 0; vector < 32; vector++) {
      const handler = SYSTEM + BigInt(HANDLERS + 16 * vector);
      const low = handler & 0xffffn;
      const middle = (handler >> 16n) & 0xffffn;
      const type = vector === 3 || vector === 4 ? 0xeen : 0x8en;
      physical.write64(IDT + 16 * vector, low | (0x10n << 16n) | (type << 40n) | (middle << 48n));
      physical.write64(IDT + 16 * vector + 8, handler >> 32n);
      physical.copyIn(HANDLERS + 16 * vector, new Uint8Array([HLT]));
    }
    physical.write64(GDT + 0x10, 0x00af_9b00_0000_ffffn);
    physical.write64(TSS + 4, SYSTEM + BigInt(STACK));
    state.CR4 |= BigInt(CR4.OSFXSR | CR4.OSXMMEXCPT | CR4.OSXSAVE);
    state.CR0 |= 0x20n;
    state.XCR0 = 7n;
    state.IA32_EFER = 0xd01n;
    state.GDTR_BASE = SYSTEM + BigInt(GDT);
    state.GDTR_LIMIT = 0xff;
    state.IDTR_BASE = SYSTEM + BigInt(IDT);
    state.IDTR_LIMIT = 0x1ff;
    state.setSegmentBase(TR, SYSTEM + BigInt(TSS));
    state.setSegmentLimit(TR, 0x67);
    state.setSegmentBase(GS, GS_BASE);
    for (let segment = 0; segment < 6; segment++) {
      if (segment === CS) continue;
      state.setSegmentSelector(segment, segment === SS ? 0x2b : 0);
      state.setSegmentAccessRights(segment, 0xc0f3);
    }
    state.CPL = 3;
    state.ACTIVITY_STATE = ACTIVITY.ACTIVE;
  }
}
