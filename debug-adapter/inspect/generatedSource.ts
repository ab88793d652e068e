/**
 * Sources that are made rather than read: the disassembly of a function, or of what follows an address. A frame
 * without a source file has one of these, so that the client can show where it is.
 */
import type { DisassembledLine } from '../../emulator/index.ts';
import type { SymbolLocation } from '../program/program.ts';

export interface GeneratedSource {
  readonly reference: number;
  readonly name: string;
  readonly text: string;
  /** Address of each line, from line 1 on; undefined for a heading. */
  readonly addresses: readonly (bigint | undefined)[];
}

/** What disassembles a stretch of code. */
export type Disassemble = (address: bigint, count: number) => Promise<readonly DisassembledLine[]>;

/** A function larger than this is shown around the address only. */
const LARGEST_FUNCTION = 4096;
const LINES_AFTER = 64;

export class GeneratedSources {
  readonly #sources: GeneratedSource[] = [];

  get(reference: number): GeneratedSource | undefined {
    return this.#sources[reference - 1];
  }

  /** The disassembly that shows `address`, and the line it is on. */
  async around(
    address: bigint,
    symbol: SymbolLocation | undefined,
    disassemble: Disassemble,
    describe: (address: bigint) => string | undefined,
  ): Promise<{ source: GeneratedSource; line: number }> {
    const whole =
      symbol?.isFunction && symbol.size > 0 && symbol.size <= LARGEST_FUNCTION && symbol.offset < symbol.size;
    const lines = whole
      ? upTo(symbol.address + BigInt(symbol.size), await disassemble(symbol.address, symbol.size))
      : await disassemble(address, LINES_AFTER);
    // Data inside the function may have swallowed the instruction that is executed.
    const shown = lines.some((line) => line.address === address)
      ? lines
      : await disassemble(address, LINES_AFTER);
    const name = symbol ? `${symbol.name}.asm` : `0x${address.toString(16)}.asm`;
    const source = this.#create(name, symbol, shown, describe);
    return { source, line: source.addresses.indexOf(address) + 1 };
  }

  #create(
    name: string,
    symbol: SymbolLocation | undefined,
    lines: readonly DisassembledLine[],
    describe: (address: bigint) => string | undefined,
  ): GeneratedSource {
    const heading = symbol && lines[0]?.address === symbol.address ? [`${symbol.name}:`] : [];
    const text = [...heading, ...lines.map((line) => formatLine(line, describe))].join('\n');
    const known = this.#sources.find((source) => source.name === name && source.text === text);
    if (known) return known;
    const addresses = [...heading.map(() => undefined), ...lines.map(({ address }) => address)];
    const source = { reference: this.#sources.length + 1, name, text, addresses };
    this.#sources.push(source);
    return source;
  }
}

function upTo(end: bigint, lines: readonly DisassembledLine[]): readonly DisassembledLine[] {
  return lines.filter(({ address }) => address < end);
}

/** `  00100040  48 89 e5                 mov rbp,rsp` */
function formatLine(line: DisassembledLine, describe: (address: bigint) => string | undefined): string {
  const bytes = [...line.bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const target = line.target === undefined ? undefined : describe(line.target);
  const text = line.valid ? line.text : '??';
  return `  ${line.address.toString(16).padStart(8, '0')}  ${bytes.padEnd(24)} ${text}${target === undefined ? '' : `  ; ${target}`}`;
}
