/**
 * The part of a PC's BIOS that a system still calls after it was loaded: real-mode interrupts that tell the memory map
 * and the equipment, and handlers for the hardware interrupts. Everything else is answered as a BIOS answers a
 * function that it does not have. There is no boot, disk or video service.
 *
 * @see ACPI 6.5, "INT 15H, E820H - Query System Address Map", 15.1; IBM, Personal System/2 and Personal Computer BIOS
 * Interface Technical Reference
 */
import { LOW_MEMORY, memoryMap } from '../machine/layout.ts';
import { StructureWriter } from './bytes.ts';
import { assemble, bytes, type CodePiece, dword, label, offset, short, word } from './realModeCode.ts';

/** The code's segment; its offset 0 is physical 0xF0000. */
const BIOS_SEGMENT = 0xf000;
const ROM_SIZE = 0x1_0000;
const VECTORS = 256;
const MAP_ENTRY_SIZE = 20;
/** Where a processor starts after a reset, and the machine's date and model, as a PC has them. */
const RESET_OFFSET = 0xfff0;
const DATE_OFFSET = 0xfff5;
const MODEL_OFFSET = 0xfffe;
const MODEL_AT = 0xfc;

/** One display, one serial port, coprocessor, no diskette. */
export const EQUIPMENT_WORD = 0x0222;

/** Which vector goes where; all others return at once. */
const HANDLERS: readonly (readonly [vector: number, handler: string])[] = [
  [0x08, 'timer'],
  ...range(0x09, 0x0f, 'irq'),
  [0x10, 'video'],
  [0x11, 'equipment'],
  [0x12, 'baseMemory'],
  [0x13, 'unsupported'],
  [0x14, 'unsupported'],
  [0x15, 'system'],
  [0x16, 'keyboard'],
  [0x18, 'reset'],
  [0x19, 'reset'],
  [0x1a, 'time'],
  ...range(0x70, 0x77, 'slaveIrq'),
];

export interface BiosServices {
  /** For physical address 0. */
  readonly vectors: Uint8Array;
  /** For physical address 0xF0000. */
  readonly rom: Uint8Array;
}

export function biosServices(memoryBytes: number): BiosServices {
  const { bytes: code, labels } = assemble([...handlers(memoryBytes), ...mapTable(memoryBytes)]);
  const vectors = new StructureWriter(VECTORS * 4);
  const entry = (name: string) => labels.get(name) as number;
  for (let vector = 0; vector < VECTORS; vector += 1) {
    const [, handler] = HANDLERS.find(([number]) => number === vector) ?? [vector, 'return'];
    vectors.u16(vector * 4, entry(handler)).u16(vector * 4 + 2, BIOS_SEGMENT);
  }
  const rom = new StructureWriter(ROM_SIZE)
    .copy(0, code)
    // jmp far to the reset handler
    .u8(RESET_OFFSET, 0xea)
    .u16(RESET_OFFSET + 1, entry('reset'))
    .u16(RESET_OFFSET + 3, BIOS_SEGMENT)
    .text(DATE_OFFSET, '01/01/00')
    .u8(MODEL_OFFSET, MODEL_AT);
  return { vectors: vectors.bytes, rom: rom.bytes };
}

