/**
 * The parts list of the board and its wiring. The same board serves as the machine's own (the program runs on the
 * metal) and as the one that the built-in VMM gives to a guest: nothing in it is global, and it sees the processors
 * only through the interrupt outputs in its configuration.
 */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { ByteSink, IrqLine } from '../base/ports.ts';
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import { AcpiPm } from '../devices/acpiPm.ts';
import { AtaDisk } from '../devices/ataDisk.ts';
import { Bus, type RangeOptions } from '../devices/bus.ts';
import { CmosRtc } from '../devices/cmosRtc.ts';
import { CoprocessorError } from '../devices/coprocessorError.ts';
import { DebugConsole } from '../devices/debugConsole.ts';
import { DebugExit } from '../devices/debugExit.ts';
import type { Device } from '../devices/device.ts';
import { FwCfg } from '../devices/fwCfg.ts';
import { I8042, I8042_COMMAND_OFFSET } from '../devices/i8042.ts';
import { IDE_CONTROL_OFFSET, IdeChannel } from '../devices/ideChannel.ts';
import { IoApic, type IoApicMessage } from '../devices/ioApic.ts';
import { type PciFunction, PciHost } from '../devices/pciHost.ts';
import { PciHostBridge, type ShadowAreas } from '../devices/pciHostBridge.ts';
import { PIC_ELCR_OFFSET, PIC_SLAVE_OFFSET, Pic8259Pair } from '../devices/pic8259.ts';
import { piix3Ide, piix3IsaBridge } from '../devices/piix3.ts';
import { PIT_PORT_B_OFFSET, Pit8254 } from '../devices/pit8254.ts';
import { Port92 } from '../devices/port92.ts';
import { PostCode } from '../devices/postCode.ts';
import { ResetControl } from '../devices/resetControl.ts';
import { Uart16550 } from '../devices/uart16550.ts';
import { UnimplementedDevice } from '../devices/unimplemented.ts';
import { VGA_MEMORY_OFFSET, VgaText } from '../devices/vgaText.ts';
import { firmwareFiles } from './firmwareFiles.ts';
import {
  IOAPIC_ID,
  IOAPIC_INPUTS,
  IRQ,
  MMIO,
  PCI_FUNCTIONS,
  PORTS,
  SLEEP_TYPE_S5,
  TIMER_IOAPIC_INPUT,
} from './layout.ts';

/** Where the board's interrupts go. The board drives them from its construction on. */
export interface BoardInterrupts {
  /** INTR of the 8259s, to LINT0 of the first processor. */
  readonly interruptRequest: IrqLine;
  /** Messages of the I/O APIC, to the local APICs. */
  readonly deliver: (message: IoApicMessage) => void;
}

export interface BoardCallbacks {
  /** The system switched itself off (ACPI S5). */
  readonly powerOff: () => void;
  /** A write to the debug-exit port. */
  readonly debugExit: (value: number) => void;
  /** A reset of the platform was requested; the board is reset by {@link Board.reset}, not by itself. */
  readonly reset: () => void;
  /** The processor's INIT pin was pulled. */
  readonly initialize: () => void;
  readonly setA20: (enabled: boolean) => void;
}

export interface BoardConfig {
  readonly clock: Clock;
  readonly memoryBytes: number;
  /** Seconds since 1970-01-01T00:00:00Z that the real-time clock shows at tick 0. */
  readonly startTime: number;
  readonly interrupts: BoardInterrupts;
  readonly callbacks: BoardCallbacks;
  readonly serial: ByteSink;
  readonly debugConsole: ByteSink;
  /** Images of disks, in the order of the IDE devices; none: there is no IDE controller, unless there is a BIOS. */
  readonly disks?: readonly Uint8Array[];
  /**
   * RAM and ROM of a board that starts with firmware of its own: it is told about the board through fw_cfg, and finds it as
   * power-on leaves it.
   */
  readonly shadow?: ShadowAreas;
  /** Told of accesses that nobody answers. */
  readonly unanswered?: Logger;
}

/** Ports where a PC has something that this board does not: they read as all ones and are not reported. */
const UNIMPLEMENTED_PORTS = [
  ['8237 DMA controller 1', PORTS.dma1],
  ['DMA page registers', PORTS.dmaPagesLow],
  ['DMA page registers', PORTS.dmaPagesHigh],
  ['8237 DMA controller 2', PORTS.dma2],
  ['COM2', PORTS.com2],
  ['COM3', PORTS.com3],
  ['COM4', PORTS.com4],
  ['LPT1', PORTS.lpt1],
  ['diskette controller', PORTS.diskette],
] as const;

/** The same for a board without disks. */
const UNIMPLEMENTED_IDE = [
  ['secondary IDE channel', PORTS.ide2],
  ['primary IDE channel', PORTS.ide1],
] as const;

