/**
 * Checks on guest segment registers.
 *
 * Intel SDM Vol. 3C, "VM Entries", "Checks on Guest Segment Registers".
 */
import type { VmcsFieldKey } from '../fields.ts';
import { ENTRIES } from '../manual.ts';
import { ACCESS_RIGHTS, CR0, SELECTOR } from '../registerBits.ts';
import {
  canonical,
  type EntryCheckRow,
  first,
  isVirtual8086,
  mustBeZero,
  mustHold,
  type Violation,
  type VmcsView,
} from './check.ts';

const REF = ENTRIES('Checks on Guest Segment Registers', '3.1.2');

interface SegmentFields {
  readonly name: string;
  readonly selector: VmcsFieldKey;
  readonly base: VmcsFieldKey;
  readonly limit: VmcsFieldKey;
  readonly accessRights: VmcsFieldKey;
}

function fieldsOf<const Name extends 'CS' | 'SS' | 'DS' | 'ES' | 'FS' | 'GS' | 'TR' | 'LDTR'>(name: Name) {
  return {
    name,
    selector: `GUEST_${name}_SELECTOR`,
    base: `GUEST_${name}_BASE`,
    limit: `GUEST_${name}_LIMIT`,
    accessRights: `GUEST_${name}_ACCESS_RIGHTS`,
  } as const satisfies SegmentFields;
}

const CS = fieldsOf('CS');
const SS = fieldsOf('SS');
const DS = fieldsOf('DS');
const ES = fieldsOf('ES');
const FS = fieldsOf('FS');
const GS = fieldsOf('GS');
const TR = fieldsOf('TR');
const LDTR = fieldsOf('LDTR');

const DATA: readonly SegmentFields[] = [DS, ES, FS, GS];
const CODE_AND_DATA: readonly SegmentFields[] = [CS, SS, ...DATA];

const UPPER_HALF = 0xffff_ffff_0000_0000n;
const VIRTUAL_8086_LIMIT = 0xffffn;
/** Present, DPL 3, read/write accessed data. */
const VIRTUAL_8086_ACCESS_RIGHTS = 0xf3n;
const RESERVED_11_8 = 0xf00n;
const RESERVED_31_17 = 0xfffe_0000n;
const ACCESSED = 1n;
const READABLE = 2n;
const CODE = 8n;
const READ_WRITE_ACCESSED = 3n;

const type = (v: VmcsView, segment: SegmentFields) => v[segment.accessRights] & ACCESS_RIGHTS.TYPE;
const dpl = (v: VmcsView, segment: SegmentFields) => (v[segment.accessRights] & ACCESS_RIGHTS.DPL) >> 5n;
const rpl = (v: VmcsView, segment: SegmentFields) => v[segment.selector] & SELECTOR.RPL;
const isUsable = (v: VmcsView, segment: SegmentFields) =>
  (v[segment.accessRights] & ACCESS_RIGHTS.UNUSABLE) === 0n;
const isCsOrUsable = (v: VmcsView, segment: SegmentFields) => segment === CS || isUsable(v, segment);

function needs(
  segments: readonly SegmentFields[],
  ...parts: readonly (keyof SegmentFields)[]
): VmcsFieldKey[] {
  return segments.flatMap((segment) => parts.map((part) => segment[part] as VmcsFieldKey));
}

/** A sentence about the access rights of CS, SS, DS, ES, FS and GS outside virtual-8086 mode. */
function protectedMode(check: (v: VmcsView) => Violation | undefined): EntryCheckRow['check'] {
  return (v) => (isVirtual8086(v) ? undefined : check(v));
}

function missing(v: VmcsView, { accessRights }: SegmentFields, bit: bigint): Violation | undefined {
  return mustBeZero(accessRights, ~v[accessRights] & bit);
}

function bits(v: VmcsView, { accessRights }: SegmentFields, mask: bigint): Violation | undefined {
  return mustBeZero(accessRights, v[accessRights] & mask);
}

/** "If any bit in the limit field in the range 11:0 is 0, G must be 0." */
function byteGranular(v: VmcsView, segment: SegmentFields): Violation | undefined {
  return (v[segment.limit] & 0xfffn) === 0xfffn ? undefined : bits(v, segment, ACCESS_RIGHTS.G);
}

/** "If any bit in the limit field in the range 31:20 is 1, G must be 1." */
function pageGranular(v: VmcsView, segment: SegmentFields): Violation | undefined {
  return (v[segment.limit] & 0xfff0_0000n) === 0n ? undefined : missing(v, segment, ACCESS_RIGHTS.G);
}

