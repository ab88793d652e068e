/**
 * What callers say about the calls they make: the values that parameters had on entry, after the register
 * that brought them was used for something else.
 *
 * @see DWARF 5, section 3.4 "Call Site Entries and Parameters"
 */
import { type Address, NOWHERE } from '../address.ts';
import {
  DW_AT_abstract_origin,
  DW_AT_call_origin,
  DW_AT_call_return_pc,
  DW_AT_call_value,
  DW_AT_GNU_call_site_value,
  DW_AT_location,
  DW_AT_low_pc,
  DW_TAG_call_site,
  DW_TAG_call_site_parameter,
  DW_TAG_GNU_call_site,
  DW_TAG_GNU_call_site_parameter,
} from './constants.ts';
import { walk } from './die.ts';
import type { Dwarf } from './dwarf.ts';
import { followEntity } from './entities.ts';

interface CallSite {
  /** The entry of the function that is called, where the call is direct. */
  readonly callee: number | undefined;
  readonly parameters: readonly { readonly location: Uint8Array; readonly value: Uint8Array }[];
}

const SITES: ReadonlySet<number> = new Set([DW_TAG_call_site, DW_TAG_GNU_call_site]);
const PARAMETERS: ReadonlySet<number> = new Set([DW_TAG_call_site_parameter, DW_TAG_GNU_call_site_parameter]);

export class CallSites {
  private readonly dwarf: Dwarf;
  /** By the entry of the calling function: its calls by return address. */
  private readonly known = new Map<number, ReadonlyMap<Address, number>>();

  constructor(dwarf: Dwarf) {
    this.dwarf = dwarf;
  }

  /**
   * The expression, for the caller's registers, that gives what a location of the callee had on entry. Undefined
   * where the caller does not tell, or calls another function than the one it is asked for: that one may have jumped.
   */
  valueOnEntry(
    caller: number,
    returnAddress: Address,
    callee: number,
    location: Uint8Array,
  ): Uint8Array | undefined {
    const at = this.sitesOf(caller).get(returnAddress);
    if (at === undefined) return undefined;
    const site = this.readSite(at);
    if (site.callee === undefined || !this.isSame(site.callee, callee)) return undefined;
    return site.parameters.find((parameter) => equal(parameter.location, location))?.value;
  }

  private sitesOf(caller: number): ReadonlyMap<Address, number> {
    let sites = this.known.get(caller);
    if (!sites) {
      const found = new Map<Address, number>();
      const unit = this.dwarf.unitOf(caller);
      walk(unit.dieReader(), caller, (die) => {
        if (!SITES.has(die.tag)) return true;
        die.decode();
        const exact = unit.addressOf(die, DW_AT_call_return_pc);
        const address = Number.isNaN(exact) ? unit.addressOf(die, DW_AT_low_pc) : exact;
        if (address !== NOWHERE) found.set(address, die.offset);
        return false;
      });
      sites = found;
      this.known.set(caller, sites);
    }
    return sites;
  }

  private readSite(at: number): CallSite {
    const unit = this.dwarf.unitOf(at);
    const parameters: { location: Uint8Array; value: Uint8Array }[] = [];
    let callee: number | undefined;
    walk(unit.dieReader(), at, (die, depth) => {
      die.decode();
      if (depth === 0) callee = die.reference(DW_AT_call_origin) ?? die.reference(DW_AT_abstract_origin);
      else if (PARAMETERS.has(die.tag)) {
        const location = die.block(DW_AT_location);
        const value = die.block(DW_AT_call_value) ?? die.block(DW_AT_GNU_call_site_value);
        if (location && value) parameters.push({ location, value });
      }
      return depth === 0;
    });
    return { callee, parameters };
  }

  /** Whether two entries describe one function: they lead to a common one. */
  private isSame(left: number, right: number): boolean {
    const chain = new Set<number>();
    followEntity(this.dwarf, left, (die) => {
      chain.add(die.offset);
      return false;
    });
    let found = false;
    followEntity(this.dwarf, right, (die) => {
      found = chain.has(die.offset);
      return found;
    });
    return found;
  }
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, i) => byte === right[i]);
}
