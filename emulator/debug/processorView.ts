/**
 * One logical processor as the program that is debugged sees it. In guest mode the built-in VMM may hold the processor
 * at a VM exit: then the program's state is partly in the VMCS, and is read and written there.
 */
import { type BitFieldRow, decodeBitFields } from '../base/bitFields.ts';
import { Unimplemented, UserError } from '../base/errors.ts';
import { formatReference, SDM } from '../base/reference.ts';
import type { Cpu } from '../core/cpu.ts';
import { MSRS, msrName, readMsr, writeMsr } from '../core/msrs.ts';
import type { TranslationContext } from '../mmu/inspect.ts';
import { ACTIVITY, AR, CS, EFER } from '../state/registers.ts';
import type { VmcsFieldKey } from '../vmx/fields.ts';
import { DEBUGCTL_BITS, EFER_BITS, PAT_BITS } from '../vmx/registerBits.ts';
import type { Vmx } from '../vmx/vmx.ts';
import { fieldOfPlace, readPlace, type StatePlace } from './guestState.ts';
import { LAPIC_REGISTERS, REGISTER_GROUPS, type RegisterRow } from './registerRows.ts';
import type { DecodedField, RegisterGroup, RegisterValue } from './target.ts';

export interface ProcessorViewParts {
  readonly cpu: Cpu;
  /** The processor as the program knows it: in guest mode the MSRs are what the built-in VMM makes of them. */
  readonly programCpu: Cpu;
  /** Reads a local-APIC register without effect. */
  readonly peekApic: (offset: number) => number;
  /** VT-x, when there is any. */
  readonly vmx: Vmx | undefined;
  readonly hasBuiltInVmm: boolean;
  /** Whether the built-in VMM holds the processor at a VM exit of the program. */
  readonly isAtVmm: () => boolean;
}

const MSR_FIELDS: Readonly<Record<string, readonly BitFieldRow[]>> = {
  IA32_EFER: EFER_BITS,
  IA32_PAT: PAT_BITS,
  IA32_DEBUGCTL: DEBUGCTL_BITS,
};
/** MSRs that a VM exit saves to the VMCS and replaces by the host's. */
const MSR_PLACES: Readonly<Record<string, StatePlace>> = Object.fromEntries(
  (
    [
      'IA32_EFER',
      'IA32_PAT',
      'IA32_DEBUGCTL',
      'IA32_SYSENTER_CS',
      'IA32_SYSENTER_ESP',
      'IA32_SYSENTER_EIP',
    ] as const
  ).map((state) => [state, { state, element: 0 }]),
);
const MSR_ADDRESSES: readonly number[] = [
  ...new Set(MSRS.map(({ address }) => address)),
  ...Array.from({ length: 0x14 }, (_, i) => 0x480 + i),
].sort((a, b) => a - b);
const MSR_TEXT = formatReference(SDM('Architectural MSRs', '2.1'));
const LAPIC_TEXT = formatReference(SDM('Local APIC Block Diagram', '12.4.1'));

const registerRows: ReadonlyMap<string, RegisterRow> = new Map(
  REGISTER_GROUPS.flatMap(({ rows }) => rows.map((row) => [row.name, row] as const)),
);

export function decodedFields(value: bigint, rows: readonly BitFieldRow[] | undefined): DecodedField[] {
  if (rows === undefined) return [];
  return decodeBitFields(value, rows).map((field, index) => ({
    ...field,
    bit: rows[index].bit,
    width: rows[index].width ?? 1,
  }));
}

/** What run control asks of the processor. */
export interface DebuggedProcessor {
  readonly vmx: Vmx | undefined;
  /** A VM exit leads to the built-in VMM, not to a hypervisor that is debugged. */
  readonly hasBuiltInVmm: boolean;
  readonly isAtVmm: boolean;
  readonly isHalted: boolean;
  readonly linearRip: bigint;
  readonly codeBits: 16 | 32 | 64;
  register(name: string): bigint | undefined;
  translationContext(): TranslationContext;
}

