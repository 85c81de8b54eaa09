import {
  addressRange,
  domainRanges,
  type KeyRange,
  nullPathRange,
  peerRange,
  searchKey,
  subaddressRange,
  type TraceCriterion,
  type TraceQuery,
  type TraceTerm,
} from '#store/trace';
import { readSpan, type Span } from './time-words.ts';

/** What a person asked, as the stores are asked. */
export type ReadQuery =
  | { kind: 'query'; query: TraceQuery; taken: boolean; refused: boolean }
  /** `word` cannot be understood; `why` is a key of the words of this command */
  | { kind: 'mistake'; word: string; why: QueryMistake };

export type QueryMistake =
  | 'empty'
  | 'unknown-field'
  | 'not-an-address'
  | 'not-a-peer'
  | 'not-an-id'
  | 'not-a-hash'
  | 'not-a-code'
  | 'not-a-time'
  | 'not-understood'
  | 'too-many';

/** words of a query */
const wordsMax = 20;
/** characters of one */
const wordLengthMax = 500;

/** Names that a field may be called by. */
const fields: Readonly<Record<string, string>> = {
  from: 'from',
  sender: 'from',
  'mail-from': 'mail-from',
  author: 'author',
  to: 'to',
  rcpt: 'to',
  recipient: 'to',
  peer: 'peer',
  ip: 'peer',
  id: 'id',
  hash: 'hash',
  sha256: 'hash',
  'message-id': 'message-id',
  msgid: 'message-id',
  mid: 'message-id',
  session: 'session',
  code: 'code',
  status: 'code',
  reason: 'reason',
  since: 'since',
  until: 'until',
  on: 'on',
  is: 'is',
};

export interface QueryClock {
  nowMs: number;
  /** minutes that local time is ahead of UTC at an instant */
  offsetMinutes(timeMs: number): number;
}

/**
 * Reads `FIELD:VALUE` and free words, all of which have to be true of what is found; a free word is guessed: an address, a domain
 * (those below it too), an IP address or network, an id, the beginning of a hash (8 digits at least), a Message-ID, a day.
 */
export const readQuery = (words: readonly string[], clock: QueryClock): ReadQuery => {
  const terms: TraceTerm[] = [];
  let span: Span = { sinceMs: null, untilMs: null };
  let code: string | null = null;
  let reason: string | null = null;
  let taken = true;
  let refused = true;
  const mistake = (word: string, why: QueryMistake): ReadQuery => ({ kind: 'mistake', word, why });
  const given = words.map((word) => word.trim()).filter((word) => word !== '');
  if (given.length === 0) return mistake('', 'empty');
  if (given.length > wordsMax) return mistake(String(given.length), 'too-many');
  const within = (other: Span): void => {
    span = {
      sinceMs: latest(span.sinceMs, other.sinceMs),
      untilMs: earliest(span.untilMs, other.untilMs),
    };
  };

  for (const word of given) {
    if (word.length > wordLengthMax || /\p{Cc}/u.test(word))
      return mistake(word.slice(0, 40), 'not-understood');
    const [, name, rest] = /^([A-Za-z][A-Za-z0-9-]*):(.*)$/su.exec(word) ?? [];
    const isField = name !== undefined && rest !== undefined && !isIpv6(word);
    if (!isField) {
      const time = readSpan(word, clock);
      const term = time === null ? guessed(word) : null;
      if (time !== null) within(time);
      else if (term !== null) terms.push(term);
      else return mistake(word, 'not-understood');
      continue;
    }
    const value = unquoted(rest);
    const field = Object.hasOwn(fields, name.toLowerCase()) ? fields[name.toLowerCase()] : undefined;
    if (value === '' && field !== undefined) return mistake(word, 'not-understood');
    switch (field) {
      case 'from':
      case 'mail-from':
      case 'author':
      case 'to': {
        const ranges = addressRanges(value);
        if (ranges === null) return mistake(word, 'not-an-address');
        const sides =
          field === 'to'
            ? (['to'] as const)
            : field === 'author'
              ? (['author'] as const)
              : field === 'mail-from'
                ? (['from'] as const)
                : (['from', 'author'] as const);
        terms.push(sides.flatMap((side) => ranges.map((range) => ({ field: side, range }))));
        break;
      }
      case 'peer': {
        const range = peerRange(value);
        if (range === null) return mistake(word, 'not-a-peer');
        terms.push([{ field: 'peer', first: range.first, last: range.last }]);
        break;
      }
      case 'id': {
        const id = value.toLowerCase().replace(/;$/, '');
        if (!/^[a-z2-7]{4,26}$/.test(id)) return mistake(word, 'not-an-id');
        terms.push([{ field: 'id', prefix: id }]);
        break;
      }
      case 'hash': {
        const hash = value.toLowerCase();
        if (!/^[0-9a-f]{8,64}$/.test(hash)) return mistake(word, 'not-a-hash');
        terms.push([{ field: 'sha256', prefix: hash }]);
        break;
      }
      case 'message-id':
        terms.push([{ field: 'messageId', value: value.replace(/^<(.*)>$/s, '$1') }]);
        break;
      case 'session':
        terms.push([{ field: 'session', value: value.toLowerCase() }]);
        break;
      case 'code':
        if (!/^(?:[45]|[45]\d\d|[45]\.\d{1,3}\.\d{1,3})$/.test(value)) return mistake(word, 'not-a-code');
        code = value;
        taken = false;
        break;
      case 'reason':
        reason = value.toLowerCase();
        taken = false;
        break;
      case 'since':
      case 'until':
      case 'on': {
        const time = readSpan(value, clock);
        if (time === null) return mistake(word, 'not-a-time');
        if (field === 'on') within(time);
        else if (field === 'since') within({ sinceMs: time.sinceMs, untilMs: null });
        // A day, or a minute, is meant whole; of what reaches to now, its beginning is meant.
        else within({ sinceMs: null, untilMs: time.untilMs ?? time.sinceMs });
        break;
      }
      case 'is':
        if (value === 'refused') taken = false;
        else if (value === 'taken') refused = false;
        else return mistake(word, 'not-understood');
        break;
      default:
        return mistake(word, 'unknown-field');
    }
  }
  return {
    kind: 'query',
    query: { terms, sinceMs: span.sinceMs, untilMs: span.untilMs, code, reason },
    taken,
    refused,
  };
};

