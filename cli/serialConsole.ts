/** Connects the guest's first serial port to standard output and input, or to a file. */
import { SequenceStripper } from '../debug-adapter/serial/stripSequences.ts';

/** Ctrl-]: the key that leaves. */
const QUIT = 0x1d;
const FLUSH_AT = 4096;

export interface SerialOutput {
  write(byte: number): void;
  flush(): void;
}

/** Collects bytes and writes them as they come: when the event loop has a turn, or many are there. */
export function serialOutput(
  target: { write(bytes: Uint8Array): unknown },
  isTerminal: boolean,
): SerialOutput {
  const stripper = isTerminal ? new SequenceStripper() : undefined;
  const buffer = new Uint8Array(FLUSH_AT);
  let length = 0;
  const flush = (): void => {
    if (length === 0) return;
    const bytes = buffer.slice(0, length);
    length = 0;
    target.write(stripper ? stripper.strip(bytes) : bytes);
  };
  return {
    write(byte) {
      buffer[length++] = byte;
      if (length === FLUSH_AT) flush();
    },
    flush,
  };
}

/** Standard input goes to the guest. On a terminal every key does, and Ctrl-] leaves. Gives how to undo that. */
export function connectInput(
  input: NodeJS.ReadStream,
  send: (bytes: Uint8Array) => void,
  quit: () => void,
  ended: () => void,
): () => void {
  const isTerminal = input.isTTY === true;
  if (isTerminal) input.setRawMode(true);
  input.on('data', (chunk: Buffer) => {
    const end = isTerminal ? chunk.indexOf(QUIT) : -1;
    const bytes = end < 0 ? chunk : chunk.subarray(0, end);
    if (bytes.length > 0) send(bytes);
    if (end >= 0) quit();
  });
  input.on('end', ended);
  input.on('error', ended);
  return () => {
    if (isTerminal) input.setRawMode(false);
    input.pause();
  };
}
