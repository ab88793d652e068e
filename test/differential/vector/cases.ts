/** Texts of vector instructions, placed among INT3, and the states in which they start. */
import { assemble } from '../../support/assemble.ts';
import type { Random } from '../../support/random.ts';
import type { Case, Poke } from '../integer/batch.ts';
import { VECTOR_BYTES } from '../integer/batch.ts';
import {
  CODE,
  CODE_SIZE,
  GS_BASE,
  INT3,
  LANDING,
  PAGE,
  PAGES,
  UNIFORM,
  WRITABLE,
} from '../integer/layout.ts';
import { edge } from '../integer/values.ts';
import { PLACE } from '../integer/vectors.ts';
import type { VectorForm, VectorOperand } from './forms.ts';
import { mxcsr, vector } from './values.ts';

const SLOT = 16;
const SIZES: Readonly<Record<number, string>> = {
  8: 'byte', 16: 'word', 32: 'dword', 64: 'qword', 128: 'xmmword', 256: 'ymmword', 4096: '',
}; // biome-ignore format: in pairs

export interface PlacedVector {
  readonly form: VectorForm;
  readonly text: string;
  readonly address: number;
  readonly memory:
    | {
        readonly base: number;
        readonly index: number;
        readonly scale: number;
        readonly displacement: bigint;
        readonly segment: 'gs' | '';
        readonly addressBits: 32 | 64;
        readonly bytes: number;
      }
    | undefined;
  /** General registers that are operands. */
  readonly general: readonly number[];
}

const GENERAL_NAMES = {
  8: ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil', 'r8b', 'r9b', 'r10b', 'r11b', 'r12b', 'r13b', 'r14b', 'r15b'],
  16: ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di', 'r8w', 'r9w', 'r10w', 'r11w', 'r12w', 'r13w', 'r14w', 'r15w'],
  32: ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi', 'r8d', 'r9d', 'r10d', 'r11d', 'r12d', 'r13d', 'r14d', 'r15d'],
  64: ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'],
} as const; // biome-ignore format: names in order

/** Mnemonics that differ from what GNU as wants. */
const SPELLED: Readonly<Record<string, string>> = {
  PCMPESTRI64: 'rex.w pcmpestri',
  VPCMPESTRI64: 'vpcmpestriq',
  VPCMPESTRM64: 'vpcmpestrmq',
  PCMPESTRM64: 'rex.w pcmpestrm',
  'MOVSD XMM': 'movsd',
  'CMPSD XMM': 'cmpsd',
};

export class VectorProgram {
  readonly placed: PlacedVector[] = [];
  readonly #random: Random;
  #next = CODE + SLOT;

  constructor(random: Random) {
    this.#random = random;
  }

