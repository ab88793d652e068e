/** Every address, port and interrupt line of the board, and how physical memory is laid out. */

/** I/O ports: first port and number of ports. */
export const PORTS = {
  /** First 8237 DMA controller. */
  dma1: { base: 0x00, length: 0x10 },
  /** Master 8259A. */
  picMaster: { base: 0x20, length: 2 },
  /** Counters and control word of the 8254. */
  pit: { base: 0x40, length: 4 },
  /** Data port of the keyboard controller. */
  keyboardData: { base: 0x60, length: 1 },
  /** System control port B: gate and output of counter 2. */
  systemControlB: { base: 0x61, length: 1 },
  /** Command and status port of the keyboard controller. */
  keyboardCommand: { base: 0x64, length: 1 },
  /** Index and data port of the real-time clock. */
  cmos: { base: 0x70, length: 2 },
  /** POST codes; on the original board a DMA page register that nobody uses. */
  postCode: { base: 0x80, length: 1 },
  /** DMA page registers, with system control port A among them. */
  dmaPagesLow: { base: 0x81, length: 0x11 },
  /** System control port A: fast A20 gate and reset. */
  systemControlA: { base: 0x92, length: 1 },
  dmaPagesHigh: { base: 0x93, length: 0x0d },
  /** Slave 8259A. */
  picSlave: { base: 0xa0, length: 2 },
  /** Second 8237 DMA controller. */
  dma2: { base: 0xc0, length: 0x20 },
  /** Debug console of Bochs and QEMU. */
  debugConsole: { base: 0xe9, length: 1 },
  /** Coprocessor error and reset, of the days before CR0.NE. */
  coprocessor: { base: 0xf0, length: 2 },
  /** Debug exit: ends the run. */
  debugExit: { base: 0xf4, length: 4 },
  /** Command and control block of the secondary and the primary IDE channel. */
  ide2: { base: 0x170, length: 8 },
  ide1: { base: 0x1f0, length: 8 },
  ide2Control: { base: 0x376, length: 1 },
  ide1Control: { base: 0x3f6, length: 1 },
  /** Second to fourth serial ports and the parallel ports: not fitted. */
  com4: { base: 0x2e8, length: 8 },
  com2: { base: 0x2f8, length: 8 },
  lpt1: { base: 0x378, length: 3 },
  /** VGA registers. */
  vga: { base: 0x3c0, length: 0x20 },
  com3: { base: 0x3e8, length: 8 },
  /** Diskette controller, without port 0x3f6 of the IDE channel. */
  diskette: { base: 0x3f0, length: 6 },
  /** First serial port. */
  com1: { base: 0x3f8, length: 8 },
  /** Debug console of firmware. */
  firmwareConsole: { base: 0x402, length: 1 },
  /** Edge/level control registers of the interrupt controllers. */
  elcr: { base: 0x4d0, length: 2 },
  /** Selector and data of fw_cfg. */
  fwCfg: { base: 0x510, length: 2 },
  /** ACPI PM1a event and control blocks and the PM timer. */
  acpiPm: { base: 0x600, length: 12 },
  /** PCI configuration address, a double word. */
  pciAddress: { base: 0xcf8, length: 4 },
  /** PCI configuration data. */
  pciData: { base: 0xcfc, length: 4 },
} as const;

/** Reset control register: a byte inside the double word of the PCI configuration address. */
export const RESET_CONTROL_PORT = 0xcf9;

/** SLP_TYP of soft-off: what `\_S5` in the DSDT says and the ACPI control register understands. */
export const SLEEP_TYPE_S5 = 5;

/** ISA interrupt lines. The timer's also reaches input 2 of the I/O APIC, as the MADT says. */
export const IRQ = {
  timer: 0,
  keyboard: 1,
  com1: 4,
  rtc: 8,
  /** ACPI's system control interrupt, level-triggered. */
  sci: 9,
  mouse: 12,
  coprocessor: 13,
  ide1: 14,
  ide2: 15,
} as const;

/** PCI functions on bus 0: device × 8 + function. */
export const PCI_FUNCTIONS = { hostBridge: 0, isaBridge: 8, ide: 9 } as const;

/** Two IDE channels of two devices. */
export const MOST_DISKS = 4;

/** I/O APIC input of ISA interrupt 0. */
export const TIMER_IOAPIC_INPUT = 2;

/** Memory-mapped registers: first address and length. */
export const MMIO = {
  /** VGA memory window; text mode uses its last 32 KiB. */
  vgaText: { base: 0xb_8000, length: 0x8000 },
  /** The only I/O APIC. */
  ioApic: { base: 0xfec0_0000, length: 0x1000 },
  /** Local APIC of every processor after a reset; never on the bus, each processor answers itself. */
  localApic: { base: 0xfee0_0000, length: 0x1000 },
} as const;

/** APIC ID of the I/O APIC, as the MADT says. */
export const IOAPIC_ID = 0;

/** Number of I/O APIC inputs. */
export const IOAPIC_INPUTS = 24;

/** What firmware uses of the first megabyte. */
export const LOW_MEMORY = {
  /** Interrupt vectors of real mode; BIOS data area behind them. */
  biosData: { base: 0x400, length: 0x100 },
  /** The loader's tables (boot information, page tables, GDT, command line) start here, unless the image does. */
  loaderBase: 0x1000,
  /** Extended BIOS data area: the last kilobyte of base memory. */
  ebda: { base: 0x9_fc00, length: 0x400 },
  /** VGA window and expansion ROMs: no memory there. */
  adapters: { base: 0xa_0000, length: 0x4_0000 },
  /** The BIOS area: ACPI tables, searched for "RSD PTR ". */
  bios: { base: 0xe_0000, length: 0x2_0000 },
  end: 0x10_0000,
} as const;

/** Guest RAM is never placed above this, so that PCI devices and the APICs have their window below 4 GiB. */
export const MAX_MEMORY = 0xc000_0000;
/** The least with which the tables and a small image fit. */
export const MIN_MEMORY = 0x20_0000;

export interface MemoryRange {
  readonly base: number;
  readonly length: number;
  readonly kind: 'usable' | 'reserved';
}

/** The memory map as firmware reports it (INT 15h, E820): what boot loaders hand to kernels. */
export function memoryMap(memoryBytes: number): readonly MemoryRange[] {
  const { ebda, bios, end } = LOW_MEMORY;
  return [
    { base: 0, length: ebda.base, kind: 'usable' },
    { base: ebda.base, length: ebda.length, kind: 'reserved' },
    { base: bios.base, length: bios.length, kind: 'reserved' },
    { base: end, length: memoryBytes - end, kind: 'usable' },
    { base: MMIO.ioApic.base, length: MMIO.ioApic.length, kind: 'reserved' },
    { base: MMIO.localApic.base, length: MMIO.localApic.length, kind: 'reserved' },
  ];
}
