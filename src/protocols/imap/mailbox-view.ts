import type { Features } from './features.ts';
import { type FlagSet, lowerBound, type MailboxState, systemFlag } from './mailbox-state.ts';
import { type NumberSet, rangesHold, resolveNumberSet, savedResult } from './number-set.ts';
import type { SelectedMailbox } from './store.ts';
import { wireSet } from './wire.ts';

/**
 * What one session has been told of its selected mailbox: which messages, in which order, up to which change.
 *
 * Keeps references into the shared state; an idle session costs a few numbers.
 */
export class MailboxView {
  readonly mailbox: SelectedMailbox;
  readonly readOnly: boolean;
  readonly features: Features;
  /** when it was selected */
  readonly uidNext: number;
  /** every change up to this MODSEQ has been told */
  toldModSeq: number;
  uids: Uint32Array;
  count: number;
  #generation: number;
  #flagPosition: number;
  #modSeq: number;
  #keywordCount: number;
  /** ranges of uids that are recent here: first, last, … */
  #recent: number[] = [];
  #recentTold = 0;
  /** uids that the last SEARCH with SAVE found, ascending */
  savedUids: readonly number[] = [];

  /** Sees everything that the mailbox has now. */
  constructor(mailbox: SelectedMailbox, readOnly: boolean, features: Features) {
    const { state } = mailbox;
    this.mailbox = mailbox;
    this.readOnly = readOnly;
    this.features = features;
    this.toldModSeq = state.wholeModSeq;
    this.uidNext = state.uidNext;
    this.uids = state.uids;
    this.count = state.count;
    this.#generation = state.generation;
    this.#flagPosition = state.flagPosition;
    this.#modSeq = state.wholeModSeq;
    this.#keywordCount = state.keywords.length;
  }

  get state(): MailboxState {
    return this.mailbox.state;
  }

  /** Whether messages are gone that this session still numbers. */
  get expungesWait(): boolean {
    return this.#generation !== this.state.generation;
  }

  /** Whether there is anything to tell. */
  get behind(): boolean {
    return (
      this.expungesWait ||
      this.count !== this.state.count ||
      this.#flagPosition !== this.state.flagPosition ||
      this.#keywordCount !== this.state.keywords.length
    );
  }

  uidAt(index: number): number {
    return this.uids[index] ?? 0;
  }

  /** The sequence number of a uid, or 0. */
  seqOf(uid: number): number {
    const index = lowerBound(this.uids, this.count, uid);
    return index < this.count && this.uids[index] === uid ? index + 1 : 0;
  }

  /** Where the message is in the state now, or −1 when it is gone. */
  stateIndexAt(index: number): number {
    return this.expungesWait ? this.state.indexOf(this.uidAt(index)) : index;
  }

  /** The flags now, or null for a message that is gone. */
  flagsAt(index: number): FlagSet | null {
    return this.state.flagSets[this.stateIndexAt(index)] ?? null;
  }

  flagText(flags: FlagSet, uid: number): string {
    return this.isRecent(uid) && !this.features.rev2 ? flags.textWithRecent : flags.text;
  }

  isRecent(uid: number): boolean {
    return this.#recent.length > 0 && rangesHold(this.#recent, uid);
  }

