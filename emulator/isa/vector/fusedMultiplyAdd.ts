/** Fused multiply-add: one rounding of a product and a sum. Intel SDM Vol. 1, "Fused-Multiply-ADD (FMA) Extensions", 14.5. */
import { SDM } from '../../base/reference.ts';
import { OUTCOME } from '../../core/outcome.ts';
import { fusedMultiplyAdd } from '../softfloat/binary.ts';
import { Lanes, type VectorBody } from './execute.ts';
import { getElement, SHAPES, setElement } from './float.ts';
import { type VectorSystemRow, vectorRow } from './systemForms.ts';

const A = new Lanes();
const B = new Lanes();
const C = new Lanes();
const R = new Lanes();

/** Which of the three operands are multiplied, and which is added. */
const ORDERS = [
  { digits: '132', order: [0, 2, 1] },
  { digits: '213', order: [1, 0, 2] },
  { digits: '231', order: [1, 2, 0] },
] as const;

type Sign = (element: number) => boolean;

const OPERATIONS: readonly {
  name: string;
  negateProduct: boolean;
  negateAddend: Sign;
  packedOnly: boolean;
}[] = [
  { name: 'FMADD', negateProduct: false, negateAddend: () => false, packedOnly: false },
  { name: 'FMSUB', negateProduct: false, negateAddend: () => true, packedOnly: false },
  { name: 'FNMADD', negateProduct: true, negateAddend: () => false, packedOnly: false },
  { name: 'FNMSUB', negateProduct: true, negateAddend: () => true, packedOnly: false },
  { name: 'FMADDSUB', negateProduct: false, negateAddend: (i) => i % 2 === 0, packedOnly: true },
  { name: 'FMSUBADD', negateProduct: false, negateAddend: (i) => i % 2 === 1, packedOnly: true },
];

export const FMA_ROWS: readonly VectorSystemRow[] = OPERATIONS.flatMap(
  ({ name, negateProduct, negateAddend, packedOnly }) =>
    ORDERS.flatMap(({ digits, order }) =>
      SHAPES.filter(({ scalar }) => !packedOnly || !scalar).map(({ suffix, format, scalar }) => {
        const body: VectorBody = (x) => {
          if (!x.read(2, C, { bytes: scalar ? format.size / 8 : 0 })) return false;
          x.read(0, A);
          x.read(1, B);
          R.copy(A);
          const sources = [A, B, C] as const;
          const count = scalar ? 1 : (8 * x.bytes) / format.size;
          for (let i = 0; i < count; i++) {
            const element = (n: 0 | 1 | 2) => getElement(sources[order[n]], format, i);
            const signs = { negateProduct, negateAddend: negateAddend(i) };
            const operands = [element(0), element(1), element(2)] as const;
            const { bits, flags } = fusedMultiplyAdd(operands, signs, [0, 1, 2], format, x.control);
            x.note(flags);
            setElement(R, format, i, bits);
          }
          const outcome = x.finishFlags();
          if (outcome === OUTCOME.NEXT) x.write(0, R);
          return outcome;
        };
        const memory = scalar ? format.size : 128;
        const forms = [{ operands: `v128 v128 vm${memory}`, feature: 'FMA' as const }];
        if (!scalar) forms.push({ operands: 'v256 v256 vm256', feature: 'FMA' });
        const title = `V${name}132${suffix}/V${name}213${suffix}/V${name}231${suffix}—Fused Multiply of Floating-Point Values`;
        return vectorRow(`V${name}${digits}${suffix}`, forms, body, SDM(title));
      }),
    ),
);
