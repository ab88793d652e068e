/** Applies a loader's plan to a machine without a hypervisor: memory, then the processor's state. */
import type { Machine } from '../machine/machine.ts';
import type { CpuState } from '../state/cpuState.ts';
import { writeRflags } from '../state/flags.ts';
import { AR, CS, GPR_NAMES, LDTR, SEGMENT_NAMES, TR } from '../state/registers.ts';
import type { BootEntry, BootPlan } from './bootPlan.ts';

const FLAT_DATA = AR.P | AR.S | AR.DB | AR.G | 3;
const FLAT_CODE_32 = AR.P | AR.S | AR.DB | AR.G | 0xb;
const FLAT_CODE_64 = AR.P | AR.S | AR.L | AR.G | 0xb;
const BUSY_TSS = AR.P | 0xb;

export function loadPlan(machine: Machine, plan: BootPlan): void {
  for (const segment of plan.segments) {
    machine.physical.copyIn(segment.address, segment.bytes);
    const rest = segment.length - segment.bytes.length;
    if (rest > 0) machine.physical.copyIn(segment.address + segment.bytes.length, new Uint8Array(rest));
  }
  enter(machine.state, plan.entry);
  machine.mmu.updateContext();
}

function enter(state: CpuState, entry: BootEntry): void {
  for (const [index, name] of GPR_NAMES.entries()) {
    state.setGpr(index, entry.gpr[name as keyof typeof entry.gpr] ?? 0n);
  }
  state.RIP = entry.rip;
  writeRflags(state, 2);
  state.CR0 = BigInt(entry.cr0);
  state.CR3 = BigInt(entry.cr3);
  state.CR4 = BigInt(entry.cr4);
  state.IA32_EFER = BigInt(entry.efer);
  state.GDTR_BASE = BigInt(entry.gdt.base);
  state.GDTR_LIMIT = entry.gdt.limit;
  state.IDTR_BASE = 0n;
  state.IDTR_LIMIT = 0;
  for (let segment = 0; segment < LDTR; segment++) {
    state.setSegmentSelector(segment, entry.dataSelector);
    state.setSegmentBase(segment, 0n);
    state.setSegmentLimit(segment, 0xffff_ffff);
    state.setSegmentAccessRights(segment, FLAT_DATA);
  }
  state.setSegmentSelector(CS, entry.codeSelector);
  state.setSegmentAccessRights(CS, entry.mode === 'long64' ? FLAT_CODE_64 : FLAT_CODE_32);
  for (let segment = LDTR; segment < SEGMENT_NAMES.length; segment++) {
    state.setSegmentSelector(segment, 0);
    state.setSegmentBase(segment, 0n);
  }
  state.setSegmentLimit(TR, 0xffff);
  state.setSegmentAccessRights(TR, BUSY_TSS);
  state.setSegmentAccessRights(LDTR, AR.UNUSABLE | AR.P | 2);
}
