/**
 * Running the machine in batches: to a breakpoint, through a statement, out of a function. Between batches calls of
 * the debugger are served.
 */
import { Unimplemented, UserError } from '../base/errors.ts';
import type { GuestEvent } from '../core/virtualization.ts';
import { describeAllFailures, describeFailedCheck, entryFailureTitle } from '../vmx/describeEntryFailure.ts';
import type { FailedEntryCheck } from '../vmx/entryChecks/evaluate.ts';
import { type ExitReasonKey, exitReasonRow } from '../vmx/exitReasons.ts';
import type { BreakpointTable } from './breakpointTable.ts';
import { instructionShape } from './disassembler.ts';
import { EventObserver } from './eventObserver.ts';
import type { DebugTargetHost } from './host.ts';
import type { DebuggedProcessor } from './processorView.ts';
import type { System, SystemStop } from './system.ts';
import type { ExitBreakpoint, RunRequest, StopEvent, StopReason } from './target.ts';

/** What run control needs to know of the machine; made anew when the machine is. */
export interface RunnableMachine {
  readonly system: System;
  readonly processor: DebuggedProcessor;
}

/** A batch lasts about so many milliseconds: a pause is answered after one at most. */
const BATCH_MILLISECONDS = 8;
/** The host's clock is looked at after so many instructions; adapted to how long they take. */
const SMALLEST_SLICE = 2_000;
const LARGEST_SLICE = 1_000_000;
/** Instructions of a stepped range between two looks at the clock. */
const STEPS_IN_SLICE = 500;
/** A retried instruction that does not get on in so many exits is left alone. */
const MOST_RETRIES = 64;
const LONGEST_INSTRUCTION = 15;
/** An exit breakpoint on this reason also stops at entries that fail without an exit (VMfail). */
const ENTRY_FAILURE: ExitReasonKey = 'entryFailureInvalidGuestState';

/** Free running to one of some addresses with the stack at least so high. */
interface Destination {
  readonly addresses: readonly bigint[];
  readonly minimumRsp: bigint;
}

/** What ended a slice: a stop, or nothing yet. */
type Progress = StopEvent | 'go-on' | 'idle';

export class RunControl {
  readonly #host: DebugTargetHost;
  readonly #breakpoints: BreakpointTable;
  #machine: RunnableMachine;
  #exitBreakpoints: readonly ExitBreakpoint[] = [];
  #request: RunRequest | undefined;
  /** Instructions of a stepped range that may still be executed. */
  #stepsLeft = Number.POSITIVE_INFINITY;
  /** Position at which a run of a number of instructions ends. */
  #endOfSteps = Number.POSITIVE_INFINITY;
  #destination: Destination | undefined;
  #slice = SMALLEST_SLICE;
  #inSlice = false;
  #scheduled = false;
  #pauseWanted = false;
  /** Instruction by instruction, an exit or a delivered event has to come back here. */
  #stepping = false;
  #delivered: GuestEvent | undefined;
  #exitReason: number | undefined;
  #stoppingExits: readonly number[] = [];
  #entryFailure: { readonly description: string; readonly details: readonly string[] } | undefined;

  constructor(machine: RunnableMachine, host: DebugTargetHost, breakpoints: BreakpointTable) {
    this.#machine = machine;
    this.#host = host;
    this.#breakpoints = breakpoints;
    this.#observeExits();
  }

  get isRunning(): boolean {
    return this.#request !== undefined;
  }

  /** The machine was made anew. Ends a run without an event. */
  attach(machine: RunnableMachine): void {
    this.#machine = machine;
    this.#request = undefined;
    this.#destination = undefined;
    this.#stoppingExits = [];
    this.#observeExits();
  }

  setExitBreakpoints(breakpoints: readonly ExitBreakpoint[]): void {
    this.#exitBreakpoints = breakpoints;
  }

