import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { type ClientCertificate, clientCertificate } from './client-certificate.ts';

const openssl = (folder: string, ...args: string[]): void =>
  void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });

test('what a client shows is told with its names and why nobody vouches for it, in a resumed session too', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-client-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const make = (name: string, subject: string, ...more: string[]) => {
    openssl(folder, 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`);
    openssl(
      folder,
      ...['req', '-new', '-x509', '-key', `${name}.key`, '-subj', subject],
      ...more,
      '-out',
      name,
    );
    const read = (file: string) => fs.readFileSync(path.join(folder, file));
    return { key: read(`${name}.key`), cert: read(name) };
  };
  const names = 'DNS:mx.peer.example,DNS:b.example,IP:192.0.2.1';
  const peer = make('peer', '/O=Peer/CN=mx.peer.example', '-days', '3', '-addext', `subjectAltName=${names}`);
  const nameless = make('nameless', '/');
  const own = make('own', '/CN=server');

  const contextWith = (more: tls.SecureContextOptions) =>
    tls.createSecureContext({
      ...own,
      ...more,
      sessionIdContext: 'x',
      ticketKeys: crypto.randomBytes(48),
    });
  let secureContext = contextWith({});
  const told: { client: ClientCertificate | null; isResumed: boolean }[] = [];
  const server = net.createServer((plain) => {
    const secure = new tls.TLSSocket(plain, {
      isServer: true,
      secureContext,
      requestCert: true,
      rejectUnauthorized: false,
    });
    secure.once('secure', () => {
      told.push({ client: clientCertificate(secure), isResumed: secure.isSessionReused() });
      secure.write('x');
    });
    secure.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const meet = async (options: tls.ConnectionOptions) => {
    const client = tls.connect({
      host: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
      rejectUnauthorized: false,
      ...options,
    });
    // Without a new one a session that was resumed goes on.
    let session = options.session;
    client.on('session', (given) => {
      session = given;
    });
    await once(client, 'data');
    client.destroy();
    return session;
  };
  const expected: ClientCertificate = {
    sha256: crypto.createHash('sha256').update(new crypto.X509Certificate(peer.cert).raw).digest(),
    subject: 'O=Peer, CN=mx.peer.example',
    names: ['mx.peer.example', 'b.example'],
    verdict: 'depth-zero-self-signed-cert',
  };
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const of = { minVersion: version, maxVersion: version };
    const session = await meet({ ...of, ...peer });
    await meet({ ...of, session });
    assert.deepEqual(told.splice(0), [
      { client: expected, isResumed: false },
      { client: expected, isResumed: true },
    ]);
    const without = await meet(of);
    await meet({ ...of, session: without });
    assert.deepEqual(told.splice(0), [
      { client: null, isResumed: false },
      { client: null, isResumed: true },
    ]);
  }
  secureContext = contextWith({ ca: peer.cert });
  await meet(peer);
  assert.equal(told.splice(0)[0]?.client?.verdict, 'verified', 'by an authority that is believed');
  await meet(nameless);
  assert.deepEqual([told[0]?.client?.subject, told[0]?.client?.names], ['', []]);
});
