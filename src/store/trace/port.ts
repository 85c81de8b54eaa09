import type { KeyRef } from '#store/index';
import type { KeyRange } from './keys.ts';

/** Leaf kinds of messages that are here, and `refused` for an attempt that was not taken. */
export type TraceKind = 'received' | 'submitted' | 'added' | 'refused';

/** What the peer was at when it was refused: nothing yet, a command, a sender, a recipient, the message. */
export type TraceStage = 'connect' | 'command' | 'mail' | 'rcpt' | 'data';

export interface TraceRecipient {
  /** as it was addressed */
  address: string;
  /** whose copy it is; null for an attempt, which has no copies */
  account: string | null;
  /** of a message: the `seq` of the DELIVER frame and the key of that copy */
  emailSeq: number | null;
  key: KeyRef | null;
}

export interface TraceEvent {
  /** of a message the `seq` of its MSG frame; attempts are numbered on their own */
  seq: number;
  timeMs: number;
  kind: TraceKind;
  /** of a message that is or was about to be taken */
  id: string | null;
  sha256Hex: string | null;
  sizeBytes: number | null;
  /** the reverse-path, empty for `<>`; null where none was given */
  mailFrom: string | null;
  /** the first address of the From field */
  author: string | null;
  /** without `<` and `>` */
  messageId: string | null;
  /** an IP address; empty for a Unix socket, a command of this machine, or where nobody says */
  peer: string;
  port: number;
  /** the peer's host name, as DNS tells it or a relay claims; null where nobody asked */
  reverse: string | null;
  helo: string | null;
  /** `ESMTPS` and its like; `LOCAL`; empty for a message that came by IMAP */
  protocol: string;
  /** `TLSv1.3`; null: in clear */
  tls: string | null;
  recipients: readonly TraceRecipient[];
  /** of an attempt: how many recipients it had; more than are kept */
  recipientCount: number;
  /** of the message; null for an attempt */
  key: KeyRef | null;
  /** of an attempt */
  refusal: {
    stage: TraceStage;
    code: number;
    enhanced: string;
    /** without the codes */
    text: string;
    /** a word for the rule that refused, the name of its counter without `smtp-` */
    reason: string;
    /** names a connection */
    session: string;
    /** `day` leaves of the log when it was noted */
    dayCount: number;
  } | null;
}

/** Refusals of one day that were counted and not kept one by one. */
export interface TraceTally {
  /** days since 1970 */
  day: number;
  /** an IPv4 address, the first 64 bits of an IPv6 address; empty: of several peers */
  network: string;
  reason: string;
  code: number;
  enhanced: string;
  count: number;
  firstMs: number;
  lastMs: number;
  /** `day` leaves of the log when it was noted last */
  dayCount: number;
}

export type TraceCriterion =
  | { readonly field: 'from' | 'author' | 'to'; readonly range: KeyRange }
  | { readonly field: 'peer'; readonly first: string; readonly last: string }
  | { readonly field: 'id' | 'sha256'; readonly prefix: string }
  | { readonly field: 'messageId' | 'session' | 'account'; readonly value: string };

/** One of these. */
export type TraceTerm = readonly TraceCriterion[];

export interface TraceQuery {
  /** all of these */
  readonly terms: readonly TraceTerm[];
  /** inclusive */
  readonly sinceMs: number | null;
  /** exclusive */
  readonly untilMs: number | null;
  /** `550`, `5.1.1`, `4` or `5`: of refusals whose code begins so; null: of all */
  readonly code: string | null;
  readonly reason: string | null;
}

export interface TraceStore {
  /** of a store made from the index: the `seq` up to which it is */
  appliedSeq(): number;
  /**
   * In one transaction: takes events that are new, copies of messages that are there, and how far the store is then. What it has
   * already stays as it is; another message with the same `seq` is replaced.
   */
  put(
    events: readonly TraceEvent[],
    copies: readonly { messageSeq: number; recipient: TraceRecipient }[],
    appliedSeq: number,
  ): void;
  /** Takes away copies whose keys were destroyed, and a message with its last one. */
  erase(keys: readonly KeyRef[]): void;
  /** messages and copies with `seq` > after, ascending, at most `limit` of each */
  page(afterSeq: number, limit: number): { seq: number; id: string | null; emailSeqs: number[] }[];
  /** Takes these away: messages, and single copies of others. */
  remove(seqs: readonly number[], copies: readonly { messageSeq: number; emailSeq: number }[]): void;
  clear(): void;

  /** the next number of an attempt */
  nextSeq(): number;
  /** Adds to a tally what was counted. */
  count(tallies: readonly TraceTally[]): void;
  /** what was kept since a time: peer and octets of each row */
  keptSince(timeMs: number): { peer: string; bytes: number }[];
  /** how many rows of tallies a day has */
  talliesOf(day: number): number;
  /**
   * Takes away at most `limit` attempts that are older than both, and all such tallies.
   *
   * @returns how many attempts went
   */
  prune(beforeMs: number, dayCount: number, limit: number): number;
  /** Takes the addresses of these ranges out of all attempts; what else they say stays. @returns attempts that were changed */
  forget(ranges: readonly KeyRange[]): number;

  /** those that are there, in the order asked */
  events(seqs: readonly number[]): TraceEvent[];
  /** newest first, at most `limit` */
  search(query: TraceQuery, limit: number): TraceEvent[];
  /** how the database finds what a query asks, step by step, as `EXPLAIN QUERY PLAN` tells it */
  explain(query: TraceQuery): string[];
  tallies(
    query: { sinceMs: number | null; untilMs: number | null; network: string | null },
    limit: number,
  ): TraceTally[];
  /** what SQLite finds wrong, and rows that are not those that were written; at most `limit` */
  faults(limit: number): { row: boolean; what: string }[];
  close(): void;
}
