/** Each capability of EPT and VPIDs: what a processor with it does that one without does not. */
import { describe, expect, it } from 'vitest';
import { CAPABILITY_CASES } from '../../test/support/vmxCapabilityCases.ts';
import { guestVmcs, processorInRoot } from '../../test/support/vmxProcessor.ts';
import { EPT_VPID_BITS } from './capabilities.ts';
import { withdrawalName } from './withdrawn.ts';

describe('a capability of EPT and VPIDs', () => {
  it.each(CAPABILITY_CASES.map((row) => [row.capability, row.what, row] as const))(
    '%s: %s',
    (capability, _what, row) => {
      const seen = ['', `,-${withdrawalName(capability)}`].map((less) => {
        const test = processorInRoot(guestVmcs().set(row.set ?? {}), `sapphire-rapids${less}`);
        row.before?.(test);
        return row.observe(test);
      });
      expect(seen).toEqual([row.with, row.without]);
    },
  );

  it('has a case for each that is offered', () => {
    const cases = new Set<string>(CAPABILITY_CASES.map(({ capability }) => capability));
    expect(EPT_VPID_BITS.filter(({ key, supported }) => cases.has(key) !== supported)).toEqual([]);
  });
});

describe('a processor without EPT or VPIDs', () => {
  it.each([
    ['INVEPT', '-ept', 'invept'],
    ['INVVPID', '-vpid', 'invvpid'],
  ])('has no %s', (_name, less, capability) => {
    const row = CAPABILITY_CASES.find((one) => one.capability === capability);
    expect(row?.observe(processorInRoot(guestVmcs(), `sapphire-rapids,${less}`))).toBe('#UD');
  });
});
