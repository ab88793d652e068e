/**
 * The registers a debugger shows, one row each, and how the debugger writes them. MSRs come from core/msrs.ts, the local
 * APIC's registers from {@link LAPIC_REGISTERS}.
 *
 * Intel SDM Vol. 1, "Basic Program Execution Registers", 3.4; Vol. 3A, "System Architecture Overview", chapter 2.
 */
import type { BitFieldRow } from '../base/bitFields.ts';
import { type Reference, SDM } from '../base/reference.ts';
import { writeCr0, writeCr3, writeCr4, writeXcr } from '../core/controlRegisters.ts';
import type { Cpu } from '../core/cpu.ts';
import { OUTCOME, type Outcome } from '../core/outcome.ts';
import { writeRflags } from '../state/flags.ts';
import { GPR_NAMES, SEGMENT_NAMES } from '../state/registers.ts';
import {
  ACCESS_RIGHTS_BITS,
  CR0_BITS,
  CR3_BITS,
  CR4_BITS,
  DR7_BITS,
  RFLAGS_BITS,
  SELECTOR_BITS,
} from '../vmx/registerBits.ts';
import { type StatePlace, writePlace } from './guestState.ts';

export interface RegisterRow {
  readonly name: string;
  readonly bits: 16 | 32 | 64 | 128 | 256;
  readonly place: StatePlace;
  readonly fields?: readonly BitFieldRow[];
  readonly ref: Reference;
  /** Writes as an instruction would; false when the processor refuses the value. Absent: read-only. */
  readonly write?: (cpu: Cpu, value: bigint) => boolean;
}

export interface RegisterGroupRows {
  readonly key: string;
  readonly title: string;
  readonly rows: readonly RegisterRow[];
}

const GENERAL = SDM('General-Purpose Registers', '3.4.1');
const SEGMENTS = SDM('Segment Registers', '3.4.2');
const CONTROL = SDM('Control Registers', '2.5');
const DEBUG = SDM('Debug Registers', '19.2');
const TABLES = SDM('Memory-Management Registers', '2.4');

const accepted = (outcome: Outcome): boolean => outcome !== OUTCOME.FAULT && outcome !== OUTCOME.VM_EXIT;

/** As it is: what follows from segments and descriptor tables is computed when they are used, the context is not. */
function direct(place: StatePlace): NonNullable<RegisterRow['write']> {
  return (cpu, value) => {
    writePlace(cpu.state, place, value);
    cpu.mmu.updateContext();
    return true;
  };
}

function row(
  name: string,
  bits: RegisterRow['bits'],
  state: StatePlace['state'],
  element: number,
  ref: Reference,
): RegisterRow {
  const place = { state, element };
  return { name, bits, place, ref, write: direct(place) };
}

const GENERAL_ROWS: readonly RegisterRow[] = [
  ...GPR_NAMES.map((name, element) => row(name, 64, 'GPR', element, GENERAL)),
  row('RIP', 64, 'RIP', 0, SDM('Instruction Pointer', '3.5')),
  {
    ...row('RFLAGS', 64, 'RFLAGS', 0, SDM('RFLAGS Register in 64-Bit Mode', '3.4.3.4')),
    fields: RFLAGS_BITS,
    write: (cpu, value) => {
      if (value >> 22n) return false;
      writeRflags(cpu.state, Number(value));
      return true;
    },
  },
];

const SEGMENT_ROWS: readonly RegisterRow[] = [
  ...SEGMENT_NAMES.flatMap((name, element) => [
    { ...row(name, 16, 'SEG_SELECTOR', element, SEGMENTS), fields: SELECTOR_BITS },
    row(`${name}_BASE`, 64, 'SEG_BASE', element, SEGMENTS),
    row(`${name}_LIMIT`, 32, 'SEG_LIMIT', element, SEGMENTS),
    {
      ...row(`${name}_ACCESS_RIGHTS`, 32, 'SEG_ACCESS_RIGHTS', element, SEGMENTS),
      fields: ACCESS_RIGHTS_BITS,
    },
  ]),
  row('GDTR_BASE', 64, 'GDTR_BASE', 0, TABLES),
  row('GDTR_LIMIT', 16, 'GDTR_LIMIT', 0, TABLES),
  row('IDTR_BASE', 64, 'IDTR_BASE', 0, TABLES),
  row('IDTR_LIMIT', 16, 'IDTR_LIMIT', 0, TABLES),
];

const CPL_BITS = [
  { bit: 0, width: 2, key: 'CPL', name: 'Current privilege level' },
] as const satisfies readonly BitFieldRow[];

const CONTROL_ROWS: readonly RegisterRow[] = [
  {
    ...row('CR0', 64, 'CR0', 0, CONTROL),
    fields: CR0_BITS,
    write: (cpu, value) => accepted(writeCr0(cpu, value)),
  },
  row('CR2', 64, 'CR2', 0, CONTROL),
  {
    ...row('CR3', 64, 'CR3', 0, CONTROL),
    fields: CR3_BITS,
    write: (cpu, value) => accepted(writeCr3(cpu, value)),
  },
  {
    ...row('CR4', 64, 'CR4', 0, CONTROL),
    fields: CR4_BITS,
    write: (cpu, value) => accepted(writeCr4(cpu, value)),
  },
  {
    ...row('XCR0', 64, 'XCR0', 0, SDM('Extended Control Registers (Including XCR0)', '2.6')),
    write: (cpu, value) => accepted(writeXcr(cpu, 0, value)),
  },
  { ...row('CPL', 32, 'CPL', 0, SDM('Privilege Levels', '6.5')), fields: CPL_BITS, write: undefined },
];