const SELECTOR_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'guest.tr.selector.ti',
    group: 'guest',
    needs: [TR.selector],
    text: 'TI must be 0 in the guest selector of TR',
    ref: REF,
    check: (v) => mustBeZero(TR.selector, v[TR.selector] & SELECTOR.TI),
  },
  {
    id: 'guest.ldtr.selector.ti',
    group: 'guest',
    needs: needs([LDTR], 'selector', 'accessRights'),
    text: 'TI must be 0 in the guest selector of LDTR if LDTR is usable',
    ref: REF,
    check: (v) => (isUsable(v, LDTR) ? mustBeZero(LDTR.selector, v[LDTR.selector] & SELECTOR.TI) : undefined),
  },
  {
    id: 'guest.ss.selector.rpl',
    group: 'guest',
    needs: [SS.selector, CS.selector, 'GUEST_RFLAGS'],
    text: 'RPL of the guest selector of SS must equal that of CS outside virtual-8086 mode if "unrestricted guest" is 0',
    ref: REF,
    check: protectedMode((v) =>
      v.controls.unrestrictedGuest ? undefined : mustBeZero(SS.selector, rpl(v, SS) ^ rpl(v, CS)),
    ),
  },
];

const BASE_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'guest.virtual8086.base',
    group: 'guest',
    needs: ['GUEST_RFLAGS', ...needs(CODE_AND_DATA, 'selector', 'base')],
    text: 'In virtual-8086 mode each guest base must be the selector shifted left by 4',
    ref: REF,
    check: (v) =>
      isVirtual8086(v)
        ? first(CODE_AND_DATA, ({ base, selector }) =>
            mustHold(v[base] === v[selector] << 4n, base, `0x${(v[selector] << 4n).toString(16)}`),
          )
        : undefined,
  },
  {
    id: 'guest.base.canonical',
    group: 'guest',
    needs: needs([TR, FS, GS], 'base'),
    text: 'The guest bases of TR, FS and GS must contain canonical addresses',
    ref: REF,
    check: (v) => first([TR, FS, GS] as const, ({ base }) => canonical(v, base)),
  },
  {
    id: 'guest.ldtr.base.canonical',
    group: 'guest',
    needs: needs([LDTR], 'base', 'accessRights'),
    text: 'The guest base of LDTR must contain a canonical address if LDTR is usable',
    ref: REF,
    check: (v) => (isUsable(v, LDTR) ? canonical(v, LDTR.base) : undefined),
  },
  {
    id: 'guest.cs.base.upperHalf',
    group: 'guest',
    needs: [CS.base],
    text: 'Bits 63:32 of the guest base of CS must be 0',
    ref: REF,
    check: (v) => mustBeZero(CS.base, v[CS.base] & UPPER_HALF),
  },
  {
    id: 'guest.data.base.upperHalf',
    group: 'guest',
    needs: needs([SS, DS, ES], 'base', 'accessRights'),
    text: 'Bits 63:32 of the guest bases of SS, DS and ES must be 0 if the register is usable',
    ref: REF,
    check: (v) =>
      first([SS, DS, ES] as const, (segment) =>
        isUsable(v, segment) ? mustBeZero(segment.base, v[segment.base] & UPPER_HALF) : undefined,
      ),
  },
];

const VIRTUAL_8086_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'guest.virtual8086.limit',
    group: 'guest',
    needs: ['GUEST_RFLAGS', ...needs(CODE_AND_DATA, 'limit')],
    text: 'In virtual-8086 mode each guest limit must be 0000FFFFH',
    ref: REF,
    check: (v) =>
      isVirtual8086(v)
        ? first(CODE_AND_DATA, ({ limit }) => mustHold(v[limit] === VIRTUAL_8086_LIMIT, limit, '0xffff'))
        : undefined,
  },
  {
    id: 'guest.virtual8086.accessRights',
    group: 'guest',
    needs: ['GUEST_RFLAGS', ...needs(CODE_AND_DATA, 'accessRights')],
    text: 'In virtual-8086 mode the guest access rights must be 000000F3H',
    ref: REF,
    check: (v) =>
      isVirtual8086(v)
        ? first(CODE_AND_DATA, ({ accessRights }) =>
            mustHold(v[accessRights] === VIRTUAL_8086_ACCESS_RIGHTS, accessRights, '0xf3'),
          )
        : undefined,
  },
];

