/** How fast programs run: interpreted, with translations, as a guest with translations, and in QEMU's translator. */
import {
  BENCH_KERNELS,
  type BenchKernel,
  type BenchKernelName,
  buildBenchKernels,
  wholeKernel,
} from './kernels/build.ts';
import { type Bench, type BenchResult, geometricMean, round } from './support/bench.ts';
import { measureHvm } from './support/hvm.ts';
import { measureQemu, qemuImage, whyNoQemu } from './support/qemu.ts';

const RUNS = 3;
/** Kernels that cause VM exits when they run as a guest. */
const EXITING: ReadonlySet<BenchKernelName> = new Set(['ports']);
const INTERPRETER_TARGET_MIPS = 220;
/** What is more than computing: the interpreter's mean is that of the other general registers' kernels. */
const SYSTEM: ReadonlySet<BenchKernelName> = new Set([
  'paging',
  'systemCalls',
  'selfModifying',
  'ports',
  'loads',
]);

/** What computes in vector and x87 registers: a target of its own. */
const VECTOR: ReadonlySet<BenchKernelName> = new Set(['matmul', 'dot', 'x87', 'aes']);

type Tier = 'interpreter' | 'auto' | 'guest';

interface Figures {
  readonly name: BenchKernelName;
  readonly mips: Readonly<Record<Tier, number>>;
  readonly qemu: number | undefined;
}

interface Cost {
  readonly seconds: number;
  readonly instructions: number;
}

/** What so many units take, without start and end; the best of some runs. */
function best(image: string, tier: Tier, units: number, expected: string): Cost {
  const [mode, engine] = tier === 'guest' ? ['guest', 'auto'] : ['bare-metal', tier];
  const runs = Array.from({ length: tier === 'interpreter' ? 1 : RUNS }, () => {
    const cost = (n: number, text?: string): Cost => {
      const options = ['--mode', mode, '--engine', engine, '--append', `n=${n}`];
      const { status, serial, statistics } = measureHvm(image, ...options);
      if (status !== 0 || (text !== undefined && serial.trim() !== text))
        throw new Error(`${image} ended with status ${status} and said "${serial.trim()}", not "${text}"`);
      return statistics;
    };
    return { whole: cost(units, expected), empty: cost(0) };
  });
  const seconds = (of: 'whole' | 'empty') => Math.min(...runs.map((run) => run[of].seconds));
  const [{ whole, empty }] = runs;
  return {
    seconds: seconds('whole') - seconds('empty'),
    instructions: whole.instructions - empty.instructions,
  };
}

function measure(kernel: BenchKernel, image: string, compare: boolean): Figures {
  const name = kernel.name as BenchKernelName;
  const { units, checksum } = wholeKernel(kernel);
  const expected = `${name} n=${units} checksum=${checksum}`;
  const qemu = compare ? measureQemu(qemuImage(image), units, RUNS, expected) : undefined;
  const mips = { interpreter: 0, auto: 0, guest: 0 };
  let retired = 0;
  for (const tier of ['interpreter', 'auto', 'guest'] as const) {
    const { seconds, instructions } = best(image, tier, units, expected);
    mips[tier] = instructions / seconds / 1e6;
    if (tier === 'auto') retired = instructions;
  }
  return { name, mips, qemu: qemu && retired / qemu / 1e6 };
}

/** Without QEMU the figure is that of the translations alone. */
function row({ name, mips, qemu }: Figures): BenchResult {
  const columns = Object.entries(qemu === undefined ? mips : { ...mips, QEMU: qemu }).map(
    ([who, value]) => `${who} ${round(value, 0)}`,
  );
  const note = `MIPS: ${columns.join(', ')}; guest/bare metal ${round(mips.guest / mips.auto, 2)}`;
  if (qemu === undefined) return { name, value: round(mips.auto, 0), unit: 'MIPS', note };
  return {
    name,
    value: round(mips.auto / qemu, 2),
    unit: 'of QEMU',
    target: { atLeast: VECTOR.has(name) ? 0.5 : name === 'manyFunctions' ? 0.4 : 0.3 },
    note,
  };
}

export const bench: Bench = {
  title: 'Programs',
  about: `64-bit kernels on the bare machine with translations (auto) against QEMU's translator (TCG), same image, same run, best of ${RUNS}; and millions of guest instructions a second interpreted, with translations, as a VT-x guest with translations, and in QEMU. The times of empty runs are subtracted: of the machine's, from power-on to power-off, and of QEMU's process.`,
  run() {
    const noQemu = whyNoQemu();
    if (noQemu !== undefined) console.error(`  no comparison with QEMU: ${noQemu}`);
    const images = buildBenchKernels();
    const figures = BENCH_KERNELS.filter(({ name }) => name !== 'cpuid').map((kernel) => {
      console.error(`  ${kernel.name}`);
      return measure(kernel, images[kernel.name], noQemu === undefined);
    });
    const mean = (of: (figure: Figures) => number, from = figures) => round(geometricMean(from.map(of)), 2);
    const computing = figures.filter(({ name }) => !SYSTEM.has(name) && !VECTOR.has(name));
    const integer = figures.filter(({ name }) => !VECTOR.has(name));
    const quiet = figures.filter(({ name }) => !EXITING.has(name));
    return [
      ...figures.map(row),
      noQemu === undefined
        ? {
            name: 'auto, mean of all but vectors and x87',
            value: mean(({ mips, qemu }) => mips.auto / (qemu as number), integer),
            unit: 'of QEMU',
            target: { atLeast: 0.8 },
          }
        : {
            name: 'auto, mean of all but vectors and x87',
            value: mean(({ mips }) => mips.auto, integer),
            unit: 'MIPS',
            note: `no comparison with QEMU: ${noQemu}`,
          },
      {
        name: 'guest, mean without exits',
        value: mean(({ mips }) => mips.guest / mips.auto, quiet),
        unit: 'of bare metal',
        target: { atLeast: 0.9 },
      },
      {
        name: 'interpreter, mean of what computes',
        value: mean(({ mips }) => mips.interpreter, computing),
        unit: 'MIPS',
        target: { atLeast: INTERPRETER_TARGET_MIPS },
      },
    ];
  },
};
