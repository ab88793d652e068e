/**
 * What VM exits and VM entries cost in virtual time, in ticks (nanoseconds of guest time). The figures are of the
 * order of what a recent server processor takes together with a small hypervisor's handling; runs depend on them, so
 * a change is a change of every recorded run.
 */
import { EXIT_REASONS, type ExitReasonKey } from './exitReasons.ts';

/** Any exit that is not in the list below. */
const EXIT_TICKS = 500;
export const ENTRY_TICKS = 300;

/** Exits behind which stands more work: an access to a device that has to be completed, a walk that failed. */
const DEARER: Readonly<Partial<Record<ExitReasonKey, number>>> = {
  externalInterrupt: 700,
  taskSwitch: 2000,
  ioInstruction: 900,
  eptViolation: 1200,
  eptMisconfiguration: 1200,
  xsetbv: 800,
  wbinvd: 2000,
};

const BASIC_REASONS = 128;
const ticks = new Float64Array(BASIC_REASONS).fill(EXIT_TICKS);
for (const { number, key } of EXIT_REASONS) ticks[number] = DEARER[key] ?? EXIT_TICKS;

/** The cost of a VM exit with a basic exit reason. */
export function exitTicks(basicReason: number): number {
  return ticks[basicReason & (BASIC_REASONS - 1)];
}
