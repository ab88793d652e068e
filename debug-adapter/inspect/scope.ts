/** What names mean in an expression typed while the machine rests: of a frame, of the program, of the machine. */
import type { RegisterGroup } from '../../emulator/index.ts';
import type { ExpressionScope, Value } from '../expressions/evaluate.ts';
import { SCALAR_TYPES, type ScalarType, U64, unsignedType } from '../expressions/values.ts';
import { type MachineState, machineScope } from '../machine/targetScope.ts';
import type { Program } from '../program/program.ts';
import type { ProgramVariable } from '../symbols/program.ts';
import { X86_64_REGISTERS } from '../symbols/registers.ts';
import type { Frame } from './stack.ts';

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

function stateOfFrame(state: MachineState, frame: Frame): MachineState {
  return {
    ...state,
    registers: () => frameRegisters(state.registers(), frame),
    register: (name) => (numberOf(name) < 0 ? state.register(name) : frame.registers.values[numberOf(name)]),
  };
}

export function frameScope(state: MachineState, program: Program, frame: Frame | undefined): ExpressionScope {
  const ofFrame = frame === undefined || frame.depth === 0 ? state : stateOfFrame(state, frame);
  return {
    ...machineScope(ofFrame, (name) => program.symbol(name)),
    variable: (name) => {
      const variable = program.variable(name);
      return variable && variableValue(variable, state);
    },
  };
}

/** A variable with a fixed address; one whose type is no scalar stands for its address. */
function variableValue({ address, typeName, name }: ProgramVariable, state: MachineState): Value | undefined {
  const type = scalarOf(typeName);
  if (type === undefined) return { value: address, type: U64, symbol: name };
  const size = type.bits / 8;
  const bytes = state.readMemory({ space: 'linear', address }, size);
  if (bytes.length < size) return undefined;
  const value = bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const place = { kind: 'memory', address: { space: 'linear', address }, size } as const;
  const isPointer = typeName.endsWith('*');
  const pointee = isPointer ? scalarOf(typeName.slice(0, -1)) : undefined;
  return {
    value: type.signed ? BigInt.asIntN(type.bits, value) : value,
    type,
    place,
    ...(pointee && { pointee: { scalar: pointee, pointers: 0 } }),
  };
}

const WORDS: Readonly<Record<string, ScalarType>> = {
  _Bool: unsignedType(8),
  bool: unsignedType(8),
  size_t: U64,
  uintptr_t: U64,
};

/** The scalar a C type is: qualifiers dropped, the words of `unsigned long int` in any order. */
export function scalarOf(typeName: string): ScalarType | undefined {
  const plain = typeName
    .replace(/\b(const|volatile|_Atomic)\b/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  if (plain.endsWith('*')) return U64;
  const known = SCALAR_TYPES.get(plain) ?? WORDS[plain];
  if (known) return { ...known, name: plain };
  const words = plain.split(' ');
  if (!words.every((word) => ['unsigned', 'signed', 'long', 'short', 'int', 'char'].includes(word)))
    return undefined;
  const bits = words.includes('char') ? 8 : words.includes('short') ? 16 : words.includes('long') ? 64 : 32;
  return { name: plain, bits, signed: !words.includes('unsigned') };
}
