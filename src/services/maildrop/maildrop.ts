import { FengniError, isDamage } from '#base/errors';
import type { Logger } from '#base/logger';
import type {
  Maildrop,
  OpenedMessage,
  Pop3Credentials,
  Pop3Login,
  Pop3Refusal,
  QuitOutcome,
} from '#protocols/pop3';
import type { AccessGate, ReadAhead } from '#services/access';
import type { Login, LoginOutcome } from '#services/login';
import type { MailstoreWriter } from '#services/mailstore';
import { type EmailRow, formatUidSet, type MailIndex } from '#store/index';

const pageSize = 1_000;
/** messages and octets that are read before a client asks for them; a session that waits holds so much */
const rowsAheadMax = 32;
const bytesAheadMax = 64 * 1024;

/** Lets a POP3 session into an account's INBOX. */
export const createPop3Login = (options: {
  login: Login;
  index: MailIndex;
  gate: AccessGate;
  writer: Pick<MailstoreWriter, 'expunge'>;
  logger: Logger;
}): Pop3Login => {
  const { login } = options;
  const enter = (
    outcome: LoginOutcome,
    { end }: Pick<Pop3Credentials, 'end'>,
  ): { kind: 'granted'; maildrop: Maildrop } | Pop3Refusal => {
    switch (outcome.kind) {
      case 'granted': {
        const release = outcome.hold?.(end) ?? (() => {});
        const opened = openMaildrop(options, outcome.account, release);
        if (opened.kind === 'refused') release();
        return opened;
      }
      case 'wrong':
        return { kind: 'refused', code: 'AUTH', text: 'Wrong user name or password' };
      case 'disabled':
        return { kind: 'refused', code: 'AUTH', text: 'This account is disabled' };
      case 'unavailable':
        return unavailable;
    }
  };
  const { scram } = login;
  return {
    verify: async ({ user, password, peer, end }) =>
      enter(await login.verify({ user, password, address: peer.address, protocol: 'pop3' }), { end }),
    ...(scram === undefined
      ? {}
      : {
          scram: {
            offered: scram.offered,
            parameters: async (user) => {
              const outcome = await scram.parameters(user);
              return outcome.kind === 'unavailable' ? unavailable : outcome;
            },
            prove: async ({ user, authMessage, proof, peer, end }) => {
              const request = { user, authMessage, proof, address: peer.address, protocol: 'pop3' } as const;
              const outcome = await scram.prove(request);
              const entered = enter(outcome, { end });
              if (entered.kind === 'refused' || outcome.kind !== 'granted') return entered as Pop3Refusal;
              return { ...entered, serverSignature: outcome.serverSignature };
            },
          },
        }),
  };
};

const unavailable: Pop3Refusal = {
  kind: 'refused',
  code: 'SYS/TEMP',
  text: 'Log-ins cannot be checked now, try again later',
};

