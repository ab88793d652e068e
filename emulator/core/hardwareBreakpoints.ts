/**
 * The breakpoints of DR0–DR3 on instructions and data: what they ask of the engine and of the MMU, and what becomes of
 * a match. I/O breakpoints are checked by the I/O instructions themselves.
 *
 * Intel SDM Vol. 3B, "Debug Exception (#DB)—Interrupt Vector 1", 19.3.1.
 */
import { OFFSET } from '../state/layout.ts';
import { BLOCKING, FLAG, VECTOR } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import { BREAKPOINT, matchingBreakpoints, pendBreakpoints } from './debugRegisters.ts';

const DR_LOW = OFFSET.DR >> 2;
const DR7_LOW = DR_LOW + 14;
/** L0–L3 and G0–G3 of DR7. */
const ANY_ENABLED = 0xff;
const ADDRESS_WORDS = 8;

export class HardwareBreakpoints {
  /** Linear addresses of the enabled instruction breakpoints. */
  instructions: readonly bigint[] = [];
  readonly #cpu: Cpu;
  /** DR7 and DR0–DR3 as {@link update} saw them last. */
  #dr7 = 0;
  readonly #addresses = new Int32Array(ADDRESS_WORDS);
  /** Data breakpoints that the instruction under way has hit. */
  #hits = 0n;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
    cpu.mmu.watchedPages.onAccess = (address, size, write) => this.#accessed(address, size, write);
  }

  /**
   * Follows the debug registers, whoever changed them: MOV DR, a VM entry or exit, a restored snapshot. Gives whether
   * {@link instructions} may have changed.
   */
  update(): boolean {
    const words = this.#cpu.state.i32;
    const dr7 = words[DR7_LOW];
    if (dr7 === this.#dr7 && ((dr7 & ANY_ENABLED) === 0 || this.#sameAddresses(words))) return false;
    this.#dr7 = dr7;
    this.#addresses.set(words.subarray(DR_LOW, DR_LOW + ADDRESS_WORDS));
    this.instructions = this.#enabled((kind) => kind === BREAKPOINT.EXECUTE);
    this.#cpu.mmu.watchedPages.set(
      this.#enabled((kind) => kind === BREAKPOINT.WRITE || kind === BREAKPOINT.ACCESS),
    );
    return true;
  }

  /**
   * Whether a breakpoint stops the processor before the instruction at a linear address: #DB is then the fault at hand.
   *
   * @see SDM "Instruction-Breakpoint Exception Condition", 19.3.1.1
   */
  faultsAt(linear: bigint): boolean {
    if (this.instructions.length === 0) return false;
    const { state, insideRepeat } = this.#cpu;
    const masked = (state.systemFlags & FLAG.RF) !== 0 || (state.INTERRUPTIBILITY & BLOCKING.MOV_SS) !== 0;
    if (masked || insideRepeat) return false;
    const matches = matchingBreakpoints(state, BREAKPOINT.EXECUTE, linear, 1);
    if (matches === 0n) return false;
    this.#cpu.raise(VECTOR.DB, undefined, matches);
    return true;
  }

  /** The instruction has ended: what it hit is a trap after it. */
  pend(): void {
    if (this.#hits === 0n) return;
    pendBreakpoints(this.#cpu.state, this.#hits);
    this.#hits = 0n;
  }

  /** The instruction did not end, and will be executed again. */
  forget(): void {
    this.#hits = 0n;
  }

  #accessed(address: bigint, size: number, write: boolean): void {
    const { state, mmu } = this.#cpu;
    let hits = matchingBreakpoints(state, BREAKPOINT.ACCESS, address, size);
    if (write) hits |= matchingBreakpoints(state, BREAKPOINT.WRITE, address, size);
    if (hits === 0n) return;
    this.#hits |= hits;
    mmu.requestCut();
  }

  #sameAddresses(words: Int32Array): boolean {
    return this.#addresses.every((word, i) => word === words[DR_LOW + i]);
  }

  #enabled(watches: (kind: number) => boolean): bigint[] {
    const { state } = this.#cpu;
    return [0, 1, 2, 3]
      .filter((n) => ((this.#dr7 >>> (2 * n)) & 3) !== 0 && watches((this.#dr7 >>> (16 + 4 * n)) & 3))
      .map((n) => state.debugRegister(n));
  }
}
