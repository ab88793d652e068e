/**
 * The VMX chapters of the SDM by name, so that a reference gives the section's title and its number inside the
 * chapter; the chapter numbers of the pinned edition (325462-086US, December 2024) are written only here.
 */
import { type Reference, SDM } from '../base/reference.ts';

type ChapterReference = (title: string, section: string) => Reference;

function chapter(number: string): ChapterReference {
  return (title, section) => SDM(title, section === '' ? number : `${number}.${section}`);
}

/** "Virtual Machine Control Structures" */
export const VMCS = chapter('26');
/** "VM Entries" */
export const ENTRIES = chapter('28');
/** "VM Exits" */
export const EXITS = chapter('29');
/** "VMX Instruction Reference" */
export const INSTRUCTIONS = chapter('32');
/** Appendix A, "VMX Capability Reporting Facility" */
export const CAPABILITIES = chapter('A');
/** Appendix B, "Field Encoding in VMCS" */
export const ENCODINGS = chapter('B');
/** Appendix C, "VMX Basic Exit Reasons" */
export const EXIT_REASONS_APPENDIX = chapter('C');
