import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect, createServer, TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { systemRandom } from '#base/clock';
import { run, seeds } from './der.fuzz.ts';
import { derInteger, derOid, derSequence, derTime, derValues } from './der.ts';
import {
  authorityPermits,
  type Certificate,
  type CertificatePair,
  createLocalAuthority,
  createServerTls,
  isForName,
  issueServerCertificate,
  loadCertificates,
  newTicketKeys,
  readCertificate,
  serverCertificateDays,
} from './index.ts';

const dayMs = 86_400_000;
const random = systemRandom;
const nowMs = Date.now();
const localNames = ['localhost', '127.0.0.1', '::1', 'mail.fengni.test'];
const authority = createLocalAuthority({ domains: ['localhost', 'fengni.test'], nowMs, random });

const certificateFor = (names: readonly string[], from: CertificatePair = authority): Certificate =>
  readCertificate(
    { name: names.join(), ...issueServerCertificate({ authority: from, names, nowMs, random }) },
    nowMs,
  );

const folderOf = (t: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), 'fengni-tls-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
};

const tlsOf = (...certificates: Certificate[]) =>
  createServerTls({ certificates, ticketKeys: newTicketKeys(random) });

interface Outcome {
  code?: string;
  protocol?: string | null;
  alpn?: string | false | null;
  resumed?: boolean;
  names?: string;
  session?: Buffer | undefined;
}

/** Connects, says "x", waits for one octet back. */
const meet = (options: ConnectionOptions): Promise<Outcome> =>
  new Promise((resolve) => {
    let session: Buffer | undefined;
    const socket = connect({ host: '127.0.0.1', ca: authority.cert, ...options });
    socket.on('session', (ticket) => {
      session = ticket;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve({ code: error.code ?? error.message }));
    socket.on('secureConnect', () => socket.write('x'));
    socket.on('data', () => {
      const outcome: Outcome = {
        protocol: socket.getProtocol(),
        alpn: socket.alpnProtocol,
        resumed: socket.isSessionReused(),
        names: socket.getPeerX509Certificate()?.subjectAltName ?? '',
        session,
      };
      socket.end();
      socket.on('close', () => resolve(outcome));
    });
  });

const served = async (t: TestContext, ...certificates: Certificate[]) => {
  const tls = tlsOf(...certificates);
  const server = createServer(tls.serverOptions(['imap']), (socket) => {
    socket.on('error', () => {});
    socket.on('data', () => socket.write('y'));
  });
  server.on('tlsClientError', () => {});
  tls.follow(server, ['imap']);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return { tls, server, port: (server.address() as AddressInfo).port };
};

/** Runs a program while this process goes on serving it. */
const runAside = (command: string, args: string[]): Promise<{ status: number | null; text: string }> =>
  new Promise((resolve, reject) => {
    let text = '';
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk));
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, text }));
  });

test('DER values have the shortest length and the right sign (X.690 §8.3, §10.1)', () => {
  assert.deepEqual(derInteger(Uint8Array.of(0, 0, 0x80)), Uint8Array.of(2, 2, 0, 0x80));
  assert.deepEqual(derOid('1.2.840.10045.4.3.2'), Uint8Array.of(6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2));
  assert.equal(Buffer.from(derTime(Date.UTC(2049, 11, 31))).toString('latin1', 2), '491231000000Z');
  assert.equal(Buffer.from(derTime(Date.UTC(2050, 0, 1))).toString('latin1', 2), '20500101000000Z');
  for (const size of [0, 127, 128, 255, 256, 60_000])
    assert.equal(derValues(derSequence(new Uint8Array(size)))?.[0]?.content.length, size);
  assert.equal(derValues(Uint8Array.of(0x30, 0x81, 0x05, 1, 2, 3, 4, 5)), null);
  for (const seed of seeds) run(seed);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), run));
});

