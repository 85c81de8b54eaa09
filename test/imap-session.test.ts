import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromLatin1 } from '#base/bytes';
import { MemoryAccount, type MemoryAccountOptions, MemoryLogin } from './support/imap-memory-store.ts';
import { createImapServer, ImapPipe } from './support/imap-pipe.ts';

/** Lets everything run that waits for nothing. */
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const message = (subject: string, body = 'text\r\n'): Uint8Array =>
  fromLatin1(`From: a@example.org\r\nSubject: ${subject}\r\n\r\n${body}`);

/** Sessions of one account, logged in; with `mailbox` it is selected in each. */
const start = async (
  count: number,
  options: {
    mailbox?: string;
    account?: MemoryAccountOptions;
    messages?: number;
    appendBytesMax?: number;
  } = {},
) => {
  const login = new MemoryLogin();
  const account = new MemoryAccount(options.account);
  login.accounts.set('fred', { password: 'secret', account });
  for (let index = 1; index <= (options.messages ?? 0); index++) account.add('INBOX', message(`m${index}`));
  const counted: string[] = [];
  const server = createImapServer(login, {
    counted,
    ...(options.appendBytesMax === undefined ? {} : { appendBytesMax: options.appendBytesMax }),
  });
  const pipes: ImapPipe[] = [];
  for (let index = 0; index < count; index++) {
    const pipe = new ImapPipe(server);
    pipe.take();
    assert.match((await pipe.command('LOGIN fred secret')).tagged, /^OK \[CAPABILITY /);
    if (options.mailbox !== undefined) await pipe.command(`SELECT ${options.mailbox}`);
    pipes.push(pipe);
  }
  const [first, second = first] = pipes;
  assert.ok(first !== undefined && second !== undefined);
  return { login, account, server, counted, first, second, pipes };
};

test('before TLS no password is taken, and the capabilities say so (RFC 9051 §6.2.3, §11.3)', async () => {
  const { server } = await start(1);
  const pipe = new ImapPipe(server, false);
  assert.match(pipe.take(), /^\* OK \[CAPABILITY IMAP4rev1 [^\]]*\bSTARTTLS LOGINDISABLED\b(?![^\]]*AUTH=)/);
  assert.match((await pipe.command('LOGIN fred secret')).tagged, /^NO \[PRIVACYREQUIRED\]/);
  assert.match((await pipe.command('AUTHENTICATE PLAIN AGZyZWQAc2VjcmV0')).tagged, /^NO \[PRIVACYREQUIRED\]/);
  assert.match((await pipe.command('STARTTLS')).tagged, /^OK/);
  assert.match((await pipe.command('CAPABILITY')).untagged, /AUTH=PLAIN/);
  assert.match((await pipe.command('STARTTLS')).tagged, /^BAD/);
  assert.match((await pipe.command('LOGIN fred secret')).tagged, /^OK/);
});

test('nothing that came in clear behind STARTTLS is a command (RFC 9051 §6.2.1)', async () => {
  const { server } = await start(1);
  const pipe = new ImapPipe(server, false);
  pipe.take();
  pipe.send('a STARTTLS\r\nb LOGIN fred secret\r\n');
  await tick();
  assert.match(pipe.take(), /^a BAD .*\r\n\* BYE .*\r\n$/);
  assert.equal(pipe.ended, true);
});

