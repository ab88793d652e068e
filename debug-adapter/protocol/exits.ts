/** Requests, events and shapes of the exits view. */
import type { VmcsGroup } from './vmcs.ts';

/** One VM exit as a row of the exits panel. */
export interface ExitRow {
  readonly number: number;
  /** Retired instructions since power-on. */
  readonly position: number;
  readonly vcpu: number;
  readonly level: number;
  readonly reason: string;
  readonly rip: string;
  /** Symbol and offset of RIP, when there is one. */
  readonly location?: string;
  /** File name and line of RIP, when there is one; `hvm/exitSource` opens it. */
  readonly source?: string;
  readonly qualification: string;
  readonly guestPhysical: string;
  readonly instructionLength: number;
  readonly interruptionInformation: string;
  /** What happened, in short. */
  readonly text: string;
  /** Ticks charged for the exit and the entry after it. */
  readonly cost: number;
}

/** Which exits are listed; what is absent restricts nothing. Numbers and positions are inclusive. */
export interface ExitFilter {
  /** Keys of reasons, as `hvm/statistics` has them. */
  readonly reasons?: readonly string[];
  readonly from?: number;
  readonly to?: number;
  readonly positionFrom?: number;
  readonly positionTo?: number;
  /** In the decoded text, the symbol, the source or the address; upper and lower case are the same. */
  readonly text?: string;
}

export interface ExitReasonCount {
  readonly key: string;
  readonly name: string;
  readonly count: number;
  readonly cost: number;
}

export interface ExitPage {
  /** How many exits there have been. */
  readonly total: number;
  /** Number of the oldest exit that is still kept. */
  readonly kept: number;
  /**
   * The list is counted from 0 on; what is no longer kept has dropped out at its beginning. There are entries `first`
   * to `end` - 1. Without a filter an exit's place in the list is its number.
   */
  readonly first: number;
  readonly end: number;
  /** False when the search is not at its end: ask again. */
  readonly isComplete: boolean;
  /** Exits before this number have been searched. */
  readonly searched: number;
  /** Counts and costs of exits that match but for the reason; without a filter, of all since power-on. */
  readonly reasons: readonly ExitReasonCount[];
  /** Whose guest leaves: the built-in VMM's, a hypervisor's in the program, or nobody's without VT-x. */
  readonly hypervisor: 'built-in' | 'program' | 'none';
  /** Place of the first row in the list. */
  readonly start: number;
  readonly rows: readonly ExitRow[];
}

/** Where an exit came from, to be shown: a file, or disassembly that the adapter has made. */
export interface ExitSource {
  readonly name: string;
  readonly path?: string;
  readonly sourceReference?: number;
  /** From 1 on. */
  readonly line: number;
}

export interface ExitRequests {
  /** A part of the list of exits: `count` entries from `start` on, or the last ones. Works while the machine runs. */
  'hvm/exits': [{ readonly start?: number; readonly count: number; readonly filter?: ExitFilter }, ExitPage];
  /** The VMCS right after an exit. What was not recorded has neither a value nor `missing`. */
  'hvm/exitVmcs': [{ readonly number: number }, { readonly groups: readonly VmcsGroup[] }];
  'hvm/exitSource': [{ readonly number: number }, ExitSource];
}

export interface ExitEvents {
  /** There are more exits; at most ten a second. */
  'hvm/exitsChanged': { readonly total: number };
}
