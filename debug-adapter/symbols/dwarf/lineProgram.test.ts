import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { buildKernel, inflate, outputOf } from '../../../test/support/symbolPrograms.ts';
import { missing } from '../../../test/support/tools.ts';
import { bigIntOfAddress } from '../address.ts';
import { Elf } from '../elf.ts';
import { Problems } from '../problems.ts';
import { Dwarf } from './dwarf.ts';
import {
  ROW_BASIC_BLOCK,
  ROW_END_SEQUENCE,
  ROW_EPILOGUE_BEGIN,
  ROW_IS_STATEMENT,
  ROW_PROLOGUE_END,
} from './lineTable.ts';

// Compilers and debuggers take their time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

function open(path: string): Dwarf {
  return new Dwarf(new Elf({ path, bytes: readFileSync(path) }, inflate), new Problems());
}

const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [ROW_IS_STATEMENT, 'is_stmt'],
  [ROW_BASIC_BLOCK, 'basic_block'],
  [ROW_PROLOGUE_END, 'prologue_end'],
  [ROW_EPILOGUE_BEGIN, 'epilogue_begin'],
  [ROW_END_SEQUENCE, 'end_sequence'],
];

/** The rows of all tables, written as llvm-dwarfdump writes them, without ISA and discriminator. */
function rowsOf(dwarf: Dwarf): string[] {
  const rows: string[] = [];
  for (const unit of dwarf.units) {
    const table = dwarf.lines(unit);
    if (!table) continue;
    for (let i = 0; i < table.addresses.length; i++) {
      const flags = FLAG_NAMES.filter(([flag]) => (table.flags[i] & flag) !== 0).map(([, name]) => name);
      const address = bigIntOfAddress(table.addresses[i]).toString(16).padStart(16, '0');
      rows.push([`0x${address}`, table.lines[i], table.columns[i], table.files[i], ...flags].join(' '));
    }
  }
  return rows;
}

function expectedRows(path: string): string[] {
  return outputOf('llvm-dwarfdump', '--debug-line', path)
    .split('\n')
    .filter((line) => /^0x[0-9a-f]{16} /.test(line))
    .map((line) => {
      const [address, row, column, file, , , ...flags] = line.trim().split(/\s+/);
      return [address, row, column, file, ...flags].join(' ');
    });
}

describe.skipIf(missing('gcc', 'llvm-dwarfdump'))('the line table', () => {
  for (const version of [2, 3, 4, 5])
    for (const options of [
      ['-O0'],
      ['-O2'],
      ['-O2', '-m32'],
      ['-O3', '-gno-as-loc-support', '-gno-column-info'],
    ])
      it(`of DWARF ${version} and ${options.join(' ')} has every row that llvm-dwarfdump has`, () => {
        const path = buildKernel(`-gdwarf-${version}`, ...options);
        const expected = expectedRows(path);
        expect(expected.length).toBeGreaterThan(100);
        expect(rowsOf(open(path))).toEqual(expected);
      });
});
