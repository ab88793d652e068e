/**
 * AMD-V of one logical processor, as far as it is there: VMRUN and #VMEXIT with the intercepts of intercepts.ts, VMMCALL,
 * STGI and CLGI, without nested paging. Experimental: it shows that core/virtualization.ts has room for both vendors.
 *
 * AMD64 Architecture Programmer's Manual vol. 2, chapter 15, "Secure Virtual Machine".
 */
import { EmulatorBug, Unimplemented } from '../base/errors.ts';
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { Cpu } from '../core/cpu.ts';
import { injectEvent } from '../core/events.ts';
import type { Instruction } from '../core/instruction.ts';
import { OUTCOME, type Outcome } from '../core/outcome.ts';
import type { GuestEvent, InterceptPoint, Virtualization, VirtualMsrWrite } from '../core/virtualization.ts';
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';
import { ACTIVITY, BLOCKING, EFER, FLAG, RAX, VECTOR } from '../state/registers.ts';
import { firstBrokenRule } from './checks.ts';
import { EXIT, INTERCEPT_3, INTERCEPT_4, INTERCEPTS, KNOWN_3, KNOWN_4 } from './intercepts.ts';
import { CONTROL, loadState, saveState } from './vmcb.ts';

const VM_CR = 0xc001_0114;
const VM_HSAVE_PA = 0xc001_0117;
const VMEXIT_INVALID = -1;
const VALID = 1 << 31;
const ERROR_CODE_VALID = 1 << 11;
const FLUSH_ALL = 1;
const NO_VMCB = -1;

const byPoint: ReadonlyMap<string, (typeof INTERCEPTS)[number]> = new Map(
  INTERCEPTS.map((row) => [row.point, row]),
);

/** Types of EVENTINJ and EXITINTINFO, by the kind of event. */
const EVENT_TYPES: Readonly<Record<GuestEvent['kind'], number>> = {
  external: 0,
  nmi: 2,
  'hardware-exception': 3,
  'software-exception': 3,
  'privileged-software-exception': 3,
  'software-interrupt': 4,
};
const KINDS: Readonly<Record<number, GuestEvent['kind']>> = {
  0: 'external',
  2: 'nmi',
  3: 'hardware-exception',
  4: 'software-interrupt',
};

export class Svm implements Virtualization {
  readonly #cpu: Cpu;
  readonly #physical: PhysicalMemory;
  /** The VMCB of the guest that runs. */
  #vmcb = NO_VMCB;
  #hostSave = 0n;
  /** The global interrupt flag. */
  #gif = true;
  #tscOffset = 0n;

  constructor(cpu: Cpu, physical: PhysicalMemory) {
    this.#cpu = cpu;
    this.#physical = physical;
  }

  get inGuest(): boolean {
    return this.#vmcb !== NO_VMCB;
  }

  get mayInterceptInvlpg(): boolean {
    return this.inGuest;
  }

  get detectsBusLocks(): boolean {
    return false;
  }

  // Instructions

