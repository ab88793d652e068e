/**
 * The one table of what lies where in the machine's WebAssembly memory. TypeScript accessors, generated code, the
 * snapshot and the register views all read these rows.
 *
 * A row: `key` (the manual's name), `width` of one element in bytes (4 or 8), `count` of elements (1 unless said),
 * and `kind`: `arch` is architectural state of one logical processor (saved, hashed, switched with the vCPU), `engine`
 * is scratch that generated code and TypeScript share and that never outlives one activation.
 */

interface CpuFieldRow {
  readonly key: string;
  readonly width: 4 | 8;
  readonly count?: number;
  readonly kind: 'arch' | 'engine';
}

const CPU_FIELD_ROWS = [
  // YMM0–YMM15, four elements each, the lowest first; bits 127:0 are XMM0–XMM15. First, so that they are aligned.
  { key: 'YMM', width: 8, count: 64, kind: 'arch' },
  // RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8–R15, then a slot that is always zero (an absent base or index).
  { key: 'GPR', width: 8, count: 17, kind: 'arch' },
  { key: 'RIP', width: 8, kind: 'arch' },
  // RFLAGS without the six arithmetic flags, which live in CC_*: see state/flags.ts.
  { key: 'RFLAGS', width: 8, kind: 'arch' },
  { key: 'CC_A', width: 8, kind: 'arch' },
  { key: 'CC_B', width: 8, kind: 'arch' },
  { key: 'CC_OP', width: 4, kind: 'arch' },
  // 0 to 3; equal to SS.DPL except as the manual says.
  { key: 'CPL', width: 4, kind: 'arch' },

  // Segment registers in the order of SegmentRegister: ES, CS, SS, DS, FS, GS, LDTR, TR.
  { key: 'SEG_BASE', width: 8, count: 8, kind: 'arch' },
  { key: 'SEG_SELECTOR', width: 4, count: 8, kind: 'arch' },
  { key: 'SEG_LIMIT', width: 4, count: 8, kind: 'arch' },
  // Access rights in the VMCS format: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16.
  { key: 'SEG_ACCESS_RIGHTS', width: 4, count: 8, kind: 'arch' },
  { key: 'GDTR_BASE', width: 8, kind: 'arch' },
  { key: 'IDTR_BASE', width: 8, kind: 'arch' },
  { key: 'GDTR_LIMIT', width: 4, kind: 'arch' },
  { key: 'IDTR_LIMIT', width: 4, kind: 'arch' },

  { key: 'CR0', width: 8, kind: 'arch' },
  { key: 'CR2', width: 8, kind: 'arch' },
  { key: 'CR3', width: 8, kind: 'arch' },
  { key: 'CR4', width: 8, kind: 'arch' },
  { key: 'XCR0', width: 8, kind: 'arch' },
  { key: 'PDPTE', width: 8, count: 4, kind: 'arch' },
  // DR0–DR3, DR6, DR7 at indexes 0–3, 6, 7; 4 and 5 are unused.
  { key: 'DR', width: 8, count: 8, kind: 'arch' },

  { key: 'IA32_EFER', width: 8, kind: 'arch' },
  { key: 'IA32_STAR', width: 8, kind: 'arch' },
  { key: 'IA32_LSTAR', width: 8, kind: 'arch' },
  { key: 'IA32_CSTAR', width: 8, kind: 'arch' },
  { key: 'IA32_FMASK', width: 8, kind: 'arch' },
  { key: 'IA32_KERNEL_GS_BASE', width: 8, kind: 'arch' },
  { key: 'IA32_SYSENTER_CS', width: 8, kind: 'arch' },
  { key: 'IA32_SYSENTER_ESP', width: 8, kind: 'arch' },
  { key: 'IA32_SYSENTER_EIP', width: 8, kind: 'arch' },
  { key: 'IA32_PAT', width: 8, kind: 'arch' },
  { key: 'IA32_DEBUGCTL', width: 8, kind: 'arch' },
  { key: 'IA32_TSC_AUX', width: 8, kind: 'arch' },
  { key: 'IA32_TSC_ADJUST', width: 8, kind: 'arch' },
  { key: 'IA32_MISC_ENABLE', width: 8, kind: 'arch' },
  { key: 'IA32_FEATURE_CONTROL', width: 8, kind: 'arch' },
  { key: 'IA32_APIC_BASE', width: 8, kind: 'arch' },
  { key: 'IA32_BIOS_SIGN_ID', width: 8, kind: 'arch' },
  { key: 'IA32_SPEC_CTRL', width: 8, kind: 'arch' },
  { key: 'IA32_MTRR_DEF_TYPE', width: 8, kind: 'arch' },
  { key: 'IA32_MTRR_FIX', width: 8, count: 11, kind: 'arch' },
  // PHYSBASE0, PHYSMASK0, PHYSBASE1, …
  { key: 'IA32_MTRR_PHYS', width: 8, count: 20, kind: 'arch' },

  // Address of the current VMCS (bits 63:0 set when there is none), of the VMXON region, and 0 none | 1 root | 2
  // non-root: SDM "Virtual Machine Control Structures", 25.2.
  { key: 'CURRENT_VMCS', width: 8, kind: 'arch' },
  { key: 'VMXON_POINTER', width: 8, kind: 'arch' },
  { key: 'VMX_OPERATION', width: 4, kind: 'arch' },
  // 0 active, 1 HLT, 2 shutdown, 3 wait-for-SIPI: SDM "Guest Non-Register State", 25.4.2.
  { key: 'ACTIVITY_STATE', width: 4, kind: 'arch' },
  // Bits 0 STI, 1 MOV SS, 2 SMI, 3 NMI: the same section's interruptibility state.
  { key: 'INTERRUPTIBILITY', width: 4, kind: 'arch' },
  // NMI waiting for delivery (0 or 1).
  { key: 'NMI_PENDING', width: 4, kind: 'arch' },
  // INIT waiting until it is not blocked (0 or 1); a start-up IPI that has arrived: 100H and its vector, or 0.
  { key: 'INIT_PENDING', width: 4, kind: 'arch' },
  { key: 'STARTUP_PENDING', width: 4, kind: 'arch' },
  { key: 'PENDING_DEBUG', width: 8, kind: 'arch' },
  // 1 from MONITOR to MWAIT, a VM entry, a VM exit or the delivery of an event.
  { key: 'MONITOR_ARMED', width: 4, kind: 'arch' },
  // 1 when the last instruction was an iteration of a repeated string instruction and not its last.
  { key: 'REPEATING', width: 4, kind: 'arch' },
  // Copies of the current VMCS' control words, refreshed on VM entry, zero outside non-root operation; generated code
  // and intercept checks read these instead of memory. Order: see vmx/controls.ts ControlWord.
  { key: 'VMX_CONTROLS', width: 8, count: 8, kind: 'arch' },
  { key: 'VMX_EXCEPTION_BITMAP', width: 4, kind: 'arch' },
  { key: 'VMX_PREEMPTION_ARMED', width: 4, kind: 'arch' },
  // Tick at which the VMX-preemption timer reaches zero (a float64).
  { key: 'VMX_PREEMPTION_DEADLINE', width: 8, kind: 'arch' },
  { key: 'TSC_OFFSET', width: 8, kind: 'arch' },

  // The x87 FPU. Data registers R0–R7 by their physical number, as significand and sign (bit 15) with exponent; the tag
  // word always says what its registers hold: SDM "x87 FPU Execution Environment", 8.1 of volume 1.
  { key: 'X87_SIGNIFICAND', width: 8, count: 8, kind: 'arch' },
  { key: 'X87_EXPONENT', width: 4, count: 8, kind: 'arch' },
  { key: 'X87_CONTROL', width: 4, kind: 'arch' },
  { key: 'X87_STATUS', width: 4, kind: 'arch' },
  { key: 'X87_TAG', width: 4, kind: 'arch' },
  { key: 'X87_OPCODE', width: 4, kind: 'arch' },
  { key: 'X87_INSTRUCTION_POINTER', width: 8, kind: 'arch' },
  { key: 'X87_DATA_POINTER', width: 8, kind: 'arch' },
  { key: 'X87_INSTRUCTION_SELECTOR', width: 4, kind: 'arch' },
  { key: 'X87_DATA_SELECTOR', width: 4, kind: 'arch' },

  { key: 'MXCSR', width: 4, kind: 'arch' },

  // Where the generator of RDRAND and RDSEED stands.
  { key: 'RANDOM', width: 8, kind: 'arch' },
  { key: 'PKRU', width: 4, kind: 'arch' },
  { key: 'IA32_PKRS', width: 8, kind: 'arch' },
  { key: 'IA32_XSS', width: 8, kind: 'arch' },
  { key: 'IA32_UMWAIT_CONTROL', width: 8, kind: 'arch' },

  // Machine-check architecture: what enables a bank's errors.
  { key: 'IA32_MCG_CTL', width: 8, kind: 'arch' },
  { key: 'IA32_MC_CTL', width: 8, count: 23, kind: 'arch' },

  // Performance monitoring; counters as they were when they were settled last: core/performanceMonitoring.ts.
  { key: 'IA32_PMC', width: 8, count: 8, kind: 'arch' },
  { key: 'IA32_PERFEVTSEL', width: 8, count: 8, kind: 'arch' },
  { key: 'IA32_FIXED_CTR', width: 8, count: 3, kind: 'arch' },
  { key: 'IA32_FIXED_CTR_CTRL', width: 8, kind: 'arch' },
  { key: 'IA32_PERF_GLOBAL_CTRL', width: 8, kind: 'arch' },
  { key: 'IA32_PERF_GLOBAL_STATUS', width: 8, kind: 'arch' },
  // Iterations of repeated string instructions that were not the last, since power-on: no instruction retired with them.
  { key: 'REPETITIONS', width: 8, kind: 'arch' },
  // Instructions retired and the tick when the counters were settled last, and what they have counted since then.
  { key: 'PERFMON_INSTRUCTIONS', width: 8, kind: 'arch' },
  { key: 'PERFMON_TICK', width: 8, kind: 'arch' },
  { key: 'PERFMON_CLASS', width: 4, kind: 'arch' },

  // Last-branch records: core/branchRecords.ts. From, to and information of the stack's entries, of the last branch, and of
  // the last branch before an interrupt or exception; the tick of the last record (a float64).
  { key: 'LBR_FROM', width: 8, count: 32, kind: 'arch' },
  { key: 'LBR_TO', width: 8, count: 32, kind: 'arch' },
  { key: 'LBR_INFO', width: 8, count: 32, kind: 'arch' },
  { key: 'LAST_BRANCH', width: 8, count: 3, kind: 'arch' },
  { key: 'LAST_EVENT', width: 8, count: 3, kind: 'arch' },
  { key: 'LBR_TICK', width: 8, kind: 'arch' },
  { key: 'LBR_TOS', width: 4, kind: 'arch' },
  { key: 'MSR_LBR_SELECT', width: 8, kind: 'arch' },
  { key: 'IA32_LBR_CTL', width: 8, kind: 'arch' },
  { key: 'IA32_LBR_DEPTH', width: 8, kind: 'arch' },

  // Instructions of the current activation still allowed, as generated code spilled them last.
  { key: 'REMAINING', width: 4, kind: 'engine' },
  // Instructions taken back from the budget by a helper, so that the activation ends after the current instruction.
  { key: 'CUT', width: 4, kind: 'engine' },
  // Translation context: low 12 bits of every TLB tag.
  { key: 'CONTEXT', width: 8, kind: 'engine' },
  // The same at CPL 0 and at CPL 3 with RFLAGS.AC clear, for generated code that changes CPL; 0: it must not.
  { key: 'CONTEXT_IDS', width: 4, count: 2, kind: 'engine' },
  // Upper bits of a linear address that have to be copies of the one below: 16, or 7 with CR4.LA57.
  { key: 'UNUSED_ADDRESS_BITS', width: 8, kind: 'engine' },
  // Key of the jump cache besides RIP: context, code mode and code-segment base.
  { key: 'CODE_CONTEXT', width: 4, kind: 'engine' },
  // Why generated code left: LeaveReason.
  { key: 'LEAVE', width: 4, kind: 'engine' },
  // Record of the instruction that left.
  { key: 'RECORD', width: 4, kind: 'engine' },
  // Operand of a slow memory access: size in bytes, and 1 when it must be writable.
  { key: 'ACCESS_SIZE', width: 4, kind: 'engine' },
  // Linear address and value of a slow memory access.
  { key: 'ACCESS_ADDRESS', width: 8, kind: 'engine' },
  { key: 'ACCESS_VALUE', width: 8, kind: 'engine' },
  // The 16 or 32 bytes of a slow access by a vector instruction.
  { key: 'ACCESS_VECTOR', width: 8, count: 4, kind: 'engine' },
  // Page base that turns a page offset into RIP: linear page address minus CS.base.
  { key: 'IP_BASE', width: 8, kind: 'engine' },
  // The controls of the current VMCS, for the next VM entry to put in force as VMX_CONTROLS.
  { key: 'VMCS_CONTROLS', width: 8, count: 8, kind: 'engine' },
  // A VM exit on its way to the log, see vmx/exitLog.ts.
  { key: 'EXIT_RECORD', width: 4, count: 32, kind: 'engine' },
] as const satisfies readonly CpuFieldRow[];

