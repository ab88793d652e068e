/**
 * Layouts of the exit qualification and of the VM-exit instruction information, as bit-field rows that the exit
 * reasons name.
 *
 * Intel SDM Vol. 3C, "VM Exits", "Basic VM-Exit Information" and "Information for VM Exits Due to Instruction
 * Execution".
 */
import { type BitFieldRow, bitFieldMasks } from '../base/bitFields.ts';
import type { Reference } from '../base/reference.ts';
import { EXITS } from './manual.ts';

export interface ExitLayout {
  readonly bits: readonly BitFieldRow[];
  readonly ref: Reference;
}

const BASIC = '2.1';
const INFORMATION = '2.5';

// biome-ignore format: one list
const GENERAL_REGISTERS = {
  0: 'RAX', 1: 'RCX', 2: 'RDX', 3: 'RBX', 4: 'RSP', 5: 'RBP', 6: 'RSI', 7: 'RDI',
  8: 'R8', 9: 'R9', 10: 'R10', 11: 'R11', 12: 'R12', 13: 'R13', 14: 'R14', 15: 'R15',
} as const;
const SEGMENT_REGISTERS = { 0: 'ES', 1: 'CS', 2: 'SS', 3: 'DS', 4: 'FS', 5: 'GS' } as const;
const ADDRESS_SIZES = { 0: '16-bit', 1: '32-bit', 2: '64-bit' } as const;
const OPERAND_SIZES = { 0: '16-bit', 1: '32-bit', 2: '64-bit' } as const;
const SCALES = { 0: 'no scaling', 1: 'scale by 2', 2: 'scale by 4', 3: 'scale by 8' } as const;
const MEMORY_OR_REGISTER = { 0: 'memory', 1: 'register' } as const;

function whole(key: string, name: string): readonly BitFieldRow[] {
  return [{ bit: 0, width: 64, key, name }];
}

