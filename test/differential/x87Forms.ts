/** The instructions of the x87 FPU that are compared with the host's, in GNU as Intel syntax. */

export interface X87Form {
  readonly text: string;
  /** What the memory operand at RAX holds. */
  readonly memory?:
    | 'float32'
    | 'float64'
    | 'float80'
    | 'int16'
    | 'int32'
    | 'int64'
    | 'bcd'
    | 'control'
    | 'state';
  /** Compares: after an unmasked invalid operation the result is undefined. */
  readonly compares?: true;
  /** Bits of the status word in which the host's processor may differ from the manual's. */
  readonly undefinedStatus?: number;
}

const STACK = [0, 1, 2, 5, 7];
const BASIC = ['add', 'mul', 'sub', 'subr', 'div', 'divr'];
const CONDITIONS = ['b', 'e', 'be', 'u', 'nb', 'ne', 'nbe', 'nu'];

const C1 = 0x200;

const comparing = (forms: readonly X87Form[]): X87Form[] =>
  forms.map((form) => ({ ...form, compares: true }));
const plain = (...texts: string[]): X87Form[] => texts.map((text) => ({ text }));
const onStack = (pattern: (i: number) => string): X87Form[] => STACK.map((i) => ({ text: pattern(i) }));
const POINTER = {
  float32: 'dword',
  float64: 'qword',
  float80: 'tbyte',
  int16: 'word',
  int32: 'dword',
  int64: 'qword',
  bcd: 'tbyte',
  control: 'word',
};

function onMemory(mnemonic: string, ...kinds: (keyof typeof POINTER)[]): X87Form[] {
  return kinds.map((memory) => ({ text: `${mnemonic} ${POINTER[memory]} ptr [rax]`, memory }));
}

export const X87_FORMS: readonly X87Form[] = [
  ...BASIC.flatMap((op) => [
    ...onStack((i) => `f${op} st, st(${i})`),
    ...onStack((i) => `f${op} st(${i}), st`),
    ...onStack((i) => `f${op}p st(${i}), st`),
    ...onMemory(`f${op}`, 'float32', 'float64'),
    ...onMemory(`fi${op}`, 'int16', 'int32'),
  ]),
  ...onMemory('fld', 'float32', 'float64', 'float80'),
  ...onStack((i) => `fld st(${i})`),
  ...onMemory('fild', 'int16', 'int32', 'int64'),
  ...onMemory('fbld', 'bcd'),
  ...plain('fld1', 'fldz', 'fldpi', 'fldl2e', 'fldl2t', 'fldlg2', 'fldln2'),
  ...onMemory('fst', 'float32', 'float64'),
  ...onMemory('fstp', 'float32', 'float64', 'float80'),
  ...onStack((i) => `fst st(${i})`),
  ...onStack((i) => `fstp st(${i})`),
  ...onMemory('fist', 'int16', 'int32'),
  ...onMemory('fistp', 'int16', 'int32', 'int64'),
  ...onMemory('fisttp', 'int16', 'int32', 'int64'),
  ...onMemory('fbstp', 'bcd'),
  ...onStack((i) => `fxch st(${i})`),
  ...CONDITIONS.flatMap((condition) => onStack((i) => `fcmov${condition} st, st(${i})`)),
  ...['fcom', 'fcomp', 'fucom', 'fucomp'].flatMap((op) => comparing(onStack((i) => `${op} st(${i})`))),
  ...['fcomi', 'fcomip', 'fucomi', 'fucomip'].flatMap((op) =>
    // AMD's processors keep C1, the manual says that it is cleared.
    comparing(onStack((i) => `${op} st, st(${i})`)).map((form) => ({ ...form, undefinedStatus: C1 })),
  ),
  ...comparing([
    ...onMemory('fcom', 'float32', 'float64'),
    ...onMemory('fcomp', 'float32', 'float64'),
    ...onMemory('ficom', 'int16', 'int32'),
    ...onMemory('ficomp', 'int16', 'int32'),
    ...plain('fcompp', 'fucompp', 'ftst'),
  ]),
  ...plain('fxam', 'fchs', 'fabs', 'fsqrt', 'frndint', 'fscale', 'fprem', 'fprem1', 'fxtract'),
  ...plain('fnop', 'fwait', 'fincstp', 'fdecstp', 'fnclex', 'fninit', 'fnstsw ax'),
  ...onStack((i) => `ffree st(${i})`),
  ...onMemory('fldcw', 'control'),
  { text: 'fnstcw word ptr [rax]', memory: 'control' },
  { text: 'fnstsw word ptr [rax]', memory: 'control' },
  { text: 'fnstenv [rax]', memory: 'state' },
  { text: 'fldenv [rax]', memory: 'state' },
  { text: 'data16 fnstenv [rax]', memory: 'state' },
  { text: 'data16 fldenv [rax]', memory: 'state' },
  { text: 'fnsave [rax]', memory: 'state' },
  { text: 'frstor [rax]', memory: 'state' },
  { text: 'data16 fnsave [rax]', memory: 'state' },
  { text: 'data16 frstor [rax]', memory: 'state' },
];
