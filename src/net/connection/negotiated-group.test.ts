import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import fc from 'fast-check';
import { loopbackTls } from '../../../test/support/line-client.ts';
import { negotiatedGroup } from './negotiated-group.ts';

test('the server finds the group that the client was told, with TLS 1.3 and 1.2', async (t) => {
  const certificate = loopbackTls();
  for (const [version, curve, name] of [
    ['TLSv1.3', 'X25519MLKEM768', 'X25519MLKEM768'],
    ['TLSv1.3', 'X25519', 'x25519'],
    ['TLSv1.3', 'P-256', 'secp256r1'],
    // With TLS 1.2 the certificate's curve has to be among the client's too.
    ['TLSv1.2', 'P-256', 'secp256r1'],
    ['TLSv1.2', 'X25519:P-256', 'x25519'],
  ] as const) {
    const server = net.createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const accepted = once(server, 'connection');
    const client = tls.connect({
      port,
      host: '127.0.0.1',
      ca: certificate.ca,
      servername: 'localhost',
      minVersion: version,
      maxVersion: version,
      ecdhCurve: curve,
    });
    const [plain] = await accepted;
    t.after(() => client.destroy());
    const secure = new tls.TLSSocket(plain, { ...certificate.options(), isServer: true });
    await Promise.all([once(secure, 'secure'), once(client, 'secureConnect')]);
    assert.equal(negotiatedGroup(secure.getSession()), name, `${version} ${curve}`);
    secure.destroy();
  }
});

test('a session that can not be read has no group', () => {
  assert.equal(negotiatedGroup(undefined), null);
  assert.equal(negotiatedGroup(Buffer.from('300702010104020203', 'hex')), null);
  assert.equal(negotiatedGroup(Buffer.from('3006b304020211ec', 'hex')), 'X25519MLKEM768');
  assert.equal(negotiatedGroup(Buffer.from('3006b3040202ffff', 'hex')), 'group 65535');
  assert.equal(negotiatedGroup(Buffer.from('3006b3040302', 'hex')), null);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (octets) => {
      negotiatedGroup(octets);
      negotiatedGroup(Buffer.concat([Buffer.from([0x30, octets.length]), octets]));
    }),
  );
});
