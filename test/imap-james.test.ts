import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { corpora, notRun } from './support/corpora.ts';
import { type DialogueServer, playDialogue } from './support/imap-dialogue.ts';
import { type ImapLoopback, startImapLoopback } from './support/imap-loopback.ts';
import { MemoryAccount, MemoryLogin } from './support/imap-memory-store.ts';
import { type ImapRealStore, openImapRealStore } from './support/imap-real-store.ts';

const folder = corpora('imap-james');

/** Mailboxes that James makes in Java before the dialogue. */
const mailboxes = new Map([['ListSpecialChar', ['projects & abc', '\u{e9}valuations', 'mailbox #17']]]);

/** `NAME STATE [without-recent]` or `NAME later REASON` */
const listed = new Map(
  fs
    .readFileSync(path.join(import.meta.dirname, 'vectors/imap/james.txt'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line): [string, string[]] => {
      const [name = '', ...rest] = line.split(' ');
      return [name, rest];
    }),
);

const all = (
  root: string,
  files: readonly string[],
  prepare: (name: string, mailboxes: readonly string[]) => Promise<DialogueServer>,
): void => {
  for (const file of files) {
    const name = file.replace(/\.test$/, '');
    const [state = 'unlisted', ...reason] = listed.get(name) ?? [];
    if (state === 'later') {
      test(`James ${name}: later`, (t) => t.diagnostic(`not played: ${reason.join(' ')}`));
      continue;
    }
    test(`James ${name}`, async () => {
      assert.ok(
        state === 'before-login' || state === 'logged-in' || state === 'selected',
        `${name} is not in test/vectors/imap/james.txt`,
      );
      const server = await prepare(name, mailboxes.get(name) ?? []);
      const withoutRecent = reason[0] === 'without-recent';
      assert.deepEqual(await playDialogue(path.join(root, file), { state, withoutRecent }, server), []);
    });
  }
};

const patienceMs = 5_000;

if (folder === null) test('James', (t) => t.skip(notRun));
else {
  const files = fs
    .readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test'))
    .sort();

  describe('on a store of memory', () => {
    let loopback: ImapLoopback;
    const login = new MemoryLogin();
    before(async () => {
      loopback = await startImapLoopback(login);
    });
    after(() => loopback.close());
    all(folder, files, async (_name, made) => {
      const account = new MemoryAccount();
      for (const mailbox of made) account.make(mailbox);
      login.accounts.set('imapuser', { password: 'password', account });
      const { securePort: port, ca } = loopback;
      return { port, ca, user: 'imapuser', password: 'password', patienceMs };
    });
  });

  describe('on the real store', () => {
    let loopback: ImapLoopback;
    let store: ImapRealStore;
    before(async () => {
      store = await openImapRealStore();
      loopback = await startImapLoopback(store.login);
    });
    after(async () => {
      await loopback.close();
      await store.close();
    });
    const logsIn = (name: string): boolean => listed.get(name)?.[0] !== 'before-login';
    all(
      folder,
      files.filter((file) => logsIn(file.replace(/\.test$/, ''))),
      async (name, made) => {
        const user = `${name.toLowerCase()}@fengni.test`;
        const account = await store.addAccount(user, true);
        for (const mailbox of made) {
          await store.writer.createMailbox({ account, name: mailbox, role: null, origin: '' });
        }
        const { securePort: port, ca } = loopback;
        return { port, ca, user, password: 'secret', patienceMs };
      },
    );
  });
}
