/**
 * One vCPU of a machine at rest, for code that wants to read it synchronously (expressions, unwinding): what is read
 * is fetched once from the machine's thread and kept until the machine runs or something is written.
 *
 * `read(compute)` calls `compute` again each time it needed something that was not there yet.
 */
import type { DebugAddress, RegisterGroup, RestingLevel, VmcsFieldValue } from '../../emulator/index.ts';
import type { Machine } from '../machine/client.ts';
import type { MachineState } from '../machine/targetScope.ts';

const PAGE = 4096n;
/** Spaces that are memory; in the others an address names a register. */
const PAGED: ReadonlySet<string> = new Set(['linear', 'guest-physical', 'host-physical']);
const REGISTER_BYTES = 8;
/** More than any sane computation reads; a runaway unwind must end. */
const MOST_FETCHES = 4096;

/** Thrown through `compute`; `fetch` gets what was missing. */
class Missing {
  readonly fetch: () => Promise<void>;

  constructor(fetch: () => Promise<void>) {
    this.fetch = fetch;
  }
}

/** A machine at rest: the level that does not run can be looked at too. */
export interface StoppedState extends MachineState {
  restingLevel(): RestingLevel | undefined;
}

export class MachineView {
  readonly vcpu: number;
  readonly #machine: Machine;
  readonly #pages = new Map<string, Uint8Array>();
  #registers: readonly RegisterGroup[] | undefined;
  #vmcs: readonly VmcsFieldValue[] | undefined;
  #resting: { readonly level: RestingLevel | undefined } | undefined;

  constructor(machine: Machine, vcpu: number) {
    this.#machine = machine;
    this.vcpu = vcpu;
  }

  async registers(): Promise<readonly RegisterGroup[]> {
    this.#registers ??= await this.#machine.registers(this.vcpu);
    return this.#registers;
  }

  async vmcs(): Promise<readonly VmcsFieldValue[]> {
    this.#vmcs ??= await this.#machine.vmcs(this.vcpu);
    return this.#vmcs;
  }

  /** The level that does not run. */
  async restingLevel(): Promise<RestingLevel | undefined> {
    this.#resting ??= { level: await this.#machine.restingLevel(this.vcpu) };
    return this.#resting.level;
  }

  /** Forgets everything: the machine ran or was written to. */
  invalidate(): void {
    this.#registers = undefined;
    this.#vmcs = undefined;
    this.#resting = undefined;
    this.#pages.clear();
  }

  async read<T>(compute: (state: StoppedState) => T): Promise<T> {
    for (let fetches = 0; ; fetches++) {
      try {
        return compute(this.#state);
      } catch (missing) {
        if (!(missing instanceof Missing)) throw missing;
        if (fetches === MOST_FETCHES) throw new Error('this reads more memory than any debugger should');
        await missing.fetch();
      }
    }
  }

  readonly #state: StoppedState = {
    register: (name) => {
      const general = this.#state.registers().find(({ key }) => key === 'general');
      return general?.registers.find((register) => register.name.toLowerCase() === name)?.value;
    },
    registers: () => {
      if (this.#registers === undefined) throw new Missing(async () => void (await this.registers()));
      return this.#registers;
    },
    vmcs: () => {
      if (this.#vmcs === undefined) throw new Missing(async () => void (await this.vmcs()));
      return this.#vmcs;
    },
    restingLevel: () => {
      if (this.#resting === undefined) throw new Missing(async () => void (await this.restingLevel()));
      return this.#resting.level;
    },
    readMemory: (address, count) => this.#readMemory(address, count),
  };

  #readMemory(from: DebugAddress, count: number): Uint8Array {
    if (!PAGED.has(from.space)) return this.#fetched(from, REGISTER_BYTES).subarray(0, count);
    const bytes = new Uint8Array(count);
    let length = 0;
    while (length < count) {
      const address = BigInt.asUintN(64, from.address + BigInt(length));
      const offset = Number(address % PAGE);
      const page = this.#fetched({ ...from, address: address - BigInt(offset) }, Number(PAGE));
      const part = page.subarray(offset, offset + count - length);
      bytes.set(part, length);
      length += part.length;
      if (page.length < Number(PAGE)) break;
    }
    return bytes.subarray(0, length);
  }

  #fetched(address: DebugAddress, count: number): Uint8Array {
    const key = `${address.space}/${address.level ?? ''}/${address.address}`;
    const bytes = this.#pages.get(key);
    if (bytes !== undefined) return bytes;
    throw new Missing(async () => {
      this.#pages.set(key, await this.#machine.readMemory(this.vcpu, address, count));
    });
  }
}
