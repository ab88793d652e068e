/**
 * Whether the machine runs, as the client sees it. What the client knows as one step may be several runs of the
 * machine: a plan makes them, one after the other, until it has a stop to report.
 */
import type { RunRequest, StopEvent } from '../../emulator/index.ts';
import { dapError } from '../errors.ts';
import type { Machine } from '../machine/client.ts';

/** Runs the machine once and gives the stop that ended it. */
export type RunOnce = (request: RunRequest) => Promise<StopEvent>;

/** Leads from where the machine is to the stop the client is told. */
export type Plan = (run: RunOnce) => Promise<StopEvent>;

/**
 * Reasons after which the machine cannot go on. A failed VM entry is none: a hypervisor that is debugged handles it.
 */
const FINAL: ReadonlySet<string> = new Set([
  'triple-fault',
  'unimplemented',
  'powered-off',
  'debug-exit',
  'limit',
]);

export function isFinal(stop: StopEvent): boolean {
  return FINAL.has(stop.reason);
}

export class RunControl {
  readonly #machine: Machine;
  readonly #report: (stop: StopEvent) => void;
  readonly #failed: (error: unknown) => void;
  #waiting: ((stop: StopEvent) => void) | undefined;
  #running = false;
  #pauseWanted = false;
  #lastStop: StopEvent | undefined;

  constructor(machine: Machine, report: (stop: StopEvent) => void, failed: (error: unknown) => void) {
    this.#machine = machine;
    this.#report = report;
    this.#failed = failed;
  }

  get isRunning(): boolean {
    return this.#running;
  }

  /** The stop the machine rests at; undefined before the first one and while it runs. */
  get lastStop(): StopEvent | undefined {
    return this.#running ? undefined : this.#lastStop;
  }

  /** Takes a stop event of the machine. */
  stopped(stop: StopEvent): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(stop);
  }

  /** Starts a plan; its stop is reported. Throws when the machine runs already or has ended for good. */
  start(plan: Plan): void {
    if (this.#running) throw dapError('running');
    if (this.#lastStop && isFinal(this.#lastStop))
      throw dapError('notStepping', { reason: this.#lastStop.description });
    this.#running = true;
    this.#pauseWanted = false;
    // Before the first stop there is nothing that could have changed since the last one.
    let isFirst = this.#lastStop !== undefined;
    const runOnce = (request: RunRequest): Promise<StopEvent> => {
      const stop = this.#runOnce(isFirst ? request : { ...request, continues: true });
      isFirst = false;
      return stop;
    };
    plan(runOnce).then(
      (stop) => this.#finish(stop),
      (error: unknown) => {
        this.#running = false;
        this.#failed(error);
      },
    );
  }

  /** The stop is reported when the machine has come to rest. */
  async pause(): Promise<void> {
    if (!this.#running) return;
    this.#pauseWanted = true;
    await this.#machine.pause();
  }

  /** A stop that no run led to: at the program's first instruction. */
  rest(stop: StopEvent): void {
    this.#finish(stop);
  }

  #finish(stop: StopEvent): void {
    this.#running = false;
    this.#lastStop = stop;
    this.#report(stop);
  }

  async #runOnce(request: RunRequest): Promise<StopEvent> {
    const stop = await new Promise<StopEvent>((resolve, reject) => {
      this.#waiting = resolve;
      this.#machine.run(request).catch(reject);
    });
    // A pause that came between two runs of a plan ends the plan at the next opportunity.
    return this.#pauseWanted && stop.reason === 'step'
      ? { ...stop, reason: 'pause', description: 'Paused' }
      : stop;
  }
}
