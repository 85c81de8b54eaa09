import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { before, test } from 'node:test';
import tls from 'node:tls';
import { LineClient } from './support/line-client.ts';
import { eventually, rolesOf } from './support/processes.ts';
import { startServer, type TestServer } from './support/server.ts';
import { fetchMaildrop } from './support/smtp-client.ts';

// The whole server as peers and relays meet it: LMTP, PROXY, XFORWARD, shared limits, session tickets.

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-receiving-'));
const socketPath = path.join(folder, 'lmtp');
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));

const proxied = (service: string): string =>
  `[listen.${service}-proxied]\nservice = "${service}"\naddress = "127.0.0.1"\nport = 0\nproxy_from = ["127.0.0.1"]\n`;

let server: TestServer;
const ports = (): Record<string, number> =>
  JSON.parse(fs.readFileSync(path.join(server.data, 'run/ports.json'), 'utf8'));
before(async () => {
  server = await startServer({
    toml: `
[smtp]
binarymime = true
xclient_from = ["127.0.0.0/8"]
greet_pause = "1s"
[limits]
sessions_per_address = 8
sessions_per_second = 1000
[listen.lmtp-socket]
service = "lmtp"
address = "unix:${socketPath}"
socket_mode = "0666"
[listen.smtp-tls]
service = "smtp"
address = "127.0.0.1"
port = 0
tls = "implicit"
${['smtp', 'imaps', 'pop3s', 'https'].map(proxied).join('')}`,
  });
});

const inbox = (): Promise<string[]> =>
  fetchMaildrop(
    { port: server.ports.pop3s, ca: server.ca },
    { user: server.address, password: server.password },
  );
/** the one with this subject */
const withSubject = async (subject: string): Promise<string> => {
  const found = (await inbox()).filter((mail) => mail.includes(`\r\nSubject: ${subject}\r\n`));
  assert.equal(found.length, 1, subject);
  return found[0] ?? '';
};
const oneReply = /^\d{3} [^\r\n]*\r\n/m;

test('LMTP over TCP: a reply for each recipient, the same id, the message once in the mailbox (RFC 2033)', async () => {
  const client = await LineClient.connect(ports()['lmtp'] ?? 0);
  await client.until(/^220 \S+ LMTP Fengni\r\n/);
  assert.match(await client.ask('EHLO x\r\n', oneReply), /^500 5\.5\.1 /);
  assert.match(await client.ask('LHLO relay.example\r\n', /^250 .*\r\n/m), /PIPELINING/);
  client.send(
    `MAIL FROM:<a@one.example> RET=HDRS ENVID=q+2B1\r\nRCPT TO:<${server.address}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o+2Bx@one.example\r\n` +
      'RCPT TO:<nobody@fengni.test>\r\nRCPT TO:<postmaster>\r\nDATA\r\nSubject: by LMTP\r\n\r\nx\r\n.\r\nQUIT\r\n',
  );
  const said = (await client.toEnd()).split('\r\n');
  assert.deepEqual(
    said.slice(0, 5).map((line) => line.slice(0, 9)),
    ['250 2.1.0', '250 2.1.5', '550 5.1.1', '250 2.1.5', '354 End d'],
  );
  assert.match(said[5] ?? '', /^250 2\.0\.0 Ok id=[a-z2-7]{26} sha256=[0-9a-f]{64}$/);
  assert.equal(said[6], said[5]);
  assert.match(said[7] ?? '', /^221 /);
  assert.match(
    await withSubject('by LMTP'),
    /\r\nReceived: from relay\.example \(\[127\.0\.0\.1\]\) by \S+ with LMTP id /,
  );
});

