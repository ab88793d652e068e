import { beforeEach, describe, expect, it } from 'vitest';
import { Pic8259Pair } from './pic8259.ts';

const MASTER = 0;
const SLAVE = 2;

let intr: boolean;
let pic: Pic8259Pair;

function createPic(): Pic8259Pair {
  return new Pic8259Pair({
    interruptRequest: {
      set: (level) => {
        intr = level;
      },
    },
  });
}

const write = (offset: number, value: number) => pic.write(offset, 1, value);
const read = (offset: number) => pic.read(offset, 1);
const raise = (irq: number) => pic.line(irq).set(true);
const lower = (irq: number) => pic.line(irq).set(false);
/** OCW3 selects what address 0 reads as. */
function inService(chip: number): number {
  write(chip, 0x0b);
  return read(chip);
}
function requested(chip: number): number {
  write(chip, 0x0a);
  return read(chip);
}
function initialize(icw4 = 0x01): void {
  write(MASTER, 0x11);
  for (const word of [0x20, 0x04, icw4]) write(MASTER + 1, word);
  write(SLAVE, 0x11);
  for (const word of [0x28, 0x02, icw4]) write(SLAVE + 1, word);
}

beforeEach(() => {
  intr = false;
  pic = createPic();
  initialize();
});

describe('8259A initialization', () => {
  it('clears the mask and gives the vectors of ICW2', () => {
    expect([read(MASTER + 1), read(SLAVE + 1)]).toEqual([0, 0]);
    raise(3);
    expect(pic.acknowledge()).toBe(0x23);
  });

  it('a chip that was never initialized requests nothing', () => {
    pic = createPic();
    raise(1);
    expect(intr).toBe(false);
  });

  it('requests nothing before the last command word', () => {
    write(MASTER, 0x11);
    raise(1);
    expect(intr).toBe(false);
    for (const word of [0x20, 0x04, 0x01]) write(MASTER + 1, word);
    expect(intr).toBe(true);
  });

  it('without ICW4 ends after ICW3, in single mode after ICW2', () => {
    write(MASTER, 0x10);
    write(MASTER + 1, 0x40);
    write(MASTER + 1, 0x04);
    write(MASTER + 1, 0xaa);
    expect(read(MASTER + 1)).toBe(0xaa);
    write(MASTER, 0x12);
    write(MASTER + 1, 0x40);
    write(MASTER + 1, 0x55);
    expect(read(MASTER + 1)).toBe(0x55);
  });

  it('leaves vectors 0x08 and 0x70 when firmware has run', () => {
    pic.initializeAsFirmware();
    expect([read(MASTER + 1), read(SLAVE + 1)]).toEqual([0xf8, 0xff]);
    raise(0);
    expect(pic.acknowledge()).toBe(0x08);
  });
});

