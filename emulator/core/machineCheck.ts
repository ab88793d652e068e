/**
 * The registers of the machine-check architecture. Errors never happen: no bank has one to show, and CR4.MCE decides
 * about nothing. Software finds its banks, enables them and clears them.
 *
 * Intel SDM Vol. 3B, "Machine-Check Architecture", chapter 17; APM vol. 2, "Machine Check Architecture", chapter 9.
 */
import { OFFSET } from '../state/layout.ts';
import type { Cpu } from './cpu.ts';
import { isAmd } from './model.ts';
import type { MsrRow } from './msrs.ts';

const MOST_BANKS = 23;
const MCG_CTL_P = 1n << 8n;

/** Corrected-error interrupts, thresholds and software recovery are not offered. */
function capabilities({ model }: Cpu): bigint {
  return BigInt(model.machineCheckBanks) | (isAmd(model) ? MCG_CTL_P : 0n);
}

const onlyZero = (_cpu: Cpu, value: bigint): boolean => value === 0n;

function bankRows(bank: number): readonly MsrRow[] {
  const control = OFFSET.IA32_MC_CTL / 8 + bank;
  const exists = ({ model }: Cpu): boolean => bank < model.machineCheckBanks;
  const cleared = (offset: number, name: string): MsrRow => ({
    address: 0x400 + 4 * bank + offset,
    name: `IA32_MC${bank}_${name}`,
    feature: 'MCA',
    exists,
    read: () => 0n,
    write: onlyZero,
  });
  return [
    {
      address: 0x400 + 4 * bank,
      name: `IA32_MC${bank}_CTL`,
      feature: 'MCA',
      exists,
      read: (cpu) => cpu.state.u64[control] as bigint,
      write: (cpu, value) => {
        cpu.state.u64[control] = value;
        return true;
      },
    },
    cleared(1, 'STATUS'),
    cleared(2, 'ADDR'),
    cleared(3, 'MISC'),
  ];
}

// biome-ignore format: rows are read as a table
export const MACHINE_CHECK_MSRS: readonly MsrRow[] = [
  { address: 0x179, name: 'IA32_MCG_CAP', feature: 'MCA', read: capabilities },
  { address: 0x17a, name: 'IA32_MCG_STATUS', feature: 'MCA', read: () => 0n, write: onlyZero },
  { address: 0x17b, name: 'IA32_MCG_CTL', feature: 'MCA', exists: ({ model }) => isAmd(model), read: (cpu) => cpu.state.IA32_MCG_CTL,
    write: (cpu, value) => {
      cpu.state.IA32_MCG_CTL = value;
      return true;
    } },
  ...Array.from({ length: MOST_BANKS }, (_, bank) => bankRows(bank)).flat(),
];

export function resetMachineCheck({ state }: Cpu): void {
  state.IA32_MCG_CTL = 0n;
  state.u64.fill(0n, OFFSET.IA32_MC_CTL / 8, OFFSET.IA32_MC_CTL / 8 + MOST_BANKS);
}
