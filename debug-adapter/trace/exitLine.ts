/** A VM exit as a line of the exit trace: one JSON object, 64-bit values as hexadecimal text. */
import type { ExitRecord } from '../../emulator/index.ts';

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;

export function exitLine(record: ExitRecord): string {
  const line = {
    number: record.number,
    position: record.position,
    vcpu: record.vcpu,
    level: record.level,
    reason: record.reason,
    name: record.reasonKey,
    rip: hex(record.rip),
    qualification: hex(record.qualification),
    guestPhysical: hex(record.guestPhysical),
    instructionLength: record.instructionLength,
    interruptionInformation: hex(record.interruptionInformation),
    text: record.text,
    cost: record.cost,
  };
  return `${JSON.stringify(line)}\n`;
}
