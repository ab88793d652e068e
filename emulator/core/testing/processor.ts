/**
 * A processor on a little RAM for the tests of core and of the system instructions: paging off or 64-bit mode, a GDT,
 * an IDT and a TSS that tests fill in.
 */

import { Mmu } from '../../mmu/mmu.ts';
import { PhysicalMemory } from '../../mmu/physicalMemory.ts';
import { CpuState } from '../../state/cpuState.ts';
import { writeRflags } from '../../state/flags.ts';
import { RAM_OFFSET } from '../../state/layout.ts';
import { AR, CR0, CR4, CS, DS, EFER, ES, FS, GS, LDTR, RSP, SS, TR } from '../../state/registers.ts';
import { Cpu } from '../cpu.ts';
import { createModel, type ModelOptions } from '../model.ts';
import { resetMsrs } from '../msrs.ts';

const RAM_BYTES = 0x40_0000;

/** Where things lie; in 64-bit mode the first 2 MiB are mapped to themselves, for user mode too. */
export const AT = {
  GDT: 0x1000n,
  IDT: 0x2000n,
  TSS: 0x3000n,
  LDT: 0x4000n,
  STACK: 0x8000n,
  INNER_STACK: 0xa000n,
  CODE: 0x1_0000n,
  TABLES: 0x10_0000n,
} as const;

export const SELECTOR = {
  CODE0: 0x08,
  DATA0: 0x10,
  CODE3: 0x1b,
  DATA3: 0x23,
  TSS: 0x28,
  /** 64-bit code at DPL 0 and 3, whatever the mode. */
  LONG_CODE0: 0x38,
  LONG_CODE3: 0x43,
  LDT: 0x48,
  FREE: 0x58,
} as const;

export interface TestProcessor {
  readonly cpu: Cpu;
  readonly state: CpuState;
  readonly physical: PhysicalMemory;
  /** Port accesses, as [port, size, value]; reads give `portValue`. */
  readonly writes: [number, number, number][];
  readonly reads: [number, number][];
  portValue: number;
  /** Vectors waiting in the interrupt controller. */
  readonly interrupts: number[];
  readonly apic: { cr8: number; base: bigint };
  tick: number;
}

let memory: WebAssembly.Memory | undefined;

function newState(): CpuState {
  const pages = Math.ceil((RAM_OFFSET + RAM_BYTES) / 65536);
  memory ??= new WebAssembly.Memory({ initial: pages, maximum: pages });
  const state = new CpuState(memory);
  state.u8.fill(0, 0, 0x4_0000);
  state.u8.fill(0, RAM_OFFSET, RAM_OFFSET + RAM_BYTES);
  return state;
}

/** A processor in real-address mode. One at a time: they share their memory. */
export function testProcessor(options: Partial<ModelOptions> = {}, model = 'sapphire-rapids'): TestProcessor {
  const state = newState();
  const physical = new PhysicalMemory(state, RAM_BYTES);
  const interrupts: number[] = [];
  const writes: [number, number, number][] = [];
  const reads: [number, number][] = [];
  const apic = { cr8: 0, base: 0n };
  const processor = { portValue: 0, tick: 0 };
  const cpu = new Cpu({
    state,
    mmu: new Mmu({ state, physical }),
    apic: {
      id: 3,
      readMsr: (msr) => (msr === 0x6e0 || msr === 0x802 ? 3n : undefined),
      writeMsr: (msr) => msr === 0x6e0 || msr === 0x808,
      baseChanged: (base) => {
        apic.base = base;
      },
      tscChanged: () => undefined,
      reset: () => undefined,
      eoi: () => undefined,
      sendFixed: () => undefined,
      readCr8: () => apic.cr8,
      writeCr8: (value) => {
        apic.cr8 = value;
      },
    },
    interruptController: {
      hasInterrupt: () => interrupts.length > 0,
      acknowledge: () => interrupts.shift() as number,
    },
    portIo: {
      read: (port, size) => {
        reads.push([port, size]);
        return processor.portValue;
      },
      write: (port, size, value) => void writes.push([port, size, value]),
    },
    clock: {
      now: () => processor.tick,
      createAlarm: () => {
        throw new Error('no alarms here');
      },
    },
    model: createModel(model, { virtualization: 'none', ...options }),
  });
  resetMsrs(cpu);
  for (const segment of [ES, CS, SS, DS, FS, GS]) {
    state.setSegmentLimit(segment, 0xffff);
    state.setSegmentAccessRights(segment, 0x93);
  }
  state.setSegmentAccessRights(LDTR, AR.UNUSABLE);
  state.setSegmentAccessRights(TR, 0x8b);
  state.IDTR_LIMIT = 0x3ff;
  state.setDebugRegister(6, 0xffff_0ff0n);
  state.setDebugRegister(7, 0x400n);
  writeRflags(state, 2);
  state.setGpr(RSP, AT.STACK);
  state.RIP = 0x100n;
  state.CR0 = BigInt(CR0.ET);
  cpu.mmu.updateContext();
  return Object.assign(processor, { cpu, state, physical, writes, reads, interrupts, apic });
}

