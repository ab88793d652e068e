/**
 * Checks on guest control registers, debug registers, MSRs, descriptor-table registers, RIP and RFLAGS.
 *
 * Intel SDM Vol. 3C, "VM Entries", "Checks on Guest Control Registers, Debug Registers, and MSRs", "Checks on Guest
 * Descriptor-Table Registers" and "Checks on Guest RIP, RFLAGS, and SSP".
 */
import { definedBits } from '../../base/bitFields.ts';
import type { VmcsFieldKey } from '../fields.ts';
import { ENTRIES } from '../manual.ts';
import { ACCESS_RIGHTS, CR0, CR4, EFER, EVENT_TYPE, LBR_CTL_BITS, RFLAGS } from '../registerBits.ts';
import {
  beyondPhysicalWidth,
  canonical,
  type EntryCheckRow,
  first,
  fixedBitsViolated,
  injectionType,
  isInjecting,
  mustBeZero,
  mustHold,
  patViolation,
  sCetReserved,
  type VmcsView,
} from './check.ts';

const CONTROL_REGISTERS = ENTRIES('Checks on Guest Control Registers, Debug Registers, and MSRs', '3.1.1');
const DESCRIPTOR_TABLES = ENTRIES('Checks on Guest Descriptor-Table Registers', '3.1.3');
const RIP_RFLAGS = ENTRIES('Checks on Guest RIP, RFLAGS, and SSP', '3.1.4');

const LBR_CTL_DEFINED = definedBits(LBR_CTL_BITS);
const CET_ADDRESSES = ['GUEST_IA32_S_CET', 'GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR'] as const;

const UPPER_HALF = 0xffff_ffff_0000_0000n;