export class ProcessorView implements DebuggedProcessor {
  readonly #parts: ProcessorViewParts;

  constructor(parts: ProcessorViewParts) {
    this.#parts = parts;
  }

  get vmx(): Vmx | undefined {
    return this.#parts.vmx;
  }

  get hasBuiltInVmm(): boolean {
    return this.#parts.hasBuiltInVmm;
  }

  get isAtVmm(): boolean {
    return this.#parts.isAtVmm();
  }

  groups(): RegisterGroup[] {
    const fixed = REGISTER_GROUPS.map(({ key, title, rows }) => ({
      key,
      title,
      registers: rows.map((row) => this.#describe(row)),
    }));
    return [
      ...fixed,
      { key: 'msr', title: 'MSRs', registers: this.#msrs() },
      { key: 'lapic', title: 'Local APIC', registers: this.#lapic() },
    ];
  }

  /** By the manual's name, in any case. */
  register(name: string): bigint | undefined {
    const row = registerRows.get(name.toUpperCase());
    return row && this.#visible(row);
  }

  /** False when there is no such register or it is read-only. Throws when the processor refuses the value. */
  setRegister(name: string, value: bigint): boolean {
    const { cpu, isAtVmm } = this.#parts;
    const row = registerRows.get(name);
    if (row === undefined) return this.#setMsr(name, value);
    if (row.write === undefined) return false;
    const field = isAtVmm() ? fieldOfPlace(row.place) : undefined;
    if (field !== undefined) this.#writeField(field, this.#withOwnedBits(row, value));
    else if (!row.write(cpu, BigInt.asUintN(row.bits, value))) throw refused(name, value);
    this.#writeShadow(row, value);
    return true;
  }

  /** What the program reads: bits of CR0 and CR4 that the hypervisor owns come from the read shadow. */
  #visible(row: RegisterRow): bigint {
    const value = this.#read(row.place);
    const owned = this.#ownedBits(row);
    return owned === undefined
      ? value
      : (value & ~owned.mask) | (owned.vmx.vmread(owned.shadow) & owned.mask);
  }

  #withOwnedBits(row: RegisterRow, value: bigint): bigint {
    const owned = this.#ownedBits(row);
    return owned === undefined ? value : (value & ~owned.mask) | (this.#read(row.place) & owned.mask);
  }

  #writeShadow(row: RegisterRow, value: bigint): void {
    const owned = this.#ownedBits(row);
    owned?.vmx.vmwrite(owned.shadow, (owned.vmx.vmread(owned.shadow) & ~owned.mask) | (value & owned.mask));
  }

  /** @see SDM "Guest/Host Masks and Read Shadows for CR0 and CR4", 26.6.6 */
  #ownedBits({ name }: RegisterRow): { vmx: Vmx; mask: bigint; shadow: VmcsFieldKey } | undefined {
    const { vmx, isAtVmm } = this.#parts;
    if (vmx === undefined || (name !== 'CR0' && name !== 'CR4') || !(vmx.processor.inGuest || isAtVmm()))
      return undefined;
    return { vmx, mask: vmx.vmread(`${name}_GUEST_HOST_MASK`), shadow: `${name}_READ_SHADOW` };
  }

