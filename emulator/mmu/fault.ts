/**
 * Why an address could not be translated. The MMU never raises anything: it leaves the reason here and core makes #PF
 * or a VM exit of it.
 *
 * Intel SDM Vol. 3A, "Page-Fault Exceptions", 5.7; Vol. 3C, "EPT-Induced VM Exits", 30.3.3.
 */

/**
 * The error code of #PF.
 *
 * @see SDM "Page-Fault Exceptions", 5.7, figure 5-12
 */
export const PAGE_FAULT = {
  PRESENT: 1 << 0,
  WRITE: 1 << 1,
  USER: 1 << 2,
  RESERVED: 1 << 3,
  FETCH: 1 << 4,
  PROTECTION_KEY: 1 << 5,
  /** No translation by HLAT paging: an entry is not present, or a reserved bit is set. */
  HLAT: 1 << 7,
} as const;

/** The bits of an EPT violation's qualification that the MMU knows; bit 12 belongs to IRET. */
export const EPT_ACCESS = { READ: 1, WRITE: 2, FETCH: 4 } as const;
export const EPT_LINEAR_VALID = 1 << 7;
/** The access was to the translation of the linear address, not to a guest paging-structure entry. */
export const EPT_TRANSLATED = 1 << 8;

/** Kinds of access to the APIC-access page: bits 15:12 of the exit qualification. */
export const APIC_ACCESS = {
  READ: 0,
  WRITE: 1,
  FETCH: 2,
  /** Of an instruction, but not to the translation of a linear address: to a paging-structure entry. */
  GUEST_PHYSICAL: 15,
} as const;

/** A second-level translation that failed; core/virtualization.ts expects this shape. */
export interface SecondLevelFaultDetails {
  readonly kind: 'violation' | 'misconfiguration' | 'log-full' | 'apic-access' | 'sub-page';
  readonly guestPhysical: number;
  readonly qualification: number;
  readonly linear: bigint;
  readonly suppressVe: boolean;
}

/** Valid after a translation or an access that failed, until the next one. */
export class MemoryFault {
  kind: 'none' | 'page' | 'second-level' | 'non-canonical' | 'alignment' = 'none';
  linearLo = 0;
  linearHi = 0;
  /** `page`: what #PF pushes. */
  errorCode = 0;
  /** `second-level`: the guest-physical address and, for a violation, bits 8:0 of the qualification. */
  misconfiguration = false;
  logFull = false;
  subPageEvent = false;
  isApicAccess = false;
  suppressVe = false;
  guestPhysical = 0;
  qualification = 0;

  /** The access is to the APIC-access page, and has to leave the guest. Gives the code of a second-level fault. */
  apicAccess(host: number, access: number): -2 {
    this.kind = 'second-level';
    this.misconfiguration = false;
    this.logFull = false;
    this.subPageEvent = false;
    this.isApicAccess = true;
    this.qualification = (host % 4096) | (access << 12);
    return -2;
  }

  get linear(): bigint {
    return (BigInt(this.linearHi >>> 0) << 32n) | BigInt(this.linearLo >>> 0);
  }

  get secondLevel(): SecondLevelFaultDetails {
    if (this.isApicAccess) {
      const { guestPhysical, qualification, linear } = this;
      return { kind: 'apic-access', guestPhysical, qualification, linear, suppressVe: true };
    }
    if (this.subPageEvent) {
      const { guestPhysical, qualification, linear } = this;
      return { kind: 'sub-page', guestPhysical, qualification, linear, suppressVe: true };
    }
    return {
      kind: this.misconfiguration ? 'misconfiguration' : this.logFull ? 'log-full' : 'violation',
      guestPhysical: this.guestPhysical,
      qualification: this.misconfiguration ? 0 : this.qualification,
      suppressVe: this.suppressVe,
      linear: this.misconfiguration || (this.qualification & EPT_LINEAR_VALID) === 0 ? 0n : this.linear,
    };
  }
}
