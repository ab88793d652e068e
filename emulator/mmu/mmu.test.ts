import { describe, expect, it } from 'vitest';
import { SLOW } from './mmu.ts';
import { PAGE_FLAG } from './physicalMemory.ts';
import {
  enter64BitMode,
  LongTables,
  PTE,
  PWU,
  setCpl,
  type TestMachine,
  testMachine,
} from './testing/machine.ts';

const RAM = 0x20_0000;
const HALF = 0xffff_ffffn;

function longMode(
  map: (tables: LongTables) => void,
  bus?: Parameters<typeof testMachine>[1],
): TestMachine & { tables: LongTables } {
  const machine = testMachine(RAM, bus);
  const tables = new LongTables(machine.physical, 0x1000n);
  map(tables);
  enter64BitMode(machine, tables.root);
  return { ...machine, tables };
}

function read({ state, mmu }: TestMachine, address: bigint, size: number, writeIntent = false): number {
  state.ACCESS_ADDRESS = address;
  return mmu.readSlow(size, writeIntent);
}

function write({ state, mmu }: TestMachine, address: bigint, size: number, value: bigint): number {
  state.ACCESS_ADDRESS = address;
  state.ACCESS_VALUE = value;
  return mmu.writeSlow(size);
}

function cached({ state, mmu }: TestMachine, address: bigint, kind: 'read' | 'write'): boolean {
  const lo = Number(address & HALF) | 0;
  const hi = Number(address >> 32n) | 0;
  const context = Number(state.CONTEXT);
  return (kind === 'read' ? mmu.tlb.lookUpRead(lo, hi, context) : mmu.tlb.lookUpWrite(lo, hi, context)) >= 0;
}

describe('the slow path of a load', () => {
  it('reads 1, 2, 4 and 8 bytes zero-extended and fills the read TLB', () => {
    const machine = longMode((tables) => tables.set(0xffff_8000_0012_3000n, 0x10_0000n | PTE.P));
    machine.physical.write64(0x10_0008, 0x8877_6655_4433_2211n);
    const address = 0xffff_8000_0012_3008n;
    for (const [size, value] of [
      [1, 0x11n],
      [2, 0x2211n],
      [4, 0x4433_2211n],
      [8, 0x8877_6655_4433_2211n],
    ] as const) {
      expect(read(machine, address, size)).toBe(SLOW.OK);
      expect(machine.state.ACCESS_VALUE).toBe(value);
    }
    expect(cached(machine, address, 'read')).toBe(true);
    expect(cached(machine, address, 'write')).toBe(false);
    expect(machine.mmu.tlb.lookUpRead(0x0012_3008, 0xffff_8000 | 0, Number(machine.state.CONTEXT))).toBe(
      machine.physical.offset(0x10_0008),
    );
  });

  it('gives a page fault with the linear address and the error code', () => {
    const machine = longMode(() => undefined);
    setCpl(machine, 3);
    expect(read(machine, 0xffff_8000_0000_1234n, 4)).toBe(SLOW.FAULT);
    expect(machine.mmu.fault.kind).toBe('page');
    expect(machine.mmu.fault.errorCode).toBe(4);
    expect(machine.mmu.fault.linear).toBe(0xffff_8000_0000_1234n);
  });

  it('reports a non-canonical address', () => {
    const machine = longMode(() => undefined);
    expect(read(machine, 0x0000_8000_0000_0000n, 1)).toBe(SLOW.FAULT);
    expect(machine.mmu.fault.kind).toBe('non-canonical');
  });

  it('joins the bytes of two pages', () => {
    const machine = longMode((tables) => {
      tables.set(0x1000n, 0x10_0000n | PTE.P);
      tables.set(0x2000n, 0x10_5000n | PTE.P);
    });
    machine.physical.copyIn(0x10_0ff8, Uint8Array.of(0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7));
    machine.physical.copyIn(0x10_5000, Uint8Array.of(0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7));
    const all = 0xb7b6_b5b4_b3b2_b1b0_a7a6_a5a4_a3a2_a1a0n;
    for (let before = 1; before < 8; before++) {
      expect(read(machine, BigInt(0x2000 - before), 8)).toBe(SLOW.OK);
      expect(machine.state.ACCESS_VALUE).toBe(BigInt.asUintN(64, all >> BigInt(64 - 8 * before)));
    }
  });

  it('reports the second page when only that one is missing', () => {
    const machine = longMode((tables) => tables.set(0x1000n, 0x10_0000n | PTE.P));
    expect(read(machine, 0x1ffdn, 4)).toBe(SLOW.FAULT);
    expect(machine.mmu.fault.linear).toBe(0x2000n);
  });

  it('with write intent needs a writable page and fills the write TLB', () => {
    const machine = longMode((tables) => {
      tables.set(0x1000n, 0x10_0000n | PTE.P);
      tables.set(0x2000n, 0x10_1000n | PWU);
    });
    expect(read(machine, 0x1000n, 4, true)).toBe(SLOW.FAULT);
    expect(machine.mmu.fault.errorCode).toBe(3);
    expect(read(machine, 0x2000n, 4, true)).toBe(SLOW.OK);
    expect(cached(machine, 0x2000n, 'write')).toBe(true);
    expect(machine.tables.get(0x2000n)).toBe(0x10_1000n | PWU | PTE.A | PTE.D);
  });
});

