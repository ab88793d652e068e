/** Ports and registers that are left out on purpose: they read as the floating bus, writes are dropped. */
import { floatingBus } from '../base/ports.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { AccessSize, Device } from './device.ts';

export class UnimplementedDevice implements Device {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  read(_offset: number, size: AccessSize): number {
    return floatingBus(size);
  }

  write(): void {}

  peek(_offset: number, size: AccessSize): number {
    return floatingBus(size);
  }

  reset(): void {}

  save(): StateRecord {
    return {};
  }

  restore(): void {}
}
