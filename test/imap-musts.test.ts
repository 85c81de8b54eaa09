import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { ImapPipe } from './support/imap-pipe.ts';
import { startSessions } from './support/imap-sessions.ts';

/**
 * What RFC 9051 and RFC 3501 ask for in §6 and §7 and no other test names: a short dialogue for each. `docs/imap-musts.tsv` has all of
 * them, with the tests of the other files; the last test here holds it against the files.
 */

const untaggedOf = async (pipe: ImapPipe, command: string): Promise<string> => {
  const { untagged, tagged } = await pipe.command(command);
  assert.match(tagged, /^OK/, command);
  return untagged;
};

const names = async (pipe: ImapPipe): Promise<string[]> =>
  [...(await untaggedOf(pipe, 'LIST "" *')).matchAll(/"\/" "([^"]*)"\r$/gm)].map((match) => match[1] ?? '');

test('CAPABILITY names both revisions in one untagged reply before its OK (RFC 9051 §6.1.1)', async () => {
  const { first } = await startSessions(1);
  assert.match(await untaggedOf(first, 'CAPABILITY'), /^\* CAPABILITY IMAP4rev1 IMAP4rev2 [^\r]*\r\n$/);
});

test('LOGOUT says BYE before its OK, then the connection ends (RFC 9051 §6.1.3)', async () => {
  const { first } = await startSessions(1);
  first.send('a LOGOUT\r\n');
  assert.match(await first.until(/^a OK/m), /^\* BYE [^\r]*\r\na OK [^\r]*\r\n$/);
  assert.equal(first.ended, true);
});

test('a command that the state does not have, and one that nobody knows, is refused and changes nothing (RFC 9051 §6)', async () => {
  const { first } = await startSessions(1);
  for (const command of [
    'FETCH 1 FLAGS',
    'EXPUNGE',
    'CLOSE',
    'UID SEARCH ALL',
    'LOGIN a b',
    'AUTHENTICATE PLAIN',
    'FROB',
  ]) {
    assert.match((await first.command(command)).tagged, /^BAD/, command);
  }
});