describe('the slow path of a store', () => {
  it('writes, sets the dirty flag and fills both TLBs', () => {
    const machine = longMode((tables) => tables.set(0x1000n, 0x10_0000n | PWU));
    expect(write(machine, 0x1010n, 8, 0x1122_3344_5566_7788n)).toBe(SLOW.OK);
    expect(machine.physical.read64(0x10_0010)).toBe(0x1122_3344_5566_7788n);
    expect(cached(machine, 0x1000n, 'read') && cached(machine, 0x1000n, 'write')).toBe(true);
    expect(machine.tables.get(0x1000n) & (PTE.A | PTE.D)).toBe(PTE.A | PTE.D);
  });

  it('that crosses into a page which cannot be written changes nothing', () => {
    const machine = longMode((tables) => {
      tables.set(0x1000n, 0x10_0000n | PWU);
      tables.set(0x2000n, 0x10_1000n | PTE.P);
    });
    expect(write(machine, 0x1ffen, 4, 0xffff_ffffn)).toBe(SLOW.FAULT);
    expect(machine.mmu.fault.linear).toBe(0x2000n);
    expect(machine.mmu.fault.errorCode).toBe(3);
    expect(machine.physical.read64(0x10_0ff8)).toBe(0n);
  });

  it('splits over two pages', () => {
    for (let before = 1; before < 8; before++) {
      const machine = longMode((tables) => {
        tables.set(0x1000n, 0x10_0000n | PWU);
        tables.set(0x2000n, 0x10_5000n | PWU);
      });
      expect(write(machine, BigInt(0x2000 - before), 8, 0x8877_6655_4433_2211n)).toBe(SLOW.OK);
      const bytes = new Uint8Array(8);
      machine.physical.copyOut(0x10_1000 - before, bytes.subarray(0, before));
      machine.physical.copyOut(0x10_5000, bytes.subarray(before));
      expect([...bytes]).toEqual([0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]);
    }
  });

  it('to a page with a mark never fills the write TLB, and its listener can ask to leave', () => {
    const machine = longMode((tables) => tables.set(0x1000n, 0x10_0000n | PWU));
    const seen: number[] = [];
    machine.physical.onWrite(PAGE_FLAG.CODE, (hpa, length) => {
      seen.push(hpa, length);
      machine.mmu.requestCut();
    });
    write(machine, 0x1000n, 1, 1n);
    expect(cached(machine, 0x1000n, 'write')).toBe(true);
    machine.physical.setPageFlag(0x100, PAGE_FLAG.CODE);
    expect(cached(machine, 0x1000n, 'write')).toBe(false);
    expect(cached(machine, 0x1000n, 'read')).toBe(true);
    expect(write(machine, 0x1008n, 4, 1n)).toBe(SLOW.OK_CUT);
    expect(seen).toEqual([0x10_0008, 4]);
    expect(cached(machine, 0x1000n, 'write')).toBe(false);
    machine.physical.clearPageFlag(0x100, PAGE_FLAG.CODE);
    expect(write(machine, 0x1008n, 4, 1n)).toBe(SLOW.OK);
    expect(cached(machine, 0x1000n, 'write')).toBe(true);
  });
});

describe('an address where no RAM answers', () => {
  it('goes to the bus in aligned cycles, 8 bytes as two of 4', () => {
    const cycles: string[] = [];
    const bus = {
      read: (address: number, size: number) => {
        cycles.push(`r${address.toString(16)}/${size}`);
        return size === 4 ? 0x8000_0001 : 0x42;
      },
      write: (address: number, size: number, value: number) => {
        cycles.push(`w${address.toString(16)}/${size}=${value.toString(16)}`);
      },
      peek: () => 0,
    };
    const machine = longMode((tables) => tables.set(0x1000n, 0xfee0_0000n | PWU), bus);
    expect(read(machine, 0x1000n, 8)).toBe(SLOW.OK_CUT);
    expect(machine.state.ACCESS_VALUE).toBe(0x8000_0001_8000_0001n);
    expect(write(machine, 0x1003n, 4, 0xddcc_bbaan)).toBe(SLOW.OK_CUT);
    expect(cycles).toEqual([
      'rfee00000/4',
      'rfee00004/4',
      'wfee00003/1=aa',
      'wfee00004/2=ccbb',
      'wfee00006/1=dd',
    ]);
    expect(cached(machine, 0x1000n, 'read')).toBe(false);
  });

  it('reads all ones without a bus', () => {
    const machine = longMode((tables) => tables.set(0x1000n, 0xfee0_0000n | PWU));
    read(machine, 0x1000n, 2);
    expect(machine.state.ACCESS_VALUE).toBe(0xffffn);
  });
});

