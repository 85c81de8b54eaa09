/** Types that we ask for or read (RFC 1035 §3.2.2, RFC 3596 §2.1, RFC 4034, RFC 6891). */
export const dnsTypes = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  RRSIG: 46,
  DNSKEY: 48,
  TLSA: 52,
} as const;

/** RFC 6895 §2.3 */
export const rcodes = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
};

/** For people: `SERVFAIL`, or `RCODE 11`. */
export const rcodeName = (rcode: number): string =>
  Object.entries(rcodes).find(([, value]) => value === rcode)?.[0] ?? `RCODE ${rcode}`;

export interface DnsQuestion {
  readonly name: string;
  readonly type: number;
  /** 1: the Internet */
  readonly class: number;
}

/** What a record says; `other` for types that are not read, with their octets as they stand. */
export type DnsData =
  /** A and AAAA, in text (RFC 5952) */
  | { readonly kind: 'address'; readonly address: string }
  /** CNAME, DNAME, NS, PTR */
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'mx'; readonly preference: number; readonly exchange: string }
  | { readonly kind: 'txt'; readonly strings: readonly Uint8Array[] }
  | {
      readonly kind: 'soa';
      readonly mname: string;
      readonly rname: string;
      readonly serial: number;
      readonly refresh: number;
      readonly retry: number;
      readonly expire: number;
      /** seconds that a negative answer may be kept (RFC 2308 §4) */
      readonly minimum: number;
    }
  | { readonly kind: 'other'; readonly octets: Uint8Array };

export interface DnsRecord {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** seconds, 0 to 2^31 - 1 (RFC 2181 §8) */
  readonly ttl: number;
  readonly data: DnsData;
}

/** @source RFC 6891 §6.1 */
export interface DnsEdns {
  readonly udpOctetsMax: number;
  readonly version: number;
  /** DO: send DNSSEC records (RFC 3225) */
  readonly dnssecOk: boolean;
  readonly options: readonly { readonly code: number; readonly octets: Uint8Array }[];
}

/** @source RFC 1035 §4.1, RFC 2535 §6.1 (AD, CD) */
export interface DnsMessage {
  readonly id: number;
  readonly isResponse: boolean;
  readonly opcode: number;
  readonly isAuthoritative: boolean;
  /** the sender had to cut: a message that was read with this has its questions only */
  readonly isTruncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  /** 12 bits: with the upper ones of EDNS */
  readonly rcode: number;
  readonly questions: readonly DnsQuestion[];
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  /** without OPT */
  readonly additionals: readonly DnsRecord[];
  readonly edns: DnsEdns | null;
}

export type DnsDecoded =
  | { readonly kind: 'message'; readonly message: DnsMessage }
  /** `why` in English, for the log */
  | { readonly kind: 'malformed'; readonly why: string };
