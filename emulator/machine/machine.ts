/**
 * One logical processor with memory, a virtual clock and a local APIC, and the loop that runs it. A board (bare-metal
 * mode) or the built-in VMM (guest mode) is attached from outside.
 */

import { Unimplemented } from '../base/errors.ts';
import { floatingBus } from '../base/ports.ts';
import type { PortIo } from '../core/cpu.ts';
import { Cpu } from '../core/cpu.ts';
import { signalInit, signalStartUp } from '../core/initialization.ts';
import type { ApicMessage } from '../core/localApic.ts';
import { LocalApic } from '../core/localApic.ts';
import type { CpuModel } from '../core/model.ts';
import { resetMsrs } from '../core/msrs.ts';
import { CORE_CRYSTAL_HERTZ, tickOfDeadline, timeStampCounter } from '../core/timeStampCounter.ts';
import { Engine } from '../engine/engine.ts';
import type { MmioBus } from '../mmu/bus.ts';
import { NO_MMIO } from '../mmu/bus.ts';
import { Mmu } from '../mmu/mmu.ts';
import { PhysicalMemory } from '../mmu/physicalMemory.ts';
import { CpuState } from '../state/cpuState.ts';
import { OFFSET, RAM_OFFSET } from '../state/layout.ts';
import { ACTIVITY } from '../state/registers.ts';
import { resetProcessor } from '../state/reset.ts';
import { Scheduler } from './scheduler.ts';

const WASM_PAGE = 65536;
/** Alarms that may ring while the processor sleeps on before {@link Machine.run} comes back. */
const IDLE_ALARMS = 1000;
const APIC_PAGE_MASK = 0xf_ffff_ffff_f000n;
/** IA32_APIC_BASE bits 11 and 10: enabled, and not in x2APIC mode. */
const APIC_MODE_MASK = 0xc00n;
const APIC_MODE_XAPIC = 0x800n;

const NO_PORTS: PortIo = { read: (_port, size) => floatingBus(size), write: () => undefined };

export interface MachineOptions {
  readonly ramBytes: number;
  readonly model: CpuModel;
  /** The interpreter's module (dist/interpreter.wasm). */
  readonly interpreter: WebAssembly.Module;
  /** Translate all 64-bit code at its first execution. */
  readonly forceTranslation: boolean;
  /** Translate hot 64-bit code, found by looking after every so many instructions where execution is. */
  readonly sampleEvery?: number;
  /** 0xA0000–0xBFFFF are the VGA's. */
  readonly legacyVgaHole: boolean;
  /** Firmware, whose last byte is at 4 GiB - 1. */
  readonly rom?: Uint8Array;
}

/** Why {@link Machine.run} came back. */
export type RunResult =
  /** The position asked for is reached. */
  | 'limit'
  | 'breakpoint'
  /** Halted, and no alarm (or a thousand of them) has woken the processor: only input from outside may. */
  | 'idle'
  /** A triple fault outside of a guest. */
  | 'shutdown'
  /** {@link Machine.stop} was called; {@link Machine.stopped} tells. */
  | 'stopped';

export class Machine {
  readonly state: CpuState;
  readonly physical: PhysicalMemory;
  readonly mmu: Mmu;
  readonly cpu: Cpu;
  readonly apic: LocalApic;
  readonly engine: Engine;
  readonly clock: Scheduler;
  /** What answers at memory-mapped registers; nothing until a board is attached. */
  mmio: MmioBus = NO_MMIO;
  /** The 8259s' interrupt-acknowledge cycle. */
  acknowledgeExternal: () => number = () => 0xff;
  /** An EOI for the board's I/O APIC. */
  broadcastEoi: (vector: number) => void = () => undefined;
  #stopRequested = false;

