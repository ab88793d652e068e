/**
 * I/O instructions of the guest: IN and OUT go to its board at once; the processor completes the string forms, which
 * access memory as well.
 *
 * Intel SDM Vol. 3C, "Exit Qualification for I/O Instructions", table 29-5.
 */
import { OFFSET } from '../../state/layout.ts';
import { IO_ACCESS } from '../../vmx/exitLayouts.ts';
import { SLOT } from '../../vmx/vmcs.ts';
import type { ExitHandler } from './handler.ts';

const STRING = Number(IO_ACCESS.STRING);
const INPUT = Number(IO_ACCESS.IN);
const RAX = OFFSET.GPR >> 2;

export const handleIo: ExitHandler = (vcpu) => {
  const qualification = vcpu.low(SLOT.EXIT_QUALIFICATION);
  if (qualification & STRING) {
    vcpu.completeInstruction();
    return undefined;
  }
  const words = vcpu.state.i32;
  const { ports } = vcpu.vm.board;
  const size = ((qualification & 7) + 1) as 1 | 2 | 4;
  const port = qualification >>> 16;
  const mask = size === 4 ? -1 : (1 << (8 * size)) - 1;
  if (qualification & INPUT) {
    const value = ports.read(port, size);
    words[RAX] = (words[RAX] & ~mask) | (value & mask);
    // EAX clears the upper half of RAX.
    if (size === 4) words[RAX + 1] = 0;
  } else {
    ports.write(port, size, (words[RAX] & mask) >>> 0);
  }
  vcpu.skipInstruction();
  return undefined;
};
