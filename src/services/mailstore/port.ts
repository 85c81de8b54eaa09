import type { FlagMode, KeyRef } from '#store/index';
import type { SealedMessage, SealedRecipient } from './sealed-message.ts';

/** What a RCPT TO may become. */
export type RecipientVerdict =
  | { kind: 'accepted'; recipients: readonly Recipient[] }
  /** no such address here */
  | { kind: 'unknown' }
  /** a domain that is not ours */
  | { kind: 'relay' }
  | { kind: 'disabled' };

/** One account that a message for an address goes to; an alias may name several. */
export interface Recipient {
  account: string;
  /** what stood behind `+`, or null */
  detail: string | null;
}

/** `refused` is told to the client; the code is one of RFC 5530 where there is one. */
export type MailstoreOutcome<T> =
  | { kind: 'refused'; code: string | null; text: string }
  | ({ kind: 'done' } & T);

export interface Delivered {
  id: string;
  seq: number;
}

export interface Appended {
  uid: number;
  uidValidity: number;
  emailId: string;
  modSeq: number;
}

/** One message of several that a client puts into a mailbox. */
export interface AddedMessage {
  message: SealedMessage;
  /** without `\Recent` */
  flags: readonly string[];
  /** INTERNALDATE; null for the time of acceptance */
  dateMs: number | null;
}

export interface AppendedAll {
  uids: readonly number[];
  uidValidity: number;
  /** of the last one */
  modSeq: number;
}

export interface Copied {
  targetMailbox: string;
  uidValidity: number;
  from: readonly number[];
  to: readonly number[];
}

/** A mailbox has changed up to `modSeq`; everything that it tells is durable and in the index. */
export interface MailstoreChange {
  /** empty: the connection to the writer was lost and is back, so that anything may have changed unheard */
  account: string;
  /** empty: the account's list of mailboxes or subscriptions */
  mailbox: string;
  modSeq: number;
  /** what the command that did it named as its origin, so that a session knows its own changes; empty for others */
  origin: string;
}

export interface WriterStatus {
  origin: string;
  generation: number;
  nextSeq: number;
  leafCount: number;
  /** leaves under the newest signed head */
  sealedLeafCount: number;
  /** `none` before the first head, `down` while the sealer does not answer, `refusing` when it will not sign */
  sealer: 'none' | 'signing' | 'down' | 'refusing';
  sealerReason: string | null;
  /** why this start made index and state again, or null */
  projectionsRemade: Remade | null;
  /** what was found damaged by reading since the writer began, and was not served */
  damaged: { count: number; last: DamageReport } | null;
}

/** Why projections were thrown away and made again. */
export type Remade =
  /** they had applied more than the log has */
  | 'ahead'
  /** the record that they applied last is not the log's: of another server, or of a log that went another way */
  | 'foreign'
  /** they had applied frames that were given up as lost */
  | 'of-lost-frames'
  /** SQLite, a checksum or another layout */
  | 'unusable';

/** Something that a role met and did not serve. */
export interface DamageReport {
  /** `index-row-damaged`, `payload-damaged` … */
  code: string;
  /** what it concerns: the id of a message, or a row */
  subject: string;
}

/** Accounts that one call of `keepMailOf` looks at. */
export const keepersAskedMax = 1_000;

/**
 * The only way to change anything. Every promise is fulfilled when its group is durable and applied; a rejection with
 * `FengniError` means that nothing of it was stored, or, retryable `ipc-closed`, that nobody knows.
 *
 * `actor` names who did it: `owner`, `admin`, `server`.
 */
