/**
 * Starts damaged kernel images on machines and runs what is left of them: whatever the image, it is refused with one
 * sentence, runs, ends by itself or stops at something unimplemented, soon. Nothing of it may bring the emulator down.
 */
import { Unimplemented } from '../../emulator/base/errors.ts';
import { System } from '../../emulator/debug/system.ts';
import { interpreterModule } from '../support/bareProcessor.ts';
import { Random } from '../support/random.ts';
import { type DamagedImage, damagedImage, refusal } from './bootImages.ts';
import { processorTime } from './processorTime.ts';

/** Instructions that each image may run; with forced translation each may mean a translation of its own. */
const INSTRUCTIONS = { auto: 5000, interpreter: 5000, translator: 200 } as const;
/** A start and 5,000 instructions take milliseconds; a machine under load a hundred times that. */
const MOST_MILLISECONDS = 5000;
/** Comebacks without getting on, when the machine waits for something that never comes. */
const MOST_RUNS = 20;

export interface FuzzResult {
  readonly refused: number;
  readonly started: number;
  /** How the runs ended: `limit`, `idle`, the kind of a stop or `unimplemented`. */
  readonly ends: Readonly<Record<string, number>>;
  /** What was unimplemented. */
  readonly missing: ReadonlySet<string>;
  readonly slowestMilliseconds: number;
}

function makeSystem({ bytes, options }: DamagedImage, random: Random): System {
  return new System(
    {
      mode: random.pick(['guest', 'bare-metal']),
      virtualization: random.pick(['vt-x', 'vt-x', 'none']),
      cpu: 'sapphire-rapids',
      memoryBytes: options.memoryBytes,
      image: { name: 'kernel', bytes },
      append: options.append,
      initrd: options.initrd,
      modules: options.modules,
      startTime: 946_684_800,
      engine: random.pick(['auto', 'auto', 'interpreter', 'interpreter', 'translator']),
      vmm: {
        exiting: random.pick([[], [], ['rdtsc', 'exceptions:#UD', 'exceptions:#GP', 'exceptions:#PF']]),
      },
    },
    {
      serial: { write: () => undefined },
      debugConsole: { write: () => undefined },
      interpreter: interpreterModule(),
    },
  );
}

function runToItsEnd(system: System, missing: Set<string>): string {
  const limit = INSTRUCTIONS[system.config.engine];
  try {
    for (let runs = 0; runs < MOST_RUNS; runs++) {
      const result = system.run(limit);
      if (system.stop) {
        if (system.stop.kind === 'unimplemented') missing.add(system.stop.description);
        return system.stop.kind;
      }
      if (result === 'idle') return result;
      if (system.machine.engine.retired >= limit) return 'limit';
    }
    return 'no progress';
  } catch (error) {
    if (!(error instanceof Unimplemented)) throw error;
    missing.add(error.feature);
    return 'unimplemented';
  }
}

/** Starts the damaged images of `count` seeds from `seed` on. Throws, naming the seed, when one goes wrong. */
export function fuzzMachines(seed: number, count: number): FuzzResult {
  const ends: Record<string, number> = {};
  const missing = new Set<string>();
  let refused = 0;
  let slowestMilliseconds = 0;
  for (let i = 0; i < count; i++) {
    const number = (seed + i) >>> 0;
    const began = processorTime();
    try {
      const image = damagedImage(number);
      if (refusal(image) !== undefined) {
        refused++;
        continue;
      }
      const end = runToItsEnd(makeSystem(image, new Random(number)), missing);
      ends[end] = (ends[end] ?? 0) + 1;
    } catch (error) {
      throw new Error(`image ${number}`, { cause: error });
    }
    const milliseconds = processorTime() - began;
    slowestMilliseconds = Math.max(slowestMilliseconds, milliseconds);
    if (milliseconds > MOST_MILLISECONDS)
      throw new Error(`image ${number} took ${Math.round(milliseconds)} ms`);
  }
  return { refused, started: count - refused, ends, missing, slowestMilliseconds };
}
