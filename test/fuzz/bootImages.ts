/**
 * Damages kernel images and plans their boot: each answer must be a plan that fits into memory or a UserError of one
 * sentence, never anything else. An image comes from anywhere.
 */
import { UserError } from '../../emulator/base/errors.ts';
import type { BootOptions, BootPlan } from '../../emulator/boot/bootPlan.ts';
import { planBoot } from '../../emulator/boot/detect.ts';
import { buildBzImage } from '../support/bzImage.ts';
import { buildElf, multibootHeader } from '../support/elf.ts';
import { Random } from '../support/random.ts';

export interface FuzzResult {
  readonly planned: number;
  readonly refused: number;
  /** Different reasons, without names and numbers. */
  readonly reasons: ReadonlySet<string>;
}

const MIB = 2 ** 20;
const OPTIONS: BootOptions = {
  memoryBytes: 16 * MIB,
  cpus: 2,
  append: 'console=ttyS0',
  initrd: undefined,
  modules: [],
};
const WITH_FILES: BootOptions = {
  ...OPTIONS,
  initrd: { name: 'initrd.img', bytes: new Uint8Array(5000) },
};
const WITH_MODULES: BootOptions = {
  ...OPTIONS,
  modules: [{ name: 'module', bytes: new Uint8Array(5000), commandLine: 'quiet' }],
};

interface Subject {
  readonly bytes: Uint8Array;
  readonly options: BootOptions;
  /** Where damage finds something: headers. */
  readonly headers: readonly (readonly [start: number, end: number])[];
}

function subjects(): readonly Subject[] {
  const code = new Uint8Array(0x200).fill(0x90);
  const withHeader = new Uint8Array(0x200);
  withHeader.set(multibootHeader(0x3));
  const segments = (first: Uint8Array) => [
    { physicalAddress: 0x10_0000, bytes: first, memorySize: 0x1000 },
    { physicalAddress: 0x20_0000, bytes: code, memorySize: 0x2000 },
  ];
  const flat = new Uint8Array(0x400);
  flat.set(multibootHeader(0x1_0000, [0x10_0040, 0x10_0000, 0x10_0300, 0x10_1000, 0x10_0080]), 0x40);
  return [
    {
      bytes: buildElf({ bits: 32, entry: 0x10_0010n, segments: segments(withHeader) }),
      options: WITH_MODULES,
      headers: [
        [0, 0x80],
        [0x1000, 0x1010],
      ],
    },
    {
      bytes: buildElf({ bits: 64, entry: 0x10_0010n, segments: segments(withHeader) }),
      options: OPTIONS,
      headers: [
        [0, 0xb0],
        [0x1000, 0x1010],
      ],
    },
    {
      bytes: buildElf({ bits: 64, entry: 0x10_0010n, segments: segments(code) }),
      options: WITH_FILES,
      headers: [[0, 0xb0]],
    },
    { bytes: flat, options: OPTIONS, headers: [[0x40, 0x60]] },
    {
      bytes: buildBzImage({ kernel: code, initSize: 0x1_0000 }),
      options: WITH_FILES,
      headers: [[0x1f0, 0x270]],
    },
    {
      bytes: buildBzImage({ kernel: code, has64BitEntry: false, relocatable: true, version: 0x020a }),
      options: OPTIONS,
      headers: [[0x1f0, 0x270]],
    },
  ];
}

const ABSURD = [0, 1, 0x7f, 0x80, 0xff, 0xfff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/** One to four damages: a bit, a byte, a word of an absurd value, a cut. */
function damage(random: Random, { bytes, headers }: Subject): Uint8Array {
  let copy = bytes.slice();
  for (let count = 1 + random.below(4); count > 0; count -= 1) {
    const [start, end] = random.pick(headers);
    const at = Math.min(start + random.below(end - start), copy.length - 1);
    switch (random.below(8)) {
      case 0:
        copy = copy.slice(0, 1 + random.below(copy.length));
        break;
      case 1:
      case 2:
        copy[at] = random.u32();
        break;
      case 3:
      case 4: {
        const value = random.pick(ABSURD);
        for (let byte = 0; byte < 4 && at + byte < copy.length; byte += 1)
          copy[at + byte] = value >>> (8 * byte);
        break;
      }
      default:
        copy[at] ^= 1 << random.below(8);
    }
  }
  return copy;
}

/** The promises of a plan that the machine relies on. */
function check(plan: BootPlan, options: BootOptions): void {
  let end = 0;
  for (const { name, address, length, bytes } of plan.segments) {
    const fits = address >= end && address + length <= options.memoryBytes && bytes.length <= length;
    if (!fits)
      throw new Error(`segment ${name} at ${address} with length ${length} overlaps or leaves memory`);
    end = address + length;
  }
  if (plan.entry.rip < 0n || plan.entry.rip > 0xffff_ffffn) {
    throw new Error(`entry at ${plan.entry.rip} is outside the first 4 GiB`);
  }
}

export function fuzzBootImages(seed: number, rounds: number): FuzzResult {
  const random = new Random(seed);
  const all = subjects();
  const reasons = new Set<string>();
  let planned = 0;
  let refused = 0;
  for (let round = 0; round < rounds; round += 1) {
    const subject = all[round % all.length];
    const bytes = damage(random, subject);
    try {
      check(planBoot({ name: 'kernel', bytes }, subject.options), subject.options);
      planned += 1;
    } catch (error) {
      if (!(error instanceof UserError)) throw new Error(`round ${round} of seed ${seed}`, { cause: error });
      if (!/^kernel: [^\n]+[^.\n]$/.test(error.message)) {
        throw new Error(`round ${round} of seed ${seed}: the message is not one sentence: ${error.message}`);
      }
      reasons.add(error.message.replaceAll(/0x[0-9a-f]+|\d+/g, '#'));
      refused += 1;
    }
  }
  return { planned, refused, reasons };
}
