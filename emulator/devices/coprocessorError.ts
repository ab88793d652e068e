/**
 * What a PC makes of FERR# and IGNNE#: IRQ 13, which a write to port 0xf0 ends. The write also asserts IGNNE# for as long
 * as FERR# stays, so that the handler can execute floating-point instructions.
 *
 * Intel ICH data sheet, "COPROC_ERR—Coprocessor Error Register"; SDM volume 1, appendix D, "Guidelines for Writing x87
 * FPU Exception Handlers".
 */
import { floatingBus, type IrqLine } from '../base/ports.ts';
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize, Device } from './device.ts';

export class CoprocessorError implements Device {
  readonly name = 'coprocessor-error';
  readonly #irq: IrqLine;
  #ferr = false;
  #ignne = false;

  constructor({ irq }: { readonly irq: IrqLine }) {
    this.#irq = irq;
  }

  get ignne(): boolean {
    return this.#ignne;
  }

  /** The processor's FERR#. */
  setFerr(asserted: boolean): void {
    if (asserted === this.#ferr) return;
    this.#ferr = asserted;
    this.#ignne = false;
    this.#irq.set(asserted);
  }

  read(_offset: number, size: AccessSize): number {
    return floatingBus(size);
  }

  write(offset: number): void {
    if (offset !== 0) return;
    this.#irq.set(false);
    this.#ignne = this.#ferr;
  }

  peek(_offset: number, size: AccessSize): number {
    return floatingBus(size);
  }

  reset(): void {
    this.setFerr(false);
  }

  save(): StateRecord {
    return { ferr: this.#ferr, ignne: this.#ignne };
  }

  /** The interrupt controllers keep the level of the line. */
  restore(state: StateRecord): void {
    const saved = new SavedState(this.name, state);
    this.#ferr = saved.boolean('ferr');
    this.#ignne = saved.boolean('ignne');
  }
}
