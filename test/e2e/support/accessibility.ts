/** What axe-core finds wrong in a document, or in a part of it. */
import axe from 'axe-core';
import type { Frame } from 'playwright-core';

const SERIOUS = ['serious', 'critical'];

/** One line for each thing that is wrong, with the elements that it is about. */
export async function seriousProblems(frame: Frame, within = 'html'): Promise<readonly string[]> {
  // Not as a script element: the page's policy would refuse it.
  await frame.evaluate(axe.source);
  const { violations } = await frame.evaluate<axe.AxeResults>(`axe.run(${JSON.stringify(within)})`);
  return violations
    .filter(({ impact }) => SERIOUS.includes(impact ?? ''))
    .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`));
}
