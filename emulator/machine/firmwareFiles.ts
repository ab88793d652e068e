/**
 * What the firmware of the board is told through fw_cfg: the memory it finds, and that its console is the first serial
 * port. There are no ACPI tables among it.
 *
 * @see SeaBIOS documentation, "Runtime configuration"
 */
import { littleEndian } from '../devices/fwCfg.ts';
import { PORTS } from './layout.ts';

const E820_RAM = 1;

export function firmwareFiles(memoryBytes: number): Readonly<Record<string, Uint8Array>> {
  return {
    'etc/e820': Uint8Array.from([
      ...littleEndian(0, 8),
      ...littleEndian(memoryBytes, 8),
      ...littleEndian(E820_RAM, 4),
    ]),
    // INT 10H and 16H over the serial port.
    'etc/sercon-port': littleEndian(PORTS.com1.base, 2),
    // A key that is typed early is the system's.
    'etc/show-boot-menu': littleEndian(0, 2),
  };
}
