/** The processor without VT-x and AMD-V: nothing is intercepted, and their instructions are not there. */
import { EmulatorBug } from '../base/errors.ts';
import { OUTCOME } from './outcome.ts';
import type { Virtualization } from './virtualization.ts';

export const NO_VIRTUALIZATION: Virtualization = Object.freeze<Virtualization>({
  inGuest: false,
  mayInterceptInvlpg: false,
  detectsBusLocks: false,
  intercept: () => OUTCOME.NEXT,
  interceptEvent: () => OUTCOME.NEXT,
  interceptExternalInterrupt: () => OUTCOME.NEXT,
  secondLevelFault: () => {
    throw new EmulatorBug('a second-level fault without virtualization');
  },
  interceptInit: () => OUTCOME.NEXT,
  interceptStartUp: () => OUTCOME.NEXT,
  interceptTripleFault: () => OUTCOME.NEXT,
  interceptEndlessDelivery: () => OUTCOME.NEXT,
  expectBusLock: () => undefined,
  mayExitBetweenInstructions: () => false,
  pendingExit: () => OUTCOME.NEXT,
  nmiControl: () => 'normal',
  permitsCr: () => true,
  readableCr: (_cr, value) => value,
  writableCr: (_cr, value) => value,
  readTaskPriority: () => undefined,
  writeTaskPriority: () => false,
  readVirtualMsr: () => undefined,
  writeVirtualMsr: () => 'real',
  guestTsc: (tsc) => tsc,
  execute: () => {
    throw new EmulatorBug('a virtualization instruction on a processor without virtualization');
  },
});
