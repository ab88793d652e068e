/**
 * `npm test`: packages, tools, build, `npm run check` and every suite. The last line counts what passed and failed;
 * arguments go to vitest. Under CI=true a skipped test is a failure.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { installPrograms } from './support/programs.mjs';
import { build, installPackages, requireNode } from './support/setup.mjs';
import { root, tool } from './support/tools.mjs';

const CI = process.env.CI === 'true';

function finish(passed, failed) {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}

function runSuites(args) {
  const report = join(root, 'build/tests.json');
  mkdirSync(join(root, 'build'), { recursive: true });
  const { status } = spawnSync(
    process.execPath,
    [tool('vitest'), 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...args],
    { cwd: root, stdio: 'inherit' },
  );
  const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
  // A file that could not be loaded failed without a test of its own.
  const broken = testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  );
  const skipped = testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => status !== 'passed' && status !== 'failed')
      .map(({ fullName }) => `${relative(root, name)}: ${fullName}`),
  );
  for (const name of skipped) console.log(`skipped: ${name}`);
  const failed = numFailedTests + broken.length + (CI ? skipped.length : 0);
  return { passed: numPassedTests, failed: status === 0 ? failed : Math.max(1, failed) };
}

process.chdir(root);
requireNode();
installPackages();
const missing = installPrograms({ without: CI ? 'CI skips no test' : 'its tests are skipped' });
if (CI && missing.length > 0) finish(0, 1);
if (!build()) finish(0, 1);
const checked = spawnSync(process.execPath, ['scripts/check.mjs'], { stdio: 'inherit' }).status === 0;
const { passed, failed } = runSuites(process.argv.slice(2));
finish(passed, failed + (checked ? 0 : 1));
