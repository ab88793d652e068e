/**
 * Unwinding with call frame information: from the registers of a frame to those of its caller.
 *
 * @see DWARF 5, section 6.4.3 "Call Frame Instruction Usage", section 6.4.4 "Call Frame Calling Address"
 */
import { type Address, addressOfBigInt } from './address.ts';
import { CallFrameSection, type FrameDescription } from './cfiEntries.ts';
import { type Block, type FrameRules, type RegisterRule, rulesAt } from './cfiRules.ts';
import { type ExpressionContext, evaluateExpression, type ReadMemory } from './dwarf/expression.ts';
import type { Elf } from './elf.ts';
import { SymbolsError } from './errors.ts';
import type { Problems } from './problems.ts';
import { type FrameRegisters, lookupAddress, RIP, RSP, X86_64_REGISTERS } from './registers.ts';

export type UnwindOutcome =
  /** `cfa` is the stack pointer before the call: it tells frames of one function apart. */
  | { readonly kind: 'caller'; readonly frame: FrameRegisters; readonly cfa: bigint }
  /** The frame says that nobody called it. */
  | { readonly kind: 'outermost' }
  /** No information about this code, or it needs what cannot be read. */
  | { readonly kind: 'unknown'; readonly why: string };

export class CallFrames {
  private readonly sections: readonly CallFrameSection[];
  private readonly loadBias: bigint;

  constructor(elf: Elf, loadBias: bigint, problems: Problems) {
    this.loadBias = loadBias;
    // .debug_frame first: where both exist, it was made for debuggers.
    this.sections = (['.debug_frame', '.eh_frame'] as const).flatMap((name) => {
      const section = elf.section(name);
      return section ? [new CallFrameSection(elf, section, name === '.eh_frame', problems)] : [];
    });
  }

  /**
   * The caller's registers. What `readMemory` throws passes through: who reads memory asynchronously can
   * fetch what was asked for and call again.
   */
  unwind(frame: FrameRegisters, readMemory: ReadMemory): UnwindOutcome {
    const rip = lookupAddress(frame);
    if (rip === undefined) return { kind: 'unknown', why: 'the instruction pointer is not known' };
    const address = addressOfBigInt(rip - this.loadBias);
    try {
      const found = this.rulesAt(address);
      if (found) return new Unwinder(found.section, found.description, frame, readMemory).unwind(found.rules);
    } catch (error) {
      if (!(error instanceof SymbolsError)) throw error;
      return { kind: 'unknown', why: error.message };
    }
    return { kind: 'unknown', why: 'no unwind information for this code' };
  }

  /** The canonical frame address of a frame: the stack pointer before the call that made it. */
  canonicalFrameAddress(frame: FrameRegisters, readMemory: ReadMemory): bigint | undefined {
    const rip = lookupAddress(frame);
    const found = rip === undefined ? undefined : this.rulesAt(addressOfBigInt(rip - this.loadBias));
    return found && new Unwinder(found.section, found.description, frame, readMemory).cfa(found.rules);
  }

  /** How the canonical frame address is computed at an address, where that is a register plus an offset. */
  canonicalFrameRule(address: bigint): { readonly register: number; readonly offset: number } | undefined {
    const found = this.rulesAt(addressOfBigInt(address - this.loadBias));
    const cfa = found?.rules.cfa;
    if (cfa?.kind !== 'register') return undefined;
    const register = found?.description.common.numbering.toRegister(cfa.register);
    return register === undefined ? undefined : { register, offset: cfa.offset };
  }

  private rulesAt(address: Address) {
    for (const section of this.sections) {
      const description = section.find(address);
      if (description) return { section, description, rules: rulesAt(section, description, address) };
    }
    return undefined;
  }
}

/** One step: a frame, and the rules at its address. */
class Unwinder {
  private readonly section: CallFrameSection;
  private readonly description: FrameDescription;
  private readonly frame: FrameRegisters;
  private readonly context: ExpressionContext;
  private readonly bits: number;

