/** Cases a row: HVM_CASES asks for others. */
export const CASES = Number(process.env.HVM_CASES ?? 1000);
