/** Which addresses the engine stops at: breakpoints of the user, and those that a step sets for itself. */
import type { CodeCache } from '../engine/codeCache.ts';
import type { BreakpointRequest } from './target.ts';

export class BreakpointTable {
  #code: CodeCache;
  #idsByAddress: ReadonlyMap<bigint, readonly number[]> = new Map();
  #temporary: readonly bigint[] = [];

  constructor(code: CodeCache) {
    this.#code = code;
  }

  /** The machine was made anew. */
  attach(code: CodeCache): void {
    this.#code = code;
    this.#apply();
  }

  set(requests: readonly BreakpointRequest[]): void {
    const ids = new Map<bigint, number[]>();
    for (const { id, address } of requests) ids.set(address, [...(ids.get(address) ?? []), id]);
    this.#idsByAddress = ids;
    this.#apply();
  }

  setTemporary(addresses: readonly bigint[]): void {
    if (addresses.length === 0 && this.#temporary.length === 0) return;
    this.#temporary = addresses;
    this.#apply();
  }

  idsAt(address: bigint): readonly number[] {
    return this.#idsByAddress.get(address) ?? [];
  }

  /** Only the code of pages where something changed is decoded again. */
  #apply(): void {
    const before = this.#code.breakpoints;
    const after = new Set([...this.#idsByAddress.keys(), ...this.#temporary]);
    this.#code.breakpoints = after;
    const pages = new Set<bigint>();
    for (const address of before) if (!after.has(address)) pages.add(address >> 12n);
    for (const address of after) if (!before.has(address)) pages.add(address >> 12n);
    for (const page of pages) this.#code.invalidateLinearPage(page);
  }
}
