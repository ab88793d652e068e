/** A launch configuration for an image that nobody has configured yet. */
import type { ImageKind } from '../images/imageKind.ts';

/** What VS Code needs, and our attributes. */
export interface NewConfiguration {
  readonly type: 'hvm';
  readonly request: 'launch';
  readonly name: string;
  readonly program: string;
  readonly [attribute: string]: unknown;
}

/** What a kind of image wants to be said at its start. */
const BY_KIND: Readonly<Record<ImageKind, Readonly<Record<string, unknown>>>> = {
  // Nothing is known about the program: the first instruction is the one place it certainly reaches.
  elf: { stopOnEntry: true },
  // Linux is silent on the serial port unless it is told to use it.
  bzImage: { append: 'console=ttyS0' },
};

/** `path` as launch.json has it, e.g. `${workspaceFolder}/kernel.elf`. */
export function newConfiguration(path: string, kind: ImageKind): NewConfiguration {
  return {
    type: 'hvm',
    request: 'launch',
    name: `Debug ${path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1)}`,
    program: path,
    ...BY_KIND[kind],
  };
}
