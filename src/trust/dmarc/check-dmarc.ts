import { toAscii } from '#base/idna';
import type { Dns } from '#trust/dns';
import type { DmarcPolicy, DmarcRecord, DmarcRequest, DmarcResult } from './dmarc-result.ts';
import { type FoundRecord, psdOf, RecordFinder } from './tree-walk.ts';

/** domains in From that are checked; more fail without a look at any: no author needs them, and one could hide behind them */
const authorDomainsMax = 8;
const reasonLengthMax = 400;

/**
 * Finds the policy of the author's domain and says whether SPF or DKIM speaks for it.
 *
 * Several different domains in From are each checked; `pass` only where all pass, the strictest policy otherwise.
 *
 * @returns always; never throws
 * @source RFC 9989 §4.10, §5.3
 */
export const checkDmarc = async (request: DmarcRequest): Promise<DmarcResult> => {
  const authorDomains: string[] = [];
  let hasBad = false;
  for (const given of request.from) {
    const domain = plainDomain(given);
    if (domain === null) hasBad = true;
    else if (!authorDomains.includes(domain)) authorDomains.push(domain);
  }
  const empty = emptyResult(request, authorDomains);
  if (authorDomains.length > authorDomainsMax)
    return {
      ...empty,
      result: 'fail',
      policy: 'reject',
      reason: `From has more than ${authorDomainsMax} domains`,
    };
  const results: DmarcResult[] = [];
  // What is no domain spares nobody the checks of what is one.
  if (hasBad || authorDomains.length === 0)
    results.push({ ...empty, result: 'permerror', reason: 'From has no address, or one that is none' });
  const finder = new RecordFinder(request.dns);
  for (const authorDomain of authorDomains)
    results.push(await checkAuthor({ ...empty, authorDomain }, request, finder));
  // RFC 9989 §5.3.1 leaves several authors to the receiver: the strictest policy among those that fail counts.
  const [worst = empty] = results.sort((a, b) => severity(b) - severity(a));
  return worst;
};

const severity = ({ result, policy }: DmarcResult): number =>
  ['pass', 'none', 'permerror', 'temperror', 'fail'].indexOf(result) * 10 +
  ['none', 'quarantine', 'reject'].indexOf(policy ?? 'none');

const emptyResult = ({ spf, dkim }: DmarcRequest, authorDomains: readonly string[]): DmarcResult => ({
  result: 'none',
  authorDomain: authorDomains[0] ?? '',
  authorDomains,
  organizationalDomain: null,
  recordDomain: null,
  recordText: null,
  record: null,
  policyTag: null,
  publishedPolicy: null,
  policy: null,
  isTesting: false,
  spf: spf && { domain: plainDomain(spf.domain) ?? spf.domain, result: spf.result, isAligned: false },
  dkim: dkim.map((each) => ({ ...each, domain: plainDomain(each.domain) ?? each.domain, isAligned: false })),
  isSignedByOrganization: false,
  reason: null,
  authenticated: false,
});

