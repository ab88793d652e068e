/**
 * `npm run bench [NAME …]`: runs the benchmarks of test/bench/ (all, or those whose file name contains a NAME) and prints one
 * table; with --write it also goes to docs/performance.md, in the place of what stands there of them. `--minutes 60` is how
 * long `soak` runs.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installPrograms } from './support/programs.mjs';
import { buildIfOutdated, installPackages, requireNode } from './support/setup.mjs';
import { root } from './support/tools.mjs';

requireNode();
installPackages();
buildIfOutdated();
const { importTypeScript } = await import('./support/runTypeScript.mjs');

const { values, positionals: wanted } = readArguments();
const minutes = Number(values.minutes);
const files = readdirSync(join(root, 'test/bench'))
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .filter((file) => wanted.length === 0 || wanted.some((name) => file.includes(name)));
if (files.length === 0) refuse(`No benchmark is called ${wanted.join(' or ')}`);
if (!(minutes > 0)) refuse(`--minutes ${values.minutes}: give a number of minutes`);

installPrograms({
  programs: ['gcc', 'as', 'qemu-system-x86_64'],
  without: 'what needs it is not measured',
});
const load = loadavg()[0];
const tables = [];
for (const file of files) {
  const { bench } = await importTypeScript(`test/bench/${file}`);
  if (bench.onRequest && wanted.length === 0) continue;
  console.error(`${bench.title} …`);
  tables.push({ title: bench.title, about: bench.about, rows: await bench.run({ minutes }) });
}

function refuse(message) {
  console.error(message);
  process.exit(2);
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { write: { type: 'boolean' }, minutes: { type: 'string', default: '5' } },
    });
  } catch (error) {
    return refuse(error.message);
  }
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
const measuredOn = `Measured by itself; load average ${load.toFixed(1)} at the start.`;
const section = (title, about, rows) => `## ${title}\n\n${about}\n\n${table(rows)}\n`;
const text = tables.map(({ title, about, rows }) => section(title, about, rows)).join('\n');
console.log(`${text}\n${machine}`);

if (values.write) {
  const file = join(root, 'docs/performance.md');
  const [head, ...kept] = readFileSync(file, 'utf8').split(/^(?=## )/m);
  const all = wanted.length === 0;
  const written = tables.map(({ title, about, rows }) => ({
    title,
    // What was measured at another time says on what.
    text: section(title, all ? about : `${about} ${measuredOn}`, rows),
  }));
  // What stands there keeps its place, and what is new comes last.
  const sections = new Map(kept.map((text) => [/^## (.*)$/m.exec(text)?.[1] ?? '', `${text.trimEnd()}\n`]));
  for (const { title, text } of written) sections.set(title, text);
  writeFileSync(
    file,
    `${all ? `# Performance\n\nMeasured by \`npm run bench -- --write\` on: ${machine}\n\n` : head}${[...sections.values()].join('\n')}`,
  );
}
