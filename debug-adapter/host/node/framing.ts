/**
 * Messages on a byte stream: `Content-Length: N`, an empty line, N bytes of JSON.
 *
 * The very first bytes must be that header. A web page can make a browser POST to a port of this machine; what begins
 * like HTTP, or like anything else, is refused.
 *
 * @see Debug Adapter Protocol, "Base Protocol"
 */
import type { DebugProtocol } from '@vscode/debugprotocol';

/** The other side does not speak the protocol; the connection is to be closed. */
export class FramingError extends Error {
  override readonly name = 'FramingError';
}

const HEADER_NAME = 'Content-Length';
const SEPARATOR = '\r\n\r\n';
const LONGEST_HEADER = 1024;
const LONGEST_BODY = 512 * 2 ** 20;

export class MessageReader {
  #buffer: Buffer = Buffer.alloc(0);
  #bodyLength: number | undefined;

  /** Takes bytes in and gives the messages that are complete. */
  read(chunk: Buffer): DebugProtocol.ProtocolMessage[] {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    const messages: DebugProtocol.ProtocolMessage[] = [];
    for (;;) {
      this.#bodyLength ??= this.#readHeader();
      if (this.#bodyLength === undefined || this.#buffer.length < this.#bodyLength) return messages;
      const body = this.#buffer.subarray(0, this.#bodyLength).toString('utf8');
      this.#buffer = this.#buffer.subarray(this.#bodyLength);
      this.#bodyLength = undefined;
      messages.push(parse(body));
    }
  }

  #readHeader(): number | undefined {
    const expected = Buffer.from(`${HEADER_NAME}:`);
    const seen = this.#buffer.subarray(0, expected.length);
    if (!seen.equals(expected.subarray(0, seen.length)))
      throw new FramingError(`a message must begin with "${HEADER_NAME}:"`);
    const end = this.#buffer.indexOf(SEPARATOR);
    if (end < 0) {
      if (this.#buffer.length > LONGEST_HEADER) throw new FramingError('the header of a message is too long');
      return undefined;
    }
    const length = /^Content-Length: *(\d+)$/m.exec(this.#buffer.subarray(0, end).toString('latin1'));
    if (length === null || Number(length[1]) > LONGEST_BODY)
      throw new FramingError('a message has no usable length');
    this.#buffer = this.#buffer.subarray(end + SEPARATOR.length);
    return Number(length[1]);
  }
}

function parse(body: string): DebugProtocol.ProtocolMessage {
  try {
    return JSON.parse(body) as DebugProtocol.ProtocolMessage;
  } catch {
    throw new FramingError('a message is not JSON');
  }
}

export function frameMessage(message: DebugProtocol.ProtocolMessage): string {
  const body = JSON.stringify(message);
  return `${HEADER_NAME}: ${Buffer.byteLength(body)}${SEPARATOR}${body}`;
}
