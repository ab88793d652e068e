/**
 * `npm run build`: the bundles of dist/.
 *
 * What runs the machine is bundled by rolldown, which leaves `const` as it is: esbuild makes every top-level constant a
 * `var`, whose value V8 cannot count on, and a VM exit then takes a tenth longer.
 */
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { build } from 'esbuild';
import { rolldown } from 'rolldown';
import { writeInterpreter } from './scripts/generate.mjs';

/** iced-x86 is CommonJS and reads its wasm from beside the file that it ends up in. */
const COMMONJS_IN_ESM = [
  "import { dirname as dirname$hvm } from 'node:path';",
  "import { fileURLToPath as fileURLToPath$hvm } from 'node:url';",
  'const __dirname = dirname$hvm(fileURLToPath$hvm(import.meta.url));',
].join('\n');

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
  await bundle.write({
    file: join('dist', file),
    format: 'esm',
    banner: COMMONJS_IN_ESM,
    sourcemap: true,
    // Comments take time at every start. Names stay: backtraces and error messages are read.
    comments: false,
  });
  await bundle.close();
  await Promise.all(onDemand.map(bundleProgram));
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
writeFileSync('dist/.built', '');
