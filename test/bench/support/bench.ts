/** What a benchmark is: a file of test/bench/ that exports `bench`. scripts/bench.mjs runs it. */

export interface BenchResult {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly note?: string;
}

export interface Bench {
  readonly title: string;
  /** One sentence: what is measured, and how. */
  readonly about: string;
  readonly run: () => Promise<readonly BenchResult[]> | readonly BenchResult[];
}