const CODE_AND_DATA_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'guest.cs.type',
    group: 'guest',
    needs: ['GUEST_RFLAGS', CS.accessRights],
    text: 'The type of guest CS must be accessed code (9, 11, 13 or 15), or also 3 with "unrestricted guest"',
    ref: REF,
    check: protectedMode((v) => {
      const isCode = (type(v, CS) & (CODE | ACCESSED)) === (CODE | ACCESSED);
      const isData = v.controls.unrestrictedGuest && type(v, CS) === READ_WRITE_ACCESSED;
      const allowed = v.controls.unrestrictedGuest ? 'type 3, 9, 11, 13 or 15' : 'type 9, 11, 13 or 15';
      return mustHold(isCode || isData, CS.accessRights, allowed);
    }),
  },
  {
    id: 'guest.ss.type',
    group: 'guest',
    needs: ['GUEST_RFLAGS', SS.accessRights],
    text: 'The type of guest SS must be 3 or 7 (read/write, accessed) if SS is usable',
    ref: REF,
    check: protectedMode((v) =>
      mustHold(!isUsable(v, SS) || type(v, SS) === 3n || type(v, SS) === 7n, SS.accessRights, 'type 3 or 7'),
    ),
  },
  {
    id: 'guest.data.type.accessed',
    group: 'guest',
    needs: ['GUEST_RFLAGS', ...needs(DATA, 'accessRights')],
    text: 'The type of guest DS, ES, FS and GS must be accessed if the register is usable',
    ref: REF,
    check: protectedMode((v) =>
      first(DATA, (segment) => (isUsable(v, segment) ? missing(v, segment, ACCESSED) : undefined)),
    ),
  },
  {
    id: 'guest.data.type.readable',
    group: 'guest',
    needs: ['GUEST_RFLAGS', ...needs(DATA, 'accessRights')],
    text: 'A code segment in guest DS, ES, FS or GS must be readable if the register is usable',
    ref: REF,
    check: protectedMode((v) =>
      first(DATA, (segment) =>
        isUsable(v, segment) && (type(v, segment) & CODE) !== 0n ? missing(v, segment, READABLE) : undefined,
      ),
    ),
  },
  {
    id: 'guest.segment.s',
    group: 'guest',
    needs: ['GUEST_RFLAGS', ...needs(CODE_AND_DATA, 'accessRights')],
    text: 'S must be 1 in guest CS and in every usable data segment register',
    ref: REF,
    check: protectedMode((v) =>
      first(CODE_AND_DATA, (segment) =>
        isCsOrUsable(v, segment) ? missing(v, segment, ACCESS_RIGHTS.S) : undefined,
      ),
    ),
  },
  {
    id: 'guest.cs.dpl.data',
    group: 'guest',
    needs: ['GUEST_RFLAGS', CS.accessRights],
    text: 'DPL of guest CS must be 0 if its type is 3',
    ref: REF,
    check: protectedMode((v) =>
      type(v, CS) === READ_WRITE_ACCESSED ? bits(v, CS, ACCESS_RIGHTS.DPL) : undefined,
    ),
  },
  {
    id: 'guest.cs.dpl.nonConforming',
    group: 'guest',
    needs: ['GUEST_RFLAGS', CS.accessRights, SS.accessRights],
    text: 'DPL of guest CS must equal DPL of SS if CS is non-conforming code',
    ref: REF,
    check: protectedMode((v) =>
      type(v, CS) === 9n || type(v, CS) === 11n
        ? mustHold(dpl(v, CS) === dpl(v, SS), CS.accessRights, `DPL ${dpl(v, SS)}`)
        : undefined,
    ),
  },
  {
    id: 'guest.cs.dpl.conforming',
    group: 'guest',
    needs: ['GUEST_RFLAGS', CS.accessRights, SS.accessRights],
    text: 'DPL of guest CS must not be above DPL of SS if CS is conforming code',
    ref: REF,
    check: protectedMode((v) =>
      type(v, CS) === 13n || type(v, CS) === 15n
        ? mustHold(dpl(v, CS) <= dpl(v, SS), CS.accessRights, `DPL 0 to ${dpl(v, SS)}`)
        : undefined,
    ),
  },
  {
    id: 'guest.ss.dpl.rpl',
    group: 'guest',
    needs: ['GUEST_RFLAGS', SS.accessRights, SS.selector],
    text: 'DPL of guest SS must equal RPL of its selector if "unrestricted guest" is 0',
    ref: REF,
    check: protectedMode((v) =>
      mustHold(
        v.controls.unrestrictedGuest || dpl(v, SS) === rpl(v, SS),
        SS.accessRights,
        `DPL ${rpl(v, SS)}, the RPL of the selector`,
      ),
    ),
  },
  {
    id: 'guest.ss.dpl.realMode',
    group: 'guest',
    needs: ['GUEST_RFLAGS', 'GUEST_CR0', SS.accessRights, CS.accessRights],
    text: 'DPL of guest SS must be 0 if the type of CS is 3 or CR0.PE is 0',
    ref: REF,
    check: protectedMode((v) =>
      type(v, CS) === READ_WRITE_ACCESSED || (v.GUEST_CR0 & CR0.PE) === 0n
        ? bits(v, SS, ACCESS_RIGHTS.DPL)
        : undefined,
    ),
  },
  {
    id: 'guest.data.dpl',
    group: 'guest',
    needs: ['GUEST_RFLAGS', ...needs(DATA, 'accessRights', 'selector')],
    text: 'DPL of usable guest DS, ES, FS and GS must not be below RPL for data and non-conforming code if "unrestricted guest" is 0',
    ref: REF,
    check: protectedMode((v) =>
      v.controls.unrestrictedGuest
        ? undefined
        : first(DATA, (segment) =>
            isUsable(v, segment) && type(v, segment) <= 11n
              ? mustHold(
                  dpl(v, segment) >= rpl(v, segment),
                  segment.accessRights,
                  `DPL ${rpl(v, segment)} or above`,
                )
              : undefined,
          ),
    ),
  },
  {
    id: 'guest.segment.present',
    group: 'guest',
    needs: ['GUEST_RFLAGS', ...needs(CODE_AND_DATA, 'accessRights')],
    text: 'P must be 1 in guest CS and in every usable data segment register',
    ref: REF,
    check: protectedMode((v) =>
      first(CODE_AND_DATA, (segment) =>
        isCsOrUsable(v, segment) ? missing(v, segment, ACCESS_RIGHTS.P) : undefined,
      ),
    ),
  },
  {
    id: 'guest.segment.reserved11to8',
    group: 'guest',
    needs: ['GUEST_RFLAGS', ...needs(CODE_AND_DATA, 'accessRights')],
    text: 'Bits 11:8 of the access rights must be 0 in guest CS and in every usable data segment register',
    ref: REF,
    check: protectedMode((v) =>
      first(CODE_AND_DATA, (segment) =>
        isCsOrUsable(v, segment) ? bits(v, segment, RESERVED_11_8) : undefined,
      ),
    ),
  },
  {
    id: 'guest.cs.db',
    group: 'guest',
    needs: ['GUEST_RFLAGS', CS.accessRights],
    text: 'D/B of guest CS must be 0 if "IA-32e mode guest" and CS.L are 1',
    ref: REF,
    check: protectedMode((v) =>
      v.controls.ia32eModeGuest && (v[CS.accessRights] & ACCESS_RIGHTS.L) !== 0n
        ? bits(v, CS, ACCESS_RIGHTS.DB)
        : undefined,
    ),
  },
  {
    id: 'guest.segment.granularity.byte',
    group: 'guest',
    needs: ['GUEST_RFLAGS', ...needs(CODE_AND_DATA, 'accessRights', 'limit')],
    text: 'G must be 0 in guest CS and in every usable data segment register if any of limit bits 11:0 is 0',
    ref: REF,
    check: protectedMode((v) =>
      first(CODE_AND_DATA, (segment) => (isCsOrUsable(v, segment) ? byteGranular(v, segment) : undefined)),
    ),
  },
  {
    id: 'guest.segment.granularity.page',
    group: 'guest',
    needs: ['GUEST_RFLAGS', ...needs(CODE_AND_DATA, 'accessRights', 'limit')],
    text: 'G must be 1 in guest CS and in every usable data segment register if any of limit bits 31:20 is 1',
    ref: REF,
    check: protectedMode((v) =>
      first(CODE_AND_DATA, (segment) => (isCsOrUsable(v, segment) ? pageGranular(v, segment) : undefined)),
    ),
  },
  {
    id: 'guest.segment.reserved31to17',
    group: 'guest',
    needs: ['GUEST_RFLAGS', ...needs(CODE_AND_DATA, 'accessRights')],
    text: 'Bits 31:17 of the access rights must be 0 in guest CS and in every usable data segment register',
    ref: REF,
    check: protectedMode((v) =>
      first(CODE_AND_DATA, (segment) =>
        isCsOrUsable(v, segment) ? bits(v, segment, RESERVED_31_17) : undefined,
      ),
    ),
  },
];

