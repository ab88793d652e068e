/**
 * A processor in VMX root operation on a little memory, with a VMCS made current, for tests. Page tables map the first
 * 4 MiB to themselves for host and guest; EPT does the same for guest-physical addresses.
 */

import { Cpu } from '../../emulator/core/cpu.ts';
import { createModel, parseCpu } from '../../emulator/core/model.ts';
import { resetMsrs } from '../../emulator/core/msrs.ts';
import { stateTransfers } from '../../emulator/engine/stateTransfers.ts';
import { Mmu } from '../../emulator/mmu/mmu.ts';
import { PhysicalMemory } from '../../emulator/mmu/physicalMemory.ts';
import { CpuState } from '../../emulator/state/cpuState.ts';
import { writeRflags } from '../../emulator/state/flags.ts';
import { RAM_OFFSET } from '../../emulator/state/layout.ts';
import { AR, CS, LDTR, TR } from '../../emulator/state/registers.ts';
import { VMCS_REVISION_IDENTIFIER } from '../../emulator/vmx/capabilities.ts';
import type { VmcsFieldKey } from '../../emulator/vmx/fields.ts';
import { capabilitiesOf } from '../../emulator/vmx/model.ts';
import { longModeGuest, type TestVmcs } from '../../emulator/vmx/testVmcs.ts';
import { VMCS_FIELD_LIST } from '../../emulator/vmx/vmcsLayout.ts';
import { Vmx } from '../../emulator/vmx/vmx.ts';
import { ManualClock } from './manualClock.ts';

const RAM_BYTES = 0x40_0000;

/** Host-physical addresses. */
export const AT = {
  VMXON: 0x30_0000,
  VMCS: 0x30_1000,
  OTHER_VMCS: 0x30_2000,
  IO_BITMAP_A: 0x30_3000,
  IO_BITMAP_B: 0x30_4000,
  MSR_BITMAPS: 0x30_5000,
  EPT: 0x31_0000,
  /** Page tables of host and guest. */
  TABLES: 0x32_0000,
  GUEST_IDT: 0x33_0000,
  GUEST_GDT: 0x33_1000,
  GUEST_STACK: 0x33_8000,
  GUEST_CODE: 0x10_0000,
} as const;

export interface TestVmx {
  readonly vmx: Vmx;
  readonly cpu: Cpu;
  readonly state: CpuState;
  readonly physical: PhysicalMemory;
  readonly clock: ManualClock;
  readonly interrupts: number[];
  /** Ends of interrupts at the local APIC. */
  readonly eois: { count: number };
  /** Interrupts that the local APIC was told to send: vector and physical destination. */
  readonly sent: [vector: number, destination: number][];
  readonly charged: { ticks: number };
  /** Instructions that the processor is to believe it has retired. */
  readonly retired: { count: number };
  field(key: VmcsFieldKey): bigint;
}

let memory: WebAssembly.Memory | undefined;

function identityTables(physical: PhysicalMemory, base: number, flags: bigint, leaf: bigint): void {
  physical.write64(base, BigInt(base + 0x1000) | flags);
  physical.write64(base + 0x1000, BigInt(base + 0x2000) | flags);
  physical.write64(base + 0x2000, leaf);
  physical.write64(base + 0x2008, 0x20_0000n | leaf);
}

const EPT_TABLE = 7n;
/** 2 MiB, write-back. */
const EPT_LEAF = 0xb7n;

