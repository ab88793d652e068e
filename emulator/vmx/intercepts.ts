/**
 * Which instructions of the guest cause VM exits: one row for each intercept point.
 *
 * Intel SDM Vol. 3C, "Instructions That Cause VM Exits Unconditionally", 27.1.2; "Instructions That Cause VM Exits
 * Conditionally", 27.1.3; "Changes to Instruction Behavior in VMX Non-Root Operation", 27.3.
 */
import { EmulatorBug } from '../base/errors.ts';
import type { Instruction } from '../core/instruction.ts';
import { OUTCOME, type Outcome } from '../core/outcome.ts';
import type { InterceptPoint } from '../core/virtualization.ts';
import { readRflags } from '../state/flags.ts';
import { CR0, FLAG } from '../state/registers.ts';
import { ioBitmapExits, msrBitmapExits } from './bitmaps.ts';
import { CONTROL, type ControlBit, type ControlKey } from './controls.ts';
import { type ExitInformation, vmExit } from './exit.ts';
import { EXIT_REASON_NUMBER, type ExitReasonKey } from './exitReasons.ts';
import {
  descriptorTableInformation,
  destinationInformation,
  displacementOf,
  invalidateInformation,
  memoryOperandInformation,
  stringInformation,
  systemSegmentInformation,
  vmreadVmwriteInformation,
} from './instructionInformation.ts';
import type { VmxProcessor } from './processor.ts';
import { SLOT } from './vmcs.ts';

type PointName = InterceptPoint['point'];
type PointOf<Name extends PointName> = Extract<InterceptPoint, { readonly point: Name }>;

/**
 * `exits`: the control whose 1-setting makes the instruction exit, a function that decides, or always.
 * `undefinedWithout`: while this control is 0, the instruction is #UD and nothing else.
 * `qualification`, `information`: what the exit reports besides the reason and the instruction's length.
 */
interface InterceptRow<Name extends PointName> {
  readonly point: Name;
  readonly reason: ExitReasonKey;
  readonly exits: 'always' | ControlKey | ((processor: VmxProcessor, point: PointOf<Name>) => boolean);
  readonly undefinedWithout?: ControlKey;
  readonly qualification?: (point: PointOf<Name>, instruction: Instruction) => number | bigint;
  readonly information?: (instruction: Instruction, point: PointOf<Name>) => number;
  readonly guestLinear?: (point: PointOf<Name>) => bigint | undefined;
}

type Row = { readonly [Name in PointName]: InterceptRow<Name> }[PointName];

const never = (): boolean => false;
const displacement = (_point: InterceptPoint, instruction: Instruction): bigint =>
  displacementOf(instruction);
const memoryOperand = { qualification: displacement, information: memoryOperandInformation };

/** Bits of `value` that the guest/host mask gives to the host and that differ from the read shadow. */
function differsFromShadow({ vmcs }: VmxProcessor, cr: 0 | 4, value: bigint): boolean {
  const mask = vmcs.low(cr === 0 ? SLOT.CR0_GUEST_HOST_MASK : SLOT.CR4_GUEST_HOST_MASK);
  const shadow = vmcs.low(cr === 0 ? SLOT.CR0_READ_SHADOW : SLOT.CR4_READ_SHADOW);
  if (((Number(BigInt.asIntN(32, value)) ^ shadow) & mask) !== 0) return true;
  const high = cr === 0 ? SLOT.CR0_GUEST_HOST_MASK + 1 : SLOT.CR4_GUEST_HOST_MASK + 1;
  const highShadow = cr === 0 ? SLOT.CR0_READ_SHADOW + 1 : SLOT.CR4_READ_SHADOW + 1;
  return ((Number(BigInt.asIntN(32, value >> 32n)) ^ vmcs.low(highShadow)) & vmcs.low(high)) !== 0;
}

/** @see SDM "CR3-Target Controls", 26.6.7 */
function isCr3Target({ vmcs }: VmxProcessor, value: bigint): boolean {
  const count = vmcs.low(SLOT.CR3_TARGET_COUNT);
  const low = Number(BigInt.asIntN(32, value));
  const high = Number(BigInt.asIntN(32, value >> 32n));
  for (let target = 0; target < count; target++) {
    const slot = SLOT.CR3_TARGET_VALUE_0 + 2 * target;
    if (vmcs.low(slot) === low && vmcs.low(slot + 1) === high) return true;
  }
  return false;
}

function movToCrExits(processor: VmxProcessor, { cr, value }: PointOf<'MOV_TO_CR'>): boolean {
  switch (cr) {
    case 0:
    case 4:
      return differsFromShadow(processor, cr, value);
    case 3:
      return processor.has(CONTROL.cr3LoadExiting) && !isCr3Target(processor, value);
    case 8:
      return processor.has(CONTROL.cr8LoadExiting);
    default:
      return false;
  }
}

