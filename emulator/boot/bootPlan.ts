/**
 * What a loader decided: which bytes go where in physical memory and the processor's state at the first instruction.
 * Loaders are pure functions over bytes; the machine applies the plan.
 */
import type { NamedBytes } from '../machine/config.ts';

/** Bytes for physical memory. What is longer than the bytes is zero. */
export interface BootSegment {
  /** For the debugger's memory map, e.g. `PT_LOAD 1`, `command line`. */
  readonly name: string;
  readonly address: number;
  readonly length: number;
  readonly bytes: Uint8Array;
}

export type BootRegister = 'RAX' | 'RBX' | 'RCX' | 'RDX' | 'RSP' | 'RBP' | 'RSI' | 'RDI';

/** The processor at the first instruction. Interrupts are disabled; registers that are not named are 0. */
export interface BootEntry {
  /**
   * `protected32`: 32-bit code, paging off. `long64`: 64-bit code, the first 4 GiB mapped to themselves. Segments are
   * flat, from the GDT below.
   */
  readonly mode: 'protected32' | 'long64';
  readonly rip: bigint;
  readonly gpr: Readonly<Partial<Record<BootRegister, bigint>>>;
  readonly cr0: number;
  /** Physical address of the page tables, 0 in `protected32`. */
  readonly cr3: number;
  readonly cr4: number;
  readonly efer: number;
  readonly gdt: { readonly base: number; readonly limit: number };
  /** Selector of CS. */
  readonly codeSelector: number;
  /** Selector of DS, ES, FS, GS and SS. */
  readonly dataSelector: number;
}

export type BootLoader = 'multiboot1' | 'linux' | 'flat64';

export interface BootPlan {
  readonly loader: BootLoader;
  /** Do not overlap; in order of address. */
  readonly segments: readonly BootSegment[];
  readonly entry: BootEntry;
}

/** What besides the image decides a plan; the fields are those of `MachineConfig`. */
export interface BootOptions {
  readonly memoryBytes: number;
  /** Number of processors, for the ACPI tables. */
  readonly cpus: number;
  readonly append: string;
  readonly initrd: NamedBytes | undefined;
  readonly modules: readonly (NamedBytes & { readonly commandLine: string })[];
}
