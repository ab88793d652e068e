/**
 * Checks on the host-state area. A violation is VMfailValid(8).
 *
 * Intel SDM Vol. 3C, "VM Entries", "Checks on Host Control Registers, MSRs, and SSP", "Checks on Host Segment and
 * Descriptor-Table Registers" and "Checks Related to Address-Space Size".
 */
import type { VmcsFieldKey } from '../fields.ts';
import { ENTRIES } from '../manual.ts';
import { CR0, CR4, EFER } from '../registerBits.ts';
import {
  beyondPhysicalWidth,
  canonical,
  type EntryCheckRow,
  first,
  fixedBitsViolated,
  mustBeZero,
  mustHold,
  patViolation,
  sCetReserved,
} from './check.ts';

const REGISTERS = ENTRIES('Checks on Host Control Registers, MSRs, and SSP', '2.2');
const SEGMENTS = ENTRIES('Checks on Host Segment and Descriptor-Table Registers', '2.3');
const ADDRESS_SPACE = ENTRIES('Checks Related to Address-Space Size', '2.4');

const SELECTORS = [
  'HOST_CS_SELECTOR',
  'HOST_SS_SELECTOR',
  'HOST_DS_SELECTOR',
  'HOST_ES_SELECTOR',
  'HOST_FS_SELECTOR',
  'HOST_GS_SELECTOR',
  'HOST_TR_SELECTOR',
] as const satisfies readonly VmcsFieldKey[];

const BASES = [
  'HOST_FS_BASE',
  'HOST_GS_BASE',
  'HOST_GDTR_BASE',
  'HOST_IDTR_BASE',
  'HOST_TR_BASE',
] as const satisfies readonly VmcsFieldKey[];

const CET_ADDRESSES = ['HOST_IA32_S_CET', 'HOST_IA32_INTERRUPT_SSP_TABLE_ADDR'] as const;

const UPPER_HALF = 0xffff_ffff_0000_0000n;
const RPL_AND_TI = 7n;

