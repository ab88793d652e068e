/** Whether a machine can be made with the BIOS and the disks of its configuration. */
import { UserError } from '../base/errors.ts';
import { SECTOR_SIZE } from '../devices/ataDisk.ts';
import { MAX_ROM } from '../state/layout.ts';
import type { MachineConfig } from './config.ts';
import { MOST_DISKS } from './layout.ts';

/** BIOS images are a multiple of this. */
const BIOS_UNIT = 0x1_0000;

/** Throws a `UserError` that says what is wrong and what to do. */
export function checkFirmware({ mode, bios, disks = [] }: MachineConfig): void {
  if (bios !== undefined) {
    if (mode === 'guest')
      throw new UserError('a BIOS owns the machine and cannot be a guest yet: use mode bare-metal with it');
    const { length } = bios.bytes;
    if (length === 0 || length % BIOS_UNIT !== 0 || length > MAX_ROM)
      throw new UserError(
        `${bios.name}: a BIOS image has a multiple of 64 KiB and at most ${MAX_ROM / 2 ** 20} MiB, and this one ${length} bytes; name the ROM itself, e.g. bios-256k.bin of SeaBIOS`,
      );
  }
  if (disks.length > MOST_DISKS)
    throw new UserError(
      `there is room for ${MOST_DISKS} disks, and there are ${disks.length}: leave some out`,
    );
  for (const { name, bytes } of disks)
    if (bytes.length === 0 || bytes.length % SECTOR_SIZE !== 0)
      throw new UserError(
        `${name}: a disk has whole sectors of ${SECTOR_SIZE} bytes, and this file ${bytes.length} bytes; name a raw image, filled up to a multiple of ${SECTOR_SIZE}`,
      );
}
