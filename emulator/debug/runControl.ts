/**
 * Running the machine in batches: to a breakpoint, through a statement, out of a function. Between batches calls of
 * the debugger are served.
 */

import { Unimplemented, UserError } from '../base/errors.ts';
import { LONGEST_INSTRUCTION } from '../core/instruction.ts';
import { describeFailedEntry } from '../vmx/describeEntryFailure.ts';
import { type ExitReasonKey, exitReasonRow } from '../vmx/exitReasons.ts';
import type { SanitizerFinding } from '../vmx/sanitizer.ts';
import type { BreakpointTable } from './breakpointTable.ts';
import type { DataBreakpoints, DataChange } from './dataBreakpoints.ts';
import { instructionShape } from './disassembler.ts';
import type { DebugTargetHost } from './host.ts';
import { type Interruption, Interruptions } from './interruptions.ts';
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
/** VM exits in a slice: a guest may leave again and again without executing anything. */
const EXITS_IN_SLICE = 1_000;
/** Instructions of a stepped range between two looks at the clock. */
const STEPS_IN_SLICE = 500;
/** A guest that leaves so often without executing anything is looked at again in the next slice. */
const MOST_EXITS = 16;
/** An exit breakpoint on this reason also stops at entries that fail without an exit (VMfail). */
const ENTRY_FAILURE: ExitReasonKey = 'entryFailureInvalidGuestState';

/** Stands for the findings of the sanitizer among the reasons of an exit breakpoint. */
const SANITIZER = 'sanitizer';

/** Free running to one of some addresses with the stack at least so high. */
interface Destination {
  readonly addresses: readonly bigint[];
  readonly minimumRsp: bigint;
  readonly arrived: () => Progress;
}

/** What ended a slice: a stop, or nothing yet. */
type Progress = StopEvent | 'go-on' | 'idle';

export class RunControl {
  readonly #host: DebugTargetHost;
  readonly #breakpoints: BreakpointTable;
  readonly #data: DataBreakpoints;
  #machine: RunnableMachine;
  #exitBreakpoints: readonly ExitBreakpoint[] = [];
  /** One of them is about more than failed VM entries. */
  #stopsAtExits = false;
  #request: RunRequest | undefined;
  /** Instructions of a stepped range that may still be executed. */
  #stepsLeft = Number.POSITIVE_INFINITY;
  /** Position at which a run of a number of instructions ends. */
  #endOfSteps = Number.POSITIVE_INFINITY;
  #destination: Destination | undefined;
  #slice = SMALLEST_SLICE;
  #inSlice = false;
  #exitsInSlice = 0;
  #scheduled = false;
  #pauseWanted = false;
  #interruptions: Interruptions;
  #stoppingExits: readonly number[] = [];
  #findings: SanitizerFinding[] = [];
  #entryFailure: { readonly description: string; readonly details: readonly string[] } | undefined;

  constructor(
    machine: RunnableMachine,
    host: DebugTargetHost,
    breakpoints: BreakpointTable,
    data: DataBreakpoints,
  ) {
    this.#machine = machine;
    this.#host = host;
    this.#breakpoints = breakpoints;
    this.#data = data;
    this.#interruptions = new Interruptions(machine.system, machine.processor);
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
    this.#interruptions = new Interruptions(machine.system, machine.processor);
    this.#observeExits();
  }

