import { describe, expect, it } from 'vitest';
import { BootMemory } from '../../test/support/bootMemory.ts';
import { buildElf, multibootHeader } from '../../test/support/elf.ts';
import { UserError } from '../base/errors.ts';
import type { BootOptions } from './bootPlan.ts';
import { concatenate } from './bytes.ts';
import { planBoot } from './detect.ts';

const OPTIONS: BootOptions = {
  memoryBytes: 64 * 1024 * 1024,
  cpus: 1,
  append: '',
  initrd: undefined,
  modules: [],
};

const CODE = Uint8Array.of(0xfa, 0xf4);

function kernel(flags = 0, bits: 32 | 64 = 32): Uint8Array {
  return buildElf({
    bits,
    entry: 0x10_000cn,
    segments: [
      { physicalAddress: 0x10_0000, bytes: concatenate([multibootHeader(flags), CODE]), memorySize: 0x3000 },
    ],
  });
}

const plan = (bytes: Uint8Array, options: Partial<BootOptions> = {}) =>
  planBoot({ name: 'dir/my kernel.elf', bytes }, { ...OPTIONS, ...options });

describe('Multiboot machine state', () => {
  it('EAX has the magic value, EBX the information structure, paging is off', () => {
    const { loader, entry } = plan(kernel());
    expect(loader).toBe('multiboot1');
    expect(entry.mode).toBe('protected32');
    expect(entry.rip).toBe(0x10_000cn);
    expect(entry.gpr.RAX).toBe(0x2bad_b002n);
    expect([entry.cr0, entry.cr3, entry.cr4, entry.efer]).toEqual([0x11, 0, 0, 0]);
  });

  it('the GDT in memory describes the flat segments that are loaded', () => {
    const boot = plan(kernel());
    const memory = new BootMemory(boot);
    const { gdt, codeSelector, dataSelector } = boot.entry;
    expect(memory.u64(gdt.base + codeSelector)).toBe(0x00cf_9b00_0000_ffffn);
    expect(memory.u64(gdt.base + dataSelector)).toBe(0x00cf_9300_0000_ffffn);
    expect(gdt.limit).toBe(0x1f);
  });
});

describe('Multiboot image loading', () => {
  it('loads an ELF segment at its physical address and zeroes the rest', () => {
    const boot = plan(kernel());
    const segment = boot.segments.find(({ name }) => name === 'segment 0');
    expect(segment).toMatchObject({ address: 0x10_0000, length: 0x3000 });
    expect(new BootMemory(boot).u16(0x10_000c)).toBe(0xf4fa);
  });

  it('loads ELF64 files too', () => {
    expect(plan(kernel(0, 64)).entry.rip).toBe(0x10_000cn);
  });

  it('translates a virtual entry point by the segment that it lies in', () => {
    const bytes = buildElf({
      bits: 32,
      entry: 0xc010_000cn,
      segments: [
        {
          physicalAddress: 0x10_0000,
          virtualAddress: 0xc010_0000n,
          bytes: concatenate([multibootHeader(0), CODE]),
        },
      ],
    });
    expect(plan(bytes).entry.rip).toBe(0x10_000cn);
  });

  it('loads a flat binary by the address fields', () => {
    const header = multibootHeader(0x1_0000, [0x20_0010, 0x20_0000, 0x20_0100, 0x20_1000, 0x20_0040]);
    const file = new Uint8Array(0x200);
    file.set(header, 0x90);
    file.set(CODE, 0x80 + 0x40);
    const boot = plan(file);
    expect(boot.entry.rip).toBe(0x20_0040n);
    const image = boot.segments.find(({ name }) => name === 'image');
    expect(image).toMatchObject({ address: 0x20_0000, length: 0x1000 });
    expect(image?.bytes.length).toBe(0x100);
    expect(new BootMemory(boot).u16(0x20_0040)).toBe(0xf4fa);
  });

  it('load_end_addr 0 loads up to the end of the file, bss_end_addr 0 means no bss', () => {
    const file = new Uint8Array(0x200);
    file.set(multibootHeader(0x1_0000, [0x20_0000, 0x20_0000, 0, 0, 0x20_0020]));
    const image = plan(file).segments.find(({ name }) => name === 'image');
    expect(image).toMatchObject({ address: 0x20_0000, length: 0x200 });
  });
});

