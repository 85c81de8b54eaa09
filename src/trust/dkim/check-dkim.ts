import { equalBytes } from '#base/bytes';
import type { Dns } from '#trust/dns';
import type { BodyHash, BodyHashes } from './body-hash.ts';
import { canonicalField, FieldSelector } from './canonical-header.ts';
import { type ParsedSignature, parseSignature, type Signature } from './signature.ts';
import type { SignedHeader } from './signed-header.ts';
import { checkSignature, type FoundKey, type KeyEvidence, KeyLookup } from './signing-key.ts';

/** The words of RFC 8601 §2.7.1 that are used here. */
export type DkimWord = 'pass' | 'fail' | 'policy' | 'permerror' | 'temperror';

/** What one signature is worth. Only `pass` counts for anything. */
export interface DkimResult {
  readonly result: DkimWord;
  /** why it is not `pass`, in English, for the sender's administrator; null with `pass` */
  readonly reason: string | null;
  /** `d=` in A-labels; empty where it could not be read */
  readonly domain: string;
  /** `s=` */
  readonly selector: string;
  /** `i=` decoded, or null where the field is broken */
  readonly identity: string | null;
  /** as written, lower case; for people unless the result is `pass` */
  readonly algorithm: string;
  /** of the key, where one was found */
  readonly keyBits: number | null;
  /** the first characters of `b=`, which tell signatures apart (RFC 6008) */
  readonly signaturePrefix: string;
  /** the domain says that it is only testing (`t=y`) */
  readonly isTesting: boolean;
  /** seconds since 1970 (`t=`, `x=`) */
  readonly signedAt: number | null;
  readonly expiresAt: number | null;
  /** the key record that was used, also where it could not be used */
  readonly key: KeyEvidence | null;
}

export interface DkimOutcome {
  /** in the order of the fields, at most `signaturesMax` */
  readonly results: readonly DkimResult[];
  /** signatures beyond them, which were not looked at */
  readonly uncheckedCount: number;
}

export interface DkimOptions {
  readonly dns: Dns;
  /** milliseconds since 1970 */
  readonly nowMs: number;
}

/** signatures of a message that are checked, from the top */
export const signaturesMax = 16;
/** how far a signer's clock may be ahead of ours */
const clockSkewSeconds = 86_400;

/**
 * Begins to check the DKIM signatures of a message: asks for its body's hashes and looks keys up at once.
 *
 * A key that is being tested (`t=y`) counts as any other and is marked. Departs from RFC 6376 §3.6.1, which wants such
 * mail treated as unsigned: domains leave the flag for years, and only they can sign with the key.
 *
 * @returns what gives the results; call it when the body is over. Never rejects
 * @source RFC 6376 §6, RFC 8301, RFC 8463
 */
export const beginDkim = (
  header: SignedHeader,
  body: BodyHashes,
  options: DkimOptions,
): (() => Promise<DkimOutcome>) => {
  const keys = new KeyLookup(options.dns);
  const indexes: number[] = [];
  let count = 0;
  for (const [index, { name }] of header.fields.entries())
    if (name === 'dkim-signature' && ++count <= signaturesMax) indexes.push(index);
  const selector = indexes.length === 0 ? null : new FieldSelector(header.fields);
  const begun = indexes.map((index): Begun => {
    const raw = header.fields[index]?.raw ?? '';
    const parsed = parseSignature(raw, 'dkim');
    if (parsed.kind === 'broken') return { index, parsed, bodyHash: null, key: null };
    const { signature } = parsed;
    const hash = signature.algorithm === 'rsa-sha1' ? 'sha1' : 'sha256';
    return {
      index,
      parsed,
      bodyHash: body.want(signature.body, hash, signature.length),
      key: keys.find(signature.selector, signature.domain),
    };
  });
  return async () => {
    const results: DkimResult[] = [];
    // One after the other: what is hashed of the header is in memory once.
    for (const each of begun) results.push(await finish(each, selector, options.nowMs));
    return { results, uncheckedCount: Math.max(0, count - signaturesMax) };
  };
};

interface Begun {
  readonly index: number;
  readonly parsed: ParsedSignature;
  readonly bodyHash: (() => BodyHash | null) | null;
  readonly key: Promise<FoundKey> | null;
}

const finish = async (begun: Begun, selector: FieldSelector | null, nowMs: number): Promise<DkimResult> => {
  const { parsed, key, bodyHash, index } = begun;
  if (parsed.kind === 'broken' || key === null || bodyHash === null || selector === null) {
    const claims = parsed.kind === 'broken' ? parsed.claims : { ...noClaims };
    return {
      ...unknown,
      ...claims,
      result: 'permerror',
      reason: `the signature field is broken: ${parsed.kind === 'broken' ? parsed.why : ''}`,
    };
  }
  const { signature } = parsed;
  const found = await key;
  const facts = {
    domain: signature.domain,
    selector: signature.selector,
    identity: signature.identity,
    algorithm: signature.algorithm,
    keyBits: found.kind === 'key' ? found.record.key.bits : null,
    signaturePrefix: Buffer.from(signature.signature.subarray(0, 6)).toString('base64'),
    isTesting: found.kind === 'key' && found.record.isTesting,
    signedAt: signature.signedAt,
    expiresAt: signature.expiresAt,
    key: found.evidence,
  };
  const because = (result: DkimWord, reason: string | null): DkimResult => ({ ...facts, result, reason });
  if (found.kind === 'problem') return because(found.result, found.why);
  if (found.record.isStrict && signature.identityIsBelow)
    return because('permerror', 'the key is for d= alone (t=s), but i= is below it');
  const checked = checkBody(signature, bodyHash());
  if (checked?.result === 'fail') return because('fail', checked.why);
  const signed =
    selector.select(signature.signedFields, signature.header, index) +
    canonicalField(signature.rawWithoutSignature, signature.header);
  const { result, why } = await checkSignature(
    found.record,
    signature.algorithm,
    signature.signature,
    signed,
  );
  if (result !== 'pass') return because(result, why);
  if (checked !== null) return because(checked.result, checked.why);
  const now = Math.floor(nowMs / 1000);
  if (signature.expiresAt !== null && signature.expiresAt < now)
    return because('policy', 'the signature has expired');
  if (signature.signedAt !== null && signature.signedAt > now + clockSkewSeconds)
    return because('policy', 'the signature was made in the future');
  return because('pass', null);
};

/** What the body's hash says; null: it is right, and of the whole body. */
export const checkBody = (
  signature: Signature,
  body: BodyHash | null,
): { result: 'fail' | 'policy'; why: string } | null => {
  if (body === null) return { result: 'fail', why: 'the message is not complete' };
  const { length } = signature;
  if (length !== null && length > body.bodyOctets)
    return { result: 'fail', why: `l= signs ${length} octets, the body has ${body.bodyOctets}` };
  if (!equalBytes(body.digest, signature.bodyHash))
    return { result: 'fail', why: 'the body was altered: it does not have the hash of bh=' };
  if (body.hashedOctets < body.bodyOctets)
    return {
      result: 'policy',
      why: `the signature holds, but l= leaves ${body.bodyOctets - body.hashedOctets} octets of the body unsigned`,
    };
  return null;
};

const noClaims = { domain: '', selector: '', algorithm: '', signaturePrefix: '' };

const unknown = {
  identity: null,
  keyBits: null,
  isTesting: false,
  signedAt: null,
  expiresAt: null,
  key: null,
};