  /** Linear address of the program's next instruction. */
  get linearRip(): bigint {
    const rip = this.#read({ state: 'RIP', element: 0 });
    if (this.codeBits === 64) return rip;
    return BigInt.asUintN(32, rip + this.#read({ state: 'SEG_BASE', element: CS }));
  }

  get isHalted(): boolean {
    return Number(this.#read({ state: 'ACTIVITY_STATE', element: 0 })) === ACTIVITY.HLT;
  }

  get codeBits(): 16 | 32 | 64 {
    const rights = Number(this.#read({ state: 'SEG_ACCESS_RIGHTS', element: CS }));
    const inIa32e = (Number(this.#read({ state: 'IA32_EFER', element: 0 })) & EFER.LMA) !== 0;
    if (inIa32e && rights & AR.L) return 64;
    return rights & AR.DB ? 32 : 16;
  }

  /** What linear addresses of the program are translated by. */
  translationContext(): TranslationContext {
    const { cpu, vmx, isAtVmm } = this.#parts;
    if (!isAtVmm() || vmx === undefined) return cpu.mmu.inspector.currentContext();
    return {
      cr0: Number(BigInt.asIntN(32, vmx.vmread('GUEST_CR0'))),
      cr3: vmx.vmread('GUEST_CR3'),
      cr4: Number(BigInt.asIntN(32, vmx.vmread('GUEST_CR4'))),
      efer: Number(BigInt.asIntN(32, vmx.vmread('GUEST_IA32_EFER'))),
      pdptes: (['GUEST_PDPTE0', 'GUEST_PDPTE1', 'GUEST_PDPTE2', 'GUEST_PDPTE3'] as const).map((key) =>
        vmx.vmread(key),
      ),
      eptp: vmx.vmread('EPT_POINTER'),
    };
  }

  #read(place: StatePlace): bigint {
    const { cpu, vmx, isAtVmm } = this.#parts;
    const field = isAtVmm() ? fieldOfPlace(place) : undefined;
    return field !== undefined && vmx ? vmx.vmread(field) : readPlace(cpu.state, place);
  }

  #writeField(field: VmcsFieldKey, value: bigint): boolean {
    this.#parts.vmx?.vmwrite(field, value);
    return true;
  }

  #describe(row: RegisterRow): RegisterValue {
    const { name, bits, fields, ref, write } = row;
    const value = this.#visible(row);
    return {
      name,
      value,
      bits,
      writable: write !== undefined,
      fields: decodedFields(value, fields),
      reference: formatReference(ref),
    };
  }

  #msrs(): RegisterValue[] {
    const { programCpu: cpu } = this.#parts;
    return MSR_ADDRESSES.flatMap((address): RegisterValue[] => {
      const name = msrName(cpu, address);
      const value = name === undefined ? undefined : this.#readMsr(name, address);
      if (name === undefined || value === undefined) return [];
      return [
        {
          name,
          value,
          bits: 64,
          writable: address < 0x480 || address > 0x493,
          fields: decodedFields(value, MSR_FIELDS[name]),
          reference: MSR_TEXT,
        },
      ];
    });
  }

  /** Undefined for what cannot be read. */
  #readMsr(name: string, address: number): bigint | undefined {
    const place = MSR_PLACES[name];
    if (place) return this.#read(place);
    try {
      return readMsr(this.#parts.programCpu, address);
    } catch (error) {
      if (error instanceof Unimplemented) return undefined;
      throw error;
    }
  }

  /** The value of an MSR by its address. */
  msr(address: number): bigint | undefined {
    const name = msrName(this.#parts.programCpu, address);
    return name === undefined ? undefined : this.#readMsr(name, address);
  }

  #setMsr(name: string, value: bigint): boolean {
    const { programCpu: cpu, isAtVmm } = this.#parts;
    const address = MSR_ADDRESSES.find((candidate) => msrName(cpu, candidate) === name);
    if (address === undefined) return false;
    const place = MSR_PLACES[name];
    const field = isAtVmm() && place ? fieldOfPlace(place) : undefined;
    if (field !== undefined) return this.#writeField(field, value);
    if (!writeMsr(cpu, address, value)) throw refused(name, value);
    return true;
  }

  #lapic(): RegisterValue[] {
    return LAPIC_REGISTERS.map(({ name, offset }) => ({
      name,
      value: BigInt(this.#parts.peekApic(offset) >>> 0),
      bits: 32,
      writable: false,
      fields: [],
      reference: LAPIC_TEXT,
    }));
  }
}

function refused(name: string, value: bigint): UserError {
  return new UserError(
    `The processor does not take 0x${value.toString(16)} for ${name}: writing it would be #GP(0).`,
  );
}
