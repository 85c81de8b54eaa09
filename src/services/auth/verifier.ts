import { hash, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { FengniError } from '#base/errors';
import { bcryptMatches, parseBcrypt } from './bcrypt.ts';
import { parsePhc, passwordMatches } from './password.ts';
import { parseShaCrypt, shaCryptMatches } from './sha-crypt.ts';

/** A stored hash of a password, whoever made it. */
export interface StoredHash {
  /** names the work of one comparison: two with the same kind cost the same */
  readonly kind: string;
  /** @param password UTF-8 */
  matches(password: string): Promise<boolean>;
}

const pbkdf2RoundsMax = 2_000_000;
const saltBytesMax = 256;
const pbkdf2Async = promisify(pbkdf2);

/** Plain and salted digests as Dovecot, OpenLDAP and others write them: digest, then salt. */
const digests: Readonly<Record<string, { algorithm: string; bytes: number; salted: boolean }>> = {
  SHA: { algorithm: 'sha1', bytes: 20, salted: false },
  SSHA: { algorithm: 'sha1', bytes: 20, salted: true },
  SHA256: { algorithm: 'sha256', bytes: 32, salted: false },
  SSHA256: { algorithm: 'sha256', bytes: 32, salted: true },
  SHA512: { algorithm: 'sha512', bytes: 64, salted: false },
  SSHA512: { algorithm: 'sha512', bytes: 64, salted: true },
};

/** Reads a hash as it is stored; null where it is none that we can compare with. */
export const readHash = (text: string): StoredHash | null => {
  const phc = parsePhc(text);
  if (phc !== null) {
    const { memoryKiB, passes, lanes } = phc;
    return {
      kind: `${phc.algorithm} m=${memoryKiB},t=${passes},p=${lanes}`,
      matches: (password) => passwordMatches(password, text),
    };
  }
  const sha = parseShaCrypt(text);
  if (sha !== null)
    return {
      kind: `${sha.algorithm}-crypt ${sha.rounds}`,
      matches: (password) => shaCryptMatches(Buffer.from(password, 'utf8'), sha),
    };
  const bcrypt = parseBcrypt(text);
  if (bcrypt !== null)
    return {
      kind: `bcrypt ${bcrypt.cost}`,
      matches: (password) => bcryptMatches(Buffer.from(password, 'utf8'), bcrypt),
    };
  const [, scheme = '', data = ''] = /^\{([A-Z0-9]+)\}(.*)$/.exec(text) ?? [];
  return scheme === 'PBKDF2' ? readPbkdf2(data) : readDigest(scheme, data);
};

const readDigest = (scheme: string, data: string): StoredHash | null => {
  const known = Object.hasOwn(digests, scheme) ? digests[scheme] : undefined;
  if (known === undefined || !/^[A-Za-z0-9+/]+={0,2}$/.test(data)) return null;
  const octets = Buffer.from(data, 'base64');
  const salt = octets.subarray(known.bytes);
  if (octets.length < known.bytes || salt.length > (known.salted ? saltBytesMax : 0)) return null;
  const digest = octets.subarray(0, known.bytes);
  return {
    kind: known.algorithm,
    matches: async (password) =>
      timingSafeEqual(
        hash(known.algorithm, Buffer.concat([Buffer.from(password, 'utf8'), salt]), 'buffer'),
        digest,
      ),
  };
};

/** Dovecot's form: `$1$salt$rounds$hex` with HMAC-SHA-1, the salt as text. */
const readPbkdf2 = (data: string): StoredHash | null => {
  const match = /^\$1\$([^$]{1,64})\$(\d{1,7})\$((?:[0-9a-f]{2}){20})$/.exec(data);
  const rounds = Number(match?.[2]);
  if (match === null || rounds < 1 || rounds > pbkdf2RoundsMax) return null;
  const expected = Buffer.from(match[3] ?? '', 'hex');
  return {
    kind: `pbkdf2 ${rounds}`,
    matches: async (password) =>
      timingSafeEqual(await pbkdf2Async(password, match[1] ?? '', rounds, expected.length, 'sha1'), expected),
  };
};

export type ImportedVerifier =
  | { readonly kind: 'taken'; readonly verifier: string }
  | { readonly kind: 'refused'; readonly reason: string };

/** Hashes that are told by name, so that nobody searches for what is wrong with their line. */
const notTaken: readonly (readonly [RegExp, string])[] = [
  [/^\$y\$/, 'yescrypt is not known here'],
  [/^\$7\$/, 'scrypt is not known here'],
  [/^\$gy\$/, 'gost-yescrypt is not known here'],
  [/^\$1\$|^\$apr1\$/, 'MD5-crypt is guessed too fast to be kept'],
  [/^\$2x\$/, '$2x$ marks hashes of a broken bcrypt'],
  [/^\$3\$/, 'NT hashes are guessed too fast to be kept'],
  [/^\$sha1\$/, 'SHA1-crypt is not known here'],
  [/^\$scrypt\$/, 'scrypt is not known here'],
  [/^[./A-Za-z0-9]{13}$/, 'the old DES crypt is guessed too fast to be kept'],
];

const cryptNames = new Set(['CRYPT', 'SHA256-CRYPT', 'SHA512-CRYPT', 'BLF-CRYPT', 'ARGON2ID', 'ARGON2I']);
const plainNames = new Set(['PLAIN', 'CLEAR', 'CLEARTEXT', 'PLAIN-TRUNC']);

/**
 * A hash as another server keeps it, `{SCHEME}data` or `$…`, in the form that is stored here.
 *
 * @source Dovecot, “Password schemes”; crypt(5)
 */
export const importVerifier = (line: string): ImportedVerifier => {
  const refused = (reason: string): ImportedVerifier => ({ kind: 'refused', reason });
  const match = /^\{([A-Za-z0-9-]+)(?:\.(b64|base64|hex))?\}(.*)$/i.exec(line);
  const scheme = match?.[1]?.toUpperCase() ?? 'CRYPT';
  const encoding = match?.[2]?.toLowerCase() ?? null;
  const data = match?.[3] ?? line;
  if (plainNames.has(scheme)) return refused('a password in clear is no hash: give it by --password-stdin');
  let text: string;
  if (cryptNames.has(scheme)) {
    text = encoding === null ? data : decoded(data, encoding).toString('latin1');
    const known = notTaken.find(([pattern]) => pattern.test(text));
    if (known !== undefined) return refused(known[1]);
  } else if (scheme === 'PBKDF2') {
    text = `{PBKDF2}${data}`;
  } else if (Object.hasOwn(digests, scheme)) {
    const { bytes = 0, salted = true } = digests[scheme] ?? {};
    // a bare digest in hex is longer than in base64: no text can be both
    const isBareHex = encoding === null && !salted && data.length === 2 * bytes && /^[0-9a-f]+$/i.test(data);
    const isHex = encoding === 'hex' || isBareHex;
    const isWritten = isHex ? /^(?:[0-9a-f]{2})+$/i.test(data) : /^[A-Za-z0-9+/]+={0,2}$/.test(data);
    text = isWritten ? `{${scheme}}${decoded(data, isHex ? 'hex' : 'base64').toString('base64')}` : '';
  } else {
    return refused(`{${scheme}} is not known here`);
  }
  if (readHash(text) !== null) return { kind: 'taken', verifier: text };
  return refused(
    text.startsWith('$') || cryptNames.has(scheme)
      ? 'it is no hash of crypt(5) that is known here, or asks for too much work'
      : `it is no {${scheme}}, or asks for too much work`,
  );
};

const decoded = (data: string, encoding: string): Buffer =>
  Buffer.from(data, encoding === 'hex' ? 'hex' : 'base64');

/** @throws {FengniError} `verifier-damaged` */
export const storedHash = (text: string): StoredHash => {
  const verifier = readHash(text);
  if (verifier !== null) return verifier;
  throw new FengniError('verifier-damaged', {
    subject: 'a stored password verifier',
    remedy: 'set the password anew',
  });
};

/** The same, or an error that says why not. @throws {FengniError} `password-hash-refused` */
export const requireVerifier = (line: string): string => {
  const imported = importVerifier(line);
  if (imported.kind === 'taken') return imported.verifier;
  throw new FengniError('password-hash-refused', {
    subject: imported.reason,
    remedy: 'give the password itself by --password-stdin, or have the owner choose a new one',
    exitStatus: 2,
  });
};
