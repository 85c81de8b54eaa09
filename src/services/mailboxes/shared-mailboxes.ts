import { setImmediate } from 'node:timers/promises';
import { type FengniError, isDamage } from '#base/errors';
import {
  type FlagOperation,
  type FlagSet,
  MailboxState,
  type MessageFacts,
  unreadableKey,
} from '#protocols/imap';
import type { MailstoreChange } from '#services/mailstore';
import { flagNames, type MailboxRow, type MailIndex, type PlacementRow } from '#store/index';

const pageSize = 1_000;
/** mailboxes without a session that are kept in memory, for the next SELECT or STATUS */
const unusedMax = 64;
/** messages in all of these together */
const unusedMessagesMax = 1_000_000;
/** how far one of these may stay behind: who opens it later reads what it lacks in one go, or all of it in pages */
const unusedLagMax = 10_000;

/** A command of flags by a session of this process: what it did alone its session need not be told. */
export interface OwnChange {
  readonly origin: object;
  readonly operation: FlagOperation;
  readonly flags: readonly string[];
}

/** The selected mailboxes of a process, each once. */
export class SharedMailboxes {
  readonly #index: MailIndex;
  readonly #byId = new Map<string, SharedMailbox>();
  readonly #loading = new Map<string, { shared: SharedMailbox; done: Promise<void> }>();
  readonly #origins = new Map<string, OwnChange>();
  readonly #processName: string;
  readonly #damaged: (error: FengniError) => void;
  #commands = 0;

  /**
   * @param processName what no other process names its commands by
   * @param damaged told of every row that is not what was written
   */
  constructor(index: MailIndex, processName: string, damaged: (error: FengniError) => void) {
    this.#index = index;
    this.#processName = processName;
    this.#damaged = damaged;
  }

