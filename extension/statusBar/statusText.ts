/** What the status bar says about a machine. */
import type { ExecutionLevel, StatisticsBody } from '../../debug-adapter/protocol/custom.ts';

/** A moment of a run: what the machine had done by then. */
export interface Sample {
  readonly statistics: StatisticsBody;
  /** Milliseconds of the host's clock. */
  readonly time: number;
}

export interface StatusText {
  readonly text: string;
  readonly tooltip: string;
}

/** `1234567` as `1.23M`: three digits are enough to see it grow. */
export function shortNumber(value: number): string {
  if (value < 1000) return String(value);
  const power = Math.min(4, Math.floor(Math.log10(value) / 3));
  const scaled = value / 1000 ** power;
  const digits = scaled < 10 ? 2 : scaled < 100 ? 1 : 0;
  return `${scaled.toFixed(digits)}${' kMGT'[power]}`;
}

const exact = (value: number): string => value.toLocaleString('en-US');

/** Millions of instructions a second between two moments; undefined where there is nothing to measure. */
function mips(previous: Sample | undefined, { statistics, time }: Sample): number | undefined {
  if (previous === undefined || time <= previous.time) return undefined;
  const instructions = statistics.instructions - previous.statistics.instructions;
  return instructions < 0 ? undefined : instructions / (time - previous.time) / 1000;
}

const plural = (count: number, one: string): string => (count === 1 ? one : `${one}s`);

function levelText(execution: ExecutionLevel | undefined): string[] {
  if (execution === undefined) return [];
  const { level, operation } = execution;
  return [operation === undefined ? `L${level}` : `L${level} ${operation.replace('VMX ', '')}`];
}

function levelTooltip({ level, operation }: ExecutionLevel): string {
  const whose = level === 0 ? 'the program that owns the machine' : 'a guest';
  return `L${level}, ${whose}${operation === undefined ? '' : `, in ${operation} operation`}`;
}

/** `previous` is missing while the machine rests. */
export function statusText(
  mode: string,
  isStopped: boolean,
  sample: Sample,
  previous: Sample | undefined,
): StatusText {
  const { instructions, ticks, exits, exitsByReason, code, execution } = sample.statistics;
  const speed = isStopped ? undefined : mips(previous, sample);
  const parts = [
    `$(${isStopped ? 'debug-pause' : 'vm-running'}) ${[mode, ...levelText(execution), code].join(', ')}`,
    `${shortNumber(instructions)} instructions`,
    ...(speed === undefined ? [] : [`${speed < 10 ? speed.toFixed(1) : speed.toFixed(0)} MIPS`]),
    ...(exits > 0 ? [`${shortNumber(exits)} ${plural(exits, 'exit')}`] : []),
  ];
  const reasons = [...exitsByReason].sort((a, b) => b.count - a.count).slice(0, 5);
  const tooltip = [
    `HVM: ${mode}, ${isStopped ? 'stopped' : 'running'}`,
    ...(execution ? [`Level: ${levelTooltip(execution)}`] : []),
    `Code: ${code}`,
    `Instructions: ${exact(instructions)}`,
    `Virtual time: ${(ticks / 1e6).toFixed(3)} ms`,
    ...(exits > 0 ? [`VM exits: ${exact(exits)}`] : []),
    ...reasons.map(({ name, count }) => `    ${name}: ${exact(count)}`),
    'Click to see the VM exits.',
  ].join('\n');
  return { text: parts.join('  '), tooltip };
}
