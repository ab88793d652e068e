/** The address spaces memory can be opened in, and how an address in them is written for the adapter. */

export interface AddressSpace {
  readonly command: string;
  readonly title: string;
  /** Of memory references and expressions: `gpa:0x1000`. */
  readonly prefix: 'va' | 'gpa' | 'hpa';
  readonly example: string;
}

export const ADDRESS_SPACES: readonly AddressSpace[] = [
  {
    command: 'hvm.openLinearMemory',
    title: 'linear',
    prefix: 'va',
    example: 'rsp, kmain, 0xffffffff80000000',
  },
  {
    command: 'hvm.openGuestPhysicalMemory',
    title: 'guest-physical',
    prefix: 'gpa',
    example: 'cr3 & ~0xfff, 0x100000',
  },
  {
    command: 'hvm.openHostPhysicalMemory',
    title: 'host-physical',
    prefix: 'hpa',
    example: 'vmcs.ept_pointer & ~0xfff, 0x1000',
  },
];

/** The memory reference of a plain number; undefined for what has to be computed. */
export function plainReference({ prefix }: AddressSpace, text: string): string | undefined {
  const number = text.trim().replaceAll('_', '');
  if (!/^(0x[0-9a-f]{1,16}|[0-9]{1,20})$/i.test(number)) return undefined;
  const address = BigInt(number);
  if (address >> 64n) return undefined;
  return `${prefix === 'va' ? '' : `${prefix}:`}0x${address.toString(16)}`;
}

/** The expression whose value has the memory reference of an address that has to be computed. */
export function addressExpression({ prefix }: AddressSpace, text: string): string {
  return `${prefix}:(${text})`;
}
