/**
 * Checks on the guest's activity state, interruptibility state, pending debug exceptions, VMCS link pointer and
 * page-directory-pointer-table entries.
 *
 * Intel SDM Vol. 3C, "VM Entries", "Checks on Guest Non-Register State" and "Checks on Guest
 * Page-Directory-Pointer-Table Entries".
 */
import { ENTRIES } from '../manual.ts';
import {
  ACCESS_RIGHTS,
  DEBUGCTL,
  EVENT_TYPE,
  INTERRUPTIBILITY,
  PENDING_DEBUG,
  RFLAGS,
} from '../registerBits.ts';
import {
  beyondPhysicalWidth,
  type EntryCheckRow,
  type EntryContext,
  first,
  injectionType,
  injectionVector,
  isInjecting,
  mustBeZero,
  mustHold,
  usesPaePaging,
  type VmcsView,
} from './check.ts';

const NON_REGISTER = ENTRIES('Checks on Guest Non-Register State', '3.1.5');
const PDPTES = ENTRIES('Checks on Guest Page-Directory-Pointer-Table Entries', '3.1.6');

const INJECTION = 'VM_ENTRY_INTERRUPTION_INFORMATION';
const INTERRUPTIBILITY_FIELD = 'GUEST_INTERRUPTIBILITY_STATE';
const PENDING = 'GUEST_PENDING_DEBUG_EXCEPTIONS';
const ACTIVITY = 'GUEST_ACTIVITY_STATE';

const ACTIVE = 0n;
const HLT = 1n;
const SHUTDOWN = 2n;
const WAIT_FOR_SIPI = 3n;
const DEBUG_EXCEPTION = 1n;
const MACHINE_CHECK = 18n;

const blocks = (v: VmcsView, mask: bigint) => (v.GUEST_INTERRUPTIBILITY_STATE & mask) !== 0n;
const injects = (v: VmcsView, type: bigint) => isInjecting(v) && injectionType(v) === type;

/** Whether an event may be injected into an activity state that is not "active". */
function mayInject(v: VmcsView, activity: bigint): boolean {
  const type = injectionType(v);
  const vector = injectionVector(v);
  switch (activity) {
    case HLT:
      return (
        type === EVENT_TYPE.externalInterrupt ||
        type === EVENT_TYPE.nmi ||
        (type === EVENT_TYPE.hardwareException && (vector === DEBUG_EXCEPTION || vector === MACHINE_CHECK)) ||
        (type === EVENT_TYPE.otherEvent && vector === 0n)
      );
    case SHUTDOWN:
      return type === EVENT_TYPE.nmi || (type === EVENT_TYPE.hardwareException && vector === MACHINE_CHECK);
    default:
      return false;
  }
}

const ACTIVITY_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'guest.activity.supported',
    group: 'guest',
    capability: 'IA32_VMX_MISC',
    needs: [ACTIVITY],
    text: 'The activity state must be one that the processor supports',
    ref: NON_REGISTER,
    check: (v) => {
      const state = v.GUEST_ACTIVITY_STATE;
      const supported = BigInt(v.context.capabilities.activityStates);
      const isSupported =
        state === ACTIVE || (state <= WAIT_FOR_SIPI && ((supported >> (state - 1n)) & 1n) === 1n);
      return mustHold(isSupported, ACTIVITY, '0 (active) or a state that IA32_VMX_MISC[8:6] reports');
    },
  },
  {
    id: 'guest.activity.hltDpl',
    group: 'guest',
    needs: [ACTIVITY, 'GUEST_SS_ACCESS_RIGHTS'],
    text: 'The activity state must not be HLT if DPL of guest SS is not 0',
    ref: NON_REGISTER,
    check: (v) =>
      mustHold(
        v.GUEST_ACTIVITY_STATE !== HLT || (v.GUEST_SS_ACCESS_RIGHTS & ACCESS_RIGHTS.DPL) === 0n,
        ACTIVITY,
        'not HLT (1) at CPL above 0',
      ),
  },
  {
    id: 'guest.activity.blocking',
    group: 'guest',
    needs: [ACTIVITY, INTERRUPTIBILITY_FIELD],
    text: 'The activity state must be active if there is blocking by STI or by MOV SS',
    ref: NON_REGISTER,
    check: (v) =>
      mustHold(
        v.GUEST_ACTIVITY_STATE === ACTIVE || !blocks(v, INTERRUPTIBILITY.STI | INTERRUPTIBILITY.MOV_SS),
        ACTIVITY,
        '0 (active)',
      ),
  },
  {
    id: 'guest.activity.injection',
    group: 'guest',
    needs: [ACTIVITY, INJECTION],
    text: 'An injected event must be one that may be delivered in the activity state',
    ref: NON_REGISTER,
    check: (v) => {
      if (!isInjecting(v) || v.GUEST_ACTIVITY_STATE === ACTIVE) return undefined;
      const allowed = 'HLT: interrupts, NMI, #DB, #MC, pending MTF; shutdown: NMI, #MC; wait-for-SIPI: none';
      return mustHold(mayInject(v, v.GUEST_ACTIVITY_STATE), INJECTION, allowed);
    },
  },
];

