/**
 * Bit layouts of the registers and structures that VMCS fields hold: the panel's decoded lines and the constants
 * used by entry checks come from the same rows.
 *
 * Intel SDM Vol. 3A, "System Architecture Overview" (control registers, RFLAGS) and "Debug, Branch Profile, TSC, …";
 * Vol. 3C, "Virtual Machine Control Structures" (the formats of the VMCS's own fields).
 */
import { type BitFieldRow, bitFieldMasks } from '../base/bitFields.ts';

export const CR0_BITS = [
  { bit: 0, key: 'PE', name: 'Protection enable' },
  { bit: 1, key: 'MP', name: 'Monitor coprocessor' },
  { bit: 2, key: 'EM', name: 'Emulation' },
  { bit: 3, key: 'TS', name: 'Task switched' },
  { bit: 4, key: 'ET', name: 'Extension type' },
  { bit: 5, key: 'NE', name: 'Numeric error' },
  { bit: 16, key: 'WP', name: 'Write protect' },
  { bit: 18, key: 'AM', name: 'Alignment mask' },
  { bit: 29, key: 'NW', name: 'Not write-through' },
  { bit: 30, key: 'CD', name: 'Cache disable' },
  { bit: 31, key: 'PG', name: 'Paging' },
] as const satisfies readonly BitFieldRow[];
export const CR0 = bitFieldMasks(CR0_BITS);

export const CR3_BITS = [
  { bit: 0, width: 12, key: 'PCID', name: 'PCID, or PWT (bit 3) and PCD (bit 4)' },
  { bit: 12, width: 40, key: 'BASE', name: 'Page frame of the first paging structure' },
  { bit: 61, key: 'LAM_U57', name: 'User linear-address masking, 57 bits' },
  { bit: 62, key: 'LAM_U48', name: 'User linear-address masking, 48 bits' },
] as const satisfies readonly BitFieldRow[];

export const CR4_BITS = [
  { bit: 0, key: 'VME', name: 'Virtual-8086 mode extensions' },
  { bit: 1, key: 'PVI', name: 'Protected-mode virtual interrupts' },
  { bit: 2, key: 'TSD', name: 'Time stamp disable' },
  { bit: 3, key: 'DE', name: 'Debugging extensions' },
  { bit: 4, key: 'PSE', name: 'Page size extensions' },
  { bit: 5, key: 'PAE', name: 'Physical address extension' },
  { bit: 6, key: 'MCE', name: 'Machine-check enable' },
  { bit: 7, key: 'PGE', name: 'Page global enable' },
  { bit: 8, key: 'PCE', name: 'Performance-monitoring counter enable' },
  { bit: 9, key: 'OSFXSR', name: 'OS support for FXSAVE and FXRSTOR' },
  { bit: 10, key: 'OSXMMEXCPT', name: 'OS support for unmasked SIMD floating-point exceptions' },
  { bit: 11, key: 'UMIP', name: 'User-mode instruction prevention' },
  { bit: 12, key: 'LA57', name: '57-bit linear addresses' },
  { bit: 13, key: 'VMXE', name: 'VMX enable' },
  { bit: 14, key: 'SMXE', name: 'SMX enable' },
  { bit: 16, key: 'FSGSBASE', name: 'FSGSBASE enable' },
  { bit: 17, key: 'PCIDE', name: 'PCID enable' },
  { bit: 18, key: 'OSXSAVE', name: 'XSAVE and processor extended states enable' },
  { bit: 19, key: 'KL', name: 'Key Locker enable' },
  { bit: 20, key: 'SMEP', name: 'Supervisor-mode execution prevention' },
  { bit: 21, key: 'SMAP', name: 'Supervisor-mode access prevention' },
  { bit: 22, key: 'PKE', name: 'Protection keys for user-mode pages' },
  { bit: 23, key: 'CET', name: 'Control-flow enforcement technology' },
  { bit: 24, key: 'PKS', name: 'Protection keys for supervisor-mode pages' },
  { bit: 25, key: 'UINTR', name: 'User interrupts enable' },
  { bit: 27, key: 'LASS', name: 'Linear-address-space separation' },
  { bit: 28, key: 'LAM_SUP', name: 'Supervisor linear-address masking' },
  { bit: 32, key: 'FRED', name: 'Flexible return and event delivery' },
] as const satisfies readonly BitFieldRow[];
export const CR4 = bitFieldMasks(CR4_BITS);

