/**
 * The debug adapter as a program: `adapter.js [--port N] [--trace [FILE]]`. With `--explain` it reads a log with VMCS dumps
 * instead and says what is wrong with them, for an editor that has no session.
 */
import { text } from 'node:stream/consumers';
import { explainLog, NO_DUMP } from '../../explain/dumpText.ts';
import { startAdapter } from './adapter.ts';
import { parseAdapterArguments } from './adapterArguments.ts';

const args = process.argv.slice(2);
if (args.length === 1 && args[0] === '--explain') {
  void text(process.stdin).then((log) => {
    const explained = explainLog(log, 'list');
    process.stdout.write(explained?.text ?? `There is ${NO_DUMP}.\n`);
  });
} else {
  const options = parseAdapterArguments(args);
  if (typeof options === 'string') {
    process.stderr.write(`hvm dap: ${options}\n`);
    process.exitCode = 2;
  } else startAdapter(options);
}