  execute(instruction: Instruction): Outcome {
    const cpu = this.#cpu;
    const { state } = cpu;
    if (instruction.name === 'VMMCALL') {
      if (this.inGuest && this.#intercepts(4, INTERCEPT_4.VMMCALL)) return this.#exit(EXIT.VMMCALL);
      return cpu.raiseUd();
    }
    if ((state.efer & EFER.SVME) === 0 || (state.cr0 & 1) === 0) return cpu.raiseUd();
    if (state.CPL !== 0) return cpu.raiseGp();
    switch (instruction.name) {
      case 'VMRUN':
        return this.inGuest ? this.#exit(EXIT.VMRUN) : this.#vmrun(instruction);
      case 'STGI':
      case 'CLGI':
        if (this.inGuest)
          throw new Unimplemented(`${instruction.name} in a guest (APM "Global Interrupt Flag", 15.17)`);
        this.#gif = instruction.name === 'STGI';
        return OUTCOME.NEXT_THEN_CHECK;
      default:
        throw new EmulatorBug(`${instruction.name} is no instruction of AMD-V`);
    }
  }

  /** @see APM vol. 3, "VMRUN"; vol. 2, "VMRUN Instruction", 15.5 */
  #vmrun(instruction: Instruction): Outcome {
    const cpu = this.#cpu;
    const physical = this.#physical;
    const { state } = cpu;
    const pointer = state.gpr(RAX);
    if ((pointer & 0xfffn) !== 0n || pointer >> BigInt(cpu.model.physicalAddressBits) !== 0n)
      return cpu.raiseGp();
    const vmcb = Number(pointer);
    if (!physical.isRam(vmcb, 4096))
      throw new Unimplemented(`a VMCB outside of RAM, at 0x${vmcb.toString(16)}`);
    this.#requireKnown(vmcb);

    // 1. The host's state goes to the page that VM_HSAVE_PA names.
    saveState(cpu, physical, Number(this.#hostSave), state.RIP + BigInt(instruction.length));
    // 2. Consistency checks.
    if (firstBrokenRule(physical, vmcb) !== undefined) {
      this.#vmcb = vmcb;
      physical.write64(vmcb + CONTROL.EXITCODE, BigInt.asUintN(64, BigInt(VMEXIT_INVALID)));
      this.#loadHost();
      return OUTCOME.JUMPED;
    }
    // 3. The guest's state.
    if ((physical.read32(vmcb + CONTROL.TLB_CONTROL) & 7) === FLUSH_ALL) cpu.mmu.spaces.flushEverything();
    loadState(cpu, physical, vmcb);
    this.#vmcb = vmcb;
    this.#gif = true;
    this.#tscOffset = physical.read64(vmcb + CONTROL.TSC_OFFSET);
    state.INTERRUPTIBILITY = (physical.read32(vmcb + CONTROL.INTERRUPT_SHADOW) & 1) !== 0 ? BLOCKING.STI : 0;
    state.ACTIVITY_STATE = ACTIVITY.ACTIVE;
    cpu.mmu.spaces.switchTo(physical.read32(vmcb + CONTROL.ASID) & 0xffff, undefined);
    // 4. The event to inject.
    this.#inject(physical.read32(vmcb + CONTROL.EVENTINJ) | 0, physical.read32(vmcb + CONTROL.EVENTINJ + 4));
    return OUTCOME.JUMPED;
  }

  /** What the VMCB asks for has to be there. */
  #requireKnown(vmcb: number): void {
    const unknown =
      this.#physical.read32(vmcb + CONTROL.CR_INTERCEPTS) |
      this.#physical.read32(vmcb + CONTROL.DR_INTERCEPTS) |
      (this.#physical.read32(vmcb + CONTROL.INTERCEPTS_3) & ~KNOWN_3) |
      (this.#physical.read32(vmcb + CONTROL.INTERCEPTS_4) & ~KNOWN_4) |
      (this.#physical.read32(vmcb + CONTROL.VIRTUAL_INTERRUPT) & 0x0100_0100);
    if (unknown !== 0)
      throw new Unimplemented(
        'an intercept of the VMCB, or its virtual interrupt (APM "Intercept Operation", 15.7)',
      );
  }

  /** @see APM vol. 2, "Event Injection", 15.20 */
  #inject(information: number, errorCode: number): void {
    if ((information & VALID) === 0) return;
    const vector = information & 0xff;
    injectEvent(this.#cpu, {
      kind: KINDS[(information >> 8) & 7],
      vector,
      errorCode: (information & ERROR_CODE_VALID) !== 0 ? errorCode : undefined,
      qualification: vector === VECTOR.PF ? this.#cpu.state.CR2 : 0n,
      instructionLength: 0,
    });
  }

  // #VMEXIT

  #intercepts(word: 3 | 4, mask: number): boolean {
    const offset = word === 3 ? CONTROL.INTERCEPTS_3 : CONTROL.INTERCEPTS_4;
    return (this.#physical.read32(this.#vmcb + offset) & mask) !== 0;
  }

  /** @see APM vol. 2, "#VMEXIT", 15.6 */
  #exit(code: number, info1 = 0n, info2 = 0n): Outcome {
    const cpu = this.#cpu;
    const physical = this.#physical;
    const { state } = cpu;
    const vmcb = this.#vmcb;
    physical.write64(vmcb + CONTROL.EXITCODE, BigInt(code));
    physical.write64(vmcb + CONTROL.EXITINFO1, info1);
    physical.write64(vmcb + CONTROL.EXITINFO2, info2);
    const delivering = cpu.deliveringEvent;
    physical.write(
      vmcb + CONTROL.EXITINTINFO,
      4,
      delivering === undefined ? 0 : informationOf(delivering),
      0,
    );
    physical.write(vmcb + CONTROL.EXITINTINFO + 4, 4, delivering?.errorCode ?? 0, 0);
    physical.write(vmcb + CONTROL.EVENTINJ, 4, physical.read32(vmcb + CONTROL.EVENTINJ) & ~VALID, 0);
    const shadow = (state.INTERRUPTIBILITY & (BLOCKING.STI | BLOCKING.MOV_SS)) !== 0 ? 1 : 0;
    physical.write(vmcb + CONTROL.INTERRUPT_SHADOW, 4, shadow, 0);
    saveState(cpu, physical, vmcb, state.RIP);
    this.#loadHost();
    return OUTCOME.VM_EXIT;
  }

  #loadHost(): void {
    const cpu = this.#cpu;
    const { state } = cpu;
    loadState(cpu, this.#physical, Number(this.#hostSave));
    this.#vmcb = NO_VMCB;
    this.#gif = false;
    this.#tscOffset = 0n;
    state.CPL = 0;
    state.setDebugRegister(7, 0x400n);
    state.INTERRUPTIBILITY = 0;
    state.ACTIVITY_STATE = ACTIVITY.ACTIVE;
    cpu.mmu.spaces.switchTo(0, undefined);
  }

  // Intercepts: core/virtualization.ts has what they mean.

  intercept({ point }: InterceptPoint): Outcome {
    if (!this.inGuest) return OUTCOME.NEXT;
    const row = byPoint.get(point);
    if (row === undefined || !this.#intercepts(row.word, 1 << row.bit)) return OUTCOME.NEXT;
    return this.#exit(row.exitCode);
  }

  interceptEvent(event: GuestEvent): Outcome {
    if (!this.inGuest) return OUTCOME.NEXT;
    if (event.kind === 'nmi')
      return this.#intercepts(3, INTERCEPT_3.NMI) ? this.#exit(EXIT.NMI) : OUTCOME.NEXT;
    if (event.kind === 'external' || event.kind === 'software-interrupt' || event.vector > 31)
      return OUTCOME.NEXT;
    const wanted = this.#physical.read32(this.#vmcb + CONTROL.EXCEPTION_INTERCEPTS);
    if (((wanted >>> event.vector) & 1) === 0) return OUTCOME.NEXT;
    const address = event.vector === VECTOR.PF ? event.qualification : 0n;
    return this.#exit(EXIT.EXCEPTION + event.vector, BigInt(event.errorCode ?? 0), address);
  }

  interceptExternalInterrupt(): Outcome {
    if (this.inGuest) return this.#intercepts(3, INTERCEPT_3.INTR) ? this.#exit(EXIT.INTR) : OUTCOME.NEXT;
    if (!this.#gif && (this.#cpu.state.systemFlags & FLAG.IF) !== 0)
      throw new Unimplemented('an interrupt that GIF holds back (APM "Global Interrupt Flag", 15.17)');
    return OUTCOME.NEXT;
  }

  interceptInit(): Outcome {
    if (this.inGuest) throw new Unimplemented('INIT in an SVM guest (APM "INIT Intercept", 15.13.4)');
    return OUTCOME.NEXT;
  }

  interceptStartUp(): Outcome {
    return OUTCOME.NEXT;
  }

  interceptTripleFault(): Outcome {
    if (!this.inGuest || !this.#intercepts(3, INTERCEPT_3.SHUTDOWN)) return OUTCOME.NEXT;
    return this.#exit(EXIT.SHUTDOWN);
  }

  interceptEndlessDelivery(): Outcome {
    return OUTCOME.NEXT;
  }

  secondLevelFault(): Outcome {
    throw new EmulatorBug('a second-level fault without nested paging');
  }

  expectBusLock(): void {
    throw new EmulatorBug('AMD-V detects no bus locks');
  }

  mayExitBetweenInstructions(): boolean {
    return false;
  }

  pendingExit(): Outcome {
    return OUTCOME.NEXT;
  }

  // What changes for the guest without an exit.

  nmiControl(): 'normal' {
    return 'normal';
  }

  permitsCr(): boolean {
    return true;
  }

  readableCr(_cr: 0 | 4, value: bigint): bigint {
    return value;
  }

  writableCr(_cr: 0 | 4, value: bigint): bigint {
    return value;
  }

  readTaskPriority(): undefined {
    return undefined;
  }

  writeTaskPriority(): boolean {
    return false;
  }

  readVirtualMsr(msr: number): bigint | undefined {
    if (msr === VM_CR) return 0n;
    return msr === VM_HSAVE_PA ? this.#hostSave : undefined;
  }

  writeVirtualMsr(msr: number, value: bigint): VirtualMsrWrite {
    if (msr === VM_CR) return value === 0n ? 'done' : 'refused';
    if (msr !== VM_HSAVE_PA) return 'real';
    const address = Number(value);
    if ((value & 0xfffn) !== 0n || !this.#physical.isRam(address, 4096)) return 'refused';
    this.#hostSave = value;
    return 'done';
  }

  guestTsc(tsc: bigint): bigint {
    return BigInt.asUintN(64, tsc + this.#tscOffset);
  }

  // Snapshots

  save(): StateRecord {
    return { vmcb: this.#vmcb, hostSave: Number(this.#hostSave), gif: this.#gif ? 1 : 0 };
  }

  /** After the CPU state and memory are back. */
  restore(record: StateRecord): void {
    const saved = new SavedState('svm', record);
    this.#vmcb = saved.number('vmcb');
    this.#hostSave = BigInt(saved.number('hostSave'));
    this.#gif = saved.number('gif') === 1;
    this.#tscOffset = this.inGuest ? this.#physical.read64(this.#vmcb + CONTROL.TSC_OFFSET) : 0n;
    const asid = this.inGuest ? this.#physical.read32(this.#vmcb + CONTROL.ASID) & 0xffff : 0;
    this.#cpu.mmu.spaces.switchTo(asid, undefined);
  }
}

/** EXITINTINFO of an event that was being delivered. */
function informationOf({ kind, vector, errorCode }: GuestEvent): number {
  return vector | (EVENT_TYPES[kind] << 8) | (errorCode === undefined ? 0 : ERROR_CODE_VALID) | VALID;
}
