/**
 * Steps of the source language made of runs of the machine: over or into a statement, out of a function. Where no line
 * is known a step is one instruction.
 */
import type { StopEvent } from '../../emulator/index.ts';
import type { SessionContext } from '../context.ts';
import { runRequest } from '../debuggee.ts';
import { dapError } from '../errors.ts';
import { codeMode } from '../inspect/stack.ts';
import type { AddressRange } from '../symbols/program.ts';
import { RIP, RSP } from '../symbols/registers.ts';
import { framesAbove, framesToHide, isAtCall, type Origin, originAt } from './inlineSteps.ts';
import type { Plan, RunOnce } from './runControl.ts';

/** A step that does not arrive at a statement in so many runs ends where it is. */
const MOST_RUNS = 1000;

interface Position {
  /** Linear address of the next instruction. */
  readonly address: bigint;
  readonly rsp: bigint;
}

/**
 * One instruction; over means until a call has returned and a repeated instruction is done. Given as a range, because an
 * instruction that leaves for the hypervisor retires nothing.
 */
export function stepInstruction(context: SessionContext, vcpu: number, over: boolean): Plan {
  const debuggee = context.requireDebuggee();
  return async (run) => {
    const { address } = await position(context, vcpu);
    const [line] = await debuggee.machine.disassemble(vcpu, address, 1);
    const end = address + BigInt(line?.bytes.length || 1);
    const range = { ranges: [[address, end]] as const, over };
    return run(runRequest(debuggee, over ? { range } : { range, instructions: 1 }));
  };
}

/** To the next statement, through calls or into them. */
export function stepStatement(context: SessionContext, vcpu: number, over: boolean): Plan {
  const hidden = context.hiddenFrames(vcpu);
  const stop = context.requireStop();
  if (!over && hidden > 0) return async () => reveal(context, vcpu, hidden - 1, stop);
  const { program } = context.requireDebuggee();
  const instruction = stepInstruction(context, vcpu, over);
  return async (run) => {
    const at = await position(context, vcpu);
    const ranges = program.statementRange(at.address, hidden > 0 ? { frame: hidden } : { over });
    if (ranges.length === 0) return instruction(run);
    const origin = originAt(program, at.address, hidden);
    const stop = await leaveStatement(context, vcpu, over, { ranges, origin }, run);
    return arrivedFrom(context, vcpu, origin, !over, stop);
  };
}

/** Hides the frames of the calls that a step has arrived at. */
async function arrivedFrom(
  context: SessionContext,
  vcpu: number,
  origin: Origin,
  isStepIn: boolean,
  stop: StopEvent,
): Promise<StopEvent> {
  if (stop.reason !== 'step') return stop;
  const { program } = context.requireDebuggee();
  const { address } = await position(context, vcpu);
  context.hideFrames(vcpu, framesToHide(program, address, origin, isStepIn));
  return stop;
}

/** Shows the line of the breakpoint that was hit, in front of the inlined calls that it begins with. */
export async function arriveAtBreakpoint(context: SessionContext, stop: StopEvent): Promise<void> {
  const line = context.breakpoints.lineOf(stop.breakpoints);
  if (line === undefined) return;
  const { program } = context.requireDebuggee();
  const { address } = await position(context, stop.vcpu);
  context.hideFrames(stop.vcpu, framesAbove(program, address, line));
}

/** A step into an inlined call: what changes is what is shown. */
function reveal(context: SessionContext, vcpu: number, hidden: number, stop: StopEvent): StopEvent {
  context.hideFrames(vcpu, hidden);
  return { ...stop, reason: 'step', description: 'Stepped', breakpoints: [], details: [] };
}

