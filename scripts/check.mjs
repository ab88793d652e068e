/** `npm run check`: everything that can be said about the sources without running them. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { root, tool } from './support/tools.mjs';

const layered = ['emulator', 'debug-adapter', 'extension', 'cli'].filter((folder) =>
  existsSync(`${root}/${folder}`),
);

/** [what, the tool, its arguments] */
const CHECKS = [
  ['types', 'tsc', ['-p', '.']],
  ['types of the emulator, without node', 'tsc', ['-p', 'emulator']],
  ['types of the exits view, in the browser', 'tsc', ['-p', 'extension/exits/webview']],
  ['format and lint', 'biome', ['check', '--error-on-warnings', '.']],
  ['floating promises', 'eslint', ['--max-warnings', '0', '.']],
  ['layers', 'depcruise', layered],
  ['dead code and dependencies', 'knip', ['--no-progress']],
];

function run([what, name, args]) {
  return new Promise((resolve) => {
    const started = performance.now();
    const child = spawn(process.execPath, [tool(name), ...args], { cwd: root });
    let output = '';
    const collect = (data) => {
      output += data;
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('close', (code) => {
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${what} (${name}, ${seconds} s)`);
      if (code !== 0) console.log(output);
      resolve(code === 0);
    });
  });
}

const waiting = [...CHECKS];
const results = [];
async function work() {
  for (let next = waiting.shift(); next; next = waiting.shift()) results.push(await run(next));
}
await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, work));

const failed = results.filter((ok) => !ok).length;
if (failed > 0) {
  console.log(`${failed} of ${CHECKS.length} checks failed`);
  process.exitCode = 1;
}
