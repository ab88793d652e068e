/** Has the adapter's program explain a log: it knows the rules, the extension does not. */
import { execFile } from 'node:child_process';

/** @param adapter the path of dist/adapter.js */
export function explainDumps(adapter: string, log: string): Promise<string> {
  return new Promise((done, failed) => {
    // VS Code's own program is Node when it is told so.
    const env = { ...process.env, ELECTRON_RUN_AS_NODE: '1' };
    const options = { env, maxBuffer: Number.POSITIVE_INFINITY };
    const child = execFile(process.execPath, [adapter, '--explain'], options, (error, stdout) =>
      error ? failed(error) : done(stdout),
    );
    // A child that has ended says so by its exit.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(log);
  });
}