describe('Multiboot information', () => {
  const modules = [
    { name: 'boot/initrd.img', bytes: new Uint8Array(5000).fill(0xab), commandLine: 'root=/dev/ram' },
    { name: 'empty', bytes: new Uint8Array(0), commandLine: '' },
  ];
  const boot = plan(kernel(), { append: 'console=com1', modules });
  const memory = new BootMemory(boot);
  const information = Number(boot.entry.gpr.RBX);

  it('names what is valid: memory, command line, modules, memory map, loader name, framebuffer', () => {
    expect(memory.u32(information)).toBe(0x124d);
  });

  it('gives lower and upper memory in kilobytes', () => {
    expect(memory.u32(information + 4)).toBe(639);
    expect(memory.u32(information + 8)).toBe(63 * 1024);
  });

  it('gives the command line with the name of the image before it', () => {
    expect(memory.string(memory.u32(information + 16))).toBe('my_kernel.elf console=com1');
  });

  it('gives the loader name', () => {
    expect(memory.string(memory.u32(information + 64))).toBe('HVM Debugger');
  });

  it('gives the modules, page-aligned behind the kernel', () => {
    expect(memory.u32(information + 20)).toBe(2);
    const list = memory.u32(information + 24);
    const start = memory.u32(list);
    expect(start).toBe(0x10_3000);
    expect(memory.u32(list + 4)).toBe(start + 5000);
    expect(memory.u8(start + 4999)).toBe(0xab);
    expect(memory.string(memory.u32(list + 8))).toBe('initrd.img root=/dev/ram');
    expect(memory.u32(list + 16)).toBe(0x10_5000);
    expect(memory.u32(list + 20)).toBe(0x10_5000);
    expect(memory.string(memory.u32(list + 24))).toBe('empty');
  });

  it('gives a memory map whose entries do not count their size field', () => {
    const length = memory.u32(information + 44);
    const map = memory.u32(information + 48);
    const entries = [];
    for (let at = map; at < map + length; at += memory.u32(at) + 4) {
      entries.push([memory.u64(at + 4), memory.u64(at + 12), memory.u32(at + 20)]);
    }
    expect(entries.slice(0, 4)).toEqual([
      [0n, 0x9_fc00n, 1],
      [0x9_fc00n, 0x400n, 2],
      [0xe_0000n, 0x2_0000n, 2],
      [0x10_0000n, 0x3f0_0000n, 1],
    ]);
  });

  it('gives the text screen as the framebuffer', () => {
    expect(memory.u64(information + 88)).toBe(0xb_8000n);
    expect([
      memory.u32(information + 96),
      memory.u32(information + 100),
      memory.u32(information + 104),
    ]).toEqual([160, 80, 25]);
    expect(memory.u8(information + 109)).toBe(2);
  });

  it('lies in usable memory, apart from everything else', () => {
    let end = 0;
    for (const { address, length } of boot.segments) {
      expect(address).toBeGreaterThanOrEqual(end);
      end = address + length;
    }
    expect(end).toBeLessThanOrEqual(OPTIONS.memoryBytes);
  });
});

describe('Multiboot refusals', () => {
  it.each([
    ['an unknown requirement', () => plan(kernel(0x8)), 'requires feature bits 0x8'],
    ['a header that is not in ELF and has no addresses', () => plan(multibootHeader(0)), 'set flag bit 16'],
    [
      'address fields that lie before the file',
      () =>
        plan(concatenate([multibootHeader(0x1_0000, [0x20_0010, 0x20_0000, 0, 0, 0]), new Uint8Array(64)])),
      'do not fit the file',
    ],
    [
      'a file that ends inside the header',
      () => plan(multibootHeader(0x1_0000, [0x20_0000])),
      'ends inside its Multiboot header',
    ],
    [
      'an entry point in high virtual memory',
      () =>
        plan(
          buildElf({
            bits: 64,
            entry: 0xffff_ffff_8000_0000n,
            segments: [{ physicalAddress: 0x10_0000, bytes: multibootHeader(0) }],
          }),
        ),
      '0xffffffff80000000 is in no segment below 4 GiB',
    ],
    [
      'modules larger than memory',
      () =>
        plan(kernel(), {
          memoryBytes: 2 * 1024 * 1024,
          modules: [{ name: 'big', bytes: new Uint8Array(2 * 1024 * 1024), commandLine: '' }],
        }),
      'no room for module big',
    ],
  ])('%s', (_, boot, message) => {
    expect(boot).toThrow(UserError);
    expect(boot).toThrow(message);
  });
});
