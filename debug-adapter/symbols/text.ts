/**
 * Strings of ELF and DWARF sections: UTF-8 up to a zero byte. Our own decoder, because this code runs
 * where neither Node's nor the browser's is declared, and because names are mostly short ASCII.
 */

/** Text longer than this is cut: names come from outside and end up in panels. */
const LONGEST = 65536;

/** The position of the zero byte that ends the string at `start`, or -1. */
export function endOfString(bytes: Uint8Array, start: number, limit = bytes.length): number {
  const end = bytes.indexOf(0, start);
  return end >= 0 && end < limit ? end : -1;
}

export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  const limit = Math.min(end, start + LONGEST);
  let text = '';
  let i = start;
  while (i < limit) {
    const lead = bytes[i];
    if (lead < 0x80) {
      text += String.fromCharCode(lead);
      i++;
      continue;
    }
    const length = lead >= 0xf0 && lead < 0xf5 ? 4 : lead >= 0xe0 ? 3 : 2;
    let point = length === 4 ? lead & 7 : length === 3 ? lead & 15 : lead & 31;
    let good = lead >= 0xc2 && lead < 0xf5 && i + length <= limit;
    for (let j = 1; good && j < length; j++) {
      good = (bytes[i + j] & 0xc0) === 0x80;
      point = (point << 6) | (bytes[i + j] & 0x3f);
    }
    good &&= point >= (length === 4 ? 0x10000 : length === 3 ? 0x800 : 0x80) && point <= 0x10ffff;
    good &&= point < 0xd800 || point > 0xdfff;
    text += good ? String.fromCodePoint(point) : '\ufffd';
    i += good ? length : 1;
  }
  return text;
}

/** The UTF-8 bytes of a name, for comparing it with names in a section without decoding those. */
export function encodeText(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const point = character.codePointAt(0) as number;
    if (point < 0x80) bytes.push(point);
    else if (point < 0x800) bytes.push(0xc0 | (point >> 6), 0x80 | (point & 63));
    else if (point < 0x10000)
      bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
    else
      bytes.push(
        0xf0 | (point >> 18),
        0x80 | ((point >> 12) & 63),
        0x80 | ((point >> 6) & 63),
        0x80 | (point & 63),
      );
  }
  return Uint8Array.from(bytes);
}

/** Whether the string at `start`, up to its zero byte, is exactly `name`. */
export function equalsText(bytes: Uint8Array, start: number, name: Uint8Array): boolean {
  if (start + name.length >= bytes.length || bytes[start + name.length] !== 0) return false;
  for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name[i]) return false;
  return true;
}
