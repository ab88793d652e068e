import { describe, expect, it } from 'vitest';
import { BootMemory } from '../../test/support/bootMemory.ts';
import { buildElf } from '../../test/support/elf.ts';
import { UserError } from '../base/errors.ts';
import type { BootOptions } from './bootPlan.ts';
import { planBoot } from './detect.ts';

const MIB = 1024 * 1024;
const OPTIONS: BootOptions = {
  memoryBytes: 64 * MIB,
  cpus: 1,
  append: 'quiet',
  initrd: undefined,
  modules: [],
};
const CODE = Uint8Array.of(0xfa, 0xf4);

const plan = (bytes: Uint8Array, options: Partial<BootOptions> = {}) =>
  planBoot({ name: 'kernel', bytes }, { ...OPTIONS, ...options });
const elf64 = (physicalAddress = 0x10_0000, more = {}) =>
  buildElf({
    bits: 64,
    entry: BigInt(physicalAddress),
    segments: [{ physicalAddress, bytes: CODE }],
    ...more,
  });
function patched(bytes: Uint8Array, offset: number, ...values: number[]): Uint8Array {
  const copy = bytes.slice();
  copy.set(values, offset);
  return copy;
}

describe('an ELF64 file without a boot header', () => {
  const boot = plan(elf64());
  const memory = new BootMemory(boot);

  it('starts in long mode at its entry point', () => {
    expect([boot.loader, boot.entry.mode, boot.entry.rip]).toEqual(['flat64', 'long64', 0x10_0000n]);
  });

  it('has a stack as after a call, aligned as the ABI wants it', () => {
    const stack = Number(boot.entry.gpr.RSP);
    expect((stack + 8) % 16).toBe(0);
    expect(memory.u64(stack)).toBe(0n);
    expect(boot.segments.find(({ name }) => name === 'stack')?.length).toBe(0x1_0000);
  });

  it('has a Multiboot information structure in RDI', () => {
    const information = Number(boot.entry.gpr.RDI);
    expect(memory.string(memory.u32(information + 16))).toBe('kernel quiet');
  });

  it('has a Linux zero page in RSI', () => {
    const zeroPage = Number(boot.entry.gpr.RSI);
    expect(memory.string(memory.u32(zeroPage + 0x228))).toBe('quiet');
    expect(memory.u8(zeroPage + 0x1e8)).toBeGreaterThan(0);
  });

  it('in high virtual memory starts at the physical address of its entry point', () => {
    const bytes = buildElf({
      bits: 64,
      entry: 0xffff_ffff_8010_0001n,
      segments: [{ physicalAddress: 0x10_0000, virtualAddress: 0xffff_ffff_8010_0000n, bytes: CODE }],
    });
    expect(plan(bytes).entry.rip).toBe(0x10_0001n);
  });
});

describe('files that no loader takes', () => {
  it.each([
    ['an empty file', new Uint8Array(0), 'the file is empty'],
    ['a gzip file', Uint8Array.of(0x1f, 0x8b, 8, 0), 'unpack it first (gunzip)'],
    ['an EFI executable', patched(new Uint8Array(64), 0, 0x4d, 0x5a), 'EFI or Windows executable'],
    ['a boot sector', patched(new Uint8Array(512), 510, 0x55, 0xaa), 'boot sector or disk image'],
    ['a CD image', patched(new Uint8Array(0x9000), 0x8001, 0x43, 0x44, 0x30, 0x30, 0x31), 'CD image'],
    ['text', Uint8Array.from('hello', (character) => character.charCodeAt(0)), 'not a kernel image'],
    ['an ELF header that is cut off', elf64().subarray(0, 0x30), 'the ELF file is truncated: its header'],
    ['an ELF file that is cut off', elf64().subarray(0, 0x1001), 'truncated: segment 0 ends at byte 4098'],
    [
      'program headers that are cut off',
      patched(elf64(), 0x38, 0xff, 0x00),
      'truncated: the program header table',
    ],
    ['a big-endian file', patched(elf64(), 5, 2), 'big-endian'],
    ['an unknown class', patched(elf64(), 4, 7), 'no known class'],
    ['code for ARM', elf64(0x10_0000, { machine: 183 }), 'is for AArch64'],
    ['code for something else', elf64(0x10_0000, { machine: 4242 }), 'is for machine 4242'],
    ['an object file', elf64(0x10_0000, { type: 1 }), 'link it to an executable first'],
    ['a core dump', elf64(0x10_0000, { type: 4 }), 'is not an executable'],
    ['no segment', buildElf({ bits: 64, entry: 0n, segments: [] }), 'no segment to load'],
    [
      'more bytes in the file than in memory',
      buildElf({
        bits: 64,
        entry: 0n,
        segments: [{ physicalAddress: 0x10_0000, bytes: CODE, memorySize: 1 }],
      }),
      'more bytes in the file than in memory',
    ],
    ['a segment outside memory', elf64(0x800_0000), 'does not fit into 64 MiB'],
    ['a segment in the BIOS area', elf64(0xf_0000), 'link the image at 1 MiB'],
    ['a segment over the interrupt vectors', elf64(0), 'link the image at 1 MiB'],
    [
      'a segment at the end of the address space',
      patched(elf64(), 0x40 + 0x18, ...new Array(8).fill(0xff)),
      'which no memory has',
    ],
    [
      'overlapping segments',
      buildElf({
        bits: 64,
        entry: 0x10_0000n,
        segments: [
          { physicalAddress: 0x10_0000, bytes: CODE },
          { physicalAddress: 0x10_0001, bytes: CODE },
        ],
      }),
      'overlaps segment 0',
    ],
    [
      'an entry point outside the segments',
      buildElf({ bits: 64, entry: 0x40_0000n, segments: [{ physicalAddress: 0x10_0000, bytes: CODE }] }),
      'lies in none of its segments',
    ],
    [
      '32-bit code without a Multiboot header',
      buildElf({ bits: 32, entry: 0x10_0000n, segments: [{ physicalAddress: 0x10_0000, bytes: CODE }] }),
      '32-bit code without a Multiboot header',
    ],
    [
      'a Multiboot 2 header alone',
      buildElf({
        bits: 64,
        entry: 0x10_0000n,
        segments: [
          { physicalAddress: 0x10_0000, bytes: patched(new Uint8Array(32), 0, 0xd6, 0x50, 0x52, 0xe8) },
        ],
      }),
      'Multiboot 2',
    ],
  ])('%s: one sentence that names the file and what to do', (_, bytes, message) => {
    expect(() => plan(bytes)).toThrow(UserError);
    expect(() => plan(bytes)).toThrow(message);
    expect(() => plan(bytes)).toThrow(/^kernel: /);
  });

  it('a machine with too much or too little memory', () => {
    expect(() => plan(elf64(), { memoryBytes: MIB })).toThrow("set 'memory' to between 2 MiB and 3072 MiB");
    expect(() => plan(elf64(), { memoryBytes: 4096 * MIB })).toThrow(UserError);
  });
});
