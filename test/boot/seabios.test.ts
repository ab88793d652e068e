/**
 * Debian's SeaBIOS starts the machine at its reset vector and boots a disk of ours, which asks it for video, disk, memory and
 * keyboard services (INT 10h, 13h, 15h, 16h). samples/seabios/get.sh fetches it and builds the disk.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type RecordedInput, System } from '../../emulator/debug/system.ts';
import type { MachineConfig } from '../../emulator/machine/config.ts';
import { buildIfOutdated } from '../../scripts/support/setup.mjs';
import { interpreterModule } from '../support/bareProcessor.ts';
import { Conversation } from '../support/dapConversation.ts';
import { Random } from '../support/random.ts';
import { bios, bootDisk, bootSymbols, seabiosIsThere } from '../support/seabios.ts';
import { missing } from '../support/tools.ts';

const repository = resolve(import.meta.dirname, '../..');
/** 10 million instructions, a few seconds; on a busy machine more. */
const LONGEST = 300_000;
const END = 50e6;
const SLICE = 20_000;
const KEY = 'k';
const ASKS_FOR_KEY = 'press a key: ';

/** What the program of the disk prints with 64 MiB of memory; `romBytes` is the BIOS'. */
const answers = (romBytes: string, romStart: string): string[] => [
  'Booting from Hard Disk...',
  'boot sector of drive 80',
  'INT 13h AH=02h: read by cylinder, head and sector',
  'INT 10h AH=0Fh: mode 03, columns 50',
  'INT 13h AH=08h: CX 003f, DX 0f01',
  'INT 13h AH=42h: read by its number',
  'INT 13h AH=43h: written and read again',
  'INT 13h AH=42h: no sector 10000000',
  'INT 15h AH=88h: fc00',
  'INT 15h AX=E820h: 0000000000000000 000000000009fc00 01',
  'INT 15h AX=E820h: 000000000009fc00 0000000000000400 02',
  'INT 15h AX=E820h: 00000000000f0000 0000000000010000 02',
  'INT 15h AX=E820h: 0000000000100000 0000000003f00000 01',
  `INT 15h AX=E820h: ${romStart} ${romBytes} 02`,
  // Scan code 25h, "k".
  `INT 16h: ${ASKS_FOR_KEY}256b`,
  'INT 16h AH=01h: no other',
  '',
];
/** SeaBIOS reserves 256 KiB, whatever its size. */
const ANSWERS = answers('0000000000040000', '00000000fffc0000');

class Started {
  readonly #bytes: number[] = [];
  readonly disk = new Uint8Array(readFileSync(bootDisk));
  readonly system: System;

