import { createPublicKey, type KeyObject } from 'node:crypto';
import { latin1 } from '#base/bytes';
import { type RsaNumbers, readRsaKey } from './rsa-key.ts';
import type { SignatureAlgorithm } from './signature.ts';
import { parseTagList, shown, tagBase64, withoutBlanks } from './tag-list.ts';

/** A key as its record says it. */
export interface KeyRecord {
  readonly type: 'rsa' | 'ed25519';
  /** hash algorithms it may be used with, lower case; null: any */
  readonly hashes: readonly string[] | null;
  /** the domain is testing (`t=y`) */
  readonly isTesting: boolean;
  /** `i=` must be `d=` itself (`t=s`) */
  readonly isStrict: boolean;
  readonly key: PublicKey;
}

export interface PublicKey {
  readonly bits: number;
  readonly object: KeyObject;
}

/** Why a record cannot be used. Every one of them is permanent. @source RFC 6376 §6.1.2 */
export type KeyRecordProblem =
  | 'syntax'
  | 'version'
  | 'service'
  | 'key-type'
  | 'revoked'
  | 'key'
  /** too weak or too big to be believed */
  | 'size';

export type ParsedKeyRecord =
  | { readonly kind: 'key'; readonly record: KeyRecord }
  | { readonly kind: 'problem'; readonly problem: KeyRecordProblem; readonly why: string };

/** octets of a record; 8192 bits of RSA need 1,400 */
export const keyRecordOctetsMax = 16_384;

/**
 * Reads a key record strictly. Tags that are not known, `n=` and the `g=` of RFC 4871 are ignored.
 *
 * @source RFC 6376 §3.6.1, §6.1.2; RFC 8301 §3.2; RFC 8463 §4
 */
export const parseKeyRecord = (octets: Uint8Array): ParsedKeyRecord => {
  if (octets.length > keyRecordOctetsMax)
    return problem('syntax', `the key record has more than ${keyRecordOctetsMax} octets`);
  const text = latin1(octets);
  const known = readRecords.get(text);
  if (known !== undefined) return known;
  const parsed = parse(text);
  if (text.length <= keptRecordOctetsMax) {
    if (readRecords.size >= keptRecordsMax) readRecords.delete(readRecords.keys().next().value ?? '');
    readRecords.set(text, parsed);
  }
  return parsed;
};

// The same few senders bring most mail, and a key object costs more than all the rest of a record.
const readRecords = new Map<string, ParsedKeyRecord>();
const keptRecordsMax = 500;
const keptRecordOctetsMax = 2_048;

const parse = (text: string): ParsedKeyRecord => {
  const list = parseTagList(text);
  if (list.kind === 'broken') return problem('syntax', `the key record is broken: ${list.why}`);
  const tag = (name: string): string | null => list.tags.get(name)?.value ?? null;

  const version = tag('v');
  if (version !== null && version !== 'DKIM1')
    return problem('version', `the key record has the version ${shown(version)}`);
  if (version !== null && list.first !== 'v')
    return problem('syntax', 'the key record is broken: v= is not its first tag');

  const services = words(tag('s'));
  if (services !== null && !services.includes('*') && !services.includes('email'))
    return problem('service', `the key is for ${shown(services.join(', '))}, not for mail`);

  const type = (tag('k') ?? 'rsa').toLowerCase();
  if (type !== 'rsa' && type !== 'ed25519')
    return problem('key-type', `the key type ${shown(type)} is unknown`);

  const data = tag('p');
  if (data === null) return problem('syntax', 'the key record is broken: p= is missing');
  if (data === '') return problem('revoked', 'the key has been revoked');
  const keyOctets = tagBase64(data);
  if (keyOctets === null || keyOctets.length === 0) return problem('key', 'the key is no base 64');
  const key = type === 'rsa' ? rsaKey(keyOctets) : ed25519Key(keyOctets);
  if ('problem' in key) return key;

  const flags = words(tag('t')) ?? [];
  return {
    kind: 'key',
    record: {
      type,
      hashes: words(tag('h')),
      isTesting: flags.includes('y'),
      isStrict: flags.includes('s'),
      key,
    },
  };
};

/** Why a key may not check a signature of this algorithm, or null. */
export const keyMismatch = (record: KeyRecord, algorithm: SignatureAlgorithm): string | null => {
  const [type, hash] = algorithm.split('-');
  if (record.type !== type) return `the key is for ${record.type}, the signature is ${algorithm}`;
  if (record.hashes !== null && !record.hashes.includes(hash ?? ''))
    return `the key is not for the hash ${hash}`;
  return null;
};

type KeyOrProblem = PublicKey | (ParsedKeyRecord & { kind: 'problem' });

/** bits of a modulus that are worth checking at all; from `rsaBitsMin` on a signature counts */
const rsaBitsFloor = 512;
/** RFC 8301 §3.2 */
export const rsaBitsMin = 1_024;
/** RFC 8301 §3.2 asks for 4096 */
const rsaBitsMax = 8_192;

const rsaKey = (octets: Uint8Array): KeyOrProblem => {
  const numbers = readRsaKey(octets);
  if (numbers === null) return problem('key', 'the key is no RSA key');
  const { modulusBits, exponent } = numbers;
  if (modulusBits < rsaBitsFloor)
    return problem('size', `an RSA key of ${modulusBits} bits proves nothing (RFC 8301)`);
  if (modulusBits > rsaBitsMax)
    return problem(
      'size',
      `an RSA key of ${modulusBits} bits is more than the ${rsaBitsMax} that are checked`,
    );
  if (exponent === null || exponent < 3 || exponent % 2 === 0 || !isOdd(numbers))
    return problem('key', 'the RSA key has an absurd exponent or modulus');
  return publicKey(modulusBits, {
    kty: 'RSA',
    n: Buffer.from(numbers.modulus).toString('base64url'),
    e: Buffer.from(numbers.exponentOctets).toString('base64url'),
  });
};

const isOdd = ({ modulus }: RsaNumbers): boolean => ((modulus[modulus.length - 1] ?? 0) & 1) === 1;

const ed25519Key = (octets: Uint8Array): KeyOrProblem =>
  octets.length === 32
    ? publicKey(256, { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(octets).toString('base64url') })
    : problem('key', `an Ed25519 key has 32 octets, this one ${octets.length}`);

const publicKey = (bits: number, jwk: Record<string, string>): KeyOrProblem => {
  try {
    return { bits, object: createPublicKey({ key: jwk, format: 'jwk' }) };
  } catch {
    return problem('key', 'the key cannot be used');
  }
};

/** Words of a list with colons, lower case. */
const words = (value: string | null): string[] | null =>
  value === null ? null : withoutBlanks(value).toLowerCase().split(':');

const problem = (of: KeyRecordProblem, why: string): ParsedKeyRecord & { kind: 'problem' } => ({
  kind: 'problem',
  problem: of,
  why,
});
