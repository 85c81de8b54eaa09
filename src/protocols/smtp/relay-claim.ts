import { isIpv4, isIpv6 } from './address-literal.ts';
import { decodeXtext } from './xtext.ts';

/** What a trusted relay says of the client behind it. Left out: not said; null: the relay does not know. */
export interface RelayClaim {
  name?: string | null;
  address?: string | null;
  port?: number | null;
  helo?: string | null;
  /** what the client spoke with the relay */
  protocol?: 'SMTP' | 'ESMTP' | null;
}

const names = {
  XCLIENT: ['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'DESTADDR', 'DESTPORT'],
  XFORWARD: ['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'IDENT', 'SOURCE'],
} as const;

export type ClaimVerb = keyof typeof names;

/** The line of EHLO that offers the command to a trusted relay. @source Postfix, XCLIENT_README, XFORWARD_README */
export const offerOf = (verb: ClaimVerb): string => `${verb} ${names[verb].join(' ')}`;

/**
 * Reads the attributes of XCLIENT or XFORWARD: `NAME=value …`, each once, values in xtext.
 *
 * @returns null when they are not what the command takes
 * @source Postfix, XCLIENT_README, XFORWARD_README
 */
export const parseClaim = (verb: ClaimVerb, text: string): RelayClaim | null => {
  const claim: RelayClaim = {};
  const seen = new Set<string>();
  for (const word of text.split(/ +/)) {
    const [, key = '', encoded = ''] = /^([A-Za-z]{1,16})=(\S{1,600})$/.exec(word) ?? [];
    const name = key.toUpperCase();
    if (!(names[verb] as readonly string[]).includes(name) || seen.has(name)) return null;
    seen.add(name);
    const isUnknown = /^\[(?:UNAVAILABLE|TEMPUNAVAIL)\]$/i.test(encoded);
    const value = isUnknown ? null : decodeXtext(encoded);
    if (value === null && !isUnknown) return null;
    if (!take(claim, name, value)) return null;
  }
  return claim;
};

/** @returns whether it is a value of this attribute */
const take = (claim: RelayClaim, name: string, value: string | null): boolean => {
  switch (name) {
    case 'NAME':
      claim.name = value;
      return value === null || /^[A-Za-z0-9._-]{1,255}$/.test(value);
    case 'ADDR':
      claim.address = value === null ? null : plainIp(value);
      return value === null || claim.address !== null;
    case 'PORT':
      claim.port = value === null ? null : Number(value);
      return value === null || (/^\d{1,5}$/.test(value) && Number(value) <= 65_535);
    case 'HELO':
      claim.helo = value;
      return value === null || isHeloName(value);
    case 'PROTO': {
      const upper = value?.toUpperCase() ?? null;
      claim.protocol = upper === 'SMTP' || upper === 'ESMTP' ? upper : null;
      return upper === null || claim.protocol !== null;
    }
    case 'SOURCE':
      // Whether the relay treats the client as one of its own; who it is stands in the others.
      return value === null || /^(?:LOCAL|REMOTE)$/i.test(value);
    // The relay's queue id and the address that the client reached: nothing of ours depends on them.
    default:
      return value === null || /^[\x21-\x7e]{1,255}$/.test(value);
  }
};

/** IPv6 stands behind `IPV6:`. */
const plainIp = (value: string): string | null => {
  const six = /^ipv6:(.*)$/i.exec(value)?.[1];
  if (six !== undefined) return isIpv6(six) ? six.toLowerCase() : null;
  return isIpv4(value) ? value : null;
};

/**
 * Whether EHLO, HELO or LHLO may name this: what is safe to write into `Received`. It is not compared with the address.
 *
 * @source RFC 5321 §4.1.4
 */
export const isHeloName = (name: string): boolean =>
  /^[\x21\x23-\x27\x2a-\x2b\x2d-\x3a\x3d\x3f-\x5b\x5d-\x7e]{1,255}$/.test(name);
