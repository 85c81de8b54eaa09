export type DnsAnswer<T> =
  | {
      readonly kind: 'found';
      readonly records: readonly T[];
      /** the resolver is trusted to validate and set AD (RFC 4035 §3.2.3) */
      readonly authenticated: boolean;
      /** seconds that the answer may be kept, at least 0 */
      readonly ttl: number;
    }
  | {
      readonly kind: 'none';
      /** the name is not there, or has no record of this type (RFC 2308 §2.1, §2.2) */
      readonly why: 'nxdomain' | 'nodata';
      readonly authenticated: boolean;
      readonly ttl: number;
    }
  | {
      readonly kind: 'unavailable';
      /** for people: `timeout`, `SERVFAIL`, `bogus`, `CNAME chain longer than 8` … */
      readonly why: string;
    };

export interface MxRecord {
  readonly preference: number;
  /** absolute, without the final dot; `''` is the null MX (RFC 7505) */
  readonly exchange: string;
}

/**
 * Names are given in A-labels, with or without the final dot; octets of TXT strings are joined (RFC 7208 §3.3, RFC 6376
 * §3.6.2.2). No method throws or rejects: whatever goes wrong is `unavailable`.
 */
export interface Dns {
  txt(name: string): Promise<DnsAnswer<Uint8Array>>;
  /** in text, as `192.0.2.1` */
  a(name: string): Promise<DnsAnswer<string>>;
  /** in text, in the form of RFC 5952 */
  aaaa(name: string): Promise<DnsAnswer<string>>;
  mx(name: string): Promise<DnsAnswer<MxRecord>>;
  /** names that an address, in text, points back to; without the final dot */
  ptr(address: string): Promise<DnsAnswer<string>>;
}
