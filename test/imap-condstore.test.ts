import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mail, startSessions } from './support/imap-sessions.ts';

test('CONDSTORE and QRESYNC are announced, and ENABLE tells what is new (RFC 5161 §3.2, RFC 7162 §3.2.3)', async () => {
  const { first } = await startSessions(1);
  assert.match((await first.command('CAPABILITY')).untagged, / CONDSTORE QRESYNC /);
  const enabled = async (words: string): Promise<string> => (await first.command(`ENABLE ${words}`)).untagged;
  assert.equal(await enabled('x-none condstore CONDSTORE'), '* ENABLED CONDSTORE\r\n');
  assert.equal(await enabled('CONDSTORE QRESYNC'), '* ENABLED QRESYNC\r\n');
  assert.equal(await enabled('UTF8=ACCEPT IMAP4rev2'), '* ENABLED UTF8=ACCEPT IMAP4rev2\r\n');
  assert.equal(await enabled('X'), '* ENABLED\r\n');
});

test('SELECT tells HIGHESTMODSEQ, and each change gives a higher MODSEQ (RFC 7162 §3.1.2)', async () => {
  const { first } = await startSessions(1, { messages: 3 });
  const highest = async (): Promise<number> => {
    const { untagged } = await first.command('SELECT INBOX (CONDSTORE)');
    return Number(/\[HIGHESTMODSEQ (\d+)\]/.exec(untagged)?.[1]);
  };
  const before = await highest();
  const modSeqs = (await first.command('FETCH 1:3 MODSEQ')).untagged;
  assert.equal(
    modSeqs,
    `* 1 FETCH (MODSEQ (${before - 2}))\r\n* 2 FETCH (MODSEQ (${before - 1}))\r\n* 3 FETCH (MODSEQ (${before}))\r\n`,
  );
  assert.equal(
    (await first.command('STORE 2 +FLAGS (\\Seen)')).untagged,
    `* 2 FETCH (FLAGS (\\Recent \\Seen) MODSEQ (${before + 1}))\r\n`,
  );
  assert.equal(
    (await first.command('STORE 2 +FLAGS.SILENT (\\Flagged)')).untagged,
    `* 2 FETCH (MODSEQ (${before + 2}))\r\n`,
    'a silent change tells its MODSEQ (§3.1.3)',
  );
  assert.equal(await highest(), before + 2);
  assert.equal(
    (await first.command('STATUS INBOX (HIGHESTMODSEQ)')).untagged,
    `* STATUS "INBOX" (HIGHESTMODSEQ ${before + 2})\r\n`,
  );
});

test('whoever asks for MODSEQ once gets it with all flags from then on (RFC 7162 §3.1)', async () => {
  for (const command of [
    'ENABLE CONDSTORE',
    'STATUS INBOX (HIGHESTMODSEQ)',
    'FETCH 1 MODSEQ',
    'FETCH 1 FLAGS (CHANGEDSINCE 1)',
    'SEARCH MODSEQ 1',
    'STORE 1 (UNCHANGEDSINCE 1) +FLAGS (x)',
    'SELECT INBOX (CONDSTORE)',
  ]) {
    const { first, second } = await startSessions(2, { mailbox: 'INBOX', messages: 1 });
    await second.command('NOOP');
    await second.command(command);
    await first.command('STORE 1 +FLAGS (\\Seen)');
    assert.match((await second.command('NOOP')).untagged, /FLAGS \(.*\\Seen\) MODSEQ \(\d+\)/, command);
  }
});

