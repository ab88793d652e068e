/**
 * Run control as every front end uses it: the debug adapter, the GDB stub and the command line are thin skins on
 * this. All arguments and results can be cloned structurally, because the machine usually runs in a worker.
 *
 * Methods are synchronous where the machine is; a front end in another thread calls them through a port and gets
 * promises. While the machine runs, methods are served between batches of instructions (every few milliseconds).
 */

import type { EntryReport } from '../vmx/entryReport.ts';

/** An address in one of the address spaces. `level` is the virtualization level; the running one when absent. */
export interface DebugAddress {
  readonly space: 'linear' | 'guest-physical' | 'host-physical' | 'io' | 'msr' | 'vmcs';
  readonly level?: number;
  readonly address: bigint;
}

export type StopReason =
  | 'entry'
  | 'pause'
  | 'step'
  | 'breakpoint'
  | 'exit-breakpoint'
  | 'data-breakpoint'
  | 'triple-fault'
  | 'entry-failure'
  | 'sanitizer'
  | 'unimplemented'
  | 'powered-off'
  | 'debug-exit'
  | 'limit';

export interface StopEvent {
  readonly reason: StopReason;
  readonly vcpu: number;
  /** Retired instructions since power-on. */
  readonly position: number;
  /** One sentence for people; for failures it names the reason, RIP and the fields concerned. */
  readonly description: string;
  /** Breakpoints that were hit, by id. */
  readonly breakpoints: readonly number[];
  /** `debug-exit`: the value written to port 0xf4. */
  readonly exitValue?: number;
  /** More lines: failed entry rules, the exception chain of a triple fault. */
  readonly details: readonly string[];
}

/** Where execution is to stop. Everything a stop condition needs is data. */
export interface RunRequest {
  /** Stop once this many further instructions are retired; with `range`, after as many steps in it at the latest. */
  readonly instructions?: number;
  /**
   * Step until RIP leaves these ranges ([start, end) of RIP). Calls out of them are run through when `over` is set:
   * until RIP is back in the ranges or at the return address with the stack pointer above its value at the call.
   */
  readonly range?: { readonly ranges: readonly (readonly [bigint, bigint])[]; readonly over: boolean };
  /** Stop at `rip` when RSP is at least `minimumRsp`: step out and run to cursor. */
  readonly until?: { readonly rip: bigint; readonly minimumRsp: bigint };
  /** Stop with reason `limit` at this position, counted from power-on. */
  readonly limit?: number;
  /** One step of the user goes on: what was there at the last stop is still what `previous` values are. */
  readonly continues?: boolean;
}

export interface BreakpointRequest {
  readonly id: number;
  /** Linear address where it stops before the instruction executes. */
  readonly address: bigint;
}

/** Stop when a VM exit happens (reported after the exit was recorded, at the guest's instruction). */
export interface ExitBreakpoint {
  readonly id: number;
  /**
   * Keys of exit reasons (vmx/exitReasons.ts); empty means every exit. `entryFailureInvalidGuestState` also stops where a
   * debugged hypervisor's VM entry fails with VMfail: the stop event's reason is `entry-failure`. `sanitizer` is no exit
   * reason: it stops where the sanitizer finds something, with the reason `sanitizer`.
   */
  readonly reasons: readonly string[];
}

/**
 * Stop behind the instruction or at the VM exit that changes a value: of a field of the current VMCS, as stored, by
 * whomever (VMWRITE, VM exits, the built-in VMM, plain stores); or of memory.
 */
export type DataBreakpoint =
  | { readonly id: number; readonly vmcsField: string }
  /** At most 8 bytes. A linear address means the memory that it is translated to when the machine starts to run. */
  | { readonly id: number; readonly address: DebugAddress; readonly size: number; readonly name: string };

/** A part of a register or of a VMCS field, by the bit-field rows. */
export interface DecodedField {
  /** The manual's short name, e.g. `PE`. */
  readonly key: string;
  readonly name: string;
  readonly bit: number;
  readonly width: number;
  readonly value: bigint;
  readonly meaning: string;
  /** False where other bits say that the field is not in use: a breakpoint that is not enabled has no length. */
  readonly inUse: boolean;
}