function movFromCrExits(processor: VmxProcessor, { cr }: PointOf<'MOV_FROM_CR'>): boolean {
  if (cr === 3) return processor.has(CONTROL.cr3StoreExiting);
  return cr === 8 && processor.has(CONTROL.cr8StoreExiting);
}

/** CLTS exits when the host owns TS and the guest believes it to be 1. */
function cltsExits({ vmcs }: VmxProcessor): boolean {
  return (vmcs.low(SLOT.CR0_GUEST_HOST_MASK) & vmcs.low(SLOT.CR0_READ_SHADOW) & CR0.TS) !== 0;
}

const LMSW_BITS = CR0.MP | CR0.EM | CR0.TS;

/** LMSW never clears PE. */
function lmswExits({ vmcs }: VmxProcessor, { source }: PointOf<'LMSW'>): boolean {
  const mask = vmcs.low(SLOT.CR0_GUEST_HOST_MASK);
  const shadow = vmcs.low(SLOT.CR0_READ_SHADOW);
  if ((mask & source & ~shadow & CR0.PE) !== 0) return true;
  return (mask & (source ^ shadow) & LMSW_BITS) !== 0;
}

function ioExits(processor: VmxProcessor, { port, size }: PointOf<'IO'>): boolean {
  if (!processor.has(CONTROL.useIoBitmaps)) return processor.has(CONTROL.unconditionalIoExiting);
  const { vmcs, physical } = processor;
  return ioBitmapExits(
    physical,
    vmcs.physicalAddress(SLOT.IO_BITMAP_A),
    vmcs.physicalAddress(SLOT.IO_BITMAP_B),
    port,
    size,
  );
}

function msrExits(processor: VmxProcessor, { point, msr }: PointOf<'RDMSR' | 'WRMSR'>): boolean {
  if (!processor.has(CONTROL.useMsrBitmaps)) return true;
  const bitmaps = processor.vmcs.physicalAddress(SLOT.MSR_BITMAPS);
  return msrBitmapExits(processor.physical, bitmaps, msr, point === 'WRMSR');
}

/** @see SDM "XSS-Exiting Bitmap", 26.6.20 */
function xssExits({ vmcs }: VmxProcessor, { components }: PointOf<'XSAVES' | 'XRSTORS'>): boolean {
  const low = BigInt(vmcs.low(SLOT.XSS_EXITING_BITMAP) >>> 0);
  return ((low | (BigInt(vmcs.low(SLOT.XSS_EXITING_BITMAP + 1) >>> 0) << 32n)) & components) !== 0n;
}

/**
 * "PAUSE exiting"; and with "PAUSE-loop exiting", at CPL 0, a PAUSE that comes PLE_Window after the first of its loop. A
 * loop is one as long as no more than PLE_Gap lies between two of them.
 *
 * @see SDM "Instructions That Cause VM Exits Conditionally", 27.1.3, PAUSE
 */
function pauseExits(processor: VmxProcessor): boolean {
  if (processor.has(CONTROL.pauseExiting)) return true;
  const { state, pauseLoop, vmcs, cpu } = processor;
  if (!processor.has(CONTROL.pauseLoopExiting) || state.CPL !== 0) return false;
  const now = cpu.clock.now();
  const isFirst = pauseLoop.last < 0 || now - pauseLoop.last > vmcs.low(SLOT.PLE_GAP) >>> 0;
  pauseLoop.last = now;
  if (isFirst) pauseLoop.first = now;
  return now - pauseLoop.first > vmcs.low(SLOT.PLE_WINDOW) >>> 0;
}

function ioQualification({ port, size, input, string, repeat, immediate }: PointOf<'IO'>): number {
  return (
    (size - 1) |
    (input ? 1 << 3 : 0) |
    (string ? 1 << 4 : 0) |
    (repeat ? 1 << 5 : 0) |
    (immediate ? 1 << 6 : 0) |
    (port << 16)
  );
}

const CR_ACCESS_TYPE = { toCr: 0, fromCr: 1, clts: 2, lmsw: 3 } as const;

function crQualification(access: number, cr: number, gpr: number): number {
  return cr | (access << 4) | (gpr << 8);
}

const TASK_SWITCH_SOURCE = { CALL: 0, IRET: 1, JMP: 2, gate: 3 } as const;

