/**
 * A machine with everything attached that its configuration names: the composition root. In bare-metal mode the board
 * is the machine's own; in guest mode the built-in VMM owns the machine and gives its guest a board.
 */

import { UserError } from '../base/errors.ts';
import type { ByteSink } from '../base/ports.ts';
import type { StateRecord } from '../base/stateValue.ts';
import { planBoot } from '../boot/detect.ts';
import { loadPlan } from '../boot/loadPlan.ts';
import { type CpuModel, createModel, parseCpu } from '../core/model.ts';
import { stateTransfers } from '../engine/stateTransfers.ts';
import { checkFirmware } from '../machine/checkFirmware.ts';
import type { MachineConfig } from '../machine/config.ts';
import { Machine, type RunResult } from '../machine/machine.ts';
import { type Board, createBoard } from '../machine/pc.ts';
import { ShadowRam } from '../machine/shadowRam.ts';
import { type Components, hashMachine, restoreMachine, saveMachine } from '../snapshot/machineState.ts';
import { Svm } from '../svm/svm.ts';
import { hostMemoryBytes } from '../vmm/memoryMap.ts';
import { parsePolicy } from '../vmm/policy.ts';
import { Vmm } from '../vmm/vmm.ts';
import { capabilitiesOf, readCapabilityMsr } from '../vmx/model.ts';
import { Sanitizer } from '../vmx/sanitizer.ts';
import { describeVmxAbort } from '../vmx/vmInstructionErrors.ts';
import { Vmx } from '../vmx/vmx.ts';

/** Instructions between two looks for hot code: three in a page have it translated, which pays after about a million. */
const SAMPLE_EVERY = 50_000;
/** Exits that the log keeps, in at most 148 MB: what a list in the debugger may scroll through. */
const EXITS_KEPT = 2 ** 20;

/** Hardware hangs here until RESET. */
const STUCK =
  'endless delivery of #AC: its handler runs at CPL 3 on the misaligned stack that it is about, so that pushing its frame raises it again';

/** Where a machine's output goes, and the code it runs with. */
export interface SystemHost {
  readonly serial: ByteSink;
  readonly debugConsole: ByteSink;
  /** The interpreter's module (dist/interpreter.wasm). */
  readonly interpreter: WebAssembly.Module;
  /** Instructions between two looks for hot code, for tests. */
  readonly sampleEvery?: number;
}

/** Something that came from outside, with the position at which the machine saw it. */
export interface RecordedInput {
  /** Retired instructions and tick of the virtual clock. */
  readonly position: number;
  readonly tick: number;
  readonly kind: 'serial';
  readonly bytes: Uint8Array;
}

/** What ended a run for good. */
export type SystemStop =
  | { readonly kind: 'powered-off' }
  | { readonly kind: 'debug-exit'; readonly value: number }
  /** The program asked for a reset of the platform. */
  | { readonly kind: 'reset' }
  | {
      readonly kind: 'triple-fault' | 'entry-failure' | 'unimplemented';
      readonly description: string;
      readonly details: readonly string[];
    };

export class System {
  readonly config: MachineConfig;
  readonly machine: Machine;
  /** The board that the program sees: the machine's own, or its virtual machine's. */
  readonly board: Board;
  /** VT-x of the processor; absent when it offers none. */
  readonly vmx: Vmx | undefined;
  /** The built-in VMM, in guest mode. */
  readonly vmm: Vmm | undefined;
  readonly #svm: Svm | undefined;
  /** With `sanitize`, and VT-x. */
  readonly sanitizer: Sanitizer | undefined;
  /** Everything that came from outside so far, in order. */
  readonly inputs: RecordedInput[] = [];
  /** Set once something ended the run. */
  stop: SystemStop | undefined = undefined;

