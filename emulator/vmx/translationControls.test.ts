/** What controls of the current VMCS change about the translation of the guest's addresses. */
import { describe, expect, it } from 'vitest';
import { AT, guestVmcs, processorInGuest, type TestVmx } from '../../test/support/vmxProcessor.ts';
import { writeExplicit } from '../core/memory.ts';
import { VECTOR, VMX_OPERATION } from '../state/registers.ts';
import type { ControlKey } from './controls.ts';
import { EXIT_REASON_NUMBER } from './exitReasons.ts';
import type { TestVmcs } from './testVmcs.ts';

function guest(...controls: readonly ControlKey[]): TestVmcs {
  return controls.reduce((vmcs, key) => vmcs.control(key, true), guestVmcs());
}
const tertiary = (...controls: readonly ControlKey[]): TestVmcs =>
  guest('activateTertiaryControls', ...controls);

const inGuest = ({ state }: TestVmx): boolean => state.VMX_OPERATION === VMX_OPERATION.NON_ROOT;
const read = ({ cpu }: TestVmx, address: bigint): bigint | undefined =>
  cpu.mmu.readLinear(address, 8, 'supervisor');
const write = ({ cpu }: TestVmx, address: bigint, bytes: 1 | 2 | 4 | 8 = 4): boolean =>
  writeExplicit(cpu, address, bytes, 5n);

function expectExit(test: TestVmx, reason: keyof typeof EXIT_REASON_NUMBER): bigint {
  expect(inGuest(test)).toBe(false);
  expect(Number(test.field('VM_EXIT_REASON'))).toBe(EXIT_REASON_NUMBER[reason]);
  return test.field('EXIT_QUALIFICATION');
}

/** The first 2 MiB of guest-physical memory in 4-KByte pages; gives the table. */
const EPT_PT = AT.EPT + 0x3000;
function smallPages({ physical, cpu }: TestVmx): void {
  for (let page = 0; page < 512; page++)
    physical.write64(EPT_PT + 8 * page, BigInt(page * 4096) | (6n << 3n) | 7n);
  physical.write64(AT.EPT + 0x2000, BigInt(EPT_PT) | 7n);
  cpu.mmu.spaces.flushEverything();
}
const setPage = (test: TestVmx, address: number, bits: bigint): void => {
  test.physical.write64(EPT_PT + 8 * (address >> 12), BigInt(address) | (6n << 3n) | bits);
  test.cpu.mmu.spaces.flushEverything();
};

describe('"enable HLAT"', () => {
  const HLAT = 0x34_0000;
  const HIGH = 0xffff_8000_0000_0000n;
  const RESTART = 1n << 11n;
  /** The HLAT structures translate the 1st GiB of each half to guest-physical 2 MiB; CR3's map low addresses to themselves. */
  const translating = (prefix: bigint): TestVmx => {
    const test = processorInGuest(
      tertiary('enableHlat').set({ HLAT_POINTER: BigInt(HLAT), HLAT_PREFIX_SIZE: prefix }),
    );
    const { physical } = test;
    for (const index of [0, 256]) physical.write64(HLAT + 8 * index, BigInt(HLAT + 0x1000) | 7n);
    physical.write64(HLAT + 0x1000, BigInt(HLAT + 0x2000) | 7n);
    physical.write64(HLAT + 0x2000, 0x20_0087n);
    physical.write64(0x20_1000, 0x77n);
    physical.write64(0x1000, 0x11n);
    // Ordinary paging knows the high half too: it is the low one.
    physical.write64(AT.TABLES + 8 * 256, physical.read64(AT.TABLES));
    return test;
  };

  it('translates addresses with bit 63 from the HLAT pointer if the prefix size is 1', () => {
    const test = translating(1n);
    expect(read(test, HIGH + 0x1000n)).toBe(0x77n);
    expect(read(test, 0x1000n)).toBe(0x11n);
    expect(test.cpu.mmu.walkReport(HIGH + 0x1000n).guestPhysical).toBe(0x20_1000);
  });

  it('translates all addresses so if the prefix size is 0', () => {
    expect(read(translating(0n), 0x1000n)).toBe(0x77n);
  });

  it('is not used without the control', () => {
    const test = processorInGuest(guest());
    test.physical.write64(0x1000, 0x11n);
    expect(read(test, 0x1000n)).toBe(0x11n);
  });

  it('starts over with ordinary paging at an entry whose bit 11 is 1', () => {
    const test = translating(1n);
    test.physical.write64(HLAT + 0x2000, 0x20_0087n | RESTART);
    expect(read(test, HIGH + 0x1000n)).toBe(0x11n);
  });

  it('sets bit 7 of the error code when an HLAT entry is not present, and only then', () => {
    const test = translating(1n);
    test.physical.write64(HLAT + 0x2000, 0n);
    expect(write(test, HIGH)).toBe(false);
    expect(test.cpu.fault).toMatchObject({ vector: VECTOR.PF, errorCode: 0x82 });
    expect(write(test, 0x4000_0000n)).toBe(false);
    expect(test.cpu.fault).toMatchObject({ vector: VECTOR.PF, errorCode: 0x02 });
    // A restarted translation is an ordinary one.
    test.physical.write64(HLAT + 0x2000, 1n | RESTART);
    expect(write(test, HIGH + 0x4000_0000n)).toBe(false);
    expect(test.cpu.fault.errorCode).toBe(0x82);
    test.physical.write64(HLAT + 0x1008, 1n | RESTART);
    expect(write(test, HIGH + 0x4000_0000n)).toBe(false);
    expect(test.cpu.fault.errorCode).toBe(0x02);
  });

  it('sees another HLAT pointer with the next VM entry', () => {
    const test = translating(1n);
    expect(read(test, HIGH + 0x1000n)).toBe(0x77n);
    test.vmx.interceptTripleFault();
    const other = HLAT + 0x4000;
    test.physical.write64(other + 8 * 256, BigInt(AT.TABLES + 0x1000) | 7n);
    test.vmx.vmwrite('HLAT_POINTER', BigInt(other));
    test.vmx.enterGuest();
    expect(read(test, HIGH + 0x1000n)).toBe(0x11n);
  });
});

