/**
 * What a component may put into a snapshot: keyed records of plain values. Never positional arrays of unlike things,
 * never functions or class instances.
 */
export type StateValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly StateValue[]
  | { readonly [key: string]: StateValue };

export type StateRecord = { readonly [key: string]: StateValue };
