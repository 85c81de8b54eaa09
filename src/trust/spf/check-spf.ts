import { latin1 } from '#base/bytes';
import { toAscii } from '#base/idna';
import { formatIp, isIpv4Mapped, parseIp } from '#base/ip-address';
import type { Dns, DnsAnswer } from '#trust/dns';
import { expandMacros, type MacroPart, parseMacroString, usesMacro } from './macro.ts';
import {
  type Directive,
  isSpfRecord,
  type Mechanism,
  parseSpfRecord,
  type Qualifier,
  type SpfRecord,
} from './spf-record.ts';
import type { SpfLimits, SpfRequest, SpfResult, SpfWord } from './spf-result.ts';

const limitsDefault: SpfLimits = {
  lookupsMax: 10,
  voidLookupsMax: 2,
  namesMax: 10,
  recordOctetsMax: 8_192,
};

/** characters of an explanation; a longer one is not shown */
const explanationLengthMax = 512;
const domainLengthMax = 253;
const reasonLengthMax = 400;

/**
 * Asks the domain of the reverse-path, or of HELO where that is null, whether this peer may send for it.
 *
 * For HELO as an identity of its own call it with `mailFrom: null`.
 *
 * @returns always; never throws
 * @source RFC 7208 §2.3, §2.4, §4
 */
export const checkSpf = async (request: SpfRequest): Promise<SpfResult> => {
  const { helo, mailFrom } = request;
  const isHelo = mailFrom === null || mailFrom === '';
  const sender = isHelo ? `postmaster@${helo}` : mailFrom;
  const at = sender.lastIndexOf('@');
  // RFC 7208 §4.3: without a local part it is "postmaster".
  const localPart = at <= 0 ? 'postmaster' : sender.slice(0, at);
  const given = sender.slice(at + 1);
  const domain = queryDomain(given);
  const checked = new Check(request, localPart, domain ?? '');
  const outcome =
    domain === null
      ? none('not a domain name of several labels')
      : checked.peer === null
        ? none('the peer has no IP address')
        : await checked.host(domain, true);
  const explanation =
    outcome.result === 'fail' && outcome.explain !== null
      ? await checked.explanation(outcome.explain.exp, outcome.explain.domain)
      : null;
  return {
    result: outcome.result,
    identity: isHelo ? 'helo' : 'mailfrom',
    domain: domain ?? given,
    mechanism: outcome.directive?.text ?? null,
    explanation,
    reason: outcome.reason === null ? null : forPeople(outcome.reason),
    record: checked.record,
    lookups: checked.lookups,
    voidLookups: checked.voidLookups,
    authenticated: checked.answers > 0 && checked.isAuthenticated,
  };
};

/** Of what strangers wrote a reason has only characters that print, and not many. */
const forPeople = (reason: string): string => reason.replaceAll(/[^ -~]/g, '?').slice(0, reasonLengthMax);

