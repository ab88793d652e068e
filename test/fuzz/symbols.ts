/**
 * Damages programs and asks the symbol reader everything: each answer must be a result or a SymbolsError,
 * soon, and without an allocation that a number in the file asked for. Debug information is hostile input.
 */
import { readFileSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import { SymbolsError } from '../../debug-adapter/symbols/errors.ts';
import { ProgramSymbols } from '../../debug-adapter/symbols/program.ts';
import { registersOf } from '../../debug-adapter/symbols/registers.ts';
import { Random } from '../support/random.ts';
import { buildKernel, inflate } from '../support/symbolPrograms.ts';
import { processorTime } from './processorTime.ts';

/** One mutated file of 20 KB takes about a millisecond; a machine under load a hundred times that. */
const MOST_MILLISECONDS = 2000;
/** What the answers about one such file, and the tables made for them, may take. */
const MOST_BYTES = 64 * 2 ** 20;

export interface FuzzResult {
  readonly mutations: number;
  /** Files that could still be opened, and calls that ended in a SymbolsError. */
  readonly opened: number;
  readonly refused: number;
  /** Defects that open files have told of beside their answers. */
  readonly problems: number;
  readonly slowestMilliseconds: number;
}

interface Region {
  readonly start: number;
  readonly size: number;
}

interface Subject {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Headers and the sections that the reader reads; damage elsewhere would find nothing. */
  readonly regions: readonly Region[];
  readonly addresses: readonly bigint[];
  readonly path: string;
}

const READ = /^\.(debug_|eh_frame|symtab|strtab|shstrtab|note)/;

const BUILDS = [
  ['-gdwarf-5', '-O2'],
  ['-gdwarf-4', '-O2', '-fno-asynchronous-unwind-tables'],
  ['-gdwarf-3', '-Og', '-m32'],
  ['-gdwarf-5', '-O1', '-gz=zlib'],
];

let subjects: readonly Subject[] | undefined;

function subjectOf(options: readonly string[]): Subject {
  const path = buildKernel(...options);
  const bytes = new Uint8Array(readFileSync(path));
  const program = ProgramSymbols.open({ path, bytes }, { inflate });
  const { elf } = program;
  const header = { start: 0, size: 0x40 };
  const table = {
    start: bytes.length - elf.sections.length * (elf.is64 ? 64 : 40),
    size: elf.sections.length * (elf.is64 ? 64 : 40),
  };
  const read = elf.sections.filter((section) => READ.test(elf.nameOf(section)));
  const addresses = ['_start', 'kmain', 'check', 'other_work', 'asm_add']
    .flatMap((name) => program.symbolsByName(name))
    .flatMap(({ address }) => [address, address + 9n]);
  const kernel = program.sources().find((source) => source.endsWith('kernel.c'));
  return {
    name: options.join(' '),
    bytes,
    regions: [header, table, ...read.map(({ offset, size }) => ({ start: offset, size }))].filter(
      ({ size }) => size > 0,
    ),
    addresses,
    path: kernel ?? 'kernel.c',
  };
}

const ABSURD = [
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_fff0n,
  0xffff_ffffn,
  1n << 40n,
  1n << 63n,
  -1n,
];

/** Changes some bytes, and says how. The result may be shorter than the subject. */
function mutate(random: Random, subject: Subject): Uint8Array {
  let bytes = subject.bytes.slice();
  const view = new DataView(bytes.buffer);
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const { start, size } = random.pick(subject.regions);
    const at = start + random.below(size);
    const room = Math.min(size - (at - start), 64);
    switch (random.below(8)) {
      case 0:
      case 1:
        for (let i = random.below(8); i >= 0; i--) bytes[start + random.below(size)] = random.below(256);
        break;
      case 2:
        bytes[at] ^= 1 << random.below(8);
        break;
      case 3: {
        const value = random.pick(ABSURD);
        if (at + 8 <= bytes.length && random.below(2) === 0)
          view.setBigUint64(at, BigInt.asUintN(64, value), true);
        else if (at + 4 <= bytes.length) view.setUint32(at, Number(value & 0xffff_ffffn), true);
        break;
      }
      case 4:
        bytes.fill(random.pick([0, 0x80, 0xff, 1]), at, at + random.below(room));
        break;
      case 5:
        bytes.copyWithin(at, start + random.below(size), Math.min(start + size, at + room));
        break;
      case 6: {
        // Small numbers where counts and offsets are, aligned as header fields are.
        const field = start + Math.floor(random.below(size) / 4) * 4;
        if (field + 4 <= bytes.length) view.setUint32(field, random.below(subject.bytes.length * 2), true);
        break;
      }
      default:
        if (random.below(8) === 0) bytes = bytes.slice(0, random.below(bytes.length));
        if (bytes.length < subject.bytes.length) return bytes;
    }
  }
  return bytes;
}

