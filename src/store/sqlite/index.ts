/**
 * `MailIndex` in `index.db`, `Directory` in `state.db` and `TraceStore` in `trace.db` and `attempts.db`, on node:sqlite.
 *
 * One process writes (the writer), any number read by connections of their own. WAL, `synchronous=NORMAL`, never OFF: the log is
 * synced before anything is applied, so a power cut may cost the last transactions of these files, never their consistency;
 * recovery applies them again. Every row carries a checksum of itself: a cell that changed behind our back is refused.
 */
export {
  type FreshProjections,
  openFreshProjections,
  openProjectionSnapshot,
  type ProjectionName,
  type ProjectionSnapshot,
  type RowDifference,
} from './comparison.ts';
export { openSqliteDirectory } from './sqlite-directory.ts';
export { openSqliteIndex } from './sqlite-index.ts';
export { openSqliteTrace } from './sqlite-trace.ts';
