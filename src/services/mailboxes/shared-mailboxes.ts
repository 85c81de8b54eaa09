import { MailboxState, type MessageFacts } from '#protocols/imap';
import type { MailstoreChange } from '#services/mailstore';
import { flagNames, type MailboxRow, type MailIndex, type PlacementRow } from '#store/index';

const pageSize = 1_000;
/** mailboxes without a session that are kept in memory, for the next SELECT or STATUS */
const unusedMax = 64;
/** messages in all of these together */
const unusedMessagesMax = 1_000_000;

/** The selected mailboxes of a process, each once. */
export class SharedMailboxes {
  readonly #index: MailIndex;
  readonly #byId = new Map<string, SharedMailbox>();
  readonly #origins = new Map<string, object>();
  #commands = 0;

  constructor(index: MailIndex) {
    this.#index = index;
  }

  /** The mailbox of a row as it is now; kept in memory while anybody uses it. */
  open(row: MailboxRow): SharedMailbox {
    const known = this.#byId.get(row.id);
    if (known !== undefined) {
      // the newest at the end
      this.#byId.delete(row.id);
      this.#byId.set(row.id, known);
      // the writer's notice may still be on its way
      if (row.highestModSeq > known.modSeq) known.follow(row.highestModSeq, null);
      return known;
    }
    const shared = new SharedMailbox(this.#index, row);
    this.#byId.set(row.id, shared);
    this.#forgetUnused();
    return shared;
  }

  loaded(id: string): SharedMailbox | null {
    return this.#byId.get(id) ?? null;
  }

  /** A name for one command's changes, by which they are known as its session's own when the writer tells of them. */
  registerOrigin(origin: object): string {
    const name = `c${++this.#commands}`;
    this.#origins.set(name, origin);
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
    this.#follow(shared, change.modSeq, this.#origins.get(change.origin) ?? null);
  }

  #follow(shared: SharedMailbox, modSeq: number, origin: object | null): void {
    shared.follow(modSeq, origin);
    if (shared.state.deleted) this.#byId.delete(shared.id);
  }

  /** Takes a mailbox away that its own account has deleted. */
  removed(id: string): void {
    const shared = this.#byId.get(id);
    this.#byId.delete(id);
    shared?.state.removed();
  }

  #forgetUnused(): void {
    const unused = [...this.#byId.values()].filter(({ state }) => state.listenerCount === 0);
    let messages = unused.reduce((sum, { state }) => sum + state.count, 0);
    let count = unused.length;
    // the last is the one that was just opened
    for (const shared of unused.slice(0, -1)) {
      if (count <= unusedMax && messages <= unusedMessagesMax) return;
      this.#byId.delete(shared.id);
      count--;
      messages -= shared.state.count;
    }
  }
}

/** One mailbox in memory, following the index. */
export class SharedMailbox {
  readonly id: string;
  readonly account: string;
  readonly state: MailboxState;
  /** the mark of `\Recent` as last heard of; it only rises */
  recentBelow: number;
  readonly #index: MailIndex;
  /** changes of flags up to here are in */
  #modSeq: number;
  #keywords: readonly string[];

  constructor(index: MailIndex, row: MailboxRow) {
    this.#index = index;
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
    for (let after = 0; ; ) {
      const page = index.placements(row.id, after, pageSize);
      for (const placement of page) {
        this.state.push(this.#facts(placement));
      }
      const last = page.at(-1);
      if (last === undefined || page.length < pageSize) break;
      after = last.uid;
    }
    // the writer went on between the pages
    this.follow(this.#modSeq, null);
  }

  get modSeq(): number {
    return this.#modSeq;
  }

  /**
   * Takes over what the index knows: new messages and those that are gone as they are now, changes of flags up to `modSeq`.
   *
   * @param origin whose command the change of exactly `modSeq` was
   */
  follow(modSeq: number, origin: object | null): void {
    const row = this.#index.mailbox(this.id);
    if (row === null) {
      this.state.removed();
      return;
    }
    if (row.recentBelow > this.recentBelow) this.recentBelow = row.recentBelow;
    this.#keywords = row.keywords;
    for (const keyword of row.keywords) this.state.spelling(keyword);
    const { changed, vanished } = this.#index.changesSince(this.id, this.#modSeq);
    const { state } = this;
    const added: PlacementRow[] = [];
    const byModSeq = new Map<number, PlacementRow[]>();
    for (const placement of changed) {
      const index = state.indexOf(placement.uid);
      if (index === -1) {
        if (state.count === 0 || placement.uid > (state.uids[state.count - 1] ?? 0)) added.push(placement);
      } else if (placement.modSeq <= modSeq && state.modSeqs[index] !== placement.modSeq) {
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
      state.flagsChanged(
        placements.map((placement) => ({ uid: placement.uid, flags: this.#flags(placement) })),
        each,
        each === modSeq ? origin : null,
      );
    }
    const gone = vanished.filter((uid) => state.indexOf(uid) !== -1);
    if (gone.length > 0) state.expunged(gone, Math.min(modSeq, row.highestModSeq));
    state.reserve(row.uidNext);
    this.#modSeq = Math.max(this.#modSeq, Math.min(modSeq, row.highestModSeq));
  }

  #facts(placement: PlacementRow): MessageFacts {
    return {
      uid: placement.uid,
      flags: this.#flags(placement),
      modSeq: placement.modSeq,
      sizeBytes: placement.sizeBytes,
      internalDateMs: placement.dateMs,
      key: placement.emailSeq,
    };
  }

  #flags(placement: PlacementRow): string[] {
    return flagNames(placement.flags, placement.keywords, this.#keywords);
  }
}
