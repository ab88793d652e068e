/** `npm run build`: the bundles of dist/. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { build, transform } from 'esbuild';
import { writeInterpreter } from './scripts/generate.mjs';

/** iced-x86 is CommonJS and reads its wasm from beside the file that it ends up in. */
const COMMONJS_IN_ESM = [
  "import { createRequire as createRequire$hvm } from 'node:module';",
  "import { dirname as dirname$hvm } from 'node:path';",
  "import { fileURLToPath as fileURLToPath$hvm } from 'node:url';",
  'const require = createRequire$hvm(import.meta.url);',
  'const __dirname = dirname$hvm(fileURLToPath$hvm(import.meta.url));',
].join('\n');

/** Half of iced-x86's text is comments, which esbuild keeps inside expressions and which take time at every start. */
const WITHOUT_COMMENTS = {
  name: 'iced-x86 without comments',
  setup({ onLoad }) {
    onLoad({ filter: /iced_x86\.js$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, 'utf8'), { minifyWhitespace: true });
      return { contents: code };
    });
  },
};

/** The browser of the oldest VS Code that the extension runs in. */
const BROWSER = { platform: 'browser', format: 'iife', target: 'chrome132' };
const NODE = { platform: 'node', format: 'esm', banner: { js: COMMONJS_IN_ESM } };

/** [entry, bundle, options] */
const BUNDLES = [
  ['cli/main.ts', 'dist/cli.js', NODE],
  ['debug-adapter/host/node/main.ts', 'dist/adapter.js', NODE],
  ['debug-adapter/host/node/machineWorker.ts', 'dist/machineWorker.js', NODE],
  [
    'extension/host/node/main.ts',
    'dist/extension.cjs',
    { platform: 'node', format: 'cjs', external: ['vscode'] },
  ],
  ['extension/exits/webview/main.ts', 'dist/webview/exits.js', BROWSER],
  ['extension/exits/webview/style.css', 'dist/webview/exits.css', BROWSER],
];

process.chdir(import.meta.dirname);
rmSync('dist', { recursive: true, force: true });
mkdirSync('dist');

const built = BUNDLES.filter(([entry]) => existsSync(entry));
for (const [entry] of BUNDLES) {
  if (!existsSync(entry)) console.error(`${entry} does not exist: its bundle is left out.`);
}
await Promise.all([
  ...built.map(([entry, outfile, options]) =>
    build({
      entryPoints: [entry],
      outfile,
      bundle: true,
      target: 'node20',
      sourcemap: true,
      // Backtraces and the names in error messages stay readable; size is of no concern here.
      minify: false,
      legalComments: 'none',
      logLevel: 'warning',
      plugins: [WITHOUT_COMMENTS],
      ...options,
    }),
  ),
  writeInterpreter('dist/interpreter.wasm'),
]);
copyFileSync('node_modules/iced-x86/iced_x86_bg.wasm', 'dist/iced_x86_bg.wasm');
writeFileSync('dist/.built', '');
