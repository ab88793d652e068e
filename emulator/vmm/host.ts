/**
 * The host side of guest mode: the state in which the VMM runs, and the processor's own local APIC, whose timer and
 * interprocessor interrupts take the guest's processor away from it.
 *
 * Intel SDM Vol. 3C, "Host-State Area", 26.5; Vol. 3A, "Extended xAPIC (x2APIC)", 12.12.
 */
import { EmulatorBug } from '../base/errors.ts';
import type { Cpu } from '../core/cpu.ts';
import { writeMsr } from '../core/msrs.ts';
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';
import { CS, LDTR, TR } from '../state/registers.ts';
import { VMCS_REVISION_IDENTIFIER } from '../vmx/capabilities.ts';
import type { VmcsFieldKey } from '../vmx/fields.ts';
import { ACCESS_RIGHTS, CR0, CR4, EFER } from '../vmx/registerBits.ts';
import {
  HOST_CS_ACCESS_RIGHTS,
  HOST_DATA_ACCESS_RIGHTS,
  HOST_TR_ACCESS_RIGHTS,
} from '../vmx/stateTransfer.ts';
import { VMM_PAGES } from './memoryMap.ts';

const SELECTOR = { code: 0x08, data: 0x10, tss: 0x18 } as const;
/** Inside the page of descriptors. */
const GDT = VMM_PAGES.descriptors;
const TSS = VMM_PAGES.descriptors + 0x400;
/** The host takes no interrupts: VM exits acknowledge them. */
const IDT = VMM_PAGES.descriptors + 0x800;

const CODE_64 = 0x00af_9b00_0000_ffffn;
const DATA = 0x00cf_9300_0000_ffffn;
const BUSY_TSS = 0x8bn;
const TSS_LIMIT = 0x67n;

const HOST_CR0 = CR0.PE | CR0.ET | CR0.NE | CR0.WP | CR0.PG;
const HOST_CR4 = CR4.PAE | CR4.VMXE;
const HOST_EFER = EFER.LME | EFER.LMA | EFER.NXE | EFER.SCE;
const PAT_RESET = 0x0007_0406_0007_0406n;

/** What every VMCS has as its host-state area. */
export const HOST_STATE: Readonly<Partial<Record<VmcsFieldKey, bigint>>> = {
  HOST_CR0,
  HOST_CR3: BigInt(VMM_PAGES.pml4),
  HOST_CR4,
  HOST_IA32_EFER: HOST_EFER,
  HOST_IA32_PAT: PAT_RESET,
  HOST_CS_SELECTOR: BigInt(SELECTOR.code),
  HOST_SS_SELECTOR: BigInt(SELECTOR.data),
  HOST_DS_SELECTOR: BigInt(SELECTOR.data),
  HOST_ES_SELECTOR: BigInt(SELECTOR.data),
  HOST_FS_SELECTOR: BigInt(SELECTOR.data),
  HOST_GS_SELECTOR: BigInt(SELECTOR.data),
  HOST_TR_SELECTOR: BigInt(SELECTOR.tss),
  HOST_GDTR_BASE: BigInt(GDT),
  HOST_IDTR_BASE: BigInt(IDT),
  HOST_TR_BASE: BigInt(TSS),
  HOST_RSP: BigInt(VMM_PAGES.stack + 0x1000),
  HOST_RIP: BigInt(VMM_PAGES.entryPoint),
};

const IDENTITY_GIBIBYTES = 4;
const PAGE_1G = 0x4000_0000;
const PRESENT_WRITABLE = 3n;
const MAPS_PAGE = 0x80n;
/** HLT and a jump back to it, should anything ever fetch there. */
const ENTRY_POINT_CODE = Uint8Array.of(0xf4, 0xeb, 0xfd);