// biome-ignore format: rows are read as a table
export const QUALIFICATION = {
  /** #DB: the same layout as DR6's low half, with the meaning of pending debug exceptions. */
  debugException: {
    bits: [
      { bit: 0, key: 'B0', name: 'Breakpoint 0 condition met' },
      { bit: 1, key: 'B1', name: 'Breakpoint 1 condition met' },
      { bit: 2, key: 'B2', name: 'Breakpoint 2 condition met' },
      { bit: 3, key: 'B3', name: 'Breakpoint 3 condition met' },
      { bit: 11, key: 'BLD', name: 'Bus lock detected' },
      { bit: 13, key: 'BD', name: 'Debug register access detected' },
      { bit: 14, key: 'BS', name: 'Single step' },
      { bit: 16, key: 'RTM', name: 'Inside an RTM region' },
    ],
    ref: EXITS('Exit Qualification for Debug Exceptions', BASIC),
  },
  pageFault: { bits: whole('ADDRESS', 'Faulting linear address'), ref: EXITS('Basic VM-Exit Information', BASIC) },
  startUpIpi: {
    bits: [{ bit: 0, width: 8, key: 'VECTOR', name: 'SIPI vector' }],
    ref: EXITS('Basic VM-Exit Information', BASIC),
  },
  taskSwitch: {
    bits: [
      { bit: 0, width: 16, key: 'SELECTOR', name: 'Selector of the TSS switched to' },
      { bit: 30, width: 2, key: 'SOURCE', name: 'Source of the task switch', values: { 0: 'CALL', 1: 'IRET', 2: 'JMP', 3: 'task gate in the IDT' } },
    ],
    ref: EXITS('Exit Qualification for Task Switches', BASIC),
  },
  linearAddress: { bits: whole('ADDRESS', 'Linear address'), ref: EXITS('Basic VM-Exit Information', BASIC) },
  displacement: { bits: whole('DISPLACEMENT', 'Displacement of the memory operand'), ref: EXITS('Basic VM-Exit Information', BASIC) },
  crAccess: {
    bits: [
      { bit: 0, width: 4, key: 'REGISTER', name: 'Control register' },
      { bit: 4, width: 2, key: 'ACCESS', name: 'Access type', values: { 0: 'MOV to CR', 1: 'MOV from CR', 2: 'CLTS', 3: 'LMSW' } },
      { bit: 6, key: 'LMSW_MEMORY', name: 'LMSW operand', values: { 0: 'register', 1: 'memory' } },
      { bit: 8, width: 4, key: 'OPERAND', name: 'General-purpose register', values: GENERAL_REGISTERS },
      { bit: 16, width: 16, key: 'LMSW_SOURCE', name: 'LMSW source data' },
    ],
    ref: EXITS('Exit Qualification for Control-Register Accesses', BASIC),
  },
  movDr: {
    bits: [
      { bit: 0, width: 3, key: 'REGISTER', name: 'Debug register' },
      { bit: 4, key: 'DIRECTION', name: 'Direction', values: { 0: 'MOV to DR', 1: 'MOV from DR' } },
      { bit: 8, width: 4, key: 'OPERAND', name: 'General-purpose register', values: GENERAL_REGISTERS },
    ],
    ref: EXITS('Exit Qualification for MOV DR', BASIC),
  },
  io: {
    bits: [
      { bit: 0, width: 3, key: 'SIZE', name: 'Size of access', values: { 0: '1 byte', 1: '2 bytes', 3: '4 bytes' } },
      { bit: 3, key: 'IN', name: 'Direction', values: { 0: 'OUT', 1: 'IN' } },
      { bit: 4, key: 'STRING', name: 'String instruction' },
      { bit: 5, key: 'REP', name: 'REP prefixed' },
      { bit: 6, key: 'IMMEDIATE', name: 'Operand encoding', values: { 0: 'DX', 1: 'immediate' } },
      { bit: 16, width: 16, key: 'PORT', name: 'Port number' },
    ],
    ref: EXITS('Exit Qualification for I/O Instructions', BASIC),
  },
  entryFailureGuestState: {
    bits: [
      { bit: 0, width: 64, key: 'CAUSE', name: 'Cause', values: { 0: 'guest state', 2: 'loading the PDPTEs', 3: 'NMI injected while events are blocked by STI', 4: 'VMCS link pointer' } },
    ],
    ref: EXITS('Basic VM-Exit Information', BASIC),
  },
  entryFailureMsrLoading: { bits: whole('ENTRY', 'Number of the failing MSR entry, from 1'), ref: EXITS('Basic VM-Exit Information', BASIC) },
  mwait: {
    bits: [{ bit: 0, key: 'ARMED', name: 'Address-range monitoring', values: { 0: 'not armed', 1: 'armed' } }],
    ref: EXITS('Basic VM-Exit Information', BASIC),
  },
  apicAccess: {
    bits: [
      { bit: 0, width: 12, key: 'OFFSET', name: 'Offset in the APIC page' },
      { bit: 12, width: 4, key: 'ACCESS', name: 'Access type', values: { 0: 'data read', 1: 'data write', 2: 'instruction fetch', 3: 'event delivery', 4: 'guest-physical monitoring', 10: 'guest-physical event delivery', 15: 'guest-physical fetch or access' } },
      { bit: 16, key: 'ASYNCHRONOUS', name: 'Asynchronous to instruction execution' },
    ],
    ref: EXITS('Exit Qualification for APIC-Access VM Exits', BASIC),
  },
  virtualizedEoi: { bits: [{ bit: 0, width: 8, key: 'VECTOR', name: 'Vector' }], ref: EXITS('Basic VM-Exit Information', BASIC) },
  apicWrite: { bits: [{ bit: 0, width: 12, key: 'OFFSET', name: 'Offset in the APIC page' }], ref: EXITS('Basic VM-Exit Information', BASIC) },
  eptViolation: {
    bits: [
      { bit: 0, key: 'READ', name: 'Data read' },
      { bit: 1, key: 'WRITE', name: 'Data write' },
      { bit: 2, key: 'FETCH', name: 'Instruction fetch' },
      { bit: 3, key: 'READABLE', name: 'Page readable' },
      { bit: 4, key: 'WRITABLE', name: 'Page writable' },
      { bit: 5, key: 'EXECUTABLE', name: 'Page executable' },
      { bit: 6, key: 'USER_EXECUTABLE', name: 'Page executable for user-mode linear addresses' },
      { bit: 7, key: 'LINEAR_VALID', name: 'Guest linear address valid' },
      { bit: 8, key: 'TRANSLATED', name: 'Access', values: { 0: 'to a paging-structure entry', 1: 'to the translation of the linear address' } },
      { bit: 9, key: 'USER', name: 'User-mode linear address' },
      { bit: 10, key: 'LINEAR_WRITABLE', name: 'Linear address read/write' },
      { bit: 11, key: 'LINEAR_XD', name: 'Linear address execute-disable' },
      { bit: 12, key: 'NMI_UNBLOCKING', name: 'NMI unblocking due to IRET' },
      { bit: 13, key: 'SHADOW_STACK', name: 'Shadow-stack access' },
      { bit: 14, key: 'SUPERVISOR_SHADOW_STACK', name: 'Supervisor shadow-stack page' },
      { bit: 15, key: 'GUEST_PAGING_VERIFICATION', name: 'Guest-paging verification' },
      { bit: 16, key: 'ASYNCHRONOUS', name: 'Asynchronous to instruction execution' },
    ],
    ref: EXITS('Exit Qualification for EPT Violations', BASIC),
  },
  pageModificationLogFull: {
    bits: [{ bit: 12, key: 'NMI_UNBLOCKING', name: 'NMI unblocking due to IRET' }],
    ref: EXITS('Basic VM-Exit Information', BASIC),
  },
  sppRelated: {
    bits: [
      { bit: 11, key: 'MISS', name: 'Event', values: { 0: 'SPP misconfiguration', 1: 'SPP miss' } },
      { bit: 12, key: 'NMI_UNBLOCKING', name: 'NMI unblocking due to IRET' },
      { bit: 16, key: 'ASYNCHRONOUS', name: 'Asynchronous to instruction execution' },
    ],
    ref: EXITS('Basic VM-Exit Information', BASIC),
  },
  instructionTimeout: {
    bits: [
      { bit: 0, key: 'CONTEXT_INVALID', name: 'VM context invalid' },
      { bit: 12, key: 'NMI_UNBLOCKING', name: 'NMI unblocking due to IRET' },
    ],
    ref: EXITS('Basic VM-Exit Information', BASIC),
  },
} as const satisfies Readonly<Record<string, ExitLayout>>;