describe('8259A requests', () => {
  it('an edge requests once, even while the line stays high', () => {
    raise(4);
    expect(intr).toBe(true);
    expect(pic.acknowledge()).toBe(0x24);
    write(MASTER, 0x20);
    expect(intr).toBe(false);
    lower(4);
    raise(4);
    expect(intr).toBe(true);
  });

  it('a level input requests as long as it is high', () => {
    write(5, 0x02); // ELCR2: IRQ 9
    raise(9);
    expect(pic.acknowledge()).toBe(0x29);
    write(SLAVE, 0x20);
    write(MASTER, 0x20);
    expect(intr).toBe(true);
    lower(9);
    expect(intr).toBe(false);
  });

  it('an edge request that goes away before the acknowledge gives the spurious vector', () => {
    raise(4);
    lower(4);
    expect(intr).toBe(false);
    expect(pic.acknowledge()).toBe(0x27);
    expect(inService(MASTER)).toBe(0);
  });

  it('a slave that is initialized again takes its request back', () => {
    raise(12);
    expect(intr).toBe(true);
    write(SLAVE, 0x11);
    expect(intr).toBe(false);
  });

  it('masked inputs do not request, and do once they are unmasked', () => {
    write(MASTER + 1, 0x10);
    raise(4);
    expect(intr).toBe(false);
    expect(requested(MASTER)).toBe(0x10);
    write(MASTER + 1, 0x00);
    expect(intr).toBe(true);
  });

  it('the slave goes through the master input 2', () => {
    raise(8);
    expect(pic.acknowledge()).toBe(0x28);
    expect([inService(MASTER), inService(SLAVE)]).toEqual([0x04, 0x01]);
    write(SLAVE, 0x20);
    write(MASTER, 0x20);
    expect([inService(MASTER), inService(SLAVE)]).toEqual([0, 0]);
  });

  it('lower numbers come first, and what is in service blocks the same and lower priorities', () => {
    raise(5);
    raise(3);
    expect(pic.acknowledge()).toBe(0x23);
    expect(intr).toBe(false);
    raise(1);
    expect(pic.acknowledge()).toBe(0x21);
    write(MASTER, 0x20);
    expect(inService(MASTER)).toBe(0x08);
    write(MASTER, 0x20);
    expect(pic.acknowledge()).toBe(0x25);
  });

  it('in normal nested mode the slave is blocked while it is in service, in special fully nested mode not', () => {
    raise(12);
    pic.acknowledge();
    raise(8);
    expect(intr).toBe(false);
    pic.reset();
    lower(12);
    lower(8);
    initialize(0x11);
    raise(12);
    pic.acknowledge();
    raise(8);
    expect(intr).toBe(true);
    expect(pic.acknowledge()).toBe(0x28);
  });
});

describe('8259A operation command words', () => {
  it('a specific EOI ends the named interrupt', () => {
    raise(3);
    pic.acknowledge();
    raise(1);
    pic.acknowledge();
    write(MASTER, 0x63);
    expect(inService(MASTER)).toBe(0x02);
  });

  it('automatic EOI leaves nothing in service', () => {
    initialize(0x03);
    raise(3);
    pic.acknowledge();
    expect(inService(MASTER)).toBe(0);
  });

  it('rotation on EOI makes the served input the lowest', () => {
    raise(3);
    pic.acknowledge();
    write(MASTER, 0xa0);
    lower(3);
    raise(3);
    raise(4);
    expect(pic.acknowledge()).toBe(0x24);
  });

  it('set priority names the lowest input', () => {
    write(MASTER, 0xc4);
    raise(0);
    raise(5);
    expect(pic.acknowledge()).toBe(0x25);
  });

  it('special mask mode lets lower priorities through when the one in service is masked', () => {
    raise(3);
    pic.acknowledge();
    raise(5);
    write(MASTER + 1, 0x08);
    expect(intr).toBe(false);
    write(MASTER, 0x68);
    expect(intr).toBe(true);
    write(MASTER, 0x48);
    expect(intr).toBe(false);
  });

  it('a poll reads the pending input and takes it into service', () => {
    raise(6);
    write(MASTER, 0x0c);
    expect(pic.peek(MASTER, 1)).toBe(0x86);
    expect(read(MASTER)).toBe(0x86);
    expect(inService(MASTER)).toBe(0x40);
    write(MASTER, 0x0c);
    expect(read(MASTER)).toBe(0x07);
  });
});

describe('edge/level control registers', () => {
  it('keep IRQ 0, 1, 2, 8 and 13 edge-triggered', () => {
    write(4, 0xff);
    write(5, 0xff);
    expect([read(4), read(5)]).toEqual([0xf8, 0xde]);
  });
});

describe('8259A snapshot', () => {
  it('a restored pair goes on with what is requested and in service', () => {
    raise(3);
    pic.acknowledge();
    raise(1);
    const state = pic.save();
    pic = createPic();
    pic.restore(state);
    expect(pic.save()).toEqual(state);
    expect(pic.requesting).toBe(true);
    expect(pic.acknowledge()).toBe(0x21);
    expect(inService(MASTER)).toBe(0x0a);
  });
});
