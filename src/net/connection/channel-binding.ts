import { hash, X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

/**
 * What a log-in may be bound to, so that nobody stands between who speaks TLS with us and who logs in.
 *
 * `tls-exporter` on TLS 1.3 alone: on TLS 1.2 it is unique only with the extended master secret (RFC 9266 §4.2), which Node does not tell.
 *
 * @returns null where the connection has no such binding
 * @source RFC 9266 (`tls-exporter`), RFC 5929 §4 (`tls-server-end-point`)
 */
export const channelBinding = (socket: TLSSocket, name: string): Uint8Array | null => {
  if (name === 'tls-exporter')
    return socket.getProtocol() === 'TLSv1.3'
      ? socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
      : null;
  if (name !== 'tls-server-end-point') return null;
  const own = socket.getCertificate() as { raw?: Buffer } | null;
  return own?.raw === undefined ? null : endPointHash(own.raw);
};

/**
 * A certificate's hash, made with the hash function of its signature; SHA-256 in place of MD5 and SHA-1. Null where the signature names
 * no hash function, as Ed25519 does: RFC 5929 §4.1 leaves it undefined then.
 */
export const endPointHash = (certificate: Uint8Array): Uint8Array | null => {
  const { signatureAlgorithm } = new X509Certificate(certificate) as X509Certificate & {
    signatureAlgorithm?: string;
  };
  const named = /sha-?(1|224|256|384|512)(?!\d)|md5/i.exec(signatureAlgorithm ?? '');
  if (named === null) return null;
  const bits = named[1] === undefined || named[1] === '1' ? '256' : named[1];
  return hash(`sha${bits}`, certificate, 'buffer');
};
