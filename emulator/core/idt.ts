/**
 * One step of event delivery: the transfer through the interrupt-descriptor table to the handler. Every fault check
 * and every probe comes before the first change of state.
 *
 * Intel SDM Vol. 3A, "Exception and Interrupt Handling in Protected Mode", 7.12, and "Exception and Interrupt Handling
 * in 64-bit Mode", 7.14; Vol. 3B, "Interrupt and Exception Handling" in real-address mode, 22.1.4; Vol. 2A, "INT
 * n/INTO/INT3/INT1—Call to Interrupt Procedure".
 */
import {
  ACTIVITY,
  AR,
  BLOCKING,
  CS,
  DS,
  EFER,
  ES,
  FLAG,
  FS,
  GS,
  RSP,
  SS,
  VECTOR,
} from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import {
  type Descriptor,
  isCode,
  isConforming,
  isNull,
  loadHidden,
  loadNull,
  loadParagraph,
  markAccessed,
  parseDescriptor,
  readDescriptor,
  SYSTEM_TYPE,
} from './descriptors.ts';
import { inRealMode, isCanonical, readImplicit } from './memory.ts';
import { OUTCOME, type Outcome } from './outcome.ts';
import { currentStack, StackFrame } from './stack.ts';
import { switchTask } from './taskSwitch.ts';
import { type InnerStack, innerStack, innerStack64, longStack } from './tss.ts';
import { isRedirected, isRestricted, shownFlags } from './virtualInterrupts.ts';
import type { GuestEvent } from './virtualization.ts';

const IDT_FLAG = 2;

/** Whether the gate's DPL restricts who may raise the event. INT1 is not restricted. */
function isDplChecked(event: GuestEvent): boolean {
  return event.kind === 'software-interrupt' || event.kind === 'software-exception';
}

/** The error code that names an IDT entry. */
function idtError(cpu: Cpu, vector: number): number {
  return (vector << 3) | IDT_FLAG | (cpu.errorCode(0) & 1);
}

function returnAddress(cpu: Cpu, event: GuestEvent): bigint {
  return BigInt.asUintN(64, cpu.state.RIP + BigInt(event.instructionLength));
}

/**
 * Transfers control to the handler of an event: `JUMPED`, or `FAULT` or `VM_EXIT` with nothing changed.
 * `flags` is the RFLAGS image to push.
 */
export function deliverThroughIdt(cpu: Cpu, event: GuestEvent, flags: number): Outcome {
  const outcome = inRealMode(cpu.state)
    ? deliverRealMode(cpu, event, flags)
    : cpu.state.efer & EFER.LMA
      ? deliverIa32e(cpu, event, flags)
      : deliverProtected(cpu, event, flags);
  if (outcome === OUTCOME.JUMPED) afterDelivery(cpu, event);
  return outcome;
}

function afterDelivery(cpu: Cpu, event: GuestEvent): void {
  const { state } = cpu;
  state.INTERRUPTIBILITY &= ~(BLOCKING.STI | BLOCKING.MOV_SS);
  if (event.kind === 'nmi') state.INTERRUPTIBILITY |= BLOCKING.NMI;
  state.ACTIVITY_STATE = ACTIVITY.ACTIVE;
  state.MONITOR_ARMED = 0;
  cpu.mmu.updateContext();
}

/** @see SDM "Interrupt and Exception Handling", 22.1.4 */
function deliverRealMode(cpu: Cpu, event: GuestEvent, flags: number): Outcome {
  const { state } = cpu;
  const entry = event.vector * 4;
  if (entry + 3 > state.IDTR_LIMIT) return cpu.raiseGp();
  const outcome = enterParagraphHandler(cpu, event, state.IDTR_BASE + BigInt(entry), flags);
  if (outcome === OUTCOME.JUMPED) state.systemFlags &= ~(FLAG.IF | FLAG.TF | FLAG.AC | FLAG.RF);
  return outcome;
}

/**
 * INT n of a virtual-8086 program goes to a handler of its own, by the table at its linear address 0.
 *
 * @see SDM "Software Interrupt Handling Methods 5 and 6", in "Class 3—Software Interrupt Handling in Virtual-8086 Mode", 22.3.3
 */
function deliverRedirected(cpu: Cpu, event: GuestEvent, flags: number): Outcome {
  const { state } = cpu;
  const restricted = isRestricted(cpu);
  const shown = restricted ? shownFlags(flags) : flags;
  const outcome = enterParagraphHandler(cpu, event, BigInt(event.vector * 4), shown);
  if (outcome === OUTCOME.JUMPED)
    state.systemFlags &= ~(FLAG.TF | FLAG.RF | (restricted ? FLAG.VIF : FLAG.IF));
  return outcome;
}

