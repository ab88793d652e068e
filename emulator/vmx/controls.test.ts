import { describe, expect, it } from 'vitest';
import {
  CONTROL,
  CONTROL_WORDS,
  CONTROLS,
  type ControlRow,
  controlsOf,
  controlsView,
  controlWord,
  isSet,
  loadControlWords,
} from './controls.ts';
import { VMCS_FIELD } from './vmcsLayout.ts';

const ROWS: readonly ControlRow[] = CONTROLS;

function words(values: Readonly<Record<string, bigint>>) {
  return loadControlWords((field) => values[field] ?? 0n);
}

describe('the rows of the controls', () => {
  it('have unique keys, and one row for each bit of a word', () => {
    expect(new Set(ROWS.map((row) => row.key)).size).toBe(ROWS.length);
    expect(new Set(ROWS.map((row) => `${row.word} ${row.bit}`)).size).toBe(ROWS.length);
  });

  it('fit their word and its VMCS field', () => {
    for (const row of ROWS) expect(row.bit).toBeLessThan(controlWord(row.word).bits);
    for (const word of CONTROL_WORDS) expect(VMCS_FIELD[word.field].width).toBe(word.bits);
  });

  it('have a reference', () => {
    for (const { ref } of [...ROWS, ...CONTROL_WORDS]) expect(ref.title).not.toBe('');
  });

  it('say why the processor does not offer a control, and only then', () => {
    for (const { key, supported, absent } of ROWS)
      expect([key, absent === undefined]).toEqual([key, supported]);
  });

  it('do not name a reserved bit of the default1 class', () => {
    for (const word of CONTROL_WORDS) {
      const named = controlsOf(word.key).map((row) => row.bit);
      for (const bit of word.reserved1) expect(named).not.toContain(bit);
    }
  });

  it('offer a word only where they offer the control that activates it', () => {
    for (const word of CONTROL_WORDS) {
      if (!('activatedBy' in word)) continue;
      const activation = ROWS.find((row) => row.key === word.activatedBy);
      const offered = controlsOf(word.key).some((row) => row.supported);
      expect(offered && activation?.supported !== true).toBe(false);
    }
  });
});

describe('control words', () => {
  it('give one predicate for each control', () => {
    const loaded = words({
      PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS: (1n << 7n) | (1n << 31n),
      SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS: 1n << 1n,
    });
    const controls = controlsView(loaded);
    expect(controls.hltExiting).toBe(true);
    expect(controls.activateSecondaryControls).toBe(true);
    expect(controls.enableEpt).toBe(true);
    expect(controls.invlpgExiting).toBe(false);
    expect(isSet(loaded, CONTROL.hltExiting)).toBe(true);
    expect(isSet(loaded, CONTROL.mwaitExiting)).toBe(false);
  });

  it('count as all 0 when they are not activated', () => {
    const values = { SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS: 0xffff_ffffn };
    expect(controlsView(words(values)).enableEpt).toBe(false);
  });

  it('of 64 bits keep their high half', () => {
    const loaded = words({
      PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS: 1n << 17n,
      TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS: (1n << 4n) | (1n << 40n),
    });
    expect(controlsView(loaded).ipiVirtualization).toBe(true);
    expect(loaded[CONTROL.ipiVirtualization.slot + 1]).toBe(1 << 8);
  });
});
