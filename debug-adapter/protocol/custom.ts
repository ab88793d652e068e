/**
 * What this debugger adds to the Debug Adapter Protocol, declared once for both sides. A request's entry is its
 * arguments and its response's body, an event's entry is its body. Numbers that need 64 bits are hexadecimal text.
 */
import type { EntryReportRequests } from './entryReport.ts';
import type { ExitEvents, ExitRequests } from './exits.ts';
import type { VmcsRequests } from './vmcs.ts';

/** Whose code is executed: level 0 owns the machine, level 1 is a guest's. */
export interface ExecutionLevel {
  readonly level: number;
  /** Absent where no hypervisor has taken the processor over yet. */
  readonly operation?: 'VMX root' | 'VMX non-root';
}

export interface StatisticsBody {
  readonly instructions: number;
  readonly ticks: number;
  readonly exits: number;
  readonly translations: number;
  /** What the processor executes: `16-bit`, `32-bit` or `64-bit` code. */
  readonly code: string;
  /** Absent without VT-x. */
  readonly execution?: ExecutionLevel;
  readonly exitsByReason: readonly {
    readonly key: string;
    readonly name: string;
    readonly count: number;
    readonly cost: number;
  }[];
}

export type NumberFormat = 'hexadecimal' | 'decimal';

export interface CustomRequests extends EntryReportRequests, ExitRequests, VmcsRequests {
  'hvm/statistics': [undefined, StatisticsBody];
  /** How registers, variables and results of expressions are shown from now on. */
  'hvm/setNumberFormat': [{ readonly format: NumberFormat }, undefined];
  /** Text typed into the serial terminal. */
  'hvm/serialInput': [{ readonly text: string }, undefined];
}

export interface CustomEvents extends ExitEvents {
  'hvm/serialOutput': { readonly text: string };
}
