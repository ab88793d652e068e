/** What F5 costs before VS Code has drawn anything: loading and activating the extension, and the adapter's first stop. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { helloGuest, withAdapter } from './support/adapter.ts';
import { type Bench, percentile, round } from './support/bench.ts';
import { repository } from './support/hvm.ts';

const RUNS = 10;
const TARGET_ACTIVATION = 100;
/** VS Code's own part of the two seconds from F5 to the first stop is not measured here. */
const TARGET_FIRST_STOP = 1000;

/**
 * A script for a process of its own: the bundle as VS Code requires it, with an API of which every name is a function,
 * a class and an object.
 */
const ACTIVATE = `
  const handler = {
    get: (target, name) => (typeof name === 'symbol' ? undefined : name === 'prototype' ? target.prototype : make()),
    apply: () => make(),
    construct: () => make(),
    set: () => true,
  };
  const make = () => new Proxy(function () {}, handler);
  const module_ = require('node:module');
  const load = module_._load;
  module_._load = (name, ...rest) => (name === 'vscode' ? Object.create(make()) : load(name, ...rest));
  const started = performance.now();
  require(${JSON.stringify(join(repository, 'dist/extension.cjs'))}).activate({
    subscriptions: [],
    extensionUri: make(),
    workspaceState: { get: (_, standard) => standard, update() {} },
    globalState: { get: (_, standard) => standard, update() {} },
  });
  console.log(performance.now() - started);
`;

function activate(): number {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', ACTIVATE], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the extension cannot be activated: ${stderr}`);
  return Number(stdout);
}

/** Milliseconds from the start of the adapter's process to its first stop. */
function firstStop(): Promise<number> {
  const started = performance.now();
  return withAdapter(
    { program: helloGuest, runToEntryPoint: 'kmain' },
    async () => performance.now() - started,
  );
}

export const bench: Bench = {
  title: 'The extension',
  about: `The extension's bundle is loaded and activated with an API that does nothing; the adapter's process is started, launches hello-guest and stops at \`kmain\`. ${RUNS} runs each.`,
  async run() {
    const activations = Array.from({ length: RUNS }, activate);
    const stops: number[] = [];
    for (let i = 0; i < RUNS; i++) stops.push(await firstStop());
    return [
      {
        name: 'activation, median',
        value: round(percentile(activations, 0.5)),
        unit: 'ms',
        target: { atMost: TARGET_ACTIVATION },
      },
      { name: 'activation, slowest', value: round(Math.max(...activations)), unit: 'ms' },
      {
        name: 'adapter to its first stop, median',
        value: round(percentile(stops, 0.5), 0),
        unit: 'ms',
        target: { atMost: TARGET_FIRST_STOP },
      },
      { name: 'adapter to its first stop, slowest', value: round(Math.max(...stops), 0), unit: 'ms' },
    ];
  },
};