  constructor(config: MachineConfig, host: SystemHost) {
    this.config = config;
    const guest = config.mode === 'guest';
    if (guest && config.virtualization === 'amd-v')
      throw new UserError(
        'the built-in hypervisor uses VT-x: --virtualization amd-v needs --mode bare-metal',
      );
    const { bios, image } = config;
    if (bios === undefined && image === undefined)
      throw new UserError('there is nothing to boot: name an image or a BIOS');
    checkFirmware(config);
    const plan = image && bios === undefined ? planBoot(image, { ...config, cpus: 1 }) : undefined;
    const policy = parsePolicy(config.vmm.exiting);
    const { name, changes } = parseCpu(config.cpu);
    const model: CpuModel = createModel(name, {
      changes,
      virtualization: guest ? 'vt-x' : config.virtualization,
      hosted: guest,
      vmxCapability: (msr) => readCapabilityMsr(capabilitiesOf(model), msr),
    });
    if (guest && model.withdrawnVmx.size > 0)
      throw new UserError(
        `--cpu -${[...model.withdrawnVmx].join(',-')} takes VT-x from the program, which has none in mode guest: use --mode bare-metal`,
      );
    this.machine = new Machine({
      ramBytes: guest ? hostMemoryBytes([config.memoryBytes]) : config.memoryBytes,
      model,
      interpreter: host.interpreter,
      forceTranslation: config.engine === 'translator',
      sampleEvery: config.engine === 'auto' ? (host.sampleEvery ?? SAMPLE_EVERY) : 0,
      legacyVgaHole: !guest,
      ...(bios && { rom: bios.bytes }),
    });
    const { machine } = this;
    if (model.features.has('VMX')) {
      this.vmx = new Vmx({
        cpu: machine.cpu,
        physical: machine.physical,
        transfers: stateTransfers(machine.state.memory),
        charge: (ticks) => machine.clock.charge(ticks),
        position: () => machine.engine.position(),
        exitLogCapacity: EXITS_KEPT,
      });
      this.vmx.reset();
      machine.cpu.virtualization = this.vmx;
      if (config.sanitize) {
        this.sanitizer = new Sanitizer();
        this.sanitizer.attach(this.vmx.processor, !guest);
      }
    } else if (model.features.has('SVM')) {
      this.#svm = new Svm(machine.cpu, machine.physical);
      machine.cpu.virtualization = this.#svm;
    }
    if (config.sanitize && this.vmx === undefined)
      throw new UserError('the sanitizer needs a processor with VT-x');
    const callbacks = {
      powerOff: () => this.#end({ kind: 'powered-off' }),
      debugExit: (value: number) => this.#end({ kind: 'debug-exit', value }),
      reset: () => this.#end({ kind: 'reset' }),
      initialize: () => this.#end({ kind: 'reset' }),
    };
    const { memoryBytes, startTime } = config;
    const disks = (config.disks ?? []).map(({ bytes }) => bytes);
    const { serial, debugConsole } = host;
    if (guest && this.vmx !== undefined && plan !== undefined) {
      this.vmm = new Vmm({
        cpu: machine.cpu,
        vmx: this.vmx,
        physical: machine.physical,
        stepper: machine.engine,
        policy,
        stopped: ({ reason, description, details }) => this.#end({ kind: reason, description, details }),
      });
      machine.engine.root = this.vmm;
      const vm = this.vmm.createVm({ memoryBytes, startTime, disks, serial, debugConsole, callbacks });
      this.board = vm.board;
      machine.ports = vm.board.ports;
      this.vmm.start(vm, plan);
      return;
    }
    this.board = createBoard({
      clock: machine.clock,
      memoryBytes,
      startTime,
      interrupts: {
        interruptRequest: { set: (level) => machine.apic.setLint(0, level) },
        deliver: (message) => {
          const addressed = { ...message, shorthand: 'none' } as const;
          if (machine.apic.isDestination(addressed)) machine.apic.receive(addressed);
        },
      },
      callbacks: {
        ...callbacks,
        initialize: () => this.#initialize(),
        setA20: (high) => {
          machine.mmu.a20 = high;
        },
      },
      serial,
      debugConsole,
      disks,
      ...(bios && { shadow: new ShadowRam(machine.physical, bios.bytes) }),
    });
    machine.ports = this.board.ports;
    machine.mmio = this.board.mmio;
    machine.cpu.coprocessorError = this.board.coprocessorError;
    machine.acknowledgeExternal = () => this.board.acknowledgeInterrupt();
    machine.broadcastEoi = (vector) => this.board.endOfInterrupt(vector);
    // Without a plan the processor starts at its reset vector, in the BIOS.
    if (plan === undefined) return;
    machine.apic.initializeAsFirmware();
    loadPlan(machine, plan);
  }

  /** INIT by the chipset: what restarts a machine outside VMX operation ends the run as a reset does. */
  #initialize(): void {
    if (this.vmx?.processor.inVmxOperation) this.machine.initialize();
    else this.#end({ kind: 'reset' });
  }

  /** Runs until `limit` instructions are retired since power-on or something else happens. */
  run(limit: number): RunResult {
    if (this.stop !== undefined) return 'stopped';
    const result = this.machine.run(limit);
    if (result === 'shutdown') {
      const { RIP } = this.machine.state;
      const aborted = this.vmx?.processor.aborted;
      const what =
        aborted !== undefined ? describeVmxAbort(aborted) : this.machine.cpu.isStuck ? STUCK : 'triple fault';
      this.stop ??= {
        kind: 'triple-fault',
        description: `${what} at RIP 0x${RIP.toString(16)}`,
        details: [],
      };
    }
    return result;
  }

  /** Bytes typed at the first serial port: an input, recorded with its position. */
  serialInput(bytes: Uint8Array): void {
    const { engine, clock } = this.machine;
    this.inputs.push({ position: engine.retired, tick: clock.now(), kind: 'serial', bytes: bytes.slice() });
    this.board.uart.receive(bytes);
  }

  /**
   * Runs like {@link run} and gives the machine recorded inputs at their positions. A run from the same start with the
   * same inputs is the same to the bit.
   */
  replay(inputs: readonly RecordedInput[], limit: number): RunResult {
    for (const input of inputs) {
      if (input.position > limit) break;
      while (this.machine.engine.retired < input.position) {
        const result = this.run(input.position);
        if (result !== 'limit' && result !== 'idle') return result;
      }
      this.machine.clock.skipTo(input.tick);
      this.serialInput(input.bytes);
    }
    return this.run(limit);
  }

  /** What a snapshot saves beside processor and memory. */
  get components(): Components {
    const { vmx, vmm, board } = this;
    // A VM saves its own board; the VMM looks at the VMCS, so VMX comes first.
    if (vmx !== undefined && vmm !== undefined) return { vmx, vmm };
    if (this.#svm !== undefined) return { svm: this.#svm, board };
    return vmx === undefined ? { board } : { vmx, board };
  }

  save(): StateRecord {
    return saveMachine(this.machine, this.components);
  }

  restore(snapshot: StateRecord): void {
    restoreMachine(this.machine, this.components, snapshot);
    this.stop = undefined;
  }

  /** A digest of the whole state. */
  hash(): string {
    return hashMachine(this.machine, this.components);
  }

  #end(stop: SystemStop): void {
    this.stop ??= stop;
    this.machine.stop();
  }
}
