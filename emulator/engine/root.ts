/** What owns VMX root operation in guest mode, in the place of guest code: the built-in VMM. */
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET } from '../state/layout.ts';
import { VMX_OPERATION } from '../state/registers.ts';

export interface RootHandler {
  /** RIP of the VM exits that it handles, below 4 GiB; nothing is fetched there. */
  readonly entryPoint: number;
  /** A VM exit has brought the processor to the entry point. Leaves it where it is to go on. */
  handleExit(): void;
}

const RIP = OFFSET.RIP >> 2;

/** Whether the processor is where the handler takes over. */
export function isAtRoot(
  { i32, VMX_OPERATION: operation }: CpuState,
  root: RootHandler | undefined,
): boolean {
  return operation === VMX_OPERATION.ROOT && i32[RIP] === root?.entryPoint && i32[RIP + 1] === 0;
}
