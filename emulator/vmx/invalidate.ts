/**
 * INVEPT and INVVPID.
 *
 * Intel SDM Vol. 3C, "INVEPT—Invalidate Translations Derived from EPT"; "INVVPID—Invalidate Translations Based on
 * VPID", 32.3.
 */
import type { Instruction } from '../core/instruction.ts';
import { linearAddress, readExplicit } from '../core/memory.ts';
import { OUTCOME, type Outcome } from '../core/outcome.ts';
import { setArithmeticFlags } from '../state/flags.ts';
import { FLAG } from '../state/registers.ts';
import { beyondPhysicalWidth, isCanonical } from './entryChecks/check.ts';
import type { VmxProcessor } from './processor.ts';
import { EPTP } from './registerBits.ts';
import { SLOT } from './vmcs.ts';
import { VM_INSTRUCTION_ERROR } from './vmInstructionErrors.ts';

/** The 128-bit descriptor in memory: its two halves, or undefined after a fault. */
function readDescriptor(
  processor: VmxProcessor,
  instruction: Instruction,
): readonly [bigint, bigint] | undefined {
  const { cpu } = processor;
  const address = linearAddress(cpu, instruction.segment, instruction.effectiveAddress(), 16, false);
  if (address === undefined) return undefined;
  const low = readExplicit(cpu, address, 8);
  if (low === undefined) return undefined;
  const high = readExplicit(cpu, BigInt.asUintN(64, address + 8n), 8);
  return high === undefined ? undefined : [low, high];
}

function succeed({ state }: VmxProcessor): Outcome {
  setArithmeticFlags(state, 0);
  return OUTCOME.NEXT_THEN_CHECK;
}

function invalidOperand(processor: VmxProcessor): Outcome {
  const { state, vmcs } = processor;
  if (!vmcs.isValid) {
    setArithmeticFlags(state, FLAG.CF);
    return OUTCOME.NEXT;
  }
  setArithmeticFlags(state, FLAG.ZF);
  processor.announceVmcsWrite();
  vmcs.setLow(SLOT.VM_INSTRUCTION_ERROR, VM_INSTRUCTION_ERROR.invalidOperandToInveptInvvpid);
  return OUTCOME.NEXT;
}

const INVEPT = { singleContext: 1n, allContext: 2n } as const;
const EPTP_RESERVED = 0xf80n;

/** Whether VM entry would take this EPT pointer. */
export function isEptpValid({ view, capabilities }: VmxProcessor, eptp: bigint): boolean {
  const type = eptp & EPTP.MEMORY_TYPE;
  const { memoryTypeUncacheable, memoryTypeWriteBack, accessedDirty, walkLength4, walkLength5 } =
    capabilities.eptVpid;
  if (!((type === 0n && memoryTypeUncacheable) || (type === 6n && memoryTypeWriteBack))) return false;
  const length = (eptp & EPTP.WALK_LENGTH) >> 3n;
  if (!((length === 3n && walkLength4) || (length === 4n && walkLength5))) return false;
  if ((eptp & EPTP.AD) !== 0n && !accessedDirty) return false;
  return (eptp & EPTP_RESERVED) === 0n && beyondPhysicalWidth(eptp, view.context) === 0n;
}

export function invept(processor: VmxProcessor, instruction: Instruction, type: bigint): Outcome {
  const { cpu, capabilities } = processor;
  const { inveptSingleContext, inveptAllContext } = capabilities.eptVpid;
  const supported =
    (type === INVEPT.singleContext && inveptSingleContext) ||
    (type === INVEPT.allContext && inveptAllContext);
  if (!supported) return invalidOperand(processor);
  const descriptor = readDescriptor(processor, instruction);
  if (descriptor === undefined) return cpu.failed;
  const [eptp, reserved] = descriptor;
  if (reserved !== 0n) return invalidOperand(processor);
  if (type === INVEPT.allContext) cpu.mmu.spaces.invalidateEpt();
  else if (isEptpValid(processor, eptp)) cpu.mmu.spaces.invalidateEpt(eptp);
  else return invalidOperand(processor);
  return succeed(processor);
}

const INVVPID = { individualAddress: 0n, singleContext: 1n, allContext: 2n, retainingGlobals: 3n } as const;
const VPID_MASK = 0xffffn;

export function invvpid(processor: VmxProcessor, instruction: Instruction, type: bigint): Outcome {
  const { cpu, capabilities, view } = processor;
  const { eptVpid } = capabilities;
  const supported =
    (type === INVVPID.individualAddress && eptVpid.invvpidIndividualAddress) ||
    (type === INVVPID.singleContext && eptVpid.invvpidSingleContext) ||
    (type === INVVPID.allContext && eptVpid.invvpidAllContext) ||
    (type === INVVPID.retainingGlobals && eptVpid.invvpidRetainingGlobals);
  if (!supported) return invalidOperand(processor);
  const descriptor = readDescriptor(processor, instruction);
  if (descriptor === undefined) return cpu.failed;
  const [first, address] = descriptor;
  if (first & ~VPID_MASK) return invalidOperand(processor);
  const vpid = Number(first);
  const { spaces } = cpu.mmu;
  if (type === INVVPID.allContext) spaces.flushVpids();
  else if (vpid === 0) return invalidOperand(processor);
  else if (type === INVVPID.individualAddress) {
    if (!isCanonical(address, view.context)) return invalidOperand(processor);
    // Cached translations of the address go from every VPID: more than asked for, which the manual permits.
    cpu.mmu.invalidatePage(address, vpid);
  } else spaces.flushVpid(vpid);
  return succeed(processor);
}
