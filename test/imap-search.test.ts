import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromLatin1, latin1, utf8 } from '#base/bytes';
import type { MemoryAccount } from './support/imap-memory-store.ts';
import type { ImapPipe } from './support/imap-pipe.ts';
import { startSessions } from './support/imap-sessions.ts';

const text = (octets: Uint8Array): string => latin1(octets);

/** What keys find, as `1 3`. */
const finder =
  (pipe: ImapPipe) =>
  async (keys: string): Promise<string> => {
    const { untagged, tagged } = await pipe.command(`SEARCH ${keys}`);
    assert.match(tagged, /^OK/, keys);
    return /^\* SEARCH ?(.*)\r$/m.exec(untagged)?.[1] ?? `(none) ${untagged}`;
  };

const charsetMail = (charset: string, encoding: string, body: string): Uint8Array =>
  fromLatin1(
    `Subject: =?utf-8?B?${Buffer.from('项目计划').toString('base64')}?=\r\nContent-Type: text/plain; charset=${charset}\r\n` +
      `Content-Transfer-Encoding: ${encoding}\r\n\r\n${body}\r\n`,
  );

/** 封泥 in several ways to write it */
const addClay = (account: MemoryAccount): void => {
  for (const [charset, encoding, body] of [
    ['utf-8', '8bit', text(utf8('a 封泥 b'))],
    ['utf-8', 'base64', Buffer.from('a 封泥 b').toString('base64')],
    ['gb2312', '8bit', 'a \xb7\xe2\xc4\xe0 b'],
    ['gbk', 'quoted-printable', 'a =B7=E2=\r\n=C4=E0 b'],
    ['big5', '8bit', 'a \xab\xca\xaa\x64 b'],
    ['utf-16be', 'base64', Buffer.from('\0a\0 \x5c\x01\x6c\xe5\0 \0b', 'latin1').toString('base64')],
    ['hz-gb-2312', '7bit', 'a ~{7bD`~} b'],
    ['utf-7', '7bit', 'a +XAFs5Q- b'],
  ] as const) {
    account.add('INBOX', charsetMail(charset, encoding, body));
  }
};

test('SEARCH finds text in every charset and transfer encoding, whatever the charset it is asked in (RFC 9051 §6.4.4)', async () => {
  const { first, account } = await startSessions(1);
  addClay(account);
  account.add('INBOX', fromLatin1('Subject: other\r\n\r\nnothing\r\n'));
  await first.command('SELECT INBOX');
  const find = finder(first);
  const all = '1 2 3 4 5 6 7 8';
  const clay = text(utf8('封泥'));
  assert.equal(await find(`BODY {6+}\r\n${clay}`), all);
  assert.equal(await find(`CHARSET UTF-8 TEXT "${clay}"`), all);
  assert.equal(await find('CHARSET gb2312 BODY {4+}\r\n\xb7\xe2\xc4\xe0'), all);
  assert.equal(await find('CHARSET Big5 BODY {4+}\r\n\xab\xca\xaa\x64'), all);
  assert.equal(await find('CHARSET hz-gb-2312 BODY "~{7bD`~}"'), all);
  assert.equal(await find(`SUBJECT {6+}\r\n${text(utf8('计划'))}`), all);
  assert.equal(await find(`NOT BODY {6+}\r\n${clay}`), '9');
  assert.equal(await find('BODY "A "'), all, 'without case');
});

