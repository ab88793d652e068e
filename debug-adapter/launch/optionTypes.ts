/**
 * The kinds of values launch options have. A kind checks what a launch.json holds (`check`), turns the text of a
 * command line into the same form (`fromText`), and describes itself: as JSON schema and for the reference page.
 */

/** A value is wrong; the message continues the sentence that begins with the option's name. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
}

export type JsonSchema = Readonly<Record<string, unknown>>;

export interface OptionType<T> {
  /** Shown after the option's name in `--help`, e.g. `FILE`; `undefined` for a switch. */
  readonly placeholder: string | undefined;
  /** For the reference page, e.g. `size`. */
  readonly label: string;
  readonly schema: JsonSchema;
  /** Repeating the option on the command line adds to it. */
  readonly repeats?: boolean;
  /** Checks the JSON form and gives the value. Throws {@link OptionError}. */
  check(value: unknown): T;
  /** The JSON form of command-line text; `previous` when the option repeats. */
  fromText(text: string, previous: unknown): unknown;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text === undefined ? String(value) : text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export const string: OptionType<string> = {
  placeholder: 'TEXT',
  label: 'string',
  schema: { type: 'string' },
  check(value) {
    if (typeof value !== 'string') throw new OptionError(`must be a string, not ${shown(value)}`);
    return value;
  },
  fromText: (text) => text,
};

export const path: OptionType<string> = {
  ...string,
  placeholder: 'FILE',
  label: 'path',
  check(value) {
    const text = string.check(value);
    if (text === '') throw new OptionError('must name a file, and is empty');
    if (text.includes('\0')) throw new OptionError('must name a file, and contains a zero byte');
    return text;
  },
};

export const boolean: OptionType<boolean> = {
  placeholder: undefined,
  label: 'boolean',
  schema: { type: 'boolean' },
  check(value) {
    if (typeof value !== 'boolean') throw new OptionError(`must be true or false, not ${shown(value)}`);
    return value;
  },
  fromText: () => true,
};

/** A whole number inside limits. */
export function integer(minimum: number, maximum: number, placeholder = 'N'): OptionType<number> {
  return {
    placeholder,
    label: 'integer',
    schema: { type: 'integer', minimum, ...(maximum < Number.MAX_SAFE_INTEGER && { maximum }) },
    check(value) {
      if (typeof value !== 'number' || !Number.isSafeInteger(value))
        throw new OptionError(`must be a whole number, not ${shown(value)}`);
      if (value < minimum || value > maximum)
        throw new OptionError(
          maximum < Number.MAX_SAFE_INTEGER
            ? `must be between ${minimum} and ${maximum}, not ${value}`
            : `must be at least ${minimum}, not ${value}`,
        );
      return value;
    },
    fromText(text) {
      if (!/^[0-9]+$/.test(text)) throw new OptionError(`must be a whole number, not "${text}"`);
      return Number(text);
    },
  };
}

/** Seconds, fractions allowed. */
export const seconds: OptionType<number> = {
  placeholder: 'SECONDS',
  label: 'seconds',
  schema: { type: 'number', exclusiveMinimum: 0 },
  check(value) {
    if (typeof value !== 'number' || !(value > 0) || value > 2_000_000)
      throw new OptionError(`must be a number of seconds above 0 and up to 2000000, not ${shown(value)}`);
    return value;
  },
  fromText(text) {
    if (!/^[0-9]+(\.[0-9]+)?$/.test(text))
      throw new OptionError(`must be a number of seconds, not "${text}"`);
    return Number(text);
  },
};

/** A value of a fixed set; `missing` ones are known and do not work yet. */
export function oneOf<const T extends string>(
  values: readonly T[],
  missing: readonly string[] = [],
): OptionType<T> {
  return {
    placeholder: values.join('|'),
    label: values.join(', '),
    schema: { type: 'string', enum: values },
    check(value) {
      if (values.includes(value as T)) return value as T;
      if (missing.includes(value as string)) throw new OptionError(`${shown(value)} does not exist yet`);
      throw new OptionError(`must be ${values.map((each) => `"${each}"`).join(' or ')}, not ${shown(value)}`);
    },
    fromText: (text) => text,
  };
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** Writes a number of bytes as people do. */
export function formatSize(bytes: number): string {
  const unit = ['t', 'g', 'm', 'k'].find((name) => bytes >= UNITS[name] && bytes % UNITS[name] === 0) ?? '';
  return `${bytes / UNITS[unit]}${unit.toUpperCase()}`;
}

/** Bytes with a unit: `64M`, `1G`, `1048576`. */
export function size(minimum: number, maximum: number): OptionType<number> {
  const range = `between ${formatSize(minimum)} and ${formatSize(maximum)}`;
  return {
    placeholder: 'SIZE',
    label: 'size',
    schema: { type: ['string', 'integer'], pattern: '^[0-9]+ ?([kKmMgG]([iI]?[bB])?)?$' },
    check(value) {
      const match = /^\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(?:i?b)?\s*$/i.exec(String(value));
      const understood = match !== null && (typeof value === 'string' || typeof value === 'number');
      if (!understood) throw new OptionError(`must be a size such as 64M or 1G, not ${shown(value)}`);
      const bytes = Number(match[1]) * UNITS[match[2].toLowerCase()];
      if (!(bytes >= minimum && bytes <= maximum))
        throw new OptionError(`must be ${range}, not ${shown(value)}`);
      if (bytes % 4096 !== 0) throw new OptionError(`must be a multiple of 4K, not ${shown(value)}`);
      return bytes;
    },
    fromText: (text) => text,
  };
}

/** A date and time as ISO 8601 has it; the value is seconds since 1970. */
export const time: OptionType<number> = {
  placeholder: 'TIME',
  label: 'ISO 8601',
  schema: { type: 'string', format: 'date-time' },
  check(value) {
    const form = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})?)?$/;
    const text = typeof value === 'string' && form.test(value) ? value : undefined;
    // Without a zone the time is UTC: a run must not depend on where it happens.
    const zoned = text?.includes('T') && !/(Z|[+-]\d{2}:\d{2})$/.test(text) ? `${text}Z` : text;
    const milliseconds = zoned === undefined ? Number.NaN : Date.parse(zoned);
    if (Number.isNaN(milliseconds))
      throw new OptionError(`must be a time such as 2000-01-01T00:00:00Z, not ${shown(value)}`);
    if (milliseconds < 0) throw new OptionError(`must not be before 1970, and is ${shown(value)}`);
    return Math.floor(milliseconds / 1000);
  },
  fromText: (text) => text,
};

