/** Lets the program that wears a translator out run in this process, and looks what becomes of the process. */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { System } from '../../../emulator/debug/system.ts';

const MIB = 2 ** 20;
/** Instructions between two looks at the clock. */
const BATCH = 20_000_000;

/** What part of the most modules that were ever live is about as many. */
const MANY = 0.9;

export interface Footprint {
  /** Memory in MiB, after a collection: of the process, the JavaScript heap, what V8 has made of modules. */
  readonly resident: number;
  readonly heap: number;
  /** 0 where the system does not tell, as the next. */
  readonly machineCode: number;
  /** Where malloc gives the main thread memory: what V8 has freed there between the rest stays with the process. */
  readonly malloc: number;
  /** Translations: those that can be entered, and all made so far. */
  readonly live: number;
  readonly made: number;
  readonly instructions: number;
}

/** Modules until every page that the program uses was used, and the machine has forgotten all its code once. */
const WARM = 7000;

export interface Soak {
  /** Runs until nothing is new any more. */
  warmUp(): void;
  /**
   * Runs for so many seconds, and until about as many modules are live as ever were, so that looks can be compared: all go
   * whenever the machine forgets its code. Gives what the process needs then.
   */
  run(seconds: number): Footprint;
}

/** How much more the last of the looks tell than the first ones, in the middle: V8 lets memory go when it likes. */
export function growthOf(looks: readonly Footprint[], of: (footprint: Footprint) => number): number {
  const part = Math.ceil(looks.length / 4);
  return middle(looks.slice(-part).map(of)) - middle(looks.slice(0, part).map(of));
}

const middle = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

export function startSoak(image: string, interpreter: WebAssembly.Module): Soak {
  const system = new System(
    {
      mode: 'bare-metal',
      virtualization: 'none',
      cpu: 'sapphire-rapids',
      memoryBytes: 64 * MIB,
      image: { name: image, bytes: readFileSync(image) },
      append: '',
      initrd: undefined,
      modules: [],
      startTime: 0,
      engine: 'auto',
      vmm: { exiting: [] },
    },
    { serial: { write: () => undefined }, debugConsole: { write: () => undefined }, interpreter },
  );
  const { engine } = system.machine;
  let most = 0;
  const runWhile = (goesOn: () => boolean): void => {
    while (goesOn()) {
      const result = system.run(engine.retired + BATCH);
      most = Math.max(most, engine.liveTranslations);
      if (result !== 'limit') throw new Error(`the program has ended: ${result}, ${system.stop?.kind}`);
    }
  };
  return {
    warmUp: () => runWhile(() => engine.translations < WARM),
    run(seconds) {
      const end = performance.now() + seconds * 1000;
      runWhile(() => performance.now() < end || engine.liveTranslations < MANY * most);
      collectGarbage();
      const { rss, heapUsed } = process.memoryUsage();
      return {
        resident: rss / MIB,
        heap: heapUsed / MIB,
        ...mapped(),
        live: engine.liveTranslations,
        made: engine.translations,
        instructions: engine.retired,
      };
    },
  };
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  // What a finalizer lets go is collected the next time.
  for (let i = 0; i < 3; i++) gc();
}

/** Resident memory, in MiB, that is executable and of no file, and that of malloc's first arena. */
function mapped(): Pick<Footprint, 'machineCode' | 'malloc'> {
  const kilobytes = { machineCode: 0, malloc: 0 };
  if (process.platform !== 'linux') return kilobytes;
  let of: keyof typeof kilobytes | undefined;
  for (const line of readFileSync('/proc/self/smaps', 'latin1').split('\n')) {
    const mapping = /^[0-9a-f]+-[0-9a-f]+ (\S{4}) \S+ \S+ (\d+) *(\S*)/.exec(line);
    if (mapping) {
      const [, rights, inode, name] = mapping;
      of = name === '[heap]' ? 'malloc' : rights[2] === 'x' && inode === '0' ? 'machineCode' : undefined;
    } else if (of !== undefined && line.startsWith('Rss:'))
      kilobytes[of] += Number.parseInt(line.slice(4), 10);
  }
  return { machineCode: kilobytes.machineCode / 1024, malloc: kilobytes.malloc / 1024 };
}
