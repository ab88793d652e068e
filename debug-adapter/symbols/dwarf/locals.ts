/**
 * The variables and parameters of functions, block by block. Those of a function are read once, when somebody
 * stops in it.
 *
 * @see DWARF 5, section 3.5 "Lexical Block Entries", section 4.1 "Data Object Entries"
 */
import type { Address } from '../address.ts';
import { SymbolsError } from '../errors.ts';
import {
  DW_AT_abstract_origin,
  DW_AT_declaration,
  DW_TAG_catch_block,
  DW_TAG_formal_parameter,
  DW_TAG_lexical_block,
  DW_TAG_try_block,
  DW_TAG_variable,
} from './constants.ts';
import { walk } from './die.ts';
import type { Dwarf } from './dwarf.ts';
import { readEntity } from './entities.ts';
import { readRanges } from './ranges.ts';
import { NO_STRING } from './sections.ts';
import type { ProgramType, Types } from './types.ts';

export interface LocalVariable {
  readonly name: string;
  readonly type: ProgramType;
  readonly isParameter: boolean;
  /** Its entry: where its location is described. */
  readonly entry: number;
}

interface Block {
  /** Starts and ends in turn; undefined for the function itself. */
  readonly ranges: readonly Address[] | undefined;
  readonly variables: LocalVariable[];
  readonly blocks: Block[];
}

const BLOCKS: ReadonlySet<number> = new Set([DW_TAG_lexical_block, DW_TAG_try_block, DW_TAG_catch_block]);
const VARIABLES: ReadonlySet<number> = new Set([DW_TAG_formal_parameter, DW_TAG_variable]);
/** More than any function has. */
const MOST_VARIABLES = 20_000;

export class Locals {
  private readonly dwarf: Dwarf;
  private readonly types: Types;
  private readonly known = new Map<number, Block | undefined>();

  constructor(dwarf: Dwarf, types: Types) {
    this.dwarf = dwarf;
    this.types = types;
  }

  /** What is in scope at an address of a function or inlined function, by its entry: outer blocks first. */
  at(scope: number, address: Address): LocalVariable[] {
    if (!this.known.has(scope))
      this.known.set(
        scope,
        this.dwarf.attempt(() => this.read(scope)),
      );
    const found: LocalVariable[] = [];
    let block = this.known.get(scope);
    while (block) {
      found.push(...block.variables);
      block = block.blocks.find(({ ranges }) => ranges !== undefined && isIn(ranges, address));
    }
    return found;
  }

  private read(scope: number): Block {
    const top = this.readTree(scope);
    // A concrete instance may leave out what has been optimized away: its abstract instance has all.
    const unit = this.dwarf.unitOf(scope);
    const origin = unit.die(scope).reference(DW_AT_abstract_origin);
    if (origin === undefined) return top;
    const present = new Set(namesIn(top));
    for (const variable of this.readTree(origin, false).variables)
      if (!present.has(variable.name)) top.variables.push(variable);
    return top;
  }

  private readTree(scope: number, withBlocks = true): Block {
    const { dwarf } = this;
    const unit = dwarf.unitOf(scope);
    const top: Block = { ranges: undefined, variables: [], blocks: [] };
    /** The open blocks, by the depth of their children. */
    const open: Block[] = [top];
    let left = MOST_VARIABLES;
    walk(unit.dieReader(), scope, (die, depth) => {
      if (depth === 0) return true;
      open.length = Math.min(open.length, depth);
      const around = open[depth - 1];
      if (BLOCKS.has(die.tag) && withBlocks) {
        die.decode();
        const ranges: Address[] = [];
        readRanges(unit, die, (start, end) => ranges.push(start, end));
        // A block without addresses groups entries and nothing else.
        const block = ranges.length > 0 ? { ranges, variables: [], blocks: [] } : around;
        if (block !== around) around.blocks.push(block);
        open[depth] = block;
        return true;
      }
      if (VARIABLES.has(die.tag)) {
        if (left-- <= 0) throw new SymbolsError('tooComplex', 'A function has too many variables');
        die.decode();
        if (die.number(DW_AT_declaration) !== 1) {
          const variable = this.variable(die.offset, die.tag === DW_TAG_formal_parameter);
          if (variable) around.variables.push(variable);
        }
      }
      return false;
    });
    return top;
  }

  private variable(entry: number, isParameter: boolean): LocalVariable | undefined {
    return this.dwarf.attempt(() => {
      const { name, type } = readEntity(this.dwarf, entry);
      if (name === NO_STRING) return undefined;
      const text = this.dwarf.sections.text(name);
      return text === '' ? undefined : { name: text, type: this.types.at(type), isParameter, entry };
    });
  }
}

function isIn(ranges: readonly Address[], address: Address): boolean {
  for (let i = 0; i < ranges.length; i += 2) if (address >= ranges[i] && address < ranges[i + 1]) return true;
  return false;
}

function namesIn(block: Block): string[] {
  return [...block.variables.map(({ name }) => name), ...block.blocks.flatMap(namesIn)];
}