/** Number of the instruction in the instruction-information field. */
const table = (number: number) => ({
  reason: 'gdtrIdtrAccess' as const,
  exits: 'descriptorTableExiting' as const,
  qualification: displacement,
  information: (instruction: Instruction) => descriptorTableInformation(instruction, number),
});
const systemSegment = (number: number) => ({
  reason: 'ldtrTrAccess' as const,
  exits: 'descriptorTableExiting' as const,
  qualification: displacement,
  information: (instruction: Instruction) => systemSegmentInformation(instruction, number),
});

// biome-ignore format: rows are read as a table
const INTERCEPT_ROWS: readonly Row[] = [
  { point: 'CPUID', reason: 'cpuid', exits: 'always' },
  { point: 'GETSEC', reason: 'getsec', exits: 'always' },
  { point: 'INVD', reason: 'invd', exits: 'always' },
  { point: 'XSETBV', reason: 'xsetbv', exits: 'always' },
  { point: 'HLT', reason: 'hlt', exits: 'hltExiting' },
  { point: 'WBINVD', reason: 'wbinvd', exits: 'wbinvdExiting' },
  { point: 'RDTSC', reason: 'rdtsc', exits: 'rdtscExiting' },
  { point: 'RDTSCP', reason: 'rdtscp', exits: 'rdtscExiting', undefinedWithout: 'enableRdtscp' },
  { point: 'RDPID', reason: 'rdtscp', exits: never, undefinedWithout: 'enableRdtscp' },
  { point: 'RDPMC', reason: 'rdpmc', exits: 'rdpmcExiting' },
  // Outside system-management mode RSM is #UD in the guest as elsewhere.
  { point: 'RSM', reason: 'rsm', exits: never },
  { point: 'MWAIT', reason: 'mwait', exits: 'mwaitExiting', qualification: ({ armed }) => (armed ? 1 : 0) },
  { point: 'MONITOR', reason: 'monitor', exits: 'monitorExiting' },
  { point: 'PAUSE', reason: 'pause', exits: pauseExits },
  { point: 'RDRAND', reason: 'rdrand', exits: 'rdrandExiting', information: destinationInformation },
  { point: 'RDSEED', reason: 'rdseed', exits: 'rdseedExiting', information: destinationInformation },
  { point: 'UMWAIT', reason: 'umwait', exits: 'rdtscExiting', undefinedWithout: 'enableUserWaitAndPause', information: destinationInformation },
  { point: 'TPAUSE', reason: 'tpause', exits: 'rdtscExiting', undefinedWithout: 'enableUserWaitAndPause', information: destinationInformation },
  { point: 'INVLPG', reason: 'invlpg', exits: 'invlpgExiting', qualification: ({ address }) => address },
  { point: 'INVPCID', reason: 'invpcid', exits: 'invlpgExiting', undefinedWithout: 'enableInvpcid', qualification: displacement, information: invalidateInformation },

  { point: 'MOV_TO_CR', reason: 'controlRegisterAccess', exits: movToCrExits, qualification: ({ cr, gpr }) => crQualification(CR_ACCESS_TYPE.toCr, cr, gpr) },
  { point: 'MOV_FROM_CR', reason: 'controlRegisterAccess', exits: movFromCrExits, qualification: ({ cr, gpr }) => crQualification(CR_ACCESS_TYPE.fromCr, cr, gpr) },
  { point: 'CLTS', reason: 'controlRegisterAccess', exits: cltsExits, qualification: () => crQualification(CR_ACCESS_TYPE.clts, 0, 0) },
  { point: 'LMSW', reason: 'controlRegisterAccess', exits: lmswExits,
    qualification: ({ source, address }) => crQualification(CR_ACCESS_TYPE.lmsw, 0, 0) | (address === undefined ? 0 : 1 << 6) | (source << 16),
    guestLinear: ({ address }) => address },
  { point: 'MOV_DR', reason: 'movDr', exits: 'movDrExiting', qualification: ({ dr, gpr, toDr }) => dr | (toDr ? 0 : 1 << 4) | (gpr << 8) },

  { point: 'IO', reason: 'ioInstruction', exits: ioExits, qualification: ioQualification,
    information: (instruction, { string, input }) => (string ? stringInformation(instruction, input) : 0),
    guestLinear: ({ string, address }) => (string ? address : undefined) },
  { point: 'RDMSR', reason: 'rdmsr', exits: msrExits },
  { point: 'WRMSR', reason: 'wrmsr', exits: msrExits },
  { point: 'XSAVES', reason: 'xsaves', exits: xssExits, undefinedWithout: 'enableXsavesXrstors', ...memoryOperand },
  { point: 'XRSTORS', reason: 'xrstors', exits: xssExits, undefinedWithout: 'enableXsavesXrstors', ...memoryOperand },
  { point: 'TASK_SWITCH', reason: 'taskSwitch', exits: 'always', qualification: ({ selector, source }) => selector | (TASK_SWITCH_SOURCE[source] << 30) },

  { point: 'SGDT', ...table(0) },
  { point: 'SIDT', ...table(1) },
  { point: 'LGDT', ...table(2) },
  { point: 'LIDT', ...table(3) },
  { point: 'SLDT', ...systemSegment(0) },
  { point: 'STR', ...systemSegment(1) },
  { point: 'LLDT', ...systemSegment(2) },
  { point: 'LTR', ...systemSegment(3) },

  { point: 'VMCALL', reason: 'vmcall', exits: 'always' },
  { point: 'VMFUNC', reason: 'vmfunc', exits: 'always', undefinedWithout: 'enableVmFunctions' },
  { point: 'VMXON', reason: 'vmxon', exits: 'always', ...memoryOperand },
  { point: 'VMXOFF', reason: 'vmxoff', exits: 'always' },
  { point: 'VMCLEAR', reason: 'vmclear', exits: 'always', ...memoryOperand },
  { point: 'VMPTRLD', reason: 'vmptrld', exits: 'always', ...memoryOperand },
  { point: 'VMPTRST', reason: 'vmptrst', exits: 'always', ...memoryOperand },
  { point: 'VMREAD', reason: 'vmread', exits: 'always', qualification: displacement, information: (instruction) => vmreadVmwriteInformation(instruction, 0) },
  { point: 'VMWRITE', reason: 'vmwrite', exits: 'always', qualification: displacement, information: (instruction) => vmreadVmwriteInformation(instruction, 1) },
  { point: 'VMLAUNCH', reason: 'vmlaunch', exits: 'always' },
  { point: 'VMRESUME', reason: 'vmresume', exits: 'always' },
  { point: 'INVEPT', reason: 'invept', exits: 'always', qualification: displacement, information: invalidateInformation },
  { point: 'INVVPID', reason: 'invvpid', exits: 'always', qualification: displacement, information: invalidateInformation },
];

