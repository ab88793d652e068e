import { describe, expect, it } from 'vitest';
import type { ProgramType } from '../symbols/program.ts';
import { bindValue, type ProgramNames } from './bind.ts';
import { type ExpressionScope, evaluate, type NamedValue } from './evaluate.ts';
import { numberTree } from './object.ts';
import { parseExpression } from './parser.ts';
import { parseTemplate } from './template.ts';

const FLAGS = [
  { key: 'ZF', bit: 6, width: 1 },
  { key: 'IOPL', bit: 12, width: 2 },
];

function named(name: string, value: bigint, bits = 64, fields: NamedValue['fields'] = []): NamedValue {
  return { name, value, bits, fields };
}

const REGISTERS: Record<string, NamedValue> = {
  rax: named('RAX', 0x1122_3344_5566_8899n),
  rsp: named('RSP', 0x2000n),
  rflags: named('RFLAGS', 0x3040n, 64, FLAGS),
  cs: named('CS', 8n, 16),
};

const MEMORY = new Map([
  [0x2000n, Uint8Array.of(0x78, 0x56, 0x34, 0x12, 0xff, 0xff, 0xff, 0xff)],
  [0x2008n, Uint8Array.of(0, 0x30, 0, 0, 0, 0, 0, 0)],
  [0x3000n, Uint8Array.of(0xfe, 0xff)],
]);

const scope: ExpressionScope = {
  register: (name) => REGISTERS[name],
  msr: (name) => (name === 'ia32_efer' ? named('IA32_EFER', 0x500n) : undefined),
  vmcsField: (key) => (key === 'guest_rip' ? named('GUEST_RIP', 0x10_0000n) : undefined),
  readMemory: ({ space, address }, count) =>
    space === 'linear'
      ? (MEMORY.get(address) ?? new Uint8Array(0)).subarray(0, count)
      : Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0).subarray(0, count),
};

const COUNT: ProgramType = { kind: 'integer', name: 'uint16_t', size: 2, signed: false, isCharacter: false };

const names: ProgramNames = {
  isRegister: (name) => Object.hasOwn(REGISTERS, name),
  symbol: (name) => (name === 'kmain' ? 0x10_0040n : undefined),
  variable: (name) =>
    name === 'count' ? { type: COUNT, place: { kind: 'memory', address: numberTree(0x3000n) } } : undefined,
  staticMember: () => undefined,
  enumerator: () => undefined,
  type: () => undefined,
  wordSize: 8,
};

const value = (text: string): bigint => evaluate(bindValue(parseExpression(text), names), scope).value;

describe('the value of an expression', () => {
  it.each<[string, bigint]>([
    ['rax', 0x1122_3344_5566_8899n],
    ['$RAX', 0x1122_3344_5566_8899n],
    ['eax', 0x5566_8899n],
    ['ax', 0x8899n],
    ['al', 0x99n],
    ['ah', 0x88n],
    ['(i8)al', -0x67n],
    ['rflags.zf', 1n],
    ['rflags.iopl', 3n],
    ['vmcs.guest_rip', 0x10_0000n],
    ['msr.ia32_efer >> 8', 5n],
    ['kmain', 0x10_0040n],
    ['kmain + 4', 0x10_0044n],
    ['[rsp]:4', 0x1234_5678n],
    ['*(i32*)(rsp + 0)', 0x1234_5678n],
    ['*((u32*)rsp + 2)', 0x3000n],
    ['((u64*)rsp)[1]', 0x3000n],
    ['*(i16*)*(u64*)(rsp + 8)', -2n],
    ['[gpa:0x9000]:1', 7n],
    ['[gpa:0x9000 + 8]:1', 7n],
    ['-1 < 0', 1n],
    ['rax > -1', 0n],
    ['~0', -1n],
    ['0xffffffffffffffff + 1', 0n],
    ['7 / 2 + 7 % 2', 4n],
    ['1 << 64', 0n],
    ['-8 >> 1', -4n],
    ['0 && [0x99999]:8', 0n],
    ['1 || [0x99999]:8', 1n],
    ['rflags.zf ? 10 : 20', 10n],
    ['!rax', 0n],
    ['&[rsp]:4', 0x2000n],
    ['&kmain', 0x10_0040n],
  ])('%s is %s', (text, expected) => {
    expect(value(text)).toBe(expected);
  });

  it.each([
    ['nothing', '"nothing" is no register and no symbol'],
    ['$nothing', 'there is no register "$nothing"'],
    ['1 / 0', 'division by zero'],
    ['[0x99999]:8', 'cannot read 8 bytes at 0x99999 (linear)'],
    ['*rsp', 'the size is not known'],
    ['rax.zf', 'RAX has no field "zf"'],
    ['vmcs.nothing', 'the VMCS has no field "nothing"'],
    ['msr.nothing', 'there is no MSR "nothing"'],
    ['vmcs', '"vmcs" needs a name after it'],
    ['&rax', 'this value has no address'],
    ['rax[1]', 'only a pointer can be indexed'],
  ])('%s: %s', (text, message) => {
    expect(() => value(text)).toThrow(message);
  });

  it('says where an assignable value lives', () => {
    const place = (text: string) => evaluate(parseExpression(text), scope).place;
    expect(place('eax')).toEqual({ kind: 'register', name: 'RAX', shift: 0, bits: 32 });
    expect(place('ah')).toEqual({ kind: 'register', name: 'RAX', shift: 8, bits: 8 });
    expect(place('rflags.iopl')).toEqual({ kind: 'register', name: 'RFLAGS', shift: 12, bits: 2 });
    expect(place('vmcs.guest_rip')).toEqual({ kind: 'vmcs', key: 'GUEST_RIP', shift: 0, bits: 64 });
    expect(place('[rsp + 8]:4')).toEqual({
      kind: 'memory',
      address: { space: 'linear', address: 0x2008n },
      size: 4,
    });
    expect(place('[L1.va:0x2000]:1')).toEqual({
      kind: 'memory',
      address: { space: 'linear', level: 1, address: 0x2000n },
      size: 1,
    });
    expect(place('rax + 1')).toBeUndefined();
  });
});

describe('binding symbols for use beside the machine', () => {
  it('replaces symbols and leaves registers, VMCS fields and MSRs', () => {
    const bound = bindValue(parseExpression('rax + eax + kmain + vmcs.guest_rip + count'), {
      ...names,
      symbol: (name) => names.symbol(name === 'vmcs' ? 'kmain' : name),
    });
    expect(evaluate(structuredClone(bound), scope).value).toBe(
      BigInt.asUintN(64, 0x1122_3344_5566_8899n + 0x5566_8899n + 0x10_0040n + 0x10_0000n + 0xfffen),
    );
  });
});

describe('the message of a log point', () => {
  it('has text and expressions', () => {
    const parts = parseTemplate('rax={rax}, {{literal}} {kmain + 1}!');
    expect(parts.map((part) => (typeof part === 'string' ? part : part.kind))).toEqual([
      'rax=',
      'name',
      ', {literal} ',
      'binary',
      '!',
    ]);
  });

  it('must close its braces', () => {
    expect(() => parseTemplate('value {rax')).toThrow('"{" without "}"');
  });
});
