/**
 * The virtual machine control block: where its fields are, and the state that VMRUN and #VMEXIT move.
 *
 * AMD64 Architecture Programmer's Manual vol. 2, appendix B, "VMCB Layout"; 15.5.1, "Basic Operation".
 */
import type { Cpu } from '../core/cpu.ts';
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';
import { readRflags, writeRflags } from '../state/flags.ts';
import { AR, CS, DS, ES, RAX, RSP, SS } from '../state/registers.ts';

/** Offsets in the control area. */
export const CONTROL = {
  CR_INTERCEPTS: 0x000,
  DR_INTERCEPTS: 0x004,
  EXCEPTION_INTERCEPTS: 0x008,
  INTERCEPTS_3: 0x00c,
  INTERCEPTS_4: 0x010,
  TSC_OFFSET: 0x050,
  ASID: 0x058,
  TLB_CONTROL: 0x05c,
  VIRTUAL_INTERRUPT: 0x060,
  INTERRUPT_SHADOW: 0x068,
  EXITCODE: 0x070,
  EXITINFO1: 0x078,
  EXITINFO2: 0x080,
  EXITINTINFO: 0x088,
  NP_ENABLE: 0x090,
  EVENTINJ: 0x0a8,
} as const;

/** Offsets in the state-save area, from the beginning of the VMCB. */
export const SAVE = {
  ES: 0x400,
  CS: 0x410,
  SS: 0x420,
  DS: 0x430,
  GDTR: 0x460,
  IDTR: 0x480,
  CPL: 0x4cb,
  EFER: 0x4d0,
  CR4: 0x548,
  CR3: 0x550,
  CR0: 0x558,
  DR7: 0x560,
  DR6: 0x568,
  RFLAGS: 0x570,
  RIP: 0x578,
  RSP: 0x5d8,
  RAX: 0x5f8,
  CR2: 0x640,
} as const;

/** The segment registers that VMRUN and #VMEXIT move; the others are VMLOAD's and VMSAVE's. */
const SEGMENTS = [
  [ES, SAVE.ES],
  [CS, SAVE.CS],
  [SS, SAVE.SS],
  [DS, SAVE.DS],
] as const;

/** Attributes of the VMCB: bits 55:52 and 47:40 of a descriptor, without the limit between them. */
function accessRightsOf(attributes: number): number {
  const rights = (attributes & 0xff) | ((attributes & 0xf00) << 4);
  return (attributes & 0x80) === 0 ? rights | AR.UNUSABLE : rights;
}

function attributesOf(accessRights: number): number {
  if ((accessRights & AR.UNUSABLE) !== 0) return 0;
  return (accessRights & 0xff) | ((accessRights >> 4) & 0xf00);
}

const low = (value: bigint): number => Number(value & 0xffff_ffffn);

/** Writes the state of the processor to a save area: the guest's on #VMEXIT, the host's on VMRUN. */
export function saveState({ state }: Cpu, physical: PhysicalMemory, vmcb: number, rip: bigint): void {
  for (const [segment, offset] of SEGMENTS) {
    const at = vmcb + offset;
    physical.write(at, 2, state.segmentSelector(segment), 0);
    physical.write(at + 2, 2, attributesOf(state.segmentAccessRights(segment)), 0);
    physical.write(at + 4, 4, state.segmentLimit(segment), 0);
    physical.write64(at + 8, state.segmentBase(segment));
  }
  physical.write(vmcb + SAVE.GDTR + 4, 4, state.GDTR_LIMIT, 0);
  physical.write64(vmcb + SAVE.GDTR + 8, state.GDTR_BASE);
  physical.write(vmcb + SAVE.IDTR + 4, 4, state.IDTR_LIMIT, 0);
  physical.write64(vmcb + SAVE.IDTR + 8, state.IDTR_BASE);
  physical.write(vmcb + SAVE.CPL, 1, state.CPL, 0);
  physical.write64(vmcb + SAVE.EFER, state.IA32_EFER);
  physical.write64(vmcb + SAVE.CR4, state.CR4);
  physical.write64(vmcb + SAVE.CR3, state.CR3);
  physical.write64(vmcb + SAVE.CR2, state.CR2);
  physical.write64(vmcb + SAVE.CR0, state.CR0);
  physical.write64(vmcb + SAVE.DR7, state.debugRegister(7));
  physical.write64(vmcb + SAVE.DR6, state.debugRegister(6));
  physical.write64(vmcb + SAVE.RFLAGS, BigInt(readRflags(state)));
  physical.write64(vmcb + SAVE.RIP, rip);
  physical.write64(vmcb + SAVE.RSP, state.gpr(RSP));
  physical.write64(vmcb + SAVE.RAX, state.gpr(RAX));
}

/** Loads the state of the processor from a save area. Translation is the caller's business. */
export function loadState({ state }: Cpu, physical: PhysicalMemory, vmcb: number): void {
  for (const [segment, offset] of SEGMENTS) {
    const at = vmcb + offset;
    state.setSegmentSelector(segment, physical.read16(at));
    state.setSegmentAccessRights(segment, accessRightsOf(physical.read16(at + 2)));
    state.setSegmentLimit(segment, physical.read32(at + 4));
    state.setSegmentBase(segment, physical.read64(at + 8));
  }
  state.GDTR_LIMIT = physical.read32(vmcb + SAVE.GDTR + 4);
  state.GDTR_BASE = physical.read64(vmcb + SAVE.GDTR + 8);
  state.IDTR_LIMIT = physical.read32(vmcb + SAVE.IDTR + 4);
  state.IDTR_BASE = physical.read64(vmcb + SAVE.IDTR + 8);
  state.CPL = physical.read8(vmcb + SAVE.CPL);
  state.IA32_EFER = physical.read64(vmcb + SAVE.EFER);
  state.CR4 = physical.read64(vmcb + SAVE.CR4);
  state.CR3 = physical.read64(vmcb + SAVE.CR3);
  state.CR2 = physical.read64(vmcb + SAVE.CR2);
  state.CR0 = physical.read64(vmcb + SAVE.CR0);
  state.setDebugRegister(7, physical.read64(vmcb + SAVE.DR7));
  state.setDebugRegister(6, physical.read64(vmcb + SAVE.DR6));
  writeRflags(state, low(physical.read64(vmcb + SAVE.RFLAGS)));
  state.RIP = physical.read64(vmcb + SAVE.RIP);
  state.setGpr(RSP, physical.read64(vmcb + SAVE.RSP));
  state.setGpr(RAX, physical.read64(vmcb + SAVE.RAX));
}
