import { latin1, utf8 } from '#base/bytes';
import { toAscii } from '#base/idna';
import type { Canonicalization } from './canonical-header.ts';
import { parseTagList, shown, type TagList, tagBase64, withoutBlanks } from './tag-list.ts';

export type SignatureAlgorithm = 'rsa-sha256' | 'rsa-sha1' | 'ed25519-sha256';

/** What the fields DKIM-Signature and ARC-Message-Signature say. */
export interface Signature {
  readonly algorithm: SignatureAlgorithm;
  /** in A-labels, lower case */
  readonly domain: string;
  /** in A-labels, as written otherwise */
  readonly selector: string;
  readonly signature: Uint8Array;
  readonly bodyHash: Uint8Array;
  readonly header: Canonicalization;
  readonly body: Canonicalization;
  /** names in `h=`, lower case, in their order */
  readonly signedFields: readonly string[];
  /** octets of the body that are signed (`l=`), or null: all */
  readonly length: number | null;
  /** `i=` decoded, or `@` and the domain */
  readonly identity: string;
  /** the domain of `i=` is not `d=` itself but below it */
  readonly identityIsBelow: boolean;
  /** seconds since 1970 */
  readonly signedAt: number | null;
  readonly expiresAt: number | null;
  /** the field with an empty `b=`, as it is signed in simple form */
  readonly rawWithoutSignature: string;
}

export type ParsedSignature =
  | { readonly kind: 'signature'; readonly signature: Signature }
  | { readonly kind: 'broken'; readonly why: string; readonly claims: SignatureClaims };

/** What a field names, whether or not the rest of it can be used; for people. */
export interface SignatureClaims {
  /** in A-labels, or empty */
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: string;
  /** the first octets of `b=`, in base 64 (RFC 6008) */
  readonly signaturePrefix: string;
}

/** names in `h=` */
export const signedFieldsMax = 1_000;
/** a signature in octets: RSA with 8192 bits */
const signatureOctetsMax = 1_024;

/**
 * Reads a signature field.
 *
 * @param raw the whole field, an octet a character
 * @param kind ARC-Message-Signature has no `v=`, and `i=` is the instance
 * @source RFC 6376 §3.5, §6.1.1; RFC 8463 §3; RFC 8616 §4; RFC 8617 §4.1.2
 */
export const parseSignature = (raw: string, kind: 'dkim' | 'arc'): ParsedSignature => {
  const valueStart = raw.indexOf(':') + 1;
  const list = parseTagList(raw.slice(valueStart));
  const claims = signatureClaims(list);
  const broken = (why: string): ParsedSignature => ({ kind: 'broken', why, claims });
  if (list.kind === 'broken') return broken(list.why);
  const tag = (name: string): string | null => list.tags.get(name)?.value ?? null;

  if (kind === 'dkim') {
    const version = tag('v');
    if (version === null) return broken('the tag v= is missing');
    if (version !== '1') return broken(`version ${shown(version)} is unknown`);
  }
  const needed = kind === 'dkim' ? ['a', 'b', 'bh', 'd', 'h', 's'] : ['a', 'b', 'bh', 'd', 'h', 's', 'i'];
  for (const name of needed) if (!list.tags.has(name)) return broken(`the tag ${name}= is missing`);

  const algorithm = parseAlgorithm(tag('a') ?? '');
  if (algorithm === null) return broken(`the algorithm ${shown(tag('a') ?? '')} is unknown`);
  const signature = tagBase64(tag('b') ?? '');
  if (signature === null || signature.length === 0) return broken('b= is no base 64');
  if (signature.length > signatureOctetsMax)
    return broken(`a signature of ${signature.length} octets is longer than any key here`);
  const bodyHash = tagBase64(tag('bh') ?? '');
  if (bodyHash === null) return broken('bh= is no base 64');
  if (bodyHash.length !== (algorithm === 'rsa-sha1' ? 20 : 32))
    return broken('bh= is not as long as its hash');

  // Where ARC has no c=, its signers mean relaxed, as for seals; RFC 8617 does not say it.
  const [header, body] = parseCanonicalization(tag('c') ?? (kind === 'arc' ? 'relaxed/relaxed' : 'simple'));
  if (header === null || body === null)
    return broken(`the canonicalization ${shown(tag('c') ?? '')} is unknown`);

  if (claims.domain === '') return broken('d= is no domain name');
  if (claims.selector === '') return broken('s= is no selector');

  const signedFields = (tag('h') ?? '').split(':', signedFieldsMax + 1).map((name) => withoutBlanks(name));
  if (signedFields.length > signedFieldsMax) return broken(`h= has more than ${signedFieldsMax} names`);
  // An empty name is against the grammar, and names nothing.
  if (!signedFields.every((name) => name === '' || fieldName.test(name)))
    return broken('h= is no list of field names');
  const names = signedFields.filter((name) => name !== '').map((name) => name.toLowerCase());
  if (!names.includes('from')) return broken('h= does not sign From');
  if (kind === 'arc' && names.includes('arc-seal')) return broken('h= signs ARC-Seal');

  const query = tag('q');
  if (query !== null && !query.split(':').some((method) => withoutBlanks(method).toLowerCase() === 'dns/txt'))
    return broken('q= has no method that is known');

  let identity = `@${claims.domain}`;
  let identityIsBelow = false;
  if (kind === 'dkim') {
    const given = tag('i');
    if (given !== null) {
      const parsed = parseIdentity(given, claims.domain);
      if (parsed === null) return broken('i= is not within d=');
      ({ identity, isBelow: identityIsBelow } = parsed);
    }
  }

  const length = parseNumber(tag('l'), 76);
  const signedAt = parseNumber(tag('t'), 12);
  const expiresAt = parseNumber(tag('x'), 12);
  if (length === 'broken') return broken('l= is no number');
  if (signedAt === 'broken') return broken('t= is no time');
  if (expiresAt === 'broken') return broken('x= is no time');
  if (signedAt !== null && expiresAt !== null && expiresAt < signedAt) return broken('x= is before t=');

  return {
    kind: 'signature',
    signature: {
      algorithm,
      domain: claims.domain,
      selector: claims.selector,
      signature,
      bodyHash,
      header,
      body,
      signedFields: names,
      length,
      identity,
      identityIsBelow,
      signedAt,
      expiresAt,
      rawWithoutSignature: withoutSignatureValue(raw, valueStart, list),
    },
  };
};

