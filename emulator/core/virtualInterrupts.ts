/**
 * The virtual interrupt flag: what stands for IF where IOPL does not let a program change it. CR4.VME is for virtual-8086
 * mode, where it also redirects software interrupts to the program's own handlers; CR4.PVI is for protected mode.
 *
 * Intel SDM Vol. 3B, "Interrupt and Exception Handling in Virtual-8086 Mode", 22.3; "Protected-Mode Virtual Interrupts",
 * 22.4.
 */
import { CR4, FLAG, TR } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import { ioMapBase, readTss } from './tss.ts';

export function iopl({ state }: Cpu): number {
  return (state.systemFlags & FLAG.IOPL) >> 12;
}

/** A virtual-8086 program that may not change IF. */
export function isRestricted(cpu: Cpu): boolean {
  return cpu.state.virtual8086 && iopl(cpu) < 3;
}

/** Whether CLI and STI change VIF; asked where they may not change IF. */
export function hasVirtualInterruptFlag({ state }: Cpu): boolean {
  return (state.cr4 & (state.virtual8086 ? CR4.VME : CR4.PVI)) !== 0 && state.CPL === 3;
}

/** The flags that a virtual-8086 program with IOPL below 3 sees: VIF in the place of IF, and IOPL 3. */
export function shownFlags(flags: number): number {
  const others = flags & ~(FLAG.IF | FLAG.IOPL);
  return others | FLAG.IOPL | (flags & FLAG.VIF ? FLAG.IF : 0);
}

/**
 * The 16 flags after a POPF or IRET of such a program, of which IF goes to VIF; undefined is #GP(0): TF is not to be set,
 * and an interrupt that pends wants to be told when IF is.
 */
export function acceptedFlags(flags: number, image: number): number | undefined {
  const enables = (image & FLAG.IF) !== 0;
  if ((image & FLAG.TF) !== 0 || (enables && (flags & FLAG.VIP) !== 0)) return undefined;
  const kept = 0xffff_0000 | FLAG.IF | FLAG.IOPL;
  return (flags & kept & ~FLAG.VIF) | (image & ~kept) | (enables ? FLAG.VIF : 0);
}

const REDIRECTION_BYTES = 32;

/**
 * Whether the interrupt redirection bit map, below the I/O permission bit map, leaves an interrupt of INT n to the program
 * itself; undefined when reading it faulted.
 *
 * @see SDM "Class 3—Software Interrupt Handling in Virtual-8086 Mode", 22.3.3
 */
export function isRedirected(cpu: Cpu, vector: number): boolean | undefined {
  if ((cpu.state.cr4 & CR4.VME) === 0) return false;
  const mapBase = ioMapBase(cpu);
  if (mapBase === undefined) return undefined;
  const offset = mapBase - REDIRECTION_BYTES + 2 * (vector >> 4);
  if (offset < 0 || offset + 1 > cpu.state.segmentLimit(TR)) {
    cpu.raiseGp();
    return undefined;
  }
  const bits = readTss(cpu, offset, 2);
  return bits === undefined ? undefined : (Number(bits) & (1 << (vector & 15))) === 0;
}
