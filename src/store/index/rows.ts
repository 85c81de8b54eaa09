export interface PlacementRow {
  uid: number;
  /** `seq` of the DELIVER frame: the number inside `emailId` */
  emailSeq: number;
  /** bits of the system flags, see `flagBits` */
  flags: number;
  /** positions in the mailbox's `keywords`, ascending */
  keywords: readonly number[];
  modSeq: number;
  dateMs: number;
  savedMs: number;
  uidl: string;
  /** octets of prefix and original together */
  sizeBytes: number;
}

/** A UID that was expunged. */
export interface Tombstone {
  uid: number;
  modSeq: number;
}

/** A copy that lies in no mailbox any more. */
export interface UnplacedRow {
  emailSeq: number;
  account: string;
  /** `day` leaves when its last placement went; 0 for the copies of an account that was purged */
  dayCount: number;
  /** the time then; where the clock was set back since, the time that it was set to */
  timeMs: number;
  /** MODSEQ with which it went */
  modSeq: number;
}