describe('"EPT paging-write control"', () => {
  const PAGING_WRITE = 1n << 58n;
  /** The guest's page tables lie in a page that EPT lets nobody write; their accessed flags are 0. */
  const writing = (bits: bigint, ...controls: readonly ControlKey[]): TestVmx => {
    const test = processorInGuest(tertiary(...controls).set({ GUEST_CR3: 0x10_0000n }));
    smallPages(test);
    test.physical.write64(0x10_0000, 0x10_1003n);
    test.physical.write64(0x10_1000, 0x83n);
    setPage(test, 0x10_0000, bits);
    return test;
  };

  it('lets guest paging set accessed and dirty flags where bit 58 of the EPT entry is 1', () => {
    const test = writing(1n | PAGING_WRITE, 'eptPagingWriteControl');
    expect(read(test, 0x5000n)).toBe(0n);
    expect(test.physical.read64(0x10_0000)).toBe(0x10_1023n);
    // Others may not write there.
    expect(write(test, 0x10_0000n)).toBe(false);
    expectExit(test, 'eptViolation');
  });

  it.each([
    ['bit 58 is 0', 1n, ['eptPagingWriteControl']],
    ['the control is 0', 1n | PAGING_WRITE, []],
  ] as const)('is an EPT violation where %s', (_what, bits, controls) => {
    const test = writing(bits, ...controls);
    expect(read(test, 0x5000n)).toBeUndefined();
    test.cpu.raiseMemoryFault();
    // A write to a paging-structure entry, in a page that may be read alone.
    expect(expectExit(test, 'eptViolation') & 0x1ffn).toBe(0x8bn);
  });

  it('misconfigures an entry that has bit 58 and cannot be read', () => {
    const test = writing(4n | PAGING_WRITE, 'eptPagingWriteControl');
    expect(read(test, 0x5000n)).toBeUndefined();
    test.cpu.raiseMemoryFault();
    expectExit(test, 'eptMisconfiguration');
  });
});

describe('"guest-paging verification"', () => {
  const VERIFY = 1n << 57n;
  const PAGING_WRITE = 1n << 58n;
  const verifying = (tables: bigint, ...controls: readonly ControlKey[]): TestVmx => {
    const test = processorInGuest(tertiary(...controls).set({ GUEST_CR3: 0x10_0000n }));
    smallPages(test);
    test.physical.write64(0x10_0000, 0x10_1027n);
    test.physical.write64(0x10_1000, 0xe7n);
    setPage(test, 0x10_0000, 7n | tables);
    setPage(test, 0x10_1000, 7n | tables);
    setPage(test, 0x5000, 7n | VERIFY);
    return test;
  };

  it('permits access to a page with bit 57 through tables with bit 58 alone', () => {
    const test = verifying(PAGING_WRITE, 'guestPagingVerification');
    expect(read(test, 0x5000n)).toBe(0n);
    const other = verifying(0n, 'guestPagingVerification');
    // Another page is nobody's concern.
    expect(read(other, 0x6000n)).toBe(0n);
    expect(read(other, 0x5000n)).toBeUndefined();
    other.cpu.raiseMemoryFault();
    expect(expectExit(other, 'eptViolation') & 0x81ffn).toBe(0x81b9n);
  });

  it('is nobody’s concern without the control', () => {
    expect(read(verifying(0n), 0x5000n)).toBe(0n);
  });
});

