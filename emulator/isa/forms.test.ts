import { describe, expect, it } from 'vitest';
import { SDM } from '../base/reference.ts';
import type { Form, SemanticRow } from './forms.ts';
import { expandRow } from './forms.ts';

function keys(forms: readonly Form[], rest: Partial<SemanticRow> = {}): string[] {
  const row: SemanticRow = { op: 'OP', forms, emit: () => undefined, ref: SDM('OP'), ...rest };
  return expandRow(row).map(({ key }) => key);
}

describe('the handlers of a row', () => {
  it('are one for each operand size and addressing form', () => {
    expect(keys([{ operands: ['r', 'rm'], bits: [16, 32] }])).toEqual([
      'OP.16.r16,r16',
      'OP.16.r16,b16',
      'OP.16.r16,x16',
      'OP.16.r16,p16',
      'OP.16.r16,s16',
      'OP.32.r32,r32',
      'OP.32.r32,b32',
      'OP.32.r32,x32',
      'OP.32.r32,p32',
      'OP.32.r32,s32',
    ]);
  });

  it('tell the high byte registers from the others', () => {
    expect(keys([{ operands: ['rm'], bits: [8] }])).toEqual([
      'OP.8.r8',
      'OP.8.h8',
      'OP.8.b8',
      'OP.8.x8',
      'OP.8.p8',
      'OP.8.s8',
    ]);
  });

  it('have no high byte beside a 64-bit operand, which needs a REX prefix', () => {
    const forms: Form[] = [{ operands: ['r', 'r'], bits: [32, 64], sourceBits: [8] }];
    expect(keys(forms)).toEqual(['OP.32.r32,r8', 'OP.32.r32,h8', 'OP.64.r64,r8']);
  });

  it('give counts 8 bits, and immediates the operand size unless the form says otherwise', () => {
    expect(keys([{ operands: ['r', 'c'], bits: [64] }])).toEqual(['OP.64.r64,c8']);
    expect(keys([{ operands: ['r', 'i'], bits: [64] }])).toEqual(['OP.64.r64,i64']);
    expect(keys([{ operands: ['r', 'i'], bits: [64], immediateBits: 8 }])).toEqual(['OP.64.r64,i8']);
  });

  it('come for 64-bit mode and for the rest, with the operand sizes of each', () => {
    const forms: Form[] = [{ operands: ['r'], bits: [16, 32], in64: [16, 64] }];
    expect(keys(forms, { variants: 'stack' })).toEqual([
      'OP.16.r16:flat',
      'OP.64.r64:flat',
      'OP.16.r16:legacy',
      'OP.32.r32:legacy',
    ]);
  });

  it('have the general memory operand alone outside 64-bit mode', () => {
    expect(keys([{ operands: ['m'], bits: [32] }], { variants: 'mode' })).toEqual([
      'OP.32.b32:flat',
      'OP.32.x32:flat',
      'OP.32.p32:flat',
      'OP.32.s32:flat',
      'OP.32.s32:legacy',
    ]);
  });

  it('are listed once where two forms overlap', () => {
    const forms: Form[] = [
      { operands: ['rm', 'r'], bits: [32] },
      { operands: ['r', 'rm'], bits: [32] },
    ];
    expect(keys(forms).filter((key) => key === 'OP.32.r32,r32')).toHaveLength(1);
  });
});
