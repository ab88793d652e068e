/**
 * Stops where a value changes: a field of the current VMCS, or memory. The pages where the values lie are marked, so
 * that every write to them is announced before it happens: a look at that moment tells what the writes before it have
 * changed, and the machine stops behind the instruction or at the VM exit to tell what this one has.
 *
 * Intel SDM Vol. 3C, "Virtual Machine Control Structures", chapter 26.
 */
import { LONGEST_INSTRUCTION } from '../core/instruction.ts';
import { PAGE_FLAG } from '../mmu/physicalMemory.ts';
import { fieldExists, VMCS_FIELD_LIST } from '../vmx/vmcsLayout.ts';
import { disassemble } from './disassembler.ts';
import type { MemoryView } from './memoryView.ts';
import type { DebuggedProcessor } from './processorView.ts';
import type { System } from './system.ts';
import type { DataBreakpoint } from './target.ts';

export interface WatchedMachine {
  readonly system: System;
  readonly processor: DebuggedProcessor;
  readonly memory: MemoryView;
}

/** A value that has changed. */
export interface DataChange {
  readonly id: number;
  /** `Guest RIP changed from 0x100002 to 0x100004 (VM exit: CPUID)`. */
  readonly description: string;
}

/** Host-physical addresses of the bytes of a value, lowest first. */
interface WatchedValue {
  readonly id: number;
  readonly name: string;
  readonly isVmcs: boolean;
  readonly bytes: readonly number[];
  value: bigint;
}

/** Where the processor was when the last write was announced. */
interface Moment {
  /** VM exits logged before. */
  readonly exits: number;
  readonly rip: bigint;
  /** The guest was running, not an instruction of it that the built-in VMM completes. */
  readonly inGuest: boolean;
}

const PAGE = 4096;

export class DataBreakpoints {
  #machine: WatchedMachine;
  #requests: readonly DataBreakpoint[] = [];
  #values: WatchedValue[] = [];
  #changes: DataChange[] = [];
  #moment: Moment | undefined;
  readonly #pages = new Set<number>();

  constructor(machine: WatchedMachine) {
    this.#machine = machine;
    this.#observe();
  }

  /** The machine was made anew. */
  attach(machine: WatchedMachine): void {
    this.#machine = machine;
    this.#pages.clear();
    this.#values = [];
    this.#observe();
    this.begin();
  }

  set(requests: readonly DataBreakpoint[]): void {
    this.#requests = requests;
    this.begin();
  }

  /** What is there now is what later values are compared with: the user may have changed it. */
  begin(): void {
    this.#changes = [];
    this.#moment = undefined;
    this.#place();
  }

  /** What has changed since the last time. */
  take(): readonly DataChange[] {
    if (this.#moment === undefined && this.#changes.length === 0) return [];
    this.#compare();
    this.#moment = undefined;
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  #observe(): void {
    const { system, processor } = this.#machine;
    system.machine.physical.onWrite(PAGE_FLAG.WATCHED, (address, length) => this.#announced(address, length));
    if (processor.vmx === undefined) return;
    processor.vmx.processor.onSelect = () => {
      if (this.#requests.length === 0) return;
      this.#compare();
      this.#place();
    };
  }

  #announced(address: number, length: number): void {
    const isNear = ({ bytes }: WatchedValue): boolean =>
      bytes.some((byte) => byte >= address && byte < address + length);
    if (!this.#values.some(isNear)) return;
    this.#compare();
    const { processor, system } = this.#machine;
    const vmx = processor.vmx?.processor;
    this.#moment = {
      exits: vmx?.log.total ?? 0,
      rip: processor.linearRip,
      inGuest: vmx?.inGuest === true && !vmx.stepping,
    };
    system.machine.stop();
  }

  #compare(): void {
    for (const watched of this.#values) {
      const value = this.#read(watched.bytes);
      if (value === watched.value) continue;
      const by = watched.isVmcs ? this.#writer() : undefined;
      const change = `${watched.name} changed from ${hex(watched.value)} to ${hex(value)}`;
      this.#changes.push({ id: watched.id, description: by === undefined ? change : `${change} (${by})` });
      watched.value = value;
    }
  }

  /** Who writes to a VMCS: an exit, the built-in VMM, or an instruction of the hypervisor that is debugged. */
  #writer(): string | undefined {
    const { processor } = this.#machine;
    const moment = this.#moment;
    const log = processor.vmx?.processor.log;
    if (moment === undefined || log === undefined) return undefined;
    if (log.total > moment.exits) {
      const { text, reasonName } = log.record(moment.exits);
      return `VM exit: ${text || reasonName}`;
    }
    // The page-modification log and virtual interrupts change fields without an exit.
    if (moment.inGuest) return 'by the processor, for its guest';
    if (processor.hasBuiltInVmm) return 'by the built-in hypervisor';
    const code = this.#machine.memory.read({ space: 'linear', address: moment.rip }, LONGEST_INSTRUCTION);
    const [line] = disassemble(code, moment.rip, processor.codeBits, 1);
    const name = line?.valid ? line.text.split(' ')[0].toUpperCase() : 'the instruction';
    return `by ${name} at ${hex(moment.rip)}`;
  }

  /** Finds where the values are now and has writes to their pages announced. */
  #place(): void {
    this.#values = this.#requests.flatMap((request) => this.#find(request));
    const { physical } = this.#machine.system.machine;
    const pages = new Set(this.#values.flatMap(({ bytes }) => bytes.map((byte) => Math.floor(byte / PAGE))));
    for (const page of this.#pages) {
      if (pages.has(page)) continue;
      physical.clearPageFlag(page, PAGE_FLAG.WATCHED);
      this.#pages.delete(page);
    }
    for (const page of pages) {
      physical.setPageFlag(page, PAGE_FLAG.WATCHED);
      this.#pages.add(page);
    }
  }

  #find(request: DataBreakpoint): WatchedValue[] {
    const { processor, memory, system } = this.#machine;
    const isVmcs = 'vmcsField' in request;
    let bytes: number[];
    let name: string;
    if (isVmcs) {
      const field = VMCS_FIELD_LIST.find(({ key }) => key === request.vmcsField);
      const vmcs = processor.vmx?.processor.vmcs;
      if (field === undefined || !fieldExists(field) || !vmcs?.isValid) return [];
      const first = vmcs.address + field.offset;
      const size = field.width === 'natural' ? 8 : field.width / 8;
      bytes = Array.from({ length: size }, (_, i) => first + i);
      name = field.title;
    } else {
      const { address, size } = request;
      const found = Array.from({ length: size }, (_, i) =>
        memory.hostAddress({ ...address, address: BigInt.asUintN(64, address.address + BigInt(i)) }),
      );
      const { physical } = system.machine;
      bytes = found.filter((byte): byte is number => byte !== undefined && physical.isRam(byte, 1));
      if (bytes.length < size) return [];
      name = request.name;
    }
    return [{ id: request.id, name, isVmcs, bytes, value: this.#read(bytes) }];
  }

  #read(bytes: readonly number[]): bigint {
    const { physical } = this.#machine.system.machine;
    return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(physical.read8(byte)), 0n);
  }
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
