import { latin1 } from '#base/bytes';
import { isDmarcRecord, parseDmarcRecord } from './dmarc-record.ts';

export const seeds: Uint8Array[] = [
  'v=DMARC1; p=reject; sp=quarantine; np=reject; t=y; psd=n; adkim=s; aspf=r; fo=1:d:s',
  'v=DMARC1;p=none;rua=mailto:a@example.org!10m, https://example.org/x; ruf=mailto:b@example.org',
  'v = DMARC1 ; p = none ;;; pct=0; rf=afrf; ri=3600',
  'v=DMARC1; p=rejekt; rua=mailto:a@example.org',
  'v=DMARC1; p=reject; p=none',
  'v=DMARC1',
].map((text) => Buffer.from(text));

/** Whatever stands in a record, what comes out of it is one of the words of the RFC. */
export const run = (data: Uint8Array): void => {
  const text = latin1(data);
  if (!isDmarcRecord(text)) return;
  const read = parseDmarcRecord(text);
  if (read.kind === 'unusable') {
    if (!/^[ -~]+$/.test(read.why) || !'ynu'.includes(read.psd))
      throw new Error('a reason that cannot be shown');
    return;
  }
  const { p, sp, np, adkim, aspf, psd, rua, ruf, fo } = read.record;
  for (const policy of [p, sp ?? 'none', np ?? 'none'])
    if (!['none', 'quarantine', 'reject'].includes(policy)) throw new Error(`policy ${policy}`);
  if (!'rs'.includes(adkim) || !'rs'.includes(aspf) || !'ynu'.includes(psd)) throw new Error('a mode');
  if (!fo.every((each) => /^[01ds]$/.test(each))) throw new Error('fo');
  if (![...rua, ...ruf].every((uri) => /^[!-~]+$/.test(uri) && !uri.includes(';'))) throw new Error('a URI');
  if (read.bad.some((name) => ['p', 'sp', 'np'].includes(name)) && (p !== 'none' || rua.length === 0))
    throw new Error('a policy out of a broken tag');
};
