/** The debug adapter as a program: `adapter.js [--port N] [--trace [FILE]]`. */
import { startAdapter } from './adapter.ts';
import { parseAdapterArguments } from './adapterArguments.ts';

const options = parseAdapterArguments(process.argv.slice(2));
if (typeof options === 'string') {
  process.stderr.write(`hvm dap: ${options}\n`);
  process.exitCode = 2;
} else startAdapter(options);
