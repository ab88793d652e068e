/**
 * Checks on the VM-execution controls about the translation of addresses (VPID, EPT and what needs it), VM functions,
 * VMCS shadowing, virtualization exceptions and the TSC. A violation is VMfailValid(7).
 *
 * Intel SDM Vol. 3C, "VM Entries", "VM-Execution Control Fields", 28.2.1.1.
 */
import type { ControlKey } from '../controls.ts';
import { CONTROLS, controlWord } from '../controls.ts';
import { ENTRIES } from '../manual.ts';
import { EPTP } from '../registerBits.ts';
import {
  beyondPhysicalWidth,
  type EntryCheckRow,
  mustBeZero,
  mustHold,
  pageAddress,
  type VmcsView,
} from './check.ts';

const EXECUTION = ENTRIES('VM-Execution Control Fields', '2.1.1');

/** "Enable EPT" must be 1 for another control to be. */
function needsEpt(control: ControlKey): EntryCheckRow {
  const row = CONTROLS.find(({ key }) => key === control) as (typeof CONTROLS)[number];
  const { field } = controlWord(row.word);
  return {
    id: `controls.${control}.ept`,
    group: 'controls',
    needs: [field],
    text: `"Enable EPT" must be 1 if "${row.name}" is 1`,
    ref: EXECUTION,
    check: (v) =>
      mustHold(
        !v.controls[control] || v.controls.enableEpt,
        field,
        `"${row.name}" only together with "enable EPT"`,
      ),
  };
}

const EPTP_SWITCHING = 1n;

function switchesEptp({ controls, VM_FUNCTION_CONTROLS }: VmcsView): boolean {
  return controls.enableVmFunctions && (VM_FUNCTION_CONTROLS & EPTP_SWITCHING) !== 0n;
}

