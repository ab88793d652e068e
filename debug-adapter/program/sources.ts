/**
 * Source paths between the program's debug information and the client. Debug information is input from outside: a path
 * out of it is looked at and handed out only when it lies in a folder that the user has named or opened (the workspace, the
 * folders of the ELF files, the targets of `sourceMap`). Network paths are never touched.
 */
import { folderOf, isAbsolutePath, normalizePath, pathKey, resolvePath } from '../symbols/paths.ts';

export interface SourcesOptions {
  /** The workspace folder. */
  readonly base: string;
  /** Paths of the ELF files. */
  readonly programs: readonly string[];
  readonly sourceMap: Readonly<Record<string, string>>;
  readonly exists: (path: string) => Promise<boolean>;
}

interface Mapping {
  readonly from: string;
  readonly to: string;
}

function isNetworkPath(path: string): boolean {
  return /^[\\/]{2}/.test(path);
}

function isInside(path: string, folder: string): boolean {
  const key = pathKey(path);
  const root = pathKey(folder);
  return key === root || key.startsWith(root.endsWith('/') ? root : `${root}/`);
}

/** `path` with the folder `from` replaced by `to`, or undefined when it is not in `from`. */
function moved(path: string, from: string, to: string): string | undefined {
  if (!isInside(path, from)) return undefined;
  return resolvePath(
    to,
    normalizePath(path)
      .slice(normalizePath(from).length)
      .replace(/^[\\/]+/, ''),
  );
}

export class Sources {
  readonly #roots: readonly string[];
  readonly #mappings: readonly Mapping[];
  readonly #exists: (path: string) => Promise<boolean>;
  readonly #known = new Map<string, Promise<string | undefined>>();

  constructor({ base, programs, sourceMap, exists }: SourcesOptions) {
    const mappings = Object.entries(sourceMap).map(([from, to]) => ({
      from: isAbsolutePath(from) ? from : resolvePath(folderOf(programs[0] ?? base), from),
      to: resolvePath(base, to),
    }));
    // The longest prefix wins.
    this.#mappings = mappings.sort((a, b) => b.from.length - a.from.length);
    this.#roots = [base, ...programs.map(folderOf), ...mappings.map(({ to }) => to)].filter(
      (root) => root !== '' && !isNetworkPath(root),
    );
    this.#exists = exists;
  }

  /** Where the client finds a source of the program, or undefined when it is not to be had. */
  toClient(programPath: string): Promise<string | undefined> {
    let known = this.#known.get(programPath);
    if (known === undefined) {
      known = this.#find(programPath);
      this.#known.set(programPath, known);
    }
    return known;
  }

  /** Paths of the program's debug information that a client's path may be, the likeliest first. */
  toProgram(clientPath: string): string[] {
    const path = normalizePath(clientPath);
    const back = this.#mappings.flatMap(({ from, to }) => moved(path, to, from) ?? []);
    return [...new Set([...back, path])];
  }

  async #find(programPath: string): Promise<string | undefined> {
    const path =
      this.#mappings
        .map(({ from, to }) => moved(programPath, from, to))
        .find((found) => found !== undefined) ?? normalizePath(programPath);
    if (isNetworkPath(path) || !this.#roots.some((root) => isInside(path, root))) return undefined;
    return (await this.#exists(path)) ? path : undefined;
  }
}
