import { describe, expect, it } from 'vitest';
import { configurationsOf } from './existingConfiguration.ts';

/** As launch.json has it. */
const FOLDER = `\${workspaceFolder}`;

const named = (name: string, program: unknown, type = 'hvm') => ({ type, request: 'launch', name, program });

describe('the configurations of an image', () => {
  it.each([
    [`${FOLDER}/build/kernel.elf`],
    ['build/kernel.elf'],
    ['./build/kernel.elf'],
    ['/work/os/build/kernel.elf'],
    [`${FOLDER}//build/kernel.elf`],
  ])('are found as %s', (program) => {
    expect(configurationsOf([named('a', program)], '/work/os', '/work/os/build/kernel.elf')).toEqual(['a']);
  });

  it('are found on Windows', () => {
    const program = `${FOLDER}\\build\\kernel.elf`;
    expect(configurationsOf([named('a', program)], 'c:\\os', 'c:\\os\\build\\kernel.elf')).toEqual(['a']);
  });

  it('are those of this debugger and this program', () => {
    const configurations = [
      named('other type', 'k.elf', 'cppdbg'),
      named('other program', 'x.elf'),
      named('no program', undefined),
      null,
      7,
      named('first', 'k.elf'),
      named('second', `${FOLDER}/k.elf`),
    ];
    expect(configurationsOf(configurations, '/os', '/os/k.elf')).toEqual(['first', 'second']);
  });

  it('are none without a launch.json', () => {
    expect(configurationsOf(undefined, '/os', '/os/k.elf')).toEqual([]);
  });
});
