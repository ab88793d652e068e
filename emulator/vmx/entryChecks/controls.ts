/**
 * Checks on the VM-execution, VM-exit and VM-entry control fields. A violation is VMfailValid(7).
 *
 * There are sentences about controls that no CPU model offers yet: for them, dumps of other processors' VMCSs can be
 * explained. On a model without such a control the reserved-bit checks keep it at 0, so that the sentence holds.
 *
 * Intel SDM Vol. 3C, "VM Entries", "Checks on VMX Controls".
 */
import type { ControlWordKey } from '../controls.ts';
import { controlWord } from '../controls.ts';
import type { VmcsFieldKey } from '../fields.ts';
import { ENTRIES } from '../manual.ts';
import { CR0, ENTRY_INTERRUPTION, EVENT_TYPE } from '../registerBits.ts';
import {
  beyondPhysicalWidth,
  type EntryCheckRow,
  first,
  fixedBitsViolated,
  injectionType,
  injectionVector,
  isInjecting,
  mustBeZero,
  mustHold,
  type VmcsView,
} from './check.ts';
import { TRANSLATION_CHECKS } from './controlsTranslation.ts';
import { APIC_CHECKS, TPR_CHECKS } from './controlsVirtualApic.ts';

const EXECUTION = ENTRIES('VM-Execution Control Fields', '2.1.1');
const VM_EXIT = ENTRIES('VM-Exit Control Fields', '2.1.2');
const VM_ENTRY = ENTRIES('VM-Entry Control Fields', '2.1.3');

const PAGE_OFFSET = 0xfffn;
const MSR_ENTRY_SIZE = 16n;

/** Reserved bits of a control word, and settings the CPU model does not offer. */
function reservedBits(word: ControlWordKey, applies: (vmcs: VmcsView) => boolean): EntryCheckRow['check'] {
  const { field } = controlWord(word);
  return (vmcs) => {
    if (!applies(vmcs)) return undefined;
    const { mustBe1, mayBe1 } = vmcs.context.capabilities.allowed[word];
    return mustBeZero(field, fixedBitsViolated(vmcs[field], mustBe1, mayBe1));
  };
}

const always = () => true;

/** Which capability MSR says what a control word may hold. */
const WORD_MSRS: Readonly<Record<ControlWordKey, string>> = {
  pinBased: 'IA32_VMX_TRUE_PINBASED_CTLS',
  primaryProcessorBased: 'IA32_VMX_TRUE_PROCBASED_CTLS',
  secondaryProcessorBased: 'IA32_VMX_PROCBASED_CTLS2',
  tertiaryProcessorBased: 'IA32_VMX_PROCBASED_CTLS3',
  primaryVmExit: 'IA32_VMX_TRUE_EXIT_CTLS',
  secondaryVmExit: 'IA32_VMX_EXIT_CTLS2',
  vmEntry: 'IA32_VMX_TRUE_ENTRY_CTLS',
};

/** The three sentences about the address of an MSR area whose count is not 0. */
function msrArea(
  id: string,
  title: string,
  address: VmcsFieldKey,
  count: VmcsFieldKey,
  ref: EntryCheckRow['ref'],
): readonly EntryCheckRow[] {
  const group = 'controls';
  const needs = [address, count];
  return [
    {
      id: `controls.${id}.alignment`,
      group,
      needs,
      text: `Bits 3:0 of the ${title} address must be 0 if the count is not 0`,
      ref,
      check: (v) => (v[count] === 0n ? undefined : mustBeZero(address, v[address] & 0xfn)),
    },
    {
      id: `controls.${id}.width`,
      group,
      needs,
      text: `The ${title} address must not set bits beyond the physical-address width if the count is not 0`,
      ref,
      check: (v) =>
        v[count] === 0n ? undefined : mustBeZero(address, beyondPhysicalWidth(v[address], v.context)),
    },
    {
      id: `controls.${id}.lastByte`,
      group,
      needs,
      text: `The address of the last byte of the ${title} area must not set bits beyond the physical-address width`,
      ref,
      check: (v) => {
        if (v[count] === 0n) return undefined;
        const last = v[address] + v[count] * MSR_ENTRY_SIZE - 1n;
        return mustHold(
          beyondPhysicalWidth(last, v.context) === 0n,
          count,
          'an area inside the physical address space',
        );
      },
    },
  ];
}

