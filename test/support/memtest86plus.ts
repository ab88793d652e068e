/** Debian's memtest86+, as samples/memtest86plus/get.sh fetches it. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const sample = resolve(import.meta.dirname, '../../samples/memtest86plus');

export const memtestImage = join(sample, 'guest/boot/memtest86+x64.bin');

/** Whether the image is there, or could be fetched. CI skips nothing. */
export function memtestIsThere(): boolean {
  if (existsSync(memtestImage)) return true;
  try {
    execFileSync(join(sample, 'get.sh'), { stdio: ['ignore', 'ignore', 'pipe'], timeout: 60_000 });
  } catch (error) {
    if (process.env.CI === 'true') throw new Error('memtest86+ cannot be fetched', { cause: error });
    return false;
  }
  return existsSync(memtestImage);
}
