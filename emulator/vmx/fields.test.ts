import { describe, expect, it } from 'vitest';
import { CONTROLS } from './controls.ts';
import { ALWAYS, VMCS_FIELD_GROUPS, VMCS_FIELDS, type VmcsFieldKey } from './fields.ts';
import {
  encodingOf,
  fieldByEncoding,
  fieldExists,
  fieldIsWritable,
  highestFieldIndex,
  VMCS_FIELD,
  VMCS_FIELD_LIST,
  VMCS_HEADER,
  VMCS_REGION_SIZE,
} from './vmcsLayout.ts';

const KNOWN_ENCODINGS: Readonly<Partial<Record<VmcsFieldKey, number>>> = {
  VIRTUAL_PROCESSOR_IDENTIFIER: 0x0000,
  GUEST_TR_SELECTOR: 0x080e,
  GUEST_UINV: 0x0814,
  HOST_TR_SELECTOR: 0x0c0c,
  MSR_BITMAPS: 0x2004,
  EPT_POINTER: 0x201a,
  TSC_MULTIPLIER: 0x2032,
  TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS: 0x2034,
  PID_POINTER_TABLE_ADDRESS: 0x2042,
  SECONDARY_VM_EXIT_CONTROLS: 0x2044,
  SPEC_CTRL_SHADOW: 0x204c,
  GUEST_PHYSICAL_ADDRESS: 0x2400,
  VMCS_LINK_POINTER: 0x2800,
  GUEST_PDPTE3: 0x2810,
  GUEST_IA32_PKRS: 0x2818,
  GUEST_IA32_FRED_SSP3: 0x2828,
  HOST_IA32_EFER: 0x2c02,
  HOST_IA32_FRED_SSP3: 0x2c16,
  PIN_BASED_VM_EXECUTION_CONTROLS: 0x4000,
  SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS: 0x401e,
  INSTRUCTION_TIMEOUT_CONTROL: 0x4024,
  VM_EXIT_REASON: 0x4402,
  VM_EXIT_INSTRUCTION_INFORMATION: 0x440e,
  GUEST_ES_ACCESS_RIGHTS: 0x4814,
  VMX_PREEMPTION_TIMER_VALUE: 0x482e,
  HOST_IA32_SYSENTER_CS: 0x4c00,
  CR3_TARGET_VALUE_3: 0x600e,
  EXIT_QUALIFICATION: 0x6400,
  GUEST_LINEAR_ADDRESS: 0x640a,
  GUEST_CR0: 0x6800,
  GUEST_RFLAGS: 0x6820,
  GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR: 0x682c,
  HOST_RIP: 0x6c16,
  HOST_IA32_INTERRUPT_SSP_TABLE_ADDR: 0x6c1c,
};

describe('the rows of the VMCS fields', () => {
  it('have unique keys and unique encodings', () => {
    expect(new Set(VMCS_FIELDS.map((row) => row.key)).size).toBe(VMCS_FIELDS.length);
    expect(new Set(VMCS_FIELDS.map(encodingOf)).size).toBe(VMCS_FIELDS.length);
  });

  it('are sorted by encoding inside each width and type', () => {
    const classes = new Map<string, number>();
    for (const { width, area, index } of VMCS_FIELDS) {
      const name = `${width} ${area}`;
      expect(index).toBeGreaterThan(classes.get(name) ?? -1);
      classes.set(name, index);
    }
  });

  it('each name the manual, a group of the panel, and controls that exist', () => {
    const controls = new Set<string>(CONTROLS.map((row) => row.key));
    const groups = new Set<string>(VMCS_FIELD_GROUPS.map((group) => group.key));
    for (const { ref, group, exists } of VMCS_FIELDS) {
      expect(ref.title).not.toBe('');
      expect(groups).toContain(group);
      if (exists !== ALWAYS) for (const control of exists) expect(controls).toContain(control);
    }
  });

  it('leave no group of the manual empty', () => {
    for (const { key } of VMCS_FIELD_GROUPS) {
      expect(VMCS_FIELDS.some((row) => row.group === key)).toBe(true);
    }
  });
});

describe('VMCS component encoding', () => {
  it.each(Object.entries(KNOWN_ENCODINGS))('of %s is %i', (key, encoding) => {
    expect(VMCS_FIELD[key as VmcsFieldKey].encoding).toBe(encoding);
  });

  it('leads back to the field', () => {
    for (const field of VMCS_FIELD_LIST) expect(fieldByEncoding(field.encoding)).toBe(field);
  });

  it('with access type "high" names 64-bit fields only', () => {
    expect(fieldByEncoding(0x201b)).toBe(VMCS_FIELD.EPT_POINTER);
    expect(fieldByEncoding(0x6801)).toBeUndefined();
    expect(fieldByEncoding(0x4003)).toBeUndefined();
  });

  it('without a row names no field', () => {
    for (const encoding of [0x000c, 0x2046, 0x482c, 0x7000, 0xffff_fffe]) {
      expect(fieldByEncoding(encoding)).toBeUndefined();
    }
  });
});

describe('the VMCS region', () => {
  it('holds every field in a slot of its own behind the header', () => {
    const offsets = VMCS_FIELD_LIST.map((field) => field.offset);
    expect(new Set(offsets).size).toBe(offsets.length);
    expect(Math.min(...offsets)).toBe(VMCS_HEADER.size);
    expect(Math.max(...offsets)).toBeLessThanOrEqual(VMCS_REGION_SIZE - 8);
    for (const offset of offsets) expect(offset % 8).toBe(0);
  });
});

describe('a field', () => {
  it('exists when some control that brings it into existence is supported', () => {
    expect(fieldExists(VMCS_FIELD.GUEST_CR0)).toBe(true);
    expect(fieldExists(VMCS_FIELD.EPT_POINTER)).toBe(true);
    expect(fieldExists(VMCS_FIELD.GUEST_IA32_PAT)).toBe(true);
    expect(fieldExists(VMCS_FIELD.TPR_THRESHOLD)).toBe(true);
    expect(fieldExists(VMCS_FIELD.GUEST_SSP)).toBe(false);
  });

  it('of the VM-exit information is written by VMWRITE only if IA32_VMX_MISC[29] is 1', () => {
    expect(fieldIsWritable(VMCS_FIELD.VM_EXIT_REASON, false)).toBe(false);
    expect(fieldIsWritable(VMCS_FIELD.VM_EXIT_REASON, true)).toBe(true);
    expect(fieldIsWritable(VMCS_FIELD.GUEST_CR0, false)).toBe(true);
  });

  it('has the highest index of the CPU model in the shadow of IA32_SPEC_CTRL', () => {
    expect(highestFieldIndex()).toBe(VMCS_FIELD.SPEC_CTRL_SHADOW.index);
  });
});
