/** The texts of `--help`. */
import {
  cliName,
  LAUNCH_OPTIONS,
  type LaunchOption,
  type LaunchOptionKey,
} from '../debug-adapter/launchConfig.ts';

const WIDTH = 100;
const INDENT = 30;

export const MAIN_HELP = `HVM Debugger: an x86-64 machine with hardware virtualization, for kernels and hypervisors.

usage: hvm run IMAGE [options]      boot IMAGE with its serial port on this terminal
       hvm explain FILE             why a VM entry failed, from the VMCS that KVM or Xen has logged
       hvm dap [--port N]           serve the debug adapter protocol on standard input and output,
                                    or on port N of 127.0.0.1; --trace [FILE] logs the conversation
       hvm --help | --version

"hvm run --help" lists the options of run.
`;

const EXIT_STATUS = `exit status:
  (value << 1) | 1   the guest wrote value to port 0xf4
  0                  the guest powered off, or --exit-on was found
  2                  bad arguments, an unreadable image, an option that does not exist yet
  4                  triple fault, failed VM entry, something unimplemented, a halt that nothing can
                     end: standard error says why
  70                 an error in hvm itself
  124                --timeout or --max-instructions
  130                stopped by Ctrl-] (on a terminal) or SIGINT
`;

/** Breaks a text into lines that fit beside the option names. */
function wrap(text: string): string[] {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1];
    if (line.length + word.length + 1 > WIDTH - INDENT && line !== '') lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}

function describe(key: LaunchOptionKey, row: LaunchOption): string {
  const value = row.type.placeholder === undefined || key === 'program' ? '' : ` ${row.type.placeholder}`;
  const name = `  ${cliName(key)}${value}`;
  const isShown =
    row.default !== undefined && ['string', 'number'].includes(typeof row.default) && row.default !== '';
  const lines = wrap(row.help.replaceAll('`', '') + (isShown && key !== 'serial' ? ` [${row.default}]` : ''));
  const first =
    name.length < INDENT - 1 ? [name.padEnd(INDENT) + lines[0]] : [name, ' '.repeat(INDENT) + lines[0]];
  return [...first, ...lines.slice(1).map((line) => ' '.repeat(INDENT) + line)].join('\n');
}

export function runHelp(): string {
  const rows = (Object.entries(LAUNCH_OPTIONS) as [LaunchOptionKey, LaunchOption][]).filter(
    ([key, row]) => row.available && cliName(key) !== undefined,
  );
  return `usage: hvm run IMAGE [options]

${rows.map(([key, row]) => describe(key, row)).join('\n')}

The serial port is connected to standard output and input. On a terminal Ctrl-] ends the run.

${EXIT_STATUS}`;
}
