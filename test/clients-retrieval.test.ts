import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { type Ran, run } from './support/clients.ts';
import { needPrograms } from './support/debian.ts';
import {
  askImap,
  assertAllThere,
  assertGood,
  assertNoBad,
  begin,
  maildir,
  makeFolder,
  makeMaildir,
  send,
  sent,
  server,
  writeSecret,
} from './support/retrieval.ts';

// Programs that fetch mail and keep it on the other side, and install in seconds: fetchmail, mpop, mutt. They turn CRLF into LF, as files
// here have it; but for that, every octet is compared. What a program itself changes or leaves out is named.

before(async () => {
  needPrograms('fetchmail', 'mpop', 'mutt');
  await begin();
});

test('fetchmail: POP3S with UIDL, left on the server; a second run finds nothing new', async () => {
  const folder = makeMaildir('fetchmail');
  const config = path.join(server.folder, 'fetchmailrc');
  // fetchmail has no store of its own: a script takes each message, as it comes.
  const deliver = path.join(server.folder, 'deliver.sh');
  fs.writeFileSync(deliver, `#!/bin/sh\ncat >"${folder}/new/$$.$(date +%s%N)"\n`, { mode: 0o700 });
  writeSecret(
    config,
    `poll localhost service ${server.ports.pop3s} protocol pop3 uidl bad-header accept
  user "${server.address}" password "${server.password}" ssl sslproto "TLS1.2+" sslcertck sslcertfile "${server.caFile}"
  keep fetchall no rewrite mda "${deliver}"
`.replace('fetchall', 'no fetchall'),
  );
  const fetch = (): Promise<Ran> =>
    run(
      'fetchmail',
      ['--nosyslog', '--fetchmailrc', config, '--idfile', path.join(server.folder, 'fetchids')],
      {
        env: { HOME: server.folder, FETCHMAILHOME: server.folder },
      },
    );
  assertGood(await fetch());
  // fetchmail puts its own Received and stops lines at NUL; the rest is as it was.
  const messages = maildir(folder);
  assert.equal(messages.length, sent.size);
  const ids = messages.map((message) => /^Fengni-Seal: id=([a-z2-7]{26});/m.exec(message)?.[1] ?? '');
  assert.deepEqual(ids.toSorted(), [...sent.keys()].sort());
  const again = await fetch();
  assertGood(again, [1]);
  assert.equal(maildir(folder).length, sent.size, 'UIDL is what it was');
  assertNoBad();
});

for (const starttls of ['off', 'on'] as const) {
  test(`mpop: everything over ${starttls === 'on' ? 'POP3 with STLS' : 'POP3S'}, once`, async () => {
    const folder = makeMaildir(`mpop-${starttls}`);
    const config = path.join(server.folder, `mpoprc-${starttls}`);
    writeSecret(
      config,
      `account here
host localhost
port ${starttls === 'on' ? server.ports.pop3 : server.ports.pop3s}
tls on
tls_starttls ${starttls}
tls_trust_file ${server.caFile}
user ${server.address}
password ${server.password}
auth plain
keep on
received_header off
uidls_file ${path.join(server.folder, `mpop-uidls-${starttls}`)}
delivery maildir ${folder}
`,
    );
    const fetch = (): Promise<Ran> =>
      run('mpop', ['--file', config, 'here'], { env: { HOME: server.folder } });
    assertGood(await fetch());
    assertAllThere(maildir(folder));
    assertGood(await fetch());
    assert.equal(maildir(folder).length, sent.size);
    assertNoBad();
  });
}

test('mutt: opens INBOX over IMAPS, copies all of it to a Maildir, marks and deletes', async () => {
  const folder = path.join(server.folder, 'mutt-copy');
  const home = makeFolder('mutt-home');
  writeSecret(
    path.join(home, 'muttrc'),
    `set folder="imaps://localhost:${server.ports.imaps}"
set spoolfile="imaps://localhost:${server.ports.imaps}/INBOX"
set imap_user="${server.address}"
set imap_pass="${server.password}"
set ssl_starttls=no ssl_force_tls=yes
set certificate_file="${server.caFile}"
set mbox_type=Maildir
set confirmappend=no confirmcreate=no delete=yes quit=yes move=no
set wait_key=no mark_old=no beep=no
set imap_condstore=yes imap_qresync=yes
`,
  );
  const mutt = (keys: string): Promise<Ran> =>
    run('script', ['-qec', `mutt -n -F ${home}/muttrc -e 'push "${keys}"'`, '/dev/null'], {
      env: { HOME: home, TERM: 'xterm', COLUMNS: '120', LINES: '40' },
    });
  assertGood(await mutt(`<tag-pattern>~A<enter><tag-prefix><copy-message>${folder}<enter><quit>`));
  assertAllThere(maildir(folder), {
    changed: ['header alone, no empty line'],
    // It does not copy a message whose header ends in the middle of a field.
    notTaken: ['no header, no empty line'],
  });

  await send('for mutt', 'Subject: for-mutt-alone\r\n\r\ndelete me\r\n');
  const [id = ''] = [...sent].find(([, { name }]) => name === 'for mutt') ?? [];
  assertGood(await mutt('<delete-pattern>~s for-mutt-alone<enter><sync-mailbox><quit>'));
  sent.delete(id);
  const told = await askImap('STATUS INBOX (MESSAGES)');
  assert.match(told, new RegExp(`MESSAGES ${sent.size}\\b`));
  assertNoBad();
});
