/** What `npm run build` calls to make dist/interpreter.wasm. */
import { generateInterpreter } from './interpreter.ts';
import { MEMORY_IMPORT } from './translations.ts';

export function buildInterpreter(): Uint8Array<ArrayBuffer> {
  return generateInterpreter(MEMORY_IMPORT);
}
