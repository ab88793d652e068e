import { beforeEach, describe, expect, it } from 'vitest';
import { IoApic, type IoApicMessage } from './ioApic.ts';

let messages: IoApicMessage[];
let ioApic: IoApic;

function createIoApic(): IoApic {
  return new IoApic({ id: 2, inputs: 24, deliver: (message) => messages.push(message) });
}

beforeEach(() => {
  messages = [];
  ioApic = createIoApic();
});

function read(register: number): number {
  ioApic.write(0x00, 4, register);
  return ioApic.read(0x10, 4);
}
function write(register: number, value: number): void {
  ioApic.write(0x00, 4, register);
  ioApic.write(0x10, 4, value);
}
/** Writes a redirection entry. */
function redirect(input: number, low: number, destination = 0): void {
  write(0x11 + input * 2, (destination << 24) >>> 0);
  write(0x10 + input * 2, low);
}
const vectors = () => messages.map(({ vector }) => vector);

describe('I/O APIC registers', () => {
  it('show ID, version with 24 inputs and arbitration ID', () => {
    expect([read(0), read(1), read(2)]).toEqual([0x0200_0000, 0x0017_0020, 0x0200_0000]);
    write(0, 0x0f00_0000);
    expect(read(0)).toBe(0x0f00_0000);
  });

  it('the select register reads back', () => {
    ioApic.write(0x00, 4, 0x3f);
    expect(ioApic.read(0x00, 4)).toBe(0x3f);
  });

  it('entries are masked after reset', () => {
    for (let input = 0; input < 24; input += 1) {
      expect([read(0x10 + input * 2), read(0x11 + input * 2)]).toEqual([0x1_0000, 0]);
    }
  });

  it('delivery status, remote IRR and reserved bits cannot be written', () => {
    redirect(5, 0xffff_ffff, 0xff);
    expect([read(0x1a), read(0x1b)]).toEqual([0x1_afff, 0xff00_0000]);
  });

  it('registers beyond the entries read as 0', () => {
    expect(read(0x40)).toBe(0);
  });
});

describe('I/O APIC inputs', () => {
  it('an edge sends the message of the entry', () => {
    redirect(4, 0x0931, 0x0f);
    ioApic.line(4).set(true);
    expect(messages).toEqual([
      { destination: 0x0f, destinationMode: 'logical', deliveryMode: 1, vector: 0x31, trigger: 'edge' },
    ]);
    ioApic.line(4).set(true);
    ioApic.line(4).set(false);
    ioApic.line(4).set(true);
    expect(vectors()).toEqual([0x31, 0x31]);
  });

  it('physical destination FFH is every processor', () => {
    redirect(4, 0x0031, 0xff);
    redirect(5, 0x0832, 0xff);
    ioApic.line(4).set(true);
    ioApic.line(5).set(true);
    expect(messages.map(({ destination }) => destination)).toEqual([0xffff_ffff, 0xff]);
  });

  it('an edge on a masked input is lost', () => {
    redirect(4, 0x1_0031);
    ioApic.line(4).set(true);
    redirect(4, 0x0031);
    expect(messages).toEqual([]);
  });

  it('a level sets remote IRR and waits for the EOI', () => {
    redirect(9, 0x8039);
    ioApic.line(9).set(true);
    expect(read(0x22)).toBe(0xc039);
    ioApic.line(9).set(false);
    ioApic.line(9).set(true);
    expect(vectors()).toEqual([0x39]);
    ioApic.endOfInterrupt(0x39);
    expect(vectors()).toEqual([0x39, 0x39]);
    ioApic.line(9).set(false);
    ioApic.endOfInterrupt(0x39);
    expect(vectors()).toEqual([0x39, 0x39]);
    expect(read(0x22)).toBe(0x8039);
  });

  it('a level on a masked input is sent when it is unmasked', () => {
    redirect(9, 0x1_8039);
    ioApic.line(9).set(true);
    expect(messages).toEqual([]);
    redirect(9, 0x8039);
    expect(vectors()).toEqual([0x39]);
  });

  it('the EOI of another vector changes nothing', () => {
    redirect(9, 0x8039);
    ioApic.line(9).set(true);
    ioApic.endOfInterrupt(0x38);
    expect(read(0x22)).toBe(0xc039);
  });

  it('the EOI register ends an interrupt too', () => {
    redirect(9, 0x8039);
    ioApic.line(9).set(true);
    ioApic.line(9).set(false);
    ioApic.write(0x40, 4, 0x39);
    expect(read(0x22)).toBe(0x8039);
  });

  it('making an entry edge-triggered clears its remote IRR', () => {
    redirect(9, 0x8039);
    ioApic.line(9).set(true);
    redirect(9, 0x0039);
    expect(read(0x22)).toBe(0x0039);
  });
});

describe('I/O APIC snapshot', () => {
  it('a restored I/O APIC has the same entries and levels', () => {
    redirect(9, 0x8039, 1);
    ioApic.line(9).set(true);
    const state = ioApic.save();
    ioApic = createIoApic();
    ioApic.restore(state);
    expect(ioApic.save()).toEqual(state);
    messages = [];
    ioApic.endOfInterrupt(0x39);
    expect(vectors()).toEqual([0x39]);
  });
});