export const RFLAGS_BITS = [
  { bit: 0, key: 'CF', name: 'Carry' },
  { bit: 2, key: 'PF', name: 'Parity' },
  { bit: 4, key: 'AF', name: 'Auxiliary carry' },
  { bit: 6, key: 'ZF', name: 'Zero' },
  { bit: 7, key: 'SF', name: 'Sign' },
  { bit: 8, key: 'TF', name: 'Trap' },
  { bit: 9, key: 'IF', name: 'Interrupt enable' },
  { bit: 10, key: 'DF', name: 'Direction' },
  { bit: 11, key: 'OF', name: 'Overflow' },
  { bit: 12, width: 2, key: 'IOPL', name: 'I/O privilege level' },
  { bit: 14, key: 'NT', name: 'Nested task' },
  { bit: 16, key: 'RF', name: 'Resume' },
  { bit: 17, key: 'VM', name: 'Virtual-8086 mode' },
  { bit: 18, key: 'AC', name: 'Alignment check or access control' },
  { bit: 19, key: 'VIF', name: 'Virtual interrupt' },
  { bit: 20, key: 'VIP', name: 'Virtual interrupt pending' },
  { bit: 21, key: 'ID', name: 'Identification' },
] as const satisfies readonly BitFieldRow[];
export const RFLAGS = bitFieldMasks(RFLAGS_BITS);

export const EFER_BITS = [
  { bit: 0, key: 'SCE', name: 'SYSCALL enable' },
  { bit: 8, key: 'LME', name: 'IA-32e mode enable' },
  { bit: 10, key: 'LMA', name: 'IA-32e mode active' },
  { bit: 11, key: 'NXE', name: 'Execute-disable enable' },
] as const satisfies readonly BitFieldRow[];
export const EFER = bitFieldMasks(EFER_BITS);

const BREAKPOINT_TYPES = { 0: 'execution', 1: 'data write', 2: 'I/O', 3: 'data read or write' } as const;
const BREAKPOINT_LENGTHS = { 0: '1 byte', 1: '2 bytes', 2: '8 bytes', 3: '4 bytes' } as const;

/** What each of DR0 to DR3 has in DR7. */
function ofEachBreakpoint(rows: (n: number) => readonly BitFieldRow[]): BitFieldRow[] {
  return [0, 1, 2, 3].flatMap(rows);
}

// biome-ignore format: rows are read as a table
export const DR7_BITS: readonly BitFieldRow[] = [
  ...ofEachBreakpoint((n) => [
    { bit: 2 * n, key: `L${n}`, name: `Local breakpoint ${n}` },
    { bit: 2 * n + 1, key: `G${n}`, name: `Global breakpoint ${n}` },
  ]),
  { bit: 8, key: 'LE', name: 'Local exact' },
  { bit: 9, key: 'GE', name: 'Global exact' },
  { bit: 11, key: 'RTM', name: 'Restricted transactional memory' },
  { bit: 13, key: 'GD', name: 'General detect' },
  ...ofEachBreakpoint((n) => [
    { bit: 16 + 4 * n, width: 2, key: `RW${n}`, name: `Breakpoint ${n} condition`, values: BREAKPOINT_TYPES, enabledBy: 3n << BigInt(2 * n) },
    { bit: 18 + 4 * n, width: 2, key: `LEN${n}`, name: `Breakpoint ${n} length`, values: BREAKPOINT_LENGTHS, enabledBy: 3n << BigInt(2 * n) },
  ]),
];

