import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromLatin1, latin1, utf8 } from '#base/bytes';
import { startSessions } from './support/imap-sessions.ts';

const untaggedOf = async (
  pipe: { command(text: string): Promise<{ untagged: string; tagged: string }> },
  command: string,
): Promise<string> => {
  const { untagged, tagged } = await pipe.command(command);
  assert.match(tagged, /^OK/, command);
  return untagged.trimEnd();
};

test('LIST with options: subscriptions, uses, several patterns, what lies below (RFC 5258, RFC 9051 §6.3.9)', async () => {
  const { first, account } = await startSessions(1, { account: { roles: true } });
  for (const name of ['a/b/c', 'a/d']) await first.command(`CREATE ${name}`);
  await first.command('SUBSCRIBE a/b/c');
  account.subscriptions.add('gone/long');
  const list = async (rest: string): Promise<string[]> =>
    (await untaggedOf(first, `LIST ${rest}`)).split('\r\n').map((line) => line.replace(/^\* LIST /, ''));
  assert.deepEqual(await list('(SUBSCRIBED) "" (a* gone*)'), [
    '(\\HasNoChildren \\Subscribed) "/" "a/b/c"',
    '(\\NonExistent \\HasNoChildren \\Subscribed) "/" "gone/long"',
  ]);
  assert.deepEqual(await list('(SUBSCRIBED RECURSIVEMATCH) "" "a"'), [
    '(\\HasChildren) "/" "a" ("CHILDINFO" ("SUBSCRIBED"))',
  ]);
  assert.deepEqual(await list('(SPECIAL-USE) "" * RETURN (CHILDREN)'), [
    '(\\HasNoChildren \\Archive) "/" "Archive"',
    '(\\HasNoChildren \\Drafts) "/" "Drafts"',
    '(\\HasNoChildren \\Junk) "/" "Junk"',
    '(\\HasNoChildren \\Sent) "/" "Sent"',
    '(\\HasNoChildren \\Trash) "/" "Trash"',
  ]);
  assert.deepEqual(await list('"" ("a/%" INBOX) RETURN (SUBSCRIBED)'), [
    '(\\HasNoChildren) "/" "INBOX"',
    '(\\HasChildren) "/" "a/b"',
    '(\\HasNoChildren) "/" "a/d"',
  ]);
  assert.deepEqual(await list('(REMOTE) "" Sent RETURN (SUBSCRIBED SPECIAL-USE)'), [
    '(\\HasNoChildren \\Subscribed \\Sent) "/" "Sent"',
  ]);
  assert.deepEqual(await list('() "" ""'), ['']);
  for (const wrong of [
    '(RECURSIVEMATCH) "" *',
    '(FROB) "" *',
    '"" * RETURN (FROB)',
    '"" * FROB (CHILDREN)',
    '"" ()',
    '"" * RETURN (STATUS (FROB))',
  ]) {
    assert.match((await first.command(`LIST ${wrong}`)).tagged, /^BAD/, wrong);
  }
  assert.match((await first.command(`LIST "" (${'a '.repeat(101)})`)).tagged, /^NO \[LIMIT\]/);
});

test('a mailbox that exists is never told as \\NonExistent, subscribed or not, as Thunderbird needs it', async () => {
  const { first } = await startSessions(1, { account: { roles: true } });
  assert.doesNotMatch(await untaggedOf(first, 'LIST (SUBSCRIBED) "" *'), /NonExistent/);
});

test('LIST RETURN STATUS tells of each mailbox that can be selected (RFC 5819)', async () => {
  const { first, account } = await startSessions(1, { messages: 2 });
  account.subscriptions.add('nowhere');
  await first.command('CREATE x');
  assert.equal(
    await untaggedOf(first, 'LIST "" * RETURN (STATUS (MESSAGES SIZE))'),
    '* LIST (\\HasNoChildren) "/" "INBOX"\r\n* STATUS "INBOX" (MESSAGES 2 SIZE 84)\r\n' +
      '* LIST (\\HasNoChildren) "/" "x"\r\n* STATUS "x" (MESSAGES 0 SIZE 0)',
  );
  assert.doesNotMatch(
    await untaggedOf(first, 'LIST (SUBSCRIBED) "" * RETURN (STATUS (MESSAGES))'),
    /STATUS/,
    'of what does not exist nothing',
  );
});

