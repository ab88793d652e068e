/** What a translation refuses the interpreter does, also where another record stands before the instruction's. */
import { describe, expect, it } from 'vitest';
import { assemble } from '../support/assemble.ts';
import { missing } from '../support/tools.ts';
import { CODE, prepare } from './tiersSupport.ts';

/** Reads through RSI + 0x100, which is not mapped. */
const FAULTING = '.intel_syntax noprefix\nmov eax, [rsi+0x100]\nhlt';

describe.skipIf(missing('as', 'ld'))('an instruction that a translation leaves to the interpreter', () => {
  it('faults once when it lies in two pages', () => {
    const { state, engine } = prepare(assemble(`.org 0xffe, 0x90\n${FAULTING}`, CODE), 1, 'translated');
    state.RIP = BigInt(CODE + 0xffe);
    expect(engine.run(10)).toBe('inactive');
    expect(state.CR2).toBe(0x80_0000n);
    // The HLT of the handler alone: the instruction was not retired.
    expect(engine.retired).toBe(1);
  });

  it('stops once when a breakpoint of the debugger stands at it', () => {
    const { state, engine } = prepare(assemble(FAULTING, CODE), 1, 'translated');
    engine.code.breakpoints = new Set([BigInt(CODE)]);
    expect(engine.run(10)).toBe('breakpoint');
    engine.passBreakpoint();
    expect(engine.run(10)).toBe('inactive');
    expect(state.CR2).toBe(0x80_0000n);
  });
});
