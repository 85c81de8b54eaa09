import type { Json, JsonObject } from '#base/canonical-json';
import type { PlacementRow, Tombstone, UnplacedRow } from './rows.ts';
import type { SnapshotAccount, SnapshotContent, SnapshotMailbox, UnplacedEntry } from './snapshot-content.ts';

/** Where a frame lies: what a reader needs to `pread` it. */
export interface BodyAddress {
  /** the first `seq` of its segment: it names the file in every revision */
  segment: number;
  /** octets from the start of the file to the frame's storage header */
  offset: number;
  /** octets of the whole frame, padding included */
  lengthBytes: number;
}

/** A slot in `keys/<epoch>.fkeys`. */
export interface KeyRef {
  epoch: number;
  slot: number;
}

/** What the role that received a message made of it, so that no reader has to parse it again. */
export interface ParsedMessage {
  /** ENVELOPE as IMAP sends it (RFC 9051 §7.5.2) */
  envelope: Uint8Array;
  /** BODYSTRUCTURE with extension data */
  bodyStructure: Uint8Array;
  /** BODY: the same without extension data */
  body: Uint8Array;
  /** where parts lie in the original, as `#message` encodes it */
  structure: Uint8Array;
  /** hashes of Message-ID, In-Reply-To and References, the message's own first; joined with the base subject they find a thread */
  threadKeys: readonly string[];
  /**
   * the first words of the text as a person reads it, in one line of 200 characters at most; empty where there are none (RFC 8970 §3,
   * RFC 8621 §4.1.4)
   */
  preview: string;
}

/** Leaf kinds that bring a message. */
export type AddedAs = 'received' | 'submitted' | 'added';

export interface MessageEvent {
  type: 'message';
  seq: number;
  at: BodyAddress;
  key: KeyRef;
  /** 26 base32 letters */
  id: string;
  kind: AddedAs;
  /** the leaf's time of acceptance */
  timeMs: number;
  leafIndex: number;
  /** SHA-256 of the original, 64 lower-case hex digits */
  sha256Hex: string;
  sizeBytes: number;
  parsed: ParsedMessage;
}

/** One account's copy of a message. */
export interface DeliverEvent {
  type: 'deliver';
  seq: number;
  at: BodyAddress;
  key: KeyRef;
  account: string;
  /** `seq` of the MSG frame */
  messageSeq: number;
  emailId: string;
  threadId: string;
  /** the address as delivered; empty for APPEND and import */
  address: string;
  /** our trace fields for this copy; empty for APPEND and import (FORMATS: `prefix ‖ original`) */
  prefix: Uint8Array;
  mailbox: string;
  uid: number;
  modSeq: number;
  dateMs: number;
  flags: readonly string[];
  uidl: string;
  /** a snapshot that follows has its placement: only the copy itself is taken in */
  placedBySnapshot?: boolean;
}

export type StateChange =
  | {
      op: 'create';
      name: string;
      /** a SPECIAL-USE attribute without its backslash (RFC 6154), or null */
      role: string | null;
      uidValidity: number;
      subscribed: boolean;
    }
  | { op: 'rename'; name: string }
  | { op: 'delete' }
  /** by name, which need not exist (RFC 9051 §6.3.7); the event's `mailbox` is empty then */
  | { op: 'subscribe'; name: string; subscribed: boolean }
  | { op: 'flags'; mode: 'add' | 'remove' | 'replace'; flags: readonly string[]; uids: string }
  | { op: 'expunge'; uids: string }
  | {
      op: 'place';
      placements: readonly {
        uid: number;
        emailId: string;
        flags: readonly string[];
        dateMs: number;
        savedMs: number;
        uidl: string;
      }[];
    }
  /** UIDs below it have been seen by a session: `\Recent` no longer (RFC 3501 §2.3.2) */
  | { op: 'recent'; below: number }
  /** what an erasure leaves behind: UIDNEXT of each mailbox as it was, since the frames that raised it can be read no more */
  | { op: 'numbers'; uidNexts: readonly { mailbox: string; uidNext: number }[] };

/** One command's effect on one mailbox. */
export interface StateEvent {
  type: 'state';
  seq: number;
  account: string;
  /** the account's own key, under which its STATE frames are sealed */
  key: KeyRef;
  mailbox: string;
  modSeq: number;
  actor: string;
  timeMs: number;
  change: StateChange;
}

/** A row of a table that is kept whole: accounts, domains, aliases, settings. */
export interface RowEvent {
  type: 'row';
  seq: number;
  table: string;
  key: string;
  /** null deletes it */
  value: JsonObject | null;
  /** the frame's own key; null for a table that names no person */
  rowKey: KeyRef | null;
}