export type CpuFieldKey = (typeof CPU_FIELD_ROWS)[number]['key'];

export interface CpuField {
  readonly key: CpuFieldKey;
  readonly width: 4 | 8;
  readonly count: number;
  readonly kind: 'arch' | 'engine';
  /** Byte offset of the first element in the machine's memory. */
  readonly offset: number;
}

/** The first bytes stay zero, so that a stray offset 0 is noticed. */
const CPU_STATE_START = 0x100;

function placeFields(): { fields: readonly CpuField[]; end: number } {
  let offset = CPU_STATE_START;
  const fields = (CPU_FIELD_ROWS as readonly (CpuFieldRow & { key: CpuFieldKey })[]).map((row): CpuField => {
    offset = Math.ceil(offset / row.width) * row.width;
    const field = { key: row.key, width: row.width, count: row.count ?? 1, kind: row.kind, offset };
    offset += field.width * field.count;
    return field;
  });
  return { fields, end: offset };
}

const placed = placeFields();

/** All CPU fields with their offsets, in layout order. */
export const CPU_FIELDS: readonly CpuField[] = placed.fields;

/** Byte offset of a field's first element, by key. */
export const OFFSET = Object.freeze(
  Object.fromEntries(CPU_FIELDS.map((field) => [field.key, field.offset])) as Record<CpuFieldKey, number>,
);

