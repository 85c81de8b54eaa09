/**
 * Who really sent a message: SPF, DKIM, ARC, DMARC and the reverse name together, what is said of it and what is done.
 *
 * Always holds: every check ends, a lookup that did not come is `temperror` and refuses nothing; a message is refused with a reason in
 * words; DKIM with `l=` shorter than the body counts for nothing. Relays of our own (a Unix socket, LMTP, `[authentication] exempt`) are not asked
 * for SPF, DMARC or a reverse name: what a relay says of the one behind it is.
 */
export {
  type Authentication,
  type AuthenticationOptions,
  type AuthenticationPolicy,
  createAuthentication,
  type Disposition,
  type JunkReason,
  type SenderChecks,
  type SenderFindings,
} from './check-sender.ts';
export { arcResult, dkimResults } from './method-results.ts';