test('a conditional STORE leaves what somebody else has changed and names it (RFC 7162 §3.1.3)', async () => {
  const { first, second } = await startSessions(2, { mailbox: 'INBOX', messages: 4 });
  const select = (await first.command('SELECT INBOX')).untagged;
  const modSeq = Number(/HIGHESTMODSEQ (\d+)/.exec(select)?.[1]);
  await second.command('STORE 2,4 +FLAGS.SILENT (\\Answered)');
  const conditional = await first.command(`STORE 1:4 (UNCHANGEDSINCE ${modSeq}) +FLAGS.SILENT (\\Deleted)`);
  assert.equal(conditional.tagged, 'OK [MODIFIED 2,4] Stored where nobody else had changed it');
  assert.match(conditional.untagged, /^\* 1 FETCH \(MODSEQ \((\d+)\)\)\r\n\* 3 FETCH \(MODSEQ \(\1\)\)\r\n/);
  assert.doesNotMatch((await first.command('FETCH 1:4 FLAGS')).untagged, /^\* [24] FETCH.*Deleted/m);
  assert.equal(
    (await first.command('UID STORE 2 (UNCHANGEDSINCE 0) FLAGS ()')).tagged,
    'OK [MODIFIED 2] Stored where nobody else had changed it',
    '0 is no message’s MODSEQ',
  );
  await second.command('NOOP');
  await second.command('EXPUNGE');
  const gone = await first.command(`STORE 1:4 (UNCHANGEDSINCE ${modSeq}) +FLAGS (x)`);
  assert.match(gone.tagged, /^NO \[MODIFIED 2,4\]/);
  for (const wrong of ['(UNCHANGEDSINCE)', '()', '(UNCHANGEDSINCE 1 UNCHANGEDSINCE 1)', '(CHANGEDSINCE 1)']) {
    assert.match((await first.command(`STORE 2 ${wrong} FLAGS ()`)).tagged, /^BAD/, wrong);
  }
  assert.match((await first.command('STORE 2 (UNCHANGEDSINCE 9223372036854775808) FLAGS ()')).tagged, /^BAD/);
  assert.match((await first.command('STORE 2 (UNCHANGEDSINCE 9223372036854775807) FLAGS ()')).tagged, /^OK/);
});

test('FETCH CHANGEDSINCE: only what changed, 0 means all, as Apple Mail asks (RFC 7162 §3.1.4.1)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 3 });
  const all = (await first.command('UID FETCH 1:* (FLAGS) (CHANGEDSINCE 0)')).untagged;
  assert.equal([...all.matchAll(/^\* \d FETCH \(FLAGS \(\\Recent\) MODSEQ \(\d+\) UID \d\)\r$/gm)].length, 3);
  const highest = Math.max(...[...all.matchAll(/MODSEQ \((\d+)\)/g)].map((match) => Number(match[1])));
  await first.command('STORE 2 +FLAGS.SILENT (\\Seen)');
  assert.equal(
    (await first.command(`FETCH 1:* FLAGS (CHANGEDSINCE ${highest})`)).untagged,
    `* 2 FETCH (FLAGS (\\Recent \\Seen) MODSEQ (${highest + 1}))\r\n`,
  );
  assert.equal((await first.command(`FETCH 1:* FLAGS (CHANGEDSINCE ${highest + 1})`)).untagged, '');
  for (const wrong of [
    '()',
    '(CHANGEDSINCE)',
    '(VANISHED)',
    '(CHANGEDSINCE 1 VANISHED)',
    '(CHANGEDSINCE 1 X)',
  ]) {
    assert.match((await first.command(`FETCH 1 FLAGS ${wrong}`)).tagged, /^(?:BAD|OK)/, wrong);
  }
  assert.match(
    (await first.command('UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)')).tagged,
    /^BAD/,
    'not enabled',
  );
  assert.match(
    (await first.command('FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)')).tagged,
    /^BAD/,
    'not UID FETCH',
  );
});

test('BODY[] that sets \\Seen tells the MODSEQ of that (RFC 7162 §3.1.4.2)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 1, enable: 'CONDSTORE' });
  assert.match(
    (await first.command('FETCH 1 BODY[TEXT]')).untagged,
    /^\* 1 FETCH \(FLAGS \(\\Recent \\Seen\) MODSEQ \(\d+\) BODY\[TEXT\] \{6\}/,
  );
});