/** The sentences that TR and LDTR share; LDTR is looked at only if it is usable. */
function systemSegment(
  id: string,
  segment: SegmentFields,
  applies: (v: VmcsView) => boolean,
): EntryCheckRow[] {
  const group = 'guest';
  const when = segment === LDTR ? ' if LDTR is usable' : '';
  const rights = [segment.accessRights];
  const row = (
    suffix: string,
    fields: readonly VmcsFieldKey[],
    text: string,
    check: (v: VmcsView) => Violation | undefined,
  ): EntryCheckRow => ({
    id: `guest.${id}.${suffix}`,
    group,
    needs: fields,
    text: `${text}${when}`,
    ref: REF,
    check: (v) => (applies(v) ? check(v) : undefined),
  });
  const { name } = segment;
  const withLimit = [segment.accessRights, segment.limit];
  return [
    row('s', rights, `S must be 0 in guest ${name}`, (v) => bits(v, segment, ACCESS_RIGHTS.S)),
    row('present', rights, `P must be 1 in guest ${name}`, (v) => missing(v, segment, ACCESS_RIGHTS.P)),
    row('reserved11to8', rights, `Bits 11:8 of the access rights must be 0 in guest ${name}`, (v) =>
      bits(v, segment, RESERVED_11_8),
    ),
    row('granularity.byte', withLimit, `G must be 0 in guest ${name} with any of limit bits 11:0 at 0`, (v) =>
      byteGranular(v, segment),
    ),
    row(
      'granularity.page',
      withLimit,
      `G must be 1 in guest ${name} with any of limit bits 31:20 at 1`,
      (v) => pageGranular(v, segment),
    ),
    row('reserved31to17', rights, `Bits 31:17 of the access rights must be 0 in guest ${name}`, (v) =>
      bits(v, segment, RESERVED_31_17),
    ),
  ];
}