/** A leaf of the ledger, so that the ledger can be continued without reading the log again. */
export interface LeafEvent {
  type: 'leaf';
  seq: number;
  leafIndex: number;
  kind: string;
  timeMs: number;
  /** for kind `day`: how many there are with this one */
  dayCount: number | null;
  /** for kind `gap`: UIDNEXT of every mailbox there is rises by this, since what was lost may have given out numbers */
  uidGap?: number;
}

/** Where the writer goes on after a start. */
export interface LogMarks {
  /** the newest leaf's time; 0 when there is none */
  leafTimeMs: number;
  /** `seq` of the newest `frames` leaf's record; 0 when there is none */
  framesSeq: number;
  /** the newest `day` leaf's count and time; 0 when there is none */
  dayCount: number;
  dayMs: number;
  /** `seq` of the newest `clock` leaf's record; 0 when there is none */
  clockSeq: number;
}

/**
 * What lies under these keys is gone: messages, copies, rows; with an account's own key all that the account had, so that its copies are
 * due to be erased too.
 */
export interface ErasedEvent {
  type: 'erased';
  seq: number;
  keys: readonly KeyRef[];
}

/** A frame of a snapshot went by. What it says is said by other frames too: only where it lies is remembered. */
export interface SnapshotEvent {
  type: 'snapshot';
  seq: number;
  at: BodyAddress;
  key: KeyRef;
  /** bodyCommitment of its record, 64 hexadecimal digits */
  commitment: string;
  content: SnapshotContent;
}

/**
 * A snapshot instead of the STATE frames before it. Steps come in this order, `account` once and first: it takes everything away that
 * the account had but its copies.
 */
export interface RestoreEvent {
  type: 'restore';
  /** of the snapshot's root */
  seq: number;
  account: string;
  step:
    | { kind: 'account'; key: KeyRef; root: SnapshotAccount; frames: readonly SnapshotFrame[] }
    | { kind: 'mailbox'; root: SnapshotMailbox }
    | { kind: 'rows'; mailbox: string; placements: readonly PlacementRow[]; tombstones: readonly Tombstone[] }
    | { kind: 'unplaced'; rows: readonly UnplacedEntry[] };
}

/** The newest SNAP frame of a page, or of a root. */
export interface SnapshotFrame {
  account: string;
  /** empty: of the account itself */
  mailbox: string;
  /** -1: the root */
  page: number;
  seq: number;
  base: number;
  commitment: string;
  at: BodyAddress;
}

export type LogEvent =
  | MessageEvent
  | DeliverEvent
  | StateEvent
  | RowEvent
  | LeafEvent
  | ErasedEvent
  | SnapshotEvent
  | RestoreEvent;

export interface MailboxRow {
  id: string;
  account: string;
  name: string;
  role: string | null;
  uidValidity: number;
  uidNext: number;
  highestModSeq: number;
  subscribed: boolean;
  recentBelow: number;
  /** keywords in the order and spelling in which they were first seen */
  keywords: readonly string[];
}

export interface MailboxChanges {
  changed: readonly PlacementRow[];
  /** UIDs that were expunged after the given MODSEQ */
  vanished: readonly number[];
}

export interface MessageRow {
  seq: number;
  id: string;
  kind: AddedAs;
  timeMs: number;
  leafIndex: number;
  sha256Hex: string;
  sizeBytes: number;
  at: BodyAddress;
  key: KeyRef;
}

export interface EmailRow {
  emailSeq: number;
  account: string;
  emailId: string;
  threadId: string;
  address: string;
  prefix: Uint8Array;
  dateMs: number;
  at: BodyAddress;
  key: KeyRef;
  message: MessageRow;
  /** where parts lie in the original, as `#message` encodes it */
  structure: Uint8Array;
}

/** What a listing shows of a message; whoever reads a body does without it. */
export type MessageTextsRow = Omit<ParsedMessage, 'threadKeys' | 'structure'>;

/**
 * Mailboxes and what lies in them. Every answer is whole rows; a row whose octets changed behind our back is refused with
 * `index-row-damaged`, never answered.
 */
export interface MailIndex {
  /** the highest `seq` whose effects are in */
  appliedSeq(): number;
  /** hash of the record with that `seq`, which says of what log it is; null when nobody said */
  appliedHash(): Uint8Array | null;
  /**
   * Applies events in order, in one transaction with `appliedSeq`. Events at or below the applied `seq` are passed over.
   *
   * @param appliedHash of the record with `appliedSeq`
   * @param partial events were left out because a snapshot that follows says the same: until it is in, the index is not whole
   */
  apply(
    events: readonly LogEvent[],
    appliedSeq: number,
    appliedHash?: Uint8Array | null,
    partial?: boolean,
  ): void;
  /** whether it was left while events were missing that a snapshot was to bring; then it has to be made again */
  isPartial(): boolean;
  /** Throws everything away. */
  clear(): void;