type Query = (program: ProgramSymbols, subject: Subject, random: Random) => unknown;

const QUERIES: readonly Query[] = [
  (program, { addresses }) => addresses.map((address) => program.addressToLine(address)),
  (program, { addresses }) => addresses.map((address) => program.functionAt(address)),
  (program, { addresses }) => addresses.map((address) => program.statementRange(address, { over: true })),
  (program, { addresses }) => program.statementRange(addresses[4], { frame: 1 }),
  (program, { addresses }) => addresses.map((address) => program.symbolAt(address)),
  (program, { path }, random) => program.lineToAddresses(path, random.below(80)),
  (program) => program.lineToAddresses('inlined.h', 10),
  (program, { path }) => program.breakpointLocations(path, 0, 1000),
  (program) => program.sources(),
  (program) => program.functionsByName('factorial'),
  (program) => program.functionsByName('clamp'),
  (program) => program.symbolsByName('kmain'),
  (program) => program.variablesByName('handler'),
  (program) => [...program.variables()],
  (program, { addresses }, random) => {
    for (const rip of addresses) {
      let frame = registersOf({ rip, rsp: 0x10000n, rbp: 0x10040n, rbx: random.u64() });
      for (let depth = 0; depth < 4; depth++) {
        const caller = program.unwind(frame, (address, size) =>
          new Uint8Array(size).fill(Number(address & 0x7fn)),
        );
        if (!caller) break;
        frame = caller;
      }
    }
  },
  (program) => program.buildId,
  (program) => program.debugLink,
];

/** Bytes on the heap and in array buffers, collected or not. */
function allocated(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

/** Runs mutations number 0 to `count` - 1 of a seed. Throws, naming the seed of the mutation, when one goes wrong. */
export function fuzzSymbols(seed: number, count: number): FuzzResult {
  subjects ??= BUILDS.map(subjectOf);
  let opened = 0;
  let refused = 0;
  let problems = 0;
  let slowestMilliseconds = 0;
  for (let i = 0; i < count; i++) {
    const mutation = (seed + i) >>> 0;
    const random = new Random(mutation);
    const subject = random.pick(subjects);
    const bytes = mutate(random, subject);
    const before = allocated();
    const started = processorTime();
    const ask = <T>(query: () => T): T | undefined => {
      try {
        return query();
      } catch (error) {
        if (error instanceof SymbolsError) {
          refused++;
          return undefined;
        }
        throw new Error(`Mutation ${mutation} of the kernel built with ${subject.name}`, { cause: error });
      }
    };
    const program = ask(() => ProgramSymbols.open({ path: subject.path, bytes }, { inflate }));
    if (program) {
      opened++;
      for (const query of QUERIES) ask(() => query(program, subject, random));
      problems += program.problems.length;
    }
    const milliseconds = processorTime() - started;
    slowestMilliseconds = Math.max(slowestMilliseconds, milliseconds);
    if (milliseconds > MOST_MILLISECONDS)
      throw new Error(`Mutation ${mutation} of ${subject.name} took ${Math.round(milliseconds)} ms`);
    const taken = allocated() - before;
    if (taken > MOST_BYTES) throw new Error(`Mutation ${mutation} of ${subject.name} took ${taken} bytes`);
  }
  return { mutations: count, opened, refused, problems, slowestMilliseconds };
}