export function write64({ physical }: TestProcessor, address: bigint, value: bigint): void {
  physical.write64(Number(address), value);
}

export function read64({ physical }: TestProcessor, address: bigint): bigint {
  return physical.read64(Number(address));
}

/** `count` items of `bytes` bytes from `address` up. */
export function items(
  { physical }: TestProcessor,
  address: bigint,
  bytes: 2 | 4 | 8,
  count: number,
): bigint[] {
  return Array.from({ length: count }, (_, i) => {
    const at = Number(address) + i * bytes;
    if (bytes === 8) return physical.read64(at);
    return BigInt(bytes === 4 ? physical.read32(at) >>> 0 : physical.read16(at));
  });
}

/** A segment or system descriptor: `rights` in the format of SEG_ACCESS_RIGHTS, `limit` as encoded (20 bits). */
export function descriptor(rights: number, limit = 0xf_ffff, base = 0n): bigint {
  const low = BigInt(limit & 0xffff) | ((base & 0xff_ffffn) << 16n);
  const high =
    BigInt((rights & 0xf0ff) << 8) |
    BigInt(limit & 0xf_0000) |
    (base & 0xff00_0000n) |
    ((base >> 16n) & 0xffn);
  return low | (high << 32n);
}

/** An interrupt, trap, call or task gate; `type` has P and DPL: 0x8e is a present interrupt gate for CPL 0. */
export function gate(type: number, selector: number, offset: bigint, count = 0): bigint {
  return (
    (offset & 0xffffn) |
    (BigInt(selector) << 16n) |
    (BigInt(count) << 32n) |
    (BigInt(type) << 40n) |
    ((offset & 0xffff_0000n) << 32n)
  );
}

export function setDescriptor(
  processor: TestProcessor,
  selector: number,
  value: bigint,
  upper?: bigint,
): void {
  const at = AT.GDT + BigInt(selector & 0xfff8);
  write64(processor, at, value);
  if (upper !== undefined) write64(processor, at + 8n, upper);
}

export function setGate(processor: TestProcessor, vector: number, value: bigint): void {
  if (processor.state.efer & EFER.LMA) {
    write64(processor, AT.IDT + BigInt(vector * 16), value);
    write64(processor, AT.IDT + BigInt(vector * 16 + 8), 0n);
  } else {
    write64(processor, AT.IDT + BigInt(vector * 8), value);
  }
}

const RIGHTS = {
  CODE0: 0xc09b,
  DATA0: 0xc093,
  CODE3: 0xc0fb,
  DATA3: 0xc0f3,
  LONG_CODE0: 0xa09b,
  LONG_CODE3: 0xa0fb,
} as const;

function loadTables(processor: TestProcessor): void {
  const { state } = processor;
  for (const name of Object.keys(RIGHTS) as (keyof typeof RIGHTS)[]) {
    setDescriptor(processor, SELECTOR[name], descriptor(RIGHTS[name]));
  }
  state.GDTR_BASE = AT.GDT;
  state.GDTR_LIMIT = 0x7f;
  state.IDTR_BASE = AT.IDT;
  state.IDTR_LIMIT = 0xfff;
  state.setSegmentSelector(TR, SELECTOR.TSS);
  state.setSegmentBase(TR, AT.TSS);
  state.setSegmentLimit(TR, 0x67);
  state.setSegmentAccessRights(TR, 0x8b);
}

