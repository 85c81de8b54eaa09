import { createHmac, hash, pbkdf2Sync, randomBytes } from 'node:crypto';
import type tls from 'node:tls';

/**
 * The client's side of SCRAM-SHA-256, with channel binding where a socket is given.
 *
 * @source RFC 5802, RFC 7677, RFC 9266
 */
export class ScramClient {
  readonly first: string;
  readonly #header: string;
  readonly #bare: string;
  readonly #data: Uint8Array;
  readonly #password: string;
  #authMessage = '';
  #salted: Uint8Array = new Uint8Array(0);

  constructor(user: string, password: string, binding: { name: string; data: Uint8Array } | null) {
    this.#password = password;
    this.#header = binding === null ? 'n,,' : `p=${binding.name},,`;
    this.#data = binding?.data ?? new Uint8Array(0);
    const name = user.replaceAll('=', '=3D').replaceAll(',', '=2C');
    this.#bare = `n=${name},r=${randomBytes(18).toString('base64')}`;
    this.first = Buffer.from(this.#header + this.#bare).toString('base64');
  }

  /** the answer to the server's first message, both in base64 */
  final(challenge: string): string {
    const serverFirst = Buffer.from(challenge, 'base64').toString();
    const [, nonce = '', salt = '', iterations = ''] =
      /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst) ?? [];
    this.#salted = pbkdf2Sync(this.#password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256');
    const bound = Buffer.concat([Buffer.from(this.#header), this.#data]).toString('base64');
    const withoutProof = `c=${bound},r=${nonce}`;
    this.#authMessage = `${this.#bare},${serverFirst},${withoutProof}`;
    const clientKey = this.#hmac(this.#salted, 'Client Key');
    const signature = this.#hmac(hash('sha256', clientKey, 'buffer'), this.#authMessage);
    const proof = Buffer.from(clientKey.map((octet, at) => octet ^ (signature[at] ?? 0)));
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`).toString('base64');
  }

  /** whether the server's last message proves that it knows the password too */
  knows(challenge: string): boolean {
    const serverKey = this.#hmac(this.#salted, 'Server Key');
    const expected = this.#hmac(serverKey, this.#authMessage).toString('base64');
    return Buffer.from(challenge, 'base64').toString() === `v=${expected}`;
  }

  #hmac(key: Uint8Array, data: string): Buffer {
    return createHmac('sha256', key).update(data).digest();
  }
}

/** What a connection is bound to, as the client computes it. */
export const bindingOf = (
  socket: tls.TLSSocket,
  name: 'tls-exporter' | 'tls-server-end-point',
): { name: string; data: Uint8Array } => ({
  name,
  data:
    name === 'tls-exporter'
      ? socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
      : // the certificates of tests are signed with SHA-256
        hash('sha256', socket.getPeerCertificate().raw, 'buffer'),
});