/** A list of `type`; the option may be repeated on the command line. */
export function list<T>(type: OptionType<T>): OptionType<readonly T[]> {
  return {
    placeholder: type.placeholder,
    label: `${type.label}[]`,
    schema: { type: 'array', items: type.schema },
    repeats: true,
    check(value) {
      if (!Array.isArray(value)) throw new OptionError(`must be a list, not ${shown(value)}`);
      return value.map((item) => type.check(item));
    },
    fromText: (text, previous) => [
      ...((previous as unknown[] | undefined) ?? []),
      type.fromText(text, undefined),
    ],
  };
}

/** `{from: to}` of strings. */
export const stringMap: OptionType<Readonly<Record<string, string>>> = {
  placeholder: 'FROM=TO',
  label: '{from: to}',
  schema: { type: 'object', additionalProperties: { type: 'string' } },
  repeats: true,
  check(value) {
    if (!isRecord(value)) throw new OptionError(`must be an object {from: to}, not ${shown(value)}`);
    for (const [key, to] of Object.entries(value))
      if (typeof to !== 'string' || key === '')
        throw new OptionError(`must map paths to paths, and "${key}" is ${shown(to)}`);
    return value as Record<string, string>;
  },
  fromText(text, previous) {
    const equals = text.indexOf('=');
    if (equals < 1) throw new OptionError(`must be FROM=TO, not "${text}"`);
    return { ...(previous as object | undefined), [text.slice(0, equals)]: text.slice(equals + 1) };
  },
};

/** A member of an object-valued option. */
export interface MemberType<T> {
  readonly type: OptionType<T>;
  readonly help: string;
  readonly required?: boolean;
}

type MemberValues<M extends Readonly<Record<string, MemberType<unknown>>>> = {
  readonly [K in keyof M]?: M[K] extends MemberType<infer T> ? T : never;
};

/** An object with known members. `missing` members are known and do not work yet. */
export function object<const M extends Readonly<Record<string, MemberType<unknown>>>>(
  label: string,
  members: M,
  missing: readonly string[] = [],
): OptionType<MemberValues<M>> {
  const required = Object.keys(members).filter((key) => members[key].required);
  return {
    placeholder: 'KEY=VALUE',
    label,
    repeats: true,
    schema: {
      type: 'object',
      additionalProperties: false,
      ...(required.length > 0 && { required }),
      properties: Object.fromEntries(
        Object.entries(members).map(([key, { type, help }]) => [
          key,
          { ...type.schema, markdownDescription: help },
        ]),
      ),
    },
    check(value) {
      if (!isRecord(value)) throw new OptionError(`must be an object, not ${shown(value)}`);
      const result: Record<string, unknown> = {};
      for (const [key, item] of Object.entries(value)) {
        if (missing.includes(key)) throw new OptionError(`member "${key}" does not exist yet`);
        if (!Object.hasOwn(members, key))
          throw new OptionError(`has no member "${key}", only ${Object.keys(members).join(', ')}`);
        result[key] = members[key].type.check(item);
      }
      for (const key of required) if (!(key in result)) throw new OptionError(`needs the member "${key}"`);
      return result as MemberValues<M>;
    },
    fromText(text, previous) {
      const [key, ...rest] = text.split('=');
      if (missing.includes(key)) throw new OptionError(`${key} does not exist yet`);
      if (!Object.hasOwn(members, key) || rest.length === 0)
        throw new OptionError(
          `must be ${Object.keys(members)
            .map((name) => `${name}=…`)
            .join(' or ')}, not "${text}"`,
        );
      const before = (previous as Record<string, unknown> | undefined) ?? {};
      return { ...before, [key]: members[key].type.fromText(rest.join('='), before[key]) };
    },
  };
}

/** One of two forms, told apart by `isFirst`; the command line gives the first. */
export function either<A, B>(
  first: OptionType<A>,
  second: OptionType<B>,
  isFirst: (value: unknown) => boolean,
): OptionType<A | B> {
  return {
    placeholder: first.placeholder,
    label: `${first.label} or ${second.label}`,
    schema: { anyOf: [first.schema, second.schema] },
    check: (value) => (isFirst(value) ? first.check(value) : second.check(value)),
    fromText: (text, previous) => first.fromText(text, previous),
  };
}
