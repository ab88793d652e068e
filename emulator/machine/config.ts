/** What a machine is made from. Paths are already read: the emulator sees bytes and names alone. */

export interface NamedBytes {
  /** For messages and boot-loader names; never opened. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface MachineConfig {
  readonly mode: 'guest' | 'bare-metal';
  /** What the CPU offers to the program. */
  readonly virtualization: 'vt-x' | 'amd-v' | 'none';
  /** A row of the CPU models, e.g. `sapphire-rapids`. */
  readonly cpu: string;
  readonly memoryBytes: number;
  /** The image to boot; a machine with a BIOS boots from its disks instead. */
  readonly image: NamedBytes | undefined;
  /** Firmware that starts the machine, at the end of 4 GiB. */
  readonly bios?: NamedBytes | undefined;
  /** Hard disks. Their bytes are only read: what is written belongs to the machine's state. */
  readonly disks?: readonly NamedBytes[];
  readonly append: string;
  readonly initrd: NamedBytes | undefined;
  readonly modules: readonly (NamedBytes & { readonly commandLine: string })[];
  /** Seconds since 1970-01-01T00:00:00Z that the real-time clock shows at power-on. */
  readonly startTime: number;
  /** `translator` forces translation at first execution: for tests that compare the tiers. */
  readonly engine: 'auto' | 'interpreter' | 'translator';
  /** Looks for mistakes of hypervisors, and of kernels about translations: see vmx/sanitizerRules.ts. */
  readonly sanitize?: boolean;
  readonly vmm: {
    /** What exits besides what the VMM needs itself, e.g. `cpuid`, `rdtsc`, `exceptions:#PF`, `io:0x60-0x64`. */
    readonly exiting: readonly string[];
  };
}
