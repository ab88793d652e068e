/**
 * Call frame instructions: the program that gives, for each address of a function, where its caller's
 * registers are.
 *
 * @see DWARF 5, section 6.4.2 "Call Frame Instructions", section 7.24 "Call Frame Information"
 */
import type { Address } from './address.ts';
import type { ByteReader } from './byteReader.ts';
import type { CallFrameSection, FrameDescription } from './cfiEntries.ts';
import { hex, SymbolsError } from './errors.ts';

/** Where an expression is, in the section. */
export interface Block {
  readonly start: number;
  readonly end: number;
}

export type CfaRule =
  | { readonly kind: 'register'; readonly register: number; readonly offset: number }
  | { readonly kind: 'expression'; readonly block: Block };

/** How to find the caller's value of a register; offsets are from the CFA. */
export type RegisterRule =
  | { readonly kind: 'undefined' }
  | { readonly kind: 'sameValue' }
  | { readonly kind: 'offset'; readonly offset: number }
  | { readonly kind: 'valueOffset'; readonly offset: number }
  | { readonly kind: 'register'; readonly register: number }
  | { readonly kind: 'expression'; readonly block: Block }
  | { readonly kind: 'valueExpression'; readonly block: Block };

export interface FrameRules {
  cfa: CfaRule | undefined;
  /** By register number of the file. */
  registers: Map<number, RegisterRule>;
}

const DW_CFA_advance_loc = 0x40;
const DW_CFA_offset = 0x80;
const DW_CFA_restore = 0xc0;
const DW_CFA_nop = 0x00;
const DW_CFA_set_loc = 0x01;
const DW_CFA_advance_loc1 = 0x02;
const DW_CFA_advance_loc2 = 0x03;
const DW_CFA_advance_loc4 = 0x04;
const DW_CFA_offset_extended = 0x05;
const DW_CFA_restore_extended = 0x06;
const DW_CFA_undefined = 0x07;
const DW_CFA_same_value = 0x08;
const DW_CFA_register = 0x09;
const DW_CFA_remember_state = 0x0a;
const DW_CFA_restore_state = 0x0b;
const DW_CFA_def_cfa = 0x0c;
const DW_CFA_def_cfa_register = 0x0d;
const DW_CFA_def_cfa_offset = 0x0e;
const DW_CFA_def_cfa_expression = 0x0f;
const DW_CFA_expression = 0x10;
const DW_CFA_offset_extended_sf = 0x11;
const DW_CFA_def_cfa_sf = 0x12;
const DW_CFA_def_cfa_offset_sf = 0x13;
const DW_CFA_val_offset = 0x14;
const DW_CFA_val_offset_sf = 0x15;
const DW_CFA_val_expression = 0x16;
const DW_CFA_GNU_args_size = 0x2e;
const DW_CFA_GNU_negative_offset_extended = 0x2f;

/** More saved states and registers than any compiler writes; each saved state is a copy. */
const MOST_SAVED_STATES = 64;
const MOST_REGISTERS = 256;

/** The rules at an address of a description. */
export function rulesAt(
  section: CallFrameSection,
  description: FrameDescription,
  address: Address,
): FrameRules {
  let found: FrameRules | undefined;
  runDescription(section, description, (location, rules, next) => {
    if (location <= address && address < next) {
      found = { cfa: rules.cfa, registers: new Map(rules.registers) };
      return false;
    }
    return true;
  });
  return found ?? { cfa: undefined, registers: new Map() };
}

/**
 * Runs a description and visits each row: rules that hold from `location` up to `next`. `rules` is valid
 * during the call. The visitor returns whether to go on.
 */
