import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type Ran, run } from '../support/clients.ts';
import { needPrograms } from '../support/debian.ts';
import { LineClient } from '../support/line-client.ts';
import { original } from '../support/mail-load.ts';
import { npmPackage } from '../support/npm.ts';
import { oddMessages } from '../support/odd-messages.ts';
import { mbsyncConfig } from '../support/retrieval.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sendMail } from '../support/smtp-send.ts';

// More programs that read: getmail, mpop and mbsync by SCRAM, neomutt with QRESYNC, offlineimap, c-client, Dovecot as a client,
// imapflow. Each has an account of its own.

const nobody = 65_534;
const password = 'correct horse battery';
let server: TestServer;

before(async () => {
  needPrograms(
    'getmail',
    'gsasl',
    'mbsync',
    'mpop',
    'mutt',
    'neomutt',
    'offlineimap',
    'mailutil',
    'dovecot-imapd',
  );
  server = await startServer();
});

/** An account with these messages; what was sent, by id. */
const accountWith = async (
  name: string,
  wanted: (message: { name: string; octets: string }) => boolean = () => true,
): Promise<{ user: string; sent: Map<string, { name: string; octets: string }> }> => {
  const user = `${name}@fengni.test`;
  const added = await server.fengni(['account', 'add', user, '--password-stdin'], { stdin: `${password}\n` });
  assert.equal(added.status, 0, added.stderr);
  const sent = new Map<string, { name: string; octets: string }>();
  for (const message of oddMessages(user)) {
    if (message.smtpUtf8 === true || !wanted(message)) continue;
    const reply = await sendMail({ port: server.ports.smtp, to: user, octets: message.octets });
    const [, id] = /^250 .* id=([a-z2-7]{26}) /.exec(reply) ?? assert.fail(`${message.name}: ${reply}`);
    sent.set(id ?? '', { name: message.name, octets: message.octets });
  }
  return { user, sent };
};

const appPassword = async (user: string): Promise<string> => {
  const { stdout } = await server.fengni(['account', 'app-password', 'add', user, 'program', '--json']);
  return (JSON.parse(stdout) as { password: string }).password;
};

const makeFolder = (...names: string[]): string => {
  const folder = path.join(server.folder, ...names);
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
};

const makeMaildir = (...names: string[]): string => {
  for (const each of ['cur', 'new', 'tmp']) makeFolder(...names, each);
  return path.join(server.folder, ...names);
};

const maildir = (folder: string): string[] =>
  ['cur', 'new'].flatMap((each) =>
    fs
      .readdirSync(path.join(folder, each))
      .map((name) => fs.readFileSync(path.join(folder, each, name), 'latin1')),
  );

const assertGood = ({ status, stdout, stderr }: Ran): void => {
  assert.equal(status, 0, `${stdout.slice(-3_000)}${stderr.slice(-3_000)}`);
};

/** Each message that was sent is there once, octet for octet but for line ends, behind our prefix. */
const assertAllThere = (
  messages: readonly string[],
  sent: ReadonlyMap<string, { name: string; octets: string }>,
  { changed = [], notTaken = [] }: { changed?: readonly string[]; notTaken?: readonly string[] } = {},
): void => {
  const seen = new Set<string>();
  for (const message of messages) {
    const own = message
      .replace(/^X-TUID: \S+\r?\n/m, '')
      .replace(/^Content-Length: \d+\r?\n(?:Lines: \d+\r?\n)?/m, '');
    const found = original(own.includes('\r\n') ? own : own.replaceAll('\n', '\r\n'));
    assert.ok(found !== null, `no seal: ${JSON.stringify(message.slice(0, 200))}`);
    const known = sent.get(found.id);
    assert.ok(known !== undefined && !seen.has(found.id), `${known?.name ?? found.id}`);
    seen.add(found.id);
    if (changed.includes(known.name)) continue;
    const lf = (text: string): string => text.replaceAll('\r\n', '\n');
    assert.ok(lf(found.octets) === lf(known.octets), `${known.name} was changed`);
  }
  const missing = [...sent].flatMap(([id, { name }]) => (seen.has(id) ? [] : [name]));
  assert.deepEqual(missing, notTaken, 'not fetched');
};

const linesFit = ({ octets }: { octets: string }): boolean =>
  octets.split('\n').every((line) => line.length <= 2_040);

/**
 * getmail 6.18 waits for ever, about once in thirty runs and more often beside others, for a lock of its own (futex) between two messages.
 * Such a run is ended and tried again, twice at most, once it is sure that the client alone hangs: it waits for a lock, and the kernel
 * holds not one octet of its connection that it has not read, nor one that the server has not. Any other hang fails.
 */
