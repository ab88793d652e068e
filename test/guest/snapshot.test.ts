/**
 * A run is the same to the bit when it is repeated, saved and restored at any instruction, recorded and replayed; and
 * two machines in one process do not disturb each other.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { System } from '../../emulator/debug/system.ts';
import type { MachineConfig } from '../../emulator/machine/config.ts';
import { interpreterModule } from '../support/bareProcessor.ts';
import { Random } from '../support/random.ts';

const IMAGE = 'samples/hello-guest/hello-guest.elf';
const bytes = new Uint8Array(readFileSync(IMAGE));

function start(change: Partial<MachineConfig> = {}): { system: System; output: number[] } {
  const output: number[] = [];
  const system = new System(
    {
      mode: 'bare-metal',
      virtualization: 'vt-x',
      cpu: 'sapphire-rapids',
      memoryBytes: 16 * 1024 * 1024,
      image: { name: IMAGE, bytes },
      append: '',
      initrd: undefined,
      modules: [],
      startTime: 946_684_800,
      engine: 'interpreter',
      vmm: { exiting: [] },
      ...change,
    },
    {
      serial: { write: (byte) => void output.push(byte) },
      debugConsole: { write: () => undefined },
      interpreter: interpreterModule(),
      sampleEvery: 50,
    },
  );
  return { system, output };
}

const END = 1_000_000;

describe('a run of hello-guest', () => {
  const first = start();
  first.system.run(END);
  const reference = { hash: first.system.hash(), output: String.fromCharCode(...first.output) };

  it('says what it has to say and switches the machine off', () => {
    expect(first.system.stop).toEqual({ kind: 'powered-off' });
    expect(reference.output).toContain('Hello from long mode');
    expect(reference.output).toContain('Goodbye');
  });

  it('is the same when it is repeated', () => {
    const again = start();
    again.system.run(END);
    expect(again.system.hash()).toBe(reference.hash);
    expect(again.output).toEqual(first.output);
  });

  it.each(['translator', 'auto'] as const)('is the same with the engine %s, on the way as well', (engine) => {
    const random = new Random(11);
    const translated = start({ engine });
    const oracle = start();
    for (let position = 0; translated.system.stop === undefined; ) {
      position += random.below(5000);
      translated.system.run(position);
      oracle.system.run(position);
      expect(translated.system.hash()).toBe(oracle.system.hash());
    }
    expect(translated.system.hash()).toBe(reference.hash);
    expect(translated.system.machine.engine.retired).toBe(first.system.machine.engine.retired);
    expect(translated.system.machine.engine.translations).toBeGreaterThan(0);
  });

  it('is the same after save and restore at random instructions, into the same or another machine', () => {
    const random = new Random(7);
    for (let round = 0; round < 6; round++) {
      const position = random.below(first.system.machine.engine.retired);
      const one = start();
      one.system.run(position);
      const snapshot = one.system.save();
      const other = start();
      other.system.run(random.below(20_000));
      other.system.restore(snapshot);
      expect(other.system.hash()).toBe(one.system.hash());
      other.system.run(END);
      expect(other.system.hash()).toBe(reference.hash);
      one.system.run(END);
      expect(one.system.hash()).toBe(reference.hash);
    }
  });

  it('is the same beside another machine that runs in turns with it', () => {
    const a = start();
    const b = start({ append: 'other' });
    for (let position = 1000; position < 40_000; position += 1000) {
      a.system.run(position);
      b.system.run(position * 2);
    }
    expect(a.system.hash()).toBe(reference.hash);
    expect(b.system.hash()).not.toBe(reference.hash);
  });

  it('gives the same state at the same position whatever the steps', () => {
    const random = new Random(3);
    const whole = start();
    whole.system.run(15_000);
    const stepped = start();
    while (stepped.system.machine.engine.retired < 15_000) {
      stepped.system.run(Math.min(15_000, stepped.system.machine.engine.retired + 1 + random.below(50)));
    }
    expect(stepped.system.hash()).toBe(whole.system.hash());
  });

  it('can be recorded with its inputs and replayed', () => {
    const live = start();
    live.system.run(5000);
    live.system.serialInput(new Uint8Array([104, 105]));
    live.system.run(12_000);
    live.system.serialInput(new Uint8Array([33]));
    live.system.run(END);
    const again = start();
    again.system.replay(live.system.inputs, END);
    expect(again.system.hash()).toBe(live.system.hash());
    expect(again.system.inputs).toEqual(live.system.inputs);
    expect(live.system.hash()).not.toBe(reference.hash);
  });
});
