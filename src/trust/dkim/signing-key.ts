import { constants, hash, verify } from 'node:crypto';
import { fromLatin1 } from '#base/bytes';
import type { Dns } from '#trust/dns';
import {
  type KeyRecord,
  keyMismatch,
  type ParsedKeyRecord,
  parseKeyRecord,
  rsaBitsMin,
} from './key-record.ts';
import type { SignatureAlgorithm } from './signature.ts';

/** A key record that was used, as it came from DNS: what repeats the check when the record is gone. */
export interface KeyEvidence {
  /** `selector._domainkey.example.org` */
  readonly name: string;
  readonly record: Uint8Array;
  /** DNSSEC vouches for it */
  readonly authenticated: boolean;
}

export type FoundKey =
  | { readonly kind: 'key'; readonly record: KeyRecord; readonly evidence: KeyEvidence }
  | {
      readonly kind: 'problem';
      readonly result: 'permerror' | 'temperror' | 'policy';
      readonly why: string;
      readonly evidence: KeyEvidence | null;
    };

/** Records of one name that are looked at. */
const recordsMax = 10;

/**
 * Looks keys up, each name once a message.
 *
 * @source RFC 6376 §6.1.2
 */
export class KeyLookup {
  readonly #dns: Dns;
  readonly #found = new Map<string, Promise<FoundKey>>();

  constructor(dns: Dns) {
    this.#dns = dns;
  }

  find(selector: string, domain: string): Promise<FoundKey> {
    const name = `${selector}._domainkey.${domain}`;
    let found = this.#found.get(name);
    if (found === undefined) {
      found = this.#ask(name);
      // Whoever waits for it is told; nobody may.
      found.catch(() => {});
      this.#found.set(name, found);
    }
    return found;
  }

  async #ask(name: string): Promise<FoundKey> {
    if (name.length > 253) return problem('permerror', 'the name of the key is longer than names may be');
    const answer = await this.#dns.txt(name);
    if (answer.kind === 'unavailable')
      return problem('temperror', `the key could not be looked up: ${answer.why}`);
    if (answer.kind === 'none') return problem('permerror', 'there is no key record');
    // RFC 6376 §3.6.2.2: several records are undefined. Others' TXT records under a wildcard are passed over.
    const parsed = answer.records
      .slice(0, recordsMax)
      .map((record) => ({ record, parsed: parseKeyRecord(record) }));
    const keys = parsed.filter((each) => each.parsed.kind === 'key');
    const chosen = keys[0] ?? parsed.find((each) => !isForeign(each.parsed)) ?? parsed[0];
    if (chosen === undefined) return problem('permerror', 'there is no key record');
    const evidence = { name, record: chosen.record, authenticated: answer.authenticated };
    if (keys.length > 1 || answer.records.length > recordsMax)
      return problem('permerror', 'there are several key records', evidence);
    if (chosen.parsed.kind === 'problem')
      return problem(chosen.parsed.problem === 'size' ? 'policy' : 'permerror', chosen.parsed.why, evidence);
    return { kind: 'key', record: chosen.parsed.record, evidence };
  }
}

const isForeign = (parsed: ParsedKeyRecord): boolean =>
  parsed.kind === 'problem' && parsed.problem === 'syntax';

const problem = (
  result: 'permerror' | 'temperror' | 'policy',
  why: string,
  evidence: KeyEvidence | null = null,
): FoundKey => ({ kind: 'problem', result, why, evidence });

export interface SignatureVerdict {
  readonly result: 'pass' | 'fail' | 'policy' | 'permerror';
  /** null with `pass` */
  readonly why: string | null;
}

/**
 * Checks a signature over a text of octets, away from the event loop.
 *
 * @param signed an octet a character
 * @source RFC 6376 §6.1.3, RFC 8301 §3, RFC 8463 §3
 */
export const checkSignature = async (
  record: KeyRecord,
  algorithm: SignatureAlgorithm,
  signature: Uint8Array,
  signed: string,
): Promise<SignatureVerdict> => {
  const mismatch = keyMismatch(record, algorithm);
  if (mismatch !== null) return { result: 'permerror', why: mismatch };
  const octets = fromLatin1(signed);
  const holds = await (algorithm === 'ed25519-sha256'
    ? verifyAsync(null, hash('sha256', octets, 'buffer'), record, signature)
    : verifyAsync(algorithm === 'rsa-sha1' ? 'sha1' : 'sha256', octets, record, signature));
  if (!holds)
    return { result: 'fail', why: 'the signature does not fit the header: one of them was altered' };
  if (algorithm === 'rsa-sha1')
    return { result: 'policy', why: 'the signature holds, but rsa-sha1 proves nothing any more (RFC 8301)' };
  if (record.type === 'rsa' && record.key.bits < rsaBitsMin)
    return {
      result: 'policy',
      why: `the signature holds, but an RSA key of ${record.key.bits} bits proves nothing (RFC 8301)`,
    };
  return { result: 'pass', why: null };
};

const verifyAsync = (
  algorithm: string | null,
  data: Uint8Array,
  record: KeyRecord,
  signature: Uint8Array,
): Promise<boolean> =>
  new Promise((resolve) => {
    const key =
      record.type === 'rsa'
        ? { key: record.key.object, padding: constants.RSA_PKCS1_PADDING }
        : { key: record.key.object };
    try {
      // Whatever the library cannot compute with is no good signature.
      verify(algorithm, data, key, signature, (error, holds) => resolve(error === null && holds));
    } catch {
      resolve(false);
    }
  });
