/**
 * A VGA adapter in 80x25 text mode: the 32 KiB of text memory at 0xb8000 and the registers at ports 0x3c0-0x3df, as
 * far as text mode needs them. Offsets 0x00-0x1f are the ports; the text memory starts at `VGA_MEMORY_OFFSET`.
 *
 * There are no graphics modes and no fonts: the registers that choose them read back and change nothing.
 *
 * @see IBM, Personal System/2 Hardware Interface Technical Reference, "Video Subsystem"
 */
import type { Clock } from '../base/clock.ts';
import { periodsInTicks } from '../base/clock.ts';
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import { characterOf } from './codePage437.ts';
import type { AccessSize, Device } from './device.ts';

/** The device's offset of the text memory. */
export const VGA_MEMORY_OFFSET = 0x1_0000;
const MEMORY_SIZE = 0x8000;

/** Ports, from 0x3c0. */
const ATTRIBUTE = 0x00;
const ATTRIBUTE_READ = 0x01;
const MISCELLANEOUS_WRITE = 0x02;
const SEQUENCER_INDEX = 0x04;
const SEQUENCER_DATA = 0x05;
const PALETTE_MASK = 0x06;
const PALETTE_READ_INDEX = 0x07;
const PALETTE_WRITE_INDEX = 0x08;
const PALETTE_DATA = 0x09;
const FEATURE_READ = 0x0a;
const MISCELLANEOUS_READ = 0x0c;
const GRAPHICS_INDEX = 0x0e;
const GRAPHICS_DATA = 0x0f;
const CRTC_INDEX = 0x14;
const CRTC_DATA = 0x15;
const INPUT_STATUS_1 = 0x1a;

const CRTC_HORIZONTAL_DISPLAY_END = 0x01;
const CRTC_MAXIMUM_SCAN_LINE = 0x09;
const CRTC_START_HIGH = 0x0c;
const CRTC_START_LOW = 0x0d;
const CRTC_CURSOR_HIGH = 0x0e;
const CRTC_CURSOR_LOW = 0x0f;
const CRTC_VERTICAL_DISPLAY_END = 0x12;
const CRTC_OVERFLOW = 0x07;
const CRTC_OFFSET = 0x13;

const STATUS_NO_DISPLAY = 0x01;
const STATUS_VERTICAL_RETRACE = 0x08;
/** 449 lines of 31.469 kHz, 400 of them visible. */
const LINE_HERTZ = 31_469;
const LINES = 449;
const VISIBLE_LINES = 400;
const RETRACE_LINES = [412, 414] as const;

/** What the BIOS sets for mode 3. */
const CRTC_MODE_3 = [
  ...[0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00],
  ...[0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff],
];
const ATTRIBUTE_MODE_3 = [
  ...[0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f],
  ...[0x0c, 0x00, 0x0f, 0x08, 0x00],
];
const SEQUENCER_MODE_3 = [0x03, 0x00, 0x03, 0x00, 0x02];
const GRAPHICS_MODE_3 = [0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x0f, 0xff];
const MISCELLANEOUS_MODE_3 = 0x67;
const PALETTE_SIZE = 256 * 3;

export interface VgaTextConfig {
  readonly clock: Clock;
}

export class VgaText implements Device {
  readonly name = 'vga-text';
  readonly #clock: Clock;
  readonly #memory = new Uint8Array(MEMORY_SIZE);
  readonly #crtc = Uint8Array.from(CRTC_MODE_3);
  readonly #attribute = Uint8Array.from(ATTRIBUTE_MODE_3);
  readonly #sequencer = Uint8Array.from(SEQUENCER_MODE_3);
  readonly #graphics = Uint8Array.from(GRAPHICS_MODE_3);
  readonly #palette = new Uint8Array(PALETTE_SIZE);
  #registers = initialRegisters();

  constructor({ clock }: VgaTextConfig) {
    this.#clock = clock;
    this.#clearScreen();
  }