export interface MailstoreWriter {
  /** @param address as in RCPT TO, without angle brackets */
  resolve(address: string): Promise<RecipientVerdict>;
  /**
   * Which of these accounts have kept mail from a domain or one below it: seen mail from an author there for whom DMARC spoke, which came a
   * day ago or earlier and lies neither in Junk nor in Trash.
   *
   * @param accounts at most `keepersAskedMax`; of any beyond it the answer is no
   */
  keepMailOf(request: { accounts: readonly string[]; domain: string }): Promise<readonly boolean[]>;
  /** a message from outside for any number of accounts: one original, one copy each, one group */
  deliver(
    message: SealedMessage,
    recipients: readonly SealedRecipient[],
    /** when the message was complete, by the machine's monotonic clock; it is withdrawn when no group has taken it 60 s later */
    completeMs?: number,
  ): Promise<MailstoreOutcome<Delivered>>;
  /** a message that a client put into a mailbox; `flags` without `\Recent` */
  append(request: {
    account: string;
    mailbox: string;
    message: SealedMessage;
    flags: readonly string[];
    /** INTERNALDATE; null for the time of acceptance */
    dateMs: number | null;
    origin: string;
  }): Promise<MailstoreOutcome<Appended>>;
  /** several at once, in this order: all or none; as `append` */
  appendAll(request: {
    account: string;
    mailbox: string;
    messages: readonly AddedMessage[];
    origin: string;
  }): Promise<MailstoreOutcome<AppendedAll>>;
  createMailbox(request: {
    account: string;
    /** NFC, levels separated by `/`; missing upper levels are made too */
    name: string;
    role: string | null;
    origin: string;
  }): Promise<MailstoreOutcome<{ mailbox: string }>>;
  deleteMailbox(request: {
    account: string;
    mailbox: string;
    origin: string;
  }): Promise<MailstoreOutcome<object>>;
  /** with everything below it; of INBOX the mail only */
  renameMailbox(request: {
    account: string;
    mailbox: string;
    name: string;
    origin: string;
  }): Promise<MailstoreOutcome<object>>;
  subscribe(request: {
    account: string;
    name: string;
    subscribed: boolean;
    origin: string;
  }): Promise<MailstoreOutcome<object>>;
  /**
   * UIDs that are gone are passed over; `uids` of the answer are those whose flags changed, `modified` those that did not because
   * their MODSEQ is above `unchangedSince` (RFC 7162 §3.1.3)
   */
  changeFlags(request: {
    account: string;
    mailbox: string;
    /** as `formatUidSet` writes it */
    uids: string;
    mode: FlagMode;
    flags: readonly string[];
    unchangedSince?: number;
    origin: string;
  }): Promise<MailstoreOutcome<{ modSeq: number; uids: string; modified?: string }>>;
  /** removes those of `uids` that are there and, with `deletedOnly`, marked `\Deleted` */
  expunge(request: {
    account: string;
    mailbox: string;
    uids: string;
    deletedOnly: boolean;
    origin: string;
  }): Promise<MailstoreOutcome<{ modSeq: number; uids: string }>>;
  /** all of `uids` that are there, in their order, or none; `move` takes them out of the source in the same group */
  copy(request: {
    account: string;
    mailbox: string;
    uids: string;
    target: string;
    move: boolean;
    origin: string;
  }): Promise<MailstoreOutcome<Copied>>;
  /** moves the mark of `\Recent` and tells where it stood: UIDs from there on are recent in the session that asked */
  markRecent(request: {
    account: string;
    mailbox: string;
    below: number;
  }): Promise<MailstoreOutcome<{ recentFrom: number }>>;
  /** @returns what ends it */
  onChange(listener: (change: MailstoreChange) => void): () => void;
  /**
   * Who is here has changed: `resolve` may answer otherwise from now on.
   *
   * @returns what ends it
   */
  onAddresses(listener: () => void): () => void;
  /**
   * Keys that were destroyed, to be forgotten by whoever has them in memory; null when any may have been, unheard.
   *
   * @returns what ends it
   */
  onErased(listener: (keys: readonly KeyRef[] | null) => void): () => void;
  status(): Promise<WriterStatus>;
  /** tells what another role found damaged */
  damaged(report: DamageReport): Promise<void>;
}
