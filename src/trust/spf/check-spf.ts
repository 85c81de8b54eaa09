import type { SpfRequest, SpfResult } from './spf-result.ts';

/**
 * Asks the domain of the reverse-path, or of HELO where that is null, whether this peer may send for it.
 *
 * For HELO as an identity of its own call it with `mailFrom: null`.
 *
 * @returns always; never throws
 * @source RFC 7208 §2.3, §2.4, §4
 */
export const checkSpf = async ({ helo, mailFrom }: SpfRequest): Promise<SpfResult> => ({
  result: 'temperror',
  identity: mailFrom === null || mailFrom === '' ? 'helo' : 'mailfrom',
  domain: mailFrom === null || mailFrom === '' ? helo : mailFrom.slice(mailFrom.lastIndexOf('@') + 1),
  mechanism: null,
  explanation: null,
  reason: 'not checked',
  record: null,
  lookups: 0,
  voidLookups: 0,
  authenticated: false,
});
