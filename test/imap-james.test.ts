import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { corpora, notRun } from './support/corpora.ts';
import { playDialogue } from './support/imap-dialogue.ts';
import { type ImapLoopback, startImapLoopback } from './support/imap-loopback.ts';
import { MemoryAccount, MemoryLogin } from './support/imap-memory-store.ts';

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

if (folder === null) test('James', (t) => t.skip(notRun));
else {
  let loopback: ImapLoopback;
  const login = new MemoryLogin();
  before(async () => {
    loopback = await startImapLoopback(login);
  });
  after(() => loopback.close());

  const files = fs
    .readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test'))
    .sort();
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
      const account = new MemoryAccount();
      for (const mailbox of mailboxes.get(name) ?? []) account.make(mailbox);
      login.accounts.set('imapuser', { password: 'password', account });
      const withoutRecent = reason[0] === 'without-recent';
      const faults = await playDialogue(
        path.join(folder, file),
        { state, withoutRecent },
        {
          port: loopback.securePort,
          ca: loopback.ca,
          user: 'imapuser',
          password: 'password',
          patienceMs: 500,
        },
      );
      assert.deepEqual(faults, []);
    });
  }
}
