/** Instructions about the processor itself: identification, MSRs, time, caches, halting. */
import { Unimplemented } from '../../base/errors.ts';
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import { cpuid } from '../../core/cpuid.ts';
import type { Instruction } from '../../core/instruction.ts';
import { readMsr, writeMsr } from '../../core/msrs.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { readPerformanceCounter } from '../../core/performanceMsrs.ts';
import { writePkru } from '../../core/protectionKeys.ts';
import { timeStampCounter } from '../../core/timeStampCounter.ts';
import { ACTIVITY, CR4, FLAG, RAX, RBX, RCX, RDX } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';
import { inOrder, readGpr, requireCpl0, writeGpr, writePair } from './operands.ts';

type PlainPoint = 'CPUID' | 'HLT' | 'INVD' | 'WBINVD' | 'RDTSC' | 'RDTSCP' | 'RDPMC' | 'PAUSE' | 'RDPID';

function intercept(cpu: Cpu, point: PlainPoint, instruction: Instruction): Outcome {
  return cpu.virtualization.intercept({ point }, instruction);
}

/** @see SDM "CPUID—CPU Identification" */
function executeCpuid(cpu: Cpu, instruction: Instruction): Outcome {
  const outcome = intercept(cpu, 'CPUID', instruction);
  if (outcome !== OUTCOME.NEXT) return outcome;
  const [eax, ebx, ecx, edx] = cpuid(cpu, Number(readGpr(cpu, RAX, 32)), Number(readGpr(cpu, RCX, 32)));
  writeGpr(cpu, RAX, 32, BigInt(eax));
  writeGpr(cpu, RBX, 32, BigInt(ebx));
  writeGpr(cpu, RCX, 32, BigInt(ecx));
  writeGpr(cpu, RDX, 32, BigInt(edx));
  return OUTCOME.NEXT;
}

/** @see SDM "RDMSR—Read From Model Specific Register"; a VM exit comes before #GP for the MSR */
function rdmsr(cpu: Cpu, instruction: Instruction): Outcome {
  const msr = Number(readGpr(cpu, RCX, 32));
  return inOrder(
    () => requireCpl0(cpu),
    () => cpu.virtualization.intercept({ point: 'RDMSR', msr }, instruction),
    () => {
      const value = cpu.virtualization.readVirtualMsr(msr) ?? readMsr(cpu, msr);
      if (value === undefined) return cpu.raiseGp();
      writePair(cpu, RDX, RAX, value);
      return OUTCOME.NEXT;
    },
  );
}

/** @see SDM "WRMSR—Write to Model Specific Register" */
function wrmsr(cpu: Cpu, instruction: Instruction): Outcome {
  const msr = Number(readGpr(cpu, RCX, 32));
  return inOrder(
    () => requireCpl0(cpu),
    () => cpu.virtualization.intercept({ point: 'WRMSR', msr }, instruction),
    () => {
      const value = (readGpr(cpu, RDX, 32) << 32n) | readGpr(cpu, RAX, 32);
      const written = cpu.virtualization.writeVirtualMsr(msr, value);
      const done = written === 'real' ? writeMsr(cpu, msr, value) : written === 'done';
      return done ? OUTCOME.NEXT_THEN_CHECK : cpu.raiseGp();
    },
  );
}

/** CR4.TSD makes the time-stamp counter privileged. */
function checkTsd(cpu: Cpu): Outcome {
  return cpu.state.CPL > 0 && (cpu.state.cr4 & CR4.TSD) !== 0 ? cpu.raiseGp() : OUTCOME.NEXT;
}

/** @see SDM "RDTSC—Read Time-Stamp Counter"; "RDTSCP—Read Time-Stamp Counter and Processor ID" */
function rdtsc(cpu: Cpu, instruction: Instruction, withAux: boolean): Outcome {
  return inOrder(
    () => checkTsd(cpu),
    () => intercept(cpu, withAux ? 'RDTSCP' : 'RDTSC', instruction),
    () => {
      writePair(cpu, RDX, RAX, cpu.virtualization.guestTsc(timeStampCounter(cpu)));
      if (withAux) writeGpr(cpu, RCX, 32, cpu.state.IA32_TSC_AUX);
      return OUTCOME.NEXT;
    },
  );
}

/** @see SDM "RDPMC—Read Performance-Monitoring Counters" */
function rdpmc(cpu: Cpu, instruction: Instruction): Outcome {
  const denied = cpu.state.CPL > 0 && (cpu.state.cr4 & CR4.PCE) === 0;
  return inOrder(
    () => (denied ? cpu.raiseGp() : OUTCOME.NEXT),
    () => intercept(cpu, 'RDPMC', instruction),
    () => {
      const value = readPerformanceCounter(cpu, Number(readGpr(cpu, RCX, 32)));
      if (value === undefined) return cpu.raiseGp();
      writePair(cpu, RDX, RAX, value);
      return OUTCOME.NEXT;
    },
  );
}

/** @see SDM "HLT—Halt" */
function hlt(cpu: Cpu, instruction: Instruction): Outcome {
  return inOrder(
    () => requireCpl0(cpu),
    () => intercept(cpu, 'HLT', instruction),
    () => {
      cpu.state.ACTIVITY_STATE = ACTIVITY.HLT;
      return OUTCOME.NEXT_THEN_CHECK;
    },
  );
}

/** There are no caches to write back or to lose. @see SDM "WBINVD", "INVD" */
function cacheControl(point: 'WBINVD' | 'INVD') {
  return (cpu: Cpu, instruction: Instruction): Outcome =>
    inOrder(
      () => requireCpl0(cpu),
      () => intercept(cpu, point, instruction),
    );
}

