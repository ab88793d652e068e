/**
 * The sanitizer: watches a hypervisor for mistakes that hardware lets pass or punishes later. Rules are in
 * sanitizerRules.ts. One serves all processors of a machine.
 */
import { formatReference } from '../base/reference.ts';
import type { StaleUse } from '../mmu/translationAudit.ts';
import { BLOCKING, TR } from '../state/registers.ts';
import { checkHostTables } from './hostTables.ts';
import { isListTooLong } from './msrAreas.ts';
import type { VmxProcessor } from './processor.ts';
import { SANITIZER_RULES, type SanitizerRule, type SanitizerRuleId } from './sanitizerRules.ts';
import { SLOT } from './vmcs.ts';
import { VMCS_FIELD } from './vmcsLayout.ts';

/** A broken rule, at the place where that shows. */
export interface SanitizerFinding {
  readonly rule: SanitizerRuleId;
  /** One line: what happened, with the values. */
  readonly description: string;
  /** More lines: the rule's sentence, its section, what to do. */
  readonly details: readonly string[];
  readonly rip: bigint;
  /** Retired instructions since power-on. */
  readonly position: number;
}

const RULES: ReadonlyMap<string, SanitizerRule> = new Map(SANITIZER_RULES.map((rule) => [rule.id, rule]));

const HOST_RSP = VMCS_FIELD.HOST_RSP.ordinal;
const EXIT_MSR_COUNTS = ['VM_EXIT_MSR_STORE_COUNT', 'VM_EXIT_MSR_LOAD_COUNT'] as const;
const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

export class Sanitizer {
  /** Called for each finding; the machine can be stopped here. */
  onFinding: (finding: SanitizerFinding) => void = () => undefined;
  /** Places that were told: a mistake in a loop is told once. */
  readonly #told = new Set<string>();
  /** By region: the processor on which the VMCS is active. */
  readonly #activeOn = new Map<number, VmxProcessor>();
  /** Host tables that were looked at and found good. */
  readonly #goodTables = new Set<string>();

  /**
   * @param host whether a program is the host, and not the built-in VMM: then the use of VT-x is looked at as well.
   */
  attach(processor: VmxProcessor, host: boolean): void {
    if (host) this.#attachHost(processor);
    processor.cpu.mmu.startAudit({
      inRoot: () => !processor.inGuest,
      found: (use) => this.#stale(processor, use),
    });
  }

  #attachHost(processor: VmxProcessor): void {
    processor.sanitizer = this;
    processor.regions.onForeignWrite = (region, offset) =>
      this.report(
        processor,
        'vmcs.touched',
        `offset ${hex(offset)} of the active VMCS at ${hex(region)} was written by a store`,
      );
  }

  // What the processor tells

  /** VMPTRLD. */
  activated(processor: VmxProcessor, region: number): void {
    const other = this.#activeOn.get(region);
    this.#activeOn.set(region, processor);
    if (other !== undefined && other !== processor)
      this.report(
        processor,
        'vmcs.twoProcessors',
        `the VMCS at ${hex(region)} is active on processor ${other.cpu.apic.id} and was made current on processor ${processor.cpu.apic.id}`,
      );
  }

  /** VMCLEAR. */
  cleared(processor: VmxProcessor, region: number): void {
    if (this.#activeOn.get(region) === processor) this.#activeOn.delete(region);
  }

  noSuchField(processor: VmxProcessor, encoding: bigint, instruction: 'VMREAD' | 'VMWRITE'): void {
    this.report(processor, 'vmcs.noSuchField', `${instruction} of the field with encoding ${hex(encoding)}`);
  }

  /** A VM entry has passed its checks; the host still runs. */
  beforeEntry(processor: VmxProcessor): void {
    const { vmcs, view } = processor;
    const { controls } = view;
    const alignment = controls.hostAddressSpaceSize ? 8n : 4n;
    const rsp = vmcs.read(HOST_RSP);
    if (rsp % alignment !== 0n) this.report(processor, 'host.rsp', `HOST_RSP is ${hex(rsp)}`);

    for (const field of EXIT_MSR_COUNTS) {
      const count = vmcs.low(SLOT[field]) >>> 0;
      if (isListTooLong(count)) this.report(processor, 'vmcs.longMsrList', `${field} is ${count}`);
    }

    const blocked = (vmcs.low(SLOT.GUEST_INTERRUPTIBILITY_STATE) & BLOCKING.NMI) !== 0;
    if (blocked && controls.nmiExiting && !controls.virtualNmis)
      this.report(
        processor,
        'nmi.blockedForEver',
        'the interruptibility state has blocking by NMI, "NMI exiting" is 1 and "virtual NMIs" is 0',
      );
  }

  /** The host state is loaded. */
  afterExit(processor: VmxProcessor): void {
    const { state } = processor;
    const tables = `${state.IDTR_BASE} ${state.GDTR_BASE} ${state.segmentBase(TR)} ${state.CR3} ${state.efer}`;
    if (this.#goodTables.has(tables)) return;
    this.#goodTables.add(tables);
    const problem = checkHostTables(processor.cpu);
    if (problem !== undefined) this.report(processor, problem.rule, problem.description);
  }

  report(processor: VmxProcessor, rule: SanitizerRuleId, description: string): void {
    const rip = processor.state.RIP;
    const place = `${rule} ${rip}`;
    if (this.#told.has(place)) return;
    this.#told.add(place);
    const { title, advice, ref } = RULES.get(rule) as SanitizerRule;
    this.onFinding({
      rule,
      description: `${rule}: ${description}, at RIP ${hex(rip)}`,
      details: [`${title}.`, formatReference(ref), advice],
      rip,
      position: processor.position(),
    });
  }

  #stale(
    processor: VmxProcessor,
    { kind, linear, guestPhysical, cached, current, vpid, writtenByHost }: StaleUse,
  ): void {
    const now = current === undefined ? 'no longer permit it' : `lead to ${hex(current)}`;
    if (kind === 'guest-physical')
      this.report(
        processor,
        'stale.invept',
        `guest-physical ${hex(guestPhysical)} (linear ${hex(linear)}) may still be cached as host-physical ${hex(cached)}, and the EPT entries ${now}`,
      );
    else
      this.report(
        processor,
        vpid !== 0 && writtenByHost ? 'stale.invvpid' : 'stale.invlpg',
        `linear ${hex(linear)} may still be cached as ${hex(cached)}, and the paging structures ${now}`,
      );
  }
}
