import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { DebugConfiguration, WorkspaceFolder } from 'vscode';
import { commands, FileType, Uri, window, workspace } from '../../test/support/fakeVscode.ts';
import type { ExtensionHost } from '../host/extensionHost.ts';
import { ConfigurationProvider } from './configurationProvider.ts';

vi.mock('vscode', () => import('../../test/support/fakeVscode.ts'));

const folder = { uri: Uri.file('/os'), name: 'os', index: 0 } as unknown as WorkspaceFolder;
const elf = new Uint8Array(64);
elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
elf.set([2, 0, 62, 0], 0x10);

/** Files of the workspace, with their types. */
let files: Record<string, number>;
let shown: { message: string; detail: string } | undefined;
let executed: string[];

const host: Pick<ExtensionHost, 'readBeginning'> = {
  readBeginning: async (uri) => (uri.path.endsWith('.elf') ? elf : new Uint8Array(0)),
};
const provider = new ConfigurationProvider(host as ExtensionHost);

beforeEach(() => {
  files = { '/os/kernel.elf': FileType.File };
  shown = undefined;
  executed = [];
  Object.assign(workspace, {
    fs: {
      stat: async ({ path }: Uri) => {
        if (!(path in files)) throw new Error('there is no such file');
        return { type: files[path] };
      },
    },
    findFiles: async () => Object.keys(files).map((path) => Uri.file(path)),
  });
  Object.assign(window, {
    showErrorMessage: async (message: string, { detail }: { detail: string }, button: string) => {
      shown = { message, detail };
      return button;
    },
  });
  Object.assign(commands, { executeCommand: async (id: string) => executed.push(id) });
});

const resolve = (configuration: Partial<DebugConfiguration>) =>
  provider.resolveDebugConfigurationWithSubstitutedVariables(folder, {
    type: 'hvm',
    request: 'launch',
    name: 'Kernel',
    ...configuration,
  });

describe('a launch configuration', () => {
  it('is given to the adapter with the folder that relative paths start from', async () => {
    expect(await resolve({ program: '/os/kernel.elf', noDebug: true })).toEqual({
      type: 'hvm',
      request: 'launch',
      name: 'Kernel',
      program: '/os/kernel.elf',
      noDebug: true,
      __workspaceFolder: '/os',
    });
    expect(await resolve({ program: 'kernel.elf' })).toMatchObject({ program: 'kernel.elf' });
    expect(shown).toBeUndefined();
  });

  it('without a folder starts from that of the program', async () => {
    const configuration = { type: 'hvm', request: 'launch', name: 'Kernel', program: '/os/kernel.elf' };
    expect(
      await provider.resolveDebugConfigurationWithSubstitutedVariables(undefined, configuration),
    ).toMatchObject({ __workspaceFolder: '/os' });
  });

  it.each([
    [{}, '"Kernel" names no program.', 'Set "program"'],
    [{ program: '/os/gone.elf' }, 'The program does not exist: /os/gone.elf', 'Build it first'],
    [
      { program: 'gone', preLaunchTask: 'make' },
      'The program does not exist: /os/gone',
      'The task "make" ran',
    ],
    [{ program: '/os/build' }, 'The program is a folder: /os/build', 'the image inside it'],
  ])('%j is one error, with the way to launch.json', async (configuration, message, advice) => {
    files['/os/build'] = FileType.Directory;
    expect(await resolve(configuration)).toBeUndefined();
    expect(shown?.message).toBe(message);
    expect(shown?.detail).toContain(advice);
    expect(executed).toEqual(['workbench.action.debug.configure']);
  });

  it('needs no program with a BIOS', async () => {
    expect(await resolve({ bios: '/os/bios.bin' })).toMatchObject({ bios: '/os/bios.bin' });
  });

  it('whose program is no text is the adapter’s to refuse', async () => {
    expect(await resolve({ program: 7 })).toMatchObject({ program: 7 });
  });

  it('is made for the one image of a folder that has no launch.json', async () => {
    const empty = {} as DebugConfiguration;
    expect(await provider.resolveDebugConfiguration(folder, empty)).toMatchObject({
      type: 'hvm',
      program: '/os/kernel.elf',
      stopOnEntry: true,
    });
  });

  it('that exists is left as it is', async () => {
    const configuration = { type: 'hvm', request: 'launch', name: 'x' };
    expect(await provider.resolveDebugConfiguration(folder, configuration)).toBe(configuration);
  });
});
