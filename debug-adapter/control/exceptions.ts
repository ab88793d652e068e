/** The exception filters a client offers: what, besides breakpoints, stops the machine. */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { StopEvent } from '../../emulator/index.ts';

export const VM_EXIT_FILTER = 'vm-exit';
export const ENTRY_FAILURE_FILTER = 'entry-failure';
const SANITIZER_FILTER = 'sanitizer';

/** The exit reasons of VM entries that fail. */
const ENTRY_FAILURES = [
  'entryFailureInvalidGuestState',
  'entryFailureMsrLoading',
  'entryFailureMachineCheck',
];

/** At most eight: a client shows each as a checkbox. */
export const EXCEPTION_FILTERS: readonly P.ExceptionBreakpointsFilter[] = [
  {
    filter: VM_EXIT_FILTER,
    label: 'VM exit',
    description: 'Stops when the guest leaves for the hypervisor, before the hypervisor handles it.',
    default: false,
    supportsCondition: true,
    conditionDescription: 'Exit reasons, e.g. CPUID, EPT_VIOLATION; every exit when empty',
  },
  {
    filter: 'triple-fault',
    label: 'Triple fault',
    description: 'Stops where the processor shuts down; otherwise the session ends.',
    default: true,
  },
  {
    filter: ENTRY_FAILURE_FILTER,
    label: 'Failed VM entry',
    description: 'Stops where the checks of a VM entry fail, with every rule that is broken.',
    default: true,
  },
  {
    filter: SANITIZER_FILTER,
    label: 'Sanitizer',
    description:
      'Stops where the sanitizer finds a mistake; it looks for them with "sanitize" in the launch configuration.',
    default: true,
  },
];

/** Stops that mean something went wrong for good. */
export function isFailure(stop: StopEvent): boolean {
  return stop.reason === 'triple-fault' || stop.reason === 'entry-failure' || stop.reason === 'unimplemented';
}

/** Stops that `exceptionInfo` explains. */
export function isException(stop: StopEvent): boolean {
  return isFailure(stop) || stop.reason === 'exit-breakpoint' || stop.reason === 'sanitizer';
}

/** The exits a filter stops at: none when it is about something else. */
export function exitsOfFilter(
  filter: string,
  condition: string | undefined,
  reasons: Parameters<typeof parseExitReasons>[1],
): ReturnType<typeof parseExitReasons> | undefined {
  if (filter === VM_EXIT_FILTER) return parseExitReasons(condition ?? '', reasons);
  if (filter === SANITIZER_FILTER) return { keys: ['sanitizer'] };
  return filter === ENTRY_FAILURE_FILTER ? { keys: ENTRY_FAILURES } : undefined;
}

/** The exit reasons a condition names, by key or by name, or the first word that names none. */
export function parseExitReasons(
  condition: string,
  reasons: readonly { readonly key: string; readonly name: string; readonly number: number }[],
): { readonly keys: readonly string[] } | { readonly unknown: string } {
  const plain = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]/g, '');
  const keys: string[] = [];
  for (const word of condition.split(',').map((part) => part.trim())) {
    if (word === '') continue;
    const found = reasons.find(
      ({ key, name, number }) =>
        plain(key) === plain(word) || plain(name) === plain(word) || String(number) === word,
    );
    if (found === undefined) return { unknown: word };
    keys.push(found.key);
  }
  return { keys };
}