describe('accesses of system code', () => {
  it('read and write with the privilege they are made with', () => {
    const machine = longMode((tables) => {
      tables.set(0x1000n, 0x10_0000n | PTE.P | PTE.W);
      tables.set(0x2000n, 0x10_1000n | PWU);
    });
    const { mmu } = machine;
    setCpl(machine, 3);
    expect(mmu.readLinear(0x1000n, 8, 'user')).toBeUndefined();
    expect(mmu.fault.errorCode).toBe(5);
    expect(mmu.writeLinear(0x1ffcn, 8, 0x1122_3344_5566_7788n, 'implicit-supervisor')).toBe(true);
    expect(mmu.readLinear(0x1ffcn, 8, 'supervisor')).toBe(0x1122_3344_5566_7788n);
    expect(mmu.readLinear(0x2000n, 4, 'user')).toBe(0x1122_3344n);
    expect(mmu.probeWrite(0x1ff0n, 0x1000, 'supervisor')).toBe(true);
    expect(mmu.probeWrite(0x1ff0n, 0x1011, 'supervisor')).toBe(false);
    expect(mmu.fault.linear).toBe(0x3000n);
  });

  it('copy byte arrays or nothing', () => {
    const machine = longMode((tables) => tables.set(0x1000n, 0x10_0000n | PWU));
    const bytes = Uint8Array.from({ length: 37 }, (_, index) => index + 1);
    expect(machine.mmu.writeBytes(0x1003n, bytes, 'current')).toBe(true);
    const back = new Uint8Array(37);
    expect(machine.mmu.readBytes(0x1003n, back, 'current')).toBe(true);
    expect(back).toEqual(bytes);
    expect(machine.mmu.writeBytes(0x1fffn, bytes, 'current')).toBe(false);
    expect(machine.physical.read8(0x10_0fff)).toBe(0);
  });
});

describe('linear addresses of 32 bits', () => {
  it('wrap at 4 GBytes', () => {
    const machine = testMachine(RAM);
    const { state, mmu, physical } = machine;
    // The identity without paging: the bytes before the wrap are outside of RAM.
    physical.write(0, 4, 0x4433_2211, 0);
    mmu.updateContext();
    state.ACCESS_ADDRESS = 0xffff_fffen;
    expect(mmu.readSlow(4, false)).toBe(SLOW.OK_CUT);
    expect(state.ACCESS_VALUE).toBe(0x2211_ffffn);
  });
});

describe('the A20 line', () => {
  it('clears bit 20 of physical addresses while it is low', () => {
    const machine = testMachine(RAM);
    const { mmu } = machine;
    mmu.a20 = false;
    expect(mmu.fetchTranslate(0x12_3456n)).toBe(0x02_3456);
    machine.physical.write(0x2_3456, 1, 0x77, 0);
    expect(read(machine, 0x12_3456n, 1)).toBe(SLOW.OK);
    expect(machine.state.ACCESS_VALUE).toBe(0x77n);
    expect(cached(machine, 0x12_3456n, 'read')).toBe(true);
    mmu.a20 = true;
    expect(cached(machine, 0x12_3456n, 'read')).toBe(false);
    expect(mmu.fetchTranslate(0x12_3456n)).toBe(0x12_3456);
  });
});

describe('an access', () => {
  it('can be probed, with both pages', () => {
    const machine = longMode((tables) => {
      tables.set(0x1000n, 0x10_0000n | PWU);
      tables.set(0x2000n, 0x10_1000n | PTE.P);
    });
    machine.state.ACCESS_ADDRESS = 0x1ff8n;
    expect([machine.mmu.probeSlow(8, true), machine.mmu.probeSlow(16, false)]).toEqual([SLOW.OK, SLOW.OK]);
    expect(machine.mmu.probeSlow(16, true)).toBe(SLOW.FAULT);
    expect(machine.mmu.fault.linear).toBe(0x2000n);
  });
});
