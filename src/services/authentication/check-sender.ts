import type { Clock } from '#base/clock';
import { toAscii } from '#base/idna';
import { isLoopback } from '#base/ip-address';
import { type InboundTransaction, type Refusal, refusal } from '#protocols/smtp';
import { type ArcResult, beginArc } from '#trust/arc';
import { beginDkim, type DkimOutcome, type KeyEvidence, type SignedHeader, SignedMessage } from '#trust/dkim';
import { checkDmarc, type DmarcResult } from '#trust/dmarc';
import type { Dns } from '#trust/dns';
import { encodeResults, type MethodResult, parseResults } from '#trust/results';
import { checkSpf, type SpfResult } from '#trust/spf';
import { authorDomains } from './author-domains.ts';
import { arcResult, dkimResults, dmarcResult, reverseResult, spfResult } from './method-results.ts';
import { createPatientDns } from './patient-dns.ts';
import { checkReverseName, type ReverseName } from './reverse-name.ts';

export interface AuthenticationPolicy {
  /** what is done about DMARC's reject and quarantine */
  readonly dmarc: 'obey' | 'junk' | 'report';
  /** what is done about a message that has results with our name in it already */
  readonly forgedResults: 'keep' | 'reject';
  /** domains whose seal softens a reject, in A-labels */
  readonly trustedSealers: readonly string[];
}

export interface AuthenticationOptions {
  readonly dns: Dns;
  /** our name in Authentication-Results */
  readonly hostname: string;
  readonly clock: Clock;
  readonly policy: AuthenticationPolicy;
  /** addresses of relays and clients of our own: their SPF, DMARC and reverse names say nothing about the sender */
  isExempt(address: string): boolean;
  /** counts each result and what was done, by names that `/metrics` knows */
  count?(name: string): void;
  /** how long answers are waited for once a message is complete, in milliseconds; 20 s where it is left out */
  readonly patienceMs?: number;
}

export type JunkReason =
  /** the author's domain asks for it */
  | 'quarantine'
  /** `[authentication] dmarc = "junk"` */
  | 'policy'
  | 'trusted-sealer'
  | 'kept-mail'
  /** nobody could say who the author is */
  | 'header-limit';

/** What is done with a message. */
export type Disposition =
  | { readonly kind: 'accept' }
  | { readonly kind: 'junk'; readonly why: JunkReason }
  | { readonly kind: 'refuse'; readonly why: 'dmarc' | 'forged-results'; readonly refusal: Refusal }
  /**
   * Refused for every account but those that keep mail from this domain or one below it: for them it goes to Junk, and then `results` are
   * what is said.
   */
  | {
      readonly kind: 'refuse-unless-kept';
      readonly why: 'dmarc';
      readonly refusal: Refusal;
      readonly domain: string;
      readonly results: readonly string[];
    };

export interface SenderFindings {
  /** values of Authentication-Results, a method each */
  readonly results: readonly string[];
  readonly keys: readonly KeyEvidence[];
  /** the peer's name, where it points back */
  readonly reverseName: string | null;
  readonly disposition: Disposition;
}

/** The checks of one message. Calls come one after the other. */
export interface SenderChecks {
  write(octets: Uint8Array): void;
  /** The message is complete. Fulfilled when every check has ended, or its time is over; rejected by a mistake of ours alone. */
  finish(): Promise<SenderFindings>;
  /** The message will not be completed. */
  abort(): void;
}

export interface Authentication {
  /** What can be known before the message: SPF and the reverse name. Asked again for the same transaction it does nothing. */
  prepare(transaction: InboundTransaction): void;
  /** @param ownDomains the domains of the recipients, in A-labels: this server's own */
  begin(transaction: InboundTransaction, ownDomains: ReadonlySet<string>): SenderChecks;
}

/** octets of all results together: with the rest of a prefix they stay below its 8 kB */
const resultsOctetsMax = 5_500;
const patienceMsDefault = 20_000;
const replyTextMax = 400;

/** Finds out who vouches for messages, and what is to be done with them (RFC 7208, 6376, 8617, 9989, 8601). */
export const createAuthentication = (options: AuthenticationOptions): Authentication => {
  const prepared = new WeakMap<InboundTransaction, Prepared>();
  const prepare = (transaction: InboundTransaction): Prepared => {
    const known = prepared.get(transaction);
    if (known !== undefined) return known;
    const { address, via } = transaction.peer;
    // LMTP comes from a relay of our own, which may say whose mail it is.
    const isOwnRelay = transaction.protocol.includes('LMTP') && via.length === 0;
    const isExempt = address === '' || isOwnRelay || options.isExempt(address);
    const dns = createPatientDns(options.dns);
    const fresh: Prepared = {
      dns,
      sender: isExempt
        ? null
        : {
            spf: checkSpf({
              dns,
              ip: address,
              helo: transaction.helo,
              mailFrom: transaction.mailFrom === '' ? null : transaction.mailFrom,
              receiver: options.hostname,
              nowMs: options.clock.nowMs(),
            }),
            reverse: checkReverseName(dns, address),
          },
    };
    // What goes wrong there is told by `finish`; nobody may wait for it where the message does not come.
    fresh.sender?.spf.catch(() => {});
    fresh.sender?.reverse.catch(() => {});
    prepared.set(transaction, fresh);
    return fresh;
  };
  return {
    prepare: (transaction) => {
      prepare(transaction);
    },
    begin: (transaction, ownDomains) => new Checks(options, transaction, prepare(transaction), ownDomains),
  };
};

