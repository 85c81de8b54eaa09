import type { Arguments } from '../arguments.ts';
import type { CommandSession } from '../command-session.ts';
import { namesAreUtf8 } from '../features.ts';
import { decodeModifiedUtf7, foldInbox, matchesPattern, separator } from '../mailbox-name.ts';
import { no, ok, refusal } from '../reply.ts';
import type { MailboxInfo } from '../store.ts';
import { utf8Text } from '../wire.ts';
import { type Command, loggedIn } from './command.ts';
import { mailboxReply } from './mailbox-argument.ts';
import { type StatusItems, statusItems, statusReply } from './status.ts';

interface ListedName {
  name: string;
  info: MailboxInfo | null;
  children: boolean;
  /** something below it is subscribed to */
  subscribedBelow: boolean;
  /** something below it has a use */
  usedBelow: boolean;
}

interface ListRequest {
  /** only names that are subscribed to */
  subscribed: boolean;
  /** only mailboxes with a use (RFC 6154 §5.1) */
  specialUse: boolean;
  /** names above those that are selected are told too */
  recursiveMatch: boolean;
  tellSubscribed: boolean;
  status: StatusItems | null;
}

/** patterns of one LIST: more than any client asks for */
const patternsMax = 100;

/**
 * @source RFC 9051 §6.3.9, RFC 3501 §6.3.8, RFC 3348 (CHILDREN), RFC 5258 (LIST-EXTENDED), RFC 5819 (LIST-STATUS), RFC 6154
 *   (SPECIAL-USE)
 */
export const list: Command = {
  name: 'LIST',
  states: loggedIn,
  tells: 'all',
  run: async (session, args) => {
    args.space();
    const request: ListRequest = {
      subscribed: false,
      specialUse: false,
      recursiveMatch: false,
      tellSubscribed: false,
      status: null,
    };
    let isExtended = false;
    if (args.peek === '(') {
      isExtended = true;
      selectionOptions(args, request);
      args.space();
    }
    const reference = args.astring();
    args.space();
    const asked: string[] = [];
    if (args.skip('(')) {
      isExtended = true;
      args.blanks();
      while (!args.skip(')')) {
        asked.push(args.listMailbox());
        if (asked.length > patternsMax) return no('That are too many patterns', 'LIMIT');
        if (!args.blanks() && args.peek !== ')') args.fail('a blank is missing');
      }
      if (asked.length === 0) args.fail('a pattern is missing');
    } else asked.push(args.listMailbox());
    if (args.blanks() && !args.atEnd) {
      if (!args.optionalWord('RETURN')) args.fail('RETURN is missing');
      args.space();
      returnOptions(session, args, request);
    }
    args.end();
    const { account } = session;
    if (account === null) return no('Log in first');
    const { status } = request;
    if (status?.kind === 'refused') return refusal(status);
    if (asked.length === 1 && asked[0] === '' && !isExtended) {
      // RFC 9051 §6.3.9: only the separator and the root of the reference are asked for
      session.send(`* LIST (\\Noselect) "${separator}" ""\r\n`);
      return ok('Listed');
    }
    const patterns = patternsOf(session, reference, asked);
    for (const listed of listedNames(await account.list())) {
      if (!patterns.some((pattern) => matchesPattern(pattern, listed.name))) continue;
      const told = toldOf(listed, request);
      if (told === null) continue;
      const childInfo = told.childInfo.length === 0 ? '' : ` ("CHILDINFO" (${told.childInfo.join(' ')}))`;
      const named = mailboxReply(session, listed.name);
      session.send(`* LIST (${told.attributes.join(' ')}) "${separator}" ${named}${childInfo}\r\n`);
      if (status !== null && listed.info?.exists === true && listed.info.selectable) {
        const outcome = await account.status(listed.name);
        // RFC 5819 §2: what cannot be told is left out
        if (outcome.kind === 'done') session.send(statusReply(session, listed.name, status.items, outcome));
      }
      await session.breathe();
      if (session.closedOrLeaving) break;
    }
    return ok('Listed');
  },
};

/** @source RFC 3501 §6.3.9 */
export const lsub: Command = {
  name: 'LSUB',
  states: loggedIn,
  tells: 'all',
  run: async (session, args) => {
    args.space();
    const reference = args.astring();
    args.space();
    const asked = args.listMailbox();
    // some clients leave a blank behind the pattern
    args.blanks();
    args.end();
    if (asked === '') {
      session.send(`* LSUB (\\Noselect) "${separator}" ""\r\n`);
      return ok('Listed');
    }
    const [pattern] = patternsOf(session, reference, [asked]);
    if (pattern === undefined || session.account === null) return ok('Listed');
    for (const listed of listedNames(await session.account.list())) {
      if (!matchesPattern(pattern, listed.name)) continue;
      const attributes = lsubAttributes(listed, pattern);
      if (attributes === null) continue;
      const named = mailboxReply(session, listed.name);
      session.send(`* LSUB (${attributes.join(' ')}) "${separator}" ${named}\r\n`);
      await session.breathe();
    }
    return ok('Listed');
  },
};

