#!/usr/bin/env node
/** The command `hvm`. Only what a subcommand needs is loaded. */
import { version } from '../package.json';
import { MAIN_HELP } from './help.ts';

const USAGE_STATUS = 2;
const INTERNAL_STATUS = 70;

async function main(args: readonly string[]): Promise<number | undefined> {
  const [command, ...rest] = args;
  switch (command) {
    case 'run': {
      const { run } = await import('./run.ts');
      return run(rest);
    }
    case 'explain': {
      const { explain } = await import('./explain.ts');
      return explain(rest);
    }
    case 'dap':
      return serveDap(rest);
    case '--version':
    case '-V':
      process.stdout.write(`hvm ${version}\n`);
      return 0;
    case '--help':
    case '-h':
    case 'help':
      process.stdout.write(MAIN_HELP);
      return 0;
    default:
      process.stderr.write(
        command === undefined
          ? MAIN_HELP
          : `hvm: "${command}" is not a command: there are "run", "explain" and "dap", see "hvm --help".\n`,
      );
      return USAGE_STATUS;
  }
}

/** Serves until the client leaves; undefined because the process goes on. */
async function serveDap(args: readonly string[]): Promise<number | undefined> {
  const { parseAdapterArguments } = await import('../debug-adapter/host/node/adapterArguments.ts');
  const options = parseAdapterArguments(args);
  if (typeof options === 'string') {
    process.stderr.write(`hvm dap: ${options}\n`);
    return USAGE_STATUS;
  }
  const { startAdapter } = await import('../debug-adapter/host/node/adapter.ts');
  startAdapter(options);
  return undefined;
}

main(process.argv.slice(2)).then(
  (status) => {
    if (status !== undefined) process.exit(status);
  },
  (error: unknown) => {
    process.stderr.write(
      `hvm: internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    process.exit(INTERNAL_STATUS);
  },
);
