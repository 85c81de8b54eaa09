import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  type KeyObject,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';
import { equalBytes, hex } from '#base/bytes';
import type { Random } from '#base/clock';
import {
  type DerValue,
  derBits,
  derContext,
  derImplicit,
  derInteger,
  derOctets,
  derOid,
  derSequence,
  derSet,
  derTime,
  derTrue,
  derUtf8,
  derValues,
} from './der.ts';

/** A certificate and its private key, both PEM. */
export interface CertificatePair {
  cert: string;
  key: string;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const authorityDays = 3_652;
/** Below the 398 days at which Apple's programs refuse a certificate. */
export const serverCertificateDays = 397;

const oids = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  organization: '2.5.4.10',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

/**
 * An authority for this installation alone: whoever trusts it trusts it for these domains (and names below them), 127.0.0.0/8 and
 * ::1, for servers only, without further authorities below it. P-256, 10 years.
 *
 * @param options.domains host or domain names, U- or A-labels
 * @source RFC 5280 §4.2.1.9, §4.2.1.10, §4.2.1.12
 */
export const createLocalAuthority = (options: {
  domains: readonly string[];
  nowMs: number;
  random: Random;
}): CertificatePair => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  // a name of its own, so that two installations in one trust store stay apart
  const name = distinguishedName(`Fengni local authority ${hex(options.random(4))}`);
  const permitted = [
    ...options.domains.map((domain) => derImplicit(2, ia5(asciiName(domain)))),
    derImplicit(7, Uint8Array.of(127, 0, 0, 0, 255, 0, 0, 0)),
    derImplicit(7, Uint8Array.from([...ipOctets('::1'), ...new Array(16).fill(255)])),
  ];
  const subjectKeyId = keyIdentifier(privateKey);
  const cert = certificate({
    subject: name,
    issuer: name,
    subjectKey: privateKey,
    signKey: privateKey,
    notBeforeMs: options.nowMs - hourMs,
    notAfterMs: options.nowMs + authorityDays * dayMs,
    serial: serialNumber(options.random),
    extensions: [
      extension(oids.basicConstraints, true, derSequence(derTrue, derInteger(Uint8Array.of(0)))),
      // keyCertSign, cRLSign
      extension(oids.keyUsage, true, derBits(Uint8Array.of(0x06), 1)),
      extension(
        oids.nameConstraints,
        true,
        derSequence(derContext(0, ...permitted.map((base) => derSequence(base)))),
      ),
      extension(oids.extKeyUsage, false, derSequence(derOid(oids.serverAuth))),
      extension(oids.subjectKeyIdentifier, false, derOctets(subjectKeyId)),
      extension(oids.authorityKeyIdentifier, false, derSequence(derImplicit(0, subjectKeyId))),
    ],
  });
  return { cert, key: pemOfKey(privateKey) };
};

/**
 * A server's certificate under a local authority, valid for `serverCertificateDays` and never longer than the authority.
 *
 * @param options.names host names and IP addresses, each within the authority's constraints (`authorityPermits`)
 * @source RFC 5280 §4.2.1.6, RFC 9525 §3
 */
export const issueServerCertificate = (options: {
  authority: CertificatePair;
  names: readonly string[];
  nowMs: number;
  random: Random;
}): CertificatePair => {
  const authority = new X509Certificate(options.authority.cert);
  const signKey = createPrivateKey(options.authority.key);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const names = [...new Set(options.names)].map((name) =>
    isIPv4(name) || isIPv6(name) ? derImplicit(7, ipOctets(name)) : derImplicit(2, ia5(asciiName(name))),
  );
  const cert = certificate({
    subject: distinguishedName('Fengni mail server'),
    issuer: subjectOf(authority.raw),
    subjectKey: privateKey,
    signKey,
    notBeforeMs: options.nowMs - hourMs,
    notAfterMs: Math.min(options.nowMs + serverCertificateDays * dayMs, authority.validToDate.getTime()),
    serial: serialNumber(options.random),
    extensions: [
      extension(oids.basicConstraints, true, derSequence()),
      // digitalSignature
      extension(oids.keyUsage, true, derBits(Uint8Array.of(0x80), 7)),
      extension(oids.extKeyUsage, false, derSequence(derOid(oids.serverAuth))),
      extension(oids.subjectAltName, false, derSequence(...names)),
      extension(oids.subjectKeyIdentifier, false, derOctets(keyIdentifier(privateKey))),
      extension(oids.authorityKeyIdentifier, false, derSequence(derImplicit(0, keyIdentifier(signKey)))),
    ],
  });
  return { cert, key: pemOfKey(privateKey) };
};

/** Whether a name or IP address lies within the permitted names of an authority made by `createLocalAuthority`. */
export const authorityPermits = (authorityCert: string, name: string): boolean => {
  const permitted = permittedNames(new X509Certificate(authorityCert).raw);
  if (isIPv4(name) || isIPv6(name)) {
    const octets = ipOctets(name);
    return permitted.some(
      ({ tag, content }) =>
        tag === 0x87 &&
        content.length === 2 * octets.length &&
        octets.every(
          (octet, at) => ((octet ^ (content[at] ?? 0)) & (content[at + octets.length] ?? 255)) === 0,
        ),
    );
  }
  const wanted = domainToASCII(name).toLowerCase();
  return permitted.some(({ tag, content }) => {
    const base = Buffer.from(content).toString('latin1');
    return tag === 0x82 && wanted !== '' && (wanted === base || wanted.endsWith(`.${base}`));
  });
};