  constructor(options: MachineOptions) {
    const pages = Math.ceil((RAM_OFFSET + options.ramBytes) / WASM_PAGE);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const state = new CpuState(memory);
    this.state = state;
    this.clock = new Scheduler(() => this.engine?.position() ?? 0);
    this.physical = new PhysicalMemory(state, options.ramBytes, options);
    this.apic = new LocalApic({
      id: 0,
      clock: this.clock,
      timerHertz: CORE_CRYSTAL_HERTZ,
      tsc: { tickOf: (tsc) => tickOfDeadline(this.clock.now(), timeStampCounter(this.cpu), tsc) },
      signals: {
        nmi: () => {
          state.NMI_PENDING = 1;
        },
        init: () => this.initialize(),
        startUp: (vector) => signalStartUp(this.cpu, vector),
        smi: () => {
          // DEVIATION(no-smm)
          throw new Unimplemented('SMI (SDM "System Management Mode", chapter 33)');
        },
        interruptPending: () => undefined,
      },
      send: (message) => this.#deliver(message),
      broadcastEoi: (vector) => this.broadcastEoi(vector),
      acknowledgeExternal: () => this.acknowledgeExternal(),
    });
    this.mmu = new Mmu({
      state,
      physical: this.physical,
      bus: this.#bus(),
      physicalAddressBits: options.model.physicalAddressBits,
    });
    this.cpu = new Cpu({
      state,
      mmu: this.mmu,
      apic: {
        id: 0,
        tscChanged: () => this.apic.tscChanged(),
        reset: () => this.apic.reset(),
        readMsr: (msr) => this.apic.readMsr(msr),
        writeMsr: (msr, value) => this.apic.writeMsr(msr, value),
        baseChanged: (base) => this.apic.baseChanged(base),
        eoi: () => this.apic.eoi(),
        sendFixed: (vector, destination) => this.apic.sendFixed(vector, destination),
        readCr8: () => this.apic.readCr8(),
        writeCr8: (priority) => this.apic.writeCr8(priority),
      },
      interruptController: this.apic,
      portIo: NO_PORTS,
      clock: this.clock,
      model: options.model,
    });
    this.engine = new Engine(this.cpu, this.physical, options);
    const { performance } = this.cpu;
    performance.connect({
      alarm: this.clock.createAlarm('performance-monitoring counters', () => performance.ring()),
      position: () => this.engine.position(),
      interrupt: () => this.apic.performanceInterrupt(),
    });
    this.engine.time = this.clock.time;
    this.reset();
  }

  /** The processor after RESET. @see SDM "Initialization Overview", 10.1 of volume 3A */
  reset(): void {
    resetProcessor(this.state);
    resetMsrs(this.cpu);
    this.apic.reset();
    this.apic.baseChanged(this.state.IA32_APIC_BASE);
    this.mmu.spaces.flushEverything();
    this.mmu.updateContext();
  }

  /** The INIT signal: by a message of the local APICs or by the processor's pin. */
  initialize(): void {
    signalInit(this.cpu);
  }

  /** What answers at ports; nothing until a board is attached. */
  set ports(ports: PortIo) {
    this.cpu.portIo = ports;
  }

  /** Makes {@link run} come back with `stopped` at the next instruction boundary. */
  stop(): void {
    this.#stopRequested = true;
    this.engine.requestAttention();
  }

  /** Runs until `limit` instructions are retired since power-on, or something else ends it. */
  run(limit: number): RunResult {
    let skipped = 0;
    let awakeAt = this.engine.retired;
    for (;;) {
      if (this.#stopRequested) {
        this.#stopRequested = false;
        return 'stopped';
      }
      this.clock.ringDue();
      const end = this.engine.run(limit - this.engine.retired);
      switch (end) {
        case 'budget':
          return 'limit';
        case 'breakpoint':
          return 'breakpoint';
        case 'inactive':
          if (this.state.ACTIVITY_STATE === ACTIVITY.SHUTDOWN) return 'shutdown';
          if (this.engine.retired !== awakeAt) skipped = 0;
          awakeAt = this.engine.retired;
          // Halted with interrupts disabled, alarms ring for nothing: come back now and then.
          if (skipped++ === IDLE_ALARMS || !this.clock.skipToNextAlarm()) return 'idle';
          break;
        case 'alarm':
        case 'attention':
          break;
      }
    }
  }

  /** Interrupt messages on the system bus: there is one processor. */
  #deliver(message: ApicMessage): void {
    const { shorthand } = message;
    const addressed = shorthand === 'none' ? this.apic.isDestination(message) : shorthand !== 'others';
    if (addressed) this.apic.receive(message);
  }

  /** The local APIC answers itself at the address that IA32_APIC_BASE names. */
  #bus(): MmioBus {
    const base = OFFSET.IA32_APIC_BASE >> 3;
    const offsetInApic = (address: number): number => {
      const value = this.state.u64[base] as bigint;
      if ((value & APIC_MODE_MASK) !== APIC_MODE_XAPIC) return -1;
      const page = Number(value & APIC_PAGE_MASK);
      return address >= page && address < page + 4096 ? address - page : -1;
    };
    return {
      read: (address, size) => {
        const offset = offsetInApic(address);
        return offset >= 0 ? this.apic.read(offset, size) : this.mmio.read(address, size);
      },
      write: (address, size, value) => {
        const offset = offsetInApic(address);
        if (offset >= 0) this.apic.write(offset, value);
        else this.mmio.write(address, size, value);
      },
      peek: (address, size) => {
        const offset = offsetInApic(address);
        return offset >= 0 ? this.apic.peek(offset) : this.mmio.peek(address, size);
      },
    };
  }
}
