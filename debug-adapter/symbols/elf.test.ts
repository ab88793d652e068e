import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { buildKernel, inflate, outputOf, SOURCES, temporaryPath } from '../../test/support/symbolPrograms.ts';
import { missing } from '../../test/support/tools.ts';
import { bigIntOfAddress } from './address.ts';
import { Elf, type ElfSection } from './elf.ts';
import { SymbolsError } from './errors.ts';
import { ProgramSymbols } from './program.ts';
import { SymbolTable } from './symbolTable.ts';

// Compilers and debuggers take their time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

function open(path: string, change?: (bytes: Uint8Array, view: DataView) => void): Elf {
  const bytes = new Uint8Array(readFileSync(path));
  change?.(bytes, new DataView(bytes.buffer));
  return new Elf({ path, bytes }, inflate);
}

function errorOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof SymbolsError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'no error';
}

describe.skipIf(missing('gcc', 'readelf', 'objcopy', 'strip'))('an ELF file', () => {
  it.each([['-O2'], ['-m32']])('built with %s has the sections and segments that readelf has', (option) => {
    const path = buildKernel(option);
    const elf = open(path);
    const sections = outputOf('readelf', '-SW', path).matchAll(
      /^ +\[ *(\d+)\] (\S+) +\S+ +([0-9a-f]{8,16}) ([0-9a-f]+) ([0-9a-f]+)/gm,
    );
    let count = 1;
    for (const [, index, name, address, offset, size] of sections) {
      const section = elf.sections[Number(index)];
      expect(elf.nameOf(section)).toBe(name);
      expect(bigIntOfAddress(section.address)).toBe(BigInt(`0x${address}`));
      expect([section.offset, section.size]).toEqual([
        Number.parseInt(offset, 16),
        Number.parseInt(size, 16),
      ]);
      count++;
    }
    expect(elf.sections).toHaveLength(count);
    const loads = [
      ...outputOf('readelf', '-lW', path).matchAll(/^ +LOAD +(0x\S+) (0x\S+) (0x\S+) (0x\S+) (0x\S+)/gm),
    ];
    expect(
      elf.segments
        .filter(({ type }) => type === 1)
        .map((s) => [
          BigInt(s.offset),
          bigIntOfAddress(s.virtualAddress),
          BigInt(s.fileSize),
          BigInt(s.memorySize),
        ]),
    ).toEqual(
      loads.map(([, offset, virtual, , file, memory]) =>
        [offset, virtual, file, memory].map((text) => BigInt(text)),
      ),
    );
  });

  it('has its compressed sections decompressed', () => {
    const [packed, plain] = [open(buildKernel('-O2', '-gz=zlib')), open(buildKernel('-O2'))];
    const contents = (elf: Elf, name: string) => {
      const section = elf.section(name);
      return section && Buffer.from(elf.contents(section)).toString('hex');
    };
    expect(packed.section('.debug_info')?.flags).toBe(0x800);
    expect(contents(packed, '.debug_line')).toBe(contents(plain, '.debug_line'));
    expect(contents(packed, '.no_such_section')).toBeUndefined();
  });

  it('compressed in a 32-bit container is decompressed too', () => {
    const elf = open(buildKernel('-m32', '-gz=zlib'));
    const section = elf.section('.debug_info');
    expect(section && elf.contents(section).length).toBeGreaterThan(500);
  });

  it('has its build ID and the name of its debug file', () => {
    const path = buildKernel('-O2');
    const [stripped, debug] = [temporaryPath('stripped.elf'), temporaryPath('kernel.debug')];
    outputOf('objcopy', '--only-keep-debug', path, debug);
    outputOf('strip', '-o', stripped, path);
    outputOf('objcopy', `--add-gnu-debuglink=${debug}`, stripped);
    const program = (file: string) =>
      ProgramSymbols.open({ path: file, bytes: readFileSync(file) }, { inflate });
    const id = /Build ID: ([0-9a-f]+)/.exec(outputOf('readelf', '-n', path))?.[1];
    expect(id).toHaveLength(40);
    expect(program(path).buildId).toBe(id);
    expect(program(debug).buildId).toBe(id);
    expect(program(stripped).debugLink?.fileName).toBe('kernel.debug');
    expect(program(path).debugLink).toBeUndefined();
    expect([program(stripped).hasDebugInfo, program(debug).hasDebugInfo]).toEqual([false, true]);
    // The debug file has the lines, though none of the code.
    const { entry } = open(path);
    const line = program(debug).addressToLine(bigIntOfAddress(entry));
    expect(line).toEqual(program(path).addressToLine(bigIntOfAddress(entry)));
    expect(line?.path).toBe(`${SOURCES}boot.S`);
    expect(program(stripped).addressToLine(bigIntOfAddress(entry))).toBeUndefined();
  });

  it('with more sections than its fields can count has the numbers elsewhere', () => {
    const path = buildKernel('-O2');
    const plain = open(path);
    const symbols = plain.sections.find(({ type }) => type === 2) as ElfSection;
    const spare = plain.section('.comment') as ElfSection;
    const count = symbols.size / 24;
    // What a linker does beyond 65,279 sections: section 0 counts, and a table beside the symbols numbers.
    const bytes = new Uint8Array(plain.bytes.length + count * 4);
    bytes.set(plain.bytes);
    const view = new DataView(bytes.buffer);
    const table = Number(view.getBigUint64(40, true));
    view.setBigUint64(table + 32, BigInt(plain.sections.length), true);
    view.setUint32(table + 40, view.getUint16(62, true), true);
    view.setUint32(table + 44, view.getUint16(56, true), true);
    view.setUint16(56, 0xffff, true);
    view.setUint16(60, 0, true);
    view.setUint16(62, 0xffff, true);
    for (let i = 0; i < count; i++) {
      const section = symbols.offset + i * 24 + 6;
      view.setUint32(plain.bytes.length + i * 4, view.getUint16(section, true), true);
      view.setUint16(section, 0xffff, true);
    }
    const header = table + spare.index * 64;
    view.setUint32(header + 4, 18, true);
    view.setBigUint64(header + 24, BigInt(plain.bytes.length), true);
    view.setBigUint64(header + 32, BigInt(count * 4), true);
    view.setUint32(header + 40, symbols.index, true);
    const extended = new Elf({ path, bytes }, inflate);
    expect(extended.sections).toHaveLength(plain.sections.length);
    expect(extended.segments).toEqual(plain.segments);
    expect(extended.section('.debug_info')).toEqual(plain.section('.debug_info'));
    expect([...new SymbolTable(extended).all()]).toEqual([...new SymbolTable(plain).all()]);
  });
});

