/**
 * Range lists: .debug_ranges (DWARF 3, 4) and .debug_rnglists (DWARF 5).
 *
 * @see DWARF 5, section 2.17.3 "Non-Contiguous Address Ranges", section 7.25 "Non-Contiguous Address Ranges"
 */
import { type Address, NOWHERE } from '../address.ts';
import { hex, SymbolsError } from '../errors.ts';
import {
  DW_AT_low_pc,
  DW_FORM_rnglistx,
  DW_RLE_base_address,
  DW_RLE_base_addressx,
  DW_RLE_end_of_list,
  DW_RLE_offset_pair,
  DW_RLE_start_end,
  DW_RLE_start_length,
  DW_RLE_startx_endx,
  DW_RLE_startx_length,
} from './constants.ts';
import type { DieReader } from './die.ts';
import type { RangesAttribute, Unit } from './unit.ts';

export type RangeVisitor = (start: Address, end: Address) => void;

/** The ranges of a decoded entry: DW_AT_ranges, else DW_AT_low_pc and DW_AT_high_pc. Empty ones are left out. */
export function readRanges(unit: Unit, die: DieReader, visit: RangeVisitor): void {
  const list = unit.rangesOf(die);
  if (list) {
    readRangeList(unit, list, visit);
    return;
  }
  const low = unit.addressOf(die, DW_AT_low_pc);
  const high = unit.highPc(die, low);
  if (low < high) visit(low, high);
}

export function readRangeList(unit: Unit, list: RangesAttribute, visit: RangeVisitor): void {
  if (unit.header.version >= 5) readRangeLists5(unit, list, visit);
  else readRanges4(unit, list.value, visit);
}

/** Lists are relative to the unit's own start until they say otherwise. */
function baseOf(unit: Unit): Address {
  const { lowPc } = unit.root;
  return Number.isNaN(lowPc) ? 0 : lowPc;
}

function readRanges4(unit: Unit, offset: number, visit: RangeVisitor): void {
  const { addressSize } = unit.header;
  const section = unit.sections.get('ranges');
  let base = baseOf(unit);
  const reader = section.reader(offset);
  const selection = addressSize === 8 ? -1 : 0xffff_ffff;
  for (;;) {
    const start = reader.address(addressSize);
    const end = reader.address(addressSize);
    section.spend(addressSize * 2);
    if (start === 0 && end === 0) return;
    if (start === selection) base = end;
    else if (start < end) visit(base + start, base + end);
  }
}

function readRangeLists5(unit: Unit, list: RangesAttribute, visit: RangeVisitor): void {
  const { addressSize, offsetSize } = unit.header;
  const section = unit.sections.get('rnglists');
  let offset = list.value;
  if (list.form === DW_FORM_rnglistx) {
    const table = unit.bases.rangeLists;
    offset = table + section.reader(table + offset * offsetSize).unsigned(offsetSize);
  }
  const reader = section.reader(offset);
  let base = baseOf(unit);
  for (;;) {
    const at = reader.position;
    const kind = reader.u8();
    let start = NOWHERE;
    let end = NOWHERE;
    switch (kind) {
      case DW_RLE_end_of_list:
        return;
      case DW_RLE_base_addressx:
        base = unit.indexedAddress(reader.uleb());
        break;
      case DW_RLE_base_address:
        base = reader.address(addressSize);
        break;
      case DW_RLE_startx_endx:
        start = unit.indexedAddress(reader.uleb());
        end = unit.indexedAddress(reader.uleb());
        break;
      case DW_RLE_startx_length:
        start = unit.indexedAddress(reader.uleb());
        end = start + reader.uleb();
        break;
      case DW_RLE_offset_pair:
        start = base + reader.ulebAddress();
        end = base + reader.ulebAddress();
        break;
      case DW_RLE_start_end:
        start = reader.address(addressSize);
        end = reader.address(addressSize);
        break;
      case DW_RLE_start_length:
        start = reader.address(addressSize);
        end = start + reader.uleb();
        break;
      default:
        throw new SymbolsError(
          'damagedDebugInfo',
          `${section.name} has the unknown entry ${kind} at ${hex(at)}`,
        );
    }
    section.spend(reader.position - at);
    if (start < end) visit(start, end);
  }
}
