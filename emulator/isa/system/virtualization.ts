/** The instructions of VT-x and AMD-V: what they do is the virtualization's business. */
import { APM, SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import type { Outcome } from '../../core/outcome.ts';
import type { SystemRow } from '../forms.ts';

const CHAPTER = '32';

function execute(cpu: Cpu, instruction: Instruction): Outcome {
  return cpu.virtualization.execute(instruction);
}

// biome-ignore format: rows are read as a table
const VMX_INSTRUCTIONS = [
  { op: 'VMCALL', title: 'VMCALL—Call to VM Monitor' },
  { op: 'VMCLEAR', title: 'VMCLEAR—Clear Virtual-Machine Control Structure' },
  { op: 'VMFUNC', title: 'VMFUNC—Invoke VM function' },
  { op: 'VMLAUNCH', title: 'VMLAUNCH/VMRESUME—Launch/Resume Virtual Machine' },
  { op: 'VMRESUME', title: 'VMLAUNCH/VMRESUME—Launch/Resume Virtual Machine' },
  { op: 'VMPTRLD', title: 'VMPTRLD—Load Pointer to Virtual-Machine Control Structure' },
  { op: 'VMPTRST', title: 'VMPTRST—Store Pointer to Virtual-Machine Control Structure' },
  { op: 'VMREAD', title: 'VMREAD—Read Field from Virtual-Machine Control Structure' },
  { op: 'VMWRITE', title: 'VMWRITE—Write Field to Virtual-Machine Control Structure' },
  { op: 'VMXOFF', title: 'VMXOFF—Leave VMX Operation' },
  { op: 'VMXON', title: 'VMXON—Enter VMX Operation' },
  { op: 'INVEPT', title: 'INVEPT—Invalidate Translations Derived from EPT' },
  { op: 'INVVPID', title: 'INVVPID—Invalidate Translations Based on VPID' },
] as const;

/** Those of AMD-V that are there. */
const SVM_INSTRUCTIONS = [
  { op: 'VMRUN', title: 'VMRUN Instruction', section: '15.5' },
  { op: 'VMMCALL', title: 'Instruction Intercepts', section: '15.9' },
  { op: 'STGI', title: 'Global Interrupt Flag, STGI and CLGI Instructions', section: '15.17' },
  { op: 'CLGI', title: 'Global Interrupt Flag, STGI and CLGI Instructions', section: '15.17' },
] as const;

export const VIRTUALIZATION_ROWS: readonly SystemRow[] = [
  ...VMX_INSTRUCTIONS.map(({ op, title }) => ({
    op,
    call: execute,
    feature: 'VMX' as const,
    ref: SDM(title, CHAPTER),
  })),
  ...SVM_INSTRUCTIONS.map(({ op, title, section }) => ({
    op,
    call: execute,
    feature: 'SVM' as const,
    ref: APM(title, section),
  })),
];