  start(request: RunRequest): void {
    if (this.isRunning) throw new UserError('The machine is running already.');
    const { system } = this.#machine;
    if (system.stop)
      throw new UserError(`The machine has ended (${describeEnd(system.stop)}): start it again.`);
    this.#request = request;
    this.#pauseWanted = false;
    const { instructions = Number.POSITIVE_INFINITY, range } = request;
    this.#endOfSteps = range ? Number.POSITIVE_INFINITY : this.#position + instructions;
    this.#stepsLeft = instructions;
    this.#setDestination(
      request.until && { addresses: [request.until.rip], minimumRsp: request.until.minimumRsp },
    );
    this.#passBreakpoint();
    this.#schedule();
  }

  pause(): void {
    if (!this.isRunning) return;
    this.#pauseWanted = true;
    if (this.#inSlice) this.#machine.system.machine.stop();
    else this.#finish(this.#event('pause', 'Paused'));
  }

  /** Something came from outside that may wake an idle processor. */
  wake(): void {
    if (this.isRunning && !this.#scheduled && !this.#inSlice) this.#schedule();
  }

  #schedule(): void {
    this.#scheduled = true;
    this.#host.schedule(() => {
      this.#scheduled = false;
      if (this.isRunning && !this.#inSlice) this.#batch();
    });
  }

  #batch(): void {
    const end = this.#host.now() + BATCH_MILLISECONDS;
    for (let before = this.#host.now(); ; ) {
      const progress = this.#runSlice();
      if (typeof progress === 'object') {
        this.#finish(progress);
        return;
      }
      // Idle: nothing but input from outside goes on, and that wakes.
      if (progress === 'idle') return;
      const now = this.#host.now();
      this.#adaptSlice(now - before);
      before = now;
      if (now >= end) break;
    }
    this.#schedule();
  }

  #adaptSlice(milliseconds: number): void {
    if (milliseconds < 1) this.#slice = Math.min(this.#slice * 2, LARGEST_SLICE);
    else if (milliseconds > 3) this.#slice = Math.max(Math.floor(this.#slice / 2), SMALLEST_SLICE);
  }

  #finish(stop: StopEvent): void {
    this.#request = undefined;
    this.#setDestination(undefined);
    this.#host.stopped(stop);
  }

  #runSlice(): Progress {
    this.#inSlice = true;
    try {
      return this.#request?.range && this.#destination === undefined ? this.#stepSlice() : this.#freeSlice();
    } catch (error) {
      if (!(error instanceof Unimplemented)) throw error;
      return this.#event(
        'unimplemented',
        `${error.message}, at RIP 0x${this.#machine.processor.linearRip.toString(16)}`,
      );
    } finally {
      this.#inSlice = false;
    }
  }

  /** Full speed, up to a position. */
  #freeSlice(): Progress {
    const limit = Math.min(this.#position + this.#slice, this.#endOfSteps, this.#limit);
    const result = this.#machine.system.run(limit);
    const stop = this.#afterRun();
    if (stop) return stop;
    if (result === 'breakpoint') return this.#reachedBreakpoint();
    if (this.#position >= this.#limit) return this.#event('limit', `${this.#limit} instructions are retired`);
    if (this.#position >= this.#endOfSteps) return this.#event('step', 'Stepped');
    return result === 'idle' ? 'idle' : 'go-on';
  }

  /** What every run may have ended with, whatever it was for. */
  #afterRun(): StopEvent | undefined {
    const { system } = this.#machine;
    if (system.stop) return this.#endEvent(system.stop);
    const exits = this.#stoppingExits;
    this.#stoppingExits = [];
    if (exits.length > 0) return this.#exitEvent(exits);
    if (this.#pauseWanted) return this.#event('pause', 'Paused');
    return undefined;
  }

  /** The engine stands at an address of the table. */
  #reachedBreakpoint(): Progress {
    const { processor } = this.#machine;
    const address = processor.linearRip;
    const ids = this.#breakpoints.idsAt(address);
    const stopping = ids.length === 0 ? [] : (this.#host.stopsAt?.(ids, 0) ?? ids);
    if (stopping.length > 0) return this.#event('breakpoint', 'Breakpoint', stopping);
    const destination = this.#destination;
    if (
      destination?.addresses.includes(address) &&
      (processor.register('RSP') ?? 0n) >= destination.minimumRsp
    ) {
      this.#setDestination(undefined);
      if (this.#request?.until) return this.#event('step', 'Stepped');
      // Back from a call: the statement may not be over.
      if (this.#request?.range && !this.#inRange(address)) return this.#event('step', 'Stepped');
    } else if (this.#pauseWanted) return this.#event('pause', 'Paused');
    this.#passBreakpoint();
    return 'go-on';
  }

  // Stepping a range

  #stepSlice(): Progress {
    const { cpu } = this.#machine.system.machine;
    const observed = cpu.virtualization;
    cpu.virtualization = new EventObserver(observed, (event) => {
      this.#delivered = event;
      this.#machine.system.machine.stop();
    });
    this.#stepping = true;
    try {
      for (let steps = 0; steps < STEPS_IN_SLICE; steps++) {
        const progress = this.#step();
        if (progress !== 'go-on' || this.#destination) return progress;
      }
      return 'go-on';
    } finally {
      cpu.virtualization = observed;
      this.#stepping = false;
    }
  }

  /** One instruction of the program, and what it leads to. */
  #step(): Progress {
    const { processor } = this.#machine;
    const over = this.#request?.range?.over === true;
    const rip = processor.linearRip;
    const rsp = processor.register('RSP') ?? 0n;

    // 1. Events that are due before the instruction. An interrupt is run through: it is nothing the program does.
    const due = this.#runTo(this.#position);
    if (due !== 'go-on') return due;
    if (processor.linearRip !== rip || this.#left()) return this.#runThrough([rip], rsp);

    // 2. The instruction; an exit that the VMM completes by making the guest try again is part of it.
    const before = this.#position;
    for (let tries = 0; ; tries++) {
      const progress = this.#runTo(before + 1);
      if (progress !== 'go-on') return progress;
      if (this.#position > before || processor.linearRip !== rip || tries === MOST_RETRIES) break;
    }

    // 3. Where it has led.
    const address = processor.linearRip;
    const isEvent = this.#left();
    this.#stepsLeft--;
    if (!isEvent && this.#inRange(address))
      return this.#stepsLeft > 0 ? 'go-on' : this.#event('step', 'Stepped');
    const shape = instructionShape(this.#codeAt(rip), processor.codeBits);
    const behind = rip + BigInt(shape?.length ?? 1);
    // A fault may come back to the instruction or behind it.
    if (over && isEvent) return this.#runThrough([rip, behind], rsp);
    if (over && shape?.isCall) return this.#runThrough([behind], rsp);
    return this.#event('step', 'Stepped');
  }

  /** Whether the program was left for a handler since the last time: an event, or an exit to a hypervisor of its own. */
  #left(): boolean {
    const { processor } = this.#machine;
    const left =
      this.#delivered !== undefined || (this.#exitReason !== undefined && !processor.hasBuiltInVmm);
    this.#delivered = undefined;
    this.#exitReason = undefined;
    return left;
  }

  /** Runs to a position and lets the built-in VMM handle what exits on the way, before the next instruction. */
  #runTo(position: number): Progress {
    const { system, processor } = this.#machine;
    for (;;) {
      const result = system.run(position);
      const stop = this.#afterRun();
      if (stop) return stop;
      if (this.#position >= this.#limit)
        return this.#event('limit', `${this.#limit} instructions are retired`);
      if (result === 'breakpoint') {
        const reached = this.#reachedBreakpoint();
        if (reached !== 'go-on') return reached;
      } else if (result === 'idle') return 'idle';
      else if (!processor.isAtVmm) return 'go-on';
      position = Math.min(position, this.#position);
    }
  }

  #runThrough(addresses: readonly bigint[], minimumRsp: bigint): Progress {
    this.#setDestination({ addresses, minimumRsp });
    return 'go-on';
  }

  #inRange(address: bigint): boolean {
    return this.#request?.range?.ranges.some(([start, end]) => address >= start && address < end) === true;
  }

  #codeAt(address: bigint): Uint8Array {
    const { system, processor } = this.#machine;
    return system.machine.mmu.inspector.peekLinear(
      address,
      LONGEST_INSTRUCTION,
      processor.translationContext(),
    );
  }

  // VM exits

  #observeExits(): void {
    const vmx = this.#machine.processor.vmx?.processor;
    if (vmx === undefined) return;
    const others = vmx.onExit;
    vmx.onExit = (reason) => {
      others(reason);
      this.#exited(reason);
    };
    // The built-in VMM tells its own failures; those of a hypervisor that is debugged are for it to see first.
    if (this.#machine.processor.hasBuiltInVmm) return;
    vmx.onEntryFailure = (failure) => this.#entryFailed(failure);
  }

  #entryFailed(failure: FailedEntryCheck): void {
    const { processor, system } = this.#machine;
    const ids = this.#exitBreakpoints
      .filter(({ reasons }) => reasons.includes(ENTRY_FAILURE))
      .map(({ id }) => id);
    if (ids.length === 0 || processor.vmx === undefined) return;
    const { view } = processor.vmx.processor;
    const rip = `0x${processor.linearRip.toString(16)}`;
    this.#stoppingExits = ids;
    this.#entryFailure = {
      description: `VM entry at RIP ${rip} failed: ${entryFailureTitle(failure)}: ${describeFailedCheck(failure, view)}`,
      details: describeAllFailures(view),
    };
    system.machine.stop();
  }

  #exited(reason: number): void {
    const key = exitReasonRow(reason)?.key;
    const matching = this.#exitBreakpoints.filter(
      ({ reasons }) => reasons.length === 0 || (key && reasons.includes(key)),
    );
    const ids = matching.map(({ id }) => id);
    if (this.#entryFailure) return;
    this.#stoppingExits = ids.length === 0 ? [] : (this.#host.stopsAt?.(ids, 0) ?? ids);
    if (this.#stepping) this.#exitReason = reason;
    if (this.#stepping || this.#stoppingExits.length > 0) this.#machine.system.machine.stop();
  }

  // Helpers

  get #position(): number {
    return this.#machine.system.machine.engine.retired;
  }

  get #limit(): number {
    return this.#request?.limit ?? Number.POSITIVE_INFINITY;
  }

  /** The run that begins does not stop where it begins. */
  #passBreakpoint(): void {
    const { engine } = this.#machine.system.machine;
    if (engine.code.breakpoints.has(engine.linearRip)) engine.passBreakpoint();
  }

  #setDestination(destination: Destination | undefined): void {
    this.#destination = destination;
    this.#breakpoints.setTemporary(destination?.addresses ?? []);
  }

  #event(
    reason: StopReason,
    description: string,
    breakpoints: readonly number[] = [],
    details: readonly string[] = [],
  ): StopEvent {
    return { reason, vcpu: 0, position: this.#position, description, breakpoints, details };
  }

  #exitEvent(breakpoints: readonly number[]): StopEvent {
    const failure = this.#entryFailure;
    this.#entryFailure = undefined;
    if (failure) return this.#event('entry-failure', failure.description, breakpoints, failure.details);
    const log = this.#machine.processor.vmx?.processor.log;
    const record = log?.record(log.total - 1);
    const text = record ? record.text || record.reasonName : 'VM exit';
    return this.#event('exit-breakpoint', `VM exit: ${text}`, breakpoints);
  }

  #endEvent(stop: SystemStop): StopEvent {
    switch (stop.kind) {
      case 'powered-off':
        return this.#event('powered-off', 'The program switched the machine off');
      case 'reset':
        return this.#event('powered-off', 'The program asked for a reset of the machine');
      case 'debug-exit':
        return {
          ...this.#event('debug-exit', `The program wrote ${stop.value} to port 0xf4`),
          exitValue: stop.value,
        };
      case 'triple-fault':
      case 'entry-failure':
      case 'unimplemented':
        return this.#event(stop.kind, stop.description, [], stop.details);
    }
  }
}

function describeEnd(stop: SystemStop): string {
  return 'description' in stop ? stop.description : stop.kind;
}
