/** Port 0x80: firmware shows its progress there, kernels write to it to pass a microsecond. Keeps the last value. */
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize, Device } from './device.ts';

export class PostCode implements Device {
  readonly name = 'post-code';
  #code = 0;

  read(): number {
    return this.#code;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.#code = value & 0xff;
  }

  peek(): number {
    return this.#code;
  }

  reset(): void {
    this.#code = 0;
  }

  save(): StateRecord {
    return { code: this.#code };
  }

  restore(state: StateRecord): void {
    this.#code = new SavedState(this.name, state).number('code');
  }
}
