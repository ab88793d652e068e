/**
 * All breakpoints of a session: what the client asked for, where it is in the program, and what the machine is told.
 * Bound again when a program is loaded again.
 */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type {
  BreakpointRequest,
  DataBreakpoint,
  DebugAddress,
  ExitBreakpoint,
} from '../../emulator/index.ts';
import type { Expression } from '../expressions/ast.ts';
import { bindValue, type ProgramNames } from '../expressions/bind.ts';
import { ExpressionError } from '../expressions/errors.ts';
import { parseExpression } from '../expressions/parser.ts';
import { parseTemplate } from '../expressions/template.ts';
import type { Machine } from '../machine/client.ts';
import { parseHitCondition } from './hitCondition.ts';
import type { BreakpointRule } from './rules.ts';

/** A value that a data breakpoint watches. */
export type WatchedData =
  | { readonly vmcsField: string }
  | { readonly address: DebugAddress; readonly size: number; readonly name: string };

/** Where a breakpoint is, or why it is nowhere. */
export type Binding =
  | {
      readonly addresses: readonly bigint[];
      readonly line?: number;
      readonly column?: number;
      readonly source?: P.Source;
      readonly name?: string;
    }
  | { readonly exits: readonly string[] }
  | { readonly data: WatchedData }
  | { readonly problem: string };

export interface Conditions {
  readonly condition?: string;
  readonly hitCondition?: string;
  readonly logMessage?: string;
}

/** One breakpoint as the client asked for it. `find` is called again when the program changes. */
export interface BreakpointWish extends Conditions {
  /** The same for the same place, so that its number and hit count stay. */
  readonly key: string;
  readonly kind: BreakpointKind;
  readonly find: () => Promise<Binding>;
}

/** What names mean in the condition of a breakpoint that waits at an address, or at none. */
export type NamesAt = (address: bigint | undefined) => ProgramNames;

/** Number of a breakpoint of our own, which the client does not see. */
export const TEMPORARY = 0;

export type BreakpointKind = 'source' | 'function' | 'instruction' | 'exception' | 'data';

interface Entry {
  readonly id: number;
  readonly wish: BreakpointWish;
  readonly binding: Binding;
  readonly rule: BreakpointRule;
}

export class Breakpoints {
  readonly #ids = new Map<string, number>();
  /** By who owns a list that the client replaces as a whole: a source path, or a kind. */
  readonly #lists = new Map<string, readonly Entry[]>();
  #nextId = 1;
  #temporary: BreakpointRequest | undefined;

