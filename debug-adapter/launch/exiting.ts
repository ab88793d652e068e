/**
 * What the built-in VMM is asked to let exit besides what it needs itself: a name, for some with an argument.
 * Which names exist is the VMM's own list; here only the form is checked, so that a slip is told before anything runs.
 */
import { OptionError, type OptionType } from './optionTypes.ts';

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const EXCEPTION = /^(#[A-Z]{2}|[0-9]{1,2})$/;
const NUMBER = /^(0x[0-9a-f]{1,8}|[0-9]{1,10})$/i;

function checkRange(kind: string, text: string, maximum: number): void {
  const ends = text.split('-');
  const numbers = ends.map((end) => (NUMBER.test(end) ? Number(end) : Number.NaN));
  if (ends.length > 2 || numbers.some((number) => Number.isNaN(number) || number > maximum))
    throw new OptionError(
      `"${kind}:${text}" must name numbers up to 0x${maximum.toString(16)}, such as ${kind}:0x60-0x64`,
    );
  if (numbers.length === 2 && numbers[0] > numbers[1])
    throw new OptionError(`"${kind}:${text}" ends before it begins`);
}

/** Throws unless `text` has the form of an exit that can be asked for. */
export function checkExiting(text: string): string {
  const colon = text.indexOf(':');
  const name = colon < 0 ? text : text.slice(0, colon);
  const argument = colon < 0 ? undefined : text.slice(colon + 1);
  if (!NAME.test(name))
    throw new OptionError(
      `"${text}" is not understood: write for example "cpuid", "exceptions:#PF" or "io:0x60-0x64"`,
    );
  if (name === 'exceptions') {
    if (argument === undefined || !EXCEPTION.test(argument) || Number(argument) > 31)
      throw new OptionError(`"${text}" must name an exception, such as exceptions:#PF or exceptions:14`);
  } else if (name === 'io' || name === 'msr') {
    if (argument !== undefined) checkRange(name, argument, name === 'io' ? 0xffff : 0xffff_ffff);
  } else if (argument !== undefined)
    throw new OptionError(`"${name}" takes nothing after it, and "${text}" has ":${argument}"`);
  return text;
}

export const exiting: OptionType<readonly string[]> = {
  placeholder: 'NAME,…',
  label: 'string[]',
  schema: { type: 'array', items: { type: 'string' } },
  repeats: true,
  check(value) {
    if (!Array.isArray(value) || value.some((item) => typeof item !== 'string'))
      throw new OptionError('member "exiting" must be a list of strings');
    return value.map((item: string) => checkExiting(item));
  },
  fromText: (text, previous) => [...((previous as string[] | undefined) ?? []), ...text.split(',')],
};
