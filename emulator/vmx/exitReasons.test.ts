import { describe, expect, it } from 'vitest';
import { describeExit } from './describeExit.ts';
import { INSTRUCTION_INFORMATION, QUALIFICATION } from './exitLayouts.ts';
import { EXIT_REASON_NUMBER, EXIT_REASONS, type ExitReasonRow, exitReasonRow } from './exitReasons.ts';

const ROWS: readonly ExitReasonRow[] = EXIT_REASONS;

describe('the rows of the basic exit reasons', () => {
  it('have unique keys and ascending numbers', () => {
    expect(new Set(ROWS.map((row) => row.key)).size).toBe(ROWS.length);
    ROWS.reduce((previous, row) => {
      expect(row.number).toBeGreaterThan(previous);
      return row.number;
    }, -1);
  });

  it('leave out the numbers that the manual does not use', () => {
    const missing = Array.from({ length: 78 }, (_, number) => number).filter((n) => !exitReasonRow(n));
    expect(missing).toEqual([35, 38, 42, 71]);
  });

  it('have references, and so have the layouts', () => {
    for (const row of ROWS) expect(row.ref.title).not.toBe('');
    for (const layout of [...Object.values(QUALIFICATION), ...Object.values(INSTRUCTION_INFORMATION)]) {
      expect(layout.ref.title).not.toBe('');
    }
  });

  it('put the trap-like exits of the manual, and no others, behind the operation', () => {
    const trapLike = ROWS.filter((row) => row.timing === 'trapLike').map((row) => row.key);
    expect(trapLike).toEqual(['tprBelowThreshold', 'virtualizedEoi', 'apicWrite', 'busLock']);
  });

  it('have the numbers of Appendix C', () => {
    expect(EXIT_REASON_NUMBER.cpuid).toBe(10);
    expect(EXIT_REASON_NUMBER.ioInstruction).toBe(30);
    expect(EXIT_REASON_NUMBER.eptViolation).toBe(48);
    expect(EXIT_REASON_NUMBER.rdseed).toBe(61);
    expect(EXIT_REASON_NUMBER.instructionTimeout).toBe(75);
  });
});

describe('the layouts', () => {
  it.each([...Object.entries(QUALIFICATION), ...Object.entries(INSTRUCTION_INFORMATION)])(
    'of %s have unique keys and bits that do not overlap',
    (_name, { bits }) => {
      expect(new Set(bits.map((row) => row.key)).size).toBe(bits.length);
      let seen = 0n;
      for (const { bit, width = 1 } of bits as readonly { bit: number; width?: number }[]) {
        const mask = ((1n << BigInt(width)) - 1n) << BigInt(bit);
        expect(seen & mask).toBe(0n);
        seen |= mask;
      }
    },
  );
});

describe('the text of a VM exit', () => {
  const text = (key: keyof typeof EXIT_REASON_NUMBER, details = {}) =>
    describeExit(EXIT_REASON_NUMBER[key], details);

  it('names the I/O instruction, the port and the size', () => {
    expect(text('ioInstruction', { qualification: 0x3f8_0000n })).toBe('I/O instruction: OUT 0x3f8, 1 byte');
    expect(text('ioInstruction', { qualification: 0x60_0048n })).toBe('I/O instruction: IN 0x60, 1 byte');
    expect(text('ioInstruction', { qualification: 0x1f0_0039n })).toBe(
      'I/O instruction: REP INS 0x1f0, 2 bytes',
    );
  });

  it('names the access and the guest-physical address of an EPT violation', () => {
    expect(text('eptViolation', { qualification: 0x2n, guestPhysicalAddress: 0xfee0_0000n })).toBe(
      'EPT violation: data write at 0xfee00000',
    );
    expect(
      text('eptViolation', {
        qualification: 0x81n,
        guestPhysicalAddress: 0x5000n,
        guestLinearAddress: 0xffff_8000_0000_0000n,
      }),
    ).toBe('EPT violation: data read at 0x5000 (linear 0xffff800000000000, page walk)');
  });

  it('names the exception, its error code and the address of a page fault', () => {
    expect(
      text('exceptionOrNmi', {
        interruptionInformation: 0x8000_0b0en,
        interruptionErrorCode: 2n,
        qualification: 0x1234n,
      }),
    ).toBe('Exception or non-maskable interrupt (NMI): #PF, error code 0x2, address 0x1234');
    expect(text('exceptionOrNmi', { interruptionInformation: 0x8000_0202n })).toBe(
      'Exception or non-maskable interrupt (NMI): NMI',
    );
  });

  it('shows control-register and debug-register moves as instructions', () => {
    expect(text('controlRegisterAccess', { qualification: 0x003n })).toBe(
      'Control-register accesses: MOV CR3, RAX',
    );
    expect(text('controlRegisterAccess', { qualification: 0xf10n })).toBe(
      'Control-register accesses: MOV R15, CR0',
    );
    expect(text('controlRegisterAccess', { qualification: 0x20n })).toBe('Control-register accesses: CLTS');
    expect(text('movDr', { qualification: 0x117n })).toBe('MOV DR: MOV RCX, DR7');
  });

  it('names the leaf of CPUID and the number of an MSR where the caller knows them', () => {
    expect(text('cpuid', { rax: 4n, rcx: 1n })).toBe('CPUID: leaf 0x4, subleaf 0x1');
    expect(text('wrmsr', { rcx: 0xffff_ffff_c000_0080n })).toBe('WRMSR: 0xc0000080');
    expect(text('rdmsr')).toBe('RDMSR');
  });

  it('names the cause of a VM-entry failure', () => {
    expect(describeExit(0x8000_0021 | 0, { qualification: 4n })).toBe(
      'VM-entry failure due to invalid guest state: VMCS link pointer',
    );
  });

  it('is just the name when there is nothing to add, and the number when there is no name', () => {
    expect(text('hlt')).toBe('HLT');
    expect(text('eptViolation')).toBe('EPT violation');
    expect(describeExit(35)).toBe('Exit reason 35');
  });
});
