import { describe, expect, it } from 'vitest';
import { processorWithVmx } from '../../test/support/vmxProcessor.ts';
import { UserError } from '../base/errors.ts';
import { EPT_PERMISSION, Ept } from './ept.ts';
import { hostMemoryBytes, PageAllocator, VMM_AREA, VMM_PAGES } from './memoryMap.ts';

const LARGE = 0x20_0000;

function tables() {
  const { cpu, physical } = processorWithVmx();
  let next = 0x1_0000;
  const ept = new Ept({
    physical,
    allocate: () => {
      next += 0x1000;
      return next - 0x1000;
    },
  });
  const translate = (address: number): string => {
    cpu.mmu.spaces.switchTo(1, ept.pointer);
    const { secondLevel, host, failure } = cpu.mmu.walkReport(BigInt(address));
    cpu.mmu.spaces.switchTo(0, undefined);
    return failure ?? `${host?.toString(16)} by ${secondLevel.at(-1)?.name}`;
  };
  return { cpu, ept, translate, used: () => (next - 0x1_0000) / 0x1000 };
}

describe('the extended page tables of a guest', () => {
  it('map with large pages where both addresses allow it', () => {
    const { cpu, ept, translate, used } = tables();
    // No paging: linear addresses are guest-physical ones.
    cpu.state.CR0 &= ~0x8000_0000n;
    cpu.state.IA32_EFER = 0n;
    ept.map(0, 4 * LARGE, 2 * LARGE, EPT_PERMISSION.ALL);
    expect(translate(0x12_3456)).toBe('923456 by EPT PDE');
    expect(translate(LARGE + 1)).toBe('a00001 by EPT PDE');
    expect(used()).toBe(3);
  });

  it('map with small pages at the edges, and nothing in holes', () => {
    const { cpu, ept, translate } = tables();
    cpu.state.CR0 &= ~0x8000_0000n;
    cpu.state.IA32_EFER = 0n;
    ept.map(0, LARGE, 0xa_0000, EPT_PERMISSION.ALL);
    ept.map(0xc_0000, LARGE + 0xc_0000, LARGE - 0xc_0000 + 0x3000, EPT_PERMISSION.ALL);
    expect(translate(0x9_ffff)).toBe('29ffff by EPT PTE');
    expect(translate(0xa_0000)).toMatch(/EPT violation/);
    expect(translate(0xb_8000)).toMatch(/EPT violation/);
    expect(translate(0xc_0000)).toBe('2c0000 by EPT PTE');
    expect(translate(LARGE + 0x2fff)).toBe('402fff by EPT PTE');
    expect(translate(LARGE + 0x3000)).toMatch(/EPT violation/);
  });

  it('are named by a pointer for write-back memory and a walk of four levels', () => {
    const { ept } = tables();
    expect(ept.pointer).toBe(BigInt(ept.root) | 0x1en);
  });
});

describe('host-physical memory in guest mode', () => {
  it('has the VMM below the guests, and neither at 0', () => {
    expect(VMM_AREA.base).toBeGreaterThan(0);
    const pages = new PageAllocator(hostMemoryBytes([0x30_0000, LARGE]));
    expect(pages.page()).toBe(VMM_PAGES.firstFree);
    expect(pages.page()).toBe(VMM_PAGES.firstFree + 0x1000);
    const first = pages.guest(0x30_0000);
    expect(first).toBe(LARGE);
    expect(pages.guest(LARGE)).toBe(first + 2 * LARGE);
  });

  it('refuses guests that the machine cannot hold', () => {
    expect(() => hostMemoryBytes([3 * 1024 ** 3])).toThrow(UserError);
    const pages = new PageAllocator(hostMemoryBytes([LARGE]));
    pages.guest(LARGE);
    expect(() => pages.guest(LARGE)).toThrow(UserError);
  });
});