/** End of the CPU state; all of it lies in the first page. */
export const CPU_STATE_END = placed.end;

export const GPR_ZERO = 16;

/**
 * Regions of the machine's memory after the CPU state, in bytes. RAM starts at {@link RAM_OFFSET}.
 *
 * - TLB_READ, TLB_WRITE: direct-mapped, {@link TLB_ENTRIES} entries of 16 bytes: i64 linear page | context id, i32
 *   that turns the low 32 bits of a linear address into a memory offset, i32 unused.
 * - JUMP_CACHE: {@link JUMP_CACHE_ENTRIES} entries of 16 bytes: i64 RIP, i32 record, i32 code context (-1: none); each RIP
 *   has two places.
 * - RECORDS: decoded instructions, {@link RECORD_SIZE} bytes each: see isa/record.ts.
 * - TRANSLATED: for each record where a translated block begins, i32 slot << TRANSLATED_SHIFT | block; elsewhere 0, or
 *   negative: how often interpretation began there.
 * - Below {@link RAM_OFFSET}: the ROM that ends at 4 GiB. Offsets are 32 bits, so RAM_OFFSET + address finds it too.
 */
/** As many as 64 MiB have pages: a miss costs as much as thirty hits. */
export const TLB_ENTRIES = 16384;
export const TLB_READ = 0x1_0000;
export const TLB_WRITE = TLB_READ + TLB_ENTRIES * 16;
export const JUMP_CACHE_ENTRIES = 32768;
export const JUMP_CACHE = TLB_WRITE + TLB_ENTRIES * 16;
export const RECORD_SIZE = 32;
export const RECORDS = 0x12_0000;
/** The records end here. */
export const TRANSLATED = 0x212_0000;
/** Bits of a block's number in its module. */
export const TRANSLATED_SHIFT = 12;
/** The ROM lies after 4 bytes for each record. */
export const MAX_ROM = 0x40_0000;
export const RAM_OFFSET = 0x252_0000 + MAX_ROM;

/** Node 20 has no memory64: everything must fit 32-bit offsets. */
export const MAX_RAM = 3 * 1024 ** 3;
