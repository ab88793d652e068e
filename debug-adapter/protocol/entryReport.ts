/** The request for the report on a VM entry. Numbers that need 64 bits are hexadecimal text. */

/** What is known of a field that breaks a rule. */
export interface EntryReportField {
  /** The manual's name of the field, as in the VMCS view. */
  readonly key: string;
  readonly title: string;
  readonly encoding: string;
  readonly value: string;
  /** The bits that are at fault, and their names. */
  readonly offendingBits?: string;
  readonly offending: readonly string[];
  /** What the field may hold, in words. */
  readonly allowed?: string;
  /** What the capability MSRs say. */
  readonly capability?: string;
  /** A value with which the rule holds. */
  readonly passing?: string;
  /** The VMWRITE that wrote the field last, and its place in the source. */
  readonly writtenAt?: string;
  readonly writtenIn?: string;
}

export interface EntryReportRule {
  readonly id: string;
  /** Part of the VMCS. */
  readonly section: string;
  readonly text: string;
  readonly reference: string;
  /** What the processor answers when this is the first broken rule. */
  readonly outcome: string;
  readonly field?: EntryReportField;
  /** Other fields that the rule looks at. */
  readonly others: readonly { readonly key: string; readonly value: string }[];
}

export interface EntryReportBody {
  /** Absent when the processor has no VT-x, or no entry has failed. */
  readonly report?: {
    readonly vmcs?: string;
    readonly instruction: 'VMLAUNCH' | 'VMRESUME';
    readonly enters: boolean;
    readonly outcome: string;
    readonly rules: readonly EntryReportRule[];
    readonly failedAt?: { readonly rip: string; readonly position: number; readonly location?: string };
    /** The same as text. */
    readonly text: string;
  };
}

export interface EntryReportRequests {
  /** Would the current VMCS enter (`current`), or why did the last entry fail (`lastFailure`)? */
  'hvm/entryReport': [
    { readonly threadId: number; readonly which?: 'current' | 'lastFailure' },
    EntryReportBody,
  ];
}
