/** Control transfers that are more than a jump: far transfers, interrupts, system calls and their returns. */
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import { deliverEvent } from '../../core/events.ts';
import { farCall, farJump, farReturn, readFarPointer } from '../../core/farTransfers.ts';
import { sysenter, sysexit, sysret } from '../../core/fastSystemCalls.ts';
import type { Instruction } from '../../core/instruction.ts';
import { interruptReturn } from '../../core/interruptReturn.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { isRedirected, isRestricted } from '../../core/virtualInterrupts.ts';
import type { GuestEvent } from '../../core/virtualization.ts';
import { arithmeticFlags } from '../../state/flags.ts';
import { FLAG, VECTOR } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';

/** Far JMP and CALL: to a pointer in the instruction or in memory. */
function farTransfer(transfer: typeof farJump) {
  return (cpu: Cpu, instruction: Instruction): Outcome => {
    if (instruction.operandKind(0) === 'immediate') {
      return transfer(cpu, instruction, instruction.farSelector, instruction.immediate);
    }
    const pointer = readFarPointer(cpu, instruction);
    return pointer ? transfer(cpu, instruction, pointer.selector, pointer.offset) : cpu.failed;
  };
}

function retf(cpu: Cpu, instruction: Instruction): Outcome {
  const release = instruction.operandCount > 0 ? Number(instruction.immediate & 0xffffn) : 0;
  return farReturn(cpu, instruction.operandSize, release);
}

/** The interrupt instructions: their handler clears TF, so there is no single-step trap after them. */
function softwareEvent(
  cpu: Cpu,
  instruction: Instruction,
  kind: GuestEvent['kind'],
  vector: number,
): Outcome {
  cpu.singleStepTrap = false;
  return deliverEvent(cpu, {
    kind,
    vector,
    errorCode: undefined,
    qualification: 0n,
    instructionLength: instruction.length,
  });
}

/** @see SDM "INT n/INTO/INT3/INT1—Call to Interrupt Procedure" */
function int(cpu: Cpu, instruction: Instruction): Outcome {
  const vector = Number(instruction.immediate & 0xffn);
  if (isRestricted(cpu)) {
    const redirected = isRedirected(cpu, vector);
    if (redirected === undefined) return cpu.failed;
    if (!redirected) return cpu.raiseGp();
  }
  return softwareEvent(cpu, instruction, 'software-interrupt', vector);
}

function into(cpu: Cpu, instruction: Instruction): Outcome {
  if (cpu.state.in64BitMode) return cpu.raiseUd();
  if ((arithmeticFlags(cpu.state) & FLAG.OF) === 0) return OUTCOME.NEXT;
  return softwareEvent(cpu, instruction, 'software-exception', VECTOR.OF);
}

const INT = SDM('INT n/INTO/INT3/INT1—Call to Interrupt Procedure');
const IRET = SDM('IRET/IRETD/IRETQ—Interrupt Return');

// biome-ignore format: rows are read as a table
export const TRANSFER_ROWS: readonly SystemRow[] = [
  { op: 'JMP FAR', call: farTransfer(farJump), ref: SDM('JMP—Jump') },
  { op: 'CALL FAR', call: farTransfer(farCall), ref: SDM('CALL—Call Procedure') },
  { op: 'RETF', call: retf, ref: SDM('RET—Return From Procedure') },
  { op: 'IRET', call: interruptReturn, ref: IRET },
  { op: 'IRETD', call: interruptReturn, ref: IRET },
  { op: 'IRETQ', call: interruptReturn, ref: IRET },
  { op: 'INT', call: int, ref: INT },
  { op: 'INT3', call: (cpu, instruction) => softwareEvent(cpu, instruction, 'software-exception', VECTOR.BP), ref: INT },
  { op: 'INT1', call: (cpu, instruction) => softwareEvent(cpu, instruction, 'privileged-software-exception', VECTOR.DB), ref: INT },
  { op: 'INTO', call: into, ref: INT },
  { op: 'SYSRET', call: sysret, feature: 'SYSCALL', ref: SDM('SYSRET—Return From Fast System Call') },
  { op: 'SYSENTER', call: sysenter, feature: 'SEP', ref: SDM('SYSENTER—Fast System Call') },
  { op: 'SYSEXIT', call: sysexit, feature: 'SEP', ref: SDM('SYSEXIT—Fast Return from Fast System Call') },
  { op: 'SYSEXITQ', call: sysexit, feature: 'SEP', ref: SDM('SYSEXIT—Fast Return from Fast System Call') },
];