test('an unknown charset and octets that are no text in it are BADCHARSET with those that are known (RFC 9051 §7.1)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 1 });
  for (const keys of [
    'CHARSET X-KLINGON ALL',
    'CHARSET UTF-8 BODY {1+}\r\n\xff',
    'CHARSET US-ASCII BODY {1+}\r\n\xe9',
    'BODY {1+}\r\n\xff',
    'CHARSET Shift_JIS BODY {1+}\r\n\x81',
  ]) {
    assert.match((await first.command(`SEARCH ${keys}`)).tagged, /^NO \[BADCHARSET \(US-ASCII UTF-8 /, keys);
  }
});

test('header keys: addresses without comments, existence, encoded words, fields of enclosed messages in TEXT and BODY only', async () => {
  const { first, account } = await startSessions(1);
  account.add(
    'INBOX',
    fromLatin1(
      'From: "Ann Example" <ann (work)@ (x) example.org>\r\nTo: group: =?utf-8?Q?J=C3=BCrgen?= <j@example.net>;\r\n' +
        'X-Empty:\r\nSubject: one\r\n two\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n' +
        'Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: inner@example.com\r\n\r\nInnerText\r\n--b\r\n' +
        'Content-Type: text/html; charset=utf-8\r\n\r\n<p>some <b>bold</b> words &amp; more</p>\r\n--b\r\n' +
        'Content-Type: application/octet-stream\r\n\r\nsecretbinary\r\n--b--\r\n',
    ),
  );
  await first.command('SELECT INBOX');
  const find = finder(first);
  for (const [keys, found] of [
    ['FROM "ann@example.org"', '1'],
    ['FROM "ann example"', '1'],
    ['FROM inner', ''],
    [`TO {7+}\r\n${text(utf8('JÜRGEN'))}`, '1'],
    ['CC ""', ''],
    ['TO ""', '1'],
    ['HEADER X-Empty ""', '1'],
    ['HEADER x-none ""', ''],
    ['HEADER Subject "ONE TWO"', '1'],
    ['SUBJECT inner', ''],
    ['BODY "inner"', '1'],
    ['BODY innertext', '1'],
    ['BODY "one two"', ''],
    ['TEXT "one two"', '1'],
    ['BODY "some bold words & more"', '1'],
    ['BODY "<b>bold"', '1'],
    ['BODY secretbinary', ''],
    ['BODY ""', '1'],
  ] as const) {
    assert.equal(await find(keys), found, keys);
  }
});

test('SENTON and its like go by the day that Date names, whatever the zone (RFC 9051 §6.4.4)', async () => {
  const { first, account } = await startSessions(1);
  account.add('INBOX', fromLatin1('Date: Thu, 29 Feb 2024 23:30:00 -0800\r\n\r\n'));
  account.add('INBOX', fromLatin1('Date: 1 Mar 2024 00:30:00 +0800\r\n\r\n'));
  account.add('INBOX', fromLatin1('Subject: undated\r\n\r\n'));
  await first.command('SELECT INBOX');
  const find = finder(first);
  assert.equal(await find('SENTON 29-Feb-2024'), '1');
  assert.equal(await find('SENTSINCE 1-Mar-2024'), '2');
  assert.equal(await find('SENTBEFORE 1-Mar-2024'), '1');
  assert.equal(await find('NOT SENTSINCE 1-Jan-2000'), '3');
});

test('a needle across the windows of a large body is found, once opened lazily', async () => {
  const { first, account } = await startSessions(1);
  const line = `${'x'.repeat(76)}\r\n`;
  const lines = Math.floor((1024 * 1024) / line.length);
  for (const shift of [0, 1, 40]) {
    account.add(
      'INBOX',
      fromLatin1(
        `Subject: big\r\n\r\n${line.repeat(lines - 1)}${'y'.repeat(shift)}need\r\nle${line.repeat(lines)}end`,
      ),
    );
  }
  await first.command('SELECT INBOX');
  const find = finder(first);
  assert.equal(await find('BODY {8+}\r\nneed\r\nle'), '1 2 3');
  assert.equal(await find('BODY needle'), '');
  assert.equal(await find('BODY "xend"'), '');
  assert.equal(await find('BODY "end"'), '1 2 3');
});

test('a message is opened only where the cheap keys do not decide; a damaged one is named and the others found', async () => {
  const { first, account } = await startSessions(1, { mailbox: 'INBOX', messages: 4 });
  const messages = account.mailboxes.get('INBOX')?.messages;
  for (const uid of [2, 4]) Object.assign(messages?.get(uid) ?? {}, { damaged: uid === 2 ? true : 0 });
  await first.command('STORE 4 +FLAGS.SILENT (\\Seen)');
  const { untagged, tagged } = await first.command('SEARCH UNSEEN TEXT text');
  assert.equal(untagged, '* SEARCH 1 3\r\n');
  assert.equal(tagged, 'NO [CORRUPTION] UID 2: the message is damaged and not searched');
  assert.match((await first.command('SEARCH UNSEEN 1 TEXT text')).tagged, /^OK/);
  assert.equal((await first.command('SEARCH OR SEEN TEXT x 4')).untagged, '* SEARCH 4\r\n');
});

test('many keys and deep ones are bounded', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 1 });
  assert.match((await first.command(`SEARCH ${'TEXT x '.repeat(201)}ALL`)).tagged, /^BAD/);
  assert.match((await first.command(`SEARCH ${'TEXT x '.repeat(200)}ALL`)).tagged, /^OK/);
  assert.match((await first.command(`SEARCH ${'OR TEXT x '.repeat(100)}ALL ALL`)).tagged, /^BAD/);
});

