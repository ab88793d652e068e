/** Numbers that stand for objects in the protocol, valid until the machine runs on. */
export class Handles<T> {
  readonly #first: number;
  #next: number;
  readonly #objects = new Map<number, T>();

  constructor(first = 1) {
    this.#first = first;
    this.#next = first;
  }

  create(object: T): number {
    this.#objects.set(this.#next, object);
    return this.#next++;
  }

  get(handle: number): T | undefined {
    return this.#objects.get(handle);
  }

  /** Forgets all objects. Numbers are not used twice, so that an old one is noticed. */
  clear(): void {
    this.#objects.clear();
    if (this.#next > 1_000_000_000) this.#next = this.#first;
  }
}
