/**
 * The local APIC as a register model: xAPIC registers in memory, x2APIC registers as MSRs, local vector table, timer,
 * interprocessor interrupts and the priority logic between them. It serves as the processor's own APIC and as the
 * virtual APIC of a guest; what it is connected to comes through the configuration.
 *
 * @see SDM "Advanced Programmable Interrupt Controller (APIC)", chapter 11
 */
import type { Clock } from '../base/clock.ts';
import { floatingBus } from '../base/ports.ts';
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import {
  APIC_BASE_ENABLE,
  APIC_BASE_X2APIC,
  BROADCAST,
  DELIVERY_MODE,
  DFR_CLUSTER,
  ESR,
  IA32_TSC_DEADLINE,
  ICR,
  ICR_BITS,
  LOWEST_VECTOR,
  LVT,
  LVT_BITS,
  LVT_OFFSETS,
  LVT_TIMER_MODE_SHIFT,
  REGISTER,
  SHORTHANDS,
  SVR_BITS,
  SVR_ENABLE,
  TIMER_MODES,
  VERSION_VALUE,
  X2APIC_FIRST_MSR,
  X2APIC_LAST_MSR,
  X2APIC_READ_ONLY,
  X2APIC_WRITABLE_BITS,
  X2APIC_WRITE_ONLY,
  XAPIC_BROADCAST,
} from './localApicRegisters.ts';
import { LocalApicTimer, type TimerMode, type TscClock } from './localApicTimer.ts';
import { VectorSet } from './localApicVectors.ts';

/** A message on the way to one or several local APICs. */
export interface ApicMessage {
  /** An APIC ID or a logical destination; {@link BROADCAST} means all. Not used with a shorthand. */
  readonly destination: number;
  readonly destinationMode: 'physical' | 'logical';
  readonly shorthand: (typeof SHORTHANDS)[number];
  /** A value of {@link DELIVERY_MODE}. */
  readonly deliveryMode: number;
  readonly vector: number;
  readonly trigger: 'edge' | 'level';
}

/** What a local APIC does to its processor besides interrupting it. */
export interface ProcessorSignals {
  nmi(): void;
  init(): void;
  /** A start-up IPI; execution begins at `vector` × 4096. */
  startUp(vector: number): void;
  smi(): void;
  /** An interrupt may now be deliverable: {@link LocalApic.hasInterrupt} has become true. */
  interruptPending(): void;
}

export interface LocalApicConfig {
  readonly id: number;
  readonly clock: Clock;
  /** Frequency of the APIC timer before division. */
  readonly timerHertz: number;
  readonly tsc: TscClock;
  readonly signals: ProcessorSignals;
  /** Sends an IPI that concerns other processors too; the receiver may be this one as well. */
  readonly send: (message: ApicMessage) => void;
  /** A level-triggered interrupt has ended: to be told to the I/O APICs. */
  readonly broadcastEoi: (vector: number) => void;
  /** The interrupt-acknowledge cycles to the 8259s, for ExtINT. */
  readonly acknowledgeExternal: () => number;
}

function initialRegisters() {
  return {
    tpr: 0,
    /** Logical destination, xAPIC only. */
    ldr: 0,
    dfr: 0xffff_ffff,
    svr: 0xff,
    esr: 0,
    /** Errors since ESR was last written. */
    errors: 0,
    icrLow: 0,
    icrHigh: 0,
  };
}

type Mode = 'disabled' | 'xapic' | 'x2apic';

export class LocalApic {
  readonly id: number;
  readonly #config: LocalApicConfig;
  readonly #timer: LocalApicTimer;
  readonly #irr = new VectorSet();
  readonly #isr = new VectorSet();
  readonly #tmr = new VectorSet();
  #registers = initialRegisters();
  readonly #lvt = new Map<number, number>();
  #mode: Mode = 'xapic';
  /** Levels of the LINT0 and LINT1 pins. */
  readonly #lint = [false, false];
  /** The vector that goes to the processor next, -1 for none. */
  #pending = -1;

