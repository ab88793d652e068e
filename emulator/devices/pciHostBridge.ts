/**
 * The configuration space of the host bridge at 0:0.0: the identity of an Intel 82440FX, which every system knows,
 * and nothing that could be programmed.
 *
 * @see PCI Local Bus Specification 3.0, "Configuration Space Organization", 6.1; Intel 82441FX (PMC) datasheet
 */
import type { AccessSize } from './device.ts';
import type { PciFunction } from './pciHost.ts';

const VENDOR_INTEL = 0x8086;
const DEVICE_82441FX = 0x1237;
const REVISION = 0x02;
/** Bridge, host. */
const CLASS_CODE = 0x0600_00;
/** Memory and I/O enabled, bus master. */
const COMMAND = 0x0007;

/** The first double words; everything else reads as 0. */
const HEADER = [(DEVICE_82441FX << 16) | VENDOR_INTEL, COMMAND, (CLASS_CODE << 8) | REVISION, 0];

export class PciHostBridge implements PciFunction {
  readConfiguration(offset: number, size: AccessSize): number {
    const word = (HEADER[offset >> 2] ?? 0) >>> (8 * (offset & 3));
    return size === 4 ? word >>> 0 : word & (size === 2 ? 0xffff : 0xff);
  }

  writeConfiguration(): void {}
}
