/**
 * The performance-monitoring counters. A counter that counts is not touched by the instructions it counts: its value is
 * what it was when the counters were last settled, plus what has happened since. They are settled when their setting
 * changes, at a change of CPL that one of them looks at, when the processor halts or wakes, and at an overflow.
 *
 * Instructions, core cycles and reference cycles can be counted exactly; CPUID says that the other architectural events are not
 * available. DEVIATION(events-of-models): events outside the architectural ones do not occur.
 *
 * Intel SDM Vol. 3B, "Architectural Performance Monitoring", 21.2.
 */
import type { Alarm } from '../base/clock.ts';
import { Unimplemented } from '../base/errors.ts';
import { OFFSET } from '../state/layout.ts';
import { ACTIVITY } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import { DEBUGCTL } from './debugRegisters.ts';

/** Fixed counters: instructions, core cycles, reference cycles. */
export const FIXED_COUNTERS = 3;
export const MAX_COUNTERS = 8;
export const COUNTER_BITS = 48;
const COUNTER_LIMIT = 2 ** COUNTER_BITS;
const TWO_32 = 0x1_0000_0000;
/** Where the fixed counters' bits begin in the global registers. */
const FIXED_SHIFT = 32n;

/** @see SDM "Architectural Performance Monitoring Version 1 Facilities", 21.2.1.1 */
const SELECT = { USR: 1 << 16, OS: 1 << 17, EDGE: 1 << 18, INT: 1 << 20, EN: 1 << 22, INV: 1 << 23 } as const;
const SELECT_EVENT = 0xffff;
const CMASK_SHIFT = 24;
/** Event and unit mask. */
const CORE_CYCLES = 0x003c;
const REFERENCE_CYCLES = 0x013c;
const INSTRUCTIONS_RETIRED = 0x00c0;

/** @see SDM "Architectural Performance Monitoring Version 2", 21.2.2: four bits for each fixed counter */
const FIXED = { OS: 1, USR: 2, PMI: 8, BITS: 4 } as const;

/** IA32_PERF_GLOBAL_STATUS: all counters are frozen. @see SDM "Architectural Performance Monitoring Version 4", 21.2.4 */
export const CTR_FRZ = 1n << 59n;
/** The same: last-branch records are frozen. */
export const LBR_FRZ = 1n << 58n;

/** What a counter counts. The last: ticks in which no instruction was retired. */
type Counted = 'nothing' | 'instructions' | 'cycles' | 'idle cycles';

interface Counter {
  /** Of the state, as words of 32 bits. */
  readonly word: number;
  readonly counted: Counted;
  readonly os: boolean;
  readonly usr: boolean;
  readonly interrupts: boolean;
  /** Its bit in the global registers. */
  readonly bit: bigint;
}

/** By whom the ticks until the next settlement are spent; none is counted while the processor is inactive. */
const CLASS = { SUPERVISOR: 0, USER: 1, INACTIVE: 2 } as const;

/** What the machine connects the counters to. */
interface PerformanceConnections {
  readonly alarm: Alarm;
  /** Instructions and iterations retired. */
  readonly position: () => number;
  /** The performance-counter entry of the local vector table. */
  readonly interrupt: () => void;
}

/** @see SDM "Architectural Performance Monitoring Version 1 Facilities", 21.2.1.1, on CMASK, INV and E */
function selectedEvent(select: number): Counted {
  const event = select & SELECT_EVENT;
  let counted: Counted = 'nothing';
  if (event === INSTRUCTIONS_RETIRED) counted = 'instructions';
  else if (event === CORE_CYCLES || event === REFERENCE_CYCLES) counted = 'cycles';
  if (counted === 'nothing') return counted;
  if (select & SELECT.EDGE) throw new Unimplemented('edge detection of a performance-monitoring event');
  const cmask = select >>> CMASK_SHIFT;
  if (cmask === 0) return counted;
  // In a cycle an event occurs once or not at all.
  const inverted = (select & SELECT.INV) !== 0;
  if (cmask > 1) return inverted ? 'cycles' : 'nothing';
  if (!inverted) return counted;
  return counted === 'cycles' ? 'nothing' : 'idle cycles';
}