  mailboxes(account: string): MailboxRow[];
  /** subscribed names, of mailboxes or of none, in order */
  subscriptions(account: string): string[];
  mailbox(id: string): MailboxRow | null;
  mailboxByName(account: string, name: string): MailboxRow | null;
  /** placements with `uid` > afterUid in ascending order, at most `limit` */
  placements(mailbox: string, afterUid: number, limit: number): PlacementRow[];
  placementsByUid(mailbox: string, uids: readonly number[]): PlacementRow[];
  changesSince(mailbox: string, modSeq: number): MailboxChanges;
  countPlacements(mailbox: string): number;
  /** in the order asked; an email that is not there is left out */
  emails(emailSeqs: readonly number[]): EmailRow[];
  /** of each email that is there */
  texts(emailSeqs: readonly number[]): Map<number, MessageTextsRow>;
  /** the thread of each email that is there */
  threadIds(emailSeqs: readonly number[]): Map<number, string>;
  emailsOfMessage(messageSeq: number): EmailRow[];
  /** copies with `seq` > after, ascending, at most `limit`: what `emails` gives rows of */
  emailSeqs(afterSeq: number, limit: number): number[];
  /** where a copy lies, by mailbox and UID; empty when it is in no mailbox */
  placementsOf(emailSeq: number): { mailbox: string; uid: number }[];
  /** copies without a placement whose last one went at `dayCount` or before, by `emailSeq`, after that one, at most `limit` */
  unplaced(dayCount: number, afterEmailSeq: number, limit: number): UnplacedRow[];
  /** an account's copies without a placement, by `emailSeq`, after that one, at most `limit` */
  unplacedOf(account: string, afterEmailSeq: number, limit: number): UnplacedRow[];
  /** the same, by MODSEQ and `emailSeq`, behind these two, at most `limit` */
  unplacedSince(account: string, modSeq: number, emailSeq: number, limit: number): UnplacedRow[];
  /** tombstones with `uid` > afterUid in ascending order, at most `limit` */
  tombstones(mailbox: string, afterUid: number, limit: number): Tombstone[];
  /** what of a mailbox changed, by MODSEQ and UID, behind these two, at most `limit` */
  changedUids(
    mailbox: string,
    what: 'placement' | 'tombstone',
    modSeq: number,
    uid: number,
    limit: number,
  ): Tombstone[];
  /** the newest SNAP frames of an account */
  snapshotFrames(account: string): SnapshotFrame[];
  messageById(id: string): MessageRow | null;
  message(seq: number): MessageRow | null;
  /** messages with `seq` > after, ascending, at most `limit` */
  messages(afterSeq: number, limit: number): MessageRow[];
  /** every account that ever had a mailbox, ascending */
  accounts(): string[];
  /** an account's highest MODSEQ and highest UIDVALIDITY ever; `changes`: its STATE frames since its last snapshot */
  accountCounters(account: string): { modSeq: number; uidValidity: number; changes: number };
  accountKey(account: string): KeyRef | null;
  marks(): LogMarks;
  findThread(account: string, threadKeys: readonly string[]): string | null;
  /**
   * Whether a copy of this account, for whose author of this domain or one below it DMARC spoke when it came, and that was before a
   * time, lies in a mailbox that is neither Junk nor Trash, seen and not marked for deletion. At most `keptMailMax` copies of such
   * authors are looked at: by domain, as `reversedDomain` writes it, from the last one, the newest first.
   */
  hasKeptMailOf(account: string, domain: string, beforeMs: number): boolean;
  /** a text of everything that this port answers, line by line, in a fixed order */
  dump(): Iterable<string>;
  close(): void;
}

export interface TableRow {
  table: string;
  key: string;
  value: JsonObject;
}

/** One sealed ROW frame that can still be read, whether or not a later one replaced it. */
export interface RowVersion {
  seq: number;
  table: string;
  key: string;
  /** null: it deleted the row */
  value: JsonObject | null;
  rowKey: KeyRef;
}

/** The tables of ROW frames. A row whose newest frame was erased is gone. */
export interface Directory {
  appliedSeq(): number;
  /** as `MailIndex` */
  appliedHash(): Uint8Array | null;
  apply(events: readonly LogEvent[], appliedSeq: number, appliedHash?: Uint8Array | null): void;
  clear(): void;
  row(table: string, key: string): JsonObject | null;
  rows(table: string): TableRow[];
  /** by `seq`; none of a table that names no person */
  versions(table: string): RowVersion[];
  tables(): string[];
  dump(): Iterable<string>;
  close(): void;
}

export type { Json, PlacementRow, Tombstone, UnplacedRow };