  add(form: VectorForm): PlacedVector {
    const random = this.#random;
    const general: number[] = [];
    let memory: PlacedVector['memory'];
    const address = this.#next;
    this.#next += SLOT;
    if (this.#next >= LANDING) throw new Error('the code pages are full');
    // VEX.256 gathers want three different registers; elsewhere equal ones are welcome.
    const distinct = /GATHER/.test(form.op);
    const used: number[] = [];
    const vectorRegister = (): number => {
      for (;;) {
        const number = random.below(3) === 0 ? random.below(3) : random.below(16);
        if (!distinct || !used.includes(number)) {
          used.push(number);
          return number;
        }
      }
    };
    const textOf = (operand: VectorOperand): string => {
      switch (operand.kind) {
        case 'vector':
          return `${operand.bits === 256 ? 'y' : 'x'}mm${vectorRegister()}`;
        case 'xmm0':
          return 'xmm0';
        case 'mmx':
          return `mm${random.below(8)}`;
        case 'immediate':
          return `${random.below(3) === 0 ? random.below(16) : random.below(256)}`;
        case 'general': {
          const number = random.pick([0, 1, 2, 3, 5, 6, 8, 9, 12]);
          general.push(number);
          return GENERAL_NAMES[operand.bits as 32][number] as string;
        }
        case 'memory': {
          const made = this.#memory(operand, distinct ? vectorRegister : undefined, form);
          memory = made.memory;
          return made.text;
        }
      }
    };
    const operands = form.operands.map(textOf);
    if (/MASKMOV(Q|DQU)$/.test(form.op))
      memory = { base: 7, index: -1, scale: 1, displacement: 0n, segment: '', addressBits: 64, bytes: 16 };
    const mnemonic = SPELLED[form.op] ?? form.op.toLowerCase();
    const placed = { form, text: `${mnemonic} ${operands.join(', ')}`, address, memory, general };
    this.placed.push(placed);
    return placed;
  }

  #memory(operand: VectorOperand, gather: (() => number) | undefined, form: VectorForm) {
    const random = this.#random;
    const size = SIZES[operand.bits] === undefined ? '' : SIZES[operand.bits];
    const pointer = size ? `${size} ptr ` : '';
    const base = random.pick([7, 10, 11, 13, 14]);
    const displacement = BigInt(random.pick([0, random.below(256) - 128, random.u32() | 0]) & ~31);
    const bytes = operand.bits / 8;
    const tail = displacement === 0n ? '' : displacement < 0n ? `${displacement}` : `+${displacement}`;
    if (gather) {
      const index = gather();
      const width = Math.max(
        form.operands[0]?.bits ?? 0,
        /GATHERQ(PS|D)/.test(form.op) ? random.pick([128, 256]) : 0,
      );
      const narrowIndexes = /GATHERD(PD|Q)/.test(form.op);
      const file = width === 256 && !narrowIndexes ? 'y' : 'x';
      const text = `[${GENERAL_NAMES[64][base]}+${file}mm${index}*1${tail}]`;
      return {
        text,
        memory: {
          base,
          index: -1,
          scale: 1,
          displacement,
          segment: '' as const,
          addressBits: 64 as const,
          bytes,
        },
      };
    }
    const address = (names: readonly string[], index: number, scale: number) =>
      `${pointer}[${names[base]}${index >= 0 ? `+${names[index]}*${scale}` : ''}${tail}]`;
    const plain = { base, displacement, bytes };
    if (operand.addressing === 'x') {
      const [index, scale] = [15, 1 << random.below(4)];
      return {
        text: address(GENERAL_NAMES[64], index, scale),
        memory: { ...plain, index, scale, segment: '' as const, addressBits: 64 as const },
      };
    }
    if (operand.addressing === 'p') {
      const place = BigInt(random.pick(WRITABLE) + (random.below(PAGE - 64) & ~31));
      return {
        text: `${pointer}[rip + ${place - BigInt(CODE)} - HERE]`,
        memory: {
          base: -1,
          index: -1,
          scale: 1,
          displacement: place,
          segment: '' as const,
          addressBits: 64 as const,
          bytes,
        },
      };
    }
    if (operand.addressing === 's') {
      if (random.below(2)) {
        return {
          text: address(GENERAL_NAMES[64], -1, 1).replace('[', 'gs:['),
          memory: { ...plain, index: -1, scale: 1, segment: 'gs' as const, addressBits: 64 as const },
        };
      }
      return {
        text: address(GENERAL_NAMES[32], -1, 1),
        memory: { ...plain, index: -1, scale: 1, segment: '' as const, addressBits: 32 as const },
      };
    }
    return {
      text: address(GENERAL_NAMES[64], -1, 1),
      memory: { ...plain, index: -1, scale: 1, segment: '' as const, addressBits: 64 as const },
    };
  }

  assemble(): Uint8Array {
    const lines = ['.intel_syntax noprefix', 'start:'];
    for (const [i, { text, address }] of this.placed.entries()) {
      lines.push(
        `.org ${address - CODE}, ${INT3}`,
        text.replaceAll('HERE', `(next${i} - start)`),
        `next${i}:`,
      );
    }
    lines.push(`.org ${CODE_SIZE}, ${INT3}`);
    return assemble(lines.join('\n'), CODE);
  }
}

/** Where the memory operand lies: mostly writable and aligned, often across pages, sometimes not to be accessed. */
function place(random: Random, bytes: number): number {
  switch (random.below(12)) {
    case 0:
      return random.pick(WRITABLE) - random.below(bytes);
    case 1:
      return random.pick(PAGES).address - random.below(bytes);
    case 2:
      return random.pick(PAGES).address + (random.below(PAGE - bytes) & ~15);
    case 3:
    case 4:
      return random.pick(WRITABLE) + random.below(PAGE - bytes);
    case 5:
      return random.pick(WRITABLE) + (random.below(PAGE - bytes) & ~15);
    default:
      return random.pick(WRITABLE) + (random.below(PAGE - bytes) & ~63);
  }
}

