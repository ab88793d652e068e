import { describe, expect, it } from 'vitest';
import { Sources } from './sources.ts';

function sources(sourceMap: Record<string, string>, existing: string[] = []) {
  const asked: string[] = [];
  const made = new Sources({
    base: '/ws',
    programs: ['/out/kernel.elf'],
    sourceMap,
    exists: async (path) => {
      asked.push(path);
      return existing.includes(path);
    },
  });
  return { made, asked };
}

describe('paths of debug information', () => {
  it('are handed out when the file is in the workspace or beside the program', async () => {
    const { made } = sources({}, ['/ws/a.c', '/out/b.c']);
    expect(await made.toClient('/ws/./a.c')).toBe('/ws/a.c');
    expect(await made.toClient('/out/b.c')).toBe('/out/b.c');
    expect(await made.toClient('/out/missing.c')).toBeUndefined();
  });

  it('are not even looked at elsewhere', async () => {
    const { made, asked } = sources({}, ['/etc/passwd']);
    for (const path of [
      '/etc/passwd',
      '/ws/../etc/passwd',
      '//server/share/a.c',
      '\\\\server\\share\\a.c',
      '/wsx/a.c',
    ])
      expect(await made.toClient(path)).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it('are moved by sourceMap, the longest prefix first', async () => {
    const { made } = sources({ '/build': 'src', '/build/lib': '/libs' }, ['/ws/src/a.c', '/libs/b.c']);
    expect(await made.toClient('/build/a.c')).toBe('/ws/src/a.c');
    expect(await made.toClient('/build/lib/b.c')).toBe('/libs/b.c');
    expect(await made.toClient('/build/../etc/x')).toBeUndefined();
  });

  it('go back to the paths of the program', () => {
    const { made } = sources({ '/build': 'src' });
    expect(made.toProgram('/ws/src/a.c')).toEqual(['/build/a.c', '/ws/src/a.c']);
    expect(made.toProgram('/ws/other.c')).toEqual(['/ws/other.c']);
  });
});
