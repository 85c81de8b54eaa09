import { strict as assert } from 'node:assert';

/** The flags of a message, shared by all messages that have the same ones. */
export interface FlagSet {
  /** bits of `systemFlag` */
  readonly system: number;
  readonly keywords: readonly string[];
  /** the list without its parentheses, one octet a character */
  readonly text: string;
  readonly textWithRecent: string;
}

export const systemFlag = { answered: 1, deleted: 2, draft: 4, flagged: 8, seen: 16 } as const;

const systemNames: readonly (readonly [number, string])[] = [
  [systemFlag.answered, '\\Answered'],
  [systemFlag.deleted, '\\Deleted'],
  [systemFlag.draft, '\\Draft'],
  [systemFlag.flagged, '\\Flagged'],
];
const bitOfName = new Map<string, number>([
  ['\\answered', systemFlag.answered],
  ['\\deleted', systemFlag.deleted],
  ['\\draft', systemFlag.draft],
  ['\\flagged', systemFlag.flagged],
  ['\\seen', systemFlag.seen],
]);

/** The bit of a system flag in any case, or 0. */
export const systemFlagBit = (name: string): number => bitOfName.get(name.toLowerCase()) ?? 0;

/** How many changes of flags are remembered; a session further behind looks through the whole mailbox once. */
const flagChangesMax = 1024;
/** How many different sets of flags are shared before the table is begun anew. */
const flagSetsMax = 4096;

/** Something that waits for a mailbox to change; called with no reason to wait for it, and never during a call into the mailbox. */
export interface MailboxListener {
  mailboxChanged(): void;
}

/** A message as it comes into a mailbox. */
export interface MessageFacts {
  readonly uid: number;
  readonly flags: readonly string[];
  readonly modSeq: number;
  readonly sizeBytes: number;
  /** milliseconds since 1970, shown as whole seconds */
  readonly internalDateMs: number;
  /** when it came into this mailbox */
  readonly savedMs: number;
  /** the store's own number for what lies behind the message */
  readonly key: number;
}

/** The key of a message of which nothing but its UID is known: what the store has of it is damaged. It is told, never shown. */
export const unreadableKey = -1;

export interface FlagChange {
  readonly uids: readonly number[];
  readonly origin: object | null;
}

/**
 * A mailbox as it is durable, in the memory of one process, shared by all sessions that selected it.
 *
 * Whoever holds `uids` and a `count` may go on reading them: arrays only grow behind `count`, and an expunge makes new ones.
 * Uids ascend. Listeners are told after each change.
 */
export class MailboxState {
  readonly uidValidity: number;
  uidNext: number;
  uids: Uint32Array;
  count = 0;
  /** by index, like `uids` */
  flagSets: FlagSet[] = [];
  modSeqs: Float64Array;
  sizes: Float64Array;
  dates: Float64Array;
  saved: Float64Array;
  keys: Float64Array;
  /** of all that is here */
  highestModSeq: number;
  #wholeModSeq: number | null = null;
  /** rises with every expunge */
  generation = 0;
  deleted = false;
  /** keywords that some message has or had, in the order first seen */
  readonly keywords: string[] = [];
  /** position of the next change of flags */
  flagPosition = 0;
  #changes: FlagChange[] = [];
  #spellings = new Map<string, string>();
  #sets = new Map<string, FlagSet>();
  readonly #listeners = new Set<MailboxListener>();

  constructor(uidValidity: number, uidNext: number, highestModSeq: number, capacity = 16) {
    this.uidValidity = uidValidity;
    this.uidNext = uidNext;
    this.highestModSeq = highestModSeq;
    this.uids = new Uint32Array(capacity);
    this.modSeqs = new Float64Array(capacity);
    this.sizes = new Float64Array(capacity);
    this.dates = new Float64Array(capacity);
    this.saved = new Float64Array(capacity);
    this.keys = new Float64Array(capacity);
  }