/** The permitted names in a certificate; none where it has none or is not DER. */
const permittedNames = (raw: Uint8Array): DerValue[] => {
  const wanted = inner(derOid(oids.nameConstraints));
  const extensions = tbsValues(raw).find(({ tag }) => tag === 0xa3)?.content;
  for (const { content } of valuesIn(inner(extensions))) {
    const parts = valuesIn(content);
    if (parts[0] === undefined || !equalBytes(parts[0].content, wanted)) continue;
    const constraints = valuesIn(inner(parts.at(-1)?.content));
    const subtrees = valuesIn(constraints.find(({ tag }) => tag === 0xa0)?.content);
    return subtrees.flatMap(({ content }) => valuesIn(content).slice(0, 1));
  }
  return [];
};

const tbsValues = (raw: Uint8Array): DerValue[] => valuesIn(inner(inner(raw)));

const valuesIn = (octets: Uint8Array | undefined): DerValue[] =>
  octets === undefined ? [] : (derValues(octets) ?? []);

/** The content of the first value. */
const inner = (octets: Uint8Array | undefined): Uint8Array =>
  valuesIn(octets)[0]?.content ?? new Uint8Array(0);

/** The subject as it stands: an issuer must repeat it octet for octet. [0] version, serial, algorithm, issuer, validity, subject. */
const subjectOf = (raw: Uint8Array): Uint8Array => {
  const subject = tbsValues(raw)[5];
  if (subject === undefined) throw new TypeError('a certificate without a subject');
  return derSequence(subject.content);
};

const certificate = (parts: {
  subject: Uint8Array;
  issuer: Uint8Array;
  subjectKey: KeyObject;
  signKey: KeyObject;
  notBeforeMs: number;
  notAfterMs: number;
  serial: Uint8Array;
  extensions: Uint8Array[];
}): string => {
  const algorithm = derSequence(derOid(oids.ecdsaWithSha256));
  const tbs = derSequence(
    derContext(0, derInteger(Uint8Array.of(2))),
    derInteger(parts.serial),
    algorithm,
    parts.issuer,
    derSequence(derTime(parts.notBeforeMs), derTime(parts.notAfterMs)),
    parts.subject,
    publicKeyDer(parts.subjectKey),
    derContext(3, derSequence(...parts.extensions)),
  );
  const der = derSequence(tbs, algorithm, derBits(sign('sha256', tbs, parts.signKey)));
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
};

const distinguishedName = (commonName: string): Uint8Array =>
  derSequence(
    derSet(derSequence(derOid(oids.organization), derUtf8('Fengni'))),
    derSet(derSequence(derOid(oids.commonName), derUtf8(commonName))),
  );

const extension = (oid: string, critical: boolean, value: Uint8Array): Uint8Array =>
  critical ? derSequence(derOid(oid), derTrue, derOctets(value)) : derSequence(derOid(oid), derOctets(value));

const publicKeyDer = (key: KeyObject): Uint8Array =>
  createPublicKey(key).export({ type: 'spki', format: 'der' });

/** The leftmost 160 bits of SHA-256 over the public key's bit string. @source RFC 7093 §2 (1) */
const keyIdentifier = (key: KeyObject): Uint8Array => {
  const bits = valuesIn(inner(publicKeyDer(key)))[1];
  if (bits === undefined) throw new TypeError('a public key without bits');
  return hash('sha256', bits.content.subarray(1), 'buffer').subarray(0, 20);
};

/** 127 random bits; the first octet is never 0, so that the length is always the same. @source RFC 5280 §4.1.2.2 */
const serialNumber = (random: Random): Uint8Array => {
  const octets = Uint8Array.from(random(16));
  octets[0] = ((octets[0] ?? 0) & 0x3f) | 0x40;
  return octets;
};

const pemOfKey = (key: KeyObject): string => String(key.export({ type: 'pkcs8', format: 'pem' }));

const ia5 = (text: string): Uint8Array => Buffer.from(text, 'latin1');

const asciiName = (name: string): string => {
  const text = domainToASCII(name).toLowerCase();
  if (text === '') throw new TypeError(`not a domain name: ${name}`);
  return text;
};

const ipOctets = (address: string): Uint8Array => {
  if (isIPv4(address)) return Uint8Array.from(address.split('.').map(Number));
  // the URL parser's spelling has hexadecimal groups and at most one "::"
  const [before = '', after] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string | undefined): number[] =>
    text === undefined || text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const [left, right] = [groups(before), groups(after)];
  const all = [...left, ...new Array(8 - left.length - right.length).fill(0), ...right];
  return Uint8Array.from(all.flatMap((group: number) => [group >> 8, group & 255]));
};
