import type { Dns } from '#trust/dns';

/** RFC 9989 with the words of RFC 8601 §2.7 and RFC 7489 §11.2 */
export type DmarcWord = 'pass' | 'fail' | 'none' | 'temperror' | 'permerror';

export type DmarcPolicy = 'none' | 'quarantine' | 'reject';

/** one DKIM signature as it was checked; only `pass` counts */
export interface DmarcDkim {
  /** `d=`, in A-labels */
  readonly domain: string;
  /** `s=` */
  readonly selector: string;
  readonly result: string;
}

export interface DmarcRequest {
  readonly dns: Dns;
  /** the domains of all addresses in From, as written: U-labels and capitals are taken; none or several are handled */
  readonly from: readonly string[];
  /** SPF of MAIL FROM (of HELO with the null reverse-path); null where it was not checked */
  readonly spf: { readonly domain: string; readonly result: string } | null;
  readonly dkim: readonly DmarcDkim[];
}

/** a record as published, with defaults filled in (RFC 9989 §4.7) */
export interface DmarcRecord {
  readonly p: DmarcPolicy;
  readonly sp: DmarcPolicy | null;
  readonly np: DmarcPolicy | null;
  /** testing: policies count one step weaker */
  readonly t: boolean;
  readonly psd: 'y' | 'n' | 'u';
  readonly adkim: 'r' | 's';
  readonly aspf: 'r' | 's';
  readonly fo: readonly string[];
  /** URIs as written, without RFC 7489's size limits */
  readonly rua: readonly string[];
  readonly ruf: readonly string[];
}

export interface DmarcSpfAlignment {
  readonly domain: string;
  readonly result: string;
  readonly isAligned: boolean;
}

export interface DmarcDkimAlignment extends DmarcDkim {
  readonly isAligned: boolean;
}

export interface DmarcResult {
  readonly result: DmarcWord;
  /** the author's domain that decided, in A-labels; `''` where From has none */
  readonly authorDomain: string;
  /** every domain in From, in A-labels, each once */
  readonly authorDomains: readonly string[];
  /** null where none could be found out */
  readonly organizationalDomain: string | null;
  /** the domain whose `_dmarc` record applies, or null */
  readonly recordDomain: string | null;
  /** that record as published, or null */
  readonly recordText: string | null;
  readonly record: DmarcRecord | null;
  /** which tag of the record applies to the author's domain */
  readonly policyTag: 'p' | 'sp' | 'np' | null;
  /** what that tag says, before `t` */
  readonly publishedPolicy: DmarcPolicy | null;
  /** what is asked for this message should it fail: `publishedPolicy`, one step weaker with `t=y`; null without record (but `reject` where From has more domains than are checked) */
  readonly policy: DmarcPolicy | null;
  readonly isTesting: boolean;
  readonly spf: DmarcSpfAlignment | null;
  /** in the order given */
  readonly dkim: readonly DmarcDkimAlignment[];
  /**
   * with `fail`: a signature that passed is of the author's organisation, but not of the very domain that the record asks for (`adkim=s`)
   */
  readonly isSignedByOrganization: boolean;
  /** why it is not `pass`, in English, for the sender's administrator; null with `pass` */
  readonly reason: string | null;
  /** the record's answer was authenticated by DNSSEC */
  readonly authenticated: boolean;
}
