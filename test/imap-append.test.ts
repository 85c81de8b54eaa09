import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fromLatin1 } from '#base/bytes';
import { createImapServer, ImapPipe } from './support/imap-pipe.ts';
import { type ImapRealStore, openImapRealStore } from './support/imap-real-store.ts';
import { startSessions } from './support/imap-sessions.ts';

let store: ImapRealStore;
let accounts = 0;
before(async () => {
  store = await openImapRealStore();
});
after(() => store.close());

const connect = async (): Promise<ImapPipe> => {
  const user = `append${++accounts}@fengni.test`;
  await store.addAccount(user);
  const pipe = new ImapPipe(createImapServer(store.login));
  pipe.take();
  await pipe.command(`LOGIN ${user} secret`);
  return pipe;
};

test('several messages in one APPEND are stored in their order, all with one group (RFC 3502)', async () => {
  const pipe = await connect();
  const appended = await pipe.command(
    'APPEND INBOX (\\Seen) "17-Jul-1996 02:44:25 -0700" {9+}\r\nA: 1\r\n\r\nx (work) {9+}\r\nA: 2\r\n\r\ny ~{9+}\r\nA: 3\r\n\r\n\0',
  );
  assert.match(appended.tagged, /^OK \[APPENDUID \d+ 1:3\]/);
  await pipe.command('SELECT INBOX');
  const { untagged } = await pipe.command('FETCH 1:* (FLAGS BODY.PEEK[])');
  assert.equal(
    untagged,
    '* 1 FETCH (FLAGS (\\Recent \\Seen) BODY[] {9}\r\nA: 1\r\n\r\nx)\r\n' +
      '* 2 FETCH (FLAGS (\\Recent work) BODY[] {9}\r\nA: 2\r\n\r\ny)\r\n' +
      '* 3 FETCH (FLAGS (\\Recent) BODY[] {9}\r\nA: 3\r\n\r\n\0)\r\n',
  );
  assert.match((await pipe.command('FETCH 1 INTERNALDATE')).untagged, /"17-Jul-1996 09:44:25 \+0000"/);
});

test('large and small messages come together (RFC 3502)', async () => {
  const pipe = await connect();
  const large = `A: 1\r\n\r\n${'x'.repeat(300_000)}`;
  const appended = await pipe.command(
    `APPEND INBOX {9+}\r\nA: 0\r\n\r\ny {${large.length}+}\r\n${large} {${large.length}+}\r\n${large}`,
  );
  assert.match(appended.tagged, /^OK \[APPENDUID \d+ 1:3\]/);
  await pipe.command('SELECT INBOX');
  assert.equal(
    (await pipe.command('FETCH 3 BODY.PEEK[]<0.9>')).untagged,
    '* 3 FETCH (BODY[]<0> {9}\r\nA: 1\r\n\r\nx)\r\n',
  );
});

test('where one of several messages is refused, none is stored (RFC 3502 §3)', async () => {
  const first = 'APPEND INBOX {9+}\r\nA: 1\r\n\r\nx';
  for (const [rest, reply] of [
    [' (\\Odd) {9+}\r\nA: 2\r\n\r\ny', /^BAD/],
    [' {9+}\r\nA: 2\r\n\r\n\0', /^NO \[CANNOT\]/],
    [' {0+}\r\n', /^NO \[CANNOT\]/],
    [' {9+}\r\nA: 2\r\n\r\ny and more', /^BAD/],
    ['{9+}\r\nA: 2\r\n\r\ny', /^BAD/],
    [' UTF8 (~{9+}\r\nA: 2\r\n\r\ny)', /^BAD/],
    [
      ` (${Array.from({ length: 101 }, (_none, at) => `k${at}`).join(' ')}) {9+}\r\nA: 2\r\n\r\ny`,
      /^NO \[LIMIT\]/,
    ],
  ] as const) {
    const pipe = await connect();
    assert.match((await pipe.command(first + rest)).tagged, reply, rest);
    assert.match((await pipe.command('STATUS INBOX (MESSAGES)')).untagged, /MESSAGES 0/, rest);
  }
  const pipe = await connect();
  const many = await pipe.command(`${first}${' {9+}\r\nA: 2\r\n\r\ny'.repeat(600)}`);
  assert.match(many.tagged, /^NO \[LIMIT\]/);
  assert.match((await pipe.command('STATUS INBOX (MESSAGES)')).untagged, /MESSAGES 0/);
});

test('a refusal of a later message comes before its octets where the client waits (RFC 3502, RFC 9051 §4.3)', async () => {
  const { first, account } = await startSessions(1, { appendBytesMax: 100 });
  first.send('a APPEND INBOX {9}\r\n');
  assert.equal(await first.until(/^\+/), '+ Go on\r\n');
  first.send('A: 1\r\n\r\nx {101}\r\n');
  assert.match(await first.until(/^a /m), /^a NO \[TOOBIG\]/);
  assert.match((await first.command('NOOP')).tagged, /^OK/);
  assert.equal(account.mailboxes.get('INBOX')?.state.count, 0);
});

test('UTF8 with a literal8 in parentheses, after ENABLE UTF8=ACCEPT (RFC 6855 §4)', async () => {
  const { first } = await startSessions(1, { enable: 'UTF8=ACCEPT' });
  const octets = 'Subject: \xe5\xb0\x81\xe6\xb3\xa5\r\n\r\n';
  const one = `UTF8 (~{${octets.length}+}\r\n${octets})`;
  assert.match(
    (await first.command(`APPEND INBOX (\\Seen) ${one} ${one}`)).tagged,
    /^OK \[APPENDUID \d+ 1:2\]/,
  );
  assert.match((await first.command(`APPEND INBOX UTF8 ({3+}\r\nabc)`)).tagged, /^BAD/);
  assert.match((await first.command(`APPEND INBOX UTF8 (~{3+}\r\nabc`)).tagged, /^BAD/);
  assert.match((await first.command('CREATE "\xe5\xb0\x81\xe6\xb3\xa5"')).tagged, /^OK/);
  assert.match((await first.command('LIST "" *')).untagged, /"\xe5\xb0\x81\xe6\xb3\xa5"/);
  await first.command('SELECT INBOX');
  assert.equal(
    Buffer.from(fromLatin1((await first.command('FETCH 1 BODY[HEADER.FIELDS (Subject)]')).untagged))
      .toString()
      .includes('封泥'),
    true,
  );
});
