/**
 * `npm run bench [NAME …]`: runs the benchmarks of test/bench/ (all, or those whose file name contains a NAME) and prints one
 * table; with --write it also goes to docs/performance.md.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { installPrograms } from './support/programs.mjs';
import { buildIfOutdated, installPackages, requireNode } from './support/setup.mjs';
import { root } from './support/tools.mjs';

requireNode();
installPackages();
buildIfOutdated();
const { importTypeScript } = await import('./support/runTypeScript.mjs');

const args = process.argv.slice(2);
const wanted = args.filter((arg) => !arg.startsWith('--'));
const unknown = args.filter((arg) => arg.startsWith('--') && arg !== '--write');
const files = readdirSync(join(root, 'test/bench'))
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .filter((file) => wanted.length === 0 || wanted.some((name) => file.includes(name)));
if (unknown.length > 0 || files.length === 0) {
  console.error(
    unknown.length > 0 ? `Unknown option ${unknown[0]}` : `No benchmark is called ${wanted.join(' or ')}`,
  );
  process.exit(2);
}

installPrograms({
  programs: ['gcc', 'as', 'qemu-system-x86_64'],
  without: 'what needs it is not measured',
});
const load = loadavg()[0];
const tables = [];
for (const file of files) {
  const { bench } = await importTypeScript(`test/bench/${file}`);
  console.error(`${bench.title} …`);
  tables.push({ title: bench.title, about: bench.about, rows: await bench.run() });
}

const targetOf = ({ target }) => {
  if (!target) return '';
  return 'atLeast' in target ? `at least ${target.atLeast}` : `at most ${target.atMost}`;
};
const misses = ({ value, target }) =>
  target !== undefined && ('atLeast' in target ? value < target.atLeast : value > target.atMost);
const noteOf = (row) =>
  [misses(row) ? '**missed**' : '', row.note ?? ''].filter((text) => text !== '').join(', ');

/** A markdown table whose columns line up in a terminal too; figures stand to the right. */
function table(rows) {
  const cells = [
    ['', 'result', 'unit', 'target', ''],
    ...rows.map((row) => [row.name, String(row.value), row.unit, targetOf(row), noteOf(row)]),
  ];
  const columns = [...cells[0].keys()];
  const widths = columns.map((column) => Math.max(3, ...cells.map((row) => row[column].length)));
  const line = (row) =>
    `| ${row.map((cell, i) => (i === 1 ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join(' | ')} |`;
  const rule = `| ${widths.map((width, i) => (i === 1 ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width))).join(' | ')} |`;
  return [line(cells[0]), rule, ...cells.slice(1).map(line)].join('\n');
}

const machine = `Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB; load average ${load.toFixed(1)} at the start.`;
const text = tables.map(({ title, about, rows }) => `## ${title}\n\n${about}\n\n${table(rows)}\n`).join('\n');
console.log(`${text}\n${machine}`);

if (args.includes('--write')) {
  if (wanted.length > 0) {
    console.error('docs/performance.md holds all benchmarks: --write goes without names.');
    process.exit(2);
  }
  writeFileSync(
    join(root, 'docs/performance.md'),
    `# Performance\n\nMeasured by \`npm run bench -- --write\` on: ${machine}\n\n${text}`,
  );
}
