/**
 * The PDPTE registers of PAE paging: loaded from memory when CR3 or the paging bits change.
 *
 * Intel SDM Vol. 3A, "PDPTE Registers", 5.4.1.
 */
import { CR0, CR4, EFER } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import { OUTCOME, type Outcome } from './outcome.ts';

const PRESENT = 1n;
/** Bits 2:1 and 8:5; the bits from MAXPHYADDR up are reserved as well. */
const RESERVED_LOW = 0x1e6n;

/** PAE paging: neither 32-bit paging nor IA-32e mode. */
export function usesPaePaging(cr0: number, cr4: number, efer: number): boolean {
  return (cr0 & CR0.PG) !== 0 && (cr4 & CR4.PAE) !== 0 && (efer & EFER.LMA) === 0;
}

/** Whether the four PDPTEs can be loaded: a present one must not set a reserved bit. */
export function arePdptesValid(pdptes: readonly bigint[], physicalAddressBits: number): boolean {
  const reserved = RESERVED_LOW | ~((1n << BigInt(physicalAddressBits)) - 1n);
  return pdptes.every((pdpte) => (pdpte & PRESENT) === 0n || (pdpte & reserved) === 0n);
}

/** Loads the PDPTEs for a CR3 value: NEXT, or #GP(0) or a VM exit with nothing changed. */
export function loadPdptes(cpu: Cpu, cr3: bigint): Outcome {
  const pdptes = cpu.mmu.readPdptes(cr3);
  if (!pdptes) return cpu.raiseMemoryFault();
  if (!arePdptesValid(pdptes, cpu.model.physicalAddressBits)) return cpu.raiseGp();
  for (const [i, pdpte] of pdptes.entries()) cpu.state.setPdpte(i, pdpte);
  return OUTCOME.NEXT;
}
