/** The interpreter that the build generates, a file beside the bundle. */
import { readFileSync } from 'node:fs';

export function loadInterpreter(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(new URL('./interpreter.wasm', import.meta.url)));
}
