/** The debug target of a machine: run control, registers, memory, the VMCS and the log of VM exits in one. */
import { UserError } from '../base/errors.ts';
import { isAtRoot } from '../engine/root.ts';
import type { MachineConfig } from '../machine/config.ts';
import { VMX_OPERATION } from '../state/registers.ts';
import type { ExitLog, LoggedExit } from '../vmx/exitLog.ts';
import { EXIT_REASONS } from '../vmx/exitReasons.ts';
import { lastEntryReport, nextEntryReport } from '../vmx/failedEntry.ts';
import { fieldByEncoding, fieldExists } from '../vmx/vmcsLayout.ts';
import { BreakpointTable } from './breakpointTable.ts';
import { DataBreakpoints } from './dataBreakpoints.ts';
import { bytesFor, disassemble } from './disassembler.ts';
import { ExitSearch } from './exitSearch.ts';
import { exitVmcsFields } from './exitVmcs.ts';
import { placeOfField, writePlace } from './guestState.ts';
import type { DebugTargetHost } from './host.ts';
import { MemoryView } from './memoryView.ts';
import { ProcessorView } from './processorView.ts';
import { restingContext, restingLevel } from './restingLevel.ts';
import { RunControl } from './runControl.ts';
import { System } from './system.ts';
import type {
  BreakpointRequest,
  CurrentVmcs,
  DataBreakpoint,
  DebugAddress,
  DebugTarget,
  DisassembledLine,
  EntryReport,
  ExitBreakpoint,
  ExitFilter,
  ExitRecord,
  ExitSearchResult,
  MachineStatistics,
  RegisterGroup,
  RestingLevel,
  RunRequest,
  VmcsFieldValue,
} from './target.ts';
import { setVmcsField, takeVmcsSnapshot, type VmcsSnapshot, vmcsFields } from './vmcsView.ts';

/** Makes a machine, at power-on with its image loaded. Throws a `UserError` for what cannot be booted. */
export function createDebugTarget(config: MachineConfig, host: DebugTargetHost): DebugTarget {
  return new MachineTarget(config, host);
}

/** A machine with the views on it; all of it is made anew by a reset. */
interface Parts {
  readonly system: System;
  readonly processor: ProcessorView;
  readonly memory: MemoryView;
}

const MODE_NAMES = { 16: '16-bit', 32: '32-bit', 64: '64-bit' } as const;
/** The debug console is a line printer: a line longer than this is broken. */
const LONGEST_CONSOLE_LINE = 1000;

const NO_EXITS: ExitSearchResult = {
  total: 0,
  kept: 0,
  first: 0,
  end: 0,
  isComplete: true,
  searched: 0,
  reasons: [],
  numbers: new Float64Array(),
};

class MachineTarget implements DebugTarget {
  readonly #config: MachineConfig;
  readonly #host: DebugTargetHost;
  readonly #breakpoints: BreakpointTable;
  readonly #control: RunControl;
  readonly #data: DataBreakpoints;
  #parts: Parts;
  /** The VMCS at the last stop. */
  #vmcsBefore: VmcsSnapshot | undefined;
  #exitSearch: ExitSearch | undefined;

  constructor(config: MachineConfig, host: DebugTargetHost) {
    this.#config = config;
    this.#host = host;
    this.#parts = this.#make();
    this.#breakpoints = new BreakpointTable(this.#parts.system.machine.engine.code);
    this.#data = new DataBreakpoints(this.#parts);
    this.#control = new RunControl(this.#parts, host, this.#breakpoints, this.#data);
  }

  // Run control

  run(request: RunRequest): void {
    if (!request.continues && !this.isRunning())
      this.#vmcsBefore = takeVmcsSnapshot(this.#parts.processor.vmx);
    this.#control.start(request);
  }

  pause(): void {
    this.#control.pause();
  }

  isRunning(): boolean {
    return this.#control.isRunning;
  }

