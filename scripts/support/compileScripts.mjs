/** Lets the programs of dist/ run once, so that they leave what V8 made of them in dist/compiled. */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { root } from './tools.mjs';

const FOLDER = join(root, 'dist/compiled');
const GUEST = join(root, 'samples/hello-guest/hello-guest.elf');
const LONGEST = 30_000;

const start = (program, ...args) =>
  spawn(process.execPath, [join(root, 'dist', program), ...args], {
    env: { ...process.env, NODE_OPTIONS: '', HVM_COMPILED_SCRIPTS: FOLDER },
    stdio: ['pipe', 'ignore', 'inherit'],
  });

const ended = (child) => new Promise((resolve) => child.on('close', resolve));

/** The requests with which VS Code begins; the scripts write themselves while the guest stands at `kmain`. */
const CONVERSATION = [
  ['initialize', { adapterID: 'hvm' }],
  ['launch', { program: GUEST, runToEntryPoint: 'kmain' }],
  ['configurationDone'],
  ['threads'],
  ['stackTrace', { threadId: 1 }],
];

async function debug(scripts) {
  const child = start('adapter.js');
  for (const [index, [command, args]] of CONVERSATION.entries()) {
    const text = JSON.stringify({ seq: index + 1, type: 'request', command, arguments: args });
    child.stdin.write(`Content-Length: ${text.length}\r\n\r\n${text}`);
  }
  const end = ended(child);
  for (const until = Date.now() + LONGEST; missing(scripts).length > 0 && Date.now() < until; )
    await setTimeout(50);
  child.stdin.end();
  await end;
}

async function run() {
  const child = start('cli.js', 'run', GUEST);
  child.stdin.end();
  await ended(child);
}

function missing(scripts) {
  const written = readdirSync(FOLDER).filter((name) => !name.endsWith('.part'));
  return scripts.filter((script) => !written.some((name) => name.startsWith(`${script}-`)));
}

export async function compileScripts() {
  mkdirSync(FOLDER, { recursive: true });
  await Promise.all([run(), debug(['adapter.script.js', 'machineWorker.script.js'])]);
  const lacking = missing(['cli-run.script.js', 'adapter.script.js', 'machineWorker.script.js']);
  if (lacking.length > 0) console.error(`Not compiled, which makes starts slower: ${lacking.join(', ')}`);
}
