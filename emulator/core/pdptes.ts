/**
 * The PDPTE registers of PAE paging: loaded from memory when CR3 or the paging bits change.
 *
 * Intel SDM Vol. 3A, "PDPTE Registers", 5.4.1.
 */
import { CR0, CR4, EFER } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import { OUTCOME, type Outcome } from './outcome.ts';

const COUNT = 4;
const TABLE_BYTES = COUNT * 8;
const TABLE_ADDRESS = 0xffff_ffe0n;
const PRESENT = 1n;
/** Bits 2:1 and 8:5; the bits from MAXPHYADDR up are reserved as well. */
const RESERVED_LOW = 0x1e6n;
const READ_ACCESS = 1;

/** PAE paging: neither 32-bit paging nor IA-32e mode. */
export function usesPaePaging(cr0: number, cr4: number, efer: number): boolean {
  return (cr0 & CR0.PG) !== 0 && (cr4 & CR4.PAE) !== 0 && (efer & EFER.LMA) === 0;
}

/** Whether the four PDPTEs can be loaded: a present one must not set a reserved bit. */
export function arePdptesValid(pdptes: readonly bigint[], physicalAddressBits: number): boolean {
  const reserved = RESERVED_LOW | ~((1n << BigInt(physicalAddressBits)) - 1n);
  return pdptes.every((pdpte) => (pdpte & PRESENT) === 0n || (pdpte & reserved) === 0n);
}

/** The PDPTEs that a CR3 value names, or undefined when the second level of translation has no page there. */
export function readPdptes(cpu: Cpu, cr3: bigint): bigint[] | undefined {
  const bytes = cpu.mmu.peekGuestPhysical(Number(cr3 & TABLE_ADDRESS), TABLE_BYTES);
  if (bytes.length < TABLE_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, TABLE_BYTES);
  return Array.from({ length: COUNT }, (_, i) => view.getBigUint64(i * 8, true));
}

/** Loads the PDPTEs for a CR3 value: NEXT, or #GP(0) or a VM exit with nothing changed. */
export function loadPdptes(cpu: Cpu, cr3: bigint): Outcome {
  const pdptes = readPdptes(cpu, cr3);
  if (!pdptes) {
    const guestPhysical = Number(cr3 & TABLE_ADDRESS);
    cpu.failed = cpu.virtualization.secondLevelFault({
      kind: 'violation',
      guestPhysical,
      qualification: READ_ACCESS,
      linear: 0n,
    });
    return cpu.failed;
  }
  if (!arePdptesValid(pdptes, cpu.model.physicalAddressBits)) return cpu.raiseGp();
  for (const [i, pdpte] of pdptes.entries()) cpu.state.setPdpte(i, pdpte);
  return OUTCOME.NEXT;
}
