import { fromLatin1 } from '#base/bytes';
import { charsetOf, decodeCharset } from '#message';
import type { Arguments } from '../arguments.ts';
import type { CommandSession } from '../command-session.ts';
import type { MailboxView } from '../mailbox-view.ts';
import { bad, no, ok, type Reply } from '../reply.ts';
import { contentFacts } from '../search-content.ts';
import { parseSearch, type Search } from '../search-key.ts';
import { utf8Text, wireSet } from '../wire.ts';
import type { Command } from './command.ts';

/** messages that are opened with one call */
const pageCount = 256;
/** damaged messages that one reply names */
const namedMax = 50;

type Result = 'MIN' | 'MAX' | 'ALL' | 'COUNT' | 'SAVE';
const results: readonly Result[] = ['MIN', 'MAX', 'ALL', 'COUNT', 'SAVE'];

const charsets = 'US-ASCII UTF-8 ISO-8859-1 GB18030 BIG5 SHIFT_JIS EUC-JP ISO-2022-JP EUC-KR KOI8-R UTF-7';

/** @source RFC 9051 §6.4.4, RFC 3501 §6.4.4, RFC 4731 (ESEARCH), RFC 5182 (SAVE) */
export const search: Command = {
  name: 'SEARCH',
  states: ['selected'],
  tells: 'no-expunge',
  uid: true,
  run: async (session, args, tag, byUid) => {
    const { view, features } = session;
    if (view === null) return no('No mailbox is selected');
    args.space();
    let asked: Set<Result> | null = null;
    if (args.optionalWord('RETURN')) {
      args.space();
      asked = new Set();
      for (const word of returnOptions(args)) asked.add(word);
      if (asked.size === 0) asked.add('ALL');
      args.space();
    } else if (features.rev2) asked = new Set(['ALL']);
    let charset = 'utf-8';
    if (args.optionalWord('CHARSET')) {
      args.space();
      const label = args.astring();
      const known = charsetOf(label);
      // RFC 6855 §3: everything is UTF-8 then; the client that says so all the same is understood
      if (features.utf8 && known !== 'utf-8') return bad('After UTF8=ACCEPT everything is UTF-8');
      if (known === null) return failed(view, asked, 'The charset is not known', `BADCHARSET (${charsets})`);
      charset = /^us-ascii$/i.test(label) ? 'us-ascii' : known;
      args.space();
    }
    const parsed = parseSearch(
      args,
      (set, uids) => view.knownRangesOf(set, uids),
      (octets) => searchText(octets, charset),
    );
    if (parsed.kind === 'later') return no(`SEARCH ${parsed.key} is not supported`, 'CANNOT');
    if (parsed.kind === 'bad-charset') {
      return failed(
        view,
        asked,
        'What is searched for is no text in this charset',
        `BADCHARSET (${charsets})`,
      );
    }
    args.end();
    if (parsed.search.asksModSeq) features.condstore = true;
    const found = await findMessages(session, view, parsed.search);
    if (session.closedOrLeaving) return no('The connection is gone');
    if (asked?.has('SAVE') === true) view.savedUids = savedOf(found.uids, asked);
    if (asked === null) plainReply(session, view, found, byUid, parsed.search);
    else extendedReply(session, view, found, byUid, parsed.search, asked, tag);
    const { damaged } = found;
    if (damaged.length === 0) return ok('Searched');
    const more = damaged.length > namedMax ? ` and ${damaged.length - namedMax} more` : '';
    const named = wireSet(damaged.slice(0, namedMax));
    return no(`UID ${named}${more}: the message is damaged and not searched`, 'CORRUPTION');
  },
};

const returnOptions = (args: Arguments): Result[] => {
  const asked: Result[] = [];
  args.wordList((word) => {
    asked.push(
      results.find((each) => each === word) ?? args.fail('there is no such option of SEARCH RETURN'),
    );
  });
  return asked;
};

/** RFC 5182 §2.1: a SEARCH that fails leaves nothing saved. */
const failed = (view: MailboxView, asked: ReadonlySet<Result> | null, text: string, code: string): Reply => {
  if (asked?.has('SAVE') === true) view.savedUids = [];
  return no(text, code);
};

/** What is searched for, or null where the octets are no text in this charset. */
const searchText = (octets: string, charset: string): string | null => {
  if (charset === 'utf-8') return utf8Text(octets);
  if (charset === 'us-ascii') return /^\p{ASCII}*$/u.test(octets) ? octets : null;
  const text = decodeCharset(fromLatin1(octets), charset);
  return text.includes('\ufffd') ? null : text;
};

interface Found {
  /** ascending */
  uids: number[];
  /** of all that was found; of the first and of the last one */
  modSeq: number;
  firstModSeq: number;
  lastModSeq: number;
  /** uids of messages that could not be looked at */
  damaged: number[];
}