const getmail = async (home: string, port: number): Promise<Ran> => {
  const isRoot = process.getuid?.() === 0;
  for (let tries = 0; ; tries++) {
    let whyNotItsOwn: string | null = 'it was not looked at';
    const ran = await run('getmail', ['--getmaildir', home], {
      env: { HOME: home },
      ...(isRoot ? { uid: nobody } : {}),
      hung: (pid) => {
        whyNotItsOwn = notItsOwn(pid, port);
      },
    });
    if (ran.status !== null) return ran;
    assert.equal(whyNotItsOwn, null, `getmail hangs: ${ran.stdout}${ran.stderr}`);
    assert.ok(tries < 2, 'getmail hangs for a lock of its own for the third time');
  }
};

/** Why a client that hangs may not hang by itself, or null. */
const notItsOwn = (pid: number, port: number): string | null => {
  const waits = fs
    .readdirSync(`/proc/${pid}/task`)
    .map((task) => fs.readFileSync(`/proc/${pid}/task/${task}/wchan`, 'utf8'));
  if (!waits.every((wait) => wait.startsWith('futex'))) return `it waits in ${waits}`;
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of fs.readFileSync(file, 'utf8').split('\n').slice(1)) {
      const [, local = '', remote = '', state, queues] = line.trim().split(/\s+/);
      const isOurs = state === '01' && (local.endsWith(`:${hexPort}`) || remote.endsWith(`:${hexPort}`));
      if (isOurs && queues !== '00000000:00000000')
        return `octets wait between ${local} and ${remote}: ${queues}`;
    }
  }
  return null;
};

// Python's poplib ends the reading of a message in the middle of a line of more than 2,048 octets, and getmail then waits for the rest of
// what it does not read; no server can help it. RFC 5322 has lines of at most 998.
for (const [kind, service, wanted] of [
  ['SimplePOP3SSLRetriever', 'pop3s', 'whose lines poplib takes'],
  ['SimpleIMAPSSLRetriever', 'imaps', 'there is'],
] as const) {
  test(`getmail: ${service}, everything ${wanted}, once`, async (t) => {
    const { user, sent } = await accountWith(
      `getmail-${service}`,
      service === 'pop3s' ? linesFit : undefined,
    );
    // It refuses to deliver as root: folders of its own, for nobody.
    const home = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-getmail-'));
    t.after(() => fs.rmSync(home, { recursive: true }));
    const folder = path.join(home, 'maildir');
    for (const each of ['cur', 'new', 'tmp']) fs.mkdirSync(path.join(folder, each), { recursive: true });
    fs.copyFileSync(server.caFile, path.join(home, 'ca.pem'));
    fs.writeFileSync(
      path.join(home, 'getmailrc'),
      `[retriever]
type = ${kind}
server = localhost
port = ${server.ports[service]}
username = ${user}
password = ${password}
ca_certs = ${home}/ca.pem

[destination]
type = Maildir
path = ${folder}/

[options]
read_all = false
delivered_to = false
received = false
`,
      { mode: 0o600 },
    );
    if (process.getuid?.() === 0) {
      for (const name of ['', ...fs.readdirSync(home, { recursive: true, encoding: 'utf8' })])
        fs.chownSync(path.join(home, name), nobody, nobody);
    }
    for (const round of ['first', 'second']) {
      assertGood(await getmail(home, server.ports[service]));
      // It folds header fields anew, so that no original stays what it was; bodies do.
      const bodies = maildir(folder).map((message) => ({
        id: /^Fengni-Seal:\s+id=([a-z2-7]{26});/m.exec(message)?.[1] ?? '',
        body: message.slice(message.indexOf('\n\n') + 2),
      }));
      assert.deepEqual(bodies.map(({ id }) => id).toSorted(), [...sent.keys()].toSorted(), round);
      for (const { id, body } of bodies) {
        const { name = '', octets = '' } = sent.get(id) ?? {};
        if (!['plain', 'dots at line starts', 'empty lines at the end', '1 MB'].includes(name)) continue;
        assert.ok(body === octets.slice(octets.indexOf('\r\n\r\n') + 4).replaceAll('\r\n', '\n'), name);
      }
    }
  });
}

