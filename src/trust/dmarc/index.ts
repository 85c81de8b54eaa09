/**
 * DMARC: does what was authenticated speak for the author that people see (RFC 9989).
 *
 * Pure: DNS comes in. Always holds: `pass` needs an identifier that passed and is aligned; a policy that could not be
 * fetched is a `temperror`, never a `none`; at most 8 look-ups a tree walk.
 */
export { checkDmarc } from './check-dmarc.ts';
export { type DmarcRecordRead, isDmarcRecord, parseDmarcRecord } from './dmarc-record.ts';
export type {
  DmarcDkim,
  DmarcDkimAlignment,
  DmarcPolicy,
  DmarcRecord,
  DmarcRequest,
  DmarcResult,
  DmarcSpfAlignment,
  DmarcWord,
} from './dmarc-result.ts';
