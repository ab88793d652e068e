/** Our x87 FPU on one case as the engine executes it: interpreted, or translated. */
import { readRflags, writeRflags } from '../../emulator/state/flags.ts';
import { RAM_OFFSET } from '../../emulator/state/layout.ts';
import { ACTIVITY, CR0, RAX, RDI, RSP } from '../../emulator/state/registers.ts';
import { assemble } from '../support/assemble.ts';
import { type BareProcessor, bareProcessor } from '../support/bareProcessor.ts';
import { MEMORY_BYTES, STATE_BYTES, type X87Case, type X87Outcome } from './x87Native.ts';

const CODE = 0x10_0000;
/** Room for each instruction with what is around it. */
const STEP = 32;
const STATE_AT = 0x20_0000;
const MEMORY_AT = 0x20_1000;
const STACK = 0x30_0000;

export class X87Engine {
  readonly #processor: BareProcessor;

  constructor(texts: readonly string[], forceTranslation: boolean) {
    this.#processor = bareProcessor({ forceTranslation });
    const { state, physical } = this.#processor;
    state.CR0 |= BigInt(CR0.NE);
    const program = ['frstor [rdi]', ...texts.map((text) => `${text}\nfnsave [rdi]`)].map(
      (text) => `.balign ${STEP}\n${text}\nhlt`,
    );
    physical.copyIn(CODE, assemble(`.intel_syntax noprefix\n${program.join('\n')}`, CODE));
  }

  get translations(): number {
    return this.#processor.engine.translations;
  }

  /** Code that begins with what is translated is. */
  #execute(index: number): void {
    const { state, engine, cpu } = this.#processor;
    state.RIP = BigInt(CODE + STEP * index);
    state.ACTIVITY_STATE = ACTIVITY.ACTIVE;
    cpu.mmu.updateContext();
    if (engine.run(1000) !== 'inactive') throw new Error(`program ${index} does not end`);
  }

  run({ form, flags, state: image, memory }: X87Case): X87Outcome {
    const { state } = this.#processor;
    state.u8.set(image, RAM_OFFSET + STATE_AT);
    state.u8.set(memory, RAM_OFFSET + MEMORY_AT);
    state.setGpr(RAX, BigInt(MEMORY_AT));
    state.setGpr(RDI, BigInt(STATE_AT));
    state.setGpr(RSP, BigInt(STACK));
    this.#execute(0);
    writeRflags(state, flags);
    this.#execute(1 + form);
    return {
      ax: Number(state.gpr(RAX) & 0xffffn),
      flags: readRflags(state),
      state: state.u8.slice(RAM_OFFSET + STATE_AT, RAM_OFFSET + STATE_AT + STATE_BYTES),
      memory: state.u8.slice(RAM_OFFSET + MEMORY_AT, RAM_OFFSET + MEMORY_AT + MEMORY_BYTES),
    };
  }
}