for (const mechanism of ['scram-sha-256', 'plain'] as const) {
  test(`mpop: POP3S by ${mechanism} with an app password`, async () => {
    const { user, sent } = await accountWith(`mpop-${mechanism}`, ({ name }) => name.includes('dot'));
    const folder = makeMaildir('mpop', mechanism);
    const config = path.join(server.folder, `mpoprc-${mechanism}`);
    fs.writeFileSync(
      config,
      `account here
host localhost
port ${server.ports.pop3s}
tls on
tls_starttls off
tls_trust_file ${server.caFile}
user ${user}
password ${await appPassword(user)}
auth ${mechanism}
keep on
received_header off
uidls_file ${config}.uidls
delivery maildir ${folder}
`,
      { mode: 0o600 },
    );
    assertGood(await run('mpop', ['--file', config, 'here'], { env: { HOME: server.folder } }));
    assertAllThere(maildir(folder), sent);
  });
}

for (const program of ['mutt', 'neomutt'] as const) {
  test(`${program} with CONDSTORE and QRESYNC: a second opening takes the header cache and what changed`, async () => {
    // It takes a header without its empty line for none, and reads such mail anew each time.
    const { user, sent } = await accountWith(
      program,
      (message) => linesFit(message) && /^From: [\s\S]*\r\n\r\n/.test(message.octets),
    );
    const home = makeFolder(program);
    fs.writeFileSync(
      path.join(home, 'muttrc'),
      `set folder="imaps://localhost:${server.ports.imaps}"
set spoolfile="imaps://localhost:${server.ports.imaps}/INBOX"
set imap_user="${user}"
set imap_pass="${password}"
set imap_authenticators="plain"
set ssl_starttls=no ssl_force_tls=yes
set certificate_file="${server.caFile}"
set header_cache="${home}/cache"
set imap_condstore=yes imap_qresync=yes
set confirmappend=no confirmcreate=no delete=yes quit=yes move=no wait_key=no mark_old=no beep=no
set mbox_type=Maildir
`,
    );
    const open = (keys: string): Promise<Ran> =>
      run(
        'script',
        [
          '-qec',
          `${program} -n -F ${home}/muttrc -d 3${program === 'mutt' ? '' : ` -l ${home}/.muttdebug`} -e 'push "${keys}"'`,
          '/dev/null',
        ],
        {
          env: { HOME: home, TERM: 'xterm', COLUMNS: '120', LINES: '40' },
        },
      );
    const copy = path.join(home, 'copy');
    assertGood(await open(`<tag-pattern>~A<enter><tag-prefix><copy-message>${copy}<enter><quit>`));
    assertAllThere(maildir(copy), sent);
    // changed behind its back: one flagged, one gone, one new
    const client = await LineClient.connect(server.ports.imaps, { ca: server.ca });
    client.send(
      `a LOGIN ${user} "${password}"\r\nb SELECT INBOX\r\nc STORE 1 +FLAGS (\\Flagged)\r\nd STORE 2 +FLAGS (\\Deleted)\r\ne EXPUNGE\r\nf LOGOUT\r\n`,
    );
    assert.match(await client.toEnd(), /\r\ne OK/);
    await sendMail({ port: server.ports.smtp, to: user, octets: 'Subject: later\r\n\r\nnew\r\n' });
    const flagged = path.join(home, 'flagged');
    assertGood(await open(`<tag-pattern>~F<enter><tag-prefix><copy-message>${flagged}<enter><quit>`));
    assert.equal(maildir(flagged).length, 1);
    const log = fs.readFileSync(path.join(home, '.muttdebug0'), 'latin1');
    assert.match(log, /CHANGEDSINCE \d+ VANISHED/);
    assert.match(log, /Handling VANISHED/);
    assert.doesNotMatch(log, /< a\d+ BAD/);
    // neomutt 20220429 does not count what VANISHED (EARLIER) took away, and begins anew
    if (program === 'mutt') assert.doesNotMatch(log, /QRESYNC failed/);
  });
}