describe.skipIf(missing('gcc'))('a defect', () => {
  const path = missing('gcc') ? '' : buildKernel('-O2');
  const open64 = (change: (bytes: Uint8Array, view: DataView) => void) => errorOf(() => open(path, change));

  it('of the header is an error that says what to do', () => {
    const bytes = Uint8Array.from([1, 2, 3]);
    expect(errorOf(() => new Elf({ path: 'a.bin', bytes }, inflate))).toBe(
      'notElf: a.bin is not an ELF file. Name an ELF file for x86 or x86-64.',
    );
    expect(open64((_, view) => view.setUint16(18, 183, true))).toMatch(
      /^unsupportedFile: .* ELF machine 183, not for x86/,
    );
    expect(open64((file) => file.set([2], 5))).toMatch(/^unsupportedFile: .* not little-endian/);
    expect(open64((file) => file.set([3], 4))).toMatch(/^damagedFile: .* unknown ELF class 3/);
    expect(errorOf(() => new Elf({ path: 'x', bytes: readFileSync(path).subarray(0, 40) }, inflate))).toMatch(
      /^damagedFile: x: ELF header ends before/,
    );
  });

  it('of a table is an error that names the table', () => {
    expect(open64((_, view) => view.setBigUint64(40, 1n << 60n, true))).toMatch(
      /^damagedFile: .* sections at 0x1000000000000000/,
    );
    expect(open64((_, view) => view.setUint16(58, 10, true))).toMatch(/^damagedFile: .* entries of 10 bytes/);
    expect(open64((_, view) => view.setBigUint64(32, 1n << 63n, true))).toMatch(/^damagedFile: .* segments/);
  });

  it('of a section is an error when the section is asked for', () => {
    const elf = open(path, (_, view) => {
      const table = Number(view.getBigUint64(40, true));
      view.setBigUint64(table + 64 + 32, 1n << 50n, true);
    });
    expect(errorOf(() => elf.contents(elf.sections[1]))).toMatch(
      /^damagedFile: .*\.text \(0x4000000000000 bytes/,
    );
  });

  it('of a compressed section is an error, before anything is allocated', () => {
    const packed = buildKernel('-O2', '-gz=zlib');
    const offset = open(packed).section('.debug_info')?.offset as number;
    const contentsOf = (change: (view: DataView) => void) =>
      errorOf(() => {
        const elf = open(packed, (_, view) => change(view));
        const section = elf.section('.debug_info');
        return section && elf.contents(section);
      });
    expect(contentsOf((view) => view.setBigUint64(offset + 8, 1n << 40n, true))).toMatch(
      /^compression: .* claims 1099511627776 bytes/,
    );
    expect(contentsOf((view) => view.setUint32(offset, 2, true))).toMatch(/^compression: .* method 2/);
    expect(contentsOf((view) => view.setUint32(offset + 40, 0xffff_ffff, true))).toMatch(
      /^compression: .* cannot be decompressed/,
    );
  });

  it('that makes the file no program is refused when it is opened', () => {
    const object = temporaryPath('kernel.o');
    outputOf('gcc', '-g', '-c', '-o', object, `${SOURCES}kernel.c`);
    expect(
      errorOf(() => ProgramSymbols.open({ path: object, bytes: readFileSync(object) }, { inflate })),
    ).toMatch(/^unsupportedFile: .* is not a linked program \(ELF type 1\)\. Name the linked/);
  });
});
