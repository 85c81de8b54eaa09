import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryAccount, MemoryLogin } from './support/imap-memory-store.ts';
import { createImapServer, ImapPipe } from './support/imap-pipe.ts';
import { mail, startSessions } from './support/imap-sessions.ts';

/** What real clients send, replayed: each test names the client that does it, and where it was seen. */

test('Apple Mail (iOS 18): DONE and pipelined commands in one packet, in every cut (stalwartlabs/stalwart#765)', async () => {
  const sent = 'DONE\r\n2 UID FETCH 1:* (FLAGS)\r\n3 NOOP\r\n4 IDLE\r\n';
  for (let cut = 1; cut < sent.length; cut += 7) {
    const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 1 });
    first.send('1 IDLE\r\n');
    await first.until(/^\+/);
    first.send(sent.slice(0, cut));
    first.send(sent.slice(cut));
    const told = await first.until(/^\+ Idling\r\n$/m);
    assert.match(
      told,
      /^1 OK [^\r]*\r\n\* 1 FETCH \(FLAGS \(\\Recent\) UID 1\)\r\n2 OK [^\r]*\r\n3 OK/,
      `cut at ${cut}`,
    );
  }
});

test('Apple Mail: UID SEARCH RETURN (ALL) 1:* NOT DELETED, in a full and in an empty mailbox (emersion/go-imap#145)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 3 });
  await first.command('STORE 2 +FLAGS.SILENT (\\Deleted)');
  assert.match(
    (await first.command('UID SEARCH RETURN (ALL) 1:* NOT DELETED')).untagged,
    /^\* ESEARCH \(TAG "t\d+"\) UID ALL 1,3\r\n$/,
  );
  assert.equal((await first.command('UID SEARCH 1:* NOT DELETED')).untagged, '* SEARCH 1 3\r\n');
  assert.equal((await first.command('UID SEARCH SINCE 1-Jan-1970 NOT DELETED')).untagged, '* SEARCH 1 3\r\n');
  await first.command('CREATE empty');
  await first.command('SELECT empty (CONDSTORE)');
  assert.match(
    (await first.command('UID SEARCH RETURN (ALL) 1:* NOT DELETED')).untagged,
    /^\* ESEARCH \(TAG "t\d+"\) UID\r\n$/,
  );
  assert.match((await first.command('UID FETCH 1:* (FLAGS) (CHANGEDSINCE 0)')).tagged, /^OK/);
});

test('Apple Mail: CHANGEDSINCE 0 gives everything; ESEARCH beside CONDSTORE stays as asked (cyrusimap/cyrus-imapd#1308)', async () => {
  const { first } = await startSessions(1, { messages: 2 });
  await first.command('SELECT INBOX (CONDSTORE)');
  const { untagged } = await first.command('UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 0)');
  assert.equal([...untagged.matchAll(/^\* \d FETCH/gm)].length, 2);
  assert.match(
    (await first.command('UID SEARCH RETURN (ALL COUNT) UNDELETED')).untagged,
    /^\* ESEARCH \(TAG "t\d+"\) UID ALL 1:2 COUNT 2\r\n$/,
    'without a MODSEQ that nobody asked for',
  );
});

test('iPhone: uses stand in plain LIST; NOT DELETED comes last in SEARCH (hMailServer#149)', async () => {
  const { first } = await startSessions(1, { account: { roles: true }, messages: 1, mailbox: 'INBOX' });
  assert.match((await first.command('LIST "" "*"')).untagged, /\\Sent\) "\/" "Sent"/);
  assert.equal((await first.command('UID SEARCH UNSEEN NOT DELETED')).untagged, '* SEARCH 1\r\n');
});

test('Outlook: IDLE without a mailbox, on several folders at once, over twenty connections (james-project#5320, cyrus-imapd#1313)', async () => {
  const login = new MemoryLogin();
  const account = new MemoryAccount({ roles: true });
  login.accounts.set('fred', { password: 'secret', account });
  const server = createImapServer(login);
  const pipes: ImapPipe[] = [];
  for (let count = 0; count < 24; count++) {
    const pipe = new ImapPipe(server);
    pipe.take();
    assert.match((await pipe.command('LOGIN fred secret')).tagged, /^OK/);
    if (count % 3 > 0) await pipe.command(`SELECT ${count % 3 === 1 ? 'INBOX' : 'Sent'}`);
    pipe.send('i IDLE\r\n');
    await pipe.until(/^\+/);
    pipes.push(pipe);
  }
  account.add('Sent', mail('new'));
  for (const [at, pipe] of pipes.entries()) {
    if (at % 3 === 2) assert.match(await pipe.until(/EXISTS/), /^\* 1 EXISTS/);
    pipe.send('DONE\r\n');
    assert.match(await pipe.until(/^i OK/m), /i OK/);
  }
});