const openMaildrop = (
  options: Parameters<typeof createPop3Login>[0],
  account: string,
  closed: () => void,
): { kind: 'granted'; maildrop: Maildrop } | Pop3Refusal => {
  const { index, gate, writer, logger } = options;
  let snapshot: { mailbox: string; entries: Entry[] };
  try {
    snapshot = inboxOf(index, account);
  } catch (error) {
    if (!(error instanceof FengniError)) throw error;
    logger.error('inbox cannot be read', { account, code: error.code, subject: error.subject });
    return { kind: 'refused', code: 'SYS/PERM', text: 'The inbox cannot be read; its administrator knows' };
  }
  const { mailbox, entries } = snapshot;

  /** the message that was opened last, and what was read of those behind it */
  let last = -1;
  let ahead: { from: number; rows: ReadonlyMap<number, EmailRow>; octets: ReadAhead } | null = null;

  /** Who takes one message after the other takes the next ones too: they are read together. */
  const rowOf = async (
    at: number,
    entry: Entry,
  ): Promise<{ email: EmailRow | undefined; octetsAhead?: ReadAhead }> => {
    const isNext = at > 0 && at === last + 1;
    last = at;
    let email = ahead?.rows.get(entry.emailSeq);
    if (email === undefined && isNext) {
      ahead = null;
      const rows = rowsAhead(index, entries.slice(at, at + rowsAheadMax));
      if (rows.length > 1) {
        const octets = await gate.readAhead(rows);
        ahead = { from: at, rows: new Map(rows.map((row) => [row.emailSeq, row])), octets };
        email = ahead.rows.get(entry.emailSeq);
      }
    }
    if (ahead !== null && email !== undefined) {
      const found = { email, octetsAhead: ahead.octets };
      // what has been read and is used up need not be kept
      if (at - ahead.from + 1 >= ahead.rows.size) ahead = null;
      return found;
    }
    [email] = index.emails([entry.emailSeq]);
    return { email };
  };

  const open = async (at: number): Promise<OpenedMessage> => {
    const entry = entries[at];
    if (entry === undefined) return { kind: 'gone' };
    try {
      if (index.placementsByUid(mailbox, [entry.uid]).length === 0) return { kind: 'gone' };
      const { email, octetsAhead } = await rowOf(at, entry);
      if (email === undefined) return { kind: 'gone' };
      const opened = await gate.openAsOwner(account, email, octetsAhead);
      if (opened.kind !== 'found') return { kind: opened.kind };
      // The reply must not promise what the first octets refuse: up to 1 MiB all are verified before the first one comes.
      const octets = opened.read(0, opened.sizeBytes)[Symbol.asyncIterator]();
      const first = await octets.next();
      return { kind: 'found', sizeBytes: opened.sizeBytes, octets: continued(first, octets) };
    } catch (error) {
      if (!(error instanceof FengniError)) throw error;
      logger.error('message cannot be read', { account, code: error.code, subject: error.subject });
      return { kind: 'damaged' };
    }
  };

  const quit = async (deleted: readonly number[]): Promise<QuitOutcome> => {
    const uids = deleted.flatMap((at) => entries[at]?.uid ?? []).sort((a, b) => a - b);
    if (uids.length === 0) return { kind: 'done' };
    try {
      const outcome = await writer.expunge({
        account,
        mailbox,
        uids: formatUidSet(uids),
        deletedOnly: false,
        origin: '',
      });
      if (outcome.kind === 'done') return { kind: 'done' };
      return { kind: 'failed', code: 'SYS/PERM', text: outcome.text };
    } catch (error) {
      logger.warn('messages could not be deleted', { account, error: String(error) });
      return { kind: 'failed', code: 'SYS/TEMP', text: 'Some messages may not be deleted; try again later' };
    }
  };

  const maildrop: Maildrop = {
    messages: entries,
    open,
    quit,
    close: () => {
      closed();
      ahead = null;
    },
  };
  return { kind: 'granted', maildrop };
};

/** Rows of the next messages, as far as they are small; none where one of them cannot be read: then each is asked for by itself. */
const rowsAhead = (index: MailIndex, entries: readonly Entry[]): EmailRow[] => {
  let rows: EmailRow[];
  try {
    rows = index.emails(entries.map(({ emailSeq }) => emailSeq));
  } catch (error) {
    if (isDamage(error)) return [];
    throw error;
  }
  let bytes = 0;
  const end = rows.findIndex(({ at, message }) => {
    bytes += at.lengthBytes + message.at.lengthBytes;
    return bytes > bytesAheadMax;
  });
  return end === -1 ? rows : rows.slice(0, end);
};

async function* continued(
  first: IteratorResult<Uint8Array>,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  for (let next = first; next.done !== true; next = await rest.next()) yield next.value;
}

interface Entry {
  uid: number;
  emailSeq: number;
  sizeBytes: number;
  uidl: string;
}

const inboxOf = (index: MailIndex, account: string): { mailbox: string; entries: Entry[] } => {
  const inbox = index.mailboxByName(account, 'INBOX');
  if (inbox === null) return { mailbox: '', entries: [] };
  const entries: Entry[] = [];
  for (let after = 0; ; ) {
    const page = index.placements(inbox.id, after, pageSize);
    for (const { uid, emailSeq, sizeBytes, uidl } of page) entries.push({ uid, emailSeq, sizeBytes, uidl });
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return { mailbox: inbox.id, entries };
    after = last.uid;
  }
};
