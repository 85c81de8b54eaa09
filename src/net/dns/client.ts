import type { Clock, Random } from '#base/clock';
import { toAscii } from '#base/idna';
import { parseIp, reverseName } from '#base/ip-address';
import {
  type DnsData,
  type DnsMessage,
  type DnsRecord,
  dnsTypes,
  isDnsName,
  rcodeName,
  rcodes,
  sameDnsName,
} from '#protocols/dns';
import type { Dns, DnsAnswer, MxRecord } from '#trust/dns';
import { DnsCache } from './cache.ts';
import { type Exchanged, exchange } from './exchange.ts';
import { type DnsLimits, dnsLimits } from './limits.ts';
import { isBelieved, parseResolver, type Resolver } from './resolver.ts';

export interface DnsSettings {
  /** `127.0.0.1:53`, `[::1]:5353`; at least one */
  readonly resolvers: readonly string[];
  /** AD is believed of resolvers elsewhere too */
  readonly trustAd: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: Partial<DnsLimits>;
}

/** What was found out about the resolvers. */
export type DnsValidation =
  /** they check signatures, and what they say of it is believed */
  | 'validates'
  /** they say that they check, but are elsewhere and `trust_ad` is off */
  | 'not-trusted'
  | 'does-not-validate'
  /** none of them answers */
  | 'unavailable'
  /** nobody was asked to the end: the client was closed */
  | 'closed';

export interface DnsCounts {
  readonly lookups: number;
  readonly cacheHits: number;
  /** lookups without an answer */
  readonly unavailable: number;
  /** answers that fit nothing that was asked: mistakes, or somebody who guesses */
  readonly strayAnswers: number;
  /** times that no resolver answered for the root */
  readonly silences: number;
  /** lookups refused because too many wait */
  readonly overloaded: number;
}

export interface DnsClient extends Dns {
  /** Asks for the root, which is signed. Not from the cache. */
  validation(): Promise<DnsValidation>;
  readonly counts: DnsCounts;
  /** What is under way, and whatever is asked from now on, is unavailable. */
  close(): void;
}

/** An answer before it is known what the caller makes of it. */
type RawAnswer = DnsAnswer<DnsData>;

/** @throws {TypeError} on a resolver that is not written as `address:port`; the configuration has checked it */
export const createDnsClient = (settings: DnsSettings): DnsClient => new Client(settings);

