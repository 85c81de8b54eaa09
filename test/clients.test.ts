import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { run } from './support/clients.ts';
import { needPrograms } from './support/debian.ts';
import { type OddMessage, oddMessages } from './support/odd-messages.ts';
import { startServer, type TestServer } from './support/server.ts';
import { sendMail } from './support/smtp-send.ts';

// Programs that we did not write, over real sockets and real TLS: the octets sent are the octets read, behind the prefix.

let server: TestServer;
/** in the order of their arrival: what was sent, octet for octet */
const sent: { name: string; id: string; octets: string }[] = [];

before(async () => {
  needPrograms('curl', 'openssl', 'python3', 'swaks');
  server = await startServer();
});

const python = async (job: Record<string, unknown>): Promise<string[]> => {
  const { address: user, password } = server;
  const { status, stdout, stderr } = await run('python3', [path.join(import.meta.dirname, 'clients.py')], {
    input: Buffer.from(JSON.stringify({ ca: server.caFile, user, password, ...job })).toString('latin1'),
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(Buffer.from(stdout, 'latin1').toString('utf8'));
};

/** Notes what a `250` says, and that its hash is the one of what was sent. */
const acknowledged = (name: string, octets: string, reply: string): void => {
  const [, id = '', sha256Hex] =
    /250 2\.0\.0 Ok id=([a-z2-7]{26}) sha256=([0-9a-f]{64})/.exec(reply) ?? assert.fail(`${name}: ${reply}`);
  assert.equal(sha256Hex, createHash('sha256').update(octets, 'latin1').digest('hex'), name);
  sent.push({ name, id, octets });
};

/** What one reader got of all messages. */
const assertAsSent = (messages: readonly string[]): void => {
  assert.equal(messages.length, sent.length);
  for (const [at, { name, id, octets }] of sent.entries()) {
    const got = messages[at] ?? '';
    const seal = new RegExp(`^Fengni-Seal: id=${id}; sha256=[0-9a-f]{64}; o=\\S+\\r\\n`, 'm').exec(got);
    assert.ok(seal !== null, `${name}: no seal`);
    const end = seal.index + seal[0].length;
    assert.match(
      got.slice(0, end),
      /^Return-Path: <[^\r]*>\r\nDelivered-To: [^\r]*\r\n(?:[!-9;-~]+: [^\r\n]*\r\n)+$/,
    );
    assert.ok(got.slice(end) === octets, `${name}: ${firstDifference(got.slice(end), octets)}`);
  }
};

const firstDifference = (got: string, wanted: string): string => {
  let at = 0;
  while (at < wanted.length && got[at] === wanted[at]) at++;
  const near = (text: string): string => JSON.stringify(text.slice(Math.max(0, at - 20), at + 20));
  return `${got.length} octets for ${wanted.length}, from ${at} on ${near(got)} for ${near(wanted)}`;
};

test('smtplib sends odd messages over STARTTLS, and each gets the hash of its octets in the 250', async () => {
  const messages = oddMessages(server.address);
  const replies = await python({ do: 'send', port: server.ports.smtp, messages });
  for (const [at, { name, octets }] of messages.entries()) acknowledged(name, octets, replies[at] ?? '');
});

test('a message without a final line end: what reaches us has the one that SMTP needs', async () => {
  for (const octets of ['Subject: no final line end\r\n\r\nend', '', 'x']) {
    const messages = [{ name: octets, from: 'a@example.org', to: server.address, octets }];
    const [reply = ''] = await python({ do: 'send', port: server.ports.smtp, messages });
    acknowledged(`no final line end: ${octets}`, `${octets}\r\n`, reply);
  }
});

test('a message of no octets at all is taken, and its hash is that of nothing', async () => {
  const reply = await sendMail({ port: server.ports.smtp, to: server.address, octets: '' });
  acknowledged('no octets', '', reply);
});

/** curl's own quirk: it adds a line end where there is none; all else goes as it is. */
const curlMessages = (): OddMessage[] =>
  oddMessages(server.address).filter(({ smtpUtf8, octets }) => smtpUtf8 !== true && octets.length < 100_000);

test('curl sends the same over STARTTLS', async () => {
  for (const { name, from, to, octets } of curlMessages()) {
    const { status, stderr } = await run(
      'curl',
      [
        '--silent',
        '--show-error',
        '--verbose',
        '--ssl-reqd',
        '--cacert',
        server.caFile,
        '--mail-from',
        from,
        '--mail-rcpt',
        to,
        '--upload-file',
        '-',
        `smtp://localhost:${server.ports.smtp}/client.example`,
      ],
      { input: octets },
    );
    assert.equal(status, 0, `${name}: ${stderr}`);
    assert.match(stderr, /SSL certificate verify ok/);
    acknowledged(`curl: ${name}`, octets, stderr);
  }
});

test('swaks sends over STARTTLS and is told id and hash; it refuses another authority', async () => {
  const body = 'Subject: swaks\n\nA line.\n.\n..dots\nlast\n';
  const file = path.join(server.folder, 'swaks.eml');
  fs.writeFileSync(file, body);
  const args = [
    '--server',
    `localhost:${server.ports.smtp}`,
    '--to',
    server.address,
    '--from',
    'swaks@example.org',
    '--ehlo',
    'client.example',
    '--data',
    `@${file}`,
  ];
  const { status, stdout, stderr } = await run('swaks', [
    ...args,
    '--tls',
    '--tls-verify',
    '--tls-ca-path',
    server.caFile,
  ]);
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /=== TLS started with cipher TLSv1\.3/);
  // It ends every message with a line end of its own.
  const octets = body.replaceAll('\n', '\r\n');
  const [, sha256Hex] = /sha256=([0-9a-f]{64})/.exec(stdout) ?? [];
  const isDoubled = sha256Hex === createHash('sha256').update(`${octets}\r\n`).digest('hex');
  acknowledged('swaks', isDoubled ? `${octets}\r\n` : octets, stdout);

  const refused = await run('swaks', [...args, '--tls', '--tls-verify', '--tls-ca-path', '/dev/null']);
  assert.notEqual(refused.status, 0, 'a certificate that nobody vouches for');
});

for (const [name, service] of [
  ['pop3s', 'pop3s'],
  ['pop3_stls', 'pop3'],
  ['imaps', 'imaps'],
  ['imap_starttls', 'imap'],
] as const) {
  test(`${name.startsWith('pop') ? 'poplib' : 'imaplib'} reads what was sent, by ${name.replace('_', ' + ')}`, async () => {
    assertAsSent(await python({ do: name, port: server.ports[service] }));
  });
}

for (const service of ['pop3s', 'pop3', 'imaps', 'imap'] as const) {
  test(`curl reads what was sent, by ${service}://${service.endsWith('s') ? '' : ' with STARTTLS'}`, async () => {
    const messages: string[] = [];
    const port = server.ports[service];
    for (const at of sent.keys()) {
      const place = service.startsWith('pop') ? `/${at + 1}` : `/INBOX;MAILINDEX=${at + 1}`;
      const { status, stdout, stderr } = await run('curl', [
        '--silent',
        '--show-error',
        '--ssl-reqd',
        '--cacert',
        server.caFile,
        '--user',
        `${server.address}:${server.password}`,
        `${service}://localhost:${port}${place}`,
      ]);
      assert.equal(status, 0, `${sent[at]?.name}: ${stderr}`);
      messages.push(stdout);
    }
    assertAsSent(messages);
  });
}

/** Speaks through `openssl s_client` behind its STARTTLS: everything is said at once, as far as the protocol lets a client do that. */
const throughOpenssl = async (protocol: 'smtp' | 'imap' | 'pop3', said: string): Promise<string> => {
  const { status, stdout, stderr } = await run(
    'openssl',
    [
      's_client',
      '-quiet',
      '-verify_return_error',
      '-CAfile',
      server.caFile,
      '-verify_hostname',
      'localhost',
      '-starttls',
      protocol,
      '-connect',
      `localhost:${server.ports[protocol]}`,
    ],
    { input: said },
  );
  assert.equal(status, 0, stderr);
  assert.match(stderr, /verify return:1/);
  return stdout;
};

test('openssl s_client: a whole SMTP session behind STARTTLS', async () => {
  const octets = 'Subject: by hand\r\n\r\n.dot\r\nQ\r\nR\r\n';
  const said = await throughOpenssl(
    'smtp',
    `EHLO client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<${server.address}>\r\nDATA\r\n${octets.replace(/^\./gm, '..')}.\r\nQUIT\r\n`,
  );
  assert.match(said, /^221 /m);
  assert.doesNotMatch(said, /STARTTLS/, 'not offered again (RFC 3207 §4.2)');
  acknowledged('openssl', octets, said);
});

test('openssl s_client: a whole IMAP session behind STARTTLS', async () => {
  const said = await throughOpenssl(
    'imap',
    `a LOGIN ${server.address} ${server.password}\r\nb EXAMINE INBOX\r\nc FETCH 1:* BODY.PEEK[]\r\nd LOGOUT\r\n`,
  );
  const messages: string[] = [];
  const literal = /\* \d+ FETCH \((?:UID \d+ )?BODY\[\] \{(\d+)\}\r\n/g;
  for (let match = literal.exec(said); match !== null; match = literal.exec(said)) {
    messages.push(said.slice(literal.lastIndex, literal.lastIndex + Number(match[1])));
    literal.lastIndex += Number(match[1]);
  }
  assert.match(said, /^d OK/m);
  assertAsSent(messages);
});

test('openssl s_client: a whole POP3 session behind STLS', async () => {
  const retrieve = sent.map((_, at) => `RETR ${at + 1}\r\n`).join('');
  const said = await throughOpenssl(
    'pop3',
    `USER ${server.address}\r\nPASS ${server.password}\r\n${retrieve}QUIT\r\n`,
  );
  const messages = said
    .split(/^\+OK [^\r\n]*\r\n(?=Return-Path)/m)
    .slice(1)
    .map((part) => part.slice(0, part.indexOf('\r\n.\r\n') + 2).replace(/^\./gm, ''));
  // One that does not end in a line end gets one (RFC 1939 §3); of ours only the one of no octets ends with the prefix.
  assertAsSent(messages);
});
