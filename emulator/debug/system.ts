/**
 * A machine with everything attached that its configuration names: the composition root. In bare-metal mode the board
 * is the machine's own; in guest mode the built-in VMM owns the machine and gives its guest a board.
 */
import { UserError } from '../base/errors.ts';
import type { ByteSink } from '../base/ports.ts';
import { planBoot } from '../boot/detect.ts';
import { loadPlan } from '../boot/loadPlan.ts';
import { createModel } from '../core/model.ts';
import type { MachineConfig } from '../machine/config.ts';
import { Machine, type RunResult } from '../machine/machine.ts';
import { type Board, createBoard } from '../machine/pc.ts';

/** Where a machine's output goes, and the code it runs with. */
export interface SystemHost {
  readonly serial: ByteSink;
  readonly debugConsole: ByteSink;
  /** The interpreter's module (dist/interpreter.wasm). */
  readonly interpreter: WebAssembly.Module;
}

/** What ended a run for good. */
export type SystemStop =
  | { readonly kind: 'powered-off' }
  | { readonly kind: 'debug-exit'; readonly value: number }
  /** The program asked for a reset of the platform. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'triple-fault'; readonly description: string; readonly details: readonly string[] }
  | { readonly kind: 'entry-failure'; readonly description: string; readonly details: readonly string[] };

export class System {
  readonly config: MachineConfig;
  readonly machine: Machine;
  readonly board: Board;
  /** Set once something ended the run. */
  stop: SystemStop | undefined = undefined;

  constructor(config: MachineConfig, host: SystemHost) {
    this.config = config;
    if (config.mode === 'guest') throw new UserError('guest mode is not attached yet; use --mode bare-metal');
    const options = { ...config, cpus: 1 };
    const plan = planBoot(config.image, options);
    this.machine = new Machine({
      ramBytes: config.memoryBytes,
      model: createModel(config.cpu, { virtualization: config.virtualization }),
      interpreter: host.interpreter,
      forceTranslation: config.engine === 'translator',
      legacyVgaHole: true,
    });
    const { machine } = this;
    this.board = createBoard({
      clock: machine.clock,
      memoryBytes: config.memoryBytes,
      startTime: config.startTime,
      interrupts: {
        interruptRequest: { set: (level) => machine.apic.setLint(0, level) },
        deliver: (message) => {
          if (machine.apic.isDestination(message)) machine.apic.receive(message);
        },
      },
      callbacks: {
        powerOff: () => this.#end({ kind: 'powered-off' }),
        debugExit: (value) => this.#end({ kind: 'debug-exit', value }),
        reset: () => this.#end({ kind: 'reset' }),
        setA20: (high) => {
          machine.mmu.a20 = high;
        },
      },
      serial: host.serial,
      debugConsole: host.debugConsole,
    });
    machine.ports = this.board.ports;
    machine.mmio = this.board.mmio;
    machine.acknowledgeExternal = () => this.board.acknowledgeInterrupt();
    machine.broadcastEoi = (vector) => this.board.endOfInterrupt(vector);
    machine.apic.initializeAsFirmware();
    loadPlan(machine, plan);
  }

  /** Runs until `limit` instructions are retired since power-on or something else happens. */
  run(limit: number): RunResult {
    const result = this.machine.run(limit);
    if (result === 'shutdown') {
      const { RIP } = this.machine.state;
      this.stop ??= {
        kind: 'triple-fault',
        description: `triple fault at RIP 0x${RIP.toString(16)}`,
        details: [],
      };
    }
    return result;
  }

  /** Bytes typed at the first serial port. */
  serialInput(bytes: Uint8Array): void {
    this.board.uart.receive(bytes);
  }

  #end(stop: SystemStop): void {
    this.stop ??= stop;
    this.machine.stop();
  }
}
