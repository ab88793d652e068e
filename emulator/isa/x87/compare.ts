/** Comparison and classification. Intel SDM Vol. 1, "Comparison and Classification Instructions", 8.3.6. */
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import type { Outcome } from '../../core/outcome.ts';
import { setArithmeticFlags } from '../../state/flags.ts';
import { FLAG } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';
import { compare, type Relation } from '../softfloat/compare.ts';
import { classify, type Float80, type Float80Class, zero } from '../softfloat/float80.ts';
import { EXCEPTION } from '../softfloat/rounding.ts';
import { readSource } from './arithmetic.ts';
import { type Body, waiting } from './execute.ts';
import { CONDITION_CODES, STATUS, type X87 } from './fpu.ts';

const CODES: Readonly<Record<Relation, number>> = {
  greater: 0,
  less: STATUS.C0,
  equal: STATUS.C3,
  unordered: STATUS.C0 | STATUS.C2 | STATUS.C3,
};

const FLAGS: Readonly<Record<Relation, number>> = {
  greater: 0,
  less: FLAG.CF,
  equal: FLAG.ZF,
  unordered: FLAG.CF | FLAG.PF | FLAG.ZF,
};

interface ComparisonForm {
  /** Unordered comparisons accept quiet NaNs. */
  readonly quiet: boolean;
  readonly pops: 0 | 1 | 2;
  readonly isInteger?: boolean;
  /** The result goes to CF, PF and ZF and not to the condition codes. */
  readonly toFlags?: boolean;
}

function deliver(fpu: X87, cpu: Cpu, relation: Relation, toFlags: boolean): void {
  if (toFlags) setArithmeticFlags(cpu.state, FLAGS[relation]);
  else fpu.setStatus(STATUS.C0 | STATUS.C2 | STATUS.C3, CODES[relation]);
}

function comparison({ quiet, pops, isInteger = false, toFlags = false }: ComparisonForm): Body {
  return (fpu, instruction, cpu): Outcome | undefined => {
    let other: Float80 | undefined;
    if (instruction.operandCount > 0 && instruction.operandKind(0) === 'memory') {
      other = readSource(cpu, instruction, isInteger);
      if (other === undefined) return cpu.failed;
    } else {
      // FCOMPP and FUCOMPP compare with ST(1).
      const register = instruction.operandCount > 0 ? instruction.register(1) : 1;
      if (!fpu.isEmpty(register)) other = fpu.read(register);
    }
    fpu.clearC1();
    if (other === undefined || fpu.isEmpty(0)) {
      if (!fpu.stackUnderflow()) return undefined;
      deliver(fpu, cpu, 'unordered', toFlags);
    } else {
      const { relation, flags } = compare(fpu.read(0), other, quiet);
      const delivered = fpu.signal(flags);
      // An unmasked invalid operation leaves the condition codes, an unmasked denormal operand only the stack.
      if (!(flags & fpu.unmasked & EXCEPTION.INVALID)) deliver(fpu, cpu, relation, toFlags);
      if (!delivered) return undefined;
    }
    fpu.pop(pops);
    return undefined;
  };
}

const test: Body = (fpu, _instruction, cpu): undefined => {
  fpu.clearC1();
  if (fpu.isEmpty(0)) {
    if (fpu.stackUnderflow()) deliver(fpu, cpu, 'unordered', false);
    return;
  }
  const { relation, flags } = compare(fpu.read(0), zero(0), false);
  fpu.signal(flags);
  if (!(flags & fpu.unmasked & EXCEPTION.INVALID)) deliver(fpu, cpu, relation, false);
};

const CLASS_CODES: Readonly<Record<Float80Class | 'empty', number>> = {
  unsupported: 0,
  quiet: STATUS.C0,
  signaling: STATUS.C0,
  normal: STATUS.C2,
  infinity: STATUS.C2 | STATUS.C0,
  zero: STATUS.C3,
  empty: STATUS.C3 | STATUS.C0,
  denormal: STATUS.C3 | STATUS.C2,
};

const examine: Body = (fpu): undefined => {
  const value = fpu.read(0);
  const codes = CLASS_CODES[fpu.isEmpty(0) ? 'empty' : classify(value)];
  fpu.setStatus(CONDITION_CODES, codes | (value.sign ? STATUS.C1 : 0));
};

const FCOM = SDM('FCOM/FCOMP/FCOMPP—Compare Floating-Point Values');
const FUCOM = SDM('FUCOM/FUCOMP/FUCOMPP—Unordered Compare Floating-Point Values');
const FICOM = SDM('FICOM/FICOMP—Compare Integer');
const FCOMI = SDM('FCOMI/FCOMIP/FUCOMI/FUCOMIP—Compare Floating-Point Values and Set EFLAGS');

// biome-ignore format: rows are read as a table
export const X87_COMPARE_ROWS: readonly SystemRow[] = [
  { op: 'FCOM', call: waiting(comparison({ quiet: false, pops: 0 })), feature: 'FPU', ref: FCOM },
  { op: 'FCOMP', call: waiting(comparison({ quiet: false, pops: 1 })), feature: 'FPU', ref: FCOM },
  { op: 'FCOMPP', call: waiting(comparison({ quiet: false, pops: 2 })), feature: 'FPU', ref: FCOM },
  { op: 'FUCOM', call: waiting(comparison({ quiet: true, pops: 0 })), feature: 'FPU', ref: FUCOM },
  { op: 'FUCOMP', call: waiting(comparison({ quiet: true, pops: 1 })), feature: 'FPU', ref: FUCOM },
  { op: 'FUCOMPP', call: waiting(comparison({ quiet: true, pops: 2 })), feature: 'FPU', ref: FUCOM },
  { op: 'FICOM', call: waiting(comparison({ quiet: false, pops: 0, isInteger: true })), feature: 'FPU', ref: FICOM },
  { op: 'FICOMP', call: waiting(comparison({ quiet: false, pops: 1, isInteger: true })), feature: 'FPU', ref: FICOM },
  { op: 'FCOMI', call: waiting(comparison({ quiet: false, pops: 0, toFlags: true })), feature: 'FPU', ref: FCOMI },
  { op: 'FCOMIP', call: waiting(comparison({ quiet: false, pops: 1, toFlags: true })), feature: 'FPU', ref: FCOMI },
  { op: 'FUCOMI', call: waiting(comparison({ quiet: true, pops: 0, toFlags: true })), feature: 'FPU', ref: FCOMI },
  { op: 'FUCOMIP', call: waiting(comparison({ quiet: true, pops: 1, toFlags: true })), feature: 'FPU', ref: FCOMI },
  { op: 'FTST', call: waiting(test), feature: 'FPU', ref: SDM('FTST—TEST') },
  { op: 'FXAM', call: waiting(examine), feature: 'FPU', ref: SDM('FXAM—Examine Floating-Point') },
];