export const GUEST_CONTROL_REGISTER_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'guest.cr0.fixed',
    group: 'guest',
    capability: 'IA32_VMX_CR0_FIXED0, IA32_VMX_CR0_FIXED1',
    needs: ['GUEST_CR0'],
    text: 'Guest CR0 must not set any bit to a value not supported in VMX operation, where NW and CD are not checked, nor PE and PG with "unrestricted guest"',
    ref: CONTROL_REGISTERS,
    check: (v) => {
      const { cr0Fixed0, cr0Fixed1 } = v.context.capabilities;
      const unchecked = CR0.NW | CR0.CD | (v.controls.unrestrictedGuest ? CR0.PE | CR0.PG : 0n);
      return mustBeZero('GUEST_CR0', fixedBitsViolated(v.GUEST_CR0, cr0Fixed0, cr0Fixed1) & ~unchecked);
    },
  },
  {
    id: 'guest.cr0.pagingNeedsProtection',
    group: 'guest',
    needs: ['GUEST_CR0'],
    text: 'Guest CR0.PE must be 1 if CR0.PG is 1',
    ref: CONTROL_REGISTERS,
    check: (v) =>
      mustHold(
        (v.GUEST_CR0 & CR0.PG) === 0n || (v.GUEST_CR0 & CR0.PE) !== 0n,
        'GUEST_CR0',
        'CR0.PE 1 together with CR0.PG',
      ),
  },
  {
    id: 'guest.cr4.fixed',
    group: 'guest',
    capability: 'IA32_VMX_CR4_FIXED0, IA32_VMX_CR4_FIXED1',
    needs: ['GUEST_CR4'],
    text: 'Guest CR4 must not set any bit to a value not supported in VMX operation',
    ref: CONTROL_REGISTERS,
    check: (v) => {
      const { cr4Fixed0, cr4Fixed1 } = v.context.capabilities;
      return mustBeZero('GUEST_CR4', fixedBitsViolated(v.GUEST_CR4, cr4Fixed0, cr4Fixed1));
    },
  },
  {
    id: 'guest.cr4.cet',
    group: 'guest',
    needs: ['GUEST_CR0', 'GUEST_CR4'],
    text: 'Guest CR0.WP must be 1 if CR4.CET is 1',
    ref: CONTROL_REGISTERS,
    check: (v) =>
      mustHold(
        (v.GUEST_CR4 & CR4.CET) === 0n || (v.GUEST_CR0 & CR0.WP) !== 0n,
        'GUEST_CR0',
        'CR0.WP 1 with CR4.CET 1',
      ),
  },
  {
    id: 'guest.debugctl.reserved',
    group: 'guest',
    needs: ['GUEST_IA32_DEBUGCTL'],
    text: 'Reserved bits of guest IA32_DEBUGCTL must be 0 if "load debug controls" is 1',
    ref: CONTROL_REGISTERS,
    check: (v) =>
      v.controls.loadDebugControls
        ? mustBeZero('GUEST_IA32_DEBUGCTL', v.GUEST_IA32_DEBUGCTL & ~v.context.debugctlSupported)
        : undefined,
  },
  {
    id: 'guest.ia32eMode.paging',
    group: 'guest',
    needs: ['GUEST_CR0', 'GUEST_CR4'],
    text: 'Guest CR0.PG and CR4.PAE must each be 1 if "IA-32e mode guest" is 1',
    ref: CONTROL_REGISTERS,
    check: (v) =>
      v.controls.ia32eModeGuest
        ? (mustBeZero('GUEST_CR0', ~v.GUEST_CR0 & CR0.PG) ?? mustBeZero('GUEST_CR4', ~v.GUEST_CR4 & CR4.PAE))
        : undefined,
  },
  {
    id: 'guest.cr4.pcide',
    group: 'guest',
    needs: ['GUEST_CR4'],
    text: 'Guest CR4.PCIDE must be 0 if "IA-32e mode guest" is 0',
    ref: CONTROL_REGISTERS,
    check: (v) => (v.controls.ia32eModeGuest ? undefined : mustBeZero('GUEST_CR4', v.GUEST_CR4 & CR4.PCIDE)),
  },
  {
    id: 'guest.cr3.reserved',
    group: 'guest',
    needs: ['GUEST_CR3'],
    text: 'Guest CR3 must not set bits beyond the physical-address width',
    ref: CONTROL_REGISTERS,
    check: (v) => mustBeZero('GUEST_CR3', beyondPhysicalWidth(v.GUEST_CR3, v.context)),
  },
  {
    id: 'guest.dr7.reserved',
    group: 'guest',
    needs: ['GUEST_DR7'],
    text: 'Bits 63:32 of guest DR7 must be 0 if "load debug controls" is 1',
    ref: CONTROL_REGISTERS,
    check: (v) =>
      v.controls.loadDebugControls ? mustBeZero('GUEST_DR7', v.GUEST_DR7 & UPPER_HALF) : undefined,
  },
  {
    id: 'guest.sysenter.canonical',
    group: 'guest',
    needs: ['GUEST_IA32_SYSENTER_ESP', 'GUEST_IA32_SYSENTER_EIP'],
    text: 'Guest IA32_SYSENTER_ESP and IA32_SYSENTER_EIP must each contain a canonical address',
    ref: CONTROL_REGISTERS,
    check: (v) =>
      first(['GUEST_IA32_SYSENTER_ESP', 'GUEST_IA32_SYSENTER_EIP'] as const, (field) => canonical(v, field)),
  },
  {
    id: 'guest.perfGlobalCtrl',
    group: 'guest',
    needs: ['GUEST_IA32_PERF_GLOBAL_CTRL'],
    text: 'Reserved bits of guest IA32_PERF_GLOBAL_CTRL must be 0 if "load IA32_PERF_GLOBAL_CTRL" is 1',
    ref: CONTROL_REGISTERS,
    check: (v) =>
      v.controls.loadPerfGlobalCtrlOnEntry
        ? mustBeZero(
            'GUEST_IA32_PERF_GLOBAL_CTRL',
            v.GUEST_IA32_PERF_GLOBAL_CTRL & ~v.context.perfGlobalCtrlSupported,
          )
        : undefined,
  },
  {
    id: 'guest.lbrCtl',
    group: 'guest',
    needs: ['GUEST_IA32_LBR_CTL'],
    text: 'Reserved bits of guest IA32_LBR_CTL must be 0 if "load guest IA32_LBR_CTL" is 1',
    ref: CONTROL_REGISTERS,
    check: (v) =>
      v.controls.loadLbrCtlOnEntry
        ? mustBeZero('GUEST_IA32_LBR_CTL', v.GUEST_IA32_LBR_CTL & ~LBR_CTL_DEFINED)
        : undefined,
  },
  {
    id: 'guest.pat',
    group: 'guest',
    needs: ['GUEST_IA32_PAT'],
    text: 'Each byte of guest IA32_PAT must be a memory type that WRMSR accepts if "load IA32_PAT" is 1',
    ref: CONTROL_REGISTERS,
    check: (v) => (v.controls.loadPatOnEntry ? patViolation('GUEST_IA32_PAT', v.GUEST_IA32_PAT) : undefined),
  },
  {
    id: 'guest.efer.reserved',
    group: 'guest',
    needs: ['GUEST_IA32_EFER'],
    text: 'Reserved bits of guest IA32_EFER must be 0 if "load IA32_EFER" is 1',
    ref: CONTROL_REGISTERS,
    check: (v) =>
      v.controls.loadEferOnEntry
        ? mustBeZero('GUEST_IA32_EFER', v.GUEST_IA32_EFER & ~v.context.eferSupported)
        : undefined,
  },
  {
    id: 'guest.efer.lma',
    group: 'guest',
    needs: ['GUEST_IA32_EFER'],
    text: 'Guest IA32_EFER.LMA must equal "IA-32e mode guest" if "load IA32_EFER" is 1',
    ref: CONTROL_REGISTERS,
    check: (v) => {
      if (!v.controls.loadEferOnEntry) return undefined;
      const expected = v.controls.ia32eModeGuest ? EFER.LMA : 0n;
      return mustBeZero('GUEST_IA32_EFER', (v.GUEST_IA32_EFER & EFER.LMA) ^ expected);
    },
  },
  {
    id: 'guest.efer.lme',
    group: 'guest',
    needs: ['GUEST_IA32_EFER', 'GUEST_CR0'],
    text: 'Guest IA32_EFER.LMA must equal LME if "load IA32_EFER" and CR0.PG are 1',
    ref: CONTROL_REGISTERS,
    check: (v) => {
      if (!v.controls.loadEferOnEntry || (v.GUEST_CR0 & CR0.PG) === 0n) return undefined;
      const active = (v.GUEST_IA32_EFER & EFER.LMA) !== 0n;
      const enabled = (v.GUEST_IA32_EFER & EFER.LME) !== 0n;
      return active === enabled
        ? undefined
        : { field: 'GUEST_IA32_EFER', offendingBits: EFER.LMA | EFER.LME };
    },
  },
  {
    id: 'guest.bndcfgs.reserved',
    group: 'guest',
    needs: ['GUEST_IA32_BNDCFGS'],
    text: 'Bits 11:2 of guest IA32_BNDCFGS must be 0 if "load IA32_BNDCFGS" is 1',
    ref: CONTROL_REGISTERS,
    check: (v) =>
      v.controls.loadBndcfgsOnEntry
        ? mustBeZero('GUEST_IA32_BNDCFGS', v.GUEST_IA32_BNDCFGS & 0xffcn)
        : undefined,
  },
  {
    id: 'guest.bndcfgs.canonical',
    group: 'guest',
    needs: ['GUEST_IA32_BNDCFGS'],
    text: 'The linear address in bits 63:12 of guest IA32_BNDCFGS must be canonical if "load IA32_BNDCFGS" is 1',
    ref: CONTROL_REGISTERS,
    check: (v) => (v.controls.loadBndcfgsOnEntry ? canonical(v, 'GUEST_IA32_BNDCFGS') : undefined),
  },
  {
    id: 'guest.uinv',
    group: 'guest',
    needs: ['GUEST_UINV'],
    text: 'Bits 15:8 of the guest UINV must be 0 if "load UINV" is 1',
    ref: CONTROL_REGISTERS,
    check: (v) => (v.controls.loadUinvOnEntry ? mustBeZero('GUEST_UINV', v.GUEST_UINV & 0xff00n) : undefined),
  },
  {
    id: 'guest.cet.canonical',
    group: 'guest',
    needs: CET_ADDRESSES,
    text: 'Guest IA32_S_CET and IA32_INTERRUPT_SSP_TABLE_ADDR must each contain a canonical address if "load CET state" is 1',
    ref: CONTROL_REGISTERS,
    check: (v) =>
      v.controls.loadCetStateOnEntry ? first(CET_ADDRESSES, (field) => canonical(v, field)) : undefined,
  },
  {
    id: 'guest.cet.reserved',
    group: 'guest',
    needs: ['GUEST_IA32_S_CET'],
    text: 'Bits 9:6 of guest IA32_S_CET must be 0, and bits 11 and 10 not both 1, if "load CET state" is 1',
    ref: CONTROL_REGISTERS,
    check: (v) =>
      v.controls.loadCetStateOnEntry
        ? mustBeZero('GUEST_IA32_S_CET', sCetReserved(v.GUEST_IA32_S_CET))
        : undefined,
  },
  {
    id: 'guest.pkrs',
    group: 'guest',
    needs: ['GUEST_IA32_PKRS'],
    text: 'Bits 63:32 of guest IA32_PKRS must be 0 if "load PKRS" is 1',
    ref: CONTROL_REGISTERS,
    check: (v) =>
      v.controls.loadPkrsOnEntry ? mustBeZero('GUEST_IA32_PKRS', v.GUEST_IA32_PKRS & UPPER_HALF) : undefined,
  },
];

