import { decodeModifiedUtf7, foldInbox, matchesPattern, separator } from '../mailbox-name.ts';
import { no, ok } from '../reply.ts';
import type { MailboxInfo } from '../store.ts';
import { type Command, loggedIn } from './command.ts';
import { mailboxReply } from './mailbox-argument.ts';

interface ListedName {
  name: string;
  info: MailboxInfo | null;
  children: boolean;
  /** something below it is subscribed to */
  subscribedBelow: boolean;
}

const command = (name: string, subscribedOnly: boolean): Command => ({
  name,
  states: loggedIn,
  tells: 'all',
  run: async (session, args) => {
    args.space();
    if (args.peek === '(') return no(`${name} takes no options here`, 'CANNOT');
    const reference = args.astring();
    args.space();
    if (args.peek === '(') return no(`${name} takes one pattern here`, 'CANNOT');
    const asked = args.listMailbox();
    if (args.blanks() && !args.atEnd) return no(`${name} takes no options here`, 'CANNOT');
    args.end();
    if (asked === '') {
      // RFC 9051 §6.3.9: only the separator and the root of the reference are asked for
      session.send(`* ${name} (\\Noselect) "${separator}" ""\r\n`);
      return ok('Listed');
    }
    const decoded = decodeModifiedUtf7(reference + asked);
    // a pattern that is not modified UTF-7 is no error: it has no matches
    const pattern = decoded === null ? null : foldInbox(decoded.normalize('NFC'));
    if (pattern === null || session.account === null) return ok('Listed');
    for (const listed of listedNames(await session.account.list())) {
      if (!matchesPattern(pattern, listed.name)) continue;
      const attributes = subscribedOnly ? lsubAttributes(listed, pattern) : listAttributes(listed);
      if (attributes === null) continue;
      session.send(`* ${name} (${attributes.join(' ')}) "${separator}" ${mailboxReply(listed.name)}\r\n`);
      await session.breathe();
    }
    return ok('Listed');
  },
});

/** @source RFC 9051 §6.3.9, RFC 3501 §6.3.8, RFC 3348 (CHILDREN), RFC 6154 §2 (SPECIAL-USE) */
export const list = command('LIST', false);

/** @source RFC 3501 §6.3.9 */
export const lsub = command('LSUB', true);

/** Everything that has a name, the levels above that have none of their own too; INBOX first, then by name. */
const listedNames = (mailboxes: readonly MailboxInfo[]): ListedName[] => {
  const byName = new Map<string, ListedName>();
  const entry = (name: string): ListedName => {
    let listed = byName.get(name);
    if (listed === undefined) {
      listed = { name, info: null, children: false, subscribedBelow: false };
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
    }
  }
  const rank = (name: string): string => (name === 'INBOX' ? '' : name);
  return [...byName.values()].sort((a, b) => (rank(a.name) < rank(b.name) ? -1 : 1));
};

const listAttributes = ({ info, children }: ListedName): string[] | null => {
  if (info?.exists !== true && !children) return null;
  const attributes = info?.exists === true && info.selectable ? [] : ['\\Noselect'];
  attributes.push(children ? '\\HasChildren' : '\\HasNoChildren');
  if (info?.role != null) attributes.push(`\\${info.role}`);
  return attributes;
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
