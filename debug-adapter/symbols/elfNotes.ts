/**
 * How a program names its separate debug file: the build ID and the debug link.
 *
 * @see GNU binutils ld manual, option "--build-id"; GDB manual, "Debugging Information in Separate Files"
 */
import type { Elf } from './elf.ts';
import { NT_GNU_BUILD_ID, SHT_NOTE } from './elfConstants.ts';

/** The build ID in hexadecimal. */
export function buildId(elf: Elf): string | undefined {
  for (const section of elf.sections) {
    if (section.type !== SHT_NOTE) continue;
    const reader = elf.reader(section);
    while (reader.end - reader.position >= 12) {
      const nameSize = reader.u32();
      const size = reader.u32();
      const type = reader.u32();
      const name = reader.position;
      reader.skip(Math.ceil(nameSize / 4) * 4);
      const start = reader.position;
      reader.skip(size);
      const owner = String.fromCharCode(...reader.bytes.subarray(name, name + Math.min(nameSize, 4)));
      if (type === NT_GNU_BUILD_ID && owner === 'GNU\0')
        return Array.from(reader.bytes.subarray(start, start + size), (byte) =>
          byte.toString(16).padStart(2, '0'),
        ).join('');
      reader.position = Math.min(reader.end, start + Math.ceil(size / 4) * 4);
    }
  }
  return undefined;
}

/** The name of the separate debug file, without folders, and its CRC-32. */
export function debugLink(elf: Elf): { fileName: string; crc: number } | undefined {
  const section = elf.section('.gnu_debuglink');
  if (!section) return undefined;
  const reader = elf.reader(section);
  const fileName = reader.string();
  reader.seek(Math.ceil(reader.position / 4) * 4);
  return { fileName, crc: reader.u32() };
}
