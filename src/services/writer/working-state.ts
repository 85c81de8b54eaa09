import type { KeyRef, MailboxRow, MailIndex } from '#store/index';

/** system flags as bits, keywords as positions in the mailbox's list */
export interface PlacementFlags {
  bits: number;
  keywords: readonly number[];
}

export interface AccountState {
  modSeq: number;
  uidValidity: number;
  key: { ref: KeyRef; fileKey: Uint8Array } | null;
}

/** Accounts and mailboxes that are remembered between groups; beyond it they are read anew. */
const remembered = 50_000;

/**
 * Numbers as they stand after everything decided so far, the group in the making included: what the index says once it is applied.
 *
 * Only counters are here, and flags that this group changed. A command that reads placements or names waits for the next group when this
 * one already touched its account (`touched`), so that it reads them from the index.
 */
export class WorkingState {
  readonly #index: MailIndex;
  readonly #fileKeyOf: (ref: KeyRef) => Promise<Uint8Array | null>;
  readonly #accounts = new Map<string, AccountState>();
  readonly #mailboxes = new Map<string, { account: string; uidNext: number; uidValidity: number }>();
  readonly #inboxes = new Map<string, string>();
  /** mailboxes and accounts that a group took away: the index may not know it yet; their ids are never used again */
  readonly #gone = new Set<string>();
  /** mailboxes' rows as the index has them while a group is made */
  readonly #rows = new Map<string, MailboxRow | null>();
  readonly touched = new Set<string>();
  /** accounts in whose mailboxes this group changed flags, and nothing else that is read as rows */
  readonly flagged = new Set<string>();
  /** by mailbox: what this group made of the flags of its messages */
  readonly #flags = new Map<
    string,
    { modSeq: number; after: Map<number, PlacementFlags & { modSeq: number }> }
  >();

  constructor(index: MailIndex, fileKeyOf: (ref: KeyRef) => Promise<Uint8Array | null>) {
    this.#index = index;
    this.#fileKeyOf = fileKeyOf;
  }

  /** To be called between groups: what is decided next reads what is applied. */
  beginGroup(): void {
    this.touched.clear();
    this.flagged.clear();
    this.#flags.clear();
    this.#gone.clear();
    this.#rows.clear();
    for (const map of [this.#accounts, this.#mailboxes, this.#inboxes])
      if (map.size > remembered) map.clear();
  }

  /** Throws away what was decided but not stored. */
  forget(): void {
    this.flagged.clear();
    this.#flags.clear();
    this.#accounts.clear();
    this.#mailboxes.clear();
    this.#inboxes.clear();
  }

  /** Brings in what a decision about these accounts will need; the only part that may wait for a disk. */
  async prepare(accounts: Iterable<string>): Promise<void> {
    for (const id of accounts) {
      if (this.#accounts.get(id)?.key != null) continue;
      const counters = this.#index.accountCounters(id);
      const ref = this.#index.accountKey(id);
      const fileKey = ref === null ? null : await this.#fileKeyOf(ref);
      this.#accounts.set(id, {
        ...counters,
        key: ref === null || fileKey === null ? null : { ref, fileKey },
      });
    }
  }

  /** A new account, before its first frame. */
  openAccount(id: string, key: { ref: KeyRef; fileKey: Uint8Array }): void {
    this.#accounts.set(id, { modSeq: 0, uidValidity: 0, key });
  }

  account(id: string): AccountState {
    const known = this.#accounts.get(id);
    if (known === undefined) throw new Error(`account ${id} was not prepared`);
    return known;
  }

  /** The next MODSEQ of an account for a frame at `seq`: never falls, also after a lossy restore. */
  nextModSeq(id: string, seq: number): number {
    const account = this.account(id);
    account.modSeq = Math.max(seq, account.modSeq + 1);
    return account.modSeq;
  }

  nextUidValidity(id: string, nowMs: number): number {
    const account = this.account(id);
    account.uidValidity = Math.max(Math.floor(nowMs / 1_000), account.uidValidity + 1);
    return account.uidValidity;
  }

  inbox(account: string): string | null {
    if (this.#gone.has(account)) return null;
    const known = this.#inboxes.get(account);
    if (known !== undefined) return known;
    const row = this.#index.mailboxByName(account, 'INBOX');
    if (row === null) return null;
    this.#inboxes.set(account, row.id);
    return row.id;
  }

  /** The mailbox that suspicious mail goes to; null where the account has none any more. */
  junk(account: string): string | null {
    if (this.#gone.has(account)) return null;
    const row = this.#index.mailboxes(account).find(({ role }) => role === 'Junk');
    return row === undefined || this.#gone.has(row.id) ? null : row.id;
  }

  mailbox(id: string): { account: string; uidNext: number; uidValidity: number } | null {
    if (this.#gone.has(id)) return null;
    const known = this.#mailboxes.get(id);
    if (known !== undefined) return known;
    const row = this.#index.mailbox(id);
    if (row === null) return null;
    const { account, uidNext, uidValidity } = row;
    const fresh = { account, uidNext, uidValidity };
    this.#mailboxes.set(id, fresh);
    return fresh;
  }

  /** A mailbox's row before this group: read once, however many decisions of the group ask. */
  row(id: string): MailboxRow | null {
    const known = this.#rows.get(id);
    if (known !== undefined) return known;
    const row = this.#index.mailbox(id);
    this.#rows.set(id, row);
    return row;
  }

  takeUid(mailbox: string): number {
    const state = this.mailbox(mailbox);
    if (state === null) throw new Error(`mailbox ${mailbox} is not there`);
    const uid = state.uidNext;
    state.uidNext += 1;
    return uid;
  }

  /** What this group changed of a mailbox's flags so far, and with which MODSEQ last; null for nothing. */
  pendingFlags(
    mailbox: string,
  ): { modSeq: number; after: ReadonlyMap<number, PlacementFlags & { modSeq: number }> } | null {
    return this.#flags.get(mailbox) ?? null;
  }

  /** Flags of some messages as they are after a change of this group: the next change of flags may share it. */
  changeFlags(
    account: string,
    mailbox: string,
    modSeq: number,
    after: Iterable<readonly [uid: number, flags: PlacementFlags]>,
  ): void {
    this.flagged.add(account);
    let pending = this.#flags.get(mailbox);
    if (pending === undefined) {
      pending = { modSeq, after: new Map() };
      this.#flags.set(mailbox, pending);
    }
    pending.modSeq = modSeq;
    for (const [uid, flags] of after) pending.after.set(uid, { ...flags, modSeq });
  }

  /** An account is gone, its key with it. */
  closeAccount(id: string): void {
    this.#gone.add(id);
    this.#accounts.delete(id);
    this.#inboxes.delete(id);
  }

  /** A mailbox is gone: nothing is put into it any more. */
  dropMailbox(row: Pick<MailboxRow, 'id' | 'account'>): void {
    this.#gone.add(row.id);
    this.#mailboxes.delete(row.id);
    if (this.#inboxes.get(row.account) === row.id) this.#inboxes.delete(row.account);
  }
}
