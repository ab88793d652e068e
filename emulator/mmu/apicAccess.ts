/**
 * The APIC-access page: accesses to one page of host-physical memory that VT-x sends elsewhere or refuses.
 *
 * Intel SDM Vol. 3C, "Virtualizing Memory-Mapped APIC Accesses", 31.4.
 */

export interface ApicAccessPage {
  /** The host-physical address an access goes to instead; undefined refuses it. */
  redirect(offset: number, size: number, write: boolean): number | undefined;
}

/** What {@link ApicAccess.address} is while there is no such page. */
const NO_PAGE = -0x10_0000;

export class ApicAccess {
  /** Host-physical address of the page. */
  address: number = NO_PAGE;
  page: ApicAccessPage | undefined;

  set(address: number | undefined, page: ApicAccessPage): void {
    this.address = address ?? NO_PAGE;
    this.page = page;
  }

  has(host: number): boolean {
    return host >= this.address && host < this.address + 4096;
  }
}
