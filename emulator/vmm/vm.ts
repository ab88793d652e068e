/**
 * A virtual machine: its memory behind EPT, its board, and what its processor has as local APIC. A machine has a list
 * of them; each is as separate from the others as from the host.
 */

import type { Clock } from '../base/clock.ts';
import { Unimplemented } from '../base/errors.ts';
import type { GuestMemory } from '../base/ports.ts';
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { BootPlan } from '../boot/bootPlan.ts';
import { type ApicMessage, LocalApic } from '../core/localApic.ts';
import { CORE_CRYSTAL_HERTZ } from '../core/timeStampCounter.ts';
import { type Board, type BoardConfig, createBoard } from '../machine/pc.ts';
import type { MmioWindow } from '../mmu/memoryAccess.ts';
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';
import { EPT_PERMISSION, Ept } from './ept.ts';
import type { PageAllocator } from './memoryMap.ts';

/** The legacy video memory: its registers answer there. */
const VGA_HOLE = { start: 0xa_0000, end: 0xc_0000 } as const;
const APIC_ID = 0;
const EVERYTHING = 2 ** 52;
const APIC_PAGE = 0x1000;
const APIC_BASE_MODE = 0xc00n;
const APIC_BASE_XAPIC = 0x800n;
const APIC_BASE_ADDRESS = 0xf_ffff_ffff_f000n;
/** Enabled, bootstrap processor, at FEE00000H. */
const APIC_BASE_RESET = 0xfee0_0900n;

/** What the owner of a virtual machine decides; A20 and interrupts are the VMM's. */
export interface VmConfig {
  readonly memoryBytes: number;
  readonly startTime: number;
  readonly disks?: readonly Uint8Array[];
  readonly serial: BoardConfig['serial'];
  readonly debugConsole: BoardConfig['debugConsole'];
  readonly unanswered?: BoardConfig['unanswered'];
  readonly callbacks: Omit<BoardConfig['callbacks'], 'setA20'>;
}

export interface VmParts {
  readonly id: number;
  readonly config: VmConfig;
  readonly physical: PhysicalMemory;
  readonly pages: PageAllocator;
  /** The clock of the devices. */
  readonly clock: Clock;
  /** The tick at which the guest's TSC reaches a value. */
  readonly tickOfTsc: (tsc: bigint) => number;
  /** Something of the guest's processor may be pending: an interrupt or NMI. */
  readonly attention: () => void;
}

export class Vm implements GuestMemory {
  readonly id: number;
  readonly config: VmConfig;
  /** Host-physical address of the guest's memory. */
  readonly memoryBase: number;
  readonly memoryBytes: number;
  readonly ept: Ept;
  readonly board: Board;
  readonly apic: LocalApic;
  /** IA32_APIC_BASE as the guest knows it. */
  apicBase = APIC_BASE_RESET;
  nmiPending = false;
  /** Guest-physical addresses without memory, as the processor reaches them while the VMM completes an instruction. */
  readonly window: MmioWindow;

  readonly #physical: PhysicalMemory;