  /** The lines of the screen, as many columns wide as the screen has. */
  text(): string[] {
    const columns = this.#crtc[CRTC_HORIZONTAL_DISPLAY_END] + 1;
    const overflow = this.#crtc[CRTC_OVERFLOW];
    const scanLines =
      this.#crtc[CRTC_VERTICAL_DISPLAY_END] + ((overflow & 0x02) << 7) + ((overflow & 0x40) << 3) + 1;
    const rows = Math.floor(scanLines / ((this.#crtc[CRTC_MAXIMUM_SCAN_LINE] & 0x1f) + 1));
    const start = this.#crtcWord(CRTC_START_HIGH, CRTC_START_LOW);
    const pitch = this.#crtc[CRTC_OFFSET] * 2;
    return Array.from({ length: rows }, (_, row) => {
      let line = '';
      for (let column = 0; column < columns; column += 1) {
        line += characterOf(this.#memory[((start + row * pitch + column) * 2) % MEMORY_SIZE]);
      }
      return line;
    });
  }

  /** Where the cursor is, in characters from the start of text memory. */
  get cursor(): number {
    return this.#crtcWord(CRTC_CURSOR_HIGH, CRTC_CURSOR_LOW);
  }

  read(offset: number, size: AccessSize): number {
    const value = this.peek(offset, size);
    if (offset === INPUT_STATUS_1) this.#registers.attributeData = false;
    if (offset === PALETTE_DATA)
      this.#registers.paletteRead = (this.#registers.paletteRead + 1) % PALETTE_SIZE;
    return value;
  }

  peek(offset: number, size: AccessSize): number {
    if (offset >= VGA_MEMORY_OFFSET) {
      let value = 0;
      const start = offset - VGA_MEMORY_OFFSET;
      for (let byte = size - 1; byte >= 0; byte -= 1) value = value * 256 + this.#memory[start + byte];
      return value;
    }
    const registers = this.#registers;
    switch (offset) {
      case ATTRIBUTE:
        return registers.attributeIndex;
      case ATTRIBUTE_READ:
        return this.#attribute[registers.attributeIndex & 0x1f] ?? 0;
      case MISCELLANEOUS_WRITE:
        // Input status 0: the switch sense bit of a colour display.
        return 0x10;
      case SEQUENCER_INDEX:
        return registers.sequencerIndex;
      case SEQUENCER_DATA:
        return this.#sequencer[registers.sequencerIndex] ?? 0;
      case PALETTE_MASK:
        return registers.paletteMask;
      case PALETTE_READ_INDEX:
        return registers.paletteReading ? 3 : 0;
      case PALETTE_WRITE_INDEX:
        return Math.floor(registers.paletteWrite / 3);
      case PALETTE_DATA:
        return this.#palette[registers.paletteRead];
      case FEATURE_READ:
        return 0;
      case MISCELLANEOUS_READ:
        return registers.miscellaneous;
      case GRAPHICS_INDEX:
        return registers.graphicsIndex;
      case GRAPHICS_DATA:
        return this.#graphics[registers.graphicsIndex] ?? 0;
      case CRTC_INDEX:
        return registers.crtcIndex;
      case CRTC_DATA:
        return this.#crtc[registers.crtcIndex] ?? 0;
      case INPUT_STATUS_1:
        return this.#inputStatus1();
    }
    return 0xff;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset >= VGA_MEMORY_OFFSET) {
      const start = offset - VGA_MEMORY_OFFSET;
      for (let byte = 0; byte < size; byte += 1) this.#memory[start + byte] = value >>> (8 * byte);
      return;
    }
    const registers = this.#registers;
    switch (offset) {
      case ATTRIBUTE:
        if (registers.attributeData) store(this.#attribute, registers.attributeIndex & 0x1f, value);
        else registers.attributeIndex = value & 0x3f;
        registers.attributeData = !registers.attributeData;
        break;
      case MISCELLANEOUS_WRITE:
        registers.miscellaneous = value;
        break;
      case SEQUENCER_INDEX:
        registers.sequencerIndex = value;
        break;
      case SEQUENCER_DATA:
        store(this.#sequencer, registers.sequencerIndex, value);
        break;
      case PALETTE_MASK:
        registers.paletteMask = value;
        break;
      case PALETTE_READ_INDEX:
        registers.paletteRead = value * 3;
        registers.paletteReading = true;
        break;
      case PALETTE_WRITE_INDEX:
        registers.paletteWrite = value * 3;
        registers.paletteReading = false;
        break;
      case PALETTE_DATA:
        this.#palette[registers.paletteWrite] = value & 0x3f;
        registers.paletteWrite = (registers.paletteWrite + 1) % PALETTE_SIZE;
        break;
      case GRAPHICS_INDEX:
        registers.graphicsIndex = value;
        break;
      case GRAPHICS_DATA:
        store(this.#graphics, registers.graphicsIndex, value);
        break;
      case CRTC_INDEX:
        registers.crtcIndex = value;
        break;
      case CRTC_DATA:
        store(this.#crtc, registers.crtcIndex, value);
        break;
    }
  }

  reset(): void {
    this.#registers = initialRegisters();
    this.#crtc.set(CRTC_MODE_3);
    this.#attribute.set(ATTRIBUTE_MODE_3);
    this.#sequencer.set(SEQUENCER_MODE_3);
    this.#graphics.set(GRAPHICS_MODE_3);
    this.#palette.fill(0);
    this.#clearScreen();
  }

  save(): StateRecord {
    return {
      ...this.#registers,
      memory: this.#memory.slice(),
      crtc: this.#crtc.slice(),
      attribute: this.#attribute.slice(),
      sequencer: this.#sequencer.slice(),
      graphics: this.#graphics.slice(),
      palette: this.#palette.slice(),
    };
  }

  restore(state: StateRecord): void {
    const saved = new SavedState(this.name, state);
    saved.into(this.#registers);
    this.#memory.set(saved.bytes('memory', MEMORY_SIZE));
    this.#crtc.set(saved.bytes('crtc', this.#crtc.length));
    this.#attribute.set(saved.bytes('attribute', this.#attribute.length));
    this.#sequencer.set(saved.bytes('sequencer', this.#sequencer.length));
    this.#graphics.set(saved.bytes('graphics', this.#graphics.length));
    this.#palette.set(saved.bytes('palette', PALETTE_SIZE));
  }

  #crtcWord(high: number, low: number): number {
    return (this.#crtc[high] << 8) | this.#crtc[low];
  }

  #inputStatus1(): number {
    const line = periodsInTicks(this.#clock.now(), LINE_HERTZ) % LINES;
    const retrace = line >= RETRACE_LINES[0] && line < RETRACE_LINES[1];
    return (line >= VISIBLE_LINES ? STATUS_NO_DISPLAY : 0) | (retrace ? STATUS_VERTICAL_RETRACE : 0);
  }

  /** Blanks, light grey on black. */
  #clearScreen(): void {
    for (let at = 0; at < MEMORY_SIZE; at += 2) {
      this.#memory[at] = 0x20;
      this.#memory[at + 1] = 0x07;
    }
  }
}

/** Registers beyond the last one do not exist. */
function store(registers: Uint8Array, index: number, value: number): void {
  if (index < registers.length) registers[index] = value;
}

function initialRegisters() {
  return {
    /** Bit 5 shows the screen. */
    attributeIndex: 0x20,
    /** The next write to the attribute port is data. */
    attributeData: false,
    miscellaneous: MISCELLANEOUS_MODE_3,
    sequencerIndex: 0,
    graphicsIndex: 0,
    crtcIndex: 0,
    paletteMask: 0xff,
    paletteRead: 0,
    paletteWrite: 0,
    paletteReading: false,
  };
}