export function makeVectorCase({ form, text, address, memory, general }: PlacedVector, random: Random): Case {
  const gpr = Array.from({ length: 16 }, () => edge(random, 64));
  gpr[4] = BigInt(UNIFORM.address + 0x800);
  const pokes: Poke[] = [];
  const kind = () => (random.below(5) < 3 ? 'float' : 'integer');
  if (memory) {
    const { base, index, scale, displacement, segment, addressBits, bytes } = memory;
    // AMD's processors take SHA's operands unaligned, where the manual has #GP(0).
    const alignment = form.op.startsWith('SHA') ? ~15 : ~0;
    const linear = base < 0 ? displacement : BigInt(place(random, bytes) & alignment);
    if (base >= 0) {
      const other = index >= 0 ? (gpr[index] as bigint) * BigInt(scale) : 0n;
      const start = linear - (segment === 'gs' ? GS_BASE : 0n);
      gpr[base] = BigInt.asUintN(64, start - displacement - other);
      if (addressBits === 32)
        gpr[base] = BigInt.asUintN(32, start - displacement) | (random.u64() & 0xffff_ffff_0000_0000n);
    }
    if (random.below(6) > 0) {
      const content = vector(random, 32, kind());
      for (const at of [0, 16]) {
        const to = linear + BigInt(at);
        const poke = { address: to, bytes: content.slice(at, Math.min(at + 16, Math.max(at, bytes))) };
        if (poke.bytes.length > 0 && isWritable(to, poke.bytes.length)) pokes.push(poke);
      }
    }
  }
  // AMD's processors have a bit 17 in MXCSR.
  if (memory && form.op.includes('LDMXCSR')) {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, random.below(4) ? mxcsr(random) : random.u32() & ~0x2_0000, true);
    const address = linearOf(gpr, memory);
    pokes.length = 0;
    if (isWritable(address, 4)) pokes.push({ address, bytes });
  }
  if (memory && memory.bytes >= 512) prepareState(form.op, gpr, pokes, memory, random);
  for (const register of general) {
    if (memory && (register === memory.base || register === memory.index)) continue;
    if (random.below(2)) gpr[register] = edge(random, random.pick([8, 16, 32, 64] as const));
  }
  const vectors = new Uint8Array(VECTOR_BYTES);
  const view = new DataView(vectors.buffer);
  const shared = kind();
  for (let r = 0; r < 16; r++) vectors.set(vector(random, 32, random.below(4) ? shared : kind()), 32 * r);
  const indexRegister = /\[.*\+[xy]mm(\d+)/.exec(text)?.[1];
  if (indexRegister !== undefined) {
    // Indexes of a gather: mostly near enough.
    const size = /GATHERQ/.test(form.op) ? 64 : 32;
    for (let i = 0; i < 256 / size; i++) {
      const near = BigInt(random.below(10) === 0 ? random.below(0x4000) : random.below(256));
      const at = 32 * Number(indexRegister) + (i * size) / 8;
      if (size === 64) view.setBigUint64(at, near, true);
      else view.setUint32(at, Number(near), true);
    }
  } else if (random.below(4) === 0) {
    // Registers that share elements: equal operands, and NaNs that meet.
    for (let r = 0; r < 8; r++)
      vectors.set(vectors.subarray(32 * random.below(16)).subarray(0, 16), 32 * random.below(16));
  }
  view.setUint32(PLACE.MXCSR, mxcsr(random), true);
  view.setUint16(PLACE.CONTROL, 0x37f, true);
  view.setUint16(PLACE.STATUS, random.below(8) << 11, true);
  view.setUint8(PLACE.TAG, random.below(256));
  for (let i = 0; i < 8; i++) {
    vectors.set(vector(random, 8, kind()), PLACE.ST + 16 * i);
    view.setUint16(PLACE.ST + 16 * i + 8, random.pick([0, 0xffff, random.below(0x10000)]), true);
  }
  return {
    mode: 64,
    rip: BigInt(address),
    rflags: random.below(2) ? 0x8d5 : random.u32() & 0x8d5,
    gpr,
    pokes,
    vectors,
  };
}

function isWritable(address: bigint, length: number): boolean {
  const inside = (at: bigint) => WRITABLE.some((page) => at >= BigInt(page) && at < BigInt(page + PAGE));
  return inside(address) && inside(address + BigInt(length - 1));
}

/** Of an image of the state, the header and MXCSR; and the components that EDX:EAX asks for. */
function prepareState(
  op: string,
  gpr: bigint[],
  pokes: Poke[],
  memory: NonNullable<PlacedVector['memory']>,
  random: Random,
): void {
  pokes.length = 0;
  gpr[0] = (edge(random, 64) & ~7n & 0xffff_ff18n) | BigInt(1 + random.below(7));
  gpr[2] = 0n;
  if (!op.includes('RSTOR')) return;
  const start = linearOf(gpr, memory);
  if (!isWritable(start, memory.bytes)) return;
  const head = new Uint8Array(8);
  const mxcsrBits = random.below(8) === 0 ? random.u32() : mxcsr(random);
  new DataView(head.buffer).setUint32(0, mxcsrBits, true);
  pokes.push({ address: start + 24n, bytes: head });
  if (memory.bytes === 512) return;
  const header = new Uint8Array(64);
  const view = new DataView(header.buffer);
  view.setBigUint64(0, BigInt(random.below(8)), true);
  if (random.below(2))
    view.setBigUint64(8, (1n << 63n) | BigInt(random.below(3) ? 7 : random.below(8)), true);
  if (random.below(8) === 0) {
    const at = random.below(64);
    // The host may have more components than this processor: only one that none has is wrong for both.
    header[at < 16 ? at | 7 : at] = at < 16 ? 1 << 6 : 1 << random.below(8);
  }
  pokes.push({ address: start + 512n, bytes: header });
}

export function linearOf(gpr: readonly bigint[], memory: NonNullable<PlacedVector['memory']>): bigint {
  const { base, index, scale, displacement, segment, addressBits } = memory;
  let offset = displacement;
  if (base >= 0) offset += gpr[base] as bigint;
  if (index >= 0) offset += (gpr[index] as bigint) * BigInt(scale);
  return BigInt.asUintN(64, BigInt.asUintN(addressBits, offset) + (segment === 'gs' ? GS_BASE : 0n));
}
