/** Programs that do one thing as fast as they can, made when they are wanted. */
import { assemble } from '../../support/assemble.ts';
import { buildElf } from '../../support/elf.ts';

const ORIGIN = 0x10_0000;

function program(text: string): Uint8Array {
  const bytes = assemble(text, ORIGIN);
  return buildElf({ bits: 64, entry: BigInt(ORIGIN), segments: [{ physicalAddress: ORIGIN, bytes }] });
}

/** CPUID, which is a VM exit, so many times; then it computes for ever. */
export const exitStorm = (exits: number): Uint8Array =>
  program(`
      mov $${exits}, %esi
  1:  xor %eax, %eax
      cpuid
      dec %esi
      jnz 1b
  2:  inc %rax
      jmp 2b
  `);

/** Lines of letters to the serial port, for ever. */
export const serialFlood = (): Uint8Array =>
  program(`
      mov $0x3f8, %edx
  1:  mov $70, %ecx
      mov $'a', %eax
  2:  out %al, %dx
      dec %ecx
      jnz 2b
      mov $10, %eax
      out %al, %dx
      jmp 1b
  `);
