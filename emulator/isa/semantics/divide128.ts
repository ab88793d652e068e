/** DIV and IDIV of a 128-bit dividend, for the dividends that do not fit 64 bits. */
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import type { Outcome } from '../../core/outcome.ts';
import { OUTCOME } from '../../core/outcome.ts';
import { RAX, RDX, VECTOR } from '../../state/registers.ts';
import { readOperand } from '../system/operands.ts';

export function divide128(signed: boolean) {
  return (cpu: Cpu, instruction: Instruction): Outcome => {
    const operand = readOperand(cpu, instruction, 0);
    if (operand === undefined) return cpu.failed;
    const wide = (cpu.state.gpr(RDX) << 64n) | cpu.state.gpr(RAX);
    const dividend = signed ? BigInt.asIntN(128, wide) : wide;
    const divisor = signed ? BigInt.asIntN(64, operand) : operand;
    if (divisor === 0n) return cpu.raise(VECTOR.DE);
    const quotient = dividend / divisor;
    const fits = signed ? BigInt.asIntN(64, quotient) === quotient : quotient >> 64n === 0n;
    if (!fits) return cpu.raise(VECTOR.DE);
    cpu.state.setGpr(RAX, BigInt.asUintN(64, quotient));
    cpu.state.setGpr(RDX, BigInt.asUintN(64, dividend % divisor));
    return OUTCOME.NEXT;
  };
}