  /** The mailbox of a row as it is now; in memory until everybody who opened it has called `release`. */
  async open(row: MailboxRow): Promise<SharedMailbox> {
    const known = this.#byId.get(row.id);
    if (known !== undefined) {
      known.users++;
      // the newest at the end
      this.#byId.delete(row.id);
      this.#byId.set(row.id, known);
      // the writer's notice may still be on its way, and without a session none was followed
      known.recentBelow = Math.max(known.recentBelow, row.recentBelow);
      if (row.highestModSeq > known.modSeq) known.follow(row.highestModSeq, null);
      return known;
    }
    let loading = this.#loading.get(row.id);
    if (loading === undefined) {
      const shared = new SharedMailbox(this.#index, row, this.#damaged);
      loading = { shared, done: this.#load(shared) };
      this.#loading.set(row.id, loading);
    }
    loading.shared.users++;
    await loading.done;
    return loading.shared;
  }

  release(shared: SharedMailbox): void {
    shared.users--;
    this.#forgetUnused();
  }

  async #load(shared: SharedMailbox): Promise<void> {
    try {
      await shared.load();
      if (!shared.state.deleted) this.#byId.set(shared.id, shared);
    } finally {
      this.#loading.delete(shared.id);
    }
  }

  loaded(id: string): SharedMailbox | null {
    return this.#byId.get(id) ?? null;
  }

  /** A name for one command's changes, by which they are known as its session's own when the writer tells of them. */
  registerOrigin(own: OwnChange): string {
    const name = `${this.#processName}.${++this.#commands}`;
    this.#origins.set(name, own);
    return name;
  }

  forgetOrigin(name: string): void {
    this.#origins.delete(name);
  }

  /** What the writer told. */
  changed(change: MailstoreChange): void {
    if (change.account === '') {
      // the connection to the writer was lost: notices may be missing
      for (const shared of [...this.#byId.values()]) this.#follow(shared, Number.POSITIVE_INFINITY, null);
      return;
    }
    const shared = this.#byId.get(change.mailbox);
    if (shared === undefined) return;
    if (shared.users === 0) {
      // Nobody looks: mail that comes meanwhile costs this process nothing.
      if (change.modSeq - shared.modSeq > unusedLagMax) this.#byId.delete(shared.id);
      return;
    }
    this.#follow(shared, change.modSeq, this.#origins.get(change.origin) ?? null);
  }

  #follow(shared: SharedMailbox, modSeq: number, own: OwnChange | null): void {
    shared.followChange(modSeq, own);
    if (shared.state.deleted) this.#byId.delete(shared.id);
  }

  /** Takes a mailbox away that its own account has deleted. */
  removed(id: string): void {
    const shared = this.#byId.get(id);
    this.#byId.delete(id);
    shared?.state.removed();
  }

  #forgetUnused(): void {
    if (this.#byId.size <= unusedMax && this.#messages() <= unusedMessagesMax) return;
    const unused = [...this.#byId.values()].filter(({ users }) => users === 0);
    let messages = unused.reduce((sum, { state }) => sum + state.count, 0);
    let count = unused.length;
    for (const shared of unused) {
      if (count <= unusedMax && messages <= unusedMessagesMax) return;
      this.#byId.delete(shared.id);
      count--;
      messages -= shared.state.count;
    }
  }

  #messages(): number {
    let messages = 0;
    for (const { state } of this.#byId.values()) messages += state.count;
    return messages;
  }
}

/** One mailbox in memory, following the index. */
export class SharedMailbox {
  readonly id: string;
  readonly account: string;
  readonly state: MailboxState;
  /** how many have it open */
  users = 0;
  /** the mark of `\Recent` as last heard of; it only rises */
  recentBelow: number;
  /** a session asks for `\Recent`; whoever waits for it fails with it */
  recentAsked: Promise<unknown> | null = null;
  readonly #index: MailIndex;
  readonly #damaged: (error: FengniError) => void;
  /** changes of flags up to here are in */
  #modSeq: number;
  #keywords: readonly string[];
  /** uids whose flags had changed again when it was followed last */
  #later: ReadonlySet<number> = new Set();

  constructor(index: MailIndex, row: MailboxRow, damaged: (error: FengniError) => void) {
    this.#index = index;
    this.#damaged = damaged;
    this.id = row.id;
    this.account = row.account;
    this.recentBelow = row.recentBelow;
    this.#modSeq = row.highestModSeq;
    this.#keywords = row.keywords;
    this.state = new MailboxState(
      row.uidValidity,
      row.uidNext,
      row.highestModSeq,
      Math.max(16, index.countPlacements(row.id)),
    );
    for (const keyword of row.keywords) this.state.spelling(keyword);
  }

  /**
   * Reads it all. The other sessions of the process go on between the pages, and so does the writer.
   *
   * A row that is not what was written takes nothing else with it: its message keeps its place under its UID, as one that cannot be read.
   * To leave it out would tell clients that it is gone, and they would take their copies away.
   */
  async load(): Promise<void> {
    let uids: number[] | null = null;
    for (let after = 0; ; ) {
      let page: readonly (PlacementRow | Unreadable)[] = [];
      let isLast: boolean;
      try {
        if (uids === null) page = this.#index.placements(this.id, after, pageSize);
        isLast = page.length < pageSize;
      } catch (error) {
        if (!isDamage(error)) throw error;
        uids = this.#uidsAfter(after, error);
        isLast = false;
      }
      if (uids !== null) {
        page = this.#readable(uids.slice(0, pageSize));
        uids = uids.slice(pageSize);
        isLast = uids.length === 0;
      }
      this.#learnKeywords();
      for (const placement of page) this.state.push(this.#facts(placement));
      if (isLast) break;
      after = page.at(-1)?.uid ?? after;
      await setImmediate();
    }
    this.follow(Number.POSITIVE_INFINITY, null);
  }

  /**
   * All uids after one, as the rows say that are to be read each by itself then.
   *
   * @throws `error` when they are not as many as there are rows
   */
  #uidsAfter(after: number, error: FengniError): number[] {
    const uids = this.#changedUids('placement', -1);
    const isWhole =
      uids.length === this.#index.countPlacements(this.id) &&
      uids.every((uid) => Number.isInteger(uid) && uid > 0 && uid <= 0xffff_ffff);
    if (!isWhole) throw error;
    return uids.filter((uid) => uid > after).sort((a, b) => a - b);
  }

  #changedUids(what: 'placement' | 'tombstone', afterModSeq: number): number[] {
    const uids: number[] = [];
    for (let after = { modSeq: afterModSeq, uid: 0xffff_ffff }; ; ) {
      const page = this.#index.changedUids(this.id, what, after.modSeq, after.uid, pageSize);
      for (const { uid } of page) uids.push(uid);
      const last = page.at(-1);
      if (last === undefined || page.length < pageSize) return uids;
      after = last;
    }
  }

  /** Those of these that are there. */
  #readable(uids: readonly number[]): (PlacementRow | Unreadable)[] {
    return uids.flatMap((uid): readonly (PlacementRow | Unreadable)[] => {
      try {
        return this.#index.placementsByUid(this.id, [uid]);
      } catch (error) {
        if (!isDamage(error)) throw error;
        this.#damaged(error);
        return [{ uid, isUnreadable: true }];
      }
    });
  }

  /** As the index tells it; what is gone but for a row that cannot be read is not gone. */
  #changesSince(modSeq: number): {
    changed: readonly (PlacementRow | Unreadable)[];
    vanished: readonly number[];
  } {
    try {
      return this.#index.changesSince(this.id, modSeq);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    return {
      changed: this.#readable(this.#changedUids('placement', modSeq).sort((a, b) => a - b)),
      vanished: this.#changedUids('tombstone', modSeq).filter((uid) => this.#readable([uid]).length === 0),
    };
  }

  get modSeq(): number {
    return this.#modSeq;
  }

  /**
   * As `follow` for a change whose MODSEQ is known: what is in already is not asked for again. A command hears of its own change by the
   * writer's notice and by its answer.
   */
  followChange(modSeq: number, own: OwnChange | null): ReadonlySet<number> {
    return modSeq <= this.#modSeq ? this.#later : this.follow(modSeq, own);
  }

