/** Debian's SeaBIOS and the disk of our boot program, as samples/seabios/get.sh makes them. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const sample = resolve(import.meta.dirname, '../../samples/seabios');

export const bios = (name: string): string => join(sample, 'guest', name);
export const bootDisk = join(sample, 'disk.img');
export const bootSymbols = join(sample, 'boot.elf');

/** Whether SeaBIOS is there, or could be fetched. CI skips nothing. */
export function seabiosIsThere(): boolean {
  try {
    if (!existsSync(bios('bios-256k.bin')))
      execFileSync(join(sample, 'get.sh'), { stdio: ['ignore', 'ignore', 'pipe'], timeout: 60_000 });
    execFileSync('make', ['-s', '-C', sample, 'disk.img']);
  } catch (error) {
    if (process.env.CI === 'true') throw new Error('SeaBIOS cannot be fetched', { cause: error });
    return false;
  }
  return existsSync(bootDisk);
}
