/** Requests and shapes of the VMCS view. */

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

export interface VmcsRequests {
  'hvm/vmcs': [{ readonly threadId: number }, { readonly groups: readonly VmcsGroup[] }];
  'hvm/setVmcsField': [
    { readonly threadId: number; readonly key: string; readonly value: string },
    { readonly value: string },
  ];
}
