import { describe, expect, it } from 'vitest';
import { FileError, readMachineConfig, splitModule } from './launch/image.ts';
import { render } from './launch/reference.ts';
import { initialConfigurations, launchSchema, launchSnippets } from './launch/schema.ts';
import { checkLaunchArguments } from './launch/validate.ts';
import { LAUNCH_OPTIONS } from './launchConfig.ts';

const check = (values: Record<string, unknown>) => checkLaunchArguments({ program: 'k.elf', ...values });

describe('the arguments of a launch request', () => {
  it("VS Code's own attributes are ignored silently", () => {
    const { warnings } = check({
      type: 'hvm',
      request: 'launch',
      name: 'x',
      preLaunchTask: 'build',
      __sessionId: '1',
      presentation: {},
    });
    expect(warnings).toEqual([]);
  });

  it('an unknown attribute is a warning that suggests a near one', () => {
    expect(check({ memmory: '1G', exitOn: 'x', colour: 1 }).warnings).toEqual([
      'launch.json: "memmory" is not an attribute of this debugger and is ignored. Did you mean "memory"?',
      'launch.json: "exitOn" is not an attribute of this debugger and is ignored.',
      'launch.json: "colour" is not an attribute of this debugger and is ignored.',
    ]);
  });

  it('null stands for the default', () => {
    expect(check({ memory: null }).options.memory).toBe(256 * 2 ** 20);
  });

  it('takes both forms where two are allowed', () => {
    const { options } = check({
      serial: { file: 'out.log' },
      symbolFiles: ['a.elf', { file: 'b.elf', level: 1, loadBias: 4096 }],
      trace: 'dap.log',
      memory: 2 ** 27,
    });
    expect(options.serial).toEqual({ file: 'out.log' });
    expect(options.symbolFiles).toEqual(['a.elf', { file: 'b.elf', level: 1, loadBias: 4096 }]);
    expect(options.trace).toBe('dap.log');
    expect(options.memory).toBe(2 ** 27);
  });

  it('an attribute that does not work yet may keep its default', () => {
    expect(() => check({ disks: [], network: 'none', record: false })).not.toThrow();
  });

  it.each<[Record<string, unknown>, string]>([
    [{ program: undefined }, '"program" is missing: name the image to boot.'],
    [{ program: '' }, '"program" must name a file, and is empty.'],
    [{ program: 7 }, '"program" must be a string, not 7.'],
    [{ memory: 0 }, '"memory" must be between 2M and 3G, not 0.'],
    [{ memory: '100 TB' }, '"memory" must be between 2M and 3G, not "100 TB".'],
    [{ memory: [] }, '"memory" must be a size such as 64M or 1G, not [].'],
    [{ cpus: 4 }, '"cpus" can only be 1: more processors do not exist yet.'],
    [{ disks: [{ file: 'd.img', write: true }] }, '"disks" member "write" does not exist yet.'],
    [{ disks: [''] }, '"disks" must name a file, and is empty.'],
    [{ stopOnEntry: 'yes' }, '"stopOnEntry" must be true or false, not "yes".'],
    [{ serial: 'tty' }, '"serial" must be "terminal" or "debugConsole" or "none", not "tty".'],
    [{ serial: { path: 'x' } }, '"serial" has no member "path", only file.'],
    [{ serial: {} }, '"serial" needs the member "file".'],
    [{ symbolFiles: 'a' }, '"symbolFiles" must be a list, not "a".'],
    [{ sourceMap: { '/a': 1 } }, '"sourceMap" must map paths to paths, and "/a" is 1.'],
    [{ vmm: { exiting: ['io:9-5'] } }, '"vmm" "io:9-5" ends before it begins.'],
    [{ vmm: { nested: true } }, '"vmm" member "nested" does not exist yet.'],
    [{ modules: 'a' }, '"modules" must be a list, not "a".'],
    [{ startTime: '1960-01-01' }, '"startTime" must not be before 1970, and is "1960-01-01".'],
    [{ maxInstructions: 1.5 }, '"maxInstructions" must be a whole number, not 1.5.'],
  ])('%j is refused: %s', (values, message) => {
    expect(() => check(values)).toThrow(message);
  });

  it('a time without a zone is UTC', () => {
    expect(check({ startTime: '2026-02-03T04:05:06' }).options.startTime).toBe(
      Date.UTC(2026, 1, 3, 4, 5, 6) / 1000,
    );
    expect(check({ startTime: '2026-02-03' }).options.startTime).toBe(Date.UTC(2026, 1, 3) / 1000);
  });
});

