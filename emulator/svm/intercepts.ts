/**
 * The intercepts that are there, by the vendor-neutral points of core/virtualization.ts.
 *
 * AMD64 Architecture Programmer's Manual vol. 2, 15.9, "Instruction Intercepts"; appendix C, "SVM Intercept Exit Codes".
 */

/** `point` is one of core/virtualization.ts; `word` an intercept vector of the control area, 3 or 4. */
export interface InterceptRow {
  readonly point: string;
  readonly word: 3 | 4;
  readonly bit: number;
  readonly exitCode: number;
}

// biome-ignore format: rows are read as a table
export const INTERCEPTS = [
  { point: 'RDTSC', word: 3, bit: 14, exitCode: 0x6e },
  { point: 'CPUID', word: 3, bit: 18, exitCode: 0x72 },
  { point: 'INVD', word: 3, bit: 22, exitCode: 0x76 },
  { point: 'HLT', word: 3, bit: 24, exitCode: 0x78 },
] as const satisfies readonly InterceptRow[];

/** Bits of the intercept vectors that are about something else than {@link INTERCEPTS}. */
export const INTERCEPT_3 = { INTR: 1 << 0, NMI: 1 << 1, SHUTDOWN: 1 << 31 } as const;
export const INTERCEPT_4 = { VMRUN: 1 << 0, VMMCALL: 1 << 1 } as const;

export const EXIT = {
  EXCEPTION: 0x40,
  INTR: 0x60,
  NMI: 0x61,
  SHUTDOWN: 0x7f,
  VMRUN: 0x80,
  VMMCALL: 0x81,
} as const;

const bits = (word: 3 | 4): number =>
  INTERCEPTS.reduce((mask, row) => (row.word === (word as number) ? mask | (1 << row.bit) : mask), 0);

/** What may be set without meeting something that is not there. */
export const KNOWN_3 = bits(3) | INTERCEPT_3.INTR | INTERCEPT_3.NMI | INTERCEPT_3.SHUTDOWN;
export const KNOWN_4 = bits(4) | INTERCEPT_4.VMRUN | INTERCEPT_4.VMMCALL;
