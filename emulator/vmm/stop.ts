/** Why the VMM cannot go on with a guest. The reasons are those of the debugger's stop event. */
export interface VmmStop {
  readonly reason: 'triple-fault' | 'entry-failure' | 'unimplemented';
  /** One sentence for people. */
  readonly description: string;
  readonly details: readonly string[];
}

export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
