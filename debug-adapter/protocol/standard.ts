/** The requests of the Debug Adapter Protocol that this adapter answers: arguments and body of the response. */
import type { DebugProtocol as P } from '@vscode/debugprotocol';

type Body<R extends P.Response> = R['body'];

export interface StandardRequests {
  initialize: [P.InitializeRequestArguments, Body<P.InitializeResponse>];
  launch: [P.LaunchRequestArguments & Readonly<Record<string, unknown>>, undefined];
  configurationDone: [undefined, undefined];
  restart: [P.RestartArguments | undefined, undefined];
  terminate: [P.TerminateArguments | undefined, undefined];
  disconnect: [P.DisconnectArguments | undefined, undefined];
  cancel: [P.CancelArguments, undefined];
  setBreakpoints: [P.SetBreakpointsArguments, Body<P.SetBreakpointsResponse>];
  setFunctionBreakpoints: [P.SetFunctionBreakpointsArguments, Body<P.SetFunctionBreakpointsResponse>];
  setInstructionBreakpoints: [
    P.SetInstructionBreakpointsArguments,
    Body<P.SetInstructionBreakpointsResponse>,
  ];
  dataBreakpointInfo: [P.DataBreakpointInfoArguments, Body<P.DataBreakpointInfoResponse>];
  setDataBreakpoints: [P.SetDataBreakpointsArguments, Body<P.SetDataBreakpointsResponse>];
  setExceptionBreakpoints: [P.SetExceptionBreakpointsArguments, Body<P.SetExceptionBreakpointsResponse>];
  breakpointLocations: [P.BreakpointLocationsArguments, Body<P.BreakpointLocationsResponse>];
  continue: [P.ContinueArguments, Body<P.ContinueResponse>];
  pause: [P.PauseArguments, undefined];
  next: [P.NextArguments, undefined];
  stepIn: [P.StepInArguments, undefined];
  stepOut: [P.StepOutArguments, undefined];
  threads: [undefined, Body<P.ThreadsResponse>];
  stackTrace: [P.StackTraceArguments, Body<P.StackTraceResponse>];
  scopes: [P.ScopesArguments, Body<P.ScopesResponse>];
  variables: [P.VariablesArguments, Body<P.VariablesResponse>];
  setVariable: [P.SetVariableArguments, Body<P.SetVariableResponse>];
  setExpression: [P.SetExpressionArguments, Body<P.SetExpressionResponse>];
  evaluate: [P.EvaluateArguments, Body<P.EvaluateResponse>];
  completions: [P.CompletionsArguments, Body<P.CompletionsResponse>];
  exceptionInfo: [P.ExceptionInfoArguments, Body<P.ExceptionInfoResponse>];
  readMemory: [P.ReadMemoryArguments, Body<P.ReadMemoryResponse>];
  writeMemory: [P.WriteMemoryArguments, Body<P.WriteMemoryResponse>];
  disassemble: [P.DisassembleArguments, Body<P.DisassembleResponse>];
  source: [P.SourceArguments, Body<P.SourceResponse>];
  loadedSources: [P.LoadedSourcesArguments | undefined, Body<P.LoadedSourcesResponse>];
  modules: [P.ModulesArguments | undefined, Body<P.ModulesResponse>];
}

/** Bodies of the events this adapter sends. */
export interface StandardEvents {
  initialized: undefined;
  stopped: P.StoppedEvent['body'];
  continued: P.ContinuedEvent['body'];
  exited: P.ExitedEvent['body'];
  terminated: P.TerminatedEvent['body'];
  output: P.OutputEvent['body'];
  breakpoint: P.BreakpointEvent['body'];
  invalidated: P.InvalidatedEvent['body'];
  memory: P.MemoryEvent['body'];
}
