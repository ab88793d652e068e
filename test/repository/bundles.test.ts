/**
 * What a program loads before it can answer is time that somebody waits. `sideEffects: false` in package.json lets the
 * bundler leave out what is not used: no module does anything by being imported.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { describe, expect, it } from 'vitest';

const repository = resolve(import.meta.dirname, '../..');

/** The sources that end up in the bundle of `entry`. */
async function bundled(entry: string): Promise<string[]> {
  const bundle = await rolldown({
    cwd: repository,
    input: join(repository, entry),
    platform: 'node',
    external: ['vscode'],
  });
  const { output } = await bundle.generate({ format: 'esm' });
  await bundle.close();
  return output.flatMap((chunk) =>
    chunk.type === 'asset'
      ? []
      : Object.entries(chunk.modules)
          .filter(([, { renderedLength }]) => renderedLength > 0)
          .map(([path]) => relative(repository, path)),
  );
}

describe('the bundles', () => {
  it('the adapter starts without the machine, which is the worker’s', async () => {
    const files = await bundled('debug-adapter/host/node/main.ts');
    expect(files).toContain('debug-adapter/session.ts');
    expect(files.filter((file) => /^emulator\/(engine|isa|machine|devices)\//.test(file))).toEqual([]);
  });

  it('the extension is nothing but itself', async () => {
    const files = await bundled('extension/host/node/main.ts');
    expect(files.filter((file) => !file.startsWith('extension/'))).toEqual([]);
  });

  it('lose nothing: no module is imported for what it does', () => {
    const importsForEffect = ['emulator', 'debug-adapter', 'extension', 'cli'].flatMap((folder) =>
      readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts'))
        .map((file) => join(folder, file))
        .filter((file) => /^import ['"]/m.test(readFileSync(join(repository, file), 'utf8'))),
    );
    expect(importsForEffect).toEqual([]);
  });
});
