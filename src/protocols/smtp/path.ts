import { toAscii } from '#base/idna';
import { isAddressLiteral } from './address-literal.ts';

/** A path of MAIL or RCPT: the mailbox as it was written, without angle brackets and source route; empty for `<>`. */
export interface Path {
  readonly address: string;
  /** whether it has characters beyond ASCII, which only SMTPUTF8 allows */
  readonly international: boolean;
  /** where the character after `>` stands */
  readonly next: number;
}

/**
 * Octets of an address that we take. RFC 5321 §4.5.3.1 asks for at least 64 + 1 + 255; VERP and SRS go beyond 64
 * in the local part.
 */
export const addressBytesMax = 1000;
const domainBytesMax = 255;

const atoms =
  /[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u{a0}-\u{10ffff}]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u{a0}-\u{10ffff}]+)*/uy;
const quoted = /"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u{a0}-\u{10ffff}]|\\[\x20-\x7e])*"/uy;
const literal = /\[[^[\]\\\s]*\]/y;
const dotted = /[A-Za-z0-9_.\-\u{a0}-\u{10ffff}]+/uy;

/**
 * Reads a path: `<mailbox>`, `<@relay,@relay:mailbox>` (the route is dropped), `<>`.
 *
 * `<Postmaster>` without a domain is read as well; whether it may stand there is the caller's matter.
 *
 * @param at index of the `<`
 * @returns null when it is not a path
 * @source RFC 5321 §4.1.2, RFC 6531 §3.3
 */
export const readPath = (text: string, at: number): Path | null => {
  if (text[at] !== '<') return null;
  let next = at + 1;
  if (text[next] === '>') return { address: '', international: false, next: next + 1 };
  const afterRoute = skipSourceRoute(text, next);
  if (afterRoute === null) return null;
  next = afterRoute;
  const start = next;
  const afterLocal = match(text[next] === '"' ? quoted : atoms, text, next);
  if (afterLocal === null) return null;
  next = afterLocal;
  if (text[next] === '@') {
    const afterDomain = readDomain(text, next + 1);
    if (afterDomain === null) return null;
    next = afterDomain;
  } else if (start !== at + 1 || text.slice(start, next).toLowerCase() !== 'postmaster') {
    return null;
  }
  if (text[next] !== '>') return null;
  const address = text.slice(start, next);
  const sizeBytes = Buffer.byteLength(address);
  if (sizeBytes > addressBytesMax) return null;
  return { address, international: sizeBytes !== address.length, next: next + 1 };
};

/** RFC 5321 appendix C: source routes are read and ignored. */
const skipSourceRoute = (text: string, at: number): number | null => {
  if (text[at] !== '@') return at;
  let next = at;
  for (;;) {
    if (text[next] !== '@') return null;
    const afterDomain = readDomain(text, next + 1);
    if (afterDomain === null) return null;
    next = afterDomain + 1;
    if (text[afterDomain] === ':') return next;
    if (text[afterDomain] !== ',') return null;
  }
};

const readDomain = (text: string, at: number): number | null => {
  if (text[at] === '[') {
    const end = match(literal, text, at);
    return end !== null && isAddressLiteral(text.slice(at, end)) ? end : null;
  }
  const end = match(dotted, text, at);
  if (end === null) return null;
  const domain = text.slice(at, end);
  // What no DNS could be asked for is no domain (RFC 5890 §2.3.2.1).
  const isForeign = /[^\0-\x7f]|(?:^|\.)xn--/i.test(domain);
  return isDomain(domain) && (!isForeign || toAscii(domain) !== null) ? end : null;
};

/**
 * Whether a text has the form of a domain name in A-labels or U-labels.
 *
 * Departs from RFC 5321 §4.1.2: an underscore is taken, since names in use have them.
 */
const isDomain = (domain: string): boolean =>
  Buffer.byteLength(domain) <= domainBytesMax &&
  domain
    .split('.')
    .every((label) => label.length >= 1 && label.length <= 63 && label[0] !== '-' && label.at(-1) !== '-');

const match = (pattern: RegExp, text: string, at: number): number | null => {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : null;
};