describe('what is generated from the table', () => {
  it('the schema has what works and nothing else', () => {
    const schema = launchSchema() as {
      anyOf: object[];
      properties: Record<string, { markdownDescription: string }>;
    };
    expect(schema.anyOf).toEqual([{ required: ['program'] }, { required: ['bios'] }]);
    expect(Object.keys(schema.properties)).toContain('traceExits');
    for (const absent of ['shares', 'record', 'timeout', 'watchExits', 'recording'])
      expect(schema.properties).not.toHaveProperty(absent);
    for (const property of Object.values(schema.properties))
      expect(property.markdownDescription).not.toBe('');
  });

  it('what a launch.json begins with has no attribute that does not exist', () => {
    const snippets = launchSnippets().map(({ body }) => body as Record<string, unknown>);
    for (const configuration of [...initialConfigurations(), ...snippets])
      expect(check(configuration).warnings).toEqual([]);
  });

  it('every default passes its own check', () => {
    for (const row of Object.values(LAUNCH_OPTIONS))
      if (row.default !== undefined) expect(() => row.type.check(row.default)).not.toThrow();
  });

  it('the reference page has a line for each', () => {
    const page = render();
    expect(page).toContain('| `memory` | size | `256M` | `--memory` |');
    expect(page).toContain('| `--exit-on` |');
    expect(page).not.toContain('undefined');
  });
});

describe('reading the files of a machine', () => {
  const reader = {
    read: async (path: string) => {
      if (path !== '/ws/k.elf' && path !== '/ws/m 1.bin') throw new FileError('there is no such file');
      return Uint8Array.of(1, 2);
    },
  };

  it('resolves paths from the base folder', async () => {
    const { options } = check({ modules: ['"m 1.bin" verbose fast'], vmm: { exiting: ['cpuid'] } });
    const config = await readMachineConfig(options, '/ws', reader);
    expect(config.image).toEqual({ name: '/ws/k.elf', bytes: Uint8Array.of(1, 2) });
    expect(config.modules).toEqual([
      { name: '/ws/m 1.bin', bytes: Uint8Array.of(1, 2), commandLine: 'verbose fast' },
    ]);
    expect(config.vmm.exiting).toEqual(['cpuid']);
  });

  it('makes the program the first disk of a machine with a BIOS', async () => {
    const files = { read: async (path: string) => new TextEncoder().encode(path) };
    const { options } = check({ bios: 'b.bin', disks: ['d.img', { file: 'e.img' }] });
    const config = await readMachineConfig(options, '/ws', files);
    expect(config.image).toBeUndefined();
    expect(config.bios?.name).toBe('/ws/b.bin');
    expect(config.disks?.map(({ name }) => name)).toEqual(['/ws/k.elf', '/ws/d.img', '/ws/e.img']);
    expect(check({ program: undefined, bios: 'b.bin' }).options.program).toBeUndefined();
  });

  it('names what cannot be read', async () => {
    const { options } = check({ initrd: 'none.cpio' });
    await expect(readMachineConfig(options, '/ws', reader)).rejects.toThrow(
      'Cannot read the initrd /ws/none.cpio: there is no such file.',
    );
  });

  it('a module without arguments has an empty command line', () => {
    expect(splitModule('a.bin')).toEqual({ file: 'a.bin', commandLine: '' });
  });
});