const REGISTER_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'host.cr0.fixed',
    group: 'host',
    capability: 'IA32_VMX_CR0_FIXED0, IA32_VMX_CR0_FIXED1',
    needs: ['HOST_CR0'],
    text: 'Host CR0 must not set any bit to a value not supported in VMX operation',
    ref: REGISTERS,
    check: (v) => {
      const { cr0Fixed0, cr0Fixed1 } = v.context.capabilities;
      return mustBeZero('HOST_CR0', fixedBitsViolated(v.HOST_CR0, cr0Fixed0, cr0Fixed1));
    },
  },
  {
    id: 'host.cr4.fixed',
    group: 'host',
    capability: 'IA32_VMX_CR4_FIXED0, IA32_VMX_CR4_FIXED1',
    needs: ['HOST_CR4'],
    text: 'Host CR4 must not set any bit to a value not supported in VMX operation',
    ref: REGISTERS,
    check: (v) => {
      const { cr4Fixed0, cr4Fixed1 } = v.context.capabilities;
      return mustBeZero('HOST_CR4', fixedBitsViolated(v.HOST_CR4, cr4Fixed0, cr4Fixed1));
    },
  },
  {
    id: 'host.cr4.cet',
    group: 'host',
    needs: ['HOST_CR0', 'HOST_CR4'],
    text: 'Host CR0.WP must be 1 if CR4.CET is 1',
    ref: REGISTERS,
    check: (v) =>
      mustHold(
        (v.HOST_CR4 & CR4.CET) === 0n || (v.HOST_CR0 & CR0.WP) !== 0n,
        'HOST_CR0',
        'CR0.WP 1 with CR4.CET 1',
      ),
  },
  {
    id: 'host.cr3.reserved',
    group: 'host',
    needs: ['HOST_CR3'],
    text: 'Host CR3 must not set bits beyond the physical-address width',
    ref: REGISTERS,
    check: (v) => mustBeZero('HOST_CR3', beyondPhysicalWidth(v.HOST_CR3, v.context)),
  },
  {
    id: 'host.sysenter.canonical',
    group: 'host',
    needs: ['HOST_IA32_SYSENTER_ESP', 'HOST_IA32_SYSENTER_EIP'],
    text: 'Host IA32_SYSENTER_ESP and IA32_SYSENTER_EIP must each contain a canonical address',
    ref: REGISTERS,
    check: (v) =>
      first(['HOST_IA32_SYSENTER_ESP', 'HOST_IA32_SYSENTER_EIP'] as const, (field) => canonical(v, field)),
  },
  {
    id: 'host.perfGlobalCtrl',
    group: 'host',
    needs: ['HOST_IA32_PERF_GLOBAL_CTRL'],
    text: 'Reserved bits of host IA32_PERF_GLOBAL_CTRL must be 0 if "load IA32_PERF_GLOBAL_CTRL" is 1',
    ref: REGISTERS,
    check: (v) =>
      v.controls.loadPerfGlobalCtrlOnExit
        ? mustBeZero(
            'HOST_IA32_PERF_GLOBAL_CTRL',
            v.HOST_IA32_PERF_GLOBAL_CTRL & ~v.context.perfGlobalCtrlSupported,
          )
        : undefined,
  },
  {
    id: 'host.pat',
    group: 'host',
    needs: ['HOST_IA32_PAT'],
    text: 'Each byte of host IA32_PAT must be a memory type that WRMSR accepts if "load IA32_PAT" is 1',
    ref: REGISTERS,
    check: (v) => (v.controls.loadPatOnExit ? patViolation('HOST_IA32_PAT', v.HOST_IA32_PAT) : undefined),
  },
  {
    id: 'host.efer.reserved',
    group: 'host',
    needs: ['HOST_IA32_EFER'],
    text: 'Reserved bits of host IA32_EFER must be 0 if "load IA32_EFER" is 1',
    ref: REGISTERS,
    check: (v) =>
      v.controls.loadEferOnExit
        ? mustBeZero('HOST_IA32_EFER', v.HOST_IA32_EFER & ~v.context.eferSupported)
        : undefined,
  },
  {
    id: 'host.efer.addressSpaceSize',
    group: 'host',
    needs: ['HOST_IA32_EFER'],
    text: 'LMA and LME of host IA32_EFER must each equal "host address-space size" if "load IA32_EFER" is 1',
    ref: REGISTERS,
    check: (v) => {
      if (!v.controls.loadEferOnExit) return undefined;
      const both = EFER.LMA | EFER.LME;
      const expected = v.controls.hostAddressSpaceSize ? both : 0n;
      return mustBeZero('HOST_IA32_EFER', (v.HOST_IA32_EFER & both) ^ expected);
    },
  },
  {
    id: 'host.cet.canonical',
    group: 'host',
    needs: CET_ADDRESSES,
    text: 'Host IA32_S_CET and IA32_INTERRUPT_SSP_TABLE_ADDR must each contain a canonical address if "load CET state" is 1',
    ref: REGISTERS,
    check: (v) =>
      v.controls.loadCetStateOnExit ? first(CET_ADDRESSES, (field) => canonical(v, field)) : undefined,
  },
  {
    id: 'host.cet.reserved',
    group: 'host',
    needs: ['HOST_IA32_S_CET'],
    text: 'Bits 9:6 of host IA32_S_CET must be 0, and bits 11 and 10 not both 1, if "load CET state" is 1',
    ref: REGISTERS,
    check: (v) =>
      v.controls.loadCetStateOnExit
        ? mustBeZero('HOST_IA32_S_CET', sCetReserved(v.HOST_IA32_S_CET))
        : undefined,
  },
  {
    id: 'host.ssp',
    group: 'host',
    needs: ['HOST_SSP'],
    text: 'Bits 1:0 of host SSP must be 0 if "load CET state" is 1',
    ref: REGISTERS,
    check: (v) => (v.controls.loadCetStateOnExit ? mustBeZero('HOST_SSP', v.HOST_SSP & 3n) : undefined),
  },
  {
    id: 'host.pkrs',
    group: 'host',
    needs: ['HOST_IA32_PKRS'],
    text: 'Bits 63:32 of host IA32_PKRS must be 0 if "load PKRS" is 1',
    ref: REGISTERS,
    check: (v) =>
      v.controls.loadPkrsOnExit ? mustBeZero('HOST_IA32_PKRS', v.HOST_IA32_PKRS & UPPER_HALF) : undefined,
  },
];

const SEGMENT_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'host.selectors.rplTi',
    group: 'host',
    needs: SELECTORS,
    text: 'RPL and TI must be 0 in each host selector',
    ref: SEGMENTS,
    check: (v) => first(SELECTORS, (field) => mustBeZero(field, v[field] & RPL_AND_TI)),
  },
  {
    id: 'host.selectors.csTr',
    group: 'host',
    needs: ['HOST_CS_SELECTOR', 'HOST_TR_SELECTOR'],
    text: 'The host selectors of CS and TR must not be 0000H',
    ref: SEGMENTS,
    check: (v) =>
      first(['HOST_CS_SELECTOR', 'HOST_TR_SELECTOR'] as const, (field) =>
        mustHold(v[field] !== 0n, field, 'a selector that is not null'),
      ),
  },
  {
    id: 'host.selectors.ss',
    group: 'host',
    needs: ['HOST_SS_SELECTOR'],
    text: 'The host selector of SS must not be 0000H if "host address-space size" is 0',
    ref: SEGMENTS,
    check: (v) =>
      mustHold(
        v.controls.hostAddressSpaceSize || v.HOST_SS_SELECTOR !== 0n,
        'HOST_SS_SELECTOR',
        'a selector that is not null',
      ),
  },
  {
    id: 'host.bases.canonical',
    group: 'host',
    needs: BASES,
    text: 'The host bases of FS, GS, GDTR, IDTR and TR must contain canonical addresses',
    ref: SEGMENTS,
    check: (v) => first(BASES, (field) => canonical(v, field)),
  },
];

