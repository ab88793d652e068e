/** What translations need: half a million hot instructions, with them and without. */
import { buildHotCode } from './hotCode/build.ts';
import { type Bench, round } from './support/bench.ts';
import { type MeasuredRun, measureHvm } from './support/hvm.ts';
import { observe } from './support/observed.ts';

/** Each page of code executes 11 million instructions: what makes it hot, found by samples that are chance. */
const ROUNDS = 1000;
const TARGET = 250;

async function measure(image: string, engine: string): Promise<{ mostMemory: number; run: MeasuredRun }> {
  let run: MeasuredRun | undefined;
  const { mostMemory } = await observe(() => {
    run = measureHvm(image, '--mode', 'bare-metal', '--engine', engine);
  });
  if (run?.status !== 0) throw new Error(`the program ended with status ${run?.status}`);
  return { mostMemory, run };
}

export const bench: Bench = {
  title: 'Memory of translations',
  about:
    'A kernel of 4,300 generated functions that are called again and again, in a process of its own with translations and without; the most memory that the process ever had.',
  async run() {
    const { image, instructions } = buildHotCode(ROUNDS);
    const without = await measure(image, 'interpreter');
    const translated = await measure(image, 'auto');
    const { statistics } = translated.run;
    return [
      { name: 'different instructions', value: instructions, unit: '', target: { atLeast: 500_000 } },
      {
        name: 'memory for their translations',
        value: round(translated.mostMemory - without.mostMemory, 0),
        unit: 'MiB',
        target: { atMost: TARGET },
        note: `interpreted ${round(without.mostMemory, 0)} MiB, translated ${round(translated.mostMemory, 0)} MiB`,
      },
      {
        name: 'modules made',
        value: statistics.translations,
        unit: '',
        note: `MIPS: interpreter ${round(without.run.statistics.mips, 0)}, auto ${round(statistics.mips, 0)}`,
      },
    ];
  },
};
