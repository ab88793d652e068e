/** From checked options to what a machine is made from: the files are read here, through an injected reader. */
import type { MachineConfig } from '../../emulator/index.ts';
import type { LaunchOptions } from '../launchConfig.ts';
import { resolvePath } from '../symbols/paths.ts';
import { LaunchError } from './validate.ts';

/** Reading files, as the place where the adapter runs can. */
export interface FileReader {
  /** The bytes of a file. Throws {@link FileError}. */
  read(path: string): Promise<Uint8Array>;
}

/** A file cannot be read; `reason` continues the sentence "cannot read FILE: …". */
export class FileError extends Error {
  override readonly name = 'FileError';
}

/** Splits `FILE TEXT`; a file name with spaces is quoted. */
export function splitModule(text: string): { file: string; commandLine: string } {
  const match = /^\s*(?:"([^"]+)"|(\S+))\s*(.*)$/s.exec(text);
  if (match === null) throw new LaunchError('A module must name a file, and is empty.');
  return { file: match[1] ?? match[2], commandLine: match[3] };
}

/** Reads one input file; the error says which option named it. */
export async function readInput(
  reader: FileReader,
  base: string,
  path: string,
  what: string,
): Promise<{ name: string; bytes: Uint8Array }> {
  const name = resolvePath(base, path);
  try {
    return { name, bytes: await reader.read(name) };
  } catch (error) {
    if (error instanceof FileError) throw new LaunchError(`Cannot read ${what} ${name}: ${error.message}.`);
    throw error;
  }
}

/** The machine's configuration, with the image, the initial RAM disk and the modules read. */
export async function readMachineConfig(
  options: LaunchOptions,
  base: string,
  reader: FileReader,
): Promise<MachineConfig> {
  const program =
    options.program === undefined ? undefined : await readInput(reader, base, options.program, 'the program');
  const bios =
    options.bios === undefined ? undefined : await readInput(reader, base, options.bios, 'the BIOS');
  // A BIOS boots from disks, so the program is one.
  const disks = bios && program ? [program] : [];
  for (const disk of options.disks)
    disks.push(
      await readInput(reader, base, typeof disk === 'string' ? disk : (disk.file as string), 'the disk'),
    );
  const initrd =
    options.initrd === undefined ? undefined : await readInput(reader, base, options.initrd, 'the initrd');
  const modules = [];
  for (const text of options.modules) {
    const { file, commandLine } = splitModule(text);
    modules.push({ ...(await readInput(reader, base, file, 'the module')), commandLine });
  }
  return {
    mode: options.mode,
    virtualization: options.virtualization,
    cpu: options.cpu,
    memoryBytes: options.memory,
    image: bios ? undefined : program,
    bios,
    disks,
    append: options.append,
    initrd,
    modules,
    startTime: options.startTime,
    engine: options.engine,
    sanitize: options.sanitize,
    vmm: { exiting: options.vmm.exiting ?? [] },
  };
}
