/** What names mean in an expression typed while the machine rests: of a frame, of the program, of the machine. */
import type { RegisterGroup } from '../../emulator/index.ts';
import type { Debuggee } from '../debuggee.ts';
import type { Expression } from '../expressions/ast.ts';
import { bindValue } from '../expressions/bind.ts';
import { evaluate, type Value } from '../expressions/evaluate.ts';
import { type MachineState, machineScope, restingState } from '../machine/targetScope.ts';
import { X86_64_REGISTERS } from '../symbols/registers.ts';
import { FrameNames } from './programNames.ts';
import type { Frame } from './stack.ts';
import type { Reading, ValueFormat } from './variables.ts';

const numberOf = (name: string): number =>
  (X86_64_REGISTERS as readonly string[]).indexOf(name.toLowerCase());

/** The registers as a frame had them: of a caller only what was saved is known, and none of it can be written. */
export function frameRegisters(groups: readonly RegisterGroup[], frame: Frame): readonly RegisterGroup[] {
  if (frame.depth === 0) return groups;
  return groups.map((group) => ({
    ...group,
    registers: group.registers.flatMap((register) => {
      const number = numberOf(register.name);
      if (number < 0) return [register];
      const value = frame.registers.values[number];
      return value === undefined ? [] : [{ ...register, value, writable: false }];
    }),
  }));
}

/** The machine as the code of a frame sees it. */
function stateOfFrame(stopped: MachineState, frame: Frame | undefined): MachineState {
  if (frame === undefined || frame.depth === 0) return stopped;
  const state = frame.resting ? restingState(stopped, frame.resting) : stopped;
  return {
    ...state,
    registers: () => frameRegisters(state.registers(), frame),
    register: (name) => (numberOf(name) < 0 ? state.register(name) : frame.registers.values[numberOf(name)]),
  };
}

export interface FrameReading extends Reading {
  readonly names: FrameNames;
}

/** A stopped machine as variables and expressions of a frame are read from it. */
export function readingOf(
  state: MachineState,
  debuggee: Pick<Debuggee, 'program' | 'registerNames'>,
  frame: Frame | undefined,
  format: ValueFormat,
): FrameReading {
  const { program, registerNames } = debuggee;
  const seen = stateOfFrame(state, frame);
  return {
    names: new FrameNames(seen, program, frame, (name) => registerNames.has(name)),
    scope: machineScope(seen),
    describe: (address) => program.describe(address),
    format,
    isInnermost: frame === undefined || frame.depth === 0,
  };
}

/** The number or the place that an expression is in a frame. */
export function evaluateInFrame(expression: Expression, { names, scope }: Reading): Value {
  return evaluate(bindValue(expression, names), scope);
}