function handlers(memoryBytes: number): CodePiece[] {
  const kilobytes = Math.floor((memoryBytes - LOW_MEMORY.end) / 1024);
  const below16M = Math.min(kilobytes, 15 * 1024);
  const above16M = Math.min(0xffff, Math.floor(Math.max(0, kilobytes - 15 * 1024) / 64));
  const entries = memoryMap(memoryBytes).length;
  return [
    label('return'),
    bytes(0xcf), // iret

    // IRQ 0: counts ticks at 0040:006c.
    label('timer'),
    bytes(0x1e), // push ds
    bytes(0x50), // push ax
    bytes(0xb8), // mov ax, 0x40
    word(0x40),
    bytes(0x8e, 0xd8), // mov ds, ax
    bytes(0x66, 0xff, 0x06), // inc dword [0x6c]
    word(0x6c),
    bytes(0xb0, 0x20, 0xe6, 0x20), // mov al, 0x20; out 0x20, al
    bytes(0x58, 0x1f, 0xcf), // pop ax; pop ds; iret

    label('irq'),
    bytes(0x50), // push ax
    bytes(0xb0, 0x20, 0xe6, 0x20), // mov al, 0x20; out 0x20, al
    bytes(0x58, 0xcf), // pop ax; iret

    label('slaveIrq'),
    bytes(0x50), // push ax
    bytes(0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20), // mov al, 0x20; out 0xa0, al; out 0x20, al
    bytes(0x58, 0xcf), // pop ax; iret

    // INT 11H
    label('equipment'),
    bytes(0xb8), // mov ax, equipment
    word(EQUIPMENT_WORD),
    bytes(0xcf), // iret

    // INT 12H
    label('baseMemory'),
    bytes(0xb8), // mov ax, kilobytes
    word(LOW_MEMORY.ebda.base / 1024),
    bytes(0xcf), // iret

    // INT 10H: only AH=0FH, the current mode. VESA functions see AL other than 4FH.
    label('video'),
    bytes(0x80, 0xfc, 0x0f), // cmp ah, 0x0f
    bytes(0x75), // jne return
    short('videoReturn'),
    bytes(0xb8, 0x03, 0x50), // mov ax, 0x5003 (80 columns, mode 3)
    bytes(0xb7, 0x00), // mov bh, 0
    label('videoReturn'),
    bytes(0xcf), // iret

    // INT 16H: no key is waiting (AH=1, 11H: ZF), no shift key is down (AH=2, 12H).
    label('keyboard'),
    bytes(0x80, 0xe4, 0xef), // and ah, 0xef
    bytes(0x80, 0xfc, 0x02), // cmp ah, 2
    bytes(0x74), // je noShift
    short('noShift'),
    bytes(0x55, 0x8b, 0xec), // push bp; mov bp, sp
    bytes(0x80, 0x4e, 0x06, 0x40), // or byte [bp+6], 0x40
    bytes(0x5d, 0xcf), // pop bp; iret
    label('noShift'),
    bytes(0xb0, 0x00, 0xcf), // mov al, 0; iret

    // INT 1AH: only AH=0, the tick count.
    label('time'),
    bytes(0x84, 0xe4), // test ah, ah
    bytes(0x75), // jne unsupported
    short('unsupported'),
    bytes(0x1e), // push ds
    bytes(0xb8), // mov ax, 0x40
    word(0x40),
    bytes(0x8e, 0xd8), // mov ds, ax
    bytes(0x8b, 0x0e), // mov cx, [0x6e]
    word(0x6e),
    bytes(0x8b, 0x16), // mov dx, [0x6c]
    word(0x6c),
    bytes(0x30, 0xc0), // xor al, al
    bytes(0x1f, 0xcf), // pop ds; iret

    // INT 15H
    label('system'),
    bytes(0x3d), // cmp ax, 0xe820
    word(0xe820),
    bytes(0x74), // je systemMap
    short('systemMap'),
    bytes(0x3d), // cmp ax, 0xe801
    word(0xe801),
    bytes(0x74), // je largeMemory
    short('largeMemory'),
    bytes(0x80, 0xfc, 0x88), // cmp ah, 0x88
    bytes(0x74), // je extendedMemory
    short('extendedMemory'),

    // CF and AH=86H: there is no such function.
    label('unsupported'),
    bytes(0xb4, 0x86), // mov ah, 0x86
    bytes(0x55, 0x8b, 0xec), // push bp; mov bp, sp
    bytes(0x80, 0x4e, 0x06, 0x01), // or byte [bp+6], 1
    bytes(0x5d, 0xcf), // pop bp; iret

    // E820H: entry EBX of the memory map to ES:DI.
    label('systemMap'),
    bytes(0x66, 0x81, 0xfa), // cmp edx, "SMAP"
    dword(0x534d_4150),
    bytes(0x75), // jne unsupported
    short('unsupported'),
    bytes(0x66, 0x83, 0xf9, MAP_ENTRY_SIZE), // cmp ecx, 20
    bytes(0x72), // jb unsupported
    short('unsupported'),
    bytes(0x66, 0x83, 0xfb, entries), // cmp ebx, entries
    bytes(0x73), // jae unsupported
    short('unsupported'),
    bytes(0x56, 0x57), // push si; push di
    bytes(0x6b, 0xf3, MAP_ENTRY_SIZE), // imul si, bx, 20
    bytes(0x81, 0xc6), // add si, map
    offset('map'),
    bytes(0xb9), // mov cx, 10
    word(MAP_ENTRY_SIZE / 2),
    bytes(0xfc), // cld
    bytes(0xf3, 0x2e, 0xa5), // rep movsw from cs
    bytes(0x5f, 0x5e), // pop di; pop si
    bytes(0x66, 0xb9), // mov ecx, 20
    dword(MAP_ENTRY_SIZE),
    bytes(0x66, 0x8b, 0xc2), // mov eax, edx
    bytes(0x66, 0x43), // inc ebx
    bytes(0x66, 0x83, 0xfb, entries), // cmp ebx, entries
    bytes(0x72), // jb succeed
    short('succeed'),
    bytes(0x66, 0x31, 0xdb), // xor ebx, ebx
    label('succeed'),
    bytes(0x55, 0x8b, 0xec), // push bp; mov bp, sp
    bytes(0x80, 0x66, 0x06, 0xfe), // and byte [bp+6], 0xfe
    bytes(0x5d, 0xcf), // pop bp; iret

    // E801H: kilobytes from 1 to 16 MiB, then blocks of 64 KiB.
    label('largeMemory'),
    bytes(0xb8), // mov ax, kilobytes
    word(below16M),
    bytes(0xbb), // mov bx, blocks
    word(above16M),
    bytes(0x8b, 0xc8, 0x8b, 0xd3), // mov cx, ax; mov dx, bx
    bytes(0xeb), // jmp succeed
    short('succeed'),

    // AH=88H: kilobytes above 1 MiB.
    label('extendedMemory'),
    bytes(0xb8), // mov ax, kilobytes
    word(Math.min(kilobytes, 0xffff)),
    bytes(0xeb), // jmp succeed
    short('succeed'),

    label('reset'),
    bytes(0xb0, 0xfe, 0xe6, 0x64), // mov al, 0xfe; out 0x64, al
    label('halt'),
    bytes(0xf4, 0xeb), // hlt; jmp halt
    short('halt'),
  ];
}

/** The memory map in the format of E820H. */
function mapTable(memoryBytes: number): CodePiece[] {
  const rows = memoryMap(memoryBytes).map(({ base, length, kind }) =>
    new StructureWriter(MAP_ENTRY_SIZE)
      .u64(0, base)
      .u64(8, length)
      .u32(16, kind === 'usable' ? 1 : 2),
  );
  return [label('map'), ...rows.map((row) => bytes(...row.bytes))];
}

function range(first: number, last: number, handler: string): (readonly [number, string])[] {
  return Array.from({ length: last - first + 1 }, (_, index) => [first + index, handler] as const);
}
