/**
 * Checks on the VM-execution controls about the virtual APIC: TPR shadow, APIC accesses, virtual interrupts, posted
 * interrupts, IPI virtualization. A violation is VMfailValid(7).
 *
 * Intel SDM Vol. 3C, "VM Entries", "VM-Execution Control Fields", 28.2.1.1.
 */
import { ENTRIES } from '../manual.ts';
import {
  beyondPhysicalWidth,
  type EntryCheckRow,
  mustBeZero,
  mustHold,
  pageAddress,
  type VmcsView,
} from './check.ts';

const EXECUTION = ENTRIES('VM-Execution Control Fields', '2.1.1');

const PRIMARY = 'PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS';
const SECONDARY = 'SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS';
const TERTIARY = 'TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS';
const PIN = 'PIN_BASED_VM_EXECUTION_CONTROLS';

/** Offset of VTPR on the virtual-APIC page. */
const VTPR = 0x80n;

const looksAtVtpr = ({ controls }: VmcsView): boolean =>
  controls.useTprShadow && !controls.virtualizeApicAccesses && !controls.virtualInterruptDelivery;

export const TPR_CHECKS: readonly EntryCheckRow[] = [
  ...pageAddress('virtualApic', 'virtual-APIC address', 'VIRTUAL_APIC_ADDRESS', 'useTprShadow', EXECUTION),
  {
    id: 'controls.tprThreshold.reserved',
    group: 'controls',
    needs: ['TPR_THRESHOLD'],
    text: 'Bits 31:4 of the TPR threshold must be 0 if "use TPR shadow" is 1 and "virtual-interrupt delivery" is 0',
    ref: EXECUTION,
    check: (v) =>
      v.controls.useTprShadow && !v.controls.virtualInterruptDelivery
        ? mustBeZero('TPR_THRESHOLD', v.TPR_THRESHOLD & 0xffff_fff0n)
        : undefined,
  },
  {
    id: 'controls.tprThreshold.vtpr',
    group: 'controls',
    needs: ['TPR_THRESHOLD', 'VIRTUAL_APIC_ADDRESS'],
    text: 'The TPR threshold must not be greater than bits 7:4 of VTPR if "use TPR shadow" is 1 and neither "virtualize APIC accesses" nor "virtual-interrupt delivery" is',
    ref: EXECUTION,
    alsoReads: 'memory',
    applies: looksAtVtpr,
    check: (v) => {
      if (!looksAtVtpr(v)) return undefined;
      const address = v.VIRTUAL_APIC_ADDRESS;
      if ((address & 0xfffn) !== 0n || beyondPhysicalWidth(address, v.context) !== 0n) return undefined;
      const priority = (v.context.readPhysical32(address + VTPR) >> 4n) & 15n;
      return mustHold((v.TPR_THRESHOLD & 15n) <= priority, 'TPR_THRESHOLD', `0 to ${priority}`);
    },
  },
];

