/**
 * Protection keys: the registers that say what data accesses may do with the pages of each key. The page walk applies them.
 *
 * Intel SDM Vol. 3A, "Protection Keys", 5.6.2.
 */
import { CR4 } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';

/** Cached translations carry no keys: they have to be made again under the new rights. */
function rightsChanged(cpu: Cpu, enabledBy: number): void {
  if ((cpu.state.cr4 & enabledBy) !== 0) cpu.mmu.spaces.flushLinear();
}

/** The rights of user-mode pages, from WRPKRU or XRSTOR. */
export function writePkru(cpu: Cpu, value: number): void {
  if (cpu.state.PKRU >>> 0 === value >>> 0) return;
  cpu.state.PKRU = value >>> 0;
  rightsChanged(cpu, CR4.PKE);
}

/** The rights of supervisor-mode pages. */
export function writePkrs(cpu: Cpu, value: bigint): boolean {
  if (value >> 32n) return false;
  if (cpu.state.IA32_PKRS === value) return true;
  cpu.state.IA32_PKRS = value;
  rightsChanged(cpu, CR4.PKS);
  return true;
}

/** A VM entry or VM exit loads the rights of supervisor-mode pages: the translations of both sides may have been made with others. */
export function loadPkrs({ state, mmu }: Cpu, value: number): void {
  const next = BigInt(value >>> 0);
  if (state.IA32_PKRS === next) return;
  state.IA32_PKRS = next;
  mmu.spaces.flushEverything();
}
