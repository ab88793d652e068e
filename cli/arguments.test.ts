import { describe, expect, it } from 'vitest';
import { LaunchError } from '../debug-adapter/launch/validate.ts';
import { parseRunArguments, UsageError } from './arguments.ts';
import { MAIN_HELP, runHelp } from './help.ts';

function parse(...args: string[]) {
  const parsed = parseRunArguments(args);
  if (parsed === 'help') throw new Error('help');
  return parsed;
}

describe('the command line of hvm run', () => {
  it('an image alone gives the defaults', () => {
    expect(parse('kernel.elf')).toMatchObject({
      program: 'kernel.elf',
      mode: 'guest',
      virtualization: 'vt-x',
      cpu: 'sapphire-rapids',
      cpus: 1,
      memory: 256 * 2 ** 20,
      append: '',
      initrd: undefined,
      modules: [],
      vmm: {},
      startTime: 946_684_800,
      maxInstructions: undefined,
      engine: 'auto',
      watchExits: false,
    });
  });

  it('takes options before and after the image, with a space or an equals sign', () => {
    const options = parse(
      '--mode',
      'bare-metal',
      'k',
      '--memory=1G',
      '--append',
      '-v --quiet',
      '--watch-exits',
    );
    expect(options).toMatchObject({
      program: 'k',
      mode: 'bare-metal',
      memory: 2 ** 30,
      append: '-v --quiet',
      watchExits: true,
    });
  });

  it('adds up what may be repeated', () => {
    const options = parse(
      'k',
      '--module',
      'a.bin',
      '--module',
      'b.bin debug',
      '--vmm',
      'exiting=cpuid,rdtsc',
      '--vmm',
      'exiting=exceptions:#PF',
    );
    expect(options.modules).toEqual(['a.bin', 'b.bin debug']);
    expect(options.vmm).toEqual({ exiting: ['cpuid', 'rdtsc', 'exceptions:#PF'] });
  });

  it('reads the options that end a run', () => {
    const options = parse(
      'k',
      '--max-instructions',
      '1000',
      '--timeout',
      '2.5',
      '--exit-on',
      'ready',
      '--stats',
      's.json',
      '--trace-exits',
      't',
    );
    expect(options).toMatchObject({
      maxInstructions: 1000,
      timeout: 2.5,
      exitOn: 'ready',
      stats: 's.json',
      traceExits: 't',
    });
  });

  it('--serial names a file', () => {
    expect(parse('k', '--serial', 'out.log').serial).toEqual({ file: 'out.log' });
  });

  it('an image may begin with a dash after --', () => {
    expect(parse('--', '-image').program).toBe('-image');
  });

  it.each<[string[], string]>([
    [[], 'IMAGE is missing: name the image to boot.'],
    [['a', 'b'], 'Only one IMAGE can be run, and there are 2: a b.'],
    [['k', '--nonsense'], '--nonsense is not an option of "hvm run": see "hvm run --help".'],
    [['k', '--memory'], '--memory needs a value: --memory SIZE.'],
    [['k', '--memory', '--mode'], '--memory needs a value: --memory SIZE.'],
    [['k', '--memory', '0'], '--memory must be between 2M and 3G, not "0".'],
    [['k', '--memory', '100T'], '--memory must be between 2M and 3G, not "100T".'],
    [['k', '--memory', '1M1'], '--memory must be a size such as 64M or 1G, not "1M1".'],
    [['k', '--memory', '4194305'], '--memory must be a multiple of 4K, not "4194305".'],
    [['k', '--memory', '1G', '--memory', '2G'], '--memory is given twice.'],
    [['k', '--cpus', '2'], '--cpus can only be 1: more processors do not exist yet.'],
    [['k', '--cpus', 'two'], '--cpus must be a whole number, not "two".'],
    [['k', '--virtualization', 'vt-y'], '--virtualization must be "vt-x" or "amd-v" or "none", not "vt-y".'],
    [['k', '--mode', 'host'], '--mode must be "guest" or "bare-metal", not "host".'],
    [['k', '--disk', 'd.img,write'], '--disk cannot write to the file yet: leave ",write" out.'],
    [['k', '--share', 's'], '--share does not exist yet.'],
    [['k', '--share', 'x'], '--share does not exist yet.'],
    [['k', '--network', 'user'], '--network does not exist yet.'],
    [['k', '--record'], '--record does not exist yet.'],
    [['k', '--vmm', 'nested=1'], '--vmm nested does not exist yet.'],
    [['k', '--vmm', 'exits=1'], '--vmm must be exiting=…, not "exits=1".'],
    [
      ['k', '--vmm', 'exiting=io:0x70000'],
      '--vmm "io:0x70000" must name numbers up to 0xffff, such as io:0x60-0x64.',
    ],
    [
      ['k', '--vmm', 'exiting=exceptions'],
      '--vmm "exceptions" must name an exception, such as exceptions:#PF or exceptions:14.',
    ],
    [
      ['k', '--vmm', 'exiting=Cpuid'],
      '--vmm "Cpuid" is not understood: write for example "cpuid", "exceptions:#PF" or "io:0x60-0x64".',
    ],
    [['k', '--watch-exits=1'], '--watch-exits takes no value.'],
    [
      ['k', '--start-time', 'today'],
      '--start-time must be a time such as 2000-01-01T00:00:00Z, not "today".',
    ],
    [['k', '--timeout', '0'], '--timeout must be a number of seconds above 0 and up to 2000000, not 0.'],
    [['k', '--max-instructions', '0'], '--max-instructions must be at least 1, not 0.'],
    [['k', '--stop-on-entry'], '--stop-on-entry is not an option of "hvm run": see "hvm run --help".'],
  ])('%j is refused in one sentence: %s', (args, message) => {
    let error: unknown;
    try {
      parse(...args);
    } catch (thrown) {
      error = thrown;
    }
    expect(error instanceof UsageError || error instanceof LaunchError).toBe(true);
    expect((error as Error).message).toBe(message);
  });

  it('--help wins over everything else', () => {
    expect(parseRunArguments(['--help'])).toBe('help');
    expect(parseRunArguments(['k', '-h'])).toBe('help');
  });
});

describe('help', () => {
  it('lists what works and nothing else', () => {
    const help = runHelp();
    for (const name of [
      'IMAGE',
      '--memory SIZE',
      '--trace-exits FILE',
      '--watch-exits',
      '--serial FILE',
      '--vmm KEY=VALUE',
    ])
      expect(help).toContain(name);
    for (const name of ['--share', '--record', '--stop-on-entry', 'undefined'])
      expect(help).not.toContain(name);
  });

  it('fits a terminal of 100 columns', () => {
    for (const line of `${runHelp()}${MAIN_HELP}`.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  });
});
