/** The only door into the emulator. */
export { EmulatorBug, Unimplemented, UserError } from './base/errors.ts';
export type { LogLevel } from './base/logger.ts';
export { createDebugTarget } from './debug/debugTarget.ts';
export type { DebugTargetHost } from './debug/host.ts';
export type * from './debug/target.ts';
export type { MachineConfig, NamedBytes } from './machine/config.ts';
export { type DumpExplanation, explainVmcsDumps } from './vmx/dump/explainDump.ts';
export { entryReportLines, entryRuleLines } from './vmx/entryReport.ts';
