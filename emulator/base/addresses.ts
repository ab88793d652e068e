/**
 * The address spaces of a virtualized x86-64 machine as branded types: mixing them up is the typical bug of this
 * domain. Physical addresses are JavaScript numbers (exact to 2^53, MAXPHYADDR is at most 52), linear addresses are
 * `bigint` outside hot code.
 */

declare const space: unique symbol;

/** A 64-bit linear (virtual) address, unsigned. */
export type LinearAddr = bigint & { readonly [space]: 'linear' };
/** An address that the guest's page tables produce; EPT translates it further. In root mode it equals the host's. */
export type GuestPhysAddr = number & { readonly [space]: 'guest-physical' };
/** An address on the machine's own bus. */
export type HostPhysAddr = number & { readonly [space]: 'host-physical' };

export const linear = (address: bigint): LinearAddr => BigInt.asUintN(64, address) as LinearAddr;
export const guestPhys = (address: number): GuestPhysAddr => address as GuestPhysAddr;
export const hostPhys = (address: number): HostPhysAddr => address as HostPhysAddr;

export const PAGE_SIZE = 4096;
export const PAGE_MASK = PAGE_SIZE - 1;