test('SEARCH MODSEQ tells the highest of what it finds (RFC 7162 §3.1.5, §3.1.10)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 4 });
  const all = (await first.command('FETCH 1:* MODSEQ')).untagged;
  const [m1 = 0, , m3 = 0, m4 = 0] = [...all.matchAll(/MODSEQ \((\d+)\)/g)].map((match) => Number(match[1]));
  const untagged = async (command: string): Promise<string> =>
    (await first.command(command)).untagged.trimEnd();
  assert.equal(await untagged(`SEARCH MODSEQ ${m3}`), `* SEARCH 3 4 (MODSEQ ${m4})`);
  assert.equal(
    await untagged(`SEARCH MODSEQ "/flags/\\\\draft" all ${m3} NOT 4`),
    `* SEARCH 3 (MODSEQ ${m3})`,
  );
  assert.equal(await untagged(`SEARCH MODSEQ ${m4 + 1}`), '* SEARCH');
  assert.match(await untagged(`SEARCH RETURN (MIN) MODSEQ ${m1}`), new RegExp(`MIN 1 MODSEQ ${m1}$`));
  assert.match(await untagged(`SEARCH RETURN (MIN MAX) MODSEQ ${m1}`), new RegExp(`MAX 4 MODSEQ ${m4}$`));
  assert.match(await untagged(`SEARCH RETURN (ALL) MODSEQ ${m1}`), new RegExp(`ALL 1:4 MODSEQ ${m4}$`));
  assert.match(await untagged(`UID SEARCH RETURN (COUNT) MODSEQ ${m4 + 1}`), /\(TAG "t\d+"\) UID COUNT 0$/);
});

test('after ENABLE QRESYNC: VANISHED instead of EXPUNGE, UID and MODSEQ with flags, HIGHESTMODSEQ with EXPUNGE (RFC 7162 §3.2.7, §3.2.10)', async () => {
  const { first, second, account } = await startSessions(2, {
    mailbox: 'INBOX',
    messages: 6,
    enable: 'QRESYNC',
  });
  await first.command('STORE 2,4:5 +FLAGS.SILENT (\\Deleted)');
  const expunged = await first.command('EXPUNGE');
  assert.match(expunged.untagged, /^\* VANISHED 2,4:5\r\n/);
  const highest = /^OK \[HIGHESTMODSEQ (\d+)\]/.exec(expunged.tagged)?.[1];
  assert.equal(Number(highest), account.mailboxes.get('INBOX')?.state.highestModSeq);
  assert.equal((await first.command('EXPUNGE')).tagged, 'OK Expunged');
  assert.doesNotMatch((await second.command('FETCH 1 FLAGS')).untagged, /VANISHED|EXPUNGE/);
  assert.match((await second.command('NOOP')).untagged, /^\* VANISHED 2,4:5\r\n/);
  assert.match(
    (await first.command('STORE 2 +FLAGS (\\Seen)')).untagged,
    /^\* 2 FETCH \(FLAGS \(.*\) UID 3 MODSEQ \(\d+\)\)\r\n$/,
  );
  await first.command('STORE 1 +FLAGS.SILENT (\\Deleted)');
  assert.match((await first.command('CLOSE')).tagged, /^OK \[HIGHESTMODSEQ \d+\]/);
});