const ADDRESS_SPACE_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'host.addressSpace.legacyProcessor.guest',
    group: 'host',
    needs: ['VM_ENTRY_CONTROLS'],
    text: '"IA-32e mode guest" must be 0 if the processor is outside IA-32e mode',
    ref: ADDRESS_SPACE,
    alsoReads: 'processorState',
    check: (v) =>
      mustHold(
        v.context.ia32eMode || !v.controls.ia32eModeGuest,
        'VM_ENTRY_CONTROLS',
        '"IA-32e mode guest" 0',
      ),
  },
  {
    id: 'host.addressSpace.legacyProcessor.host',
    group: 'host',
    needs: ['PRIMARY_VM_EXIT_CONTROLS'],
    text: '"Host address-space size" must be 0 if the processor is outside IA-32e mode',
    ref: ADDRESS_SPACE,
    alsoReads: 'processorState',
    check: (v) =>
      mustHold(
        v.context.ia32eMode || !v.controls.hostAddressSpaceSize,
        'PRIMARY_VM_EXIT_CONTROLS',
        '"host address-space size" 0',
      ),
  },
  {
    id: 'host.addressSpace.ia32eProcessor.host',
    group: 'host',
    needs: ['PRIMARY_VM_EXIT_CONTROLS'],
    text: '"Host address-space size" must be 1 if the processor is in IA-32e mode',
    ref: ADDRESS_SPACE,
    alsoReads: 'processorState',
    check: (v) =>
      mustHold(
        !v.context.ia32eMode || v.controls.hostAddressSpaceSize,
        'PRIMARY_VM_EXIT_CONTROLS',
        '"host address-space size" 1',
      ),
  },
  {
    id: 'host.addressSpace.legacyHost.guest',
    group: 'host',
    needs: ['VM_ENTRY_CONTROLS'],
    text: '"IA-32e mode guest" must be 0 if "host address-space size" is 0',
    ref: ADDRESS_SPACE,
    check: (v) =>
      mustHold(
        v.controls.hostAddressSpaceSize || !v.controls.ia32eModeGuest,
        'VM_ENTRY_CONTROLS',
        '"IA-32e mode guest" 0',
      ),
  },
  {
    id: 'host.addressSpace.legacyHost.pcide',
    group: 'host',
    needs: ['HOST_CR4'],
    text: 'Host CR4.PCIDE must be 0 if "host address-space size" is 0',
    ref: ADDRESS_SPACE,
    check: (v) =>
      v.controls.hostAddressSpaceSize ? undefined : mustBeZero('HOST_CR4', v.HOST_CR4 & CR4.PCIDE),
  },
  {
    id: 'host.addressSpace.legacyHost.rip',
    group: 'host',
    needs: ['HOST_RIP'],
    text: 'Bits 63:32 of host RIP must be 0 if "host address-space size" is 0',
    ref: ADDRESS_SPACE,
    check: (v) =>
      v.controls.hostAddressSpaceSize ? undefined : mustBeZero('HOST_RIP', v.HOST_RIP & UPPER_HALF),
  },
  {
    id: 'host.addressSpace.ia32eHost.pae',
    group: 'host',
    needs: ['HOST_CR4'],
    text: 'Host CR4.PAE must be 1 if "host address-space size" is 1',
    ref: ADDRESS_SPACE,
    check: (v) =>
      v.controls.hostAddressSpaceSize ? mustBeZero('HOST_CR4', ~v.HOST_CR4 & CR4.PAE) : undefined,
  },
  {
    id: 'host.addressSpace.ia32eHost.rip',
    group: 'host',
    needs: ['HOST_RIP'],
    text: 'Host RIP must contain a canonical address if "host address-space size" is 1',
    ref: ADDRESS_SPACE,
    check: (v) => (v.controls.hostAddressSpaceSize ? canonical(v, 'HOST_RIP') : undefined),
  },
];

export const HOST_CHECKS: readonly EntryCheckRow[] = [
  ...REGISTER_CHECKS,
  ...SEGMENT_CHECKS,
  ...ADDRESS_SPACE_CHECKS,
];
