/** `hvm explain FILE`: why the VM entry of a VMCS failed that Linux KVM or Xen has dumped into a log. */
import { readFileSync } from 'node:fs';
import { explainLog, NO_DUMP } from '../debug-adapter/explain/dumpText.ts';

const STATUS = { OK: 0, BROKEN: 1, USAGE: 2 } as const;

const HELP = `usage: hvm explain FILE [--undecided]

Reads the VMCS dumps that Linux KVM ("*** Guest State ***" after "VMCS …") and Xen ("VMCS Area") write into
the kernel log and names every rule of VM entry that the values break. FILE may be a whole log; "-" is
standard input. --undecided lists the rules that need what the dump does not show.

exit status: 0 no broken rule, 1 a broken rule, 2 no dump in the file
`;

/** Gives the exit status. */
export function explain(args: readonly string[]): number {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP);
    return STATUS.OK;
  }
  const showUndecided = args.includes('--undecided');
  const files = args.filter((argument) => argument !== '--undecided');
  const [file] = files;
  const unknown = files.find((argument) => argument.startsWith('-') && argument !== '-');
  if (unknown !== undefined)
    return fail(`${unknown} is not an option of "hvm explain": see "hvm explain --help".`);
  if (file === undefined || files.length > 1)
    return fail('"hvm explain" needs one FILE with a VMCS dump; "-" is standard input.');
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    return fail(`Cannot read ${file}: ${error instanceof Error ? error.message : String(error)}.`);
  }
  const explained = explainLog(text, showUndecided ? 'list' : '--undecided names them');
  if (explained === undefined) return fail(`${file} has ${NO_DUMP}.`);
  process.stdout.write(explained.text);
  return explained.broken ? STATUS.BROKEN : STATUS.OK;
}

function fail(message: string): number {
  process.stderr.write(`hvm: ${message}\n`);
  return STATUS.USAGE;
}