const BUSY_16_BIT_TSS = 3n;
const BUSY_TSS = 11n;
const LDT = 2n;

const SYSTEM_CHECKS: readonly EntryCheckRow[] = [
  {
    id: 'guest.tr.type.legacy',
    group: 'guest',
    needs: [TR.accessRights],
    text: 'The type of guest TR must be 3 (16-bit busy TSS) or 11 (32-bit busy TSS) if "IA-32e mode guest" is 0',
    ref: REF,
    check: (v) =>
      mustHold(
        v.controls.ia32eModeGuest || type(v, TR) === BUSY_16_BIT_TSS || type(v, TR) === BUSY_TSS,
        TR.accessRights,
        'type 3 or 11',
      ),
  },
  {
    id: 'guest.tr.type.ia32eMode',
    group: 'guest',
    needs: [TR.accessRights],
    text: 'The type of guest TR must be 11 (64-bit busy TSS) if "IA-32e mode guest" is 1',
    ref: REF,
    check: (v) =>
      mustHold(!v.controls.ia32eModeGuest || type(v, TR) === BUSY_TSS, TR.accessRights, 'type 11'),
  },
  ...systemSegment('tr', TR, () => true),
  {
    id: 'guest.tr.usable',
    group: 'guest',
    needs: [TR.accessRights],
    text: 'Guest TR must be usable',
    ref: REF,
    check: (v) => bits(v, TR, ACCESS_RIGHTS.UNUSABLE),
  },
  {
    id: 'guest.ldtr.type',
    group: 'guest',
    needs: [LDTR.accessRights],
    text: 'The type of guest LDTR must be 2 (LDT) if LDTR is usable',
    ref: REF,
    check: (v) => mustHold(!isUsable(v, LDTR) || type(v, LDTR) === LDT, LDTR.accessRights, 'type 2'),
  },
  ...systemSegment('ldtr', LDTR, (v) => isUsable(v, LDTR)),
];

export const GUEST_SEGMENT_CHECKS: readonly EntryCheckRow[] = [
  ...SELECTOR_CHECKS,
  ...BASE_CHECKS,
  ...VIRTUAL_8086_CHECKS,
  ...CODE_AND_DATA_CHECKS,
  ...SYSTEM_CHECKS,
];
