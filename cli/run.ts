/** `hvm run`: boots an image with its serial port on the terminal, in this thread. */
import { resolve } from 'node:path';
import { openOutput, readFile } from '../debug-adapter/host/node/files.ts';
import { inflate } from '../debug-adapter/host/node/inflate.ts';
import { loadInterpreter } from '../debug-adapter/host/node/interpreter.ts';
import { FileError, readMachineConfig } from '../debug-adapter/launch/image.ts';
import { LaunchError } from '../debug-adapter/launch/validate.ts';
import type { LaunchOptions } from '../debug-adapter/launchConfig.ts';
import { Program } from '../debug-adapter/program/program.ts';
import { reportText } from '../debug-adapter/requests/entryReport.ts';
import { exitLine } from '../debug-adapter/trace/exitLine.ts';
import {
  createDebugTarget,
  type DebugTarget,
  type MachineConfig,
  type RunRequest,
  type StopEvent,
  UserError,
} from '../emulator/index.ts';
import { parseRunArguments, UsageError } from './arguments.ts';
import { exitTable, LiveTable } from './exitTable.ts';
import { runHelp } from './help.ts';
import { type Outcome, outcomeOf, outcomeText, STATUS } from './runStatus.ts';
import { connectInput, serialOutput } from './serialConsole.ts';
import { TextMatcher } from './textMatcher.ts';

/** Exits fetched at a time for the trace. */
const TRACE_CHUNK = 1000;
const TABLE_INTERVAL = 250;
/** Failed VM entries of the program that are told. */
const MOST_ENTRY_FAILURES = 20;
/** Exit breakpoints on this reason stop at every VM entry that fails. */
const ENTRY_FAILURE = 'entryFailureInvalidGuestState';
const SANITIZER = 'sanitizer';

/** Runs and gives the exit status. */
export async function run(args: readonly string[]): Promise<number> {
  try {
    const options = parseRunArguments(args);
    if (options === 'help') {
      process.stdout.write(runHelp());
      return STATUS.OK;
    }
    const config = await readMachineConfig(options, process.cwd(), { read: readFile });
    const { status, message } = await new Run(options, config).finish();
    if (message !== '') process.stderr.write(`${message}\n`);
    return status;
  } catch (error) {
    if (
      !(
        error instanceof UsageError ||
        error instanceof LaunchError ||
        error instanceof FileError ||
        error instanceof UserError
      )
    )
      throw error;
    process.stderr.write(`hvm: ${error.message}\n`);
    return STATUS.USAGE;
  }
}

class Run {
  readonly #options: LaunchOptions;
  readonly #target: DebugTarget;
  readonly #started: number;
  readonly #files: { close(): Promise<void> }[] = [];
  readonly #serial: ReturnType<typeof serialOutput>;
  readonly #matcher: TextMatcher | undefined;
  readonly #trace: { write(text: string): void } | undefined;
  readonly #table: LiveTable | undefined;
  #traced = 0;
  #tableShown = 0;
  /** In guest mode a failed entry ends the run: the built-in VMM made it. */
  readonly #tellsEntryFailures: boolean;
  #entryFailures = 0;
  readonly #image: MachineConfig['image'];
  /** Symbols of the image, once they are needed. */
  #program: Program | undefined;
  /** Why the machine was paused from here. */
  #ending: Outcome | undefined;
  #done: (outcome: Outcome) => void = () => undefined;
  #failed: (error: unknown) => void = () => undefined;