export const TRANSLATION_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'controls.vpid',
    group: 'controls',
    needs: ['VIRTUAL_PROCESSOR_IDENTIFIER'],
    text: 'The VPID must not be 0000H if "enable VPID" is 1',
    ref: EXECUTION,
    check: (v) =>
      mustHold(
        !v.controls.enableVpid || v.VIRTUAL_PROCESSOR_IDENTIFIER !== 0n,
        'VIRTUAL_PROCESSOR_IDENTIFIER',
        '1 to 0xffff',
      ),
  },
  {
    id: 'controls.eptp.memoryType',
    group: 'controls',
    capability: 'IA32_VMX_EPT_VPID_CAP',
    needs: ['EPT_POINTER'],
    text: 'The EPT memory type must be one the processor supports if "enable EPT" is 1',
    ref: EXECUTION,
    check: (v) => {
      if (!v.controls.enableEpt) return undefined;
      const type = v.EPT_POINTER & EPTP.MEMORY_TYPE;
      const { memoryTypeUncacheable, memoryTypeWriteBack } = v.context.capabilities.eptVpid;
      const supported = (type === 0n && memoryTypeUncacheable) || (type === 6n && memoryTypeWriteBack);
      return mustHold(supported, 'EPT_POINTER', 'memory type 0 (UC) or 6 (WB) in bits 2:0');
    },
  },
  {
    id: 'controls.eptp.walkLength',
    group: 'controls',
    capability: 'IA32_VMX_EPT_VPID_CAP',
    needs: ['EPT_POINTER'],
    text: 'Bits 5:3 of the EPTP must be 1 less than a page-walk length the processor supports if "enable EPT" is 1',
    ref: EXECUTION,
    check: (v) => {
      if (!v.controls.enableEpt) return undefined;
      const length = ((v.EPT_POINTER & EPTP.WALK_LENGTH) >> 3n) + 1n;
      const { walkLength4, walkLength5 } = v.context.capabilities.eptVpid;
      const supported = (length === 4n && walkLength4) || (length === 5n && walkLength5);
      return mustHold(supported, 'EPT_POINTER', walkLength5 ? '3 or 4 in bits 5:3' : '3 in bits 5:3');
    },
  },
  {
    id: 'controls.eptp.accessedDirty',
    group: 'controls',
    capability: 'IA32_VMX_EPT_VPID_CAP',
    needs: ['EPT_POINTER'],
    text: 'Bit 6 of the EPTP must be 0 if the processor has no accessed and dirty flags for EPT',
    ref: EXECUTION,
    check: (v) =>
      v.controls.enableEpt && !v.context.capabilities.eptVpid.accessedDirty
        ? mustBeZero('EPT_POINTER', v.EPT_POINTER & EPTP.AD)
        : undefined,
  },
  {
    id: 'controls.eptp.supervisorShadowStack',
    group: 'controls',
    capability: 'IA32_VMX_EPT_VPID_CAP',
    needs: ['EPT_POINTER'],
    text: 'Bit 7 of the EPTP must be 0 if the processor has no supervisor shadow-stack control',
    ref: EXECUTION,
    check: (v) =>
      v.controls.enableEpt && !v.context.capabilities.eptVpid.supervisorShadowStack
        ? mustBeZero('EPT_POINTER', v.EPT_POINTER & EPTP.SSS)
        : undefined,
  },
  {
    id: 'controls.eptp.reserved',
    group: 'controls',
    needs: ['EPT_POINTER'],
    text: 'Bits 11:8 of the EPTP and those beyond the physical-address width must be 0 if "enable EPT" is 1',
    ref: EXECUTION,
    check: (v) =>
      v.controls.enableEpt
        ? mustBeZero('EPT_POINTER', (v.EPT_POINTER & 0xf00n) | beyondPhysicalWidth(v.EPT_POINTER, v.context))
        : undefined,
  },
  needsEpt('enablePml'),
  ...pageAddress('pml', 'PML address', 'PML_ADDRESS', 'enablePml', EXECUTION),
  needsEpt('unrestrictedGuest'),
  needsEpt('modeBasedExecuteControl'),
  needsEpt('subPageWritePermissions'),
  ...pageAddress(
    'subPage',
    'sub-page-permission-table pointer',
    'SUB_PAGE_PERMISSION_TABLE_POINTER',
    'subPageWritePermissions',
    EXECUTION,
  ),
  {
    id: 'controls.vmFunctions.reserved',
    group: 'controls',
    needs: ['VM_FUNCTION_CONTROLS'],
    text: 'Reserved bits in the VM-function controls must be 0 if "enable VM functions" is 1',
    ref: EXECUTION,
    capability: 'IA32_VMX_VMFUNC',
    check: (v) =>
      v.controls.enableVmFunctions
        ? mustBeZero('VM_FUNCTION_CONTROLS', v.VM_FUNCTION_CONTROLS & ~v.context.capabilities.vmFunctions)
        : undefined,
  },
  {
    id: 'controls.eptpSwitching.ept',
    group: 'controls',
    needs: ['VM_FUNCTION_CONTROLS'],
    text: '"Enable EPT" must be 1 if "EPTP switching" is 1',
    ref: EXECUTION,
    check: (v) =>
      switchesEptp(v) && !v.controls.enableEpt
        ? mustBeZero('VM_FUNCTION_CONTROLS', v.VM_FUNCTION_CONTROLS & EPTP_SWITCHING)
        : undefined,
  },
  {
    id: 'controls.eptpList.alignment',
    group: 'controls',
    needs: ['VM_FUNCTION_CONTROLS', 'EPTP_LIST_ADDRESS'],
    text: 'Bits 11:0 of the EPTP-list address must be 0 if "EPTP switching" is 1',
    ref: EXECUTION,
    check: (v) =>
      switchesEptp(v) ? mustBeZero('EPTP_LIST_ADDRESS', v.EPTP_LIST_ADDRESS & 0xfffn) : undefined,
  },
  {
    id: 'controls.eptpList.width',
    group: 'controls',
    needs: ['VM_FUNCTION_CONTROLS', 'EPTP_LIST_ADDRESS'],
    text: 'The EPTP-list address must not set bits beyond the physical-address width if "EPTP switching" is 1',
    ref: EXECUTION,
    check: (v) =>
      switchesEptp(v)
        ? mustBeZero('EPTP_LIST_ADDRESS', beyondPhysicalWidth(v.EPTP_LIST_ADDRESS, v.context))
        : undefined,
  },
  ...pageAddress(
    'vmreadBitmap',
    'VMREAD-bitmap address',
    'VMREAD_BITMAP_ADDRESS',
    'vmcsShadowing',
    EXECUTION,
  ),
  ...pageAddress(
    'vmwriteBitmap',
    'VMWRITE-bitmap address',
    'VMWRITE_BITMAP_ADDRESS',
    'vmcsShadowing',
    EXECUTION,
  ),
  ...pageAddress(
    'virtualizationException',
    'virtualization-exception information address',
    'VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS',
    'eptViolationVe',
    EXECUTION,
  ),
  needsEpt('ptUsesGuestPhysicalAddresses'),
  {
    id: 'controls.tscMultiplier',
    group: 'controls',
    needs: ['TSC_MULTIPLIER'],
    text: 'The TSC multiplier must not be 0 if "use TSC scaling" is 1',
    ref: EXECUTION,
    check: (v) =>
      mustHold(
        !v.controls.useTscScaling || v.TSC_MULTIPLIER !== 0n,
        'TSC_MULTIPLIER',
        'any value but 0; 0x1000000000000 is a factor of 1',
      ),
  },
  needsEpt('enableHlat'),
  {
    id: 'controls.hlatPointer.reserved',
    group: 'controls',
    needs: ['HLAT_POINTER'],
    text: 'Bits 2:0 and 11:5 of the HLAT pointer and those beyond the physical-address width must be 0 if "enable HLAT" is 1',
    ref: EXECUTION,
    check: (v) =>
      v.controls.enableHlat
        ? mustBeZero(
            'HLAT_POINTER',
            (v.HLAT_POINTER & 0xfe7n) | beyondPhysicalWidth(v.HLAT_POINTER, v.context),
          )
        : undefined,
  },
  needsEpt('eptPagingWriteControl'),
  needsEpt('guestPagingVerification'),
];