test('openssl verifies the local certificate for each of its names, strictly (RFC 5280)', (t) => {
  const folder = folderOf(t);
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const ca = write('ca.pem', authority.cert);
  const verify = (pair: { cert: string }, ...args: string[]): { status: number | null; text: string } => {
    const leaf = write('leaf.pem', pair.cert);
    const done = spawnSync('openssl', [
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      ...args,
      '-CAfile',
      ca,
      leaf,
    ]);
    return { status: done.status, text: `${done.stdout}${done.stderr}` };
  };
  const good = certificateFor(localNames);
  for (const args of [
    ['-verify_hostname', 'localhost'],
    ['-verify_hostname', 'mail.fengni.test'],
    ['-verify_ip', '127.0.0.1'],
    ['-verify_ip', '::1'],
  ])
    assert.equal(verify(good, ...args).status, 0, verify(good, ...args).text);
  assert.match(verify(good, '-verify_hostname', 'example.org').text, /hostname mismatch/i);
  for (const outside of ['example.org', 'notfengni.test', '192.0.2.1', '2001:db8::1', '128.0.0.1'])
    assert.match(verify(certificateFor([outside])).text, /permitted subtree violation/, outside);
  for (const inside of ['a.b.fengni.test', '127.255.0.9'])
    assert.equal(verify(certificateFor([inside])).status, 0, inside);
  // another installation with the same domains is another authority
  const foreign = createLocalAuthority({ domains: ['fengni.test'], nowMs, random });
  const text = execFileSync('openssl', ['x509', '-in', ca, '-noout', '-text'], { encoding: 'utf8' });
  assert.match(text, /Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
  assert.match(text, /Key Usage: critical\s+Certificate Sign, CRL Sign/);
  assert.match(
    text,
    /Name Constraints: critical\s+Permitted:\s+DNS:localhost\s+DNS:fengni.test\s+IP:127.0.0.0\/255.0.0.0/,
  );
  assert.notEqual(verify(certificateFor(['localhost'], foreign)).status, 0);
});

test('authorityPermits says what openssl says', () => {
  for (const name of ['localhost', 'fengni.test', 'MAIL.fengni.test', '127.9.9.9', '::1'])
    assert.ok(authorityPermits(authority.cert, name), name);
  for (const name of ['example.org', 'xfengni.test', 'test', '', '10.0.0.1', '::2', '::ffff:127.0.0.1'])
    assert.ok(!authorityPermits(authority.cert, name), name);
  const chinese = createLocalAuthority({ domains: ['封泥.test'], nowMs, random });
  assert.ok(authorityPermits(chinese.cert, 'mail.封泥.test'));
});

test('the server certificate is short enough for clients and never outlives its authority', () => {
  const { expiresMs } = certificateFor(localNames);
  assert.ok(expiresMs - nowMs <= serverCertificateDays * dayMs);
  const late = nowMs + 3_600 * dayMs;
  const pair = issueServerCertificate({ authority, names: ['localhost'], nowMs: late, random });
  const [leaf, own] = [new X509Certificate(pair.cert), new X509Certificate(authority.cert)];
  assert.equal(leaf.validToDate.getTime(), own.validToDate.getTime());
  assert.ok(leaf.checkIssued(own) && leaf.verify(own.publicKey));
});

test('local files are made once, kept, and renewed before they expire or when the host name is new', async (t) => {
  const folder = join(folderOf(t), 'tls');
  const options = {
    folder,
    configured: [],
    hostname: 'mail.fengni.test',
    localDomains: ['fengni.test'],
    random,
  };
  const first = await loadCertificates({ ...options, nowMs });
  assert.deepEqual(readdirSync(folder).sort(), ['ca-key.pem', 'ca.pem', 'server-key.pem', 'server.pem']);
  for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
  assert.equal(first.renewed, true);
  assert.equal(first.authorityCert, readFileSync(join(folder, 'ca.pem'), 'utf8'));
  const again = await loadCertificates({ ...options, nowMs: nowMs + 300 * dayMs });
  assert.equal(again.renewed, false);
  assert.equal(again.certificates[0]?.cert, first.certificates[0]?.cert);
  const renewed = await loadCertificates({ ...options, nowMs: nowMs + (serverCertificateDays - 29) * dayMs });
  assert.equal(renewed.renewed, true);
  assert.equal(renewed.authorityCert, first.authorityCert);
  const named = await loadCertificates({ ...options, hostname: 'mx.fengni.test', nowMs });
  assert.ok(isForName(named.certificates[0] as Certificate, 'mx.fengni.test'));
  const outside = await loadCertificates({ ...options, hostname: 'mail.example.org', nowMs });
  assert.deepEqual(outside.namesLeftOut, ['mail.example.org']);
  writeFileSync(join(folder, 'server.pem'), 'torn');
  assert.equal((await loadCertificates({ ...options, nowMs })).renewed, true);
  rmSync(join(folder, 'ca-key.pem'));
  await assert.rejects(loadCertificates({ ...options, nowMs }), { code: 'tls-file-unreadable' });
});

test('a certificate that cannot be used is refused with its reason', async (t) => {
  const good = certificateFor(localNames);
  const other = certificateFor(localNames);
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  const encrypted = weak.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' });
  const read = (change: Partial<Certificate>, at = nowMs) => readCertificate({ ...good, ...change }, at);
  read({});
  for (const [change, code] of [
    [{ key: other.key }, 'tls-key-mismatch'],
    [{ cert: 'hello' }, 'tls-certificate-not-pem'],
    [{ cert: good.key }, 'tls-certificate-not-pem'],
    [{ cert: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' }, 'tls-certificate-not-pem'],
    [{ key: good.cert }, 'tls-key-not-pem'],
    [{ key: String(encrypted) }, 'tls-key-not-pem'],
  ] as const)
    assert.throws(() => read(change), { code });
  assert.throws(() => read({}, nowMs + 400 * dayMs), { code: 'tls-certificate-expired' });
  assert.throws(() => read({}, nowMs - 2 * dayMs), { code: 'tls-certificate-not-yet-valid' });
  const folder = folderOf(t);
  const missing = join(folder, 'none.pem');
  await assert.rejects(
    loadCertificates({
      ...{ folder, hostname: 'x', localDomains: [], nowMs, random },
      configured: [{ cert: missing, key: missing }],
    }),
    { code: 'tls-file-unreadable', subject: `${missing}: ENOENT`, exitStatus: 2 },
  );
});

test('a name is matched with a wildcard for the leftmost label only (RFC 9525 §6.3)', () => {
  const certificate = { dnsNames: ['example.org', '*.mail.example.org'] };
  for (const name of ['example.org', 'EXAMPLE.org.', 'a.mail.example.org'])
    assert.ok(isForName(certificate, name), name);
  for (const name of ['a.example.org', 'mail.example.org', 'a.b.mail.example.org', 'org', ''])
    assert.ok(!isForName(certificate, name), name);
});

test('TLS 1.3 is preferred, 1.2 taken with forward secrecy only, older refused (RFC 9325 §3.1)', async (t) => {
  const { port } = await served(t, certificateFor(localNames));
  assert.equal((await meet({ port })).protocol, 'TLSv1.3');
  assert.equal((await meet({ port, maxVersion: 'TLSv1.2' })).protocol, 'TLSv1.2');
  const old = { port, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const;
  assert.match((await meet(old)).code ?? '', /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/);
  const fixed = { port, maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA' } as const;
  assert.match((await meet(fixed)).code ?? '', /HANDSHAKE_FAILURE/);
});

test('a protocol that is not ours is refused by ALPN, no ALPN is taken (RFC 7301 §3.2)', async (t) => {
  const { port } = await served(t, certificateFor(localNames));
  assert.equal((await meet({ port, ALPNProtocols: ['imap'] })).alpn, 'imap');
  assert.equal((await meet({ port })).alpn, false);
  assert.match(
    (await meet({ port, ALPNProtocols: ['h2', 'http/1.1'] })).code ?? '',
    /NO_APPLICATION_PROTOCOL/,
  );
});

test('the certificate is chosen by the name the client asks for (RFC 6066 §3)', async (t) => {
  const { port, tls } = await served(t, certificateFor(localNames), certificateFor(['a.fengni.test']));
  const namesFor = async (servername?: string) =>
    (await meet({ port, ...(servername ? { servername } : {}), checkServerIdentity: () => undefined })).names;
  assert.equal(await namesFor('a.fengni.test'), 'DNS:a.fengni.test');
  assert.match((await namesFor('localhost')) ?? '', /DNS:localhost/);
  assert.match((await namesFor('unknown.example')) ?? '', /DNS:localhost/);
  assert.match((await namesFor()) ?? '', /DNS:localhost/);
  assert.equal(tls.certificates.length, 2);
});

test('after a reload new connections meet the new certificate, old ones go on, and a bad one changes nothing', async (t) => {
  const { port, tls } = await served(t, certificateFor(['localhost', '127.0.0.1']));
  const old = connect({ port, host: '127.0.0.1', ca: authority.cert });
  await new Promise((resolve) => old.once('secureConnect', resolve));
  tls.reload([certificateFor(['localhost', '127.0.0.1', 'new.fengni.test'])]);
  for (const servername of ['localhost', undefined])
    assert.match(
      (await meet({ port, ...(servername ? { servername } : {}) })).names ?? '',
      /new\.fengni\.test/,
    );
  old.write('x');
  await new Promise((resolve) => old.once('data', resolve));
  old.destroy();
  const good = certificateFor(['localhost', '127.0.0.1']);
  assert.throws(() => tls.reload([{ ...good, cert: 'x' }]), { code: 'tls-certificate-unusable' });
  assert.throws(() => tls.reload([]), { code: 'tls-certificate-unusable' });
  assert.match((await meet({ port })).names ?? '', /new\.fengni\.test/);
});

test('a ticket is good at another role with the same keys and protocol, and no longer after a rotation', async (t) => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const certificate = certificateFor(localNames);
    const one = await served(t, certificate);
    const two = await served(t, certificate);
    const keys = newTicketKeys(random);
    one.tls.setTicketKeys(keys);
    two.tls.setTicketKeys(keys);
    const resumed = async (port: number, session: Buffer | undefined) =>
      (await meet({ port, maxVersion, servername: 'localhost', ...(session ? { session } : {}) })).resumed;
    const { session } = await meet({ port: one.port, maxVersion, servername: 'localhost' });
    assert.ok(session !== undefined);
    assert.equal(await resumed(two.port, session), true, maxVersion);
    two.tls.setTicketKeys(newTicketKeys(random));
    assert.equal(await resumed(two.port, session), false, maxVersion);
  }
});

test('STARTTLS on an accepted socket has the same choice, ALPN and tickets, in its own protocol only', async (t) => {
  const certificates = [certificateFor(localNames), certificateFor(['a.fengni.test'])];
  const tls = tlsOf(...certificates);
  const server = createTcpServer((raw) => {
    const socket = new TLSSocket(raw, tls.socketOptions(['smtp']));
    socket.on('error', () => {});
    socket.on('data', () => socket.write('y'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const port = (server.address() as AddressInfo).port;
  const over = (options: ConnectionOptions): Promise<Outcome> =>
    meet({ socket: connectTcp(port, '127.0.0.1'), ...options });
  const first = await over({ servername: 'localhost', ALPNProtocols: ['smtp'] });
  assert.deepEqual([first.alpn, first.protocol, first.resumed], ['smtp', 'TLSv1.3', false]);
  assert.match(
    (await over({ servername: 'localhost', ALPNProtocols: ['imap'] })).code ?? '',
    /NO_APPLICATION_PROTOCOL/,
  );
  assert.equal((await over({ servername: 'a.fengni.test' })).names, 'DNS:a.fengni.test');
  assert.ok(first.session !== undefined);
  const { session } = first;
  assert.equal((await over({ servername: 'localhost', session })).resumed, true);
  // the same keys, another protocol
  const imap = createServer(tls.serverOptions(['imap']), (socket) => {
    socket.on('data', () => socket.write('y'));
  });
  await new Promise<void>((resolve) => imap.listen(0, '127.0.0.1', resolve));
  t.after(() => imap.close());
  const imapPort = (imap.address() as AddressInfo).port;
  assert.equal((await meet({ port: imapPort, servername: 'localhost', session })).resumed, false);
  tls.reload([certificateFor(['localhost', 'b.fengni.test'])]);
  assert.match((await over({ servername: 'localhost' })).names ?? '', /b\.fengni\.test/);
});

test('curl and Python accept the local certificate by the authority alone', async (t) => {
  const { port } = await served(t, certificateFor(localNames));
  const ca = join(folderOf(t), 'ca.pem');
  writeFileSync(ca, authority.cert);
  for (const host of ['localhost', '127.0.0.1']) {
    const python = await runAside('python3', [
      '-c',
      `import socket, ssl, sys
c = ssl.create_default_context(cafile=sys.argv[1])
c.verify_flags |= ssl.VERIFY_X509_STRICT
s = c.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[2]))), server_hostname=sys.argv[3])
s.send(b'x'); assert s.recv(1) == b'y'`,
      ca,
      String(port),
      host,
    ]);
    assert.equal(python.status, 0, python.text);
    const curl = await runAside('curl', [
      '-sv',
      '-m',
      '5',
      '--no-alpn',
      '--cacert',
      ca,
      `https://${host}:${port}/`,
    ]);
    assert.match(curl.text, /SSL certificate verify ok/);
  }
});