/** One named value of a register view; `value` is unsigned. */
export interface RegisterValue {
  readonly name: string;
  readonly value: bigint;
  readonly bits: number;
  readonly writable: boolean;
  /** Decoded parts: flags, fields of control registers, of segments. */
  readonly fields: readonly DecodedField[];
  /** The manual's section. */
  readonly reference: string;
}

export interface RegisterGroup {
  /** `general`, `segments`, `control`, `debug`, `vector`, `msr`, `lapic`. */
  readonly key: string;
  readonly title: string;
  readonly registers: readonly RegisterValue[];
}

/** One VMCS field in the panel. */
export interface VmcsFieldValue {
  readonly key: string;
  readonly title: string;
  readonly group: string;
  readonly encoding: number;
  /** What VMREAD gives; undefined when the field does not exist under the current controls. */
  readonly stored: bigint | undefined;
  /** What the processor holds now, for guest state while the guest runs; equal to `stored` otherwise. */
  readonly live: bigint | undefined;
  /** Name of the control whose 1-setting would bring the field into existence on another processor. */
  readonly missing: string | undefined;
  /** Name of the control that is 0, so that the processor does not look at the field. */
  readonly unused: string | undefined;
  /** What it was at the last stop; undefined when it was no different or this is the first stop. */
  readonly previous: { readonly stored: bigint; readonly live: bigint } | undefined;
  /** The manual's words for the value as a whole: the exit reason, the VM-instruction error. */
  readonly meaning: string | undefined;
  readonly bits: number;
  readonly fields: readonly DecodedField[];
  readonly reference: string;
}

/** Which VMCS is current. */
export interface CurrentVmcs {
  /** Whether the processor has VT-x at all. */
  readonly hasVmx: boolean;
  /** The current-VMCS pointer; undefined while there is none. */
  readonly pointer: bigint | undefined;
  readonly launched: boolean;
  /** Whether its guest runs: then the guest-state area is not what the guest is. */
  readonly inGuest: boolean;
}

export type { BrokenRule, EntryReport, RuleField } from '../vmx/entryReport.ts';

/**
 * The level that does not run: the guest while its hypervisor handles a VM exit, the hypervisor while its guest runs. Memory is
 * read as it sees it with its number in the address.
 */
export interface RestingLevel {
  readonly level: number;
  /** How the levels meet, e.g. `Level 1: VM exit, CPUID`. */
  readonly crossing: string;
  /** What the VMCS knows of it, read-only: of the general registers only RSP, RIP and RFLAGS. */
  readonly registers: readonly RegisterGroup[];
}

/** One VM exit, as recorded. */
export interface ExitRecord {
  readonly number: number;
  readonly position: number;
  readonly vcpu: number;
  readonly level: number;
  readonly reason: number;
  /** Key and name of the reason's row. */
  readonly reasonKey: string;
  readonly reasonName: string;
  readonly rip: bigint;
  readonly qualification: bigint;
  readonly guestPhysical: bigint;
  readonly instructionLength: number;
  readonly interruptionInformation: number;
  /** Short decoded text, e.g. `OUT 0x3f8, 1 byte`. */
  readonly text: string;
  /** Ticks charged for the exit and the entry after it. */
  readonly cost: number;
}

/** Which exits to find; all of it has to hold. */
export interface ExitFilter {
  /** Basic exit reasons. */
  readonly reasons?: readonly number[];
  /** Numbers of exits, inclusive. */
  readonly from?: number;
  readonly to?: number;
  /** Positions, inclusive. */
  readonly positionFrom?: number;
  readonly positionTo?: number;
  /** In the exit's text, or at an address that is said to match; upper and lower case are the same. */
  readonly text?: string;
}

export interface ExitSearchResult {
  /** How many exits there have been. */
  readonly total: number;
  /** Number of the oldest exit that is kept. */
  readonly kept: number;
  /** The matches are counted from 0 on, also those that are no longer kept: kept are `first` to `end` - 1. */
  readonly first: number;
  readonly end: number;
  /** False when more has to be searched: ask again. */
  readonly isComplete: boolean;
  /** Exits before this number have been searched. */
  readonly searched: number;
  /** Of exits that match everything but the reason. */
  readonly reasons: MachineStatistics['exitsByReason'];
  /** Numbers of the exits asked for. */
  readonly numbers: Float64Array;
}

