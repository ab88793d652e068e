/**
 * What a terminal shows after the bytes of a serial port: characters where the cursor was put, in the part of ECMA-48 that
 * programs on a serial console use. Colours are taken and forgotten; a sequence that is not known is an error.
 */
const ESC = 0x1b;
const TAB_WIDTH = 8;
const SEQUENCE_END = /^[\x40-\x7e]$/;

export class Screen {
  readonly rows: number;
  readonly columns: number;
  readonly #cells: string[][];
  #row = 0;
  #column = 0;
  /** The control sequence that is being received: after ESC, or after ESC [. */
  #sequence: string | undefined;

  constructor(rows = 25, columns = 80) {
    this.rows = rows;
    this.columns = columns;
    this.#cells = Array.from({ length: rows }, () => this.#blankRow());
  }

  write(byte: number): void {
    if (this.#sequence !== undefined) {
      this.#continueSequence(String.fromCharCode(byte));
      return;
    }
    switch (byte) {
      case ESC:
        this.#sequence = '';
        break;
      case 0x07:
      case 0x00:
        break;
      case 0x08:
        this.#column = Math.max(0, this.#column - 1);
        break;
      case 0x09:
        this.#column = Math.min(this.columns - 1, (Math.floor(this.#column / TAB_WIDTH) + 1) * TAB_WIDTH);
        break;
      case 0x0a:
        this.#lineFeed();
        break;
      case 0x0d:
        this.#column = 0;
        break;
      default:
        this.#put(String.fromCharCode(byte));
    }
  }

  /** One line of text, without blanks at its end. */
  line(row: number): string {
    return this.#cells[row].join('').trimEnd();
  }

  /** All lines, without empty ones at the end. */
  get text(): string {
    return this.#cells
      .map((_, row) => this.line(row))
      .join('\n')
      .trimEnd();
  }

  #blankRow(): string[] {
    return new Array<string>(this.columns).fill(' ');
  }

  #put(character: string): void {
    if (this.#column === this.columns) {
      this.#column = 0;
      this.#lineFeed();
    }
    this.#cells[this.#row][this.#column++] = character;
  }

  #lineFeed(): void {
    if (this.#row < this.rows - 1) {
      this.#row++;
      return;
    }
    this.#cells.shift();
    this.#cells.push(this.#blankRow());
  }

  #continueSequence(character: string): void {
    const sequence = (this.#sequence ?? '') + character;
    if (sequence === '[' || (sequence.startsWith('[') && !SEQUENCE_END.test(character))) {
      this.#sequence = sequence;
      return;
    }
    this.#sequence = undefined;
    if (!sequence.startsWith('[')) throw new Error(`the screen does not know ESC ${sequence}`);
    this.#control(sequence.slice(1, -1), character);
  }

  /** A control sequence ESC [ parameters final. */
  #control(parameters: string, final: string): void {
    const numbers = parameters.split(';').map((text) => Number.parseInt(text, 10) || 0);
    const [first, second = 0] = numbers;
    const count = Math.max(1, first);
    switch (final) {
      case 'H':
      case 'f':
        this.#moveTo(count - 1, Math.max(1, second) - 1);
        break;
      case 'A':
        this.#moveTo(this.#row - count, this.#column);
        break;
      case 'B':
        this.#moveTo(this.#row + count, this.#column);
        break;
      case 'C':
        this.#moveTo(this.#row, this.#column + count);
        break;
      case 'D':
        this.#moveTo(this.#row, this.#column - count);
        break;
      case 'J':
        this.#eraseDisplay(first);
        break;
      case 'K':
        this.#eraseLine(first);
        break;
      case 'm':
      case 'h':
      case 'l':
      case 'r':
        break;
      default:
        throw new Error(`the screen does not know ESC [${parameters}${final}`);
    }
  }

  #moveTo(row: number, column: number): void {
    this.#row = Math.max(0, Math.min(this.rows - 1, row));
    this.#column = Math.max(0, Math.min(this.columns - 1, column));
  }

  /** 0: from the cursor on, 1: up to the cursor, 2: everything. */
  #eraseDisplay(part: number): void {
    for (let row = 0; row < this.rows; row++) {
      const whole = part === 2 || (part === 0 ? row > this.#row : row < this.#row);
      if (whole) this.#cells[row] = this.#blankRow();
    }
    if (part !== 2) this.#eraseLine(part);
  }

  #eraseLine(part: number): void {
    const start = part === 0 ? Math.min(this.#column, this.columns) : 0;
    const end = part === 1 ? this.#column + 1 : this.columns;
    this.#cells[this.#row].fill(' ', start, end);
  }
}
