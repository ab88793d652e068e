/** What stands where the list would be, when there is nothing in it; and how long it is. */
import type { ExitPage } from '../../debug-adapter/protocol/exits.ts';
import { grouped } from './columns.ts';

export interface ListState {
  readonly hasSession: boolean;
  readonly isFiltered: boolean;
  readonly problem: string | undefined;
  readonly total: number;
  readonly kept: number;
  /** Entries of the list. */
  readonly length: number;
  readonly isComplete: boolean;
  readonly searched: number;
  /** Undefined while nothing is known. */
  readonly hypervisor: ExitPage['hypervisor'] | undefined;
}

/** Undefined when the list speaks for itself. */
export function emptyText(state: ListState): string | undefined {
  const { hasSession, isFiltered, problem, total, length, isComplete, hypervisor } = state;
  if (!hasSession) return 'Start debugging with HVM to see the VM exits of a guest.';
  if (problem !== undefined) return `The VM exits cannot be shown: ${problem}`;
  if (length > 0 || hypervisor === undefined) return undefined;
  if (total > 0) return isFiltered && isComplete ? 'No VM exit matches the filter.' : undefined;
  switch (hypervisor) {
    case 'none':
      return 'This machine has no VT-x, so there are no VM exits. Mode "guest", or "virtualization": "vt-x", gives it one.';
    case 'program':
      return 'No VM exit yet. The program has the machine to itself: exits appear when it is a hypervisor and enters a guest with VMLAUNCH.';
    case 'built-in':
      return 'No VM exit yet. Exits appear here while the guest runs.';
  }
}

/** One line above the list. */
export function statusText(state: ListState): string {
  const { hasSession, isFiltered, problem, total, kept, length, isComplete, searched } = state;
  if (!hasSession || problem !== undefined || total === 0) return '';
  const all = `${grouped(total)} ${total === 1 ? 'exit' : 'exits'}`;
  const dropped = kept === 0 ? '' : `, the first ${grouped(kept)} are no longer kept`;
  if (!isFiltered) return `${all}${dropped}`;
  if (!isComplete && searched === 0) return 'Searching…';
  const part = isComplete
    ? ''
    : ` (searched ${Math.floor((100 * (searched - kept)) / Math.max(1, total - kept))} %)`;
  return `${grouped(length)} of ${all} match${part}${dropped}`;
}