export const APIC_CHECKS: readonly EntryCheckRow[] = [
  ...pageAddress(
    'apicAccess',
    'APIC-access address',
    'APIC_ACCESS_ADDRESS',
    'virtualizeApicAccesses',
    EXECUTION,
  ),
  {
    id: 'controls.tprShadow.required',
    group: 'controls',
    needs: [PRIMARY, SECONDARY, TERTIARY],
    text: '"Virtualize x2APIC mode", "APIC-register virtualization", "virtual-interrupt delivery" and "IPI virtualization" must be 0 if "use TPR shadow" is 0',
    ref: EXECUTION,
    check: (v) => {
      const { useTprShadow, virtualizeX2apicMode, apicRegisterVirtualization } = v.controls;
      const { virtualInterruptDelivery, ipiVirtualization } = v.controls;
      const needed =
        virtualizeX2apicMode || apicRegisterVirtualization || virtualInterruptDelivery || ipiVirtualization;
      return mustHold(useTprShadow || !needed, PRIMARY, '"use TPR shadow" 1');
    },
  },
  {
    id: 'controls.x2apicMode.apicAccesses',
    group: 'controls',
    needs: [SECONDARY],
    text: '"Virtualize APIC accesses" must be 0 if "virtualize x2APIC mode" is 1',
    ref: EXECUTION,
    check: (v) =>
      mustHold(
        !v.controls.virtualizeX2apicMode || !v.controls.virtualizeApicAccesses,
        SECONDARY,
        'one of the two',
      ),
  },
  {
    id: 'controls.virtualInterruptDelivery.externalInterruptExiting',
    group: 'controls',
    needs: [PIN, SECONDARY],
    text: '"External-interrupt exiting" must be 1 if "virtual-interrupt delivery" is 1',
    ref: EXECUTION,
    check: (v) =>
      mustHold(
        !v.controls.virtualInterruptDelivery || v.controls.externalInterruptExiting,
        PIN,
        '"external-interrupt exiting" 1',
      ),
  },
  {
    id: 'controls.postedInterrupts.virtualInterruptDelivery',
    group: 'controls',
    needs: [PIN, SECONDARY],
    text: '"Virtual-interrupt delivery" must be 1 if "process posted interrupts" is 1',
    ref: EXECUTION,
    check: (v) =>
      mustHold(
        !v.controls.processPostedInterrupts || v.controls.virtualInterruptDelivery,
        SECONDARY,
        '"virtual-interrupt delivery" 1',
      ),
  },
  {
    id: 'controls.postedInterrupts.acknowledge',
    group: 'controls',
    needs: [PIN, 'PRIMARY_VM_EXIT_CONTROLS'],
    text: '"Acknowledge interrupt on exit" must be 1 if "process posted interrupts" is 1',
    ref: EXECUTION,
    check: (v) =>
      mustHold(
        !v.controls.processPostedInterrupts || v.controls.acknowledgeInterruptOnExit,
        'PRIMARY_VM_EXIT_CONTROLS',
        '"acknowledge interrupt on exit" 1',
      ),
  },
  {
    id: 'controls.postedInterrupts.vector',
    group: 'controls',
    needs: ['POSTED_INTERRUPT_NOTIFICATION_VECTOR'],
    text: 'Bits 15:8 of the posted-interrupt notification vector must be 0 if "process posted interrupts" is 1',
    ref: EXECUTION,
    check: (v) =>
      v.controls.processPostedInterrupts
        ? mustBeZero('POSTED_INTERRUPT_NOTIFICATION_VECTOR', v.POSTED_INTERRUPT_NOTIFICATION_VECTOR & 0xff00n)
        : undefined,
  },
  {
    id: 'controls.postedInterrupts.alignment',
    group: 'controls',
    needs: ['POSTED_INTERRUPT_DESCRIPTOR_ADDRESS'],
    text: 'Bits 5:0 of the posted-interrupt descriptor address must be 0 if "process posted interrupts" is 1',
    ref: EXECUTION,
    check: (v) =>
      v.controls.processPostedInterrupts
        ? mustBeZero('POSTED_INTERRUPT_DESCRIPTOR_ADDRESS', v.POSTED_INTERRUPT_DESCRIPTOR_ADDRESS & 0x3fn)
        : undefined,
  },
  {
    id: 'controls.postedInterrupts.width',
    group: 'controls',
    needs: ['POSTED_INTERRUPT_DESCRIPTOR_ADDRESS'],
    text: 'The posted-interrupt descriptor address must not set bits beyond the physical-address width if "process posted interrupts" is 1',
    ref: EXECUTION,
    check: (v) =>
      v.controls.processPostedInterrupts
        ? mustBeZero(
            'POSTED_INTERRUPT_DESCRIPTOR_ADDRESS',
            beyondPhysicalWidth(v.POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, v.context),
          )
        : undefined,
  },
  {
    id: 'controls.pidPointerTable.alignment',
    group: 'controls',
    needs: ['PID_POINTER_TABLE_ADDRESS'],
    text: 'Bits 2:0 of the PID-pointer table address must be 0 if "IPI virtualization" is 1',
    ref: EXECUTION,
    check: (v) =>
      v.controls.ipiVirtualization
        ? mustBeZero('PID_POINTER_TABLE_ADDRESS', v.PID_POINTER_TABLE_ADDRESS & 7n)
        : undefined,
  },
  {
    id: 'controls.pidPointerTable.width',
    group: 'controls',
    needs: ['PID_POINTER_TABLE_ADDRESS', 'LAST_PID_POINTER_INDEX'],
    text: 'The PID-pointer table, to its last entry, must not lie beyond the physical-address width if "IPI virtualization" is 1',
    ref: EXECUTION,
    check: (v) =>
      v.controls.ipiVirtualization
        ? mustBeZero(
            'PID_POINTER_TABLE_ADDRESS',
            beyondPhysicalWidth(v.PID_POINTER_TABLE_ADDRESS + 8n * v.LAST_PID_POINTER_INDEX, v.context),
          )
        : undefined,
  },
];