export type QualificationKey = keyof typeof QUALIFICATION;

/** Masks for code that builds a qualification or tests one. */
export const IO_ACCESS = bitFieldMasks(QUALIFICATION.io.bits);
export const EPT_VIOLATION = bitFieldMasks(QUALIFICATION.eptViolation.bits);

/** Bits of the memory operand that most of the layouts share. */
const ADDRESSING = {
  scaling: { bit: 0, width: 2, key: 'SCALING', name: 'Scaling', values: SCALES },
  addressSize: { bit: 7, width: 3, key: 'ADDRESS_SIZE', name: 'Address size', values: ADDRESS_SIZES },
  memoryOrRegister: { bit: 10, key: 'REGISTER_FORM', name: 'Operand', values: MEMORY_OR_REGISTER },
  segment: { bit: 15, width: 3, key: 'SEGMENT', name: 'Segment register', values: SEGMENT_REGISTERS },
  index: { bit: 18, width: 4, key: 'INDEX', name: 'Index register', values: GENERAL_REGISTERS },
  indexInvalid: { bit: 22, key: 'INDEX_INVALID', name: 'Index register invalid' },
  base: { bit: 23, width: 4, key: 'BASE', name: 'Base register', values: GENERAL_REGISTERS },
  baseInvalid: { bit: 27, key: 'BASE_INVALID', name: 'Base register invalid' },
} as const;