const EXECUTION_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'controls.pinBased.reserved',
    group: 'controls',
    needs: ['PIN_BASED_VM_EXECUTION_CONTROLS'],
    text: 'Reserved bits in the pin-based VM-execution controls must be set properly',
    ref: EXECUTION,
    capability: WORD_MSRS.pinBased,
    check: reservedBits('pinBased', always),
  },
  {
    id: 'controls.primaryProcessorBased.reserved',
    group: 'controls',
    needs: ['PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS'],
    text: 'Reserved bits in the primary processor-based VM-execution controls must be set properly',
    ref: EXECUTION,
    capability: WORD_MSRS.primaryProcessorBased,
    check: reservedBits('primaryProcessorBased', always),
  },
  {
    id: 'controls.secondaryProcessorBased.reserved',
    group: 'controls',
    needs: ['SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS'],
    text: 'Reserved bits in the secondary processor-based VM-execution controls must be 0 if these are activated',
    ref: EXECUTION,
    capability: WORD_MSRS.secondaryProcessorBased,
    check: reservedBits('secondaryProcessorBased', (v) => v.controls.activateSecondaryControls),
  },
  {
    id: 'controls.tertiaryProcessorBased.reserved',
    group: 'controls',
    needs: ['TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS'],
    text: 'Reserved bits in the tertiary processor-based VM-execution controls must be 0 if these are activated',
    ref: EXECUTION,
    capability: WORD_MSRS.tertiaryProcessorBased,
    check: reservedBits('tertiaryProcessorBased', (v) => v.controls.activateTertiaryControls),
  },
  {
    id: 'controls.cr3TargetCount',
    group: 'controls',
    needs: ['CR3_TARGET_COUNT'],
    capability: 'IA32_VMX_MISC',
    text: 'The CR3-target count must not be greater than the number of CR3-target values',
    ref: EXECUTION,
    check: (v) => {
      const { cr3TargetCount } = v.context.capabilities;
      return mustHold(
        v.CR3_TARGET_COUNT <= BigInt(cr3TargetCount),
        'CR3_TARGET_COUNT',
        `0 to ${cr3TargetCount}`,
      );
    },
  },
  {
    id: 'controls.ioBitmaps.alignment',
    group: 'controls',
    needs: ['IO_BITMAP_A', 'IO_BITMAP_B'],
    text: 'Bits 11:0 of each I/O-bitmap address must be 0 if "use I/O bitmaps" is 1',
    ref: EXECUTION,
    check: (v) =>
      v.controls.useIoBitmaps
        ? first(['IO_BITMAP_A', 'IO_BITMAP_B'] as const, (field) => mustBeZero(field, v[field] & PAGE_OFFSET))
        : undefined,
  },
  {
    id: 'controls.ioBitmaps.width',
    group: 'controls',
    needs: ['IO_BITMAP_A', 'IO_BITMAP_B'],
    text: 'No I/O-bitmap address may set bits beyond the physical-address width if "use I/O bitmaps" is 1',
    ref: EXECUTION,
    check: (v) =>
      v.controls.useIoBitmaps
        ? first(['IO_BITMAP_A', 'IO_BITMAP_B'] as const, (field) =>
            mustBeZero(field, beyondPhysicalWidth(v[field], v.context)),
          )
        : undefined,
  },
  {
    id: 'controls.msrBitmaps.alignment',
    group: 'controls',
    needs: ['MSR_BITMAPS'],
    text: 'Bits 11:0 of the MSR-bitmap address must be 0 if "use MSR bitmaps" is 1',
    ref: EXECUTION,
    check: (v) =>
      v.controls.useMsrBitmaps ? mustBeZero('MSR_BITMAPS', v.MSR_BITMAPS & PAGE_OFFSET) : undefined,
  },
  {
    id: 'controls.msrBitmaps.width',
    group: 'controls',
    needs: ['MSR_BITMAPS'],
    text: 'The MSR-bitmap address must not set bits beyond the physical-address width if "use MSR bitmaps" is 1',
    ref: EXECUTION,
    check: (v) =>
      v.controls.useMsrBitmaps
        ? mustBeZero('MSR_BITMAPS', beyondPhysicalWidth(v.MSR_BITMAPS, v.context))
        : undefined,
  },
];