interface Prepared {
  readonly dns: ReturnType<typeof createPatientDns>;
  /** null: a peer of our own */
  readonly sender: { readonly spf: Promise<SpfResult>; readonly reverse: Promise<ReverseName> } | null;
}

class Checks implements SenderChecks {
  readonly #options: AuthenticationOptions;
  readonly #transaction: InboundTransaction;
  readonly #prepared: Prepared;
  readonly #ownDomains: ReadonlySet<string>;
  readonly #message: SignedMessage;
  #header: SignedHeader = { fields: [], limit: null };
  #dkim: () => Promise<DkimOutcome> = async () => ({ results: [], uncheckedCount: 0 });
  #arc: (() => Promise<ArcResult>) | null = null;

  constructor(
    options: AuthenticationOptions,
    transaction: InboundTransaction,
    prepared: Prepared,
    ownDomains: ReadonlySet<string>,
  ) {
    this.#options = options;
    this.#transaction = transaction;
    this.#prepared = prepared;
    this.#ownDomains = ownDomains;
    const { dns } = prepared;
    this.#message = new SignedMessage((header, body) => {
      this.#header = header;
      this.#dkim = beginDkim(header, body, { dns, nowMs: options.clock.nowMs() });
      this.#arc = beginArc(header, body, { dns });
    });
  }

  write(octets: Uint8Array): void {
    this.#message.write(octets);
  }

  abort(): void {
    this.#prepared.dns.giveUp();
  }

  async finish(): Promise<SenderFindings> {
    this.#message.end();
    const { dns, sender } = this.#prepared;
    const timer = setTimeout(() => dns.giveUp(), this.#options.patienceMs ?? patienceMsDefault);
    try {
      const [dkim, arc, spf, reverse] = await Promise.all([
        this.#dkim(),
        this.#arc?.() ?? null,
        sender?.spf ?? null,
        sender?.reverse ?? null,
      ]);
      const dmarc =
        spf === null
          ? null
          : await checkDmarc({ dns, from: authorDomains(this.#header), spf, dkim: dkim.results });
      const { limit } = this.#header;
      // There may be another author where nobody looked.
      const known = dmarc === null || limit === null ? dmarc : { ...dmarc, ...cannotBeChecked(limit) };
      return this.#verdict({ dkim, arc, spf, reverse, dmarc: known });
    } finally {
      clearTimeout(timer);
    }
  }

  #verdict(found: Found): SenderFindings {
    const { dkim, arc, spf, reverse, dmarc } = found;
    const { hostname } = this.#options;
    const softenedBy = dmarc !== null && dmarc.policy === 'reject' ? this.#trustedSealer(arc) : null;
    const resultsWith = (whyTaken: string | null): MethodResult[] => {
      const results: MethodResult[] = [];
      if (reverse !== null) results.push(reverseResult(reverse, this.#transaction.peer.address));
      if (spf !== null) results.push(spfResult(spf, this.#transaction));
      if (dmarc !== null) results.push(dmarcResult(dmarc, whyTaken));
      const isSealed = arc !== null && arc.result !== 'none';
      if (isSealed) results.push(arcResult(arc));
      // A peer of our own that hands over unsigned mail: nothing was checked, and that is what is said.
      if (dmarc !== null || isSealed || dkim.results.length > 0) results.push(...dkimResults(dkim));
      return results;
    };
    const disposition = this.#disposition(found, softenedBy);
    const keys = new Map<string, KeyEvidence>();
    for (const { key } of dkim.results) if (key !== null) keys.set(key.name, key);
    for (const key of arc?.keys ?? []) keys.set(key.name, key);
    const results = resultsWith(
      softenedBy === null ? null : `${softenedBy}, which is trusted here, sealed it`,
    );
    for (const { method, result } of results) this.#options.count?.(`smtp-auth-${method}-${result}`);
    const encoded = (told: readonly MethodResult[]) => encodeResults(hostname, told, resultsOctetsMax);
    const signer = disposition.kind === 'refuse' ? softeningSigner(dmarc) : null;
    return {
      results: encoded(results),
      keys: [...keys.values()],
      reverseName: reverse?.name ?? null,
      disposition:
        disposition.kind !== 'refuse' || signer === null
          ? disposition
          : {
              kind: 'refuse-unless-kept',
              why: 'dmarc',
              refusal: disposition.refusal,
              domain: signer,
              results: encoded(resultsWith(`${signer} signed it, and mail from there was kept here`)),
            },
    };
  }

  #disposition({ spf, dkim, dmarc }: Found, softenedBy: string | null): Plain {
    const { policy } = this.#options;
    if (dmarc === null) return accept;
    if (policy.forgedResults === 'reject' && this.#hasForgedResults())
      return refuse(
        'forged-results',
        '5.7.1',
        `The message has an Authentication-Results field in the name of ${this.#options.hostname}, which only this server may write`,
      );
    if (policy.dmarc === 'report') return accept;
    // Kept, and not among the mail that is believed.
    if (this.#header.limit !== null) return { kind: 'junk', why: 'header-limit' };
    if (dmarc.result !== 'fail' || dmarc.policy === null || dmarc.policy === 'none') return accept;
    if (this.#isFromThisMachine(dmarc)) return accept;
    if (dmarc.policy === 'quarantine') return { kind: 'junk', why: 'quarantine' };
    if (policy.dmarc === 'junk') return { kind: 'junk', why: 'policy' };
    if (softenedBy !== null) return { kind: 'junk', why: 'trusted-sealer' };
    return refuse('dmarc', '5.7.26', refusalText(dmarc, spf, dkim));
  }

  /** Programs on this machine write in the name of its domains, and no record names 127.0.0.1. */
  #isFromThisMachine({ authorDomains }: DmarcResult): boolean {
    const { address } = this.#transaction.peer;
    return isLoopback(address) && authorDomains.every((domain) => this.#ownDomains.has(domain));
  }

  /** The last sealer of a chain that holds, where it is one that is trusted here. */
  #trustedSealer(arc: ArcResult | null): string | null {
    const domain = arc?.result === 'pass' ? arc.sealers.at(-1)?.domain : undefined;
    return domain !== undefined && this.#options.policy.trustedSealers.includes(domain) ? domain : null;
  }

  #hasForgedResults(): boolean {
    const own = toAscii(this.#options.hostname) ?? this.#options.hostname.toLowerCase();
    return this.#header.fields.some(({ name, raw }) => {
      if (name !== 'authentication-results') return false;
      const value = raw.slice(raw.indexOf(':') + 1);
      // One that cannot be read may still be believed by a careless reader.
      const named = parseResults(value)?.authservId ?? /^[\s"]*([^\s;"]*)/.exec(value)?.[1] ?? '';
      return (toAscii(named) ?? named.toLowerCase()) === own;
    });
  }
}

interface Found {
  readonly dkim: DkimOutcome;
  readonly arc: ArcResult | null;
  readonly spf: SpfResult | null;
  readonly reverse: ReverseName | null;
  readonly dmarc: DmarcResult | null;
}

type Plain = Exclude<Disposition, { readonly kind: 'refuse-unless-kept' }>;

/**
 * The organisation that signed what its own strict policy disowns (`adkim=s`); null where nobody did. Where From has several domains
 * the signature of one says nothing about the others.
 */
const softeningSigner = (dmarc: DmarcResult | null): string | null =>
  dmarc?.isSignedByOrganization === true && dmarc.authorDomains.length === 1
    ? dmarc.organizationalDomain
    : null;

const cannotBeChecked = (reason: string) => ({ result: 'permerror', reason }) as const;

const accept: Plain = { kind: 'accept' };

/** @source RFC 7372 §3 for the codes */
const refuse = (why: 'dmarc' | 'forged-results', enhanced: string, text: string): Plain => ({
  kind: 'refuse',
  why,
  refusal: refusal(550, enhanced, printable(text)),
});

/** What an administrator needs to find the mistake. */
const refusalText = (dmarc: DmarcResult, spf: SpfResult | null, dkim: DkimOutcome): string => {
  const signatures = dkim.results
    .slice(0, 3)
    .map(({ domain, result, reason }) => `DKIM ${domain}: ${result}${reason === null ? '' : `, ${reason}`}`);
  return [
    `DMARC of ${dmarc.recordDomain ?? dmarc.authorDomain} asks to reject mail from ${dmarc.authorDomain} that nobody vouches for`,
    `SPF ${spf?.domain ?? ''}: ${spf?.result ?? 'none'}`,
    ...(signatures.length === 0 ? ['no DKIM signature'] : signatures),
  ].join('; ');
};

/** A reply is one line of US-ASCII. */
const printable = (text: string): string => text.replace(/[^\x20-\x7e]+/g, '?').slice(0, replyTextMax);
