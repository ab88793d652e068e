/** Requests and shapes of the VMCS view. */

/** A value decoded to its parts, for tooltips and child rows. */
export interface DecodedPart {
  readonly name: string;
  readonly value: string;
  readonly meaning: string;
  /** The lowest bit, and how many there are. */
  readonly bit: number;
  readonly width: number;
}

export interface VmcsRow {
  readonly key: string;
  readonly title: string;
  readonly encoding: string;
  /** Width of the field. */
  readonly bits: number;
  /** What VMREAD gives; absent when the processor does not have the field. */
  readonly stored?: string;
  /** What the processor holds now, where that differs from what is stored. */
  readonly live?: string;
  /** The current value in words: a name, a symbol, the bits that are set. */
  readonly meaning?: string;
  /** The control that a processor with the field would have. */
  readonly missing?: string;
  /** The control that is 0, so that the processor does not look at the field. */
  readonly unused?: string;
  /** What it was at the last stop, where something has changed. */
  readonly previous?: { readonly stored: string; readonly live?: string };
  /** The machine stops when the stored value changes. */
  readonly watched?: true;
  readonly parts: readonly DecodedPart[];
  readonly reference: string;
}

export interface VmcsGroup {
  readonly title: string;
  readonly rows: readonly VmcsRow[];
}

export interface VmcsBody {
  /** None without a current VMCS. */
  readonly groups: readonly VmcsGroup[];
  /** Whether the processor has VT-x at all. */
  readonly hasVmx: boolean;
  /** The current-VMCS pointer, when there is one. */
  readonly pointer?: string;
  readonly launched: boolean;
  /** Whether its guest runs: then the guest-state area is not what the guest is. */
  readonly inGuest: boolean;
}

export interface VmcsRequests {
  'hvm/vmcs': [{ readonly threadId: number }, VmcsBody];
  /** `value` is an expression; `part` says which bits it goes to. */
  'hvm/setVmcsField': [
    {
      readonly threadId: number;
      readonly key: string;
      readonly value: string;
      readonly part?: { readonly bit: number; readonly width: number };
    },
    { readonly value: string },
  ];
  /** Replaces the fields whose change stops the machine, beside those that the client has data breakpoints for. */
  'hvm/setVmcsFieldBreakpoints': [
    { readonly fields: readonly { readonly key: string; readonly condition?: string }[] },
    { readonly breakpoints: readonly { readonly verified: boolean; readonly message?: string }[] },
  ];
}
