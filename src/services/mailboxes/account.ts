import {
  type AccountSession,
  type AppendSink,
  type Done,
  type MailboxInfo,
  type MailboxRole,
  type MailboxStatus,
  mailboxRoles,
  type Refused,
  type SelectedMailbox,
  systemFlag,
} from '#protocols/imap';
import type { MailboxRow } from '#store/index';
import { MessageAppend } from './append.ts';
import type { MailboxesContext, SessionFacts } from './context.ts';
import { OpenMailbox } from './open-mailbox.ts';

const noSuchMailbox = (code: 'NONEXISTENT' | 'TRYCREATE' = 'NONEXISTENT'): Refused => ({
  kind: 'refused',
  code,
  text: 'There is no such mailbox',
});

/** One session's account. */
export class MailboxAccount implements AccountSession {
  readonly accountId: string;
  readonly #context: MailboxesContext;
  readonly #facts: SessionFacts;

  /** @param closed called once the session is over */
  constructor(
    context: MailboxesContext,
    accountId: string,
    facts: SessionFacts,
    closed: () => void = () => {},
  ) {
    this.#context = context;
    this.close = closed;
    this.accountId = accountId;
    this.#facts = facts;
  }

  async list(): Promise<readonly MailboxInfo[]> {
    const { index } = this.#context;
    const subscribed = new Set(index.subscriptions(this.accountId));
    const infos = index.mailboxes(this.accountId).map(
      ({ name, role }): MailboxInfo => ({
        name,
        selectable: true,
        exists: true,
        subscribed: subscribed.delete(name),
        role: mailboxRoles.find((known) => known === role) ?? null,
      }),
    );
    for (const name of subscribed) {
      infos.push({ name, selectable: false, exists: false, subscribed: true, role: null });
    }
    return infos;
  }

  async create(
    name: string,
    role: MailboxRole | null,
  ): Promise<{ kind: 'done'; mailboxId: string } | Refused> {
    const { writer } = this.#context;
    const outcome = await writer.createMailbox({ account: this.accountId, name, role, origin: '' });
    return outcome.kind === 'refused' ? outcome : { kind: 'done', mailboxId: outcome.mailbox };
  }

  async delete(name: string): Promise<Done | Refused> {
    const row = this.#row(name);
    if (row === null) return noSuchMailbox();
    const { shared, writer } = this.#context;
    const outcome = await writer.deleteMailbox({ account: this.accountId, mailbox: row.id, origin: '' });
    if (outcome.kind === 'refused') return outcome;
    shared.removed(row.id);
    return { kind: 'done' };
  }

  async rename(from: string, to: string): Promise<Done | Refused> {
    const row = this.#row(from);
    if (row === null) return noSuchMailbox();
    const { shared, writer } = this.#context;
    const outcome = await writer.renameMailbox({
      account: this.accountId,
      mailbox: row.id,
      name: to,
      origin: '',
    });
    if (outcome.kind === 'refused') return outcome;
    // of INBOX the mail has moved
    if (from === 'INBOX') shared.loaded(row.id)?.follow(0, null);
    return { kind: 'done' };
  }

  async subscribe(name: string, subscribed: boolean): Promise<Done | Refused> {
    const { writer } = this.#context;
    const outcome = await writer.subscribe({ account: this.accountId, name, subscribed, origin: '' });
    return outcome.kind === 'refused' ? outcome : { kind: 'done' };
  }

  async status(name: string): Promise<MailboxStatus | Refused> {
    const row = this.#row(name);
    if (row === null) return noSuchMailbox();
    const { shared } = this.#context;
    const mailbox = await shared.open(row);
    shared.release(mailbox);
    const { state } = mailbox;
    let unseen = 0;
    let deleted = 0;
    let sizeBytes = 0;
    for (let index = 0; index < state.count; index++) {
      const system = state.flagSets[index]?.system ?? 0;
      if ((system & systemFlag.seen) === 0) unseen++;
      if ((system & systemFlag.deleted) !== 0) deleted++;
      sizeBytes += state.sizes[index] ?? 0;
    }
    return {
      kind: 'done',
      messages: state.count,
      recent: state.countFrom(row.recentBelow),
      unseen,
      deleted,
      sizeBytes,
      highestModSeq: state.wholeModSeq,
      mailboxId: row.id,
      uidNext: state.uidNext,
      uidValidity: state.uidValidity,
    };
  }

  async select(name: string): Promise<{ kind: 'selected'; mailbox: SelectedMailbox } | Refused> {
    const row = this.#row(name);
    if (row === null) return noSuchMailbox();
    const shared = await this.#context.shared.open(row);
    return { kind: 'selected', mailbox: new OpenMailbox(this.#context, shared) };
  }

  async append(name: string): Promise<{ kind: 'ready'; sink: AppendSink } | Refused> {
    const row = this.#row(name);
    if (row === null) return noSuchMailbox('TRYCREATE');
    return { kind: 'ready', sink: new MessageAppend(this.#context, this.accountId, row.id, this.#facts) };
  }

  readonly close: () => void;

  #row(name: string): MailboxRow | null {
    return this.#context.index.mailboxByName(this.accountId, name);
  }
}
