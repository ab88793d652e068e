/** What differs between two results of a case, as text that can be assembled and run again. */
import type { StatusFlag, UndefinedByCount } from '../../../emulator/isa/forms.ts';
import { FLAG, GPR_NAMES, RCX, RSP } from '../../../emulator/state/registers.ts';
import type { Case, Poke, Result } from './batch.ts';
import type { OperandText, TestInstruction } from './instruction.ts';
import type { Partial } from './shapes.ts';

/** Vectors that push an error code, of those that user code meets. */
const WITH_ERROR_CODE = [12, 13, 14];
const BREAKPOINT = 3;
const PAGE_FAULT = 14;
/** Linux says "protection violation" for all of its half of the address space. */
const KERNEL = 1n << 63n;

/** The flags that the manual leaves undefined when this instruction is executed in this state, as a mask. */
export function undefinedFlags(
  names: readonly StatusFlag[] | UndefinedByCount,
  { operands, shape }: TestInstruction,
  { gpr }: Case,
): number {
  if (typeof names !== 'function') return maskOf(names);
  const last = operands.at(-1) as OperandText;
  const value = last.kind === 'immediate' ? last.value : (gpr[RCX] as bigint);
  const count = Number(value & (shape.bits === 64 ? 63n : 31n));
  return count === 0 ? 0 : maskOf(names(count, shape.bits));
}

function maskOf(flags: readonly StatusFlag[]): number {
  return flags.reduce((mask, flag) => mask | FLAG[flag], 0);
}

/**
 * One line for each difference. Flags in `masked` are not compared when the instruction was executed; what is
 * `partial` is not compared when it faulted.
 */
export function differences(found: Result, wanted: Result, masked: number, partial: Partial): string[] {
  const lines: string[] = [];
  const compare = (name: string, a: bigint | number, b: bigint | number) => {
    if (a !== b) lines.push(`${name} ${hex(a)}, the host has ${hex(b)}`);
  };
  compare('vector', found.vector, wanted.vector);
  const hidden = wanted.vector === PAGE_FAULT && wanted.cr2 >= KERNEL ? 1n : 0n;
  if (WITH_ERROR_CODE.includes(wanted.vector))
    compare('error code', found.errorCode | hidden, wanted.errorCode | hidden);
  if (wanted.vector === PAGE_FAULT) compare('CR2', found.cr2, wanted.cr2);
  compare('RIP', found.rip, wanted.rip);
  const flags = wanted.vector === BREAKPOINT ? ~masked : -1;
  compare('RFLAGS', found.rflags & flags, wanted.rflags & flags);
  GPR_NAMES.forEach((name, r) => {
    if (partial === 'registers' && wanted.vector !== BREAKPOINT && r !== RSP) return;
    compare(name, found.gpr[r] as bigint, wanted.gpr[r] as bigint);
  });
  if (partial === 'memory' && wanted.vector !== BREAKPOINT) return lines;
  const changed = formatPokes(found.changes);
  const wantedChanged = formatPokes(wanted.changes);
  if (changed !== wantedChanged)
    lines.push(`memory ${changed || 'unchanged'}, the host has ${wantedChanged || 'unchanged'}`);
  return lines;
}

/** A case as assembly text: the state, then the instruction. */
export function describeCase(text: string, { mode, rip, rflags, gpr, pokes }: Case): string {
  const registers = GPR_NAMES.slice(0, mode === 64 ? 16 : 8).map(
    (name, r) => `mov ${name.toLowerCase()}, ${hex(gpr[r] as bigint)}`,
  );
  return [
    `.code${mode}; .intel_syntax noprefix; .org ${hex(rip)}`,
    `# RFLAGS ${hex(rflags)}; memory ${formatPokes(pokes) || 'as it is'}`,
    registers.join('; '),
    text,
  ].join('\n');
}

function formatPokes(pokes: readonly Poke[]): string {
  return pokes
    .map(({ address, bytes }) => `[${hex(address)}] = ${Buffer.from(bytes).toString('hex')}`)
    .join(', ');
}

function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}
