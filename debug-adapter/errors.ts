/** Every error a client can be told, with its code, its text and whether the user is shown it. */
import { ExpressionError } from './expressions/errors.ts';
import { LaunchError } from './launch/validate.ts';

interface ErrorRow {
  readonly code: number;
  /** `{name}` is replaced by a variable. */
  readonly text: string;
  /** A dialog for what the user asked for; false for what a client asks by itself, such as a hover. */
  readonly showUser: boolean;
}

export const ERRORS = {
  launch: { code: 1001, text: '{reason}', showUser: true },
  machine: { code: 1002, text: '{reason}', showUser: true },
  noMachine: { code: 1003, text: 'No machine has been started: send "launch" first.', showUser: false },
  alreadyLaunched: { code: 1004, text: 'A machine has been started already.', showUser: false },
  machineLost: { code: 1005, text: 'The machine has ended unexpectedly: {reason}', showUser: true },

  running: { code: 1101, text: 'The machine is running: pause it first.', showUser: false },
  unknownThread: { code: 1102, text: 'There is no thread {threadId}.', showUser: false },
  unknownFrame: { code: 1103, text: 'Stack frame {frameId} is no longer valid.', showUser: false },
  unknownVariables: {
    code: 1104,
    text: 'Variables reference {reference} is no longer valid.',
    showUser: false,
  },
  noCaller: {
    code: 1105,
    text: 'Cannot step out: the caller of this function is not known.',
    showUser: true,
  },
  notStepping: {
    code: 1106,
    text: 'The machine has stopped for good ({reason}): restart the session.',
    showUser: true,
  },
  entryPoint: {
    code: 1107,
    text: '"runToEntryPoint": the program has no symbol "{symbol}".',
    showUser: true,
  },

  expression: { code: 1201, text: '{reason}', showUser: false },
  notAssignable: { code: 1202, text: '"{expression}" cannot be assigned to.', showUser: true },
  assignment: { code: 1203, text: '{reason}', showUser: true },
  unknownVariable: { code: 1204, text: 'There is no "{name}" here.', showUser: true },

  memoryReference: {
    code: 1301,
    text: '"{reference}" is not an address: write 0x1000, gpa:0x1000 or hpa:0x1000.',
    showUser: false,
  },
  memoryWrite: { code: 1302, text: 'Cannot write to {reference}: nothing is mapped there.', showUser: true },
  memoryData: { code: 1303, text: 'The data to write is not base64.', showUser: false },
  unknownSource: { code: 1304, text: 'Source {reference} is not known.', showUser: false },

  notStopped: { code: 1401, text: 'The machine has not stopped because of an error.', showUser: false },
  numberFormat: { code: 1403, text: '"format" must be "hexadecimal" or "decimal".', showUser: false },
  exitReason: { code: 1404, text: 'There is no exit reason "{reason}".', showUser: false },
  noExit: { code: 1405, text: 'VM exit {number} is not in the list.', showUser: true },
  exitsRange: { code: 1402, text: '"start" and "count" must be whole numbers from 0 on.', showUser: false },

  cancelled: { code: 1901, text: 'cancelled', showUser: false },
  unknownRequest: { code: 1902, text: 'The request "{command}" is not supported.', showUser: false },
  internal: { code: 1999, text: 'Internal error: {reason}', showUser: true },
} as const satisfies Readonly<Record<string, ErrorRow>>;

export type ErrorKey = keyof typeof ERRORS;

export class DapError extends Error {
  override readonly name = 'DapError';
  readonly code: number;
  readonly format: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly showUser: boolean;
  readonly isCancelled: boolean;

  constructor(key: ErrorKey, variables: Readonly<Record<string, string>>) {
    const row: ErrorRow = ERRORS[key];
    super(row.text.replace(/\{(\w+)\}/g, (_, name: string) => variables[name] ?? `{${name}}`));
    this.code = row.code;
    this.format = row.text;
    this.variables = variables;
    this.showUser = row.showUser;
    this.isCancelled = key === 'cancelled';
  }
}

export function dapError(key: ErrorKey, variables: Readonly<Record<string, string | number>> = {}): DapError {
  return new DapError(
    key,
    Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, String(value)])),
  );
}

/** What an error thrown anywhere means to the client. */
export function toDapError(error: unknown): DapError {
  if (error instanceof DapError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof LaunchError) return dapError('launch', { reason });
  if (error instanceof ExpressionError) return dapError('expression', { reason });
  // Errors of the machine have crossed a message port: only the name says what they were.
  if (error instanceof Error && (error.name === 'UserError' || error.name === 'Unimplemented'))
    return dapError('machine', { reason });
  if (error instanceof Error && error.name === 'MachineLost') return dapError('machineLost', { reason });
  return dapError('internal', { reason });
}
