/**
 * Registers and bits of the local APIC, and which of them exist in x2APIC mode.
 *
 * @see SDM "The Local APIC Block Diagram", 11.4.1; "x2APIC Register Address Space", 11.12.1.2
 */
import type { TimerMode } from './localApicTimer.ts';

/** Register offsets; the MSR of a register is 800H + offset / 16. */
export const REGISTER = {
  ID: 0x020,
  VERSION: 0x030,
  TPR: 0x080,
  PPR: 0x0a0,
  EOI: 0x0b0,
  LDR: 0x0d0,
  DFR: 0x0e0,
  SVR: 0x0f0,
  ISR: 0x100,
  TMR: 0x180,
  IRR: 0x200,
  ESR: 0x280,
  ICR_LOW: 0x300,
  ICR_HIGH: 0x310,
  LVT_TIMER: 0x320,
  LVT_THERMAL: 0x330,
  LVT_PERFORMANCE: 0x340,
  LVT_LINT0: 0x350,
  LVT_LINT1: 0x360,
  LVT_ERROR: 0x370,
  TIMER_INITIAL_COUNT: 0x380,
  TIMER_CURRENT_COUNT: 0x390,
  TIMER_DIVIDE: 0x3e0,
  SELF_IPI: 0x3f0,
} as const;

export const X2APIC_FIRST_MSR = 0x800;
export const X2APIC_LAST_MSR = 0x8ff;
export const IA32_TSC_DEADLINE = 0x6e0;

/** IA32_APIC_BASE: global enable, x2APIC mode. */
export const APIC_BASE_ENABLE = 1n << 11n;
export const APIC_BASE_X2APIC = 1n << 10n;

/** An integrated APIC (version 14H) with six LVT entries. */
export const VERSION_VALUE = 0x0005_0014;
export const SVR_ENABLE = 0x100;
export const SVR_BITS = 0x1ff;
export const DFR_CLUSTER = 0x0fff_ffff;

/** Bits of an LVT entry. */
export const LVT = {
  MASKED: 0x1_0000,
  LEVEL: 0x8000,
  REMOTE_IRR: 0x4000,
  DELIVERY_STATUS: 0x1000,
  DELIVERY_MODE: 0x0700,
} as const;
export const LVT_TIMER_MODE_SHIFT = 17;
export const TIMER_MODES: readonly (TimerMode | undefined)[] = [
  'one-shot',
  'periodic',
  'tsc-deadline',
  undefined,
];

/** Which bits of an LVT entry can be written. */
export const LVT_BITS: ReadonlyMap<number, number> = new Map([
  [REGISTER.LVT_TIMER, 0x7_00ff],
  [REGISTER.LVT_THERMAL, 0x1_07ff],
  [REGISTER.LVT_PERFORMANCE, 0x1_07ff],
  [REGISTER.LVT_LINT0, 0x1_a7ff],
  [REGISTER.LVT_LINT1, 0x1_a7ff],
  [REGISTER.LVT_ERROR, 0x1_00ff],
]);
export const LVT_OFFSETS = [...LVT_BITS.keys()];

/** Delivery modes of ICR, LVT and I/O APIC, bits 10:8. */
export const DELIVERY_MODE = {
  FIXED: 0,
  LOWEST_PRIORITY: 1,
  SMI: 2,
  NMI: 4,
  INIT: 5,
  START_UP: 6,
  EXT_INT: 7,
} as const;

export const ICR_BITS = 0x000c_cfff;
/** Bits of the interrupt command register. */
export const ICR = {
  LEVEL_ASSERT: 0x4000,
  LEVEL_TRIGGER: 0x8000,
  LOGICAL: 0x0800,
} as const;
export const SHORTHANDS = ['none', 'self', 'all', 'others'] as const;

/** Bits of the error status register. */
export const ESR = {
  SEND_ILLEGAL_VECTOR: 0x20,
  RECEIVE_ILLEGAL_VECTOR: 0x40,
  ILLEGAL_REGISTER: 0x80,
} as const;

/** Vectors 0 to 15 are reserved for exceptions. */
export const LOWEST_VECTOR = 16;
/** A physical destination that means every processor. */
export const BROADCAST = 0xffff_ffff;
export const XAPIC_BROADCAST = 0xff;

/** Registers that exist in x2APIC mode, by access. Reserved bits that are written give #GP. */
export const X2APIC_WRITABLE_BITS: ReadonlyMap<number, number> = new Map([
  [REGISTER.TPR, 0xff],
  [REGISTER.EOI, 0],
  [REGISTER.SVR, SVR_BITS],
  [REGISTER.ESR, 0],
  [REGISTER.TIMER_INITIAL_COUNT, 0xffff_ffff],
  [REGISTER.TIMER_DIVIDE, 0x0b],
  [REGISTER.SELF_IPI, 0xff],
  // Delivery status and remote IRR are read-only, not reserved.
  ...[...LVT_BITS].map(([offset, bits]) => [offset, bits | LVT.DELIVERY_STATUS | LVT.REMOTE_IRR] as const),
]);
export const X2APIC_WRITE_ONLY: ReadonlySet<number> = new Set([REGISTER.EOI, REGISTER.SELF_IPI]);
export const X2APIC_READ_ONLY: ReadonlySet<number> = new Set([
  REGISTER.ID,
  REGISTER.VERSION,
  REGISTER.PPR,
  REGISTER.LDR,
  REGISTER.TIMER_CURRENT_COUNT,
]);