export const DEBUGCTL_BITS = [
  { bit: 0, key: 'LBR', name: 'Last branch recording' },
  { bit: 1, key: 'BTF', name: 'Single-step on branches' },
  { bit: 2, key: 'BLD', name: 'Bus-lock detection' },
  { bit: 6, key: 'TR', name: 'Trace messages' },
  { bit: 7, key: 'BTS', name: 'Branch trace store' },
  { bit: 8, key: 'BTINT', name: 'Branch trace interrupt' },
  { bit: 9, key: 'BTS_OFF_OS', name: 'Branch trace store off at CPL 0' },
  { bit: 10, key: 'BTS_OFF_USR', name: 'Branch trace store off at CPL above 0' },
  { bit: 11, key: 'FREEZE_LBRS_ON_PMI', name: 'Freeze LBRs on PMI' },
  { bit: 12, key: 'FREEZE_PERFMON_ON_PMI', name: 'Freeze performance counters on PMI' },
  { bit: 14, key: 'FREEZE_WHILE_SMM', name: 'Freeze while in SMM' },
  { bit: 15, key: 'RTM', name: 'RTM debugging' },
] as const satisfies readonly BitFieldRow[];
export const DEBUGCTL = bitFieldMasks(DEBUGCTL_BITS);

export const LBR_CTL_BITS = [
  { bit: 0, key: 'LBREn', name: 'Last branch recording' },
  { bit: 1, key: 'OS', name: 'At CPL 0' },
  { bit: 2, key: 'USR', name: 'At CPL above 0' },
  { bit: 3, key: 'CALL_STACK', name: 'Stack of calls' },
  { bit: 16, key: 'COND', name: 'Conditional branches' },
  { bit: 17, key: 'NEAR_REL_JMP', name: 'Near relative jumps' },
  { bit: 18, key: 'NEAR_IND_JMP', name: 'Near indirect jumps' },
  { bit: 19, key: 'NEAR_REL_CALL', name: 'Near relative calls' },
  { bit: 20, key: 'NEAR_IND_CALL', name: 'Near indirect calls' },
  { bit: 21, key: 'NEAR_RET', name: 'Near returns' },
  { bit: 22, key: 'OTHER_BRANCH', name: 'Other branches' },
] as const satisfies readonly BitFieldRow[];

const MEMORY_TYPES = { 0: 'UC', 1: 'WC', 4: 'WT', 5: 'WP', 6: 'WB', 7: 'UC-' } as const;

export const PAT_BITS = [0, 1, 2, 3, 4, 5, 6, 7].map((entry) => ({
  bit: 8 * entry,
  width: 8,
  key: `PA${entry}`,
  name: `PAT entry ${entry}`,
  values: MEMORY_TYPES,
})) satisfies readonly BitFieldRow[];

export const SELECTOR_BITS = [
  { bit: 0, width: 2, key: 'RPL', name: 'Requested privilege level' },
  { bit: 2, key: 'TI', name: 'Table indicator', values: { 0: 'GDT', 1: 'LDT' } },
  { bit: 3, width: 13, key: 'INDEX', name: 'Index' },
] as const satisfies readonly BitFieldRow[];
export const SELECTOR = bitFieldMasks(SELECTOR_BITS);

/** @see SDM 26.4.1, "Guest Register State", "Format of Access Rights" */
export const ACCESS_RIGHTS_BITS = [
  { bit: 0, width: 4, key: 'TYPE', name: 'Segment type' },
  { bit: 4, key: 'S', name: 'Descriptor type', values: { 0: 'system', 1: 'code or data' } },
  { bit: 5, width: 2, key: 'DPL', name: 'Descriptor privilege level' },
  { bit: 7, key: 'P', name: 'Segment present' },
  { bit: 12, key: 'AVL', name: 'Available for use by system software' },
  { bit: 13, key: 'L', name: '64-bit mode active (CS only)' },
  {
    bit: 14,
    key: 'DB',
    name: 'Default operation size',
    values: { 0: '16-bit segment', 1: '32-bit segment' },
  },
  { bit: 15, key: 'G', name: 'Granularity', values: { 0: 'byte', 1: '4 KiB' } },
  { bit: 16, key: 'UNUSABLE', name: 'Segment unusable', values: { 0: 'usable', 1: 'unusable' } },
] as const satisfies readonly BitFieldRow[];
export const ACCESS_RIGHTS = bitFieldMasks(ACCESS_RIGHTS_BITS);

