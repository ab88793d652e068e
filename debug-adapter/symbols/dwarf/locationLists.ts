/**
 * Location lists: .debug_loc (DWARF 2 to 4) and .debug_loclists (DWARF 5).
 *
 * @see DWARF 5, section 2.6.2 "Location Lists", section 7.7.3 "Location Lists"
 */
import { type Address, NOWHERE } from '../address.ts';
import type { ByteReader } from '../byteReader.ts';
import { hex, SymbolsError } from '../errors.ts';
import {
  DW_FORM_data4,
  DW_FORM_data8,
  DW_FORM_loclistx,
  DW_FORM_sec_offset,
  DW_LLE_base_address,
  DW_LLE_base_addressx,
  DW_LLE_default_location,
  DW_LLE_end_of_list,
  DW_LLE_GNU_view_pair,
  DW_LLE_offset_pair,
  DW_LLE_start_end,
  DW_LLE_start_length,
  DW_LLE_startx_endx,
  DW_LLE_startx_length,
} from './constants.ts';
import type { DieReader } from './die.ts';
import type { Unit } from './unit.ts';

/** The lists of the largest functions have hundreds of entries. */
const MOST_ENTRIES = 20_000;

const LIST_FORMS: ReadonlySet<number> = new Set([
  DW_FORM_sec_offset,
  DW_FORM_loclistx,
  DW_FORM_data4,
  DW_FORM_data8,
]);

/**
 * The location expression that a decoded entry gives in an attribute, at an address; undefined where it gives
 * none, which means that the object is nowhere.
 */
export function locationAt(
  unit: Unit,
  die: DieReader,
  attribute: number,
  address: Address,
): Uint8Array | undefined {
  const expression = die.block(attribute);
  if (expression) return expression;
  const i = die.find(attribute);
  if (i < 0 || !LIST_FORMS.has(die.forms[i])) return undefined;
  const { form, value } = { form: die.forms[i], value: die.values[i] };
  return unit.header.version >= 5
    ? findInLists5(unit, form, value, address)
    : findInLists4(unit, value, address);
}

/** Lists are relative to the unit's own start until they say otherwise. */
function baseOf(unit: Unit): Address {
  const { lowPc } = unit.root;
  return Number.isNaN(lowPc) ? 0 : lowPc;
}

function block(reader: ByteReader, length: number): Uint8Array {
  const start = reader.position;
  reader.skip(length);
  return reader.bytes.subarray(start, start + length);
}

function tooLong(name: string): SymbolsError {
  return new SymbolsError('tooComplex', `${name} has a list of more than ${MOST_ENTRIES} entries`);
}

function findInLists4(unit: Unit, offset: number, address: Address): Uint8Array | undefined {
  const { addressSize } = unit.header;
  const section = unit.sections.get('loc');
  const reader = section.reader(offset);
  const selection = addressSize === 8 ? -1 : 0xffff_ffff;
  let base = baseOf(unit);
  for (let left = MOST_ENTRIES; left > 0; left--) {
    const start = reader.address(addressSize);
    const end = reader.address(addressSize);
    if (start === 0 && end === 0) return undefined;
    if (start === selection) {
      base = end;
      continue;
    }
    const expression = block(reader, reader.u16());
    if (address >= base + start && address < base + end) return expression;
  }
  throw tooLong(section.name);
}

function findInLists5(unit: Unit, form: number, value: number, address: Address): Uint8Array | undefined {
  const { addressSize, offsetSize } = unit.header;
  const section = unit.sections.get('loclists');
  const table = unit.bases.locationLists;
  const offset =
    form === DW_FORM_loclistx
      ? table + section.reader(table + value * offsetSize).unsigned(offsetSize)
      : value;
  const reader = section.reader(offset);
  let base = baseOf(unit);
  let otherwise: Uint8Array | undefined;
  for (let left = MOST_ENTRIES; left > 0; left--) {
    const at = reader.position;
    const kind = reader.u8();
    let start = NOWHERE;
    let end = NOWHERE;
    switch (kind) {
      case DW_LLE_end_of_list:
        return otherwise;
      case DW_LLE_base_addressx:
        base = unit.indexedAddress(reader.uleb());
        continue;
      case DW_LLE_base_address:
        base = reader.address(addressSize);
        continue;
      case DW_LLE_GNU_view_pair:
        reader.skipLeb();
        reader.skipLeb();
        continue;
      case DW_LLE_default_location:
        otherwise = block(reader, reader.uleb());
        continue;
      case DW_LLE_startx_endx:
        start = unit.indexedAddress(reader.uleb());
        end = unit.indexedAddress(reader.uleb());
        break;
      case DW_LLE_startx_length:
        start = unit.indexedAddress(reader.uleb());
        end = start + reader.uleb();
        break;
      case DW_LLE_offset_pair:
        start = base + reader.ulebAddress();
        end = base + reader.ulebAddress();
        break;
      case DW_LLE_start_end:
        start = reader.address(addressSize);
        end = reader.address(addressSize);
        break;
      case DW_LLE_start_length:
        start = reader.address(addressSize);
        end = start + reader.uleb();
        break;
      default:
        throw new SymbolsError(
          'damagedDebugInfo',
          `${section.name} has the unknown entry ${kind} at ${hex(at)}`,
        );
    }
    const expression = block(reader, reader.uleb());
    if (address >= start && address < end) return expression;
  }
  throw tooLong(section.name);
}
