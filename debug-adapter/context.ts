/** What the requests of one session share: the client, the debuggee, and what is known about the stopped machine. */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { StopEvent } from '../emulator/index.ts';
import { Breakpoints } from './breakpoints/breakpoints.ts';
import type { Plan } from './control/runControl.ts';
import type { Debuggee } from './debuggee.ts';
import { dapError } from './errors.ts';
import type { AdapterHost, OutputFile } from './host/adapterHost.ts';
import { GeneratedSources } from './inspect/generatedSource.ts';
import { Handles } from './inspect/handles.ts';
import { MachineView } from './inspect/machineView.ts';
import type { InspectedVariable } from './inspect/registers.ts';
import { type Frame, walkStack } from './inspect/stack.ts';
import type { LaunchArguments } from './launch/start.ts';
import type { MachineConnection } from './machine/client.ts';
import type { Connection } from './protocol/connection.ts';
import type { NumberFormat } from './protocol/custom.ts';

/** What the client said about itself in `initialize`. */
export interface Client {
  readonly isVsCode: boolean;
  readonly firstLine: number;
  readonly firstColumn: number;
  readonly memoryEvents: boolean;
  readonly invalidatedEvents: boolean;
}

/** Which elements of a list are wanted. */
export interface VariableRange {
  readonly start?: number;
  readonly count?: number;
}

export type VariableList = (
  range?: VariableRange,
) => Promise<readonly InspectedVariable[]> | readonly InspectedVariable[];

/** Lists of variables are assigned to through the frame they were shown for. */
export interface VariableContainer {
  readonly vcpu: number;
  readonly frameId: number | undefined;
  readonly list: VariableList;
  /** The list gives elements by number and heeds the range it is asked for. */
  readonly isIndexed?: boolean;
}

export interface FrameHandle {
  readonly vcpu: number;
  /** Position in the stack. */
  readonly index: number;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is to be found
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** Thread numbers of the protocol start at 1. */
export const threadOf = (vcpu: number): number => vcpu + 1;

export class SessionContext {
  readonly host: AdapterHost;
  readonly connection: Connection;
  readonly breakpoints = new Breakpoints();
  readonly generated = new GeneratedSources();
  readonly variables = new Handles<VariableContainer>();
  readonly frameHandles = new Handles<FrameHandle>();
  /** Memory the client has on display: the farthest byte it read of each reference. */
  readonly shownMemory = new Map<string, number>();
  client: Client = {
    isVsCode: false,
    firstLine: 1,
    firstColumn: 1,
    memoryEvents: false,
    invalidatedEvents: false,
  };
  numberFormat: NumberFormat = 'hexadecimal';
  debuggee: Debuggee | undefined;
  machineConnection: MachineConnection | undefined;
  /** As the client sent them, for a restart without new ones. */
  launchArguments: LaunchArguments = {};
  /** Exception filters that are on, by name. */
  filters: ReadonlySet<string> = new Set();
  readonly #views = new Map<number, MachineView>();
  readonly #hiddenFrames = new Map<number, number>();
  readonly #stacks = new Map<number, Promise<readonly Frame[]>>();

  /** Where the conversation is logged from now on. */
  readonly traceTo: (file: OutputFile) => void;

  constructor(host: AdapterHost, connection: Connection, traceTo: (file: OutputFile) => void) {
    this.host = host;
    this.connection = connection;
    this.traceTo = traceTo;
  }

  requireDebuggee(): Debuggee {
    if (this.debuggee === undefined) throw dapError('noMachine');
    return this.debuggee;
  }

  /** The stop the machine rests at; while it runs there is none. */
  requireStop(): StopEvent {
    const stop = this.requireDebuggee().control.lastStop;
    if (stop === undefined) throw dapError('running');
    return stop;
  }

  vcpuOf(threadId: number): number {
    if (!Number.isInteger(threadId) || threadId < 1 || threadId > this.requireDebuggee().vcpuCount)
      throw dapError('unknownThread', { threadId });
    return threadId - 1;
  }

  /** The stopped vCPU as it can be read. */
  view(vcpu: number): MachineView {
    this.requireStop();
    let view = this.#views.get(vcpu);
    if (view === undefined) {
      view = new MachineView(this.requireDebuggee().machine, vcpu);
      this.#views.set(vcpu, view);
    }
    return view;
  }

