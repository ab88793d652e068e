import { SymbolsError } from './errors.ts';

/** As many problems as anybody would read. */
const MOST_PROBLEMS = 100;

/**
 * The defects met while answering: a defect in one part of a file leaves the other parts usable, so it is
 * told once here and what could not be read is absent from the answer.
 */
export class Problems {
  readonly list: SymbolsError[] = [];

  add(error: SymbolsError): void {
    if (this.list.length < MOST_PROBLEMS && !this.list.some((known) => known.message === error.message))
      this.list.push(error);
  }

  /** The result, or undefined after a defect. */
  attempt<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof SymbolsError)) throw error;
      this.add(error);
      return undefined;
    }
  }
}