export function runDescription(
  section: CallFrameSection,
  description: FrameDescription,
  visit: (location: Address, rules: FrameRules, next: Address) => boolean,
): void {
  const { common } = description;
  let rules: FrameRules = { cfa: undefined, registers: new Map() };
  let initial = new Map<number, RegisterRule>();
  const saved: FrameRules[] = [];
  let location = description.low;
  let stopped = false;

  const moveTo = (next: Address): void => {
    if (next > location) stopped ||= !visit(location, rules, next);
    location = next;
  };
  const set = (register: number, rule: RegisterRule | undefined): void => {
    if (rule) rules.registers.set(register, rule);
    else rules.registers.delete(register);
    if (rules.registers.size > MOST_REGISTERS)
      throw new SymbolsError(
        'tooComplex',
        `${section.name}: rules for more than ${MOST_REGISTERS} registers`,
      );
  };
  const block = (reader: ByteReader): Block => {
    const size = reader.uleb();
    const start = reader.position;
    reader.skip(size);
    return { start, end: start + size };
  };
  const bad: (reader: ByteReader, what: string) => never = (reader, what) => {
    throw new SymbolsError('damagedDebugInfo', `${section.name} at ${hex(reader.position)}: ${what}`);
  };

  const cfaOffset = (offset: number, reader: ByteReader): void => {
    if (rules.cfa?.kind !== 'register') bad(reader, 'an offset for a CFA that is not a register');
    rules.cfa = { kind: 'register', register: rules.cfa.register, offset };
  };
  const run = (start: number, end: number): void => {
    const reader = section.reader(start, end);
    const factored = (value: number): number => value * common.dataAlignment;
    while (!reader.done && !stopped) {
      const opcode = reader.u8();
      const low = opcode & 0x3f;
      switch (opcode & 0xc0) {
        case DW_CFA_advance_loc:
          moveTo(location + low * common.codeAlignment);
          continue;
        case DW_CFA_offset:
          set(low, { kind: 'offset', offset: factored(reader.uleb()) });
          continue;
        case DW_CFA_restore:
          set(low, initial.get(low));
          continue;
      }
      switch (opcode) {
        case DW_CFA_nop:
          break;
        case DW_CFA_set_loc:
          moveTo(section.address(reader, common.encoding, common.numbering.wordSize));
          break;
        case DW_CFA_advance_loc1:
          moveTo(location + reader.u8() * common.codeAlignment);
          break;
        case DW_CFA_advance_loc2:
          moveTo(location + reader.u16() * common.codeAlignment);
          break;
        case DW_CFA_advance_loc4:
          moveTo(location + reader.u32() * common.codeAlignment);
          break;
        case DW_CFA_offset_extended:
          set(reader.uleb(), { kind: 'offset', offset: factored(reader.uleb()) });
          break;
        case DW_CFA_offset_extended_sf:
          set(reader.uleb(), { kind: 'offset', offset: factored(reader.sleb()) });
          break;
        case DW_CFA_GNU_negative_offset_extended:
          set(reader.uleb(), { kind: 'offset', offset: -factored(reader.uleb()) });
          break;
        case DW_CFA_restore_extended: {
          const register = reader.uleb();
          set(register, initial.get(register));
          break;
        }
        case DW_CFA_undefined:
          set(reader.uleb(), { kind: 'undefined' });
          break;
        case DW_CFA_same_value:
          set(reader.uleb(), { kind: 'sameValue' });
          break;
        case DW_CFA_register:
          set(reader.uleb(), { kind: 'register', register: reader.uleb() });
          break;
        case DW_CFA_val_offset:
          set(reader.uleb(), { kind: 'valueOffset', offset: factored(reader.uleb()) });
          break;
        case DW_CFA_val_offset_sf:
          set(reader.uleb(), { kind: 'valueOffset', offset: factored(reader.sleb()) });
          break;
        case DW_CFA_expression:
          set(reader.uleb(), { kind: 'expression', block: block(reader) });
          break;
        case DW_CFA_val_expression:
          set(reader.uleb(), { kind: 'valueExpression', block: block(reader) });
          break;
        case DW_CFA_remember_state:
          if (saved.length === MOST_SAVED_STATES)
            throw new SymbolsError(
              'tooComplex',
              `${section.name}: more than ${MOST_SAVED_STATES} remembered states`,
            );
          saved.push({ cfa: rules.cfa, registers: new Map(rules.registers) });
          break;
        case DW_CFA_restore_state:
          rules = saved.pop() ?? bad(reader, 'no remembered state to restore');
          break;
        case DW_CFA_def_cfa:
          rules.cfa = { kind: 'register', register: reader.uleb(), offset: reader.uleb() };
          break;
        case DW_CFA_def_cfa_sf:
          rules.cfa = { kind: 'register', register: reader.uleb(), offset: factored(reader.sleb()) };
          break;
        case DW_CFA_def_cfa_register:
          if (rules.cfa?.kind !== 'register') bad(reader, 'a register for a CFA that is an expression');
          rules.cfa = { kind: 'register', register: reader.uleb(), offset: rules.cfa.offset };
          break;
        case DW_CFA_def_cfa_offset:
          cfaOffset(reader.uleb(), reader);
          break;
        case DW_CFA_def_cfa_offset_sf:
          cfaOffset(factored(reader.sleb()), reader);
          break;
        case DW_CFA_def_cfa_expression:
          rules.cfa = { kind: 'expression', block: block(reader) };
          break;
        case DW_CFA_GNU_args_size:
          reader.skipLeb();
          break;
        default:
          bad(reader, `unknown call frame instruction ${hex(opcode)}`);
      }
    }
  };

  run(common.start, common.end);
  initial = new Map(rules.registers);
  location = description.low;
  run(description.start, description.end);
  if (!stopped && location < description.high) visit(location, rules, description.high);
}