const DEBUG_ROWS: readonly RegisterRow[] = [0, 1, 2, 3, 6, 7].map((index) => ({
  ...row(`DR${index}`, 64, 'DR', index, DEBUG),
  ...(index === 7 && { fields: DR7_BITS }),
}));

const VECTOR = SDM('XMM Registers', '10.2.2');
const EXTENDED = SDM('The YMM Registers and State', '14.1.1');

const MXCSR_BITS = [
  { bit: 0, key: 'IE', name: 'Invalid operation' },
  { bit: 1, key: 'DE', name: 'Denormal operand' },
  { bit: 2, key: 'ZE', name: 'Divide by zero' },
  { bit: 3, key: 'OE', name: 'Overflow' },
  { bit: 4, key: 'UE', name: 'Underflow' },
  { bit: 5, key: 'PE', name: 'Precision' },
  { bit: 6, key: 'DAZ', name: 'Denormals are zeros' },
  { bit: 7, key: 'IM', name: 'Invalid operation mask' },
  { bit: 8, key: 'DM', name: 'Denormal operand mask' },
  { bit: 9, key: 'ZM', name: 'Divide by zero mask' },
  { bit: 10, key: 'OM', name: 'Overflow mask' },
  { bit: 11, key: 'UM', name: 'Underflow mask' },
  { bit: 12, key: 'PM', name: 'Precision mask' },
  { bit: 13, width: 2, key: 'RC', name: 'Rounding control' },
  { bit: 15, key: 'FTZ', name: 'Flush to zero' },
] as const satisfies readonly BitFieldRow[];

/** XMM registers are bits 127:0 of YMM registers. */
function vectorRows(prefix: 'XMM' | 'YMM', bits: 128 | 256, ref: Reference): RegisterRow[] {
  return Array.from({ length: 16 }, (_, number) => {
    const place = { state: 'YMM', element: 4 * number, count: bits / 64 } as const;
    return { name: `${prefix}${number}`, bits, place, ref, write: direct(place) };
  });
}

const VECTOR_ROWS: readonly RegisterRow[] = [
  ...vectorRows('XMM', 128, VECTOR),
  ...vectorRows('YMM', 256, EXTENDED),
  {
    ...row('MXCSR', 32, 'MXCSR', 0, SDM('MXCSR Control and Status Register', '10.2.3')),
    fields: MXCSR_BITS,
    write: (cpu, value) => {
      if (value >> 16n) return false;
      cpu.state.MXCSR = Number(value);
      return true;
    },
  },
];

/** Groups with fixed rows, in the order of the view. */
export const REGISTER_GROUPS: readonly RegisterGroupRows[] = [
  { key: 'general', title: 'Registers', rows: GENERAL_ROWS },
  { key: 'control', title: 'Control Registers', rows: CONTROL_ROWS },
  { key: 'segments', title: 'Segments', rows: SEGMENT_ROWS },
  { key: 'debug', title: 'Debug Registers', rows: DEBUG_ROWS },
  { key: 'vector', title: 'Vector', rows: VECTOR_ROWS },
];

/** @see SDM "Local APIC Register Address Map", table 12-1 */
export const LAPIC_REGISTERS: readonly { readonly name: string; readonly offset: number }[] = [
  { name: 'ID', offset: 0x20 },
  { name: 'VERSION', offset: 0x30 },
  { name: 'TPR', offset: 0x80 },
  { name: 'PPR', offset: 0xa0 },
  { name: 'LDR', offset: 0xd0 },
  { name: 'DFR', offset: 0xe0 },
  { name: 'SVR', offset: 0xf0 },
  ...(['ISR', 'TMR', 'IRR'] as const).flatMap((name, index) =>
    Array.from({ length: 8 }, (_, i) => ({
      name: `${name}_${32 * i + 31}_${32 * i}`,
      offset: 0x100 + 0x80 * index + 0x10 * i,
    })),
  ),
  { name: 'ESR', offset: 0x280 },
  { name: 'ICR_LOW', offset: 0x300 },
  { name: 'ICR_HIGH', offset: 0x310 },
  { name: 'LVT_TIMER', offset: 0x320 },
  { name: 'LVT_THERMAL', offset: 0x330 },
  { name: 'LVT_PERFORMANCE', offset: 0x340 },
  { name: 'LVT_LINT0', offset: 0x350 },
  { name: 'LVT_LINT1', offset: 0x360 },
  { name: 'LVT_ERROR', offset: 0x370 },
  { name: 'TIMER_INITIAL_COUNT', offset: 0x380 },
  { name: 'TIMER_CURRENT_COUNT', offset: 0x390 },
  { name: 'TIMER_DIVIDE', offset: 0x3e0 },
];