const INTERRUPTIBILITY_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'guest.interruptibility.reserved',
    group: 'guest',
    needs: [INTERRUPTIBILITY_FIELD],
    text: 'Bits 31:5 of the interruptibility state must be 0',
    ref: NON_REGISTER,
    check: (v) => mustBeZero(INTERRUPTIBILITY_FIELD, v[INTERRUPTIBILITY_FIELD] & 0xffff_ffe0n),
  },
  {
    id: 'guest.interruptibility.stiAndMovSs',
    group: 'guest',
    needs: [INTERRUPTIBILITY_FIELD],
    text: 'There must not be blocking by both STI and MOV SS',
    ref: NON_REGISTER,
    check: (v) => {
      const both = INTERRUPTIBILITY.STI | INTERRUPTIBILITY.MOV_SS;
      return mustBeZero(INTERRUPTIBILITY_FIELD, (v[INTERRUPTIBILITY_FIELD] & both) === both ? both : 0n);
    },
  },
  {
    id: 'guest.interruptibility.stiWithoutIf',
    group: 'guest',
    needs: [INTERRUPTIBILITY_FIELD, 'GUEST_RFLAGS'],
    text: 'Blocking by STI must be 0 if RFLAGS.IF is 0',
    ref: NON_REGISTER,
    check: (v) =>
      (v.GUEST_RFLAGS & RFLAGS.IF) === 0n
        ? mustBeZero(INTERRUPTIBILITY_FIELD, v[INTERRUPTIBILITY_FIELD] & INTERRUPTIBILITY.STI)
        : undefined,
  },
  {
    id: 'guest.interruptibility.externalInterrupt',
    group: 'guest',
    needs: [INTERRUPTIBILITY_FIELD, INJECTION],
    text: 'Blocking by STI and by MOV SS must both be 0 if an external interrupt is injected',
    ref: NON_REGISTER,
    check: (v) =>
      injects(v, EVENT_TYPE.externalInterrupt)
        ? mustBeZero(
            INTERRUPTIBILITY_FIELD,
            v[INTERRUPTIBILITY_FIELD] & (INTERRUPTIBILITY.STI | INTERRUPTIBILITY.MOV_SS),
          )
        : undefined,
  },
  {
    id: 'guest.interruptibility.nmiMovSs',
    group: 'guest',
    needs: [INTERRUPTIBILITY_FIELD, INJECTION],
    text: 'Blocking by MOV SS must be 0 if an NMI is injected',
    ref: NON_REGISTER,
    check: (v) =>
      injects(v, EVENT_TYPE.nmi)
        ? mustBeZero(INTERRUPTIBILITY_FIELD, v[INTERRUPTIBILITY_FIELD] & INTERRUPTIBILITY.MOV_SS)
        : undefined,
  },
  {
    id: 'guest.interruptibility.nmiSti',
    group: 'guest',
    needs: [INTERRUPTIBILITY_FIELD, INJECTION],
    text: 'Blocking by STI must be 0 if an NMI is injected',
    ref: NON_REGISTER,
    qualification: 3,
    check: (v) =>
      injects(v, EVENT_TYPE.nmi)
        ? mustBeZero(INTERRUPTIBILITY_FIELD, v[INTERRUPTIBILITY_FIELD] & INTERRUPTIBILITY.STI)
        : undefined,
  },
  {
    id: 'guest.interruptibility.smi',
    group: 'guest',
    needs: [INTERRUPTIBILITY_FIELD],
    text: 'Blocking by SMI must be 0 if the processor is not in SMM',
    ref: NON_REGISTER,
    check: (v) =>
      v.context.inSmm
        ? undefined
        : mustBeZero(INTERRUPTIBILITY_FIELD, v[INTERRUPTIBILITY_FIELD] & INTERRUPTIBILITY.SMI),
  },
  {
    id: 'guest.interruptibility.virtualNmi',
    group: 'guest',
    needs: [INTERRUPTIBILITY_FIELD, INJECTION],
    text: 'Blocking by NMI must be 0 if "virtual NMIs" is 1 and an NMI is injected',
    ref: NON_REGISTER,
    check: (v) =>
      v.controls.virtualNmis && injects(v, EVENT_TYPE.nmi)
        ? mustBeZero(INTERRUPTIBILITY_FIELD, v[INTERRUPTIBILITY_FIELD] & INTERRUPTIBILITY.NMI)
        : undefined,
  },
  {
    id: 'guest.interruptibility.enclave',
    group: 'guest',
    needs: [INTERRUPTIBILITY_FIELD],
    text: 'With enclave interruption, blocking by MOV SS must be 0 and the processor must support SGX',
    ref: NON_REGISTER,
    check: (v) => {
      if (!blocks(v, INTERRUPTIBILITY.ENCLAVE)) return undefined;
      const allowed = v.context.supportsSgx && !blocks(v, INTERRUPTIBILITY.MOV_SS);
      return mustBeZero(INTERRUPTIBILITY_FIELD, allowed ? 0n : INTERRUPTIBILITY.ENCLAVE);
    },
  },
];

