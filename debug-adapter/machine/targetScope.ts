/** Expressions computed directly against a machine in the same thread. Lists are fetched when something asks. */
import type { DebugTarget, RegisterGroup, RestingLevel, VmcsFieldValue } from '../../emulator/index.ts';
import type { ExpressionScope, NamedValue } from '../expressions/evaluate.ts';

/** What an expression reads a stopped machine through. */
export interface MachineState {
  /** A general register, RIP or RFLAGS, cheaply; undefined when only {@link registers} would know it. */
  register(name: string): bigint | undefined;
  registers(): readonly RegisterGroup[];
  vmcs(): readonly VmcsFieldValue[];
  readMemory: ExpressionScope['readMemory'];
  /** The level that addresses without one belong to; the running one when absent. */
  readonly level?: number;
}

/** The machine as a level sees it that does not run. */
export function restingState<State extends MachineState>(
  state: State,
  { level, registers }: RestingLevel,
): State {
  return {
    ...state,
    level,
    registers: () => registers,
    register: (name) =>
      registers.flatMap((group) => group.registers).find((register) => register.name.toLowerCase() === name)
        ?.value,
    readMemory: (address, count) =>
      address.space === 'msr'
        ? NOTHING
        : state.readMemory({ ...address, level: address.level ?? level }, count),
  };
}

/** Machine-specific registers are reached as `msr.name` and by their bare names. */
const MSR_GROUP = 'msr';
const NOTHING = new Uint8Array(0);

export function machineScope(state: MachineState): ExpressionScope {
  const find = (name: string, group?: string): NamedValue | undefined => {
    for (const { key, registers } of state.registers()) {
      if (group !== undefined && key !== group) continue;
      const found = registers.find((register) => register.name.toLowerCase() === name);
      if (found) return found;
    }
    return undefined;
  };
  return {
    register(name) {
      const quick = state.register(name);
      // RFLAGS has named parts, which only the list knows.
      if (quick !== undefined && name !== 'rflags')
        return { name: name.toUpperCase(), value: quick, bits: 64, fields: [] };
      return find(name);
    },
    msr: (name) => find(name, MSR_GROUP),
    vmcsField(key) {
      const field = state.vmcs().find((candidate) => candidate.key.toLowerCase() === key);
      const value = field?.live ?? field?.stored;
      return field && value !== undefined
        ? { name: field.key, value, bits: field.bits, fields: field.fields }
        : undefined;
    },
    readMemory: (address, count) => state.readMemory(address, count),
    ...(state.level !== undefined && { level: state.level }),
  };
}

export function targetScope(target: DebugTarget, vcpu: number): ExpressionScope {
  let registers: readonly RegisterGroup[] | undefined;
  let vmcs: readonly VmcsFieldValue[] | undefined;
  return machineScope({
    register: (name) => target.register(vcpu, name.toUpperCase()),
    registers: () => (registers ??= target.registers(vcpu)),
    vmcs: () => (vmcs ??= target.vmcs(vcpu)),
    readMemory: (address, count) => target.readMemory(vcpu, address, count),
  });
}