/** A-labels in lower case, without a final dot; null where it is no domain. */
const plainDomain = (given: string): string | null => {
  const plain = given.endsWith('.') ? given.slice(0, -1) : given;
  const domain = /^[!-~]*$/.test(plain) ? plain.toLowerCase() : toAscii(plain);
  if (domain === null || domain.length > 253) return null;
  return domain.split('.').every((label) => /^[^[\]\\":,;<>()@]{1,63}$/.test(label)) ? domain : null;
};

const checkAuthor = async (
  empty: DmarcResult,
  { dns }: DmarcRequest,
  finder: RecordFinder,
): Promise<DmarcResult> => {
  const { authorDomain } = empty;
  const own = await finder.find(authorDomain);
  if (own.kind === 'unavailable') return { ...empty, result: 'temperror', reason: forPeople(own.why) };
  const walk = await finder.walk(authorDomain);
  if (own.kind === 'none' && walk.kind === 'unavailable')
    return { ...empty, result: 'temperror', reason: forPeople(walk.why) };
  const organization = walk.kind === 'walked' ? walk.organizationalDomain : null;
  const found =
    own.kind === 'found'
      ? own.record
      : walk.kind === 'walked'
        ? recordAbove(walk.records, walk.organizationalDomain)
        : null;
  const known = { ...empty, organizationalDomain: organization };
  if (found === null) return { ...known, reason: `no DMARC record for ${authorDomain}` };
  const withRecord = {
    ...known,
    recordDomain: found.domain,
    recordText: found.text,
    authenticated: found.authenticated,
  };
  if (found.read.kind === 'unusable')
    return {
      ...withRecord,
      result: 'permerror',
      reason: forPeople(`DMARC record of ${found.domain}: ${found.read.why}`),
    };
  const { record } = found.read;
  const applied = await policyFor(dns, authorDomain, found.domain, record);
  const aligned = await align({ ...withRecord, record }, record, organization, finder);
  const told: DmarcResult = {
    ...aligned.result,
    record,
    isTesting: record.t,
    ...(applied.kind === 'policy'
      ? {
          policyTag: applied.tag,
          publishedPolicy: applied.policy,
          policy: record.t ? weaker(applied.policy) : applied.policy,
        }
      : {}),
  };
  const passes = (result: string): boolean => result === 'pass';
  const isAlignedWith = (test: (result: string) => boolean): boolean =>
    [...told.dkim, ...(told.spf === null ? [] : [told.spf])].some(
      (each) => each.isAligned && test(each.result),
    );
  if (isAlignedWith(passes)) return { ...told, result: 'pass' };
  // RFC 9989 §5.3.6: who might pass once DNS answers cannot be told to have failed.
  if (aligned.unavailable !== null)
    return { ...told, result: 'temperror', reason: forPeople(aligned.unavailable) };
  if (isAlignedWith((result) => result === 'temperror'))
    return { ...told, result: 'temperror', reason: `SPF or DKIM of ${authorDomain} could not be checked` };
  if (applied.kind === 'unavailable') return { ...told, result: 'temperror', reason: forPeople(applied.why) };
  const isSignedByOrganization =
    record.adkim === 's' &&
    (await align(told, { ...record, adkim: 'r' }, organization, finder)).result.dkim.some(
      (each) => each.isAligned && passes(each.result),
    );
  return {
    ...told,
    result: 'fail',
    isSignedByOrganization,
    reason: `neither SPF nor DKIM passed for ${authorDomain}`,
  };
};

/** The organisational domain's record, else the public suffix's. @source RFC 9989 §4.10.1 */
const recordAbove = (records: readonly FoundRecord[], organization: string): FoundRecord | null =>
  records.find(({ domain }) => domain === organization) ??
  records.find((record) => psdOf(record) === 'y') ??
  null;

type Applied =
  | { readonly kind: 'policy'; readonly tag: 'p' | 'sp' | 'np'; readonly policy: DmarcPolicy }
  | { readonly kind: 'unavailable'; readonly why: string };

/** @source RFC 9989 §4.7 (np, sp), §4.10.1 */
const policyFor = async (dns: Dns, author: string, at: string, record: DmarcRecord): Promise<Applied> => {
  if (author === at) return { kind: 'policy', tag: 'p', policy: record.p };
  const forExisting: Applied =
    record.sp === null
      ? { kind: 'policy', tag: 'p', policy: record.p }
      : { kind: 'policy', tag: 'sp', policy: record.sp };
  if (record.np === null) return forExisting;
  const exists = await domainExists(dns, author);
  if (exists === 'unknown') {
    return record.np === forExisting.policy
      ? forExisting
      : { kind: 'unavailable', why: `whether ${author} exists could not be found out` };
  }
  return exists === 'yes' ? forExisting : { kind: 'policy', tag: 'np', policy: record.np };
};

/** Not there: NXDOMAIN, or neither A, AAAA nor MX. @source RFC 9989 §3 (non-existent domains) */
const domainExists = async (dns: Dns, domain: string): Promise<'yes' | 'no' | 'unknown'> => {
  let isUnknown = false;
  for (const ask of [() => dns.mx(domain), () => dns.a(domain), () => dns.aaaa(domain)]) {
    const answer = await ask().catch(() => ({ kind: 'unavailable' as const }));
    if (answer.kind === 'found') return 'yes';
    if (answer.kind === 'none' && answer.why === 'nxdomain') return 'no';
    isUnknown ||= answer.kind === 'unavailable';
  }
  return isUnknown ? 'unknown' : 'no';
};

/** @source RFC 9989 §4.7, tag t */
const weaker = (policy: DmarcPolicy): DmarcPolicy => (policy === 'reject' ? 'quarantine' : 'none');

/** Which identifiers are aligned; `unavailable` says why one with pass or temperror could not be told. */
const align = async (
  result: DmarcResult,
  record: DmarcRecord,
  organization: string | null,
  finder: RecordFinder,
): Promise<{ result: DmarcResult; unavailable: string | null }> => {
  const { authorDomain } = result;
  let unavailable: string | null = null;
  const isAligned = async (domain: string, mode: 'r' | 's', word: string): Promise<boolean> => {
    if (domain === authorDomain) return true;
    if (mode === 's') return false;
    const counts = word === 'pass' || word === 'temperror';
    if (organization === null) {
      if (counts && shareTopLabel(domain, authorDomain))
        unavailable = `the organisational domain of ${authorDomain} could not be found out`;
      return false;
    }
    // Two domains of one organisation are both at or below it: nobody else is worth a walk.
    if (domain !== organization && !domain.endsWith(`.${organization}`)) return false;
    if (!counts) return false;
    const walk = await finder.walk(domain);
    if (walk.kind === 'unavailable') {
      unavailable = walk.why;
      return false;
    }
    return walk.organizationalDomain === organization;
  };
  const dkim = [];
  for (const each of result.dkim)
    dkim.push({ ...each, isAligned: await isAligned(each.domain, record.adkim, each.result) });
  const spf = result.spf && {
    ...result.spf,
    isAligned: await isAligned(result.spf.domain, record.aspf, result.spf.result),
  };
  return { result: { ...result, dkim, spf }, unavailable };
};

const shareTopLabel = (a: string, b: string): boolean =>
  a.slice(a.lastIndexOf('.') + 1) === b.slice(b.lastIndexOf('.') + 1);

const forPeople = (reason: string): string => reason.replaceAll(/[^ -~]/g, '?').slice(0, reasonLengthMax);
