/** What each capability of IA32_VMX_EPT_VPID_CAP is for: the same on a processor with it and on one without. */
import { OUTCOME } from '../../emulator/core/outcome.ts';
import { mem, reg, testInstruction } from '../../emulator/core/testing/instruction.ts';
import { readRflags } from '../../emulator/state/flags.ts';
import { FLAG, RAX } from '../../emulator/state/registers.ts';
import type { EPT_VPID_BITS } from '../../emulator/vmx/capabilities.ts';
import { EXIT_REASON_NUMBER } from '../../emulator/vmx/exitReasons.ts';
import type { VmcsFieldKey } from '../../emulator/vmx/fields.ts';
import { AT, type TestVmx } from './vmxProcessor.ts';

export interface CapabilityCase {
  readonly capability: (typeof EPT_VPID_BITS)[number]['key'];
  readonly what: string;
  readonly set?: Partial<Record<VmcsFieldKey, bigint>>;
  /** Prepares memory, in root operation. */
  readonly before?: (test: TestVmx) => void;
  readonly observe: (test: TestVmx) => unknown;
  readonly with: unknown;
  readonly without: unknown;
}

const OPERAND = 0x4000;
const PAGE = 1n << 7n;
const WRITE_BACK = 6n << 3n;
const TABLE = AT.EPT + 0x3000;
const EPTP = BigInt(AT.EPT);
const LENGTH_4 = 3n << 3n;
const LENGTH_5 = 4n << 3n;

const enters = ({ vmx }: TestVmx): boolean => {
  vmx.enterGuest();
  return vmx.processor.inGuest;
};
/** The reason of the VM exit that a read of the guest causes; undefined for none. */
const readExits = (test: TestVmx): number | undefined => {
  if (!enters(test)) return -1;
  if (test.cpu.mmu.readLinear(0x5000n, 8, 'supervisor') !== undefined) return undefined;
  test.cpu.raiseMemoryFault();
  return Number(test.field('VM_EXIT_REASON'));
};
const entry = (level: number, value: bigint) => (test: TestVmx) =>
  test.physical.write64(AT.EPT + level, value);
/** Guest-physical 5000H may be fetched from alone. */
const executeOnly = (test: TestVmx): void => {
  for (let page = 0; page < 512; page++)
    test.physical.write64(TABLE + 8 * page, BigInt(page * 4096) | WRITE_BACK | (page === 5 ? 4n : 7n));
  entry(0x2000, BigInt(TABLE) | 7n)(test);
};
/** Linear 1 GiB is guest-physical 1 GiB, a user-mode page that EPT does not map. */
const advanced = (test: TestVmx): bigint => {
  test.physical.write64(AT.TABLES + 0x1008, 0x4000_0087n);
  test.vmx.enterGuest();
  test.cpu.mmu.readLinear(0x4000_0000n, 8, 'supervisor');
  test.cpu.raiseMemoryFault();
  return test.field('EXIT_QUALIFICATION') & 0xe00n;
};

/** `#UD`, or whether the instruction succeeds. */
const invalidates =
  (name: 'INVEPT' | 'INVVPID', type: bigint, descriptor: bigint) =>
  (test: TestVmx): '#UD' | boolean => {
    test.physical.write64(OPERAND, descriptor);
    test.physical.write64(OPERAND + 8, 0n);
    test.state.setGpr(RAX, type);
    const outcome = test.vmx.execute(
      testInstruction(name, [reg(RAX), mem(BigInt(OPERAND), 64)], { length: 5 }),
    );
    if (outcome === OUTCOME.FAULT) return '#UD';
    return (readRflags(test.state) & (FLAG.CF | FLAG.ZF)) === 0;
  };

// biome-ignore format: rows are read as a table
export const CAPABILITY_CASES: readonly CapabilityCase[] = [
  { capability: 'executeOnly', what: 'an entry that permits fetches alone is no misconfiguration', before: executeOnly, observe: readExits, with: EXIT_REASON_NUMBER.eptViolation, without: EXIT_REASON_NUMBER.eptMisconfiguration },
  { capability: 'walkLength4', what: 'VM entry takes a page-walk length of 4', set: { EPT_POINTER: EPTP | LENGTH_4 | 6n }, observe: enters, with: true, without: false },
  { capability: 'walkLength5', what: 'VM entry takes a page-walk length of 5', set: { EPT_POINTER: EPTP | LENGTH_5 | 6n }, observe: enters, with: true, without: false },
  { capability: 'memoryTypeUncacheable', what: 'VM entry takes the memory type 0', set: { EPT_POINTER: EPTP | LENGTH_4 }, observe: enters, with: true, without: false },
  { capability: 'memoryTypeWriteBack', what: 'VM entry takes the memory type 6', set: { EPT_POINTER: EPTP | LENGTH_4 | 6n }, observe: enters, with: true, without: false },
  { capability: 'page2M', what: 'bit 7 of a PDE is no misconfiguration', before: entry(0x2000, PAGE | WRITE_BACK | 7n), observe: readExits, with: undefined, without: EXIT_REASON_NUMBER.eptMisconfiguration },
  { capability: 'page1G', what: 'bit 7 of a PDPTE is no misconfiguration', before: entry(0x1000, PAGE | WRITE_BACK | 7n), observe: readExits, with: undefined, without: EXIT_REASON_NUMBER.eptMisconfiguration },
  { capability: 'invept', what: 'INVEPT is no #UD', observe: invalidates('INVEPT', 2n, 0n), with: true, without: '#UD' },
  { capability: 'accessedDirty', what: 'VM entry takes bit 6 of the EPTP', set: { EPT_POINTER: EPTP | LENGTH_4 | 0x46n }, observe: enters, with: true, without: false },
  { capability: 'advancedEptViolationInformation', what: 'the qualification has what guest paging permits', observe: advanced, with: 0x600n, without: 0n },
  { capability: 'inveptSingleContext', what: 'INVEPT of type 1', observe: invalidates('INVEPT', 1n, EPTP | LENGTH_4 | 6n), with: true, without: false },
  { capability: 'inveptAllContext', what: 'INVEPT of type 2', observe: invalidates('INVEPT', 2n, 0n), with: true, without: false },
  { capability: 'invvpid', what: 'INVVPID is no #UD', observe: invalidates('INVVPID', 2n, 0n), with: true, without: '#UD' },
  { capability: 'invvpidIndividualAddress', what: 'INVVPID of type 0', observe: invalidates('INVVPID', 0n, 1n), with: true, without: false },
  { capability: 'invvpidSingleContext', what: 'INVVPID of type 1', observe: invalidates('INVVPID', 1n, 1n), with: true, without: false },
  { capability: 'invvpidAllContext', what: 'INVVPID of type 2', observe: invalidates('INVVPID', 2n, 0n), with: true, without: false },
  { capability: 'invvpidRetainingGlobals', what: 'INVVPID of type 3', observe: invalidates('INVVPID', 3n, 1n), with: true, without: false },
];