const NMI_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'controls.virtualNmis',
    group: 'controls',
    needs: ['PIN_BASED_VM_EXECUTION_CONTROLS'],
    text: '"Virtual NMIs" must be 0 if "NMI exiting" is 0',
    ref: EXECUTION,
    check: (v) =>
      mustHold(
        v.controls.nmiExiting || !v.controls.virtualNmis,
        'PIN_BASED_VM_EXECUTION_CONTROLS',
        '"virtual NMIs" only together with "NMI exiting"',
      ),
  },
  {
    id: 'controls.nmiWindowExiting',
    group: 'controls',
    needs: ['PIN_BASED_VM_EXECUTION_CONTROLS', 'PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS'],
    text: '"NMI-window exiting" must be 0 if "virtual NMIs" is 0',
    ref: EXECUTION,
    check: (v) =>
      mustHold(
        v.controls.virtualNmis || !v.controls.nmiWindowExiting,
        'PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS',
        '"NMI-window exiting" only together with "virtual NMIs"',
      ),
  },
];

const EXIT_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'controls.primaryVmExit.reserved',
    group: 'controls',
    needs: ['PRIMARY_VM_EXIT_CONTROLS'],
    text: 'Reserved bits in the primary VM-exit controls must be set properly',
    ref: VM_EXIT,
    capability: WORD_MSRS.primaryVmExit,
    check: reservedBits('primaryVmExit', always),
  },
  {
    id: 'controls.secondaryVmExit.reserved',
    group: 'controls',
    needs: ['SECONDARY_VM_EXIT_CONTROLS'],
    text: 'Reserved bits in the secondary VM-exit controls must be 0 if these are activated',
    ref: VM_EXIT,
    capability: WORD_MSRS.secondaryVmExit,
    check: reservedBits('secondaryVmExit', (v) => v.controls.activateSecondaryVmExitControls),
  },
  {
    id: 'controls.savePreemptionTimer',
    group: 'controls',
    needs: ['PIN_BASED_VM_EXECUTION_CONTROLS', 'PRIMARY_VM_EXIT_CONTROLS'],
    text: '"Save VMX-preemption timer value" must be 0 if "activate VMX-preemption timer" is 0',
    ref: VM_EXIT,
    check: (v) =>
      mustHold(
        v.controls.activateVmxPreemptionTimer || !v.controls.saveVmxPreemptionTimerValue,
        'PRIMARY_VM_EXIT_CONTROLS',
        '"save VMX-preemption timer value" only together with "activate VMX-preemption timer"',
      ),
  },
  ...msrArea(
    'exitMsrStore',
    'VM-exit MSR-store',
    'VM_EXIT_MSR_STORE_ADDRESS',
    'VM_EXIT_MSR_STORE_COUNT',
    VM_EXIT,
  ),
  ...msrArea(
    'exitMsrLoad',
    'VM-exit MSR-load',
    'VM_EXIT_MSR_LOAD_ADDRESS',
    'VM_EXIT_MSR_LOAD_COUNT',
    VM_EXIT,
  ),
];

const INFORMATION = 'VM_ENTRY_INTERRUPTION_INFORMATION';
const MAX_INSTRUCTION_LENGTH = 15n;
/** #DF, #TS, #NP, #SS, #GP, #PF, #AC. */
const VECTORS_WITH_ERROR_CODE: ReadonlySet<bigint> = new Set([8n, 10n, 11n, 12n, 13n, 14n, 17n]);

