/**
 * Source paths of debug information, as pure string logic: nothing here looks at a file system, and a
 * program built on Windows can be debugged on Linux and the other way round.
 *
 * A relative path is resolved from the compilation directory, and a relative compilation directory (as
 * left by -ffile-prefix-map=$PWD=.) from the folder of the ELF file.
 *
 * @see DWARF 5, section 3.1.1 "Full and Partial Compilation Unit Entries" (DW_AT_comp_dir)
 */

const DRIVE = /^[A-Za-z]:([\\/]|$)/;
const NETWORK = /^(\\\\|\/\/)[^\\/]/;

/** Whether a path is written in the Windows manner, so that both slashes separate and case does not count. */
export function isWindowsPath(path: string): boolean {
  return DRIVE.test(path) || path.startsWith('\\\\');
}

export function isAbsolutePath(path: string): boolean {
  return path.startsWith('/') || path.startsWith('\\') || DRIVE.test(path);
}

/** The folder of a file. */
export function folderOf(path: string): string {
  const windows = isWindowsPath(path);
  let cut = path.lastIndexOf('/');
  if (windows) cut = Math.max(cut, path.lastIndexOf('\\'));
  if (cut < 0) return '';
  const folder = path.slice(0, cut);
  return folder === '' || /^[A-Za-z]:$/.test(folder) ? path.slice(0, cut + 1) : folder;
}

/** The last part of a path. */
export function baseName(path: string): string {
  return path.split(/[\\/]/).pop() ?? path;
}

/** `path` seen from `folder`, with "." and ".." removed; an absolute `path` stands for itself. */
export function resolvePath(folder: string, path: string): string {
  if (isAbsolutePath(path) || folder === '') return normalizePath(path);
  return normalizePath(path === '' ? folder : `${folder}/${path}`);
}

/** Removes ".", ".." and doubled separators; Windows paths get backslashes and an upper-case drive. */
export function normalizePath(path: string): string {
  const windows = isWindowsPath(path);
  const separator = windows ? '\\' : '/';
  let root = '';
  let rest = path;
  if (NETWORK.test(path) && windows) {
    const [, , server = '', share = ''] = path.split(/[\\/]/, 4);
    root = `\\\\${server}\\${share}${share ? '\\' : ''}`;
    rest = path.slice(2 + server.length + 1 + share.length);
  } else if (DRIVE.test(path)) {
    root = `${path[0].toUpperCase()}:\\`;
    rest = path.slice(2);
  } else if (path.startsWith('/')) root = '/';
  const parts: string[] = [];
  for (const part of rest.split(windows ? /[\\/]/ : '/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.length > 0 && parts[parts.length - 1] !== '..') parts.pop();
    else if (root === '') parts.push('..');
  }
  return root + parts.join(separator) || '.';
}

/** What two spellings of one path have in common: case counts only outside Windows paths. */
export function pathKey(path: string): string {
  const normal = normalizePath(path);
  return isWindowsPath(normal) ? normal.replaceAll('\\', '/').toLowerCase() : normal;
}
