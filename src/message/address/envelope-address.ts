import { toAscii } from '#base/idna';

/** The octets of a text that RFC 5321 §4.5.3.1 lets every server refuse: local part, domain, path without brackets. */
const localPartOctetsMax = 64;
const domainOctetsMax = 255;
const pathOctetsMax = 254;
/** Beyond this nothing is parsed at all: no command line may be longer. */
const textLengthMax = 2048;

export interface EnvelopeAddress {
  /** as received, without a source route */
  address: string;
  /** what the local part means: quotes and backslashes removed */
  localPart: string;
  /** as received; empty for a bare `Postmaster` */
  domain: string;
  /** the domain in A-labels, lower case; an address literal in its shortest spelling; empty for a bare `Postmaster` */
  asciiDomain: string;
  isDomainLiteral: boolean;
  /** needs SMTPUTF8 on its way (RFC 6531 §3.3) */
  needsUtf8: boolean;
  /** longer than RFC 5321 §4.5.3.1 asks anybody to take: real senders do that, no account of ours does */
  isTooLong: boolean;
}

// A scan from the left that never goes back: each alternative is told by its first character.
const dotString =
  /^[\w!#$%&'*+/=?^`{|}~\u0080-\u{10ffff}-]+(?:\.[\w!#$%&'*+/=?^`{|}~\u0080-\u{10ffff}-]+)*$/u;
const quotedString = /^"(?:[ !#-[\]-~\u0080-\u{10ffff}]|\\[ -~])*"$/u;
const forbidden = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}]/u;

/**
 * What stands between `<` and `>` in MAIL FROM or RCPT TO, but the empty reverse path; null when it is no address.
 *
 * A source route is dropped (RFC 5321 §3.6.1); `Postmaster` needs no domain (§4.1.1.3).
 *
 * @source RFC 5321 §4.1.2, §4.1.3; RFC 6531 §3.3
 */
export const parseEnvelopeAddress = (text: string): EnvelopeAddress | null => {
  if (text.length > textLengthMax || forbidden.test(text)) return null;
  let address = text;
  if (address.startsWith('@')) {
    const colon = address.indexOf(':');
    if (colon < 0 || !isSourceRoute(address.slice(0, colon))) return null;
    address = address.slice(colon + 1);
  }
  const at = address.lastIndexOf('@');
  if (at < 0) {
    if (address.toLowerCase() !== 'postmaster') return null;
    return { ...plain, address, localPart: address };
  }
  const local = address.slice(0, at);
  const domain = address.slice(at + 1);
  const isDomainLiteral = domain.startsWith('[');
  const asciiDomain = isDomainLiteral ? parseAddressLiteral(domain) : toAscii(domain);
  if (asciiDomain === null) return null;
  let localPart = local;
  if (quotedString.test(local)) localPart = local.slice(1, -1).replace(/\\(.)/gu, '$1');
  else if (!dotString.test(local)) return null;
  const localOctets = Buffer.byteLength(local);
  const isTooLong =
    localOctets > localPartOctetsMax ||
    asciiDomain.length > domainOctetsMax ||
    localOctets + 1 + asciiDomain.length > pathOctetsMax;
  const needsUtf8 = /[^ -~]/.test(address);
  return { address, localPart, domain, asciiDomain, isDomainLiteral, needsUtf8, isTooLong };
};

const plain = { domain: '', asciiDomain: '', isDomainLiteral: false, needsUtf8: false, isTooLong: false };

/** A local part as it is written in an address: with quotes where, and only where, they are needed. */
export const quoteLocalPart = (localPart: string): string =>
  dotString.test(localPart) ? localPart : `"${localPart.replace(/["\\]/g, '\\$&')}"`;

const isSourceRoute = (route: string): boolean =>
  route.split(',').every((hop) => hop.startsWith('@') && toAscii(hop.slice(1)) !== null);

/**
 * An address literal in one spelling (IPv6 in eight groups), or null.
 *
 * @source RFC 5321 §4.1.3
 */
const parseAddressLiteral = (literal: string): string | null => {
  if (!literal.endsWith(']')) return null;
  const inner = literal.slice(1, -1);
  if (/^ipv6:/i.test(inner)) {
    const groups = parseIpv6(inner.slice(5));
    return groups === null ? null : `[IPv6:${groups.map((group) => group.toString(16)).join(':')}]`;
  }
  const groups = parseIpv4(inner);
  return groups === null ? null : `[${groups.join('.')}]`;
};

const parseIpv4 = (text: string): number[] | null => {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return null;
  return parts.map(Number);
};

const parseIpv6 = (text: string): number[] | null => {
  if (text.length > 45) return null;
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const sides = halves.map((half, side) => parseGroups(half, side === halves.length - 1));
  const [before, after] = sides;
  if (before === null || before === undefined || after === null) return null;
  if (after === undefined) return before.length === 8 ? before : null;
  // RFC 5321 §4.1.3: "::" stands for two groups at least.
  const missing = 8 - before.length - after.length;
  return missing < 2 ? null : [...before, ...new Array<number>(missing).fill(0), ...after];
};

const parseGroups = (text: string, mayEndInIpv4: boolean): number[] | null => {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else {
      const [a, b, c, d] = (mayEndInIpv4 && index === parts.length - 1 ? parseIpv4(part) : null) ?? [];
      if (a === undefined || b === undefined || c === undefined || d === undefined) return null;
      groups.push(a * 256 + b, c * 256 + d);
    }
  }
  return groups;
};
