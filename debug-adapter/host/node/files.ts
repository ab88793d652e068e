/** Files as Node has them. */
import { closeSync, constants, promises as fs, openSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { FileError } from '../../launch/image.ts';
import type { AdapterFiles, OutputFile, OutputKind } from '../adapterHost.ts';

/** An image larger than the machine's memory can be of no use. */
const LARGEST = 3 * 2 ** 30;

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is not a folder',
  EEXIST: 'it exists already',
  ELOOP: 'it is a symbolic link',
  ENOSPC: 'the disk is full',
};

function fileError(error: unknown): FileError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new FileError((code && REASONS[code]) ?? message);
}

export async function readFile(path: string): Promise<Uint8Array> {
  try {
    const { size, isFile, isFolder } = await fs.stat(path).then((stat) => ({
      size: stat.size,
      isFile: stat.isFile(),
      isFolder: stat.isDirectory(),
    }));
    if (isFolder) throw new FileError('it is a folder');
    if (!isFile) throw new FileError('it is not a regular file');
    if (size > LARGEST) throw new FileError('it is larger than 3G');
    return await fs.readFile(path);
  } catch (error) {
    throw error instanceof FileError ? error : fileError(error);
  }
}

/** Collects what is written and hands it to the system in larger pieces. */
class BufferedFile implements OutputFile {
  readonly #descriptor: number;
  #chunks: Uint8Array[] = [];
  #length = 0;
  #closed = false;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  write(data: Uint8Array | string): void {
    if (this.#closed) return;
    const bytes = typeof data === 'string' ? Buffer.from(data) : Buffer.from(data);
    this.#chunks.push(bytes);
    this.#length += bytes.length;
    if (this.#length >= 65536) this.flush();
    else if (this.#chunks.length === 1) setImmediate(() => this.flush());
  }

  flush(): void {
    if (this.#length === 0 || this.#closed) return;
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#length = 0;
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#descriptor, bytes, done);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    closeSync(this.#descriptor);
  }
}

/** Opens a file that the user named on a command line: what is there is replaced. */
export function openOutput(path: string): OutputFile & { flush(): void } {
  try {
    return new BufferedFile(openSync(path, 'w'));
  } catch (error) {
    throw fileError(error);
  }
}

/** How a file that we wrote earlier begins, or how its name ends where the contents are the guest's. */
const OURS: Readonly<Record<OutputKind, { begins: string } | { named: RegExp; write: string }>> = {
  exits: { begins: '{"number":' },
  trace: { begins: '{"dap":' },
  serial: { named: /\.log$/i, write: 'a name that ends in .log' },
};

function isOurs(path: string, kind: OutputKind): boolean {
  const mark = OURS[kind];
  if ('named' in mark) return mark.named.test(path);
  const descriptor = openSync(path, 'r');
  try {
    const begin = Buffer.alloc(mark.begins.length);
    const length = readSync(descriptor, begin, 0, begin.length, 0);
    return length === 0 || begin.subarray(0, length).toString() === mark.begins;
  } finally {
    closeSync(descriptor);
  }
}

async function isInside(path: string, folder: string): Promise<boolean> {
  const [parent, root] = await Promise.all([fs.realpath(dirname(path)), fs.realpath(folder)]);
  return (
    parent === root ||
    parent.startsWith(root.endsWith('/') || root.endsWith('\\') ? root : `${root}/`) ||
    parent.startsWith(`${root}\\`)
  );
}

async function createOwn(path: string, folder: string, kind: OutputKind): Promise<OutputFile> {
  try {
    if (!(await isInside(path, folder))) throw new FileError(`it is outside the folder ${folder}`);
    const stat = await fs.lstat(path).catch(() => undefined);
    if (stat && !stat.isFile()) throw new FileError('it exists and is not a regular file');
    if (stat && stat.size > 0 && !isOurs(path, kind))
      throw new FileError('it exists and was not written by this debugger: delete it or choose another name');
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | (constants.O_NOFOLLOW ?? 0);
    return new BufferedFile(openSync(path, flags, 0o644));
  } catch (error) {
    throw error instanceof FileError ? error : fileError(error);
  }
}

export const nodeFiles: AdapterFiles = {
  read: readFile,
  create: createOwn,
  exists: (path) =>
    fs.stat(path).then(
      (stat) => stat.isFile(),
      () => false,
    ),
};
