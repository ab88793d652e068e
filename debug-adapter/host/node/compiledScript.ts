/**
 * Loads a bundle together with what V8 made of it in an earlier run of the same bundle by the same V8: parsing and
 * compiling it anew is a third of a start. Without such a file it loads like any other script.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { Script } from 'node:vm';

/** Where compiled scripts are kept; when it is set, one that is missing is written there. */
const FOLDER = process.env.HVM_COMPILED_SCRIPTS;
/** Milliseconds after which most of what is ever called was compiled. */
const WRITE_AFTER = 2000;

/** Gives the exports of a CommonJS script, whose text is a function. `hash` is that of its text: V8 compares nothing but the length. */
export function loadCompiled(file: string, hash: string): unknown {
  const folder = FOLDER ?? join(dirname(file), 'compiled');
  const compiled = join(folder, `${basename(file)}-${hash}-${process.versions.v8}`);
  const cachedData = contentOf(compiled);
  // The build leaves no character that is not ASCII.
  const script = new Script(readFileSync(file, 'latin1'), {
    filename: file,
    ...(cachedData && { cachedData }),
  });
  if (FOLDER !== undefined && (cachedData === undefined || script.cachedDataRejected))
    writeLater(script, basename(file), compiled);
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(file), module, file, dirname(file));
  return module.exports;
}

function contentOf(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

function writeLater(compiled: Script, script: string, file: string): void {
  const write = (): void => {
    process.off('exit', write);
    clearTimeout(timer);
    try {
      const folder = dirname(file);
      mkdirSync(folder, { recursive: true });
      // What other versions left.
      const others = readdirSync(folder).filter((name) => name.startsWith(`${script}-`));
      for (const name of others) rmSync(join(folder, name));
      // Whoever reads it at this moment sees all of it or nothing.
      const part = `${file}.${process.pid}.part`;
      writeFileSync(part, compiled.createCachedData());
      renameSync(part, file);
    } catch {
      // A folder that cannot be written costs time at the next start, and nothing else.
    }
  };
  const timer = setTimeout(write, WRITE_AFTER).unref();
  process.on('exit', write);
}