describe('"sub-page write permissions for EPT"', () => {
  const TABLE = 0x34_0000;
  const SUB_PAGE = 1n << 61n;
  const LAST = TABLE + 0x3000;
  /** Sub-pages 0 and 1 of guest-physical 5000H may be written. */
  const protecting = (...controls: readonly ControlKey[]): TestVmx => {
    const test = processorInGuest(
      guest(...controls).set({ SUB_PAGE_PERMISSION_TABLE_POINTER: BigInt(TABLE) }),
    );
    smallPages(test);
    for (const level of [0, 0x1000, 0x2000])
      test.physical.write64(TABLE + level, BigInt(TABLE + level + 0x1000) | 1n);
    test.physical.write64(LAST + 8 * 5, 0b101n);
    setPage(test, 0x5000, 5n | SUB_PAGE);
    return test;
  };
  const offering = () => protecting('subPageWritePermissions');

  it('lets the 128-byte sub-pages be written whose bit is 1', () => {
    const test = offering();
    expect(write(test, 0x5000n)).toBe(true);
    expect(write(test, 0x50f8n, 8)).toBe(true);
    // Across two that both may be written.
    expect(write(test, 0x507cn, 8)).toBe(true);
    expect(test.physical.read32(0x5000)).toBe(5);
    expect(read(test, 0x5800n)).toBe(0n);
  });

  it.each([
    ['another sub-page', 0x5100n, 4],
    ['a write that begins in one and ends in another', 0x50fcn, 8],
  ] as const)('is an EPT violation for %s', (_what, address, bytes) => {
    const test = offering();
    expect(write(test, address, bytes)).toBe(false);
    expect(expectExit(test, 'eptViolation') & 0x1ffn).toBe(0x1aan);
    expect(test.physical.read32(0x5100)).toBe(0);
  });

  it('is an EPT violation where bit 61 or the control is 0', () => {
    const test = protecting();
    expect(write(test, 0x5000n)).toBe(false);
    expectExit(test, 'eptViolation');
    const other = offering();
    setPage(other, 0x5000, 5n);
    expect(write(other, 0x5000n)).toBe(false);
    expectExit(other, 'eptViolation');
  });

  it('is for the last entry alone: an entry above that forbids writes is an EPT violation', () => {
    const test = offering();
    const page = test.physical.read64(AT.EPT + 0x2000);
    test.physical.write64(AT.EPT + 0x2000, page & ~2n);
    test.cpu.mmu.spaces.flushEverything();
    expect(write(test, 0x5000n)).toBe(false);
    expectExit(test, 'eptViolation');
  });

  it('is for pages of 4 KBytes: bit 61 of an entry that maps 2 MBytes is ignored', () => {
    const test = offering();
    test.physical.write64(AT.EPT + 0x2000, SUB_PAGE | (6n << 3n) | 0x85n);
    test.cpu.mmu.spaces.flushEverything();
    expect(write(test, 0x5000n)).toBe(false);
    expectExit(test, 'eptViolation');
  });

  it('is not for writes by guest paging', () => {
    const test = processorInGuest(
      guest('subPageWritePermissions').set({
        SUB_PAGE_PERMISSION_TABLE_POINTER: BigInt(TABLE),
        GUEST_CR3: 0x10_0000n,
      }),
    );
    const { physical } = test;
    smallPages(test);
    for (const level of [0, 0x1000, 0x2000])
      physical.write64(TABLE + level, BigInt(TABLE + level + 0x1000) | 1n);
    physical.write64(LAST + 8 * 0x100, 0x5555_5555_5555_5555n);
    physical.write64(0x10_0000, 0x10_1003n);
    physical.write64(0x10_1000, 0x83n);
    setPage(test, 0x10_0000, 5n | SUB_PAGE);
    // Setting the accessed flag.
    expect(read(test, 0x5000n)).toBeUndefined();
    test.cpu.raiseMemoryFault();
    expect(expectExit(test, 'eptViolation') & 0x1ffn).toBe(0xabn);
  });

  it('sets the dirty flag of the page that it lets be written, and logs it', () => {
    const LOG = 0x35_0000;
    const test = processorInGuest(
      guest('subPageWritePermissions', 'enablePml').set({
        SUB_PAGE_PERMISSION_TABLE_POINTER: BigInt(TABLE),
        EPT_POINTER: BigInt(AT.EPT) | 0x5en,
        PML_ADDRESS: BigInt(LOG),
        PML_INDEX: 511n,
      }),
    );
    smallPages(test);
    for (const level of [0, 0x1000, 0x2000])
      test.physical.write64(TABLE + level, BigInt(TABLE + level + 0x1000) | 1n);
    test.physical.write64(LAST + 8 * 5, 0b101n);
    setPage(test, 0x5000, 5n | SUB_PAGE);
    const logged = (): bigint[] =>
      Array.from({ length: 511 - Number(test.field('PML_INDEX')) }, (_, entry) =>
        test.physical.read64(LOG + 8 * (511 - entry)),
      );
    expect(write(test, 0x5100n)).toBe(false);
    expect(test.physical.read64(EPT_PT + 8 * 5) & 0x200n).toBe(0n);
    expect(logged()).not.toContain(0x5000n);
    test.vmx.enterGuest();
    expect(write(test, 0x5084n)).toBe(true);
    expect(test.physical.read64(EPT_PT + 8 * 5) & 0x300n).toBe(0x300n);
    expect(logged().filter((address) => address === 0x5000n)).toHaveLength(1);
  });

  it.each([
    ['a miss where an entry is not valid', TABLE + 0x1000, 0n, 1n << 11n],
    ['a misconfiguration for a reserved bit of an entry', TABLE + 0x1000, BigInt(TABLE + 0x2000) | 3n, 0n],
    ['a misconfiguration for an odd bit of the last one', LAST + 40, 0b111n, 0n],
  ] as const)('is an SPP-related event: %s', (_what, at, entry, qualification) => {
    const test = offering();
    test.physical.write64(at, entry);
    expect(write(test, 0x5004n)).toBe(false);
    expect(expectExit(test, 'sppRelatedEvent')).toBe(qualification);
    expect(test.field('GUEST_PHYSICAL_ADDRESS')).toBe(0x5004n);
    expect(test.field('GUEST_LINEAR_ADDRESS')).toBe(0x5004n);
  });
});