export const ACTIVITY_STATES = { 0: 'active', 1: 'HLT', 2: 'shutdown', 3: 'wait-for-SIPI' } as const;
export const ACTIVITY_STATE_BITS = [
  { bit: 0, width: 32, key: 'STATE', name: 'Activity state', values: ACTIVITY_STATES },
] as const satisfies readonly BitFieldRow[];

/** @see SDM 26.4.2, "Guest Non-Register State", "Format of Interruptibility State" */
export const INTERRUPTIBILITY_BITS = [
  { bit: 0, key: 'STI', name: 'Blocking by STI' },
  { bit: 1, key: 'MOV_SS', name: 'Blocking by MOV SS' },
  { bit: 2, key: 'SMI', name: 'Blocking by SMI' },
  { bit: 3, key: 'NMI', name: 'Blocking by NMI' },
  { bit: 4, key: 'ENCLAVE', name: 'Enclave interruption' },
] as const satisfies readonly BitFieldRow[];
export const INTERRUPTIBILITY = bitFieldMasks(INTERRUPTIBILITY_BITS);

/** @see SDM 26.4.2, "Guest Non-Register State", "Format of Pending-Debug-Exceptions" */
export const PENDING_DEBUG_BITS = [
  { bit: 0, key: 'B0', name: 'Breakpoint 0 condition met' },
  { bit: 1, key: 'B1', name: 'Breakpoint 1 condition met' },
  { bit: 2, key: 'B2', name: 'Breakpoint 2 condition met' },
  { bit: 3, key: 'B3', name: 'Breakpoint 3 condition met' },
  { bit: 11, key: 'BLD', name: 'Bus lock detected' },
  { bit: 12, key: 'ENABLED', name: 'Enabled breakpoint' },
  { bit: 14, key: 'BS', name: 'Single step' },
  { bit: 16, key: 'RTM', name: 'Inside an RTM region' },
] as const satisfies readonly BitFieldRow[];
export const PENDING_DEBUG = bitFieldMasks(PENDING_DEBUG_BITS);

/** @see SDM 26.6.11, "Extended-Page-Table Pointer (EPTP)" */
export const EPTP_BITS = [
  { bit: 0, width: 3, key: 'MEMORY_TYPE', name: 'Memory type of the EPT structures', values: MEMORY_TYPES },
  {
    bit: 3,
    width: 3,
    key: 'WALK_LENGTH',
    name: 'Page-walk length minus 1',
    values: { 3: '4 levels', 4: '5 levels' },
  },
  { bit: 6, key: 'AD', name: 'Accessed and dirty flags' },
  { bit: 7, key: 'SSS', name: 'Supervisor shadow-stack control' },
  { bit: 12, width: 40, key: 'ROOT', name: 'Page frame of the root table' },
] as const satisfies readonly BitFieldRow[];
export const EPTP = bitFieldMasks(EPTP_BITS);

const EVENT_TYPES = {
  0: 'external interrupt',
  2: 'NMI',
  3: 'hardware exception',
  4: 'software interrupt',
  5: 'privileged software exception',
  6: 'software exception',
  7: 'other event',
} as const;

/** Values of the interruption type. */
export const EVENT_TYPE = {
  externalInterrupt: 0n,
  reserved: 1n,
  nmi: 2n,
  hardwareException: 3n,
  softwareInterrupt: 4n,
  privilegedSoftwareException: 5n,
  softwareException: 6n,
  otherEvent: 7n,
} as const;

const INTERRUPTION_COMMON = [
  { bit: 0, width: 8, key: 'VECTOR', name: 'Vector' },
  { bit: 8, width: 3, key: 'TYPE', name: 'Interruption type', values: EVENT_TYPES },
] as const;

