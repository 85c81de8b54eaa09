import type { Arguments } from './arguments.ts';
import { type FlagSet, systemFlag } from './mailbox-state.ts';
import { type NumberSet, rangesHold } from './number-set.ts';
import { parseDate } from './wire.ts';

export interface SearchedMessage {
  index: number;
  uid: number;
  flags: FlagSet;
  recent: boolean;
  sizeBytes: number;
  internalDateMs: number;
}

/** What a set of numbers means in the mailbox: ranges of indices. */
export type ResolveSet = (set: NumberSet, byUid: boolean) => readonly number[];

export interface Search {
  matches(message: SearchedMessage): boolean;
}

export type ParsedSearch =
  | { readonly kind: 'search'; readonly search: Search }
  | { readonly kind: 'later'; readonly key: string };

/** Parentheses, NOT and OR inside one another. */
export const searchDepthMax = 64;

/** Found where it cannot be told from an argument without knowing the key's grammar: reading ends there. */
class LaterKey extends Error {}

type Test = (message: SearchedMessage) => boolean;

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
};

const later = new Set([
  ...['BCC', 'BODY', 'CC', 'EMAILID', 'FROM', 'HEADER', 'MODSEQ', 'OLDER', 'SAVEDBEFORE', 'SAVEDON'],
  ...['SAVEDSINCE', 'SENTBEFORE', 'SENTON', 'SENTSINCE', 'SUBJECT', 'TEXT', 'THREADID', 'TO', 'YOUNGER'],
]);

const dayMs = 86_400_000;

/**
 * Reads the keys of SEARCH to the end.
 *
 * @source RFC 9051 §6.4.4, RFC 3501 §6.4.4
 */
export const parseSearch = (args: Arguments, resolve: ResolveSet): ParsedSearch => {
  const date = (): number => {
    args.space();
    return parseDate(args.astring()) ?? args.fail('the date is ill-formed');
  };

  const key = (depth: number): Test => {
    if (depth > searchDepthMax) args.fail('the keys are nested too deep');
    if (args.skip('(')) {
      const tests = keys(depth + 1, true);
      return (message) => tests.every((test) => test(message));
    }
    if (args.atNumberSet) {
      const ranges = resolve(args.numberSet(), false);
      return ({ index }) => rangesHold(ranges, index);
    }
    const name = args.word();
    const flagTest = flagTests[name];
    if (flagTest !== undefined) return flagTest;
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
        return (message) => !test(message);
      }
      case 'OR': {
        args.space();
        const left = key(depth + 1);
        args.space();
        const right = key(depth + 1);
        return (message) => left(message) || right(message);
      }
      case 'LARGER':
      case 'SMALLER': {
        args.space();
        const sizeBytes = args.number();
        return name === 'LARGER'
          ? (message) => message.sizeBytes > sizeBytes
          : (message) => message.sizeBytes < sizeBytes;
      }
      case 'BEFORE': {
        const day = date();
        return ({ internalDateMs }) => internalDateMs < day;
      }
      case 'SINCE': {
        const day = date();
        return ({ internalDateMs }) => internalDateMs >= day;
      }
      case 'ON': {
        const day = date();
        return ({ internalDateMs }) => internalDateMs >= day && internalDateMs < day + dayMs;
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

  let tests: Test[];
  try {
    tests = keys(0, false);
  } catch (error) {
    if (error instanceof LaterKey) return { kind: 'later', key: error.message };
    throw error;
  }
  return {
    kind: 'search',
    search: { matches: (message) => tests.every((test) => test(message)) },
  };
};