class Client implements DnsClient {
  readonly #settings: DnsSettings;
  readonly #limits: DnsLimits;
  readonly #resolvers: readonly Resolver[];
  readonly #cache: DnsCache<RawAnswer>;
  readonly #underWay = new Map<string, Promise<RawAnswer>>();
  readonly #waiting: (() => void)[] = [];
  readonly #closing = new AbortController();
  #open = 0;
  /** the resolver that answered last is asked first */
  #first = 0;
  /** when somebody is to be asked again, while no resolver answers anything; null: as far as is known one does */
  #silentUntilMs: number | null = null;
  #probing: Promise<void> | null = null;
  readonly #counts = {
    lookups: 0,
    cacheHits: 0,
    unavailable: 0,
    strayAnswers: 0,
    silences: 0,
    overloaded: 0,
  };

  constructor(settings: DnsSettings) {
    this.#settings = settings;
    this.#limits = { ...dnsLimits, ...settings.limits };
    this.#resolvers = settings.resolvers.map(parseResolver);
    this.#cache = new DnsCache(this.#limits.cacheEntriesMax, this.#limits.cacheBytesMax);
  }

  get counts(): DnsCounts {
    return this.#counts;
  }

  async txt(name: string): Promise<DnsAnswer<Uint8Array>> {
    // RFC 7208 §3.3: the strings of one record are one text.
    return mapped(await this.#lookup(name, dnsTypes.TXT), (data) =>
      data.kind === 'txt' ? new Uint8Array(Buffer.concat(data.strings)) : null,
    );
  }

  async a(name: string): Promise<DnsAnswer<string>> {
    return mapped(await this.#lookup(name, dnsTypes.A), addressOf);
  }

  async aaaa(name: string): Promise<DnsAnswer<string>> {
    return mapped(await this.#lookup(name, dnsTypes.AAAA), addressOf);
  }

  async mx(name: string): Promise<DnsAnswer<MxRecord>> {
    return mapped(await this.#lookup(name, dnsTypes.MX), (data) =>
      // A name may point back at the question, which had capitals of ours.
      data.kind === 'mx' ? { preference: data.preference, exchange: data.exchange.toLowerCase() } : null,
    );
  }

  async ptr(address: string): Promise<DnsAnswer<string>> {
    const octets = parseIp(address);
    if (octets === null) return { kind: 'unavailable', why: 'not an IP address' };
    return mapped(await this.#lookup(reverseName(octets), dnsTypes.PTR), (data) =>
      data.kind === 'name' ? data.name.toLowerCase() : null,
    );
  }

  async validation(): Promise<DnsValidation> {
    // Mail that comes meanwhile needs to know sooner whether there is anybody to ask.
    void this.#probe();
    const asked = await this.#ask(rootQuestion, this.#nowMs() + this.#limits.lookupMs);
    if (asked.kind === 'failed') return this.#closing.signal.aborted ? 'closed' : 'unavailable';
    if (!asked.message.authenticData) return 'does-not-validate';
    return isBelieved(asked.resolver, this.#settings.trustAd) ? 'validates' : 'not-trusted';
  }

  close(): void {
    this.#closing.abort();
    for (const start of this.#waiting.splice(0)) start();
  }

  #nowMs(): number {
    return this.#settings.clock.monotonicMs();
  }

  #lookup(given: string, type: number): Promise<RawAnswer> {
    const name = askedName(given);
    if (name === null) return Promise.resolve({ kind: 'unavailable', why: 'not a DNS name' });
    this.#counts.lookups++;
    const key = `${type} ${name}`;
    const nowMs = this.#nowMs();
    const cached = this.#cache.get(key, nowMs);
    if (cached !== null) {
      this.#counts.cacheHits++;
      const { value } = cached;
      return Promise.resolve(
        value.kind === 'unavailable' ? value : { ...value, ttl: Math.floor(cached.leftMs / 1000) },
      );
    }
    const joined = this.#underWay.get(key);
    if (joined !== undefined) return joined;
    if (this.#silentUntilMs !== null && !this.#closing.signal.aborted) {
      if (nowMs >= this.#silentUntilMs) void this.#probe();
      this.#counts.unavailable++;
      return Promise.resolve({ kind: 'unavailable', why: 'no resolver answers' });
    }
    const started = this.#resolve(name, type, key, nowMs + this.#limits.lookupMs).then((answer) => {
      this.#underWay.delete(key);
      if (answer.kind === 'unavailable') this.#counts.unavailable++;
      return answer;
    });
    this.#underWay.set(key, started);
    return started;
  }

  async #resolve(name: string, type: number, key: string, endMs: number): Promise<RawAnswer> {
    const place = await this.#takePlace();
    if (place !== null) return { kind: 'unavailable', why: place };
    try {
      const { answer, octets } = await this.#follow(name, type, endMs);
      const nowMs = this.#nowMs();
      // RFC 9520: who just failed is not asked again at once.
      const ttl = answer.kind === 'unavailable' ? this.#limits.failureTtl : answer.ttl;
      if (!this.#closing.signal.aborted)
        this.#cache.set(key, answer, entryBytes + key.length + octets, nowMs + ttl * 1000, nowMs);
      return answer;
    } finally {
      // The place goes to who waits longest, or is free.
      const next = this.#waiting.shift();
      if (next === undefined) this.#open--;
      else next();
    }
  }

  /** @returns null, or why there is no place */
  async #takePlace(): Promise<string | null> {
    if (this.#closing.signal.aborted) return 'closed';
    if (this.#open >= this.#limits.lookupsMax) {
      if (this.#waiting.length >= this.#limits.waitingMax) {
        this.#counts.overloaded++;
        return 'too many lookups at the same time';
      }
      await new Promise<void>((start) => this.#waiting.push(start));
      return this.#closing.signal.aborted ? 'closed' : null;
    }
    this.#open++;
    return null;
  }

  /** Asks, and asks again where an alias leads out of the answer. @source RFC 1034 §4.3.2, RFC 2308 §2 */
  async #follow(start: string, type: number, endMs: number): Promise<{ answer: RawAnswer; octets: number }> {
    let name = start;
    let aliases = 0;
    let ttl = this.#limits.ttlMax;
    let authenticated = true;
    let octets = 0;
    const unavailable = (why: string) => ({ answer: { kind: 'unavailable', why } as const, octets });
    for (;;) {
      const asked = await this.#ask({ name, type, class: 1 }, endMs);
      if (asked.kind === 'failed') return unavailable(asked.why);
      const { message, resolver } = asked;
      octets += asked.octets;
      authenticated &&= message.authenticData && isBelieved(resolver, this.#settings.trustAd);
      const askedFor = name;
      for (;;) {
        const own = message.answers.filter((record) => record.class === 1 && sameDnsName(record.name, name));
        const found = own.filter((record) => record.type === type);
        if (found.length > 0) {
          ttl = Math.min(ttl, ...found.map((record) => record.ttl));
          const records = found.map(({ data }) => data);
          return { answer: { kind: 'found', records, authenticated, ttl }, octets };
        }
        const alias = own.find((record) => record.type === dnsTypes.CNAME);
        if (alias?.data.kind !== 'name') break;
        if (++aliases > this.#limits.cnamesMax)
          return unavailable(`CNAME chain longer than ${this.#limits.cnamesMax}`);
        ttl = Math.min(ttl, alias.ttl);
        name = alias.data.name.toLowerCase();
      }
      const soa = message.authorities.find((record) => record.class === 1 && record.type === dnsTypes.SOA);
      const isNxdomain = message.rcode === rcodes.NXDOMAIN;
      if (!isNxdomain && soa === undefined && !sameDnsName(name, askedFor)) continue;
      const why = isNxdomain ? ('nxdomain' as const) : ('nodata' as const);
      return {
        answer: { kind: 'none', why, authenticated, ttl: Math.min(ttl, this.#negativeTtl(soa)) },
        octets,
      };
    }
  }

  /**
   * Finds out whether it is one name that nobody answers for, or the resolvers themselves: they have the root in memory. Where they
   * are gone, mail must not wait for each of its names; where they are not, a name of a stranger must not switch checks off.
   */
  #probe(): Promise<void> {
    this.#probing ??= Promise.all(
      this.#resolvers.map((resolver) => this.#exchange(resolver, rootQuestion, this.#limits.attemptMs)),
    ).then((exchanged) => {
      this.#probing = null;
      const isSilence = exchanged.every(({ kind }) => kind === 'failed');
      if (!isSilence || this.#closing.signal.aborted) return;
      this.#counts.silences++;
      this.#silentUntilMs = this.#nowMs() + this.#limits.silenceMs;
    });
    return this.#probing;
  }

  /** Without an SOA record it is not kept. @source RFC 2308 §5 */
  #negativeTtl(soa: DnsRecord | undefined): number {
    if (soa?.data.kind !== 'soa') return 0;
    return Math.min(soa.ttl, soa.data.minimum, this.#limits.negativeTtlMax);
  }

  /** Every resolver in turn, the silent ones again with more time, until one says something or the time is over. */
  async #ask(question: { name: string; type: number; class: number }, endMs: number): Promise<Asked> {
    /** what each said that will not change by asking again */
    const settled = new Map<Resolver, string>();
    let why = 'timeout';
    for (let round = 1; round <= this.#limits.roundsMax; round++) {
      for (let turn = 0; turn < this.#resolvers.length; turn++) {
        const index = (this.#first + turn) % this.#resolvers.length;
        const resolver = this.#resolvers[index];
        if (resolver === undefined || settled.has(resolver)) continue;
        const timeoutMs = Math.min(this.#limits.attemptMs * round, endMs - this.#nowMs());
        if (timeoutMs <= 0) return { kind: 'failed', why: 'timeout' };
        const exchanged = await this.#exchange(resolver, question, timeoutMs);
        if (this.#closing.signal.aborted) return { kind: 'failed', why: 'closed' };
        if (exchanged.kind === 'failed') {
          why = exchanged.why;
          if (this.#silentUntilMs !== null && question !== rootQuestion) break;
          continue;
        }
        const fault = faultOf(exchanged.message);
        if (fault === null) {
          this.#first = index;
          return { ...exchanged, resolver };
        }
        settled.set(resolver, fault);
      }
      // The first is the one that is asked first next time too: the order is the administrator's.
      if (settled.size === this.#resolvers.length) break;
      if (settled.size > 0 || question === rootQuestion) continue;
      await this.#probe();
      if (this.#silentUntilMs !== null) return { kind: 'failed', why };
    }
    const [said] = settled.values();
    return { kind: 'failed', why: said ?? why };
  }

  async #exchange(
    resolver: Resolver,
    question: { name: string; type: number; class: number },
    timeoutMs: number,
  ): Promise<Exchanged> {
    const asking = {
      question,
      timeoutMs,
      random: this.#settings.random,
      signal: this.#closing.signal,
      strayAnswersMax: this.#limits.strayAnswersMax,
      onStray: () => {
        this.#counts.strayAnswers++;
      },
    };
    const exchanged = await exchange(resolver, asking);
    if (exchanged.kind === 'answer') this.#silentUntilMs = null;
    if (exchanged.kind === 'failed' || !resolver.knowsEdns) return exchanged;
    const { rcode } = exchanged.message;
    if (rcode !== rcodes.FORMERR && rcode !== rcodes.NOTIMP && rcode !== rcodes.BADVERS) return exchanged;
    // RFC 6891 §7: a server that knows no EDNS says so with FORMERR.
    resolver.knowsEdns = false;
    return exchange(resolver, asking);
  }
}

type Asked =
  | {
      readonly kind: 'answer';
      readonly message: DnsMessage;
      readonly octets: number;
      readonly resolver: Resolver;
    }
  | { readonly kind: 'failed'; readonly why: string };

/** what every resolver knows */
const rootQuestion = { name: '', type: dnsTypes.SOA, class: 1 } as const;

/** what an entry costs beside its octets */
const entryBytes = 300;

/** null: this is an answer, of records or of none. */
const faultOf = (message: DnsMessage): string | null => {
  if (message.rcode === rcodes.NOERROR || message.rcode === rcodes.NXDOMAIN) {
    const isReferral =
      message.answers.length === 0 && !message.recursionAvailable && !message.isAuthoritative;
    return isReferral ? 'the resolver does not look further' : null;
  }
  const bogus = message.edns?.options.map(bogusReason).find((reason) => reason !== null);
  return bogus == null ? rcodeName(message.rcode) : `bogus: ${bogus}`;
};

/** What a validating resolver says of a SERVFAIL. @source RFC 8914 §4 */
const bogusReason = ({ code, octets }: { code: number; octets: Uint8Array }): string | null => {
  if (code !== 15 || octets.length < 2) return null;
  const info = ((octets[0] ?? 0) << 8) | (octets[1] ?? 0);
  const reasons: Readonly<Record<number, string>> = {
    6: 'DNSSEC signatures are wrong',
    7: 'a DNSSEC signature has expired',
    8: 'a DNSSEC signature is not valid yet',
    9: 'no DNSKEY fits the DS record',
    10: 'DNSSEC signatures are missing',
    11: 'the zone key bit is missing',
    12: 'the proof that there is no such name is missing',
  };
  return reasons[info] ?? null;
};

/** A name as it is asked for: A-labels, lower case, no final dot; null where it is none. */
const askedName = (given: string): string | null => {
  const plain = given.endsWith('.') && !given.endsWith('\\.') ? given.slice(0, -1) : given;
  if (plain === '' || plain.length > 1_020) return null;
  if (/^[ -~]*$/.test(plain)) {
    const name = plain.toLowerCase();
    return isDnsName(name) ? name : null;
  }
  // Label by label: `_dmarc` is none that IDNA knows.
  const labels = plain
    .split('.')
    .map((label) => (/^[ -~]+$/.test(label) ? label.toLowerCase() : toAscii(label)));
  const name = labels.join('.');
  return labels.includes(null) || !isDnsName(name) ? null : name;
};

const addressOf = (data: DnsData): string | null => (data.kind === 'address' ? data.address : null);

const mapped = <T>(answer: RawAnswer, read: (data: DnsData) => T | null): DnsAnswer<T> => {
  if (answer.kind !== 'found') return answer;
  return { ...answer, records: answer.records.flatMap((data) => read(data) ?? []) };
};
