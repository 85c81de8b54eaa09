import { latin1 } from '#base/bytes';
import type { Dns } from '#trust/dns';
import { type DmarcRecordRead, isDmarcRecord, parseDmarcRecord } from './dmarc-record.ts';

/** look-ups of one walk (RFC 9989 §4.10) */
const walkLabelsMax = 8;
/** look-ups of one message, all walks together; a name is asked for once */
const lookupsMax = 40;

export interface FoundRecord {
  /** without `_dmarc.` */
  readonly domain: string;
  readonly text: string;
  readonly read: DmarcRecordRead;
  readonly authenticated: boolean;
}

export type RecordLookup =
  | { readonly kind: 'found'; readonly record: FoundRecord }
  | { readonly kind: 'none' }
  | { readonly kind: 'unavailable'; readonly why: string };

export type Walk =
  | {
      readonly kind: 'walked';
      /** in the order found: from the domain upwards */
      readonly records: readonly FoundRecord[];
      readonly organizationalDomain: string;
    }
  | { readonly kind: 'unavailable'; readonly why: string };

/** Policy records by domain, each asked for once a message. */
export class RecordFinder {
  readonly #dns: Dns;
  readonly #asked = new Map<string, Promise<RecordLookup>>();

  constructor(dns: Dns) {
    this.#dns = dns;
  }

  /** The one record of a domain; several are as none (RFC 9989 §4.10, step 2). */
  find(domain: string): Promise<RecordLookup> {
    let asked = this.#asked.get(domain);
    if (asked === undefined) {
      asked =
        this.#asked.size >= lookupsMax
          ? Promise.resolve({ kind: 'unavailable', why: `more than ${lookupsMax} look-ups` })
          : this.#ask(domain);
      this.#asked.set(domain, asked);
    }
    return asked;
  }

  async #ask(domain: string): Promise<RecordLookup> {
    const name = `_dmarc.${domain}`;
    // A name too long to be asked for has no record.
    if (name.length > 253) return { kind: 'none' };
    const answer = await this.#dns
      .txt(name)
      .catch((error: unknown) => ({ kind: 'unavailable' as const, why: String(error) }));
    if (answer.kind === 'unavailable') return { kind: 'unavailable', why: `TXT ${name}: ${answer.why}` };
    if (answer.kind === 'none') return { kind: 'none' };
    const texts = answer.records.map(latin1).filter(isDmarcRecord);
    const [text] = texts;
    if (text === undefined || texts.length > 1) return { kind: 'none' };
    return {
      kind: 'found',
      record: { domain, text, read: parseDmarcRecord(text), authenticated: answer.authenticated },
    };
  }

  /**
   * From a domain up to its top label, at most 8 look-ups, ended by a record with `psd=y` or `psd=n`.
   *
   * @source RFC 9989 §4.10, §4.10.2
   */
  async walk(domain: string): Promise<Walk> {
    const records: FoundRecord[] = [];
    for (const target of walkTargets(domain)) {
      const lookup = await this.find(target);
      if (lookup.kind === 'unavailable') return lookup;
      if (lookup.kind === 'none') continue;
      records.push(lookup.record);
      if (psdOf(lookup.record) !== 'u') break;
    }
    return { kind: 'walked', records, organizationalDomain: organizationalDomain(domain, records) };
  }
}

/** The domain, then 7 labels of it or one less than it has, then one less each time. */
export const walkTargets = (domain: string): string[] => {
  const labels = domain.split('.');
  const targets = [domain];
  for (let count = Math.min(labels.length - 1, walkLabelsMax - 1); count >= 1; count--)
    targets.push(labels.slice(-count).join('.'));
  return targets;
};

export const psdOf = ({ read }: FoundRecord): 'y' | 'n' | 'u' =>
  read.kind === 'record' ? read.record.psd : read.psd;

/** @source RFC 9989 §4.10.2 */
const organizationalDomain = (start: string, records: readonly FoundRecord[]): string => {
  for (const record of records) {
    if (psdOf(record) === 'n') return record.domain;
    if (psdOf(record) === 'y' && record.domain !== start) {
      const labels = start.split('.');
      return labels.slice(-(record.domain.split('.').length + 1)).join('.');
    }
  }
  // The one with the fewest labels; without any, the domain is its own.
  return records.at(-1)?.domain ?? start;
};
