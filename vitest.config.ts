/**
 * One vitest project a suite: `unit` is the tests beside the code, every folder of test/ that holds tests is a suite of
 * its own (docs/testing.md has a line for each). A new folder needs no line here.
 */
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const hasTests = (folder: string): boolean =>
  readdirSync(folder, { recursive: true }).some((file) => String(file).endsWith('.test.ts'));

const suites = readdirSync('test', { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && hasTests(`test/${entry.name}`))
  .map((entry) => entry.name);

/** Suites that need more than a folder. */
const MORE: Readonly<Record<string, object>> = {
  // One VS Code and one browser at a time, when nothing else runs any more.
  e2e: {
    globalSetup: 'test/e2e/support/globalSetup.ts',
    testTimeout: 300_000,
    hookTimeout: 180_000,
    // VS Code shows the top frame first, the others some 400 ms later: what is seen is waited for.
    expect: { poll: { timeout: 60_000 } },
    // VS Code in a browser loses a click now and then; a fault of ours fails twice.
    retry: 1,
    maxWorkers: 1,
    sequence: { groupOrder: 1 },
  },
};

/** What takes minutes begins first, beside everything else. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ project }: TestSpecification): number => Number(project.name === 'soak');
    return (await super.sort(files)).toSorted((a, b) => isLong(b) - isLong(a));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    // A slow guest must not hold up everything else on two cores.
    maxWorkers: Math.max(2, availableParallelism()),
    projects: [
      {
        test: {
          name: 'unit',
          testTimeout: 60_000,
          include: ['{emulator,debug-adapter,extension,cli,scripts}/**/*.test.ts'],
        },
      },
      ...suites.map((suite) => ({
        test: {
          name: suite,
          include: [`test/${suite}/**/*.test.ts`],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          ...MORE[suite],
        },
      })),
    ],
  },
});
