/**
 * What exits besides what the VMM needs itself: the strings of `vmm.exiting`, parsed into controls, masks and bitmaps.
 */
import { UserError } from '../base/errors.ts';
import type { ControlKey } from '../vmx/controls.ts';
import { EXCEPTION_NAMES } from '../vmx/registerBits.ts';

export interface NumberRange {
  readonly first: number;
  readonly last: number;
}

export interface ExitPolicy {
  readonly controls: ReadonlySet<ControlKey>;
  /** Every change of CR0 or CR4. */
  readonly cr0: boolean;
  readonly cr4: boolean;
  readonly exceptionBitmap: number;
  /** MSRs whose accesses exit. */
  readonly msrs: readonly NumberRange[];
  /** Period of the VMX-preemption timer in ticks; 0 when it is not used. */
  readonly preemptionTicks: number;
}

/** Names without an argument and the controls they set. Those without controls exit anyway. */
const SIMPLE: Readonly<Record<string, readonly ControlKey[]>> = {
  cpuid: [],
  'external-interrupts': [],
  cr8: [],
  xsetbv: [],
  invd: [],
  hlt: ['hltExiting'],
  rdtsc: ['rdtscExiting'],
  rdtscp: ['rdtscExiting'],
  rdpmc: ['rdpmcExiting'],
  pause: ['pauseExiting'],
  wbinvd: ['wbinvdExiting'],
  invlpg: ['invlpgExiting'],
  cr3: ['cr3LoadExiting', 'cr3StoreExiting'],
  dr: ['movDrExiting'],
  'descriptor-tables': ['descriptorTableExiting'],
  'bus-lock': ['vmmBusLockDetection'],
};

const DEFAULT_PREEMPTION_TICKS = 1_000_000;
const ALL_MSRS: NumberRange = { first: 0, last: 0xffff_ffff };
const ALL_EXCEPTIONS = -1;
const LAST_PORT = 0xffff;

const KNOWN = [
  ...Object.keys(SIMPLE),
  'cr0',
  'cr4',
  'msr',
  'msr:NUMBERS',
  'io:NUMBERS',
  'exceptions',
  'exceptions:#PF,…',
  'preemption-timer',
  'preemption-timer:TICKS',
];

function parseNumber(text: string, what: string): number {
  const value = /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) {
    throw new UserError(`vmm exiting "${what}": "${text}" is not a number; write it as 16 or 0x10`);
  }
  return value;
}

/** `0x10`, `0x10-0x20`, or several of them with commas. */
function parseRanges(text: string, what: string, most: number): NumberRange[] {
  return text.split(',').map((part) => {
    const [from, to = from, ...more] = part.trim().split('-');
    const first = parseNumber(from, what);
    const last = parseNumber(to, what);
    if (more.length > 0 || first > last || last > most) {
      throw new UserError(`vmm exiting "${what}": "${part}" is not a range up to 0x${most.toString(16)}`);
    }
    return { first, last };
  });
}

function parseExceptions(text: string, what: string): number {
  let bitmap = 0;
  for (const part of text.split(',').map((name) => name.trim())) {
    const named = EXCEPTION_NAMES.findIndex((name) => name.toLowerCase() === part.toLowerCase());
    const vector = named >= 0 ? named : /^(0x[0-9a-f]+|[0-9]+)$/i.test(part) ? Number(part) : -1;
    if (vector < 0 || vector > 31 || vector === 2) {
      throw new UserError(
        `vmm exiting "${what}": there is no exception "${part}"; write #PF or a vector from 0 to 31`,
      );
    }
    bitmap |= 1 << vector;
  }
  return bitmap;
}

/** Parses `vmm.exiting`; a string that means nothing gives one clear error. */
export function parsePolicy(exiting: readonly string[]): ExitPolicy {
  const controls = new Set<ControlKey>();
  const msrs: NumberRange[] = [];
  let cr0 = false;
  let cr4 = false;
  let exceptionBitmap = 0;
  let preemptionTicks = 0;
  for (const text of exiting) {
    const colon = text.indexOf(':');
    const name = (colon < 0 ? text : text.slice(0, colon)).trim().toLowerCase();
    const argument = colon < 0 ? undefined : text.slice(colon + 1);
    const simple = SIMPLE[name];
    if (simple !== undefined && argument === undefined) for (const control of simple) controls.add(control);
    else if (name === 'cr0' && argument === undefined) cr0 = true;
    else if (name === 'cr4' && argument === undefined) cr4 = true;
    else if (name === 'msr')
      msrs.push(...(argument === undefined ? [ALL_MSRS] : parseRanges(argument, text, ALL_MSRS.last)));
    // All ports belong to the VMM's devices: they exit anyway, the ranges only have to make sense.
    else if (name === 'io') parseRanges(argument ?? `0-${LAST_PORT}`, text, LAST_PORT);
    else if (name === 'exceptions') {
      exceptionBitmap |= argument === undefined ? ALL_EXCEPTIONS : parseExceptions(argument, text);
    } else if (name === 'preemption-timer') {
      preemptionTicks = argument === undefined ? DEFAULT_PREEMPTION_TICKS : parseNumber(argument, text);
      if (preemptionTicks === 0)
        throw new UserError(`vmm exiting "${text}": the period must be at least 1 tick`);
    } else {
      throw new UserError(`vmm exiting "${text}" is unknown; there are: ${KNOWN.join(', ')}`);
    }
  }
  return { controls, cr0, cr4, exceptionBitmap, msrs, preemptionTicks };
}