test('mbsync: 10,000 messages with an app password; the second run transfers nothing, the third what is new', async () => {
  const { user } = await accountWith('mbsync', () => false);
  const count = 10_000;
  const atOnce = 500;
  const client = await LineClient.connect(server.ports.imaps, { ca: server.ca });
  await client.ask(`a LOGIN ${user} "${password}"\r\n`, /^a OK[^\n]*\n/m);
  const letter = (number: number): string =>
    `From: a@example.org\r\nTo: ${user}\r\nSubject: number ${number}\r\nMessage-ID: <${number}@load.example>\r\n\r\n${'body '.repeat(40)}${number}\r\n`;
  for (let from = 1; from <= count; from += atOnce) {
    const messages = Array.from({ length: atOnce }, (_, at) => letter(from + at));
    const literals = messages.map((text) => ` {${text.length}+}\r\n${text}`).join('');
    await client.ask(`b${from} APPEND INBOX${literals}\r\n`, new RegExp(`^b${from} OK[^\\n]*\\n`, 'm'));
  }
  const inbox = makeMaildir('mbsync', 'inbox');
  const config = path.join(server.folder, 'mbsync', 'rc');
  fs.writeFileSync(config, mbsyncConfig({ inbox, user, password: await appPassword(user), server }), {
    mode: 0o600,
  });
  const sync = (): Promise<Ran> =>
    run('mbsync', ['-V', '-c', config, 'inbox'], { env: { HOME: server.folder } });
  const names = (): string[] =>
    ['cur', 'new'].flatMap((each) => fs.readdirSync(path.join(inbox, each))).sort();
  assertGood(await sync());
  const first = names();
  assert.equal(first.length, count);
  const seen = new Set(maildir(inbox).map((text) => /<(\d+)@load\.example>/.exec(text)?.[1]));
  assert.equal(seen.size, count);
  const second = await sync();
  assertGood(second);
  assert.doesNotMatch(second.stdout, /^\S* ?(?:pulling|pushing|propagating) [1-9]/im);
  assert.deepEqual(names(), first, 'nothing is moved or renamed');
  const late = letter(count + 1);
  await client.ask(`c APPEND INBOX {${late.length}+}\r\n${late}\r\n`, /^c OK[^\n]*\n/m);
  client.destroy();
  assertGood(await sync());
  assert.equal(names().length, count + 1);
});

test('offlineimap: both ways with a Maildir; a second run transfers nothing', async () => {
  const { user, sent } = await accountWith('offlineimap', linesFit);
  const home = makeFolder('offlineimap');
  const folder = path.join(home, 'mail');
  fs.writeFileSync(
    path.join(home, 'rc'),
    `[general]
accounts = here
metadata = ${home}/meta
ui = basic
[Account here]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = ${folder}
[Repository far]
type = IMAP
remotehost = localhost
remoteport = ${server.ports.imaps}
remoteuser = ${user}
remotepass = ${password}
auth_mechanisms = PLAIN
ssl = yes
sslcacertfile = ${server.caFile}
folderfilter = lambda name: name == 'INBOX'
`,
  );
  const sync = (): Promise<Ran> =>
    run('offlineimap', ['-c', path.join(home, 'rc'), '-o'], { env: { HOME: home } });
  const first = await sync();
  assertGood(first);
  const inbox = path.join(folder, 'INBOX');
  const ids = maildir(inbox).map((message) => /Fengni-Seal:\s+id=([a-z2-7]{26});/.exec(message)?.[1] ?? '');
  assert.deepEqual(ids.toSorted(), [...sent.keys()].toSorted());
  fs.writeFileSync(
    path.join(inbox, 'new', '1.here'),
    'From: me@fengni.test\nSubject: written here\nMessage-ID: <w@h>\n\nmine\n',
  );
  assertGood(await sync());
  const third = await sync();
  assertGood(third);
  assert.doesNotMatch(third.stdout + third.stderr, /Copy message|Adding flag|Deleting/);
  const client = await LineClient.connect(server.ports.imaps, { ca: server.ca });
  client.send(
    `a LOGIN ${user} "${password}"\r\nb SELECT INBOX\r\nc SEARCH SUBJECT "written here"\r\nd LOGOUT\r\n`,
  );
  assert.match(await client.toEnd(), /\* SEARCH \d+\r\n/);
});

test('gsasl: SCRAM-SHA-256-PLUS over IMAP with STARTTLS, bound by tls-exporter', async () => {
  const { user } = await accountWith('gsasl', () => false);
  const logIn = async (secret: string, ...more: string[]): Promise<Ran> =>
    run('gsasl', [
      ...['--imap', '--connect', `localhost:${server.ports.imap}`, '--x509-ca-file', server.caFile],
      ...['--authentication-id', user, '--password', secret, ...more],
    ]);
  const secret = await appPassword(user);
  const plus = await logIn(secret, '--mechanism', 'SCRAM-SHA-256-PLUS');
  assertGood(plus);
  assert.match(plus.stdout + plus.stderr, /Client authentication finished \(server trusted\)/);
  // p=tls-exporter,,
  assert.match(plus.stdout, /^cD10bHMtZXhwb3J0ZXIsL/m);
  assertGood(await logIn(secret, '--mechanism', 'SCRAM-SHA-256', '--no-cb'));
  const wrong = await logIn('wrong', '--mechanism', 'SCRAM-SHA-256-PLUS');
  assert.notEqual(wrong.status, 0);
});

