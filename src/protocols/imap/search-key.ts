import type { Arguments } from './arguments.ts';
import { type FlagSet, systemFlag } from './mailbox-state.ts';
import { type NumberSet, rangesHold } from './number-set.ts';
import { type ContentTest, foldText } from './search-content.ts';
import { parseDate } from './wire.ts';

export interface SearchedMessage {
  index: number;
  uid: number;
  flags: FlagSet;
  recent: boolean;
  sizeBytes: number;
  internalDateMs: number;
  savedMs: number;
  modSeq: number;
}

/** What a set of numbers means in the mailbox: ranges of indices. */
export type ResolveSet = (set: NumberSet, byUid: boolean) => readonly number[];

export interface Search {
  /** what has to be known of a message's octets, in the order of `facts` */
  readonly content: readonly ContentTest[];
  /** a key asks for MODSEQ, so that the reply tells it */
  readonly asksModSeq: boolean;
  /**
   * Whether a message is found.
   *
   * @param facts the outcome of each of `content`; null where they are not known yet
   * @returns null where it depends on them
   */
  matches(message: SearchedMessage, facts: readonly boolean[] | null): boolean | null;
}

export type ParsedSearch =
  | { readonly kind: 'search'; readonly search: Search }
  | { readonly kind: 'later'; readonly key: string }
  /** a string is no text in the charset that was named */
  | { readonly kind: 'bad-charset' };

/** Parentheses, NOT and OR inside one another. */
export const searchDepthMax = 64;
/** Keys that look into a message's octets: more than anybody asks for at once. */
export const contentKeysMax = 200;

/** Found where it cannot be told from an argument without knowing the key's grammar: reading ends there. */
class LaterKey extends Error {}
class BadCharset extends Error {}

type Test = (message: SearchedMessage, facts: readonly boolean[] | null) => boolean | null;

const flagTests: Readonly<Record<string, Test>> = {
  ALL: () => true,
  ANSWERED: ({ flags }) => (flags.system & systemFlag.answered) !== 0,
  DELETED: ({ flags }) => (flags.system & systemFlag.deleted) !== 0,
  DRAFT: ({ flags }) => (flags.system & systemFlag.draft) !== 0,
  FLAGGED: ({ flags }) => (flags.system & systemFlag.flagged) !== 0,
  SEEN: ({ flags }) => (flags.system & systemFlag.seen) !== 0,
  UNANSWERED: ({ flags }) => (flags.system & systemFlag.answered) === 0,
  UNDELETED: ({ flags }) => (flags.system & systemFlag.deleted) === 0,
  UNDRAFT: ({ flags }) => (flags.system & systemFlag.draft) === 0,
  UNFLAGGED: ({ flags }) => (flags.system & systemFlag.flagged) === 0,
  UNSEEN: ({ flags }) => (flags.system & systemFlag.seen) === 0,
  NEW: ({ flags, recent }) => recent && (flags.system & systemFlag.seen) === 0,
  OLD: ({ recent }) => !recent,
  RECENT: ({ recent }) => recent,
  // RFC 8514 §4.3
  SAVEDATESUPPORTED: () => true,
};

const later = new Set(['FILTER', 'FUZZY', 'OLDER', 'YOUNGER']);

const dayMs = 86_400_000;

/** Of what is not known nothing follows but where the rest decides. */
const allOf =
  (tests: readonly Test[]): Test =>
  (message, facts) => {
    let outcome: boolean | null = true;
    for (const test of tests) {
      const one = test(message, facts);
      if (one === false) return false;
      if (one === null) outcome = null;
    }
    return outcome;
  };

/**
 * Reads the keys of SEARCH to the end.
 *
 * @param decode the text of a string's octets in the charset of the command; null where they are none
 * @source RFC 9051 §6.4.4, RFC 3501 §6.4.4, RFC 7162 §3.1.5, RFC 8474 §5.3, RFC 8514 §4.3
 */
