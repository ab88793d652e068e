/** Disassembly in Intel syntax, by iced-x86. */
import { LONGEST_INSTRUCTION } from '../core/instruction.ts';
import {
  FlowControl,
  Formatter,
  FormatterSyntax,
  IcedDecoder,
  type IcedInstruction,
  Mnemonic,
  OpKind,
  Register,
} from '../isa/iced.ts';
import type { DisassembledLine } from './target.ts';

/** How an instruction goes on, as far as stepping over it needs to know. */
export interface InstructionShape {
  readonly length: number;
  /** CALL, INT n, SYSCALL …: something that is expected to come back behind it. */
  readonly isCall: boolean;
}

/** They go into the guest and come back elsewhere. */
const ENTRIES: ReadonlySet<number> = new Set([Mnemonic.Vmlaunch, Mnemonic.Vmresume, Mnemonic.Vmrun]);
const CALLS: ReadonlySet<number> = new Set([
  FlowControl.Call,
  FlowControl.IndirectCall,
  FlowControl.Interrupt,
]);

/** Length and kind of the instruction that `bytes` begin with, or undefined when they are none. */
export function instructionShape(bytes: Uint8Array, bits: 16 | 32 | 64): InstructionShape | undefined {
  const decoder = new IcedDecoder(bits, bytes, 0);
  const instruction = decoder.decode();
  const shape = instruction.isInvalid
    ? undefined
    : {
        length: instruction.length,
        isCall: CALLS.has(instruction.flowControl) && !ENTRIES.has(instruction.mnemonic),
      };
  instruction.free();
  decoder.free();
  return shape;
}

/** At most `count` instructions of `bytes`, which lie at `address`; what is no instruction is one byte long. */
export function disassemble(
  bytes: Uint8Array,
  address: bigint,
  bits: 16 | 32 | 64,
  count: number,
): DisassembledLine[] {
  const decoder = new IcedDecoder(bits, bytes, 0);
  const formatter = new Formatter(FormatterSyntax.Intel);
  formatter.spaceAfterOperandSeparator = true;
  formatter.hexPrefix = '0x';
  formatter.hexSuffix = '';
  formatter.uppercaseHex = false;
  formatter.ripRelativeAddresses = false;
  formatter.branchLeadingZeros = false;
  const lines: DisassembledLine[] = [];
  let position = 0;
  while (lines.length < count && position < bytes.length) {
    decoder.position = position;
    decoder.ip = BigInt.asUintN(64, address + BigInt(position));
    const instruction = decoder.decode();
    const valid = !instruction.isInvalid;
    // What ends with the memory that can be read is not shown as something else.
    const length = valid ? instruction.length : 1;
    lines.push({
      address: BigInt.asUintN(64, address + BigInt(position)),
      bytes: bytes.slice(position, position + length),
      text: valid ? formatter.format(instruction) : '',
      target: valid ? targetOf(instruction) : undefined,
      valid,
    });
    position += length;
    instruction.free();
  }
  formatter.free();
  decoder.free();
  return lines;
}

/** How many bytes hold `count` instructions, whatever they are. */
export function bytesFor(count: number): number {
  return count * LONGEST_INSTRUCTION;
}

function targetOf(instruction: IcedInstruction): bigint | undefined {
  if (instruction.isIpRelMemoryOperand) return instruction.ipRelMemoryAddress;
  for (let operand = 0; operand < instruction.opCount; operand++) {
    const kind = instruction.opKind(operand);
    if (kind === OpKind.NearBranch16 || kind === OpKind.NearBranch32 || kind === OpKind.NearBranch64)
      return instruction.nearBranchTarget;
    const isAbsolute =
      kind === OpKind.Memory &&
      instruction.memoryBase === Register.None &&
      instruction.memoryIndex === Register.None;
    if (isAbsolute) return instruction.memoryDisplacement;
  }
  return undefined;
}
