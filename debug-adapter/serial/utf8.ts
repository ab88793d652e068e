/** Turns a stream of bytes into text: UTF-8, where a character may be split over two calls. */
export class Utf8Stream {
  #point = 0;
  #missing = 0;
  #minimum = 0;

  decode(bytes: Uint8Array): string {
    let text = '';
    for (const byte of bytes) text += this.#byte(byte);
    return text;
  }

  #byte(byte: number): string {
    if (this.#missing > 0) {
      if ((byte & 0xc0) === 0x80) {
        this.#point = (this.#point << 6) | (byte & 0x3f);
        if (--this.#missing > 0) return '';
        const valid =
          this.#point >= this.#minimum && this.#point <= 0x10_ffff && (this.#point & ~0x7ff) !== 0xd800;
        return valid ? String.fromCodePoint(this.#point) : '\ufffd';
      }
      this.#missing = 0;
      return `\ufffd${this.#byte(byte)}`;
    }
    if (byte < 0x80) return String.fromCharCode(byte);
    if (byte >= 0xc2 && byte < 0xe0) return this.#lead(byte & 0x1f, 1, 0x80);
    if (byte >= 0xe0 && byte < 0xf0) return this.#lead(byte & 0x0f, 2, 0x800);
    if (byte >= 0xf0 && byte < 0xf5) return this.#lead(byte & 0x07, 3, 0x1_0000);
    return '\ufffd';
  }

  #lead(point: number, missing: number, minimum: number): string {
    this.#point = point;
    this.#missing = missing;
    this.#minimum = minimum;
    return '';
  }
}
