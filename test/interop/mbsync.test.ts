import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { type Ran, run } from '../support/clients.ts';
import { needPrograms } from '../support/debian.ts';
import {
  askImap,
  assertAllThere,
  assertGood,
  assertNoBad,
  begin,
  maildir,
  makeMaildir,
  mbsyncConfig,
  openHeaders,
  send,
  server,
  writeSecret,
} from '../support/retrieval.ts';

// mbsync and a Maildir, both ways. It turns CRLF into LF, as files here have it; but for that, every octet is compared.

before(async () => {
  needPrograms('mbsync');
  await begin();
});

test('mbsync: two-way with INBOX over IMAPS; a second run transfers nothing; new mail, flags and deletions go both ways', async () => {
  const inbox = makeMaildir('mbsync/inbox');
  const config = path.join(server.folder, 'mbsyncrc');
  writeSecret(config, mbsyncConfig({ inbox, user: server.address, password: server.password, server }));
  const sync = (): Promise<Ran> =>
    run('mbsync', ['-V', '-c', config, 'inbox'], { env: { HOME: server.folder } });
  assertGood(await sync());
  // mbsync writes its X-TUID only to what it uploads.
  assertAllThere(maildir(inbox), { notTaken: openHeaders });

  const names = (): string[] =>
    fs
      .readdirSync(path.join(inbox, 'cur'))
      .concat(fs.readdirSync(path.join(inbox, 'new')))
      .sort();
  const before = names();
  const second = await sync();
  assertGood(second);
  assert.deepEqual(names(), before);

  // Here: one read and flagged. There: a new one, and a deletion later.
  const first =
    fs.readdirSync(path.join(inbox, 'new'))[0] ?? fs.readdirSync(path.join(inbox, 'cur'))[0] ?? '';
  const from = fs.existsSync(path.join(inbox, 'new', first)) ? 'new' : 'cur';
  const flagged = `${first.replace(/:2,.*$/, '')}:2,FS`;
  fs.renameSync(path.join(inbox, from, first), path.join(inbox, 'cur', flagged));
  await send('a new one', 'Subject: new\r\n\r\nlater\r\n');
  assertGood(await sync());
  assertAllThere(maildir(inbox), { notTaken: openHeaders });
  const uid = Number(/,U=(\d+)/.exec(first)?.[1]);
  const search = (what: string): Promise<string> => askImap(what, 'INBOX');
  assert.match(await search('UID SEARCH FLAGGED'), new RegExp(`^\\* SEARCH ${uid}\r\n`));

  // A message that was written here goes up, and comes back to others as it was written.
  const own = 'From: me@fengni.test\nSubject: written here\n\nmine\n';
  fs.writeFileSync(path.join(inbox, 'cur', `${Date.now()}.1.here:2,S`), own);
  assertGood(await sync());
  const uploaded = await search('UID SEARCH SEEN UNFLAGGED');
  assert.match(uploaded, /^\* SEARCH \d+\r\n$/);

  // Deleted here: gone there. The server is as it was before, but for the flag.
  const copy = fs
    .readdirSync(path.join(inbox, 'cur'))
    .find((name) => fs.readFileSync(path.join(inbox, 'cur', name), 'utf8').includes('written here'));
  assert.ok(copy !== undefined);
  fs.renameSync(path.join(inbox, 'cur', copy), path.join(inbox, 'cur', copy.replace(/:2,.*$/, ':2,ST')));
  assertGood(await sync());
  assert.match(await search('UID SEARCH SEEN UNFLAGGED'), /^\* SEARCH\r\n$/);
  assertAllThere(maildir(inbox), { notTaken: openHeaders });

  // After a restart UIDVALIDITY and UIDs are what they were.
  await server.stop();
  await server.start();
  writeSecret(config, fs.readFileSync(config, 'utf8').replace(/^Port .*$/m, `Port ${server.ports.imaps}`));
  const kept = names();
  assertGood(await sync());
  assert.deepEqual(names(), kept);
  assertNoBad();
});
