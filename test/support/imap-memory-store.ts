import { latin1 } from '#base/bytes';
import { bodyStructure, envelope, type MessageStructure, messageText, parseMessage } from '#message';
import {
  type AccountSession,
  type AppendSink,
  type Credentials,
  type Done,
  type ImapLogin,
  type MailboxInfo,
  type MailboxRole,
  MailboxState,
  type MailboxStatus,
  type MessageFacts,
  type MessageTexts,
  type OpenedBody,
  type Refused,
  type SelectedMailbox,
  systemFlag,
} from '#protocols/imap';

/** The port of `#protocols/imap` on plain memory: what its tests run on. */

export interface MemoryMessage {
  readonly uid: number;
  octets: Uint8Array;
  readonly texts: MessageTexts;
  readonly structure: MessageStructure;
  /** the body is refused as damaged; with a number: only its octets from there on are */
  damaged: boolean | number;
}

export interface MemoryMailbox {
  name: string;
  readonly state: MailboxState;
  readonly messages: Map<number, MemoryMessage>;
  /** MODSEQ by uid of what is gone */
  readonly vanished: Map<number, number>;
  recentBelow: number;
  role: MailboxRole | null;
}

const refused = (code: string | null, text: string): Refused => ({ kind: 'refused', code, text });
const done: Done = { kind: 'done' };
const roles: readonly MailboxRole[] = ['Archive', 'Drafts', 'Junk', 'Sent', 'Trash'];

export interface MemoryAccountOptions {
  /** waits before each answer: for interleavings */
  pause?: () => Promise<void>;
  nowMs?: () => number;
  roles?: boolean;
  appendBytesMax?: number;
}

export class MemoryAccount {
  readonly mailboxes = new Map<string, MemoryMailbox>();
  readonly subscriptions = new Set<string>();
  readonly options: MemoryAccountOptions;
  #uidValidity = 1000;
  #modSeq = 1;

  constructor(options: MemoryAccountOptions = {}) {
    this.options = options;
    this.make('INBOX');
    if (options.roles === true) {
      for (const role of roles) {
        this.make(role).role = role;
        this.subscriptions.add(role);
      }
    }
  }

  nextModSeq(): number {
    return ++this.#modSeq;
  }

  async pause(): Promise<void> {
    await this.options.pause?.();
  }

  make(name: string): MemoryMailbox {
    const mailbox: MemoryMailbox = {
      name,
      state: new MailboxState(++this.#uidValidity, 1, 1),
      messages: new Map(),
      vanished: new Map(),
      recentBelow: 1,
      role: null,
    };
    this.mailboxes.set(name, mailbox);
    return mailbox;
  }

  /** Delivers octets at once. */
  add(
    name: string,
    octets: Uint8Array,
    flags: readonly string[] = [],
    internalDateMs: number | null = null,
  ): number {
    const mailbox = this.mailboxes.get(name) ?? this.make(name);
    const uid = mailbox.state.uidNext;
    const parsed = parseMessage(octets);
    const texts: MessageTexts = {
      envelope: latin1(envelope(parsed)),
      body: latin1(bodyStructure(parsed, 'basic')),
      bodyStructure: latin1(bodyStructure(parsed)),
    };
    mailbox.messages.set(uid, { uid, octets, texts, structure: parsed, damaged: false });
    mailbox.state.appended([
      {
        uid,
        flags,
        modSeq: this.nextModSeq(),
        sizeBytes: octets.length,
        internalDateMs: internalDateMs ?? this.options.nowMs?.() ?? 0,
        savedMs: this.options.nowMs?.() ?? 0,
        key: uid,
      },
    ]);
    return uid;
  }
}

export class MemoryLogin implements ImapLogin {
  readonly accounts = new Map<string, { password: string; account: MemoryAccount }>();

  async verify({
    authenticationId,
    password,
  }: Credentials): Promise<{ kind: 'granted'; account: AccountSession } | Refused> {
    const known = this.accounts.get(authenticationId);
    if (known?.password !== password) return refused('AUTHENTICATIONFAILED', 'Wrong name or password');
    return { kind: 'granted', account: new MemorySession(authenticationId, known.account) };
  }
}

class MemorySession implements AccountSession {
  readonly accountId: string;
  readonly #account: MemoryAccount;

