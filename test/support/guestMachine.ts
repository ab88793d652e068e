/** A machine in guest mode with one virtual machine, for tests: flat 64-bit code and what it wrote to the serial port. */

import type { BootPlan } from '../../emulator/boot/bootPlan.ts';
import { loadPlan } from '../../emulator/boot/loadPlan.ts';
import { createModel } from '../../emulator/core/model.ts';
import { stateTransfers } from '../../emulator/engine/stateTransfers.ts';
import { Machine, type MachineOptions } from '../../emulator/machine/machine.ts';
import { hostMemoryBytes } from '../../emulator/vmm/memoryMap.ts';
import { parsePolicy } from '../../emulator/vmm/policy.ts';
import type { VmmStop } from '../../emulator/vmm/stop.ts';
import type { Vm } from '../../emulator/vmm/vm.ts';
import { Vmm } from '../../emulator/vmm/vmm.ts';
import { capabilitiesOf, readCapabilityMsr } from '../../emulator/vmx/model.ts';
import { Vmx } from '../../emulator/vmx/vmx.ts';
import { interpreterModule } from './bareProcessor.ts';

export const MIB = 0x10_0000;

const TABLES = 0x1000;
const GDT = 0x8000;
const STACK = 0x9000;

/** Who executes: the interpreter where nothing is said. */
type EngineTier = Partial<Pick<MachineOptions, 'forceTranslation' | 'sampleEvery'>>;

export interface TestGuest {
  readonly machine: Machine;
  readonly vmx: Vmx;
  readonly vmm: Vmm;
  readonly vm: Vm;
  readonly serial: number[];
  readonly stops: VmmStop[];
}

/** Page tables that map the first 4 GiB to themselves, a GDT, and `code` at `entry`. */
export function flatPlan(code: Uint8Array, entry: number): BootPlan {
  const tables = new Uint8Array(0x6000);
  const view = new DataView(tables.buffer);
  view.setBigUint64(0, BigInt(TABLES + 0x1000) | 7n, true);
  for (let directory = 0; directory < 4; directory++) {
    const offset = 0x2000 + directory * 0x1000;
    view.setBigUint64(0x1000 + directory * 8, BigInt(TABLES + offset) | 7n, true);
    for (let page = 0; page < 512; page++) {
      view.setBigUint64(offset + page * 8, BigInt((directory * 512 + page) * 0x20_0000) | 0x87n, true);
    }
  }
  const gdt = new Uint8Array(0x20);
  const descriptors = new DataView(gdt.buffer);
  descriptors.setBigUint64(0x10, 0x00af_9b00_0000_ffffn, true);
  descriptors.setBigUint64(0x18, 0x00cf_9300_0000_ffffn, true);
  return {
    loader: 'flat64',
    segments: [
      { name: 'page tables', address: TABLES, length: tables.length, bytes: tables },
      { name: 'GDT', address: GDT, length: gdt.length, bytes: gdt },
      { name: 'code', address: entry, length: code.length, bytes: code },
    ],
    entry: {
      mode: 'long64',
      rip: BigInt(entry),
      gpr: { RSP: BigInt(STACK) },
      cr0: 0x8000_0011,
      cr3: TABLES,
      cr4: 0x20,
      efer: 0x500,
      gdt: { base: GDT, limit: gdt.length - 1 },
      codeSelector: 0x10,
      dataSelector: 0x18,
    },
  };
}

export function guestMachine(
  code: Uint8Array,
  entry: number,
  options: {
    readonly exiting?: readonly string[];
    readonly memoryBytes?: number;
    readonly tier?: EngineTier;
  } = {},
): TestGuest {
  const memoryBytes = options.memoryBytes ?? 16 * MIB;
  const { machine, vmx } = machineWithVmx(hostMemoryBytes([memoryBytes]), options.tier);
  const { cpu, physical, engine } = machine;
  const serial: number[] = [];
  const stops: VmmStop[] = [];
  const vmm = new Vmm({
    cpu,
    vmx,
    physical,
    stepper: engine,
    policy: parsePolicy(options.exiting ?? []),
    stopped: (stop) => {
      stops.push(stop);
      machine.stop();
    },
  });
  engine.root = vmm;
  const vm = vmm.createVm({
    memoryBytes,
    startTime: 0,
    serial: { write: (byte) => void serial.push(byte) },
    debugConsole: { write: () => undefined },
    callbacks: {
      powerOff: () => machine.stop(),
      debugExit: () => machine.stop(),
      reset: () => machine.stop(),
      initialize: () => machine.stop(),
    },
  });
  machine.ports = vm.board.ports;
  vmm.start(vm, flatPlan(code, entry));
  return { machine, vmx, vmm, vm, serial, stops };
}

/** The keys of all exits but those that the board's timers cause. */
export function exitKeys({ vmx }: TestGuest): string[] {
  const { log } = vmx.processor;
  return log
    .records(0, log.total)
    .map(({ reasonKey }) => reasonKey)
    .filter((key) => key !== 'externalInterrupt');
}

export interface TestHypervisor {
  readonly machine: Machine;
  readonly vmx: Vmx;
  /** Bytes written to port 80H. */
  readonly codes: number[];
  /** What was written to port F4H, which ends the run. */
  exitValue(): number | undefined;
}

/** A machine with VT-x and nothing else that runs flat 64-bit code in root mode. */
export function bareMetalMachine(code: Uint8Array, entry: number): TestHypervisor {
  const { machine, vmx } = machineWithVmx(16 * MIB);
  const codes: number[] = [];
  let exitValue: number | undefined;
  machine.ports = {
    read: () => 0,
    write: (port, _size, value) => {
      if (port === 0x80) codes.push(value);
      else if (port === 0xf4) {
        exitValue = value;
        machine.stop();
      }
    },
  };
  loadPlan(machine, flatPlan(code, entry));
  return { machine, vmx, codes, exitValue: () => exitValue };
}

function machineWithVmx(
  ramBytes: number,
  tier: EngineTier = {},
): { readonly machine: Machine; readonly vmx: Vmx } {
  const model = createModel('sapphire-rapids', {
    virtualization: 'vt-x',
    vmxCapability: (msr) => readCapabilityMsr(capabilitiesOf(model), msr),
  });
  const machine = new Machine({
    ramBytes,
    model,
    interpreter: interpreterModule(),
    forceTranslation: tier.forceTranslation ?? false,
    sampleEvery: tier.sampleEvery ?? 0,
    legacyVgaHole: false,
  });
  const { cpu, physical, clock, engine } = machine;
  const vmx = new Vmx({
    cpu,
    physical,
    transfers: stateTransfers(machine.state.memory),
    charge: (ticks) => clock.charge(ticks),
    position: () => engine.position(),
  });
  vmx.reset();
  cpu.virtualization = vmx;
  return { machine, vmx };
}
