import { isAbsolutePath, pathKey, resolvePath } from '../paths.ts';
import type { FileLists } from './lineHeader.ts';
import { type DwarfSections, NO_STRING, type StringRef } from './sections.ts';
import type { Unit } from './unit.ts';

interface Folder {
  readonly path: string;
  readonly byRef: Map<StringRef, number>;
}

/**
 * The source files of a program, numbered from 1 over all units; 0 is no file. A kernel names ten thousand files a
 * hundred times each: strings that share a place in the file are resolved once.
 *
 * @see DWARF 5, section 6.2.4 "The Line Number Program Header" (directories, file_names)
 */
export class SourceFiles {
  private readonly sections: DwarfSections;
  /** The folder of the ELF file: where relative compilation directories start. */
  private readonly elfFolder: string;
  private readonly paths: string[] = [''];
  private readonly byPath = new Map<string, number>();
  private readonly folders = new Map<string, Folder>();
  /** Folders by the compilation directory they were resolved from. */
  private readonly byBase = new Map<string, Map<StringRef, Folder>>();
  private keys = new Map<string, number[]>();
  /** How many paths the keys were made of. */
  private keyed = 0;

  constructor(sections: DwarfSections, elfFolder: string) {
    this.sections = sections;
    this.elfFolder = elfFolder;
  }

  path(file: number): string {
    return this.paths[file];
  }

  all(): readonly string[] {
    return this.paths.slice(1);
  }

  /**
   * The files a path may mean: those with that path; else, for a relative one, those whose last parts it is.
   */
  find(path: string): number[] {
    const keys = this.keysByPath();
    const key = pathKey(path);
    const exact = keys.get(key);
    if (exact || isAbsolutePath(path)) return exact ?? [];
    const tail = `/${key}`;
    const folded = `/${key.replaceAll('\\', '/').toLowerCase()}`;
    const found: number[] = [];
    for (const [candidate, files] of keys)
      if (candidate.endsWith(tail) || (/^[a-z]:|^\/\//.test(candidate) && candidate.endsWith(folded)))
        found.push(...files);
    return found;
  }

  /** The number of each file that a header names, by the header's own numbering. */
  filesOf(unit: Unit, lists: FileLists): Uint32Array {
    const base = this.baseFolder(unit, lists);
    const folders = lists.directories.map((ref, i) =>
      i === 0 ? this.folder(base) : this.resolveFolder(base, ref),
    );
    const files = new Uint32Array(lists.names.length);
    for (let i = 0; i < files.length; i++) {
      const name = lists.names[i];
      if (name === NO_STRING) continue;
      const folder = folders[lists.directoryOf[i]] ?? this.folder(base);
      files[i] = this.file(folder, name);
    }
    return files;
  }

  /** The compilation directory; version 5 also writes it down as directory 0. */
  private baseFolder(unit: Unit, lists: FileLists): string {
    const { compilationFolder } = unit.root;
    const directory0 = lists.directories[0] ?? NO_STRING;
    let folder = compilationFolder === NO_STRING ? '' : this.sections.text(compilationFolder);
    if (directory0 !== NO_STRING && !isAbsolutePath(folder)) {
      const path = this.sections.text(directory0);
      if (folder === '' || isAbsolutePath(path)) folder = path;
    }
    return resolvePath(this.elfFolder, folder);
  }

  private resolveFolder(base: string, ref: StringRef): Folder {
    let known = this.byBase.get(base);
    if (!known) {
      known = new Map();
      this.byBase.set(base, known);
    }
    let folder = known.get(ref);
    if (!folder) {
      folder = this.folder(resolvePath(base, ref === NO_STRING ? '' : this.sections.text(ref)));
      known.set(ref, folder);
    }
    return folder;
  }

  private folder(path: string): Folder {
    let folder = this.folders.get(path);
    if (!folder) {
      folder = { path, byRef: new Map() };
      this.folders.set(path, folder);
    }
    return folder;
  }

  private file(folder: Folder, name: StringRef): number {
    let file = folder.byRef.get(name);
    if (file === undefined) {
      const path = resolvePath(folder.path, this.sections.text(name));
      file = this.byPath.get(path);
      if (file === undefined) {
        file = this.paths.length;
        this.paths.push(path);
        this.byPath.set(path, file);
      }
      folder.byRef.set(name, file);
    }
    return file;
  }

  private keysByPath(): Map<string, number[]> {
    if (this.keyed === this.paths.length) return this.keys;
    this.keys = new Map();
    for (let file = 1; file < this.paths.length; file++) {
      const key = pathKey(this.paths[file]);
      const known = this.keys.get(key);
      if (known) known.push(file);
      else this.keys.set(key, [file]);
    }
    this.keyed = this.paths.length;
    return this.keys;
  }
}