test('LMTP over a Unix socket of the given mode; one left behind by a killed server is replaced, another program’s is not', async () => {
  assert.equal(fs.statSync(socketPath).mode & 0o777, 0o666);
  const talk = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      let said = '';
      const socket = net.connect(socketPath, () => socket.write(text));
      socket.on('data', (chunk) => {
        said += chunk.toString('latin1');
      });
      socket.on('close', () => resolve(said)).on('error', reject);
    });
  const said = await talk(
    `LHLO local\r\nMAIL FROM:<>\r\nRCPT TO:<${server.address}>\r\nBDAT 12\r\nSubject: uni` +
      'BDAT 10 LAST\r\nx\r\n\r\nabc\r\nQUIT\r\n',
  );
  assert.match(said, /250 2\.0\.0 12 octets received\r\n250 2\.0\.0 Ok id=\S+ sha256=\S+\r\n221 /);
  assert.match(await withSubject('unix'), /\r\nReceived: from local \(local socket\) by \S+ with LMTP id /);
  await server.kill();
  await server.start();
  assert.match(await talk('QUIT\r\n'), /^220 .*\r\n221 /);
});

test('PROXY: a peer is who the header names, in Received and by the limits; nothing else is let in (proxy-protocol.txt)', async () => {
  const smtp = ports()['smtp-proxied'] ?? 0;
  const client = await LineClient.connect(smtp);
  client.send('PROXY TCP4 203.0.113.9 192.0.2.2 40000 25\r\n');
  // A stranger now: it waits for its greeting.
  await client.until(/^220 .*\r\n/);
  await client.ask('EHLO peer.example\r\n', /^250 ENH.*\r\n/m);
  client.send(
    `MAIL FROM:<a@one.example>\r\nRCPT TO:<${server.address}>\r\nDATA\r\nSubject: proxied\r\n\r\nx\r\n.\r\nQUIT\r\n`,
  );
  assert.match(await client.toEnd(), /250 2\.0\.0 Ok id=/);
  assert.match(
    await withSubject('proxied'),
    /Received: from peer\.example \(\[203\.0\.113\.9\]\) \(as \[127\.0\.0\.1\] says by PROXY\) by /,
  );
  const impolite = await LineClient.connect(smtp);
  impolite.send('PROXY TCP4 203.0.113.77 192.0.2.2 40000 25\r\nEHLO x\r\n');
  assert.match(await impolite.toEnd(), /^554 5\.5\.1 .*greeting/);
  const bare = await LineClient.connect(smtp);
  bare.send('EHLO x\r\n');
  assert.equal(await bare.toEnd(), '');
  // Where none is expected it is an unknown command.
  const plain = await LineClient.connect(ports()['smtp'] ?? 0);
  await plain.until(/^220 .*\r\n/);
  assert.match(await plain.ask('PROXY TCP4 203.0.113.9 192.0.2.2 40000 25\r\n', oneReply), /^500 5\.5\.1 /);
  plain.destroy();
});

/** A PROXY header, then TLS. */
const secured = (port: number, header: string | Buffer, alpn: string[] = []): Promise<tls.TLSSocket> =>
  new Promise((resolve, reject) => {
    const plain = net.connect(port, '127.0.0.1', () => {
      plain.write(header);
      const socket = tls.connect(
        { socket: plain, ca: server.ca, servername: 'localhost', ALPNProtocols: alpn },
        () => resolve(socket),
      );
      socket.once('error', reject);
    });
    plain.once('error', reject);
  });
const firstText = (socket: net.Socket): Promise<string> =>
  new Promise((resolve) => {
    socket.once('data', (chunk: Buffer) => resolve(chunk.toString('latin1')));
    socket.once('close', () => resolve(''));
  });

test('PROXY comes before TLS, for IMAP, POP3 and HTTPS', async () => {
  const header = 'PROXY TCP4 203.0.113.10 192.0.2.2 40001 993\r\n';
  const imap = await secured(ports()['imaps-proxied'] ?? 0, header);
  assert.match(await firstText(imap), /^\* OK /);
  imap.destroy();
  const pop3 = await secured(ports()['pop3s-proxied'] ?? 0, header);
  assert.match(await firstText(pop3), /^\+OK /);
  pop3.destroy();
  const https = await secured(ports()['https-proxied'] ?? 0, header, ['http/1.1']);
  https.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
  assert.match(await firstText(https), /^HTTP\/1\.1 200 /);
  https.destroy();
});

