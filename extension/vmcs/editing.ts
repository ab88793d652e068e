/** Checks what is typed for a value before the adapter, which computes expressions, gets it. */

const NUMBER = /^-?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|[0-9][0-9_]*)$/;

/** What is wrong with the text as a value of so many bits; undefined for what can be tried. */
export function problemWith(text: string, bits: number): string | undefined {
  const plain = text.trim();
  if (plain === '') return 'Type a number, or an expression such as rip + 2.';
  if (!NUMBER.test(plain)) return undefined;
  const digits = plain.replace(/^-/, '').replaceAll('_', '');
  const number = plain.startsWith('-') ? -BigInt(digits) : BigInt(digits);
  const fits = BigInt.asUintN(bits, number) === number || BigInt.asIntN(bits, number) === number;
  return fits ? undefined : `${plain} does not fit ${bits} bit${bits === 1 ? '' : 's'}.`;
}
