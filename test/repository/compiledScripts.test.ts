/** What the build leaves beside the programs so that they start faster; whether it is used is seen in the file's name alone. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Script } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIfOutdated } from '../../scripts/support/setup.mjs';

const repository = resolve(import.meta.dirname, '../..');
const dist = join(repository, 'dist');
const guest = join(repository, 'samples/hello-guest/hello-guest.elf');
const folder = mkdtempSync(join(tmpdir(), 'hvm-compiled-'));

function run() {
  return spawnSync(process.execPath, [join(dist, 'cli.js'), 'run', guest], {
    encoding: 'utf8',
    env: { ...process.env, HVM_COMPILED_SCRIPTS: folder },
  });
}

const only = (): string => {
  const files = readdirSync(folder);
  expect(files).toHaveLength(1);
  return join(folder, files[0]);
};

beforeAll(() => buildIfOutdated());
afterAll(() => rmSync(folder, { recursive: true }));

describe('compiled scripts', () => {
  it.each(['cli-run', 'adapter', 'machineWorker'])(
    'are made of %s by the build, and V8 takes them',
    (name) => {
      const script = `${name}.script.js`;
      const compiled = readdirSync(join(dist, 'compiled')).filter((file) => file.startsWith(script));
      expect(compiled).toHaveLength(1);
      expect(compiled[0]).toMatch(new RegExp(`-${process.versions.v8}$`));
      const text = readFileSync(join(dist, script), 'latin1');
      const cachedData = readFileSync(join(dist, 'compiled', compiled[0]));
      const { cachedDataRejected } = new Script(text, { cachedData });
      expect(cachedDataRejected).toBe(false);
    },
  );

  it('are of bundles in strict mode, as modules are', () => {
    const programs = readdirSync(dist).filter((file) => /^(cli|adapter|machineWorker).*\.js$/.test(file));
    expect(programs.length).toBeGreaterThan(6);
    const loaders = ['cli-run.js', 'adapter.js', 'machineWorker.js'];
    for (const file of programs.filter((name) => !loaders.includes(name)))
      expect(readFileSync(join(dist, file), 'latin1').slice(0, 100), file).toContain('"use strict";');
  });

  it('are of bundles in ASCII, which is read as Latin-1', () => {
    const scripts = readdirSync(dist).filter((file) => file.endsWith('.script.js'));
    expect(scripts).toHaveLength(3);
    for (const script of scripts) expect(readFileSync(join(dist, script), 'utf8')).not.toMatch(/[^\0-\x7f]/);
  });

  it('are written where a folder is named, in the place of what an earlier version left', () => {
    writeFileSync(join(folder, 'cli-run.script.js-0-0'), 'of another version');
    expect(run()).toMatchObject({ status: 0, stderr: '' });
    const file = only();
    expect(statSync(file).size).toBeGreaterThan(100_000);
    const { mtimeMs } = statSync(file);
    expect(run()).toMatchObject({ status: 0, stderr: '' });
    expect(statSync(only()).mtimeMs).toBe(mtimeMs);
  });

  it('are made anew when they are damaged', () => {
    const file = only();
    const { size } = statSync(file);
    writeFileSync(file, 'not a compiled script');
    expect(run()).toMatchObject({ status: 0, stderr: '' });
    expect(statSync(only()).size).toBeGreaterThan(size / 2);
  });
});
