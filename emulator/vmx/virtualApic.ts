/**
 * The virtual APIC of a guest: a page whose registers the processor reads and writes in place of the local APIC, the
 * interrupts it delivers from there without the hypervisor, and what it leaves to the hypervisor.
 *
 * Intel SDM Vol. 3C, "APIC Virtualization and Virtual Interrupts", chapter 31.
 */
import { deliverEvent } from '../core/events.ts';
import { OUTCOME, type Outcome } from '../core/outcome.ts';
import type { VirtualMsrWrite } from '../core/virtualization.ts';
import type { ApicAccessPage } from '../mmu/apicAccess.ts';
import { ACTIVITY, BLOCKING, FLAG } from '../state/registers.ts';
import { CONTROL } from './controls.ts';
import { EXIT_REASON_NUMBER } from './exitReasons.ts';
import { hasReservedBits, isVirtualizedIpi, postIpi } from './ipiVirtualization.ts';
import type { VmxProcessor } from './processor.ts';
import { SLOT } from './vmcs.ts';

/** Offsets on the virtual-APIC page. */
const REGISTER = {
  TPR: 0x080,
  PPR: 0x0a0,
  EOI: 0x0b0,
  ISR: 0x100,
  TMR: 0x180,
  IRR: 0x200,
  ICR_LOW: 0x300,
  ICR_HIGH: 0x310,
  SELF_IPI: 0x3f0,
} as const;

const X2APIC_FIRST = 0x800;
const X2APIC_LAST = 0x8ff;
const ICR_MSR = 0x830;
const SELF_IPI_MSR = 0x83f;
const PRIORITY = 0xf0;

/** Registers that "APIC-register virtualization" lets be read, and be written, by offset. */
// biome-ignore format: offsets by kind
const READ_WITH_REGISTERS = new Set([
  0x020, 0x030, 0x080, 0x0b0, 0x0d0, 0x0e0, 0x0f0, 0x280, 0x300, 0x310, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0,
  ...Array.from({ length: 24 }, (_, index) => REGISTER.ISR + 16 * index),
]);
// biome-ignore format: offsets by kind
const WRITTEN_WITH_REGISTERS = new Set([
  0x020, 0x080, 0x0b0, 0x0d0, 0x0e0, 0x0f0, 0x280, 0x300, 0x310, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0,
]);

const NOTHING = -1;

/** A VM exit that is due behind the instruction that has caused it. */
interface TrapExit {
  readonly reason: number;
  readonly qualification: number;
}

export class VirtualApic implements ApicAccessPage {
  /** Offset of the register whose write has to be completed at the end of the instruction. */
  #written = NOTHING;
  #trap: TrapExit | undefined;
  readonly #processor: VmxProcessor;

  constructor(processor: VmxProcessor) {
    this.#processor = processor;
  }

  // The page

