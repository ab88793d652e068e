/**
 * The built-in VMM of guest mode. It owns VMX root operation: HOST_RIP of every VMCS is an address where the run loop
 * calls {@link Vmm.handleExit} instead of fetching. It keeps a list of virtual machines; one processor runs one of
 * them at a time.
 *
 * Intel SDM Vol. 3C, "Virtual Machine Monitor Programming Considerations", chapter 33.
 */
import { EmulatorBug, UserError } from '../base/errors.ts';
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { BootPlan } from '../boot/bootPlan.ts';
import { Cpu } from '../core/cpu.ts';
import { OUTCOME } from '../core/outcome.ts';
import { tickOfDeadline } from '../core/timeStampCounter.ts';
import type { RootHandler } from '../engine/root.ts';
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';
import { VMX_OPERATION } from '../state/registers.ts';
import { entryReportLines } from '../vmx/entryReport.ts';
import { EXIT_REASON_NUMBER, exitReasonRow } from '../vmx/exitReasons.ts';
import { lastEntryReport } from '../vmx/failedEntry.ts';
import { SLOT } from '../vmx/vmcs.ts';
import { describeVmInstructionError } from '../vmx/vmInstructionErrors.ts';
import type { Vmx } from '../vmx/vmx.ts';
import { VirtualClock } from './clock.ts';
import { guestModel } from './handlers/cpuid.ts';
import { handlerOf } from './handlers/handlers.ts';
import { endHostInterrupt, HOST_VECTOR, kick, prepareHost, programHostTimer } from './host.ts';
import { prepareEvents } from './inject.ts';
import { PageAllocator, VMM_PAGES } from './memoryMap.ts';
import type { ExitPolicy } from './policy.ts';
import { setUpGuest } from './setup.ts';
import { hex, type VmmStop } from './stop.ts';
import { type GuestStepper, Vcpu } from './vcpu.ts';
import { Vm, type VmConfig } from './vm.ts';

export interface VmmOptions {
  readonly cpu: Cpu;
  readonly vmx: Vmx;
  readonly physical: PhysicalMemory;
  readonly stepper: GuestStepper;
  readonly policy: ExitPolicy;
  /** The guest cannot go on. The processor stays in root operation. */
  readonly stopped: (stop: VmmStop) => void;
}

const BASIC_REASON = 0xffff;

export class Vmm implements RootHandler {
  readonly entryPoint = VMM_PAGES.entryPoint;
  readonly vms: Vm[] = [];
  readonly vcpus: Vcpu[] = [];

  readonly #options: VmmOptions;
  readonly #pages: PageAllocator;
  readonly #clock: VirtualClock;
  /** The virtual processor that the processor runs. */
  #current: Vcpu | undefined = undefined;
  #handling = false;

  constructor(options: VmmOptions) {
    this.#options = options;
    const { cpu, physical } = options;
    this.#pages = new PageAllocator(physical.ramBytes);
    this.#clock = new VirtualClock(cpu.clock, (deadline) => programHostTimer(cpu, deadline));
  }