export interface MachineStatistics {
  readonly instructions: number;
  readonly ticks: number;
  readonly exits: number;
  readonly exitsByReason: readonly {
    readonly key: string;
    readonly name: string;
    readonly count: number;
    readonly cost: number;
  }[];
  readonly translations: number;
}

export interface DisassembledLine {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  readonly text: string;
  /** Absolute target of a direct branch or RIP-relative operand, for symbols. */
  readonly target: bigint | undefined;
  readonly valid: boolean;
}

export interface DebugTarget {
  /** Starts execution; a {@link StopEvent} follows unless the machine is already running (then an error). */
  run(request: RunRequest): void;
  /** Stops a running machine; the stop event has reason `pause`. */
  pause(): void;
  isRunning(): boolean;
  /** Power-on state again, image loaded again; breakpoints stay. */
  reset(): void;

  /** Replaces all address breakpoints. */
  setBreakpoints(breakpoints: readonly BreakpointRequest[]): void;
  setExitBreakpoints(breakpoints: readonly ExitBreakpoint[]): void;
  setDataBreakpoints(breakpoints: readonly DataBreakpoint[]): void;

  vcpus(): readonly { readonly id: number; readonly name: string; readonly mode: string }[];
  registers(vcpu: number): readonly RegisterGroup[];
  /** RAX … R15, RIP, RFLAGS by name, cheaply: for stack walks and conditions. */
  register(vcpu: number, name: string): bigint | undefined;
  /** False when there is no such register or it cannot be written. Throws a `UserError` when the value is refused. */
  setRegister(vcpu: number, name: string, value: bigint): boolean;

  /** Undefined unless a hypervisor that is debugged has entered a guest with the current VMCS. */
  restingLevel(vcpu: number): RestingLevel | undefined;

  currentVmcs(vcpu: number): CurrentVmcs;
  vmcs(vcpu: number): readonly VmcsFieldValue[];
  setVmcsField(vcpu: number, key: string, value: bigint): boolean;

  /**
   * Would the current VMCS enter, or why did the last VM entry fail: every rule that does not hold. Undefined without
   * VT-x, and for `lastFailure` while no entry has failed.
   */
  entryReport(vcpu: number, which: 'current' | 'lastFailure'): EntryReport | undefined;

  /** Bytes from `address` on, stopping at the first unmapped one. Never has side effects. */
  readMemory(vcpu: number, address: DebugAddress, count: number): Uint8Array;
  /** Number of bytes written, stopping at the first unmapped one. */
  writeMemory(vcpu: number, address: DebugAddress, bytes: Uint8Array): number;
  /** `count` instructions from `address` on, decoded for the vCPU's mode. */
  disassemble(vcpu: number, address: bigint, count: number): readonly DisassembledLine[];

  /** Every exit reason there is, for choosing one by name. */
  exitReasons(): readonly { readonly key: string; readonly name: string; readonly number: number }[];
  /** Exits from number `start` on that are kept, or the last ones; `kept` is the number of the oldest. */
  exits(
    start: number | undefined,
    count: number,
  ): { readonly total: number; readonly kept: number; readonly records: readonly ExitRecord[] };
  /** Addresses that exits came from, each once, from index `known` on; ask again until it is complete. */
  exitAddresses(known: number): { readonly addresses: BigUint64Array; readonly isComplete: boolean };
  /**
   * Exits that match, from match `start` on or the last ones. `addresses` are those of {@link exitAddresses} whose symbol or source
   * matches the filter's text.
   */
  findExits(
    filter: ExitFilter,
    addresses: BigUint64Array,
    start: number | undefined,
    count: number,
  ): ExitSearchResult & { readonly records: readonly ExitRecord[] };
  /** The VMCS right after an exit, as far as that was recorded; undefined when the exit is no longer kept. */
  exitVmcs(number: number): readonly VmcsFieldValue[] | undefined;
  statistics(): MachineStatistics;
  /** Bytes typed at the first serial port. Recorded as an input with its position. */
  serialInput(bytes: Uint8Array): void;
}
