/**
 * Reading back what a component saved. A snapshot comes from a file, so nothing in it is trusted: a field that is
 * missing or of another kind gives a `UserError` that names the component and the field.
 */
import type { Alarm } from './clock.ts';
import { UserError } from './errors.ts';
import type { StateRecord, StateValue } from './stateValue.ts';

/** An alarm's deadline as a value for a snapshot; `null` when it is not armed. */
export function savedDeadline(alarm: Alarm): number | null {
  return alarm.deadline === Number.POSITIVE_INFINITY ? null : alarm.deadline;
}

export class SavedState {
  readonly #component: string;
  readonly #record: StateRecord;

  constructor(component: string, record: StateRecord) {
    this.#component = component;
    this.#record = record;
  }

  number(key: string): number {
    const value = this.#record[key];
    return typeof value === 'number' ? value : this.#refuse(key, 'number');
  }

  boolean(key: string): boolean {
    const value = this.#record[key];
    return typeof value === 'boolean' ? value : this.#refuse(key, 'boolean');
  }

  bigint(key: string): bigint {
    const value = this.#record[key];
    return typeof value === 'bigint' ? value : this.#refuse(key, 'bigint');
  }

  /** A text that is one of `values`. */
  oneOf<const Value extends string>(key: string, values: readonly Value[]): Value {
    return values.find((value) => value === this.#record[key]) ?? this.#refuse(key, values.join(' or '));
  }

  /** A number that may be absent, saved as `null`. */
  optionalNumber(key: string): number | null {
    return this.#record[key] === null ? null : this.number(key);
  }

  /** A copy of a byte array; of exactly `length` bytes when one is named. */
  bytes(key: string, length?: number): Uint8Array {
    const value = this.#record[key];
    if (!(value instanceof Uint8Array)) return this.#refuse(key, 'byte array');
    if (length !== undefined && value.length !== length) return this.#refuse(key, `array of ${length} bytes`);
    return value.slice();
  }

  numbers(key: string, length?: number): number[] {
    const list = this.#list(key, length);
    if (!list.every((item) => typeof item === 'number')) return this.#refuse(key, 'list of numbers');
    return [...(list as readonly number[])];
  }

  record(key: string): SavedState {
    const value = this.#record[key];
    if (!isRecord(value)) return this.#refuse(key, 'record');
    return new SavedState(`${this.#component}.${key}`, value);
  }

  records(key: string, length?: number): SavedState[] {
    return this.#list(key, length).map((item, index) => {
      if (!isRecord(item)) return this.#refuse(key, 'list of records');
      return new SavedState(`${this.#component}.${key}[${index}]`, item);
    });
  }

  /** The nested record as it was saved, to be handed to another component's `restore`. */
  rawRecord(key: string): StateRecord {
    const value = this.#record[key];
    return isRecord(value) ? value : this.#refuse(key, 'record');
  }

  /** Overwrites every number and boolean of `registers` with the saved value of the same key. */
  into(registers: object): void {
    const target = registers as Record<string, unknown>;
    for (const key of Object.keys(registers)) {
      if (typeof target[key] === 'number') target[key] = this.number(key);
      else if (typeof target[key] === 'boolean') target[key] = this.boolean(key);
    }
  }

  /** Arms or disarms `alarm` as {@link savedDeadline} found it. */
  alarm(key: string, alarm: Alarm): void {
    const deadline = this.optionalNumber(key);
    if (deadline === null) alarm.disarm();
    else alarm.arm(deadline);
  }

  #list(key: string, length: number | undefined): readonly StateValue[] {
    const value = this.#record[key];
    if (!Array.isArray(value)) return this.#refuse(key, 'list');
    if (length !== undefined && value.length !== length) return this.#refuse(key, `list of ${length}`);
    return value as readonly StateValue[];
  }

  #refuse(key: string, kind: string): never {
    throw new UserError(
      `the snapshot does not fit: the state of ${this.#component} has no ${kind} '${key}'; take the snapshot again with this version`,
    );
  }
}

function isRecord(value: StateValue | undefined): value is StateRecord {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}
