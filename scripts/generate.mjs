/** What the build generates rather than bundles: the interpreter, a WebAssembly module made from the semantics. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { importTypeScript } from './support/runTypeScript.mjs';
import { root } from './support/tools.mjs';

const INTERPRETER = 'emulator/engine/buildInterpreter.ts';

export async function writeInterpreter(file) {
  if (!existsSync(join(root, INTERPRETER))) {
    console.error(`${INTERPRETER} does not exist: no interpreter is built.`);
    return;
  }
  const { buildInterpreter } = await importTypeScript(INTERPRETER);
  const bytes = buildInterpreter();
  // Compiling names the offset of the error; a module that loads later would not.
  new WebAssembly.Module(bytes);
  writeFileSync(file, bytes);
}
