/** Memory as text, for where there is no hex editor. */

const ROW = 16;

/** `address` in front of 16 bytes and their characters; bytes that cannot be read are told, not shown as zeros. */
export function hexDump(address: bigint, bytes: Uint8Array, wanted: number): string {
  const rows: string[] = [];
  for (let offset = 0; offset < bytes.length; offset += ROW) {
    const row = [...bytes.subarray(offset, offset + ROW)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0'));
    const halves = `${hex.slice(0, 8).join(' ').padEnd(23)}  ${hex.slice(8).join(' ').padEnd(23)}`;
    const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    rows.push(`${number(address + BigInt(offset))}  ${halves}  |${text}|`);
  }
  if (bytes.length < wanted)
    rows.push(`${number(address + BigInt(bytes.length))}  nothing is mapped from here on`);
  return `${rows.join('\n')}\n`;
}

function number(address: bigint): string {
  return BigInt.asUintN(64, address).toString(16).padStart(16, '0');
}
