/** docs/generated/instructions.md: the instructions that are there, how each is executed, and what the decoder knows besides. */
import iced from 'iced-x86';
import { formatReference } from '../emulator/base/reference.ts';
import { CPUID_LEAVES } from '../emulator/core/cpuid.ts';
import { FEATURES } from '../emulator/core/features.ts';
import { mnemonicOf } from '../emulator/isa/decode.ts';
import { Code, CpuidFeature, EncodingKind } from '../emulator/isa/iced.ts';
import { SEMANTIC_ROWS } from '../emulator/isa/rows.ts';
import { SYSTEM_ROWS } from '../emulator/isa/system/rows.ts';

const { Instruction } = iced;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows]
    .map((row) => `| ${row.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}

interface Listed {
  readonly op: string;
  readonly feature: string;
  readonly execution: string;
  readonly reference: string;
}

function listed(): readonly Listed[] {
  const functionOps = new Set(SYSTEM_ROWS.map(({ op }) => op));
  const emitted = SEMANTIC_ROWS.map((row): Listed => {
    const features = new Set([
      row.feature ?? '',
      ...row.forms.map(({ feature }) => feature ?? row.feature ?? ''),
    ]);
    return {
      op: row.op,
      feature: [...features].filter((name) => name !== '').join(', '),
      execution: row.call || functionOps.has(row.op) ? 'WebAssembly, else a function' : 'WebAssembly',
      reference: formatReference(row.ref),
    };
  });
  const known = new Set(emitted.map(({ op }) => op));
  const functions = SYSTEM_ROWS.filter(({ op }) => op !== 'INVALID' && !known.has(op)).map(
    (row): Listed => ({
      op: row.op,
      feature: row.feature ?? '',
      execution: 'a function',
      reference: formatReference(row.ref),
    }),
  );
  return [...emitted, ...functions].sort((a, b) => (a.op < b.op ? -1 : 1));
}

/** Mnemonics without a row, by the feature that the decoder gives them; EVEX and the like are no encodings here. */
function withoutRow(known: ReadonlySet<string>): Map<string, Set<string>> {
  const missing = new Map<string, Set<string>>();
  const instruction = new Instruction();
  for (const code of Object.values(Code)) {
    if (typeof code !== 'number') continue;
    instruction.code = code;
    if (instruction.encoding !== EncodingKind.Legacy && instruction.encoding !== EncodingKind.VEX) continue;
    const mnemonic = mnemonicOf(instruction);
    const features = [...instruction.cpuidFeatures()].map((feature) => CpuidFeature[feature] as string);
    const name = features.join(', ');
    if (
      mnemonic === 'INVALID' ||
      known.has(mnemonic) ||
      [...known].some((op) => op.split(' ').includes(mnemonic))
    )
      continue;
    const list = missing.get(name) ?? new Set();
    missing.set(name, list.add(mnemonic));
  }
  instruction.free();
  return missing;
}

export function renderInstructionCoverage(): string {
  const rows = listed();
  const known = new Set(rows.map(({ op }) => op));
  const missing = [...withoutRow(known)].sort(([a], [b]) => (a < b ? -1 : 1));
  const feature = ({ key, leaf, register, bit, implemented }: (typeof FEATURES)[number]) => {
    const title = CPUID_LEAVES.find((one) => one.leaf === leaf)?.title ?? '';
    return [
      key,
      `${leaf.toString(16).toUpperCase()}H:${register}[${bit}]`,
      title,
      implemented ? 'offered' : 'not offered',
    ];
  };
  return `# Instructions

<!-- Generated from the tables by \`npm run gen\`. -->

What is executed, and how: by WebAssembly in both tiers, by WebAssembly where its result is proven the same and else by a
function, or by a function alone. An instruction whose feature is not offered is what the manual says of its encoding then: #UD,
NOP or another instruction. What the tests compare with a real processor is in [testing](../testing.md).

## Features

${table(['feature', 'CPUID', 'leaf', 'state'], FEATURES.map(feature))}

## Instructions with a row

${table(
  ['instruction', 'feature', 'executed by', 'manual'],
  rows.map(({ op, feature: name, execution, reference }) => [op, name, execution, reference]),
)}

## Known to the decoder, without a row

They need features that are not offered and are #UD, or stop with their name. Instructions with an EVEX, XOP, MVEX or 3DNow! encoding
are #UD and not listed.

${table(
  ['feature by the decoder', 'instructions'],
  missing.map(([name, ops]) => [name, [...ops].sort().join(', ')]),
)}
`;
}