test('an address has its sessions once, not once a role (WIRE: 50 sessions an address)', async () => {
  const header = 'PROXY TCP4 198.51.100.7 192.0.2.2 40001 25\r\n';
  const clients: LineClient[] = [];
  for (let count = 0; count < 8; count++) {
    const client = await LineClient.connect(ports()['smtp-proxied'] ?? 0);
    client.send(header);
    clients.push(client);
  }
  for (const client of clients) await client.until(/^220 .*\r\n/);
  const ninth = await LineClient.connect(ports()['smtp-proxied'] ?? 0);
  ninth.send(header);
  assert.match(await ninth.toEnd(), /^421 4\.7\.0 .*Too many sessions from your address/);
  // What mx has open is known in access a moment later.
  const isRefused = async (): Promise<boolean> => {
    try {
      const imap = await secured(ports()['imaps-proxied'] ?? 0, header);
      imap.destroy();
      return false;
    } catch {
      return true;
    }
  };
  let refused = false;
  for (let tries = 0; tries < 40 && !refused; tries++) {
    refused = await isRefused();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(refused, 'IMAP hears of the sessions in SMTP');
  for (const client of clients) client.destroy();
  let served = false;
  for (let tries = 0; tries < 40 && !served; tries++) {
    served = !(await isRefused());
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(served, 'and of their end');
});

test('XFORWARD and XCLIENT of a trusted relay name the peer, and Received says whose word it is', async () => {
  const client = await LineClient.connect(ports()['smtp'] ?? 0);
  await client.until(/^220 .*\r\n/);
  assert.match(
    await client.ask('EHLO relay.example\r\n', /^250 ENH.*\r\n/m),
    /250-XCLIENT NAME .*\r\n250-XFORWARD NAME /,
  );
  client.send(
    'XFORWARD NAME=peer.example ADDR=203.0.113.11 PORT=4711 PROTO=ESMTP HELO=mx.peer.example\r\n' +
      `MAIL FROM:<a@one.example>\r\nRCPT TO:<${server.address}>\r\nDATA\r\nSubject: forwarded\r\n\r\nx\r\n.\r\nQUIT\r\n`,
  );
  assert.match(await client.toEnd(), /250 2\.0\.0 Ok id=/);
  assert.match(
    await withSubject('forwarded'),
    /Received: from mx\.peer\.example \(peer\.example \[203\.0\.113\.11\]\) \(as \[127\.0\.0\.1\] says by XFORWARD\) by \S+ with ESMTP id /,
  );
});

/** One TLS session with a listener, and the ticket that it gave. */
const meetTls = async (
  listener: string,
  options: tls.ConnectionOptions & { starttls?: boolean } = {},
): Promise<{ reused: boolean; ticket: Buffer; said: string }> => {
  const { starttls = false, ...more } = options;
  const port = ports()[listener] ?? 0;
  const plain = starttls ? net.connect(port, '127.0.0.1') : null;
  if (plain !== null) {
    await firstText(plain);
    plain.write('EHLO probe.example\r\nSTARTTLS\r\n');
    for (let text = ''; !text.includes('220 2.0.0'); ) text += await firstText(plain);
  }
  const socket = tls.connect({
    ...(plain === null ? { port, host: '127.0.0.1' } : { socket: plain }),
    ca: server.ca,
    servername: 'localhost',
    ...more,
  });
  const ticket = new Promise<Buffer>((resolve) => socket.once('session', resolve));
  if (plain !== null) {
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    socket.write('NOOP\r\n');
  }
  const said = await firstText(socket);
  const reused = socket.isSessionReused();
  const given = await Promise.race([
    ticket,
    new Promise<Buffer>((resolve) => setTimeout(resolve, 2_000, Buffer.alloc(0))),
  ]);
  socket.destroy();
  return { reused, ticket: given, said };
};

const killRole = async (role: 'access' | 'mx'): Promise<void> => {
  const before = rolesOf(server.pid).get(role) ?? 0;
  process.kill(before, 'SIGKILL');
  await eventually(`${role} is back`, () => ![undefined, before].includes(rolesOf(server.pid).get(role)));
};

test('a session ticket is good after the role that gave it was killed (DESIGN §7)', async () => {
  const first = await meetTls('imaps');
  assert.equal(first.reused, false);
  assert.equal((await meetTls('imaps', { session: first.ticket })).reused, true);
  await killRole('access');
  assert.equal((await meetTls('imaps', { session: first.ticket })).reused, true);
});

test('SMTP over TLS from the start: no STARTTLS is offered, the message comes in, its ticket is good for STARTTLS and after a kill, not for IMAP', async () => {
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
    const socket = tls.connect({
      port: ports()['smtp-tls'] ?? 0,
      host: '127.0.0.1',
      ca: server.ca,
      servername: 'localhost',
      ALPNProtocols: ['smtp'],
      maxVersion,
    });
    assert.match(await firstText(socket), /^220 /);
    socket.write('EHLO peer.example\r\n');
    const ehlo = await firstText(socket);
    assert.match(ehlo, /250-PIPELINING/);
    assert.doesNotMatch(ehlo, /STARTTLS|AUTH/);
    socket.write(
      `MAIL FROM:<a@one.example>\r\nRCPT TO:<${server.address}>\r\nDATA\r\nSubject: over ${maxVersion}\r\n\r\nx\r\n.\r\nQUIT\r\n`,
    );
    let said = '';
    for await (const text of socket.setEncoding('latin1')) said += text;
    assert.match(said, /250 2\.0\.0 Ok id=.*\r\n221 /);
    assert.match(
      await withSubject(`over ${maxVersion}`),
      new RegExp(`\\r\\nReceived: from peer\\.example .* with ESMTPS .*${maxVersion.replace('.', '\\.')}`),
    );
  }
  const first = await meetTls('smtp-tls');
  assert.match(first.said, /^220 /);
  assert.equal(first.reused, false);
  assert.equal((await meetTls('smtp-tls', { session: first.ticket })).reused, true);
  assert.equal((await meetTls('smtp', { session: first.ticket, starttls: true })).reused, true);
  assert.equal((await meetTls('imaps', { session: first.ticket })).reused, false, 'another protocol');
  await killRole('mx');
  assert.equal((await meetTls('smtp-tls', { session: first.ticket })).reused, true);
  // In clear on this port nobody answers.
  const clear = net.connect(ports()['smtp-tls'] ?? 0, '127.0.0.1', () => clear.write('EHLO x\r\n'));
  let answer = '';
  await new Promise((resolve) =>
    clear
      .setEncoding('latin1')
      .on('data', (text: string) => {
        answer += text;
      })
      .on('error', () => {})
      .on('close', resolve),
  );
  assert.doesNotMatch(answer, /^\d{3} /m);
});

test('BINARYMIME by setting: octets that are no lines are kept (RFC 3030)', async () => {
  const client = await LineClient.connect(ports()['smtp'] ?? 0);
  await client.until(/^220 .*\r\n/);
  assert.match(await client.ask('EHLO x\r\n', /^250 ENH.*\r\n/m), /250-BINARYMIME\r\n/);
  const body = 'Subject: binary\r\n\r\na\nb\rc\0\xff';
  client.send(
    `MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<${server.address}>\r\nBDAT ${body.length} LAST\r\n${body}QUIT\r\n`,
  );
  assert.match(await client.toEnd(), /250 2\.0\.0 Ok id=/);
  assert.ok((await withSubject('binary')).includes(body));
});

test('after mx died it is careful, and a message that was being parsed at two deaths is refused (docs/decisions/0008)', async () => {
  const mx = (): number => rolesOf(server.pid).get('mx') ?? 0;
  const poison = path.join(server.data, 'poison');
  const send = async (subject: string): Promise<string> => {
    const client = await LineClient.connect(ports()['lmtp'] ?? 0);
    client.send(
      `LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<${server.address}>\r\nDATA\r\nSubject: ${subject}\r\n\r\nx\r\n.\r\nQUIT\r\n`,
    );
    return (await client.toEnd()).split('\r\n').at(-3) ?? '';
  };
  assert.match(await send('before'), /^250 /);
  const sha256 = hash('sha256', 'Subject: deadly\r\n\r\nx\r\n');
  for (let death = 0; death < 2; death++) {
    fs.writeFileSync(path.join(poison, `${sha256}.parsing`), 'Subject: deadly\r\n\r\nx\r\n');
    const old = mx();
    process.kill(old, 'SIGKILL');
    await eventually('the next mx took it in', () => !fs.existsSync(path.join(poison, `${sha256}.parsing`)));
  }
  assert.match(await send('deadly'), /^451 4\.3\.0 .*set aside/);
  assert.match(await send('harmless'), /^250 /);
  await withSubject('harmless');
  assert.deepEqual(fs.readdirSync(poison), ['append', `${sha256}.eml`].sort());
});

test('addresses: found by their key, kept as addressed; Postmaster, postmaster@ and abuse@ work everywhere (WIRE, “Addresses”)', async () => {
  const added = await server.fengni(['domain', 'add', '例子.test']);
  assert.equal(added.status, 0, added.stderr);
  const account = await server.fengni(['account', 'add', '李@例子.test', '--password-stdin'], {
    stdin: 'a long enough password\n',
  });
  assert.equal(account.status, 0, account.stderr);
  const client = await LineClient.connect(ports()['lmtp'] ?? 0);
  await client.until(/^220 .*\r\n/);
  await client.ask('LHLO x\r\n', /^250 ENH.*\r\n/m);
  const code = async (to: string): Promise<string> => {
    await client.ask('RSET\r\n', oneReply);
    await client.ask('MAIL FROM:<> SMTPUTF8\r\n', oneReply);
    return (await client.ask(Buffer.from(`RCPT TO:<${to}>\r\n`), oneReply)).slice(0, 9);
  };
  for (const to of [
    server.address,
    server.address.toUpperCase(),
    `"admin"@fengni.test`,
    'admin+tag@fengni.test',
    'Postmaster',
    'postmaster@fengni.test',
    'ABUSE@fengni.test',
    'postmaster@例子.test',
    `abuse@${new URL('http://例子.test').hostname.toUpperCase()}`,
    '李@例子.test',
    `李@${new URL('http://例子.test').hostname}`,
    '李+收据@例子.test',
  ])
    assert.equal(await code(to), '250 2.1.5', to);
  assert.equal(await code('admin+tag@elsewhere.example'), '550 5.7.1');
  assert.equal(await code('nobody@fengni.test'), '550 5.1.1');
  assert.equal(await code('王@例子.test'), '550 5.1.1');
  client.send(
    Buffer.from(
      'RSET\r\nMAIL FROM:<A.B+c@One.Example>\r\nRCPT TO:<ADMIN+Tag@Fengni.test>\r\nDATA\r\nSubject: as addressed\r\n\r\nx\r\n.\r\nQUIT\r\n',
    ),
  );
  await client.toEnd();
  const stored = await withSubject('as addressed');
  assert.match(stored, /^Return-Path: <A\.B\+c@One\.Example>\r\nDelivered-To: ADMIN\+Tag@Fengni\.test\r\n/);
});