export const parseSearch = (
  args: Arguments,
  resolve: ResolveSet,
  decode: (octets: string) => string | null,
): ParsedSearch => {
  const content: ContentTest[] = [];
  let asksModSeq = false;

  const date = (): number => {
    args.space();
    return parseDate(args.astring()) ?? args.fail('the date is ill-formed');
  };
  const needle = (): string => {
    args.space();
    const text = decode(args.astring());
    if (text === null) throw new BadCharset();
    return foldText(text);
  };
  const ofContent = (test: ContentTest): Test => {
    if (content.length === contentKeysMax) args.fail('too many keys');
    const at = content.push(test) - 1;
    return (_message, facts) => (facts === null ? null : (facts[at] ?? false));
  };
  const between = (read: (message: SearchedMessage) => number, from: number, to: number): Test => {
    return (message) => read(message) >= from && read(message) < to;
  };
  /** BEFORE, ON and SINCE of a date */
  const days = (name: string): [from: number, to: number] => {
    const day = date();
    if (name.endsWith('BEFORE')) return [Number.NEGATIVE_INFINITY, day];
    return [day, name.endsWith('ON') ? day + dayMs : Number.POSITIVE_INFINITY];
  };

  const key = (depth: number): Test => {
    if (depth > searchDepthMax) args.fail('the keys are nested too deep');
    if (args.skip('(')) return allOf(keys(depth + 1, true));
    if (args.atNumberSet) {
      const ranges = resolve(args.numberSet(), false);
      return ({ index }) => rangesHold(ranges, index);
    }
    const name = args.word();
    const flagTest = flagTests[name];
    if (flagTest !== undefined && Object.hasOwn(flagTests, name)) return flagTest;
    switch (name) {
      case 'KEYWORD':
      case 'UNKEYWORD': {
        args.space();
        const wanted = args.flag().toLowerCase();
        const has = name === 'KEYWORD';
        return ({ flags }) => flags.keywords.some((keyword) => keyword.toLowerCase() === wanted) === has;
      }
      case 'UID': {
        args.space();
        const ranges = resolve(args.numberSet(), true);
        return ({ index }) => rangesHold(ranges, index);
      }
      case 'NOT': {
        args.space();
        const test = key(depth + 1);
        return (message, facts) => {
          const outcome = test(message, facts);
          return outcome === null ? null : !outcome;
        };
      }
      case 'OR': {
        args.space();
        const left = key(depth + 1);
        args.space();
        const right = key(depth + 1);
        return (message, facts) => {
          const first = left(message, facts);
          if (first === true) return true;
          const second = right(message, facts);
          return second === true ? true : first === null || second === null ? null : false;
        };
      }
      case 'LARGER':
      case 'SMALLER': {
        args.space();
        const sizeBytes = args.number();
        return name === 'LARGER'
          ? (message) => message.sizeBytes > sizeBytes
          : (message) => message.sizeBytes < sizeBytes;
      }
      case 'BEFORE':
      case 'ON':
      case 'SINCE':
        return between(({ internalDateMs }) => internalDateMs, ...days(name));
      case 'SAVEDBEFORE':
      case 'SAVEDON':
      case 'SAVEDSINCE':
        return between(({ savedMs }) => savedMs, ...days(name));
      case 'SENTBEFORE':
      case 'SENTON':
      case 'SENTSINCE': {
        const [fromMs, toMs] = days(name);
        return ofContent({ kind: 'sent', fromMs, toMs });
      }
      case 'BCC':
      case 'CC':
      case 'FROM':
      case 'SUBJECT':
      case 'TO':
        return ofContent({ kind: 'field', name: name.toLowerCase(), needle: needle() });
      case 'HEADER': {
        args.space();
        const field = args.astring().toLowerCase();
        return ofContent({ kind: 'field', name: field, needle: needle() });
      }
      case 'BODY':
      case 'TEXT':
        return ofContent({ kind: name === 'BODY' ? 'body' : 'text', needle: needle() });
      case 'EMAILID':
      case 'THREADID': {
        args.space();
        return ofContent({ kind: name === 'EMAILID' ? 'email-id' : 'thread-id', id: args.astring() });
      }
      case 'MODSEQ': {
        args.space();
        if (args.peek === '"') {
          // of one flag or annotation: here a message has one MODSEQ for all of them
          args.astring();
          args.space();
          if (!['ALL', 'PRIV', 'SHARED'].includes(args.word())) args.fail('the type of the entry is missing');
          args.space();
        }
        const least = args.modSeq();
        asksModSeq = true;
        return ({ modSeq }) => modSeq >= least;
      }
    }
    if (later.has(name)) throw new LaterKey(name);
    return args.fail('there is no such search key');
  };

  const keys = (depth: number, inside: boolean): Test[] => {
    const tests: Test[] = [];
    if (inside) args.blanks();
    for (;;) {
      tests.push(key(depth));
      const blank = args.blanks();
      if (inside ? args.skip(')') : args.atEnd) return tests;
      if (!blank) args.fail('a blank is missing');
    }
  };

  try {
    const matches = allOf(keys(0, false));
    return { kind: 'search', search: { content, asksModSeq, matches } };
  } catch (error) {
    if (error instanceof LaterKey) return { kind: 'later', key: error.message };
    if (error instanceof BadCharset) return { kind: 'bad-charset' };
    throw error;
  }
};
