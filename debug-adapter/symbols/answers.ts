/** What ProgramSymbols answers, in addresses of the running program. */
import type { ProgramType } from './dwarf/types.ts';
import type { ElfSymbol } from './symbolTable.ts';

export interface AddressRange {
  readonly start: bigint;
  /** The first address after the range. */
  readonly end: bigint;
}

export interface SourcePosition {
  readonly path: string;
  readonly line: number;
  /** 0 where the compiler has not written one. */
  readonly column: number;
}

export interface LineLocation extends SourcePosition {
  readonly address: bigint;
  readonly isStatement: boolean;
}

/** The row of the line table that an address is in. */
export interface AddressLine extends SourcePosition, AddressRange {
  readonly isStatement: boolean;
}

export interface ProgramFunction {
  readonly name: string | undefined;
  readonly linkageName: string | undefined;
  readonly entry: bigint;
  /** Where a breakpoint on the function stops. */
  readonly body: bigint;
  readonly ranges: readonly AddressRange[];
  /** Where it is declared. */
  readonly declaration: SourcePosition | undefined;
  readonly isExternal: boolean;
}

/** A frame of the source language: several share the registers of one function when code is inlined. */
export interface SourceFrame {
  readonly name: string | undefined;
  readonly linkageName: string | undefined;
  readonly isInlined: boolean;
  /** Whether the address is where its code begins: at its entry, or at the first piece of it that was moved ahead. */
  readonly begins: boolean;
  readonly position: SourcePosition | undefined;
}

export interface FunctionAt {
  readonly function: ProgramFunction;
  /** Innermost first; the last is the function itself. */
  readonly frames: readonly SourceFrame[];
}

export interface NamedFunction {
  /** Absent when every call was inlined. */
  readonly function: ProgramFunction | undefined;
  /** Where the instances inlined into other functions start. */
  readonly inlinedAt: readonly bigint[];
  readonly name: string | undefined;
}

export interface ProgramVariable {
  readonly name: string | undefined;
  readonly linkageName: string | undefined;
  readonly address: bigint;
  readonly typeName: string;
  readonly declaration: SourcePosition | undefined;
  readonly isExternal: boolean;
}

export interface SymbolAt {
  readonly name: string;
  readonly offset: number;
  readonly symbol: ElfSymbol;
}

/** What holds a value, or a part of one. */
export type ValueSource =
  | { readonly kind: 'memory'; readonly address: bigint }
  /** A register in lower case: of the frame, which may not know it. */
  | { readonly kind: 'register'; readonly name: string }
  /** The value itself, little-endian; at least as long as what it is a value of, when it is a scalar. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** A pointer that has been optimized away, to `offset` bytes into a variable that may still be described. */
  | {
      readonly kind: 'implicitPointer';
      readonly target: { readonly entry: number; readonly type: ProgramType } | undefined;
      readonly offset: number;
    };

/** The next `bits` of a value: bits of a source from `offset` on, or optimized away. */
export interface ValuePiece {
  readonly bits: number;
  readonly offset: number;
  readonly source: ValueSource | undefined;
}

export type ValueLocation =
  | ValueSource
  | { readonly kind: 'pieces'; readonly pieces: readonly ValuePiece[] }
  | { readonly kind: 'optimizedOut' };
