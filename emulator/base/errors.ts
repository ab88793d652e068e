/**
 * The only errors that may cross `emulator/index.ts`. Guest events (faults, VM exits) are never errors: they are
 * outcomes, see `outcome.ts`.
 */

/** A broken invariant of the emulator itself. */
export class EmulatorBug extends Error {
  override readonly name = 'EmulatorBug';
}

/** The guest needs something that is not there yet; the message names it and the manual's section. */
export class Unimplemented extends Error {
  override readonly name = 'Unimplemented';
  /** What is missing, e.g. `VMFUNC leaf 0 (SDM "VM Functions", 26.5.6)`. */
  readonly feature: string;

  constructor(feature: string) {
    super(`not implemented: ${feature}`);
    this.feature = feature;
  }
}

/** A wrong configuration or image; the message is one clear sentence that says what to do. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

/** Throws {@link EmulatorBug} unless `condition` holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new EmulatorBug(message);
}
