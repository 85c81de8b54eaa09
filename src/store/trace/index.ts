/**
 * What a search over 180 days needs to know of messages and of refused attempts: the port `TraceStore`, its rows, its keys.
 *
 * There are two stores of one form. `trace.db` has a row for each message of the index and is made from it; `attempts.db` has what was
 * refused and is the only record of it (docs/formats/trace.md). What always holds: every search is a look into an index of the database,
 * newest first; a row carries a checksum of itself; what is removed is overwritten.
 */
export {
  addressRange,
  domainRanges,
  isInRange,
  type KeyRange,
  nullPathRange,
  pathKey,
  peerKey,
  peerRange,
  searchKey,
  subaddressRange,
} from './keys.ts';
export type {
  TraceCriterion,
  TraceEvent,
  TraceKind,
  TraceQuery,
  TraceRecipient,
  TraceStage,
  TraceStore,
  TraceTally,
  TraceTerm,
} from './port.ts';