test('ESEARCH tells exactly what is asked, with the tag (RFC 4731, RFC 9051 §7.3.4)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 5 });
  await first.command('STORE 2,4:5 +FLAGS.SILENT (\\Seen)');
  const told = async (command: string): Promise<string> => (await first.command(command)).untagged.trimEnd();
  assert.match(await told('SEARCH RETURN () SEEN'), /^\* ESEARCH \(TAG "t\d+"\) ALL 2,4:5$/);
  assert.match(
    await told('UID SEARCH RETURN (COUNT MAX MIN ALL) SEEN'),
    / UID MIN 2 MAX 5 ALL 2,4:5 COUNT 3$/,
  );
  assert.match(await told('SEARCH RETURN (MIN MAX COUNT) DELETED'), /^\* ESEARCH \(TAG "t\d+"\) COUNT 0$/);
  assert.match(await told('UID SEARCH RETURN (ALL) 1:* NOT DELETED'), / UID ALL 1:5$/, 'as Apple Mail asks');
  assert.match((await first.command('SEARCH RETURN (SOME) ALL')).tagged, /^BAD/);
  await first.command('ENABLE IMAP4rev2');
  assert.match(await told('SEARCH SEEN'), /^\* ESEARCH \(TAG "t\d+"\) ALL 2,4:5$/, 'always in IMAP4rev2');
});

test('$ is what the last SEARCH with SAVE found, without what is gone since (RFC 5182)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 6 });
  const untagged = async (command: string): Promise<string> =>
    (await first.command(command)).untagged.trimEnd();
  assert.equal(await untagged('SEARCH $'), '* SEARCH', 'nothing at first');
  assert.equal(await untagged('SEARCH RETURN (SAVE) 2:5'), '', 'nothing is told');
  assert.match(await untagged('UID SEARCH RETURN (COUNT) $'), /COUNT 4$/);
  await first.command('STORE $ +FLAGS.SILENT (\\Flagged)');
  assert.equal(await untagged('SEARCH FLAGGED NOT 3'), '* SEARCH 2 4 5');
  await first.command('STORE 3 +FLAGS.SILENT (\\Deleted)');
  await first.command('EXPUNGE');
  assert.equal(await untagged('FETCH $ UID'), '* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 4)\r\n* 4 FETCH (UID 5)');
  assert.equal(await untagged('SEARCH UID $ 4:*'), '* SEARCH 4');
  assert.match(await untagged('SEARCH RETURN (SAVE MIN) ALL'), /MIN 1$/);
  assert.equal(await untagged('SEARCH $'), '* SEARCH 1', 'with MIN just that one');
  assert.match(await untagged('SEARCH RETURN (SAVE MIN MAX) ALL'), /MIN 1 MAX 5$/);
  assert.equal(await untagged('SEARCH $'), '* SEARCH 1 5');
  await first.command('SEARCH RETURN (SAVE) CHARSET X-NONE ALL');
  assert.equal(await untagged('SEARCH $'), '* SEARCH', 'a SEARCH that fails leaves nothing');
  await first.command('SEARCH RETURN (SAVE) ALL');
  assert.match((await first.command('SEARCH RETURN (SAVE) FROB')).tagged, /^BAD/);
  assert.equal(await untagged('SEARCH $'), '* SEARCH 1 2 3 4 5', 'BAD changes nothing');
  await first.command('CREATE there');
  assert.match((await first.command('UID COPY $ there')).tagged, /COPYUID \d+ 1:2,4:6 1:5/);
  await first.command('SELECT INBOX');
  assert.equal(await untagged('SEARCH $'), '* SEARCH', 'another mailbox, another result');
  assert.match((await first.command('FETCH 1,$ UID')).tagged, /^BAD/);
});

test('after UTF8=ACCEPT strings are UTF-8 without CHARSET; another one is BAD (RFC 6855 §3)', async () => {
  const { first, account } = await startSessions(1, { enable: 'UTF8=ACCEPT' });
  addClay(account);
  await first.command('SELECT INBOX');
  assert.equal(await finder(first)(`BODY "${text(utf8('封泥'))}"`), '1 2 3 4 5 6 7 8');
  assert.match((await first.command('SEARCH CHARSET GBK BODY x')).tagged, /^BAD/);
});
