/**
 * References to the manuals that the tables and architectural functions are written from.
 *
 * Numbers move between editions and titles rarely do, so a reference names the title first and adds the number of
 * the edition pinned in docs/manuals.md.
 */

/**
 * - `SDM`: Intel 64 and IA-32 Architectures Software Developer's Manual.
 * - `APM`: AMD64 Architecture Programmer's Manual.
 * - `FRED`: Intel's Flexible Return and Event Delivery specification.
 * - `ISE`: Intel Architecture Instruction Set Extensions and Future Features Programming Reference.
 */
export type Manual = 'SDM' | 'APM' | 'FRED' | 'ISE';

export interface Reference {
  readonly manual: Manual;
  readonly title: string;
  /** Number in the pinned edition; empty where the manual has none (an instruction page, a figure). */
  readonly section: string;
}

function reference(manual: Manual, title: string, section: string): Reference {
  return Object.freeze({ manual, title, section });
}

export function SDM(title: string, section = ''): Reference {
  return reference('SDM', title, section);
}

export function APM(title: string, section = ''): Reference {
  return reference('APM', title, section);
}

/** For what the pinned SDM does not have yet. */
export function FRED(title: string, section = ''): Reference {
  return reference('FRED', title, section);
}

/** For what the pinned SDM does not have yet. */
export function ISE(title: string, section = ''): Reference {
  return reference('ISE', title, section);
}

/** The reference as one line for hovers, traces and documentation. */
export function formatReference({ manual, title, section }: Reference): string {
  return section === '' ? `${manual}, "${title}"` : `${manual} ${section}, "${title}"`;
}
