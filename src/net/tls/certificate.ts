import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { FengniError } from '#base/errors';

/** A certificate chain and its key as texts; `name` says where they come from, for people. */
export interface CertificateText {
  name: string;
  /** PEM: the server's own certificate first, then the intermediate ones */
  cert: string;
  /** PEM: the private key, without a passphrase */
  key: string;
}

/** A certificate that was read and checked. */
export interface Certificate extends CertificateText {
  keyType: string;
  /** DNS names, lower case, `*.` allowed in front; IP addresses are not here since no client asks for one by name */
  dnsNames: readonly string[];
  expiresMs: number;
}

/**
 * Reads and checks one certificate with its key.
 *
 * @throws {FengniError} `tls-certificate-not-pem`, `tls-key-not-pem`, `tls-key-mismatch`, `tls-key-weak`, `tls-certificate-expired`,
 *   `tls-certificate-not-yet-valid`
 */
export const readCertificate = (text: CertificateText, nowMs: number): Certificate => {
  const x509 = certificateOf(text);
  const key = keyOf(text);
  if (!x509.checkPrivateKey(key))
    throw fault('tls-key-mismatch', text.name, 'give the key that belongs to this certificate');
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < 2048)
    throw fault('tls-key-weak', `${text.name}: RSA with ${bits} bits`, 'make a key of 2048 bits or P-256');
  const expiresMs = x509.validToDate.getTime();
  if (expiresMs <= nowMs)
    throw fault(
      'tls-certificate-expired',
      `${text.name}: since ${x509.validToDate.toISOString()}`,
      'renew it',
    );
  if (x509.validFromDate.getTime() > nowMs)
    throw fault(
      'tls-certificate-not-yet-valid',
      `${text.name}: from ${x509.validFromDate.toISOString()}`,
      'check the clock of this machine',
    );
  const dnsNames = (x509.subjectAltName ?? '')
    .split(', ')
    .filter((entry) => /^DNS:[^"]+$/.test(entry))
    .map((entry) => entry.slice(4).toLowerCase());
  return { ...text, keyType: key.asymmetricKeyType ?? 'unknown', dnsNames, expiresMs };
};

/** Whether a certificate is for a host name, with a wildcard for its leftmost label only. @source RFC 9525 §6.3 */
export const isForName = (certificate: Pick<Certificate, 'dnsNames'>, name: string): boolean => {
  const wanted = name.toLowerCase().replace(/\.$/, '');
  const parent = wanted.slice(wanted.indexOf('.'));
  return certificate.dnsNames.some(
    (own) => own === wanted || (own.startsWith('*.') && parent.length > 1 && own.slice(1) === parent),
  );
};

const certificateOf = (text: CertificateText): X509Certificate => {
  try {
    if (!text.cert.includes('-----BEGIN CERTIFICATE-----')) throw new TypeError('no PEM certificate');
    return new X509Certificate(text.cert);
  } catch (cause) {
    throw fault(
      'tls-certificate-not-pem',
      text.name,
      'give a file that begins with BEGIN CERTIFICATE',
      cause,
    );
  }
};

const keyOf = (text: CertificateText): KeyObject => {
  try {
    return createPrivateKey(text.key);
  } catch (cause) {
    throw fault(
      'tls-key-not-pem',
      text.name,
      /ENCRYPTED/.test(text.key)
        ? 'the key has a passphrase; give it without ("openssl pkey -in KEY -out NEW")'
        : 'give a file that begins with BEGIN PRIVATE KEY',
      // OpenSSL's reason may quote what it read
      cause instanceof Error ? new Error((cause as { code?: string }).code ?? 'not a key') : undefined,
    );
  }
};

const fault = (code: string, subject: string, remedy: string, cause?: unknown): FengniError =>
  new FengniError(code, { subject, remedy, exitStatus: 2, cause });