/** @see SDM 26.8.3, "VM-Entry Controls for Event Injection" */
export const ENTRY_INTERRUPTION_BITS = [
  ...INTERRUPTION_COMMON,
  { bit: 11, key: 'ERROR_CODE', name: 'Deliver error code' },
  { bit: 31, key: 'VALID', name: 'Valid' },
] as const satisfies readonly BitFieldRow[];
export const ENTRY_INTERRUPTION = bitFieldMasks(ENTRY_INTERRUPTION_BITS);

/** @see SDM 26.9.2, "Information for VM Exits Due to Vectored Events" */
export const EXIT_INTERRUPTION_BITS = [
  ...INTERRUPTION_COMMON,
  { bit: 11, key: 'ERROR_CODE', name: 'Error code valid' },
  { bit: 12, key: 'NMI_UNBLOCKING', name: 'NMI unblocking due to IRET' },
  { bit: 31, key: 'VALID', name: 'Valid' },
] as const satisfies readonly BitFieldRow[];
export const EXIT_INTERRUPTION = bitFieldMasks(EXIT_INTERRUPTION_BITS);

/** @see SDM 26.9.3, "Information for VM Exits That Occur During Event Delivery" */
export const IDT_VECTORING_BITS = [
  ...INTERRUPTION_COMMON,
  { bit: 11, key: 'ERROR_CODE', name: 'Error code valid' },
  { bit: 31, key: 'VALID', name: 'Valid' },
] as const satisfies readonly BitFieldRow[];

/** @see SDM 26.9.1, "Basic VM-Exit Information", "Format of Exit Reason" */
export const EXIT_REASON_BITS = [
  { bit: 0, width: 16, key: 'BASIC', name: 'Basic exit reason' },
  { bit: 25, key: 'SHADOW_STACK', name: 'Shadow stack prematurely busy' },
  { bit: 26, key: 'BUS_LOCK', name: 'Bus lock' },
  { bit: 27, key: 'ENCLAVE', name: 'Incident to enclave mode' },
  { bit: 28, key: 'PENDING_MTF', name: 'Pending MTF VM exit' },
  { bit: 29, key: 'FROM_ROOT', name: 'VM exit from VMX root operation' },
  { bit: 31, key: 'ENTRY_FAILURE', name: 'VM-entry failure' },
] as const satisfies readonly BitFieldRow[];
export const EXIT_REASON = bitFieldMasks(EXIT_REASON_BITS);

/** Vectors 0 to 31, by the manual's mnemonics. */
// biome-ignore format: one list
export const EXCEPTION_NAMES = [
  '#DE', '#DB', 'NMI', '#BP', '#OF', '#BR', '#UD', '#NM', '#DF', 'vector 9', '#TS', '#NP', '#SS', '#GP', '#PF', 'vector 15',
  '#MF', '#AC', '#MC', '#XM', '#VE', '#CP', 'vector 22', 'vector 23', 'vector 24', 'vector 25', 'vector 26', 'vector 27',
  'vector 28', 'vector 29', 'vector 30', 'vector 31',
] as const;

export const EXCEPTION_BITMAP_BITS = EXCEPTION_NAMES.map((name, vector) => ({
  bit: vector,
  key: name,
  name,
})) satisfies readonly BitFieldRow[];

/** @see SDM 26.4.2, "Guest Non-Register State", guest interrupt status */
export const INTERRUPT_STATUS_BITS = [
  { bit: 0, width: 8, key: 'RVI', name: 'Requesting virtual interrupt' },
  { bit: 8, width: 8, key: 'SVI', name: 'Servicing virtual interrupt' },
] as const satisfies readonly BitFieldRow[];

/** @see SDM 26.6.14, "VM-Function Controls" */
export const VM_FUNCTION_BITS = [
  { bit: 0, key: 'EPTP_SWITCHING', name: 'EPTP switching' },
] as const satisfies readonly BitFieldRow[];