export class PerformanceMonitoring {
  /** Whether a counter is enabled: the engine calls {@link follow} then. */
  counting = false;
  readonly #cpu: Cpu;
  #connections: PerformanceConnections | undefined;
  /** The counters that are enabled. */
  #counters: readonly Counter[] = [];
  /** One of them counts at some privilege levels only. */
  #looksAtCpl = false;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
  }

  connect(connections: PerformanceConnections): void {
    this.#connections = connections;
  }

  /** Counters besides the fixed ones. */
  get counters(): number {
    return this.#cpu.has('PERFMON') ? this.#cpu.model.performanceMonitoring.counters : 0;
  }

  /** Bits of IA32_PERF_GLOBAL_CTRL that are not reserved. */
  get enableBits(): bigint {
    if (!this.#cpu.has('PERFMON')) return 0n;
    return ((1n << BigInt(this.counters)) - 1n) | (((1n << BigInt(FIXED_COUNTERS)) - 1n) << FIXED_SHIFT);
  }

  /** IA32_PMCn, as it is now. */
  counter(n: number): number {
    return this.#value((OFFSET.IA32_PMC >> 2) + 2 * n);
  }

  fixedCounter(n: number): number {
    return this.#value((OFFSET.IA32_FIXED_CTR >> 2) + 2 * n);
  }

  /** Settles the counters, changes what `change` changes and counts on by the new setting. */
  set(change: () => void): void {
    this.#settle();
    change();
    this.#readSetting();
    this.#cpu.state.PERFMON_CLASS = this.#class();
    this.#arm();
  }

  /** The whole state has changed: after reset and when a snapshot is restored. */
  restored(): void {
    this.#readSetting();
    this.#arm();
  }

  /** At an instruction boundary: CPL or activity state may have changed. Gives whether the alarm may be another. */
  follow(): boolean {
    const { state } = this.#cpu;
    const next = this.#class();
    if (next === state.PERFMON_CLASS) return false;
    this.#settle();
    state.PERFMON_CLASS = next;
    this.#arm();
    return true;
  }

  /** A counter may have come to its limit. */
  ring(): void {
    this.#settle();
    this.#arm();
  }

  #readSetting(): void {
    const counters = this.#enabledCounters();
    this.#counters = counters;
    this.counting = counters.length > 0;
    this.#looksAtCpl = counters.some(({ os, usr }) => os !== usr);
    this.#cpu.mmu.spaces.privilegeIsFollowed = this.#looksAtCpl;
    this.#cpu.mmu.updateContext();
  }

  #class(): number {
    const { state } = this.#cpu;
    if (state.ACTIVITY_STATE !== ACTIVITY.ACTIVE) return CLASS.INACTIVE;
    return this.#looksAtCpl && state.CPL > 0 ? CLASS.USER : CLASS.SUPERVISOR;
  }

  #enabledCounters(): Counter[] {
    const { state } = this.#cpu;
    const enabled = state.IA32_PERF_GLOBAL_CTRL & this.enableBits;
    if (enabled === 0n || (state.IA32_PERF_GLOBAL_STATUS & CTR_FRZ) !== 0n) return [];
    const counters: Counter[] = [];
    for (let n = 0; n < this.counters; n++) {
      const select = state.i32[(OFFSET.IA32_PERFEVTSEL >> 2) + 2 * n];
      const bit = 1n << BigInt(n);
      if ((enabled & bit) === 0n || (select & SELECT.EN) === 0) continue;
      counters.push({
        word: (OFFSET.IA32_PMC >> 2) + 2 * n,
        counted: selectedEvent(select),
        os: (select & SELECT.OS) !== 0,
        usr: (select & SELECT.USR) !== 0,
        interrupts: (select & SELECT.INT) !== 0,
        bit,
      });
    }
    const control = Number(state.IA32_FIXED_CTR_CTRL);
    for (let n = 0; n < FIXED_COUNTERS; n++) {
      const setting = control >>> (FIXED.BITS * n);
      const bit = 1n << (FIXED_SHIFT + BigInt(n));
      if ((enabled & bit) === 0n) continue;
      counters.push({
        word: (OFFSET.IA32_FIXED_CTR >> 2) + 2 * n,
        counted: n === 0 ? 'instructions' : 'cycles',
        os: (setting & FIXED.OS) !== 0,
        usr: (setting & FIXED.USR) !== 0,
        interrupts: (setting & FIXED.PMI) !== 0,
        bit,
      });
    }
    return counters.filter(({ counted, os, usr }) => counted !== 'nothing' && (os || usr));
  }

  /** Instructions retired since power-on: iterations of repeated string instructions but the last are none. */
  #instructions(): number {
    const position = this.#connections?.position() ?? this.#cpu.clock.now();
    return position - this.#read(OFFSET.REPETITIONS >> 2);
  }

  #counts({ os, usr }: Counter): boolean {
    const { PERFMON_CLASS } = this.#cpu.state;
    if (PERFMON_CLASS === CLASS.INACTIVE) return false;
    return PERFMON_CLASS === CLASS.USER ? usr : os || !this.#looksAtCpl;
  }

  /** What a counter has counted since the last settlement. */
  #since(counter: Counter, instructions: number, now: number): number {
    if (!this.#counts(counter)) return 0;
    const retired = instructions - this.#read(OFFSET.PERFMON_INSTRUCTIONS >> 2);
    const ticks = now - this.#read(OFFSET.PERFMON_TICK >> 2);
    if (counter.counted === 'cycles') return ticks;
    return counter.counted === 'instructions' ? retired : ticks - retired;
  }

  #value(word: number): number {
    const counter = this.#counters.find((enabled) => enabled.word === word);
    const stored = this.#read(word);
    if (counter === undefined) return stored;
    return (stored + this.#since(counter, this.#instructions(), this.#cpu.clock.now())) % COUNTER_LIMIT;
  }

  #settle(): void {
    const instructions = this.#instructions();
    const now = this.#cpu.clock.now();
    let overflowed = 0n;
    let interrupts = false;
    for (const counter of this.#counters) {
      const value = this.#read(counter.word) + this.#since(counter, instructions, now);
      this.#write(counter.word, value % COUNTER_LIMIT);
      if (value < COUNTER_LIMIT) continue;
      overflowed |= counter.bit;
      interrupts ||= counter.interrupts;
    }
    this.#write(OFFSET.PERFMON_INSTRUCTIONS >> 2, instructions);
    this.#write(OFFSET.PERFMON_TICK >> 2, now);
    if (overflowed !== 0n) this.#overflow(overflowed, interrupts);
  }

  /** @see SDM "Architectural Performance Monitoring Version 4", 21.2.4, on streamlined freezing */
  #overflow(counters: bigint, interrupts: boolean): void {
    const { state } = this.#cpu;
    state.IA32_PERF_GLOBAL_STATUS |= counters;
    if (!interrupts) return;
    if ((state.IA32_DEBUGCTL & DEBUGCTL.FREEZE_LBRS_ON_PMI) !== 0n) state.IA32_PERF_GLOBAL_STATUS |= LBR_FRZ;
    if ((state.IA32_DEBUGCTL & DEBUGCTL.FREEZE_PERFMON_ON_PMI) !== 0n) {
      state.IA32_PERF_GLOBAL_STATUS |= CTR_FRZ;
      this.#readSetting();
    }
    this.#connections?.interrupt();
  }

  /** An event occurs at most once in a tick, so no counter comes to its limit before its alarm. */
  #arm(): void {
    const alarm = this.#connections?.alarm;
    if (alarm === undefined) return;
    let ticks = Number.POSITIVE_INFINITY;
    for (const counter of this.#counters)
      if (this.#counts(counter)) ticks = Math.min(ticks, COUNTER_LIMIT - this.#read(counter.word));
    if (ticks === Number.POSITIVE_INFINITY) alarm.disarm();
    else alarm.arm(this.#read(OFFSET.PERFMON_TICK >> 2) + ticks);
  }

  #read(word: number): number {
    const { u32 } = this.#cpu.state;
    return u32[word] + u32[word + 1] * TWO_32;
  }

  #write(word: number, value: number): void {
    const { u32 } = this.#cpu.state;
    u32[word] = value;
    u32[word + 1] = Math.floor(value / TWO_32);
  }
}
