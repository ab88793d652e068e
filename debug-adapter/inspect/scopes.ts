/** The lists of variables behind the scopes of a frame. They read anew each time, so that an edit shows. */
import type { SessionContext, VariableList } from '../context.ts';
import { groupVmcsFields, type InspectedVariable, registerVariable, vmcsVariable } from './registers.ts';
import { type FrameReading, frameRegisters, readingOf } from './scope.ts';
import type { Frame } from './stack.ts';
import { expressionOfName, showObject, unreadable, type ValueFormat } from './variables.ts';

/** One group of registers; a caller's frame shows the general ones as they were saved. */
export function registerScope(
  context: SessionContext,
  vcpu: number,
  frame: Frame,
  key: string,
): VariableList {
  const { program } = context.requireDebuggee();
  return refreshing(async () => {
    const live = frame.resting?.registers ?? (await context.view(vcpu).registers());
    const group = frameRegisters(live, frame).find((candidate) => candidate.key === key);
    const symbol = (address: bigint) => program.describe(address);
    const level = frame.resting?.level;
    return (group?.registers ?? []).map((register) =>
      registerVariable(register, key, symbol, context.numberFormat, level),
    );
  });
}

/** The fields of the current VMCS, group by group. */
export function vmcsScope(context: SessionContext, vcpu: number): VariableList {
  return async () => {
    const groups = groupVmcsFields(await context.view(vcpu).vmcs());
    return [...groups].map(
      ([name, fields]): InspectedVariable => ({
        name,
        value: `${fields.length} fields`,
        children: refreshing(async () =>
          (groupVmcsFields(await context.view(vcpu).vmcs()).get(name) ?? []).map((field) =>
            vmcsVariable(field, context.numberFormat),
          ),
        ),
      }),
    );
  };
}

/** Reads variables of a frame, now and each time something is opened later. */
export function readerOf(
  context: SessionContext,
  vcpu: number,
  frame: Frame | undefined,
  format: ValueFormat = context.numberFormat,
): <T>(compute: (reading: FrameReading) => T) => Promise<T> {
  return (compute) =>
    context.view(vcpu).read((state) => compute(readingOf(state, context.requireDebuggee(), frame, format)));
}

/** Parameters and variables of a frame's function, those of inner blocks last. */
export function localScope(context: SessionContext, vcpu: number, frame: Frame): VariableList {
  const read = readerOf(context, vcpu, frame);
  return () =>
    read((reading) => {
      const locals = reading.names.locals();
      return locals.map(({ name, type, entry }, index) => {
        const isShadowed = locals.findLastIndex((other) => other.name === name) !== index;
        const expression = isShadowed ? undefined : expressionOfName(name);
        try {
          return showObject(reading, read, {
            name,
            object: reading.names.object({ entry, type }),
            expression,
          });
        } catch (error) {
          return unreadable(name, type, error);
        }
      });
    });
}

/** The variables that the source file of a frame's code defines outside of functions. */
export function staticScope(context: SessionContext, vcpu: number, frame: Frame): VariableList {
  const read = readerOf(context, vcpu, frame);
  return () =>
    read((reading) =>
      reading.names
        .statics()
        .map(({ name, object }) =>
          showObject(reading, read, { name, object, expression: expressionOfName(name) }),
        ),
    );
}

/** A list whose variables, when opened, are found again in it: what is shown inside is never old. */
function refreshing(list: VariableList): VariableList {
  const childrenOf = (name: string) => async () => {
    const variable = (await list()).find((candidate) => candidate.name === name);
    return (await variable?.children?.()) ?? [];
  };
  return async () =>
    (await list()).map((variable) =>
      variable.children ? { ...variable, children: childrenOf(variable.name) } : variable,
    );
}