  /**
   * Takes over what the index knows: new messages and those that are gone as they are now, changes of flags up to `modSeq`.
   *
   * @param own the command that the change of exactly `modSeq` came from; what others changed in the same messages before it, unheard
   *   here, is nobody's own
   * @returns uids whose flags changed again after `modSeq`: they stay as they were until that is followed too
   */
  follow(modSeq: number, own: OwnChange | null): ReadonlySet<number> {
    const later = new Set<number>();
    this.#later = later;
    const row = this.#index.mailbox(this.id);
    if (row === null) {
      this.state.removed();
      return later;
    }
    if (row.recentBelow > this.recentBelow) this.recentBelow = row.recentBelow;
    const { changed, vanished } = this.#changesSince(this.#modSeq);
    this.#learnKeywords();
    const { state } = this;
    const added: (PlacementRow | Unreadable)[] = [];
    const byModSeq = new Map<number, PlacementRow[]>();
    for (const placement of changed) {
      const index = state.indexOf(placement.uid);
      if (index === -1) {
        if (state.count === 0 || placement.uid > (state.uids[state.count - 1] ?? 0)) added.push(placement);
      } else if (isUnreadable(placement)) {
        // what is in memory was read when it was whole
      } else if (placement.modSeq > modSeq) later.add(placement.uid);
      else if (state.modSeqs[index] !== placement.modSeq) {
        const same = byModSeq.get(placement.modSeq);
        if (same === undefined) byModSeq.set(placement.modSeq, [placement]);
        else same.push(placement);
      }
    }
    added.sort((a, b) => a.uid - b.uid);
    if (added.length > 0) {
      state.appended(added.map((placement) => this.#facts(placement)));
    }
    for (const [each, placements] of [...byModSeq].sort(([a], [b]) => a - b)) {
      const mine: { uid: number; flags: string[] }[] = [];
      const others: { uid: number; flags: string[] }[] = [];
      for (const placement of placements) {
        const change = { uid: placement.uid, flags: this.#flags(placement) };
        const isMine = each === modSeq && own !== null && this.#isAllOf(own, change);
        (isMine ? mine : others).push(change);
      }
      if (others.length > 0) state.flagsChanged(others, each, null);
      if (mine.length > 0) state.flagsChanged(mine, each, own?.origin ?? null);
    }
    const gone = vanished.filter((uid) => state.indexOf(uid) !== -1);
    if (gone.length > 0) state.expunged(gone, Math.min(modSeq, row.highestModSeq));
    state.reserve(row.uidNext);
    this.#modSeq = Math.max(this.#modSeq, Math.min(modSeq, row.highestModSeq));
    state.settle(this.#modSeq);
    return later;
  }

  /** Whether a command alone made these flags of what was known before. */
  #isAllOf({ operation, flags }: OwnChange, change: { uid: number; flags: readonly string[] }): boolean {
    const { state } = this;
    const before = state.flagsOf(change.uid);
    return (
      before !== null && state.flagSet(change.flags) === state.flagSet(changed(before, operation, flags))
    );
  }

  /** After rows were read: none of them has a keyword that is not known then. */
  #learnKeywords(): void {
    const keywords = this.#index.mailbox(this.id)?.keywords;
    if (keywords === undefined || keywords.length === this.#keywords.length) return;
    this.#keywords = keywords;
    for (const keyword of keywords) this.state.spelling(keyword);
  }

  #facts(placement: PlacementRow | Unreadable): MessageFacts {
    if (isUnreadable(placement)) return { ...unreadable, uid: placement.uid };
    return {
      uid: placement.uid,
      flags: this.#flags(placement),
      modSeq: placement.modSeq,
      sizeBytes: placement.sizeBytes,
      internalDateMs: placement.dateMs,
      savedMs: placement.savedMs,
      key: placement.emailSeq,
    };
  }

  #flags(placement: PlacementRow): string[] {
    return flagNames(placement.flags, placement.keywords, this.#keywords);
  }
}

/** A message whose row is not what was written. */
interface Unreadable {
  readonly uid: number;
  readonly isUnreadable: true;
}

const isUnreadable = (row: PlacementRow | Unreadable): row is Unreadable => 'isUnreadable' in row;

const unreadable: Omit<MessageFacts, 'uid'> = {
  flags: [],
  modSeq: 0,
  sizeBytes: 0,
  internalDateMs: 0,
  savedMs: 0,
  key: unreadableKey,
};

const changed = (before: FlagSet, operation: FlagOperation, flags: readonly string[]): readonly string[] => {
  if (operation === 'replace') return flags;
  const names = before.text === '' ? [] : before.text.split(' ');
  if (operation === 'add') return [...names, ...flags];
  const folded = new Set(flags.map((flag) => flag.toLowerCase()));
  return names.filter((name) => !folded.has(name.toLowerCase()));
};
