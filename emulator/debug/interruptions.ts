/**
 * How the debugged program is left while it is stepped: for the handler of an interrupt or exception, or for the
 * hypervisor. The machine stops at each, so that a step can tell what the program did from what was done to it.
 *
 * Intel SDM Vol. 3A, "Interrupt and Exception Handling", chapter 7; Vol. 3C, "Event Injection", 28.6.
 */
import type { GuestEvent } from '../core/virtualization.ts';
import { injectedEvent, isValid } from '../vmx/eventInformation.ts';
import type { Vmx } from '../vmx/vmx.ts';
import { EventObserver } from './eventObserver.ts';
import type { DebuggedProcessor } from './processorView.ts';
import type { System } from './system.ts';

export interface Interruption {
  /** `outside`: an interrupt or NMI; `inside`: the instruction's own fault, trap, INT n or VM exit. */
  readonly cause: 'outside' | 'inside';
  /** Linear address the handler returns to, unless it changes that. */
  readonly returnTo: bigint;
  readonly rsp: bigint;
}

export class Interruptions {
  readonly #system: System;
  readonly #processor: DebuggedProcessor;
  #seen: Interruption | undefined;
  #exited = false;
  #watching = false;

  constructor(system: System, processor: DebuggedProcessor) {
    this.#system = system;
    this.#processor = processor;
  }

  /** Stops the machine at every interruption while `work` runs. */
  watch<T>(work: () => T): T {
    const { cpu } = this.#system.machine;
    const observed = cpu.virtualization;
    cpu.virtualization = new EventObserver(observed, (event) => this.#delivered(event));
    this.#watching = true;
    this.#seen = undefined;
    this.#exited = false;
    try {
      return work();
    } finally {
      cpu.virtualization = observed;
      this.#watching = false;
    }
  }

  /** A VM exit was recorded. */
  exited(): void {
    if (!this.#watching) return;
    this.#exited = true;
    this.#system.machine.stop();
  }

  /** How the program was left since the last time. */
  take(): Interruption | undefined {
    const { vmx, hasBuiltInVmm, isAtVmm } = this.#processor;
    const seen = this.#seen;
    this.#seen = undefined;
    if (seen) return seen;
    // Held at the VMM, the exit is not over.
    if (!this.#exited || vmx === undefined || isAtVmm) return undefined;
    this.#exited = false;
    if (!hasBuiltInVmm) return guestState(vmx, 'inside');
    // What the VMM injected at the VM entry was delivered by it.
    const event = injectedAt(vmx);
    return event && guestState(vmx, isOutside(event) ? 'outside' : 'inside');
  }

  #delivered(event: GuestEvent): void {
    this.#seen = {
      cause: isOutside(event) ? 'outside' : 'inside',
      returnTo: this.#processor.linearRip,
      rsp: this.#processor.register('RSP') ?? 0n,
    };
    this.#system.machine.stop();
  }
}

function isOutside({ kind }: GuestEvent): boolean {
  return kind === 'external' || kind === 'nmi';
}

function injectedAt(vmx: Vmx): GuestEvent | undefined {
  const information = vmx.vmread32('VM_ENTRY_INTERRUPTION_INFORMATION') | 0;
  if (!isValid(information)) return undefined;
  return injectedEvent(
    information,
    vmx.vmread32('VM_ENTRY_EXCEPTION_ERROR_CODE'),
    vmx.vmread32('VM_ENTRY_INSTRUCTION_LENGTH'),
  );
}

/** Where the guest was when it was left, or entered again: the fields keep it until the next exit. */
function guestState(vmx: Vmx, cause: Interruption['cause']): Interruption {
  const is64Bit =
    (vmx.vmread('GUEST_IA32_EFER') & EFER_LMA) !== 0n &&
    (vmx.vmread('GUEST_CS_ACCESS_RIGHTS') & ACCESS_RIGHTS_L) !== 0n;
  const rip = vmx.vmread('GUEST_RIP');
  return {
    cause,
    returnTo: is64Bit ? rip : BigInt.asUintN(32, rip + vmx.vmread('GUEST_CS_BASE')),
    rsp: vmx.vmread('GUEST_RSP'),
  };
}

const EFER_LMA = 1n << 10n;
const ACCESS_RIGHTS_L = 1n << 13n;
