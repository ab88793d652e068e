/**
 * Unwinding without unwind information: by the chain of frame pointers. Good for code compiled with
 * -fno-omit-frame-pointer and for assembly that keeps rbp; a guess elsewhere, and so a function of its own.
 *
 * @see System V ABI, AMD64 Architecture Processor Supplement, section 3.2.2 "The Stack Frame"
 */
import type { ReadMemory } from './dwarf/expression.ts';
import { type FrameRegisters, RBP, RIP, RSP, X86_64_REGISTERS } from './registers.ts';

const PUSH_RBP = 0x55;
const RET = 0xc3;
const RET_IMMEDIATE = 0xc2;
/** ENDBR64 and ENDBR32 differ in the last byte. */
const ENDBR = [0xf3, 0x0f, 0x1e];
const ENDBR_LENGTH = 4;

/**
 * The caller's frame, or undefined when the chain ends or cannot be right. `functionStart` is where the
 * function begins, if that is known: before rbp is set up and after it is restored, the return address is
 * on top of the stack.
 */
export function unwindByFramePointer(
  frame: FrameRegisters,
  readMemory: ReadMemory,
  wordSize: 4 | 8,
  functionStart?: bigint,
): FrameRegisters | undefined {
  const rip = frame.values[RIP];
  const rsp = frame.values[RSP];
  const rbp = frame.values[RBP];
  if (rip === undefined || rsp === undefined) return undefined;
  const word = BigInt(wordSize);
  const read = (address: bigint): bigint | undefined => {
    const bytes = readMemory(BigInt.asUintN(wordSize * 8, address), wordSize);
    if (bytes?.length !== wordSize) return undefined;
    return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  };
  const caller = (savedAt: bigint, callerRbp: bigint | undefined): FrameRegisters | undefined => {
    const returnAddress = read(savedAt);
    if (returnAddress === undefined || returnAddress === 0n) return undefined;
    const values: (bigint | undefined)[] = X86_64_REGISTERS.map(() => undefined);
    values[RIP] = returnAddress;
    values[RSP] = BigInt.asUintN(wordSize * 8, savedAt + word);
    values[RBP] = callerRbp;
    return { values, isReturnAddress: true };
  };

  if (!frame.isReturnAddress) {
    const pushed = bytesPushed(rip, functionStart, readMemory);
    if (pushed !== undefined) return caller(rsp + (pushed ? word : 0n), rbp);
  }
  // The stack grows down: the frame of a caller is above, and rbp is pushed on an aligned stack.
  if (rbp === undefined || rbp < rsp || rbp % word !== 0n) return undefined;
  const callerRbp = read(rbp);
  return callerRbp === undefined ? undefined : caller(rbp + word, callerRbp);
}

/** Whether rbp has been pushed where rbp is still, or again, the caller's; undefined in the body. */
function bytesPushed(
  rip: bigint,
  functionStart: bigint | undefined,
  readMemory: ReadMemory,
): boolean | undefined {
  const opcode = readMemory(rip, 1)?.[0];
  if (opcode === RET || opcode === RET_IMMEDIATE) return false;
  if (functionStart === undefined) return undefined;
  const start = readMemory(functionStart, ENDBR_LENGTH + 1);
  if (!start) return undefined;
  const skipped = ENDBR.every((byte, i) => start[i] === byte) ? ENDBR_LENGTH : 0;
  const distance = Number(BigInt.asIntN(64, rip - functionStart));
  if (distance === 0 || distance === skipped) return false;
  if (start[skipped] === PUSH_RBP && distance === skipped + 1) return true;
  return undefined;
}
