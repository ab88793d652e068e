/** Two processors in the same state, one that interprets and one that translates, and their state as text. */
import type { FeatureSet } from '../../emulator/core/features.ts';
import { readRflags } from '../../emulator/state/flags.ts';
import { CPU_FIELDS } from '../../emulator/state/layout.ts';
import type { BareProcessor } from '../support/bareProcessor.ts';
import { bareProcessor } from '../support/bareProcessor.ts';
import { Random } from '../support/random.ts';

export const CODE = 0x10_0000;
const DATA = 0x20_0000;
const STACK = 0x30_0000;
const IDT = 0x40_0000;
const HANDLER = 0x50_0000;
/** Page-directory entry that is cleared: addresses from 8 MiB on fault. */
const UNMAPPED = 0x80_0000;

/** Interpreted, translated at the first execution, or translated when it is hot, which here is soon. */
export const TIERS = ['interpreted', 'translated', 'auto'] as const;
export type Tier = (typeof TIERS)[number];

export function prepare(
  code: Uint8Array,
  seed: number,
  tier: Tier,
  features?: FeatureSet,
  model?: string,
): BareProcessor {
  const processor = bareProcessor({
    forceTranslation: tier === 'translated',
    sampleEvery: tier === 'auto' ? 7 : 0,
    ...(features ? { features } : {}),
    ...(model ? { model } : {}),
  });
  const { state, physical } = processor;
  physical.copyIn(CODE, code);
  const random = new Random(seed);
  for (let i = 0; i < 0x4000; i += 8) physical.write64(DATA + i, random.u64());
  for (let r = 0; r < 16; r++) state.setGpr(r, random.u64());
  state.setGpr(3, BigInt(DATA + 0x400));
  state.setGpr(7, BigInt(DATA + 0x2000));
  state.setGpr(6, BigInt(UNMAPPED - 0x100));
  state.setGpr(4, BigInt(STACK));
  state.setGpr(14, 3n);
  physical.write64(0x3000 + 8 * (UNMAPPED / 0x20_0000), 0n);
  // Every exception stops at a HLT.
  for (let vector = 0; vector < 32; vector++) {
    const low = BigInt(HANDLER & 0xffff) | (0x10n << 16n) | (0x8en << 40n) | (BigInt(HANDLER >> 16) << 48n);
    physical.write64(IDT + vector * 16, low);
    physical.write64(IDT + vector * 16 + 8, 0n);
  }
  physical.write64(0x6000 + 0x10, 0x00af_9b00_0000_ffffn);
  state.GDTR_BASE = 0x6000n;
  state.GDTR_LIMIT = 0x17;
  state.IDTR_BASE = BigInt(IDT);
  state.IDTR_LIMIT = 0x1ff;
  physical.copyIn(HANDLER, new Uint8Array([0xf4]));
  state.RIP = BigInt(CODE);
  return processor;
}

/** All architectural state as text; lazy flags as the flags they stand for. */
export function describeState({ state, physical, engine }: BareProcessor): string[] {
  const lines = [`retired ${engine.retired}`, `RFLAGS ${readRflags(state).toString(16)}`];
  for (const field of CPU_FIELDS) {
    if (field.kind !== 'arch' || field.key.startsWith('CC_') || field.key === 'RFLAGS') continue;
    const bytes = Buffer.from(state.u8.subarray(field.offset, field.offset + field.width * field.count));
    lines.push(`${field.key} ${bytes.toString('hex')}`);
  }
  const memory = new Uint8Array(32);
  for (let at = DATA; at < DATA + 0x4000; at += memory.length) {
    physical.copyOut(at, memory);
    lines.push(`${at.toString(16)} ${Buffer.from(memory).toString('hex')}`);
  }
  physical.copyOut(STACK - memory.length, memory);
  lines.push(`stack ${Buffer.from(memory).toString('hex')}`);
  return lines;
}
