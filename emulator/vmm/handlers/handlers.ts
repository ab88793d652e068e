/** Who handles which VM exit. */
import { COUNTED_REASONS } from '../../vmx/exitLog.ts';
import { EXIT_REASON_NUMBER, type ExitReasonKey } from '../../vmx/exitReasons.ts';
import { handleControlRegisterAccess } from './controlRegisters.ts';
import { handleCpuid } from './cpuid.ts';
import { handleException, handlePreemptionTimer, handleTripleFault, handleWindow } from './events.ts';
import { complete, type ExitHandler, resume } from './handler.ts';
import { handleIo } from './io.ts';
import { handleEptMisconfiguration, handleEptViolation } from './memory.ts';
import { handleRdmsr, handleRdpmc, handleWrmsr } from './msr.ts';
import { handleTaskSwitch } from './taskSwitch.ts';
import { handleVmcall, handleVmxInstruction } from './vmxInstructions.ts';

/** External interrupts and failed VM entries are the VMM's own: vmm.ts. */
const HANDLERS: Readonly<Partial<Record<ExitReasonKey, ExitHandler>>> = {
  exceptionOrNmi: handleException,
  tripleFault: handleTripleFault,
  interruptWindow: handleWindow,
  nmiWindow: handleWindow,
  vmxPreemptionTimerExpired: handlePreemptionTimer,
  taskSwitch: handleTaskSwitch,
  cpuid: handleCpuid,
  ioInstruction: handleIo,
  rdmsr: handleRdmsr,
  wrmsr: handleWrmsr,
  controlRegisterAccess: handleControlRegisterAccess,
  eptViolation: handleEptViolation,
  eptMisconfiguration: handleEptMisconfiguration,
  hlt: complete,
  invd: complete,
  wbinvd: complete,
  invlpg: complete,
  invpcid: complete,
  rdpmc: handleRdpmc,
  rdtsc: complete,
  rdtscp: complete,
  pause: complete,
  movDr: complete,
  xsetbv: complete,
  gdtrIdtrAccess: complete,
  ldtrTrAccess: complete,
  busLock: resume,
  vmcall: handleVmcall,
  vmxon: handleVmxInstruction,
  vmxoff: handleVmxInstruction,
  vmclear: handleVmxInstruction,
  vmptrld: handleVmxInstruction,
  vmptrst: handleVmxInstruction,
  vmread: handleVmxInstruction,
  vmwrite: handleVmxInstruction,
  vmlaunch: handleVmxInstruction,
  vmresume: handleVmxInstruction,
  invept: handleVmxInstruction,
  invvpid: handleVmxInstruction,
};

const byNumber: (ExitHandler | undefined)[] = new Array(COUNTED_REASONS).fill(undefined);
for (const key of Object.keys(HANDLERS) as ExitReasonKey[]) byNumber[EXIT_REASON_NUMBER[key]] = HANDLERS[key];

export function handlerOf(basicReason: number): ExitHandler | undefined {
  return byNumber[basicReason];
}