/** Bits 11:4, 13, 15 and 63:17. */
const PENDING_RESERVED = 0xffff_ffff_fffe_aff0n;

/** Whether a single-step trap would already have been delivered, so that a pending one has to be recorded. */
function singleStepIsHeld(v: VmcsView): boolean {
  return blocks(v, INTERRUPTIBILITY.STI | INTERRUPTIBILITY.MOV_SS) || v.GUEST_ACTIVITY_STATE === HLT;
}

function singleSteps(v: VmcsView): boolean {
  return (v.GUEST_RFLAGS & RFLAGS.TF) !== 0n && (v.GUEST_IA32_DEBUGCTL & DEBUGCTL.BTF) === 0n;
}

const SINGLE_STEP_FIELDS = [
  PENDING,
  INTERRUPTIBILITY_FIELD,
  ACTIVITY,
  'GUEST_RFLAGS',
  'GUEST_IA32_DEBUGCTL',
] as const;

const PENDING_DEBUG_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'guest.pendingDebug.reserved',
    group: 'guest',
    needs: [PENDING],
    text: 'Bits 11:4, 13, 15 and 63:17 of the pending debug exceptions must be 0',
    ref: NON_REGISTER,
    check: (v) => mustBeZero(PENDING, v[PENDING] & PENDING_RESERVED),
  },
  {
    id: 'guest.pendingDebug.bsRequired',
    group: 'guest',
    needs: SINGLE_STEP_FIELDS,
    text: 'BS must be 1 with blocking by STI or MOV SS or in HLT if RFLAGS.TF is 1 and IA32_DEBUGCTL.BTF is 0',
    ref: NON_REGISTER,
    check: (v) =>
      singleStepIsHeld(v) && singleSteps(v) ? mustBeZero(PENDING, ~v[PENDING] & PENDING_DEBUG.BS) : undefined,
  },
  {
    id: 'guest.pendingDebug.bsForbidden',
    group: 'guest',
    needs: SINGLE_STEP_FIELDS,
    text: 'BS must be 0 with blocking by STI or MOV SS or in HLT if RFLAGS.TF is 0 or IA32_DEBUGCTL.BTF is 1',
    ref: NON_REGISTER,
    check: (v) =>
      singleStepIsHeld(v) && !singleSteps(v) ? mustBeZero(PENDING, v[PENDING] & PENDING_DEBUG.BS) : undefined,
  },
  {
    id: 'guest.pendingDebug.rtm',
    group: 'guest',
    needs: [PENDING, INTERRUPTIBILITY_FIELD],
    text: 'With bit 16 (RTM) the pending debug exceptions must have bit 12 and no other, without blocking by MOV SS, on a processor with RTM',
    ref: NON_REGISTER,
    check: (v) => {
      if ((v[PENDING] & PENDING_DEBUG.RTM) === 0n) return undefined;
      const exact = v[PENDING] === (PENDING_DEBUG.RTM | PENDING_DEBUG.ENABLED);
      const allowed = exact && v.context.supportsRtm && !blocks(v, INTERRUPTIBILITY.MOV_SS);
      return mustBeZero(PENDING, allowed ? 0n : PENDING_DEBUG.RTM);
    },
  },
];

