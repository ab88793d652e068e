/** The table of VM exits by reason that `--watch-exits` shows. */
import type { MachineStatistics } from '../emulator/index.ts';

const ROWS = 20;

/** `milliseconds` is the time since the start: rates are exits per second of the host's time. */
export function exitTable(statistics: MachineStatistics, milliseconds: number): string[] {
  const { exits, exitsByReason, instructions } = statistics;
  const seconds = milliseconds / 1000;
  const rate = (count: number): string => (seconds > 0 ? Math.round(count / seconds).toString() : '0');
  const rows = exitsByReason
    .slice(0, ROWS)
    .map(({ name, count, cost }) => [
      name,
      count.toString(),
      exits > 0 ? `${((100 * count) / exits).toFixed(1)}%` : '',
      rate(count),
      count > 0 ? Math.round(cost / count).toString() : '',
    ]);
  const cells = [['VM exit', 'count', 'share', 'per second', 'ticks each'], ...rows];
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
      .join('  '),
  );
  const rest = exitsByReason.length > ROWS ? [`… and ${exitsByReason.length - ROWS} more reasons`] : [];
  return [...lines, ...rest, `${exits} exits, ${instructions} instructions, ${seconds.toFixed(1)} s`];
}

/** Shows the table again and again in the same place of a terminal. */
export class LiveTable {
  readonly #write: (text: string) => void;
  #shown = 0;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  show(lines: readonly string[]): void {
    const up = this.#shown > 0 ? `\x1b[${this.#shown}A` : '';
    // Lines may have become fewer: what is below is cleared.
    this.#write(`${up}${lines.map((line) => `\x1b[2K${line}\n`).join('')}\x1b[J`);
    this.#shown = lines.length;
  }
}