/** A processor outside VMX operation that may execute VMXON: 64-bit mode, CPL 0. `cpuModel` as in `--cpu`. */
export function processorWithVmx(cpuModel = 'sapphire-rapids'): TestVmx {
  const { name, changes } = parseCpu(cpuModel);
  const pages = (RAM_OFFSET + RAM_BYTES) / 65536;
  memory ??= new WebAssembly.Memory({ initial: pages, maximum: pages });
  const state = new CpuState(memory);
  state.u8.fill(0, 0, 0x4_0000);
  state.u8.fill(0, RAM_OFFSET, RAM_OFFSET + RAM_BYTES);
  const physical = new PhysicalMemory(state, RAM_BYTES);
  const clock = new ManualClock();
  const interrupts: number[] = [];
  const eois = { count: 0 };
  const sent: [number, number][] = [];
  const cpu = new Cpu({
    state,
    mmu: new Mmu({ state, physical }),
    apic: {
      id: 0,
      readMsr: () => undefined,
      writeMsr: () => false,
      baseChanged: () => undefined,
      tscChanged: () => undefined,
      reset: () => undefined,
      eoi: () => {
        eois.count++;
      },
      sendFixed: (vector, destination) => {
        sent.push([vector, destination]);
      },
      readCr8: () => 0,
      writeCr8: () => undefined,
    },
    interruptController: {
      hasInterrupt: () => interrupts.length > 0,
      acknowledge: () => interrupts.shift() as number,
    },
    portIo: { read: () => 0, write: () => undefined },
    clock,
    model: createModel(name, { virtualization: 'vt-x', changes }),
  });
  resetMsrs(cpu);
  identityTables(physical, AT.TABLES, 7n, 0x87n);
  identityTables(physical, AT.EPT, EPT_TABLE, EPT_LEAF);
  state.CR0 = 0x8001_0033n;
  state.CR3 = BigInt(AT.TABLES);
  state.CR4 = 0x2020n;
  state.IA32_EFER = 0xd00n;
  for (let segment = 0; segment < 6; segment++) {
    state.setSegmentSelector(segment, segment === CS ? 0x08 : 0x10);
    state.setSegmentLimit(segment, 0xffff_ffff);
    state.setSegmentAccessRights(segment, segment === CS ? 0xa09b : 0xc093);
  }
  state.setSegmentAccessRights(LDTR, AR.UNUSABLE);
  state.setSegmentAccessRights(TR, 0x8b);
  state.setDebugRegister(6, 0xffff_0ff0n);
  state.setDebugRegister(7, 0x400n);
  writeRflags(state, 2);
  state.RIP = 0x1000n;
  cpu.mmu.updateContext();
  const charged = { ticks: 0 };
  const retired = { count: 0 };
  const vmx = new Vmx({
    cpu,
    physical,
    transfers: stateTransfers(state.memory),
    charge: (ticks) => {
      charged.ticks += ticks;
    },
    position: () => retired.count,
  });
  vmx.reset();
  cpu.virtualization = vmx;
  for (const region of [AT.VMXON, AT.VMCS, AT.OTHER_VMCS])
    physical.write(region, 4, VMCS_REVISION_IDENTIFIER, 0);
  return {
    vmx,
    cpu,
    state,
    physical,
    clock,
    interrupts,
    eois,
    sent,
    charged,
    retired,
    field: (key) => vmx.vmread(key),
  };
}

/** In root operation, with `contents` in the VMCS at {@link AT.VMCS}, which is current. */
export function processorInRoot(contents: TestVmcs = guestVmcs(), cpuModel?: string): TestVmx {
  const test = processorWithVmx(cpuModel);
  const { vmx, physical } = test;
  if (!vmx.vmxon(BigInt(AT.VMXON))) throw new Error('VMXON failed');
  vmx.vmclear(BigInt(AT.VMCS));
  for (const { ordinal, offset } of VMCS_FIELD_LIST)
    physical.write64(AT.VMCS + offset, contents.values[ordinal]);
  vmx.vmptrld(BigInt(AT.VMCS));
  return test;
}

/** After a VM entry with `contents`. */
export function processorInGuest(contents: TestVmcs = guestVmcs(), cpuModel?: string): TestVmx {
  const test = processorInRoot(contents, cpuModel);
  test.vmx.enterGuest();
  if (!test.vmx.processor.inGuest) {
    throw new Error(`VM entry failed: ${JSON.stringify(test.vmx.processor.failedEntry?.problem, text)}`);
  }
  return test;
}

function text(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `0x${value.toString(16)}` : value;
}

/** A 64-bit guest on the page tables and EPT above, that saves everything on VM exit. */
export function guestVmcs(): TestVmcs {
  const vmcs = longModeGuest();
  vmcs.context.capabilities = capabilitiesOf(processorWithVmx().cpu.model);
  return vmcs
    .control('savePatOnExit', true)
    .control('saveEferOnExit', true)
    .control('unrestrictedGuest', true)
    .set({
      HOST_CR3: BigInt(AT.TABLES),
      GUEST_CR3: BigInt(AT.TABLES),
      EPT_POINTER: BigInt(AT.EPT) | (3n << 3n) | 6n,
      GUEST_RIP: BigInt(AT.GUEST_CODE),
      GUEST_RSP: BigInt(AT.GUEST_STACK),
      GUEST_IDTR_BASE: BigInt(AT.GUEST_IDT),
      GUEST_GDTR_BASE: BigInt(AT.GUEST_GDT),
      IO_BITMAP_A: BigInt(AT.IO_BITMAP_A),
      IO_BITMAP_B: BigInt(AT.IO_BITMAP_B),
      MSR_BITMAPS: BigInt(AT.MSR_BITMAPS),
    });
}
