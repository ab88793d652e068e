/**
 * Address translation once more, slowly and in `bigint`, sentence by sentence from the manual: what the tests compare
 * the page walk with. It shares no code with it.
 *
 * Intel SDM Vol. 3A, "Paging", chapter 5; Vol. 3C, "The Extended Page Table Mechanism (EPT)", 30.3.
 */

export interface ModelMemory {
  /** Entry of 4 or 8 bytes; all ones where there is no memory. */
  read(address: bigint, bytes: 4 | 8): bigint;
  or(address: bigint, bits: bigint, bytes: 4 | 8): void;
}

export interface ModelRegisters {
  readonly paging: 'none' | '32-bit' | 'PAE' | '4-level' | '5-level';
  readonly cr3: bigint;
  readonly pdptes: readonly bigint[];
  readonly wp: boolean;
  readonly pse: boolean;
  readonly smep: boolean;
  readonly smap: boolean;
  readonly nxe: boolean;
  readonly ac: boolean;
  readonly maxphyaddr: number;
  /** EPT root and its accessed-and-dirty enable, when guest-physical addresses are translated. */
  readonly ept: ModelEpt | undefined;
}

export interface ModelEpt {
  readonly root: bigint;
  readonly flags: boolean;
  /** "Mode-based execute control for EPT", "EPT paging-write control", "guest-paging verification". */
  readonly modeBased: boolean;
  readonly pagingWrite: boolean;
  readonly verification: boolean;
  /** "Sub-page write permissions for EPT": the SPPTP. */
  readonly subPages: bigint | undefined;
  /** What the processor can do besides 4-KByte pages that are read. */
  readonly executeOnly: boolean;
  readonly pages2M: boolean;
  readonly pages1G: boolean;
}

export type ModelAccess = 'read' | 'write' | 'fetch';
export type ModelPrivilege = 'user' | 'supervisor' | 'implicit-supervisor';

export type ModelResult =
  | {
      readonly kind: 'address';
      readonly host: bigint;
      readonly guestPhysical: bigint;
      readonly pageSize: bigint;
    }
  | { readonly kind: 'page'; readonly errorCode: number }
  | { readonly kind: 'non-canonical' }
  | {
      readonly kind: 'violation' | 'misconfiguration' | 'sub-page';
      readonly guestPhysical: bigint;
      readonly qualification: number;
    };

/** Carries a failure out of the nested steps; this is a model, not hot code. */
class Stop extends Error {
  readonly result: ModelResult;

  constructor(result: ModelResult) {
    super(result.kind);
    this.result = result;
  }
}

interface Level {
  /** Lowest bit of the linear address that indexes this level's table. */
  readonly shift: bigint;
  readonly indexBits: bigint;
  /** Whether PS may map a page here, and must it be 0 otherwise. */
  readonly page: 'always' | 'if PS' | 'PS reserved';
}

