/**
 * SPF: may this address send for this domain (RFC 7208).
 *
 * Pure: DNS and the time come in. Always holds: whoever cannot be asked makes a `temperror`, never a `none` or a
 * `pass`; a record that breaks a rule or a limit is a `permerror`; no evaluation asks DNS more often than the limits
 * say, whatever the record holds.
 */
export { checkSpf } from './check-spf.ts';
export { isSpfRecord, parseSpfRecord, type SpfRecordRead } from './spf-record.ts';
export type { SpfIdentity, SpfLimits, SpfRequest, SpfResult, SpfWord } from './spf-result.ts';