describe('"advanced VM-exit information for EPT violations"', () => {
  it.each([
    ['a user-mode read/write page', 0x87n, 0x600n],
    ['a supervisor read-only page', 0x81n, 0x000n],
    ['an execute-disable page', 0x87n | (1n << 63n), 0xe00n],
  ])('tells of %s', (_what, entry, bits) => {
    const test = processorInGuest();
    // Linear 1 GiB is guest-physical 1 GiB, which EPT does not map.
    test.physical.write64(AT.TABLES + 0x1000 + 8, 0x4000_0000n | entry);
    expect(read(test, 0x4000_0000n)).toBeUndefined();
    test.cpu.raiseMemoryFault();
    expect(expectExit(test, 'eptViolation') & 0xe00n).toBe(bits);
  });
});

describe('EPT of a processor', () => {
  const PAGE = 1n << 7n;
  const WRITE_BACK = 6n << 3n;
  const EXECUTE = 4n;
  const small = (test: TestVmx): void => {
    smallPages(test);
    setPage(test, 0x5000, EXECUTE);
  };
  const large = (entry: number) => (test: TestVmx) => {
    test.physical.write64(AT.EPT + entry, WRITE_BACK | PAGE | 7n);
    test.cpu.mmu.spaces.flushEverything();
  };

  it.each([
    ['execute-only translations', '-vmx-ept-execute-only', small, 'eptViolation'],
    ['2-MByte pages', '-vmx-ept-page-2m', large(0x2000), undefined],
    ['1-GByte pages', '-vmx-ept-page-1g', large(0x1000), undefined],
  ] as const)('without %s misconfigures an entry that would be one', (_what, less, prepare, otherwise) => {
    const run = (cpuModel: string): TestVmx => {
      const test = processorInGuest(guestVmcs(), cpuModel);
      prepare(test);
      if (read(test, 0x5000n) === undefined) test.cpu.raiseMemoryFault();
      return test;
    };
    const whole = run('sapphire-rapids');
    if (otherwise === undefined) expect(inGuest(whole)).toBe(true);
    else expectExit(whole, otherwise);
    expectExit(run(`sapphire-rapids,${less}`), 'eptMisconfiguration');
  });
});

