import { describe, expect, it } from 'vitest';
import { BootMemory } from '../../test/support/bootMemory.ts';
import { buildBzImage, type TestBzImage } from '../../test/support/bzImage.ts';
import { UserError } from '../base/errors.ts';
import type { BootOptions } from './bootPlan.ts';
import { planBoot } from './detect.ts';

const MIB = 1024 * 1024;
const OPTIONS: BootOptions = { memoryBytes: 64 * MIB, cpus: 1, append: '', initrd: undefined, modules: [] };
const KERNEL = new Uint8Array(0x400).fill(0x90);

const plan = (image: Partial<TestBzImage> = {}, options: Partial<BootOptions> = {}) =>
  planBoot(
    { name: 'bzImage', bytes: buildBzImage({ kernel: KERNEL, ...image }) },
    { ...OPTIONS, ...options },
  );

describe('Linux boot protocol, entry', () => {
  it('a kernel with XLF_KERNEL_64 starts in long mode at +0x200', () => {
    const { loader, entry } = plan();
    expect(loader).toBe('linux');
    expect(entry.mode).toBe('long64');
    expect(entry.rip).toBe(0x10_0200n);
    expect([entry.cr0, entry.cr4, entry.efer]).toEqual([0x8000_0011, 0x20, 0x500]);
  });

  it('another starts in protected mode at its load address', () => {
    const { entry } = plan({ has64BitEntry: false });
    expect([entry.mode, entry.rip, entry.cr0]).toEqual(['protected32', 0x10_0000n, 0x11]);
  });

  it('the selectors are __BOOT_CS and __BOOT_DS', () => {
    const boot = plan();
    expect([boot.entry.codeSelector, boot.entry.dataSelector]).toEqual([0x10, 0x18]);
    expect(new BootMemory(boot).u64(boot.entry.gdt.base + 0x10)).toBe(0x00af_9b00_0000_ffffn);
  });

  it('the page tables map the first 4 GiB to themselves', () => {
    const boot = plan();
    const memory = new BootMemory(boot);
    for (const address of [0, 0x10_0000, 0xfee0_0000, 0xffff_f000]) {
      const pml4e = memory.u64(boot.entry.cr3);
      const pdpte = memory.u64(Number(pml4e & ~0xfffn) + Math.floor(address / 0x4000_0000) * 8);
      const pde = memory.u64(Number(pdpte & ~0xfffn) + (Math.floor(address / 0x20_0000) % 512) * 8);
      expect([pml4e & 3n, pdpte & 3n, pde & 0x83n]).toEqual([3n, 3n, 0x83n]);
      expect(Number(pde & ~0x1f_ffffn) + (address % 0x20_0000)).toBe(address);
    }
    expect(boot.entry.cr3 % 4096).toBe(0);
  });

  it('a relocatable kernel goes to the address that it prefers', () => {
    const boot = plan({ relocatable: true, preferredAddress: 16 * MIB, initSize: 0x8000 });
    expect(boot.entry.rip).toBe(BigInt(16 * MIB + 0x200));
    expect(boot.segments.find(({ name }) => name === 'kernel')).toMatchObject({
      address: 16 * MIB,
      length: 0x8000,
    });
  });
});

describe('Linux boot protocol, zero page', () => {
  const initrd = { name: 'initrd.img', bytes: new Uint8Array(10_000).fill(0x5a) };
  const boot = plan({}, { append: 'console=ttyS0', initrd });
  const memory = new BootMemory(boot);
  const zeroPage = Number(boot.entry.gpr.RSI);

  it('has the setup header of the file', () => {
    expect(memory.u32(zeroPage + 0x202)).toBe(0x5372_6448);
    expect(memory.u16(zeroPage + 0x206)).toBe(0x020f);
    expect(memory.u8(zeroPage + 0x210)).toBe(0xff);
    expect(memory.u32(zeroPage + 0x214)).toBe(0x10_0000);
  });

  it('has the command line', () => {
    expect(memory.string(memory.u32(zeroPage + 0x228))).toBe('console=ttyS0');
  });

  it('has the initrd, page-aligned at the end of memory', () => {
    const address = memory.u32(zeroPage + 0x218);
    expect(address).toBe(64 * MIB - 0x3000);
    expect(memory.u32(zeroPage + 0x21c)).toBe(10_000);
    expect(memory.u8(address + 9999)).toBe(0x5a);
  });

  it('has the memory map', () => {
    expect(memory.u8(zeroPage + 0x1e8)).toBe(6);
    expect([
      memory.u64(zeroPage + 0x2d0),
      memory.u64(zeroPage + 0x2d8),
      memory.u32(zeroPage + 0x2e0),
    ]).toEqual([0n, 0x9_fc00n, 1]);
    expect(memory.u32(zeroPage + 0x1e0)).toBe(63 * 1024);
  });

  it('has the address of the ACPI tables', () => {
    const rsdp = Number(memory.u64(zeroPage + 0x70));
    expect(String.fromCharCode(...memory.bytes(rsdp, 8))).toBe('RSD PTR ');
  });

  it('describes the VGA text screen', () => {
    expect([
      memory.u8(zeroPage + 6),
      memory.u8(zeroPage + 7),
      memory.u8(zeroPage + 14),
      memory.u8(zeroPage + 15),
    ]).toEqual([3, 80, 25, 1]);
  });

  it('without an initrd says so', () => {
    const without = plan();
    expect(new BootMemory(without).u32(Number(without.entry.gpr.RSI) + 0x21c)).toBe(0);
  });
});

describe('Linux boot protocol, refusals', () => {
  it.each([
    ['an old protocol', () => plan({ version: 0x0201 }), 'speaks boot protocol 2.01'],
    ['a zImage', () => plan({ loadedHigh: false }), 'this is a zImage'],
    ['a command line that is too long', () => plan({}, { append: 'x'.repeat(256) }), "shorten 'append'"],
    [
      'modules',
      () => plan({}, { modules: [{ name: 'm', bytes: new Uint8Array(1), commandLine: '' }] }),
      'takes no modules',
    ],
    [
      'a kernel that needs more memory',
      () => plan({ initSize: 64 * MIB }),
      'does not fit into 64 MiB of memory',
    ],
    [
      'an initrd that does not fit',
      () => plan({}, { initrd: { name: 'initrd', bytes: new Uint8Array(64 * MIB) } }),
      'no room for initrd',
    ],
    [
      'a truncated file',
      () =>
        planBoot({ name: 'bzImage', bytes: buildBzImage({ kernel: KERNEL }).subarray(0, 0x700) }, OPTIONS),
      'the kernel is truncated',
    ],
  ])('%s', (_, boot, message) => {
    expect(boot).toThrow(UserError);
    expect(boot).toThrow(message);
  });
});
