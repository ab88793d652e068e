/**
 * The handlers of all emitted instructions in their fixed order, and how a running machine finds them: the interpreter's
 * module carries the list of their keys, so that a row is expanded when one of its instructions is decoded.
 */
import type { FeatureKey } from '../core/features.ts';
import type { HandlerSpec } from './forms.ts';
import { expandRow } from './forms.ts';
import { PSEUDO_COUNT } from './record.ts';
import { SEMANTIC_ROWS } from './rows.ts';

/**
 * Handlers that stand in the interpreter's one big switch; all others are functions behind a table. A switch slows
 * down as it grows, so this is what compiled 64-bit code executes most: see docs/architecture.md.
 */
const HOT = [
  /^(ADD|SUB|CMP|AND|OR|XOR)\.(32|64)\.(r\d+,r\d+|r\d+,[bxp]\d+|r\d+,i\d+)$/,
  /^(ADD|SUB|CMP|AND|OR|XOR)\.(32|64)\.([bxp])\d+,[ri]\d+$/,
  /^(CMP|TEST|AND|OR|XOR|SUB|ADD)\.8\.r8,[ri]8$/,
  /^(CMP|TEST)\.8\.[bx]8,[ri]8$/,
  /^(TEST)\.(32|64)\.r\d+,[ri]\d+$/,
  /^MOV\.(32|64)\.(r\d+,[rbxpi]\d+|[bxp]\d+,[ri]\d+)$/,
  /^MOV\.8\.(r8,[rbxi]8|[bx]8,[ri]8)$/,
  /^(MOVZX|MOVSX)\.(32|64)\.r\d+,[rbx](8|16)$/,
  /^MOVSXD\.64\.r64,[rbx]32$/,
  /^LEA\.(32|64)\.r\d+,[bxp]\d+$/,
  /^(SHL|SHR|SAR|ROL|ROR)\.(32|64)\.r\d+,[ic]8$/,
  /^(INC|DEC|NEG|NOT)\.(32|64)\.r\d+$/,
  /^(INC|DEC)\.(32|64)\.b\d+$/,
  /^IMUL\.(32|64)\.r\d+,[rb]\d+(,i\d+)?$/,
  /^(MUL|DIV|IDIV)\.(32|64)\.r\d+$/,
  /^J[A-Z]+\.64\.j64$/,
  /^(JMP|CALL)\.64\.[jrbx]64(:flat)?$/,
  /^(RET|LEAVE)\.64\.:flat$/,
  /^(PUSH|POP)\.64\.[ri]64:flat$/,
  /^PUSH\.64\.b64:flat$/,
  /^CMOV[A-Z]+\.(32|64)\.r\d+,r\d+$/,
  /^SET[A-Z]+\.8\.r8$/,
  /^(CDQE|CQO|CDQ)\./,
  /^NOP\./,
  /^(REP )?(MOVS|STOS)[BWDQ]\.\d+\.:flat$/,
];

export interface AllHandlers {
  /** The hot ones first. The index here plus the pseudo handlers is the number in a record. */
  readonly specs: readonly HandlerSpec[];
  readonly hotCount: number;
}

/** Expands every row: for whoever generates the interpreter, and for tests. */
export function expandHandlers(): AllHandlers {
  const isHot = new RegExp(HOT.map(({ source }) => source).join('|'));
  const parts: [HandlerSpec[], HandlerSpec[]] = [[], []];
  for (const spec of SEMANTIC_ROWS.flatMap(expandRow)) parts[isHot.test(spec.key) ? 0 : 1].push(spec);
  const [hot, others] = parts;
  return { specs: [...hot, ...others], hotCount: hot.length };
}

/** Name and content of the interpreter's section that lists its handlers. */
export const HANDLER_SECTION = 'handlers';

export function encodeHandlers(specs: readonly HandlerSpec[]): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(specs.map(({ key }) => key).join('\n'));
}

const ROWS_BY_OP = new Map(SEMANTIC_ROWS.map((row) => [row.op, row]));

/** The handlers of one interpreter, by the numbers that records have. */
export class HandlerTable {
  readonly #keys: readonly string[];
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #specs: (HandlerSpec | undefined)[] = [];

  constructor(interpreter: WebAssembly.Module) {
    const [section] = WebAssembly.Module.customSections(interpreter, HANDLER_SECTION);
    if (section === undefined) throw new Error('The interpreter does not list its handlers: build it anew.');
    this.#keys = new TextDecoder().decode(section).split('\n');
    this.#numbers = new Map(this.#keys.map((key, index) => [key, PSEUDO_COUNT + index]));
  }

  /** Undefined for pseudo handlers. */
  spec(number: number): HandlerSpec | undefined {
    if (number < PSEUDO_COUNT) return undefined;
    if (this.#specs[number] === undefined) this.#expand(this.#keys[number - PSEUDO_COUNT] as string);
    return this.#specs[number];
  }

  /**
   * The number of a key's handler on a processor with these features: without a row's feature its keys stand for another
   * row's handlers, or for none (#UD).
   */
  number(key: string, offers: (feature: FeatureKey) => boolean): number | undefined {
    const number = this.#numbers.get(key);
    if (number === undefined) return undefined;
    const { row, feature, onlyWith } = this.spec(number) as HandlerSpec;
    if (onlyWith !== undefined && !offers(onlyWith)) return undefined;
    if (feature === undefined || offers(feature)) return number;
    return row.without === undefined
      ? undefined
      : this.#numbers.get(`${row.without}${key.slice(row.op.length)}`);
  }

  #expand(key: string): void {
    const row = ROWS_BY_OP.get(key.slice(0, key.indexOf('.')));
    for (const spec of row ? expandRow(row) : []) {
      const number = this.#numbers.get(spec.key);
      if (number !== undefined) this.#specs[number] = spec;
    }
  }
}