  constructor(options: LaunchOptions, config: MachineConfig) {
    this.#options = options;
    this.#image = config.image;
    this.#tellsEntryFailures = config.mode === 'bare-metal';
    const { exitOn, traceExits, watchExits } = options;
    const serialFile =
      typeof options.serial === 'object' ? this.#open(options.serial.file as string) : undefined;
    this.#serial = serialOutput(
      serialFile ?? process.stdout,
      serialFile === undefined && process.stdout.isTTY === true,
    );
    this.#matcher = exitOn ? new TextMatcher(exitOn) : undefined;
    this.#trace = traceExits === undefined ? undefined : this.#open(traceExits);
    this.#table =
      watchExits && process.stderr.isTTY ? new LiveTable((text) => process.stderr.write(text)) : undefined;
    this.#target = createDebugTarget(config, {
      interpreter: loadInterpreter(),
      now: () => performance.now(),
      schedule: (callback) => setImmediate(() => this.#guard(() => this.#betweenBatches(callback))),
      serialOutput: (bytes) => this.#serialBytes(bytes),
      stopped: (stop) => this.#stopped(stop),
      log: () => undefined,
    });
    this.#started = performance.now();
  }

  /** Runs to the end. */
  async finish(): Promise<Outcome> {
    const { timeout } = this.#options;
    const end = new Promise<Outcome>((done, failed) => {
      this.#done = done;
      this.#failed = failed;
    });
    const timer =
      timeout === undefined
        ? undefined
        : setTimeout(() => this.#end({ status: STATUS.LIMIT, message: '' }), timeout * 1000);
    const interrupted = (): void => this.#end({ status: STATUS.INTERRUPTED, message: '' });
    process.once('SIGINT', interrupted);
    process.once('SIGTERM', interrupted);
    process.stdout.on('error', interrupted);
    // Nothing is left that could happen: the guest is halted, and standard input has ended.
    const halted = (): void => this.#done(this.#haltedOutcome());
    process.once('beforeExit', halted);
    const disconnect = connectInput(
      process.stdin,
      (bytes) => this.#target.serialInput(bytes),
      interrupted,
      () => undefined,
    );
    this.#tell(this.#tellsEntryFailures);
    this.#target.run(this.#request);
    const outcome = await end;
    process.off('beforeExit', halted);
    disconnect();
    clearTimeout(timer);
    this.#serial.flush();
    this.#takeExits();
    this.#report();
    await Promise.all(this.#files.map((file) => file.close()));
    return outcome;
  }

  #open(path: string): { write(data: string | Uint8Array): void } {
    const full = resolve(path);
    try {
      const file = openOutput(full);
      this.#files.push(file);
      return file;
    } catch (error) {
      throw error instanceof FileError ? new FileError(`Cannot write ${full}: ${error.message}.`) : error;
    }
  }

  /** An error in the machine ends the run; nobody else would catch it. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#failed(error);
    }
  }

  #betweenBatches(goOn: () => void): void {
    this.#serial.flush();
    this.#takeExits();
    if (this.#table && performance.now() - this.#tableShown > TABLE_INTERVAL) {
      this.#tableShown = performance.now();
      this.#table.show(exitTable(this.#target.statistics(), performance.now() - this.#started));
    }
    goOn();
  }

  #serialBytes(bytes: Uint8Array): void {
    // What follows the text that was waited for is not part of the run.
    if (this.#ending) return;
    for (const byte of bytes) {
      this.#serial.write(byte);
      if (this.#matcher?.add(byte)) this.#end({ status: STATUS.OK, message: '' });
    }
  }

  #end(outcome: Outcome): void {
    this.#ending ??= outcome;
    this.#target.pause();
  }

  #haltedOutcome(): Outcome {
    const rip = this.#target.register(0, 'RIP') ?? 0n;
    return {
      status: STATUS.FAILED,
      message: `hvm: the guest is halted at RIP 0x${rip.toString(16)} and nothing can wake it`,
    };
  }

  /** What is told on standard error while the run goes on. */
  #tell(entryFailures: boolean): void {
    const reasons = [
      ...(entryFailures ? [ENTRY_FAILURE] : []),
      ...(this.#options.sanitize ? [SANITIZER] : []),
    ];
    this.#target.setExitBreakpoints(reasons.map((reason, id) => ({ id, reasons: [reason] })));
  }

  #stopped(stop: StopEvent): void {
    // What the guest has written comes before what is told about it.
    this.#serial.flush();
    if (stop.reason === 'sanitizer') {
      process.stderr.write(`${outcomeText(stop)}\n`);
      this.#goOn();
      return;
    }
    if (stop.reason === 'entry-failure' && this.#tellsEntryFailures) {
      this.#entryFailed(stop);
      return;
    }
    this.#done(stop.reason === 'pause' && this.#ending ? this.#ending : outcomeOf(stop));
  }

  /** A VM entry of the program that runs has failed, which is for the program to handle: it is told and goes on. */
  #entryFailed(stop: StopEvent): void {
    process.stderr.write(`${outcomeText({ ...stop, details: this.#entryReport(stop) })}\n`);
    if (++this.#entryFailures === MOST_ENTRY_FAILURES) {
      process.stderr.write(`hvm: ${MOST_ENTRY_FAILURES} VM entries have failed; further ones are not told\n`);
      this.#tell(false);
    }
    this.#goOn();
  }

  /** After something was told; a run that was to end in the meantime does. */
  #goOn(): void {
    if (this.#ending) this.#done(this.#ending);
    else this.#target.run(this.#request);
  }

  /** The report with the lines of the source that wrote the fields, as far as the image has symbols. */
  #entryReport(stop: StopEvent): readonly string[] {
    const report = this.#target.entryReport(0, 'lastFailure');
    if (report === undefined) return stop.details;
    this.#program ??= new Program(
      this.#image ? [{ path: this.#image.name, bytes: this.#image.bytes }] : [],
      inflate,
      () => undefined,
    );
    return reportText(report, this.#program).split('\n');
  }

  get #request(): RunRequest {
    const { maxInstructions } = this.#options;
    return maxInstructions === undefined ? {} : { limit: maxInstructions };
  }

  #takeExits(): void {
    if (this.#trace === undefined) return;
    for (;;) {
      const { records } = this.#target.exits(this.#traced, TRACE_CHUNK);
      if (records.length === 0) return;
      this.#trace.write(records.map(exitLine).join(''));
      this.#traced = records[records.length - 1].number + 1;
    }
  }

  #report(): void {
    const { stats, watchExits } = this.#options;
    const milliseconds = performance.now() - this.#started;
    const statistics = this.#target.statistics();
    if (watchExits) {
      const lines = exitTable(statistics, milliseconds);
      if (this.#table) this.#table.show(lines);
      else process.stderr.write(`${lines.join('\n')}\n`);
    }
    if (stats === undefined) return;
    const seconds = milliseconds / 1000;
    const mips = statistics.instructions / seconds / 1e6;
    this.#open(stats).write(`${JSON.stringify({ ...statistics, seconds, mips }, undefined, 2)}\n`);
  }
}
