import { describe, expect, it } from 'vitest';
import { assemble } from '../../test/support/assemble.ts';
import { missing } from '../../test/support/tools.ts';
import { DS, FS, GS, SS } from '../state/registers.ts';
import type { CodeBits, DecodedForm } from './decode.ts';
import { formOf } from './decode.ts';
import { IcedDecoder } from './iced.ts';

function decode(text: string, bits: CodeBits = 64): DecodedForm {
  const bytes = assemble(`.code${bits}\n.intel_syntax noprefix\n${text}`, 0);
  const decoder = new IcedDecoder(bits, bytes, 0);
  const instruction = decoder.decode();
  const form = formOf(instruction, bits);
  instruction.free();
  decoder.free();
  if (form === undefined) throw new Error(`${text} has no form`);
  return form;
}

const key = (text: string, bits?: CodeBits) => decode(text, bits).key;

describe.skipIf(missing('as', 'ld'))('the form of a decoded instruction', () => {
  it('names operation, operand size, operands and their sizes', () => {
    expect(key('add eax, ecx')).toBe('ADD.32.r32,r32');
    expect(key('add ah, cl')).toBe('ADD.8.h8,r8');
    expect(key('movzx eax, byte ptr [rbx]')).toBe('MOVZX.32.r32,b8');
    expect(key('shl word ptr [rbx], cl')).toBe('SHL.16.b16,c8');
    expect(key('cqo')).toBe('CQO.64.');
  });

  it('gives an immediate the operand size, and counts 8 bits', () => {
    expect(decode('add rax, -1')).toMatchObject({ key: 'ADD.64.r64,i64', immediate: 0xffff_ffff_ffff_ffffn });
    expect(decode('add cx, -1')).toMatchObject({ key: 'ADD.16.r16,i16', immediate: 0xffffn });
    expect(decode('shl rax, 200')).toMatchObject({ key: 'SHL.64.r64,i8', immediate: 200n });
  });

  it('takes instructions of shadow stacks and branch tracking for the NOPs that they are without', () => {
    expect(key('rdsspq rax')).toBe('NOP.64.r64');
    expect(key('rdsspd eax')).toBe('NOP.32.r32');
    expect(key('endbr64')).toMatch(/^NOP\b/);
  });

  it('tells base, index and RIP-relative operands from the general one', () => {
    expect(key('mov eax, [rbx+8]')).toBe('MOV.32.r32,b32');
    expect(key('mov eax, [rbx+rcx*4]')).toBe('MOV.32.r32,x32');
    expect(key('mov eax, [rip]')).toBe('MOV.32.r32,p32');
    expect(key('mov eax, fs:[rbx]')).toBe('MOV.32.r32,s32');
    expect(key('mov eax, [ebx]')).toBe('MOV.32.r32,s32');
    expect(key('mov eax, [ebx]', 32)).toBe('MOV.32.r32,s32');
  });

  it('names the row of the general operand too', () => {
    expect(decode('mov eax, [rbx+rcx*4]').generalKey).toBe('MOV.32.r32,s32');
  });

  it('gives string and stack instructions a variant for 64-bit code with flat addressing', () => {
    expect(key('rep movsb')).toBe('REP MOVSB.8.:flat');
    expect(key('repne scasd')).toBe('REPNE SCASD.32.:flat');
    expect(key('addr32 rep movsb')).toBe('REP MOVSB.8.:legacy');
    expect(key('push rax')).toBe('PUSH.64.r64:flat');
    expect(key('push eax', 32)).toBe('PUSH.32.r32:legacy');
  });

  it('takes the counter of LOOP and JrCXZ from the address size', () => {
    for (const text of ['jrcxz .', 'loop .']) expect(decode(text)).toMatchObject({ addressBits: 64 });
    for (const text of ['jecxz .', 'addr32 loop .']) expect(decode(text)).toMatchObject({ addressBits: 32 });
    expect(key('jecxz .')).toBe('JCXZ.64.j64:legacy');
    expect(decode('jcxz .', 32)).toMatchObject({ addressBits: 16 });
    expect(decode('jecxz .', 32)).toMatchObject({ addressBits: 32 });
  });

  it('takes the segment from a prefix, or SS where RBP or RSP is the base', () => {
    expect(decode('mov eax, [rbx]').segment).toBe(DS);
    expect(decode('mov eax, [rbp]').segment).toBe(SS);
    expect(decode('mov eax, [rsp+8]').segment).toBe(SS);
    expect(decode('mov eax, fs:[rbx]').segment).toBe(FS);
    expect(decode('mov eax, gs:[rbp]').segment).toBe(GS);
    expect(decode('mov eax, ss:[ebx]', 32).segment).toBe(SS);
    expect(decode('mov eax, ds:[ebp]', 32).segment).toBe(DS);
  });

  it('ignores the prefixes of ES, CS, SS and DS in 64-bit code', () => {
    for (const prefix of [0x26, 0x2e, 0x36, 0x3e]) {
      expect(decode(`.byte ${prefix}; mov eax, [rbx]`).segment).toBe(DS);
      expect(decode(`.byte ${prefix}; mov eax, [rbp]`).segment).toBe(SS);
      expect(decode(`.byte ${prefix}; lodsb`)).toMatchObject({ segment: DS, key: 'LODSB.8.:flat' });
    }
  });

  it('aims direct branches relative to the instruction, cut to 16 bits for a 16-bit operand', () => {
    expect(decode('jmp .+100')).toMatchObject({ branchTarget: 100, branch16: false });
    expect(decode('.byte 0x66, 0xe9, 0xf0, 0xff', 32)).toMatchObject({ branchTarget: -12, branch16: true });
  });
});
