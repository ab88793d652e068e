import { beforeEach, describe, expect, it } from 'vitest';
import { I8042 } from './i8042.ts';

const DATA = 0;
const COMMAND = 4;

let irqEdges: number;
let irq: boolean;
let a20: boolean;
let inits: number;
let controller: I8042;

function createController(): I8042 {
  return new I8042({
    keyboardIrq: {
      set: (level) => {
        if (level && !irq) irqEdges += 1;
        irq = level;
      },
    },
    setA20: (enabled) => {
      a20 = enabled;
    },
    initialize: () => {
      inits += 1;
    },
  });
}

beforeEach(() => {
  irqEdges = 0;
  irq = false;
  a20 = true;
  inits = 0;
  controller = createController();
});

const command = (value: number) => controller.write(COMMAND, 1, value);
const data = (value: number) => controller.write(DATA, 1, value);
const status = () => controller.read(COMMAND, 1);
/** Everything that the controller has to say. */
function drain(): number[] {
  const bytes: number[] = [];
  while ((status() & 0x01) !== 0) bytes.push(controller.read(DATA, 1));
  return bytes;
}

describe('8042 keyboard controller', () => {
  it('has an empty output buffer and the system flag after reset', () => {
    expect(status()).toBe(0x14);
  });

  it('passes its self test and the test of the keyboard interface', () => {
    command(0xaa);
    expect(drain()).toEqual([0x55]);
    command(0xab);
    expect(drain()).toEqual([0x00]);
  });

  it('reads and writes the command byte and the other bytes of its memory', () => {
    command(0x20);
    expect(drain()).toEqual([0x45]);
    command(0x60);
    data(0x44);
    command(0x20);
    expect(drain()).toEqual([0x44]);
    command(0x65);
    data(0x99);
    command(0x25);
    expect(drain()).toEqual([0x99]);
  });

  it('status bit 3 says whether the last byte was a command', () => {
    command(0xae);
    expect(status() & 0x08).toBe(0x08);
    data(0xf4);
    expect(status() & 0x08).toBe(0);
  });

  it('has no mouse port: its commands get no answer', () => {
    command(0xa8);
    command(0xa9);
    expect(drain()).toEqual([]);
  });

  it('the output port gates A20 and gives INIT', () => {
    command(0xd1);
    data(0xdd);
    expect(a20).toBe(false);
    command(0xd0);
    expect(drain()).toEqual([0xc1]);
    command(0xd1);
    data(0xdf);
    expect(a20).toBe(true);
    expect(inits).toBe(0);
    command(0xd1);
    data(0xde);
    expect(inits).toBe(1);
  });

  it('pulsing output line 0 gives INIT', () => {
    command(0xff);
    expect(inits).toBe(0);
    command(0xfe);
    expect(inits).toBe(1);
  });

  it('writes a byte into its own output buffer', () => {
    command(0xd2);
    data(0x3a);
    expect(irq).toBe(true);
    expect(drain()).toEqual([0x3a]);
  });
});

describe('keyboard', () => {
  it('answers a reset with acknowledge and a passed self test', () => {
    data(0xff);
    expect(drain()).toEqual([0xfa, 0xaa]);
  });

  it('identifies itself as AB 83, which translation shows as AB 41', () => {
    data(0xf2);
    expect(drain()).toEqual([0xfa, 0xab, 0x41]);
    command(0x60);
    data(0x05);
    data(0xf2);
    expect(drain()).toEqual([0xfa, 0xab, 0x83]);
  });

  it('acknowledges commands and their arguments', () => {
    for (const byte of [0xed, 0x02, 0xf3, 0x20, 0xf4, 0xf5, 0xf6]) data(byte);
    expect(drain()).toEqual(new Array(7).fill(0xfa));
  });

  it('echoes, and asks for a byte that it does not know to be sent again', () => {
    data(0xee);
    data(0xf1);
    expect(drain()).toEqual([0xee, 0xfe]);
  });

  it('says that it uses scan code set 2', () => {
    command(0x60);
    data(0x05);
    data(0xf0);
    data(0x00);
    expect(drain()).toEqual([0xfa, 0xfa, 0x02]);
  });

  it('sends scan codes that the controller translates to set 1', () => {
    controller.sendKeys(Uint8Array.of(0x1c, 0xf0, 0x1c, 0xe0, 0x75));
    expect(drain()).toEqual([0x1e, 0x9e, 0xe0, 0x48]);
  });

  it('sends scan codes of set 2 when translation is off', () => {
    command(0x60);
    data(0x05);
    controller.sendKeys(Uint8Array.of(0x1c, 0xf0, 0x1c));
    expect(drain()).toEqual([0x1c, 0xf0, 0x1c]);
  });

  it('each byte gives an edge of IRQ 1', () => {
    controller.sendKeys(Uint8Array.of(0x1c, 0x1c));
    expect(irqEdges).toBe(1);
    drain();
    expect([irqEdges, irq]).toEqual([2, false]);
  });

  it('without the interrupt enable there is none', () => {
    command(0x60);
    data(0x44);
    controller.sendKeys(Uint8Array.of(0x1c));
    expect([irq, drain()]).toEqual([false, [0x1e]]);
  });

  it('is not heard while it is disabled at the controller', () => {
    command(0xad);
    controller.sendKeys(Uint8Array.of(0x1c));
    expect(status() & 0x01).toBe(0);
    command(0xae);
    expect(drain()).toEqual([0x1e]);
  });

  it('ignores keys while scanning is disabled', () => {
    data(0xf5);
    controller.sendKeys(Uint8Array.of(0x1c));
    expect(drain()).toEqual([0xfa]);
  });
});

describe('8042 snapshot', () => {
  it('a restored controller still has what was in its buffers', () => {
    controller.sendKeys(Uint8Array.of(0x1c, 0xf0, 0x1c));
    command(0x20);
    const state = controller.save();
    controller = createController();
    controller.restore(state);
    expect(controller.save()).toEqual(state);
    expect(drain()).toEqual([0x1e, 0x45, 0x9e]);
  });
});