/** Writes the host's tables and takes the processor from reset into 64-bit mode with CR4.VMXE, as a VMM's boot would. */
export function prepareHost(cpu: Cpu, physical: PhysicalMemory): void {
  physical.copyIn(VMM_PAGES.entryPoint, ENTRY_POINT_CODE);
  physical.write(VMM_PAGES.vmxon, 4, VMCS_REVISION_IDENTIFIER, 0);
  physical.write64(GDT + SELECTOR.code, CODE_64);
  physical.write64(GDT + SELECTOR.data, DATA);
  const tss = BigInt(TSS);
  physical.write64(
    GDT + SELECTOR.tss,
    TSS_LIMIT | ((tss & 0xff_ffffn) << 16n) | (BUSY_TSS << 40n) | ((tss >> 24n) << 56n),
  );
  physical.write64(VMM_PAGES.pml4, BigInt(VMM_PAGES.pdpt) | PRESENT_WRITABLE);
  for (let index = 0; index < IDENTITY_GIBIBYTES; index++) {
    physical.write64(VMM_PAGES.pdpt + index * 8, BigInt(index * PAGE_1G) | PRESENT_WRITABLE | MAPS_PAGE);
  }
  loadHostState(cpu);
  startHostApic(cpu);
}

function loadHostState(cpu: Cpu): void {
  const { state } = cpu;
  state.CR0 = HOST_CR0;
  state.CR3 = BigInt(VMM_PAGES.pml4);
  state.CR4 = HOST_CR4;
  state.IA32_EFER = HOST_EFER;
  state.GDTR_BASE = BigInt(GDT);
  state.IDTR_BASE = BigInt(IDT);
  state.GDTR_LIMIT = 0xffff;
  state.IDTR_LIMIT = 0xffff;
  for (let segment = 0; segment <= 5; segment++) {
    const isCode = segment === CS;
    state.setSegmentSelector(segment, isCode ? SELECTOR.code : SELECTOR.data);
    state.setSegmentBase(segment, 0n);
    state.setSegmentLimit(segment, 0xffff_ffff);
    state.setSegmentAccessRights(
      segment,
      isCode ? HOST_CS_ACCESS_RIGHTS | Number(ACCESS_RIGHTS.L) : HOST_DATA_ACCESS_RIGHTS,
    );
  }
  state.setSegmentSelector(TR, SELECTOR.tss);
  state.setSegmentBase(TR, BigInt(TSS));
  state.setSegmentLimit(TR, Number(TSS_LIMIT));
  state.setSegmentAccessRights(TR, HOST_TR_ACCESS_RIGHTS);
  state.setSegmentSelector(LDTR, 0);
  state.setSegmentAccessRights(LDTR, Number(ACCESS_RIGHTS.UNUSABLE));
  state.RIP = BigInt(VMM_PAGES.entryPoint);
  cpu.mmu.updateContext();
}

// The local APIC

const IA32_APIC_BASE = 0x1b;
const IA32_TSC_DEADLINE = 0x6e0;
const X2APIC = { eoi: 0x80b, spurious: 0x80f, lvtTimer: 0x832, selfIpi: 0x83f } as const;
const APIC_BASE_X2APIC = 1n << 10n;
const SPURIOUS_ENABLED = 0x1ffn;
const LVT_TSC_DEADLINE = 2n << 17n;

/** The VMM's own vectors. */
export const HOST_VECTOR = { timer: 0xec, kick: 0xed } as const;

function startHostApic(cpu: Cpu): void {
  const started =
    writeMsr(cpu, IA32_APIC_BASE, cpu.state.IA32_APIC_BASE | APIC_BASE_X2APIC) &&
    writeMsr(cpu, X2APIC.spurious, SPURIOUS_ENABLED) &&
    writeMsr(cpu, X2APIC.lvtTimer, LVT_TSC_DEADLINE | BigInt(HOST_VECTOR.timer));
  if (!started) throw new EmulatorBug('the local APIC refused the VMM');
}

/** Interrupts the guest at a tick, or never. */
export function programHostTimer(cpu: Cpu, deadline: number): void {
  // 0 disarms; the TSC of the host is the machine's clock.
  const tsc = deadline === Number.POSITIVE_INFINITY ? 0n : BigInt(Math.max(1, deadline));
  writeMsr(cpu, IA32_TSC_DEADLINE, tsc);
}

/** Interrupts the guest now. */
export function kick(cpu: Cpu): void {
  writeMsr(cpu, X2APIC.selfIpi, BigInt(HOST_VECTOR.kick));
}

export function endHostInterrupt(cpu: Cpu): void {
  writeMsr(cpu, X2APIC.eoi, 0n);
}
