import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock, systemRandom } from '#base/clock';
import { FengniError } from '#base/errors';
import { silentLogger } from '#base/logger';
import { openAccessGate } from '#services/access';
import type { Login } from '#services/login';
import { createImapLogin } from '#services/mailboxes';
import { createMessageParser } from '#services/mailstore';
import { addAccount, addDomain, openWriter, type Writer } from '#services/writer';
import { nodeIo } from '#store/durable';
import type { MailIndex } from '#store/index';
import { openSpool } from '#store/large';
import { openSqliteDirectory, openSqliteIndex } from '#store/sqlite';

/** The real store under IMAP, all in this process: a writer, a reading index beside it, the gate to message octets. */
export interface ImapRealStore {
  readonly writer: Writer;
  readonly login: ReturnType<typeof createImapLogin>;
  readonly folder: string;
  /** a reader of its own, as another access process has */
  anotherLogin(change?: (index: MailIndex) => MailIndex): ReturnType<typeof createImapLogin>;
  /** an account of its own with the password `secret`; `bare`: with INBOX alone, nothing subscribed */
  addAccount(address: string, bare?: boolean): Promise<string>;
  accountOf(address: string): string;
  close(): Promise<void>;
}

export const openImapRealStore = async (): Promise<ImapRealStore> => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-imap-'));
  for (const name of ['segments', 'keys', 'ledger', 'large']) {
    fs.mkdirSync(path.join(folder, name), { recursive: true });
  }
  const timers = new Set<NodeJS.Timeout>();
  const opened = await openWriter({
    io: nodeIo,
    folder,
    shard: 0,
    hostname: 'mail.fengni.test',
    projections: () => ({
      index: openSqliteIndex(path.join(folder, 'index.db'), { readOnly: false }),
      directory: openSqliteDirectory(path.join(folder, 'state.db'), { readOnly: false }),
    }),
    parse: async (octets) => {
      const parser = createMessageParser();
      for await (const piece of octets) parser.write(piece);
      return parser.end();
    },
    sealer: {
      advance: async () => {
        throw new FengniError('ipc-closed', { subject: 'no sealer', remedy: 'none', retryable: true });
      },
    },
    knownHeads: [],
    logger: silentLogger,
    schedule: (work, ms) => {
      const timer = setTimeout(() => {
        timers.delete(timer);
        work();
      }, ms);
      timers.add(timer);
      return () => {
        clearTimeout(timer);
        timers.delete(timer);
      };
    },
    failed: (error) => {
      throw error;
    },
  });
  if (opened.kind === 'refused') throw opened.error;
  const writer = opened;
  const accounts = new Map<string, string>();
  const login: Login = {
    verify: async ({ user, password }) => {
      const account = accounts.get(user);
      return account !== undefined && password === 'secret'
        ? { kind: 'granted', account, key: user }
        : { kind: 'wrong' };
    },
  };
  const opens: { close(): void | Promise<void> }[] = [];
  const reader = (change = (index: MailIndex) => index): ReturnType<typeof createImapLogin> => {
    const index = change(openSqliteIndex(path.join(folder, 'index.db'), { readOnly: true }));
    const gate = openAccessGate({ io: nodeIo, folder, shard: 0, damaged: () => {} });
    const imap = createImapLogin({
      login,
      index,
      gate,
      writer,
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      large: { spool: openSpool({ io: nodeIo, folder, owner: 'access' }) },
    });
    opens.push(imap, gate, index);
    return imap;
  };
  await writer.queue.submit(addDomain('fengni.test'));
  const first = reader();
  return {
    writer,
    login: first,
    folder,
    anotherLogin: reader,
    addAccount: async (address, bare = false) => {
      const added = await writer.queue.submit(addAccount(address));
      if (added.kind !== 'done') throw new Error(`account ${address}: ${added.text}`);
      const { account } = added;
      accounts.set(address, account);
      if (bare) {
        const index = writer.index;
        for (const mailbox of index.mailboxes(account)) {
          await writer.subscribe({ account, name: mailbox.name, subscribed: false, origin: '' });
          if (mailbox.name !== 'INBOX') {
            await writer.deleteMailbox({ account, mailbox: mailbox.id, origin: '' });
          }
        }
      }
      return account;
    },
    accountOf: (address) => accounts.get(address) ?? '',
    close: async () => {
      for (const open of opens) await open.close();
      await writer.stop();
      for (const timer of timers) clearTimeout(timer);
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
};