const selectionOptions = (args: Arguments, request: ListRequest): void => {
  args.wordList((word) => {
    switch (word) {
      case 'SUBSCRIBED':
        request.subscribed = true;
        request.tellSubscribed = true;
        return;
      case 'SPECIAL-USE':
        request.specialUse = true;
        return;
      case 'RECURSIVEMATCH':
        request.recursiveMatch = true;
        return;
      case 'REMOTE':
        // there are none
        return;
    }
    args.fail('there is no such selection option of LIST');
  });
  // RFC 5258 §3.1: it says how others select
  if (request.recursiveMatch && !request.subscribed && !request.specialUse)
    args.fail('RECURSIVEMATCH needs another option');
};

const returnOptions = (session: CommandSession, args: Arguments, request: ListRequest): void => {
  args.wordList((word) => {
    switch (word) {
      case 'SUBSCRIBED':
        request.tellSubscribed = true;
        return;
      case 'CHILDREN':
      case 'SPECIAL-USE':
        // told always: clients expect it in plain LIST
        return;
      case 'STATUS':
        args.space();
        request.status = statusItems(session, args);
        return;
    }
    args.fail('there is no such return option of LIST');
  });
};

/** A pattern that is not text in the form of this session is no error: it has no matches. */
const patternsOf = (session: CommandSession, reference: string, asked: readonly string[]): string[] =>
  asked.flatMap((pattern) => {
    if (pattern === '') return [];
    const octets = reference + pattern;
    const decoded = namesAreUtf8(session.features) ? utf8Text(octets) : decodeModifiedUtf7(octets);
    return decoded === null ? [] : [foldInbox(decoded.normalize('NFC'))];
  });

/** Everything that has a name, the levels above that have none of their own too; INBOX first, then by name. */
const listedNames = (mailboxes: readonly MailboxInfo[]): ListedName[] => {
  const byName = new Map<string, ListedName>();
  const entry = (name: string): ListedName => {
    let listed = byName.get(name);
    if (listed === undefined) {
      listed = { name, info: null, children: false, subscribedBelow: false, usedBelow: false };
      byName.set(name, listed);
    }
    return listed;
  };
  for (const info of mailboxes) {
    entry(info.name).info = info;
    for (let at = info.name.lastIndexOf(separator); at > 0; at = info.name.lastIndexOf(separator, at - 1)) {
      const above = entry(info.name.slice(0, at));
      if (info.exists) above.children = true;
      if (info.subscribed) above.subscribedBelow = true;
      if (info.role !== null) above.usedBelow = true;
    }
  }
  const rank = (name: string): string => (name === 'INBOX' ? '' : name);
  return [...byName.values()].sort((a, b) => (rank(a.name) < rank(b.name) ? -1 : 1));
};

/** What LIST tells of a name, or null where it is not selected. */
const toldOf = (
  { info, children, subscribedBelow, usedBelow }: ListedName,
  request: ListRequest,
): { attributes: string[]; childInfo: string[] } | null => {
  const exists = info?.exists === true;
  const selects = (subscribed: boolean, used: boolean): boolean =>
    (!request.subscribed || subscribed) && (!request.specialUse || used);
  const itself =
    selects(info?.subscribed === true, info?.role != null) && (exists || request.subscribed || children);
  const below = request.recursiveMatch && selects(subscribedBelow, usedBelow);
  if (!itself && !below) return null;
  const attributes: string[] = [];
  if (!exists && !children && info !== null) attributes.push('\\NonExistent');
  else if (!exists || info?.selectable !== true) attributes.push('\\Noselect');
  attributes.push(children ? '\\HasChildren' : '\\HasNoChildren');
  if (request.tellSubscribed && info?.subscribed === true) attributes.push('\\Subscribed');
  if (info?.role != null) attributes.push(`\\${info.role}`);
  const childInfo: string[] = [];
  if (below && request.subscribed) childInfo.push('"SUBSCRIBED"');
  if (below && request.specialUse) childInfo.push('"SPECIAL-USE"');
  return { attributes, childInfo };
};

/** RFC 3501 §6.3.9: with `%` a level above a subscribed name stands for it, `\Noselect` where it is not subscribed itself. */
const lsubAttributes = ({ info, subscribedBelow }: ListedName, pattern: string): string[] | null => {
  if (info?.subscribed === true) {
    const attributes = info.exists && info.selectable ? [] : ['\\Noselect'];
    if (info.role !== null) attributes.push(`\\${info.role}`);
    return attributes;
  }
  return subscribedBelow && pattern.endsWith('%') ? ['\\Noselect'] : null;
};