  constructor(config: LocalApicConfig) {
    this.id = config.id;
    this.#config = config;
    this.#timer = new LocalApicTimer({
      name: `local APIC ${config.id} timer`,
      clock: config.clock,
      hertz: config.timerHertz,
      tsc: config.tsc,
      expire: () => this.#triggerLvt(REGISTER.LVT_TIMER),
    });
    this.#resetRegisters();
  }

  // What the processor sees.

  /** Whether an interrupt could be delivered, were the processor to accept one. */
  hasInterrupt(): boolean {
    return this.#pending >= 0 || this.#externalRequested;
  }

  /** The highest requested vector whose priority is above PPR; -1 for none. ExtINT is not counted: it has no vector. */
  pendingVector(): number {
    return this.#pending;
  }

  /** The processor takes the interrupt: its vector, or the spurious one when there is none any more. */
  acknowledge(): number {
    if (this.#externalRequested) return this.#config.acknowledgeExternal();
    const vector = this.#pending;
    if (vector < 0) return this.#registers.svr & 0xff;
    this.#irr.delete(vector);
    this.#isr.add(vector);
    this.#update();
    return vector;
  }

  /** IA32_APIC_BASE was written. A mode change from or to disabled brings the registers to their reset values. */
  baseChanged(base: bigint): void {
    const mode = modeOf(base);
    if (mode === this.#mode) return;
    const was = this.#mode;
    this.#mode = mode;
    if (mode === 'disabled' || was === 'disabled') this.#resetRegisters();
    // From xAPIC to x2APIC mode all stays but the upper half of ICR.
    else this.#registers.icrHigh = 0;
    this.#update();
  }

  readCr8(): number {
    return this.#registers.tpr >> 4;
  }

  writeCr8(priority: number): void {
    this.#registers.tpr = (priority & 15) << 4;
    this.#update();
  }

  tscChanged(): void {
    this.#timer.tscChanged();
  }

  // What the bus sees.

  /** Whether a message without shorthand is for this processor. */
  isDestination({
    destination,
    destinationMode,
  }: Pick<ApicMessage, 'destination' | 'destinationMode'>): boolean {
    if (destinationMode === 'physical') return destination === BROADCAST || destination === this.id;
    if (this.#mode === 'x2apic') {
      if (destination === BROADCAST) return true;
      const ldr = this.#x2apicLdr();
      return destination >>> 16 === ldr >>> 16 && (destination & ldr & 0xffff) !== 0;
    }
    const { ldr, dfr } = this.#registers;
    const logicalId = ldr >>> 24;
    if (dfr >>> 28 === 15) return (destination & logicalId & 0xff) !== 0;
    // Cluster model: a cluster number and a set inside it; cluster 15 is all.
    const cluster = (destination >> 4) & 15;
    return (cluster === 15 || cluster === logicalId >> 4) && (destination & logicalId & 15) !== 0;
  }

  /** The priority by which lowest-priority delivery chooses among processors. */
  get processorPriority(): number {
    return this.#ppr();
  }

  /** A message that is for this processor. */
  receive({ deliveryMode, vector, trigger }: Pick<ApicMessage, 'deliveryMode' | 'vector' | 'trigger'>): void {
    const { signals } = this.#config;
    switch (deliveryMode) {
      case DELIVERY_MODE.FIXED:
      case DELIVERY_MODE.LOWEST_PRIORITY:
        this.accept(vector, trigger);
        break;
      case DELIVERY_MODE.SMI:
        signals.smi();
        break;
      case DELIVERY_MODE.NMI:
        signals.nmi();
        break;
      case DELIVERY_MODE.INIT:
        signals.init();
        break;
      case DELIVERY_MODE.START_UP:
        signals.startUp(vector);
        break;
    }
  }

  /** Requests a fixed interrupt. An APIC that is disabled takes none. */
  accept(vector: number, trigger: 'edge' | 'level'): void {
    if (!this.#softwareEnabled) return;
    if (vector < LOWEST_VECTOR) {
      this.#reportError(ESR.RECEIVE_ILLEGAL_VECTOR);
      return;
    }
    this.#irr.add(vector);
    if (trigger === 'level') this.#tmr.add(vector);
    else this.#tmr.delete(vector);
    this.#update();
  }

  /**
   * A performance-monitoring counter has overflowed. Its entry is masked from then on.
   *
   * @see SDM "Local Vector Table", 12.5.1
   */
  performanceInterrupt(): void {
    const offset = REGISTER.LVT_PERFORMANCE;
    const lvt = this.#lvtValue(offset);
    if (this.#mode === 'disabled' || (lvt & LVT.MASKED) !== 0) return;
    this.#triggerLvt(offset);
    this.#lvt.set(offset, lvt | LVT.MASKED);
  }

  /** Drives a local interrupt pin: 0 is the 8259s' INTR, 1 is NMI. */
  setLint(pin: 0 | 1, level: boolean): void {
    const rises = level && !this.#lint[pin];
    this.#lint[pin] = level;
    if (this.#mode === 'disabled') {
      if (pin === 1 && rises) this.#config.signals.nmi();
      else this.#update();
      return;
    }
    const offset = pin === 0 ? REGISTER.LVT_LINT0 : REGISTER.LVT_LINT1;
    if (rises && !this.#isLevelFixed(offset)) this.#triggerLvt(offset);
    this.#followLint(pin);
    this.#update();
  }

  /** Ends the interrupt of the highest priority in service. */
  eoi(): void {
    const vector = this.#isr.highest();
    if (vector < 0) return;
    this.#isr.delete(vector);
    if (this.#tmr.has(vector)) {
      this.#endLevelLint(vector);
      this.#config.broadcastEoi(vector);
    }
    this.#update();
  }

  // Registers in memory (xAPIC).

  /** Reads a register by its offset in the page. Only the first four bytes of each 16 exist. */
  read(offset: number, size: 1 | 2 | 4 = 4): number {
    if (this.#mode !== 'xapic') return floatingBus(size);
    const value = (offset & 0x0c) === 0 ? this.#readRegister(offset & 0xff0, true) : 0;
    return ((value >>> (8 * (offset & 3))) & floatingBus(size)) >>> 0;
  }

  /** {@link read} without its side effects, for the debugger. */
  peek(offset: number): number {
    return (offset & 0x0c) !== 0 ? 0 : this.#readRegister(offset & 0xff0, false);
  }

  write(offset: number, value: number): void {
    if (this.#mode !== 'xapic' || (offset & 0x0f) !== 0) return;
    this.#writeRegister(offset, value >>> 0);
  }

  // Registers as MSRs (x2APIC).

  /** RDMSR of 6E0H or 800H-8FFH; `undefined` is #GP(0). */
  readMsr(msr: number): bigint | undefined {
    if (msr === IA32_TSC_DEADLINE) return this.#timer.deadline;
    const offset = this.#x2apicOffset(msr);
    if (offset === undefined || X2APIC_WRITE_ONLY.has(offset)) return undefined;
    if (offset === REGISTER.ICR_LOW) {
      const { icrLow, icrHigh } = this.#registers;
      return (BigInt(icrHigh) << 32n) | BigInt(icrLow);
    }
    const vectors = offset >= REGISTER.ISR && offset < REGISTER.ESR;
    if (!vectors && !X2APIC_READ_ONLY.has(offset) && !X2APIC_WRITABLE_BITS.has(offset)) return undefined;
    return BigInt(this.#readRegister(offset, true));
  }

  /** WRMSR; `false` is #GP(0). */
  writeMsr(msr: number, value: bigint): boolean {
    if (msr === IA32_TSC_DEADLINE) {
      this.#timer.deadline = value;
      return true;
    }
    const offset = this.#x2apicOffset(msr);
    if (offset === undefined) return false;
    if (offset === REGISTER.ICR_LOW) {
      if ((value & 0xffff_ffffn & ~BigInt(ICR_BITS)) !== 0n) return false;
      this.#registers.icrHigh = Number(value >> 32n);
      this.#writeRegister(REGISTER.ICR_LOW, Number(value & 0xffff_ffffn));
      return true;
    }
    const writable = X2APIC_WRITABLE_BITS.get(offset);
    if (writable === undefined || (value & ~BigInt(writable)) !== 0n) return false;
    this.#writeRegister(offset, Number(value));
    return true;
  }

  // Reset and snapshot.

  /** Power-on or INIT: registers at their reset values. The mode follows IA32_APIC_BASE, see {@link baseChanged}. */
  reset(): void {
    this.#resetRegisters();
    this.#update();
  }

  /** What firmware leaves: enabled, the 8259s through LINT0 ("virtual wire"), NMI through LINT1. */
  initializeAsFirmware(): void {
    this.#registers.svr = SVR_ENABLE | 0x0f;
    this.#lvt.set(REGISTER.LVT_LINT0, DELIVERY_MODE.EXT_INT << 8);
    this.#lvt.set(REGISTER.LVT_LINT1, DELIVERY_MODE.NMI << 8);
    this.#update();
  }

  save(): StateRecord {
    return {
      ...this.#registers,
      mode: this.#mode,
      lvt: LVT_OFFSETS.map((offset) => this.#lvtValue(offset)),
      irr: this.#irr.save(),
      isr: this.#isr.save(),
      tmr: this.#tmr.save(),
      lint0: this.#lint[0],
      lint1: this.#lint[1],
      timer: this.#timer.save(),
    };
  }

  restore(state: StateRecord): void {
    const saved = new SavedState(`local APIC ${this.id}`, state);
    saved.into(this.#registers);
    this.#mode = saved.oneOf('mode', ['disabled', 'xapic', 'x2apic']);
    for (const [index, value] of saved.numbers('lvt', LVT_OFFSETS.length).entries()) {
      this.#lvt.set(LVT_OFFSETS[index], value);
    }
    this.#irr.restore(saved.numbers('irr', 8));
    this.#isr.restore(saved.numbers('isr', 8));
    this.#tmr.restore(saved.numbers('tmr', 8));
    this.#lint[0] = saved.boolean('lint0');
    this.#lint[1] = saved.boolean('lint1');
    this.#timer.restore(saved.record('timer'), timerMode(this.#lvtValue(REGISTER.LVT_TIMER)) ?? 'one-shot');
    this.#update();
  }

  #resetRegisters(): void {
    this.#registers = initialRegisters();
    this.#irr.clear();
    this.#isr.clear();
    this.#tmr.clear();
    for (const offset of LVT_OFFSETS) this.#lvt.set(offset, LVT.MASKED);
    this.#timer.reset();
  }

  get #softwareEnabled(): boolean {
    return this.#mode !== 'disabled' && (this.#registers.svr & SVR_ENABLE) !== 0;
  }

  /** The 8259s request and nothing masks them: LINT0 is set to ExtINT, or is INTR itself while the APIC is disabled. */
  get #externalRequested(): boolean {
    if (!this.#lint[0]) return false;
    if (this.#mode === 'disabled') return true;
    const lvt = this.#lvtValue(REGISTER.LVT_LINT0);
    return (lvt & LVT.MASKED) === 0 && deliveryMode(lvt) === DELIVERY_MODE.EXT_INT;
  }

  #ppr(): number {
    const inService = Math.max(0, this.#isr.highest()) & 0xf0;
    const { tpr } = this.#registers;
    return (tpr & 0xf0) >= inService ? tpr : inService;
  }

  /** Finds the vector to deliver and tells the processor when there is something. */
  #update(): void {
    const requested = this.#mode === 'disabled' ? -1 : this.#irr.highest();
    this.#pending = requested >= 0 && requested >> 4 > this.#ppr() >> 4 ? requested : -1;
    if (this.hasInterrupt()) this.#config.signals.interruptPending();
  }

  #lvtValue(offset: number): number {
    return this.#lvt.get(offset) ?? LVT.MASKED;
  }

  /** A local source requests: what follows is in its LVT entry. */
  #triggerLvt(offset: number): void {
    const lvt = this.#lvtValue(offset);
    if ((lvt & LVT.MASKED) !== 0) return;
    // The timer and error entries have no delivery mode: fixed.
    const mode =
      offset === REGISTER.LVT_TIMER || offset === REGISTER.LVT_ERROR
        ? DELIVERY_MODE.FIXED
        : deliveryMode(lvt);
    if (mode === DELIVERY_MODE.EXT_INT) return;
    const level = this.#isLevelFixed(offset);
    if (level) this.#lvt.set(offset, lvt | LVT.REMOTE_IRR);
    this.receive({ deliveryMode: mode, vector: lvt & 0xff, trigger: level ? 'level' : 'edge' });
  }

  /** EOI of a level-triggered LINT interrupt; a pin that is still high requests again. */
  #endLevelLint(vector: number): void {
    for (const pin of [0, 1] as const) {
      const offset = pin === 0 ? REGISTER.LVT_LINT0 : REGISTER.LVT_LINT1;
      const lvt = this.#lvtValue(offset);
      if ((lvt & LVT.REMOTE_IRR) === 0 || (lvt & 0xff) !== vector) continue;
      this.#lvt.set(offset, lvt & ~LVT.REMOTE_IRR);
      this.#followLint(pin);
    }
  }

  #reportError(bit: number): void {
    const registers = this.#registers;
    if ((registers.errors & bit) !== 0) return;
    registers.errors |= bit;
    this.#triggerLvt(REGISTER.LVT_ERROR);
  }

  #x2apicOffset(msr: number): number | undefined {
    if (this.#mode !== 'x2apic' || msr < X2APIC_FIRST_MSR || msr > X2APIC_LAST_MSR) return undefined;
    return (msr - X2APIC_FIRST_MSR) << 4;
  }

  #x2apicLdr(): number {
    return (((this.id >>> 4) << 16) | (1 << (this.id & 15))) >>> 0;
  }

  #readRegister(offset: number, report: boolean): number {
    const registers = this.#registers;
    const lvt = this.#lvt.get(offset);
    if (lvt !== undefined) return lvt;
    if (offset >= REGISTER.ISR && offset < REGISTER.TMR) return this.#isr.word((offset - REGISTER.ISR) >> 4);
    if (offset >= REGISTER.TMR && offset < REGISTER.IRR) return this.#tmr.word((offset - REGISTER.TMR) >> 4);
    if (offset >= REGISTER.IRR && offset < REGISTER.ESR) return this.#irr.word((offset - REGISTER.IRR) >> 4);
    switch (offset) {
      case REGISTER.ID:
        return this.#mode === 'x2apic' ? this.id : (this.id << 24) >>> 0;
      case REGISTER.VERSION:
        return VERSION_VALUE;
      case REGISTER.TPR:
        return registers.tpr;
      case REGISTER.PPR:
        return this.#ppr();
      case REGISTER.EOI:
        return 0;
      case REGISTER.LDR:
        return this.#mode === 'x2apic' ? this.#x2apicLdr() : registers.ldr;
      case REGISTER.DFR:
        return registers.dfr;
      case REGISTER.SVR:
        return registers.svr;
      case REGISTER.ESR:
        return registers.esr;
      case REGISTER.ICR_LOW:
        return registers.icrLow;
      case REGISTER.ICR_HIGH:
        return registers.icrHigh;
      case REGISTER.TIMER_INITIAL_COUNT:
        return this.#timer.initialCount;
      case REGISTER.TIMER_CURRENT_COUNT:
        return this.#timer.currentCount;
      case REGISTER.TIMER_DIVIDE:
        return this.#timer.divideConfiguration;
    }
    if (report) this.#reportError(ESR.ILLEGAL_REGISTER);
    return 0;
  }

  #writeRegister(offset: number, value: number): void {
    const registers = this.#registers;
    if (LVT_BITS.has(offset)) {
      this.#writeLvt(offset, value);
      return;
    }
    switch (offset) {
      case REGISTER.ID:
      case REGISTER.VERSION:
      case REGISTER.PPR:
      case REGISTER.TIMER_CURRENT_COUNT:
        break;
      case REGISTER.TPR:
        registers.tpr = value & 0xff;
        break;
      case REGISTER.EOI:
        this.eoi();
        break;
      case REGISTER.LDR:
        registers.ldr = (value & 0xff00_0000) >>> 0;
        break;
      case REGISTER.DFR:
        registers.dfr = (value | DFR_CLUSTER) >>> 0;
        break;
      case REGISTER.SVR:
        this.#writeSpuriousVector(value & SVR_BITS);
        break;
      case REGISTER.ESR:
        registers.esr = registers.errors;
        registers.errors = 0;
        break;
      case REGISTER.ICR_LOW:
        registers.icrLow = value & ICR_BITS;
        this.#sendIpi();
        break;
      case REGISTER.ICR_HIGH:
        registers.icrHigh = (value & 0xff00_0000) >>> 0;
        break;
      case REGISTER.TIMER_INITIAL_COUNT:
        this.#timer.initialCount = value;
        break;
      case REGISTER.TIMER_DIVIDE:
        this.#timer.divideConfiguration = value;
        break;
      case REGISTER.SELF_IPI:
        if (this.#mode === 'x2apic') this.#sendToSelf(value & 0xff);
        else this.#reportError(ESR.ILLEGAL_REGISTER);
        break;
      default:
        if (offset < REGISTER.ISR || offset >= REGISTER.ESR) this.#reportError(ESR.ILLEGAL_REGISTER);
    }
    this.#update();
  }

  /** While the APIC is software-disabled all LVT entries are masked. */
  #writeSpuriousVector(value: number): void {
    this.#registers.svr = value;
    if ((value & SVR_ENABLE) !== 0) return;
    for (const offset of LVT_OFFSETS) this.#lvt.set(offset, this.#lvtValue(offset) | LVT.MASKED);
  }

  #writeLvt(offset: number, value: number): void {
    const writable = LVT_BITS.get(offset) ?? 0;
    const kept = this.#lvtValue(offset) & LVT.REMOTE_IRR;
    const forced = this.#softwareEnabled ? 0 : LVT.MASKED;
    const lvt = (value & writable) | kept | forced;
    this.#lvt.set(offset, lvt);
    // The reserved timer mode leaves the timer as it is.
    if (offset === REGISTER.LVT_TIMER) this.#timer.mode = timerMode(lvt) ?? this.#timer.mode;
    if (offset === REGISTER.LVT_LINT0) this.#followLint(0);
    if (offset === REGISTER.LVT_LINT1) this.#followLint(1);
    this.#update();
  }

  /** A pin that is high and whose entry is level-triggered requests, unless that request is still to be ended. */
  #followLint(pin: 0 | 1): void {
    const offset = pin === 0 ? REGISTER.LVT_LINT0 : REGISTER.LVT_LINT1;
    const waits = (this.#lvtValue(offset) & LVT.REMOTE_IRR) !== 0;
    if (this.#lint[pin] && this.#isLevelFixed(offset) && !waits) this.#triggerLvt(offset);
  }

  #isLevelFixed(offset: number): boolean {
    const lvt = this.#lvtValue(offset);
    return (lvt & LVT.LEVEL) !== 0 && deliveryMode(lvt) === DELIVERY_MODE.FIXED;
  }

  /** @see SDM "Interrupt Command Register (ICR)", 11.6.1 */
  #sendIpi(): void {
    const { icrLow, icrHigh } = this.#registers;
    const vector = icrLow & 0xff;
    const mode = deliveryMode(icrLow);
    const shorthand = SHORTHANDS[(icrLow >> 18) & 3];
    // INIT level de-assert exists for the old bus alone.
    if (mode === DELIVERY_MODE.INIT && (icrLow & ICR.LEVEL_ASSERT) === 0) return;
    if ((mode === DELIVERY_MODE.FIXED || mode === DELIVERY_MODE.LOWEST_PRIORITY) && vector < LOWEST_VECTOR) {
      this.#reportError(ESR.SEND_ILLEGAL_VECTOR);
      return;
    }
    if (shorthand === 'self') {
      this.#sendToSelf(vector);
      return;
    }
    const physical = (icrLow & ICR.LOGICAL) === 0;
    const destination = this.#mode === 'x2apic' ? icrHigh : icrHigh >>> 24;
    const broadcast = physical && this.#mode !== 'x2apic' && destination === XAPIC_BROADCAST;
    this.#config.send({
      destination: broadcast ? BROADCAST : destination,
      destinationMode: physical ? 'physical' : 'logical',
      shorthand,
      deliveryMode: mode,
      vector,
      trigger: (icrLow & ICR.LEVEL_TRIGGER) !== 0 ? 'level' : 'edge',
    });
  }

  /** As a write to ICR does that names a physical destination. */
  sendFixed(vector: number, destination: number): void {
    this.#config.send({
      destination: this.#mode !== 'x2apic' && destination === XAPIC_BROADCAST ? BROADCAST : destination,
      destinationMode: 'physical',
      shorthand: 'none',
      deliveryMode: DELIVERY_MODE.FIXED,
      vector,
      trigger: 'edge',
    });
  }

  #sendToSelf(vector: number): void {
    if (vector < LOWEST_VECTOR) this.#reportError(ESR.SEND_ILLEGAL_VECTOR);
    else this.accept(vector, 'edge');
  }
}

function modeOf(base: bigint): Mode {
  if ((base & APIC_BASE_ENABLE) === 0n) return 'disabled';
  return (base & APIC_BASE_X2APIC) !== 0n ? 'x2apic' : 'xapic';
}

function deliveryMode(register: number): number {
  return (register & LVT.DELIVERY_MODE) >> 8;
}

function timerMode(lvt: number): TimerMode | undefined {
  return TIMER_MODES[(lvt >> LVT_TIMER_MODE_SHIFT) & 3];
}
