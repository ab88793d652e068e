/**
 * A tiny assembler for 16-bit code whose bytes are written by hand: pieces of bytes, labels, and references to labels.
 */
import { EmulatorBug } from '../base/errors.ts';

export type CodePiece =
  | { readonly kind: 'bytes'; readonly bytes: readonly number[] }
  | { readonly kind: 'label'; readonly name: string }
  /** A displacement of one byte, counted from the byte after it: short jumps. */
  | { readonly kind: 'short'; readonly target: string }
  /** The 16-bit offset of a label. */
  | { readonly kind: 'offset'; readonly target: string };

export const bytes = (...values: number[]): CodePiece => ({ kind: 'bytes', bytes: values });
export const word = (value: number): CodePiece => bytes(value & 0xff, (value >> 8) & 0xff);
export const dword = (value: number): CodePiece =>
  bytes(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
export const label = (name: string): CodePiece => ({ kind: 'label', name });
export const short = (target: string): CodePiece => ({ kind: 'short', target });
export const offset = (target: string): CodePiece => ({ kind: 'offset', target });

const SIZES = { label: 0, short: 1, offset: 2 } as const;

export interface AssembledCode {
  readonly bytes: Uint8Array;
  /** Offsets of the labels. */
  readonly labels: ReadonlyMap<string, number>;
}

/** Puts the pieces together for offset 0 of a segment. */
export function assemble(pieces: readonly CodePiece[]): AssembledCode {
  const labels = new Map<string, number>();
  let at = 0;
  for (const piece of pieces) {
    if (piece.kind === 'label') labels.set(piece.name, at);
    at += piece.kind === 'bytes' ? piece.bytes.length : SIZES[piece.kind];
  }
  const code: number[] = [];
  for (const piece of pieces) {
    if (piece.kind === 'bytes') code.push(...piece.bytes);
    if (piece.kind === 'label' || piece.kind === 'bytes') continue;
    const target = labels.get(piece.target);
    if (target === undefined) throw new EmulatorBug(`no label ${piece.target} in the BIOS code`);
    if (piece.kind === 'offset') {
      code.push(target & 0xff, target >> 8);
      continue;
    }
    const distance = target - (code.length + 1);
    if (distance < -128 || distance > 127)
      throw new EmulatorBug(`${piece.target} is too far for a short jump`);
    code.push(distance & 0xff);
  }
  return { bytes: Uint8Array.from(code), labels };
}
