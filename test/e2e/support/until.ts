/** Waiting for a condition; nothing here sleeps for a time and hopes. */
import { setTimeout } from 'node:timers/promises';

/** Generous: a busy machine may take many times as long as an idle one. */
export const PATIENCE = 60_000;
/** Milliseconds after which a click that nothing came of is made again. */
export const CLICK_PATIENCE = 2000;
const INTERVAL = 50;

/** Asks until the answer is a value; the error says what was waited for. */
export async function until<T>(
  what: string,
  ask: () => T | undefined | Promise<T | undefined>,
  patience = PATIENCE,
): Promise<T> {
  const end = performance.now() + patience;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > end) throw new Error(`${what}: not within ${patience / 1000} s`);
    await setTimeout(INTERVAL);
  }
}
