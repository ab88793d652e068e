/**
 * What this debugger adds to the Debug Adapter Protocol, declared once for both sides. A request's entry is its
 * arguments and its response's body, an event's entry is its body. Numbers that need 64 bits are hexadecimal text.
 */
import type { EntryReportRequests } from './entryReport.ts';
import type { ExitEvents, ExitRequests } from './exits.ts';
import type { VmcsRequests } from './vmcs.ts';

export interface StatisticsBody {
  readonly instructions: number;
  readonly ticks: number;
  readonly exits: number;
  readonly translations: number;
  readonly exitsByReason: readonly {
    readonly key: string;
    readonly name: string;
    readonly count: number;
    readonly cost: number;
  }[];
}

export interface CustomRequests extends EntryReportRequests, ExitRequests, VmcsRequests {
  'hvm/statistics': [undefined, StatisticsBody];
  /** Text typed into the serial terminal. */
  'hvm/serialInput': [{ readonly text: string }, undefined];
}

export interface CustomEvents extends ExitEvents {
  'hvm/serialOutput': { readonly text: string };
}
