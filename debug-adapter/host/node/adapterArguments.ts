/** The arguments of the adapter as a program: `[--port N] [--trace [FILE]]`. */
import type { AdapterOptions } from './adapter.ts';

/** Options, or one sentence that says what is wrong. */
export function parseAdapterArguments(args: readonly string[]): AdapterOptions | string {
  let port: number | undefined;
  let trace: string | undefined;
  for (let position = 0; position < args.length; position++) {
    const [name, inline] = args[position].split('=', 2);
    const following = args[position + 1]?.startsWith('-') ? undefined : args[position + 1];
    if (name === '--port') {
      const text = inline ?? following;
      if (text === undefined || !/^[0-9]{1,5}$/.test(text) || Number(text) > 65535)
        return `--port needs a number from 0 to 65535${text === undefined ? '' : `, not "${text}"`}.`;
      port = Number(text);
      if (inline === undefined) position++;
    } else if (name === '--trace') {
      trace = inline ?? following ?? '';
      if (inline === undefined && following !== undefined) position++;
    } else return `${name} is not an option: there are --port N and --trace [FILE].`;
  }
  return { port, trace };
}
