/** Requests, events and shapes of the exits view. */

/** One VM exit as a row of the exits panel. */
export interface ExitRow {
  readonly number: number;
  /** Retired instructions since power-on. */
  readonly position: number;
  readonly vcpu: number;
  readonly level: number;
  readonly reason: string;
  readonly rip: string;
  /** Symbol and offset of RIP, when there is one. */
  readonly location?: string;
  readonly qualification: string;
  readonly guestPhysical: string;
  readonly instructionLength: number;
  readonly interruptionInformation: string;
  /** What happened, in short. */
  readonly text: string;
  /** Ticks charged for the exit and the entry after it. */
  readonly cost: number;
}

export interface ExitRequests {
  /** Exits from number `start` on; `total` is how many there have been. */
  'hvm/exits': [
    { readonly start: number; readonly count: number },
    { readonly total: number; readonly rows: readonly ExitRow[] },
  ];
}

export interface ExitEvents {
  /** There are more exits; at most ten a second. */
  'hvm/exitsChanged': { readonly total: number };
}
