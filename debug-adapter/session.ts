/** A debug session: the list of its requests, each handled by a file of requests/. */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { SessionContext } from './context.ts';
import type { AdapterHost } from './host/adapterHost.ts';
import { Connection, type RequestHandlers, type Requests } from './protocol/connection.ts';
import {
  breakpointLocations,
  setBreakpoints,
  setExceptionBreakpoints,
  setFunctionBreakpoints,
  setInstructionBreakpoints,
} from './requests/breakpoints.ts';
import { completions } from './requests/completions.ts';
import {
  dataBreakpointInfo,
  setDataBreakpoints,
  setVmcsFieldBreakpoints,
} from './requests/dataBreakpoints.ts';
import { disassemble } from './requests/disassemble.ts';
import { disconnect, terminate } from './requests/end.ts';
import { entryReport } from './requests/entryReport.ts';
import { evaluate, setExpression, setVariable } from './requests/evaluate.ts';
import { exceptionInfo } from './requests/exceptionInfo.ts';
import { exitSource, exits, exitVmcs } from './requests/exits.ts';
import * as hvm from './requests/hvm.ts';
import { initialize } from './requests/initialize.ts';
import { configurationDone, launch, restart } from './requests/launch.ts';
import { readMemory, writeMemory } from './requests/memory.ts';
import * as run from './requests/run.ts';
import { scopes, variables } from './requests/scopes.ts';
import { loadedSources, modules, source } from './requests/source.ts';
import { stackTrace } from './requests/stackTrace.ts';
import { threads } from './requests/threads.ts';
import { setVmcsField, vmcs } from './requests/vmcs.ts';

/** Answered at once, whatever else is going on. */
const IMMEDIATE: readonly (keyof Requests)[] = ['cancel', 'pause', 'disconnect', 'terminate'];

export type Trace = (direction: '->' | '<-', message: P.ProtocolMessage) => void;

export class DebugSession {
  readonly #context: SessionContext;
  readonly #connection: Connection;
  #trace: Trace | undefined;

  constructor(host: AdapterHost, send: (message: P.ProtocolMessage) => void, trace?: Trace) {
    this.#trace = trace;
    const handlers: RequestHandlers = {
      initialize: (args) => initialize(this.#context, args),
      launch: (args) => launch(this.#context, args),
      configurationDone: () => configurationDone(this.#context),
      restart: (args) => restart(this.#context, args),
      terminate: () => terminate(this.#context),
      disconnect: () => disconnect(this.#context),
      cancel: ({ requestId }) => void (requestId !== undefined && this.#connection.cancel(requestId)),

      setBreakpoints: (args) => setBreakpoints(this.#context, args),
      setFunctionBreakpoints: (args) => setFunctionBreakpoints(this.#context, args),
      setInstructionBreakpoints: (args) => setInstructionBreakpoints(this.#context, args),
      setExceptionBreakpoints: (args) => setExceptionBreakpoints(this.#context, args),
      dataBreakpointInfo: (args) => dataBreakpointInfo(this.#context, args),
      setDataBreakpoints: (args) => setDataBreakpoints(this.#context, args),
      breakpointLocations: (args) => breakpointLocations(this.#context, args),

      continue: () => run.continueRun(this.#context),
      pause: () => run.pause(this.#context),
      next: (args) => run.next(this.#context, args),
      stepIn: (args) => run.stepIn(this.#context, args),
      stepOut: (args) => run.stepOut(this.#context, args),

      threads: () => threads(this.#context),
      stackTrace: (args) => stackTrace(this.#context, args),
      scopes: (args) => scopes(this.#context, args),
      variables: (args) => variables(this.#context, args),
      setVariable: (args) => setVariable(this.#context, args),
      setExpression: (args) => setExpression(this.#context, args),
      evaluate: (args) => evaluate(this.#context, args),
      completions: (args) => completions(this.#context, args),
      exceptionInfo: () => exceptionInfo(this.#context),

      readMemory: (args) => readMemory(this.#context, args),
      writeMemory: (args) => writeMemory(this.#context, args),
      disassemble: (args) => disassemble(this.#context, args),
      source: (args) => source(this.#context, args),
      loadedSources: () => loadedSources(this.#context),
      modules: () => modules(this.#context),

      'hvm/exits': (args) => exits(this.#context, args),
      'hvm/exitVmcs': (args) => exitVmcs(this.#context, args),
      'hvm/exitSource': (args) => exitSource(this.#context, args),
      'hvm/vmcs': (args) => vmcs(this.#context, args),
      'hvm/setVmcsFieldBreakpoints': (args) => setVmcsFieldBreakpoints(this.#context, args),
      'hvm/entryReport': (args) => entryReport(this.#context, args),
      'hvm/setVmcsField': (args) => setVmcsField(this.#context, args),
      'hvm/statistics': () => hvm.statistics(this.#context),
      'hvm/setNumberFormat': (args) => hvm.setNumberFormat(this.#context, args),
      'hvm/serialInput': (args) => hvm.serialInput(this.#context, args),
    };
    const traced: Trace = (direction, message) => this.#trace?.(direction, message);
    this.#connection = new Connection({ handlers, immediate: IMMEDIATE, trace: traced }, send);
    this.#context = new SessionContext(host, this.#connection, (file) => {
      this.#trace = (direction, message) => file.write(traceLine(direction, message));
    });
  }

  /** Takes one message from the client. */
  receive(message: P.ProtocolMessage): void {
    this.#connection.receive(message);
  }

  /** The client is gone. */
  async close(): Promise<void> {
    this.#connection.close();
    await this.#context.closeDebuggee();
  }
}

/** A message as a line of a trace. */
export function traceLine(direction: '->' | '<-', message: P.ProtocolMessage): string {
  return `${JSON.stringify({ dap: direction, ...message })}\n`;
}