  get current(): Vcpu {
    if (this.#current === undefined) throw new EmulatorBug('the VMM runs no guest');
    return this.#current;
  }

  /** Makes a virtual machine with one processor. */
  createVm(config: VmConfig): Vm {
    const { cpu, vmx, physical, stepper, policy } = this.#options;
    const vm: Vm = new Vm({
      id: this.vms.length,
      config,
      physical,
      pages: this.#pages,
      clock: this.#clock,
      tickOfTsc: (deadline) => {
        const now = this.#clock.now();
        return tickOfDeadline(now, BigInt.asUintN(64, BigInt(now) + (vcpu?.tscOffset ?? 0n)), deadline);
      },
      attention: () => this.#attend(vm),
    });
    const guestCpu = new Cpu({
      state: cpu.state,
      mmu: cpu.mmu,
      clock: cpu.clock,
      portIo: vm.board.ports,
      interruptController: vm.apic,
      apic: vm.apic,
      model: guestModel(cpu.model),
    });
    const vcpu: Vcpu = new Vcpu({
      vm,
      vmx,
      cpu,
      stepper,
      guestCpu,
      vmcs: this.#pages.page(),
      vpid: this.vcpus.length + 1,
      ioBitmaps: [this.#pages.page(), this.#pages.page()],
      msrBitmaps: this.#pages.page(),
      policy,
    });
    this.vms.push(vm);
    this.vcpus.push(vcpu);
    return vm;
  }

  /** Takes the processor from reset into root operation and enters a virtual machine at its image's first instruction. */
  start(vm: Vm, plan: BootPlan): void {
    const { cpu, vmx, physical } = this.#options;
    const vcpu = this.vcpus.find((candidate) => candidate.vm === vm);
    if (vcpu === undefined) throw new EmulatorBug('a virtual machine that the VMM did not make');
    this.#handling = true;
    prepareHost(cpu, physical);
    if (!vmx.vmxon(BigInt(VMM_PAGES.vmxon))) throw new EmulatorBug('VMXON of the VMM failed');
    vm.load(plan);
    setUpGuest(vcpu, physical, plan.entry);
    this.#current = vcpu;
    this.#clock.start();
    this.#resume(vcpu);
    this.#handling = false;
  }

  /** A VM exit has brought the processor to the VMM: handles it and enters the guest again, or reports a stop. */
  handleExit(): void {
    const vcpu = this.current;
    this.#handling = true;
    try {
      do {
        vcpu.exitedAgain = false;
        const stop = this.#handle(vcpu);
        if (stop !== undefined) {
          this.#options.stopped(stop);
          return;
        }
      } while (vcpu.exitedAgain);
      this.#resume(vcpu);
    } finally {
      this.#handling = false;
    }
  }

  // Snapshots

  save(): StateRecord {
    return {
      current: this.#current === undefined ? -1 : this.vcpus.indexOf(this.#current),
      vms: this.vms.length,
      ...Object.fromEntries(this.vms.map((vm, index) => [`vm${index}`, vm.save()])),
      ...Object.fromEntries(this.vcpus.map((vcpu, index) => [`vcpu${index}`, vcpu.save()])),
      clock: this.#clock.save(),
    };
  }

  /** After the processor, its local APIC and VT-x. The same virtual machines have to be there. */
  restore(state: StateRecord): void {
    const saved = new SavedState('the VMM', state);
    if (saved.number('vms') !== this.vms.length) {
      throw new UserError(
        `the snapshot has another number of virtual machines than the machine's ${this.vms.length}`,
      );
    }
    this.#handling = true;
    this.#clock.suspend();
    for (const [index, vm] of this.vms.entries()) vm.restore(saved.rawRecord(`vm${index}`));
    for (const [index, vcpu] of this.vcpus.entries()) vcpu.restore(saved.rawRecord(`vcpu${index}`));
    this.#clock.restore(saved.rawRecord('clock'));
    this.#current = this.vcpus[saved.number('current')];
    this.#handling = false;
  }

  #handle(vcpu: Vcpu): VmmStop | undefined {
    const reason = vcpu.low(SLOT.VM_EXIT_REASON);
    if (reason < 0) return this.#entryFailed(vcpu, reason & BASIC_REASON);
    vcpu.takeInterruptedEvent();
    if (reason === EXIT_REASON_NUMBER.externalInterrupt) {
      this.#hostInterrupt(vcpu.low(SLOT.VM_EXIT_INTERRUPTION_INFORMATION) & 0xff);
      return undefined;
    }
    const handler = handlerOf(reason & BASIC_REASON);
    if (handler !== undefined) return handler(vcpu);
    const name = exitReasonRow(reason & BASIC_REASON)?.name ?? `exit reason ${reason & BASIC_REASON}`;
    return {
      reason: 'unimplemented',
      description: `the VMM has no handler for the VM exit "${name}" at RIP ${hex(vcpu.vmx.vmread('GUEST_RIP'))}`,
      details: [],
    };
  }

  #hostInterrupt(vector: number): void {
    endHostInterrupt(this.#options.cpu);
    if (vector === HOST_VECTOR.timer) this.#clock.runDue();
  }

  #resume(vcpu: Vcpu): void {
    const { vmx } = this.#options;
    prepareEvents(vcpu);
    // A failure after the checks is a VM exit, which comes here again; one before leaves an error number.
    if (vmx.enterGuest() === OUTCOME.JUMPED) return;
    const number = vcpu.low(SLOT.VM_INSTRUCTION_ERROR);
    this.#options.stopped(this.#entryFailure(vcpu, describeVmInstructionError(number)));
  }

  #entryFailed(vcpu: Vcpu, reason: number): VmmStop {
    const name = exitReasonRow(reason)?.name ?? `exit reason ${reason}`;
    return this.#entryFailure(vcpu, name);
  }

  /** Every rule that is broken, with the field and the bits that are at fault. */
  #entryFailure({ vmx }: Vcpu, what: string): VmmStop {
    const report = lastEntryReport(vmx.processor);
    const details = report === undefined ? [] : entryReportLines(report);
    const first = report?.rules[0];
    const value = first?.field && `: ${first.field.key} is ${hex(first.field.value)}`;
    return {
      reason: 'entry-failure',
      description: `${what} at RIP ${hex(vmx.vmread('GUEST_RIP'))}: ${first?.text ?? 'no rule is broken'}${value ?? ''}`,
      details,
    };
  }

  /** Something pends for a guest. Outside of an exit's handling, its processor has to be taken away from it. */
  #attend(vm: Vm): void {
    const { cpu } = this.#options;
    if (this.#handling || this.#current?.vm !== vm) return;
    if (cpu.state.VMX_OPERATION === VMX_OPERATION.NON_ROOT) kick(cpu);
  }
}
