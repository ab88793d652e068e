/** Addresses that exits came from, by symbol and source: looked up once, and searched by text. */
import { hex } from '../expressions/format.ts';
import type { Program } from '../program/program.ts';

/** Where an address is, as far as symbols tell. */
export interface ExitPlace {
  readonly location?: string;
  /** File name and line. */
  readonly source?: string;
}

/** Places that are remembered; a program that exits from more addresses than this has no more than a few of each. */
const MOST_PLACES = 65_536;

export class ExitPlaces {
  readonly #program: Pick<Program, 'describe' | 'addressToLine'>;
  readonly #places = new Map<bigint, ExitPlace>();
  /** All addresses exits came from, in the machine's order, and which of them have the text of the last search. */
  readonly #addresses: bigint[] = [];
  #text: string | undefined;
  #matching: bigint[] = [];
  #searched = 0;

  constructor(program: Pick<Program, 'describe' | 'addressToLine'>) {
    this.#program = program;
  }

  /** Addresses that are known. */
  get count(): number {
    return this.#addresses.length;
  }

  add(addresses: BigUint64Array): void {
    for (const address of addresses) this.#addresses.push(address);
  }

  at(address: bigint): ExitPlace {
    let place = this.#places.get(address);
    if (place === undefined) {
      place = this.#find(address);
      if (this.#places.size >= MOST_PLACES) this.#places.clear();
      this.#places.set(address, place);
    }
    return place;
  }

  /** The known addresses whose symbol, source or number contains a text in lower case. */
  matching(text: string | undefined): BigUint64Array {
    if (text === undefined) return new BigUint64Array();
    if (this.#text !== text) {
      this.#text = text;
      this.#matching = [];
      this.#searched = 0;
    }
    for (; this.#searched < this.#addresses.length; this.#searched++) {
      const address = this.#addresses[this.#searched];
      const { location = '', source = '' } = this.at(address);
      if (`${hex(address)}\n${location}\n${source}`.toLowerCase().includes(text))
        this.#matching.push(address);
    }
    return BigUint64Array.from(this.#matching);
  }

  #find(address: bigint): ExitPlace {
    const location = this.#program.describe(address);
    const line = this.#program.addressToLine(address);
    return {
      ...(location !== undefined && { location }),
      ...(line && { source: `${line.path.split(/[\\/]/).pop()}:${line.line}` }),
    };
  }
}
