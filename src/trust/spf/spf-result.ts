import type { Dns } from '#trust/dns';

/** the results of RFC 7208 §2.6 */
export type SpfWord = 'none' | 'neutral' | 'pass' | 'fail' | 'softfail' | 'temperror' | 'permerror';

/** what was checked: the domain of MAIL FROM, or the name of HELO (also for the null reverse-path, RFC 7208 §2.4) */
export type SpfIdentity = 'mailfrom' | 'helo';

export interface SpfLimits {
  /** terms that ask DNS, RFC 7208 §4.6.4 */
  readonly lookupsMax: number;
  /** answers with nothing in them, RFC 7208 §4.6.4 */
  readonly voidLookupsMax: number;
  /** names of one MX or PTR answer that are followed, RFC 7208 §4.6.4 */
  readonly namesMax: number;
  /** octets of a record, RFC 7208 §3.4 says that it should be below 450 or so */
  readonly recordOctetsMax: number;
}

export interface SpfRequest {
  readonly dns: Dns;
  readonly limits?: Partial<SpfLimits>;
  /** the peer in text, IPv4 or IPv6, IPv4-mapped too */
  readonly ip: string;
  /** what the peer said in HELO or EHLO */
  readonly helo: string;
  /** the reverse-path without its brackets; null or `''` is the null reverse-path: the name of HELO is checked */
  readonly mailFrom: string | null;
  /** our host name, for the macro `r` */
  readonly receiver: string;
  /** for the macro `t`: milliseconds since 1970 */
  readonly nowMs: number;
}

export interface SpfResult {
  readonly result: SpfWord;
  readonly identity: SpfIdentity;
  /** the domain that was checked, in A-labels and lower case; as it was given where it is no domain */
  readonly domain: string;
  /** the mechanism that matched, as the record writes it (`include:_spf.example.org`), or null */
  readonly mechanism: string | null;
  /** what the domain says to refused senders (`exp=`), printable US-ASCII of a stranger, or null; only with `fail` */
  readonly explanation: string | null;
  /** why it is a permerror, temperror or none, in English, for the sender's administrator; null elsewhere */
  readonly reason: string | null;
  /** the record of `domain`, as published, or null */
  readonly record: string | null;
  /** terms that asked DNS, at most `lookupsMax` */
  readonly lookups: number;
  readonly voidLookups: number;
  /** every answer that led here was authenticated by DNSSEC */
  readonly authenticated: boolean;
}