export const parseAlgorithm = (text: string): SignatureAlgorithm | null => {
  const name = text.toLowerCase();
  return name === 'rsa-sha256' || name === 'rsa-sha1' || name === 'ed25519-sha256' ? name : null;
};

/** The field as it signs itself: the value of `b=` and the blanks around it are left out. @source RFC 6376 §3.5 (`b=`) */
export const withoutSignatureValue = (raw: string, valueStart: number, list: TagList): string => {
  const tag = list.kind === 'tags' ? list.tags.get('b') : undefined;
  return tag === undefined ? raw : raw.slice(0, valueStart + tag.start) + raw.slice(valueStart + tag.end);
};

/** What a field claims, as far as it can be read. */
export const signatureClaims = (list: TagList): SignatureClaims => {
  const tag = (name: string): string => (list.kind === 'tags' ? list.tags.get(name)?.value : undefined) ?? '';
  return {
    domain: domainOf(tag('d')) ?? '',
    selector: selectorOf(tag('s')) ?? '',
    algorithm: shown(tag('a').toLowerCase()),
    signaturePrefix: withoutBlanks(tag('b').slice(0, 200))
      .replace(/[^A-Za-z0-9+/]/g, '')
      .slice(0, 8),
  };
};

/** A tag's domain in A-labels, or null. */
export const domainOf = (value: string): string | null => {
  const text = eaiText(value);
  // An underscore is in no host name, but DNS has such names, and people sign for them.
  if (text === null || text.length > 1000) return null;
  return /^[\x21-\x7e]+$/.test(text) && text.includes('_') ? underscoreName(text) : toAscii(text);
};

/** As a domain: labels that DNS can hold. @source RFC 6376 §3.1, RFC 8616 §4 */
export const selectorOf = (value: string): string | null => domainOf(value);

const underscoreName = (text: string): string | null =>
  text.length <= 253 &&
  text.split('.').every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label))
    ? text.toLowerCase()
    : null;

/** UTF-8 in a tag as text, or null. */
const eaiText = (value: string): string | null => {
  if (/^[\0-\x7f]*$/.test(value)) return value;
  try {
    return strictUtf8.decode(Buffer.from(value, 'latin1'));
  } catch {
    return null;
  }
};

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });
const fieldName = /^[\x21-\x39\x3b-\x7e]{1,200}$/;

const parseCanonicalization = (value: string): [Canonicalization | null, Canonicalization | null] => {
  const [header, body = 'simple', more] = withoutBlanks(value).toLowerCase().split('/', 3);
  const known = (name: string | undefined): Canonicalization | null =>
    more === undefined && (name === 'simple' || name === 'relaxed') ? name : null;
  return [known(header), known(body)];
};

/** `i=`: its domain is `d=` or below it, and nothing else. @source RFC 6376 §3.5 (`i=`), §2.11 */
const parseIdentity = (value: string, domain: string): { identity: string; isBelow: boolean } | null => {
  if (value.length > 3_000) return null;
  const decoded = withoutBlanks(value).replace(/=([0-9A-F]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  const at = decoded.lastIndexOf('@');
  if (at < 0) return null;
  const below = domainOf(decoded.slice(at + 1));
  if (below === null || (below !== domain && !below.endsWith(`.${domain}`))) return null;
  const local = eaiText(decoded.slice(0, at)) ?? latin1(utf8(decoded.slice(0, at)));
  return { identity: `${local}@${below}`, isBelow: below !== domain };
};

const parseNumber = (value: string | null, digitsMax: number): number | null | 'broken' => {
  if (value === null) return null;
  if (value.length > digitsMax || !/^[0-9]+$/.test(value)) return 'broken';
  // Beyond what any body has; the number stays comparable.
  return Math.min(Number(value), Number.MAX_SAFE_INTEGER);
};