test('SELECT tells FLAGS, EXISTS, PERMANENTFLAGS, UIDNEXT and UIDVALIDITY, and READ-WRITE (RFC 9051 §6.3.2)', async () => {
  const { first } = await startSessions(1, { messages: 2 });
  const { untagged, tagged } = await first.command('SELECT INBOX');
  for (const line of [
    /^\* FLAGS \(/m,
    /^\* 2 EXISTS\r$/m,
    /^\* OK \[PERMANENTFLAGS \(/m,
    /^\* OK \[UIDNEXT 3\]/m,
    /^\* OK \[UIDVALIDITY \d+\]/m,
  ]) {
    assert.match(untagged, line);
  }
  assert.match(tagged, /^OK \[READ-WRITE\]/);
});

test('a SELECT that fails leaves no mailbox selected (RFC 9051 §6.3.2)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 1 });
  assert.match((await first.command('SELECT nowhere')).tagged, /^NO \[NONEXISTENT\]/);
  assert.match((await first.command('FETCH 1 FLAGS')).tagged, /^BAD/);
});

test('CREATE makes the levels above, takes a separator at the end, and refuses INBOX and what there is (RFC 9051 §6.3.4)', async () => {
  const { first } = await startSessions(1);
  await untaggedOf(first, 'CREATE a/b/c/');
  assert.deepEqual(await names(first), ['INBOX', 'a', 'a/b', 'a/b/c']);
  for (const name of ['INBOX', 'inbox', 'a/b'])
    assert.match((await first.command(`CREATE ${name}`)).tagged, /^NO/, name);
});

test('a mailbox that is made again has a higher UIDVALIDITY, or never gives a UID twice (RFC 9051 §6.3.4)', async () => {
  const { first } = await startSessions(1);
  const validity = async (): Promise<number> =>
    Number(/UIDVALIDITY (\d+)/.exec(await untaggedOf(first, 'STATUS x (UIDVALIDITY)'))?.[1]);
  await untaggedOf(first, 'CREATE x');
  const before = await validity();
  await untaggedOf(first, 'DELETE x');
  await untaggedOf(first, 'CREATE x');
  assert.ok((await validity()) > before);
});

test('DELETE leaves what lies below, and refuses INBOX and what there is not (RFC 9051 §6.3.5)', async () => {
  const { first } = await startSessions(1);
  await untaggedOf(first, 'CREATE a/b');
  await untaggedOf(first, 'DELETE a');
  assert.match(
    await untaggedOf(first, 'LIST "" a*'),
    /^\* LIST \(\\Noselect \\HasChildren\) "\/" "a"\r\n.*"a\/b"/,
  );
  for (const name of ['INBOX', 'a', 'never'])
    assert.match((await first.command(`DELETE ${name}`)).tagged, /^NO/, name);
});

test('RENAME moves what lies below, makes levels above, refuses what there is not and what there is (RFC 9051 §6.3.6)', async () => {
  const { first } = await startSessions(1);
  for (const name of ['a/b', 'x']) await untaggedOf(first, `CREATE ${name}`);
  await untaggedOf(first, 'RENAME a new/a');
  assert.deepEqual(await names(first), ['INBOX', 'new', 'new/a', 'new/a/b', 'x']);
  assert.match((await first.command('RENAME nowhere y')).tagged, /^NO \[NONEXISTENT\]/);
  assert.match((await first.command('RENAME x new')).tagged, /^NO \[ALREADYEXISTS\]/);
});

test('RENAME of INBOX moves its mail and leaves INBOX, empty (RFC 9051 §6.3.6)', async () => {
  const { first } = await startSessions(1, { messages: 3 });
  await untaggedOf(first, 'RENAME INBOX old');
  assert.match(await untaggedOf(first, 'STATUS INBOX (MESSAGES)'), /MESSAGES 0/);
  assert.match(await untaggedOf(first, 'STATUS old (MESSAGES)'), /MESSAGES 3/);
});

test('a subscription outlives its mailbox and takes names that do not exist (RFC 9051 §6.3.7, §6.3.8)', async () => {
  const { first } = await startSessions(1);
  await untaggedOf(first, 'CREATE x');
  await untaggedOf(first, 'SUBSCRIBE x');
  await untaggedOf(first, 'SUBSCRIBE never');
  await untaggedOf(first, 'DELETE x');
  const told = await untaggedOf(first, 'LIST (SUBSCRIBED) "" *');
  assert.match(told, /"never"[\s\S]*"x"/);
  await untaggedOf(first, 'UNSUBSCRIBE x');
  assert.doesNotMatch(await untaggedOf(first, 'LIST (SUBSCRIBED) "" *'), /"x"/);
});

test('LIST with an empty pattern tells the separator and no mailbox; % stops at it, * does not (RFC 9051 §6.3.9)', async () => {
  const { first } = await startSessions(1);
  await untaggedOf(first, 'CREATE a/b');
  assert.equal(await untaggedOf(first, 'LIST "" ""'), '* LIST (\\Noselect) "/" ""\r\n');
  assert.doesNotMatch(await untaggedOf(first, 'LIST "" %'), /a\/b/);
  assert.match(await untaggedOf(first, 'LIST "" *'), /"INBOX"[\s\S]*a\/b/);
});

test('STATUS changes nothing and selects nothing (RFC 9051 §6.3.11)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 1 });
  await untaggedOf(first, 'CREATE x');
  await untaggedOf(first, 'STATUS x (MESSAGES UIDNEXT UNSEEN)');
  assert.match(await untaggedOf(first, 'FETCH 1 UID'), /^\* 1 FETCH/);
  assert.match((await first.command('STATUS nowhere (MESSAGES)')).tagged, /^NO \[NONEXISTENT\]/);
});

test('APPEND into what there is not is TRYCREATE and makes nothing (RFC 9051 §6.3.12)', async () => {
  const { first } = await startSessions(1);
  assert.match((await first.command('APPEND x {3+}\r\nabc')).tagged, /^NO \[TRYCREATE\]/);
  assert.deepEqual(await names(first), ['INBOX']);
});

test('CLOSE removes what is deleted without telling, EXAMINE and CLOSE remove nothing, UNSELECT neither (RFC 9051 §6.4.1, §6.4.2)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 4 });
  await untaggedOf(first, 'STORE 1 +FLAGS.SILENT (\\Deleted)');
  assert.equal(await untaggedOf(first, 'UNSELECT'), '');
  await untaggedOf(first, 'EXAMINE INBOX');
  assert.equal(await untaggedOf(first, 'CLOSE'), '');
  assert.match(await untaggedOf(first, 'SELECT INBOX'), /\* 4 EXISTS/);
  assert.equal(await untaggedOf(first, 'CLOSE'), '');
  assert.match(await untaggedOf(first, 'SELECT INBOX'), /\* 3 EXISTS/);
});

