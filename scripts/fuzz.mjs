/**
 * `npm run fuzz -- [--count 100000] [--seed 1] [--vmcs]`: damages so many files, programs with debug information and kernel images in
 * turns. The symbol reader is asked everything about the ones, the others are booted and run for some thousand instructions
 * (test/fuzz/). Each has to end with a result or one clear error, soon. A file is told by its number: `--count 1 --seed NUMBER`
 * does it again. With --vmcs it enters guests with as many damaged VMCSs instead.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { installPackages, requireNode } from './support/setup.mjs';
import { isOnPath } from './support/tools.mjs';

const HANG_SECONDS = 60;
const PROGRESS_SECONDS = 10;
/** After so many different failures it is time to mend something. */
const MOST_FAILURES = 20;

function readArguments(args) {
  const values = { count: 100_000, seed: 1, vmcs: false };
  for (let i = 0; i < args.length; i += 2) {
    if (args[i] === '--vmcs') {
      values.vmcs = true;
      i--;
      continue;
    }
    const name = args[i].replace(/^--/, '');
    const value = Number(args[i + 1]);
    if (!['count', 'seed'].includes(name) || !Number.isInteger(value) || value < 0) {
      console.error(`${args[i]} is unknown or lacks a number: --count NUMBER, --seed NUMBER, --vmcs`);
      process.exit(2);
    }
    values[name] = value;
  }
  return values;
}

const isProgram = (number) => number % 2 === 1;
const describe = (number, vmcs) =>
  vmcs ? `VMCS ${number}` : `file ${number} (${isProgram(number) ? 'program' : 'kernel image'})`;

/** Adds up two results: numbers are added, slowest times compared, the rest is merged. */
function add(total, result) {
  for (const [key, value] of Object.entries(result)) {
    if (key.startsWith('slowest')) total[key] = Math.max(total[key] ?? 0, value);
    else if (typeof value === 'number') total[key] = (total[key] ?? 0) + value;
    else if (value instanceof Set) total[key] = new Set([...(total[key] ?? []), ...value]);
    else {
      total[key] ??= {};
      add(total[key], value);
    }
  }
}

function errorText(error) {
  const lines = [];
  for (let cause = error; cause; cause = cause.cause)
    lines.push(
      String(cause.stack ?? cause)
        .split('\n')
        .slice(0, 6)
        .join('\n'),
    );
  return lines.join('\n');
}

async function work({ count, seed, vmcs, current }) {
  const { importTypeScript } = await import('./support/runTypeScript.mjs');
  const { fuzzSymbols } = await importTypeScript('test/fuzz/symbols.ts');
  const { fuzzMachines } = await importTypeScript('test/fuzz/machines.ts');
  const { fuzzVmcss } = await importTypeScript('test/fuzz/vmcs.ts');
  const programs = {};
  const images = {};
  const vmcss = {};
  for (let i = 0; i < count; i++) {
    const number = (seed + i) >>> 0;
    Atomics.store(current, 0, number);
    // 0 until the first begins.
    Atomics.store(current, 1, i + 1);
    try {
      if (vmcs) add(vmcss, fuzzVmcss(number, 1));
      else if (isProgram(number)) add(programs, fuzzSymbols(number, 1));
      else add(images, fuzzMachines(number, 1));
    } catch (error) {
      parentPort.postMessage({ failure: `${describe(number, vmcs)}: ${errorText(error)}` });
    }
  }
  parentPort.postMessage(vmcs ? { vmcss } : { programs, images });
}

function watch({ count, seed, vmcs }) {
  const began = performance.now();
  const current = new Uint32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL(import.meta.url), { workerData: { count, seed, vmcs, current } });
  let failures = 0;
  let seen = -1;
  let seenAt = began;
  let shownAt = began;
  const finish = () => {
    const seconds = Math.round((performance.now() - began) / 1000);
    console.log(`${failures === 0 ? 'ok' : `${failures} failures`}, ${seconds} s`);
    process.exit(failures === 0 ? 0 : 1);
  };
  const fail = (text) => {
    failures++;
    console.log(`FAILED ${text}`);
    if (failures === MOST_FAILURES) finish();
  };
  worker.on('message', ({ failure, programs, images, vmcss }) => {
    if (failure) {
      fail(failure);
      return;
    }
    if (vmcss) console.log('VMCSs:', vmcss);
    else {
      console.log('programs:', programs);
      console.log('kernel images:', images);
    }
    finish();
  });
  worker.on('error', (error) => {
    fail(`${describe(Atomics.load(current, 0), vmcs)}: ${errorText(error)}`);
    finish();
  });
  setInterval(() => {
    const now = performance.now();
    const done = Atomics.load(current, 1);
    if (done !== seen || done === 0) {
      seen = done;
      seenAt = now;
    } else if (now - seenAt > HANG_SECONDS * 1000) {
      fail(`${describe(Atomics.load(current, 0), vmcs)}: still busy after ${HANG_SECONDS} s`);
      finish();
    }
    if (now - shownAt < PROGRESS_SECONDS * 1000) return;
    shownAt = now;
    console.error(
      `${Math.max(0, done - 1)} of ${count}, ${failures} failures, ${Math.round((now - began) / 1000)} s`,
    );
  }, 1000);
}

if (isMainThread) {
  requireNode();
  const options = readArguments(process.argv.slice(2));
  installPackages();
  if (!isOnPath('gcc')) {
    console.error('gcc builds the programs that are damaged: install it (on Debian: apt-get install gcc).');
    process.exit(2);
  }
  watch(options);
} else await work(workerData);
