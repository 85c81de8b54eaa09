import { parseIp, reverseName } from '#base/ip-address';
import { dnsTypes } from '#protocols/dns';
import type { Dns, DnsAnswer, MxRecord } from '#trust/dns';

/** What goes wrong instead of an answer. */
export type ZoneFault = 'SERVFAIL' | 'REFUSED' | 'TIMEOUT';

/** The records of one name. A TXT value of several strings is an array; characters are octets (latin-1). */
export interface ZoneRecords {
  readonly A?: readonly string[];
  readonly AAAA?: readonly string[];
  readonly MX?: readonly (readonly [preference: number, exchange: string])[];
  readonly TXT?: readonly (string | readonly string[])[];
  readonly PTR?: readonly string[];
  readonly NS?: readonly string[];
  readonly CNAME?: string;
  /** seconds for answers that are negative, below this name */
  readonly SOA?: { readonly minimum: number; readonly ttl?: number };
  /** seconds; 300 */
  readonly ttl?: number;
  /** for every type, or for one of them */
  readonly fault?: ZoneFault | { readonly [Type in ZoneType]?: ZoneFault };
}

export type ZoneType = 'A' | 'AAAA' | 'MX' | 'TXT' | 'PTR' | 'NS';

/** Names in lower case without a final dot; an address stands for the name under which it points back. */
export type Zone = Readonly<Record<string, ZoneRecords>>;

export const ttlDefault = 300;

export const faultOf = (records: ZoneRecords | undefined, type: string): ZoneFault | null => {
  const fault = records?.fault;
  if (fault === undefined) return null;
  return typeof fault === 'string' ? fault : (fault[type as ZoneType] ?? null);
};

/** The zone with addresses turned into the names under which they point back, all in lower case. */
export const zoneByName = (zone: Zone): Map<string, ZoneRecords> =>
  new Map(
    Object.entries(zone).map(([key, records]) => {
      const octets = parseIp(key);
      return [octets === null ? key.toLowerCase() : reverseName(octets), records];
    }),
  );

/** A name is there when it, or one below it, has records (RFC 8020). */
export const nameExists = (names: ReadonlyMap<string, ZoneRecords>, name: string): boolean =>
  names.has(name) || [...names.keys()].some((each) => each.endsWith(`.${name}`));

export const typeName = (type: number): string =>
  Object.entries(dnsTypes).find(([, value]) => value === type)?.[0] ?? String(type);

export interface ZoneDns extends Dns {
  /** `TXT example.org`, one an asking, in order */
  readonly asked: readonly string[];
}

/** DNS out of a zone, without a socket: for tests of engines. */
export const zoneDns = (zone: Zone, options: { readonly authenticated?: boolean } = {}): ZoneDns => {
  const names = zoneByName(zone);
  const asked: string[] = [];
  const authenticated = options.authenticated ?? false;

  const ask = <T>(
    type: ZoneType,
    asks: string,
    read: (records: ZoneRecords) => readonly T[] | undefined,
  ): DnsAnswer<T> => {
    let name = asks.toLowerCase().replace(/\.$/, '');
    asked.push(`${type} ${name}`);
    for (let hops = 0; hops <= 8; hops++) {
      const records = names.get(name);
      const fault = faultOf(records, type);
      if (fault !== null) return { kind: 'unavailable', why: fault === 'TIMEOUT' ? 'timeout' : fault };
      const ttl = records?.ttl ?? ttlDefault;
      const found = records === undefined ? undefined : read(records);
      if (found !== undefined && found.length > 0)
        return { kind: 'found', records: found, authenticated, ttl };
      if (records?.CNAME === undefined) {
        const why = nameExists(names, name) ? 'nodata' : 'nxdomain';
        return { kind: 'none', why, authenticated, ttl };
      }
      name = records.CNAME.toLowerCase().replace(/\.$/, '');
    }
    return { kind: 'unavailable', why: 'CNAME chain longer than 8' };
  };

  return {
    asked,
    txt: async (name) =>
      ask('TXT', name, ({ TXT }) => TXT?.map((text) => Buffer.from([text].flat().join(''), 'latin1'))),
    a: async (name) => ask('A', name, ({ A }) => A),
    aaaa: async (name) => ask('AAAA', name, ({ AAAA }) => AAAA),
    mx: async (name) =>
      ask<MxRecord>('MX', name, ({ MX }) =>
        MX?.map(([preference, exchange]) => ({ preference, exchange: exchange.replace(/\.$/, '') })),
      ),
    ptr: async (address) => {
      const octets = parseIp(address);
      if (octets === null) return { kind: 'unavailable', why: `not an address: ${address}` };
      return ask('PTR', reverseName(octets), ({ PTR }) => PTR?.map((name) => name.replace(/\.$/, '')));
    },
  };
};
