/**
 * Damages kernel images and plans their boot: each answer must be a plan that fits into memory or a UserError of one
 * sentence, never anything else. An image comes from anywhere.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
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

/** A damaged image with what it is booted with. */
export interface DamagedImage {
  readonly bytes: Uint8Array;
  readonly options: BootOptions;
}

const MIB = 2 ** 20;
const OPTIONS: BootOptions = {
  memoryBytes: 16 * MIB,
  cpus: 1,
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
  /** Where damage finds something: headers, and code that runs. */
  readonly regions: readonly (readonly [start: number, end: number])[];
}

const HELLO_GUEST = join(resolve(import.meta.dirname, '../..'), 'samples/hello-guest/hello-guest.elf');

function makeSubjects(): readonly Subject[] {
  const code = new Uint8Array(0x200).fill(0x90);
  const withHeader = new Uint8Array(0x200);
  withHeader.set(multibootHeader(0x3));
  const segments = (first: Uint8Array) => [
    { physicalAddress: 0x10_0000, bytes: first, memorySize: 0x1000 },
    { physicalAddress: 0x20_0000, bytes: code, memorySize: 0x2000 },
  ];
  const flat = new Uint8Array(0x400);
  flat.set(multibootHeader(0x1_0000, [0x10_0040, 0x10_0000, 0x10_0300, 0x10_1000, 0x10_0080]), 0x40);
  const kernel = new Uint8Array(readFileSync(HELLO_GUEST));
  return [
    {
      bytes: buildElf({ bits: 32, entry: 0x10_0010n, segments: segments(withHeader) }),
      options: WITH_MODULES,
      regions: [
        [0, 0x80],
        [0x1000, 0x1010],
      ],
    },
    {
      bytes: buildElf({ bits: 64, entry: 0x10_0010n, segments: segments(withHeader) }),
      options: OPTIONS,
      regions: [
        [0, 0xb0],
        [0x1000, 0x1010],
      ],
    },
    {
      bytes: buildElf({ bits: 64, entry: 0x10_0010n, segments: segments(code) }),
      options: WITH_FILES,
      regions: [
        [0, 0xb0],
        [0x1010, 0x1030],
      ],
    },
    { bytes: flat, options: OPTIONS, regions: [[0x40, 0x60]] },
    {
      bytes: buildBzImage({ kernel: code, initSize: 0x1_0000 }),
      options: WITH_FILES,
      regions: [[0x1f0, 0x270]],
    },
    {
      bytes: buildBzImage({ kernel: code, has64BitEntry: false, relocatable: true, version: 0x020a }),
      options: OPTIONS,
      regions: [[0x1f0, 0x270]],
    },
    // A whole kernel: its start-up code switches to 64-bit mode.
    {
      bytes: kernel,
      options: OPTIONS,
      regions: [
        [0, 0xf4],
        [0xf4, 0x1f4],
        [0xf4, 0xef0],
      ],
    },
  ];
}

let subjects: readonly Subject[] | undefined;

const ABSURD = [0, 1, 0x7f, 0x80, 0xff, 0xfff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/** One to four damages: a bit, a byte, a word of an absurd value, a cut. */
function damage(random: Random, { bytes, regions }: Subject): Uint8Array {
  let copy = bytes.slice();
  for (let count = 1 + random.below(4); count > 0; count -= 1) {
    const [start, end] = random.pick(regions);
    const at = Math.min(start + random.below(end - start), copy.length - 1);
    switch (random.below(8)) {
      case 0:
        // Mostly a cut leaves nothing to boot.
        if (random.below(3) === 0) copy = copy.slice(0, 1 + random.below(copy.length));
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

/** The damaged image that a seed stands for. */
export function damagedImage(seed: number): DamagedImage {
  subjects ??= makeSubjects();
  const random = new Random(seed);
  const subject = random.pick(subjects);
  return { bytes: damage(random, subject), options: subject.options };
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

/** The one sentence with which an image is refused; nothing when its plan keeps its promises. */
export function refusal({ bytes, options }: DamagedImage): string | undefined {
  try {
    check(planBoot({ name: 'kernel', bytes }, options), options);
    return undefined;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (!/^kernel: [^\n]+[^.\n]$/.test(error.message))
      throw new Error(`the message is not one sentence: ${error.message}`, { cause: error });
    return error.message;
  }
}

/** Plans the damaged images of `count` seeds from `seed` on. Throws, naming the seed, when one goes wrong. */
export function fuzzBootImages(seed: number, count: number): FuzzResult {
  const reasons = new Set<string>();
  let refused = 0;
  for (let i = 0; i < count; i += 1) {
    const number = (seed + i) >>> 0;
    try {
      const reason = refusal(damagedImage(number));
      if (reason === undefined) continue;
      reasons.add(reason.replaceAll(/0x[0-9a-f]+|\d+/g, '#'));
      refused += 1;
    } catch (error) {
      throw new Error(`image ${number}`, { cause: error });
    }
  }
  return { planned: count - refused, refused, reasons };
}
