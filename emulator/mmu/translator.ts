/**
 * Translation on somebody's behalf: the privilege of an access becomes a request to the page walk.
 *
 * Intel SDM Vol. 3A, "Access Rights", 5.6.
 */
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET } from '../state/layout.ts';
import { CR4, FLAG } from '../state/registers.ts';
import type { AddressSpaces } from './addressSpaces.ts';
import { type Access, REQUEST_SMAP, REQUEST_USER } from './rights.ts';
import { type PageWalker, UNTRANSLATED } from './walk.ts';

/**
 * On whose behalf memory is accessed. `current` follows the CPL. An implicit supervisor access (descriptor tables, the
 * TSS) is one at every CPL, and RFLAGS.AC does not lift SMAP for it.
 *
 * @see SDM "Access Rights", 5.6
 */
export const PRIVILEGE = { CURRENT: 0, USER: 1, SUPERVISOR: 2, IMPLICIT_SUPERVISOR: 3 } as const;
export type PrivilegeCode = (typeof PRIVILEGE)[keyof typeof PRIVILEGE];
export type Privilege = 'current' | 'user' | 'supervisor' | 'implicit-supervisor';

export const PRIVILEGE_CODE: Readonly<Record<Privilege, PrivilegeCode>> = {
  current: PRIVILEGE.CURRENT,
  user: PRIVILEGE.USER,
  supervisor: PRIVILEGE.SUPERVISOR,
  'implicit-supervisor': PRIVILEGE.IMPLICIT_SUPERVISOR,
};

const CR4_LOW = OFFSET.CR4 >> 2;
const RFLAGS = OFFSET.RFLAGS >> 2;

export class Translator {
  readonly walker: PageWalker;
  readonly #spaces: AddressSpaces;
  readonly #words: Int32Array;

  constructor(state: CpuState, spaces: AddressSpaces, walker: PageWalker) {
    this.walker = walker;
    this.#spaces = spaces;
    this.#words = state.i32;
  }

  /**
   * Gives the host-physical address or a code of {@link UNTRANSLATED}. After a failure nothing is cached for the
   * address any more.
   */
  translate(lo: number, hi: number, access: Access, privilege: PrivilegeCode): number {
    const request = this.#request(privilege) | access;
    const host = this.walker.walk(lo, hi, request);
    const { audit } = this.#spaces;
    if (audit !== undefined) this.#spaces.auditWalk(audit, lo, hi, request, host);
    if (host < 0 && host !== UNTRANSLATED.WINDOW) this.#spaces.failed(host, lo, hi);
    return host;
  }

  #request(privilege: PrivilegeCode): number {
    if (privilege === PRIVILEGE.CURRENT) return this.#spaces.request;
    if (privilege === PRIVILEGE.USER) return REQUEST_USER;
    const words = this.#words;
    const lifted = privilege === PRIVILEGE.SUPERVISOR && (words[RFLAGS] & FLAG.AC) !== 0;
    return (words[CR4_LOW] & CR4.SMAP) !== 0 && !lifted ? REQUEST_SMAP : 0;
  }
}