interface CompiledRow {
  readonly row: InterceptRow<PointName>;
  readonly reason: number;
  readonly control: ControlBit | undefined;
  readonly undefinedWithout: ControlBit | undefined;
  readonly decide: ((processor: VmxProcessor, point: InterceptPoint) => boolean) | undefined;
}

const compiled: ReadonlyMap<PointName, CompiledRow> = new Map(
  INTERCEPT_ROWS.map((row) => {
    const { point, reason, exits, undefinedWithout } = row;
    return [
      point,
      {
        row: row as unknown as InterceptRow<PointName>,
        reason: EXIT_REASON_NUMBER[reason],
        control: typeof exits === 'string' && exits !== 'always' ? CONTROL[exits] : undefined,
        undefinedWithout: undefinedWithout && CONTROL[undefinedWithout],
        decide: typeof exits === 'function' ? (exits as CompiledRow['decide']) : undefined,
      },
    ];
  }),
);

/** Whether an instruction of the guest exits, and the exit: `NEXT`, `VM_EXIT` or `FAULT`. */
export function interceptInstruction(
  processor: VmxProcessor,
  point: InterceptPoint,
  instruction: Instruction | undefined,
): Outcome {
  if (!processor.inGuest) return OUTCOME.NEXT;
  const found = compiled.get(point.point);
  if (found === undefined) throw new EmulatorBug(`no intercept row for ${point.point}`);
  const { control, decide, undefinedWithout } = found;
  if (undefinedWithout !== undefined && !processor.has(undefinedWithout)) return processor.cpu.raiseUd();
  // The VMM completes an instruction that has exited already.
  if (processor.stepping) return OUTCOME.NEXT;
  if (control !== undefined && !processor.has(control)) return OUTCOME.NEXT;
  if (decide !== undefined && !decide(processor, point)) return OUTCOME.NEXT;
  return vmExit(processor, found.reason, exitInformation(processor, found.row, point, instruction));
}

function exitInformation(
  { state, cpu }: VmxProcessor,
  row: InterceptRow<PointName>,
  point: InterceptPoint,
  instruction: Instruction | undefined,
): ExitInformation {
  // A task gate in the IDT has no instruction; the length is then that of the software event, if it is one.
  const length = instruction?.length ?? cpu.deliveringEvent?.instructionLength ?? 0;
  return {
    // RF is saved as 0 for exits that instructions cause.
    flags: readRflags(state) & ~FLAG.RF,
    instructionLength: length,
    qualification: row.qualification?.(point, instruction as Instruction) ?? 0,
    instructionInformation: instruction === undefined ? 0 : (row.information?.(instruction, point) ?? 0),
    guestLinear: row.guestLinear?.(point),
  };
}
