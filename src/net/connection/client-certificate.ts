import type { TLSSocket } from 'node:tls';
import { sessionInteger } from './tls-session.ts';

/** The certificate that a client showed, and proved to have the key of; what stands in it is its own claim unless it was verified. */
export interface ClientCertificate {
  /** of its octets (DER) */
  readonly sha256: Uint8Array;
  /** `CN=mx.example.org, O=Example`, in its own order; empty where it has none */
  readonly subject: string;
  /** DNS names in it */
  readonly names: readonly string[];
  /** `verified` by an authority that this program comes with, or why not: `depth-zero-self-signed-cert`, … */
  readonly verdict: string;
}

const subjectLengthMax = 200;
const namesMax = 8;
const nameLengthMax = 253;

/** The field `verify_result` of OpenSSL's SSL_SESSION: an INTEGER under the explicit tag 5, left out where it is 0. */
const verifyResultTag = 0xa0 | 5;

/**
 * What the client of a handshake showed; null where it showed nothing. Kept with the session: a resumed one tells the same.
 *
 * Node tells the outcome of the verification to `tls.Server` alone, not to a socket of its own: it is read from the session.
 */
export const clientCertificate = (socket: TLSSocket): ClientCertificate | null => {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return null;
  const names = (certificate.subjectAltName ?? '')
    .split(', ')
    .flatMap((name) => (/^DNS:[^"\s]+$/.test(name) ? [name.slice(4, 4 + nameLengthMax)] : []))
    .slice(0, namesMax);
  return {
    sha256: Buffer.from(certificate.fingerprint256.replaceAll(':', ''), 'hex'),
    subject: (certificate.subject ?? '').split('\n').join(', ').slice(0, subjectLengthMax),
    names,
    verdict: verdictOf(sessionInteger(socket.getSession(), verifyResultTag) ?? 0),
  };
};

/** @source OpenSSL, `x509_vfy.h`: the names without X509_V_ERR_ */
const verdictOf = (code: number): string => (code === 0 ? 'verified' : (reasons[code] ?? `error-${code}`));

const reasons: Readonly<Record<number, string>> = {
  2: 'unable-to-get-issuer-cert',
  4: 'unable-to-decrypt-cert-signature',
  6: 'unable-to-decode-issuer-public-key',
  7: 'cert-signature-failure',
  9: 'cert-not-yet-valid',
  10: 'cert-has-expired',
  13: 'error-in-cert-not-before-field',
  14: 'error-in-cert-not-after-field',
  18: 'depth-zero-self-signed-cert',
  19: 'self-signed-cert-in-chain',
  20: 'unable-to-get-issuer-cert-locally',
  21: 'unable-to-verify-leaf-signature',
  22: 'cert-chain-too-long',
  24: 'invalid-ca',
  25: 'path-length-exceeded',
  26: 'invalid-purpose',
  27: 'cert-untrusted',
  28: 'cert-rejected',
  66: 'ee-key-too-small',
  67: 'ca-key-too-small',
  68: 'ca-md-too-weak',
  79: 'invalid-ca',
};
