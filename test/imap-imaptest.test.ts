import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { corpora, notRun } from './support/corpora.ts';
import { type ImapLoopback, startImapLoopback } from './support/imap-loopback.ts';
import { MemoryAccount, MemoryLogin } from './support/imap-memory-store.ts';
import { type ImapRealStore, openImapRealStore } from './support/imap-real-store.ts';
import { type ImapTestScript, readImapTestScripts, runImapTest } from './support/imaptest.ts';

const folder = corpora('imap-imaptest');
const later = new Map(
  fs
    .readFileSync(path.join(import.meta.dirname, 'vectors/imap/imaptest-later.txt'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line): [string, string] => {
      const [name = '', ...reason] = line.split(' ');
      return [name, reason.join(' ')];
    }),
);

const all = (
  scripts: readonly ImapTestScript[],
  run: (script: ImapTestScript) => Promise<string[]>,
): void => {
  for (const script of scripts) {
    const reason = later.get(script.name);
    if (reason === undefined) {
      test(`imaptest ${script.name}`, async () => {
        assert.deepEqual(await run(script), []);
      });
    } else {
      test(`imaptest ${script.name}, later (${reason}): refused with NO, nothing worse`, async () => {
        const faults = await run(script);
        assert.notEqual(faults.length, 0, 'it passes now: take it off the list');
        for (const fault of faults) assert.match(fault, /"t\d+ (?:NO|OK) /);
      });
    }
  }
};

if (folder === null) test('imaptest', (t) => t.skip(notRun));
else {
  const scripts = readImapTestScripts(folder);

  describe('on a store of memory', () => {
    let loopback: ImapLoopback;
    const login = new MemoryLogin();
    before(async () => {
      loopback = await startImapLoopback(login);
    });
    after(() => loopback.close());
    all(scripts, (script) => {
      login.accounts.set('imaptest@fengni.test', { password: 'secret', account: new MemoryAccount() });
      const { securePort: port, ca } = loopback;
      return runImapTest(script, { port, ca, user: 'imaptest@fengni.test', password: 'secret' });
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
    all(scripts, async (script) => {
      const user = `${script.name}@fengni.test`;
      await store.addAccount(user);
      const { securePort: port, ca } = loopback;
      return runImapTest(script, { port, ca, user, password: 'secret' });
    });
  });
}
