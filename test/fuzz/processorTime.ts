/** What a case costs: the processor's time of this process, which does not count what else the computer does. */

/** Milliseconds of processor time since the process began. */
export function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
