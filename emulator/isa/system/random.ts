/**
 * RDRAND and RDSEED: numbers of a generator that every run repeats.
 *
 * DEVIATION(seeded-random). Intel SDM Vol. 1, "Random Number Generator Instructions", 7.3.17.
 */
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { setArithmeticFlags } from '../../state/flags.ts';
import { FLAG } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';
import { inOrder, writeGpr } from './operands.ts';

const GOLDEN = 0x9e37_79b9_7f4a_7c15n;

/** The next number of SplitMix64. */
function nextRandom(cpu: Cpu): bigint {
  const { state } = cpu;
  state.RANDOM = BigInt.asUintN(64, state.RANDOM + GOLDEN);
  let z = state.RANDOM;
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn);
  return z ^ (z >> 31n);
}

/** There is always a number: CF is 1, the other status flags are 0. */
function random(point: 'RDRAND' | 'RDSEED') {
  return (cpu: Cpu, instruction: Instruction): Outcome =>
    inOrder(
      () => cpu.virtualization.intercept({ point }, instruction),
      () => {
        const bits = instruction.operandBits(0) as 16 | 32 | 64;
        writeGpr(cpu, instruction.register(0), bits, nextRandom(cpu));
        setArithmeticFlags(cpu.state, FLAG.CF);
        return OUTCOME.NEXT;
      },
    );
}

// biome-ignore format: rows are read as a table
export const RANDOM_ROWS: readonly SystemRow[] = [
  { op: 'RDRAND', call: random('RDRAND'), feature: 'RDRAND', ref: SDM('RDRAND—Read Random Number') },
  { op: 'RDSEED', call: random('RDSEED'), feature: 'RDSEED', ref: SDM('RDSEED—Read Random SEED') },
];