/** `--since` and `--until` as the words of the same names. */
export const spanWords = (since: string | undefined, until: string | undefined): string[] => [
  ...(since === undefined ? [] : [`since:${since}`]),
  ...(until === undefined ? [] : [`until:${until}`]),
];

/** Mail to and from these addresses alone: another term that has to be true. */
export const ownTerm = (own: { accounts: readonly string[]; addresses: readonly string[] }): TraceTerm => [
  ...own.accounts.map((value): TraceCriterion => ({ field: 'account', value })),
  ...own.addresses.flatMap((address): TraceCriterion[] => [
    { field: 'from', range: addressRange(address) },
    { field: 'to', range: addressRange(address) },
    { field: 'to', range: subaddressRange(address) },
  ]),
];

/** Whether an address is one of these, or a subaddress of one. */
export const isOwn = (address: string, own: readonly string[]): boolean => {
  const key = searchKey(address);
  return own.some((each) => key === searchKey(each) || key.startsWith(`${searchKey(each)}+`));
};

const guessed = (word: string): TraceTerm | null => {
  const text = unquoted(word);
  const bracketed = /^<([^<>]+)>$/.exec(text)?.[1];
  if (bracketed !== undefined) return [...byAddress(bracketed), { field: 'messageId', value: bracketed }];
  const peer = peerRange(text);
  if (peer !== null) return [{ field: 'peer', first: peer.first, last: peer.last }];
  const lower = text.toLowerCase();
  const ways: TraceCriterion[] = [];
  const id = lower.replace(/^id=/, '').replace(/;$/, '');
  if (/^[a-z2-7]{26}$/.test(id)) ways.push({ field: 'id', prefix: id });
  const hash = lower.replace(/^sha256=/, '');
  if (/^[0-9a-f]{8,64}$/.test(hash)) ways.push({ field: 'sha256', prefix: hash });
  if (ways.length > 0) return ways;
  if (text.includes('@') && !text.startsWith('@'))
    return [...byAddress(text), { field: 'messageId', value: text }];
  return text.startsWith('@') || text.includes('.') ? byAddressOrNull(text) : null;
};

const byAddress = (text: string): TraceCriterion[] =>
  (addressRanges(text) ?? []).flatMap((range) =>
    (['from', 'author', 'to'] as const).map((field) => ({ field, range })),
  );

const byAddressOrNull = (text: string): TraceTerm | null => {
  const ways = byAddress(text);
  return ways.length === 0 ? null : ways;
};

/** An address, `@domain`, a domain, or `<>`; null for another text. */
const addressRanges = (text: string): KeyRange[] | null => {
  if (text === '<>') return [nullPathRange];
  const bare = text.replace(/^<(.*)>$/s, '$1');
  if (bare.startsWith('@')) return domainRanges(bare.slice(1));
  if (bare.includes('@')) return [addressRange(bare)];
  if (bare.toLowerCase() === 'postmaster') return [addressRange(bare)];
  return domainRanges(bare);
};

const unquoted = (text: string): string => /^"(.*)"$/s.exec(text)?.[1] ?? text;

const isIpv6 = (word: string): boolean => peerRange(word) !== null;

const latest = (a: number | null, b: number | null): number | null =>
  a === null ? b : b === null ? a : Math.max(a, b);

const earliest = (a: number | null, b: number | null): number | null =>
  a === null ? b : b === null ? a : Math.min(a, b);