  addListener(listener: MailboxListener): void {
    this.#listeners.add(listener);
  }

  removeListener(listener: MailboxListener): void {
    this.#listeners.delete(listener);
  }

  /** Index of a uid, or −1. */
  indexOf(uid: number): number {
    const index = lowerBound(this.uids, this.count, uid);
    return index < this.count && this.uids[index] === uid ? index : -1;
  }

  /** How many messages have this uid or a higher one. */
  countFrom(uid: number): number {
    return this.count - lowerBound(this.uids, this.count, uid);
  }

  /** Every change up to this MODSEQ is in: what a client may be told as HIGHESTMODSEQ. */
  get wholeModSeq(): number {
    return this.#wholeModSeq ?? this.highestModSeq;
  }

  /** For a store whose changes come in parts: they are in up to here. */
  settle(modSeq: number): void {
    this.#wholeModSeq = modSeq;
  }

  /** MODSEQ of a message, or 0 when it is gone. */
  modSeqOf(uid: number): number {
    return this.modSeqs[this.indexOf(uid)] ?? 0;
  }

  /** The store's number for a message, or null when it is gone. */
  keyOf(uid: number): number | null {
    return this.keys[this.indexOf(uid)] ?? null;
  }

  /** Whether nothing but the UID of the message at this index is known. */
  isUnreadable(index: number): boolean {
    return this.keys[index] === unreadableKey;
  }

  flagsOf(uid: number): FlagSet | null {
    const index = this.indexOf(uid);
    return index === -1 ? null : (this.flagSets[index] ?? null);
  }

