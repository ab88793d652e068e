/**
 * .debug_aranges: which unit an address belongs to, where the compiler has written it down.
 *
 * @see DWARF 5, section 6.1.2 "Lookup by Address"
 */
import type { Address } from '../address.ts';
import { hex, SymbolsError } from '../errors.ts';
import type { DebugSection } from './sections.ts';

/** Visits every range with the offset of its unit in .debug_info. */
export function readAddressRanges(
  section: DebugSection,
  visit: (unit: number, start: Address, end: Address) => void,
): void {
  let offset = 0;
  while (offset < section.length) {
    const { reader, offsetSize } = section.counted(offset, 'set');
    const { end } = reader;
    const version = reader.u16();
    const unit = reader.unsigned(offsetSize);
    const addressSize = reader.u8();
    const segmentSize = reader.u8();
    if (version !== 2 || (addressSize !== 4 && addressSize !== 8) || segmentSize !== 0)
      throw new SymbolsError(
        'unsupportedDebugInfo',
        `${section.name}: the set at ${hex(offset)} has version ${version}`,
      );
    // Pairs are aligned to their size, counted from the start of the set.
    const pair = addressSize * 2;
    reader.position = offset + Math.ceil((reader.position - offset) / pair) * pair;
    while (reader.position + pair <= end) {
      const start = reader.address(addressSize);
      const size = addressSize === 4 ? reader.u32() : reader.u64();
      if (start === 0 && size === 0) break;
      visit(unit, start, start + size);
    }
    offset = end;
  }
}