export const GUEST_DESCRIPTOR_TABLE_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'guest.descriptorTables.base',
    group: 'guest',
    needs: ['GUEST_GDTR_BASE', 'GUEST_IDTR_BASE'],
    text: 'The guest bases of GDTR and IDTR must contain canonical addresses',
    ref: DESCRIPTOR_TABLES,
    check: (v) => first(['GUEST_GDTR_BASE', 'GUEST_IDTR_BASE'] as const, (field) => canonical(v, field)),
  },
  {
    id: 'guest.descriptorTables.limit',
    group: 'guest',
    needs: ['GUEST_GDTR_LIMIT', 'GUEST_IDTR_LIMIT'],
    text: 'Bits 31:16 of the guest limits of GDTR and IDTR must be 0',
    ref: DESCRIPTOR_TABLES,
    check: (v) =>
      first(['GUEST_GDTR_LIMIT', 'GUEST_IDTR_LIMIT'] as const, (field) =>
        mustBeZero(field, v[field] & 0xffff_0000n),
      ),
  },
];

/** Bits 63:22, 15, 5 and 3. */
const RFLAGS_RESERVED_0 = 0xffff_ffff_ffc0_8028n;
const RFLAGS_RESERVED_1 = 2n;

function startsIn64BitMode(v: VmcsView): boolean {
  return v.controls.ia32eModeGuest && (v.GUEST_CS_ACCESS_RIGHTS & ACCESS_RIGHTS.L) !== 0n;
}

