/** Programs under a debug target, in the test's own thread. */

import { createDebugTarget } from '../../emulator/debug/debugTarget.ts';
import type { DebugTargetHost } from '../../emulator/debug/host.ts';
import type { DebugTarget, RunRequest, StopEvent } from '../../emulator/debug/target.ts';
import type { MachineConfig } from '../../emulator/machine/config.ts';
import { interpreterModule } from './bareProcessor.ts';
import { buildElf } from './elf.ts';
import { assembleWithLabels } from './labels.ts';

const ORIGIN = 0x10_0000;

/** A debug target that runs assembly text, and the stops it comes to. */
export class DebugBench {
  readonly target: DebugTarget;
  readonly output: number[] = [];
  readonly #labels: ReadonlyMap<string, bigint>;
  #stopped: (stop: StopEvent) => void = () => undefined;

  constructor(source: string, config: Partial<MachineConfig> = {}, host: Partial<DebugTargetHost> = {}) {
    const { bytes, labels } = assembleWithLabels(source, ORIGIN);
    this.#labels = labels;
    const image = buildElf({
      bits: 64,
      entry: BigInt(ORIGIN),
      segments: [{ physicalAddress: ORIGIN, bytes }],
    });
    this.target = createDebugTarget(
      {
        mode: 'bare-metal',
        virtualization: 'vt-x',
        cpu: 'sapphire-rapids',
        memoryBytes: 16 * 2 ** 20,
        image: { name: 'test', bytes: image },
        append: '',
        initrd: undefined,
        modules: [],
        startTime: 946_684_800,
        engine: 'auto',
        vmm: { exiting: [] },
        ...config,
      },
      {
        interpreter: interpreterModule(),
        now: () => performance.now(),
        schedule: setImmediate,
        serialOutput: (written) => this.output.push(...written),
        log: () => undefined,
        stopped: (stop) => this.#stopped(stop),
        ...host,
      },
    );
  }

  run(request: RunRequest = {}): Promise<StopEvent> {
    const stop = this.next();
    this.target.run(request);
    return stop;
  }

  next(): Promise<StopEvent> {
    return new Promise((done) => {
      this.#stopped = done;
    });
  }

  at(label: string): bigint {
    return this.#labels.get(label) ?? 0n;
  }

  get rip(): bigint {
    return this.target.register(0, 'RIP') ?? 0n;
  }

  register(name: string): bigint {
    return this.target.register(0, name) ?? -1n;
  }

  /** Steps over or into what is between two labels. */
  step(from: string, to: string, over: boolean): Promise<StopEvent> {
    return this.run({ range: { ranges: [[this.at(from), this.at(to)]], over } });
  }
}
