/** Instructions on translations and on the bases of FS and GS. */
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import {
  isCanonical,
  isCanonicalForRegister,
  isCanonicalHigh,
  linearAddress,
  readExplicit,
} from '../../core/memory.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { CR4, FS, GS } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';
import { inOrder, readGpr, requireCpl0, writeGpr } from './operands.ts';

/** @see SDM "INVLPG—Invalidate TLB Entries"; a non-canonical address does nothing */
function invlpg(cpu: Cpu, instruction: Instruction): Outcome {
  const { state, virtualization } = cpu;
  if (state.CPL !== 0) return cpu.raiseGp();
  const flat = state.in64BitMode && instruction.segment < FS;
  if (!flat || virtualization.mayInterceptInvlpg) return invlpgSlowly(cpu, instruction);
  const halves = instruction.effectiveAddressHalves();
  if (!isCanonicalHigh(state, halves[1])) return OUTCOME.NEXT;
  return cpu.mmu.spaces.invalidatePage(halves[0], halves[1]) ? OUTCOME.NEXT_THEN_CHECK : OUTCOME.NEXT;
}

/** With a segment's base, and where it may be intercepted. */
function invlpgSlowly(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  const long = state.in64BitMode;
  const base = long && instruction.segment < FS ? 0n : state.segmentBase(instruction.segment);
  const address = BigInt.asUintN(long ? 64 : 32, base + instruction.effectiveAddress());
  const outcome = cpu.virtualization.intercept({ point: 'INVLPG', address }, instruction);
  if (outcome !== OUTCOME.NEXT) return outcome;
  const hadCode = isCanonical(state, address) && cpu.mmu.invalidatePage(address);
  return hadCode ? OUTCOME.NEXT_THEN_CHECK : OUTCOME.NEXT;
}

const INVPCID_TYPE = { INDIVIDUAL_ADDRESS: 0n, SINGLE_CONTEXT: 1n, ALL_WITH_GLOBALS: 2n, ALL: 3n } as const;

/** The 128-bit descriptor in memory. */
function readInvpcidDescriptor(
  cpu: Cpu,
  instruction: Instruction,
): { pcid: bigint; address: bigint } | undefined {
  const at = linearAddress(cpu, instruction.segment, instruction.effectiveAddress(), 16, false);
  if (at === undefined) return undefined;
  const pcid = readExplicit(cpu, at, 8);
  if (pcid === undefined) return undefined;
  const address = readExplicit(cpu, BigInt.asUintN(64, at + 8n), 8);
  return address === undefined ? undefined : { pcid, address };
}

/** @see SDM "INVPCID—Invalidate Process-Context Identifier" */
function invpcid(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  const type = readGpr(cpu, instruction.register(0), state.in64BitMode ? 64 : 32);
  return inOrder(
    () => requireCpl0(cpu),
    () => cpu.virtualization.intercept({ point: 'INVPCID' }, instruction),
    () => {
      const descriptor = readInvpcidDescriptor(cpu, instruction);
      if (!descriptor) return cpu.failed;
      const { pcid, address } = descriptor;
      const oneContext = type === INVPCID_TYPE.INDIVIDUAL_ADDRESS || type === INVPCID_TYPE.SINGLE_CONTEXT;
      if (type > INVPCID_TYPE.ALL || pcid >> 12n) return cpu.raiseGp();
      if (oneContext && (state.cr4 & CR4.PCIDE) === 0 && pcid !== 0n) return cpu.raiseGp();
      if (type === INVPCID_TYPE.INDIVIDUAL_ADDRESS) {
        if (!isCanonicalForRegister(cpu, address)) return cpu.raiseGp();
        cpu.mmu.invalidatePage(address);
      } else if (type === INVPCID_TYPE.SINGLE_CONTEXT) {
        cpu.mmu.spaces.flushPcid(Number(pcid));
      } else {
        cpu.mmu.spaces.flushVpid(cpu.mmu.spaces.vpid);
      }
      return OUTCOME.NEXT_THEN_CHECK;
    },
  );
}

/** RDFSBASE and its kin exist in 64-bit mode with CR4.FSGSBASE. */
function checkFsgsbase(cpu: Cpu): Outcome {
  const { state } = cpu;
  return state.in64BitMode && (state.cr4 & CR4.FSGSBASE) !== 0 ? OUTCOME.NEXT : cpu.raiseUd();
}

/** @see SDM "RDFSBASE/RDGSBASE—Read FS/GS Segment Base" */
function readBase(segment: number) {
  return (cpu: Cpu, instruction: Instruction): Outcome => {
    if (checkFsgsbase(cpu) !== OUTCOME.NEXT) return cpu.failed;
    const bits = instruction.operandBits(0) as 32 | 64;
    writeGpr(cpu, instruction.register(0), bits, cpu.state.segmentBase(segment));
    return OUTCOME.NEXT;
  };
}

/** @see SDM "WRFSBASE/WRGSBASE—Write FS/GS Segment Base" */
function writeBase(segment: number) {
  return (cpu: Cpu, instruction: Instruction): Outcome => {
    if (checkFsgsbase(cpu) !== OUTCOME.NEXT) return cpu.failed;
    const base = readGpr(cpu, instruction.register(0), instruction.operandBits(0) as 32 | 64);
    if (!isCanonicalForRegister(cpu, base)) return cpu.raiseGp();
    cpu.state.setSegmentBase(segment, base);
    return OUTCOME.NEXT;
  };
}

/** @see SDM "SWAPGS—Swap GS Base Register" */
function swapgs(cpu: Cpu): Outcome {
  const { state } = cpu;
  if (!state.in64BitMode) return cpu.raiseUd();
  if (state.CPL !== 0) return cpu.raiseGp();
  const base = state.segmentBase(GS);
  state.setSegmentBase(GS, state.IA32_KERNEL_GS_BASE);
  state.IA32_KERNEL_GS_BASE = base;
  return OUTCOME.NEXT;
}

const READ_BASE = SDM('RDFSBASE/RDGSBASE—Read FS/GS Segment Base');
const WRITE_BASE = SDM('WRFSBASE/WRGSBASE—Write FS/GS Segment Base');

// biome-ignore format: rows are read as a table
export const ADDRESS_SPACE_ROWS: readonly SystemRow[] = [
  { op: 'INVLPG', call: invlpg, ref: SDM('INVLPG—Invalidate TLB Entries') },
  { op: 'INVPCID', call: invpcid, feature: 'INVPCID', ref: SDM('INVPCID—Invalidate Process-Context Identifier') },
  { op: 'RDFSBASE', call: readBase(FS), feature: 'FSGSBASE', ref: READ_BASE },
  { op: 'RDGSBASE', call: readBase(GS), feature: 'FSGSBASE', ref: READ_BASE },
  { op: 'WRFSBASE', call: writeBase(FS), feature: 'FSGSBASE', ref: WRITE_BASE },
  { op: 'WRGSBASE', call: writeBase(GS), feature: 'FSGSBASE', ref: WRITE_BASE },
  { op: 'SWAPGS', call: swapgs, feature: 'LM', ref: SDM('SWAPGS—Swap GS Base Register') },
];
