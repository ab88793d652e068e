import { describe, expect, it } from 'vitest';
import type { DebugAddress } from '../../emulator/index.ts';
import type { Machine } from '../machine/client.ts';
import { MachineView } from './machineView.ts';

function viewOf(calls: string[]): MachineView {
  const machine = {
    registers: async () => {
      calls.push('registers');
      return [{ key: 'general', title: 'Registers', registers: [{ name: 'RAX', value: 7n }] }];
    },
    readMemory: async (_vcpu: number, { address }: DebugAddress, count: number) => {
      calls.push(`read ${address.toString(16)}`);
      // Two pages are mapped.
      return address < 0x2000n ? new Uint8Array(count).fill(Number(address >> 12n) + 1) : new Uint8Array(0);
    },
  };
  return new MachineView(machine as unknown as Machine, 0);
}

describe('reading a machine at rest', () => {
  it('fetches what a computation needs, once', async () => {
    const calls: string[] = [];
    const view = viewOf(calls);
    const sum = () =>
      view.read(
        (state) =>
          (state.register('rax') ?? 0n) + BigInt(state.readMemory({ space: 'linear', address: 0x10n }, 1)[0]),
      );
    expect(await sum()).toBe(8n);
    expect(await sum()).toBe(8n);
    expect(calls).toEqual(['registers', 'read 0']);
  });

  it('reads across pages and stops at the first unmapped one', async () => {
    const view = viewOf([]);
    const bytes = await view.read((state) => state.readMemory({ space: 'linear', address: 0xffen }, 4));
    expect([...bytes]).toEqual([1, 1, 2, 2]);
    const cut = await view.read((state) => state.readMemory({ space: 'linear', address: 0x1ffen }, 4));
    expect([...cut]).toEqual([2, 2]);
    const none = await view.read((state) => state.readMemory({ space: 'linear', address: 0x5000n }, 4));
    expect(none.length).toBe(0);
  });

  it('fetches again after something was written', async () => {
    const calls: string[] = [];
    const view = viewOf(calls);
    await view.registers();
    view.invalidate();
    await view.registers();
    expect(calls).toEqual(['registers', 'registers']);
  });
});
