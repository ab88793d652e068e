/**
 * Controls and EPT capabilities that a processor is made without: `--cpu sapphire-rapids,-ept,-vmx-monitor-trap-flag`.
 *
 * Intel SDM Vol. 3D, Appendix A, "VMX Capability Reporting Facility".
 */
import { UserError } from '../base/errors.ts';
import { EPT_VPID_BITS } from './capabilities.ts';
import { CONTROLS, type ControlKey, type ControlRow } from './controls.ts';

type EptKey = (typeof EPT_VPID_BITS)[number]['key'];
export type CapabilityKey = ControlKey | EptKey;

/** What makes no sense without a control: VM entry or the manual wants both. */
const NEEDED_BY: Readonly<Partial<Record<ControlKey, readonly ControlKey[]>>> = {
  enableEpt: [
    'unrestrictedGuest',
    'enablePml',
    'eptViolationVe',
    'enableVmFunctions',
    'modeBasedExecuteControl',
    'subPageWritePermissions',
    'enableHlat',
    'eptPagingWriteControl',
    'guestPagingVerification',
  ],
  useTprShadow: [
    'virtualizeX2apicMode',
    'apicRegisterVirtualization',
    'virtualInterruptDelivery',
    'ipiVirtualization',
  ],
  virtualInterruptDelivery: ['processPostedInterrupts'],
  externalInterruptExiting: ['virtualInterruptDelivery'],
  acknowledgeInterruptOnExit: ['processPostedInterrupts'],
  nmiExiting: ['virtualNmis'],
  virtualNmis: ['nmiWindowExiting'],
  activateVmxPreemptionTimer: ['saveVmxPreemptionTimerValue'],
  useTscOffsetting: ['useTscScaling'],
};

/** `hltExiting` is `hlt-exiting`, `enableEpt` is `ept`, `page1G` is `page-1g`. */
function nameOf(key: string): string {
  const words = key.replace(/^enable(?=[A-Z])/, '');
  return words
    .replace(/([a-z])([A-Z0-9])/g, '$1-$2')
    .replace(/([0-9])([A-Z][a-z])/g, '$1-$2')
    .toLowerCase();
}

const ROWS: readonly ControlRow[] = CONTROLS;

/** By the name that `--cpu` knows, behind `vmx-`; those about EPT also stand behind `vmx-ept-`. */
const BY_NAME: ReadonlyMap<string, CapabilityKey> = new Map([
  ...ROWS.filter(({ supported }) => supported).map(
    (row) => [`vmx-${nameOf(row.key)}`, row.key as ControlKey] as const,
  ),
  ...EPT_VPID_BITS.filter(({ supported }) => supported).map(
    (row) => [`vmx-ept-${nameOf(row.key)}`, row.key] as const,
  ),
]);
const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ['ept', 'vmx-ept'],
  ['vpid', 'vmx-vpid'],
]);

/** The names that share most words with one that means nothing; all of them where none does. */
function hint(name: string): string {
  const words = name.split('-').filter((word) => word !== 'vmx' && word !== '');
  const shared = (known: string): number => {
    const parts = known.split('-');
    return words.filter((word) => parts.includes(word)).length;
  };
  const most = Math.max(...[...BY_NAME.keys()].map(shared));
  if (most === 0) return `there are ${[...BY_NAME.keys()].join(', ')}`;
  return `did you mean ${[...BY_NAME.keys()].filter((known) => shared(known) === most).join(' or ')}?`;
}

/** What `--cpu` calls a control or a capability of EPT that is offered. */
export function withdrawalName(key: CapabilityKey): string | undefined {
  return [...BY_NAME].find(([, named]) => named === key)?.[0];
}

/** Keys of what is withdrawn by these names, with what needs it. Throws a `UserError` for a name that means nothing. */
export function withdrawnCapabilities(names: Iterable<string>): ReadonlySet<string> {
  const withdrawn = new Set<string>();
  const withdraw = (key: string): void => {
    if (withdrawn.has(key)) return;
    withdrawn.add(key);
    for (const other of NEEDED_BY[key as ControlKey] ?? []) withdraw(other);
    if (key === 'activateSecondaryControls')
      for (const row of ROWS) if (row.word === 'secondaryProcessorBased') withdraw(row.key);
    if (key === 'activateTertiaryControls')
      for (const row of ROWS) if (row.word === 'tertiaryProcessorBased') withdraw(row.key);
  };
  for (const name of names) {
    const key = BY_NAME.get(SHORT_NAMES.get(name) ?? name);
    if (key === undefined)
      throw new UserError(`"${name}" is no VT-x control that can be taken away: ${hint(name)}`);
    withdraw(key);
  }
  return withdrawn;
}
