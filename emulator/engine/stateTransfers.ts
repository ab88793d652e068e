/**
 * Moves guest and host state between a VMCS and the processor: straight-line functions made from the lists of
 * vmx/stateTransfer.ts, because every VM exit and VM entry runs them.
 */
import {
  GUEST_LIST,
  GUEST_SELECTOR_LIST,
  HOST_CONSTANTS,
  HOST_LIST,
  type StateTransfers,
  type TransferList,
} from '../vmx/stateTransfer.ts';
import { MEMORY_IMPORT } from './translations.ts';
import { FunctionBuilder } from './wasm/functionBuilder.ts';
import { ModuleBuilder } from './wasm/moduleBuilder.ts';

/** The parameter: where the VMCS region begins. */
const VMCS_LOCAL = 0;
const WORD = 4;

interface Copy {
  readonly state: number;
  readonly vmcs: number;
  /** Bytes. */
  readonly size: 2 | 4 | 8;
}

function copiesOf(list: TransferList, size: 2 | 4): Copy[] {
  const copies: Copy[] = [];
  for (let i = 0; i < list.length; i += 2) {
    const copy = { state: WORD * list[i], vmcs: WORD * list[i + 1], size };
    const last = copies.at(-1);
    const continues = size === 4 && last?.state === copy.state - WORD && last.vmcs === copy.vmcs - WORD;
    if (continues) copies.splice(-1, 1, { ...last, size: 8 });
    else copies.push(copy);
  }
  return copies;
}

const LOAD = { 2: 'i32_load16_u', 4: 'i32_load', 8: 'i64_load' } as const;
/** A selector's slot in the VMCS holds nothing else, nor does its word in the processor. */
const STORE = { 2: 'i32_store', 4: 'i32_store', 8: 'i64_store' } as const;

const GUEST = [...copiesOf(GUEST_LIST, 4), ...copiesOf(GUEST_SELECTOR_LIST, 2)];
const HOST = copiesOf(HOST_LIST, 4);

function transfer(
  copies: readonly Copy[],
  direction: 'load' | 'save',
  constants?: Int32Array,
): FunctionBuilder {
  const fn = new FunctionBuilder(['i32'], []);
  const { code } = fn;
  for (const { state, vmcs, size } of copies) {
    if (direction === 'load') code.i32Const(0).localGet(VMCS_LOCAL).memory(LOAD[size], vmcs);
    else code.localGet(VMCS_LOCAL).i32Const(0).memory(LOAD[size], state);
    code.memory(STORE[size], direction === 'load' ? state : vmcs);
  }
  for (let i = 0; constants && i < constants.length; i += 2)
    code
      .i32Const(0)
      .i32Const(constants[i + 1])
      .memory('i32_store', WORD * constants[i]);
  return fn;
}

let compiled: WebAssembly.Module | undefined;

function compile(): WebAssembly.Module {
  const module = new ModuleBuilder(MEMORY_IMPORT);
  module.add(transfer(GUEST, 'save'), 'saveGuest');
  module.add(transfer(GUEST, 'load'), 'loadGuest');
  module.add(transfer(HOST, 'load', HOST_CONSTANTS), 'loadHost');
  return new WebAssembly.Module(module.finish());
}

/** For the processor whose state is at the start of the memory. */
export function stateTransfers(memory: WebAssembly.Memory): StateTransfers {
  compiled ??= compile();
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  return exports as unknown as StateTransfers;
}