test('STATUS: DELETED, SIZE, APPENDLIMIT, MAILBOXID, HIGHESTMODSEQ (RFC 9051 §6.3.11, RFC 8438, RFC 7889, RFC 8474)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 3, appendBytesMax: 1234 });
  await first.command('STORE 2:3 +FLAGS.SILENT (\\Deleted)');
  assert.match(
    await untaggedOf(first, 'STATUS INBOX (APPENDLIMIT mailboxid SIZE DELETED HIGHESTMODSEQ)'),
    /^\* STATUS "INBOX" \(DELETED 2 SIZE 126 HIGHESTMODSEQ \d+ MAILBOXID \(m\d+\) APPENDLIMIT 1234\)$/,
  );
  assert.match((await first.command('CAPABILITY')).untagged, / APPENDLIMIT=1234\b/);
  assert.match((await first.command('STATUS INBOX (FROB)')).tagged, /^BAD/);
  assert.match((await first.command('STATUS INBOX ()')).tagged, /^BAD/);
});

test('CREATE with a use, its id in the reply, and no use twice (RFC 6154 §3, RFC 8474 §4.1)', async () => {
  const { first } = await startSessions(1);
  const created = await first.command('CREATE Outbox (USE (\\Sent))');
  const id = /^OK \[MAILBOXID \((m\w+)\)\]/.exec(created.tagged)?.[1];
  assert.ok(id !== undefined, created.tagged);
  assert.match(await untaggedOf(first, 'LIST "" Outbox'), /\\Sent/);
  assert.match((await first.command('CREATE More (USE (\\sent))')).tagged, /^NO \[USEATTR\]/);
  assert.match((await first.command('CREATE More (USE (\\Odd))')).tagged, /^NO \[USEATTR\]/);
  assert.match((await first.command('CREATE More (USE (\\Junk \\Trash))')).tagged, /^NO \[USEATTR\]/);
  assert.match((await first.command('CREATE More (FROB)')).tagged, /^BAD/);
  assert.match(await untaggedOf(first, 'SELECT Outbox'), new RegExp(`\\[MAILBOXID \\(${id}\\)\\]`));
  await first.command('RENAME Outbox Gone');
  assert.match(await untaggedOf(first, 'STATUS Gone (MAILBOXID)'), new RegExp(`\\(${id}\\)`), 'the id stays');
});

test('EMAILID and THREADID are told and searched for (RFC 8474 §5)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 2 });
  const told = await untaggedOf(first, 'FETCH 1:2 (EMAILID THREADID)');
  const [, e1, t1] = /^\* 1 FETCH \(EMAILID \((\S+)\) THREADID \((\S+)\)\)\r\n\* 2 FETCH/.exec(told) ?? [];
  assert.equal(await untaggedOf(first, `SEARCH EMAILID ${e1}`), '* SEARCH 1');
  assert.equal(await untaggedOf(first, `SEARCH NOT THREADID ${t1}`), '* SEARCH 2');
  assert.equal(await untaggedOf(first, 'SEARCH EMAILID none'), '* SEARCH');
});

test('SAVEDATE is when a message came into the mailbox, not when it came at all (RFC 8514)', async () => {
  let nowMs = Date.parse('2024-02-29T12:00:00Z');
  const { first } = await startSessions(1, {
    mailbox: 'INBOX',
    messages: 1,
    account: { nowMs: () => nowMs },
  });
  await first.command('CREATE x');
  nowMs = Date.parse('2024-03-05T12:00:00Z');
  await first.command('COPY 1 x');
  await first.command('SELECT x');
  assert.equal(
    await untaggedOf(first, 'FETCH 1 (INTERNALDATE SAVEDATE)'),
    '* 1 FETCH (INTERNALDATE "29-Feb-2024 12:00:00 +0000" SAVEDATE " 5-Mar-2024 12:00:00 +0000")',
  );
  for (const [key, found] of [
    ['SAVEDON 5-Mar-2024', ' 1'],
    ['SAVEDBEFORE 5-Mar-2024', ''],
    ['SAVEDSINCE 5-Mar-2024', ' 1'],
    ['SAVEDATESUPPORTED', ' 1'],
  ] as const) {
    assert.equal(await untaggedOf(first, `SEARCH ${key}`), `* SEARCH${found}`, key);
  }
});

