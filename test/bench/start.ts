/** What a start costs: `hvm run` of a guest that ends with its first instruction. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assemble } from '../support/assemble.ts';
import { buildElf } from '../support/elf.ts';
import { type Bench, percentile, round } from './support/bench.ts';
import { repository, runHvm } from './support/hvm.ts';

const RUNS = 10;
const TARGET_MILLISECONDS = 250;
const LOAD_ADDRESS = 0x10_0000;
/** AL is 0 at the start: the status is (0 << 1) | 1. */
const EXPECTED_STATUS = 1;

function buildImage(): string {
  const folder = join(repository, 'build/bench');
  mkdirSync(folder, { recursive: true });
  const image = join(folder, 'oneInstruction.elf');
  const bytes = assemble('out %al, $0xf4', LOAD_ADDRESS);
  writeFileSync(
    image,
    buildElf({ bits: 64, entry: BigInt(LOAD_ADDRESS), segments: [{ physicalAddress: LOAD_ADDRESS, bytes }] }),
  );
  return image;
}

export const bench: Bench = {
  title: 'Start',
  about: `\`hvm run\` of a guest whose first instruction writes to port 0xf4, from the start of the process to its end; ${RUNS} runs.`,
  run() {
    const image = buildImage();
    const times = (mode: string): number[] =>
      Array.from({ length: RUNS }, () => {
        const { status, milliseconds } = runHvm(image, '--mode', mode);
        if (status !== EXPECTED_STATUS) throw new Error(`the guest ended with status ${status}`);
        return milliseconds;
      });
    const guest = times('guest');
    const bareMetal = times('bare-metal');
    return [
      {
        name: 'guest, median',
        value: round(percentile(guest, 0.5), 0),
        unit: 'ms',
        target: { atMost: TARGET_MILLISECONDS },
      },
      { name: 'guest, slowest', value: round(Math.max(...guest), 0), unit: 'ms' },
      { name: 'bare metal, median', value: round(percentile(bareMetal, 0.5), 0), unit: 'ms' },
    ];
  },
};
