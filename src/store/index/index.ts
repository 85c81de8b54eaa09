/**
 * The projections of the log, as ports.
 *
 * The log is the only truth (docs/formats/frames.md). `MailIndex` answers what IMAP, POP3 and JMAP ask; `Directory` answers who is
 * here. Both are functions of the events that `LogEvent` names: each keeps the `seq` that it has applied in the same transaction
 * as what it applied, can be deleted and made again, and then answers the same (`dump`).
 *
 * What always holds: nothing is shown that was not durable before it was applied; no number is computed here: UIDs, MODSEQs,
 * UIDVALIDITYs and ids stand absolute in the events.
 */

export { dumpIndex } from './dump.ts';
export { applyFlags, type FlagMode, flagBits, flagNames, systemFlags } from './flags.ts';
export {
  type DeliverContent,
  decodeDeliver,
  decodeMessage,
  decodeRow,
  decodeState,
  encodeDeliver,
  encodeMessage,
  encodeRow,
  encodeState,
  idOf,
  type MessageContent,
  type RecipientProof,
  type RowContent,
  type StateContent,
  seqOf,
} from './frame-content.ts';
export type {
  AddedAs,
  BodyAddress,
  DeliverEvent,
  Directory,
  EmailRow,
  ErasedEvent,
  KeyRef,
  LeafEvent,
  LogEvent,
  LogMarks,
  MailboxChanges,
  MailboxRow,
  MailIndex,
  MessageEvent,
  MessageRow,
  MessageTextsRow,
  ParsedMessage,
  PlacementRow,
  RestoreEvent,
  RowEvent,
  RowVersion,
  SnapshotEvent,
  SnapshotFrame,
  StateChange,
  StateEvent,
  TableRow,
  Tombstone,
  UnplacedRow,
} from './port.ts';
export {
  decodeSnapshot,
  encodeSnapshot,
  type SnapshotAccount,
  type SnapshotContent,
  type SnapshotMailbox,
  type SnapshotPage,
  type SnapshotRef,
  type SnapshotUnplaced,
  seqPage,
  snapshotPageSeqs,
  snapshotPageUids,
  type UnplacedEntry,
  uidPage,
} from './snapshot-content.ts';
export { formatUidSet, parseUidSet } from './uid-set.ts';
export { isForgettable, isKept, keptMailMax, reversedDomain, vouchedAuthor } from './vouched-author.ts';