describe('accessed and dirty flags for EPT', () => {
  const LOG = 0x35_0000;
  const AD = BigInt(AT.EPT) | 0x5en;
  const flags = ({ physical }: TestVmx, page: number): bigint =>
    physical.read64(EPT_PT + 8 * (page >> 12)) & 0x300n;
  /** A guest whose page tables are at 1 MiB, all of their flags set; EPT maps 4-KByte pages. */
  const tracking = (index: bigint, ...controls: readonly ControlKey[]): TestVmx => {
    const test = processorInGuest(
      guest(...controls).set({
        GUEST_CR3: 0x10_0000n,
        EPT_POINTER: AD,
        PML_ADDRESS: BigInt(LOG),
        PML_INDEX: index,
      }),
    );
    smallPages(test);
    test.physical.write64(0x10_0000, 0x10_1027n);
    test.physical.write64(0x10_1000, 0xe7n);
    test.cpu.mmu.spaces.flushEverything();
    return test;
  };
  const logged = (test: TestVmx, index: number): bigint[] =>
    Array.from({ length: (index - Number(test.field('PML_INDEX'))) & 0xffff }, (_, entry) =>
      test.physical.read64(LOG + 8 * (index - entry)),
    );

  it('take every access to a guest paging structure for a write; the page that is read is not dirty', () => {
    const test = tracking(511n, 'enablePml');
    expect(read(test, 0x5008n)).toBe(0n);
    expect([0x10_0000, 0x10_1000, 0x5000].map((page) => flags(test, page))).toEqual([0x300n, 0x300n, 0x100n]);
    expect(logged(test, 511)).toEqual([0x10_0000n, 0x10_1000n]);
    expect(write(test, 0x5008n)).toBe(true);
    expect(flags(test, 0x5000)).toBe(0x300n);
    // With bits 11:0 at 0, and once.
    expect(write(test, 0x5010n)).toBe(true);
    expect(logged(test, 511)).toEqual([0x10_0000n, 0x10_1000n, 0x5000n]);
  });

  it('are not logged without the control', () => {
    const test = tracking(511n);
    expect(write(test, 0x5008n)).toBe(true);
    expect(flags(test, 0x5000)).toBe(0x300n);
    expect(test.field('PML_INDEX')).toBe(511n);
  });

  it('are logged to entry 0, after which the index is FFFFH and the log is full', () => {
    const test = tracking(1n, 'enablePml');
    expect(read(test, 0x5008n)).toBeUndefined();
    test.cpu.raiseMemoryFault();
    // Both tables are logged; the accessed flag of the page is what has no room.
    expect(test.physical.read64(LOG + 8)).toBe(0x10_0000n);
    expect(test.physical.read64(LOG)).toBe(0x10_1000n);
    expectExit(test, 'pageModificationLogFull');
    expect(test.field('PML_INDEX')).toBe(0xffffn);
    expect(flags(test, 0x5000)).toBe(0n);
  });

  it('make the log full with any index above 511, and set nothing', () => {
    const test = tracking(512n, 'enablePml');
    expect(write(test, 0x5008n)).toBe(false);
    expectExit(test, 'pageModificationLogFull');
    expect(flags(test, 0x10_0000)).toBe(0n);
    expect(test.field('PML_INDEX')).toBe(512n);
  });

  it('that are set ask for no room in the log', () => {
    const test = tracking(512n, 'enablePml');
    for (const page of [0x10_0000, 0x10_1000, 0x5000]) setPage(test, page, 0x307n);
    test.physical.write64(AT.EPT, test.physical.read64(AT.EPT) | 0x100n);
    test.physical.write64(AT.EPT + 0x1000, test.physical.read64(AT.EPT + 0x1000) | 0x100n);
    test.physical.write64(AT.EPT + 0x2000, test.physical.read64(AT.EPT + 0x2000) | 0x100n);
    test.cpu.mmu.spaces.flushEverything();
    expect(write(test, 0x5008n)).toBe(true);
  });

  it('refuse guest paging structures in pages that may be read alone, with both bits of the access', () => {
    const test = tracking(511n);
    setPage(test, 0x10_1000, 1n);
    expect(read(test, 0x5008n)).toBeUndefined();
    test.cpu.raiseMemoryFault();
    expect(expectExit(test, 'eptViolation') & 0x1ffn).toBe(0x8bn);
    expect(test.field('GUEST_PHYSICAL_ADDRESS')).toBe(0x10_1000n);
  });
});