function load(state: CpuState, segment: number, selector: number, rights: number): void {
  state.setSegmentSelector(segment, selector);
  state.setSegmentBase(segment, 0n);
  state.setSegmentLimit(segment, 0xffff_ffff);
  state.setSegmentAccessRights(segment, rights);
}

/** 32-bit protected mode without paging, flat segments at the privilege level. SS0:ESP0 is the inner stack. */
export function protectedProcessor(
  cpl: 0 | 3 = 0,
  options: Partial<ModelOptions> = {},
  model?: string,
): TestProcessor {
  const processor = testProcessor(options, model);
  const { state, physical, cpu } = processor;
  loadTables(processor);
  physical.write(Number(AT.TSS) + 4, 4, Number(AT.INNER_STACK), 0);
  physical.write(Number(AT.TSS) + 8, 2, SELECTOR.DATA0, 0);
  state.CR0 = BigInt(CR0.PE | CR0.ET);
  load(state, CS, cpl ? SELECTOR.CODE3 : SELECTOR.CODE0, cpl ? RIGHTS.CODE3 : RIGHTS.CODE0);
  for (const segment of [ES, SS, DS, FS, GS]) {
    load(state, segment, cpl ? SELECTOR.DATA3 : SELECTOR.DATA0, cpl ? RIGHTS.DATA3 : RIGHTS.DATA0);
  }
  state.CPL = cpl;
  state.RIP = AT.CODE;
  cpu.mmu.updateContext();
  return processor;
}

/** Virtual-8086 mode over {@link protectedProcessor}. */
export function virtual8086Processor(): TestProcessor {
  const processor = protectedProcessor(3);
  const { state, cpu } = processor;
  state.systemFlags |= 1 << 17;
  for (const segment of [ES, CS, SS, DS, FS, GS]) {
    state.setSegmentSelector(segment, 0x200 + segment);
    state.setSegmentBase(segment, BigInt(0x200 + segment) << 4n);
    state.setSegmentLimit(segment, 0xffff);
    state.setSegmentAccessRights(segment, 0xf3);
  }
  state.RIP = 0x123n;
  state.setGpr(RSP, 0x1000n);
  cpu.mmu.updateContext();
  return processor;
}

/** 64-bit mode at the privilege level; RSP0 is the inner stack. */
export function longProcessor(
  cpl: 0 | 3 = 0,
  options: Partial<ModelOptions> = {},
  model?: string,
): TestProcessor {
  const processor = testProcessor(options, model);
  const { state, cpu } = processor;
  loadTables(processor);
  write64(processor, AT.TABLES, (AT.TABLES + 0x1000n) | 7n);
  write64(processor, AT.TABLES + 0x1000n, (AT.TABLES + 0x2000n) | 7n);
  write64(processor, AT.TABLES + 0x2000n, (AT.TABLES + 0x3000n) | 7n);
  for (let page = 0n; page < 512n; page++)
    write64(processor, AT.TABLES + 0x3000n + page * 8n, (page << 12n) | 7n);
  write64(processor, AT.TSS + 4n, AT.INNER_STACK);
  state.CR0 = BigInt((CR0.PE | CR0.ET | CR0.PG | CR0.WP) >>> 0);
  state.CR3 = AT.TABLES;
  state.CR4 = BigInt(CR4.PAE);
  state.IA32_EFER = BigInt(EFER.LME | EFER.LMA | EFER.NXE | EFER.SCE);
  load(
    state,
    CS,
    cpl ? SELECTOR.LONG_CODE3 : SELECTOR.LONG_CODE0,
    cpl ? RIGHTS.LONG_CODE3 : RIGHTS.LONG_CODE0,
  );
  for (const segment of [ES, SS, DS, FS, GS]) {
    load(state, segment, cpl ? SELECTOR.DATA3 : SELECTOR.DATA0, cpl ? RIGHTS.DATA3 : RIGHTS.DATA0);
  }
  state.CPL = cpl;
  state.RIP = AT.CODE;
  cpu.mmu.updateContext();
  return processor;
}

/** Takes a page of the identity map away. */
export function unmap(processor: TestProcessor, page: bigint): void {
  write64(processor, AT.TABLES + 0x3000n + (page >> 12n) * 8n, 0n);
  processor.cpu.mmu.invalidatePage(page);
}