  constructor(
    section: CallFrameSection,
    description: FrameDescription,
    frame: FrameRegisters,
    readMemory: ReadMemory,
  ) {
    this.section = section;
    this.description = description;
    this.frame = frame;
    const { wordSize, toRegister } = description.common.numbering;
    this.bits = wordSize * 8;
    this.context = {
      addressSize: wordSize,
      readMemory,
      register: (number) => {
        const register = toRegister(number);
        return register === undefined ? undefined : frame.values[register];
      },
    };
  }

  unwind(rules: FrameRules): UnwindOutcome {
    const { common } = this.description;
    const cfa = this.cfa(rules);
    const returnRule = rules.registers.get(common.returnColumn);
    if (returnRule?.kind === 'undefined') return { kind: 'outermost' };
    if (!returnRule) return { kind: 'unknown', why: 'no rule for the return address' };
    const returnAddress = this.value(returnRule, common.returnColumn, cfa);
    if (returnAddress === undefined) return { kind: 'unknown', why: 'the return address cannot be read' };
    if (returnAddress === 0n) return { kind: 'outermost' };

    // Registers without a rule: the stack pointer is the CFA, and a called function keeps some of the others.
    const values = X86_64_REGISTERS.map((_, register) =>
      register === RSP
        ? cfa
        : common.isSignalFrame || common.numbering.preserved.has(register)
          ? this.frame.values[register]
          : undefined,
    );
    for (const [number, rule] of rules.registers) {
      const register = common.numbering.toRegister(number);
      if (register !== undefined && register !== RIP) values[register] = this.tryValue(rule, number, cfa);
    }
    values[RIP] = returnAddress;
    return { kind: 'caller', frame: { values, isReturnAddress: !common.isSignalFrame }, cfa };
  }

  cfa({ cfa }: FrameRules): bigint {
    if (!cfa) throw new SymbolsError('damagedDebugInfo', `${this.section.name} has no rule for the CFA`);
    if (cfa.kind === 'expression') return this.evaluate(cfa.block, []);
    const base = this.context.register(cfa.register);
    if (base === undefined)
      throw new SymbolsError('expression', `Register ${cfa.register} is not known in this frame`);
    return BigInt.asUintN(this.bits, base + BigInt(cfa.offset));
  }

  /** A register that cannot be recovered is not known in the caller's frame; the frame itself is. */
  private tryValue(rule: RegisterRule, number: number, cfa: bigint): bigint | undefined {
    try {
      return this.value(rule, number, cfa);
    } catch (error) {
      if (!(error instanceof SymbolsError)) throw error;
      return undefined;
    }
  }

  private value(rule: RegisterRule, number: number, cfa: bigint): bigint | undefined {
    switch (rule.kind) {
      case 'undefined':
        return undefined;
      case 'sameValue':
        return this.context.register(number);
      case 'register':
        return this.context.register(rule.register);
      case 'offset':
        return this.read(cfa + BigInt(rule.offset));
      case 'valueOffset':
        return BigInt.asUintN(this.bits, cfa + BigInt(rule.offset));
      case 'expression':
        return this.read(this.evaluate(rule.block, [cfa]));
      case 'valueExpression':
        return this.evaluate(rule.block, [cfa]);
    }
  }

  private evaluate({ start, end }: Block, initial: readonly bigint[]): bigint {
    const { bytes } = this.section.reader(start, end);
    const location = evaluateExpression(bytes.subarray(start, end), this.context, initial);
    if (location.kind === 'memory') return location.address;
    if (location.kind === 'value') return location.value;
    throw new SymbolsError('expression', `${this.section.name}: an unwind rule gives no value`);
  }

  private read(address: bigint): bigint | undefined {
    const size = this.bits / 8;
    const bytes = this.context.readMemory(BigInt.asUintN(this.bits, address), size);
    if (bytes?.length !== size) return undefined;
    return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }
}