/** Runs until the machine is at the start of another statement. */
async function leaveStatement(
  context: SessionContext,
  vcpu: number,
  over: boolean,
  from: { readonly ranges: readonly AddressRange[]; readonly origin: Origin },
  run: RunOnce,
): Promise<StopEvent> {
  const debuggee = context.requireDebuggee();
  let { ranges } = from;
  for (let runs = 0; ; runs++) {
    const range = { ranges: ranges.map(({ start, end }) => [start, end] as const), over };
    const stop = await run(runRequest(debuggee, { range }));
    if (stop.reason !== 'step' || runs === MOST_RUNS) return stop;
    const at = await position(context, vcpu);
    if (isAtCall(debuggee.program, at.address, from.origin)) return stop;
    const arrived = await arrive(context, vcpu, run, at, ranges, stop);
    if (arrived !== 'go-on') return arrived;
    const { address } = await position(context, vcpu);
    ranges = debuggee.program.statementRange(address, { over });
    if (ranges.length === 0) return stop;
  }
}

/** Decides after a run whether the step has arrived, or leads it to where it goes on. */
async function arrive(
  context: SessionContext,
  vcpu: number,
  run: RunOnce,
  at: Position,
  from: readonly AddressRange[],
  stop: StopEvent,
): Promise<StopEvent | 'go-on'> {
  const debuggee = context.requireDebuggee();
  const { program } = debuggee;
  const found = program.functionAt(at.address);
  // Into a function: past its prologue, where its variables are.
  if (found && found.function.entry === at.address && found.function.body !== at.address)
    return run(runRequest(debuggee, { until: { rip: found.function.body, minimumRsp: 0n } }));
  const line = program.addressToLine(at.address);
  if (line?.isStatement && line.start === at.address) return stop;
  if (line) return 'go-on';
  // Code without lines: out of it again when it was called from the statement, else this is where the step ends.
  const returnAddress = await returnAddressAt(context, vcpu, at);
  if (
    returnAddress === undefined ||
    !from.some(({ start, end }) => returnAddress > start && returnAddress <= end)
  )
    return stop;
  const returned = await run(
    runRequest(debuggee, { until: { rip: returnAddress, minimumRsp: at.rsp + 1n } }),
  );
  return returned.reason === 'step' ? 'go-on' : returned;
}

/** Until the function has returned to its caller, or the inlined call is done. */
export async function stepOutOf(context: SessionContext, vcpu: number): Promise<Plan> {
  const debuggee = context.requireDebuggee();
  const stack = await context.stack(vcpu);
  const [top] = stack;
  if (top?.isInlined) {
    const { program } = debuggee;
    const frame = context.hiddenFrames(vcpu) + 1;
    const ranges = program.statementRange(top.address, { frame, over: true });
    const range = { ranges: ranges.map(({ start, end }) => [start, end] as const), over: true };
    const origin = originAt(program, top.address, frame);
    return async (run) =>
      arrivedFrom(context, vcpu, origin, false, await run(runRequest(debuggee, { range })));
  }
  const caller = stack.find((frame) => frame.depth === 1);
  const rip = caller?.registers.values[RIP];
  const rsp = caller?.registers.values[RSP];
  if (rip === undefined || rsp === undefined) throw dapError('noCaller');
  return (run) => run(runRequest(debuggee, { until: { rip, minimumRsp: rsp } }));
}

async function position(context: SessionContext, vcpu: number): Promise<Position> {
  const { machine } = context.requireDebuggee();
  const [vcpus, rip, rsp] = await Promise.all([
    machine.vcpus(),
    machine.register(vcpu, 'RIP'),
    machine.register(vcpu, 'RSP'),
  ]);
  // Only outside of 64-bit mode do segments have bases.
  const base = vcpus[vcpu].mode === '64-bit' ? 0n : codeMode(await machine.registers(vcpu)).codeBase;
  return { address: (rip ?? 0n) + base, rsp: rsp ?? 0n };
}

/** The word on top of the stack: where a function that was just called returns to. */
async function returnAddressAt(
  context: SessionContext,
  vcpu: number,
  at: Position,
): Promise<bigint | undefined> {
  const { machine } = context.requireDebuggee();
  const { wordSize, stackBase } = codeMode(await machine.registers(vcpu));
  const bytes = await machine.readMemory(vcpu, { space: 'linear', address: at.rsp + stackBase }, wordSize);
  if (bytes.length < wordSize) return undefined;
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}
