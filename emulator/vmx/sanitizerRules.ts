/**
 * What the sanitizer looks for: mistakes of hypervisors that a processor does not report, or that it punishes much later.
 *
 * Columns: `id` as it is told, `title` what the mistake is, `advice` what to do, `ref` where the manual has it.
 */
import type { Reference } from '../base/reference.ts';
import { SDM } from '../base/reference.ts';
import { ENTRIES, INSTRUCTIONS, VMCS } from './manual.ts';

export interface SanitizerRule {
  readonly id: string;
  readonly title: string;
  readonly advice: string;
  readonly ref: Reference;
}

const TLBS = SDM('Invalidation of TLBs and Paging-Structure Caches', '5.10.4');
const VMX_TLBS = SDM('Invalidating Cached Translation Information', '30.4.3');
const SOFTWARE_USE = VMCS('Software Use of Virtual-Machine Control Structures', '11.1');

// biome-ignore format: rows are read as a table
export const SANITIZER_RULES = [
  { id: 'stale.invlpg', title: 'A linear address was used after its paging structures had changed, without INVLPG, INVPCID or MOV to CR3', advice: 'Execute INVLPG for the address after the paging-structure entry is written.', ref: TLBS },
  { id: 'stale.invvpid', title: 'A guest used a linear address after the hypervisor had changed its paging structures, without INVVPID', advice: "Execute INVVPID for the guest's VPID after its paging structures are written.", ref: VMX_TLBS },
  { id: 'stale.invept', title: 'A guest-physical address was used after its EPT entries had changed, without INVEPT', advice: 'Execute INVEPT for the EPT pointer after an EPT entry is written that was present.', ref: VMX_TLBS },
  { id: 'vmcs.touched', title: 'The memory of an active VMCS was written by an ordinary store', advice: 'Use VMWRITE, or VMCLEAR the VMCS first: the processor may keep its data elsewhere and in any layout.', ref: SOFTWARE_USE },
  { id: 'vmcs.twoProcessors', title: 'A VMCS became active on a processor while it was active on another one', advice: 'Execute VMCLEAR on the processor that has it before VMPTRLD on another one.', ref: SOFTWARE_USE },
  { id: 'vmcs.noSuchField', title: 'VMREAD or VMWRITE of a field that this processor does not have', advice: 'Ask the capability MSRs for the control that brings the field into existence, and look at CF and ZF.', ref: INSTRUCTIONS('VMREAD—Read Field from Virtual-Machine Control Structure', '3') },
  { id: 'vmcs.longMsrList', title: 'VM exits will store or load more MSRs than the processor recommends', advice: 'Keep the counts of the VM-exit MSR areas at or below what IA32_VMX_MISC[27:25] says: beyond it a processor may do anything, a machine check included.', ref: VMCS('VM-Exit Controls for MSRs', '7.2') },
  { id: 'host.rsp', title: 'VM exits will load a misaligned HOST_RSP', advice: 'Align HOST_RSP to the size of what is pushed: 8 bytes, or 4 for a 32-bit host.', ref: VMCS('Host-State Area', '5') },
  { id: 'host.idt', title: 'After VM exits the host cannot take an exception or an NMI: its IDT is missing or damaged', advice: 'Write HOST_IDTR_BASE, HOST_GDTR_BASE and HOST_CS_SELECTOR as SIDT, SGDT and CS have them; gates have to be present.', ref: SDM('IDT Descriptors', '7.11') },
  { id: 'host.tss', title: 'After VM exits the host cannot take an exception that switches stacks: its TSS is missing or damaged', advice: 'Write HOST_TR_BASE as the descriptor of TR has it, and fill in the stacks of the interrupt-stack table.', ref: SDM('64-Bit Task State Segment', '9.7') },
  { id: 'nmi.blockedForEver', title: 'A guest was entered with NMIs blocked, and nothing in it can end that', advice: 'With "NMI exiting" and without "virtual NMIs" IRET of the guest unblocks nothing: clear bit 3 of the interruptibility state.', ref: ENTRIES('Loading Guest Non-Register State', '3.2.6') },
] as const satisfies readonly SanitizerRule[];

export type SanitizerRuleId = (typeof SANITIZER_RULES)[number]['id'];
