/** What the adapter needs from the place where it runs: Node, or a worker of a browser. */
import type { FileReader } from '../launch/image.ts';
import type { MachineConnection } from '../machine/client.ts';
import type { MachineEvent } from '../machine/port.ts';
import type { Inflate } from '../symbols/elf.ts';

/** A file being written. Errors while writing are reported once, by {@link AdapterHost.report}. */
export interface OutputFile {
  write(data: Uint8Array | string): void;
  close(): Promise<void>;
}

/**
 * What a file is for. A launch.json comes with a folder that was downloaded: it must not be able to overwrite
 * anything, so an existing file is replaced only when it is recognisably ours.
 */
export type OutputKind = 'serial' | 'exits' | 'trace';

export interface AdapterFiles extends FileReader {
  exists(path: string): Promise<boolean>;
  /** Creates a file inside `folder`. Throws a `FileError` that says why it will not. */
  create(path: string, folder: string, kind: OutputKind): Promise<OutputFile>;
}

export interface AdapterHost {
  readonly files: AdapterFiles;
  /** Relative paths start here unless the client names a workspace folder. */
  readonly currentFolder: string;
  /** Decompresses a zlib stream of `size` bytes (RFC 1950). */
  readonly inflate: Inflate;
  /** Starts a thread with no machine in it yet. */
  startMachine(onEvent: (event: MachineEvent) => void): MachineConnection;
  /** Calls back once after `milliseconds`; the result cancels. */
  after(milliseconds: number, callback: () => void): () => void;
  /** Ends the adapter's process, where it has one to itself. */
  exit(): void;
}
