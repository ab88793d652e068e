/** Compressed sections of debug information. */
import { inflateSync } from 'node:zlib';
import type { Inflate } from '../../symbols/elf.ts';

export const inflate: Inflate = (compressed, size) => inflateSync(compressed, { maxOutputLength: size });
