import { flagBits } from '#store/index';

/** keywords of a mailbox (WIRE, “Mailboxes”) */
export const keywordsMax = 100;

/** Whether these flags would bring a mailbox over its limit; one that is over it already takes no new ones. */
export const tooManyKeywords = (flags: readonly string[], known: readonly string[]): boolean => {
  const lower = new Set(known.map((keyword) => keyword.toLowerCase()));
  for (const keyword of flagBits(flags).keywords) lower.add(keyword.toLowerCase());
  return lower.size > Math.max(keywordsMax, known.length);
};
