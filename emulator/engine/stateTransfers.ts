/**
 * Moves guest and host state between a VMCS and the processor: straight-line functions made from the lists of
 * vmx/stateTransfer.ts, because every VM exit and VM entry runs them.
 */
import { OFFSET } from '../state/layout.ts';
import { AR } from '../state/registers.ts';
import { CONTROL_SLOTS } from '../vmx/controls.ts';
import { RECORDED_SLOTS, RECORDED_STATE } from '../vmx/exitLog.ts';
import {
  type ConditionalTransfer,
  GUEST_LIST,
  GUEST_SELECTOR_LIST,
  HOST_CONSTANTS,
  HOST_DATA_ACCESS_RIGHTS,
  HOST_LIST,
  HOST_LOADED_WITH,
  HOST_SELECTORS,
  LOADED_WITH,
  SAVED_LIST,
  SAVED_WITH,
  type StateTransfers,
  type TransferList,
} from '../vmx/stateTransfer.ts';
import { SLOT } from '../vmx/vmcs.ts';
import { MEMORY_IMPORT } from './translations.ts';
import { FunctionBuilder } from './wasm/functionBuilder.ts';
import { ModuleBuilder } from './wasm/moduleBuilder.ts';

/** The parameter of each function: where the VMCS region begins. */
const VMCS_LOCAL = 0;
const WORD = 4;

interface Copy {
  readonly state: number;
  readonly vmcs: number;
  /** Bytes. */
  readonly size: 2 | 4 | 8;
}

type Direction = 'load' | 'save';

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

/** One of the functions while it is written. */
class Transfer extends FunctionBuilder {
  constructor() {
    super(['i32'], []);
  }

  /** Between the VMCS and the processor. */
  copy(copies: readonly Copy[], direction: Direction): this {
    const { code } = this;
    for (const { state, vmcs, size } of copies) {
      if (direction === 'load') code.i32Const(0).localGet(VMCS_LOCAL).memory(LOAD[size], vmcs);
      else code.localGet(VMCS_LOCAL).i32Const(0).memory(LOAD[size], state);
      code.memory(STORE[size], direction === 'load' ? state : vmcs);
    }
    return this;
  }

  /** What controls ask for, which stand in words of the processor's state or of the VMCS. */
  copyWith(
    transfers: readonly ConditionalTransfer[],
    direction: Direction,
    controls: 'in force' | 'VM-exit controls',
  ): this {
    for (const { control, list } of transfers) {
      if (controls === 'in force') {
        this.code.i32Const(0).memory('i32_load', OFFSET.VMX_CONTROLS + WORD * control.slot);
      } else this.code.localGet(VMCS_LOCAL).memory('i32_load', WORD * SLOT.PRIMARY_VM_EXIT_CONTROLS);
      this.code.i32Const(control.mask).op('i32_and');
      this.if();
      this.copy(copiesOf(list, 4), direction);
      this.end();
    }
    return this;
  }

  /** Within the processor's state. */
  move(from: number, to: number): this {
    this.code.i32Const(0).i32Const(0).memory('i32_load', from).memory('i32_store', to);
    return this;
  }

  /** Pairs of a word of the processor's state and its value. */
  set(constants: Int32Array): this {
    for (let i = 0; i < constants.length; i += 2)
      this.code
        .i32Const(0)
        .i32Const(constants[i + 1])
        .memory('i32_store', WORD * constants[i]);
    return this;
  }

  /** @see SDM "Loading Host Segment and Descriptor-Table Registers", 29.5.2 */
  loadHostSelectors(): this {
    const { code } = this;
    const selector = this.allocate('i32');
    for (const { slot, segment } of HOST_SELECTORS) {
      code
        .i32Const(0)
        .localGet(VMCS_LOCAL)
        .memory('i32_load16_u', WORD * slot)
        .localTee(selector);
      code.memory('i32_store', OFFSET.SEG_SELECTOR + WORD * segment);
      if (segment >= 6) continue;
      code
        .i32Const(0)
        .i32Const(HOST_DATA_ACCESS_RIGHTS)
        .i32Const(AR.UNUSABLE)
        .localGet(selector)
        .op('select');
      code.memory('i32_store', OFFSET.SEG_ACCESS_RIGHTS + WORD * segment);
    }
    return this;
  }
}

const GUEST = [...copiesOf(GUEST_LIST, 4), ...copiesOf(GUEST_SELECTOR_LIST, 2)];
const SAVED = copiesOf(SAVED_LIST, 4);
const HOST = copiesOf(HOST_LIST, 4);
const RECORDED = copiesOf(
  Int32Array.from(RECORDED_SLOTS.flatMap((slot, at) => [(OFFSET.EXIT_RECORD >> 2) + at, slot])),
  4,
);

function saveGuest(): Transfer {
  return new Transfer().copy(GUEST, 'save').copy(SAVED, 'save').copyWith(SAVED_WITH, 'save', 'in force');
}

function loadGuest(): Transfer {
  const transfer = new Transfer();
  for (let at = 0; at < WORD * CONTROL_SLOTS; at += WORD)
    transfer.move(OFFSET.VMCS_CONTROLS + at, OFFSET.VMX_CONTROLS + at);
  return transfer.copy(GUEST, 'load').copyWith(LOADED_WITH, 'load', 'in force');
}

function loadHost(): Transfer {
  return new Transfer()
    .copy(HOST, 'load')
    .copyWith(HOST_LOADED_WITH, 'load', 'VM-exit controls')
    .set(HOST_CONSTANTS)
    .loadHostSelectors();
}

function recordExit(): Transfer {
  const transfer = new Transfer().copy(RECORDED, 'load');
  for (const [i, word] of RECORDED_STATE.entries())
    transfer.move(WORD * word, OFFSET.EXIT_RECORD + WORD * (RECORDED_SLOTS.length + i));
  return transfer;
}

let compiled: WebAssembly.Module | undefined;

function compile(): WebAssembly.Module {
  const module = new ModuleBuilder(MEMORY_IMPORT);
  const functions = { saveGuest, loadGuest, loadHost, recordExit } satisfies Record<
    keyof StateTransfers,
    () => Transfer
  >;
  for (const [name, write] of Object.entries(functions)) module.add(write(), name);
  return new WebAssembly.Module(module.finish());
}

/** For the processor whose state is at the start of the memory. */
export function stateTransfers(memory: WebAssembly.Memory): StateTransfers {
  compiled ??= compile();
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  return exports as unknown as StateTransfers;
}
