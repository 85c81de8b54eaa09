import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Language, say } from '#base/text';
import type { EvidenceLine } from '#services/integrity';
import type { CommandContext } from '../command.ts';
import { clientCertificate, peer, way } from './session-words.ts';

const context = (language: Language): CommandContext =>
  ({
    language,
    say: (key: never, parameters: never) =>
      (say as (language: Language, key: never, parameters: never) => string)(language, key, parameters),
  }) as unknown as CommandContext;

const lines = (text: string): EvidenceLine[] =>
  text.split('; ').map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]);

const cases: readonly [session: string, english: string][] = [
  ['protocol LOCAL', 'a command on this machine'],
  ['protocol LOCAL; uid 0', 'a command on this machine, of its user 0'],
  ['peer 192.0.2.1; port 25; helo mx.a', '192.0.2.1 port 25, which called itself mx.a'],
  ['peer unix; helo mx.a; protocol LMTP', 'a program on this machine, by a Unix socket'],
  [
    'peer 192.0.2.1; port 25; via PROXY 10.0.0.1; helo mx.a',
    '192.0.2.1 port 25, which called itself mx.a; as 10.0.0.1 says by PROXY',
  ],
  [
    'peer 192.0.2.1; port 25; name mx.b; via PROXY 10.0.0.1; via XFORWARD 10.0.0.2; helo mx.a',
    '192.0.2.1 port 25, which called itself mx.a, with the host name mx.b; as 10.0.0.1 says by PROXY; as 10.0.0.2 says by XFORWARD',
  ],
  [
    'peer unknown; via XFORWARD unix; helo x',
    'a peer that the relay does not name; as unix says by XFORWARD',
  ],
  ['account aabc; protocol IMAP', 'the account aabc'],
];

test('who handed a message over, in words of both languages; what others only claim is said to be that', () => {
  for (const [session, english] of cases) {
    assert.equal(peer(context('en'), lines(session)), english);
    const chinese = peer(context('zh'), lines(session));
    assert.match(chinese, /\p{Script=Han}/u);
  }
});

test('the way names version, cipher and key exchange', () => {
  const session = lines('protocol ESMTPS; tls TLSv1.3; cipher TLS_AES_256_GCM_SHA384; group X25519MLKEM768');
  assert.equal(
    way(context('en'), session),
    'ESMTPS, encrypted with TLSv1.3, cipher TLS_AES_256_GCM_SHA384, key exchange X25519MLKEM768',
  );
  assert.equal(way(context('en'), lines('protocol ESMTP')), 'ESMTP, not encrypted');
});

test('a certificate of the peer is told with who vouches for it, in both languages', () => {
  const shown = `client sha256=${Buffer.alloc(32, 1).toString('base64')}; client-subject O=One, CN=mx.a; client-name mx.a; client-name mx.b`;
  assert.equal(
    clientCertificate(context('en'), lines(`${shown}; client-check verified`)),
    `the peer has the key of O=One, CN=mx.a (mx.a, mx.b), SHA-256 ${'01'.repeat(32)}; a public authority vouches for what it says`,
  );
  assert.match(
    clientCertificate(context('zh'), lines(`${shown}; client-check cert-has-expired`)) ?? '',
    /其内容无人担保：cert-has-expired$/,
  );
  assert.equal(clientCertificate(context('en'), lines('protocol ESMTPS; tls TLSv1.3')), null);
});