  /** Replaces one list. Gives what the client is told, in its order. */
  async replace(list: string, wishes: readonly BreakpointWish[], names: NamesAt): Promise<P.Breakpoint[]> {
    const entries: Entry[] = [];
    for (const wish of wishes) entries.push(await this.#bind(wish, names));
    this.#lists.set(list, entries);
    return entries.map(describeEntry);
  }

  /** Finds all places again; gives the breakpoints as they are now. */
  async rebind(names: NamesAt): Promise<P.Breakpoint[]> {
    const all: P.Breakpoint[] = [];
    for (const [list, entries] of this.#lists)
      all.push(
        ...(await this.replace(
          list,
          entries.map(({ wish }) => wish),
          names,
        )),
      );
    return all;
  }

  get hasTemporary(): boolean {
    return this.#temporary !== undefined;
  }

  /** Stops once at an address, without the client having asked for it. */
  setTemporary(address: bigint | undefined): void {
    this.#temporary = address === undefined ? undefined : { id: TEMPORARY, address };
  }

  /** Tells the machine. */
  async apply(machine: Machine): Promise<void> {
    const entries = [...this.#lists.values()].flat();
    const requests: BreakpointRequest[] = this.#temporary ? [this.#temporary] : [];
    const exits: ExitBreakpoint[] = [];
    const data: DataBreakpoint[] = [];
    for (const { id, binding } of entries) {
      if ('addresses' in binding) requests.push(...binding.addresses.map((address) => ({ id, address })));
      else if ('exits' in binding) exits.push({ id, reasons: binding.exits });
      else if ('data' in binding) data.push({ id, ...binding.data });
    }
    await machine.setBreakpointRules(entries.map(({ rule }) => rule));
    await machine.setBreakpoints(requests);
    await machine.setExitBreakpoints(exits);
    await machine.setDataBreakpoints(data);
  }

  /** Keys of the VMCS fields whose change stops the machine. */
  watchedFields(): ReadonlySet<string> {
    const keys = new Set<string>();
    for (const { binding } of [...this.#lists.values()].flat())
      if ('data' in binding && 'vmcsField' in binding.data) keys.add(binding.data.vmcsField);
    return keys;
  }

  kindOf(id: number): BreakpointKind | undefined {
    return [...this.#lists.values()].flat().find((entry) => entry.id === id)?.wish.kind;
  }

  /** The line where the first of these breakpoints is that has one. */
  lineOf(ids: readonly number[]): number | undefined {
    const hit = [...this.#lists.values()]
      .flat()
      .filter(({ id, wish }) => wish.kind === 'source' && ids.includes(id));
    for (const { binding } of hit)
      if ('addresses' in binding && binding.line !== undefined) return binding.line;
    return undefined;
  }

  async #bind(wish: BreakpointWish, names: NamesAt): Promise<Entry> {
    const id = this.#idOf(`${wish.kind} ${wish.key}`);
    try {
      const binding = await wish.find();
      const addresses = 'addresses' in binding ? binding.addresses : [];
      return { id, wish, rule: ruleOf(id, wish, addresses, names), binding };
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      return { id, wish, rule: { id }, binding: { problem: error.message } };
    }
  }

  #idOf(key: string): number {
    let id = this.#ids.get(key);
    if (id === undefined) {
      id = this.#nextId++;
      this.#ids.set(key, id);
    }
    return id;
  }
}

function ruleOf(
  id: number,
  { condition, hitCondition, logMessage }: Conditions,
  addresses: readonly bigint[],
  names: NamesAt,
): BreakpointRule {
  const isType = (name: string): boolean => names(addresses[0]).type(name, 'any') !== undefined;
  const bind = (expression: Expression): Expression => bindAtAll(expression, addresses, names);
  const isGiven = (text: string | undefined): text is string => text !== undefined && text.trim() !== '';
  return {
    id,
    ...(isGiven(condition) && { condition: bind(parseExpression(condition, isType)) }),
    ...(isGiven(hitCondition) && { hitCondition: parseHitCondition(hitCondition) }),
    ...(isGiven(logMessage) && {
      message: parseTemplate(logMessage, isType).map((part) =>
        typeof part === 'string' ? part : bind(part),
      ),
    }),
  };
}

/** An expression as it is at each of the places of a breakpoint: a variable may be elsewhere in each. */
function bindAtAll(expression: Expression, addresses: readonly bigint[], names: NamesAt): Expression {
  const { offset } = expression;
  const trees = addresses.map((address) => bindValue(expression, names(address)));
  const last = trees.pop() ?? bindValue(expression, names(undefined));
  const text = JSON.stringify(last, withBigInts);
  return trees.reduceRight<Expression>((otherwise, whenTrue, i) => {
    if (JSON.stringify(whenTrue, withBigInts) === text) return otherwise;
    const rip: Expression = { kind: 'name', name: 'rip', register: true, offset };
    const right: Expression = { kind: 'number', value: addresses[i], offset };
    const test: Expression = { kind: 'binary', operator: '==', left: rip, right, offset };
    return { kind: 'conditional', test, whenTrue, whenFalse: otherwise, offset };
  }, last);
}

const withBigInts = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value);

function describeEntry({ id, binding }: Entry): P.Breakpoint {
  if ('problem' in binding) return { id, verified: false, message: binding.problem };
  if ('exits' in binding || 'data' in binding) return { id, verified: true };
  const { addresses, line, column, source } = binding;
  return {
    id,
    verified: true,
    ...(line !== undefined && { line }),
    ...(column !== undefined && { column }),
    ...(source && { source }),
    instructionReference: `0x${addresses[0].toString(16)}`,
  };
}
