/**
 * Reads the dump of a VMCS that Linux KVM (`dump_vmcs`) and Xen (`vmcs_dump_vcpu`) write into the kernel log. Both print
 * the values as they are in the VMCS; lines that are no part of a dump, and prefixes of log lines, are passed over.
 */
import { SEGMENT_NAMES } from '../../state/registers.ts';
import type { VmcsFieldKey } from '../fields.ts';

export interface VmcsDump {
  readonly hypervisor: 'Linux KVM' | 'Xen' | undefined;
  readonly fields: ReadonlyMap<VmcsFieldKey, bigint>;
  /** The VM-entry MSR-load area in order, which KVM shows. */
  readonly entryMsrs: readonly DumpedMsr[];
}

export interface DumpedMsr {
  readonly msr: number;
  readonly value: bigint;
}

type Section = 'guest' | 'host' | 'control';

/** A text of which `#` stands for a hexadecimal number, and the fields that the numbers are. */
interface LineRow {
  readonly section: Section;
  readonly text: string;
  readonly fields: readonly VmcsFieldKey[];
}

// biome-ignore format: rows are read as a table
const LINES: readonly LineRow[] = [
  { section: 'guest', text: 'CR0: actual=#, shadow=#, gh_mask=#', fields: ['GUEST_CR0', 'CR0_READ_SHADOW', 'CR0_GUEST_HOST_MASK'] },
  { section: 'guest', text: 'CR4: actual=#, shadow=#, gh_mask=#', fields: ['GUEST_CR4', 'CR4_READ_SHADOW', 'CR4_GUEST_HOST_MASK'] },
  { section: 'guest', text: 'CR3 = #', fields: ['GUEST_CR3'] },
  { section: 'guest', text: 'PDPT[RE]0 = # PDPT[RE]1 = #', fields: ['GUEST_PDPTE0', 'GUEST_PDPTE1'] },
  { section: 'guest', text: 'PDPT[RE]2 = # PDPT[RE]3 = #', fields: ['GUEST_PDPTE2', 'GUEST_PDPTE3'] },
  { section: 'guest', text: 'RSP = # RIP = #', fields: ['GUEST_RSP', 'GUEST_RIP'] },
  { section: 'guest', text: 'RFLAGS=# DR7 = #', fields: ['GUEST_RFLAGS', 'GUEST_DR7'] },
  { section: 'guest', text: 'Sysenter RSP=# CS:RIP=#:#', fields: ['GUEST_IA32_SYSENTER_ESP', 'GUEST_IA32_SYSENTER_CS', 'GUEST_IA32_SYSENTER_EIP'] },
  { section: 'guest', text: 'GDTR: limit=#, base=#', fields: ['GUEST_GDTR_LIMIT', 'GUEST_GDTR_BASE'] },
  { section: 'guest', text: 'IDTR: limit=#, base=#', fields: ['GUEST_IDTR_LIMIT', 'GUEST_IDTR_BASE'] },
  { section: 'guest', text: 'GDTR: # #', fields: ['GUEST_GDTR_LIMIT', 'GUEST_GDTR_BASE'] },
  { section: 'guest', text: 'IDTR: # #', fields: ['GUEST_IDTR_LIMIT', 'GUEST_IDTR_BASE'] },
  { section: 'guest', text: 'EFER ?= ?#', fields: ['GUEST_IA32_EFER'] },
  { section: 'guest', text: 'PAT = #', fields: ['GUEST_IA32_PAT'] },
  { section: 'guest', text: 'PreemptionTimer = #', fields: ['VMX_PREEMPTION_TIMER_VALUE'] },
  { section: 'guest', text: 'SM Base = #', fields: ['GUEST_SMBASE'] },
  { section: 'guest', text: 'DebugCtl = # DebugExceptions = #', fields: ['GUEST_IA32_DEBUGCTL', 'GUEST_PENDING_DEBUG_EXCEPTIONS'] },
  { section: 'guest', text: 'PerfGlobCtl = #', fields: ['GUEST_IA32_PERF_GLOBAL_CTRL'] },
  { section: 'guest', text: 'BndCfgS = #', fields: ['GUEST_IA32_BNDCFGS'] },
  { section: 'guest', text: 'Interruptibility = # ActivityState = #', fields: ['GUEST_INTERRUPTIBILITY_STATE', 'GUEST_ACTIVITY_STATE'] },
  { section: 'guest', text: 'InterruptStatus = #', fields: ['GUEST_INTERRUPT_STATUS'] },
  { section: 'guest', text: 'S_CET = #', fields: ['GUEST_IA32_S_CET'] },
  { section: 'guest', text: 'SSP = #', fields: ['GUEST_SSP'] },
  { section: 'guest', text: 'SSP TABLE = #', fields: ['GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR'] },

  { section: 'host', text: 'RIP = # RSP = #', fields: ['HOST_RIP', 'HOST_RSP'] },
  { section: 'host', text: 'CS=# SS=# DS=# ES=# FS=# GS=# TR=#', fields: ['HOST_CS_SELECTOR', 'HOST_SS_SELECTOR', 'HOST_DS_SELECTOR', 'HOST_ES_SELECTOR', 'HOST_FS_SELECTOR', 'HOST_GS_SELECTOR', 'HOST_TR_SELECTOR'] },
  { section: 'host', text: 'FSBase=# GSBase=# TRBase=#', fields: ['HOST_FS_BASE', 'HOST_GS_BASE', 'HOST_TR_BASE'] },
  { section: 'host', text: 'GDTBase=# IDTBase=#', fields: ['HOST_GDTR_BASE', 'HOST_IDTR_BASE'] },
  { section: 'host', text: 'CR0=# CR3=# CR4=#', fields: ['HOST_CR0', 'HOST_CR3', 'HOST_CR4'] },
  { section: 'host', text: 'Sysenter RSP=# CS:RIP=#:#', fields: ['HOST_IA32_SYSENTER_ESP', 'HOST_IA32_SYSENTER_CS', 'HOST_IA32_SYSENTER_EIP'] },
  { section: 'host', text: 'EFER ?= ?#', fields: ['HOST_IA32_EFER'] },
  { section: 'host', text: 'PAT = #', fields: ['HOST_IA32_PAT'] },
  { section: 'host', text: 'PerfGlobCtl = #', fields: ['HOST_IA32_PERF_GLOBAL_CTRL'] },
  { section: 'host', text: 'S_CET = #', fields: ['HOST_IA32_S_CET'] },
  { section: 'host', text: 'SSP = #', fields: ['HOST_SSP'] },
  { section: 'host', text: 'SSP TABLE = #', fields: ['HOST_IA32_INTERRUPT_SSP_TABLE_ADDR'] },

  { section: 'control', text: 'PinBased=#', fields: ['PIN_BASED_VM_EXECUTION_CONTROLS'] },
  { section: 'control', text: 'CPUBased=#', fields: ['PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS'] },
  { section: 'control', text: 'SecondaryExec=#', fields: ['SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS'] },
  { section: 'control', text: 'TertiaryExec=#', fields: ['TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS'] },
  { section: 'control', text: 'EntryControls=#', fields: ['VM_ENTRY_CONTROLS'] },
  { section: 'control', text: 'ExitControls=#', fields: ['PRIMARY_VM_EXIT_CONTROLS'] },
  { section: 'control', text: 'ExceptionBitmap=# PFECmask=# PFECmatch=#', fields: ['EXCEPTION_BITMAP', 'PAGE_FAULT_ERROR_CODE_MASK', 'PAGE_FAULT_ERROR_CODE_MATCH'] },
  { section: 'control', text: 'VMEntry: intr_info=# errcode=# ilen=#', fields: ['VM_ENTRY_INTERRUPTION_INFORMATION', 'VM_ENTRY_EXCEPTION_ERROR_CODE', 'VM_ENTRY_INSTRUCTION_LENGTH'] },
  { section: 'control', text: 'VMExit: intr_info=# errcode=# ilen=#', fields: ['VM_EXIT_INTERRUPTION_INFORMATION', 'VM_EXIT_INTERRUPTION_ERROR_CODE', 'VM_EXIT_INSTRUCTION_LENGTH'] },
  { section: 'control', text: 'reason=# qualification=#', fields: ['VM_EXIT_REASON', 'EXIT_QUALIFICATION'] },
  { section: 'control', text: 'IDTVectoring: info=# errcode=#', fields: ['IDT_VECTORING_INFORMATION', 'IDT_VECTORING_ERROR_CODE'] },
  { section: 'control', text: 'SPEC_CTRL mask = # shadow = #', fields: ['SPEC_CTRL_MASK', 'SPEC_CTRL_SHADOW'] },
  { section: 'control', text: 'TSC Offset = #', fields: ['TSC_OFFSET'] },
  { section: 'control', text: 'TSC Multiplier = #', fields: ['TSC_MULTIPLIER'] },
  { section: 'control', text: 'TPR Threshold = #', fields: ['TPR_THRESHOLD'] },
  { section: 'control', text: 'APIC-access addr = # virt-APIC addr = #', fields: ['APIC_ACCESS_ADDRESS', 'VIRTUAL_APIC_ADDRESS'] },
  { section: 'control', text: 'virt-APIC addr = #', fields: ['VIRTUAL_APIC_ADDRESS'] },
  { section: 'control', text: 'PostedIntrVec = #', fields: ['POSTED_INTERRUPT_NOTIFICATION_VECTOR'] },
  { section: 'control', text: 'EPT pointer = #', fields: ['EPT_POINTER'] },
  { section: 'control', text: 'EPTP index = #', fields: ['EPTP_INDEX'] },
  { section: 'control', text: 'PLE Gap=# Window=#', fields: ['PLE_GAP', 'PLE_WINDOW'] },
  { section: 'control', text: 'Virtual processor ID = #', fields: ['VIRTUAL_PROCESSOR_IDENTIFIER'] },
  { section: 'control', text: 'VMfunc controls = #', fields: ['VM_FUNCTION_CONTROLS'] },
];

