/**
 * Typed access to the CPU state in the machine's memory. Every property is generated from a row of layout.ts: 8-byte
 * fields read as unsigned `bigint`, 4-byte fields as unsigned numbers. Hot code uses `OFFSET` with the typed arrays.
 */
import type { CpuFieldKey } from './layout.ts';
import { CPU_FIELDS, CPU_STATE_END, GPR_ZERO, OFFSET } from './layout.ts';
import { AR, FLAG } from './registers.ts';

export class CpuState {
  readonly memory: WebAssembly.Memory;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;
  readonly f64: Float64Array;

  declare RIP: bigint;
  declare CR0: bigint;
  declare CR2: bigint;
  declare CR3: bigint;
  declare CR4: bigint;
  declare XCR0: bigint;
  declare GDTR_BASE: bigint;
  declare IDTR_BASE: bigint;
  declare GDTR_LIMIT: number;
  declare IDTR_LIMIT: number;
  declare IA32_EFER: bigint;
  declare IA32_STAR: bigint;
  declare IA32_LSTAR: bigint;
  declare IA32_CSTAR: bigint;
  declare IA32_FMASK: bigint;
  declare IA32_KERNEL_GS_BASE: bigint;
  declare IA32_SYSENTER_CS: bigint;
  declare IA32_SYSENTER_ESP: bigint;
  declare IA32_SYSENTER_EIP: bigint;
  declare IA32_PAT: bigint;
  declare IA32_DEBUGCTL: bigint;
  declare IA32_TSC_AUX: bigint;
  declare IA32_TSC_ADJUST: bigint;
  declare IA32_MISC_ENABLE: bigint;
  declare IA32_FEATURE_CONTROL: bigint;
  declare IA32_APIC_BASE: bigint;
  declare IA32_BIOS_SIGN_ID: bigint;
  declare IA32_SPEC_CTRL: bigint;
  declare IA32_MTRR_DEF_TYPE: bigint;
  declare CURRENT_VMCS: bigint;
  declare VMXON_POINTER: bigint;
  declare VMX_OPERATION: number;
  declare VMX_EXCEPTION_BITMAP: number;
  declare VMX_PREEMPTION_ARMED: number;
  declare TSC_OFFSET: bigint;
  declare ACTIVITY_STATE: number;
  declare INTERRUPTIBILITY: number;
  declare NMI_PENDING: number;
  declare INIT_PENDING: number;
  declare STARTUP_PENDING: number;
  declare PENDING_DEBUG: bigint;
  declare MONITOR_ARMED: number;
  declare REPEATING: number;
  declare CPL: number;
  declare CC_A: bigint;
  declare CC_B: bigint;
  declare CC_OP: number;
  declare MXCSR: number;
  declare RANDOM: bigint;
  declare PKRU: number;
  declare IA32_PKRS: bigint;
  declare IA32_XSS: bigint;
  declare IA32_UMWAIT_CONTROL: bigint;
  declare X87_CONTROL: number;
  declare X87_STATUS: number;
  declare X87_TAG: number;
  declare X87_OPCODE: number;
  declare X87_INSTRUCTION_POINTER: bigint;
  declare X87_DATA_POINTER: bigint;
  declare X87_INSTRUCTION_SELECTOR: number;
  declare X87_DATA_SELECTOR: number;
  declare IA32_MCG_CTL: bigint;
  declare IA32_FIXED_CTR_CTRL: bigint;
  declare IA32_PERF_GLOBAL_CTRL: bigint;
  declare IA32_PERF_GLOBAL_STATUS: bigint;
  declare PERFMON_CLASS: number;
  declare LBR_TOS: number;
  declare MSR_LBR_SELECT: bigint;
  declare IA32_LBR_CTL: bigint;
  declare IA32_LBR_DEPTH: bigint;
  declare REMAINING: number;
  declare CUT: number;
  declare CONTEXT: bigint;
  declare CODE_CONTEXT: number;
  declare LEAVE: number;
  declare RECORD: number;
  declare ACCESS_SIZE: number;
  declare ACCESS_ADDRESS: bigint;
  declare ACCESS_VALUE: bigint;
  declare IP_BASE: bigint;

  constructor(memory: WebAssembly.Memory) {
    const buffer = memory.buffer;
    this.memory = memory;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.f64 = new Float64Array(buffer);
  }

