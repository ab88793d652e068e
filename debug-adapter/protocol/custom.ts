/**
 * What this debugger adds to the Debug Adapter Protocol, declared once for both sides. A request's entry is its
 * arguments and its response's body, an event's entry is its body. Numbers that need 64 bits are hexadecimal text.
 */

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

/** A value decoded to its parts, for tooltips and child rows. */
export interface DecodedPart {
  readonly name: string;
  readonly value: string;
  readonly meaning: string;
}

export interface VmcsRow {
  readonly key: string;
  readonly title: string;
  readonly encoding: string;
  /** What VMREAD gives; absent when the field does not exist under the current controls. */
  readonly stored?: string;
  /** What the processor holds now, where that differs from what is stored. */
  readonly live?: string;
  /** Why the field does not exist. */
  readonly missing?: string;
  readonly parts: readonly DecodedPart[];
  readonly reference: string;
}

export interface VmcsGroup {
  readonly title: string;
  readonly rows: readonly VmcsRow[];
}

export interface StatisticsBody {
  readonly instructions: number;
  readonly ticks: number;
  readonly exits: number;
  readonly translations: number;
  readonly exitsByReason: readonly {
    readonly key: string;
    readonly name: string;
    readonly count: number;
    readonly cost: number;
  }[];
}

export interface CustomRequests {
  /** Exits from number `start` on; `total` is how many there have been. */
  'hvm/exits': [
    { readonly start: number; readonly count: number },
    { readonly total: number; readonly rows: readonly ExitRow[] },
  ];
  'hvm/vmcs': [{ readonly threadId: number }, { readonly groups: readonly VmcsGroup[] }];
  'hvm/setVmcsField': [
    { readonly threadId: number; readonly key: string; readonly value: string },
    { readonly value: string },
  ];
  'hvm/statistics': [undefined, StatisticsBody];
  /** Text typed into the serial terminal. */
  'hvm/serialInput': [{ readonly text: string }, undefined];
}

export interface CustomEvents {
  'hvm/serialOutput': { readonly text: string };
  /** Something changed that panels show; at most ten a second. */
  'hvm/exitsChanged': { readonly total: number };
}
