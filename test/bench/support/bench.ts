/** What a benchmark is: a file of test/bench/ that exports `bench`. scripts/bench.mjs runs it. */

export interface BenchResult {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What the project promises; the table says when a figure misses it. */
  readonly target?: { readonly atLeast: number } | { readonly atMost: number };
  readonly note?: string;
}

export interface BenchOptions {
  /** How long a benchmark runs whose figures depend on it. */
  readonly minutes: number;
}

export interface Bench {
  readonly title: string;
  /** One sentence: what is measured, and how. */
  readonly about: string;
  /** It takes so long that it runs by its name alone. */
  readonly onRequest?: boolean;
  readonly run: (options: BenchOptions) => Promise<readonly BenchResult[]> | readonly BenchResult[];
}

/** The value that `part` of the others are not above; `part` 0.5 is the median. */
export function percentile(values: readonly number[], part: number): number {
  if (values.length === 0) throw new Error('a percentile of nothing');
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

export function round(value: number, digits = 1): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}
