/** The samples that the extension brings along, from samples/ of this repository; "files" in package.json ships them. */

export interface Sample {
  /** Folder in samples/, and the name of the copy. */
  readonly folder: string;
  readonly description: string;
  /** Shown when the copy is opened. */
  readonly firstFile: string;
}

export const SAMPLES: readonly Sample[] = [
  {
    folder: 'hello-guest',
    description: 'A small kernel in C that makes VM exits of many kinds',
    firstFile: 'kernel.c',
  },
  {
    folder: 'tiny-hypervisor',
    description: 'A hypervisor in C with one guest, and fourteen mistakes to make on purpose',
    firstFile: 'hypervisor.c',
  },
];