test('c-client, the code of Alpine: copies a mailbox to mbox', async (t) => {
  // its own home is the folder that it takes names from; root's is /
  if (process.getuid?.() !== 0) return t.skip('not run: c-client writes to the home of its user');
  const { user, sent } = await accountWith('cclient', linesFit);
  const file = path.join(makeFolder('cclient'), 'copy');
  const from = `{localhost:${server.ports.imaps}/imap/ssl/novalidate-cert/user=${user}}INBOX`;
  const copy = `mailutil copy '${from}' '#driver.unix${file}'`;
  // It reads the password from its terminal, once it has asked.
  const ran = await run('sh', [
    '-c',
    `(sleep 3; echo '${password}'; sleep 15) | script -qec "${copy}" /dev/null`,
  ]);
  assertGood(ran);
  const copied = fs.readFileSync(file, 'latin1');
  for (const id of sent.keys())
    assert.ok(copied.includes(id), `${sent.get(id)?.name} is missing: ${ran.stdout}`);
});

test('Dovecot’s imapc as a client: doveadm pulls a whole account, octet for octet', async (t) => {
  const { user, sent } = await accountWith('imapc');
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-imapc-'));
  t.after(() => fs.rmSync(home, { recursive: true }));
  fs.copyFileSync(server.caFile, path.join(home, 'ca.pem'));
  fs.writeFileSync(
    path.join(home, 'dovecot.conf'),
    `base_dir = ${home}/run
log_path = /dev/stderr
mail_location = maildir:${home}/mail:LAYOUT=fs
first_valid_uid = 1
ssl_client_ca_file = ${home}/ca.pem
imapc_host = 127.0.0.1
imapc_port = ${server.ports.imaps}
imapc_ssl = imaps
imapc_user = ${user}
imapc_password = ${password}
imapc_features = rfc822.size fetch-headers fetch-bodystructure
mail_prefetch_count = 20
stats_writer_socket_path =
namespace inbox {
  inbox = yes
  separator = /
}
`,
  );
  const isRoot = process.getuid?.() === 0;
  if (isRoot)
    for (const name of ['', 'ca.pem', 'dovecot.conf']) fs.chownSync(path.join(home, name), nobody, nobody);
  const ran = await run('doveadm', ['-c', path.join(home, 'dovecot.conf'), 'backup', '-R', 'imapc:'], {
    env: { HOME: home, USER: user },
    ...(isRoot ? { uid: nobody } : {}),
  });
  assertGood(ran);
  assertAllThere(maildir(path.join(home, 'mail')), sent);
});

test('imapflow: everything is downloaded octet for octet, flags and moves arrive', async () => {
  const { user, sent } = await accountWith('imapflow');
  const entry = npmPackage('imapflow', '2.10.2');
  const { ImapFlow } = (await import(pathToFileURL(entry).href)) as {
    ImapFlow: new (options: object) => Flow;
  };
  const client = new ImapFlow({
    host: 'localhost',
    port: server.ports.imaps,
    secure: true,
    auth: { user, pass: password },
    tls: { ca: server.ca },
    qresync: true,
    logger: false,
  });
  await client.connect();
  const lock = await client.getMailboxLock('INBOX');
  try {
    const bodies: string[] = [];
    for await (const message of client.fetch('1:*', {
      source: true,
      envelope: true,
      bodyStructure: true,
      flags: true,
    }))
      bodies.push(message.source.toString('latin1'));
    const seen = bodies.map((body) => original(body)).map((found) => [found?.id, found?.octets]);
    for (const [id, { name, octets }] of sent) {
      const got = seen.find(([each]) => each === id)?.[1];
      assert.ok(got === octets, `${name} is not what was sent`);
    }
    assert.equal(seen.length, sent.size);
    assert.equal(await client.messageFlagsAdd('1', ['\\Flagged']), true);
    const moved = await client.messageMove('2', 'Archive');
    assert.ok(moved !== false);
    assert.deepEqual(await client.search({ flagged: true }), [1]);
    assert.equal((await client.status('Archive', { messages: true })).messages, 1);
  } finally {
    lock.release();
    await client.logout();
  }
});

interface Flow {
  connect(): Promise<void>;
  getMailboxLock(name: string): Promise<{ release(): void }>;
  fetch(range: string, query: object): AsyncIterable<{ source: Buffer }>;
  messageFlagsAdd(range: string, flags: string[]): Promise<boolean>;
  messageMove(range: string, target: string): Promise<object | false>;
  search(query: object): Promise<number[]>;
  status(name: string, query: object): Promise<{ messages: number }>;
  logout(): Promise<void>;
}