function register(bit: number, key: string, name: string): BitFieldRow {
  return { bit, width: 4, key, name, values: GENERAL_REGISTERS };
}

const MEMORY_OPERAND: readonly BitFieldRow[] = [
  ADDRESSING.scaling,
  ADDRESSING.addressSize,
  ADDRESSING.segment,
  ADDRESSING.index,
  ADDRESSING.indexInvalid,
  ADDRESSING.base,
  ADDRESSING.baseInvalid,
];

// biome-ignore format: rows are read as a table
export const INSTRUCTION_INFORMATION = {
  insOuts: {
    bits: [ADDRESSING.addressSize, ADDRESSING.segment],
    ref: EXITS('VM-Exit Instruction-Information Field as Used for INS and OUTS', INFORMATION),
  },
  invalidate: {
    bits: [...MEMORY_OPERAND, register(28, 'REG2', 'Register operand')],
    ref: EXITS('VM-Exit Instruction-Information Field as Used for INVEPT, INVPCID, and INVVPID', INFORMATION),
  },
  gdtrIdtr: {
    bits: [
      ...MEMORY_OPERAND,
      { bit: 11, key: 'OPERAND_SIZE', name: 'Operand size', values: { 0: '16-bit', 1: '32-bit' } },
      { bit: 28, width: 2, key: 'INSTRUCTION', name: 'Instruction', values: { 0: 'SGDT', 1: 'SIDT', 2: 'LGDT', 3: 'LIDT' } },
    ],
    ref: EXITS('VM-Exit Instruction-Information Field as Used for LIDT, LGDT, SIDT, or SGDT', INFORMATION),
  },
  ldtrTr: {
    bits: [
      ...MEMORY_OPERAND,
      register(3, 'REG1', 'Register operand'),
      ADDRESSING.memoryOrRegister,
      { bit: 28, width: 2, key: 'INSTRUCTION', name: 'Instruction', values: { 0: 'SLDT', 1: 'STR', 2: 'LLDT', 3: 'LTR' } },
    ],
    ref: EXITS('VM-Exit Instruction-Information Field as Used for LLDT, LTR, SLDT, and STR', INFORMATION),
  },
  randomNumber: {
    bits: [
      register(3, 'OPERAND', 'Destination register'),
      { bit: 11, width: 2, key: 'OPERAND_SIZE', name: 'Operand size', values: OPERAND_SIZES },
    ],
    ref: EXITS('VM-Exit Instruction-Information Field as Used for RDRAND, RDSEED, TPAUSE, and UMWAIT', INFORMATION),
  },
  memoryOperand: {
    bits: MEMORY_OPERAND,
    ref: EXITS('VM-Exit Instruction-Information Field as Used for VMCLEAR, VMPTRLD, VMPTRST, VMXON, XRSTORS, and XSAVES', INFORMATION),
  },
  vmreadVmwrite: {
    bits: [
      ...MEMORY_OPERAND,
      register(3, 'REG1', 'Register operand'),
      ADDRESSING.memoryOrRegister,
      register(28, 'REG2', 'Register that holds the encoding'),
    ],
    ref: EXITS('VM-Exit Instruction-Information Field as Used for VMREAD and VMWRITE', INFORMATION),
  },
  loadiwkey: {
    bits: [register(3, 'REG1', 'First source register'), register(28, 'REG2', 'Second source register')],
    ref: EXITS('VM-Exit Instruction-Information Field as Used for LOADIWKEY', INFORMATION),
  },
} as const satisfies Readonly<Record<string, ExitLayout>>;

export type InstructionInformationKey = keyof typeof INSTRUCTION_INFORMATION;