  setExitBreakpoints(breakpoints: readonly ExitBreakpoint[]): void {
    this.#exitBreakpoints = breakpoints;
    this.#stopsAtExits = breakpoints.some(
      ({ reasons }) => reasons.length === 0 || reasons.some((reason) => reason !== ENTRY_FAILURE),
    );
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
    const { until } = request;
    this.#setDestination(
      until && {
        addresses: [until.rip],
        minimumRsp: until.minimumRsp,
        arrived: () => this.#event('step', 'Stepped'),
      },
    );
    this.#passBreakpoint();
    this.#data.begin();
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
    this.#exitsInSlice = 0;
    const before = this.#position;
    const result = this.#machine.system.run(limit);
    const stop = this.#afterRun();
    if (stop) return stop;
    if (result === 'breakpoint') return this.#reachedBreakpoint();
    if (this.#position >= this.#limit) return this.#limitEvent();
    if (this.#position >= this.#endOfSteps) return this.#event('step', 'Stepped');
    // A halted guest that so many exits have not woken waits for input, as a halted processor does.
    const isStuck = this.#exitsInSlice >= EXITS_IN_SLICE && this.#position === before;
    return result === 'idle' || (isStuck && this.#machine.processor.isHalted) ? 'idle' : 'go-on';
  }

  /** What every run may have ended with, whatever it was for. */
  #afterRun(): StopEvent | undefined {
    const { system } = this.#machine;
    if (system.stop) return this.#endEvent(system.stop);
    const exits = this.#stoppingExits;
    this.#stoppingExits = [];
    const finding = this.#findings.shift();
    if (finding) return this.#event('sanitizer', finding.description, [], finding.details);
    const changes = this.#changes();
    if (exits.length > 0) return this.#exitEvent(exits, changes);
    if (changes.length > 0) return this.#dataEvent(changes);
    if (this.#pauseWanted) return this.#event('pause', 'Paused');
    return undefined;
  }

  /** What data breakpoints have seen and stop for. */
  #changes(): readonly DataChange[] {
    const changes = this.#data.take();
    if (changes.length === 0) return changes;
    const ids = [...new Set(changes.map(({ id }) => id))];
    const stopping = this.#host.stopsAt?.(ids, 0) ?? ids;
    return changes.filter(({ id }) => stopping.includes(id));
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
      const arrived = destination.arrived();
      if (arrived !== 'go-on') return arrived;
    } else if (this.#pauseWanted) return this.#event('pause', 'Paused');
    this.#passBreakpoint();
    return 'go-on';
  }

  // Stepping a range

  #stepSlice(): Progress {
    return this.#interruptions.watch(() => {
      for (let steps = 0; steps < STEPS_IN_SLICE; steps++) {
        const progress = this.#step();
        if (progress !== 'go-on' || this.#destination) return progress;
      }
      return 'go-on';
    });
  }

  /** One instruction of the program, and what it leads to. */
  #step(): Progress {
    const { processor } = this.#machine;
    const rip = processor.linearRip;
    const rsp = processor.register('RSP') ?? 0n;

    // 1. Events that are due before the instruction.
    const due = this.#runTo(this.#position);
    if (due !== 'go-on') return due;
    const early = this.#interruptions.take();
    if (early) return this.#interrupted(early, rip, rsp, () => 'go-on');
    if (processor.isAtVmm) return 'go-on';

    // 2. The instruction. One that the VMM has tried again is not over.
    const before = this.#position;
    const progress = this.#runTo(before + 1);
    if (progress !== 'go-on') return progress;
    const late = this.#interruptions.take();
    const completed = this.#position > before || (late?.returnTo ?? processor.linearRip) !== rip;
    if (late) return this.#interrupted(late, rip, rsp, () => (completed ? this.#led(rip, rsp) : 'go-on'));
    if (!completed || processor.isAtVmm) return 'go-on';

    // 3. Where it has led.
    return this.#led(rip, rsp);
  }

  /** The instruction at `rip` is done. Goes on in the range, over a call, or ends. */
  #led(rip: bigint, rsp: bigint): Progress {
    const { processor } = this.#machine;
    this.#stepsLeft--;
    if (this.#inRange(processor.linearRip)) return this.#stepped();
    if (this.#request?.range?.over) {
      const shape = instructionShape(this.#codeAt(rip), processor.codeBits);
      if (shape?.isCall) return this.#runThrough([rip + BigInt(shape.length)], rsp, () => this.#stepped());
    }
    return this.#event('step', 'Stepped');
  }

  /**
   * The program was left for a handler. An interrupt is run through: it is nothing the program does. So is, over it,
   * what the instruction itself has caused, which may come back to the instruction or behind it.
   */
  #interrupted(
    { cause, returnTo, rsp: highest }: Interruption,
    rip: bigint,
    rsp: bigint,
    then: () => Progress,
  ): Progress {
    if (cause === 'outside') return this.#runThrough([returnTo], highest, then);
    this.#stepsLeft--;
    if (!this.#request?.range?.over) return this.#event('step', 'Stepped');
    const shape = instructionShape(this.#codeAt(rip), this.#machine.processor.codeBits);
    return this.#runThrough([rip, rip + BigInt(shape?.length ?? 1)], rsp, () => this.#stepped());
  }

  #stepped(): Progress {
    const isOver = this.#stepsLeft <= 0 || !this.#inRange(this.#machine.processor.linearRip);
    return isOver ? this.#event('step', 'Stepped') : 'go-on';
  }

  /** Runs to a position and lets the built-in VMM handle what exits on the way, before the next instruction. */
  #runTo(position: number): Progress {
    const { system, processor } = this.#machine;
    let end = position;
    for (let exits = 0; exits < MOST_EXITS; exits++) {
      const result = system.run(end);
      const stop = this.#afterRun();
      if (stop) return stop;
      if (this.#position >= this.#limit) return this.#limitEvent();
      if (result === 'idle') return 'idle';
      if (result === 'breakpoint') {
        const reached = this.#reachedBreakpoint();
        if (reached !== 'go-on') return reached;
      } else if (!processor.isAtVmm) return 'go-on';
      else end = Math.min(end, this.#position);
    }
    return 'go-on';
  }

  #runThrough(addresses: readonly bigint[], minimumRsp: bigint, arrived: () => Progress): Progress {
    this.#setDestination({ addresses, minimumRsp, arrived });
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
    this.#observeFindings();
    const vmx = this.#machine.processor.vmx?.processor;
    if (vmx === undefined) return;
    const others = vmx.onExit;
    vmx.onExit = (reason) => {
      others(reason);
      this.#exited(reason);
    };
    // The built-in VMM tells its own failures; those of a hypervisor that is debugged are for it to see first.
    if (this.#machine.processor.hasBuiltInVmm) return;
    vmx.onEntryFailure = () => this.#entryFailed();
  }

  #observeFindings(): void {
    const { sanitizer, machine } = this.#machine.system;
    this.#findings = [];
    if (sanitizer === undefined) return;
    sanitizer.onFinding = (finding) => {
      if (!this.#exitBreakpoints.some(({ reasons }) => reasons.includes(SANITIZER))) return;
      this.#findings.push(finding);
      machine.mmu.requestCut();
      machine.stop();
    };
  }

  #entryFailed(): void {
    const { processor, system } = this.#machine;
    const ids = this.#exitBreakpoints
      .filter(({ reasons }) => reasons.includes(ENTRY_FAILURE))
      .map(({ id }) => id);
    if (ids.length === 0 || processor.vmx === undefined) return;
    this.#stoppingExits = ids;
    this.#entryFailure = describeFailedEntry(processor.vmx.processor);
    system.machine.stop();
  }

  #exited(reason: number): void {
    if (this.#entryFailure) return;
    if (this.#stopsAtExits) this.#stoppingExits = this.#exitBreakpointsAt(reason);
    this.#interruptions.exited();
    const isEnough = ++this.#exitsInSlice === EXITS_IN_SLICE;
    if (isEnough || this.#stoppingExits.length > 0) this.#machine.system.machine.stop();
  }

  /** Those of the breakpoints at VM exits that stop here. */
  #exitBreakpointsAt(reason: number): readonly number[] {
    const key = exitReasonRow(reason)?.key;
    const matching = this.#exitBreakpoints.filter(
      ({ reasons }) => reasons.length === 0 || (key && reasons.includes(key)),
    );
    const ids = matching.map(({ id }) => id);
    return ids.length === 0 ? [] : (this.#host.stopsAt?.(ids, 0) ?? ids);
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

  #dataEvent(changes: readonly DataChange[]): StopEvent {
    const [first, ...others] = changes;
    const more = others.length === 0 ? '' : `, and ${others.length} more`;
    return this.#event(
      'data-breakpoint',
      `${first.description}${more}`,
      [...new Set(changes.map(({ id }) => id))],
      changes.map(({ description }) => description),
    );
  }

  #exitEvent(exits: readonly number[], changes: readonly DataChange[]): StopEvent {
    const breakpoints = [...new Set([...exits, ...changes.map(({ id }) => id)])];
    const failure = this.#entryFailure;
    this.#entryFailure = undefined;
    if (failure) return this.#event('entry-failure', failure.description, breakpoints, failure.details);
    const log = this.#machine.processor.vmx?.processor.log;
    const record = log?.record(log.total - 1);
    const text = record ? record.text || record.reasonName : 'VM exit';
    const details = changes.map(({ description }) => description);
    return this.#event('exit-breakpoint', `VM exit: ${text}`, breakpoints, details);
  }

  #limitEvent(): StopEvent {
    return this.#event('limit', `${this.#limit} instructions are retired`);
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
