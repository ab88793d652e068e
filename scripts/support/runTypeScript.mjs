/** Loads a TypeScript module of the repository: bundled into build/, packages left where they are. */
import { readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { root } from './tools.mjs';

/** A bundle stands elsewhere than its sources: `import.meta` keeps meaning the source file. */
const keepPlaces = {
  name: 'keep-places',
  setup({ onLoad }) {
    onLoad({ filter: /\.(ts|mjs)$/ }, ({ path }) => ({
      loader: path.endsWith('.ts') ? 'ts' : 'js',
      contents: readFileSync(path, 'utf8')
        .replaceAll('import.meta.dirname', JSON.stringify(dirname(path)))
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)),
    }));
  },
};

export async function importTypeScript(file) {
  const name = relative(root, join(root, file)).replaceAll(/[\\/]/g, '-');
  const outfile = join(root, 'build', `${basename(name, '.ts')}.mjs`);
  await build({
    entryPoints: [join(root, file)],
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'warning',
    plugins: [keepPlaces],
  });
  return import(pathToFileURL(outfile).href);
}