test('SELECT QRESYNC tells what went and what changed since (RFC 7162 §3.2.5)', async () => {
  const { first, second } = await startSessions(2, { messages: 8, enable: 'QRESYNC' });
  const selected = (await first.command('SELECT INBOX')).untagged;
  const [, uidValidity, modSeq] = /UIDVALIDITY (\d+)\][\s\S]*HIGHESTMODSEQ (\d+)/.exec(selected) ?? [];
  await second.command('SELECT INBOX');
  await second.command('STORE 2,4,7 +FLAGS.SILENT (\\Deleted)');
  await second.command('EXPUNGE');
  await second.command('STORE 3 +FLAGS.SILENT (\\Flagged)');
  await second.command('APPEND INBOX {9+}\r\nA: b\r\n\r\nx');
  const resync = async (parameters: string): Promise<string[]> => {
    const { untagged, tagged } = await first.command(`SELECT INBOX (QRESYNC (${parameters}))`);
    assert.match(tagged, /^OK \[READ-WRITE\]/, parameters);
    assert.match(untagged, /^\* OK \[CLOSED\]/, 'the one before is closed (§3.2.11)');
    return [...untagged.matchAll(/^\* (VANISHED \(EARLIER\) \S+|\d+ FETCH.* UID \d+)/gm)].map(
      (match) => match[1]?.replace(/FETCH.*UID/, 'UID') ?? '',
    );
  };
  const whole = ['VANISHED (EARLIER) 2,4,7', '3 UID 5', '6 UID 9'];
  assert.deepEqual(await resync(`${uidValidity} ${modSeq}`), whole);
  assert.deepEqual(await resync(`${uidValidity} ${modSeq} 1:8`), whole.slice(0, 2));
  assert.deepEqual(await resync(`${uidValidity} ${modSeq} 1:3,9`), ['VANISHED (EARLIER) 2', '6 UID 9']);
  assert.deepEqual(await resync(`${uidValidity} ${modSeq} (1:2 1,3)`), [
    'VANISHED (EARLIER) 4,7',
    ...whole.slice(1),
  ]);
  assert.deepEqual(await resync(`${uidValidity} ${modSeq} 1:9 (1,3 1,5)`), [
    'VANISHED (EARLIER) 7',
    ...whole.slice(1),
  ]);
  assert.deepEqual(await resync(`1 ${modSeq}`), [], 'the numbers mean other messages');
  assert.deepEqual(await resync(`${uidValidity} 999999`), []);
  for (const wrong of ['', '1', '1 0', '1 2 *', '1 2 $', '1 2 (1)', '1 2 (1 *)', '1 2 3 4', '1 2 (1 2) 3']) {
    assert.match((await first.command(`SELECT INBOX (QRESYNC (${wrong}))`)).tagged, /^BAD/, wrong);
  }
  assert.match(
    (await first.command(`UID FETCH 1:6 (FLAGS) (CHANGEDSINCE ${modSeq} VANISHED)`)).untagged,
    /^\* VANISHED \(EARLIER\) 2,4\r\n\* 3 FETCH \(FLAGS \(.*\) MODSEQ \(\d+\) UID 5\)\r\n$/,
  );
});

test('QRESYNC without ENABLE is refused (RFC 7162 §3.2.5)', async () => {
  const { first } = await startSessions(1, { messages: 1 });
  assert.match((await first.command('SELECT INBOX (QRESYNC (1 1))')).tagged, /^BAD/);
});

test('what a client is told as HIGHESTMODSEQ hides no change from it, whoever makes it when', async () => {
  const { first, second, account } = await startSessions(2, {
    mailbox: 'INBOX',
    messages: 3,
    enable: 'QRESYNC',
  });
  await second.command('STORE 1 +FLAGS.SILENT (\\Deleted)');
  await second.command('EXPUNGE');
  await first.command('FETCH 2 FLAGS');
  account.add('INBOX', mail('new'));
  // the session has not been told: resuming from what CLOSE tells finds it
  await first.command('STORE 3 +FLAGS.SILENT (\\Deleted)');
  const closed = /HIGHESTMODSEQ (\d+)/.exec((await first.command('CLOSE')).tagged)?.[1];
  const uidValidity = account.mailboxes.get('INBOX')?.state.uidValidity;
  const { untagged } = await first.command(`SELECT INBOX (QRESYNC (${uidValidity} ${closed}))`);
  assert.match(untagged, /VANISHED \(EARLIER\) 1,3\r\n[\s\S]*UID 4/);
});
