import { parseIp } from '#base/ip-address';
import { type MacroPart, parseMacroString } from './macro.ts';

export type Qualifier = '+' | '-' | '~' | '?';

/** how many bits of an address count: IPv4, IPv6 */
export interface DualCidr {
  readonly ip4Bits: number;
  readonly ip6Bits: number;
}

export type Mechanism =
  | { readonly kind: 'all' }
  | { readonly kind: 'include' | 'exists'; readonly domain: readonly MacroPart[] }
  | ({ readonly kind: 'a' | 'mx'; readonly domain: readonly MacroPart[] | null } & DualCidr)
  | { readonly kind: 'ptr'; readonly domain: readonly MacroPart[] | null }
  | { readonly kind: 'ip'; readonly network: Uint8Array; readonly bits: number };

export interface Directive {
  readonly qualifier: Qualifier;
  readonly mechanism: Mechanism;
  /** as the record writes it */
  readonly text: string;
}

export interface SpfRecord {
  readonly directives: readonly Directive[];
  readonly redirect: readonly MacroPart[] | null;
  readonly exp: readonly MacroPart[] | null;
}

export type SpfRecordRead =
  | { readonly kind: 'record'; readonly record: SpfRecord }
  | { readonly kind: 'error'; readonly why: string };

/** Whether a TXT record is one of SPF: `v=spf1`, then a space or the end. @source RFC 7208 §4.5 */
export const isSpfRecord = (text: string): boolean => /^v=spf1(?: |$)/i.test(text);

/**
 * Reads a record whole: one fault anywhere makes it an error, before anything is evaluated.
 *
 * @param text for which `isSpfRecord` holds; one character an octet
 * @source RFC 7208 §4.6.1, §12
 */
export const parseSpfRecord = (text: string): SpfRecordRead => {
  const directives: Directive[] = [];
  const modifiers = new Map<'redirect' | 'exp', readonly MacroPart[]>();
  for (const term of text.split(' ').slice(1)) {
    if (term === '') continue;
    const error = (why: string): SpfRecordRead => ({ kind: 'error', why: `${why}: ${shown(term)}` });
    const [, name, value = ''] = /^([A-Za-z][A-Za-z0-9\-_.]*)=(.*)$/s.exec(term) ?? [];
    if (name !== undefined) {
      const known = name.toLowerCase();
      if (known !== 'redirect' && known !== 'exp') {
        if (parseMacroString(value, false) === null) return error('bad macro in a modifier');
        continue;
      }
      if (modifiers.has(known)) return error('modifier given twice');
      const domain = parseDomainSpec(value);
      if (domain === null) return error('bad domain in a modifier');
      modifiers.set(known, domain);
      continue;
    }
    const directive = parseDirective(term);
    if (directive === null) return error('bad or unknown mechanism');
    directives.push(directive);
  }
  return {
    kind: 'record',
    record: { directives, redirect: modifiers.get('redirect') ?? null, exp: modifiers.get('exp') ?? null },
  };
};

const shown = (term: string): string =>
  (term.length > 80 ? `${term.slice(0, 77)}...` : term).replaceAll(/[^!-~]/g, '?');

const parseDirective = (text: string): Directive | null => {
  const [, sign = '', name = '', rest = ''] = /^([+\-~?]?)([A-Za-z][A-Za-z0-9\-_.]*)(.*)$/s.exec(text) ?? [];
  const mechanism = parseMechanism(name.toLowerCase(), rest);
  return mechanism && { qualifier: (sign === '' ? '+' : sign) as Qualifier, mechanism, text };
};

/** @param rest what stands behind the name: `:domain`, `/24`, or nothing */
const parseMechanism = (name: string, rest: string): Mechanism | null => {
  switch (name) {
    case 'all':
      return rest === '' ? { kind: 'all' } : null;
    case 'include':
    case 'exists': {
      const domain = rest.startsWith(':') ? parseDomainSpec(rest.slice(1)) : null;
      return domain && { kind: name, domain };
    }
    case 'ptr': {
      if (rest === '') return { kind: 'ptr', domain: null };
      const domain = rest.startsWith(':') ? parseDomainSpec(rest.slice(1)) : null;
      return domain && { kind: 'ptr', domain };
    }
    case 'a':
    case 'mx':
      return parseHosts(name, rest);
    case 'ip4':
    case 'ip6':
      return parseNetwork(name, rest);
    default:
      return null;
  }
};

const parseHosts = (kind: 'a' | 'mx', rest: string): Mechanism | null => {
  const [, before = '', ip4, ip6] = /^(.*?)(?:\/(\d+))?(?:\/\/(\d+))?$/s.exec(rest) ?? [];
  const ip4Bits = parseBits(ip4, 32);
  const ip6Bits = parseBits(ip6, 128);
  if (ip4Bits === null || ip6Bits === null) return null;
  if (before === '') return { kind, domain: null, ip4Bits, ip6Bits };
  const domain = before.startsWith(':') ? parseDomainSpec(before.slice(1)) : null;
  return domain && { kind, domain, ip4Bits, ip6Bits };
};

const parseNetwork = (name: 'ip4' | 'ip6', rest: string): Mechanism | null => {
  const [, address = '', written] = /^:([0-9A-Fa-f.:]+)(?:\/(\d+))?$/.exec(rest) ?? [];
  const network = parseIp(address);
  if (network === null || network.length !== (name === 'ip4' ? 4 : 16)) return null;
  const bits = parseBits(written, 8 * network.length);
  return bits === null ? null : { kind: 'ip', network, bits };
};

/** No leading zeros (RFC 7208 §12, ip4-cidr-length). */
const parseBits = (digits: string | undefined, max: number): number | null => {
  if (digits === undefined) return max;
  const bits = Number(digits);
  return String(bits) === digits && bits <= max ? bits : null;
};

/**
 * A domain-spec: a macro string that ends in a top label (an optional dot behind it) or in a macro.
 *
 * @source RFC 7208 §7.1
 */
const parseDomainSpec = (text: string): MacroPart[] | null => {
  const parts = parseMacroString(text, false);
  const last = parts?.at(-1);
  if (parts === null || last === undefined) return null;
  // `%%`, `%_` and `%-` are macro-expands too, and may end it.
  if (last.kind === 'macro' || last.isEscape) return parts;
  const [, topLabel] = /\.([A-Za-z0-9-]+)\.?$/.exec(last.text) ?? [];
  return topLabel !== undefined && isTopLabel(topLabel) ? parts : null;
};

const isTopLabel = (label: string): boolean =>
  /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/.test(label) && !/^\d+$/.test(label);