/** The value of the VMCS link pointer that points nowhere. */
const NO_LINK = 0xffff_ffff_ffff_ffffn;
const SHADOW_INDICATOR = 0x8000_0000n;

const hasLink = (v: VmcsView): boolean => v.VMCS_LINK_POINTER !== NO_LINK;

/** A sentence about the link pointer, which applies unless the field is all ones. */
function linked(check: EntryCheckRow['check']): EntryCheckRow['check'] {
  return (v) => (hasLink(v) ? check(v) : undefined);
}

function linkIsAddress(v: VmcsView): boolean {
  const link = v.VMCS_LINK_POINTER;
  return (link & 0xfffn) === 0n && beyondPhysicalWidth(link, v.context) === 0n;
}

const LINK_POINTER_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'guest.linkPointer.alignment',
    group: 'guest',
    needs: ['VMCS_LINK_POINTER'],
    text: 'Bits 11:0 of the VMCS link pointer must be 0 unless it is FFFFFFFF_FFFFFFFFH',
    ref: NON_REGISTER,
    qualification: 4,
    check: linked((v) => mustBeZero('VMCS_LINK_POINTER', v.VMCS_LINK_POINTER & 0xfffn)),
  },
  {
    id: 'guest.linkPointer.width',
    group: 'guest',
    needs: ['VMCS_LINK_POINTER'],
    text: 'The VMCS link pointer must not set bits beyond the physical-address width unless it is FFFFFFFF_FFFFFFFFH',
    ref: NON_REGISTER,
    qualification: 4,
    check: linked((v) =>
      mustBeZero('VMCS_LINK_POINTER', beyondPhysicalWidth(v.VMCS_LINK_POINTER, v.context)),
    ),
  },
  {
    id: 'guest.linkPointer.revision',
    group: 'guest',
    needs: ['VMCS_LINK_POINTER'],
    text: 'The region that the VMCS link pointer names must have the VMCS revision identifier of the processor',
    ref: NON_REGISTER,
    qualification: 4,
    alsoReads: 'memory',
    applies: hasLink,
    check: linked((v) => {
      if (!linkIsAddress(v)) return undefined;
      const identifier = v.context.readPhysical32(v.VMCS_LINK_POINTER) & ~SHADOW_INDICATOR;
      const expected = v.context.capabilities.revisionIdentifier;
      return mustHold(
        identifier === BigInt(expected),
        'VMCS_LINK_POINTER',
        `revision 0x${expected.toString(16)}`,
      );
    }),
  },
  {
    id: 'guest.linkPointer.shadow',
    group: 'guest',
    needs: ['VMCS_LINK_POINTER'],
    text: 'The region that the VMCS link pointer names must be a shadow VMCS exactly if "VMCS shadowing" is 1',
    ref: NON_REGISTER,
    qualification: 4,
    alsoReads: 'memory',
    applies: hasLink,
    check: linked((v) => {
      if (!linkIsAddress(v)) return undefined;
      const isShadow = (v.context.readPhysical32(v.VMCS_LINK_POINTER) & SHADOW_INDICATOR) !== 0n;
      const { vmcsShadowing } = v.controls;
      return mustHold(
        isShadow === vmcsShadowing,
        'VMCS_LINK_POINTER',
        vmcsShadowing ? 'a shadow VMCS' : 'an ordinary VMCS',
      );
    }),
  },
  {
    id: 'guest.linkPointer.current',
    group: 'guest',
    needs: ['VMCS_LINK_POINTER'],
    text: 'The VMCS link pointer must not be the current-VMCS pointer if the processor is not in SMM',
    ref: NON_REGISTER,
    qualification: 4,
    check: linked((v) =>
      mustHold(
        v.context.inSmm || v.VMCS_LINK_POINTER !== v.context.currentVmcsPointer,
        'VMCS_LINK_POINTER',
        'another VMCS than the current one',
      ),
    ),
  },
];