  reset(): void {
    this.#parts = this.#make();
    this.#vmcsBefore = undefined;
    this.#breakpoints.attach(this.#parts.system.machine.engine.code);
    this.#data.attach(this.#parts);
    this.#control.attach(this.#parts);
  }

  setBreakpoints(breakpoints: readonly BreakpointRequest[]): void {
    this.#breakpoints.set(breakpoints);
  }

  setExitBreakpoints(breakpoints: readonly ExitBreakpoint[]): void {
    this.#control.setExitBreakpoints(breakpoints);
  }

  setDataBreakpoints(breakpoints: readonly DataBreakpoint[]): void {
    this.#data.set(breakpoints);
  }

  // Registers

  vcpus(): { id: number; name: string; mode: string }[] {
    return [{ id: 0, name: 'CPU 0', mode: MODE_NAMES[this.#parts.processor.codeBits] }];
  }

  registers(vcpu: number): RegisterGroup[] {
    return this.#processor(vcpu).groups();
  }

  register(vcpu: number, name: string): bigint | undefined {
    return this.#processor(vcpu).register(name);
  }

  setRegister(vcpu: number, name: string, value: bigint): boolean {
    return this.#processor(vcpu).setRegister(name, value);
  }

  restingLevel(vcpu: number): RestingLevel | undefined {
    const { vmx, hasBuiltInVmm } = this.#processor(vcpu);
    // The built-in VMM is not debugged.
    return hasBuiltInVmm ? undefined : restingLevel(vmx);
  }

  currentVmcs(vcpu: number): CurrentVmcs {
    const { vmx } = this.#processor(vcpu);
    const vmcs = vmx?.processor.vmcs;
    const isCurrent = vmcs?.isValid === true;
    return {
      hasVmx: vmx !== undefined,
      pointer: isCurrent ? BigInt(vmcs.address) : undefined,
      launched: isCurrent && vmcs.launched,
      inGuest: vmx?.processor.inGuest === true,
    };
  }

  vmcs(vcpu: number): VmcsFieldValue[] {
    return vmcsFields(this.#processor(vcpu).vmx, this.#vmcsBefore);
  }

  setVmcsField(vcpu: number, key: string, value: bigint): boolean {
    const processor = this.#processor(vcpu);
    const { machine } = this.#parts.system;
    return setVmcsField(processor.vmx, key, value, (field, live) => {
      const place = placeOfField(field.key);
      if (place === undefined) return false;
      writePlace(machine.state, place, live);
      machine.mmu.updateContext();
      return true;
    });
  }

  entryReport(vcpu: number, which: 'current' | 'lastFailure'): EntryReport | undefined {
    const { vmx } = this.#processor(vcpu);
    if (vmx === undefined) return undefined;
    return which === 'current' ? nextEntryReport(vmx.processor) : lastEntryReport(vmx.processor);
  }

  // Memory

  readMemory(vcpu: number, address: DebugAddress, count: number): Uint8Array {
    this.#processor(vcpu);
    return this.#parts.memory.read(address, count);
  }

  writeMemory(vcpu: number, address: DebugAddress, bytes: Uint8Array): number {
    this.#processor(vcpu);
    return this.#parts.memory.write(address, bytes);
  }

  disassemble(vcpu: number, address: bigint, count: number): DisassembledLine[] {
    const bits = this.#processor(vcpu).codeBits;
    const bytes = this.#parts.memory.read({ space: 'linear', address }, bytesFor(count));
    return disassemble(bytes, address, bits, count);
  }

  // VM exits

  exitReasons(): { key: string; name: string; number: number }[] {
    return EXIT_REASONS.map(({ key, name, number }) => ({ key, name, number }));
  }

  exits(start: number | undefined, count: number): { total: number; kept: number; records: ExitRecord[] } {
    const log = this.#exitLog;
    if (log === undefined) return { total: 0, kept: 0, records: [] };
    const { total, first: kept } = log;
    return { total, kept, records: log.records(start ?? total - count, count).map(exitRecord) };
  }

  exitAddresses(known: number): { addresses: BigUint64Array; isComplete: boolean } {
    return this.#search?.addresses(known) ?? { addresses: new BigUint64Array(), isComplete: true };
  }

  findExits(
    filter: ExitFilter,
    addresses: BigUint64Array,
    start: number | undefined,
    count: number,
  ): ExitSearchResult & { records: ExitRecord[] } {
    const search = this.#search;
    if (search === undefined) return { ...NO_EXITS, records: [] };
    const result = search.find(filter, addresses, start, count);
    return {
      ...result,
      records: Array.from(result.numbers, (number) => exitRecord(search.log.record(number))),
    };
  }

  exitVmcs(number: number): VmcsFieldValue[] | undefined {
    return exitVmcsFields(this.#exitLog, number);
  }

  statistics(): MachineStatistics {
    const { machine } = this.#parts.system;
    const log = this.#exitLog;
    return {
      instructions: machine.engine.retired,
      ticks: machine.clock.now(),
      exits: log?.total ?? 0,
      exitsByReason: log?.counts() ?? [],
      translations: machine.engine.translations,
    };
  }

  serialInput(bytes: Uint8Array): void {
    this.#parts.system.serialInput(bytes);
    this.#control.wake();
  }

  get #exitLog(): ExitLog | undefined {
    return this.#parts.processor.vmx?.processor.log;
  }

  /** The search of the machine's log; another machine has another. */
  get #search(): ExitSearch | undefined {
    const log = this.#exitLog;
    if (log === undefined) return undefined;
    if (this.#exitSearch?.log !== log) this.#exitSearch = new ExitSearch(log, () => this.#host.now());
    return this.#exitSearch;
  }

  #processor(vcpu: number): ProcessorView {
    if (vcpu !== 0) throw new UserError(`There is no vCPU ${vcpu}.`);
    return this.#parts.processor;
  }

  #make(): Parts {
    const system = new System(this.#config, {
      interpreter: this.#host.interpreter,
      serial: byteSink((byte) => this.#host.serialOutput(byte)),
      debugConsole: lineSink((line) => this.#host.log('info', 'debug console', line)),
    });
    const { machine, vmx } = system;
    const isAtVmm = (): boolean => isAtRoot(machine.state, machine.engine.root);
    const processor = new ProcessorView({
      cpu: machine.cpu,
      programCpu: system.vmm?.current.guestCpu ?? machine.cpu,
      peekApic: (offset) => (system.vmm?.current.vm.apic ?? machine.apic).peek(offset),
      vmx,
      hasBuiltInVmm: system.vmm !== undefined,
      isAtVmm,
    });
    const inGuest = (): boolean => machine.state.VMX_OPERATION === VMX_OPERATION.NON_ROOT || isAtVmm();
    const memory = new MemoryView({
      mmu: machine.mmu,
      physical: machine.physical,
      processor,
      level: () => (inGuest() ? 1 : 0),
      contextOf: (level) =>
        system.vmm === undefined ? restingContext(vmx, level, machine.physical) : undefined,
      vmcsField: (encoding) => {
        const field = fieldByEncoding(encoding);
        return field && vmx?.processor.vmcs.isValid && fieldExists(field) ? vmx.vmread(field.key) : undefined;
      },
    });
    return { system, processor, memory };
  }
}

/** There is one vCPU. */
function exitRecord(logged: LoggedExit): ExitRecord {
  return { ...logged, vcpu: 0 };
}

function byteSink(output: (bytes: Uint8Array) => void): { write(byte: number): void } {
  const bytes = new Uint8Array(1);
  return {
    write(byte) {
      bytes[0] = byte;
      output(bytes);
    },
  };
}

function lineSink(output: (line: string) => void): { write(byte: number): void } {
  let line = '';
  return {
    write(byte) {
      if (byte !== 10 && line.length < LONGEST_CONSOLE_LINE) {
        line += String.fromCharCode(byte);
        return;
      }
      output(line);
      line = byte === 10 ? '' : String.fromCharCode(byte);
    },
  };
}
