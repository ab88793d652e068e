/**
 * The parts of the general registers that have names of their own.
 *
 * @see SDM "General-Purpose Registers", 3.4.1 of volume 1, and "General-Purpose Registers in 64-Bit Mode", 3.4.1.1
 */

/** Part of a register: `bits` bits from `shift` on. */
export interface RegisterPart {
  readonly register: string;
  readonly shift: number;
  readonly bits: 8 | 16 | 32 | 64;
}

function legacyParts(letter: string): [string, RegisterPart][] {
  const register = `r${letter}x`;
  return [
    [`e${letter}x`, { register, shift: 0, bits: 32 }],
    [`${letter}x`, { register, shift: 0, bits: 16 }],
    [`${letter}l`, { register, shift: 0, bits: 8 }],
    [`${letter}h`, { register, shift: 8, bits: 8 }],
  ];
}

function pointerParts(name: string): [string, RegisterPart][] {
  const register = `r${name}`;
  return [
    [`e${name}`, { register, shift: 0, bits: 32 }],
    [name, { register, shift: 0, bits: 16 }],
    [`${name}l`, { register, shift: 0, bits: 8 }],
  ];
}

function numberedParts(number: number): [string, RegisterPart][] {
  const register = `r${number}`;
  return [
    [`${register}d`, { register, shift: 0, bits: 32 }],
    [`${register}w`, { register, shift: 0, bits: 16 }],
    [`${register}b`, { register, shift: 0, bits: 8 }],
  ];
}

/** By name in lower case. */
export const REGISTER_PARTS: ReadonlyMap<string, RegisterPart> = new Map([
  ...['a', 'b', 'c', 'd'].flatMap(legacyParts),
  ...['si', 'di', 'bp', 'sp'].flatMap(pointerParts),
  ...[8, 9, 10, 11, 12, 13, 14, 15].flatMap(numberedParts),
  ['eip', { register: 'rip', shift: 0, bits: 32 }],
  ['eflags', { register: 'rflags', shift: 0, bits: 32 }],
  ['pc', { register: 'rip', shift: 0, bits: 64 }],
] as [string, RegisterPart][]);
