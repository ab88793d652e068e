/**
 * A processor on a few MiB of memory and nothing else: 64-bit mode, the first GiB mapped to itself, for tests of
 * instructions and of the engine.
 */
import type { Clock } from '../../emulator/base/clock.ts';
import { Cpu } from '../../emulator/core/cpu.ts';
import type { FeatureSet } from '../../emulator/core/features.ts';
import { createModel } from '../../emulator/core/model.ts';
import { resetMsrs } from '../../emulator/core/msrs.ts';
import { Engine } from '../../emulator/engine/engine.ts';
import { generateInterpreter } from '../../emulator/engine/interpreter.ts';
import { MEMORY_IMPORT } from '../../emulator/engine/translations.ts';
import { Scheduler } from '../../emulator/machine/scheduler.ts';
import { Mmu } from '../../emulator/mmu/mmu.ts';
import { PhysicalMemory } from '../../emulator/mmu/physicalMemory.ts';
import { CpuState } from '../../emulator/state/cpuState.ts';
import { writeRflags } from '../../emulator/state/flags.ts';
import { RAM_OFFSET } from '../../emulator/state/layout.ts';

export const MIB = 1024 * 1024;
const PML4 = 0x1000;
const PDPT = 0x2000;
const DIRECTORY = 0x3000;

let interpreter: WebAssembly.Module | undefined;

export function interpreterModule(): WebAssembly.Module {
  interpreter ??= new WebAssembly.Module(generateInterpreter(MEMORY_IMPORT));
  return interpreter;
}

export interface BareProcessor {
  readonly state: CpuState;
  readonly physical: PhysicalMemory;
  readonly cpu: Cpu;
  readonly engine: Engine;
  readonly clock: Scheduler;
  /** Bytes written to I/O ports, as [port, value]. */
  readonly ports: [number, number][];
  /** Positions of performance-monitoring interrupts. */
  readonly counterInterrupts: number[];
}

export interface BareProcessorOptions {
  readonly ram?: number;
  readonly forceTranslation?: boolean;
  /** Instructions between two looks for hot code; none unless said. */
  readonly sampleEvery?: number;
  /** What the processor offers; what is implemented unless said. */
  readonly features?: FeatureSet;
  /** `sapphire-rapids` unless said. */
  readonly model?: string;
}

export function bareProcessor(options: BareProcessorOptions = {}): BareProcessor {
  const ram = options.ram ?? 16 * MIB;
  const memory = new WebAssembly.Memory({ initial: (RAM_OFFSET + ram) / 65536, maximum: 65536 });
  const state = new CpuState(memory);
  const physical = new PhysicalMemory(state, ram);
  let engine: Engine | undefined;
  const clock: Clock & Scheduler = new Scheduler(() => engine?.position() ?? 0);
  const ports: [number, number][] = [];
  const model = createModel(options.model ?? 'sapphire-rapids', { virtualization: 'none' });
  const cpu = new Cpu({
    state,
    mmu: new Mmu({ state, physical }),
    apic: {
      id: 0,
      tscChanged: () => undefined,
      reset: () => undefined,
      readMsr: () => undefined,
      writeMsr: () => false,
      baseChanged: () => undefined,
      eoi: () => undefined,
      sendFixed: () => undefined,
      readCr8: () => 0,
      writeCr8: () => undefined,
    },
    interruptController: { hasInterrupt: () => false, acknowledge: () => 0 },
    portIo: {
      read: (_port, size) => 2 ** (8 * size) - 1,
      write: (port, _size, value) => void ports.push([port, value]),
    },
    clock,
    model: options.features ? { ...model, features: options.features } : model,
  });
  resetMsrs(cpu);
  enterLongMode(cpu, physical);
  engine = new Engine(cpu, physical, {
    interpreter: interpreterModule(),
    forceTranslation: options.forceTranslation ?? false,
    sampleEvery: options.sampleEvery ?? 0,
  });
  const counterInterrupts: number[] = [];
  cpu.performance.connect({
    alarm: clock.createAlarm('performance-monitoring counters', () => cpu.performance.ring()),
    position: () => engine?.position() ?? 0,
    interrupt: () => void counterInterrupts.push(clock.now()),
  });
  return { state, physical, cpu, engine, clock, ports, counterInterrupts };
}

function enterLongMode(cpu: Cpu, physical: PhysicalMemory): void {
  const { state } = cpu;
  physical.write64(PML4, BigInt(PDPT | 7));
  physical.write64(PDPT, BigInt(DIRECTORY | 7));
  for (let i = 0; i < 512; i++) physical.write64(DIRECTORY + 8 * i, BigInt(i * 0x20_0000 + 0x87));
  state.CR0 = 0x8000_0033n;
  state.CR3 = BigInt(PML4);
  state.CR4 = 0x20n;
  state.IA32_EFER = 0x500n;
  for (let segment = 0; segment < 8; segment++) {
    state.setSegmentSelector(segment, segment === 1 ? 0x10 : 0x18);
    state.setSegmentLimit(segment, 0xffff_ffff);
    state.setSegmentAccessRights(
      segment,
      segment === 1 ? 0xa09b : segment === 6 ? 0x1_0082 : segment === 7 ? 0x8b : 0xc093,
    );
  }
  writeRflags(state, 2);
  state.setDebugRegister(6, 0xffff_0ff0n);
  state.setDebugRegister(7, 0x400n);
  state.CURRENT_VMCS = 0xffff_ffff_ffff_ffffn;
  cpu.mmu.updateContext();
}