const PDPTE_FIELDS = ['GUEST_PDPTE0', 'GUEST_PDPTE1', 'GUEST_PDPTE2', 'GUEST_PDPTE3'] as const;
const PRESENT = 1n;
/** Bits 2:1 and 8:5. */
const PDPTE_RESERVED = 0x1e6n;
/** CR3 gives bits 31:5 of the table's address. */
const PDPT_ADDRESS = 0xffff_ffe0n;
const ENTRY_SIZE = 8n;

function pdpteReserved(entry: bigint, context: EntryContext): bigint {
  return (entry & PRESENT) === 0n ? 0n : (entry & PDPTE_RESERVED) | beyondPhysicalWidth(entry, context);
}

const PDPTE_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'guest.pdptes.memory',
    group: 'guest',
    needs: ['GUEST_CR0', 'GUEST_CR3', 'GUEST_CR4'],
    text: 'With PAE paging and without EPT, no present PDPTE that guest CR3 names may set a reserved bit',
    ref: PDPTES,
    qualification: 2,
    alsoReads: 'memory',
    applies: (v) => !v.controls.enableEpt,
    check: (v) => {
      if (!usesPaePaging(v) || v.controls.enableEpt) return undefined;
      const table = v.GUEST_CR3 & PDPT_ADDRESS;
      return first([0n, 1n, 2n, 3n], (index) => {
        const reserved = pdpteReserved(v.context.readPhysical64(table + index * ENTRY_SIZE), v.context);
        return mustHold(reserved === 0n, 'GUEST_CR3', `PDPTE ${index} without reserved bits`);
      });
    },
  },
  {
    id: 'guest.pdptes.fields',
    group: 'guest',
    needs: ['GUEST_CR0', 'GUEST_CR4', ...PDPTE_FIELDS],
    text: 'With PAE paging and EPT, no present PDPTE in the guest-state area may set a reserved bit',
    ref: PDPTES,
    qualification: 2,
    check: (v) =>
      usesPaePaging(v) && v.controls.enableEpt
        ? first(PDPTE_FIELDS, (field) => mustBeZero(field, pdpteReserved(v[field], v.context)))
        : undefined,
  },
];

export const GUEST_NON_REGISTER_CHECKS: readonly EntryCheckRow[] = [
  ...ACTIVITY_CHECKS,
  ...INTERRUPTIBILITY_CHECKS,
  ...PENDING_DEBUG_CHECKS,
  ...LINK_POINTER_CHECKS,
  ...PDPTE_CHECKS,
];
