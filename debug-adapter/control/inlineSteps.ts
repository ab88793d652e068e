/**
 * Inlined calls as a person steps through them. Where inlined code begins, the machine is at once in front of the call
 * and inside of it. After a step the frames that begin there are hidden: the step has arrived at the call, stepping in
 * shows them one by one without the machine moving, and stepping over runs them through. A breakpoint on the line of the
 * call is in front of it too.
 */
import type { Program } from '../program/program.ts';
import type { FunctionAt, SourcePosition } from '../symbols/program.ts';

/** The statement a step starts from. */
export interface Origin {
  readonly functionEntry: bigint | undefined;
  readonly position: SourcePosition | undefined;
}

/** The statement of the frame at `hidden` of the frames at an address. */
export function originAt(program: Program, address: bigint, hidden: number): Origin {
  const found = program.functionAt(address);
  return { functionEntry: found?.function.entry, position: found?.frames[hidden]?.position };
}

/** How many frames to hide where a step has arrived. Into the calls of its own statement a step in goes one deep. */
export function framesToHide(program: Program, address: bigint, origin: Origin, isStepIn: boolean): number {
  const found = program.functionAt(address);
  if (found === undefined) return 0;
  let count = 0;
  while (count < found.frames.length - 1 && found.frames[count].begins) count++;
  if (count === 0) return 0;
  return isStepIn && isOf(origin, found, count) ? count - 1 : count;
}

/** Whether an inlined call begins at an address that belongs to another statement than where the step comes from. */
export function isAtCall(program: Program, address: bigint, origin: Origin): boolean {
  const found = program.functionAt(address);
  const count = framesToHide(program, address, origin, false);
  return found !== undefined && count > 0 && !isOf(origin, found, count);
}

function isOf(origin: Origin, found: FunctionAt, frame: number): boolean {
  const { position } = found.frames[frame];
  return (
    found.function.entry === origin.functionEntry &&
    position?.path === origin.position?.path &&
    position?.line === origin.position?.line
  );
}

/** How many frames to hide at an address so that a line is shown whose inlined calls begin there. */
export function framesAbove(program: Program, address: bigint, line: number): number {
  const frames = program.functionAt(address)?.frames ?? [];
  for (const [index, { begins, position }] of frames.entries()) {
    if (position?.line === line) return index;
    if (!begins) return 0;
  }
  return 0;
}