  constructor(parts: VmParts) {
    const { config, physical, pages } = parts;
    this.id = parts.id;
    this.config = config;
    this.#physical = physical;
    this.memoryBytes = config.memoryBytes;
    this.memoryBase = pages.guest(config.memoryBytes);
    this.ept = new Ept({ physical, allocate: () => pages.page() });
    this.#mapMemory();
    this.apic = new LocalApic({
      id: APIC_ID,
      clock: parts.clock,
      timerHertz: CORE_CRYSTAL_HERTZ,
      tsc: { tickOf: parts.tickOfTsc },
      signals: {
        nmi: () => {
          this.nmiPending = true;
          parts.attention();
        },
        init: () => {
          throw new Unimplemented(
            'INIT sent to the only processor of a guest (SDM "Interprocessor Interrupts", 12.6)',
          );
        },
        startUp: () => undefined,
        smi: () => {
          throw new Unimplemented('SMI in a guest (SDM "System Management Mode", chapter 33)');
        },
        interruptPending: parts.attention,
      },
      send: (message) => this.#deliver(message),
      broadcastEoi: (vector) => this.board.endOfInterrupt(vector),
      acknowledgeExternal: () => this.board.acknowledgeInterrupt(),
    });
    this.apic.initializeAsFirmware();
    this.board = createBoard({
      clock: parts.clock,
      memoryBytes: config.memoryBytes,
      startTime: config.startTime,
      serial: config.serial,
      debugConsole: config.debugConsole,
      ...(config.disks ? { disks: config.disks } : {}),
      ...(config.unanswered ? { unanswered: config.unanswered } : {}),
      interrupts: {
        interruptRequest: { set: (level) => this.apic.setLint(0, level) },
        deliver: (message) => this.#deliver({ ...message, shorthand: 'none' }),
      },
      callbacks: { ...config.callbacks, setA20: (enabled) => this.#setA20(enabled) },
    });
    this.window = {
      start: 0,
      end: EVERYTHING,
      read: (address, size) => {
        const offset = this.#apicOffset(address);
        return offset >= 0 ? this.apic.read(offset, size) : this.board.mmio.read(address, size);
      },
      write: (address, size, value) => {
        const offset = this.#apicOffset(address);
        if (offset >= 0) this.apic.write(offset, value);
        else this.board.mmio.write(address, size, value);
      },
    };
  }

  /** Puts an image into the guest's memory. */
  load(plan: BootPlan): void {
    for (const { address, length, bytes } of plan.segments) {
      this.write(address, bytes);
      if (length > bytes.length) this.write(address + bytes.length, new Uint8Array(length - bytes.length));
    }
  }

  // Guest-physical memory as devices and loaders see it

  read(address: number, into: Uint8Array): void {
    into.fill(0xff);
    const inside = Math.max(0, Math.min(into.length, this.memoryBytes - address));
    this.#physical.copyOut(this.memoryBase + address, into.subarray(0, inside));
  }

  write(address: number, bytes: Uint8Array): void {
    const inside = Math.max(0, Math.min(bytes.length, this.memoryBytes - address));
    this.#physical.copyIn(this.memoryBase + address, bytes.subarray(0, inside));
  }

  /** Host-physical address of guest memory; undefined where there is none. */
  hostPhysical(address: number): number | undefined {
    const isHole = address >= VGA_HOLE.start && address < VGA_HOLE.end;
    return address < this.memoryBytes && !isHole ? this.memoryBase + address : undefined;
  }

  save(): StateRecord {
    return {
      apicBase: this.apicBase,
      nmiPending: this.nmiPending,
      apic: this.apic.save(),
      board: this.board.save(),
    };
  }

  restore(state: StateRecord): void {
    const saved = new SavedState('a virtual machine', state);
    this.apicBase = saved.bigint('apicBase');
    this.nmiPending = saved.boolean('nmiPending');
    this.board.restore(saved.rawRecord('board'));
    // After the board, whose interrupt lines lead here.
    this.apic.restore(saved.rawRecord('apic'));
  }

  #mapMemory(): void {
    const { start, end } = VGA_HOLE;
    this.ept.map(0, this.memoryBase, start, EPT_PERMISSION.ALL);
    this.ept.map(end, this.memoryBase + end, this.memoryBytes - end, EPT_PERMISSION.ALL);
  }

  /** Offset in the local APIC's page while it answers in memory, or -1. */
  #apicOffset(address: number): number {
    if ((this.apicBase & APIC_BASE_MODE) !== APIC_BASE_XAPIC) return -1;
    const page = Number(this.apicBase & APIC_BASE_ADDRESS);
    return address >= page && address < page + APIC_PAGE ? address - page : -1;
  }

  /** Messages on the bus between the APICs: there is one processor. */
  #deliver(message: ApicMessage): void {
    const isForIt =
      message.shorthand === 'none' ? this.apic.isDestination(message) : message.shorthand !== 'others';
    if (isForIt) this.apic.receive(message);
  }

  #setA20(enabled: boolean): void {
    if (!enabled) throw new Unimplemented('A20 disabled by a guest in guest mode; use --mode bare-metal');
  }
}