function deliversErrorCode(v: VmcsView): boolean {
  return (v.VM_ENTRY_INTERRUPTION_INFORMATION & ENTRY_INTERRUPTION.ERROR_CODE) !== 0n;
}

function isSoftwareEvent(v: VmcsView): boolean {
  const type = injectionType(v);
  return (
    type === EVENT_TYPE.softwareInterrupt ||
    type === EVENT_TYPE.privilegedSoftwareException ||
    type === EVENT_TYPE.softwareException
  );
}

const ENTRY_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'controls.vmEntry.reserved',
    group: 'controls',
    needs: ['VM_ENTRY_CONTROLS'],
    text: 'Reserved bits in the VM-entry controls must be set properly',
    ref: VM_ENTRY,
    capability: WORD_MSRS.vmEntry,
    check: reservedBits('vmEntry', always),
  },
  {
    id: 'controls.smm.outside',
    group: 'controls',
    needs: ['VM_ENTRY_CONTROLS'],
    text: '"Entry to SMM" and "deactivate dual-monitor treatment" must be 0 if the processor is not in SMM',
    ref: VM_ENTRY,
    check: (v) =>
      mustHold(
        v.context.inSmm || !(v.controls.entryToSmm || v.controls.deactivateDualMonitorTreatment),
        'VM_ENTRY_CONTROLS',
        '"entry to SMM" 0 and "deactivate dual-monitor treatment" 0',
      ),
  },
  {
    id: 'controls.smm.both',
    group: 'controls',
    needs: ['VM_ENTRY_CONTROLS'],
    text: '"Entry to SMM" and "deactivate dual-monitor treatment" must not both be 1',
    ref: VM_ENTRY,
    check: (v) =>
      mustHold(
        !(v.controls.entryToSmm && v.controls.deactivateDualMonitorTreatment),
        'VM_ENTRY_CONTROLS',
        'at most one of the two',
      ),
  },
  {
    id: 'controls.injection.type',
    group: 'controls',
    needs: [INFORMATION],
    text: 'The interruption type of an injected event must not be 1, nor 7 without "monitor trap flag"',
    ref: VM_ENTRY,
    check: (v) => {
      if (!isInjecting(v)) return undefined;
      const monitorTrapFlag = 1n << 27n;
      const hasMtf = (v.context.capabilities.allowed.primaryProcessorBased.mayBe1 & monitorTrapFlag) !== 0n;
      const type = injectionType(v);
      const reserved = type === EVENT_TYPE.reserved || (type === EVENT_TYPE.otherEvent && !hasMtf);
      return mustHold(!reserved, INFORMATION, `interruption type 0, 2 to 6${hasMtf ? ' or 7' : ''}`);
    },
  },
  {
    id: 'controls.injection.vector.nmi',
    group: 'controls',
    needs: [INFORMATION],
    text: 'The vector of an injected NMI must be 2',
    ref: VM_ENTRY,
    check: (v) =>
      isInjecting(v) && injectionType(v) === EVENT_TYPE.nmi
        ? mustHold(injectionVector(v) === 2n, INFORMATION, 'vector 2')
        : undefined,
  },
  {
    id: 'controls.injection.vector.hardwareException',
    group: 'controls',
    needs: [INFORMATION],
    text: 'The vector of an injected hardware exception must not be above 31',
    ref: VM_ENTRY,
    check: (v) =>
      isInjecting(v) && injectionType(v) === EVENT_TYPE.hardwareException
        ? mustHold(injectionVector(v) <= 31n, INFORMATION, 'vector 0 to 31')
        : undefined,
  },
  {
    id: 'controls.injection.vector.otherEvent',
    group: 'controls',
    needs: [INFORMATION],
    text: 'The vector of an injected "other event" must be 0 (pending MTF VM exit)',
    ref: VM_ENTRY,
    check: (v) =>
      isInjecting(v) && injectionType(v) === EVENT_TYPE.otherEvent
        ? mustHold(injectionVector(v) === 0n, INFORMATION, 'vector 0')
        : undefined,
  },
  {
    id: 'controls.injection.errorCode.required',
    group: 'controls',
    needs: [INFORMATION, 'GUEST_CR0'],
    text: 'The deliver-error-code bit must be 1 for a hardware exception that has one, in protected mode, if IA32_VMX_BASIC[56] is 0',
    ref: VM_ENTRY,
    check: (v) => {
      if (!isInjecting(v) || v.context.capabilities.anyErrorCode) return undefined;
      const required =
        injectionType(v) === EVENT_TYPE.hardwareException &&
        (v.GUEST_CR0 & CR0.PE) !== 0n &&
        VECTORS_WITH_ERROR_CODE.has(injectionVector(v));
      return mustHold(!required || deliversErrorCode(v), INFORMATION, 'deliver-error-code 1');
    },
  },
  {
    id: 'controls.injection.errorCode.forbidden',
    group: 'controls',
    needs: [INFORMATION, 'GUEST_CR0'],
    text: 'The deliver-error-code bit must be 0 for anything but a hardware exception in protected mode, and for vectors without error code if IA32_VMX_BASIC[56] is 0',
    ref: VM_ENTRY,
    check: (v) => {
      if (!isInjecting(v)) return undefined;
      const permitted =
        injectionType(v) === EVENT_TYPE.hardwareException &&
        (v.GUEST_CR0 & CR0.PE) !== 0n &&
        (v.context.capabilities.anyErrorCode || VECTORS_WITH_ERROR_CODE.has(injectionVector(v)));
      return mustHold(permitted || !deliversErrorCode(v), INFORMATION, 'deliver-error-code 0');
    },
  },
  {
    id: 'controls.injection.reserved',
    group: 'controls',
    needs: [INFORMATION],
    text: 'Bits 30:12 of the VM-entry interruption-information field must be 0',
    ref: VM_ENTRY,
    check: (v) => (isInjecting(v) ? mustBeZero(INFORMATION, v[INFORMATION] & 0x7fff_f000n) : undefined),
  },
  {
    id: 'controls.injection.errorCode.reserved',
    group: 'controls',
    needs: [INFORMATION, 'VM_ENTRY_EXCEPTION_ERROR_CODE'],
    text: 'Bits 31:16 of the VM-entry exception error code must be 0 if it is delivered',
    ref: VM_ENTRY,
    check: (v) =>
      isInjecting(v) && deliversErrorCode(v)
        ? mustBeZero('VM_ENTRY_EXCEPTION_ERROR_CODE', v.VM_ENTRY_EXCEPTION_ERROR_CODE & 0xffff_0000n)
        : undefined,
  },
  {
    id: 'controls.injection.instructionLength',
    group: 'controls',
    needs: [INFORMATION, 'VM_ENTRY_INSTRUCTION_LENGTH'],
    text: 'The VM-entry instruction length must be 1 to 15 for software events, or 0 where IA32_VMX_MISC[30] allows it',
    ref: VM_ENTRY,
    check: (v) => {
      if (!isInjecting(v) || !isSoftwareEvent(v)) return undefined;
      const lowest = v.context.capabilities.zeroLengthInjection ? 0n : 1n;
      const length = v.VM_ENTRY_INSTRUCTION_LENGTH;
      return mustHold(
        length >= lowest && length <= MAX_INSTRUCTION_LENGTH,
        'VM_ENTRY_INSTRUCTION_LENGTH',
        `${lowest} to ${MAX_INSTRUCTION_LENGTH}`,
      );
    },
  },
  ...msrArea(
    'entryMsrLoad',
    'VM-entry MSR-load',
    'VM_ENTRY_MSR_LOAD_ADDRESS',
    'VM_ENTRY_MSR_LOAD_COUNT',
    VM_ENTRY,
  ),
];

export const CONTROL_CHECKS: readonly EntryCheckRow[] = [
  ...EXECUTION_CHECKS,
  ...TPR_CHECKS,
  ...NMI_CHECKS,
  ...APIC_CHECKS,
  ...TRANSLATION_CHECKS,
  ...EXIT_CHECKS,
  ...ENTRY_CHECKS,
];