/** Goes where a far pointer in memory says, with FLAGS, CS and IP on the stack. */
function enterParagraphHandler(cpu: Cpu, event: GuestEvent, address: bigint, flags: number): Outcome {
  const { state } = cpu;
  // 1. Read the far pointer from the interrupt table.
  const pointer = readImplicit(cpu, address, 4);
  if (pointer === undefined) return cpu.failed;
  // 2. Push FLAGS, CS and IP.
  const frame = new StackFrame(cpu, currentStack(state));
  frame.push(BigInt(flags), 2);
  frame.push(BigInt(state.segmentSelector(CS)), 2);
  frame.push(returnAddress(cpu, event), 2);
  if (!frame.probe()) return cpu.failed;
  const ip = pointer & 0xffffn;
  if (ip > BigInt(state.segmentLimit(CS))) return cpu.raiseGp();
  frame.write();
  // 3. Go to the handler.
  state.setGpr(RSP, frame.pointer);
  loadParagraph(state, CS, Number(pointer >> 16n));
  state.RIP = ip;
  return OUTCOME.JUMPED;
}

interface Gate {
  readonly type: number;
  readonly selector: number;
  readonly offset: bigint;
  readonly ist: number;
}

/** Reads the gate of an event and checks its type, its DPL and its presence. */
function readGate(cpu: Cpu, event: GuestEvent): Gate | undefined {
  const { state } = cpu;
  const ia32e = (state.efer & EFER.LMA) !== 0;
  const { vector } = event;
  const bytes = ia32e ? 16 : 8;
  const fail = (kind: number): undefined => {
    cpu.raise(kind, idtError(cpu, vector));
    return undefined;
  };
  if (vector * bytes + bytes - 1 > state.IDTR_LIMIT) return fail(VECTOR.GP);
  const address = BigInt.asUintN(ia32e ? 64 : 32, state.IDTR_BASE + BigInt(vector * bytes));
  const low = readImplicit(cpu, address, 8);
  if (low === undefined) return undefined;
  const upper = ia32e ? readImplicit(cpu, BigInt.asUintN(64, address + 8n), 8) : 0n;
  if (upper === undefined) return undefined;
  const { type, isSystem, dpl, present } = parseDescriptor(low);
  if (!isSystem || !isIdtGate(type, ia32e)) return fail(VECTOR.GP);
  if (isDplChecked(event) && dpl < state.CPL) return fail(VECTOR.GP);
  if (!present) return fail(VECTOR.NP);
  const wide = (type & 8) !== 0;
  return {
    type,
    selector: Number((low >> 16n) & 0xffffn),
    offset: (low & 0xffffn) | (wide ? (low >> 32n) & 0xffff_0000n : 0n) | ((upper & 0xffff_ffffn) << 32n),
    ist: ia32e ? Number((low >> 32n) & 7n) : 0,
  };
}

function isIdtGate(type: number, ia32e: boolean): boolean {
  if (type === SYSTEM_TYPE.INTERRUPT_GATE || type === SYSTEM_TYPE.TRAP_GATE) return true;
  if (ia32e) return false;
  return (
    type === SYSTEM_TYPE.TASK_GATE ||
    type === SYSTEM_TYPE.INTERRUPT_GATE16 ||
    type === SYSTEM_TYPE.TRAP_GATE16
  );
}

/** Reads and checks the handler's code segment: at most the current privilege, present, 64-bit in IA-32e mode. */
function readHandlerSegment(cpu: Cpu, selector: number): Descriptor | undefined {
  if (isNull(selector)) {
    cpu.raiseGp();
    return undefined;
  }
  const descriptor = readDescriptor(cpu, selector);
  if (!descriptor) return undefined;
  const ia32e = (cpu.state.efer & EFER.LMA) !== 0;
  const wrongMode = ia32e && (descriptor.accessRights & (AR.L | AR.DB)) !== AR.L;
  if (!isCode(descriptor) || descriptor.dpl > cpu.state.CPL || wrongMode) {
    cpu.raiseGp(selector);
    return undefined;
  }
  if (!descriptor.present) {
    cpu.raise(VECTOR.NP, cpu.errorCode(selector));
    return undefined;
  }
  return descriptor;
}

/** Loads CS and RIP and changes the flags as every gate does. */
function enterHandler(cpu: Cpu, gate: Gate, descriptor: Descriptor, cpl: number): void {
  const { state } = cpu;
  loadHidden(state, CS, descriptor, (gate.selector & 0xfffc) | cpl);
  state.CPL = cpl;
  state.RIP = gate.offset;
  state.systemFlags &= ~(FLAG.TF | FLAG.NT | FLAG.VM | FLAG.RF);
  // Interrupt gates are the even types.
  if ((gate.type & 1) === 0) state.systemFlags &= ~FLAG.IF;
}