test('AUTHENTICATE PLAIN with and without an initial response, cancelled and wrong (RFC 4616, RFC 4959)', async () => {
  const { server } = await start(1);
  const right = Buffer.from('\0fred\0secret').toString('base64');
  for (const initial of [true, false]) {
    const pipe = new ImapPipe(server);
    pipe.take();
    pipe.send(initial ? `a AUTHENTICATE plain ${right}\r\n` : 'a AUTHENTICATE PLAIN\r\n');
    if (!initial) {
      assert.equal(await pipe.until(/^\+ /), '+ \r\n');
      pipe.send(`${right}\r\n`);
    }
    assert.match(await pipe.until(/^a /m), /^a OK \[CAPABILITY (?!.*AUTH=)/);
  }
  const pipe = new ImapPipe(server);
  pipe.take();
  for (const [response, reply] of [
    ['*', /^a BAD/],
    ['!!!', /^a BAD/],
    [Buffer.from('fred\0secret').toString('base64'), /^a BAD/],
    [Buffer.from('\0fred\0wrong').toString('base64'), /^a NO \[AUTHENTICATIONFAILED\]/],
    [Buffer.from('\0fred\0\xff').toString('base64'), /^a NO \[AUTHENTICATIONFAILED\]/],
  ] as const) {
    pipe.send('a AUTHENTICATE PLAIN\r\n');
    await pipe.until(/^\+ /);
    pipe.send(`${response}\r\n`);
    assert.match(await pipe.until(/^a /m), reply);
  }
  assert.match((await pipe.command('AUTHENTICATE CRAM-MD5')).tagged, /^NO/);
  assert.match((await pipe.command('ID NIL')).untagged, /^\* ID \("name" "Fengni"\)/);
});

test('commands in the wrong state, unknown ones and later ones', async () => {
  const { server, first } = await start(1);
  const pipe = new ImapPipe(server);
  pipe.take();
  assert.match((await pipe.command('SELECT INBOX')).tagged, /^NO/);
  assert.match((await first.command('LOGIN fred secret')).tagged, /^BAD/);
  assert.match((await first.command('FETCH 1 FLAGS')).tagged, /^BAD/);
  assert.match((await first.command('FROBNICATE')).tagged, /^BAD/);
  assert.match((await first.command('UID NOOP')).tagged, /^BAD/);
  assert.match((await first.command('SORT (DATE) UTF-8 ALL')).tagged, /^NO \[CANNOT\]/);
  assert.match((await first.command('GETQUOTAROOT INBOX')).tagged, /^NO \[CANNOT\]/);
  await first.command('SELECT INBOX');
  for (const command of [
    'FETCH 1 ANNOTATION',
    'SEARCH OR FUZZY TEXT x ALL',
    'SEARCH YOUNGER 10',
    'STATUS INBOX (MESSAGES DELETED-STORAGE)',
  ]) {
    assert.match((await first.command(command)).tagged, /^NO \[CANNOT\]/, command);
  }
  assert.match((await first.command('FETCH 1 FROB')).tagged, /^BAD/);
  assert.match((await first.command('SEARCH FROB')).tagged, /^BAD/);
});

test('twenty lines in a row that are no commands end the session', async () => {
  const { first } = await start(1);
  for (let count = 0; count < 19; count++) assert.match((await first.command('X')).tagged, /^BAD/);
  await first.command('NOOP');
  first.send('x \r\n'.repeat(20));
  await tick();
  assert.match(first.take(), /^(?:x BAD .*\r\n){20}\* BYE /);
  assert.equal(first.ended, true);
});

test('an HTTP request is not answered', async () => {
  const { server } = await start(1);
  const pipe = new ImapPipe(server);
  pipe.take();
  pipe.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await tick();
  assert.deepEqual([pipe.output, pipe.destroyed], ['', true]);
});

test('DONE and the next command in one packet, as Apple Mail sends them', async () => {
  const { first } = await start(1, { mailbox: 'INBOX', messages: 1 });
  first.send('a IDLE\r\n');
  assert.match(await first.until(/^\+ /), /^\+ /);
  first.send('DONE\r\nb FETCH 1 UID\r\nc IDLE\r\nDONE\r\nd NOOP\r\n');
  assert.equal(
    await first.until(/^d OK/m),
    'a OK Done idling\r\n* 1 FETCH (UID 1)\r\nb OK Fetched\r\n+ Idling\r\nc OK Done idling\r\nd OK Nothing done\r\n',
  );
});

test('IDLE tells changes at once, and is allowed without a mailbox (RFC 2177)', async () => {
  const { account, first, second } = await start(2);
  first.send('a IDLE\r\n');
  await first.until(/^\+ /);
  first.send('DONE\r\n');
  await first.until(/^a OK/m);
  for (const pipe of [first, second]) await pipe.command('SELECT INBOX');
  second.send('b IDLE\r\n');
  await second.until(/^\+ /);
  account.add('INBOX', message('new'));
  assert.equal(await second.until(/RECENT/), '* 1 EXISTS\r\n* 1 RECENT\r\n');
  await first.command('NOOP');
  await first.command('STORE 1 +FLAGS (\\Deleted)');
  assert.equal(await second.until(/FETCH/), '* 1 FETCH (FLAGS (\\Deleted \\Recent))\r\n');
  await first.command('EXPUNGE');
  assert.equal(await second.until(/EXPUNGE/), '* 1 EXPUNGE\r\n* 0 RECENT\r\n');
  second.send('NOOP\r\n');
  assert.match(await second.until(/^b /m), /^b BAD/);
});

test('what changed while IDLE began is told too', async () => {
  const { account, first } = await start(1, { mailbox: 'INBOX' });
  account.add('INBOX', message('before'));
  first.send('a IDLE\r\n');
  assert.equal(await first.until(/RECENT/), '+ Idling\r\n* 1 EXISTS\r\n* 1 RECENT\r\n');
});

test('EXPUNGE is not told during FETCH, STORE and SEARCH; numbers stay (RFC 9051 §7.5.1)', async () => {
  const { account, first, second } = await start(2, { mailbox: 'INBOX', messages: 4 });
  await first.command('STORE 1,3 +FLAGS.SILENT (\\Deleted)');
  await second.command('NOOP');
  await first.command('EXPUNGE');
  account.add('INBOX', message('m5'));
  assert.equal(
    (await second.command('FETCH 2,4 (UID)')).untagged,
    '* 2 FETCH (UID 2)\r\n* 4 FETCH (UID 4)\r\n',
  );
  assert.equal((await second.command('STORE 2 FLAGS (\\Seen)')).untagged, '* 2 FETCH (FLAGS (\\Seen))\r\n');
  assert.equal((await second.command('SEARCH ALL')).untagged, '* SEARCH 2 4\r\n');
  assert.deepEqual(await second.command('FETCH 1:4 FLAGS'), {
    untagged: '* 2 FETCH (FLAGS (\\Seen))\r\n* 4 FETCH (FLAGS ())\r\n',
    tagged: 'NO [EXPUNGEISSUED] Some of the messages are gone',
  });
  assert.match((await second.command('STORE 1 +FLAGS (\\Seen)')).tagged, /^NO \[EXPUNGEISSUED\]/);
  assert.match((await second.command('FETCH 5 UID')).tagged, /^BAD/, 'not told, not there');
  assert.equal(
    (await second.command('UID SEARCH 1:*')).untagged,
    '* SEARCH 2 4\r\n',
    'even the UID form waits: it is a SEARCH',
  );
  assert.equal(
    (await second.command('NOOP')).untagged,
    '* 1 EXPUNGE\r\n* 2 EXPUNGE\r\n* 3 EXISTS\r\n* 1 RECENT\r\n',
  );
  assert.equal(
    (await second.command('FETCH 1:* UID')).untagged,
    '* 1 FETCH (UID 2)\r\n* 2 FETCH (UID 4)\r\n* 3 FETCH (UID 5)\r\n',
  );
});

test('COPY copies nothing when one of its messages is gone (RFC 2180 §4.4.2)', async () => {
  const { account, first, second } = await start(2, { mailbox: 'INBOX', messages: 3 });
  await first.command('STORE 2 +FLAGS.SILENT (\\Deleted)');
  await first.command('EXPUNGE');
  assert.deepEqual(await second.command('COPY 1:3 INBOX'), {
    untagged: '* 2 EXPUNGE\r\n',
    tagged: 'NO [EXPUNGEISSUED] Some of the messages are gone, nothing was done',
  });
  assert.equal(account.mailboxes.get('INBOX')?.state.count, 2);
});

test('own silent changes are not told, those of others are', async () => {
  const { first, second } = await start(2, { mailbox: 'INBOX', messages: 2 });
  assert.equal((await first.command('STORE 1 +FLAGS.SILENT (\\Seen)')).untagged, '');
  assert.equal(
    (await second.command('STORE 1 +FLAGS.SILENT (\\Flagged)')).untagged,
    '* 1 FETCH (FLAGS (\\Flagged \\Seen))\r\n',
    'the change of the other session',
  );
  assert.equal((await first.command('NOOP')).untagged, '* 1 FETCH (FLAGS (\\Flagged \\Recent \\Seen))\r\n');
  assert.equal((await second.command('NOOP')).untagged, '');
});

test('more changes than are remembered are told all the same, once', async () => {
  const { account, first } = await start(1, { mailbox: 'INBOX', messages: 3 });
  const state = account.mailboxes.get('INBOX')?.state;
  for (let turn = 0; turn < 3000; turn++) {
    state?.flagsChanged(
      [{ uid: 1 + (turn % 2), flags: turn % 3 === 0 ? ['\\Seen'] : [] }],
      account.nextModSeq(),
      null,
    );
  }
  assert.match((await first.command('NOOP')).untagged, /^\* 1 FETCH \(FLAGS .*\r\n\* 2 FETCH .*\r\n$/);
  assert.equal((await first.command('NOOP')).untagged, '');
});

test('keywords: without case, as first seen, told when new, 100 a mailbox', async () => {
  const { first, second } = await start(2, { mailbox: 'INBOX', messages: 2 });
  const flags = '\\Answered \\Deleted \\Draft \\Flagged \\Seen';
  assert.equal(
    (await first.command('STORE 1 +FLAGS ($Junk Work)')).untagged,
    `* FLAGS (${flags} $Junk Work)\r\n* OK [PERMANENTFLAGS (${flags} $Junk Work \\*)] Flags permitted\r\n* 1 FETCH (FLAGS (\\Recent $Junk Work))\r\n`,
  );
  assert.equal(
    (await second.command('STORE 2 +FLAGS (wORK)')).untagged,
    `* FLAGS (${flags} $Junk Work)\r\n* OK [PERMANENTFLAGS (${flags} $Junk Work \\*)] Flags permitted\r\n* 2 FETCH (FLAGS (Work))\r\n* 1 FETCH (FLAGS ($Junk Work))\r\n`,
  );
  assert.equal(
    (await first.command('SEARCH KEYWORD WORK')).untagged,
    '* SEARCH 1 2\r\n* 2 FETCH (FLAGS (\\Recent Work))\r\n',
  );
  const many = Array.from({ length: 98 }, (_none, index) => `k${index}`).join(' ');
  assert.match((await first.command(`STORE 1 +FLAGS.SILENT (${many})`)).tagged, /^OK/);
  assert.match((await first.command('STORE 1 +FLAGS (one-more)')).tagged, /^NO \[LIMIT\]/);
  assert.match((await first.command('STORE 1 +FLAGS (\\Recent \\Seen)')).tagged, /^OK/);
  assert.match((await first.command('STORE 1 +FLAGS (\\Odd)')).tagged, /^BAD/);
});

test('\\Recent is given to one session; EXAMINE and STATUS leave it (RFC 3501 §2.3.2)', async () => {
  const { account, first, second } = await start(2, { messages: 2 });
  assert.match((await first.command('EXAMINE INBOX')).untagged, /\* 2 RECENT/);
  assert.equal((await second.command('STATUS INBOX (RECENT)')).untagged, '* STATUS "INBOX" (RECENT 2)\r\n');
  assert.match((await second.command('SELECT INBOX')).untagged, /\* 2 RECENT/);
  assert.equal((await second.command('FETCH 1 FLAGS')).untagged, '* 1 FETCH (FLAGS (\\Recent))\r\n');
  assert.match((await first.command('SELECT INBOX')).untagged, /\* 0 RECENT/);
  account.add('INBOX', message('m3'));
  assert.equal((await first.command('NOOP')).untagged, '* 3 EXISTS\r\n* 1 RECENT\r\n');
  assert.equal((await second.command('NOOP')).untagged, '* 3 EXISTS\r\n');
  assert.equal((await first.command('SEARCH RECENT')).untagged, '* SEARCH 3\r\n');
  assert.equal((await second.command('SEARCH OLD')).untagged, '* SEARCH 3\r\n');
});

test('EXAMINE changes nothing', async () => {
  const { first, account } = await start(1, { messages: 1 });
  const told = await first.command('EXAMINE INBOX');
  assert.match(told.tagged, /^OK \[READ-ONLY\]/);
  assert.match(told.untagged, /\[PERMANENTFLAGS \(\)\]/);
  assert.match((await first.command('STORE 1 +FLAGS (\\Seen)')).tagged, /^NO \[READ-ONLY\]/);
  assert.match((await first.command('EXPUNGE')).tagged, /^NO \[READ-ONLY\]/);
  assert.match((await first.command('MOVE 1 INBOX')).tagged, /^NO \[READ-ONLY\]/);
  assert.doesNotMatch((await first.command('FETCH 1 BODY[]')).untagged, /Seen/);
  await first.command('CLOSE');
  assert.equal(account.mailboxes.get('INBOX')?.state.count, 1);
});

test('BODY[] gives the octets as they are, in a literal, and marks them seen; PEEK does not', async () => {
  const { first, account } = await start(1);
  const octets = fromLatin1('Subject: \xe9\0\r\n\r\nbare\rand\nand NUL \0\xff');
  account.add('INBOX', octets);
  await first.command('SELECT INBOX');
  const whole = `{${octets.length}}\r\n${Buffer.from(octets).toString('latin1')}`;
  assert.equal((await first.command('FETCH 1 BODY.PEEK[]')).untagged, `* 1 FETCH (BODY[] ${whole})\r\n`);
  assert.equal(
    (await first.command('FETCH 1 (RFC822.SIZE BODY[])')).untagged,
    `* 1 FETCH (FLAGS (\\Recent \\Seen) RFC822.SIZE ${octets.length} BODY[] ${whole})\r\n`,
  );
  assert.equal((await first.command('FETCH 1 RFC822')).untagged, `* 1 FETCH (RFC822 ${whole})\r\n`);
  assert.equal(
    (await first.command('UID FETCH 1 BODY[]<9.3>')).untagged,
    '* 1 FETCH (UID 1 BODY[]<9> {3}\r\n\xe9\0\r)\r\n',
  );
  assert.equal(
    (await first.command('FETCH 1 BODY[]<9999.3>')).untagged,
    '* 1 FETCH (BODY[]<9999> {0}\r\n)\r\n',
  );
  assert.equal((await first.command('FETCH 1 BODY[7]')).untagged, '* 1 FETCH (BODY[7] NIL)\r\n');
});

test('a message is shown though its \\Seen cannot be kept', async () => {
  const { first, account, counted } = await start(1, { mailbox: 'INBOX', messages: 1 });
  let calls = 0;
  account.options.pause = async () => {
    if (++calls === 1) throw new Error('the writer is away');
  };
  const reply = await first.command('FETCH 1 BODY[TEXT]');
  assert.deepEqual(reply, { untagged: '* 1 FETCH (BODY[TEXT] {6}\r\ntext\r\n)\r\n', tagged: 'OK Fetched' });
  assert.ok(counted.includes('imap-seen-not-kept'));
});

test('a damaged message keeps its metadata, has no body, and is named (RFC 5530 CORRUPTION)', async () => {
  const { first, account } = await start(1, { messages: 3, mailbox: 'INBOX' });
  const damaged = account.mailboxes.get('INBOX')?.messages.get(2);
  assert.ok(damaged !== undefined);
  damaged.damaged = true;
  const reply = await first.command('FETCH 1:* (UID BODY[TEXT])');
  assert.equal(
    reply.untagged,
    '* 1 FETCH (FLAGS (\\Recent \\Seen) UID 1 BODY[TEXT] {6}\r\ntext\r\n)\r\n' +
      '* 2 FETCH (FLAGS (\\Recent \\Seen) UID 2)\r\n' +
      '* 3 FETCH (FLAGS (\\Recent \\Seen) UID 3 BODY[TEXT] {6}\r\ntext\r\n)\r\n' +
      '* 2 FETCH (FLAGS (\\Recent))\r\n',
  );
  assert.equal(reply.tagged, 'NO [CORRUPTION] UID 2: the message is damaged and not shown');
  assert.equal((await first.command('FETCH 2 BODY.PEEK[]')).untagged, '* 2 FETCH (UID 2)\r\n');
  damaged.damaged = 0;
  assert.deepEqual(await first.command('FETCH 2 BODY.PEEK[]'), {
    untagged: '* 2 FETCH (UID 2)\r\n',
    tagged: 'NO [CORRUPTION] UID 2: the message is damaged and not shown',
  });
  assert.match((await first.command('NOOP')).tagged, /^OK/, 'the session goes on');
});

test('damage that shows after the literal began ends the connection inside it', async () => {
  const { first, account } = await start(1);
  account.add('INBOX', message('big', 'x'.repeat(3_000_000)));
  const big = account.mailboxes.get('INBOX')?.messages.get(1);
  assert.ok(big !== undefined);
  big.damaged = 2_000_000;
  await first.command('SELECT INBOX');
  first.send('a FETCH 1 BODY.PEEK[]\r\n');
  const got = await first.until(/never/);
  assert.equal(first.destroyed, true);
  const [, announced] = /\{(\d+)\}/.exec(got) ?? [];
  assert.equal(Number(announced), big.octets.length);
  assert.ok(got.length < 2_000_100);
});

test('a client that does not read holds a batch, not a message', async () => {
  const { first, account } = await start(1);
  account.add('INBOX', message('big', 'x'.repeat(3_000_000)));
  await first.command('SELECT INBOX');
  first.blocked = true;
  first.send('a FETCH 1 BODY.PEEK[]\r\n');
  await tick();
  const before = first.output.length;
  assert.ok(before > 60_000 && before < 200_000, `${before} octets`);
  await tick();
  assert.equal(first.output.length, before);
  first.blocked = false;
  first.session.drained();
  const got = await first.until(/^a OK/m);
  assert.equal(
    before + got.length,
    before + '* 1 FETCH (BODY[] {3000037}\r\n'.length + 3_000_037 + ')\r\na OK Fetched\r\n'.length,
  );
});

test('pipelined commands are answered in order, and a flood is held back', async () => {
  const { first } = await start(1, {
    mailbox: 'INBOX',
    messages: 1,
    account: { pause: () => tick() },
  });
  for (let count = 0; count < 40; count++)
    first.send(`t${count} STATUS INBOX (MESSAGES) ${' '.repeat(8_000)}`.trimEnd().concat('\r\n'));
  const text = await first.until(/^t39 /m);
  const tags = [...text.matchAll(/^t(\d+) OK/gm)].map((match) => Number(match[1]));
  assert.deepEqual(
    tags,
    Array.from({ length: 40 }, (_none, index) => index),
  );
  first.send('a STATUS INBOX (MESSAGES)\r\n');
  first.send(`${'b NOOP\r\n'.repeat(30_000)}`);
  assert.deepEqual([first.pauses, first.resumes], [1, 0]);
  await first.until(/^a OK/m);
  while (first.resumes === 0) await tick();
});

test('APPEND: streamed, flags and date kept, refused before the octets come (RFC 9051 §6.3.12)', async () => {
  const { first, account, counted } = await start(1, { appendBytesMax: 1000, mailbox: 'INBOX' });
  first.send('a APPEND INBOX (\\Flagged work) "17-Jul-1996 02:44:25 -0700" {10}\r\n');
  assert.equal(await first.until(/^\+/), '+ Go on\r\n');
  for (const octet of 'A: b\r\n\r\nhi\r\n') first.send(octet);
  assert.match(
    await first.until(/^a /m),
    /^\* 1 EXISTS\r\n\* 1 RECENT\r\n\* FLAGS \(.* work\)\r\n.*\r\na OK \[APPENDUID \d+ 1\]/,
  );
  assert.equal(
    (await first.command('FETCH 1 (FLAGS INTERNALDATE RFC822)')).untagged,
    '* 1 FETCH (FLAGS (\\Flagged \\Recent \\Seen work) INTERNALDATE "17-Jul-1996 09:44:25 +0000" RFC822 {10}\r\nA: b\r\n\r\nhi)\r\n',
  );
  for (const [command, reply] of [
    ['APPEND nowhere {5}', /^x NO \[TRYCREATE\]/],
    ['APPEND INBOX {1001}', /^x NO \[TOOBIG\]/],
    ['APPEND INBOX {0}', /^x NO/],
    ['APPEND INBOX (\\Odd) {5}', /^x BAD/],
    ['APPEND INBOX "17-Foo-1996 02:44:25 -0700" {5}', /^x BAD/],
    ['APPEND "&" {5}', /^x NO \[CANNOT\]/],
  ] as const) {
    first.send(`x ${command}\r\n`);
    assert.match(await first.until(/^x /m), reply, command);
    first.send(
      `x ${command.replace('}', '+}')}\r\n${'z'.repeat(Number(/\d+/.exec(/\{.*/.exec(command)?.[0] ?? '')?.[0]))}\r\ny NOOP\r\n`,
    );
    const both = await first.until(/^y /m);
    assert.match(both, reply, command);
    assert.match(both, /^y OK/m, command);
  }
  assert.ok(counted.includes('imap-literal-too-big'));
  assert.match((await first.command('APPEND INBOX {3+}\r\na\0b')).tagged, /^NO/, 'NUL in a literal');
  assert.match((await first.command('APPEND INBOX ~{3+}\r\na\0b')).tagged, /^OK/, 'NUL in a literal8');
  assert.match((await first.command('APPEND INBOX {3+}\r\nabc (\\Seen)')).tagged, /^BAD/);
  assert.match((await first.command('APPEND INBOX text')).tagged, /^BAD/);
  assert.match(
    (await first.command('APPEND {5+}\r\ninbox {3+}\r\nabc')).tagged,
    /^OK/,
    'a literal as the name',
  );
  assert.equal(account.mailboxes.get('INBOX')?.state.count, 3);
});

test('a client that leaves inside an APPEND stores nothing', async () => {
  const { first, account } = await start(1);
  first.send('a APPEND INBOX {100+}\r\nhalf');
  await tick();
  first.session.closed();
  await tick();
  assert.equal(account.mailboxes.get('INBOX')?.state.count, 0);
});

test('a literal over the limit is refused before the continuation (WIRE)', async () => {
  const { first, server } = await start(1, { mailbox: 'INBOX' });
  const before = new ImapPipe(server);
  before.take();
  assert.match((await before.command('LOGIN {9000}')).tagged, /^NO \[TOOBIG\]/);
  assert.match((await before.command(`LOGIN ${'x'.repeat(9000)} y`)).tagged, /^BAD/);
  assert.match((await first.command('SEARCH KEYWORD {70000}')).tagged, /^NO \[TOOBIG\]/);
  assert.match((await first.command(`UID SEARCH UID ${'1,'.repeat(20_000)}1`)).tagged, /^OK/);
  assert.match((await first.command(`SEARCH ${'x'.repeat(65_536)}`)).tagged, /^BAD/);
});

test('huge sets and deep nesting are bounded', async () => {
  const { first } = await start(1, { mailbox: 'INBOX', messages: 2 });
  assert.equal(
    (await first.command('UID FETCH 1:4294967295 UID')).untagged,
    '* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n',
  );
  assert.match((await first.command('FETCH 1:10000000 UID')).tagged, /^BAD/);
  assert.match((await first.command('FETCH 4294967296 UID')).tagged, /^BAD/);
  assert.match((await first.command(`SEARCH ${'('.repeat(10_000)}ALL${')'.repeat(10_000)}`)).tagged, /^BAD/);
  assert.match((await first.command(`SEARCH ${'NOT '.repeat(10_000)}ALL`)).tagged, /^BAD/);
  assert.match((await first.command(`FETCH 1 (${'BODY.PEEK[] '.repeat(300)})`)).tagged, /^BAD/);
  assert.equal(
    (await first.command('FETCH 1,2,1,2:1 UID')).untagged,
    '* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n',
  );
});

test('sets in an empty mailbox', async () => {
  const { first } = await start(1, { mailbox: 'INBOX' });
  assert.match((await first.command('FETCH 1:* FLAGS')).tagged, /^OK/);
  assert.match((await first.command('FETCH 1 FLAGS')).tagged, /^BAD/);
  assert.match((await first.command('UID FETCH 1:* FLAGS')).tagged, /^OK/);
  assert.equal((await first.command('SEARCH ALL')).untagged, '* SEARCH\r\n');
});

test('SEARCH by size and date (RFC 9051 §6.4.4)', async () => {
  const { first, account } = await start(1);
  const at = (date: string): number => Date.parse(date);
  account.add('INBOX', message('a', 'x'.repeat(100)), [], at('2024-02-28T23:59:59Z'));
  account.add('INBOX', message('b'), ['\\Seen'], at('2024-02-29T00:00:00Z'));
  account.add('INBOX', message('c'), [], at('2024-03-01T00:00:00Z'));
  await first.command('SELECT INBOX');
  for (const [keys = '', found = ''] of [
    ['ON 29-Feb-2024', ' 2'],
    ['BEFORE "29-feb-2024"', ' 1'],
    ['SINCE 29-Feb-2024', ' 2 3'],
    ['LARGER 100', ' 1'],
    ['SMALLER 100 UNSEEN', ' 3'],
    ['NOT ON 29-Feb-2024 (UNSEEN LARGER 1)', ' 1 3'],
    ['OR SEEN 3', ' 2 3'],
    ['CHARSET utf-8 UNSEEN 1:2,9 NOT DELETED', ' 1'],
  ]) {
    assert.equal((await first.command(`SEARCH ${keys}`)).untagged, `* SEARCH${found}\r\n`, keys);
  }
  assert.match((await first.command('SEARCH ON 30-Feb-2024')).tagged, /^BAD/);
});

test('COPY and MOVE keep flags and dates, tell UIDs, and ask for a missing mailbox (RFC 4315, RFC 6851)', async () => {
  const { first } = await start(1, { mailbox: 'INBOX', messages: 3 });
  await first.command('CREATE there');
  await first.command('STORE 2 +FLAGS.SILENT (\\Flagged)');
  assert.match((await first.command('COPY 1 nowhere')).tagged, /^NO \[TRYCREATE\]/);
  assert.match((await first.command('UID COPY 1:2 there')).tagged, /^OK \[COPYUID \d+ 1:2 1:2\]/);
  const moved = await first.command('MOVE 1,3 there');
  assert.match(
    moved.untagged,
    /^\* OK \[COPYUID \d+ 1,3 3:4\] .*\r\n\* 1 EXPUNGE\r\n\* 2 EXPUNGE\r\n\* 1 RECENT\r\n$/,
  );
  await first.command('SELECT there');
  assert.match((await first.command('FETCH 2 FLAGS')).untagged, /\\Flagged \\Recent/);
  await first.command('STORE 1:2 +FLAGS (\\Deleted)');
  assert.equal((await first.command('UID EXPUNGE 2:9')).untagged, '* 2 EXPUNGE\r\n* 3 RECENT\r\n');
  assert.match((await first.command('UID COPY 99 INBOX')).tagged, /^OK/);
});

test('LIST: roles in plain LIST and LSUB, levels, children, patterns that are no UTF-7', async () => {
  const { first } = await start(1, { account: { roles: true } });
  await first.command('CREATE a/b/c');
  await first.command('SUBSCRIBE a/b');
  assert.equal(
    (await first.command('LIST "" a*')).untagged,
    '* LIST (\\HasChildren) "/" "a"\r\n* LIST (\\HasChildren) "/" "a/b"\r\n* LIST (\\HasNoChildren) "/" "a/b/c"\r\n',
  );
  assert.equal((await first.command('LIST a/ %')).untagged, '* LIST (\\HasChildren) "/" "a/b"\r\n');
  assert.equal(
    (await first.command('LIST "" Sent')).untagged,
    '* LIST (\\HasNoChildren \\Sent) "/" "Sent"\r\n',
  );
  assert.equal((await first.command('LSUB "" Sent')).untagged, '* LSUB (\\Sent) "/" "Sent"\r\n');
  assert.equal((await first.command('LSUB "" a%')).untagged, '* LSUB (\\Noselect) "/" "a"\r\n');
  assert.equal((await first.command('LIST "" inbox')).untagged, '* LIST (\\HasNoChildren) "/" "INBOX"\r\n');
  assert.deepEqual(await first.command('LIST "" &*'), { untagged: '', tagged: 'OK Listed' });
  assert.match((await first.command('CREATE "&"')).tagged, /^NO \[CANNOT\]/);
  assert.match((await first.command('CREATE inbox')).tagged, /^NO \[ALREADYEXISTS\]/);
  assert.match((await first.command('DELETE inbox')).tagged, /^NO \[CANNOT\]/);
  assert.match((await first.command('RENAME a a/x')).tagged, /^NO \[CANNOT\]/);
  await first.command('CREATE "&g0l6P3ux-/&-"');
  assert.match((await first.command('LIST "" &g0l6P3ux-/*')).untagged, /"&g0l6P3ux-\/&-"/);
});

test('a mailbox that another session deletes ends those that have it selected; the own session goes on', async () => {
  const { first, second } = await start(2);
  for (const pipe of [first, second]) {
    await pipe.command('CREATE gone');
    await pipe.command('SELECT gone');
  }
  assert.match((await first.command('DELETE gone')).tagged, /^OK/);
  assert.match((await first.command('FETCH 1 FLAGS')).tagged, /^BAD/);
  assert.match((await second.command('NOOP')).untagged, /^\* BYE /);
  assert.equal(second.ended, true);
});

test('a failing store is a NO, and the session goes on', async () => {
  const { first, account, counted } = await start(1, { mailbox: 'INBOX' });
  account.options.pause = async () => {
    throw new Error('the disk is on fire');
  };
  const failed = await first.command('STATUS INBOX (MESSAGES)');
  assert.equal(failed.tagged, 'NO [SERVERBUG] The server could not do it; its log says why');
  assert.ok(counted.includes('imap-command-failed'));
  assert.match((await first.command('NOOP')).tagged, /^OK/);
});

test('an account has as many sessions as it may, and gets them back', async () => {
  const login = new MemoryLogin();
  login.accounts.set('fred', { password: 'secret', account: new MemoryAccount() });
  const server = createImapServer(login, { sessionsPerAccountMax: 2 });
  const pipes = [new ImapPipe(server), new ImapPipe(server), new ImapPipe(server)];
  const replies: string[] = [];
  for (const pipe of pipes) {
    pipe.take();
    replies.push((await pipe.command('LOGIN fred secret')).tagged);
  }
  assert.match(replies[1] ?? '', /^OK/);
  assert.match(replies[2] ?? '', /^NO \[LIMIT\]/);
  await pipes[0]?.command('LOGOUT');
  await tick();
  assert.match((await pipes[2]?.command('LOGIN fred secret'))?.tagged ?? '', /^OK/);
});

test('a client that ends its side gets its answers first', async () => {
  const { first } = await start(1, { account: { pause: () => tick() } });
  first.send('a STATUS INBOX (MESSAGES)\r\nb NOOP\r\nc NO');
  first.session.peerEnded();
  const text = await first.until(/never/);
  assert.match(text, /^a OK .*\r\nb OK .*\r\n$/m);
  assert.equal(first.ended, true);
});

test('good-bye comes after the command that runs', async () => {
  const { first, second } = await start(2, {
    mailbox: 'INBOX',
    account: { pause: () => tick() },
  });
  first.send('a STATUS INBOX (MESSAGES)\r\nb NOOP\r\n');
  first.session.leave('Shutting down');
  second.send('c IDLE\r\n');
  await second.until(/^\+/);
  second.session.leave('Shutting down');
  assert.match(await first.until(/BYE/), /a OK .*\r\n\* BYE Shutting down\r\n$/);
  assert.match(second.take(), /^\* BYE Shutting down\r\n$/);
  assert.deepEqual([first.ended, second.ended], [true, true]);
});