test('EXPUNGE tells each message that goes, with numbers that follow each other (RFC 9051 §6.4.3, §7.5.1)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 5 });
  await untaggedOf(first, 'STORE 2,3,5 +FLAGS.SILENT (\\Deleted)');
  assert.match(await untaggedOf(first, 'EXPUNGE'), /^\* 2 EXPUNGE\r\n\* 2 EXPUNGE\r\n\* 3 EXPUNGE\r\n/);
});

test('SEARCH keys are joined by AND, and strings compare without case (RFC 9051 §6.4.4)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 3 });
  assert.equal(await untaggedOf(first, 'SEARCH SUBJECT M 2:3 FROM EXAMPLE'), '* SEARCH 2 3\r\n');
});

test('FETCH of a part sets \\Seen and says so, macros stand alone, an unknown item is BAD (RFC 9051 §6.4.5)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 1 });
  assert.match(await untaggedOf(first, 'FETCH 1 BODY[HEADER]'), /FLAGS \(\\Recent \\Seen\)/);
  for (const macro of ['ALL', 'FAST', 'FULL']) await untaggedOf(first, `FETCH 1 ${macro}`);
  assert.match((await first.command('FETCH 1 (ALL)')).tagged, /^BAD/);
});

test('STORE adds, removes and replaces; \\Recent is not touched; .SILENT tells nothing (RFC 9051 §6.4.6)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 1 });
  assert.equal(
    await untaggedOf(first, 'STORE 1 FLAGS (\\Seen \\Recent)'),
    '* 1 FETCH (FLAGS (\\Recent \\Seen))\r\n',
  );
  assert.equal(
    await untaggedOf(first, 'STORE 1 +FLAGS \\Flagged \\Draft'),
    '* 1 FETCH (FLAGS (\\Draft \\Flagged \\Recent \\Seen))\r\n',
  );
  assert.equal(await untaggedOf(first, 'STORE 1 -FLAGS.SILENT (\\Seen)'), '');
  assert.equal(
    await untaggedOf(first, 'FETCH 1 FLAGS'),
    '* 1 FETCH (FLAGS (\\Draft \\Flagged \\Recent))\r\n',
  );
});

test('COPY that fails leaves its target as it was; into what there is not it is TRYCREATE (RFC 9051 §6.4.7)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 2 });
  assert.match((await first.command('COPY 1:2 nowhere')).tagged, /^NO \[TRYCREATE\]/);
  await untaggedOf(first, 'CREATE x');
  assert.match((await first.command('COPY 1:9 x')).tagged, /^BAD/);
  assert.match(await untaggedOf(first, 'STATUS x (MESSAGES)'), /MESSAGES 0/);
});

test('UID FETCH and UID STORE always tell the UID; UIDs that there are not are passed over (RFC 9051 §6.4.9)', async () => {
  const { first } = await startSessions(1, { mailbox: 'INBOX', messages: 2 });
  assert.equal(await untaggedOf(first, 'UID FETCH 2:99 FLAGS'), '* 2 FETCH (FLAGS (\\Recent) UID 2)\r\n');
  assert.equal(await untaggedOf(first, 'UID FETCH 50 FLAGS'), '');
  assert.equal(
    await untaggedOf(first, 'UID STORE 1,77 +FLAGS (\\Seen)'),
    '* 1 FETCH (FLAGS (\\Recent \\Seen) UID 1)\r\n',
  );
  assert.equal(
    await untaggedOf(first, 'UID FETCH 99:* UID'),
    '* 2 FETCH (UID 2)\r\n',
    '* is the last one, also behind a higher number',
  );
});

test('each MUST has its test', () => {
  const root = path.resolve(import.meta.dirname, '..');
  const [head, ...rows] = fs
    .readFileSync(path.join(root, 'docs/imap-musts.tsv'), 'utf8')
    .trimEnd()
    .split('\n');
  assert.equal(head, 'section\twhat must be\tfile\ttest');
  assert.ok(rows.length > 60);
  const files = new Map<string, string>();
  for (const row of rows) {
    const [section, must, file = '', title = ''] = row.split('\t');
    assert.ok(section !== undefined && must !== undefined && title !== '', row);
    const text = files.get(file) ?? fs.readFileSync(path.join(root, file), 'utf8').replaceAll('\\\\', '\\');
    files.set(file, text);
    assert.ok(text.includes(title), `${section}: ${file} has no test "${title}"`);
  }
});
