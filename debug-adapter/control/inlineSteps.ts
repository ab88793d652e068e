/**
 * Inlined calls as a person steps through them. Where inlined code begins, the machine is at once in front of the call
 * and inside of it. After a step the frames that begin there are hidden: the step has arrived at the call, stepping in
 * shows them one by one without the machine moving, and stepping over runs them through. A breakpoint on the line of the
 * call is in front of it too.
 */
import type { Program } from '../program/program.ts';
import type { SourcePosition } from '../symbols/program.ts';

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
  while (count < found.frames.length - 1 && beginsAt(program, found.frames[count].name, address)) count++;
  if (count === 0) return 0;
  const call = found.frames[count].position;
  const isOwnStatement =
    found.function.entry === origin.functionEntry &&
    call?.path === origin.position?.path &&
    call?.line === origin.position?.line;
  return isStepIn && isOwnStatement ? count - 1 : count;
}

/** How many frames to hide at an address so that a line is shown whose inlined calls begin there. */
export function framesAbove(program: Program, address: bigint, line: number): number {
  const frames = program.functionAt(address)?.frames ?? [];
  for (const [index, { name, position }] of frames.entries()) {
    if (position?.line === line) return index;
    if (!beginsAt(program, name, address)) return 0;
  }
  return 0;
}

function beginsAt(program: Program, name: string | undefined, address: bigint): boolean {
  return name !== undefined && program.inlinedAt(name).has(address);
}
