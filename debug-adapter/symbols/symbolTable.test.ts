import { describe, expect, it, vi } from 'vitest';
import { buildKernel, openProgram, outputOf } from '../../test/support/symbolPrograms.ts';
import { missing } from '../../test/support/tools.ts';

// Compilers and debuggers take their time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

interface NamedSymbol {
  readonly address: bigint;
  readonly size: bigint;
  readonly name: string;
}

/** Symbols of the code as readelf lists them. */
function codeSymbols(path: string): NamedSymbol[] {
  const text = /^ +\[ *(\d+)\] \.text/m.exec(outputOf('readelf', '-SW', path))?.[1];
  return [
    ...outputOf('readelf', '-sW', path).matchAll(
      /^ +\d+: ([0-9a-f]+) +(\d+) (FUNC|NOTYPE) +\S+ +\S+ +(\d+) (\S+)/gm,
    ),
  ]
    .filter(([, , , , section]) => section === text)
    .map(([, address, size, , , name]) => ({ address: BigInt(`0x${address}`), size: BigInt(size), name }));
}

describe.skipIf(missing('gcc', 'readelf'))('the symbol of an address', () => {
  it.each([['-O2'], ['-O0'], ['-m32']])('in a program built with %s is the one that holds it', (option) => {
    const path = buildKernel(option);
    const program = openProgram(path);
    const symbols = codeSymbols(path);
    expect(symbols.length).toBeGreaterThan(8);
    for (const { address, size, name } of symbols) {
      const first = program.symbolAt(address);
      expect([first?.name, first?.offset]).toEqual([name, 0]);
      if (size === 0n) continue;
      // Up to a label inside of it, or its end.
      const label = symbols.find((other) => other.address > address && other.address < address + size);
      const last = (label?.address ?? address + size) - 1n;
      expect(program.symbolAt(last)?.name).toBe(name);
      const after = program.symbolAt(address + size)?.name;
      expect(after).not.toBe(name);
    }
  });

  it('beyond the end of a function belongs to no symbol', () => {
    const program = openProgram(buildKernel('-O2'));
    const [kmain] = program.symbolsByName('kmain');
    const [next] = program.symbolsByName('other_work');
    expect(kmain.address + BigInt(kmain.size)).toBeLessThan(next.address);
    expect(program.symbolAt(kmain.address + BigInt(kmain.size))).toBeUndefined();
    expect(program.symbolAt(0x1234n)).toBeUndefined();
  });

  it('has its kind and binding', () => {
    const program = openProgram(buildKernel('-O0'));
    const kind = (name: string) =>
      program.symbolsByName(name).map((symbol) => `${symbol.binding} ${symbol.kind}`);
    expect(kind('kmain')).toEqual(['global function']);
    expect(kind('factorial')).toEqual(['local function', 'local function']);
    expect(kind('origin')).toEqual(['global object']);
    expect(kind('hang')).toEqual(['local label']);
    expect(kind('kernel.c')).toEqual([]);
    expect(kind('no_such_symbol')).toEqual([]);
  });
});