const IDE_PORTS = [
  [PORTS.ide1, PORTS.ide1Control],
  [PORTS.ide2, PORTS.ide2Control],
] as const;

export class Board {
  readonly ports: Bus;
  readonly mmio: Bus;
  readonly pic: Pic8259Pair;
  readonly ioApic: IoApic;
  readonly uart: Uart16550;
  readonly keyboard: I8042;
  readonly vga: VgaText;
  readonly acpi: AcpiPm;
  readonly coprocessorError: CoprocessorError;
  /** Every device that has state, interrupt controllers last: they see no line move while a state is restored. */
  readonly devices: readonly Device[];
  /** Loaders take the place of firmware, so the board starts as firmware would leave it. */
  readonly #startsInitialized: boolean;

  constructor(config: BoardConfig) {
    const { clock, callbacks, interrupts, shadow, disks = [] } = config;
    this.#startsInitialized = shadow === undefined;
    const hasIde = shadow !== undefined || disks.length > 0;
    this.ports = Bus.ports(config.unanswered);
    this.mmio = Bus.memory(config.unanswered);

    // Interrupt controllers.
    this.pic = new Pic8259Pair({ interruptRequest: interrupts.interruptRequest });
    this.ioApic = new IoApic({ id: IOAPIC_ID, inputs: IOAPIC_INPUTS, deliver: interrupts.deliver });
    // A20 is enabled when either gate enables it.
    const a20 = gateOf(callbacks.setA20);

    // Devices.
    const pit = new Pit8254({ clock, irq: this.#isaLine(IRQ.timer) });
    const rtc = new CmosRtc({
      clock,
      irq: this.#isaLine(IRQ.rtc),
      startTime: config.startTime,
      memoryBytes: config.memoryBytes,
    });
    const resetControl = new ResetControl({ reset: callbacks.reset, initialize: callbacks.initialize });
    const systemControlA = new Port92({ setA20: a20('port92'), initialize: callbacks.initialize });
    const functions = new Map<number, PciFunction>([[PCI_FUNCTIONS.hostBridge, new PciHostBridge(shadow)]]);
    if (hasIde) functions.set(PCI_FUNCTIONS.isaBridge, piix3IsaBridge()).set(PCI_FUNCTIONS.ide, piix3Ide());
    const pci = new PciHost({ functions, resetControl });
    const postCode = new PostCode();
    this.coprocessorError = new CoprocessorError({ irq: this.#isaLine(IRQ.coprocessor) });
    this.uart = new Uart16550({ name: 'com1', clock, irq: this.#isaLine(IRQ.com1), sink: config.serial });
    this.keyboard = new I8042({
      keyboardIrq: this.#isaLine(IRQ.keyboard),
      setA20: a20('i8042'),
      initialize: callbacks.initialize,
    });
    this.vga = new VgaText({ clock });
    this.acpi = new AcpiPm({
      clock,
      sci: this.#isaLine(IRQ.sci),
      softOffType: SLEEP_TYPE_S5,
      powerOff: callbacks.powerOff,
    });
    const ide = hasIde ? this.#ideChannels(clock, disks) : [];
    const fwCfg =
      shadow &&
      new FwCfg({ memoryBytes: config.memoryBytes, cpus: 1, files: firmwareFiles(config.memoryBytes) });
    this.devices = [
      pit,
      rtc,
      this.uart,
      this.keyboard,
      this.vga,
      this.acpi,
      resetControl,
      systemControlA,
      pci,
      postCode,
      this.coprocessorError,
      ...ide,
      ...(fwCfg ? [fwCfg] : []),
      this.pic,
      this.ioApic,
    ];

    // Where they are.
    this.#port(PORTS.picMaster, this.pic, 'master 8259A', { widest: 1 });
    this.#port(PORTS.picSlave, this.pic, 'slave 8259A', { widest: 1, offset: PIC_SLAVE_OFFSET });
    this.#port(PORTS.elcr, this.pic, 'edge/level control', { widest: 1, offset: PIC_ELCR_OFFSET });
    this.#port(PORTS.pit, pit, '8254 timer', { widest: 1 });
    this.#port(PORTS.systemControlB, pit, 'system control port B', { widest: 1, offset: PIT_PORT_B_OFFSET });
    this.#port(PORTS.keyboardData, this.keyboard, 'keyboard data', { widest: 1 });
    this.#port(PORTS.keyboardCommand, this.keyboard, 'keyboard command', {
      widest: 1,
      offset: I8042_COMMAND_OFFSET,
    });
    this.#port(PORTS.cmos, rtc, 'CMOS and real-time clock', { widest: 1 });
    this.#port(PORTS.postCode, postCode, 'POST code');
    this.#port(PORTS.coprocessor, this.coprocessorError, 'coprocessor error', { widest: 1 });
    this.#port(PORTS.systemControlA, systemControlA, 'system control port A', { widest: 1 });
    const debugConsole = new DebugConsole({ sink: config.debugConsole });
    this.#port(PORTS.debugConsole, debugConsole, 'debug console', { widest: 1 });
    if (fwCfg) {
      this.#port(PORTS.firmwareConsole, debugConsole, "firmware's debug console", { widest: 1 });
      this.#port(PORTS.fwCfg, fwCfg, 'fw_cfg', { widest: 2 });
    }
    for (const [index, channel] of ide.entries()) {
      const [command, control] = IDE_PORTS[index];
      this.#port(command, channel, channel.name);
      this.#port(control, channel, `${channel.name} control`, { widest: 1, offset: IDE_CONTROL_OFFSET });
    }
    this.#port(PORTS.debugExit, new DebugExit({ exit: callbacks.debugExit }), 'debug exit');
    this.#port(PORTS.vga, this.vga, 'VGA registers', { widest: 1 });
    this.#port(PORTS.com1, this.uart, 'COM1', { widest: 1 });
    this.#port(PORTS.acpiPm, this.acpi, 'ACPI power management');
    this.#port(PORTS.pciAddress, pci, 'PCI configuration address');
    this.#port(PORTS.pciData, pci, 'PCI configuration data', { offset: PORTS.pciAddress.length });
    for (const [name, range] of hasIde ? UNIMPLEMENTED_PORTS : [...UNIMPLEMENTED_PORTS, ...UNIMPLEMENTED_IDE])
      this.#port(range, new UnimplementedDevice(name), name);

    const { vgaText, ioApic } = MMIO;
    this.mmio.register(vgaText.base, vgaText.length, this.vga, 'VGA text memory', {
      offset: VGA_MEMORY_OFFSET,
    });
    this.mmio.register(ioApic.base, ioApic.length, this.ioApic, 'I/O APIC');

    if (this.#startsInitialized) this.#initializeAsFirmware();
  }

  /** The interrupt-acknowledge cycles of a processor, for an interrupt through the 8259s. */
  acknowledgeInterrupt(): number {
    return this.pic.acknowledge();
  }

  /** A local APIC ended a level-triggered interrupt. */
  endOfInterrupt(vector: number): void {
    this.ioApic.endOfInterrupt(vector);
  }

  /** A reset of the platform, to the state in which firmware hands over to a loader. */
  reset(): void {
    for (const device of this.devices) device.reset();
    if (this.#startsInitialized) this.#initializeAsFirmware();
  }

  save(): StateRecord {
    return Object.fromEntries(this.devices.map((device) => [device.name, device.save()]));
  }

  restore(state: StateRecord): void {
    const saved = new SavedState('the board', state);
    for (const device of this.devices) device.restore(saved.rawRecord(device.name));
  }

  /** The primary channel has the first two disks. */
  #ideChannels(clock: Clock, disks: readonly Uint8Array[]): IdeChannel[] {
    return [IRQ.ide1, IRQ.ide2].map((irq, channel) => {
      const attached = [0, 1].map((device) => {
        const index = 2 * channel + device;
        return disks[index] && new AtaDisk(disks[index], `HVM${index}`);
      });
      return new IdeChannel({
        name: `ide${channel + 1}`,
        clock,
        irq: this.#isaLine(irq),
        disks: attached,
      });
    });
  }

  #initializeAsFirmware(): void {
    // Counter 0 as a square wave with the longest period: 18.2 Hz.
    const { base } = PORTS.pit;
    this.ports.write(base + 3, 1, 0x36);
    this.ports.write(base, 1, 0);
    this.ports.write(base, 1, 0);
    // Last, because it forgets the edge that starting the timer made.
    this.pic.initializeAsFirmware();
  }

  #port(
    range: { readonly base: number; readonly length: number },
    device: Device,
    name: string,
    options?: RangeOptions,
  ): void {
    this.ports.register(range.base, range.length, device, name, options);
  }

  /** An ISA interrupt reaches the 8259s and the I/O APIC. */
  #isaLine(irq: number): IrqLine {
    const pic = this.pic.line(irq);
    const ioApic = this.ioApic.line(irq === IRQ.timer ? TIMER_IOAPIC_INPUT : irq);
    return {
      set: (level) => {
        pic.set(level);
        ioApic.set(level);
      },
    };
  }
}

export function createBoard(config: BoardConfig): Board {
  return new Board(config);
}

/** Combines several gates of A20 to one: the line is enabled when any of them is. */
function gateOf(setA20: (enabled: boolean) => void): (gate: string) => (enabled: boolean) => void {
  const gates = new Map<string, boolean>();
  return (gate) => {
    gates.set(gate, true);
    return (enabled) => {
      gates.set(gate, enabled);
      setA20([...gates.values()].some((value) => value));
    };
  };
}
