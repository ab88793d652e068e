/** package.json is what VS Code reads first: everything it promises exists, and nothing is promised twice. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { ExtensionContext } from 'vscode';
import { SAMPLES } from '../../extension/commands/samples.ts';
import { startExtension } from '../../extension/extension.ts';
import type { ExtensionHost } from '../../extension/host/extensionHost.ts';
import { registered, Uri } from '../support/fakeVscode.ts';

vi.mock('vscode', () => import('../support/fakeVscode.ts'));

const repository = resolve(import.meta.dirname, '../..');
const manifest = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
const { contributes } = manifest;

/** Every value under a key, anywhere. */
function values(node: unknown, ...keys: string[]): unknown[] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) => [
    ...(keys.includes(key) ? [value] : []),
    ...values(value, ...keys),
  ]);
}

const commandIds: string[] = contributes.commands.map(({ command }: { command: string }) => command);
const viewIds: string[] = Object.values<{ id: string }[]>(contributes.views ?? {}).flatMap((views) =>
  views.map(({ id }) => id),
);

describe('the manifest', () => {
  it('has the activation events that are needed and no other', () => {
    expect(manifest.activationEvents).toEqual(['onDebugResolve:hvm', 'onDebugDynamicConfigurations:hvm']);
  });

  it('says where the extension can run', () => {
    expect(manifest).not.toHaveProperty('extensionKind');
    expect(manifest.capabilities.virtualWorkspaces).toBe(false);
    expect(manifest.capabilities.untrustedWorkspaces.supported).toBe('limited');
    expect(manifest.engines.vscode).toBe(`^${manifest.devDependencies['@types/vscode']}`);
  });

  it('registers the commands that it contributes, each once', () => {
    const state = { get: (_: string, standard: unknown) => standard, update: async () => undefined };
    const context = {
      subscriptions: [],
      extensionUri: Uri.file(repository),
      workspaceState: state,
      globalState: state,
    };
    // Nothing is started, nothing is read.
    startExtension(context as unknown as ExtensionContext, {} as ExtensionHost);
    const ids = registered.get('registerCommand') ?? [];
    // Views call commands of their own, which are in no menu.
    expect(ids).toEqual(expect.arrayContaining(commandIds));
    for (const all of [ids, commandIds]) expect(new Set(all).size).toBe(all.length);
  });

  it('puts no command into a menu that it does not contribute', () => {
    const mentioned = values([contributes.menus, contributes.keybindings], 'command');
    for (const command of mentioned) expect(commandIds).toContain(command);
  });

  it('links only to commands and views that exist', () => {
    const texts = values([contributes.viewsWelcome, contributes.walkthroughs], 'contents', 'description');
    const links = texts.flatMap((text) => [...String(text).matchAll(/\(command:([\w.]+)\)/g)]);
    expect(links.length).toBeGreaterThan(3);
    for (const [, command] of links) {
      const isKnown =
        commandIds.includes(command) ||
        command.startsWith('workbench.') ||
        viewIds.includes(command.replace(/\.focus$/, ''));
      expect(isKnown, command).toBe(true);
    }
  });

  it('names files that exist and are shipped', () => {
    const named = [
      manifest.icon,
      ...contributes.languages.map(({ configuration }: { configuration: string }) => configuration),
      ...contributes.grammars.map(({ path }: { path: string }) => path),
      ...values(contributes.walkthroughs, 'svg', 'markdown', 'image'),
    ].map((path) => join(String(path)));
    const shipped: string[] = manifest.files;
    for (const path of named) {
      expect(existsSync(join(repository, path)), path).toBe(true);
      const covering = shipped.filter((entry) => entry === path || dirname(entry) === dirname(path));
      expect(covering, `${path} in "files"`).not.toEqual([]);
    }
  });

  it('has an icon of 128 by 128 pixels', () => {
    const png = readFileSync(join(repository, manifest.icon));
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([128, 128]);
  });

  it('contributes a language for every file name that breakpoints of ours need', () => {
    const own: { id: string }[] = contributes.languages;
    const languages = new Set(contributes.breakpoints.map(({ language }: { language: string }) => language));
    for (const { id } of own.filter((language) => 'extensions' in language)) expect(languages).toContain(id);
    for (const { language } of contributes.grammars) expect(own.map(({ id }) => id)).toContain(language);
  });
});

describe('the samples that are brought along', () => {
  it.each(SAMPLES)('$folder can be opened and debugged', ({ folder, firstFile }) => {
    const path = join(repository, 'samples', folder);
    expect(existsSync(join(path, firstFile))).toBe(true);
    const { configurations } = JSON.parse(readFileSync(join(path, '.vscode/launch.json'), 'utf8'));
    const programs: string[] = configurations.map(({ program }: { program: string }) => program);
    for (const program of programs)
      expect(existsSync(program.replace(/^\$\{workspaceFolder\}/, path)), program).toBe(true);
    const shipped = manifest.files.filter((file: string) => file.startsWith(`samples/${folder}/`));
    expect(shipped).toContain(`samples/${folder}/.vscode/*.json`);
    expect(shipped.length).toBeGreaterThan(1);
  });
});

describe('the problem matchers', () => {
  const matcher = (name: string) => {
    const { pattern } = contributes.problemMatchers.find((each: { name: string }) => each.name === name);
    return (line: string) => {
      const found = new RegExp(pattern.regexp).exec(line);
      return (
        found && [found[pattern.file], found[pattern.line], found[pattern.severity], found[pattern.message]]
      );
    };
  };

  it.each([
    ['kernel.c:12:5: error: unknown type name ‘u32’', ['kernel.c', '12', 'error', 'unknown type name ‘u32’']],
    ['./a b/x.h:3:1: warning: unused', ['./a b/x.h', '3', 'warning', 'unused']],
    [
      'boot.S:7: Error: no such instruction: `mvo %eax,1',
      ['boot.S', '7', 'Error', 'no such instruction: `mvo %eax,1'],
    ],
    ['x.c:1:10: fatal error: y.h: No such file', ['x.c', '1', 'error', 'y.h: No such file']],
  ])('$hvm-gcc reads %s', (line, expected) => {
    expect(matcher('hvm-gcc')(line)).toEqual(expected);
  });

  it.each([
    ["boot.asm:12: error: symbol `x' not defined", ['boot.asm', '12', 'error', "symbol `x' not defined"]],
    ['boot.asm:3: warning: label alone on a line', ['boot.asm', '3', 'warning', 'label alone on a line']],
  ])('$hvm-nasm reads %s', (line, expected) => {
    expect(matcher('hvm-nasm')(line)).toEqual(expected);
  });

  it('take nothing else', () => {
    for (const line of ['gcc -c kernel.c', 'make: *** [Makefile:20: kernel.o] Error 1'])
      for (const name of ['hvm-gcc', 'hvm-nasm']) expect(matcher(name)(line)).toBeNull();
  });
});