  get recentCount(): number {
    let count = 0;
    for (let at = 0; at < this.#recent.length; at += 2) {
      const from = lowerBound(this.uids, this.count, this.#recent[at] ?? 0);
      count += lowerBound(this.uids, this.count, (this.#recent[at + 1] ?? 0) + 1) - from;
    }
    return count;
  }

  /** Claims `\Recent` for the messages seen from an index on. */
  async claimRecent(fromIndex: number): Promise<void> {
    if (fromIndex >= this.count) return;
    const last = this.uidAt(this.count - 1);
    let claimed: number;
    try {
      claimed = await this.mailbox.claimRecent(last + 1, this.readOnly);
    } catch {
      // who may call it recent cannot be known now: nobody does, and the mail itself is shown all the same
      return;
    }
    const first = Math.max(claimed, this.uidAt(fromIndex));
    if (first > last) return;
    const end = this.#recent.length - 1;
    // the uids between two claims were nobody's or are gone
    if (end > 0 && (this.#recent[end] ?? 0) + 1 >= first) this.#recent[end] = last;
    else this.#recent.push(first, last);
  }

  /** Index of the first message without `\Seen`, or −1. */
  firstUnseen(): number {
    for (let index = 0; index < this.count; index++) {
      const flags = this.flagsAt(index);
      if (flags !== null && (flags.system & systemFlag.seen) === 0) return index;
    }
    return -1;
  }

  /** The messages that have a system flag, ascending. */
  uidsWith(bit: number): number[] {
    const uids: number[] = [];
    for (let index = 0; index < this.count; index++) {
      if (((this.flagsAt(index)?.system ?? 0) & bit) !== 0) uids.push(this.uidAt(index));
    }
    return uids;
  }

  /**
   * The indices that a set means, as ranges of indices.
   *
   * @returns null where a sequence number has no message
   */
  rangesOf(set: NumberSet, byUid: boolean): number[] | null {
    if (set === savedResult) return this.#savedRanges();
    if (this.count === 0) return byUid || set.includes(0) ? [] : null;
    const ranges = resolveNumberSet(set, byUid ? this.uidAt(this.count - 1) : this.count);
    if (!byUid) {
      if ((ranges[ranges.length - 1] ?? 0) > this.count) return null;
      for (let at = 0; at < ranges.length; at++) ranges[at] = (ranges[at] ?? 0) - 1;
      return ranges;
    }
    const found: number[] = [];
    for (let at = 0; at < ranges.length; at += 2) {
      const first = lowerBound(this.uids, this.count, ranges[at] ?? 0);
      const last = lowerBound(this.uids, this.count, (ranges[at + 1] ?? 0) + 1) - 1;
      if (first <= last) found.push(first, last);
    }
    return found;
  }

  /** As `rangesOf`, numbers without a message being left out. */
  knownRangesOf(set: NumberSet, byUid: boolean): readonly number[] {
    if (byUid || set === savedResult) return this.rangesOf(set, true) ?? [];
    if (this.count === 0) return [];
    const ranges = resolveNumberSet(set, this.count);
    const known: number[] = [];
    for (let at = 0; at < ranges.length; at += 2) {
      const first = ranges[at] ?? 0;
      const last = Math.min(ranges[at + 1] ?? 0, this.count);
      if (first <= last) known.push(first - 1, last - 1);
    }
    return known;
  }

  /** RFC 5182 §2.1: what is gone since is in it no longer. */
  #savedRanges(): number[] {
    const found: number[] = [];
    for (const uid of this.savedUids) {
      const index = this.seqOf(uid) - 1;
      const end = found.length - 1;
      if (index === -1) continue;
      if (end > 0 && found[end] === index - 1) found[end] = index;
      else found.push(index, index);
    }
    return found;
  }

  /** The uids that a set means, ascending; null as `rangesOf`. */
  uidsOf(set: NumberSet, byUid: boolean): number[] | null {
    const ranges = this.rangesOf(set, byUid);
    if (ranges === null) return null;
    const uids: number[] = [];
    for (let at = 0; at < ranges.length; at += 2) {
      const last = ranges[at + 1] ?? -1;
      for (let index = ranges[at] ?? 0; index <= last; index++) uids.push(this.uidAt(index));
    }
    return uids;
  }

  /**
   * Catches up with the mailbox and returns the untagged replies that say so.
   *
   * Without `expunges` numbers stay: new messages wait behind those that are gone, flags are told at once.
   *
   * @param withUid whether FETCH replies carry the UID
   * @param early takes what can be said before it is known to whom new messages are recent, which waits for a disk
   * @source RFC 9051 §5.2, §7.5.1
   */
  async sync(expunges: boolean, withUid: boolean, early?: (text: string) => void): Promise<string> {
    const { state } = this;
    const { wholeModSeq } = state;
    if (!this.behind) {
      this.toldModSeq = wholeModSeq;
      return '';
    }
    const isWhole = expunges || !this.expungesWait;
    let text = this.expungesWait && expunges ? this.#dropExpunged() : '';
    const told = this.count;
    if (!this.expungesWait) {
      this.uids = state.uids;
      this.count = state.count;
    }
    if (this.count > told) {
      text += `* ${this.count} EXISTS\r\n`;
      if (early !== undefined) {
        early(text);
        text = '';
      }
      // the state may go on while this waits: what comes then is told the next time
      await this.claimRecent(told);
    }
    const recent = this.recentCount;
    if (recent !== this.#recentTold && !this.features.rev2) text += `* ${recent} RECENT\r\n`;
    this.#recentTold = recent;
    text += this.keywordsChanged() + this.#flagsChanged(withUid);
    if (isWhole) this.toldModSeq = wholeModSeq;
    return text;
  }

  /** What SELECT has told already. */
  recentWasTold(): void {
    this.#recentTold = this.recentCount;
  }

  /** `* FLAGS` where there are keywords that the client does not know of. */
  keywordsChanged(): string {
    if (this.#keywordCount === this.state.keywords.length) return '';
    this.#keywordCount = this.state.keywords.length;
    return this.flagsReply();
  }

  /** Which flags there are, and which can be kept. @source RFC 9051 §7.3.5, §7.1 (PERMANENTFLAGS) */
  flagsReply(): string {
    const flags = ['\\Answered', '\\Deleted', '\\Draft', '\\Flagged', '\\Seen', ...this.state.keywords].join(
      ' ',
    );
    return `* FLAGS (${flags})\r\n* OK [PERMANENTFLAGS (${this.readOnly ? '' : `${flags} \\*`})] Flags permitted\r\n`;
  }

  /** One FETCH reply with the flags of a message that is there. */
  flagsFetch(uid: number, flags: FlagSet, withUid: boolean): string {
    const { condstore, qresync, rev2 } = this.features;
    let text = `* ${this.seqOf(uid)} FETCH (FLAGS (${this.flagText(flags, uid)})`;
    if (withUid || qresync || rev2) text += ` UID ${uid}`;
    if (condstore) text += ` MODSEQ (${this.state.modSeqOf(uid)})`;
    return `${text})\r\n`;
  }

  /** One FETCH reply for a change that is not told itself: its MODSEQ. @source RFC 7162 §3.1.3 */
  modSeqFetch(uid: number, withUid: boolean): string {
    const { qresync, rev2 } = this.features;
    const named = withUid || qresync || rev2 ? `UID ${uid} ` : '';
    return `* ${this.seqOf(uid)} FETCH (${named}MODSEQ (${this.state.modSeqOf(uid)}))\r\n`;
  }

  /** The messages that are gone, lowest first: each shifts those behind it. */
  #dropExpunged(): string {
    const { state } = this;
    const gone: number[] = [];
    const goneUids: number[] = [];
    let at = 0;
    for (let index = 0; index < this.count; index++) {
      const uid = this.uids[index] ?? 0;
      while (at < state.count && (state.uids[at] ?? 0) < uid) at++;
      if (at < state.count && state.uids[at] === uid) continue;
      gone.push(index + 1);
      goneUids.push(uid);
    }
    this.uids = state.uids;
    this.count -= gone.length;
    this.#generation = state.generation;
    if (goneUids.length === 0) return '';
    // RFC 7162 §3.2.10: never both
    if (this.features.qresync) return `* VANISHED ${wireSet(goneUids)}\r\n`;
    let text = '';
    for (let index = 0; index < gone.length; index++) text += `* ${(gone[index] ?? 0) - index} EXPUNGE\r\n`;
    return text;
  }

  #flagsChanged(withUid: boolean): string {
    const { state } = this;
    if (this.#flagPosition === state.flagPosition) return '';
    const changes = state.flagChangesSince(this.#flagPosition);
    const modSeqTold = this.#modSeq;
    this.#flagPosition = state.flagPosition;
    this.#modSeq = state.wholeModSeq;
    const uids = new Set<number>();
    if (changes === null) {
      for (let index = 0; index < state.count; index++) {
        if ((state.modSeqs[index] ?? 0) > modSeqTold) uids.add(state.uids[index] ?? 0);
      }
    } else {
      for (const change of changes) {
        if (change.origin === this) continue;
        for (const uid of change.uids) uids.add(uid);
      }
    }
    let text = '';
    for (const uid of [...uids].sort((a, b) => a - b)) {
      const flags = state.flagsOf(uid);
      if (flags !== null && this.seqOf(uid) > 0) text += this.flagsFetch(uid, flags, withUid);
    }
    return text;
  }
}
