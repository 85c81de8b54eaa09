import type { DmarcPolicy, DmarcRecord } from './dmarc-result.ts';

export type DmarcRecordRead =
  | {
      readonly kind: 'record';
      readonly record: DmarcRecord /** tags that were not valid */;
      readonly bad: readonly string[];
    }
  /** no DMARC processing (RFC 9989 §4.10.1); what `psd` says still counts for a tree walk */
  | { readonly kind: 'unusable'; readonly why: string; readonly psd: 'y' | 'n' | 'u' };

/** octets; a longer record is not used */
const recordLengthMax = 16_384;

/** Whether a TXT record is one of DMARC: its first tag is `v=DMARC1`, in these capitals. @source RFC 9989 §4.8 */
export const isDmarcRecord = (text: string): boolean => /^[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)/.test(text);

/**
 * Reads a policy record: unknown tags are ignored, tags that are not valid have their default, but a `p`, `sp` or `np` that
 * is not valid makes it `p=none` where it has a valid address for reports, and else unusable.
 *
 * A tag that stands twice with different values is not valid. A record without `p` has `p=none` (RFC 9989 §4.7).
 *
 * @param text for which `isDmarcRecord` holds; one character an octet
 * @source RFC 9989 §4.7, §4.8, §4.10.1
 */
export const parseDmarcRecord = (text: string): DmarcRecordRead => {
  if (text.length > recordLengthMax)
    return { kind: 'unusable', why: `record of more than ${recordLengthMax} octets`, psd: 'u' };
  const { tags, bad } = readTags(text);
  const one = <Word extends string>(name: string, words: readonly Word[]): Word | null => {
    const value = tags.get(name)?.toLowerCase();
    if (value === undefined) return null;
    const word = words.find((each) => each === value);
    if (word === undefined) bad.add(name);
    return word ?? null;
  };
  const policies = ['none', 'quarantine', 'reject'] as const;
  const [p, sp, np] = ['p', 'sp', 'np'].map((name): DmarcPolicy | null => one(name, policies));
  const psd = one('psd', ['y', 'n', 'u']) ?? 'u';
  const rua = uris(tags.get('rua'));
  const ruf = uris(tags.get('ruf'));
  if (rua === null) bad.add('rua');
  if (ruf === null) bad.add('ruf');
  const fo = (tags.get('fo') ?? '0').split(':').map((each) => each.trim().toLowerCase());
  const isFoGood = fo.every((each) => /^[01ds]$/.test(each));
  if (!isFoGood) bad.add('fo');
  const rest = {
    t: one('t', ['y', 'n']) === 'y',
    psd,
    adkim: one('adkim', ['r', 's']) ?? 'r',
    aspf: one('aspf', ['r', 's']) ?? 'r',
    fo: isFoGood ? fo : ['0'],
    rua: rua ?? [],
    ruf: ruf ?? [],
  };
  const badPolicies = ['p', 'sp', 'np'].filter((name) => bad.has(name));
  if (badPolicies.length === 0)
    return {
      kind: 'record',
      record: { p: p ?? 'none', sp: sp ?? null, np: np ?? null, ...rest },
      bad: [...bad],
    };
  if (rest.rua.length > 0)
    return { kind: 'record', record: { p: 'none', sp: null, np: null, ...rest }, bad: [...bad] };
  return { kind: 'unusable', why: `tag without a valid value: ${badPolicies.join(', ')}`, psd };
};

/** Values by name in lower case; `bad` are the names that cannot be believed. */
const readTags = (text: string): { tags: Map<string, string>; bad: Set<string> } => {
  const tags = new Map<string, string>();
  const bad = new Set<string>();
  for (const part of text.split(';')) {
    const equals = part.indexOf('=');
    if (equals === -1) continue;
    const name = part.slice(0, equals).trim().toLowerCase();
    const value = part.slice(equals + 1).trim();
    if (!/^[a-z]+$/.test(name)) continue;
    const before = tags.get(name);
    if (!/^[ -~]*$/.test(value) || (before !== undefined && before !== value)) bad.add(name);
    tags.set(name, value);
  }
  // A value that cannot be believed has its default, whatever stands there.
  for (const name of bad) tags.delete(name);
  return { tags, bad };
};

/** Null where none is valid. RFC 7489's `!10m` behind a URI is dropped (RFC 9989 §4.7, rua). */
const uris = (list: string | undefined): string[] | null => {
  if (list === undefined) return [];
  const good = list
    .split(',')
    .map((each) => each.trim().replace(/!\d+[kmgt]?$/i, ''))
    .filter((uri) =>
      /^mailto:/i.test(uri)
        ? /^mailto:[^\s@!]+@[^\s@!]+$/i.test(uri)
        : /^[a-z][a-z0-9+.-]*:[^\s!]+$/i.test(uri),
    );
  return good.length > 0 ? good : null;
};
