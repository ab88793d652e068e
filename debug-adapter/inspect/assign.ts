/** Writing to registers, VMCS fields and memory. */
import type { DebugAddress } from '../../emulator/index.ts';
import type { SessionContext } from '../context.ts';
import { dapError } from '../errors.ts';
import { extractPart, insertPart, type Place } from '../expressions/evaluate.ts';
import { hex } from '../expressions/format.ts';
import { formatMemoryReference } from '../memoryReference.ts';
import { findRegister } from './stack.ts';

/** The bits of a value that fits `bits`, signed or unsigned. */
function fitting(value: bigint, bits: number): bigint {
  if (BigInt.asUintN(bits, value) !== value && BigInt.asIntN(bits, value) !== value)
    throw dapError('assignment', {
      reason: `${hex(value)} does not fit ${bits} bit${bits === 1 ? '' : 's'}.`,
    });
  return BigInt.asUintN(bits, value);
}

/** Puts `value` where `place` says. Gives what is there afterwards. */
export async function assign(
  context: SessionContext,
  vcpu: number,
  place: Place,
  value: bigint,
): Promise<bigint> {
  const { machine } = context.requireDebuggee();
  context.requireStop();
  try {
    if (place.kind === 'memory') {
      const { address, size, part } = place;
      let bits = fitting(value, part?.bits ?? size * 8);
      if (part)
        bits = insertPart(await readMemory(context, vcpu, address, size), part.shift, part.bits, bits);
      await writeMemory(context, vcpu, address, littleEndian(bits, size));
      return BigInt.asUintN(part?.bits ?? size * 8, value);
    }
    const part = fitting(value, place.bits);
    const name = place.kind === 'register' ? place.name : place.key;
    const read = () =>
      place.kind === 'register' ? readRegister(context, vcpu, name) : readField(context, vcpu, name);
    const whole = insertPart(await read(), place.shift, place.bits, part);
    const done =
      place.kind === 'register'
        ? await machine.setRegister(vcpu, name, whole)
        : await machine.setVmcsField(vcpu, name, whole);
    if (!done) throw dapError('notAssignable', { expression: name });
    context.machineChanged();
    return extractPart(await read(), place.shift, place.bits);
  } catch (error) {
    if (error instanceof Error && error.name === 'UserError')
      throw dapError('assignment', { reason: error.message });
    throw error;
  }
}

/** Writes bytes; everything on display that may show them is read again. */
export async function writeMemory(
  context: SessionContext,
  vcpu: number,
  address: Parameters<typeof formatMemoryReference>[0],
  bytes: Uint8Array,
): Promise<number> {
  const written = await context.requireDebuggee().machine.writeMemory(vcpu, address, bytes);
  if (written === 0 && bytes.length > 0)
    throw dapError('memoryWrite', { reference: formatMemoryReference(address) });
  context.machineChanged();
  context.memoryChanged();
  return written;
}

/** Tells the client that more than the variable it set may have changed. */
export function othersChanged(context: SessionContext): void {
  if (context.client.invalidatedEvents)
    context.connection.event('invalidated', { areas: ['stacks', 'variables'] });
}

async function readRegister(context: SessionContext, vcpu: number, name: string): Promise<bigint> {
  return findRegister(await context.view(vcpu).registers(), name.toLowerCase()) ?? 0n;
}

async function readMemory(
  context: SessionContext,
  vcpu: number,
  address: DebugAddress,
  size: number,
): Promise<bigint> {
  const bytes = await context.requireDebuggee().machine.readMemory(vcpu, address, size);
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

async function readField(context: SessionContext, vcpu: number, key: string): Promise<bigint> {
  const field = (await context.view(vcpu).vmcs()).find((candidate) => candidate.key === key);
  return field?.live ?? field?.stored ?? 0n;
}

function littleEndian(value: bigint, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}