test('Outlook: an APPEND with bare CR and lines over 998 octets is kept octet for octet (authentication_milter#110)', async () => {
  const { first } = await startSessions(1);
  const octets = `Subject: ${'x'.repeat(2_000)}\r\nX-Bare: a\rb\r\n\r\n${'y'.repeat(5_000)}\rz`;
  assert.match((await first.command(`APPEND INBOX {${octets.length}+}\r\n${octets}`)).tagged, /^OK/);
  await first.command('SELECT INBOX');
  assert.ok(
    (await first.command('FETCH 1 BODY.PEEK[]')).untagged.includes(`{${octets.length}}\r\n${octets})`),
  );
});

test('Thunderbird: changes come with NOOP in any folder, LIST (SUBSCRIBED) marks nothing \\NonExistent (tmail-backend#1415)', async () => {
  const { first, second } = await startSessions(2, { account: { roles: true } });
  for (const pipe of [first, second]) await pipe.command('SELECT Archive');
  await first.command('APPEND Archive {9+}\r\nA: b\r\n\r\nx');
  assert.match((await second.command('NOOP')).untagged, /^\* 1 EXISTS/);
  const { untagged } = await first.command('LIST (SUBSCRIBED) "" "*" RETURN (SUBSCRIBED SPECIAL-USE)');
  assert.doesNotMatch(untagged, /NonExistent|Noselect/);
  assert.match(untagged, /\\Subscribed \\Drafts\) "\/" "Drafts"/);
});

test('Thunderbird: after ENABLE UTF8=ACCEPT an ampersand is itself, and so it comes back (mox imapserver/parse.go)', async () => {
  const { first } = await startSessions(1, { enable: 'UTF8=ACCEPT' });
  assert.match((await first.command('CREATE "R&D"')).tagged, /^OK/);
  assert.match((await first.command('LIST "" "R*"')).untagged, /"R&D"/);
  assert.match((await first.command('SELECT "R&D"')).tagged, /^OK/);
  const other = await startSessions(1);
  await other.first.command('CREATE "R&-D"');
  assert.match((await other.first.command('LIST "" "R*"')).untagged, /"R&-D"/);
});

test('Foxmail, 163 and QQ clients: ID before and after the log-in, with NIL and with fields (himalaya#651)', async () => {
  const { server } = await startSessions(1);
  const pipe = new ImapPipe(server);
  assert.match(pipe.take(), / ID /);
  for (const command of ['ID ("name" "Foxmail" "version" "7.2" "vendor" "Tencent")', 'ID NIL', 'ID ()']) {
    assert.match((await pipe.command(command)).untagged, /^\* ID \("name" "Fengni"/, command);
  }
  await pipe.command('LOGIN fred secret');
  assert.match((await pipe.command('ID ("name" "com.tencent.foxmail")')).tagged, /^OK/);
});

test('K-9 and Thunderbird for Android: no prefix and / between levels, so that INBOX. is never doubled (thunderbird-android#9567)', async () => {
  const { first } = await startSessions(1);
  assert.equal((await first.command('NAMESPACE')).untagged, '* NAMESPACE (("" "/")) NIL NIL\r\n');
  assert.equal((await first.command('LIST "" ""')).untagged, '* LIST (\\Noselect) "/" ""\r\n');
});

test('imapflow and imaplib: IMAP4rev2, CONDSTORE and QRESYNC are switched on at once, then ESEARCH comes always', async () => {
  const { first } = await startSessions(1, { messages: 2 });
  assert.equal(
    (await first.command('ENABLE IMAP4rev2 CONDSTORE QRESYNC UTF8=ACCEPT')).untagged,
    '* ENABLED IMAP4rev2 CONDSTORE QRESYNC UTF8=ACCEPT\r\n',
  );
  await first.command('SELECT INBOX');
  assert.match(
    (await first.command('UID SEARCH UNSEEN')).untagged,
    /^\* ESEARCH \(TAG "t\d+"\) UID ALL 1:2\r\n$/,
  );
  assert.match((await first.command('UID SEARCH SEEN')).untagged, /^\* ESEARCH \(TAG "t\d+"\) UID\r\n$/);
});

test('Exchange and old clients: LSUB knows the uses, a fold in case of INBOX and STATUS of the selected mailbox are answered', async () => {
  const { first } = await startSessions(1, { account: { roles: true }, messages: 1 });
  assert.match((await first.command('LSUB "" "*"')).untagged, /\\Trash\) "\/" "Trash"/);
  await first.command('SELECT inbox');
  assert.equal(
    (await first.command('STATUS iNbOx (MESSAGES UNSEEN)')).untagged,
    '* STATUS "INBOX" (MESSAGES 1 UNSEEN 1)\r\n',
  );
  assert.match((await first.command('CHECK')).tagged, /^OK/);
});