  get #page(): number {
    return this.#processor.vmcs.physicalAddress(SLOT.VIRTUAL_APIC_ADDRESS);
  }

  #read(offset: number): number {
    return this.#processor.physical.read32(this.#page + offset);
  }

  #write(offset: number, value: number): void {
    this.#processor.physical.write(this.#page + offset, 4, value, 0);
  }

  #setVector(base: number, vector: number, present: boolean): void {
    const offset = base + 16 * (vector >> 5);
    const bit = 1 << (vector & 31);
    const value = this.#read(offset);
    this.#write(offset, present ? value | bit : value & ~bit);
  }

  /** The highest vector of one of the 256-bit registers, or 0. */
  #highest(base: number): number {
    for (let word = 7; word >= 0; word--) {
      const bits = this.#read(base + 16 * word);
      if (bits !== 0) return 32 * word + 31 - Math.clz32(bits);
    }
    return 0;
  }

  // Guest interrupt status: RVI in bits 7:0, SVI in bits 15:8.

  get #requesting(): number {
    return this.#processor.vmcs.low(SLOT.GUEST_INTERRUPT_STATUS) & 0xff;
  }

  get #serviced(): number {
    return (this.#processor.vmcs.low(SLOT.GUEST_INTERRUPT_STATUS) >> 8) & 0xff;
  }

  #setStatus(requesting: number, serviced: number): void {
    this.#processor.announceVmcsWrite();
    this.#processor.vmcs.setLow(SLOT.GUEST_INTERRUPT_STATUS, requesting | (serviced << 8));
  }

  get #deliversInterrupts(): boolean {
    return this.#processor.has(CONTROL.virtualInterruptDelivery);
  }

  // VM entry and VM exit

  /** @see SDM "VM Entries and the TPR Threshold", 28.7.7; "PPR Virtualization", 31.1.3 */
  entered(): void {
    this.#written = NOTHING;
    this.#trap = undefined;
    const processor = this.#processor;
    processor.cpu.mmu.setApicAccess(this.#accessPage(), this);
    if (!processor.has(CONTROL.useTprShadow)) return;
    if (this.#deliversInterrupts) this.#updatePpr();
    else this.#compareThreshold();
  }

  /** Host-physical address of the APIC-access page, if accesses are virtualized. */
  #accessPage(): number | undefined {
    const { vmcs } = this.#processor;
    return this.#processor.has(CONTROL.virtualizeApicAccesses)
      ? vmcs.physicalAddress(SLOT.APIC_ACCESS_ADDRESS)
      : undefined;
  }

  left(): void {
    this.#written = NOTHING;
    this.#trap = undefined;
    this.#processor.cpu.mmu.setApicAccess(undefined, this);
  }

  // Accesses in memory

  /**
   * Where an access to the APIC-access page goes; undefined is an APIC-access VM exit.
   *
   * @see SDM "Virtualizing Memory-Mapped APIC Accesses", 31.4
   */
  redirect(offset: number, size: number, write: boolean): number | undefined {
    if (size > 4 || (offset & 15) + size > 4) return undefined;
    const register = offset & 0xff0;
    if (!this.#isVirtualized(register, write)) return undefined;
    if (write) {
      this.#written = register;
      this.#processor.cpu.mmu.requestCut();
    }
    return this.#page + offset;
  }

  #isVirtualized(register: number, write: boolean): boolean {
    const processor = this.#processor;
    if (!processor.has(CONTROL.useTprShadow)) return false;
    if (processor.has(CONTROL.apicRegisterVirtualization))
      return (write ? WRITTEN_WITH_REGISTERS : READ_WITH_REGISTERS).has(register);
    if (register === REGISTER.TPR) return true;
    if (write && register === REGISTER.ICR_LOW && processor.has(CONTROL.ipiVirtualization)) return true;
    if (write && register === REGISTER.ICR_HIGH && processor.has(CONTROL.ipiVirtualization)) return true;
    return write && this.#deliversInterrupts && (register === REGISTER.EOI || register === REGISTER.ICR_LOW);
  }

  /** @see SDM "APIC-Write Emulation", 31.4.3.2 */
  #completeWrite(register: number): void {
    switch (register) {
      case REGISTER.TPR:
        this.#write(REGISTER.TPR, this.#read(REGISTER.TPR) & 0xff);
        this.#virtualizeTpr();
        return;
      case REGISTER.EOI:
        this.#write(REGISTER.EOI, 0);
        if (this.#deliversInterrupts) this.#virtualizeEoi();
        else this.#exitLater(EXIT_REASON_NUMBER.apicWrite, register);
        return;
      case REGISTER.ICR_LOW: {
        const command = this.#read(REGISTER.ICR_LOW);
        if (this.#deliversInterrupts && isSelfIpi(command)) this.#requestInterrupt(command & 0xff);
        else if (this.#postsIpi(command, this.#read(REGISTER.ICR_HIGH) >>> 24)) return;
        else this.#exitLater(EXIT_REASON_NUMBER.apicWrite, register);
        return;
      }
      case REGISTER.ICR_HIGH:
        this.#write(REGISTER.ICR_HIGH, this.#read(REGISTER.ICR_HIGH) & 0xff00_0000);
        return;
      default:
        this.#exitLater(EXIT_REASON_NUMBER.apicWrite, register);
    }
  }

  // CR8

  /** CR8 of the guest; undefined: the processor's own. @see SDM "Virtualizing CR8-Based TPR Accesses", 31.3 */
  readTaskPriority(): number | undefined {
    return this.#processor.has(CONTROL.useTprShadow) ? (this.#read(REGISTER.TPR) >> 4) & 15 : undefined;
  }

  writeTaskPriority(priority: number): boolean {
    if (!this.#processor.has(CONTROL.useTprShadow)) return false;
    this.#write(REGISTER.TPR, priority << 4);
    this.#virtualizeTpr();
    return true;
  }

  // MSRs

  /** @see SDM "Virtualizing MSR-Based APIC Accesses", 31.5 */
  readMsr(msr: number): bigint | undefined {
    const processor = this.#processor;
    if (msr < X2APIC_FIRST || msr > X2APIC_LAST || !processor.has(CONTROL.virtualizeX2apicMode))
      return undefined;
    const offset = (msr & 0xff) << 4;
    if (!processor.has(CONTROL.apicRegisterVirtualization) && offset !== REGISTER.TPR) return undefined;
    return processor.physical.read64(this.#page + offset);
  }

  writeMsr(msr: number, value: bigint): VirtualMsrWrite {
    const processor = this.#processor;
    if (msr < X2APIC_FIRST || msr > X2APIC_LAST || !processor.has(CONTROL.virtualizeX2apicMode))
      return 'real';
    if (msr === ICR_MSR && processor.has(CONTROL.ipiVirtualization)) return this.#writeCommand(value);
    const isTpr = msr === X2APIC_FIRST + (REGISTER.TPR >> 4);
    const isEoi = msr === X2APIC_FIRST + (REGISTER.EOI >> 4);
    if (!isTpr && !(this.#deliversInterrupts && (isEoi || msr === SELF_IPI_MSR))) return 'real';
    if (value > (isEoi ? 0n : 0xffn)) return 'refused';
    const byte = Number(value);
    if (isTpr) {
      processor.physical.write64(this.#page + REGISTER.TPR, value);
      this.#virtualizeTpr();
    } else if (isEoi) {
      processor.physical.write64(this.#page + REGISTER.EOI, 0n);
      this.#virtualizeEoi();
    } else {
      processor.physical.write64(this.#page + REGISTER.SELF_IPI, value);
      if (byte < 16) this.#exitLater(EXIT_REASON_NUMBER.apicWrite, REGISTER.SELF_IPI);
      else this.#requestInterrupt(byte);
    }
    return 'done';
  }

  /** @see SDM "IPI Virtualization", 31.1.6 */
  #postsIpi(command: number, apicId: number): boolean {
    const processor = this.#processor;
    if (!processor.has(CONTROL.ipiVirtualization) || !isVirtualizedIpi(command)) return false;
    return postIpi(processor, command & 0xff, apicId);
  }

  /** WRMSR of the interrupt-command register in x2APIC mode. */
  #writeCommand(value: bigint): VirtualMsrWrite {
    const command = Number(value & 0xffff_ffffn);
    if (hasReservedBits(command)) return 'refused';
    this.#processor.physical.write64(this.#page + REGISTER.ICR_LOW, value);
    if (!this.#postsIpi(command, Number(value >> 32n)))
      this.#exitLater(EXIT_REASON_NUMBER.apicWrite, REGISTER.ICR_LOW);
    return 'done';
  }

  // Priorities and interrupts

  /** @see SDM "TPR Virtualization", 31.1.2 */
  #virtualizeTpr(): void {
    if (this.#deliversInterrupts) this.#updatePpr();
    else this.#compareThreshold();
  }

  #compareThreshold(): void {
    const processor = this.#processor;
    const threshold = processor.vmcs.low(SLOT.TPR_THRESHOLD) & 15;
    if (processor.state.ACTIVITY_STATE === ACTIVITY.WAIT_FOR_SIPI) return;
    if (((this.#read(REGISTER.TPR) >> 4) & 15) < threshold)
      this.#exitLater(EXIT_REASON_NUMBER.tprBelowThreshold, 0);
  }

  /** @see SDM "PPR Virtualization", 31.1.3 */
  #updatePpr(): void {
    const tpr = this.#read(REGISTER.TPR) & 0xff;
    const serviced = this.#serviced & PRIORITY;
    this.#write(REGISTER.PPR, (tpr & PRIORITY) >= serviced ? tpr : serviced);
  }

  /** @see SDM "EOI Virtualization", 31.1.4 */
  #virtualizeEoi(): void {
    const vector = this.#serviced;
    this.#setVector(REGISTER.ISR, vector, false);
    this.#setStatus(this.#requesting, this.#highest(REGISTER.ISR));
    this.#updatePpr();
    const bitmap = this.#processor.vmcs.low(SLOT.EOI_EXIT_BITMAP_0 + (vector >> 5));
    if ((bitmap & (1 << (vector & 31))) !== 0) this.#exitLater(EXIT_REASON_NUMBER.virtualizedEoi, vector);
  }

  /** @see SDM "Self-IPI Virtualization", 31.1.5 */
  #requestInterrupt(vector: number): void {
    this.#setVector(REGISTER.IRR, vector, true);
    this.#setStatus(Math.max(this.#requesting, vector), this.#serviced);
  }

  /** @see SDM "Evaluation of Pending Virtual Interrupts", 31.2.1 */
  get #isRecognized(): boolean {
    if (!this.#deliversInterrupts || this.#processor.has(CONTROL.interruptWindowExiting)) return false;
    return this.#requesting >> 4 > ((this.#read(REGISTER.PPR) >> 4) & 15);
  }

  /** @see SDM "Virtual-Interrupt Delivery", 31.2.2 */
  deliver(): Outcome {
    const { state, cpu } = this.#processor;
    if (state.ACTIVITY_STATE !== ACTIVITY.ACTIVE && state.ACTIVITY_STATE !== ACTIVITY.HLT)
      return OUTCOME.NEXT;
    if ((state.systemFlags & FLAG.IF) === 0) return OUTCOME.NEXT;
    if ((state.INTERRUPTIBILITY & (BLOCKING.STI | BLOCKING.MOV_SS)) !== 0) return OUTCOME.NEXT;
    if (!this.#isRecognized) return OUTCOME.NEXT;
    const vector = this.#requesting;
    this.#setVector(REGISTER.ISR, vector, true);
    this.#write(REGISTER.PPR, vector & PRIORITY);
    this.#setVector(REGISTER.IRR, vector, false);
    this.#setStatus(this.#highest(REGISTER.IRR), vector);
    return deliverEvent(cpu, {
      kind: 'external',
      vector,
      errorCode: undefined,
      qualification: 0n,
      instructionLength: 0,
    });
  }

  /**
   * An external interrupt with the notification vector: the requests that were posted become the guest's.
   *
   * @see SDM "Posted-Interrupt Processing", 31.6
   */
  takePosted(): void {
    const { vmcs, physical, cpu } = this.#processor;
    const descriptor = vmcs.physicalAddress(SLOT.POSTED_INTERRUPT_DESCRIPTOR_ADDRESS);
    const control = physical.read32(descriptor + POSTED_CONTROL);
    physical.write(descriptor + POSTED_CONTROL, 4, control & ~OUTSTANDING, 0);
    cpu.apic.eoi();
    let highest = 0;
    for (let word = 0; word < 8; word++) {
      const bits = physical.read32(descriptor + 4 * word);
      if (bits === 0) continue;
      physical.write(descriptor + 4 * word, 4, 0, 0);
      const offset = REGISTER.IRR + 16 * word;
      this.#write(offset, this.#read(offset) | bits);
      highest = 32 * word + 31 - Math.clz32(bits);
    }
    this.#setStatus(Math.max(this.#requesting, highest), this.#serviced);
  }

  // What is due behind an instruction

  /** Something is due behind the instruction, or an interrupt may be delivered. */
  get isActive(): boolean {
    return this.#written !== NOTHING || this.#trap !== undefined || this.#deliversInterrupts;
  }

  #exitLater(reason: number, qualification: number): void {
    this.#trap = { reason, qualification };
  }

  /** The trap-like VM exit of the instruction that has ended, if there is one. */
  takeTrap(): TrapExit | undefined {
    if (this.#written !== NOTHING) {
      const register = this.#written;
      this.#written = NOTHING;
      this.#completeWrite(register);
    }
    const trap = this.#trap;
    this.#trap = undefined;
    return trap;
  }

  save(): number[] {
    return [this.#written, this.#trap?.reason ?? NOTHING, this.#trap?.qualification ?? 0];
  }

  restore([written, reason, qualification]: readonly number[]): void {
    this.#written = written;
    this.#trap = reason === NOTHING ? undefined : { reason, qualification };
    if (this.#processor.inGuest) this.#processor.cpu.mmu.setApicAccess(this.#accessPage(), this);
    else this.#processor.cpu.mmu.setApicAccess(undefined, this);
  }
}

/** Bytes 32 to 35 of a posted-interrupt descriptor; bit 0 is "outstanding notification". */
const POSTED_CONTROL = 32;
const OUTSTANDING = 1;

/** Shorthand "self", fixed, edge, and no reserved bit. */
const ICR_CHECKED = 0xfff3_b700;
const ICR_SELF = 0x0004_0000;

function isSelfIpi(command: number): boolean {
  return ((command & (ICR_CHECKED | 0xc_0000)) | 0) === ICR_SELF && (command & 0xf0) !== 0;
}
