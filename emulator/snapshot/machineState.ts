/**
 * Saving and restoring a machine: the processor's architectural state by field name, memory by pages that are not
 * zero, and what each component says of itself. Caches (translations, decoded code) are not state: they are dropped.
 */
import { UserError } from '../base/errors.ts';
import { SavedState } from '../base/savedState.ts';
import type { StateRecord, StateValue } from '../base/stateValue.ts';
import type { Machine } from '../machine/machine.ts';
import { readRflags, writeRflags } from '../state/flags.ts';
import { CPU_FIELDS } from '../state/layout.ts';
import { Digest } from './hash.ts';

const PAGE = 4096;
/** A format change raises this and says so in the changelog. */
export const SNAPSHOT_VERSION = 1;

/** Something beside the processor and memory that has state: a board, the VMM. */
export interface Component {
  save(): StateRecord;
  restore(state: StateRecord): void;
}

export type Components = Readonly<Record<string, Component>>;

/** Lazy flags stand for RFLAGS; they are saved as such. */
const LAZY = new Set<string>(['CC_A', 'CC_B', 'CC_OP', 'RFLAGS']);

export function saveMachine(machine: Machine, components: Components): StateRecord {
  const { state } = machine;
  const processor: Record<string, StateValue> = { RFLAGS: readRflags(state) };
  for (const field of CPU_FIELDS) {
    if (field.kind !== 'arch' || LAZY.has(field.key)) continue;
    processor[field.key] = state.u8.slice(field.offset, field.offset + field.width * field.count);
  }
  return {
    version: SNAPSHOT_VERSION,
    retired: machine.engine.retired,
    clock: machine.clock.save(),
    processor,
    localApic: machine.apic.save(),
    memory: savePages(machine),
    components: Object.fromEntries(
      Object.entries(components).map(([name, component]) => [name, component.save()]),
    ),
  };
}

export function restoreMachine(machine: Machine, components: Components, snapshot: StateRecord): void {
  const saved = new SavedState('the snapshot', snapshot);
  const version = saved.number('version');
  if (version !== SNAPSHOT_VERSION) {
    throw new UserError(
      `the snapshot has format version ${version}, this program reads version ${SNAPSHOT_VERSION}; take it again`,
    );
  }
  const { state, engine } = machine;
  const processor = new SavedState('the processor', saved.rawRecord('processor'));
  const memory = restorePages(machine, saved.rawRecord('memory'));
  for (const field of CPU_FIELDS) {
    if (field.kind !== 'arch' || LAZY.has(field.key)) continue;
    state.u8.set(processor.bytes(field.key, field.width * field.count), field.offset);
  }
  writeRflags(state, processor.number('RFLAGS'));
  engine.retired = saved.number('retired');
  machine.clock.restore(saved.rawRecord('clock'));
  memory();
  engine.code.flush();
  machine.apic.baseChanged(state.IA32_APIC_BASE);
  machine.apic.restore(saved.rawRecord('localApic'));
  machine.cpu.performance.restored();
  const all = new SavedState('the components', saved.rawRecord('components'));
  for (const [name, component] of Object.entries(components)) component.restore(all.rawRecord(name));
  machine.mmu.spaces.flushEverything();
  machine.mmu.updateContext();
}

/** A digest of everything that {@link saveMachine} saves. */
export function hashMachine(machine: Machine, components: Components): string {
  const digest = new Digest();
  digest.value(saveMachine(machine, components));
  return digest.toString();
}

function savePages({ physical }: Machine): StateRecord {
  const pages: Record<string, StateValue> = {};
  const page = new Uint8Array(PAGE);
  for (let address = 0; address < physical.ramBytes; address += PAGE) {
    if (!physical.isRam(address, PAGE)) continue;
    physical.copyOut(address, page);
    if (page.some((byte) => byte !== 0)) pages[address.toString(16)] = page.slice();
  }
  return { bytes: physical.ramBytes, pages };
}

/** Checks the saved pages; the function that it gives writes them. */
function restorePages({ physical }: Machine, memory: StateRecord): () => void {
  const saved = new SavedState("the snapshot's memory", memory);
  const bytes = saved.number('bytes');
  if (bytes !== physical.ramBytes) {
    throw new UserError(
      `the snapshot has ${bytes} bytes of memory and the machine ${physical.ramBytes}; use the same memory size`,
    );
  }
  const record = saved.rawRecord('pages');
  const pages = new SavedState("the snapshot's pages", record);
  const zero = new Uint8Array(PAGE);
  return () => {
    for (let address = 0; address < physical.ramBytes; address += PAGE) {
      if (!physical.isRam(address, PAGE)) continue;
      const key = address.toString(16);
      physical.load(address, key in record ? pages.bytes(key, PAGE) : zero);
    }
  };
}
