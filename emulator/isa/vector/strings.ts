/** PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM. Intel SDM Vol. 2B, "Imm8 Control Byte Operation", 4.1. */
import { SDM } from '../../base/reference.ts';
import { setArithmeticFlags } from '../../state/flags.ts';
import { FLAG, RAX, RCX, RDX } from '../../state/registers.ts';
import { Lanes, type VectorBody, type VectorExecution } from './execute.ts';
import { type VectorSystemRow, vectorRow } from './systemForms.ts';

const A = new Lanes();
const B = new Lanes();
const R = new Lanes();

/** The length that a register gives: its magnitude, at most the number of elements. */
function explicitLength(x: VectorExecution, register: number, bits: 32 | 64, count: number): number {
  const value = BigInt.asIntN(bits, x.cpu.state.gpr(register));
  const magnitude = value < 0n ? -value : value;
  return magnitude > BigInt(count) ? count : Number(magnitude);
}

function implicitLength(elements: Elements, count: number): number {
  for (let i = 0; i < count; i++) if (elements[i] === 0) return i;
  return count;
}

type Elements = Uint8Array | Int8Array | Uint16Array | Int16Array;

/** Bits 1:0 of the control byte: bytes or words, unsigned or signed. */
function elementsOf(lanes: Lanes, control: number): Elements {
  return [lanes.u8, lanes.u16, lanes.i8, lanes.i16][control & 3] as Elements;
}

interface Strings {
  readonly a: Elements;
  readonly b: Elements;
  readonly lengthA: number;
  readonly lengthB: number;
  readonly count: number;
}

/** Bits 3:2: whether element `j` of the second string is in the set or ranges, equals its peer, or begins the first string. */
const AGGREGATIONS: readonly ((strings: Strings, j: number) => boolean)[] = [
  ({ a, b, lengthA, lengthB }, j) =>
    j < lengthB && a.subarray(0, lengthA).some((value: number) => value === b[j]),
  ({ a, b, lengthA, lengthB }, j) => {
    if (j >= lengthB) return false;
    const value = b[j] as number;
    for (let i = 0; i + 1 < lengthA; i += 2)
      if (value >= (a[i] as number) && value <= (a[i + 1] as number)) return true;
    return false;
  },
  ({ a, b, lengthA, lengthB }, j) =>
    j >= lengthA || j >= lengthB ? j >= lengthA && j >= lengthB : a[j] === b[j],
  ({ a, b, lengthA, lengthB, count }, j) => {
    for (let i = 0; i < count - j; i++) {
      if (i >= lengthA) return true;
      if (j + i >= lengthB || a[i] !== b[j + i]) return false;
    }
    return true;
  },
];

interface Kind {
  readonly explicit: 32 | 64 | undefined;
  readonly result: 'index' | 'mask';
}

function compareStrings({ explicit, result }: Kind): VectorBody {
  return (x) => {
    if (!x.read(1, B, { unaligned: true })) return false;
    x.read(0, A);
    const control = x.immediate;
    const count = control & 1 ? 8 : 16;
    const [a, b] = [elementsOf(A, control), elementsOf(B, control)];
    const lengthA = explicit ? explicitLength(x, RAX, explicit, count) : implicitLength(a, count);
    const lengthB = explicit ? explicitLength(x, RDX, explicit, count) : implicitLength(b, count);
    const strings = { a, b, lengthA, lengthB, count };
    const holds = AGGREGATIONS[(control >> 2) & 3] as (typeof AGGREGATIONS)[number];
    let bits = 0;
    for (let j = 0; j < count; j++) if (holds(strings, j)) bits |= 1 << j;
    const all = (1 << count) - 1;
    // Bits 5:4: negated, of all elements or of those inside the second string.
    if (control & 0x10) bits ^= control & 0x20 ? (1 << lengthB) - 1 : all;
    if (result === 'index') {
      const index = control & 0x40 ? 31 - Math.clz32(bits) : 31 - Math.clz32(bits & -bits);
      x.cpu.state.setGpr(RCX, BigInt(bits === 0 ? count : index));
    } else {
      R.u8.fill(0);
      if (control & 0x40) {
        for (let i = 0; i < count; i++) {
          if (((bits >> i) & 1) === 0) continue;
          if (count === 8) R.u16[i] = 0xffff;
          else R.u8[i] = 0xff;
        }
      } else R.u16[0] = bits;
      x.writeRegister('xmm', 0, R);
    }
    const flag = (condition: boolean, mask: number) => (condition ? mask : 0);
    setArithmeticFlags(
      x.cpu.state,
      flag(bits !== 0, FLAG.CF) |
        flag(lengthB < count, FLAG.ZF) |
        flag(lengthA < count, FLAG.SF) |
        flag((bits & 1) !== 0, FLAG.OF),
    );
    return undefined;
  };
}

function rows(name: string, kind: Kind, title: string): VectorSystemRow[] {
  const body = compareStrings(kind);
  return [
    vectorRow(name, [{ operands: 'v128 vm128 i8', feature: 'SSE4_2' }], body, SDM(title)),
    vectorRow(`V${name}`, [{ operands: 'v128 vm128 i8', feature: 'AVX' }], body, SDM(title)),
  ];
}

const ESTRI = 'PCMPESTRI—Packed Compare Explicit Length Strings, Return Index';
const ESTRM = 'PCMPESTRM—Packed Compare Explicit Length Strings, Return Mask';

export const VECTOR_STRING_ROWS: readonly VectorSystemRow[] = [
  ...rows('PCMPESTRI', { explicit: 32, result: 'index' }, ESTRI),
  ...rows('PCMPESTRI64', { explicit: 64, result: 'index' }, ESTRI),
  ...rows('PCMPESTRM', { explicit: 32, result: 'mask' }, ESTRM),
  ...rows('PCMPESTRM64', { explicit: 64, result: 'mask' }, ESTRM),
  ...rows(
    'PCMPISTRI',
    { explicit: undefined, result: 'index' },
    'PCMPISTRI—Packed Compare Implicit Length Strings, Return Index',
  ),
  ...rows(
    'PCMPISTRM',
    { explicit: undefined, result: 'mask' },
    'PCMPISTRM—Packed Compare Implicit Length Strings, Return Mask',
  ),
];