/** @see SDM "Exception- or Interrupt-Handler Procedures", 7.12.1 */
function deliverProtected(cpu: Cpu, event: GuestEvent, flags: number): Outcome {
  const { state } = cpu;
  if (state.virtual8086 && event.kind === 'software-interrupt') {
    const redirected = isRedirected(cpu, event.vector);
    if (redirected === undefined) return cpu.failed;
    if (redirected) return deliverRedirected(cpu, event, flags);
  }
  // 1. The gate.
  const gate = readGate(cpu, event);
  if (!gate) return cpu.failed;
  if (gate.type === SYSTEM_TYPE.TASK_GATE) {
    return switchTask(cpu, gate.selector, {
      kind: 'gate',
      instruction: undefined,
      returnAddress: returnAddress(cpu, event),
      flags,
      errorCode: event.errorCode,
    });
  }
  // 2. The handler's code segment decides about the change of privilege.
  const code = readHandlerSegment(cpu, gate.selector);
  if (!code) return cpu.failed;
  const fromV86 = state.virtual8086;
  const cpl = isConforming(code) ? state.CPL : code.dpl;
  if (fromV86 && cpl !== 0) return cpu.raiseGp(gate.selector);
  // 3. The stack: the TSS has it when the privilege level changes.
  let inner: InnerStack | undefined;
  if (cpl < state.CPL) {
    inner = innerStack(cpu, cpl);
    if (!inner) return cpu.failed;
  }
  // 4. The frame.
  const size = gate.type & 8 ? 4 : 2;
  const frame = new StackFrame(cpu, inner ? inner.options : currentStack(state));
  const pushSelector = (segment: number): void => frame.push(BigInt(state.segmentSelector(segment)), size);
  if (fromV86) for (const segment of [GS, FS, DS, ES]) pushSelector(segment);
  if (inner) {
    pushSelector(SS);
    frame.push(state.gpr(RSP), size);
  }
  frame.push(BigInt(flags), size);
  pushSelector(CS);
  frame.push(returnAddress(cpu, event), size);
  if (event.errorCode !== undefined) frame.push(BigInt(event.errorCode), size);
  if (!frame.probe()) return cpu.failed;
  if (gate.offset > BigInt(code.limit)) return cpu.raiseGp();
  if (!markAccessed(cpu, code) || (inner && !inner.markAccessed())) return cpu.failed;
  frame.write();
  // 5. Commit.
  inner?.loadSs();
  state.setGpr(RSP, frame.pointer);
  if (fromV86) for (const segment of [GS, FS, DS, ES]) loadNull(state, segment, 0);
  enterHandler(cpu, gate, code, cpl);
  return OUTCOME.JUMPED;
}

/** @see SDM "Exception and Interrupt Handling in 64-bit Mode", 7.14 */
function deliverIa32e(cpu: Cpu, event: GuestEvent, flags: number): Outcome {
  const { state } = cpu;
  // 1. The gate.
  const gate = readGate(cpu, event);
  if (!gate) return cpu.failed;
  // 2. The handler's code segment decides about the change of privilege.
  const code = readHandlerSegment(cpu, gate.selector);
  if (!code) return cpu.failed;
  const cpl = isConforming(code) ? state.CPL : code.dpl;
  // 3. The stack: from the TSS when the privilege level changes or the gate names an IST entry, and always aligned.
  let inner: InnerStack | undefined;
  if (cpl < state.CPL || gate.ist !== 0) {
    inner = innerStack64(cpu, cpl, gate.ist, true);
    if (!inner) return cpu.failed;
  }
  // 4. The frame.
  const frame = new StackFrame(cpu, inner ? inner.options : longStack(state.gpr(RSP) & ~0xfn, cpl));
  frame.push(BigInt(state.segmentSelector(SS)), 8);
  frame.push(state.gpr(RSP), 8);
  frame.push(BigInt(flags), 8);
  frame.push(BigInt(state.segmentSelector(CS)), 8);
  frame.push(returnAddress(cpu, event), 8);
  if (event.errorCode !== undefined) frame.push(BigInt(event.errorCode), 8);
  if (!frame.probe()) return cpu.failed;
  if (!isCanonical(state, gate.offset)) return cpu.raiseGp();
  if (!markAccessed(cpu, code)) return cpu.failed;
  frame.write();
  // 5. Commit.
  if (cpl < state.CPL) inner?.loadSs();
  state.setGpr(RSP, frame.pointer);
  enterHandler(cpu, gate, code, cpl);
  return OUTCOME.JUMPED;
}