  constructor(name: string, engine: MachineConfig['engine'] = 'interpreter') {
    this.system = new System(
      {
        mode: 'bare-metal',
        virtualization: 'vt-x',
        cpu: 'sapphire-rapids',
        memoryBytes: 64 * 1024 * 1024,
        image: undefined,
        bios: { name, bytes: new Uint8Array(readFileSync(bios(name))) },
        disks: [{ name: bootDisk, bytes: this.disk }],
        append: '',
        initrd: undefined,
        modules: [],
        startTime: 946_684_800,
        engine,
        vmm: { exiting: [] },
      },
      {
        serial: { write: (byte) => void this.#bytes.push(byte) },
        debugConsole: { write: () => undefined },
        interpreter: interpreterModule(),
      },
    );
  }

  get output(): string {
    return String.fromCharCode(...this.#bytes);
  }

  /** What follows the line of SeaBIOS with its version. */
  get answers(): string[] {
    return this.output.split('\r\n').slice(1);
  }

  /** Runs, and types the key when it is asked for. */
  runToEnd(): void {
    const { engine } = this.system.machine;
    while (!this.output.endsWith(ASKS_FOR_KEY) && engine.retired < END)
      this.system.run(engine.retired + SLICE);
    this.system.serialInput(new TextEncoder().encode(KEY));
    this.system.run(END);
  }

  runWith(inputs: readonly RecordedInput[]): void {
    this.system.replay(inputs, END);
  }
}

describe.skipIf(missing('as', 'ld', 'make') || !seabiosIsThere())("Debian's SeaBIOS", () => {
  it.each(['bios-256k.bin', 'bios.bin'])(
    '%s boots a disk and serves its program',
    { timeout: LONGEST },
    (name) => {
      const started = new Started(name);
      started.runToEnd();
      expect(started.output).toContain('SeaBIOS (version ');
      expect(started.answers).toEqual(ANSWERS);
      expect(started.system.stop).toEqual({ kind: 'debug-exit', value: 0x10 });
      // What the program wrote is not in the image.
      expect(Buffer.from(started.disk).equals(readFileSync(bootDisk))).toBe(true);
    },
  );

  it('is the same to the bit in every tier, and restored from snapshots', { timeout: LONGEST }, () => {
    const first = new Started('bios-256k.bin');
    first.runToEnd();
    const { inputs } = first.system;
    const reference = { hash: first.system.hash(), answers: first.answers };
    for (const engine of ['auto', 'translator'] as const) {
      const other = new Started('bios-256k.bin', engine);
      other.runWith(inputs);
      expect(other.answers).toEqual(reference.answers);
      expect(other.system.hash()).toBe(reference.hash);
    }
    const random = new Random(5);
    const one = new Started('bios-256k.bin');
    for (let position = 0, round = 0; round < 5; round++) {
      // At first before SeaBIOS copies itself into RAM, then anywhere before the key is typed.
      position += round === 0 ? 200 : random.below(1_200_000);
      one.system.run(position);
      const other = new Started('bios-256k.bin');
      other.system.run(random.below(1_000_000));
      other.system.restore(one.system.save());
      expect(other.system.hash()).toBe(one.system.hash());
      if (round % 2 === 1) continue;
      other.runWith(inputs);
      expect(other.system.hash()).toBe(reference.hash);
    }
  });

  it('runs on the command line, and leaves the file of the disk alone', { timeout: LONGEST }, async () => {
    buildIfOutdated();
    const before = createHash('sha256').update(readFileSync(bootDisk)).digest('hex');
    const child = spawn(
      process.execPath,
      [
        join(repository, 'dist/cli.js'),
        ...[
          'run',
          '--bios',
          bios('bios-256k.bin'),
          '--disk',
          bootDisk,
          '--mode',
          'bare-metal',
          '--memory',
          '64M',
        ],
        ...['--timeout', String(LONGEST / 1000)],
      ],
      { stdio: 'pipe' },
    );
    let stdout = '';
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += String(chunk);
    });
    child.stdout.on('data', (chunk) => {
      const typed = stdout.includes(ASKS_FOR_KEY);
      stdout += String(chunk);
      if (!typed && stdout.includes(ASKS_FOR_KEY)) child.stdin.write(KEY);
    });
    const [status] = await once(child, 'close');
    expect(stderr).toBe('');
    expect(stdout.split('\r\n').slice(1)).toEqual(ANSWERS);
    expect(status).toBe((0x10 << 1) | 1);
    expect(createHash('sha256').update(readFileSync(bootDisk)).digest('hex')).toBe(before);
  });

  describe('in the debugger', () => {
    beforeAll(() => buildIfOutdated());

    it('stops at the boot sector by its symbols, without a program', { timeout: LONGEST }, async () => {
      const talk = await Conversation.start();
      const stop = await talk.launch(
        {
          bios: bios('bios-256k.bin'),
          disks: [bootDisk],
          mode: 'bare-metal',
          symbolFiles: [bootSymbols],
        } as never,
        async () => {
          await talk.request('setFunctionBreakpoints', { breakpoints: [{ name: 'questions' }] });
        },
      );
      expect(stop.body).toMatchObject({ reason: 'function breakpoint' });
      const { stackFrames } = await talk.request('stackTrace', { threadId: 1 });
      expect(stackFrames[0]).toMatchObject({ name: expect.stringContaining('questions') });
      expect(stackFrames[0].source?.name).toBe('boot.S');
    });
  });
});
