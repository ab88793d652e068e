/**
 * What an access may do with a page, as a table: one bit for each combination of the rights that the paging structures
 * give. The page walk looks a whole decision up with one shift.
 *
 * Intel SDM Vol. 3A, "Access Rights", 5.6.
 */

/** The kind of an access. */
export const ACCESS = { READ: 0, WRITE: 1, EXECUTE: 2 } as const;
export type Access = (typeof ACCESS)[keyof typeof ACCESS];

/** Who asks, beside the kind of access: user mode, and whether SMAP holds for this supervisor access. */
export const REQUEST_USER = 1 << 2;
export const REQUEST_SMAP = 1 << 3;
const REQUESTS = 16;

/** The modifiers that hold for all requests, as an index of {@link PERMITTED}. A column for protection keys goes here. */
export function rightsIndex(writeProtect: boolean, smep: boolean): number {
  return ((writeProtect ? 1 : 0) | (smep ? 2 : 0)) * REQUESTS;
}

/** @see SDM "Determination of Access Rights", 5.6.1 */
function isPermitted(
  page: { readonly writable: boolean; readonly user: boolean; readonly executeDisable: boolean },
  request: number,
  writeProtect: boolean,
  smep: boolean,
): boolean {
  const access = request & 3;
  const user = (request & REQUEST_USER) !== 0;
  if (access === ACCESS.EXECUTE && page.executeDisable) return false;
  if (user) return page.user && (access !== ACCESS.WRITE || page.writable);
  if (page.user && (access === ACCESS.EXECUTE ? smep : (request & REQUEST_SMAP) !== 0)) return false;
  return access !== ACCESS.WRITE || page.writable || !writeProtect;
}

/**
 * By {@link rightsIndex} + request: bit n tells whether a page may be accessed whose combination is n: 1 writable
 * (R/W in all entries), 2 user (U/S in all entries), 4 execute-disable (XD in some entry).
 */
export const PERMITTED: Uint8Array = (() => {
  const table = new Uint8Array(4 * REQUESTS);
  for (const writeProtect of [false, true]) {
    for (const smep of [false, true]) {
      for (let request = 0; request < REQUESTS; request++) {
        let combinations = 0;
        for (let n = 0; n < 8; n++) {
          const page = { writable: (n & 1) !== 0, user: (n & 2) !== 0, executeDisable: (n & 4) !== 0 };
          if (isPermitted(page, request, writeProtect, smep)) combinations |= 1 << n;
        }
        table[rightsIndex(writeProtect, smep) + request] = combinations;
      }
    }
  }
  return table;
})();
