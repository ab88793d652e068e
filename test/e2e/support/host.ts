/** Where a VS Code with a fresh profile comes from, and goes. */
import type { Page } from 'playwright-core';

export interface Host {
  /** Holds everything that it and its windows write. */
  readonly profile: string;
  readonly log: string;
  /** A fresh window in the place of the last one: no breakpoints, no open files. */
  newWindow(folder: string | undefined): Promise<Page>;
  stop(): Promise<void>;
}
