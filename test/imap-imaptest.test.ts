import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { corpora, notRun } from './support/corpora.ts';
import { type ImapLoopback, startImapLoopback } from './support/imap-loopback.ts';
import { MemoryAccount, MemoryLogin } from './support/imap-memory-store.ts';
import { readImapTestScripts, runImapTest } from './support/imaptest.ts';

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

if (folder === null) test('imaptest', (t) => t.skip(notRun));
else {
  let loopback: ImapLoopback;
  const login = new MemoryLogin();
  before(async () => {
    loopback = await startImapLoopback(login);
  });
  after(() => loopback.close());

  for (const script of readImapTestScripts(folder)) {
    const run = async (): Promise<string[]> => {
      login.accounts.set('imaptest@fengni.test', { password: 'secret', account: new MemoryAccount() });
      return runImapTest(script, {
        port: loopback.securePort,
        ca: loopback.ca,
        user: 'imaptest@fengni.test',
        password: 'secret',
      });
    };
    const reason = later.get(script.name);
    if (reason === undefined) {
      test(`imaptest ${script.name}`, async () => {
        assert.deepEqual(await run(), []);
      });
    } else {
      test(`imaptest ${script.name}, later (${reason}): refused with NO, nothing worse`, async () => {
        const faults = await run();
        assert.notEqual(faults.length, 0, 'it passes now: take it off the list');
        for (const fault of faults) assert.match(fault, /"t\d+ (?:NO|OK) /);
      });
    }
  }
}
