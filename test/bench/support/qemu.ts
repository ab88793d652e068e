/** The same images in QEMU's translator, as a peer to compare with. */
import { execFileSync, spawnSync } from 'node:child_process';

/** A run that takes longer has hung. */
const LONGEST_RUN = 120_000;
const OPTIONS = '-accel tcg -cpu max -m 256 -display none -serial stdio -no-reboot'.split(' ');

/** Why there is nothing to compare with; undefined where QEMU is. */
export function whyNoQemu(): string | undefined {
  const { error } = spawnSync('qemu-system-x86_64', ['--version']);
  return error && 'qemu-system-x86_64 is not installed';
}

/** QEMU's Multiboot loader takes 32-bit ELF files alone: the same program in one. */
export function qemuImage(image: string): string {
  const converted = image.replace(/\.elf$/, '.elf32');
  execFileSync('objcopy', ['-O', 'elf32-i386', image, converted]);
  return converted;
}

function run(image: string, units: number): { seconds: number; serial: string } {
  const started = performance.now();
  const { stdout, error } = spawnSync(
    'qemu-system-x86_64',
    [...OPTIONS, '-kernel', image, '-append', `n=${units}`],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: LONGEST_RUN },
  );
  if (error) throw error;
  return { seconds: (performance.now() - started) / 1000, serial: stdout.trim() };
}

/** Seconds that so many units take, without start and end; the best of some runs. */
export function measureQemu(image: string, units: number, runs: number, expected: string): number {
  let all = Number.POSITIVE_INFINITY;
  let empty = Number.POSITIVE_INFINITY;
  for (let i = 0; i < runs; i++) {
    const { seconds, serial } = run(image, units);
    if (serial !== expected) throw new Error(`QEMU said "${serial}", not "${expected}"`);
    all = Math.min(all, seconds);
    empty = Math.min(empty, run(image, 0).seconds);
  }
  return Math.max(all - empty, 0.001);
}
