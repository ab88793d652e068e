/**
 * Events as the VMCS names them: interruption information, IDT-vectoring information and back.
 *
 * Intel SDM Vol. 3C, "VM-Entry Controls for Event Injection", 26.8.3; "Information for VM Exits Due to Vectored
 * Events", 26.9.2.
 */
import type { GuestEvent } from '../core/virtualization.ts';
import { ENTRY_INTERRUPTION, EVENT_TYPE, EXIT_INTERRUPTION } from './registerBits.ts';

type EventKind = GuestEvent['kind'];

const TYPE_SHIFT = 8;
const VECTOR = 0xff;
const TYPE = 7;
const ERROR_CODE = Number(EXIT_INTERRUPTION.ERROR_CODE);
/** Bit 31, as a signed number. */
const VALID = Number(BigInt.asIntN(32, EXIT_INTERRUPTION.VALID));
export const NMI_UNBLOCKING = Number(EXIT_INTERRUPTION.NMI_UNBLOCKING);

const TYPE_OF_KIND: Readonly<Record<EventKind, number>> = {
  external: Number(EVENT_TYPE.externalInterrupt),
  nmi: Number(EVENT_TYPE.nmi),
  'hardware-exception': Number(EVENT_TYPE.hardwareException),
  'software-interrupt': Number(EVENT_TYPE.softwareInterrupt),
  'privileged-software-exception': Number(EVENT_TYPE.privilegedSoftwareException),
  'software-exception': Number(EVENT_TYPE.softwareException),
};

/** By interruption type; 1 is reserved and 7 is no event that goes through the IDT. */
const KIND_OF_TYPE: readonly (EventKind | undefined)[] = [
  'external',
  undefined,
  'nmi',
  'hardware-exception',
  'software-interrupt',
  'privileged-software-exception',
  'software-exception',
  undefined,
];

/** VM-exit interruption information and IDT-vectoring information have the same layout. */
export function interruptionInformation({ kind, vector, errorCode }: GuestEvent): number {
  return VALID | (errorCode === undefined ? 0 : ERROR_CODE) | (TYPE_OF_KIND[kind] << TYPE_SHIFT) | vector;
}

export function externalInterruptInformation(vector: number): number {
  return VALID | vector;
}

/** Whether a VM-entry interruption-information field asks for an injection. */
export function isValid(information: number): boolean {
  return (information & VALID) !== 0;
}

/** An injected event, or `undefined` for a pending MTF VM exit. */
export function injectedEvent(
  information: number,
  errorCode: number,
  instructionLength: number,
): GuestEvent | undefined {
  const kind = KIND_OF_TYPE[(information >> TYPE_SHIFT) & TYPE];
  if (kind === undefined) return undefined;
  const isSoftware = kind !== 'external' && kind !== 'nmi' && kind !== 'hardware-exception';
  return {
    kind,
    vector: information & VECTOR,
    errorCode: information & Number(ENTRY_INTERRUPTION.ERROR_CODE) ? errorCode : undefined,
    qualification: 0n,
    instructionLength: isSoftware ? instructionLength : 0,
  };
}