const RIP_FIELDS = ['GUEST_RIP', 'GUEST_CS_ACCESS_RIGHTS'] as const satisfies readonly VmcsFieldKey[];

export const GUEST_RIP_RFLAGS_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'guest.rip.upperHalf',
    group: 'guest',
    needs: RIP_FIELDS,
    upperHalfOf: 'GUEST_RIP',
    text: 'Bits 63:32 of guest RIP must be 0 if "IA-32e mode guest" or CS.L is 0',
    ref: RIP_RFLAGS,
    check: (v) => (startsIn64BitMode(v) ? undefined : mustBeZero('GUEST_RIP', v.GUEST_RIP & UPPER_HALF)),
  },
  {
    id: 'guest.rip.linearWidth',
    group: 'guest',
    needs: RIP_FIELDS,
    upperHalfOf: 'GUEST_RIP',
    text: 'The bits of guest RIP beyond the linear-address width must be identical if "IA-32e mode guest" and CS.L are 1',
    ref: RIP_RFLAGS,
    check: (v) => {
      if (!startsIn64BitMode(v)) return undefined;
      // Unlike a canonical address, the bits above the width need not repeat the highest bit below it.
      const above = v.GUEST_RIP >> BigInt(v.context.linearAddressWidth);
      const all = (1n << BigInt(64 - v.context.linearAddressWidth)) - 1n;
      return mustHold(
        above === 0n || above === all,
        'GUEST_RIP',
        'equal bits beyond the linear-address width',
      );
    },
  },
  {
    id: 'guest.rflags.reserved',
    group: 'guest',
    needs: ['GUEST_RFLAGS'],
    text: 'In guest RFLAGS bits 63:22, 15, 5 and 3 must be 0 and bit 1 must be 1',
    ref: RIP_RFLAGS,
    check: (v) =>
      mustBeZero(
        'GUEST_RFLAGS',
        (v.GUEST_RFLAGS & RFLAGS_RESERVED_0) | (~v.GUEST_RFLAGS & RFLAGS_RESERVED_1),
      ),
  },
  {
    id: 'guest.rflags.vm',
    group: 'guest',
    needs: ['GUEST_RFLAGS', 'GUEST_CR0'],
    text: 'Guest RFLAGS.VM must be 0 if "IA-32e mode guest" is 1 or CR0.PE is 0',
    ref: RIP_RFLAGS,
    check: (v) =>
      v.controls.ia32eModeGuest || (v.GUEST_CR0 & CR0.PE) === 0n
        ? mustBeZero('GUEST_RFLAGS', v.GUEST_RFLAGS & RFLAGS.VM)
        : undefined,
  },
  {
    id: 'guest.rflags.if',
    group: 'guest',
    needs: ['GUEST_RFLAGS', 'VM_ENTRY_INTERRUPTION_INFORMATION'],
    text: 'Guest RFLAGS.IF must be 1 if an external interrupt is injected',
    ref: RIP_RFLAGS,
    check: (v) =>
      isInjecting(v) && injectionType(v) === EVENT_TYPE.externalInterrupt
        ? mustBeZero('GUEST_RFLAGS', ~v.GUEST_RFLAGS & RFLAGS.IF)
        : undefined,
  },
  {
    id: 'guest.ssp.reserved',
    group: 'guest',
    needs: ['GUEST_SSP'],
    text: 'Bits 1:0 of guest SSP must be 0 if "load CET state" is 1',
    ref: RIP_RFLAGS,
    check: (v) => (v.controls.loadCetStateOnEntry ? mustBeZero('GUEST_SSP', v.GUEST_SSP & 3n) : undefined),
  },
  {
    id: 'guest.ssp.canonical',
    group: 'guest',
    needs: ['GUEST_SSP'],
    text: 'Guest SSP must contain a canonical address if "load CET state" is 1',
    ref: RIP_RFLAGS,
    check: (v) => (v.controls.loadCetStateOnEntry ? canonical(v, 'GUEST_SSP') : undefined),
  },
];