test('PREVIEW gives the first words, LAZY or not; of a damaged message NIL (RFC 8970)', async () => {
  const { first, account } = await startSessions(1);
  account.add('INBOX', fromLatin1('Subject: x\r\n\r\nHello  there,\r\nhow are you?\r\n'));
  account.add(
    'INBOX',
    fromLatin1(
      `Content-Type: text/html; charset=utf-8\r\n\r\n<style>p{}</style><p>${latin1(utf8('封泥'))}</p>\r\n`,
    ),
  );
  account.add('INBOX', fromLatin1('Subject: empty\r\n\r\n'));
  await first.command('SELECT INBOX');
  const damaged = account.mailboxes.get('INBOX')?.messages.get(3);
  assert.equal(
    await untaggedOf(first, 'FETCH 1:3 PREVIEW'),
    `* 1 FETCH (PREVIEW "Hello there, how are you?")\r\n* 2 FETCH (PREVIEW {6}\r\n${latin1(utf8('封泥'))})\r\n* 3 FETCH (PREVIEW "")`,
  );
  assert.ok(damaged !== undefined);
  damaged.damaged = true;
  assert.equal(await untaggedOf(first, 'FETCH 3 (PREVIEW (LAZY) UID)'), '* 3 FETCH (PREVIEW NIL UID 3)');
  assert.match((await first.command('FETCH 1 PREVIEW (FROB)')).tagged, /^BAD/);
  await first.command('ENABLE UTF8=ACCEPT');
  assert.match(await untaggedOf(first, 'FETCH 2 PREVIEW'), /PREVIEW "\xe5/);
});

test('BINARY gives a part without its transfer encoding, in a literal8 where there is a NUL (RFC 3516)', async () => {
  const { first, account } = await startSessions(1);
  const big = Buffer.alloc(3_000_000, 'abcdefghij\n');
  account.add(
    'INBOX',
    fromLatin1(
      'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n' +
        `${Buffer.from('one\0two').toString('base64')}\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n` +
        'a=3Db=\r\nc\r\n--b\r\n\r\nplain\r\n--b\r\nContent-Transfer-Encoding: x-odd\r\n\r\nodd\r\n--b\r\n' +
        `Content-Transfer-Encoding: base64\r\n\r\n${(big.toString('base64').match(/.{1,76}/g) ?? []).join('\r\n')}\r\n--b--\r\n`,
    ),
  );
  account.add('INBOX', fromLatin1('Content-Transfer-Encoding: base64\r\n\r\naGk=\r\n'));
  await first.command('SELECT INBOX');
  for (const [item, told] of [
    ['BINARY.PEEK[1]', 'BINARY[1] ~{7}\r\none\0two'],
    ['BINARY.PEEK[1]<2.3>', 'BINARY[1]<2> ~{3}\r\ne\0t'],
    ['BINARY.PEEK[1]<4.99>', 'BINARY[1]<4> {3}\r\ntwo'],
    ['BINARY.PEEK[2]', 'BINARY[2] {4}\r\na=bc'],
    ['BINARY.PEEK[3]', 'BINARY[3] {5}\r\nplain'],
    ['BINARY.PEEK[3]<1.3>', 'BINARY[3]<1> {3}\r\nlai'],
    ['BINARY.PEEK[9]', 'BINARY[9] NIL'],
    ['BINARY.SIZE[1]', 'BINARY.SIZE[1] 7'],
    ['BINARY.SIZE[2]', 'BINARY.SIZE[2] 4'],
    ['BINARY.SIZE[3]', 'BINARY.SIZE[3] 5'],
    ['BINARY.SIZE[5]', `BINARY.SIZE[5] ${big.length}`],
  ] as const) {
    assert.equal(await untaggedOf(first, `FETCH 1 ${item}`), `* 1 FETCH (${told})`, item);
  }
  assert.equal(
    await untaggedOf(first, 'FETCH 2 (BINARY[1] BINARY.SIZE[])'),
    '* 2 FETCH (FLAGS (\\Recent \\Seen) BINARY[1] {2}\r\nhi BINARY.SIZE[] 43)',
  );
  const whole = await untaggedOf(first, 'FETCH 1 BINARY.PEEK[5]');
  assert.ok(whole === `* 1 FETCH (BINARY[5] {${big.length}}\r\n${big.toString('latin1')})`);
  assert.deepEqual(await first.command('FETCH 1 (UID BINARY.PEEK[4])'), {
    untagged: '* 1 FETCH (UID 1 BINARY[4] NIL)\r\n',
    tagged: 'NO [UNKNOWN-CTE] A part has a transfer encoding that is not known',
  });
  for (const wrong of [
    'BINARY[TEXT]',
    'BINARY[1.MIME]',
    'BINARY[0]',
    'BINARY.SIZE[1]<0.1>',
    'BINARY',
    'BINARY[1',
  ]) {
    assert.match((await first.command(`FETCH 1 ${wrong}`)).tagged, /^BAD/, wrong);
  }
});

test('damage that shows while a part is decoded shows no octet of it', async () => {
  const { first, account } = await startSessions(1);
  account.add(
    'INBOX',
    fromLatin1(
      `Content-Transfer-Encoding: base64\r\n\r\n${Buffer.alloc(200_000, 'x').toString('base64')}\r\n`,
    ),
  );
  const message = account.mailboxes.get('INBOX')?.messages.get(1);
  assert.ok(message !== undefined);
  message.damaged = 150_000;
  await first.command('SELECT INBOX');
  for (const item of ['BINARY.PEEK[1]', 'BINARY.SIZE[1]']) {
    assert.deepEqual(await first.command(`FETCH 1 ${item}`), {
      untagged: '* 1 FETCH (UID 1)\r\n',
      tagged: 'NO [CORRUPTION] UID 1: the message is damaged and not shown',
    });
  }
});

test('IMAP4rev2: UTF-8 names, no \\Recent and no RECENT, LIST and CLOSED with SELECT (RFC 9051 §6.3.2, Appendix E)', async () => {
  const { first, second, account } = await startSessions(2, { messages: 1, enable: 'IMAP4rev2' });
  assert.match((await first.command('CAPABILITY')).untagged, /^\* CAPABILITY IMAP4rev1 IMAP4rev2 /);
  const selected = await untaggedOf(first, 'SELECT inbox');
  assert.match(selected, /\* LIST \(\) "\/" "INBOX"\r\n/);
  assert.doesNotMatch(selected, /RECENT|UNSEEN|CLOSED/);
  assert.match(await untaggedOf(first, 'SELECT INBOX'), /^\* OK \[CLOSED\]/);
  assert.equal(await untaggedOf(first, 'FETCH 1 FLAGS'), '* 1 FETCH (FLAGS ())');
  account.add('INBOX', fromLatin1('Subject: new\r\n\r\n'));
  assert.equal(await untaggedOf(first, 'NOOP'), '* 2 EXISTS');
  await second.command('SELECT INBOX');
  await second.command('STORE 1 +FLAGS.SILENT (\\Seen)');
  assert.equal(await untaggedOf(first, 'NOOP'), '* 1 FETCH (FLAGS (\\Seen) UID 1)');
  const name = latin1(utf8('日本語/été "x"'));
  assert.match((await first.command(`CREATE "${name.replaceAll('"', '\\"')}"`)).tagged, /^OK/);
  assert.match(await untaggedOf(first, 'LIST "" *'), new RegExp(`"${name.replaceAll('"', '\\\\"')}"`));
  assert.match(
    (await first.command('CREATE a&b')).tagged,
    /^OK/,
    'an ampersand is itself, as Thunderbird sends it',
  );
  assert.match(await untaggedOf(first, 'LIST "" a*'), /"a&b"$/);
  const old = await startSessions(1);
  await old.first.command('CREATE "&ZeVnLIqe-"');
  assert.match(await untaggedOf(old.first, 'LIST "" *'), /"&ZeVnLIqe-"/);
});