  /** A general-purpose register, 64 bits. */
  gpr(index: number): bigint {
    return this.u64[(OFFSET.GPR >> 3) + index] as bigint;
  }

  setGpr(index: number, value: bigint): void {
    if (index !== GPR_ZERO) this.u64[(OFFSET.GPR >> 3) + index] = value;
  }

  segmentBase(segment: number): bigint {
    return this.u64[(OFFSET.SEG_BASE >> 3) + segment] as bigint;
  }

  setSegmentBase(segment: number, base: bigint): void {
    this.u64[(OFFSET.SEG_BASE >> 3) + segment] = base;
  }

  segmentSelector(segment: number): number {
    return this.u32[(OFFSET.SEG_SELECTOR >> 2) + segment] as number;
  }

  setSegmentSelector(segment: number, selector: number): void {
    this.u32[(OFFSET.SEG_SELECTOR >> 2) + segment] = selector;
  }

  segmentLimit(segment: number): number {
    return this.u32[(OFFSET.SEG_LIMIT >> 2) + segment] as number;
  }

  setSegmentLimit(segment: number, limit: number): void {
    this.u32[(OFFSET.SEG_LIMIT >> 2) + segment] = limit;
  }

  segmentAccessRights(segment: number): number {
    return this.u32[(OFFSET.SEG_ACCESS_RIGHTS >> 2) + segment] as number;
  }

  setSegmentAccessRights(segment: number, accessRights: number): void {
    this.u32[(OFFSET.SEG_ACCESS_RIGHTS >> 2) + segment] = accessRights;
  }

  debugRegister(index: number): bigint {
    return this.u64[(OFFSET.DR >> 3) + index] as bigint;
  }

  setDebugRegister(index: number, value: bigint): void {
    this.u64[(OFFSET.DR >> 3) + index] = value;
  }

  pdpte(index: number): bigint {
    return this.u64[(OFFSET.PDPTE >> 3) + index] as bigint;
  }

  setPdpte(index: number, value: bigint): void {
    this.u64[(OFFSET.PDPTE >> 3) + index] = value;
  }

  /** RFLAGS without the arithmetic flags, as a number: all defined bits are below bit 22. */
  get systemFlags(): number {
    return this.i32[OFFSET.RFLAGS >> 2] as number;
  }

  set systemFlags(flags: number) {
    this.i32[OFFSET.RFLAGS >> 2] = flags;
  }

  /** Bits 31:0 of CR0, CR4 and IA32_EFER, for bit tests without a bigint. */
  get cr0(): number {
    return this.i32[OFFSET.CR0 >> 2] as number;
  }

  get cr4(): number {
    return this.i32[OFFSET.CR4 >> 2] as number;
  }

  get efer(): number {
    return this.i32[OFFSET.IA32_EFER >> 2] as number;
  }

  /** Whether the processor executes 64-bit code: IA-32e mode with CS.L. */
  get in64BitMode(): boolean {
    return (this.efer & 0x400) !== 0 && (this.segmentAccessRights(1) & AR.L) !== 0;
  }

  get virtual8086(): boolean {
    return (this.systemFlags & FLAG.VM) !== 0;
  }
}

// The prototype gets one accessor pair per scalar row; `declare` above gives them their types.
for (const field of CPU_FIELDS) {
  if (field.count !== 1 || field.key === 'RFLAGS' || field.key === 'VMX_PREEMPTION_DEADLINE') continue;
  const index = field.offset / field.width;
  const accessors = field.width === 8 ? wideAccessors(index) : narrowAccessors(index);
  Object.defineProperty(CpuState.prototype, field.key satisfies CpuFieldKey, accessors);
}

// Two pairs, so that each knows one kind of number: all system code goes through them.
function wideAccessors(index: number): PropertyDescriptor & ThisType<CpuState> {
  return {
    get() {
      return this.u64[index];
    },
    set(value: bigint) {
      this.u64[index] = value;
    },
  };
}

function narrowAccessors(index: number): PropertyDescriptor & ThisType<CpuState> {
  return {
    get() {
      return this.u32[index];
    },
    set(value: number) {
      this.u32[index] = value;
    },
  };
}

/** The first page holds the CPU state; the TLBs follow. */
if (CPU_STATE_END > 0x1000) throw new Error('the CPU state must fit one page');