  constructor(accountId: string, account: MemoryAccount) {
    this.accountId = accountId;
    this.#account = account;
  }

  async list(): Promise<readonly MailboxInfo[]> {
    await this.#account.pause();
    const { mailboxes, subscriptions } = this.#account;
    const infos: MailboxInfo[] = [...mailboxes.values()].map(({ name, role }) => ({
      name,
      selectable: true,
      exists: true,
      subscribed: subscriptions.has(name),
      role,
    }));
    for (const name of subscriptions) {
      if (mailboxes.has(name)) continue;
      infos.push({ name, selectable: false, exists: false, subscribed: true, role: null });
    }
    return infos;
  }

  async create(
    name: string,
    role: MailboxRole | null = null,
  ): Promise<{ kind: 'done'; mailboxId: string } | Refused> {
    await this.#account.pause();
    if (role !== null && [...this.#account.mailboxes.values()].some((each) => each.role === role)) {
      return refused('USEATTR', 'Another mailbox has this use');
    }
    if (this.#account.mailboxes.has(name)) return refused('ALREADYEXISTS', 'The mailbox exists');
    const levels = name.split('/');
    for (let count = 1; count <= levels.length; count++) {
      const level = levels.slice(0, count).join('/');
      if (!this.#account.mailboxes.has(level)) this.#account.make(level);
    }
    const made = this.#account.mailboxes.get(name) ?? this.#account.make(name);
    made.role = role;
    return { kind: 'done', mailboxId: `m${made.state.uidValidity}` };
  }

  async delete(name: string): Promise<Done | Refused> {
    await this.#account.pause();
    const mailbox = this.#account.mailboxes.get(name);
    if (mailbox === undefined) return refused('NONEXISTENT', 'There is no such mailbox');
    this.#account.mailboxes.delete(name);
    mailbox.state.removed();
    return done;
  }

  async rename(from: string, to: string): Promise<Done | Refused> {
    await this.#account.pause();
    const { mailboxes } = this.#account;
    const mailbox = mailboxes.get(from);
    if (mailbox === undefined) return refused('NONEXISTENT', 'There is no such mailbox');
    if (mailboxes.has(to)) return refused('ALREADYEXISTS', 'The mailbox exists');
    if (from === 'INBOX') {
      await this.create(to);
      const target = mailboxes.get(to);
      const uids = [...mailbox.messages.keys()];
      if (target !== undefined) transfer(this.#account, mailbox, target, uids, true);
      return done;
    }
    await this.create(to);
    const moved = [...mailboxes.values()].filter(({ name }) => name === from || name.startsWith(`${from}/`));
    for (const each of moved) {
      mailboxes.delete(each.name);
      each.name = to + each.name.slice(from.length);
      mailboxes.set(each.name, each);
    }
    return done;
  }

  async subscribe(name: string, subscribed: boolean): Promise<Done | Refused> {
    await this.#account.pause();
    if (subscribed) this.#account.subscriptions.add(name);
    else this.#account.subscriptions.delete(name);
    return done;
  }

  async status(name: string): Promise<MailboxStatus | Refused> {
    await this.#account.pause();
    const mailbox = this.#account.mailboxes.get(name);
    if (mailbox === undefined) return refused('NONEXISTENT', 'There is no such mailbox');
    const { state } = mailbox;
    const uids = state.uids.subarray(0, state.count);
    return {
      kind: 'done',
      messages: state.count,
      recent: uids.filter((uid) => uid >= mailbox.recentBelow).length,
      unseen: state.flagSets.filter(({ system }) => (system & systemFlag.seen) === 0).length,
      deleted: state.flagSets.filter(({ system }) => (system & systemFlag.deleted) !== 0).length,
      sizeBytes: state.sizes.subarray(0, state.count).reduce((sum, size) => sum + size, 0),
      highestModSeq: state.wholeModSeq,
      mailboxId: `m${state.uidValidity}`,
      uidNext: state.uidNext,
      uidValidity: state.uidValidity,
    };
  }

  async select(name: string): Promise<{ kind: 'selected'; mailbox: SelectedMailbox } | Refused> {
    await this.#account.pause();
    const mailbox = this.#account.mailboxes.get(name);
    if (mailbox === undefined) return refused('NONEXISTENT', 'There is no such mailbox');
    return { kind: 'selected', mailbox: new MemorySelected(this.#account, mailbox) };
  }

  async append(name: string): Promise<{ kind: 'ready'; sink: AppendSink } | Refused> {
    await this.#account.pause();
    const account = this.#account;
    const mailbox = account.mailboxes.get(name);
    if (mailbox === undefined) return refused('TRYCREATE', 'There is no such mailbox');
    const messages: { flags: readonly string[]; internalDateMs: number | null; pieces: Uint8Array[] }[] = [];
    return {
      kind: 'ready',
      sink: {
        begin: async ({ flags, internalDateMs }) => {
          await account.pause();
          messages.push({ flags, internalDateMs, pieces: [] });
          return done;
        },
        write: (octets) => {
          messages.at(-1)?.pieces.push(new Uint8Array(octets));
        },
        commit: async () => {
          await account.pause();
          if (account.mailboxes.get(name) !== mailbox)
            return refused('TRYCREATE', 'There is no such mailbox');
          const uids = messages.map(({ pieces, flags, internalDateMs }) =>
            account.add(name, Buffer.concat(pieces), flags, internalDateMs),
          );
          return { kind: 'done', uidValidity: mailbox.state.uidValidity, uids };
        },
        abort: () => {
          messages.length = 0;
        },
      },
    };
  }

  close(): void {}
}

class MemorySelected implements SelectedMailbox {
  readonly #account: MemoryAccount;
  readonly #mailbox: MemoryMailbox;

  constructor(account: MemoryAccount, mailbox: MemoryMailbox) {
    this.#account = account;
    this.#mailbox = mailbox;
  }

  get mailboxId(): string {
    return `m${this.#mailbox.state.uidValidity}`;
  }

  get state(): MailboxState {
    return this.#mailbox.state;
  }

  claimRecent(uidNext: number, readOnly: boolean): number {
    const from = this.#mailbox.recentBelow;
    if (!readOnly) this.#mailbox.recentBelow = Math.max(from, uidNext);
    return from;
  }

  async texts(uids: readonly number[]): Promise<readonly (MessageTexts | null)[]> {
    await this.#account.pause();
    return uids.map((uid) => this.#mailbox.messages.get(uid)?.texts ?? null);
  }

  vanishedSince(modSeq: number): readonly number[] {
    return [...this.#mailbox.vanished]
      .filter(([, at]) => at > modSeq)
      .map(([uid]) => uid)
      .sort((a, b) => a - b);
  }

  async objectIds(
    uids: readonly number[],
  ): Promise<readonly ({ emailId: string; threadId: string } | null)[]> {
    await this.#account.pause();
    const id = (uid: number): string => `${this.#mailbox.state.uidValidity}.${uid}`;
    return uids.map((uid) =>
      this.#mailbox.messages.has(uid) ? { emailId: `e${id(uid)}`, threadId: `t${id(uid)}` } : null,
    );
  }

  async previews(uids: readonly number[]): Promise<readonly (string | null)[]> {
    await this.#account.pause();
    return uids.map((uid) => {
      const message = this.#mailbox.messages.get(uid);
      if (message === undefined || message.damaged !== false) return null;
      const { octets } = message;
      return messageText(parseMessage(octets), (start, end) => octets.subarray(start, end)).preview;
    });
  }

  async *openBodies(uids: readonly number[]): AsyncGenerator<OpenedBody> {
    for (const uid of uids) yield await this.openBody(uid);
  }

  async openBody(uid: number): Promise<OpenedBody> {
    await this.#account.pause();
    const message = this.#mailbox.messages.get(uid);
    if (message === undefined) return { kind: 'gone' };
    if (message.damaged === true) return { kind: 'damaged' };
    return {
      kind: 'found',
      structure: message.structure,
      async *read(start, end) {
        for (let at = start; at < end; at += 65536) {
          const to = Math.min(end, at + 65536);
          if (typeof message.damaged === 'number' && to > message.damaged) throw new Error('damaged');
          yield message.octets.subarray(at, to);
        }
      },
      close: () => {},
    };
  }

  async store(
    uids: readonly number[],
    operation: 'add' | 'remove' | 'replace',
    flags: readonly string[],
    origin: object | null,
    unchangedSince?: number,
  ): Promise<{ kind: 'done'; modified: readonly number[] } | Refused> {
    await this.#account.pause();
    const { state } = this.#mailbox;
    const fresh = flags.filter((flag) => !flag.startsWith('\\') && !state.hasKeyword(flag));
    if (operation !== 'remove' && state.keywords.length + fresh.length > 100) {
      return refused('LIMIT', 'A mailbox has at most 100 keywords');
    }
    const changes: { uid: number; flags: string[] }[] = [];
    const modified: number[] = [];
    for (const uid of uids) {
      const before = state.flagsOf(uid);
      if (before === null) continue;
      if (unchangedSince !== undefined && state.modSeqOf(uid) > unchangedSince) {
        modified.push(uid);
        continue;
      }
      const had = before.text === '' ? [] : before.text.split(' ');
      const folded = flags.map((flag) => flag.toLowerCase());
      const now =
        operation === 'replace'
          ? [...flags]
          : operation === 'add'
            ? [...had, ...flags]
            : had.filter((flag) => !folded.includes(flag.toLowerCase()));
      if (state.flagSet(now) !== before) changes.push({ uid, flags: now });
    }
    if (changes.length > 0) state.flagsChanged(changes, this.#account.nextModSeq(), origin);
    return { kind: 'done', modified };
  }

  async expunge(uids: readonly number[]): Promise<Done | Refused> {
    await this.#account.pause();
    const { state, messages } = this.#mailbox;
    const gone = uids.filter((uid) => ((state.flagsOf(uid)?.system ?? 0) & systemFlag.deleted) !== 0);
    const modSeq = this.#account.nextModSeq();
    for (const uid of gone) {
      messages.delete(uid);
      this.#mailbox.vanished.set(uid, modSeq);
    }
    state.expunged(gone, modSeq);
    return done;
  }

  async copy(
    uids: readonly number[],
    targetName: string,
    move: boolean,
  ): Promise<
    | { kind: 'done'; uidValidity: number; sourceUids: readonly number[]; targetUids: readonly number[] }
    | Refused
  > {
    await this.#account.pause();
    const target = this.#account.mailboxes.get(targetName);
    if (target === undefined) return refused('TRYCREATE', 'There is no such mailbox');
    const there = uids.filter((uid) => this.#mailbox.messages.has(uid));
    const targetUids = transfer(this.#account, this.#mailbox, target, there, move);
    return { kind: 'done', uidValidity: target.state.uidValidity, sourceUids: there, targetUids };
  }

  close(): void {}
}

const transfer = (
  account: MemoryAccount,
  source: MemoryMailbox,
  target: MemoryMailbox,
  uids: readonly number[],
  move: boolean,
): number[] => {
  const targetUids: number[] = [];
  const appended: MessageFacts[] = [];
  for (const uid of uids) {
    const message = source.messages.get(uid);
    const flags = source.state.flagsOf(uid);
    if (message === undefined || flags === null) continue;
    const copied = target.state.uidNext + appended.length;
    target.messages.set(copied, { ...message, uid: copied });
    targetUids.push(copied);
    const index = source.state.indexOf(uid);
    appended.push({
      sizeBytes: source.state.sizes[index] ?? 0,
      internalDateMs: source.state.dates[index] ?? 0,
      savedMs: account.options.nowMs?.() ?? 0,
      key: copied,
      uid: copied,
      flags: flags.text === '' ? [] : flags.text.split(' '),
      modSeq: account.nextModSeq(),
    });
    if (move) source.messages.delete(uid);
  }
  target.state.appended(appended);
  if (move) {
    const modSeq = account.nextModSeq();
    for (const uid of uids) source.vanished.set(uid, modSeq);
    source.state.expunged(uids, modSeq);
  }
  return targetUids;
};
