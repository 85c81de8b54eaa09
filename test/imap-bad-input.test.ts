import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImapPipe } from './support/imap-pipe.ts';
import { startSessions } from './support/imap-sessions.ts';

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a literal of 2 GB that waits is refused before it comes; one that does not wait is cut off when too much of it came', async () => {
  const { first, second } = await startSessions(2, { mailbox: 'INBOX', messages: 1, appendBytesMax: 1000 });
  for (const command of ['APPEND INBOX {2147483647}', 'SEARCH TEXT {2147483647}', 'SELECT {2147483647}']) {
    assert.match((await first.command(command)).tagged, /^NO \[TOOBIG\]/, command);
  }
  assert.match((await first.command('APPEND INBOX {99999999999999999999}')).tagged, /^BAD/, 'no number');
  first.send('a APPEND INBOX {2147483647+}\r\n');
  const piece = new Uint8Array(1024 * 1024).fill(0x78);
  for (let sent = 0; sent < 80 && !first.ended; sent++) {
    first.send(piece);
    await tick();
  }
  assert.equal(first.ended, true);
  assert.match(first.take(), /\* BYE /);
  assert.match((await second.command('FETCH 1 UID')).tagged, /^OK/, 'others are untouched');
});

test('a literal that never comes holds nothing but its own session, and leaves with it', async () => {
  const { first, second, account } = await startSessions(2, { messages: 1 });
  first.send('a APPEND INBOX {500}\r\n');
  await first.until(/^\+/);
  assert.equal(first.session.waitsFor, 'rest', 'the connection’s clock for a command runs');
  assert.match((await second.command('APPEND INBOX {3+}\r\nabc')).tagged, /^OK/);
  first.session.leave('Nothing came for too long');
  first.session.closed();
  await tick();
  assert.equal(account.mailboxes.get('INBOX')?.state.count, 2);
});

test('10,000 parentheses wherever there may be one are BAD, and the session goes on', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 1, enable: 'QRESYNC' });
  const open = '('.repeat(10_000);
  for (const command of [
    `SEARCH ${open}ALL${')'.repeat(10_000)}`,
    `SEARCH RETURN ${open}`,
    `FETCH 1 ${open}`,
    `FETCH 1 FLAGS ${open}`,
    `FETCH 1 BODY[HEADER.FIELDS ${open}`,
    `STORE 1 ${open}`,
    `STORE 1 FLAGS ${open}`,
    `LIST ${open} "" *`,
    `LIST "" ${open}`,
    `LIST "" * RETURN ${open}`,
    `STATUS INBOX ${open}`,
    `CREATE x ${open}`,
    `SELECT INBOX ${open}`,
    `SELECT INBOX (QRESYNC ${open}`,
    `ID ${open}`,
    `APPEND INBOX ${open} {1+}\r\nx`,
  ]) {
    assert.match((await first.command(command)).tagged, /^BAD/, command.slice(0, 40));
    await first.command('SELECT INBOX');
  }
});

test('sets of ten million and of every number cost what the mailbox has', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 3, enable: 'QRESYNC' });
  const all = '1:4294967295';
  assert.match((await first.command('FETCH 1:10000000 UID')).tagged, /^BAD/);
  assert.equal((await first.command('UID FETCH 1:10000000,* UID')).untagged.split('\r\n').length, 4);
  assert.match((await first.command(`UID STORE ${all} +FLAGS.SILENT (x)`)).tagged, /^OK/);
  assert.equal((await first.command('SEARCH 1:10000000')).untagged, '* SEARCH 1 2 3\r\n');
  assert.match((await first.command(`UID COPY ${all} INBOX`)).tagged, /^OK/);
  assert.match((await first.command(`UID EXPUNGE ${all}`)).tagged, /^OK/);
  assert.match((await first.command(`UID FETCH ${all} FLAGS (CHANGEDSINCE 1 VANISHED)`)).tagged, /^OK/);
  const uidValidity = /UIDVALIDITY (\d+)/.exec((await first.command('SELECT INBOX')).untagged)?.[1];
  assert.match(
    (await first.command(`SELECT INBOX (QRESYNC (${uidValidity} 1 ${all} (${all} ${all})))`)).tagged,
    /^OK/,
  );
  const many = Array.from({ length: 9_000 }, (_none, at) => at * 2 + 1).join(',');
  assert.match((await first.command(`UID FETCH ${many} UID`)).tagged, /^OK/);
});

test('names in broken UTF-7 and UTF-8 are NO [CANNOT] or match nothing; a name with a NUL is BAD', async () => {
  const { first } = await startSessions(1);
  for (const name of ['&', '&AAA', '&ZeU', '&ZeVnLA-&ZeU-', '&AGE-', '&2AA-', 'caf\xe9', '&ZeVnLIqe-&-&']) {
    assert.match((await first.command(`CREATE "${name}"`)).tagged, /^NO \[CANNOT\]/, name);
    assert.match((await first.command(`SELECT "${name}"`)).tagged, /^NO/, name);
    assert.deepEqual(await first.command(`LIST "" "${name}"`), { untagged: '', tagged: 'OK Listed' }, name);
    assert.match((await first.command(`RENAME INBOX "${name}"`)).tagged, /^NO \[CANNOT\]/, name);
  }
  assert.match((await first.command('CREATE "a\0b"')).tagged, /^BAD/);
  await first.command('ENABLE UTF8=ACCEPT');
  for (const name of ['\xff', '\xe5\xb0', '\xed\xa0\x80', '\xc0\x80']) {
    assert.match((await first.command(`CREATE "${name}"`)).tagged, /^NO \[CANNOT\]/, name);
  }
});

test('a flood of pipelined commands is answered in order and holds others back no longer than a command', async () => {
  const { first, second } = await startSessions(2, { mailbox: 'INBOX', messages: 5 });
  first.send('a NOOP\r\n'.repeat(50_000));
  assert.match((await second.command('FETCH 1:5 FLAGS')).tagged, /^OK/);
  let answered = 0;
  while (answered < 50_000) {
    const told = await first.until(/^a OK/m);
    answered += told.split('a OK').length - 1;
  }
  assert.equal(answered, 50_000);
});

test('IDLE that is ended by anything but DONE is BAD; what follows is a command again', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX' });
  first.send('a IDLE\r\n');
  await first.until(/^\+/);
  first.send('b NOOP\r\nc NOOP\r\n');
  assert.match(await first.until(/^c OK/m), /^a BAD [^\r]*\r\nc OK/);
  first.send(`d IDLE\r\n${'x'.repeat(200_000)}\r\ne NOOP\r\n`);
  assert.match(await first.until(/^e OK/m), /^d BAD/m);
});

test('COMPRESS and what else is not announced is refused with a reason', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 1 });
  for (const command of [
    'COMPRESS DEFLATE',
    'SORT (DATE) UTF-8 ALL',
    'THREAD REFERENCES UTF-8 ALL',
    'SETACL INBOX a b',
  ]) {
    assert.match((await first.command(command)).tagged, /^NO \[CANNOT\]/, command);
  }
});

test('twenty commands that are none in a row end the session, with the reason', async () => {
  const { first, server } = await startSessions(1);
  const other = new ImapPipe(server);
  first.send('x FROB\r\n'.repeat(30));
  assert.match(await first.until(/BYE/), /\* BYE Too many lines/);
  assert.equal(first.ended, true);
  assert.match((await other.command('NOOP')).tagged, /^OK/);
});
