import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { needPrograms } from '../support/debian.ts';
import { LineClient } from '../support/line-client.ts';
import { original } from '../support/mail-load.ts';
import { repliesOf, startServer, type TestServer } from '../support/server.ts';
import { sendMail } from '../support/smtp-send.ts';
import { Terminal } from '../support/terminal.ts';

// Alpine in a terminal that nobody sees, by its keys: what people do all day, and what the server holds afterwards.

let server: TestServer;
const sent = new Map<string, string>();

before(async () => {
  needPrograms('alpine');
  server = await startServer();
  for (const subject of ['one', 'two', 'three', 'four', 'five']) await send(subject);
});

const send = async (subject: string): Promise<void> => {
  const octets = `From: a@example.org\r\nTo: ${server.address}\r\nSubject: ${subject}\r\nDate: Tue, 24 Nov 2026 09:00:00 +0800\r\nMessage-ID: <${subject}@example.org>\r\n\r\nbody ${subject}\r\n.\r\n \r\n\tend\r\n`;
  const reply = await sendMail({ port: server.ports.smtp, to: server.address, octets });
  sent.set(/ id=([a-z2-7]{26}) /.exec(reply)?.[1] ?? assert.fail(reply), octets);
};

/** Alpine with INBOX open; it trusts the authority of the server and nobody else. */
const opened = async (t: TestContext): Promise<{ alpine: Terminal; home: string }> => {
  const home = fs.mkdtempSync(path.join(server.folder, 'alpine-'));
  const far = `{localhost:${server.ports.imaps}/imap/ssl/user=${server.address}}`;
  fs.writeFileSync(
    path.join(home, 'pinerc'),
    `inbox-path=${far}INBOX
folder-collections=Far ${far}[], Near ${home}/[]
user-domain=fengni.test
personal-name=Ann
default-fcc=""
postponed-folder=Drafts
last-version-used=6.26
last-time-prune-questioned=126.11
feature-list=quit-without-confirm,expunge-without-confirm,expunge-without-confirm-everywhere,enable-aggregate-command-set,enable-flag-cmd
`,
  );
  const alpine = new Terminal(`alpine -p ${home}/pinerc -i`, { HOME: home, SSL_CERT_FILE: server.caFile });
  t.after(() => alpine.kill());
  await alpine.until(/ENTER PASSWORD/);
  await alpine.type(`${server.password}\r`, /Preserve password on DISK/);
  await alpine.type('n', /\[Folder "INBOX" opened with \d messages/);
  return { alpine, home };
};

const asked = async (commands: string): Promise<string> => {
  const client = await LineClient.connect(server.ports.imaps, { ca: server.ca });
  client.send(`a LOGIN ${server.address} "${server.password}"\r\n${commands}z LOGOUT\r\n`);
  return client.toEnd();
};

const subjectsOf = async (mailbox: string): Promise<[string, string][]> => {
  const told = await asked(
    `b EXAMINE ${mailbox}\r\nc FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\n`,
  );
  return [...told.matchAll(/FETCH \(FLAGS \(([^)]*)\) [^\r]*\r\nSubject: (.*)\r\n/g)].map(
    ([, flags = '', subject = '']) => [subject, flags.replace(/ ?\\Recent ?/, '')],
  );
};

test('Alpine: opens INBOX over IMAPS, reads, flags, saves to a folder, deletes and expunges, sees what arrives, leaves a draft', async (t) => {
  const { alpine } = await opened(t);
  // its place is the first message that nobody read
  await alpine.type('\r', /Subject: one body one \. end/);
  await alpine.type('*', /or Important/);
  await alpine.type('*', /Flagged message 1 "Important"/);
  await alpine.type('n', /Subject: two body two/);
  // what it saves it copies, and marks deleted
  await alpine.type('s', /SAVE Msg #2 to folder in <Far>/);
  await alpine.type('Archive\r', /\[(?:Message 2 copied to "Archive" in <Far> and deleted|Saving DONE)\]/);
  await alpine.type('i', /D 2 9:00 \S+ \(\d+\) two/);
  await alpine.type('x', /\[(?:1 message expunged from folder "INBOX"|Expunging DONE)\]/);
  await alpine.type('d', /D 2 9:00 \S+ \(\d+\) three/);
  await alpine.type('x', /\[(?:1 message expunged from folder "INBOX"|Expunging DONE)\]/);
  await send('six');
  await alpine.type('\f', /New mail! From a@example\.org/);
  // what is postponed goes up by APPEND
  await alpine.type('c', /COMPOSE MESSAGE.*Message Text/);
  await alpine.type('ben@example.org\r\r\rA draft\r', /d r a f t.*Message Text/);
  await alpine.type('Not yet done.', /Not yet done\./);
  await alpine.type('\u000f', /Composition postponed/);
  assert.equal(await alpine.close('q'), 0, alpine.written.slice(-2_000));

  assert.deepEqual(await subjectsOf('INBOX'), [
    ['one', '\\Flagged \\Seen'],
    ['four', ''],
    ['five', ''],
    ['six', ''],
  ]);
  assert.deepEqual(await subjectsOf('Archive'), [['two', '\\Seen']]);
  assert.deepEqual(
    (await subjectsOf('Drafts')).map(([subject]) => subject),
    ['A draft'],
  );
  assert.match(
    await asked('b EXAMINE Drafts\r\nc FETCH 1 BODY.PEEK[]\r\n'),
    /\r\n\r\nNot yet done\.\r?\n?\)/,
  );
  assert.equal((await repliesOf(server, 'imap'))['bad'], undefined);
});

test('Alpine: saves all of INBOX to a file, octet for octet but for line ends', async (t) => {
  const { alpine, home } = await opened(t);
  await alpine.type(';', /Select criteria/i);
  await alpine.type('a', /All \d messages selected/);
  await alpine.type('a', /APPLY command/i);
  await alpine.type('s', /SAVE \d msgs to folder/);
  await alpine.type('\u000e', /SAVE \d msgs to folder in <Near>/);
  await alpine.type('copy\r', /doesn't exist\. Create\?/);
  await alpine.type('y', /\[(?:\d messages saved and deleted|Saving DONE)\]/);
  assert.equal(await alpine.close('q'), 0, alpine.written.slice(-2_000));
  // The driver of mbox files has a line "From " before each message and fields of its own at the end of its header.
  const copies = fs
    .readFileSync(path.join(home, 'copy'), 'latin1')
    .split(/^From [^\n]*\n/m)
    .slice(1)
    .map((text) => text.replace(/^(?:Status|X-Status|X-Keywords|X-UID): [^\n]*\n/gm, ''))
    .filter((text) => !text.includes('FOLDER INTERNAL DATA'));
  assert.equal(copies.length, 4);
  for (const copy of copies) {
    const found = original(copy.replaceAll('\n', '\r\n'));
    assert.ok(found !== null, copy);
    // and an empty line after it
    assert.equal(found.octets, `${sent.get(found.id)}\r\n`);
  }
  const replies = await repliesOf(server, 'imap');
  assert.ok((replies['ok'] ?? 0) > 0);
  assert.equal(replies['bad'], undefined);
});
