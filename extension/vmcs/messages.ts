/** What stands above the fields: why there are none, or which they are. */

export type VmcsState =
  | { readonly kind: 'noSession' }
  | { readonly kind: 'running'; readonly hasFields: boolean }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'noVmx' }
  | { readonly kind: 'noCurrentVmcs' }
  | {
      readonly kind: 'shown';
      readonly shown: number;
      readonly total: number;
      readonly filter: string;
      /** The VM exit at which the fields were recorded. */
      readonly exit?: number;
    };

/** Undefined when the fields speak for themselves. */
export function messageFor(state: VmcsState): string | undefined {
  switch (state.kind) {
    case 'noSession':
      return 'Start debugging with HVM to see the virtual-machine control structure.';
    case 'running':
      return state.hasFields
        ? 'The guest runs. Pause to see the fields as they are now; these are of the last stop.'
        : 'The guest runs. Pause to see its VMCS.';
    case 'failed':
      return `The VMCS cannot be shown: ${state.reason}`;
    case 'noVmx':
      return 'This machine has no VT-x, so there is no VMCS. Mode "guest", or "virtualization": "vt-x", gives it one.';
    case 'noCurrentVmcs':
      return 'There is no current VMCS yet: the hypervisor has not executed VMPTRLD.';
    case 'shown':
      if (state.filter.trim() === '')
        return state.exit === undefined
          ? undefined
          : `What was recorded of the VMCS at VM exit ${state.exit}, and what that changed.`;
      return state.shown === 0
        ? `No field matches "${state.filter}".`
        : `${state.shown} of ${state.total} fields match "${state.filter}".`;
  }
}
