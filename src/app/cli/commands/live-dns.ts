import { latin1 } from '#base/bytes';
import { isDmarcRecord, parseDmarcRecord } from '#trust/dmarc';
import type { Dns, DnsAnswer } from '#trust/dns';
import { isSpfRecord, parseSpfRecord } from '#trust/spf';

/** Whether the public DNS leads a domain's mail to this server. "Could not be asked" is never "no". */
export type MxVerdict =
  | { kind: 'live' }
  | { kind: 'absent' }
  | { kind: 'other'; found: readonly string[] }
  | { kind: 'unavailable'; reason: string };

export const checkMx = async (dns: Dns, domain: string, hostname: string): Promise<MxVerdict> => {
  const answer = await dns.mx(domain);
  if (answer.kind === 'unavailable') return { kind: 'unavailable', reason: answer.why };
  if (answer.kind === 'none') return { kind: 'absent' };
  const found = [...answer.records].sort((a, b) => a.preference - b.preference);
  const isOurs = found.some(({ exchange }) => exchange === hostname.toLowerCase());
  if (isOurs) return { kind: 'live' };
  return {
    kind: 'other',
    found: found.map(({ preference, exchange }) => `${preference} ${exchange || '.'}`),
  };
};

/** The addresses of a name, of both kinds; empty where there are none. */
export type HostVerdict =
  | { kind: 'found'; addresses: readonly string[] }
  | { kind: 'unavailable'; reason: string };

export const checkHost = async (dns: Dns, hostname: string): Promise<HostVerdict> => {
  const answers = await Promise.all([dns.a(hostname), dns.aaaa(hostname)]);
  const addresses = answers.flatMap((answer) => (answer.kind === 'found' ? answer.records : []));
  const failed = answers.find((answer) => answer.kind === 'unavailable');
  if (addresses.length === 0 && failed?.kind === 'unavailable')
    return { kind: 'unavailable', reason: failed.why };
  return { kind: 'found', addresses };
};

/** A record that is published once or not at all, read as a receiver reads it. */
export type RecordVerdict =
  | { kind: 'good'; text: string }
  | { kind: 'bad'; why: string; text: string }
  | { kind: 'several'; count: number }
  | { kind: 'none' }
  | { kind: 'unavailable'; reason: string };

export const checkSpfRecord = async (dns: Dns, domain: string): Promise<RecordVerdict> =>
  oneOf(await dns.txt(domain), isSpfRecord, (text) => {
    const read = parseSpfRecord(text);
    return read.kind === 'error' ? read.why : null;
  });

export const checkDmarcRecord = async (dns: Dns, domain: string): Promise<RecordVerdict> =>
  oneOf(await dns.txt(`_dmarc.${domain}`), isDmarcRecord, (text) => {
    const read = parseDmarcRecord(text);
    if (read.kind === 'unusable') return read.why;
    return read.bad.length > 0 ? `tag without a valid value: ${read.bad.join(', ')}` : null;
  });

const oneOf = (
  answer: DnsAnswer<Uint8Array>,
  isOne: (text: string) => boolean,
  faultOf: (text: string) => string | null,
): RecordVerdict => {
  if (answer.kind === 'unavailable') return { kind: 'unavailable', reason: answer.why };
  const texts = answer.kind === 'none' ? [] : answer.records.map(latin1).filter(isOne);
  const [text, second] = texts;
  if (text === undefined) return { kind: 'none' };
  if (second !== undefined) return { kind: 'several', count: texts.length };
  const why = faultOf(text);
  const printable = text.replaceAll(/[^ -~]/g, '?').slice(0, 1_000);
  return why === null ? { kind: 'good', text: printable } : { kind: 'bad', why, text: printable };
};