const NUMBER = '(?:0x)?([0-9a-fA-F]{1,16})\\b';
/** Xen puts the live register or a symbol behind some values; KVM says where a value comes from. */
const REMARK = '(?:\\s*\\([^)]*\\))?';

function pattern(text: string): RegExp {
  const spaced = text.replaceAll('EFER ', `EFER${REMARK} `).replaceAll(' = ', ' ?= ?');
  const source = spaced
    .replaceAll(', ', ',\\s*')
    .replaceAll(/# (?=[A-Z#is])/g, `#${REMARK}\\s+`)
    .replaceAll(': ', ':\\s+')
    .replaceAll('#', NUMBER);
  return new RegExp(`(?:^|[\\s,(])${source}`);
}

interface CompiledLine {
  readonly section: Section;
  readonly pattern: RegExp;
  readonly fields: readonly VmcsFieldKey[];
}

function segmentLines(name: string): readonly CompiledLine[] {
  const fields = (['SELECTOR', 'ACCESS_RIGHTS', 'LIMIT', 'BASE'] as const).map(
    (part) => `GUEST_${name}_${part}` as VmcsFieldKey,
  );
  return [`${name}: sel=#, attr=#, limit=#, base=#`, `${name}: # # # #`].map((text) => ({
    section: 'guest',
    pattern: pattern(text),
    fields,
  }));
}

const COMPILED: readonly CompiledLine[] = [
  ...LINES.map(({ section, text, fields }) => ({ section, pattern: pattern(text), fields })),
  ...SEGMENT_NAMES.flatMap(segmentLines),
];

const SECTION_TITLES: readonly (readonly [string, Section])[] = [
  ['*** Guest State ***', 'guest'],
  ['*** Host State ***', 'host'],
  ['*** Control State ***', 'control'],
];

const MSR_AREA = /MSR (guest|host) (?:autoload|autostore):/;
const MSR_ENTRY = /\b(\d+): msr=0x([0-9a-f]{1,8}) value=0x([0-9a-f]{1,16})\b/i;

/** A log may hold several dumps: each begins with the guest state. */
export function parseVmcsDumps(text: string): VmcsDump[] {
  const dumps: {
    hypervisor: VmcsDump['hypervisor'];
    fields: Map<VmcsFieldKey, bigint>;
    entryMsrs: DumpedMsr[];
  }[] = [];
  let section: Section | undefined;
  let isEntryArea = false;
  for (const line of text.split(/\r?\n/)) {
    const title = SECTION_TITLES.find(([words]) => line.includes(words));
    if (title !== undefined) {
      section = title[1];
      if (section === 'guest' || dumps.length === 0)
        dumps.push({ hypervisor: undefined, fields: new Map(), entryMsrs: [] });
      continue;
    }
    const dump = dumps.at(-1);
    if (section === undefined || dump === undefined) continue;
    if (line.includes('(XEN)')) dump.hypervisor = 'Xen';
    else if (line.includes('kvm_intel:') || line.includes('sel=0x')) dump.hypervisor = 'Linux KVM';
    const area = MSR_AREA.exec(line);
    if (area !== null) isEntryArea = area[0] === 'MSR guest autoload:';
    const entry = isEntryArea ? MSR_ENTRY.exec(line) : null;
    if (entry !== null)
      dump.entryMsrs[Number(entry[1])] = {
        msr: Number.parseInt(entry[2], 16),
        value: BigInt(`0x${entry[3]}`),
      };
    for (const row of COMPILED) {
      if (row.section !== section) continue;
      const match = row.pattern.exec(line);
      if (match === null) continue;
      for (const [index, field] of row.fields.entries())
        if (!dump.fields.has(field)) dump.fields.set(field, BigInt(`0x${match[index + 1]}`));
    }
  }
  return dumps.filter(({ fields }) => fields.size > 0);
}
