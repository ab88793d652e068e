/** The lists of variables behind the scopes of a frame. They read anew each time, so that an edit shows. */
import type { SessionContext, VariableList } from '../context.ts';
import { groupVmcsFields, type InspectedVariable, registerVariable, vmcsVariable } from './registers.ts';
import { frameRegisters } from './scope.ts';
import type { Frame } from './stack.ts';

/** One group of registers; a caller's frame shows the general ones as they were saved. */
export function registerScope(
  context: SessionContext,
  vcpu: number,
  frame: Frame,
  key: string,
): VariableList {
  const { program } = context.requireDebuggee();
  return refreshing(async () => {
    const live = await context.view(vcpu).registers();
    const group = frameRegisters(live, frame).find((candidate) => candidate.key === key);
    return (group?.registers ?? []).map((register) =>
      registerVariable(register, key, (address) => program.describe(address), context.numberFormat),
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