const bit = (value: bigint, position: bigint | number): boolean => ((value >> BigInt(position)) & 1n) === 1n;
const field = (value: bigint, high: number, low: number): bigint =>
  (value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
const below = (value: bigint, bits: bigint): bigint => value & ((1n << bits) - 1n);

export function translateByTheManual(
  memory: ModelMemory,
  registers: ModelRegisters,
  linearAddress: bigint,
  access: ModelAccess,
  privilege: ModelPrivilege,
): ModelResult {
  try {
    return new Translation(memory, registers, linearAddress, access, privilege).run();
  } catch (error) {
    if (error instanceof Stop) return error.result;
    throw error;
  }
}

class Translation {
  readonly memory: ModelMemory;
  readonly registers: ModelRegisters;
  readonly linear: bigint;
  readonly access: ModelAccess;
  readonly privilege: ModelPrivilege;

  constructor(
    memory: ModelMemory,
    registers: ModelRegisters,
    linear: bigint,
    access: ModelAccess,
    privilege: ModelPrivilege,
  ) {
    this.memory = memory;
    this.registers = registers;
    this.linear = linear;
    this.access = access;
    this.privilege = privilege;
  }

  run(): ModelResult {
    const { paging } = this.registers;
    if (paging === 'none') {
      const address = below(this.linear, 32n);
      return { kind: 'address', host: this.final(address), guestPhysical: address, pageSize: 4096n };
    }
    if (paging === '32-bit')
      return this.walk(below(this.linear, 32n), this.registers.cr3 & 0xffff_f000n, 4, this.levels());
    if (paging === 'PAE') {
      const linear = below(this.linear, 32n);
      const pdpte = this.registers.pdptes[Number(linear >> 30n)];
      if (!bit(pdpte, 0)) this.pageFault(false, false);
      return this.walk(linear, field(pdpte, this.registers.maxphyaddr - 1, 12) << 12n, 8, this.levels());
    }
    const width = paging === '5-level' ? 57 : 48;
    const upper = this.linear >> BigInt(width - 1);
    const ones = (1n << BigInt(64 - width + 1)) - 1n;
    if (upper !== 0n && upper !== ones) return { kind: 'non-canonical' };
    return this.walk(this.linear, field(this.registers.cr3, 51, 12) << 12n, 8, this.levels());
  }

  levels(): Level[] {
    if (this.registers.paging === '32-bit') {
      return [
        { shift: 22n, indexBits: 10n, page: 'if PS' },
        { shift: 12n, indexBits: 10n, page: 'always' },
      ];
    }
    const long: Level[] = [
      { shift: 48n, indexBits: 9n, page: 'PS reserved' },
      { shift: 39n, indexBits: 9n, page: 'PS reserved' },
      { shift: 30n, indexBits: 9n, page: 'if PS' },
      { shift: 21n, indexBits: 9n, page: 'if PS' },
      { shift: 12n, indexBits: 9n, page: 'always' },
    ];
    return long.slice({ none: 5, '32-bit': 5, PAE: 3, '4-level': 1, '5-level': 0 }[this.registers.paging]);
  }

  walk(linear: bigint, root: bigint, entryBytes: 4 | 8, levels: readonly Level[]): ModelResult {
    const used: { guest: bigint; host: bigint; value: bigint }[] = [];
    let table = root;
    for (const level of levels) {
      const index = below(linear >> level.shift, level.indexBits);
      const guest = table + index * BigInt(entryBytes);
      const host = this.entryHost(guest, this.registers.ept?.flags ? 'write' : 'read');
      const value = this.memory.read(host, entryBytes);
      if (!bit(value, 0)) this.pageFault(false, false);
      const ps = bit(value, 7) && (entryBytes === 8 || this.registers.pse);
      const isLeaf = level.page === 'always' || (level.page === 'if PS' && ps);
      if (this.hasReservedBit(value, entryBytes, level, isLeaf)) this.pageFault(true, true);
      used.push({ guest, host, value });
      if (isLeaf) return this.leaf(linear, level, value, used, entryBytes);
      table = entryBytes === 4 ? value & 0xffff_f000n : field(value, 51, 12) << 12n;
    }
    throw new Error('a walk without a leaf');
  }

  hasReservedBit(value: bigint, entryBytes: 4 | 8, level: Level, isLeaf: boolean): boolean {
    const { paging, nxe, maxphyaddr } = this.registers;
    if (entryBytes === 4) {
      if (!isLeaf || level.page === 'always') return false;
      // Table 5-4: bits 21:(M-19) with M the lesser of 40 and MAXPHYADDR.
      const lowest = Math.min(40, maxphyaddr) - 19;
      return lowest <= 21 && field(value, 21, lowest) !== 0n;
    }
    if (bit(value, 63) && !nxe) return true;
    if (field(value, paging === 'PAE' ? 62 : 51, maxphyaddr) !== 0n) return true;
    if (level.page === 'PS reserved') return bit(value, 7);
    return isLeaf && level.shift > 12n && field(value, Number(level.shift) - 1, 13) !== 0n;
  }

  leaf(
    linear: bigint,
    level: Level,
    value: bigint,
    used: readonly { guest: bigint; host: bigint; value: bigint }[],
    entryBytes: 4 | 8,
  ): ModelResult {
    this.checkRights(used.map((entry) => entry.value));
    const offset = below(linear, level.shift);
    let base = entryBytes === 4 ? value & 0xffff_f000n : field(value, 51, 12) << 12n;
    if (level.shift > 12n) {
      base =
        entryBytes === 4
          ? (field(value, 20, 13) << 32n) | (field(value, 31, 22) << 22n)
          : (base >> level.shift) << level.shift;
    }
    const updates = used.map((entry, position) => {
      const dirty = this.access === 'write' && position === used.length - 1;
      const bits = dirty ? 0x60n : 0x20n;
      return { ...entry, bits, needed: (entry.value & bits) !== bits };
    });
    for (const update of updates) if (update.needed) this.entryHost(update.guest, 'read-modify-write');
    const host = this.final(base | offset);
    for (const update of updates) if (update.needed) this.memory.or(update.host, update.bits, entryBytes);
    return { kind: 'address', host, guestPhysical: base | offset, pageSize: 1n << level.shift };
  }

  /** "Determination of Access Rights", 5.6.1. */
  checkRights(entries: readonly bigint[]): void {
    const { wp, smep, smap, ac } = this.registers;
    const userAddress = entries.every((entry) => bit(entry, 2));
    const readWrite = entries.every((entry) => bit(entry, 1));
    const executeDisable = this.registers.nxe && entries.some((entry) => bit(entry, 63));
    this.advanced = (userAddress ? 0x200 : 0) | (readWrite ? 0x400 : 0) | (executeDisable ? 0x800 : 0);
    const liftedByAc = ac && this.privilege === 'supervisor';
    if (this.privilege === 'user') {
      if (!userAddress) this.pageFault(true, false);
      if (this.access === 'write' && !readWrite) this.pageFault(true, false);
      if (this.access === 'fetch' && executeDisable) this.pageFault(true, false);
      return;
    }
    if (this.access === 'fetch') {
      if (executeDisable || (userAddress && smep)) this.pageFault(true, false);
      return;
    }
    if (userAddress && smap && !liftedByAc) this.pageFault(true, false);
    if (this.access === 'write' && !readWrite && wp) this.pageFault(true, false);
  }

  pageFault(present: boolean, reserved: boolean): never {
    const { smep, nxe, paging } = this.registers;
    const nx = nxe && paging !== '32-bit';
    let errorCode = present ? 1 : 0;
    if (this.access === 'write') errorCode += 2;
    if (this.privilege === 'user') errorCode += 4;
    if (reserved) errorCode += 8;
    if (this.access === 'fetch' && (smep || nx)) errorCode += 16;
    throw new Stop({ kind: 'page', errorCode });
  }

  /** Bits 11:9 of an EPT violation's qualification; without paging all is permitted. */
  advanced = 0x600;
  /** All guest paging structures of the path lie in pages with bit 58. */
  verified = true;

  entryHost(guest: bigint, kind: 'read' | 'write' | 'read-modify-write'): bigint {
    return this.secondLevel(guest, kind === 'read' ? 1 : 3, 0x80);
  }

  final(guest: bigint): bigint {
    const userFetch =
      this.access === 'fetch' && this.registers.ept?.modeBased === true && (this.advanced & 0x200) !== 0;
    const rights = userFetch ? 0x400 : { read: 1, write: 2, fetch: 4 }[this.access];
    return this.secondLevel(guest, rights, 0x180 | this.advanced);
  }

  /**
   * Translates a guest-physical address; `rights` are bits of an EPT entry, `extra` of the exit qualification: bit 8 is 0
   * for entries of guest paging structures.
   */
  secondLevel(guest: bigint, rights: number, extra: number): bigint {
    const { ept, maxphyaddr } = this.registers;
    if (ept === undefined) return guest;
    const ofPaging = (extra & 0x100) === 0;
    const known = ept.modeBased ? 0x407 : 7;
    const asked = rights === 0x400 ? 4 : rights;
    let table = ept.root;
    let allowed = known;
    let above = known;
    const used: bigint[] = [];
    const refuse = (permitted: number, reason: number): never =>
      this.violation(
        guest,
        asked | ((permitted & 7) << 3) | ((permitted & 0x400) !== 0 ? 0x40 : 0) | extra | reason,
      );
    for (const shift of [39n, 30n, 21n, 12n]) {
      const address = table + below(guest >> shift, 9n) * 8n;
      const value = this.memory.read(address, 8);
      if ((value & BigInt(known)) === 0n) refuse(0, 0);
      const isLeaf = shift === 12n || (shift !== 39n && bit(value, 7));
      this.checkConfiguration(guest, value, shift, isLeaf, ept, maxphyaddr);
      above = allowed;
      allowed &= Number(value & BigInt(known));
      used.push(address);
      table = field(value, 51, 12) << 12n;
      if (!isLeaf) continue;
      if ((allowed & rights) !== rights) {
        // Only bit 1 of the last entry forbids it, and the access is a write.
        const onlyTheLast = (rights & 2) !== 0 && ((allowed | (above & 2)) & rights) === rights;
        const byPaging = ofPaging && ept.pagingWrite && bit(value, 58);
        const bySubPage =
          !ofPaging && shift === 12n && bit(value, 61) && onlyTheLast && this.subPageIsWritable(guest);
        if (!onlyTheLast || !(byPaging || bySubPage)) refuse(allowed, 0);
      }
      if (ofPaging && !bit(value, 58)) this.verified = false;
      if (!ofPaging && ept.verification && bit(value, 57) && !this.verified) refuse(allowed, 0x8000);
      if (ept.flags) {
        for (const entry of used) this.memory.or(entry, 0x100n, 8);
        if (rights & 2) this.memory.or(address, 0x200n, 8);
      }
      return ((table >> shift) << shift) | below(guest, shift);
    }
    throw new Error('a walk without a leaf');
  }

  /** "Sub-Page Write Permissions", 30.3.4; without the control no sub-page may be written. */
  subPageIsWritable(guest: bigint): boolean {
    const { ept, maxphyaddr } = this.registers;
    if (ept?.subPages === undefined) return false;
    const event = (qualification: number): never => {
      throw new Stop({ kind: 'sub-page', guestPhysical: guest, qualification });
    };
    let table = ept.subPages;
    for (const shift of [39n, 30n, 21n]) {
      const value = this.memory.read(table + below(guest >> shift, 9n) * 8n, 8);
      if (!bit(value, 0)) event(0x800);
      if (field(value, 11, 1) !== 0n || field(value, 63, maxphyaddr) !== 0n) event(0);
      table = field(value, 51, 12) << 12n;
    }
    const vector = this.memory.read(table + below(guest >> 12n, 9n) * 8n, 8);
    if ((vector & 0xaaaa_aaaa_aaaa_aaaan) !== 0n) event(0);
    return bit(vector, 2n * below(guest >> 7n, 5n));
  }

  checkConfiguration(
    guest: bigint,
    value: bigint,
    shift: bigint,
    isLeaf: boolean,
    ept: ModelEpt,
    maxphyaddr: number,
  ): void {
    const writeOnly =
      !bit(value, 0) && (bit(value, 1) || !ept.executeOnly || (isLeaf && ept.pagingWrite && bit(value, 58)));
    const tooLarge = isLeaf && ((shift === 21n && !ept.pages2M) || (shift === 30n && !ept.pages1G));
    const address = field(value, 51, maxphyaddr) !== 0n;
    let reserved: boolean;
    if (isLeaf) {
      const type = field(value, 5, 3);
      reserved =
        type === 2n ||
        type === 3n ||
        type === 7n ||
        (shift > 12n && field(value, Number(shift) - 1, 12) !== 0n);
    } else reserved = field(value, shift === 39n ? 7 : 6, 3) !== 0n;
    if (writeOnly || tooLarge || address || reserved) {
      throw new Stop({ kind: 'misconfiguration', guestPhysical: guest, qualification: 0 });
    }
  }

  violation(guestPhysical: bigint, qualification: number): never {
    throw new Stop({ kind: 'violation', guestPhysical, qualification });
  }
}