const findMessages = async (session: CommandSession, view: MailboxView, search: Search): Promise<Found> => {
  const { state } = view;
  const found: Found = { uids: [], modSeq: 0, firstModSeq: 0, lastModSeq: 0, damaged: [] };
  const add = (uid: number, modSeq: number): void => {
    if (found.uids.length === 0) found.firstModSeq = modSeq;
    found.uids.push(uid);
    found.lastModSeq = modSeq;
    found.modSeq = Math.max(found.modSeq, modSeq);
  };
  const messageAt = (index: number): Parameters<Search['matches']>[0] | null => {
    const at = view.stateIndexAt(index);
    const flags = state.flagSets[at];
    // a message that is gone, though not yet told, matches nothing
    if (flags === undefined) return null;
    const uid = view.uidAt(index);
    if (state.isUnreadable(at)) {
      if (!found.damaged.includes(uid)) found.damaged.push(uid);
      return null;
    }
    return {
      index,
      uid,
      flags,
      recent: view.isRecent(uid),
      sizeBytes: state.sizes[at] ?? 0,
      internalDateMs: state.dates[at] ?? 0,
      savedMs: state.saved[at] ?? 0,
      modSeq: state.modSeqs[at] ?? 0,
    };
  };
  const { count } = view;
  if (search.content.length === 0) {
    for (let index = 0; index < count; index++) {
      const message = messageAt(index);
      if (message !== null && search.matches(message, null) === true) add(message.uid, message.modSeq);
    }
    return found;
  }
  for (let from = 0; from < count && !session.closedOrLeaving; from += pageCount) {
    const sure = new Set<number>();
    const open: number[] = [];
    const to = Math.min(count, from + pageCount);
    for (let index = from; index < to; index++) {
      const message = messageAt(index);
      const outcome = message === null ? false : search.matches(message, null);
      if (outcome === true) sure.add(index);
      else if (outcome === null) open.push(index);
    }
    if (open.length > 0) {
      for (const [index, facts] of await factsOf(session, view, search, open)) {
        if (facts === null) {
          found.damaged.push(view.uidAt(index));
          continue;
        }
        const message = messageAt(index);
        if (message !== null && search.matches(message, facts) === true) sure.add(index);
      }
    }
    for (let index = from; index < to; index++) {
      if (sure.has(index)) add(view.uidAt(index), state.modSeqOf(view.uidAt(index)));
    }
  }
  return found;
};

/** What is known of each message's content; null for one that is damaged, nothing for one that is gone. */
const factsOf = async (
  session: CommandSession,
  view: MailboxView,
  { content }: Search,
  indices: readonly number[],
): Promise<Map<number, boolean[] | null>> => {
  const found = new Map<number, boolean[] | null>();
  const { mailbox } = view;
  const uids = indices.map((index) => view.uidAt(index));
  const asksIds = content.some(({ kind }) => kind === 'email-id' || kind === 'thread-id');
  const ids = asksIds ? await mailbox.objectIds(uids) : null;
  const withIds = (facts: boolean[], at: number): boolean[] => {
    const own = ids?.[at] ?? null;
    for (const [position, test] of content.entries()) {
      if (test.kind === 'email-id') facts[position] = own?.emailId === test.id;
      if (test.kind === 'thread-id') facts[position] = own?.threadId === test.id;
    }
    return facts;
  };
  if (content.every(({ kind }) => kind === 'email-id' || kind === 'thread-id')) {
    for (const [at, index] of indices.entries()) found.set(index, withIds([], at));
    return found;
  }
  let at = 0;
  for await (const body of mailbox.openBodies(uids)) {
    const index = indices[at] ?? 0;
    if (body.kind === 'damaged') found.set(index, null);
    if (body.kind === 'found') {
      try {
        found.set(index, withIds(await contentFacts(body, content), at));
      } catch {
        session.server.options.count('imap-body-damaged');
        found.set(index, null);
      } finally {
        body.close();
      }
    }
    at++;
    if (session.closedOrLeaving) break;
  }
  return found;
};

/** RFC 5182 §2.4: with MIN or MAX and nothing more, just these. */
const savedOf = (uids: readonly number[], asked: ReadonlySet<Result>): readonly number[] => {
  if (asked.has('ALL') || asked.has('COUNT') || (!asked.has('MIN') && !asked.has('MAX'))) return uids;
  const kept = new Set<number>();
  const [first] = uids;
  const last = uids.at(-1);
  if (asked.has('MIN') && first !== undefined) kept.add(first);
  if (asked.has('MAX') && last !== undefined) kept.add(last);
  return [...kept];
};

const plainReply = (
  session: CommandSession,
  view: MailboxView,
  { uids, modSeq }: Found,
  byUid: boolean,
  { asksModSeq }: Search,
): void => {
  const numbers = byUid ? uids : uids.map((uid) => view.seqOf(uid));
  const told = asksModSeq && numbers.length > 0 ? ` (MODSEQ ${modSeq})` : '';
  session.send(numbers.length === 0 ? '* SEARCH\r\n' : `* SEARCH ${numbers.join(' ')}${told}\r\n`);
};

const extendedReply = (
  session: CommandSession,
  view: MailboxView,
  found: Found,
  byUid: boolean,
  { asksModSeq }: Search,
  asked: ReadonlySet<Result>,
  tag: string,
): void => {
  // RFC 5182 §2.1: who only saves is told nothing
  if (asked.size === 1 && asked.has('SAVE')) return;
  const numbers = byUid ? found.uids : found.uids.map((uid) => view.seqOf(uid));
  let text = `* ESEARCH (TAG "${tag}")${byUid ? ' UID' : ''}`;
  if (numbers.length > 0) {
    if (asked.has('MIN')) text += ` MIN ${numbers[0]}`;
    if (asked.has('MAX')) text += ` MAX ${numbers.at(-1)}`;
    if (asked.has('ALL')) text += ` ALL ${wireSet(numbers)}`;
  }
  if (asked.has('COUNT')) text += ` COUNT ${numbers.length}`;
  if (asksModSeq && numbers.length > 0) text += ` MODSEQ ${modSeqOf(found, asked)}`;
  session.send(`${text}\r\n`);
};

/** RFC 7162 §3.1.10: of what the reply tells. */
const modSeqOf = ({ modSeq, firstModSeq, lastModSeq }: Found, asked: ReadonlySet<Result>): number => {
  if (asked.has('ALL') || asked.has('COUNT')) return modSeq;
  return Math.max(asked.has('MIN') ? firstModSeq : 0, asked.has('MAX') ? lastModSeq : 0);
};
