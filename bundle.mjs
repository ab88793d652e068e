/**
 * `npm run build`: the bundles of dist/.
 *
 * What runs the machine is bundled by rolldown, which leaves `const` as it is: esbuild makes every top-level constant a
 * `var`, whose value V8 cannot count on, and a VM exit then takes a tenth longer.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { build } from 'esbuild';
import { rolldown } from 'rolldown';
import { writeInterpreter } from './scripts/generate.mjs';
import { compileScripts } from './scripts/support/compileScripts.mjs';

/** What takes long to compile is loaded with what V8 made of it in an earlier run. */
const LOADER = 'debug-adapter/host/node/compiledScript.ts';
const COMPILED = new Set(['cli-run.js', 'adapter.js', 'machineWorker.js']);

const PROGRAMS = [
  ['cli/main.ts', 'cli.js'],
  ['debug-adapter/host/node/main.ts', 'adapter.js'],
  ['debug-adapter/host/node/machineWorker.ts', 'machineWorker.js'],
];

/** The browser of the oldest VS Code that the extension runs in. */
const BROWSER = { platform: 'browser', format: 'iife', target: 'chrome132' };
const EXTENSION_HOST = { platform: 'node', format: 'cjs', target: 'node20', external: ['vscode'] };

const EXTENSION = [
  ['extension/host/node/main.ts', 'dist/extension.cjs', EXTENSION_HOST],
  ['extension/exits/webview/main.ts', 'dist/webview/exits.js', BROWSER],
  ['extension/exits/webview/style.css', 'dist/webview/exits.css', BROWSER],
];

/** What a program loads on demand is a bundle of its own with copies of what it needs: V8 trusts no import either. */
async function bundleProgram([input, file]) {
  const onDemand = [];
  const bundle = await rolldown({
    input,
    platform: 'node',
    plugins: [
      {
        name: 'on-demand',
        resolveId(source, importer, { kind }) {
          if (kind !== 'dynamic-import') return null;
          const name = `${basename(file, '.js')}-${basename(source, '.ts')}.js`;
          onDemand.push([join(dirname(importer), source), name]);
          return { id: `./${name}`, external: true };
        },
      },
    ],
  });
  const { output } = await bundle.generate({
    file,
    format: 'cjs',
    dynamicImportInCjs: false,
    // What the sources are as modules.
    strict: true,
    sourcemap: true,
    // Comments take time at every start. Names stay: backtraces and error messages are read.
    comments: false,
  });
  await bundle.close();
  await writeProgram(file, output[0]);
  await Promise.all(onDemand.map(bundleProgram));
}

/** V8 reads ASCII faster, and keeps it in half the memory. */
const toAscii = (text) =>
  text.replaceAll(
    /[^\0-\x7f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** A script that is loaded by `loadCompiled` is one function: to wrap it there would copy megabytes at every start. */
const wrapped = (code) => `(function (exports, require, module, __filename, __dirname) {${code}\n})`;

async function writeProgram(file, { code, map }) {
  const script = COMPILED.has(file) ? file.replace('.js', '.script.js') : file;
  const ascii = toAscii(code);
  const text = `${script === file ? ascii : wrapped(ascii)}\n//# sourceMappingURL=${script}.map\n`;
  writeFileSync(join('dist', script), text);
  writeFileSync(join('dist', `${script}.map`), JSON.stringify(map));
  if (script !== file) await writeLoader(file, script, text);
}

async function writeLoader(file, script, text) {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
  await build({
    stdin: {
      contents: `import { loadCompiled } from './${LOADER}';
module.exports = loadCompiled(require('node:path').join(__dirname, '${script}'), '${hash}');`,
      resolveDir: '.',
    },
    outfile: join('dist', file),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
  });
}

function bundlePartOfExtension([entry, outfile, options]) {
  return build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    sourcemap: true,
    legalComments: 'none',
    logLevel: 'warning',
    ...options,
  });
}

process.chdir(import.meta.dirname);
rmSync('dist', { recursive: true, force: true });
mkdirSync('dist');
await Promise.all([
  ...PROGRAMS.map(bundleProgram),
  ...EXTENSION.map(bundlePartOfExtension),
  writeInterpreter('dist/interpreter.wasm'),
]);
copyFileSync('node_modules/iced-x86/iced_x86_bg.wasm', 'dist/iced_x86_bg.wasm');
// VS Code on a desktop starts the adapter by `require`.
writeFileSync('dist/package.json', '{ "type": "commonjs" }\n');
await compileScripts();
writeFileSync('dist/.built', '');
