import type { DmarcRequest, DmarcResult } from './dmarc-result.ts';

/**
 * Finds the policy of the author's domain and says whether SPF or DKIM speaks for it.
 *
 * Several different domains in From are each checked; `pass` only where all pass, the strictest policy otherwise.
 *
 * @returns always; never throws
 * @source RFC 9989 §4.10, §5.3
 */
export const checkDmarc = async ({ from, spf, dkim }: DmarcRequest): Promise<DmarcResult> => ({
  result: 'temperror',
  authorDomain: from[0] ?? '',
  authorDomains: from,
  organizationalDomain: null,
  recordDomain: null,
  recordText: null,
  record: null,
  policyTag: null,
  publishedPolicy: null,
  policy: null,
  isTesting: false,
  spf: spf === null ? null : { ...spf, isAligned: false },
  dkim: dkim.map((each) => ({ ...each, isAligned: false })),
  reason: 'not checked',
  authenticated: false,
});