/** The domain in A-labels, lower case; null where it cannot be asked for (RFC 7208 §4.3). */
const queryDomain = (given: string): string | null => {
  const plain = given.endsWith('.') ? given.slice(0, -1) : given;
  // ASCII is taken as it is: names with underscores do send mail.
  const domain = /^[!-~]*$/.test(plain) ? plain.toLowerCase() : toAscii(plain);
  if (domain === null || !isAskable(domain) || !domain.includes('.')) return null;
  return /[[\]"\\:]/.test(domain) || /(?:^|\.)\d+$/.test(domain) ? null : domain;
};

/** Whether a name can stand in a question: labels of 1 to 63 octets of US-ASCII, at most 253 in all. */
const isAskable = (name: string): boolean =>
  name.length <= domainLengthMax &&
  /^[ -~]+$/.test(name) &&
  name.split('.').every((label) => label.length >= 1 && label.length <= 63);

interface Outcome {
  readonly result: SpfWord;
  readonly directive: Directive | null;
  readonly reason: string | null;
  /** the explanation that a `fail` would have, and the domain whose record names it */
  readonly explain: { readonly exp: readonly MacroPart[]; readonly domain: string } | null;
}

const plain = (result: SpfWord, reason: string | null = null): Outcome => ({
  result,
  directive: null,
  reason,
  explain: null,
});
const none = (reason: string): Outcome => plain('none', reason);

/** Ends an evaluation from within; never leaves this file. */
class Ended extends Error {
  readonly result: 'permerror' | 'temperror';

  constructor(result: 'permerror' | 'temperror', reason: string) {
    super(reason);
    this.result = result;
  }
}

const qualified: Readonly<Record<Qualifier, SpfWord>> = {
  '+': 'pass',
  '-': 'fail',
  '~': 'softfail',
  '?': 'neutral',
};

/** One evaluation, with what its limits count. */
class Check {
  readonly #dns: Dns;
  readonly #limits: SpfLimits;
  readonly #request: SpfRequest;
  readonly #localPart: string;
  /** of the reverse-path, the macro `o` */
  readonly #senderDomain: string;
  /** 4 or 16 octets; a mapped IPv4 address has 4 (RFC 7208 §5) */
  readonly peer: Uint8Array | null;
  #validatedNames: Promise<string[]> | null = null;
  record: string | null = null;
  lookups = 0;
  voidLookups = 0;
  answers = 0;
  isAuthenticated = true;

  constructor(request: SpfRequest, localPart: string, senderDomain: string) {
    this.#request = request;
    this.#dns = request.dns;
    this.#limits = { ...limitsDefault, ...request.limits };
    this.#localPart = localPart;
    this.#senderDomain = senderDomain;
    const octets = parseIp(request.ip.replace(/%.*$/s, ''));
    this.peer = octets !== null && isIpv4Mapped(octets) ? octets.slice(12) : octets;
  }

  /** check_host() for the domain of the message, with every way out as a value. @source RFC 7208 §4 */
  async host(domain: string, isFirst: boolean): Promise<Outcome> {
    try {
      return await this.#checkHost(domain, isFirst);
    } catch (error) {
      if (error instanceof Ended) return plain(error.result, error.message);
      throw error;
    }
  }

  async #checkHost(domain: string, isFirst: boolean): Promise<Outcome> {
    const record = await this.#fetchRecord(domain, isFirst);
    if (record === null) return none(`no SPF record at ${domain}`);
    for (const directive of record.directives) {
      if (!(await this.#matches(directive.mechanism, domain))) continue;
      return {
        result: qualified[directive.qualifier],
        directive,
        reason: null,
        explain: record.exp && { exp: record.exp, domain },
      };
    }
    // RFC 7208 §6.1: redirect counts only where nothing matched; "all" always matches.
    if (record.redirect === null) return plain('neutral');
    this.#countLookup();
    const target = await this.#expandDomain(record.redirect, domain);
    const outcome = await this.#checkHost(target, false);
    if (outcome.result === 'none')
      throw new Ended('permerror', `redirect to ${target}, which has no SPF record`);
    return outcome;
  }

  /** @returns null where there is none. @source RFC 7208 §4.4, §4.5 */
  async #fetchRecord(domain: string, isFirst: boolean): Promise<SpfRecord | null> {
    const answer = await this.#ask(domain, 'TXT', (name) => this.#dns.txt(name));
    if (answer.kind === 'none') return null;
    // The version decides first: other TXT records are none of our business, however long.
    const records = answer.records.filter((octets) => isSpfRecord(latin1(octets.subarray(0, 7)))).slice(0, 2);
    const [octets, second] = records;
    if (octets === undefined) return null;
    if (second !== undefined) throw new Ended('permerror', `more than one SPF record at ${domain}`);
    const { recordOctetsMax } = this.#limits;
    if (octets.length > recordOctetsMax)
      throw new Ended('permerror', `SPF record of ${domain} has more than ${recordOctetsMax} octets`);
    const text = latin1(octets);
    if (isFirst) this.record = text;
    const read = parseSpfRecord(text);
    if (read.kind === 'error') throw new Ended('permerror', `SPF record of ${domain}: ${read.why}`);
    return read.record;
  }

  async #matches(mechanism: Mechanism, domain: string): Promise<boolean> {
    switch (mechanism.kind) {
      case 'all':
        return true;
      case 'ip':
        return this.#isIn(mechanism.network, mechanism.bits);
      case 'include': {
        this.#countLookup();
        const target = await this.#expandDomain(mechanism.domain, domain);
        const { result } = await this.#checkHost(target, false);
        if (result === 'none') throw new Ended('permerror', `include of ${target}, which has no SPF record`);
        return result === 'pass';
      }
      case 'exists': {
        this.#countLookup();
        const target = await this.#expandDomain(mechanism.domain, domain);
        // RFC 7208 §5.7: an A record, even for a peer of IPv6.
        const answer = await this.#ask(target, 'A', (name) => this.#dns.a(name));
        this.#countVoid(answer);
        return answer.kind === 'found';
      }
      case 'a': {
        this.#countLookup();
        const target = await this.#expandTarget(mechanism.domain, domain);
        const answer = await this.#addresses(target);
        this.#countVoid(answer);
        return answer.kind === 'found' && answer.records.some((address) => this.#isAt(address, mechanism));
      }
      case 'mx': {
        this.#countLookup();
        return this.#matchesMx(await this.#expandTarget(mechanism.domain, domain), mechanism);
      }
      case 'ptr': {
        this.#countLookup();
        const target = (await this.#expandTarget(mechanism.domain, domain)).toLowerCase();
        return (await this.#namesOfPeer(true)).some((name) => isAtOrBelow(name, target));
      }
    }
  }

  /** @source RFC 7208 §5.4, §4.6.4 */
  async #matchesMx(
    target: string,
    bits: { readonly ip4Bits: number; readonly ip6Bits: number },
  ): Promise<boolean> {
    const answer = await this.#ask(target, 'MX', (name) => this.#dns.mx(name));
    this.#countVoid(answer);
    if (answer.kind === 'none') return false;
    const { namesMax } = this.#limits;
    if (answer.records.length > namesMax)
      throw new Ended('permerror', `${target} has more than ${namesMax} MX records`);
    for (const { exchange } of answer.records) {
      // RFC 7505: the null MX names no host.
      if (exchange === '') continue;
      const addresses = await this.#addresses(exchange);
      if (addresses.kind === 'found' && addresses.records.some((address) => this.#isAt(address, bits)))
        return true;
    }
    return false;
  }

  /** A or AAAA, as the peer's address is. */
  #addresses(name: string): Promise<Answered<string>> {
    return this.peer?.length === 4
      ? this.#ask(name, 'A', (asked) => this.#dns.a(asked))
      : this.#ask(name, 'AAAA', (asked) => this.#dns.aaaa(asked));
  }

  /**
   * Names that the peer's address points back to and that have that address: asked once an evaluation.
   *
   * @source RFC 7208 §5.5: DNS that fails here makes no error; of more names than the limit the first count
   */
  #namesOfPeer(isTerm: boolean): Promise<string[]> {
    this.#validatedNames ??= this.#validateNames(isTerm);
    return this.#validatedNames;
  }

  async #validateNames(isTerm: boolean): Promise<string[]> {
    if (this.peer === null) return [];
    const answer = await this.#quietly(this.#dns.ptr(formatIp(this.peer)));
    if (answer === null) return [];
    if (isTerm) this.#countVoid(answer);
    if (answer.kind === 'none') return [];
    const names: string[] = [];
    for (const name of answer.records.slice(0, this.#limits.namesMax)) {
      if (!isAskable(name)) continue;
      const addresses = await this.#quietly(
        this.peer.length === 4 ? this.#dns.a(name) : this.#dns.aaaa(name),
      );
      if (
        addresses?.kind === 'found' &&
        addresses.records.some((address) => this.#isAt(address, wholeAddress))
      )
        names.push(name.toLowerCase());
    }
    return names;
  }

  async #quietly<T>(asking: Promise<DnsAnswer<T>>): Promise<Answered<T> | null> {
    const answer = await settled(asking);
    if (answer.kind === 'unavailable') {
      this.isAuthenticated = false;
      return null;
    }
    this.#note(answer);
    return answer;
  }

  /** An answer, or the end. A name that cannot be asked for does not exist (RFC 7208 §4.8). */
  async #ask<T>(
    name: string,
    type: string,
    how: (name: string) => Promise<DnsAnswer<T>>,
  ): Promise<Answered<T>> {
    if (!isAskable(name)) return { kind: 'none', why: 'nxdomain', authenticated: false, ttl: 0 };
    // What macros put in is text: in a name a backslash would escape.
    const answer = await settled(how(name.replaceAll('\\', '\\\\')));
    if (answer.kind === 'unavailable')
      throw new Ended('temperror', `DNS has no answer for ${type} ${name}: ${answer.why}`);
    this.#note(answer);
    return answer;
  }

  #note(answer: Answered<unknown>): void {
    this.answers++;
    this.isAuthenticated &&= answer.authenticated;
  }

  #countLookup(): void {
    this.lookups++;
    const { lookupsMax } = this.#limits;
    if (this.lookups > lookupsMax) {
      this.lookups = lookupsMax;
      throw new Ended('permerror', `more than ${lookupsMax} terms that ask DNS`);
    }
  }

  #countVoid(answer: Answered<unknown>): void {
    if (answer.kind === 'found') return;
    this.voidLookups++;
    const { voidLookupsMax } = this.#limits;
    if (this.voidLookups > voidLookupsMax)
      throw new Ended('permerror', `more than ${voidLookupsMax} terms for which DNS has nothing`);
  }

  #isAt(address: string, bits: { readonly ip4Bits: number; readonly ip6Bits: number }): boolean {
    const network = parseIp(address);
    return network !== null && this.#isIn(network, network.length === 4 ? bits.ip4Bits : bits.ip6Bits);
  }

  #isIn(network: Uint8Array, bits: number): boolean {
    const peer = this.peer;
    if (peer === null || peer.length !== network.length) return false;
    for (let bit = 0; bit < bits; bit += 8) {
      const mask = bits - bit >= 8 ? 0xff : (0xff00 >> (bits - bit)) & 0xff;
      if ((((peer[bit >> 3] ?? 0) ^ (network[bit >> 3] ?? 0)) & mask) !== 0) return false;
    }
    return true;
  }

  async #expandTarget(parts: readonly MacroPart[] | null, domain: string): Promise<string> {
    return parts === null ? domain : this.#expandDomain(parts, domain);
  }

  /** @source RFC 7208 §7.3: too long a name loses labels on its left */
  async #expandDomain(parts: readonly MacroPart[], domain: string): Promise<string> {
    const expanded = expandMacros(parts, await this.#values(parts, domain), Number.POSITIVE_INFINITY) ?? '';
    let name = expanded.endsWith('.') ? expanded.slice(0, -1) : expanded;
    if (name.length > domainLengthMax) {
      const dot = name.indexOf('.', name.length - domainLengthMax - 1);
      name = dot === -1 ? '' : name.slice(dot + 1);
    }
    return name;
  }

  async #values(parts: readonly MacroPart[], domain: string) {
    const { helo, receiver, nowMs } = this.#request;
    const peer = this.peer ?? new Uint8Array(4);
    const isIp4 = peer.length === 4;
    return {
      s: `${this.#localPart}@${this.#senderDomain}`,
      l: this.#localPart,
      o: this.#senderDomain,
      d: domain,
      // In capitals, as the RFC's own suite has the nibbles.
      i: isIp4
        ? formatIp(peer)
        : [...peer]
            .flatMap((octet) => [octet >> 4, octet & 15].map((nibble) => nibble.toString(16).toUpperCase()))
            .join('.'),
      p: usesMacro(parts, 'p') ? await this.#nameOfPeer(domain) : 'unknown',
      v: isIp4 ? 'in-addr' : 'ip6',
      h: queryDomain(helo) ?? helo,
      c: formatIp(peer),
      r: receiver,
      t: String(Math.floor(nowMs / 1000)),
    };
  }

  /** @source RFC 7208 §7.3, macro `p` */
  async #nameOfPeer(domain: string): Promise<string> {
    const names = await this.#namesOfPeer(false);
    return (
      names.find((name) => name === domain) ??
      names.find((name) => isAtOrBelow(name, domain)) ??
      names[0] ??
      'unknown'
    );
  }

  /** @returns null where there is none, or none that can be shown. @source RFC 7208 §6.2 */
  async explanation(exp: readonly MacroPart[], domain: string): Promise<string | null> {
    const target = await this.#expandDomain(exp, domain);
    if (!isAskable(target)) return null;
    const answer = await this.#quietly(this.#dns.txt(target.replaceAll('\\', '\\\\')));
    if (answer?.kind !== 'found' || answer.records.length !== 1) return null;
    const [octets = new Uint8Array()] = answer.records;
    if (octets.length > this.#limits.recordOctetsMax) return null;
    const parts = parseMacroString(latin1(octets), true);
    if (parts === null) return null;
    const text = expandMacros(parts, await this.#values(parts, domain), explanationLengthMax);
    // A local part can hold what no reply may.
    return text !== null && /^[ -~]+$/.test(text) ? text : null;
  }
}

type Answered<T> = Exclude<DnsAnswer<T>, { readonly kind: 'unavailable' }>;

const wholeAddress = { ip4Bits: 32, ip6Bits: 128 };

const isAtOrBelow = (name: string, domain: string): boolean => name === domain || name.endsWith(`.${domain}`);

/** The port never rejects; a double in a test might. */
const settled = <T>(asking: Promise<DnsAnswer<T>>): Promise<DnsAnswer<T>> =>
  asking.catch((error: unknown): DnsAnswer<T> => ({ kind: 'unavailable', why: String(error) }));