  /** Inlined frames that a step has not gone into yet: see control/inlineSteps.ts. */
  hiddenFrames(vcpu: number): number {
    return this.#hiddenFrames.get(vcpu) ?? 0;
  }

  hideFrames(vcpu: number, count: number): void {
    this.#hiddenFrames.set(vcpu, count);
  }

  stack(vcpu: number): Promise<readonly Frame[]> {
    let stack = this.#stacks.get(vcpu);
    if (stack === undefined) {
      const { program } = this.requireDebuggee();
      const hidden = this.#hiddenFrames.get(vcpu) ?? 0;
      stack = this.view(vcpu).read((state) => walkStack(state, program).slice(hidden));
      this.#stacks.set(vcpu, stack);
    }
    return stack;
  }

  /** The frame a number stands for; without a number, the top frame of the vCPU that stopped. */
  async frame(frameId: number | undefined): Promise<{ vcpu: number; frame: Frame }> {
    const stop = this.requireStop();
    const handle = frameId === undefined ? { vcpu: stop.vcpu, index: 0 } : this.frameHandles.get(frameId);
    if (handle === undefined) throw dapError('unknownFrame', { frameId: frameId ?? 0 });
    const stack = await this.stack(handle.vcpu);
    const frame = stack[handle.index];
    if (frame === undefined) throw dapError('unknownFrame', { frameId: frameId ?? 0 });
    return { vcpu: handle.vcpu, frame };
  }

  /** What is known about the machine no longer holds: it runs. Numbers given to the client become invalid. */
  machineRuns(): void {
    this.machineChanged();
    this.#hiddenFrames.clear();
    this.frameHandles.clear();
    this.variables.clear();
  }

  /** Something was written: everything is read again, numbers stay valid. */
  machineChanged(): void {
    for (const view of this.#views.values()) view.invalidate();
    this.#stacks.clear();
  }

  requireContainer(reference: number): VariableContainer {
    const container = this.variables.get(reference);
    if (container === undefined) throw dapError('unknownVariables', { reference });
    return container;
  }

  /** Starts a plan; what the client holds of the stopped machine becomes invalid. */
  run(plan: Plan): void {
    const { control, exits } = this.requireDebuggee();
    control.start((run) => {
      // Before the plan, which may say how the next stop is to be shown.
      this.machineRuns();
      return plan(run);
    });
    exits.start();
  }

  /** Ends the machine and everything around it. */
  async closeDebuggee(): Promise<void> {
    const { debuggee } = this;
    this.debuggee = undefined;
    this.machineConnection?.close();
    this.machineConnection = undefined;
    await Promise.all([debuggee?.serial.close(), debuggee?.exits.close()]);
  }

  /** A variable as the protocol has it; one that can be opened gets a number. */
  show(variable: InspectedVariable, container: Omit<VariableContainer, 'list'>): P.Variable {
    const { name, value, type, evaluateName, memoryReference, hint } = variable;
    return {
      name,
      value,
      ...(type !== undefined && { type }),
      ...(evaluateName !== undefined && { evaluateName }),
      ...(memoryReference !== undefined && { memoryReference }),
      ...(hint && { presentationHint: hint }),
      ...this.openable(variable, container),
    };
  }

  /** The number under which what a variable can be opened to is asked for, and how many elements that has. */
  openable(
    { children, indexed }: Pick<InspectedVariable, 'children' | 'indexed'>,
    { vcpu, frameId }: Omit<VariableContainer, 'list'>,
  ): { variablesReference: number; indexedVariables?: number } {
    if (!children) return { variablesReference: 0 };
    const isIndexed = indexed !== undefined;
    return {
      variablesReference: this.variables.create({ vcpu, frameId, list: children, isIndexed }),
      ...(isIndexed && { indexedVariables: indexed, namedVariables: 0 }),
    };
  }

  output(category: 'console' | 'important' | 'stdout' | 'stderr', text: string): void {
    // Names out of a program's symbols may hold anything; clients act on escape sequences.
    const plain = text.replace(CONTROLS, '\ufffd');
    this.connection.event('output', { category, output: plain.endsWith('\n') ? plain : `${plain}\n` });
  }

  /** Tells the client to read again what it shows of memory. */
  memoryChanged(): void {
    if (!this.client.memoryEvents) return;
    for (const [memoryReference, count] of this.shownMemory)
      this.connection.event('memory', { memoryReference, offset: 0, count });
  }
}
