import { describe, expect, it } from 'vitest';
import { folderOf, normalizePath, pathKey, resolvePath } from './paths.ts';

describe('a source path', () => {
  it('that is relative is resolved from the folder', () => {
    expect(resolvePath('/home/me/kernel', 'src/main.c')).toBe('/home/me/kernel/src/main.c');
    expect(resolvePath('/home/me/kernel/build', '../src/./main.c')).toBe('/home/me/kernel/src/main.c');
    expect(resolvePath('/home/me', '.')).toBe('/home/me');
    expect(resolvePath('/home/me', '')).toBe('/home/me');
  });

  it('that is absolute stands for itself', () => {
    expect(resolvePath('/home/me', '/usr/include/x.h')).toBe('/usr/include/x.h');
    expect(resolvePath('/home/me', 'C:\\kernel\\main.c')).toBe('C:\\kernel\\main.c');
    expect(resolvePath('C:\\kernel', '/usr/src/main.c')).toBe('/usr/src/main.c');
  });

  it('of Windows takes both separators and comes out with backslashes', () => {
    expect(resolvePath('c:\\kernel', 'src/main.c')).toBe('C:\\kernel\\src\\main.c');
    expect(resolvePath('C:/kernel/build', '..\\src\\main.c')).toBe('C:\\kernel\\src\\main.c');
    expect(resolvePath('\\\\server\\share\\kernel', 'main.c')).toBe('\\\\server\\share\\kernel\\main.c');
    expect(normalizePath('\\\\server\\share\\..\\..\\x')).toBe('\\\\server\\share\\x');
  });

  it('does not leave the root', () => {
    expect(normalizePath('/../../etc/passwd')).toBe('/etc/passwd');
    expect(normalizePath('C:\\..\\x')).toBe('C:\\x');
    expect(normalizePath('../x')).toBe('../x');
    expect(normalizePath('')).toBe('.');
  });

  it('of POSIX keeps backslashes in names', () => {
    expect(resolvePath('/src', 'odd\\name.c')).toBe('/src/odd\\name.c');
  });

  it('is the same path in another spelling, where case does not count only on Windows', () => {
    expect(pathKey('C:\\Kernel\\Main.c')).toBe(pathKey('c:/kernel/main.c'));
    expect(pathKey('/kernel/./main.c')).toBe(pathKey('/kernel//main.c'));
    expect(pathKey('/Kernel/main.c')).not.toBe(pathKey('/kernel/main.c'));
  });

  it('has a folder', () => {
    expect(folderOf('/home/me/kernel.elf')).toBe('/home/me');
    expect(folderOf('/kernel.elf')).toBe('/');
    expect(folderOf('kernel.elf')).toBe('');
    expect(folderOf('C:\\kernel.elf')).toBe('C:\\');
    expect(folderOf('C:\\build/kernel.elf')).toBe('C:\\build');
  });
});