  /** The shared set of these flags; keywords get the spelling first seen. `\Recent` and unknown system flags are left out. */
  flagSet(flags: readonly string[]): FlagSet {
    let system = 0;
    const keywords: string[] = [];
    for (const flag of flags) {
      if (flag.startsWith('\\')) system |= systemFlagBit(flag);
      else {
        const keyword = this.spelling(flag);
        if (!keywords.includes(keyword)) keywords.push(keyword);
      }
    }
    keywords.sort();
    const key = `${system} ${keywords.join(' ')}`;
    const known = this.#sets.get(key);
    if (known !== undefined) return known;
    if (this.#sets.size >= flagSetsMax) this.#sets.clear();
    const before = systemNames.filter(([bit]) => (system & bit) !== 0).map(([, name]) => name);
    const after = [...((system & systemFlag.seen) !== 0 ? ['\\Seen'] : []), ...keywords];
    const set: FlagSet = {
      system,
      keywords,
      text: [...before, ...after].join(' '),
      textWithRecent: [...before, '\\Recent', ...after].join(' '),
    };
    this.#sets.set(key, set);
    return set;
  }

  /** A keyword as this mailbox spells it; one not yet seen is remembered. */
  spelling(keyword: string): string {
    const folded = keyword.toLowerCase();
    const known = this.#spellings.get(folded);
    if (known !== undefined) return known;
    this.#spellings.set(folded, keyword);
    this.keywords.push(keyword);
    return keyword;
  }

  hasKeyword(keyword: string): boolean {
    return this.#spellings.has(keyword.toLowerCase());
  }

  /** Adds a message behind all others without telling anybody: for loading, and before `told`. */
  push({ uid, flags, modSeq, sizeBytes, internalDateMs, savedMs, key }: MessageFacts): void {
    assert(this.count === 0 || uid > (this.uids[this.count - 1] ?? 0), 'uids ascend');
    if (this.count === this.uids.length) this.#grow();
    this.uids[this.count] = uid;
    this.modSeqs[this.count] = modSeq;
    this.sizes[this.count] = sizeBytes;
    this.dates[this.count] = internalDateMs;
    this.saved[this.count] = savedMs;
    this.keys[this.count] = key;
    this.flagSets[this.count] = this.flagSet(flags);
    this.count++;
    if (uid >= this.uidNext) this.uidNext = uid + 1;
    if (modSeq > this.highestModSeq) this.highestModSeq = modSeq;
  }

  /** New mail, durable. */
  appended(messages: readonly MessageFacts[]): void {
    for (const message of messages) this.push(message);
    this.told();
  }

  /** New flags of messages, durable; uids that are not here are left out. */
  flagsChanged(
    changes: readonly { uid: number; flags: readonly string[] }[],
    modSeq: number,
    origin: object | null,
  ): void {
    const uids: number[] = [];
    for (const { uid, flags } of changes) {
      const index = this.indexOf(uid);
      if (index === -1) continue;
      this.flagSets[index] = this.flagSet(flags);
      this.modSeqs[index] = modSeq;
      uids.push(uid);
    }
    if (modSeq > this.highestModSeq) this.highestModSeq = modSeq;
    if (uids.length === 0) return;
    this.#changes.push({ uids, origin });
    this.flagPosition++;
    if (this.#changes.length >= 2 * flagChangesMax) this.#changes = this.#changes.slice(flagChangesMax);
    this.told();
  }

  /** Changes of flags from a position on, or null where they are no longer known. */
  flagChangesSince(position: number): readonly FlagChange[] | null {
    const behind = this.flagPosition - position;
    if (behind > this.#changes.length) return null;
    return behind === 0 ? [] : this.#changes.slice(this.#changes.length - behind);
  }

  /** Messages that are gone, durable. */
  expunged(uids: readonly number[], modSeq: number): void {
    const gone = new Set(uids);
    const kept = new Uint32Array(this.uids.length);
    const modSeqs = new Float64Array(this.uids.length);
    const sizes = new Float64Array(this.uids.length);
    const dates = new Float64Array(this.uids.length);
    const saved = new Float64Array(this.uids.length);
    const keys = new Float64Array(this.uids.length);
    const flagSets: FlagSet[] = [];
    let count = 0;
    for (let index = 0; index < this.count; index++) {
      const uid = this.uids[index] ?? 0;
      const flags = this.flagSets[index];
      if (gone.has(uid) || flags === undefined) continue;
      kept[count] = uid;
      modSeqs[count] = this.modSeqs[index] ?? 0;
      sizes[count] = this.sizes[index] ?? 0;
      dates[count] = this.dates[index] ?? 0;
      saved[count] = this.saved[index] ?? 0;
      keys[count] = this.keys[index] ?? 0;
      flagSets.push(flags);
      count++;
    }
    if (modSeq > this.highestModSeq) this.highestModSeq = modSeq;
    if (count === this.count) return;
    this.uids = kept;
    this.modSeqs = modSeqs;
    this.sizes = sizes;
    this.dates = dates;
    this.saved = saved;
    this.keys = keys;
    this.flagSets = flagSets;
    this.count = count;
    this.generation++;
    this.told();
  }

  /** UIDs below this one have been given, also to messages that are gone. */
  reserve(uidNext: number): void {
    if (uidNext > this.uidNext) this.uidNext = uidNext;
  }

  /** The mailbox is no more: its sessions end. */
  removed(): void {
    this.deleted = true;
    this.told();
  }

  told(): void {
    for (const listener of this.#listeners) listener.mailboxChanged();
  }

  #grow(): void {
    const capacity = Math.max(16, this.uids.length * 2);
    const uids = new Uint32Array(capacity);
    uids.set(this.uids);
    this.uids = uids;
    this.modSeqs = grown(this.modSeqs, capacity);
    this.sizes = grown(this.sizes, capacity);
    this.dates = grown(this.dates, capacity);
    this.saved = grown(this.saved, capacity);
    this.keys = grown(this.keys, capacity);
  }
}

const grown = (values: Float64Array, capacity: number): Float64Array => {
  const larger = new Float64Array(capacity);
  larger.set(values);
  return larger;
};

/** The first index whose value is at least `value`. */
export const lowerBound = (values: Uint32Array, count: number, value: number): number => {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
};
