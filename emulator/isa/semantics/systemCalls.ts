/**
 * SYSCALL and SYSRET of 64-bit code: flat segments from MSRs. What more there may be to it (single steps, alignment checks,
 * interrupts that are let in, whoever follows CPL) is handed over.
 *
 * @see SDM "Performing Fast Calls to System Procedures", 6.8.7 of volume 3A
 */
import { SDM } from '../../base/reference.ts';
import { FLAT_CODE, FLAT_DATA, SYSRET_FLAGS, syscall, sysret } from '../../core/fastSystemCalls.ts';
import { SYSTEM_FLAGS } from '../../state/flags.ts';
import { OFFSET } from '../../state/layout.ts';
import { AR, CS, EFER, FLAG, R11, RCX, SS } from '../../state/registers.ts';
import { codeSizeInContext } from '../decode.ts';
import type { Emitter } from '../emitter.ts';
import type { Form, SemanticRow } from '../forms.ts';
import type { Value } from '../ir.ts';
import { canonical } from './control.ts';

const NO_OPERANDS: readonly Form[] = [{ operands: [], bits: [8] }];

function setSegment(e: Emitter, segment: number, selector: Value, accessRights: number): void {
  e.setField(OFFSET.SEG_SELECTOR + 4 * segment, 32, selector);
  e.setField(OFFSET.SEG_BASE + 8 * segment, 64, e.constant(0));
  e.setField(OFFSET.SEG_LIMIT + 4 * segment, 32, e.constant(0xffff_ffff));
  e.setField(OFFSET.SEG_ACCESS_RIGHTS + 4 * segment, 32, e.constant(accessRights));
}

/** To RIP at a privilege level, with these flags and the context id that belongs to it. */
function enter(
  e: Emitter,
  cpl: 0 | 3,
  to: { cs: Value; ss: Value; rip: Value; flags: Value; context: Value },
): void {
  e.setField(OFFSET.RFLAGS, 32, e.or(e.and(to.flags, e.constant(SYSTEM_FLAGS)), e.constant(FLAG.FIXED)));
  e.setFlags(to.flags);
  const dpl = cpl << AR.DPL_SHIFT;
  setSegment(e, CS, to.cs, FLAT_CODE | AR.L | dpl);
  setSegment(e, SS, to.ss, FLAT_DATA | dpl);
  e.setField(OFFSET.CPL, 32, e.constant(cpl));
  e.setField(OFFSET.CONTEXT, 64, to.context);
  e.setField(OFFSET.CODE_CONTEXT, 32, e.or(to.context, e.constant(codeSizeInContext(64))));
  e.jumpFar(to.rip);
}

function enabled(e: Emitter): Value {
  return e.isNotZero(e.and(e.field(OFFSET.IA32_EFER, 32), e.constant(EFER.SCE)));
}

function all(e: Emitter, first: Value, ...others: readonly Value[]): Value {
  return others.reduce((both, condition) => e.logic('i32_and', both, condition), first);
}

function emitSyscall(e: Emitter): void {
  if (!e.spec.flat) {
    e.system();
    return;
  }
  const now = e.or(e.and(e.systemFlags(), e.constant(SYSTEM_FLAGS & ~FLAG.RF)), e.flags());
  const flags = e.and(now, e.xor(e.field(OFFSET.IA32_FMASK, 32), e.constant(-1n)));
  const context = e.field(OFFSET.CONTEXT_IDS, 32);
  const plain = all(
    e,
    enabled(e),
    e.isNotZero(context),
    e.isZero(e.and(now, e.constant(FLAG.TF))),
    e.isZero(e.and(flags, e.constant(FLAG.AC))),
  );
  const selector = e.and(e.field(OFFSET.IA32_STAR + 4, 32), e.constant(0xfffc));
  const rip = e.field(OFFSET.IA32_LSTAR, 64);
  e.if(
    plain,
    () => {
      e.setRegister(RCX, e.nextRip(), 64);
      e.setRegister(R11, e.or(now, e.constant(FLAG.FIXED)), 64);
      enter(e, 0, {
        cs: selector,
        ss: e.and(e.add(selector, e.constant(8)), e.constant(0xffff)),
        rip,
        flags,
        context,
      });
    },
    () => e.system(),
  );
}

function emitSysret(e: Emitter): void {
  if (!e.spec.flat) {
    e.system();
    return;
  }
  const rip = e.register(RCX, 64);
  const flags = e.and(e.register(R11, 64), e.constant(SYSRET_FLAGS));
  const context = e.field(OFFSET.CONTEXT_IDS + 4, 32);
  const letsIn = e.and(e.and(flags, e.xor(e.systemFlags(), e.constant(-1n))), e.constant(FLAG.IF));
  const plain = all(
    e,
    enabled(e),
    e.isNotZero(context),
    e.isZero(e.field(OFFSET.CPL, 32)),
    e.compare('i64_eq', canonical(e, rip), rip),
    e.isZero(e.or(letsIn, e.and(flags, e.constant(FLAG.TF | FLAG.AC)))),
  );
  const selector = e.shr(e.field(OFFSET.IA32_STAR, 64), 48);
  const forUser = (from: number): Value =>
    e.or(e.and(e.add(selector, e.constant(from)), e.constant(0xffff)), e.constant(3));
  e.if(
    plain,
    () => enter(e, 3, { cs: forUser(16), ss: forUser(8), rip, flags, context }),
    () => e.system(),
  );
}

export const SYSTEM_CALL_ROWS: readonly SemanticRow[] = [
  {
    op: 'SYSCALL',
    forms: NO_OPERANDS,
    emit: emitSyscall,
    variants: 'mode',
    endsBlock: true,
    flags: { reads: true, writes: 'partial' },
    feature: 'SYSCALL',
    call: syscall,
    ref: SDM('SYSCALL—Fast System Call'),
  },
  {
    op: 'SYSRETQ',
    forms: NO_OPERANDS,
    emit: emitSysret,
    variants: 'mode',
    endsBlock: true,
    flags: { reads: true, writes: 'partial' },
    feature: 'SYSCALL',
    call: sysret,
    ref: SDM('SYSRET—Return From Fast System Call'),
  },
];