/** @see SDM "RDPID—Read Processor ID" */
function rdpid(cpu: Cpu, instruction: Instruction): Outcome {
  const outcome = intercept(cpu, 'RDPID', instruction);
  if (outcome !== OUTCOME.NEXT) return outcome;
  writeGpr(cpu, instruction.register(0), cpu.state.in64BitMode ? 64 : 32, cpu.state.IA32_TSC_AUX);
  return OUTCOME.NEXT;
}

/** @see SDM "RDPKRU—Read Protection Key Rights for User Pages" */
function rdpkru(cpu: Cpu): Outcome {
  if ((cpu.state.cr4 & CR4.PKE) === 0) return cpu.raiseUd();
  if (readGpr(cpu, RCX, 32) !== 0n) return cpu.raiseGp();
  writePair(cpu, RDX, RAX, BigInt(cpu.state.PKRU >>> 0));
  return OUTCOME.NEXT;
}

/** @see SDM "WRPKRU—Write Data to User Page Key Register" */
function wrpkru(cpu: Cpu): Outcome {
  if ((cpu.state.cr4 & CR4.PKE) === 0) return cpu.raiseUd();
  if (readGpr(cpu, RCX, 32) !== 0n || readGpr(cpu, RDX, 32) !== 0n) return cpu.raiseGp();
  writePkru(cpu, Number(readGpr(cpu, RAX, 32)));
  return OUTCOME.NEXT_THEN_CHECK;
}

/** CLAC and STAC: RFLAGS.AC as SMAP's permission. @see SDM "STAC—Set AC Flag in EFLAGS Register" */
function setAc(value: boolean) {
  return (cpu: Cpu): Outcome => {
    if (cpu.state.CPL > 0) return cpu.raiseUd();
    if (value) cpu.state.systemFlags |= FLAG.AC;
    else cpu.state.systemFlags &= ~FLAG.AC;
    cpu.mmu.updateContext();
    return OUTCOME.NEXT_THEN_CHECK;
  };
}

const undefinedInstruction = (cpu: Cpu): Outcome => cpu.raiseUd();

function unimplemented(op: string) {
  return (): Outcome => {
    throw new Unimplemented(`${op} (SDM "${op}", volume 2)`);
  };
}

/** Longer than on a processor (about 140 cycles), so that waiting loops pass their time in fewer iterations. */
const PAUSE_TICKS = 500;

// biome-ignore format: rows are read as a table
export const PROCESSOR_ROWS: readonly SystemRow[] = [
  { op: 'CPUID', ticks: 100, call: executeCpuid, ref: SDM('CPUID—CPU Identification') },
  { op: 'RDMSR', call: rdmsr, feature: 'MSR', ref: SDM('RDMSR—Read From Model Specific Register') },
  { op: 'WRMSR', call: wrmsr, feature: 'MSR', ref: SDM('WRMSR—Write to Model Specific Register') },
  { op: 'RDTSC', ticks: 20, call: (cpu, instruction) => rdtsc(cpu, instruction, false), feature: 'TSC', ref: SDM('RDTSC—Read Time-Stamp Counter') },
  { op: 'RDTSCP', ticks: 25, call: (cpu, instruction) => rdtsc(cpu, instruction, true), feature: 'RDTSCP', ref: SDM('RDTSCP—Read Time-Stamp Counter and Processor ID') },
  { op: 'RDPMC', call: rdpmc, ref: SDM('RDPMC—Read Performance-Monitoring Counters') },
  { op: 'HLT', call: hlt, ref: SDM('HLT—Halt') },
  { op: 'PAUSE', ticks: PAUSE_TICKS, call: (cpu, instruction) => intercept(cpu, 'PAUSE', instruction), ref: SDM('PAUSE—Spin Loop Hint') },
  { op: 'WBINVD', call: cacheControl('WBINVD'), ref: SDM('WBINVD—Write Back and Invalidate Cache') },
  // Without its feature, F3 0F 09 is WBINVD.
  { op: 'WBNOINVD', call: cacheControl('WBINVD'), ref: SDM('WBNOINVD—Write Back and Do Not Invalidate Cache') },
  { op: 'INVD', call: cacheControl('INVD'), ref: SDM('INVD—Invalidate Internal Caches') },
  { op: 'CLAC', call: setAc(false), feature: 'SMAP', ref: SDM('CLAC—Clear AC Flag in EFLAGS Register') },
  { op: 'STAC', call: setAc(true), feature: 'SMAP', ref: SDM('STAC—Set AC Flag in EFLAGS Register') },
  { op: 'RDPID', call: rdpid, feature: 'RDPID', ref: SDM('RDPID—Read Processor ID') },
  { op: 'RDPKRU', call: rdpkru, feature: 'PKU', ref: SDM('RDPKRU—Read Protection Key Rights for User Pages') },
  { op: 'WRPKRU', call: wrpkru, feature: 'PKU', ref: SDM('WRPKRU—Write Data to User Page Key Register') },
  { op: 'SERIALIZE', call: () => OUTCOME.NEXT_THEN_CHECK, feature: 'SERIALIZE', ref: SDM('SERIALIZE—Serialize Instruction Execution') },
  { op: 'GETSEC', call: unimplemented('GETSEC'), feature: 'SMX', ref: SDM('GETSEC', '7') },
  // Outside system-management mode.
  { op: 'RSM', call: undefinedInstruction, ref: SDM('RSM—Resume From System Management Mode') },
  { op: 'UD0', call: undefinedInstruction, ref: SDM('UD—Undefined Instruction') },
  { op: 'UD1', call: undefinedInstruction, ref: SDM('UD—Undefined Instruction') },
  { op: 'UD2', call: undefinedInstruction, ref: SDM('UD—Undefined Instruction') },
];
