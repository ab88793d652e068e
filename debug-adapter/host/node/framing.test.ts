import { describe, expect, it } from 'vitest';
import { FramingError, frameMessage, MessageReader } from './framing.ts';

const message = { seq: 1, type: 'request', command: 'threads', arguments: { text: 'ä' } };

describe('messages on a byte stream', () => {
  it('come out as they went in, however they are cut', () => {
    const bytes = Buffer.from(frameMessage(message) + frameMessage({ ...message, seq: 2 } as typeof message));
    for (const size of [1, 7, 20, bytes.length]) {
      const reader = new MessageReader();
      const seen: unknown[] = [];
      for (let i = 0; i < bytes.length; i += size) seen.push(...reader.read(bytes.subarray(i, i + size)));
      expect(seen).toEqual([message, { ...message, seq: 2 }]);
    }
  });

  it.each([
    ['a request of a browser', 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}'],
    ['its first byte alone', 'P'],
    ['a length that is none', 'Content-Length: x\r\n\r\n'],
    ['a length beyond reason', 'Content-Length: 99999999999\r\n\r\n'],
    ['a header without end', `Content-Length: ${'1'.repeat(2000)}`],
    ['a body that is not JSON', 'Content-Length: 3\r\n\r\n{a}'],
  ])('%s is refused', (_, text) => {
    expect(() => new MessageReader().read(Buffer.from(text))).toThrow(FramingError);
  });
});
